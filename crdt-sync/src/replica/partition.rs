//! A partition: cells that share one causal context and one frontier.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crdt_core::{CausalContext, Change, Crdt, Dot, ReplicaId, codec};
use replication_log::Lsn;

use super::ahead::Ahead;
use super::cells::{Cells, Held, ItemKey};
use super::conflicts::Conflicts;
use super::fork::Forks;
use super::removal::Dead;
use super::{Config, JournalRecord, STORED};
use crate::bytes::Bytes;
use crate::cell::{Answer, Cell};
use crate::collection::Kind;
use crate::entry::{Chain, Delta, Entry, Position};
use crate::history::{Histories, History, Retained};
use crate::merkle::{TreeError, TreeKey};
use crate::scope::ScopedContext;
use crate::wire::Standing;

/// A part of the key space that is replicated as one.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u16,
    pub(crate) cells: Cells,
    /// Every dot applied, whether it left a live value or not.
    pub(crate) context: CausalContext,
    /// Dots applied of some keys only. The context of a key has them, too.
    pub(crate) scoped: ScopedContext,
    pub(crate) histories: Histories,
    /// What the cells may show beyond the frontier.
    pub(crate) ahead: Ahead,
    /// Deleted documents were forgotten here.
    pub(crate) has_forgotten: bool,
    pub(crate) forks: Forks,
    /// The last record by which more was seen here and no cell changed.
    pub(super) covered: Lsn,
    /// Kept where removals are told one by one, and nowhere else.
    pub(super) dead: Option<Dead>,
    pub(super) max_revisions: usize,
}

/// So many entries of an origin are looked through for one key; where there are more, any of them may be of it.
const LOOKED_THROUGH: usize = 256;

/// What joining a peer's state did.
#[derive(Debug)]
pub(crate) struct MergeOutcome {
    /// Whether anything changed here.
    pub(crate) change: Change,
    /// The dots that the peer had seen removed and that were removed here.
    pub(crate) removed: Vec<Dot>,
    /// What the peer's state lacks of the joined one.
    pub(crate) answer: Answer,
}

impl Partition {
    pub(crate) fn new(number: u16, tree_key: &TreeKey, config: &Config) -> Result<Self, TreeError> {
        let mut cells = Cells::new(tree_key, config.leaf_bits)?;
        cells.conflicts = Conflicts::of(config);
        let max_revisions = config.limits.max_revisions;
        Ok(Self {
            number,
            cells,
            context: CausalContext::new(),
            scoped: ScopedContext::default(),
            histories: Histories::within(&config.scope),
            ahead: Ahead::default(),
            has_forgotten: false,
            forks: Forks::default(),
            covered: Lsn::ZERO,
            dead: None,
            max_revisions,
        })
    }

    /// The cell of a key as a copy to change.
    pub(crate) fn cell_or_vacant(&self, key: &ItemKey, kind: Kind) -> Cell {
        self.cells.get(key).map_or_else(|| Cell::vacant(kind), |held| held.cell.clone())
    }

    /// Makes the effect of one entry: its dots are seen from here on.
    pub(crate) fn apply(&mut self, entry: &Entry, effect: &(Cell, CausalContext), kind: Kind, lsn: Lsn) {
        let key = ItemKey { collection: entry.collection, key: entry.key.clone() };
        let (delta, delta_context) = effect;
        let spoken_of = match &entry.delta {
            Delta::SetAdd { .. } | Delta::SetRemove { .. } => {
                let held = self.cells.get(&key).map(|held| &held.cell);
                self.forks.spoken_of(&self.histories, entry, held, delta_context)
            }
            // They name no dots, so that the cell need not be looked up for them.
            Delta::Document(_) | Delta::Counter { .. } | Delta::Register(_) => None,
        };
        let delta_context = spoken_of.as_ref().unwrap_or(delta_context);
        let context = self.scoped.of_key(key.collection, &key.key, &self.context);
        let max_revisions = self.max_revisions;
        let change = self.cells.change(&key, kind, lsn, |cell| {
            let change = cell.join(&context, delta, delta_context);
            cell.stem(max_revisions);
            change
        });
        if !change.is_changed() {
            self.catch_up(&key, lsn);
        }
        let _ = self.context.merge(delta_context);
    }

