//! Changes that belong together, and where in the log they stand.

use alloc::vec::Vec;

use super::{
    Entry, EntryError, FORMAT_VERSIONS, Malformed,
    bytes::{Ascending, Input, put_blob, put_count, put_number},
};
use crate::{
    Batch, BatchError, Lsn, Record, RecordKind,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES},
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

    /// The transaction as bytes, for a follower that is not sent the records themselves because a
    /// filter left out some of them. O(bytes).
    ///
    /// What was skipped here is not told.
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        let mut bytes = [FORMAT_VERSIONS.min].to_vec();
        put_number(&mut bytes, self.first.get());
        put_number(&mut bytes, self.last.get() - self.first.get());
        put_count(&mut bytes, self.entries.len());
        let mut places = Ascending::default();
        for (at, (lsn, entry)) in self.entries.iter().enumerate() {
            places.put(&mut bytes, lsn.get() - self.first.get());
            put_blob(&mut bytes, &entry.encode(at + 1 == self.entries.len())?);
        }
        Ok(bytes)
    }

    /// Reads a transaction back, and counts what is optional and of a newer version of the format
    /// as skipped. Allocates a small multiple of the bytes that are there.
    ///
    /// ```
    /// use replication_log::Lsn;
    /// use replication_log::entry::logical::{Filter, Transaction};
    /// # use replication_log::entry::logical::{Before, Change, CollectionId, Entry, LogicalEntry};
    /// # use replication_log::entry::logical::SchemaId;
    /// # let gone = |key: &[u8]| Entry::Row(LogicalEntry {
    /// #     schema: SchemaId(7),
    /// #     version: 1,
    /// #     collection: CollectionId(1),
    /// #     key: key.to_vec(),
    /// #     old_key: None,
    /// #     before: Before::Unknown,
    /// #     change: Change::Delete,
    /// # });
    ///
    /// let transaction = Transaction::numbered(Lsn::new(5), vec![gone(b"milk"), gone(b"bread")]);
    /// let nothing = Filter::nothing().apply(&transaction.expect("two entries"))?;
    /// let received = Transaction::decode(&nothing.encode()?)?;
    /// assert_eq!((received.first(), received.last()), (Lsn::new(5), Lsn::new(6)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut input = Input::new(bytes);
        let version = input.byte()?;
        if version != FORMAT_VERSIONS.min {
            return Err(Malformed::Tag(version).into());
        }
        let first = Lsn::new(input.number()?);
        let distance = input.number()?;
        let last = first.advance(distance).ok_or(Malformed::Number)?;
        let count = input.count(MAX_BATCH_RECORDS, "entries of a transaction")?;
        let mut transaction = Self { first, last, entries: Vec::new(), skipped: 0 };
        let mut places = Ascending::default();
        for at in 1..=count {
            let place = places.take(&mut input)?;
            let lsn = first.advance(place).filter(|lsn| *lsn <= last).ok_or(Malformed::Number)?;
            let decoded = Entry::decode(input.blob(MAX_RECORD_BYTES, "bytes of an entry")?)?;
            if decoded.last != (at == count) {
                return Err(Malformed::Shape("the last entry ends the transaction").into());
            }
            match decoded.entry {
                Some(entry) => transaction.entries.push((lsn, entry)),
                None => transaction.skipped += 1,
            }
        }
        input.end()?;
        Ok(transaction)
    }

    /// Whether there is nothing to apply: a filter left nothing, or its records are of other kinds.
    pub fn tells_nothing(&self) -> bool {
        self.entries.is_empty()
    }

    /// Covers what the next transaction covers, too, which has nothing to tell either.
    pub(crate) fn cover_with(&mut self, next: &Self) {
        self.last = next.last;
        self.skipped += next.skipped;
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
