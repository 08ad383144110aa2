//! Making a table what the leader's was, from its physical entries.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use super::{EntryError, PageChange, PhysicalEntry};
use crate::{
    Lsn,
    limits::MAX_BATCH_BYTES,
    page::{
        DamagedPage, FormatMismatch, PageDamage, PageId, PageTable, TableError, check::check,
        directory::Directory, layout, store::Store,
    },
    storage::{Storage, StorageFile},
};

/// Applies the physical entries of a leader to a follower's table, in the order of their records.
///
/// Entries are kept back until the mini-transaction they belong to is complete, then take effect
/// together or, if anything about them is wrong, not at all. What the table has already seen is
/// skipped, so the same records can be handed over again. After an error the applier has forgotten
/// the mini-transaction; the table is as it was before it.
///
/// ```
/// use replication_log::{Lsn, entry::physical::{Applied, PhysicalApplier}};
/// use replication_log::page::{PageTable, TableOptions};
/// use replication_log::storage::MemoryStorage;
///
/// let options = TableOptions::new("users.pages");
/// let mut leader = PageTable::create(&MemoryStorage::new(), &options)?;
/// let mut follower = PageTable::create(&MemoryStorage::new(), &options)?;
/// leader.format().check(&follower.format())?;
///
/// let change = leader.insert(b"123", b"balance=50")?;
/// let shipped: Vec<Vec<u8>> = change.entries().iter().map(|entry| entry.encode()).collect();
/// let last = Lsn::new(shipped.len() as u64);
/// change.install(last)?;
///
/// let mut applier = PhysicalApplier::new();
/// for (lsn, payload) in (1..).map(Lsn::new).zip(&shipped) {
///     applier.apply(&mut follower, lsn, payload)?;
/// }
/// assert_eq!(follower.get(b"123")?.as_deref(), Some(&b"balance=50"[..]));
/// assert_eq!(applier.apply(&mut follower, last, &shipped[2])?, Applied::Skipped);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct PhysicalApplier {
    pending: Vec<PhysicalEntry>,
    /// The encoded size of what is pending.
    bytes: usize,
    last: Lsn,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// The table had seen the record before.
    Skipped,
    /// The entry waits for the rest of its mini-transaction.
    Kept,
    /// The mini-transaction is complete and took effect.
    Installed {
        /// How many pages changed.
        pages: usize,
        /// How many pages in the file were already as new as the mini-transaction, or newer.
        skipped: usize,
    },
}

