//! Replicas by number, each with its live dots.

use smallvec::SmallVec;

use super::pages::{LiveDots, narrow};
use crate::ReplicaId;

/// What one replica contributed that is still alive.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: ReplicaId,
    pub(super) pages: LiveDots,
    /// The wrapping sum of the fingerprints of its live dots with their elements.
    pub(super) fingerprint: u128,
}

/// Rows keep their number for good; a second list has the numbers in the order of the ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: SmallVec<[Row; 1]>,
    by_id: SmallVec<[u32; 4]>,
}

impl Rows {
    pub(super) fn get(&self, row: u32) -> &Row {
        &self.rows[row as usize]
    }

    pub(super) fn get_mut(&mut self, row: u32) -> &mut Row {
        &mut self.rows[row as usize]
    }

    pub(super) fn find(&self, id: ReplicaId) -> Option<&Row> {
        Some(self.numbered_at(id)?.1)
    }

    /// The row of a replica and its number, if it has a live dot.
    pub(super) fn numbered_at(&self, id: ReplicaId) -> Option<(u32, &Row)> {
        let number = self.by_id[self.search(id).ok()?];
        let row = self.get(number);
        (row.pages.len() > 0).then_some((number, row))
    }

    /// The number of a replica, a new one if it has none.
    pub(super) fn number_of(&mut self, id: ReplicaId) -> u32 {
        match self.search(id) {
            Ok(index) => self.by_id[index],
            Err(index) => {
                let number = narrow(self.rows.len());
                self.rows.push(Row { id, pages: LiveDots::default(), fingerprint: 0 });
                self.by_id.insert(index, number);
                number
            }
        }
    }

    /// Gives numbers to those of these replicas, each named once, that have none: each by itself would move the numbers
    /// of those behind it.
    pub(super) fn number_all(&mut self, ids: impl Iterator<Item = ReplicaId>) {
        let known = self.by_id.len();
        for id in ids {
            if self.by_id[..known].binary_search_by_key(&id, |&number| self.get(number).id).is_err() {
                self.by_id.push(narrow(self.rows.len()));
                self.rows.push(Row { id, pages: LiveDots::default(), fingerprint: 0 });
            }
        }
        if self.by_id.len() > known {
            // Two sorted runs, which a merge sort joins in linear time.
            let Self { rows, by_id } = self;
            by_id.sort_by_key(|&number| rows[number as usize].id);
        }
    }

    /// Rows with a live dot, ascending by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> + Clone {
        self.numbered().map(|(_, row)| row)
    }

    /// Rows with a live dot and their numbers, ascending by id.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &Row)> + Clone {
        let rows = self.by_id.iter().map(|&number| (number, self.get(number)));
        rows.filter(|(_, row)| row.pages.len() > 0)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut()
    }

    /// How many there are, with or without live dots.
    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let rows = if self.rows.spilled() { self.rows.capacity() * size_of::<Row>() } else { 0 };
        let by_id = if self.by_id.spilled() { self.by_id.capacity() * size_of::<u32>() } else { 0 };
        rows + by_id + self.rows.iter().map(|row| row.pages.heap_bytes()).sum::<usize>()
    }

    fn search(&self, id: ReplicaId) -> Result<usize, usize> {
        self.by_id.binary_search_by_key(&id, |&number| self.get(number).id)
    }
}
