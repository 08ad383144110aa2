//! Changes that belong together, and where in the log they stand.

use alloc::vec::Vec;

use super::{Entry, EntryError};
use crate::{
    Batch, BatchError, Lsn, Record, RecordKind,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS},
};

/// The kind of records whose payloads are logical entries.
pub const LOGICAL: RecordKind = RecordKind(0x4c);

/// Changes that are applied together or not at all: the entries of one batch, or what a filter left
/// of them.
///
/// It covers the log from its first to its last record also where it has no entry, so that a
/// follower that is sent few of the changes still gets ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub(super) first: Lsn,
    pub(super) last: Lsn,
    /// Ascending, from `first` to `last`.
    pub(super) entries: Vec<(Lsn, Entry)>,
    pub(super) skipped: u64,
}

impl Transaction {
    /// Adds entries to `batch` as one transaction. O(bytes).
    ///
    /// Transactions of one batch become durable together; each of them is applied by itself. After
    /// an error the batch may hold the beginning of the transaction: clear it.
    ///
    /// ```
    /// use replication_log::{Batch, Epoch};
    /// use replication_log::entry::logical::{Before, Change, CollectionId, Entry, LogicalEntry};
    /// use replication_log::entry::logical::{SchemaId, Transaction};
    ///
    /// let gone = |key: &[u8]| Entry::Row(LogicalEntry {
    ///     schema: SchemaId(7),
    ///     version: 1,
    ///     collection: CollectionId(1),
    ///     key: key.to_vec(),
    ///     old_key: None,
    ///     before: Before::Unknown,
    ///     change: Change::Delete,
    /// });
    /// let mut batch = Batch::new(Epoch::ZERO);
    /// Transaction::write(&[gone(b"milk"), gone(b"bread")], &mut batch)?;
    /// assert_eq!(batch.len(), 2);
    /// # Ok::<(), replication_log::entry::logical::WriteError>(())
    /// ```
    pub fn write(entries: &[Entry], batch: &mut Batch) -> Result<(), WriteError> {
        let end = entries.len().checked_sub(1).ok_or(WriteError::Empty)?;
        for (at, entry) in entries.iter().enumerate() {
            batch.push(LOGICAL, &entry.encode(at == end)?)?;
        }
        Ok(())
    }

    /// A transaction of entries that got numbers from `first` on; `None` when there are none, or no
    /// numbers for them.
    pub fn numbered(first: Lsn, entries: Vec<Entry>) -> Option<Self> {
        let last = first.advance(entries.len() as u64)?.previous().filter(|last| *last >= first)?;
        let entries = (first.get()..).map(Lsn::new).zip(entries).collect();
        Some(Self { first, last, entries, skipped: 0 })
    }

    /// The first record it covers.
    pub const fn first(&self) -> Lsn {
        self.first
    }

    /// The last record it covers: where a follower stands that has applied it.
    pub const fn last(&self) -> Lsn {
        self.last
    }

    /// The entries and the records they are in, ascending.
    pub fn entries(&self) -> &[(Lsn, Entry)] {
        &self.entries
    }

    /// How many of the records it covers are of another kind, or optional and of a newer version of
    /// the format.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Why entries were not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no entry to write.
    #[error("a transaction without entries takes no place in the log")]
    Empty,
    /// An entry does not keep to the format.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The batch is full.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Puts transactions together from the records of a log, read in order from the beginning of any
/// transaction.
///
/// It holds one transaction in memory, at most what a batch may hold.
///
/// ```
/// use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, storage::MemoryStorage};
/// use replication_log::entry::logical::{Before, Change, CollectionId, Entry, LogicalEntry};
/// use replication_log::entry::logical::{SchemaId, Transaction, Transactions};
///
/// # let gone = |key: &[u8]| Entry::Row(LogicalEntry {
/// #     schema: SchemaId(7),
/// #     version: 1,
/// #     collection: CollectionId(1),
/// #     key: key.to_vec(),
/// #     old_key: None,
/// #     before: Before::Unknown,
/// #     change: Change::Delete,
/// # });
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let mut batch = Batch::new(Epoch::ZERO);
/// Transaction::write(&[gone(b"milk"), gone(b"bread")], &mut batch)?;
/// log.append(&batch)?;
/// log.sync()?;
///
/// let mut transactions = Transactions::new();
/// let mut reader = log.read_from(Lsn::FIRST)?;
/// while let Some(record) = reader.next_record()? {
///     if let Some(transaction) = transactions.push(&record)? {
///         assert_eq!((transaction.first(), transaction.last()), (Lsn::new(1), Lsn::new(2)));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    open: Option<Transaction>,
    bytes: usize,
}

impl Transactions {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Self { open: None, bytes: 0 }
    }

    /// Takes the next record, and returns the transaction if that ends it. O(bytes).
    ///
    /// Records of another kind are passed over and counted; outside a transaction each is one
    /// without entries. After an error the record is not taken and may be given again.
    pub fn push(&mut self, record: &Record<'_>) -> Result<Option<Transaction>, StreamError> {
        let lsn = record.lsn;
        let wanted = self.open.as_ref().map_or(Some(lsn), |open| open.last.next());
        if wanted != Some(lsn) {
            return Err(StreamError::Gap { wanted: wanted.unwrap_or(lsn), got: lsn });
        }
        let (entry, last) = if record.kind == LOGICAL {
            let decoded = Entry::decode(record.payload).map_err(|error| StreamError::Entry { lsn, error })?;
            (decoded.entry, decoded.last)
        } else {
            (None, self.open.is_none())
        };
        let (first, held) = self.open.as_ref().map_or((lsn, 0), |open| (open.first, open.entries.len()));
        let bytes = self.bytes + record.payload.len();
        if held >= MAX_BATCH_RECORDS || bytes > MAX_BATCH_BYTES {
            return Err(StreamError::TooLarge { first, limit: MAX_BATCH_BYTES });
        }
        let fresh = Transaction { first, last: lsn, entries: Vec::new(), skipped: 0 };
        let mut open = self.open.take().unwrap_or(fresh);
        open.last = lsn;
        match entry {
            Some(entry) => open.entries.push((lsn, entry)),
            None => open.skipped += 1,
        }
        if last {
            self.bytes = 0;
            return Ok(Some(open));
        }
        self.open = Some(open);
        self.bytes = bytes;
        Ok(None)
    }
}

/// Why a record does not go on with a stream. The record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The record is not the next one of the transaction.
    #[error("record {wanted} of the transaction comes next, not {got}")]
    Gap {
        /// The record that comes next.
        wanted: Lsn,
        /// The record that was given.
        got: Lsn,
    },
    /// The record holds no entry that can be read.
    #[error("record {lsn} cannot be read: {error}")]
    Entry {
        /// The record.
        lsn: Lsn,
        /// What is wrong with it.
        #[source]
        error: EntryError,
    },
    /// The transaction has more or larger entries than a batch holds, or its end is missing.
    #[error("the transaction that begins at {first} is larger than {limit} bytes")]
    TooLarge {
        /// Where it begins.
        first: Lsn,
        /// The bound it exceeds.
        limit: usize,
    },
}
