//! Mini-transactions: changes of several pages that are logged together and take effect together.

use alloc::{vec, vec::Vec};
use core::fmt;

use super::{
    error::{InstallError, TableError},
    format::PageId,
    heap, index, layout,
    overlay::{Overlay, Touched},
    slotted,
    store::{Source, Store},
};
use crate::{
    Lsn,
    entry::physical::{PageChange, PhysicalEntry, changed_ranges},
    limits::{MAX_ROW_KEY_BYTES, MAX_ROW_VALUE_BYTES},
    storage::{Storage, StorageFile},
};

/// Changes of a table that become one [`Change`]. They are made on copies of the pages: dropping it
/// leaves the table as it was.
///
/// The term and the idea are those of ARIES/IM and `InnoDB`, where a structure of several pages is
/// never half changed in the log.
///
/// ```
/// use replication_log::{Lsn, page::{PageTable, TableOptions}, storage::MemoryStorage};
///
/// let mut table = PageTable::create(&MemoryStorage::new(), &TableOptions::new("accounts.pages"))?;
/// let mut transfer = table.begin()?;
/// transfer.upsert(b"alice", b"70")?;
/// transfer.upsert(b"bob", b"30")?;
/// assert_eq!(transfer.get(b"bob")?.as_deref(), Some(&b"30"[..]), "it sees its own changes");
///
/// let change = transfer.finish()?;
/// let last = Lsn::new(change.entries().len() as u64);
/// change.install(last)?;
/// assert_eq!(table.len()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MiniTransaction<'t, S: Storage> {
    pages: Overlay<'t, S::File>,
    broken: bool,
}

impl<'t, S: Storage> MiniTransaction<'t, S> {
    pub(crate) fn new(store: &'t mut Store<S::File>) -> Self {
        Self { pages: Overlay::new(store), broken: false }
    }

    /// The value of a key, as this mini-transaction leaves it.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.check()?;
        get(&mut self.pages, key)
    }

    /// Adds a row unless there is one of this key; says whether it did. O(log rows) pages.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TableError> {
        self.check_limits(key, value)?;
        self.try_to(|pages| match find(pages, key)? {
            Some(_) => Ok(false),
            None => add(pages, key, value).map(|()| true),
        })
    }

    /// Gives the row of this key another value, if there is one; says whether there is.
    ///
    /// The row stays where it is as long as it fits into its page; then this touches that page
    /// alone, and logs the bytes that differ.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TableError> {
        self.check_limits(key, value)?;
        self.try_to(|pages| match find(pages, key)? {
            None => Ok(false),
            Some(row) => change(pages, key, row, value).map(|()| true),
        })
    }

    /// Updates the row of this key or inserts it; says whether it was there.
    pub fn upsert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TableError> {
        self.check_limits(key, value)?;
        self.try_to(|pages| match find(pages, key)? {
            None => add(pages, key, value).map(|()| false),
            Some(row) => change(pages, key, row, value).map(|()| true),
        })
    }

    /// Removes the row of this key, if there is one; says whether there was.
    pub fn delete(&mut self, key: &[u8]) -> Result<bool, TableError> {
        self.check()?;
        self.try_to(|pages| match find(pages, key)? {
            None => Ok(false),
            Some(row) => remove(pages, key, row).map(|()| true),
        })
    }

    /// The changes as entries to be logged. O(bytes in the pages touched).
    pub fn finish(self) -> Result<Change<'t, S>, TableError> {
        self.check()?;
        let Overlay { store, pages } = self.pages;
        let format = store.mark.format;
        let zeros = vec![0; format.page_bytes()];
        let mut changes = Vec::new();
        let mut installed = Vec::new();
        for (id, Touched { bytes, is_new }) in pages {
            let checkpoint = store.checkpoint();
            let change = if is_new {
                PageChange::Image(changed_ranges(&zeros, &bytes))
            } else {
                let frame = store.frame(id)?;
                let ranges = changed_ranges(&frame.bytes, &bytes);
                if ranges.is_empty() {
                    continue;
                }
                if frame.image > checkpoint {
                    PageChange::Bytes { before: layout::checksum(&frame.bytes), ranges }
                } else {
                    PageChange::Image(changed_ranges(&zeros, &bytes))
                }
            };
            installed.push(Installed { id, bytes, is_image: matches!(change, PageChange::Image(_)) });
            changes.push((id, change));
        }
        let count = u32::try_from(changes.len()).map_err(|_| TableError::Full)?;
        let entries = (0..count)
            .zip(changes)
            .map(|(index, (id, change))| PhysicalEntry::new(format, id, (index, count - 1 - index), change));
        Ok(Change { entries: entries.collect(), pages: installed, store })
    }

    /// Runs one operation; if it fails half-way, what it touched is of no use any more.
    fn try_to<T>(
        &mut self,
        operation: impl FnOnce(&mut Overlay<'t, S::File>) -> Result<T, TableError>,
    ) -> Result<T, TableError> {
        let outcome = operation(&mut self.pages);
        self.broken |= outcome.is_err();
        outcome
    }

    fn check(&self) -> Result<(), TableError> {
        if self.broken { Err(TableError::Broken) } else { Ok(()) }
    }

    fn check_limits(&self, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        self.check()?;
        let limit = max_key_bytes(self.pages.format().page_bytes());
        if key.len() > limit {
            return Err(TableError::KeyTooLong { bytes: key.len(), limit });
        }
        if value.len() > MAX_ROW_VALUE_BYTES {
            return Err(TableError::ValueTooLong { bytes: value.len(), limit: MAX_ROW_VALUE_BYTES });
        }
        Ok(())
    }
}

