//! Dividing a history at a cut: a pure function of a partition, a position and the entries of the branch.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::dotted::{DotStore, ElementStore};
use crdt_core::{CausalContext, Dot, GCounter, PnCounter, ReplicaId, codec};
use replication_log::Lsn;
use serde::{Deserialize, Serialize};

use super::fork::{Undivided, branch_id};
use super::{ItemKey, Partition, RunError};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::Kind;
use crate::entry::{Delta, Entry, Position};
use crate::history::Retained;
use crate::wire::{Branch, Ceiling, KnownForks, Run};

/// A history of this node is divided: what lies above the cut becomes a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Split {
    /// Under which identity this node holds the history.
    pub(crate) segment: ReplicaId,
    /// Where it is cut.
    pub(crate) after: Position,
    /// Its entries from the cut to this node's head at least; of a branch that is divided again, all its entries.
    pub(crate) run: Run,
    /// Sequences of elements that somebody removed who had seen the element of another branch.
    pub(crate) revived: Vec<u64>,
}

/// An entry of a branch.
pub(super) struct BranchEntry {
    pub(super) at: Position,
    pub(super) bytes: Bytes,
    pub(super) entry: Entry,
}

/// Which dots and totals change their owner.
struct Renaming {
    from: ReplicaId,
    to: ReplicaId,
    above: u64,
    head: u64,
}

impl Partition {
    /// Divides a history. All of it happens, or on an error nothing.
    pub(crate) fn split(&mut self, split: &Split, lsn: Lsn) -> Result<ReplicaId, RunError> {
        let (root, head) = (self.forks.root_of(split.segment), self.histories.head(split.segment));
        let entries = read_branch(self.number, root, &split.run)?;
        let forked = RunError::Forked { origin: split.segment, sequence: split.after.sequence };
        let passes = |at: Position| split.run.after == at || entries.iter().any(|entry| entry.at == at);
        if head.sequence <= split.after.sequence || !passes(split.after) || !passes(head) {
            return Err(forked);
        }
        let starts_right = match self.forks.start_of(split.segment) {
            None => split.run.after == split.after,
            Some(start) => {
                let first = entries.first().map(|first| branch_id(root, self.number, first.at));
                split.run.after.sequence == start && first == Some(split.segment)
            }
        };
        let above = split.after.sequence;
        let mut fresh = entries.iter().filter(|entry| entry.at.sequence > above);
        let (Some(first), true) = (fresh.next(), starts_right) else { return Err(forked) };
        let born = Branch { root, start: above, chain: first.at.chain };
        let branch = branch_id(root, self.number, first.at);
        let renaming = Renaming { from: split.segment, to: branch, above, head: head.sequence };
        self.rename_elements(&renaming, &entries, &split.revived, lsn);
        let is_root = self.forks.start_of(split.segment).is_none();
        let ceilings = self.divide_counters(&renaming, is_root, &entries, lsn);
        self.context = renaming.context(&self.context);
        self.scoped = self.scoped.without_above(split.segment, above);
        self.ahead.split(split.segment, branch, head.sequence);
        for entry in entries.iter().filter(|entry| (above + 1..=head.sequence).contains(&entry.at.sequence)) {
            let BranchEntry { entry: Entry { collection, key, .. }, .. } = entry;
            // Under the branch's name the entry is applied by this record; before, nothing of the branch is.
            self.cells.rest_on(&ItemKey { collection: *collection, key: key.clone() }, lsn);
        }
        let paths: Vec<Position> = entries.iter().map(|entry| entry.at).collect();
        let kept =
            entries.into_iter().filter(|entry| (above + 1..=head.sequence).contains(&entry.at.sequence));
        let kept =
            kept.map(|BranchEntry { at, bytes, .. }| Retained { bytes, chain: at.chain, lsn }).collect();
        self.histories.split(split.segment, split.after, branch, kept);
        // Cuts higher up on the way go with the branch.
        let higher = self.forks.cuts_above(root, above).filter(|cut| paths.contains(&cut.after));
        let cuts = higher.map(|cut| (*cut, Vec::from([branch]))).collect();
        let branches = Vec::from([(branch, born)]);
        self.forks.learn(&KnownForks { cuts, branches, ceilings });
        Ok(branch)
    }

