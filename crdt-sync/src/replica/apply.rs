//! Taking in what others wrote: runs of entries, and states.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Dot, ReplicaId, Stamp, codec};
use replication_log::Lsn;

use super::sizes::Unnoted;
use super::{Coverage, ItemKey, JournalRecord, MergeOutcome, Replica, RunError, RunOutcome};
use crate::bytes::Bytes;
use crate::cell::{self, Answer, Cell};
use crate::collection::{CollectionId, Kind};
use crate::entry::{Chain, Entry, Position};
use crate::history::Retained;
use crate::time::WallTime;
use crate::wire::{ItemState, MergedState, Run, Standing, StatesPart};

/// A state of a peer that was joined.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The key.
    pub(crate) key: ItemKey,
    /// What the peer's state lacks.
    pub(crate) answer: Answer,
}

/// An entry that passed every check.
pub(super) struct Admitted {
    pub(super) entry: Entry,
    kind: Kind,
    effect: (Cell, CausalContext),
}

/// A state that passed every check.
struct AdmittedState {
    key: ItemKey,
    theirs: Cell,
    /// The dots it shows.
    dots: CausalContext,
}

/// What is new of a run.
#[derive(Default)]
struct News {
    /// How many entries of the run were known.
    known: usize,
    /// The others.
    admitted: Vec<Admitted>,
    /// The chain after each entry of the run.
    chains: Vec<Chain>,
}

impl Replica {
    /// Applies what is new of a run, as far as the entries it rests on are here; on an error, nothing.
    pub(crate) fn apply_run(&mut self, run: &Run, wall: WallTime) -> Result<RunOutcome, RunError> {
        let Some(News { known, mut admitted, chains }) = self.admit_run(run)? else {
            return Ok(RunOutcome::Gap);
        };
        if self.members.refuses_run(run) {
            return Ok(RunOutcome::Retired);
        }
        let number = run.partition;
        let missing = (0..).zip(&admitted).find_map(|(at, admitted)| {
            Some((at, self.missing_to((run.partition, run.origin), &admitted.entry)?))
        });
        if let Some((at, _)) = missing {
            admitted.truncate(at);
        }
        let applied = admitted.len();
        let outcome = match missing {
            Some((_, missing)) => RunOutcome::Early { applied, missing },
            None => RunOutcome::Applied(applied),
        };
        let (entries, chains) = (&run.entries[known..][..applied], &chains[known..][..applied]);
        let Some(&chain) = chains.last() else { return Ok(outcome) };
        let (partition, origin) = (number, run.origin);
        let after = self.partition(number).histories.head(origin);
        let entries = entries.to_vec();
        let (lsn, entries) = self.journal.append_entries(Run { partition, origin, after, entries, chain });
        for ((admitted, bytes), &chain) in admitted.iter().zip(entries).zip(chains) {
            self.take_in((number, origin), admitted, lsn, wall);
            self.partition_mut(number).remember_checked(origin, Retained { bytes, chain, lsn });
        }
        Ok(outcome)
    }

    /// Makes the effect of an entry that a record holds.
    pub(super) fn take_in(
        &mut self,
        (number, origin): (u16, ReplicaId),
        admitted: &Admitted,
        lsn: Lsn,
        wall: WallTime,
    ) {
        let Admitted { entry, kind, effect } = admitted;
        self.clock.observe(entry.stamp, wall);
        self.partition_mut(number).apply(entry, effect, *kind, lsn);
        if self.config.tell_lost_writes {
            let item = ItemKey { collection: entry.collection, key: entry.key.clone() };
            self.note_lost_write(number, item, Stamp { time: entry.stamp, replica: origin }, lsn);
        }
    }

