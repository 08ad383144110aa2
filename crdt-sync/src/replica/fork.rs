//! Forks: two histories that were written under one identity, and how both live on.
//!
//! A fork is a [`Cut`]: the last position that two histories of one identity share. Behind it the identity is
//! *burnt*: it ends there for good, at every node. Each history that goes on becomes a *branch*, an origin of its own,
//! whose identity is a hash of its first entry's chain value, so that whoever holds the branch gives it the same name
//! without asking anybody. Sequences and chain values stay as they were written; a branch is a window on the history
//! of its root. So a name depends on nothing but the set of cuts: in whatever order a node learns of three branches
//! that part at different heights, it ends with the same names.
//!
//! To divide a history a node needs the entries of the branch. Dots are renamed with them; a counter's total is
//! divided at the cut, which every entry knows because it says what it added. The stamps of registers and documents
//! stay: their order is total and ends in the value, so that equal stamps on two branches do no harm, and a document
//! version's id covers its content, not its writer. Others get a branch as states, in a Merkle session: its entries
//! are not handed on any more, they only serve to divide it again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::dotted::DotSet;
use crdt_core::{CausalContext, Change, Dot, GCounter, PnCounter, ReplicaId, codec};
use replication_log::Lsn;

use super::split::{BranchEntry, Split, read_branch};
use super::{ItemKey, JournalRecord, Partition, Replica, RunError};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::entry::{Delta, Entry, Position};
use crate::history::{Histories, Retained};
use crate::wire::{Branch, Ceiling, Cut, KnownForks, Run};

/// What a partition knows of forks. It only grows.
#[derive(Debug, Default)]
pub(crate) struct Forks {
    /// With the identities under whose names a history is known to pass through each.
    pub(super) cuts: BTreeMap<Cut, BTreeSet<ReplicaId>>,
    pub(super) branches: BTreeMap<ReplicaId, Branch>,
    pub(super) ceilings: BTreeMap<ItemKey, BTreeMap<ReplicaId, (u64, u64)>>,
    digest: [u8; 16],
}

/// A history that passes through a cut and is not divided yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undivided {
    pub(crate) segment: ReplicaId,
    pub(crate) after: Position,
}

/// A history was divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divided {
    pub(crate) segment: ReplicaId,
    pub(crate) after: u64,
    pub(crate) branch: ReplicaId,
}

/// The identity of the branch whose first entry has this position.
pub(crate) fn branch_id(root: ReplicaId, partition: u16, first: Position) -> ReplicaId {
    let named = (b"crdt-sync branch v1", root, partition, first);
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(&codec::encode_payload(&named)).as_bytes()[..16]);
    ReplicaId::from_random_bytes(id)
}

impl Forks {
    /// The identity under which a history was written.
    pub(crate) fn root_of(&self, segment: ReplicaId) -> ReplicaId {
        self.branches.get(&segment).map_or(segment, |branch| branch.root)
    }

    /// The sequence before the first entry of a branch.
    pub(crate) fn start_of(&self, segment: ReplicaId) -> Option<u64> {
        self.branches.get(&segment).map(|branch| branch.start)
    }

