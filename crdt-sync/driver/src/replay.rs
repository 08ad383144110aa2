//! The writes of a retired node, made again on another one, in commands that each leave a note of how far they came.
//!
//! The note is in the same command as the writes, so a crash leaves both or neither. Keys are taken over in ascending
//! order; a command ends where a key does, because a counter's writes must not be planned again once some of them are
//! made. Only a set with more writes than a command may hold is divided, and is planned anew as a whole, without the
//! elements that this node has added itself by then.

use core::cmp::Ordering;
use std::collections::BTreeSet;

use crdt_sync::{Action, Bytes, Cell, Collection, Engine, ItemKey, Kind, Limits, Member, NodeId, Write};

use crate::members::NotRejoined;

/// What an entry takes in a batch besides its value, generously.
const ENTRY: usize = 2 << 10;
const NODE: usize = 16;
const COLLECTION: usize = 8;

/// A retired node, and where it is noted what was taken over from it.
pub(crate) struct Replay {
    old: Engine,
    notes: Collection,
    max_writes: usize,
    max_bytes: usize,
}

/// One command of several.
pub(crate) struct Step {
    /// The writes of the old node in it.
    pub(crate) writes: usize,
    /// Whether nothing is left after it.
    pub(crate) is_last: bool,
    /// What no write stands for, in all commands together.
    pub(crate) reported: Vec<(ItemKey, Cell)>,
}

/// That a node came so far.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    by: NodeId,
    reached: Reached,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    /// This key of a collection, with all before it.
    Key([u8; COLLECTION], Vec<u8>),
    Everything,
}

impl Replay {
    pub(crate) fn new(old: Engine, notes: Collection, limits: &Limits) -> Self {
        Self { old, notes, max_writes: limits.max_writes, max_bytes: limits.max_batch }
    }

    /// The next command for the node that is to take over; no writes when there is nothing left.
    pub(crate) fn plan(&self, fresh: &Engine) -> Result<(Step, Vec<Write>), NotRejoined> {
        let plan = fresh.rejoin(&self.old)?;
        let (by, place) = (fresh.status().node, self.place());
        let held = fresh.peek(&place).map(bodies).unwrap_or_default();
        let notes = || held.iter().filter_map(|body| Note::parse(body));
        if let Some(note) = notes().find(|note| note.by != by) {
            return Err(NotRejoined::ByAnother { by: note.by });
        }
        let reached = notes().map(|note| note.reached).max().unwrap_or(Reached::Nothing);
        let mut step = Step { writes: 0, is_last: true, reported: plan.reported };
        if reached == Reached::Everything {
            return Ok((step, Vec::new()));
        }
        let mut writes = plan.writes;
        writes.retain(|write| reached.compare(write).is_lt());
        // Beside those it takes to replace notes.
        let most = self.max_writes.saturating_sub(held.len() + 1);
        let (mut fit, mut next) = divide(&writes, most, self.max_bytes, reached.clone());
        if next == reached {
            // It is a set, and has more than fits.
            leave_out_what_is_made(&mut writes, fresh);
            (fit, next) = divide(&writes, most, self.max_bytes, reached);
        }
        writes.truncate(fit);
        step.writes = fit;
        step.is_last = next == Reached::Everything;
        writes.extend(self.note(&place, &held, &Note { by, reached: next }));
        Ok((step, writes))
    }

    fn place(&self) -> ItemKey {
        let key = format!("rejoined/{}", self.old.status().node);
        ItemKey { collection: self.notes.id(), key: key.as_str().into() }
    }

    /// The writes that put a note in the place of those that are there.
    fn note(&self, place: &ItemKey, held: &[Bytes], note: &Note) -> Vec<Write> {
        let body = note.to_bytes();
        let actions = match self.notes.kind {
            Kind::Set => held.iter().cloned().map(Action::Remove).chain([Action::Add(body)]).collect(),
            Kind::Register => vec![Action::Set(Some(body))],
            _ => vec![Action::Put(body)],
        };
        let write = |action| Write { collection: place.collection, key: place.key.clone(), action };
        actions.into_iter().map(write).collect()
    }
}

impl Reached {
    fn key(write: &Write) -> Self {
        Self::Key(*write.collection.as_bytes(), write.key.to_vec())
    }

