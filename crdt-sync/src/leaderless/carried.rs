//! Which writes were carried out for whom: a request that comes twice is one write.

use alloc::collections::BTreeSet;

/// So many requests of one peer are remembered.
const REMEMBERED: usize = 1 << 10;

/// The requests of one peer, over one link, to carry out a write.
///
/// A wire may double a frame and hold up the copy. Joining twice is joining once, but writing twice is writing twice: a
/// count would count double, and what was removed in between would be there again. Numbers of a peer ascend, so of
/// those that are forgotten it is enough to know the highest.
#[derive(Debug, Default)]
pub(super) struct Carried {
    requests: BTreeSet<u64>,
    /// This one and all before it are taken for copies.
    forgotten: Option<u64>,
}

impl Carried {
    /// Notes a request; whether it is the first of its number. O(log remembered).
    pub(super) fn note(&mut self, request: u64) -> bool {
        if self.forgotten.is_some_and(|last| request <= last) || !self.requests.insert(request) {
            return false;
        }
        if self.requests.len() > REMEMBERED {
            self.forgotten = self.requests.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_no_new_request_however_late_it_comes() {
        let mut carried = Carried::default();
        assert!(carried.note(7) && carried.note(5), "overtaken, and new all the same");
        assert!(!carried.note(7) && !carried.note(5));
        assert!((10..3 * REMEMBERED as u64).all(|request| carried.note(request)));
        assert!((0..3 * REMEMBERED as u64).all(|request| !carried.note(request)));
        assert_eq!(carried.requests.len(), REMEMBERED);
    }
}