    /// The branches, and where each starts.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.branches.iter().map(|(id, branch)| (*id, branch.start))
    }

    /// Whether some history of this identity was cut.
    pub(crate) fn is_burnt(&self, segment: ReplicaId) -> bool {
        self.cuts_of(segment).next().is_some()
    }

    fn burnt(&self) -> BTreeSet<ReplicaId> {
        let named = self.cuts.iter().flat_map(|(cut, within)| within.iter().map(|name| (cut.root, *name)));
        named.filter(|(root, name)| self.root_of(*name) == *root).map(|(_, name)| name).collect()
    }

    /// The cuts of an identity's histories, the lowest first.
    ///
    /// A cut that names the history of another root is none: no honest node tells that.
    pub(crate) fn cuts_of(&self, segment: ReplicaId) -> impl Iterator<Item = &Cut> {
        let root = self.root_of(segment);
        let cuts =
            self.cuts.iter().filter(move |(cut, within)| cut.root == root && within.contains(&segment));
        cuts.map(|(cut, _)| cut)
    }

    /// The cuts of a root's histories above a sequence.
    pub(super) fn cuts_above(&self, root: ReplicaId, above: u64) -> impl Iterator<Item = &Cut> {
        self.cuts.keys().filter(move |cut| cut.root == root && cut.after.sequence > above)
    }

    /// Stands for all that is known; zeros when nothing is.
    pub(crate) fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// All that is known.
    pub(crate) fn known(&self) -> KnownForks {
        let cuts = self.cuts.iter().map(|(cut, within)| (*cut, within.iter().copied().collect()));
        let branches = self.branches.iter().map(|(id, branch)| (*id, *branch));
        let ceilings = self.ceilings.iter().flat_map(|(item, ceilings)| {
            ceilings.iter().map(|(segment, (incremented, decremented))| Ceiling {
                collection: item.collection,
                key: item.key.clone(),
                segment: *segment,
                incremented: *incremented,
                decremented: *decremented,
            })
        });
        KnownForks { cuts: cuts.collect(), branches: branches.collect(), ceilings: ceilings.collect() }
    }

    /// Takes in what is new of it and says what that was.
    pub(crate) fn learn(&mut self, known: &KnownForks) -> KnownForks {
        let mut news = KnownForks::default();
        for (cut, within) in &known.cuts {
            let new = !self.cuts.contains_key(cut);
            let names = self.cuts.entry(*cut).or_default();
            let added: Vec<_> = within.iter().copied().filter(|name| names.insert(*name)).collect();
            if new || !added.is_empty() {
                news.cuts.push((*cut, added));
            }
        }
        for (id, branch) in &known.branches {
            if !self.branches.contains_key(id) {
                self.branches.insert(*id, *branch);
                news.branches.push((*id, *branch));
            }
        }
        // Where an identity was not cut there is nothing above it, and a ceiling would take what it counts away.
        let ends = if known.ceilings.is_empty() { BTreeSet::new() } else { self.burnt() };
        for ceiling in known.ceilings.iter().filter(|ceiling| ends.contains(&ceiling.segment)) {
            if self.lower(ceiling) {
                news.ceilings.push(ceiling.clone());
            }
        }
        if !news.is_empty() {
            self.digest_anew();
        }
        news
    }

    fn lower(&mut self, ceiling: &Ceiling) -> bool {
        let item = ItemKey { collection: ceiling.collection, key: ceiling.key.clone() };
        let ceilings = self.ceilings.entry(item).or_default();
        let known = ceilings.get(&ceiling.segment).copied();
        let (incremented, decremented) = known.unwrap_or((u64::MAX, u64::MAX));
        let lowered = (incremented.min(ceiling.incremented), decremented.min(ceiling.decremented));
        ceilings.insert(ceiling.segment, lowered);
        known != Some(lowered)
    }

    fn digest_anew(&mut self) {
        let digest = blake3::hash(&codec::encode_payload(&self.known()));
        self.digest.copy_from_slice(&digest.as_bytes()[..16]);
    }

    /// Nothing that was counted above a cut counts as the identity's that was cut: it is counted for the branch.
    pub(crate) fn clamp(&self, item: &ItemKey, cell: &mut Cell) -> Change {
        let (Some(ceilings), Cell::Counter(counter)) = (self.ceilings.get(item), cell) else {
            return Change::Unchanged;
        };
        let is_above = |(segment, (incremented, decremented)): (&ReplicaId, &(u64, u64))| {
            counter.increments().entry(*segment) > *incremented
                || counter.decrements().entry(*segment) > *decremented
        };
        if !ceilings.iter().any(is_above) {
            return Change::Unchanged;
        }
        let ceiling = |segment| ceilings.get(&segment).copied().unwrap_or((u64::MAX, u64::MAX));
        let increments = counter.increments().entries().map(|(id, total)| (id, total.min(ceiling(id).0)));
        let decrements = counter.decrements().entries().map(|(id, total)| (id, total.min(ceiling(id).1)));
        *counter =
            PnCounter::from_parts(GCounter::from_entries(increments), GCounter::from_entries(decrements));
        Change::Changed
    }

    /// The dots that an entry removes of what is held under its key, as they are called here; `None` where that is
    /// what the entry says.
    ///
    /// Its writer may have seen another branch of a forked identity. So a dot under which another element lives here
    /// is left alone, and one that has gone to a branch is looked for among the branches.
    pub(crate) fn spoken_of(
        &self,
        histories: &Histories,
        entry: &Entry,
        cell: Option<&Cell>,
        dots: &CausalContext,
    ) -> Option<CausalContext> {
        let (Delta::SetAdd { element, .. } | Delta::SetRemove { element, .. }) = &entry.delta else {
            return None;
        };
        let named = entry.delta.named_dots();
        let here = match cell {
            Some(Cell::Set(elements)) => elements.dots_of(element),
            _ => DotSet::default(),
        };
        if named.iter().all(|dot| here.contains(*dot)) {
            return None;
        }
        let live = cell.map(Cell::dots).unwrap_or_default();
        let mut spoken_of = dots.clone();
        for &dot in named.iter().filter(|dot| !here.contains(**dot)) {
            let burnt = self.is_beyond_end(histories, dot);
            if burnt || live.contains(dot) {
                let mut one = CausalContext::new();
                one.insert(dot);
                spoken_of = spoken_of.difference(&one);
            }
            if burnt {
                let root = self.root_of(dot.replica);
                let is_it =
                    |other: &Dot| other.counter() == dot.counter() && self.root_of(other.replica) == root;
                here.iter().filter(is_it).for_each(|other| {
                    spoken_of.insert(other);
                });
            }
        }
        Some(spoken_of)
    }

    /// Whether a dot lies above the end of a forked identity: what was written under it is a branch's now.
    pub(crate) fn is_beyond_end(&self, histories: &Histories, dot: Dot) -> bool {
        let head = histories.head(dot.replica).sequence;
        dot.counter() > head && self.cuts_of(dot.replica).any(|cut| cut.after.sequence < dot.counter())
    }
}

