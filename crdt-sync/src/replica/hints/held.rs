//! The hints of a node in memory: by owner and key, by whose turn it is, by age and by record.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::Change;
use replication_log::Lsn;

use super::{HeldHint, HintLimit, KeptHint, Pending};
use crate::collection::Kind;
use crate::limits::Limits;
use crate::node::NodeId;
use crate::replica::ItemKey;
use crate::replica::told::Told;
use crate::time::WallTime;

/// What a hint costs beside its key and state.
const OVERHEAD: usize = 128;
/// What a dot costs.
const DOT: usize = 26;

/// The dots of more writes to one key are not told where no state lives by them.
const MAX_COVERED: usize = 256;

/// All hints, and for which partitions of which owners some are missing.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    owners: BTreeMap<NodeId, Owner>,
    count: usize,
    bytes: usize,
    turns: u64,
    /// How many there are of each partition.
    by_partition: BTreeMap<u16, usize>,
    pub(super) missed: BTreeSet<(NodeId, u16)>,
}

/// The hints for one node.
#[derive(Debug, Default)]
struct Owner {
    hints: BTreeMap<ItemKey, Hint>,
    /// Whose turn it is to be delivered, the next one first.
    turns: BTreeMap<u64, ItemKey>,
    by_age: BTreeSet<(WallTime, ItemKey)>,
    by_first: BTreeSet<(Lsn, ItemKey)>,
    bytes: usize,
}

/// Everything that an owner missed of a key, as one delta.
#[derive(Debug)]
pub(super) struct Hint {
    pub(super) partition: u16,
    pub(super) told: Told,
    pub(super) oldest: WallTime,
    pub(super) newest: WallTime,
    /// The record of the first write in it that was not delivered, or one before it.
    first: Lsn,
    /// The record of the last write in it.
    pub(super) last: Lsn,
    turn: u64,
    /// At least its size.
    bytes: usize,
    /// What the size was when it was last looked at.
    measured: usize,
}

impl Hint {
    fn new(partition: u16, told: Told, times: (WallTime, WallTime), records: (Lsn, Lsn)) -> Self {
        let bytes = size_of(&told);
        let ((oldest, newest), (first, last)) = (times, records);
        Self { partition, told, oldest, newest, first, last, turn: 0, bytes, measured: bytes }
    }

    /// Looks at the size anew if it may be less than what was added up.
    fn measure(&mut self) {
        if self.bytes > self.measured {
            self.bytes = size_of(&self.told);
            self.measured = self.bytes;
        }
    }

    fn held(&self, owner: NodeId) -> HeldHint {
        let delta = self.told.merged_state(self.partition);
        let kept = KeptHint { owner, oldest: self.oldest, newest: self.newest, delta };
        HeldHint { kept, first: self.first.get(), last: self.last.get() }
    }
}

/// What a delta takes up: O(delta).
fn size_of(told: &Told) -> usize {
    let covered = told.covered_dots();
    OVERHEAD + told.item.key.len() + told.cell.encode(&told.item.key).len() + DOT * covered
}

impl Hints {
    /// Whether there is room for more of a key.
    pub(super) fn check_room(
        &mut self,
        owner: NodeId,
        more: &Told,
        limits: &Limits,
    ) -> Result<(), HintLimit> {
        let added = size_of(more);
        // Only where it may matter.
        if self.over(owner, &more.item, added, limits).is_some() {
            self.measure(owner, &more.item);
        }
        self.over(owner, &more.item, added, limits).map_or(Ok(()), Err)
    }

    fn over(&self, owner: NodeId, item: &ItemKey, added: usize, limits: &Limits) -> Option<HintLimit> {
        let of_owner = self.owners.get(&owner);
        let hint = of_owner.and_then(|owner| owner.hints.get(item));
        if hint.is_none() && self.count >= limits.max_hints {
            Some(HintLimit::Count)
        } else if hint.map_or(0, |hint| hint.bytes) + added > limits.max_state {
            Some(HintLimit::State)
        } else if of_owner.map_or(0, |owner| owner.bytes) + added > limits.max_hint_bytes_per_owner {
            Some(HintLimit::BytesOfOwner)
        } else {
            (self.bytes + added > limits.max_hint_bytes).then_some(HintLimit::Bytes)
        }
    }

