//! A partition: cells that share one causal context and one frontier.

use alloc::vec::Vec;

use crdt_core::{CausalContext, Change, Crdt, Dot, ReplicaId};
use replication_log::Lsn;

use super::Config;
use super::cells::{Cells, ItemKey};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::Kind;
use crate::entry::{Chain, Entry, Position};
use crate::history::{Histories, Retained};
use crate::merkle::{TreeError, TreeKey};
use crate::wire::Standing;

/// A part of the key space that is replicated as one.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u16,
    pub(crate) cells: Cells,
    /// Every dot applied, whether it left a live value or not.
    pub(crate) context: CausalContext,
    pub(crate) histories: Histories,
    max_revisions: usize,
}

/// What joining a peer's state did.
#[derive(Debug)]
pub(crate) struct MergeOutcome {
    /// Whether anything changed here.
    pub(crate) change: Change,
    /// The dots that the peer had seen removed and that were removed here.
    pub(crate) removed: Vec<Dot>,
    /// Whether the peer's state lacks something of the joined one.
    pub(crate) peer_is_behind: bool,
}

impl Partition {
    pub(crate) fn new(number: u16, tree_key: &TreeKey, config: &Config) -> Result<Self, TreeError> {
        let cells = Cells::new(tree_key, config.leaf_bits)?;
        let max_revisions = config.limits.max_revisions;
        Ok(Self {
            number,
            cells,
            context: CausalContext::new(),
            histories: Histories::default(),
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
        let mut cell = self.cell_or_vacant(&key, kind);
        let (delta, delta_context) = effect;
        if cell.join(&self.context, delta, delta_context).is_changed() {
            cell.stem(self.max_revisions);
            self.cells.put(&key, cell, lsn);
        }
        let _ = self.context.merge(delta_context);
    }

    /// Remembers an entry so that it can be handed on.
    pub(crate) fn remember(&mut self, origin: ReplicaId, bytes: Bytes, lsn: Lsn) -> Chain {
        let chain = self.histories.head(origin).chain.then(origin, self.number, &bytes);
        self.histories.push(origin, Retained { bytes, chain, lsn });
        chain
    }

    /// Joins the state a peer holds under a key, given everything the peer has seen.
    ///
    /// The context grows by the dots this state carries and no others: the rest of the peer's context is
    /// taken over only when all its states have arrived.
    pub(crate) fn merge_state(
        &mut self,
        key: &ItemKey,
        kind: Kind,
        theirs: &Cell,
        their_context: &CausalContext,
        lsn: Lsn,
    ) -> MergeOutcome {
        let mut cell = self.cell_or_vacant(key, kind);
        let removed = cell.dots().difference(&theirs.dots()).intersection(their_context);
        let change = cell.join(&self.context, theirs, their_context);
        let peer_is_behind = cell.digest() != theirs.digest();
        if change.is_changed() {
            cell.stem(self.max_revisions);
            self.cells.put(key, cell, lsn);
        }
        let _ = self.context.merge(&theirs.dots());
        MergeOutcome { change, removed: removed.dots().collect(), peer_is_behind }
    }

    /// Takes over a peer's standing after all its states were merged.
    pub(crate) fn raise(&mut self, standing: &Standing) {
        let _ = self.context.merge(&standing.context);
        for &(origin, head) in &standing.heads {
            self.histories.raise(origin, head);
        }
    }

    /// What this partition has applied, in the words of a session.
    pub(crate) fn standing(&self) -> Standing {
        let root = self.cells.root();
        Standing { heads: self.heads(), context: self.context.clone(), root: (root.digest, root.count) }
    }

    /// The last position of every origin, ascending.
    pub(crate) fn heads(&self) -> Vec<(ReplicaId, Position)> {
        self.histories.iter().map(|(origin, history)| (origin, history.head())).collect()
    }
}