    /// Elements that are gone here although nobody who saw them removed them: what removed them was meant for
    /// another branch's element under the same dot. As far as the entries that did so are still held.
    pub(super) fn revivable(&self, job: Undivided, run: &Run) -> Vec<u64> {
        let Ok(entries) = read_branch(self.number, run.origin, run) else { return Vec::new() };
        let mut gone: BTreeMap<u64, (ItemKey, Bytes)> = BTreeMap::new();
        for BranchEntry { at, entry, .. } in entries {
            for dot in
                named(&entry).iter().filter(|dot| dot.replica == job.segment || dot.replica == run.origin)
            {
                gone.remove(&dot.counter());
            }
            let Delta::SetAdd { element, .. } = entry.delta else { continue };
            let item = ItemKey { collection: entry.collection, key: entry.key };
            let is_live = |dot| match self.cells.get(&item).map(|held| &held.cell) {
                Some(Cell::Set(elements)) => elements.dots_of(&element).contains(dot),
                _ => false,
            };
            let lives = Dot::new(job.segment, at.sequence).is_some_and(is_live);
            if at.sequence > job.after.sequence && !lives {
                gone.insert(at.sequence, (item, element));
            }
        }
        if gone.is_empty() {
            return Vec::new();
        }
        let (mut meant, mut mistaken) = (BTreeSet::new(), BTreeSet::new());
        let others = self.histories.iter().filter(|(origin, _)| *origin != job.segment);
        let others = others.filter_map(|(_, history)| history.after(history.floor().sequence)).flatten();
        for retained in others {
            let Ok(entry) = codec::decode_payload::<Entry>(&retained.bytes, &super::STORED) else {
                continue;
            };
            for dot in named(&entry).iter().filter(|dot| self.forks.root_of(dot.replica) == run.origin) {
                let Some((item, element)) = gone.get(&dot.counter()) else { continue };
                let same = item.collection == entry.collection && item.key == entry.key;
                if same && element_of(&entry) == Some(element) {
                    meant.insert(dot.counter());
                } else {
                    mistaken.insert(dot.counter());
                }
            }
        }
        mistaken.difference(&meant).copied().collect()
    }

    fn rename_elements(&mut self, renaming: &Renaming, entries: &[BranchEntry], revived: &[u64], lsn: Lsn) {
        let mut changed: BTreeMap<ItemKey, ElementStore<Bytes>> = BTreeMap::new();
        for (item, held) in self.cells.iter() {
            if let Cell::Set(elements) = &held.cell
                && held.cell.dots().highest(renaming.from) > renaming.above
            {
                changed.insert(item.clone(), renaming.elements(elements, &self.context));
            }
        }
        for BranchEntry { at, entry, .. } in entries.iter().filter(|e| revived.contains(&e.at.sequence)) {
            let Delta::SetAdd { element, .. } = &entry.delta else { continue };
            let item = ItemKey { collection: entry.collection, key: entry.key.clone() };
            let elements = changed.entry(item).or_insert_with_key(|item| {
                match self.cells.get(item).map(|held| &held.cell) {
                    Some(Cell::Set(elements)) => (**elements).clone(),
                    _ => fresh_store(),
                }
            });
            renaming.revive(elements, at.sequence, element, &self.context);
        }
        for (item, elements) in changed {
            self.cells.put(&item, Cell::Set(elements.into()), lsn);
        }
    }

    fn divide_counters(
        &mut self,
        renaming: &Renaming,
        is_root: bool,
        entries: &[BranchEntry],
        lsn: Lsn,
    ) -> Vec<Ceiling> {
        let mut ceilings = Vec::new();
        for (item, (below, branch)) in counted_in(entries, renaming, is_root) {
            ceilings.push(Ceiling {
                collection: item.collection,
                key: item.key.clone(),
                segment: renaming.from,
                incremented: below.0,
                decremented: below.1,
            });
            let mut cell = self.cell_or_vacant(&item, Kind::Counter);
            if let Cell::Counter(counter) = &mut cell {
                let divide = |half: &GCounter, below: u64, branch: u64| {
                    let kept = half.entries().filter(|(id, _)| *id != renaming.from);
                    GCounter::from_entries(kept.chain([(renaming.from, below), (renaming.to, branch)]))
                };
                *counter = PnCounter::from_parts(
                    divide(counter.increments(), below.0, branch.0),
                    divide(counter.decrements(), below.1, branch.1),
                );
                self.cells.put(&item, cell, lsn);
            }
        }
        ceilings
    }
}