impl Partition {
    /// The histories held here that pass through a cut, or may do so, and are not divided yet; of each the lowest
    /// cut.
    pub(crate) fn undivided(&self) -> Vec<Undivided> {
        let mut undivided: BTreeMap<ReplicaId, Position> = BTreeMap::new();
        for (cut, within) in &self.forks.cuts {
            for &segment in within.iter().filter(|name| self.forks.root_of(**name) == cut.root) {
                let Some(history) = self.histories.get(segment) else { continue };
                let after = cut.after;
                let known = history.at(after.sequence);
                let passes = after == Position::default() || known.is_none_or(|known| known == after);
                if passes && history.head().sequence > after.sequence {
                    undivided.entry(segment).or_insert(after);
                }
            }
        }
        undivided.into_iter().map(|(segment, after)| Undivided { segment, after }).collect()
    }

    /// Where an identity ends for good, if its history up to there is held here.
    pub(crate) fn end_of(&self, segment: ReplicaId) -> Option<Position> {
        let history = self.histories.get(segment);
        let at = |sequence| match history {
            Some(history) => history.at(sequence),
            None => (sequence == 0).then(Position::default),
        };
        self.forks.cuts_of(segment).map(|cut| cut.after).find(|after| at(after.sequence) == Some(*after))
    }

    /// The entries to divide a history with, if they are held here.
    fn entries_to_divide(&self, job: Undivided) -> Option<Run> {
        let root = self.forks.root_of(job.segment);
        let from = self.forks.start_of(job.segment).unwrap_or(job.after.sequence);
        let run = self.lineage(root, from, self.histories.head(job.segment));
        run.filter(|run| run.after.sequence == from)
    }

    /// The entries of a root's history above a sequence, or as far down as they are held, up to a position, gathered
    /// from whatever segments hold them.
    pub(crate) fn lineage(&self, root: ReplicaId, from: u64, to: Position) -> Option<Run> {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut at = to;
        while at.sequence > from {
            let piece = self.histories.iter().find_map(|(segment, history)| {
                let ours = self.forks.root_of(segment) == root && history.at(at.sequence) == Some(at);
                let floor = history.floor().sequence.max(from);
                (ours && floor < at.sequence).then_some((history, floor))
            });
            let Some((history, floor)) = piece else { break };
            let count = usize::try_from(at.sequence - floor).ok()?;
            let entries: Vec<_> = history.after(floor)?.take(count).map(|r| r.bytes.clone()).collect();
            pieces.extend(entries.into_iter().rev());
            at = history.at(floor)?;
        }
        pieces.reverse();
        (at.sequence < to.sequence).then_some(Run {
            partition: self.number,
            origin: root,
            after: at,
            entries: pieces,
            chain: to.chain,
        })
    }

