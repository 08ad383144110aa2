//! What cells were when a checkpoint began, for as long as it has not given them out.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use replication_log::Lsn;

use super::frame::{CellsFrame, FULL};
use crate::bytes::Bytes;
use crate::replica::{ByKey, Held, ItemKey};

/// What a key that is not held costs of the effort of a walk.
const PASSED_OVER: usize = 64;

/// The walk of a checkpoint over the cells of a partition.
///
/// Keys are given out in order, and the last one is remembered: what changes at or before it is out already, what
/// changes behind it is encoded as it is before it changes, once. So the walk shows the cells as they were when it
/// began: a key that is unchanged since is read from the cells, one that changed from its image, and the image of a
/// key that is new says that there was none.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// The last key given out or passed over.
    passed: Option<ItemKey>,
    kept: BTreeMap<ItemKey, Option<(Bytes, Lsn)>>,
    /// States that will be one frame, not yet enough for one.
    open: Option<CellsFrame>,
    open_bytes: usize,
}

/// Where a walk stands.
#[derive(Debug, PartialEq)]
pub(crate) enum Walked {
    /// A frame is full, or the last one.
    Frame(CellsFrame),
    /// The effort is spent.
    Paused,
    /// All is given out.
    Done,
}

impl Images {
    /// The key is about to change, and held this until now.
    pub(crate) fn keep(&mut self, key: &ItemKey, held: Option<&Held>) {
        if self.passed.as_ref().is_some_and(|passed| key <= passed) || self.kept.contains_key(key) {
            return;
        }
        let image = held.map(|held| (held.cell.encode(&key.key), held.lsn));
        self.kept.insert(key.clone(), image);
    }

    /// How many keys are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Walks on over the cells until a frame is full or as many bytes as `effort` says were looked at.
    pub(crate) fn walk(&mut self, cells: &ByKey, effort: &mut usize) -> Walked {
        let from = self.passed.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut now = cells.iter_from(from).peekable();
        let mut kept = self.kept.range((from, Bound::Unbounded)).peekable();
        let mut passed = None;
        let walked = loop {
            let (here, image) = (now.peek(), kept.peek());
            let key = match (here, image) {
                (Some((here, _)), Some((image, _))) => *here.min(image),
                (Some((key, _)), None) | (None, Some((key, _))) => *key,
                (None, None) => break self.open.take().map_or(Walked::Done, Walked::Frame),
            };
            let is_full = self.open_bytes >= FULL;
            if let Some(frame) = self.open.take_if(|open| is_full || open.collection != key.collection) {
                break Walked::Frame(frame);
            }
            if *effort == 0 {
                break Walked::Paused;
            }
            let held = now.next_if(|(here, _)| *here == key);
            let state = match kept.next_if(|(image, _)| *image == key) {
                Some((_, image)) => image.clone(),
                None => held.map(|(_, held)| (held.cell.encode(&key.key), held.lsn)),
            };
            passed = Some(key);
            *effort = effort.saturating_sub(PASSED_OVER);
            if let Some((state, lsn)) = state {
                let bytes = key.key.len() + state.len();
                *effort = effort.saturating_sub(bytes);
                let collection = key.collection;
                let open = self.open.get_or_insert_with(|| {
                    self.open_bytes = 0;
                    CellsFrame { collection, items: alloc::vec::Vec::new() }
                });
                open.items.push((key.key.clone(), state, lsn.get()));
                self.open_bytes += bytes;
            }
        };
        if let Some(passed) = passed.cloned() {
            while let Some(first) = self.kept.first_entry().filter(|first| *first.key() <= passed) {
                first.remove();
            }
            self.passed = Some(passed);
        }
        walked
    }
}