impl Renaming {
    /// Dots above the cut go to the branch. What lies above the head came from a session that did not end: it is
    /// let go of, and comes again under its new name.
    fn context(&self, context: &CausalContext) -> CausalContext {
        let mut renamed = CausalContext::new();
        for (replica, range) in context.ranges() {
            if replica != self.from {
                renamed.insert_range(replica, range);
                continue;
            }
            let (start, end) = range.into_inner();
            if start <= self.above {
                renamed.insert_range(replica, start..=end.min(self.above));
            }
        }
        renamed.insert_range(self.to, self.above + 1..=self.head);
        renamed
    }

    fn elements(&self, elements: &ElementStore<Bytes>, context: &CausalContext) -> ElementStore<Bytes> {
        let mut renamed = elements.clone();
        let moved = elements.iter_dots().filter(|(dot, _)| dot.replica == self.from);
        for (dot, element) in moved.filter(|(dot, _)| dot.counter() > self.above) {
            renamed.take_dots(element, &core::iter::once(dot).collect());
            if dot.counter() <= self.head {
                self.revive(&mut renamed, dot.counter(), element, context);
            }
        }
        renamed
    }

    /// Adds an element under its dot of the branch, unless that is known to be removed.
    fn revive(
        &self,
        elements: &mut ElementStore<Bytes>,
        sequence: u64,
        element: &Bytes,
        context: &CausalContext,
    ) {
        let Some(dot) = Dot::new(self.to, sequence).filter(|dot| !context.contains(*dot)) else { return };
        let mut one = fresh_store();
        one.add(dot, element.clone());
        let (here, there) = (elements.dots(), one.dots());
        let _ = elements.join(&here, &one, &there);
    }
}

/// Decodes entries and gives each its place; the run must hash to its own chain value.
pub(super) fn read_branch(partition: u16, root: ReplicaId, run: &Run) -> Result<Vec<BranchEntry>, RunError> {
    let mut at = run.after;
    let mut entries = Vec::with_capacity(run.entries.len());
    for bytes in &run.entries {
        at = Position { sequence: at.sequence + 1, chain: at.chain.then(root, partition, bytes) };
        let entry = codec::decode_payload(bytes, &super::STORED)?;
        entries.push(BranchEntry { at, bytes: bytes.clone(), entry });
    }
    if at.chain == run.chain && run.origin == root && run.partition == partition {
        Ok(entries)
    } else {
        Err(RunError::BrokenChain { origin: root, after: run.after.sequence })
    }
}

/// What an identity incremented and decremented.
type Totals = (u64, u64);

/// Per counter that the branch wrote: what its segment keeps, and what the branch counted itself.
fn counted_in(
    entries: &[BranchEntry],
    renaming: &Renaming,
    is_root: bool,
) -> BTreeMap<ItemKey, (Totals, Totals)> {
    /// Totals before the first entry, at the cut, and after the last entry.
    struct Counted {
        start: (u64, u64),
        cut: Option<(u64, u64)>,
        end: (u64, u64),
    }
    let mut counted: BTreeMap<ItemKey, Counted> = BTreeMap::new();
    for BranchEntry { at, entry, .. } in entries.iter().filter(|entry| entry.at.sequence <= renaming.head) {
        let Delta::Counter { incremented, decremented, raised, lowered } = entry.delta else { continue };
        let before = (incremented.saturating_sub(raised), decremented.saturating_sub(lowered));
        let item = ItemKey { collection: entry.collection, key: entry.key.clone() };
        // A root has counted from nothing, a branch from where it began.
        let start = if is_root { (0, 0) } else { before };
        let counted = counted.entry(item).or_insert(Counted { start, cut: None, end: before });
        if at.sequence > renaming.above {
            counted.cut.get_or_insert(before);
        }
        counted.end = (incremented, decremented);
    }
    let minus = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_sub(b.0), a.1.saturating_sub(b.1));
    let divided = counted.into_iter().filter_map(|(item, Counted { start, cut, end })| {
        let cut = cut?;
        Some((item, (cut, start, end)))
    });
    divided.map(|(item, (cut, start, end))| (item, (minus(cut, start), minus(end, cut)))).collect()
}

fn named(entry: &Entry) -> &[Dot] {
    match &entry.delta {
        Delta::SetAdd { superseded, .. } => superseded,
        Delta::SetRemove { dots, .. } => dots,
        _ => &[],
    }
}

fn element_of(entry: &Entry) -> Option<&Bytes> {
    match &entry.delta {
        Delta::SetAdd { element, .. } | Delta::SetRemove { element, .. } => Some(element),
        _ => None,
    }
}

fn fresh_store() -> ElementStore<Bytes> {
    let mut elements = ElementStore::new();
    elements.track_digest();
    elements
}
