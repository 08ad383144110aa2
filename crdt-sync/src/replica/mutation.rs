//! Writes that are told to others one by one, as states with exact dots, in any order.
//!
//! Where nobody keeps the histories of others, a write travels as a *mutation*: the change as a cell, with the dots it
//! carries and those it covers, its own among them. A receiver joins it whatever it lacks of what came before: a dot
//! that is covered before it comes costs only the element it stands for its life, which is what the one who covered it
//! wanted. So mutations commute, and one that is joined twice is joined once.

use conflict_store::{Document, Version, VersionId};
use crdt_core::{Change, Crdt, codec};
use replication_log::Lsn;

use super::replay::STORED;
use super::sizes::DOTS_OF_RECORD;
use super::told::Told;
use super::{ItemKey, JournalRecord, Replica, RunError, Write, WriteError, Written};
use crate::bytes::Bytes;
use crate::cell::{self, Cell};
use crate::collection::Kind;
use crate::entry::Entry;
use crate::time::WallTime;
use crate::wire::{KeyState, MergedState, Removal};
use crdt_core::{CausalContext, Dot};

/// So many generations of a document's past are told with a write, at some 35 bytes for each. A replica that missed
/// more of them in a row cannot tell that an older one is of the same past. As long as it holds such a one it
/// [does not vouch](Replica::misses_the_past_of) for the write; comparisons tell it the rest.
const PAST: usize = 16;

/// A write, and what the other replicas are told of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mutation {
    /// What became of the write.
    pub(crate) written: Written,
    /// What to tell. Where the write changed nothing, that is what is held under the key: it made the write
    /// unnecessary here, and must be where the write would have to be.
    pub(crate) told: MergedState,
    /// What to tell beside it, where an element was removed from a set.
    pub(crate) removal: Option<Removal>,
    /// Whether the write changed anything.
    pub(crate) change: Change,
}

/// What is held under a key, for a reader.
#[derive(Debug)]
pub(crate) struct Reading<'r> {
    /// `None` when nothing is held.
    pub(crate) cell: Option<&'r Cell>,
    /// Equal exactly where the cells are; that of a vacant cell where nothing is held.
    pub(crate) digest: u128,
    /// The record that what is read rests on.
    pub(crate) lsn: Lsn,
}

impl Replica {
    /// Carries out one write and says what to tell the other replicas of it. O(write), O(state) where it changed
    /// nothing, and O(ranges of the partition's context) where it removes from a set.
    pub(crate) fn write_mutation(&mut self, write: &Write, wall: WallTime) -> Result<Mutation, WriteError> {
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        let number = self.partition_of(write.collection, &write.key);
        let before = self.partition(number).histories.head(self.id).sequence;
        let mut written = self.write(core::slice::from_ref(write), wall)?;
        if let Some(mut told) = self.told_by(number, before) {
            if let Some(state) = self.with_its_past(number, &item, &written.versions) {
                told.state = state;
            }
            let removal = self.complete_removal(write, &mut told);
            return Ok(Mutation { written, told, removal, change: Change::Changed });
        }
        written.lsn = self.rests_on(number, &item);
        let state = self.partition(number).state_of(&item);
        let (collection, key, removed) = (item.collection, item.key, alloc::vec::Vec::new());
        let mut told = MergedState { partition: number, collection, key, state, removed };
        let removal = self.complete_removal(write, &mut told);
        Ok(Mutation { written, told, removal, change: Change::Unchanged })
    }

    /// Versions of a document with the places of those they were written on: a receiver that missed one of these, and
    /// gets an older one later, must not take that for a version of its own. `None` for other kinds, which have none.
    fn with_its_past(&self, number: u16, item: &ItemKey, versions: &[VersionId]) -> Option<Bytes> {
        if versions.is_empty() {
            return None;
        }
        let held = self.partition(number).cells.get(item);
        let Some(Cell::Document(held)) = held.map(|held| &held.cell) else { return None };
        let mut told = Document::default();
        for branch in versions.iter().filter_map(|version| held.branch(version, &[])) {
            let _ = told.merge(&branch);
        }
        let _ = told.stem(PAST);
        Some(Cell::Document(told).encode(&item.key))
    }

