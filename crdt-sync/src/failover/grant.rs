//! Epochs: to whom the right to lead was granted, and how often the holder has started since.
//!
//! A record of the log is named by its number and its epoch, for clients that ask later what became of it. A leader
//! that lost power may have lost the last records it gave numbers to, and what takes their places must be told from
//! them. So whoever leads begins a new epoch whenever it starts. Which it may do by itself, because nobody else is ever
//! granted that epoch: the upper bits of an epoch are those of the grant, the lower ones count the starts.

use replication_log::Epoch;

/// So many bits count starts.
const START_BITS: u32 = 32;
/// Whoever may have started as often as that, without knowing, is ahead of itself by this much at least.
const UNKNOWN_STARTS: u64 = 1 << 16;

/// The right to lead, which is given once: whoever grants numbers them, from [`FIRST`](Self::FIRST) on.
///
/// ```
/// use crdt_sync::failover::Grant;
///
/// let second = Grant::FIRST.next().expect("there are four billion");
/// assert_eq!((second.number(), Grant::of(second.epoch())), (2, second));
/// assert!(second.epoch() > Grant::FIRST.epoch());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant(u64);

impl Grant {
    /// That of the node which founds the log.
    pub const FIRST: Self = Self(1);

    /// The grant of this number; `None` from 2^32 on.
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
pub(crate) fn started_again(epoch: Epoch) -> Option<Epoch> {
    within_grant(epoch, 1)
}

/// The same where its log may be that of an earlier time: it has started since, nobody knows how often, and begun
/// epochs that others have heard of. A random number keeps it from beginning one of them once more.
pub(crate) fn started_since(epoch: Epoch, random: u64) -> Option<Epoch> {
    within_grant(epoch, UNKNOWN_STARTS + random % UNKNOWN_STARTS)
}

fn within_grant(epoch: Epoch, starts: u64) -> Option<Epoch> {
    let next = Epoch::new(epoch.get().checked_add(starts)?);
    (Grant::of(next) == Grant::of(epoch)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_starts_again_never_takes_the_epoch_of_the_next_grant() {
        let (first, second) = (Grant::FIRST, Grant::FIRST.next().unwrap());
        let last = Epoch::new(second.epoch().get() - 1);
        assert_eq!((started_again(last), started_since(last, 0)), (None, None));
        let mut epoch = first.epoch();
        for random in 0..1_000 {
            let (again, since) = (started_again(epoch).unwrap(), started_since(epoch, random).unwrap());
            assert!(epoch < again && again < since && since < second.epoch());
            epoch = since;
        }
        assert_eq!(Grant::new(u64::MAX >> START_BITS).and_then(Grant::next), None);
    }
}
