//! Rows in order of their keys.

use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, ops::Bound};

use super::{
    TableError, directory,
    format::PageId,
    heap::{self, Address},
    index::scan::{Stretch, stretch},
    store::Store,
};
use crate::storage::Storage;

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// The rows of a range, in order of their keys; ends after the first error. Made by
/// [`PageTable::range`](super::PageTable::range).
pub struct Rows<'t, S: Storage> {
    store: &'t mut Store<S::File>,
    root: Option<PageId>,
    /// Where the next leaf begins; `None` when there is none.
    from: Option<Bound<Vec<u8>>>,
    end: Bound<Vec<u8>>,
    /// What is left of the present leaf.
    found: VecDeque<(Vec<u8>, Address)>,
}

impl<'t, S: Storage> Rows<'t, S> {
    pub(super) fn new(
        store: &'t mut Store<S::File>,
        start: Bound<Vec<u8>>,
        end: Bound<Vec<u8>>,
    ) -> Result<Self, TableError> {
        let root = directory(store)?.root;
        Ok(Self { store, root, from: Some(start), end, found: VecDeque::new() })
    }

    fn next_row(&mut self) -> Result<Option<Row>, TableError> {
        while self.found.is_empty() {
            let (Some(from), Some(root)) = (self.from.take(), self.root) else {
                return Ok(None);
            };
            let Stretch { rows, next } = stretch(self.store, root, &from)?;
            self.found = rows;
            self.from = next.filter(|next| is_before_end(next, &self.end)).map(Bound::Included);
        }
        let Some((key, row)) = self.found.pop_front().filter(|(key, _)| is_before_end(key, &self.end)) else {
            self.stop();
            return Ok(None);
        };
        let value = heap::read(self.store, row)?;
        Ok(Some((key, value)))
    }

    fn stop(&mut self) {
        self.found.clear();
        self.from = None;
    }
}

fn is_before_end(key: &[u8], end: &Bound<Vec<u8>>) -> bool {
    match end {
        Bound::Included(end) => key <= &end[..],
        Bound::Excluded(end) => key < &end[..],
        Bound::Unbounded => true,
    }
}

impl<S: Storage> Iterator for Rows<'_, S> {
    type Item = Result<(Vec<u8>, Vec<u8>), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = self.next_row();
        if outcome.is_err() {
            self.stop();
        }
        outcome.transpose()
    }
}

impl<S: Storage> fmt::Debug for Rows<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rows").field("end", &self.end).finish_non_exhaustive()
    }
}