    /// Whether what was told of a document reaches back as far as a write tells, and not to anything that is known
    /// here, while there is a version beside it that it may have been written on. Where there is none, comparisons
    /// would bring nothing: documents are equal if their last versions are. O(told).
    pub(crate) fn misses_the_past_of(&self, told: &MergedState) -> bool {
        let limits = self.config.limits.state_codec();
        if self.kind_of(told.collection) != Ok(Kind::Document) {
            return false;
        }
        let Ok(Cell::Document(theirs)) = Cell::decode(Kind::Document, &told.key, &told.state, &limits) else {
            return false;
        };
        // What is shorter is all that is known where it comes from, and what is longer was not told with a write.
        if theirs.len() != PAST + 1 {
            return false;
        }
        let item = ItemKey { collection: told.collection, key: told.key.clone() };
        let held = self.partition(told.partition).cells.get(&item);
        let Some(Cell::Document(ours)) = held.map(|held| &held.cell) else { return false };
        if ours.leaves().iter().all(|leaf| theirs.get(leaf.id()).is_some()) {
            return false;
        }
        let mut parents = theirs.versions().flat_map(Version::parents);
        parents.any(|parent| ours.get(parent).is_none())
    }

    /// What the entry behind this sequence of the own history says, if there is one.
    fn told_by(&self, number: u16, before: u64) -> Option<MergedState> {
        let history = self.partition(number).histories.get(self.id)?;
        let retained = history.after(before)?.next()?;
        let entry: Entry = codec::decode_payload(&retained.bytes, &STORED).ok()?;
        let kind = self.kind_of(entry.collection).ok()?;
        let dot = Dot::new(self.id, before + 1)?;
        let (cell, seen) = cell::effect_of(&entry, kind, dot, &STORED).ok()?;
        let item = ItemKey { collection: entry.collection, key: entry.key };
        Some(Told { item, kind, cell, seen, removes: None }.merged_state(number))
    }

    /// Joins what another replica told, in whatever order it comes. Returns whether anything changed, and the record
    /// that the effect rests on, whichever input caused it.
    ///
    /// Refused are, as in a state of a peer, what is malformed, of another kind, too large or in a foreign place, and
    /// sequences that no origin can have reached; [`RunError::Outrun`] says that dots or totals of this node's own
    /// identity are known elsewhere that it never gave out: the caller
    /// [renews the identity](Self::renew_identity) and tries again.
    pub(crate) fn merge_mutation(
        &mut self,
        told: &MergedState,
        wall: WallTime,
    ) -> Result<(Change, Lsn), RunError> {
        self.merge_removal(told, None, wall)
    }

    /// The same, where it may be known that all dots that are covered are of one element.
    pub(crate) fn merge_removal(
        &mut self,
        told: &MergedState,
        removes: Option<&Bytes>,
        wall: WallTime,
    ) -> Result<(Change, Lsn), RunError> {
        let number = told.partition;
        let admitted = Told { removes: removes.cloned(), ..self.admit(told)? };
        self.check_room(number, &admitted.seen)?;
        if told.removed.len() > DOTS_OF_RECORD {
            return self.merge_in_records(number, &admitted, wall);
        }
        if let Some(stamp) = admitted.cell.latest_stamp() {
            self.observe(stamp, wall);
        }
        let lsn = self.journal.upcoming();
        let change = self.partition_mut(number).join_told(&admitted, lsn);
        if change.is_changed() {
            self.journal.append(&JournalRecord::StateMerge(told.clone()));
            return Ok((change, lsn));
        }
        Ok((change, self.rests_on(number, &admitted.item)))
    }

    /// What is held under a key now.
    pub(crate) fn read_state(&self, item: &ItemKey) -> Result<Reading<'_>, RunError> {
        let (number, kind) = self.place_of(item)?;
        let lsn = self.rests_on(number, item);
        Ok(match self.partition(number).cells.get(item) {
            Some(held) => Reading { cell: Some(&held.cell), digest: held.digest, lsn },
            None => Reading { cell: None, digest: Cell::vacant(kind).digest(), lsn },
        })
    }

    /// What is held under a key, and what was seen of it: enough to tell what another replica lacks of it and what this
    /// one does. O(state and ranges of the partition's context).
    pub(crate) fn whole_state(&self, item: &ItemKey) -> Result<KeyState, RunError> {
        let (number, kind) = self.place_of(item)?;
        let partition = self.partition(number);
        // Only sets live by dots.
        let context = if kind == Kind::Set { partition.context.clone() } else { CausalContext::new() };
        Ok(KeyState { state: partition.state_of(item), context, died: None })
    }

    /// The record that whatever this replica says of a key rests on.
    pub(crate) fn rests_on(&self, number: u16, item: &ItemKey) -> Lsn {
        // What took away the last of a key is not known any more.
        self.partition(number).rests_on(item).unwrap_or_else(|| self.journal.last())
    }

    fn place_of(&self, item: &ItemKey) -> Result<(u16, Kind), RunError> {
        let kind = self.kind_of(item.collection)?;
        Ok((self.partition_of(item.collection, &item.key), kind))
    }
}