    /// Takes in entries below the floor of a history; they must lead to it. Returns whether there were any.
    pub(crate) fn fill(&mut self, segment: ReplicaId, run: &Run) -> Result<bool, RunError> {
        let root = self.forks.root_of(segment);
        let entries = read_branch(self.number, root, run)?;
        let floor = self.histories.get(segment).map(crate::history::History::floor).unwrap_or_default();
        let below = entries.iter().take_while(|entry| entry.at.sequence <= floor.sequence);
        if below.clone().last().is_none_or(|last| last.at != floor) {
            return Ok(false);
        }
        let retained = below.map(|BranchEntry { at, bytes, .. }| Retained {
            bytes: bytes.clone(),
            chain: at.chain,
            lsn: Lsn::ZERO,
        });
        let is_branch = self.forks.start_of(segment).is_some();
        self.histories.fill(segment, run.after, retained.collect(), is_branch);
        Ok(true)
    }

    /// Lowers what is counted above a ceiling.
    pub(crate) fn clamp_all(&mut self, ceilings: &[Ceiling], lsn: Lsn) {
        for ceiling in ceilings {
            let item = ItemKey { collection: ceiling.collection, key: ceiling.key.clone() };
            let Some(held) = self.cells.get(&item) else { continue };
            let mut cell = held.cell.clone();
            if self.forks.clamp(&item, &mut cell).is_changed() {
                self.cells.put(&item, cell, lsn);
            }
        }
    }
}

impl Replica {
    /// Takes in what others know of forks, or what was found here, and divides the histories it can. Returns
    /// whether any of it was new, and what was divided.
    pub(crate) fn learn_forks(
        &mut self,
        number: u16,
        known: &KnownForks,
    ) -> Result<(bool, Vec<Divided>), RunError> {
        self.check_claims(number, known)?;
        self.partition(number).forks.size_with(known).check(&self.config.limits)?;
        let news = self.partition_mut(number).forks.learn(known);
        if news.is_empty() {
            return Ok((false, Vec::new()));
        }
        let lsn = self.journal.upcoming();
        self.partition_mut(number).clamp_all(&news.ceilings, lsn);
        self.journal.append(&JournalRecord::ForksKnown { partition: number, known: news });
        Ok((true, self.divide(number)))
    }

    /// Divides every history that passes through a cut and whose entries are held.
    fn divide(&mut self, number: u16) -> Vec<Divided> {
        let mut divided = Vec::new();
        let mut jobs = self.partition(number).undivided();
        while let Some(job) = jobs.pop() {
            let Some(run) = self.partition(number).entries_to_divide(job) else { continue };
            if let Ok(done) = self.divide_with(number, job, run) {
                divided.push(done);
                // What was divided may pass through higher cuts.
                jobs = self.partition(number).undivided();
            }
        }
        divided
    }

    fn divide_with(&mut self, number: u16, job: Undivided, run: Run) -> Result<Divided, RunError> {
        let bytes: usize = run.entries.iter().map(|entry| entry.len()).sum();
        let limit = self.config.limits.max_batch;
        if bytes > limit {
            return Err(RunError::BranchTooLarge { bytes, limit });
        }
        self.partition(number).forks.size_when_divided(&run).check(&self.config.limits)?;
        let revived = self.partition(number).revivable(job, &run);
        let split = Split { segment: job.segment, after: job.after, run, revived };
        let lsn = self.journal.upcoming();
        let branch = self.partition_mut(number).split(&split, lsn)?;
        self.journal.append(&JournalRecord::Split(split));
        Ok(Divided { segment: job.segment, after: job.after.sequence, branch })
    }

    /// A peer sent entries that this node lacks to divide a history, or to tell where it parts from another. They
    /// hash to a chain value that this node has known all along, or are left out. Returns whether there were any, and
    /// what was divided.
    pub(crate) fn take_lesson(
        &mut self,
        number: u16,
        segment: ReplicaId,
        run: &Run,
    ) -> Result<(bool, Vec<Divided>), RunError> {
        super::check_position(run.after)?;
        let filled = self.partition_mut(number).fill(segment, run)?;
        Ok((filled, self.divide(number)))
    }
}
