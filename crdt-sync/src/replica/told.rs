//! What one replica tells another of a key: a state with the exact dots it carries and covers.

use crdt_core::{CausalContext, Change, Crdt, ReplicaId};
use replication_log::Lsn;

use super::apply::check_position;
use super::{ItemKey, Partition, Replica, RunError};
use crate::bytes::Bytes;
use crate::cell::{Cell, CellError};
use crate::collection::Kind;
use crate::entry::Position;
use crate::wire::MergedState;

/// A [`MergedState`] that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(super) item: ItemKey,
    pub(super) kind: Kind,
    pub(super) cell: Cell,
    /// The dots it carries and those it covers.
    pub(super) seen: CausalContext,
    /// The element of all dots it covers, if that is known.
    pub(super) removes: Option<Bytes>,
}

impl Told {
    /// Reads what was told.
    pub(super) fn read(
        told: &MergedState,
        kind: Kind,
        limits: &crdt_core::Limits,
    ) -> Result<Self, CellError> {
        let cell = Cell::decode(kind, &told.key, &told.state, limits)?;
        let mut seen = cell.dots();
        let _ = seen.merge(&told.removed.iter().copied().collect());
        let item = ItemKey { collection: told.collection, key: told.key.clone() };
        Ok(Self { item, kind, cell, seen, removes: None })
    }

    /// The same in the words of the journal.
    pub(super) fn merged_state(&self, partition: u16) -> MergedState {
        MergedState {
            partition,
            collection: self.item.collection,
            key: self.item.key.clone(),
            state: self.cell.encode(&self.item.key),
            removed: self.covered().dots().collect(),
        }
    }

    /// The dots that are covered and not carried.
    pub(super) fn covered(&self) -> CausalContext {
        self.seen.difference(&self.cell.dots())
    }

    /// How many that are. Dots come one by one before they are ranges, so there are never more than memory holds.
    pub(super) fn covered_dots(&self) -> usize {
        let covered = self.covered();
        let counts = covered.ranges().map(|(_, counters)| counters.end() - counters.start() + 1);
        usize::try_from(counts.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// Leaves out which writes it covers where there are more than `limit` and no state lives by them: whoever is told
    /// has holes in its context for it, until partitions are compared.
    pub(super) fn shorten(&mut self, limit: usize) {
        if self.kind != Kind::Set && self.covered_dots() > limit {
            self.seen = CausalContext::new();
        }
    }

    /// Takes in more that was told of the same key: whoever is told the result was told both. Versions of documents
    /// beyond the limit are dropped.
    pub(super) fn join(&mut self, more: &Self, max_revisions: usize) -> Change {
        let change = self.cell.join(&self.seen, &more.cell, &more.seen);
        self.cell.stem(max_revisions);
        change | self.seen.merge(&more.seen)
    }
}

impl Replica {
    /// Checks what was told as a state of a peer is checked.
    pub(super) fn admit(&self, told: &MergedState) -> Result<Told, RunError> {
        let number = told.partition;
        if self.partitions.get(usize::from(number)).is_none() {
            return Err(RunError::UnknownPartition { partition: number });
        }
        let kind = self.kind_of(told.collection)?;
        self.check_key(number, told.collection, &told.key)?;
        let read = Told::read(told, kind, &self.config.limits.state_codec())?;
        for (_, counters) in read.seen.ranges() {
            check_position(Position { sequence: *counters.end(), ..Position::default() })?;
        }
        self.check_own_dots(number, &read.seen)?;
        self.check_own_totals(number, &read)?;
        Ok(read)
    }

    /// No one but this node counts under its identity.
    fn check_own_totals(&self, number: u16, told: &Told) -> Result<(), RunError> {
        let Cell::Counter(theirs) = &told.cell else { return Ok(()) };
        #[cfg(feature = "_planted_bugs")]
        if self.has_bug(crate::PlantedBug::IdentityKept) {
            return Ok(());
        }
        let (up, down) = match self.partition(number).cells.get(&told.item).map(|held| &held.cell) {
            Some(Cell::Counter(ours)) => (ours.increments().entry(self.id), ours.decrements().entry(self.id)),
            _ => (0, 0),
        };
        if theirs.increments().entry(self.id) > up || theirs.decrements().entry(self.id) > down {
            return Err(RunError::Outrun);
        }
        Ok(())
    }

    /// A context has a bounded number of origins and of holes.
    pub(super) fn check_room(&self, number: u16, seen: &CausalContext) -> Result<(), RunError> {
        let limits = &self.config.limits;
        let context = &self.partition(number).context;
        let mut new = origins(seen).filter(|origin| context.highest(*origin) == 0).peekable();
        if new.peek().is_some() && origins(context).count() + new.count() > limits.max_origins {
            return Err(RunError::TooManyOrigins { limit: limits.max_origins });
        }
        let limit = limits.max_context_ranges;
        if context.range_count() + seen.range_count() > limit {
            let mut grown = context.clone();
            // What fills holes is taken in even where there are too many already.
            if grown.merge(seen).is_changed()
                && grown.range_count() > limit
                && grown.range_count() > context.range_count()
            {
                return Err(RunError::ContextFull { limit });
            }
        }
        Ok(())
    }
}

/// The origins of a context, each once.
fn origins(context: &CausalContext) -> impl Iterator<Item = ReplicaId> {
    let mut last = None;
    context.ranges().filter_map(move |(origin, _)| (last.replace(origin) != Some(origin)).then_some(origin))
}

impl Partition {
    /// Joins what was told of a key. The context grows by exactly what it says it has seen, in whatever order that
    /// comes, so that it may have holes.
    pub(super) fn join_told(&mut self, told: &Told, lsn: Lsn) -> Change {
        let grows = !self.context.is_superset(&told.seen);
        let context = self.scoped.of_key(told.item.collection, &told.item.key, &self.context);
        let (forks, max_revisions) = (&self.forks, self.max_revisions);
        let change = self.cells.change(&told.item, told.kind, lsn, |cell| {
            let change = cell.join(&context, &told.cell, &told.seen) | forks.clamp(&told.item, cell);
            cell.stem(max_revisions);
            change
        });
        let _ = self.context.merge(&told.seen);
        if told.kind == Kind::Set && self.dead.is_some() {
            self.note_dead(&told.item, told.removes.as_ref(), &told.covered());
        }
        if grows && !change.is_changed() {
            self.covered = lsn;
        }
        change | Change::from(grows)
    }

    /// The record that whatever is said of a key rests on, also where nothing is left of it.
    pub(super) fn rests_on(&self, item: &ItemKey) -> Option<Lsn> {
        self.cells.get(item).map(|held| held.lsn.max(self.covered))
    }

    /// The state under a key as bytes; none when nothing is held.
    pub(super) fn state_of(&self, item: &ItemKey) -> Bytes {
        self.cells.get(item).map(|held| held.cell.encode(&item.key)).unwrap_or_default()
    }
}