/// Why an entry was not applied. No page was changed by it or its mini-transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The bytes are no physical entry.
    #[error("record {lsn}: {error}")]
    Entry {
        /// The record.
        lsn: Lsn,
        /// What is wrong with it.
        error: EntryError,
    },
    /// The entry is of a table with another page size or format version.
    #[error("record {lsn}: {mismatch}")]
    Format {
        /// The record.
        lsn: Lsn,
        /// The two formats.
        mismatch: FormatMismatch,
    },
    /// The entry is not the one that comes next: records were left out, doubled or swapped.
    #[error("record {lsn} does not continue the mini-transaction before it; no page was changed")]
    OutOfOrder {
        /// The record.
        lsn: Lsn,
    },
    /// The mini-transaction is larger than a batch, so that no log can have held it.
    #[error("record {lsn}: a mini-transaction of more than {limit} bytes; no page was changed")]
    TooLarge {
        /// The record.
        lsn: Lsn,
        /// The bound, [`MAX_BATCH_BYTES`](crate::limits::MAX_BATCH_BYTES).
        limit: usize,
    },
    /// The page here is not the one that the leader changed.
    #[error(
        "record {lsn} changes a page {page} with checksum {expected:08x}, here it has {found:08x}; \
         no page was changed"
    )]
    OtherBase {
        /// The record.
        lsn: Lsn,
        /// The page.
        page: PageId,
        /// The checksum of the page that the leader changed.
        expected: u32,
        /// The checksum of the page here.
        found: u32,
    },
    /// The entry would make a page what no table writes.
    #[error("record {lsn} makes of page {page} one that {damage}; no page was changed")]
    Nonsense {
        /// The record.
        lsn: Lsn,
        /// The page.
        page: PageId,
        /// What would be wrong with it.
        damage: PageDamage,
    },
    /// The records end inside a mini-transaction.
    #[error("the records end with {remaining} entries of a mini-transaction missing; it was not applied")]
    Incomplete {
        /// How many more there must be.
        remaining: u32,
    },
    /// The table refused, for example because a page is damaged.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl PhysicalApplier {
    /// An applier that waits for the first entry of a mini-transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next physical entry. O(bytes in the pages that the entry completes).
    ///
    /// Every failure leaves the table as it was. A before-checksum that does not match means that
    /// the table has diverged or was changed by other hands: it needs a copy of the leader's.
    pub fn apply<S: Storage>(
        &mut self,
        table: &mut PageTable<S>,
        lsn: Lsn,
        payload: &[u8],
    ) -> Result<Applied, ApplyError> {
        self.take(table.store_mut(), lsn, payload, &mut Context::Following)
    }

    /// How many entries are still to come before the mini-transaction takes effect.
    pub fn remaining(&self) -> u32 {
        self.pending.last().map_or(0, PhysicalEntry::remaining)
    }

    pub(crate) fn take<F: StorageFile>(
        &mut self,
        store: &mut Store<F>,
        lsn: Lsn,
        payload: &[u8],
        context: &mut Context,
    ) -> Result<Applied, ApplyError> {
        store.check_poison()?;
        if lsn <= store.applied {
            return Ok(Applied::Skipped);
        }
        let outcome = self.next(store, lsn, payload, context);
        if !matches!(outcome, Ok(Applied::Kept)) {
            self.pending.clear();
            self.bytes = 0;
        }
        outcome
    }

    fn next<F: StorageFile>(
        &mut self,
        store: &mut Store<F>,
        lsn: Lsn,
        payload: &[u8],
        context: &mut Context,
    ) -> Result<Applied, ApplyError> {
        let entry = PhysicalEntry::decode(payload).map_err(|error| ApplyError::Entry { lsn, error })?;
        let format = store.mark.format;
        format.check(&entry.format).map_err(|mismatch| ApplyError::Format { lsn, mismatch })?;
        let follows = match self.pending.last() {
            None => entry.index == 0,
            Some(before) => {
                let counts = (before.index.checked_add(1), before.remaining.checked_sub(1));
                counts == (Some(entry.index), Some(entry.remaining))
                    && before.page < entry.page
                    && self.last < lsn
            }
        };
        if !follows {
            return Err(ApplyError::OutOfOrder { lsn });
        }
        self.last = lsn;
        self.bytes += payload.len();
        if self.bytes > MAX_BATCH_BYTES {
            return Err(ApplyError::TooLarge { lsn, limit: MAX_BATCH_BYTES });
        }
        let complete = entry.remaining == 0;
        self.pending.push(entry);
        if !complete {
            return Ok(Applied::Kept);
        }
        apply_entries(store, lsn, &self.pending, context)
    }
}

/// Who applies, and what a damaged page means to them.
#[derive(Debug)]
pub(crate) enum Context {
    /// A running follower: a damaged page is an error.
    Following,
    /// Recovery: a torn page waits for its image, which must come. What the log mentions may be in
    /// a cache only, after a failed sync, and is to be written again.
    Recovering {
        /// Pages that wait.
        torn: BTreeMap<PageId, PageDamage>,
    },
}

