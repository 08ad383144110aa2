//! A formula made ready to be asked often.

use alloc::boxed::Box;
use core::ops::{BitAnd, Not};

use super::NodeSet;
use super::formula::Formula;

/// What a formula says, each kind of threshold in the form that is quickest to ask.
///
/// Bits are only counted where a count decides: "all of these" and "any of these" are one operation on a word.
/// Systems of up to 64 nodes are asked in words of 64 bits.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    Narrow(Words<u64>),
    Wide(Words<u128>),
}

impl Rule {
    pub(crate) fn new(formula: &Formula) -> Self {
        match Words::<u64>::new(formula) {
            Some(narrow) => Self::Narrow(narrow),
            None => Self::Wide(Words::new(formula).unwrap_or(Words::All(u128::MAX))),
        }
    }

    pub(crate) fn is_quorum(&self, set: NodeSet) -> bool {
        match self {
            // No node is beyond the 64th, so what is cut off counts for nothing.
            #[expect(clippy::cast_possible_truncation, reason = "nodes that the system does not have")]
            Self::Narrow(rule) => rule.holds(set.bits() as u64),
            Self::Wide(rule) => rule.holds(set.bits()),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Words<W> {
    All(W),
    Any(W),
    Some(W, u32),
    AnyOfAll(Box<[W]>),
    AllOfAny(Box<[W]>),
    AnyOf(Box<[Words<W>]>),
    AllOf(Box<[Words<W>]>),
    /// So many votes, one of each leaf.
    Votes(u64, W, Box<[(u64, Words<W>)]>),
}

/// A set of bits.
pub(crate) trait Word: Copy + Eq + BitAnd<Output = Self> + Not<Output = Self> + From<u8> {
    fn of(set: NodeSet) -> Option<Self>;
    fn count(self) -> u32;
}

impl Word for u64 {
    fn of(set: NodeSet) -> Option<Self> {
        Self::try_from(set.bits()).ok()
    }

    fn count(self) -> u32 {
        self.count_ones()
    }
}

impl Word for u128 {
    fn of(set: NodeSet) -> Option<Self> {
        Some(set.bits())
    }

    fn count(self) -> u32 {
        self.count_ones()
    }
}

impl<W: Word> Words<W> {
    /// `None` if a node does not fit in the word.
    fn new(formula: &Formula) -> Option<Self> {
        let leaves = W::of(formula.leaves)?;
        let need = u32::try_from(formula.need).unwrap_or(u32::MAX);
        let is_all = formula.need == formula.total();
        if formula.parts.is_empty() {
            return Some(match need {
                1 => Self::Any(leaves),
                _ if is_all => Self::All(leaves),
                need => Self::Some(leaves, need),
            });
        }
        let parts = formula.parts.iter().map(|(votes, part)| Some((*votes, Self::new(part)?)));
        let parts: Box<[(u64, Self)]> = parts.collect::<Option<_>>()?;
        let rules = |own: Self| -> Box<[Self]> {
            let own = (!formula.leaves.is_empty()).then_some(own);
            own.into_iter().chain(parts.iter().map(|(_, part)| part.clone())).collect()
        };
        Some(if is_all {
            Self::all_of(rules(Self::All(leaves)))
        } else if need == 1 {
            Self::any_of(rules(Self::Any(leaves)))
        } else {
            Self::Votes(formula.need, leaves, parts)
        })
    }

    fn all_of(rules: Box<[Self]>) -> Self {
        let any: Option<Box<[W]>> =
            rules.iter().map(|rule| if let Self::Any(mask) = rule { Some(*mask) } else { None }).collect();
        any.map_or(Self::AllOf(rules), Self::AllOfAny)
    }

    fn any_of(rules: Box<[Self]>) -> Self {
        let all: Option<Box<[W]>> =
            rules.iter().map(|rule| if let Self::All(mask) = rule { Some(*mask) } else { None }).collect();
        all.map_or(Self::AnyOf(rules), Self::AnyOfAll)
    }

    fn holds(&self, set: W) -> bool {
        let nothing = W::from(0);
        let has_all = |mask: &W| *mask & !set == nothing;
        let has_any = |mask: &W| *mask & set != nothing;
        match self {
            Self::All(mask) => has_all(mask),
            Self::Any(mask) => has_any(mask),
            Self::Some(mask, need) => (*mask & set).count() >= *need,
            // All are looked at: to guess when to stop costs more than another word.
            Self::AnyOfAll(masks) => masks.iter().fold(false, |holds, mask| holds | has_all(mask)),
            Self::AllOfAny(masks) => masks.iter().fold(true, |holds, mask| holds & has_any(mask)),
            Self::AnyOf(rules) => rules.iter().any(|rule| rule.holds(set)),
            Self::AllOf(rules) => rules.iter().all(|rule| rule.holds(set)),
            Self::Votes(need, leaves, parts) => {
                let mut votes = if *leaves == nothing { 0 } else { u64::from((*leaves & set).count()) };
                for (weight, part) in parts {
                    if let Self::Some(mask, need) = part {
                        // So cheap that to guess whether it is needed would cost more.
                        votes += weight * u64::from((*mask & set).count() >= *need);
                    } else if votes >= *need {
                        return true;
                    } else if part.holds(set) {
                        votes += weight;
                    }
                }
                votes >= *need
            }
        }
    }
}

#[cfg(test)]
mod tests;
