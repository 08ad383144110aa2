//! Versions of the data, and which of them contain which, across changes of the leader.

use alloc::collections::BTreeMap;
use core::fmt;

use replication_log::{Epoch, Lsn};

/// How many epochs a [`Lineage`] remembers. What it forgot is unknown to it, and then the nodes have to say.
pub const MAX_EPOCHS: usize = 64;

/// A state of the data: the first `lsn` records of the log that the leader of `epoch` writes.
///
/// An epoch has one leader, and a leader only appends, so this names the same records for ever. It does not say that
/// they all were written in that epoch: a leader begins with the log that it had. Several versions may name the same
/// records: as of record 3, two logs that part at record 5 are one.
///
/// A node that follows the leader of an epoch *and has cut from its log what that leader does not have* says how far
/// it is in that epoch. Until then it says so in the older one. To name the epoch in which record `lsn` itself was
/// written is always right, too, and any node can compare that with its own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Whose log.
    pub epoch: Epoch,
    /// How much of it.
    pub lsn: Lsn,
}

impl Version {
    /// The first `lsn` records of the log of `epoch`.
    pub const fn new(epoch: Epoch, lsn: Lsn) -> Self {
        Self { epoch, lsn }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of epoch {}", self.lsn, self.epoch)
    }
}

/// Whether what somebody has contains what somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not, and nothing says that it never will.
    NotYet,
    /// It does not and never will: its log is a newer leader's, who went on without those records.
    Never,
    /// Where the two logs part was not told. Only whoever has the log can say.
    Unknown,
}

/// What failovers took from a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What the session had written or seen. Not all of it is in the log any more.
    pub lost: Version,
    /// The log as it goes on, as far as it may still be what the session knows. No more than that survived.
    pub kept: Version,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, kept } = self;
        write!(f, "{lost} was lost: epoch {} goes on from record {}", kept.epoch, kept.lsn)
    }
}

/// Of each epoch, with what log its leader began: a tree of logs, in which any two part somewhere.
///
/// ```
/// use crdt_sync::routing::{Holds, Lineage, Version};
/// use replication_log::{Epoch, Lsn};
///
/// let version = |epoch, lsn| Version::new(Epoch::new(epoch), Lsn::new(lsn));
/// let mut lineage = Lineage::default();
/// // The leader of epoch 2 had 8 records of the log of epoch 1.
/// lineage.learn(Epoch::new(2), version(1, 8));
///
/// assert_eq!(lineage.holds(version(2, 9), version(1, 8)), Holds::Yes);
/// assert_eq!(lineage.holds(version(2, 7), version(1, 8)), Holds::NotYet);
/// assert_eq!(lineage.holds(version(2, 9), version(1, 9)), Holds::Never);
/// // Nobody said with what epoch 3 began.
/// assert_eq!(lineage.holds(version(3, 9), version(1, 8)), Holds::Unknown);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lineage(BTreeMap<Epoch, Version>);

impl Lineage {
    /// The leader of `epoch` began with the log `began`, which is in an older epoch: the last record that it had when
    /// it was elected. The first word on an epoch counts; of more than [`MAX_EPOCHS`] the newest are kept.
    /// O(log epochs).
    pub fn learn(&mut self, epoch: Epoch, began: Version) {
        if began.epoch < epoch {
            self.0.entry(epoch).or_insert(began);
        }
        if self.0.len() > MAX_EPOCHS {
            self.0.pop_first();
        }
    }

    /// What a whole log tells: where its records of each epoch end, newest first, as
    /// [`epoch_ends`](replication_log::Log::epoch_ends) lists them. O(ends · log epochs).
    ///
    /// This is how a node checks what it is asked to have: with the lineage of its own log,
    /// [`holds`](Self::holds) of its own version.
    ///
    /// ```
    /// use crdt_sync::routing::{Holds, Lineage, Version};
    /// use replication_log::{Epoch, Lsn};
    ///
    /// let version = |epoch, lsn| Version::new(Epoch::new(epoch), Lsn::new(lsn));
    /// let mut own = Lineage::default();
    /// own.learn_log([version(4, 12), version(2, 9), version(1, 5)]);
    /// assert_eq!(own.holds(version(4, 12), version(2, 9)), Holds::Yes);
    /// // Nothing of epoch 3 is in this log, and record 6 of epoch 1 is not.
    /// assert_eq!(own.holds(version(4, 12), version(3, 10)), Holds::Never);
    /// assert_eq!(own.holds(version(4, 12), version(1, 6)), Holds::Never);
    /// ```
    pub fn learn_log(&mut self, ends: impl IntoIterator<Item = Version>) {
        let mut ends = ends.into_iter().take(MAX_EPOCHS);
        let Some(mut newer) = ends.next() else { return };
        for older in ends {
            self.learn(newer.epoch, older);
            newer = older;
        }
    }

    /// Whether whoever has `have` has `need`. O(epochs) steps.
    pub fn holds(&self, have: Version, need: Version) -> Holds {
        let common = self.common(have.epoch, need.epoch);
        if need.lsn > common.at_most && have.epoch > need.epoch {
            Holds::Never
        } else if need.lsn > common.at_most || have.lsn < need.lsn {
            Holds::NotYet
        } else if common.exactly {
            Holds::Yes
        } else {
            Holds::Unknown
        }
    }

    /// Whether the log of `epoch`, however long it becomes, has `need`.
    pub(super) fn survives(&self, need: Version, epoch: Epoch) -> Holds {
        self.holds(Version::new(epoch, Lsn::new(u64::MAX)), need)
    }

    /// What is lost of `lost` in the log of `epoch`, a newer one.
    pub(super) fn loss(&self, lost: Version, epoch: Epoch) -> Loss {
        Loss { lost, kept: Version::new(epoch, self.common(lost.epoch, epoch).at_most) }
    }

    /// How many records the logs of two epochs share. Each went on from an older one's; so walk from the newer of the
    /// two to where it came from, until both are one. What came after any of the branches that were passed is not
    /// shared: the next record there is of a newer epoch than all on the other side.
    fn common(&self, mut one: Epoch, mut other: Epoch) -> Common {
        let mut at_most = Lsn::new(u64::MAX);
        while one != other {
            let newer = if one > other { &mut one } else { &mut other };
            let Some(began) = self.0.get(newer) else { return Common { at_most, exactly: false } };
            at_most = at_most.min(began.lsn);
            *newer = began.epoch;
        }
        Common { at_most, exactly: true }
    }
}

struct Common {
    at_most: Lsn,
    exactly: bool,
}
