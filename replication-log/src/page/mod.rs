//! A table in pages of a fixed size, whose every change is logged as bytes.
//!
//! A [`PageTable`] is one file of a [`Storage`]: rows in slotted heap pages, a B+tree over their keys
//! in pages of its own, large values in chains of pages. Each change runs as a mini-transaction on
//! copies of the pages and yields [`PhysicalEntry`](crate::entry::physical::PhysicalEntry)s, the bytes that
//! differ. They are appended to the log as one batch, and only then the change becomes part of the
//! table. The same operations give the same bytes, and a follower that applies the entries has the
//! same pages to the last bit.
//!
//! Pages stay in memory once they are touched, until [`PageTable::evict`]; the file is written by
//! [`PageTable::checkpoint`] alone. Recovery is the checkpoint and the log behind it. The scheme is
//! ARIES (Mohan et al., 1992) without undo: what is in the log took effect.

pub(crate) mod check;
mod checkpoint;
pub(crate) mod directory;
mod error;
mod format;
mod heap;
mod index;
pub(crate) mod layout;
mod meta;
mod mini;
mod options;
mod overflow;
mod overlay;
mod range;
mod recovery;
mod slotted;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::ops::{Bound, RangeBounds};

pub use checkpoint::CheckpointReport;
pub use error::{CheckpointError, DamagedPage, InstallError, OpenTableError, PageDamage, TableError};
pub use format::{FormatMismatch, PageFormat, PageId, PageSizeError};
pub use mini::{Change, MiniTransaction};
pub use options::TableOptions;
pub use range::Rows;
pub use recovery::TableRecovery;

use crate::{Lsn, storage::Storage};
use directory::Directory;
use layout::PageKind;
use store::{Source, Store};

/// Rows of bytes under keys of bytes, in order of the keys, in pages.
///
/// `UPDATE users SET balance = 100 WHERE id = 123`, as a change of bytes:
///
/// ```
/// use replication_log::entry::physical::PageChange;
/// use replication_log::page::{PageTable, TableOptions};
/// use replication_log::{Batch, Epoch, Log, LogOptions, RecordKind, storage::MemoryStorage};
///
/// const PAGE: RecordKind = RecordKind(1);
///
/// let storage = MemoryStorage::new();
/// let (mut log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed))?;
/// let mut users = PageTable::create(&storage, &TableOptions::new("users.pages"))?;
///
/// let mut write = |users: &mut PageTable<_>, id: u64, row: &[u8]| -> Result<_, Box<dyn std::error::Error>> {
///     let mut mini = users.begin()?;
///     mini.upsert(&id.to_be_bytes(), row)?;
///     let change = mini.finish()?;
///     let mut batch = Batch::new(Epoch::ZERO);
///     for entry in change.entries() {
///         batch.push(PAGE, &entry.encode())?;
///     }
///     let entries = change.entries().to_vec();
///     // The change becomes part of the table once the log has taken it, and not if it refuses.
///     let lsns = log.append(&batch)?;
///     change.install(*lsns.end())?;
///     Ok(entries)
/// };
///
/// write(&mut users, 123, b"ada;balance=050")?;
/// let entries = write(&mut users, 123, b"ada;balance=100")?;
///
/// // The row was changed where it is: one page, and in it three digits of which one stayed as it was.
/// let [entry] = &entries[..] else { panic!("one page") };
/// let PageChange::Bytes { ranges, .. } = entry.change() else { panic!("not a whole page") };
/// assert_eq!(ranges.len(), 1);
/// assert_eq!(ranges[0].bytes, b"10");
/// assert_eq!(entry.encode().len(), 19);
///
/// let users_row = users.get(&123_u64.to_be_bytes())?;
/// assert_eq!(users_row.as_deref(), Some(&b"ada;balance=100"[..]));
///
/// // Pages are written when their records are durable.
/// let durable = log.sync()?;
/// users.checkpoint(durable)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PageTable<S: Storage> {
    store: Store<S::File>,
}

impl<S: Storage> PageTable<S> {
    /// Creates an empty table in a new file, durably. Its bytes follow from the options alone, so a
    /// leader and its followers begin alike.
    pub fn create(storage: &S, options: &TableOptions) -> Result<Self, OpenTableError> {
        recovery::create(storage, options).map(|store| Self { store })
    }