    /// Where this is, seen from a write.
    fn compare(&self, write: &Write) -> Ordering {
        self.cmp(&Self::key(write))
    }
}

impl Note {
    fn to_bytes(&self) -> Bytes {
        let mut bytes = self.by.as_bytes().to_vec();
        if let Reached::Key(collection, key) = &self.reached {
            bytes.extend_from_slice(collection);
            bytes.extend_from_slice(key);
        } else if self.reached == Reached::Nothing {
            bytes.push(0);
        }
        bytes.into()
    }

    /// Whatever else is under the key is not a note.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (by, rest) = bytes.split_first_chunk::<NODE>()?;
        let reached = match rest.split_first_chunk::<COLLECTION>() {
            Some((collection, key)) => Reached::Key(*collection, key.to_vec()),
            None if rest.is_empty() => Reached::Everything,
            None => Reached::Nothing,
        };
        Some(Self { by: NodeId::from_bytes(*by), reached })
    }
}

/// Takes away the elements that a node has added itself, be it under an identity that it had before.
fn leave_out_what_is_made(writes: &mut Vec<Write>, node: &Engine) {
    let status = node.status();
    let before = status.members.get(status.node).into_iter().flat_map(Member::replicas);
    let own: BTreeSet<_> = before.chain([status.replica]).collect();
    writes.retain(|write| {
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        match (&write.action, node.peek(&item)) {
            (Action::Add(element), Some(Cell::Set(elements))) => {
                !elements.dots_of(element).iter().any(|dot| own.contains(&dot.replica))
            }
            _ => true,
        }
    });
}

/// How many of the writes are made now, and how far that is.
fn divide(writes: &[Write], most: usize, mut room: usize, before: Reached) -> (usize, Reached) {
    let fit = writes.iter().take(most).take_while(|write| {
        let taken = ENTRY + write.key.len() + value_of(&write.action);
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    });
    let fit = fit.count().max(1).min(writes.len());
    let Some(cut) = writes.get(fit) else { return (fit, Reached::Everything) };
    let ends_before = |write: &Write| (write.collection, &write.key) != (cut.collection, &cut.key);
    match writes.iter().take(fit).rposition(ends_before) {
        Some(last) => (last + 1, writes.get(last).map_or(before, Reached::key)),
        None => (fit, before),
    }
}

/// All that is under a key: notes that were written apart are there side by side.
fn bodies(cell: &Cell) -> Vec<Bytes> {
    match cell {
        Cell::Set(elements) => elements.to_sorted().into_iter().cloned().collect(),
        Cell::Register(register) => register.get().cloned().into_iter().collect(),
        Cell::Document(document) => document.live_leaves().filter_map(|leaf| leaf.body().cloned()).collect(),
        _ => Vec::new(),
    }
}

fn value_of(action: &Action) -> usize {
    match action {
        Action::Insert(value)
        | Action::Put(value)
        | Action::Resolve(value)
        | Action::Add(value)
        | Action::Remove(value)
        | Action::Update { body: Some(value), .. }
        | Action::Set(Some(value)) => value.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(key: &str) -> Write {
        let collection = Collection::counters("visits").id();
        Write { collection, key: key.into(), action: Action::Increment(1) }
    }

    fn at(key: &str) -> Reached {
        Reached::key(&count(key))
    }

    #[test]
    fn a_note_reads_as_it_was_written() {
        for reached in [Reached::Nothing, at(""), at("key"), Reached::Everything] {
            let note = Note { by: NodeId::from_u128(7), reached };
            assert_eq!(Note::parse(&note.to_bytes()), Some(note));
        }
        assert_eq!(Note::parse(b"milk"), None);
    }

    #[test]
    fn a_command_ends_where_a_key_does_and_divides_only_one_that_fits_into_none() {
        let writes = ["a", "b", "b", "c"].map(count);
        let divide = |most| divide(&writes, most, 1 << 20, Reached::Nothing);
        assert_eq!(divide(4), (4, Reached::Everything));
        assert_eq!(divide(3), (3, at("b")));
        assert_eq!(divide(2), (1, at("a")));
        let set = ["b", "b", "b", "c"].map(count);
        assert_eq!(super::divide(&set, 2, 1 << 20, at("a")), (2, at("a")));
        assert_eq!(super::divide(&writes, 4, 2 * ENTRY, Reached::Nothing), (1, at("a")), "bytes count, too");
    }
}