    /// An entry of this record left the cell under its key as it was, perhaps because a merged state had brought the
    /// entry's effect before. Until now the cell rested on that merge and on the bounds of what is ahead; once the
    /// frontier has reached the bounds it must rest on the entries, or what was applied up to the merge would pass for
    /// all it shows. Whether it may be so is asked before the frontier moves. It depends on what log and checkpoint
    /// keep, so that a node that was restarted says the same.
    fn catch_up(&mut self, key: &ItemKey, lsn: Lsn) {
        let held = self.cells.get(key);
        if held.is_some_and(|held| self.ahead.shown_by(held.lsn, &self.histories)) {
            self.cells.rest_on(key, lsn);
        }
    }

    /// Remembers an entry so that it can be handed on. A branch goes on with the chain of its root.
    pub(crate) fn remember(&mut self, origin: ReplicaId, bytes: Bytes, lsn: Lsn) -> Chain {
        let root = self.forks.root_of(origin);
        let chain = self.histories.head(origin).chain.then(root, self.number, &bytes);
        self.histories.push(origin, Retained { bytes, chain, lsn });
        chain
    }

    /// The same for an entry whose chain was computed when it was checked, under its origin's own name.
    pub(crate) fn remember_checked(&mut self, origin: ReplicaId, entry: Retained) {
        if self.forks.root_of(origin) == origin {
            self.histories.push(origin, entry);
        } else {
            self.remember(origin, entry.bytes, entry.lsn);
        }
    }

    /// Joins the state a peer holds under a key, given its dots and everything the peer has seen.
    ///
    /// The context grows by the dots this state carries and no others: the rest of the peer's context is
    /// taken over only when all its states have arrived.
    pub(crate) fn merge_state(
        &mut self,
        key: &ItemKey,
        kind: Kind,
        (theirs, dots): (&Cell, &CausalContext),
        their_context: &CausalContext,
        lsn: Lsn,
    ) -> MergeOutcome {
        let mut removed = CausalContext::new();
        let mut answer = Answer::Nothing;
        let context = self.scoped.of_key(key.collection, &key.key, &self.context);
        let (forks, max_revisions) = (&self.forks, self.max_revisions);
        let change = self.cells.change(key, kind, lsn, |cell| {
            removed = cell.dots().difference(dots).intersection(their_context);
            // Of what the peer has seen, exactly what the journal keeps: a replay then decides the same, even where
            // the peer claims for one element what another was written under.
            let mut seen = removed.clone();
            let _ = seen.merge(dots);
            let change = cell.join(&context, theirs, &seen) | forks.clamp(key, cell);
            cell.stem(max_revisions);
            answer = cell.answer_to(theirs, &key.key);
            change
        });
        let _ = self.context.merge(dots);
        self.note_dead(key, None, &removed);
        MergeOutcome { change, removed: removed.dots().collect(), answer }
    }

    /// Takes documents out for good, and hands on none of the entries that wrote to them: whoever got the first and not
    /// yet the last would have a document that everybody else has forgotten to be deleted. O(entries held).
    pub(crate) fn forget(&mut self, documents: &[ItemKey], lsn: Lsn) {
        for document in documents {
            self.cells.forget(document, lsn);
        }
        self.has_forgotten = true;
        // Where writes are told one by one, no entries are handed on.
        if !documents.is_empty() && self.dead.is_none() {
            let documents: BTreeSet<&ItemKey> = documents.iter().collect();
            self.histories.drop_through(|bytes| item_of(bytes).is_some_and(|item| documents.contains(&item)));
        }
    }

    /// Records that make everything that is in neither cells nor standing nor retained entries.
    pub(crate) fn records_of_head(&self) -> impl Iterator<Item = JournalRecord> {
        let partition = self.number;
        let forgot =
            self.has_forgotten.then(|| JournalRecord::Collected { partition, documents: Vec::new() });
        let (since, bounds) = self.ahead.noted(&self.histories);
        let ahead =
            (!bounds.is_empty()).then(|| JournalRecord::Ahead { partition, since: since.get(), bounds });
        let known = self.forks.known();
        let forks = (!known.is_empty()).then_some(JournalRecord::ForksKnown { partition, known });
        forgot.into_iter().chain(ahead).chain(forks)
    }

    /// Takes over a peer's standing after all its states were merged.
    pub(crate) fn raise(&mut self, standing: &Standing) {
        self.take_over(&standing.context);
        self.scoped.merge(&standing.scoped);
        self.scoped = self.scoped.beyond(&self.context);
        for &(origin, head) in &standing.heads {
            self.histories.raise(origin, head);
        }
    }

    /// What this partition has applied, in the words of a session.
    pub(crate) fn standing(&self) -> Standing {
        let root = self.cells.root();
        let (context, scoped) = (self.context.clone(), self.scoped.beyond(&self.context));
        Standing { heads: self.heads(), context, scoped, root: (root.digest, root.count) }
    }