    /// Joins a part of a peer's states; all of it or, on an error, nothing. Says what each of them lacks.
    pub(crate) fn apply_part(
        &mut self,
        number: u16,
        part: &StatesPart,
        standing: &Standing,
        coverage: Coverage,
        wall: WallTime,
    ) -> Result<Vec<Joined>, RunError> {
        let kind = self.kind_of(part.collection)?;
        let states = part
            .items
            .iter()
            .map(|item| self.admit_state(number, part.collection, kind, item))
            .collect::<Result<Vec<_>, _>>()?;
        let bounds = self.check_ahead(number, part, standing)?;
        let since = self.journal.upcoming();
        let mut unnoted = Unnoted { bounds, since };
        let mut joined = Vec::with_capacity(states.len());
        for (AdmittedState { key, theirs, dots }, item) in states.into_iter().zip(&part.items) {
            if let Some(stamp) = theirs.latest_stamp() {
                self.clock.observe(stamp, wall);
            }
            let partition = self.partition(number);
            let is_news = partition.ahead.is_news(theirs.is_deleted(), &part.ahead, &partition.histories);
            let at = Coverage { here: coverage.here && !is_news || item.old, is_old: item.old, ..coverage };
            let settled = self.settle_forgotten(number, &key, kind, (&theirs, &standing.heads), at);
            let merged = settled.unwrap_or_else(|| {
                let seen = standing.scoped.of_key(key.collection, &key.key, &standing.context);
                let state = (&theirs, &dots, &item.state);
                let merged = self.merge_state((number, &key, kind), state, &seen, &mut unnoted);
                // Whoever holds what is old takes the answer for all that is left of it.
                match merged.answer {
                    Answer::Versions(_) if item.old => MergeOutcome { answer: Answer::Whole, ..merged },
                    _ => merged,
                }
            });
            joined.push(Joined { key, answer: merged.answer });
        }
        if self.journal.upcoming() > since {
            self.note_ahead(number, &mut unnoted);
        }
        #[cfg(feature = "_planted_bugs")]
        if self.has_bug(crate::PlantedBug::WholeContextWithPart) {
            let context = &mut self.partition_mut(number).context;
            let _ = crdt_core::Crdt::merge(context, &standing.context);
        }
        Ok(joined)
    }

    /// Takes over a peer's standing, once all its states have arrived.
    pub(crate) fn raise_frontier(&mut self, partition: u16, standing: Standing) {
        #[cfg(feature = "_planted_bugs")]
        let standing = if self.has_bug(crate::PlantedBug::IdentityKept) {
            let others = standing.heads.into_iter().filter(|(origin, _)| *origin != self.id);
            Standing { heads: others.collect(), ..standing }
        } else {
            standing
        };
        self.partition_mut(partition).raise(&standing);
        self.journal.append(&JournalRecord::FrontierRaised { partition, standing });
    }

    /// A standing must be well-formed before anything is done with it, and must not claim writes of this node's
    /// own identity that it never issued.
    pub(crate) fn check_standing(&self, partition: u16, standing: &Standing) -> Result<(), RunError> {
        let limits = &self.config.limits;
        let ascending = standing.heads.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending {
            return Err(RunError::BadStanding);
        }
        standing.heads.iter().try_for_each(|(_, head)| check_position(*head))?;
        let histories = &self.partition(partition).histories;
        let new = standing.heads.iter().filter(|(origin, _)| histories.get(*origin).is_none()).count();
        if histories.iter().count() + new > limits.max_origins
            || standing.context.range_count() + standing.scoped.size() > limits.max_context_ranges
        {
            return Err(RunError::StandingTooLarge);
        }
        for &(origin, head) in &standing.heads {
            if let Some(end) =
                self.partition(partition).end_of(origin).filter(|end| end.sequence < head.sequence)
            {
                return Err(RunError::Burnt { origin, end: end.sequence });
            }
        }
        if self.is_outrun_by(partition, &standing.heads) {
            return Err(RunError::Outrun);
        }
        let mut contexts = standing.scoped.contexts().chain([&standing.context]);
        contexts.try_for_each(|context| self.check_own_dots(partition, context))
    }

