//! What a log holds: records of a kind and some bytes.

use alloc::vec::Vec;

use crate::Lsn;

/// What a record's payload means. The log stores the byte and never looks at it.
///
/// ```
/// use replication_log::RecordKind;
///
/// const UPSERT: RecordKind = RecordKind(1);
/// assert_eq!(UPSERT.0, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

/// One record as a reader lends it.
///
/// ```
/// use replication_log::{Lsn, Record, RecordKind};
///
/// let record = Record { lsn: Lsn::FIRST, kind: RecordKind(1), payload: b"milk" };
/// assert_eq!(record.to_owned().payload, b"milk");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the log.
    pub lsn: Lsn,
    /// What the payload means to the application.
    pub kind: RecordKind,
    /// The bytes as they were appended.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// A copy that outlives the reader.
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord { lsn: self.lsn, kind: self.kind, payload: self.payload.to_vec() }
    }
}

/// One record that owns its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Its number in the log.
    pub lsn: Lsn,
    /// What the payload means to the application.
    pub kind: RecordKind,
    /// The bytes as they were appended.
    pub payload: Vec<u8>,
}
