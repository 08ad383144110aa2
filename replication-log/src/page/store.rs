//! The pages of one file in memory, and what is known about each.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    vec,
    vec::Vec,
};

use super::{
    check::check,
    error::{DamagedPage, PageDamage, TableError},
    format::{PageFormat, PageId},
    layout::{self, PageKind},
    meta::Mark,
};
use crate::{
    Lsn,
    storage::{StorageError, StorageFile},
};

/// Where pages come from: a table, or a mini-transaction on top of one.
pub(crate) trait Source {
    /// The format of the pages.
    fn format(&self) -> PageFormat;

    /// A page that has passed the checks, of any kind.
    fn page(&mut self, id: PageId) -> Result<&[u8], TableError>;

    /// A page of one kind.
    fn page_of(&mut self, id: PageId, kind: PageKind) -> Result<&[u8], TableError> {
        let page = self.page(id)?;
        if layout::kind(page) == Some(kind) { Ok(page) } else { Err(damaged(id, PageDamage::Kind)) }
    }
}

pub(crate) fn damaged(page: PageId, damage: PageDamage) -> TableError {
    DamagedPage { page, damage }.into()
}

/// One file, and its pages that were touched. They stay in memory until [`Store::evict`].
#[derive(Debug)]
pub(crate) struct Store<F> {
    pub(crate) file: F,
    pub(crate) mark: Mark,
    pub(crate) frames: BTreeMap<PageId, Frame>,
    /// The last record whose change is in the pages.
    pub(crate) applied: Lsn,
    /// The failed sync after which nothing is done any more.
    pub(crate) poison: Option<StorageError>,
}

/// A page in memory.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    /// The record after which the file began to be behind; `None` when it is not.
    pub(crate) dirty_since: Option<Lsn>,
    /// The last record that holds the whole page; `Lsn::ZERO` when none is known since the checkpoint.
    pub(crate) image: Lsn,
}

impl<F: StorageFile> Store<F> {
    pub(crate) fn new(file: F, mark: Mark) -> Self {
        Self { file, mark, frames: BTreeMap::new(), applied: mark.checkpoint, poison: None }
    }

    pub(crate) fn checkpoint(&self) -> Lsn {
        self.mark.checkpoint
    }

    pub(crate) fn check_poison(&self) -> Result<(), TableError> {
        self.poison.clone().map_or(Ok(()), |error| Err(TableError::Poisoned(error)))
    }

    /// A page as it is in memory or, checked, in the file, even if it is newer than the log.
    pub(crate) fn frame(&mut self, id: PageId) -> Result<&mut Frame, TableError> {
        match self.frames.entry(id) {
            Entry::Occupied(frame) => Ok(frame.into_mut()),
            Entry::Vacant(place) => {
                let bytes = read(&self.file, self.mark.format, id)?;
                Ok(place.insert(Frame { bytes, dirty_since: None, image: Lsn::ZERO }))
            }
        }
    }

    pub(crate) fn offset(&self, id: PageId) -> u64 {
        offset_of(self.mark.format, id)
    }

    /// Takes a changed and sealed page over. `before` is the last record that was applied before the
    /// group of records this change belongs to.
    pub(crate) fn put(&mut self, id: PageId, bytes: Vec<u8>, is_image: bool, before: Lsn) {
        let lsn = layout::lsn(&bytes);
        let known = self.frames.remove(&id);
        let (since, image) = known.map_or((None, Lsn::ZERO), |frame| (frame.dirty_since, frame.image));
        let image = if is_image { lsn } else { image };
        self.frames.insert(id, Frame { bytes, dirty_since: since.or(Some(before)), image });
    }

    /// Forgets pages that are in the file as they are, and of which nothing else is known.
    pub(crate) fn evict(&mut self) {
        let checkpoint = self.mark.checkpoint;
        self.frames.retain(|_, frame| frame.dirty_since.is_some() || frame.image > checkpoint);
    }
}

fn offset_of(format: PageFormat, id: PageId) -> u64 {
    u64::from(id.get()) * format.page_bytes() as u64
}

fn read<F: StorageFile>(file: &F, format: PageFormat, id: PageId) -> Result<Vec<u8>, TableError> {
    let mut bytes = vec![0; format.page_bytes()];
    let count = file.read_at(offset_of(format, id), &mut bytes)?;
    if count < bytes.len() {
        return Err(damaged(id, PageDamage::Missing));
    }
    check(&bytes, id).map_err(|damage| damaged(id, damage))?;
    Ok(bytes)
}

impl<F: StorageFile> Source for Store<F> {
    fn format(&self) -> PageFormat {
        self.mark.format
    }

    fn page(&mut self, id: PageId) -> Result<&[u8], TableError> {
        let applied = self.applied;
        let frame = self.frame(id)?;
        let lsn = layout::lsn(&frame.bytes);
        if lsn > applied {
            return Err(TableError::AheadOfLog { page: id, lsn, applied });
        }
        Ok(&frame.bytes)
    }
}