    fn measure(&mut self, owner: NodeId, item: &ItemKey) {
        let Some(owner) = self.owners.get_mut(&owner) else { return };
        let Some(hint) = owner.hints.get_mut(item) else { return };
        let before = hint.bytes;
        hint.measure();
        owner.bytes = owner.bytes - before + hint.bytes;
        self.bytes = self.bytes - before + hint.bytes;
    }

    /// Keeps what an owner missed. Says whether that was anything new; the record is `lsn` if it was.
    pub(super) fn keep(
        &mut self,
        (owner, partition): (NodeId, u16),
        told: Told,
        (oldest, newest): (WallTime, WallTime),
        lsn: Lsn,
        max_revisions: usize,
    ) -> Change {
        let Some(hint) = self.owners.get_mut(&owner).and_then(|owner| owner.hints.get_mut(&told.item)) else {
            self.insert(owner, Hint::new(partition, told, (oldest, newest), (lsn, lsn)));
            return Change::Changed;
        };
        let change = hint.told.join(&told, max_revisions);
        hint.told.shorten(MAX_COVERED);
        if !change.is_changed() {
            return change;
        }
        let (before, aged) = (hint.bytes, hint.oldest);
        hint.bytes += size_of(&told);
        if matches!(told.kind, Kind::Counter | Kind::Register) || hint.bytes > 2 * hint.measured {
            hint.measure();
        }
        (hint.oldest, hint.newest, hint.last) = (hint.oldest.min(oldest), hint.newest.max(newest), lsn);
        let (now, oldest) = (hint.bytes, hint.oldest);
        self.bytes = self.bytes - before + now;
        if let Some(owner) = self.owners.get_mut(&owner) {
            owner.bytes = owner.bytes - before + now;
            if aged != oldest {
                owner.by_age.remove(&(aged, told.item.clone()));
                owner.by_age.insert((oldest, told.item));
            }
        }
        change
    }

    /// Holds a hint again that a checkpoint had. Says whether it is the only one of its key.
    pub(super) fn restore(&mut self, held: &HeldHint, told: Told) -> bool {
        let HeldHint { kept, first, last } = held;
        if self.get(kept.owner, &told.item).is_some() || first > last {
            return false;
        }
        let (times, records) = ((kept.oldest, kept.newest), (Lsn::new(*first), Lsn::new(*last)));
        self.insert(kept.owner, Hint::new(kept.delta.partition, told, times, records));
        true
    }

    fn insert(&mut self, owner: NodeId, mut hint: Hint) {
        self.turns += 1;
        hint.turn = self.turns;
        self.count += 1;
        self.bytes += hint.bytes;
        *self.by_partition.entry(hint.partition).or_default() += 1;
        let owner = self.owners.entry(owner).or_default();
        let item = hint.told.item.clone();
        owner.bytes += hint.bytes;
        owner.turns.insert(hint.turn, item.clone());
        owner.by_age.insert((hint.oldest, item.clone()));
        owner.by_first.insert((hint.first, item.clone()));
        owner.hints.insert(item, hint);
    }

    pub(super) fn get(&self, owner: NodeId, item: &ItemKey) -> Option<&Hint> {
        self.owners.get(&owner)?.hints.get(item)
    }

    /// What was kept of a key up to a record is no longer needed. Says whether the hint is gone, which it is not if
    /// more was kept since; `None` if there was nothing of it.
    pub(super) fn settle(&mut self, owner: NodeId, item: &ItemKey, up_to: Lsn) -> Option<bool> {
        let of_owner = self.owners.get_mut(&owner)?;
        let hint = of_owner.hints.get_mut(item)?;
        if hint.first > up_to {
            return None;
        }
        if hint.last > up_to {
            let after = Lsn::new(up_to.get() + 1);
            of_owner.by_first.remove(&(hint.first, item.clone()));
            of_owner.by_first.insert((after, item.clone()));
            hint.first = after;
            return Some(false);
        }
        let hint = of_owner.hints.remove(item)?;
        of_owner.turns.remove(&hint.turn);
        of_owner.by_age.remove(&(hint.oldest, item.clone()));
        of_owner.by_first.remove(&(hint.first, item.clone()));
        of_owner.bytes -= hint.bytes;
        if of_owner.hints.is_empty() {
            self.owners.remove(&owner);
        }
        self.count -= 1;
        self.bytes -= hint.bytes;
        self.one_less(hint.partition);
        Some(true)
    }

