//! The numbers a log counts with.

use core::fmt;

/// A log sequence number: the position of one record in the log.
///
/// Records are numbered densely from 1, in the order in which they were appended, across batches
/// and segments. [`Lsn::ZERO`] stands before the first record and means "nothing".
///
/// ```
/// use replication_log::Lsn;
///
/// assert_eq!(Lsn::ZERO.next(), Some(Lsn::new(1)));
/// assert!(Lsn::new(1) < Lsn::new(2));
/// assert_eq!(Lsn::new(u64::MAX).next(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

impl Lsn {
    /// Before the first record.
    pub const ZERO: Self = Self(0);
    /// The first record of every log.
    pub const FIRST: Self = Self(1);

    /// The record with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The record after this one; `None` when the numbers are used up.
    pub const fn next(self) -> Option<Self> {
        self.advance(1)
    }

    /// The record `count` places later; `None` when the numbers are used up.
    pub const fn advance(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The record before this one; `None` for [`Lsn::ZERO`].
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A fencing token: the reign under which a batch was written.
///
/// A log remembers the highest epoch it has promised or accepted, also across restarts, and refuses
/// batches of any lower one. A log without a leader stays at [`Epoch::ZERO`] for ever. The idea is
/// that of Raft's terms and Kafka's leader epochs.
///
/// ```
/// use replication_log::Epoch;
///
/// assert!(Epoch::ZERO < Epoch::new(7));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// No leader was ever granted anything.
    pub const ZERO: Self = Self(0);

    /// The epoch with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A segment's place in the log: segments are numbered densely from 1, and the number names the file.
///
/// ```
/// use replication_log::SegmentId;
///
/// assert_eq!(SegmentId::new(10).to_string(), "000000000000000a.log");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(u64);

impl SegmentId {
    /// The first segment of every log.
    pub const FIRST: Self = Self(1);

    /// The segment with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The segment after this one; `None` when the numbers are used up.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}.log", self.0)
    }
}