/// Applies one complete mini-transaction that ends at `lsn`.
fn apply_entries<F: StorageFile>(
    store: &mut Store<F>,
    lsn: Lsn,
    entries: &[PhysicalEntry],
    context: &mut Context,
) -> Result<Applied, ApplyError> {
    let (mut changed, mut skipped, mut torn) = (Vec::new(), BTreeSet::new(), Vec::new());
    for entry in entries {
        match changed_page(store, lsn, entry, context)? {
            Outcome::Changed(bytes) => changed.push((entry, bytes)),
            Outcome::Skipped => {
                skipped.insert(entry.page);
            }
            Outcome::Torn(damage) => torn.push((entry.page, damage)),
        }
    }
    check_extent(store, lsn, entries, &changed)?;

    let before = store.applied;
    for entry in entries.iter().filter(|entry| skipped.contains(&entry.page)) {
        if let (Context::Recovering { .. }, Ok(frame)) = (&*context, store.frame(entry.page)) {
            frame.dirty_since.get_or_insert(before);
            if matches!(entry.change, PageChange::Image(_)) {
                frame.image = lsn;
            }
        }
    }
    let outcome = Applied::Installed { pages: changed.len(), skipped: skipped.len() };
    for (entry, bytes) in changed {
        if let Context::Recovering { torn } = context {
            torn.remove(&entry.page);
        }
        store.put(entry.page, bytes, matches!(entry.change, PageChange::Image(_)), before);
    }
    if let Context::Recovering { torn: known } = context {
        known.extend(torn);
    }
    store.applied = lsn;
    Ok(outcome)
}

/// What an entry makes of its page.
enum Outcome {
    Changed(Vec<u8>),
    Skipped,
    Torn(PageDamage),
}

fn changed_page<F: StorageFile>(
    store: &mut Store<F>,
    lsn: Lsn,
    entry: &PhysicalEntry,
    context: &Context,
) -> Result<Outcome, ApplyError> {
    let size = store.mark.format.page_bytes();
    let present = match store.frame(entry.page) {
        Ok(frame) => Ok(&frame.bytes),
        Err(TableError::Damaged(DamagedPage { damage, .. })) => Err(damage),
        Err(error) => return Err(error.into()),
    };
    if present.is_ok_and(|bytes| layout::lsn(bytes) >= lsn) {
        return Ok(Outcome::Skipped);
    }
    let mut bytes = match (&entry.change, present, context) {
        (PageChange::Image(_), ..) => vec![0; size],
        (PageChange::Bytes { before, .. }, Ok(bytes), _) => {
            let (page, expected, found) = (entry.page, *before, layout::checksum(bytes));
            if expected != found {
                return Err(ApplyError::OtherBase { lsn, page, expected, found });
            }
            bytes.clone()
        }
        (PageChange::Bytes { .. }, Err(damage), Context::Recovering { .. }) => {
            return Ok(Outcome::Torn(damage));
        }
        (PageChange::Bytes { .. }, Err(damage), Context::Following) => {
            return Err(TableError::from(DamagedPage { page: entry.page, damage }).into());
        }
    };
    entry.change.write(&mut bytes);
    layout::seal(&mut bytes, lsn);
    check(&bytes, entry.page).map_err(|damage| ApplyError::Nonsense { lsn, page: entry.page, damage })?;
    Ok(Outcome::Changed(bytes))
}

/// A table grows by the pages that the mini-transaction holds and by no others, or a number in an entry
/// could make the file as long as it likes.
fn check_extent<F: StorageFile>(
    store: &mut Store<F>,
    lsn: Lsn,
    entries: &[PhysicalEntry],
    changed: &[(&PhysicalEntry, Vec<u8>)],
) -> Result<(), ApplyError> {
    let before = match store.frame(PageId::DIRECTORY) {
        Ok(frame) => Directory::read(&frame.bytes).pages,
        // Torn, and its image is here or still to come. The end of recovery looks again.
        Err(TableError::Damaged(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let stated = changed.iter().find(|(entry, _)| entry.page == PageId::DIRECTORY);
    let after = stated.map_or(before, |(_, bytes)| Directory::read(bytes).pages);
    let new = entries.iter().filter(|entry| entry.page.get() >= before).count();
    let beyond = entries.iter().find(|entry| entry.page.get() >= after);
    if beyond.is_none() && after.checked_sub(before).is_some_and(|grown| new == grown as usize) {
        return Ok(());
    }
    let page = beyond.map_or(PageId::DIRECTORY, |entry| entry.page);
    Err(ApplyError::Nonsense { lsn, page, damage: PageDamage::Content })
}
