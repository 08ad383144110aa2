//! Epochs: to whom the right to lead was granted, and how often the holder has started since.
//!
//! A record of the log is named by its number and its epoch, for clients that ask later what became of it. A leader that
//! lost power may have lost the last records it gave numbers to, and what takes their places must be told from them. So
//! whoever leads begins a new epoch whenever it starts. Which it may do by itself, because nobody else is ever granted
//! that epoch: the upper bits of an epoch are those of the grant, the lower ones count the starts of its holder.

use replication_log::Epoch;

/// So many bits count starts.
const START_BITS: u32 = 20;

/// The right to lead, which is given once: whoever grants numbers them, from [`FIRST`](Self::FIRST) on.
///
/// ```
/// use crdt_sync::single_leader::Grant;
///
/// let second = Grant::FIRST.next().expect("there are seventeen trillion");
/// assert_eq!((second.number(), Grant::of(second.epoch())), (2, second));
/// assert!(second.epoch() > Grant::FIRST.epoch());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant(u64);

impl Grant {
    /// That of the node which founds the log.
    pub const FIRST: Self = Self(1);

    /// The grant of this number; `None` beyond 2^44.
    pub const fn new(number: u64) -> Option<Self> {
        if number < 1 << (u64::BITS - START_BITS) { Some(Self(number)) } else { None }
    }

    /// The grant to which an epoch belongs.
    pub const fn of(epoch: Epoch) -> Self {
        Self(epoch.get() >> START_BITS)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Its first epoch.
    pub const fn epoch(self) -> Epoch {
        Epoch::new(self.0 << START_BITS)
    }
}

/// The epoch that the holder of a grant begins when it starts again; `None` once it has started so often that it needs
/// another grant.
pub(super) fn started_again(epoch: Epoch) -> Option<Epoch> {
    let next = Epoch::new(epoch.get().checked_add(1)?);
    (Grant::of(next) == Grant::of(epoch)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_starts_again_never_takes_the_epoch_of_the_next_grant() {
        let (first, second) = (Grant::FIRST, Grant::FIRST.next().unwrap());
        let mut epoch = first.epoch();
        for _ in 1..1 << START_BITS {
            epoch = started_again(epoch).unwrap();
            assert!(epoch < second.epoch() && Grant::of(epoch) == first);
        }
        assert_eq!(started_again(epoch), None);
        assert_eq!(Grant::new(u64::MAX >> START_BITS).and_then(Grant::next), None);
    }
}