/// The longest key in a table with pages of this size.
pub(crate) fn max_key_bytes(page_bytes: usize) -> usize {
    MAX_ROW_KEY_BYTES.min(slotted::max_cell(page_bytes) - index::LEAF_PREFIX)
}

pub(crate) fn get<S: Source>(source: &mut S, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
    let root = super::directory(source)?.root;
    match index::find(source, root, key)? {
        None => Ok(None),
        Some(row) => heap::read(source, row).map(Some),
    }
}

fn find<F: StorageFile>(pages: &mut Overlay<'_, F>, key: &[u8]) -> Result<Option<heap::Address>, TableError> {
    let root = pages.directory()?.root;
    index::find(pages, root, key)
}

fn add<F: StorageFile>(pages: &mut Overlay<'_, F>, key: &[u8], value: &[u8]) -> Result<(), TableError> {
    let row = heap::insert(pages, value)?;
    index::insert(pages, key, row)?;
    count(pages, |rows| rows.checked_add(1))
}

fn change<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    key: &[u8],
    row: heap::Address,
    value: &[u8],
) -> Result<(), TableError> {
    let now = heap::update(pages, row, value)?;
    if now == row { Ok(()) } else { index::insert(pages, key, now) }
}

fn remove<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    key: &[u8],
    row: heap::Address,
) -> Result<(), TableError> {
    heap::remove(pages, row)?;
    index::remove::remove(pages, key)?;
    count(pages, |rows| rows.checked_sub(1))
}

fn count<F: StorageFile>(
    pages: &mut Overlay<'_, F>,
    step: impl FnOnce(u64) -> Option<u64>,
) -> Result<(), TableError> {
    let mut directory = pages.directory()?;
    let corrupt = || super::store::damaged(PageId::DIRECTORY, super::error::PageDamage::Content);
    directory.rows = step(directory.rows).ok_or_else(corrupt)?;
    pages.set_directory(&directory)
}

/// What a mini-transaction is about to do: entries to be appended as one batch, and the pages to be
/// installed once they have their numbers. Dropping it leaves the table as it was.
///
/// It borrows the table, so that nothing can come between the entries and the pages they describe.
pub struct Change<'t, S: Storage> {
    entries: Vec<PhysicalEntry>,
    pages: Vec<Installed>,
    store: &'t mut Store<S::File>,
}

struct Installed {
    id: PageId,
    bytes: Vec<u8>,
    is_image: bool,
}

impl<S: Storage> Change<'_, S> {
    /// The entries, one for each page that changes, to be appended next to each other in this order.
    pub fn entries(&self) -> &[PhysicalEntry] {
        &self.entries
    }

    /// Whether nothing changes, so that there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes the change a part of the table; its last entry is the record `last`. O(bytes in the
    /// pages touched).
    ///
    /// Only call it once the log has taken the entries. From here on readers of this table see the
    /// change, so acknowledge nothing that depends on it before the record is durable.
    pub fn install(self, last: Lsn) -> Result<(), InstallError> {
        let entries = self.entries.len() as u64;
        if entries == 0 {
            return Ok(());
        }
        let applied = self.store.applied;
        if applied.advance(entries).is_none_or(|least| last < least) {
            return Err(InstallError::NotNext { last, entries, applied });
        }
        for Installed { id, mut bytes, is_image } in self.pages {
            layout::seal(&mut bytes, last);
            self.store.put(id, bytes, is_image, applied);
        }
        self.store.applied = last;
        Ok(())
    }
}

impl<S: Storage> fmt::Debug for Change<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Change").field("entries", &self.entries).finish_non_exhaustive()
    }
}
