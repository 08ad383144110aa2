//! A set of small numbers as bits.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Numbers from 0, eight to a byte, the lowest bit first. No byte at the end is zero, so a set has one form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Bits(Vec<u8>);

impl Bits {
    pub(in super::super) fn contains(&self, number: usize) -> bool {
        self.0.get(number / 8).is_some_and(|byte| byte & (1 << (number % 8)) != 0)
    }

    /// Whether it was new.
    pub(in super::super) fn insert(&mut self, number: usize) -> bool {
        let byte = number / 8;
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        let before = self.0[byte];
        self.0[byte] |= 1 << (number % 8);
        self.0[byte] != before
    }

    /// Whether anything was new.
    pub(super) fn union(&mut self, other: &Self) -> bool {
        let grown = self.0.len() < other.0.len();
        if grown {
            self.0.resize(other.0.len(), 0);
        }
        let mut changed = grown;
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            changed |= *theirs & !*mine != 0;
            *mine |= theirs;
        }
        changed
    }

    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Whether it is in its one form, with no number at or above the limit.
    pub(super) fn is_canonical(&self, limit: usize) -> bool {
        let Some(highest) = self.0.last().and_then(|last| last.checked_ilog2()) else { return false };
        (self.0.len() - 1) * 8 + (highest as usize) < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_form_and_no_number_beyond_its_limit() {
        let mut bits = Bits::default();
        assert!(bits.insert(3) && bits.insert(9) && !bits.insert(9));
        assert!(bits.is_canonical(10));
        assert!(!bits.is_canonical(9));
        for not_its_form in [alloc::vec![], alloc::vec![0], alloc::vec![8, 2, 0]] {
            assert!(!Bits(not_its_form.clone()).is_canonical(100), "{not_its_form:?}");
        }
    }
}
