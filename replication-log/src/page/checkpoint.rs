//! Writing pages to the file, never ahead of the log.

use alloc::vec::Vec;

use super::{CheckpointError, PageId, PageTable, layout, meta::Mark, store::Store};
use crate::{
    Lsn,
    storage::{Storage, StorageFile},
};

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// Recovery needs the log behind this record only; everything up to it may be truncated.
    pub lsn: Lsn,
    /// How many pages were written.
    pub written: usize,
    /// How many changed pages stayed in memory, because the log does not hold them whole since the
    /// last checkpoint. Only a follower has such pages: those its leader has not touched since its
    /// own last checkpoint.
    pub held_back: usize,
}

impl<S: Storage> PageTable<S> {
    /// Writes what changed since the last checkpoint and records, durably, up to where the file needs
    /// no log. `durable` is the log's last durable record.
    ///
    /// A page whose last record is not durable is refused before anything is written: after a power
    /// cut it would hold a change that never happened. Two syncs; O(changed pages).
    ///
    /// From here on the first change of each page is logged as the whole page. Pages are overwritten
    /// in place and may be torn by a power cut, and that image mends them.
    pub fn checkpoint(&mut self, durable: Lsn) -> Result<CheckpointReport, CheckpointError> {
        let store = self.store_mut();
        if let Some(error) = &store.poison {
            return Err(CheckpointError::Poisoned(error.clone()));
        }
        let (ready, held_back) = changed_pages(store, durable)?;
        for &id in &ready {
            let offset = store.offset(id);
            let bytes = store.frames.get(&id).map(|frame| &frame.bytes[..]).unwrap_or_default();
            store.file.write_at(offset, bytes).map_err(CheckpointError::Storage)?;
        }
        let behind = held_back.iter().copied().min();
        let lsn = behind.map_or(store.applied, |since| since.min(store.applied));
        let report = CheckpointReport { lsn, written: ready.len(), held_back: held_back.len() };
        if !ready.is_empty() {
            sync(store)?;
            for id in ready {
                if let Some(frame) = store.frames.get_mut(&id) {
                    frame.dirty_since = None;
                }
            }
        }
        if lsn > store.checkpoint() {
            let mark = Mark { checkpoint: lsn, place: store.mark.place.other(), ..store.mark };
            mark.write(&store.file).map_err(CheckpointError::Storage)?;
            sync(store)?;
            store.mark = mark;
        }
        Ok(report)
    }
}

/// The pages to be written, and since when each of the others is behind.
fn changed_pages<F>(store: &Store<F>, durable: Lsn) -> Result<(Vec<PageId>, Vec<Lsn>), CheckpointError> {
    let (mut ready, mut held_back) = (Vec::new(), Vec::new());
    for (&page, frame) in &store.frames {
        let Some(since) = frame.dirty_since else {
            continue;
        };
        let lsn = layout::lsn(&frame.bytes);
        if lsn > durable {
            return Err(CheckpointError::NotDurable { page, lsn, durable });
        }
        if frame.image > store.mark.checkpoint {
            ready.push(page);
        } else {
            held_back.push(since);
        }
    }
    Ok((ready, held_back))
}

/// A failed sync ends the table: the pages may be gone, and the next sync would not say so.
fn sync<F: StorageFile>(store: &mut Store<F>) -> Result<(), CheckpointError> {
    store.file.sync_data().map_err(|error| {
        store.poison = Some(error.clone());
        CheckpointError::Poisoned(error)
    })
}