    /// Drops everything about an owner.
    pub(in crate::replica) fn discard(&mut self, owner: NodeId) {
        if let Some(owner) = self.owners.remove(&owner) {
            self.count -= owner.hints.len();
            self.bytes -= owner.bytes;
            owner.hints.values().for_each(|hint| self.one_less(hint.partition));
        }
        self.missed.retain(|(other, _)| *other != owner);
    }

    fn one_less(&mut self, partition: u16) {
        if let Some(count) = self.by_partition.get_mut(&partition) {
            *count -= 1;
            if *count == 0 {
                self.by_partition.remove(&partition);
            }
        }
    }

    /// Whether there are any for keys of a partition, whoever missed them.
    pub(super) fn has_of(&self, partition: u16) -> bool {
        self.by_partition.contains_key(&partition)
    }

    /// The hints for a node that holds their partitions no more, the first `limit` of them. O(hints of the node).
    pub(super) fn misplaced(&self, owner: NodeId, holds: impl Fn(u16) -> bool, limit: usize) -> Vec<&Hint> {
        let hints = self.owners.get(&owner).into_iter().flat_map(|owner| owner.hints.values());
        hints.filter(|hint| !holds(hint.partition)).take(limit).collect()
    }

    /// The hints whose turn it is, until they have so many bytes; at least one if there is any. Their next turn is
    /// after that of all others.
    pub(super) fn take_turns(&mut self, owner: NodeId, bytes: usize) -> Vec<&Hint> {
        let Some(of_owner) = self.owners.get_mut(&owner) else { return Vec::new() };
        let (mut items, mut taken) = (Vec::new(), 0);
        for (turn, item) in &of_owner.turns {
            taken += of_owner.hints.get(item).map_or(0, |hint| hint.bytes);
            if taken > bytes && !items.is_empty() {
                break;
            }
            items.push((*turn, item.clone()));
        }
        for (turn, item) in &items {
            self.turns += 1;
            of_owner.turns.remove(turn);
            of_owner.turns.insert(self.turns, item.clone());
            if let Some(hint) = of_owner.hints.get_mut(item) {
                hint.turn = self.turns;
            }
        }
        let of_owner = &*of_owner;
        items.iter().filter_map(|(_, item)| of_owner.hints.get(item)).collect()
    }

    /// The hints of which some write is as old as this or older, at most `limit` of them, of those that may go.
    /// O(hints that are so old).
    pub(super) fn older_than(
        &self,
        time: WallTime,
        limit: usize,
        may_go: impl Fn(u16, Kind) -> bool,
    ) -> Vec<(NodeId, &Hint)> {
        let mut old = Vec::new();
        for (id, owner) in &self.owners {
            for (_, item) in owner.by_age.iter().take_while(|(oldest, _)| *oldest <= time) {
                if old.len() == limit {
                    return old;
                }
                let hint = owner.hints.get(item).filter(|hint| may_go(hint.partition, hint.told.kind));
                old.extend(hint.map(|hint| (*id, hint)));
            }
        }
        old
    }

    /// How much waits for an owner.
    pub(super) fn pending(&self, owner: NodeId) -> Option<Pending> {
        let owner = self.owners.get(&owner)?;
        let (oldest, _) = owner.by_age.first()?;
        Some(Pending { count: owner.hints.len(), bytes: owner.bytes, oldest: *oldest })
    }

    /// The nodes for which there are hints, ascending.
    pub(super) fn owners(&self) -> impl Iterator<Item = NodeId> {
        self.owners.keys().copied()
    }

    /// How many hints there are, and how many bytes they take up at most.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// Whether no hint for an owner has anything in it that was kept at or before a record.
    pub(super) fn is_past(&self, owner: NodeId, lsn: Lsn) -> bool {
        let first = self.owners.get(&owner).and_then(|owner| owner.by_first.first());
        first.is_none_or(|(first, _)| *first > lsn)
    }

    /// All hints in the words of a checkpoint: those that wait longest first, owner by owner.
    pub(super) fn all(&self) -> impl Iterator<Item = HeldHint> {
        self.owners.iter().flat_map(|(id, owner)| {
            let items = owner.by_first.iter().map(|(_, item)| item);
            items.filter_map(|item| owner.hints.get(item)).map(|hint| hint.held(*id))
        })
    }
}