    /// What the cells may show of each origin beyond these heads, ascending.
    pub(crate) fn ahead_of(&self, stood: &[(ReplicaId, Position)]) -> Vec<(ReplicaId, u64)> {
        let stood: BTreeMap<_, _> = stood.iter().map(|&(origin, head)| (origin, head.sequence)).collect();
        let mut shown: BTreeMap<_, _> = self.ahead.beyond(&self.histories).collect();
        for (origin, head) in self.heads() {
            let shown = shown.entry(origin).or_default();
            *shown = head.sequence.max(*shown);
        }
        shown.retain(|origin, sequence| *sequence > stood.get(origin).copied().unwrap_or(0));
        shown.into_iter().collect()
    }

    /// Whether whoever stands here has applied all that a cell shows, so that it is no news to it: all that was applied
    /// here when the cell changed last, but for entries that are known to be of other keys, and all that merged states
    /// may show ahead of that. O(origins x log origins, and entries that are looked through).
    pub(crate) fn is_old_to(&self, key: &ItemKey, held: &Held, heads: &[(ReplicaId, Position)]) -> bool {
        let of = |origin: ReplicaId| {
            let at = heads.binary_search_by_key(&origin, |(known, _)| *known);
            at.map_or(0, |at| heads[at].1.sequence)
        };
        let mut histories = self.histories.iter();
        let is_of_others = |history: &History, known: u64, count: u64| {
            let mut entries = history.after(known).into_iter().flatten().take(LOOKED_THROUGH);
            count <= LOOKED_THROUGH as u64
                && history.floor().sequence <= known
                && entries
                    .all(|retained| retained.lsn > held.lsn || item_of(&retained.bytes).as_ref() != Some(key))
        };
        histories.all(|(origin, history)| {
            let (applied, known) = (history.applied_by(held.lsn), of(origin));
            applied <= known || is_of_others(history, known, applied - known)
        }) && self.shown_ahead(held).all(|(origin, bound)| bound <= of(origin))
    }

    /// What a document may show beyond the frontier, as far as that is still to be told to somebody.
    pub(super) fn shown_ahead(&self, held: &Held) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.ahead.shown_of((held.lsn, held.cell.is_deleted()), &self.histories)
    }

    /// How far the frontier must come before deleted documents that changed since may be forgotten, ascending.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.ahead.awaited(&self.histories)
    }

    /// The last position of every origin, ascending.
    pub(crate) fn heads(&self) -> Vec<(ReplicaId, Position)> {
        self.histories.iter().map(|(origin, history)| (origin, history.head())).collect()
    }
}

/// The key that an entry which was admitted here writes to.
fn item_of(entry: &Bytes) -> Option<ItemKey> {
    let entry: Result<Entry, _> = codec::decode_payload(entry, &STORED);
    entry.ok().map(|Entry { collection, key, .. }| ItemKey { collection, key })
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use crdt_core::dotted::ElementStore;

    use super::*;
    use crate::collection::Collection;
    use crate::node::{ClusterKey, NodeId};

    #[test]
    fn a_dot_claimed_for_another_element_means_the_same_in_memory_as_in_a_replay() {
        let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [7; 32]);
        let key = ItemKey { collection: Collection::sets("lists").id(), key: "groceries".into() };
        let dot = Dot::new(ReplicaId::from_u128(1), 1).unwrap();
        let set_of = |element: &str| {
            let mut elements = ElementStore::new();
            elements.add(dot, element.into());
            Cell::Set(Box::new(elements))
        };
        let (truth, lie) = (set_of("milk"), set_of("soap"));
        // Joined as it arrives, and as the journal would replay it.
        let [mut first, mut second] =
            [(); 2].map(|()| Partition::new(0, &TreeKey::new([7; 16]), &config).unwrap());
        for partition in [&mut first, &mut second] {
            partition.merge_state(&key, Kind::Set, (&truth, &truth.dots()), &truth.dots(), Lsn::ZERO);
        }
        let claimed = (&lie, &lie.dots());
        let outcome = first.merge_state(&key, Kind::Set, claimed, &CausalContext::new(), Lsn::ZERO);
        let mut journaled = lie.dots();
        let _ = journaled.merge(&outcome.removed.iter().copied().collect());
        second.merge_state(&key, Kind::Set, claimed, &journaled, Lsn::ZERO);
        assert_eq!(first.cells.root(), second.cells.root());
    }
}