    /// What the states of a part may show: where the sender stood, and what it had ahead of that.
    fn check_ahead(
        &self,
        number: u16,
        part: &StatesPart,
        standing: &Standing,
    ) -> Result<Vec<(ReplicaId, u64)>, RunError> {
        if !part.ahead.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(RunError::BadStanding);
        }
        for &(origin, sequence) in &part.ahead {
            check_position(Position { sequence, ..Position::default() })?;
            if origin == self.id && sequence > self.partition(number).histories.head(origin).sequence {
                return Err(RunError::Outrun);
            }
        }
        let limit = self.config.limits.max_origins;
        let partition = self.partition(number);
        let stood = standing.heads.iter().map(|&(origin, head)| (origin, head.sequence));
        let bounds = partition.ahead.news(stood.chain(part.ahead.iter().copied()), &partition.histories);
        if partition.ahead.len() + bounds.len() > limit {
            return Err(RunError::TooManyOrigins { limit });
        }
        Ok(bounds)
    }

    pub(super) fn note_ahead(&mut self, number: u16, unnoted: &mut Unnoted) {
        let (bounds, since) = (core::mem::take(&mut unnoted.bounds), unnoted.since);
        if bounds.is_empty() {
            return;
        }
        let partition = self.partition_mut(number);
        partition.ahead.note(bounds.iter().copied(), since, &partition.histories);
        self.journal.append(&JournalRecord::Ahead { partition: number, since: since.get(), bounds });
    }

    fn merge_state(
        &mut self,
        (number, key, kind): (u16, &ItemKey, Kind),
        (theirs, dots, state): (&Cell, &CausalContext, &Bytes),
        context: &CausalContext,
        unnoted: &mut Unnoted,
    ) -> MergeOutcome {
        let lsn = self.journal.upcoming();
        #[cfg(feature = "_planted_bugs")]
        let context = &if self.has_bug(crate::PlantedBug::RemovalsIgnored) {
            CausalContext::new()
        } else {
            context.clone()
        };
        let outcome = self.partition_mut(number).merge_state(key, kind, (theirs, dots), context, lsn);
        if outcome.change.is_changed() {
            let merged = MergedState {
                partition: number,
                collection: key.collection,
                key: key.key.clone(),
                state: state.clone(),
                removed: outcome.removed.clone(),
            };
            let last = self.append_merged(merged, unnoted);
            if last > lsn {
                // A replay finds the last of them.
                self.partition_mut(number).cells.rest_on(key, last);
            }
        }
        outcome
    }

    /// A planted mistake: the received entries that are kept are applied as if their dots were new.
    #[cfg(feature = "_planted_bugs")]
    pub(super) fn apply_received_again(&mut self) {
        let (own, lsn, limits) = (self.id, self.journal.last(), self.config.limits.codec());
        for number in 0..self.config.partitions {
            let partition = self.partition(number);
            let received = partition.histories.iter().filter(|(origin, _)| *origin != own);
            let received = received.flat_map(|(origin, history)| {
                let first = history.floor().sequence + 1;
                let entries = history.after(first - 1).into_iter().flatten();
                (first..).zip(entries).map(move |(sequence, kept)| (origin, sequence, kept.bytes.clone()))
            });
            for (origin, sequence, bytes) in received.collect::<Vec<_>>() {
                let Ok(entry) = codec::decode_payload::<Entry>(&bytes, &limits) else { continue };
                let Ok(kind) = self.kind_of(entry.collection) else { continue };
                let Some(dot) = Dot::new(origin, sequence) else { continue };
                let Ok((delta, seen)) = cell::effect_of(&entry, kind, dot, &limits) else { continue };
                let key = ItemKey { collection: entry.collection, key: entry.key };
                let partition = self.partition_mut(number);
                let nothing = CausalContext::new();
                let _ = partition.cells.change(&key, kind, lsn, |cell| cell.join(&nothing, &delta, &seen));
            }
        }
    }

    /// The entries of a run that are new here, checked; `None` when entries before them are missing.
    fn admit_run(&self, run: &Run) -> Result<Option<News>, RunError> {
        let Some(partition) = self.partitions.get(usize::from(run.partition)) else {
            return Err(RunError::UnknownPartition { partition: run.partition });
        };
        if partition.histories.get(run.origin).is_none() {
            let limit = self.config.limits.max_origins;
            if partition.histories.iter().count() >= limit {
                return Err(RunError::TooManyOrigins { limit });
            }
        }
        let head = partition.histories.head(run.origin);
        check_position(run.after)?;
        self.check_burnt(run)?;
        if run.after.sequence > head.sequence {
            return Ok(None);
        }
        let chains = self.check_chain(run)?;
        let known = usize::try_from(head.sequence - run.after.sequence).unwrap_or(usize::MAX);
        if run.entries.len() <= known {
            return Ok(Some(News::default()));
        }
        #[cfg(feature = "_planted_bugs")]
        if run.origin == self.id && self.has_bug(crate::PlantedBug::IdentityKept) {
            return Ok(Some(News::default()));
        }
        if run.origin == self.id {
            return Err(RunError::Outrun);
        }
        let fresh = &run.entries[known..];
        let mut admitted = Vec::with_capacity(fresh.len());
        for (sequence, bytes) in (head.sequence + 1..).zip(fresh) {
            admitted.push(self.admit_entry((run.partition, run.origin), sequence, bytes)?);
        }
        Ok(Some(News { known, admitted, chains }))
    }

    /// The run must hash to the chain value it came with and agree with what is known of its origin. Returns the chain
    /// after each of its entries.
    fn check_chain(&self, run: &Run) -> Result<Vec<Chain>, RunError> {
        let history = self.partition(run.partition).histories.get(run.origin);
        let mut at = run.after;
        let mut entries = run.entries.iter();
        let mut chains = Vec::with_capacity(run.entries.len());
        loop {
            let known = history.and_then(|history| history.at(at.sequence));
            if at.sequence == 0 && at != Position::default() {
                return Err(RunError::BrokenChain { origin: run.origin, after: 0 });
            }
            if known
                .or((at.sequence == 0).then(Position::default))
                .is_some_and(|known| known.chain != at.chain)
            {
                return Err(RunError::Forked { origin: run.origin, sequence: at.sequence });
            }
            let Some(entry) = entries.next() else { break };
            at = Position {
                sequence: at.sequence + 1,
                chain: at.chain.then(run.origin, run.partition, entry),
            };
            chains.push(at.chain);
        }
        if at.chain == run.chain {
            Ok(chains)
        } else {
            Err(RunError::BrokenChain { origin: run.origin, after: run.after.sequence })
        }
    }

    /// Nothing of an identity is taken above its cut, and nothing under the name of a branch: its entries go on with
    /// the chain of its root, so that no run of them can be told.
    fn check_burnt(&self, run: &Run) -> Result<(), RunError> {
        let partition = self.partition(run.partition);
        if partition.forks.start_of(run.origin).is_some() && !run.entries.is_empty() {
            return Err(RunError::Forked { origin: run.origin, sequence: run.after.sequence + 1 });
        }
        let burnt = |end: Position| RunError::Burnt { origin: run.origin, end: end.sequence };
        let last = run.after.sequence + run.entries.len() as u64;
        if let Some(end) = partition.end_of(run.origin).filter(|end| end.sequence < last) {
            return Err(burnt(end));
        }
        let cuts = partition.forks.cuts_of(run.origin).map(|cut| cut.after);
        let cuts = cuts.filter(|after| (run.after.sequence..last).contains(&after.sequence)).collect();
        first_passed(run, &cuts).map_or(Ok(()), |end| Err(burnt(end)))
    }

    pub(super) fn admit_entry(
        &self,
        (number, origin): (u16, ReplicaId),
        sequence: u64,
        bytes: &[u8],
    ) -> Result<Admitted, RunError> {
        let limits = self.config.limits.codec();
        let entry: Entry = codec::decode_payload(bytes, &limits)?;
        let kind = self.kind_of(entry.collection)?;
        self.check_key(number, entry.collection, &entry.key)?;
        let dot = Dot::new(origin, sequence).ok_or(RunError::ImpossibleSequence { sequence })?;
        let effect = cell::effect_of(&entry, kind, dot, &limits)?;
        if effect.1.highest(origin) > sequence || entry.delta.named_dots().contains(&dot) {
            return Err(RunError::ImpossibleDot { origin, sequence });
        }
        self.check_own_dots(number, &effect.1)?;
        Ok(Admitted { entry, kind, effect })
    }

    /// A dot that an entry names and that is not known here; without one the entry can be applied.
    ///
    /// The causal context of the partition is that of all its keys: a dot that counts as seen before its own entry
    /// comes costs that entry its effect, under whatever key it was written. So an entry adds no dot to the context
    /// but its own; and what it names must be in there already, by the entry of the dot or by a state that shows
    /// it. Its origin had applied all of them, so whoever passes the entry on has them, too, or had them shown in a
    /// state; they come by the same way or by another, and this one waits. Then all that the named dots still do is
    /// to take away what lives under them in the element that the entry is about, and in whatever order entries
    /// arrive, they are applied in an order in which they could have been written. Whoever names dots that never
    /// come stops its own history and nobody else's.
    ///
    /// A dot above the end of a forked identity does not come under that name; it is looked for among the branches
    /// (see [`Forks::spoken_of`](super::fork::Forks::spoken_of)).
    pub(super) fn missing_to(&self, (number, origin): (u16, ReplicaId), entry: &Entry) -> Option<Dot> {
        let partition = self.partition(number);
        let is_missing = |dot: &&Dot| {
            // Entries of a run rest on each other, too.
            dot.replica != origin
                && !partition.context.contains(**dot)
                && !partition.forks.is_beyond_end(&partition.histories, **dot)
        };
        entry.delta.named_dots().iter().find(is_missing).copied()
    }

    fn admit_state(
        &self,
        number: u16,
        collection: CollectionId,
        kind: Kind,
        item: &ItemState,
    ) -> Result<AdmittedState, RunError> {
        self.check_key(number, collection, &item.key)?;
        let theirs = Cell::decode(kind, &item.key, &item.state, &self.config.limits.state_codec())?;
        let dots = theirs.dots();
        self.check_own_dots(number, &dots)?;
        Ok(AdmittedState { key: ItemKey { collection, key: item.key.clone() }, theirs, dots })
    }

    pub(crate) fn kind_of(&self, collection: CollectionId) -> Result<Kind, RunError> {
        let known = self.registry.get(collection).ok_or(RunError::UnknownCollection { collection })?;
        Ok(known.kind)
    }

    pub(super) fn check_key(
        &self,
        partition: u16,
        collection: CollectionId,
        key: &[u8],
    ) -> Result<(), RunError> {
        if self.partition_of(collection, key) != partition {
            Err(RunError::ForeignKey { partition })
        } else if !self.config.scope.contains(collection, key) {
            Err(RunError::OutOfScope { collection })
        } else {
            Ok(())
        }
    }

    /// No one but this node issues dots of its identity.
    pub(super) fn check_own_dots(&self, partition: u16, context: &CausalContext) -> Result<(), RunError> {
        #[cfg(feature = "_planted_bugs")]
        if self.has_bug(crate::PlantedBug::IdentityKept) {
            return Ok(());
        }
        let issued = self.partition(partition).histories.head(self.id).sequence;
        if context.highest(self.id) > issued { Err(RunError::Outrun) } else { Ok(()) }
    }
}

/// The first of these positions that the entries of a run go beyond. O(entries x log positions), up to the last.
fn first_passed(run: &Run, positions: &BTreeSet<Position>) -> Option<Position> {
    let last = positions.last()?;
    let mut at = run.after;
    for entry in &run.entries {
        if positions.contains(&at) {
            return Some(at);
        }
        if at.sequence >= last.sequence {
            return None;
        }
        at = Position { sequence: at.sequence + 1, chain: at.chain.then(run.origin, run.partition, entry) };
    }
    None
}

/// Sequences stay far from the end of the numbers, so that sums of them cannot run over.
pub(crate) fn check_position(position: Position) -> Result<(), RunError> {
    const HIGHEST: u64 = u64::MAX >> 16;
    match position.sequence {
        0..=HIGHEST => Ok(()),
        sequence => Err(RunError::ImpossibleSequence { sequence }),
    }
}
