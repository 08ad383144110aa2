//! Creating a table's file, and making a table of a file and the log behind its checkpoint.

use alloc::{collections::BTreeMap, format, vec};

use super::{
    DamagedPage, OpenTableError, PageDamage, PageFormat, PageId, PageTable, TableError, TableOptions,
    directory,
    directory::Directory,
    layout::{self, PageKind},
    meta::{self, Mark, Place},
    store::Store,
};
use crate::{
    Lsn,
    entry::physical::{Applied, ApplyError, Context, PhysicalApplier},
    storage::{Storage, StorageErrorKind, StorageFile},
};

/// A file that was opened and still lacks what the log holds behind its checkpoint.
///
/// Hand it the physical entries of the log, from the record after [`checkpoint`](Self::checkpoint)
/// on, and [`finish`](Self::finish) gives the table. Pages torn by a power cut are mended by the
/// images that the log holds of them.
///
/// ```
/// use replication_log::page::{PageTable, TableOptions};
/// use replication_log::{Batch, Epoch, Log, LogOptions, RecordKind, storage::MemoryStorage};
///
/// const PAGE: RecordKind = RecordKind(1);
///
/// let (storage, options) = (MemoryStorage::new(), TableOptions::new("users.pages"));
/// let (mut log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed))?;
/// let mut table = PageTable::create(&storage, &options)?;
/// let change = table.insert(b"ada", b"100")?;
/// let mut batch = Batch::new(Epoch::ZERO);
/// for entry in change.entries() {
///     batch.push(PAGE, &entry.encode())?;
/// }
/// change.install(*log.append(&batch)?.end())?;
/// log.sync()?;
/// drop(table);
///
/// let recovery = PageTable::open(&storage, &options)?;
/// let records = log.read_from(recovery.replay_from())?.into_iter().collect::<Result<Vec<_>, _>>()?;
/// let records = records.into_iter().filter(|record| record.kind == PAGE);
/// let mut table = recovery.replay_all(records.map(|record| (record.lsn, record.payload)))?;
/// assert_eq!(table.get(b"ada")?.as_deref(), Some(&b"100"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TableRecovery<S: Storage> {
    store: Store<S::File>,
    applier: PhysicalApplier,
    context: Context,
}

impl<S: Storage> TableRecovery<S> {
    /// The record up to which the file needs no log.
    pub fn checkpoint(&self) -> Lsn {
        self.store.checkpoint()
    }

    /// The record from which the log is to be read. The records before it may be handed over too;
    /// they are skipped.
    pub fn replay_from(&self) -> Lsn {
        self.store.checkpoint().next().unwrap_or(self.store.checkpoint())
    }

    /// The format of the file.
    pub fn format(&self) -> PageFormat {
        self.store.mark.format
    }

    /// Applies the next physical entry of the log. Nothing is written to the file.
    pub fn replay(&mut self, lsn: Lsn, payload: &[u8]) -> Result<Applied, ApplyError> {
        self.applier.take(&mut self.store, lsn, payload, &mut self.context)
    }

    /// Applies all of these entries and returns the table.
    pub fn replay_all<P: AsRef<[u8]>>(
        mut self,
        records: impl IntoIterator<Item = (Lsn, P)>,
    ) -> Result<PageTable<S>, ApplyError> {
        for (lsn, payload) in records {
            self.replay(lsn, payload.as_ref())?;
        }
        self.finish()
    }

    /// The table, if nothing is missing: no mini-transaction is half there, no torn page was left
    /// without its image, and no page that was met is newer than the log. The file is as it was; what
    /// was replayed is written by the next checkpoint.
    pub fn finish(mut self) -> Result<PageTable<S>, ApplyError> {
        let remaining = self.applier.remaining();
        if remaining > 0 {
            return Err(ApplyError::Incomplete { remaining });
        }
        if let Context::Recovering { torn } = &self.context
            && let Some((&page, &damage)) = torn.first_key_value()
        {
            return Err(TableError::from(DamagedPage { page, damage }).into());
        }
        let applied = self.store.applied;
        let ahead = self.store.frames.iter().find(|(_, frame)| layout::lsn(&frame.bytes) > applied);
        if let Some((&page, frame)) = ahead {
            return Err(TableError::AheadOfLog { page, lsn: layout::lsn(&frame.bytes), applied }.into());
        }
        let pages = directory(&mut self.store)?.pages;
        if let Ok(known) = u32::try_from(known_pages(&self.store)?)
            && known < pages
        {
            let damage = PageDamage::Missing;
            return Err(TableError::from(DamagedPage { page: PageId::new(known), damage }).into());
        }
        Ok(PageTable { store: self.store })
    }
}

/// Where the last page ends that is in the file or was replayed. New pages would be written behind the
/// end that the directory states, so that must not be a number without pages.
fn known_pages<F: StorageFile>(store: &Store<F>) -> Result<u64, TableError> {
    let in_file = store.file.len()? / store.mark.format.page_bytes() as u64;
    let replayed = store.frames.last_key_value().map_or(0, |(page, _)| u64::from(page.get()) + 1);
    Ok(in_file.max(replayed))
}

pub(super) fn create<S: Storage>(
    storage: &S,
    options: &TableOptions,
) -> Result<Store<S::File>, OpenTableError> {
    let format = PageFormat::new(options.page_bytes)?;
    let unborn = format!("{}.new", options.name);
    match storage.remove(&unborn) {
        Err(error) if error.kind != StorageErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Renaming would replace a table that is there.
    if storage.list()?.contains(&options.name) {
        storage.create(&options.name)?;
    }
    let file = storage.create(&unborn)?;
    let mark = Mark { format, checkpoint: Lsn::ZERO, place: Place::Start };
    let store = Store::new(file, mark);
    let mut directory = vec![0; format.page_bytes()];
    layout::format(&mut directory, PageId::DIRECTORY, PageKind::Directory, 0);
    Directory::EMPTY.write(&mut directory);
    layout::seal(&mut directory, Lsn::ZERO);
    store.file.write_at(store.offset(PageId::DIRECTORY), &directory)?;
    mark.write(&store.file)?;
    store.file.sync_data()?;
    storage.rename(&unborn, &options.name)?;
    storage.sync_directory()?;
    Ok(store)
}

pub(super) fn open<S: Storage>(
    storage: &S,
    options: &TableOptions,
) -> Result<TableRecovery<S>, OpenTableError> {
    let file = storage.open(&options.name)?;
    let mark = meta::read(&file)?;
    // What was read may be in a cache only, after a failed sync or a process that died in between,
    // and the log may be truncated on the strength of it.
    mark.write(&file)?;
    file.sync_data()?;
    storage.sync_directory()?;
    Ok(TableRecovery {
        store: Store::new(file, mark),
        applier: PhysicalApplier::new(),
        context: Context::Recovering { torn: BTreeMap::new() },
    })
}