    /// Opens the file of a table. What is returned takes the records of the log since the last
    /// checkpoint and becomes the table.
    ///
    /// Reads page 0 and writes it once more, durably. The page size is that of the file, whatever
    /// the options say.
    pub fn open(storage: &S, options: &TableOptions) -> Result<TableRecovery<S>, OpenTableError> {
        recovery::open(storage, options)
    }

    /// The value of a key. O(log rows) pages.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        mini::get(&mut self.store, key)
    }

    /// The rows whose keys are in `range`, in order of their keys.
    ///
    /// Each is read when it is asked for; one page of keys is held besides the pages in memory.
    ///
    /// ```
    /// use replication_log::{Lsn, page::{PageTable, TableOptions}, storage::MemoryStorage};
    ///
    /// let mut table = PageTable::create(&MemoryStorage::new(), &TableOptions::new("fruit.pages"))?;
    /// let mut mini = table.begin()?;
    /// for (key, value) in [("cherry", "red"), ("apple", "green"), ("banana", "yellow")] {
    ///     mini.insert(key.as_bytes(), value.as_bytes())?;
    /// }
    /// mini.finish()?.install(Lsn::new(9))?;
    ///
    /// let keys: Result<Vec<_>, _> = table.range(&b"b"[..]..)?.map(|row| row.map(|(key, _)| key)).collect();
    /// assert_eq!(keys?, [b"banana".to_vec(), b"cherry".to_vec()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range<'k>(&mut self, range: impl RangeBounds<&'k [u8]>) -> Result<Rows<'_, S>, TableError> {
        let owned = |bound: Bound<&&[u8]>| bound.map(|key| key.to_vec());
        Rows::new(&mut self.store, owned(range.start_bound()), owned(range.end_bound()))
    }

    /// How many rows there are. O(1).
    pub fn len(&mut self) -> Result<u64, TableError> {
        Ok(directory(&mut self.store)?.rows)
    }

    /// Whether there is no row. O(1).
    pub fn is_empty(&mut self) -> Result<bool, TableError> {
        Ok(self.len()? == 0)
    }

    /// How many pages the file has, free ones included. O(1).
    pub fn pages(&mut self) -> Result<u32, TableError> {
        Ok(directory(&mut self.store)?.pages)
    }

    /// Begins a change of any number of rows.
    pub fn begin(&mut self) -> Result<MiniTransaction<'_, S>, TableError> {
        self.store.check_poison()?;
        Ok(MiniTransaction::new(&mut self.store))
    }

    /// The change that adds a row; empty if there is one of this key.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<Change<'_, S>, TableError> {
        let mut mini = self.begin()?;
        mini.insert(key, value)?;
        mini.finish()
    }

    /// The change that gives a row another value; empty if there is none of this key.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> Result<Change<'_, S>, TableError> {
        let mut mini = self.begin()?;
        mini.update(key, value)?;
        mini.finish()
    }

    /// The change that updates a row or inserts it.
    pub fn upsert(&mut self, key: &[u8], value: &[u8]) -> Result<Change<'_, S>, TableError> {
        let mut mini = self.begin()?;
        mini.upsert(key, value)?;
        mini.finish()
    }

    /// The change that removes a row; empty if there is none of this key.
    pub fn delete(&mut self, key: &[u8]) -> Result<Change<'_, S>, TableError> {
        let mut mini = self.begin()?;
        mini.delete(key)?;
        mini.finish()
    }

    /// Forgets pages that the file holds as they are. They are read again when they are asked for.
    pub fn evict(&mut self) {
        self.store.evict();
    }

    /// What the other side must have too, before physical entries can be shipped.
    pub fn format(&self) -> PageFormat {
        self.store.mark.format
    }

    /// The longest key this table takes; it depends on the page size.
    pub fn max_key_bytes(&self) -> usize {
        mini::max_key_bytes(self.format().page_bytes())
    }

    /// The last record whose change is part of the table.
    pub fn applied(&self) -> Lsn {
        self.store.applied
    }

    /// The record up to which the file needs no log.
    pub fn checkpoint_lsn(&self) -> Lsn {
        self.store.checkpoint()
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store<S::File> {
        &mut self.store
    }
}

fn directory<T: Source>(source: &mut T) -> Result<Directory, TableError> {
    Ok(Directory::read(source.page_of(PageId::DIRECTORY, PageKind::Directory)?))
}
