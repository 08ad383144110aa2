//! What cells may show beyond the frontier of their partition.
//!
//! A session merges states one part at a time and raises the frontier at its end, if it comes to one. In between,
//! and after a session that was given up, cells show entries that the frontier does not name. Nobody need know which
//! for the states to agree in the end; whoever is told what a state rests on must.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use crate::history::Histories;

/// Per origin an upper bound of the sequences that merged states show.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    bounds: BTreeMap<ReplicaId, u64>,
    /// Cells that no record from this one on changed show nothing ahead.
    since: Lsn,
    /// Where retired identities end, as far as it is known.
    ends: BTreeMap<ReplicaId, u64>,
}

impl Ahead {
    /// States merged from record `since` on may show entries up to these bounds.
    pub(crate) fn note(
        &mut self,
        bounds: impl IntoIterator<Item = (ReplicaId, u64)>,
        since: Lsn,
        histories: &Histories,
    ) {
        self.bounds.retain(|origin, bound| *bound > histories.head(*origin).sequence);
        if self.bounds.is_empty() {
            self.since = since;
        }
        for (origin, bound) in bounds {
            let known = self.bounds.entry(origin).or_default();
            *known = bound.max(*known);
        }
    }

    /// Which of these bounds say more than the frontier and what is known already, ascending, each origin once.
    pub(crate) fn news(
        &self,
        bounds: impl Iterator<Item = (ReplicaId, u64)>,
        histories: &Histories,
    ) -> Vec<(ReplicaId, u64)> {
        let mut news = BTreeMap::new();
        for (origin, bound) in bounds {
            if bound > histories.head(origin).sequence && self.of(origin) < Some(bound) {
                let known: &mut u64 = news.entry(origin).or_default();
                *known = bound.max(*known);
            }
        }
        news.into_iter().collect()
    }

    /// The bounds that the frontier does not reach yet, ascending.
    pub(crate) fn beyond(&self, histories: &Histories) -> impl Iterator<Item = (ReplicaId, u64)> {
        let bounds = self.bounds.iter().map(|(origin, bound)| (*origin, *bound));
        bounds.filter(|(origin, bound)| *bound > histories.head(*origin).sequence)
    }

    /// What [`note`](Self::note) must be told to know the same.
    pub(crate) fn noted(&self, histories: &Histories) -> (Lsn, Vec<(ReplicaId, u64)>) {
        (self.since, self.beyond(histories).collect())
    }

    /// An identity of which this much was applied ends, and goes on as a branch. What was reached is behind the
    /// branch's head, and must not pass for something ahead of where the identity ends.
    pub(crate) fn split(&mut self, segment: ReplicaId, branch: ReplicaId, head: u64) {
        if let Some(bound) = self.bounds.remove(&segment).filter(|bound| *bound > head) {
            let known = self.bounds.entry(branch).or_default();
            *known = bound.max(*known);
        }
    }

    /// Whether a cell that this record changed last may show anything beyond the frontier.
    pub(crate) fn shown_by(&self, changed: Lsn, histories: &Histories) -> bool {
        changed >= self.since && self.beyond(histories).next().is_some()
    }

    /// It is known where retired identities end.
    pub(crate) fn end(&mut self, ends: impl Iterator<Item = (ReplicaId, u64)>) {
        self.ends.extend(ends);
    }

    /// What a document that this record changed last may show beyond the frontier, ascending. Of a deleted one it is
    /// what the frontier is still to reach. What lives is kept for what lies beyond the end of a retired identity as
    /// well: nobody else need have that, and nobody deleted it.
    pub(crate) fn shown_of(
        &self,
        (changed, is_deleted): (Lsn, bool),
        histories: &Histories,
    ) -> impl Iterator<Item = (ReplicaId, u64)> {
        let within = move |origin, bound| if is_deleted { self.within_end(origin, bound) } else { bound };
        let bounds = self.bounds.iter().map(move |(origin, bound)| (*origin, within(*origin, *bound)));
        bounds
            .filter(move |(origin, bound)| changed >= self.since && *bound > histories.head(*origin).sequence)
    }

    /// Whether a document may be news here because somebody shows more of these origins than its frontier: a deleted
    /// one only where one of them can still come to more.
    pub(crate) fn is_news(
        &self,
        is_deleted: bool,
        shown: &[(ReplicaId, u64)],
        histories: &Histories,
    ) -> bool {
        let can_come =
            |origin| self.ends.get(&origin).is_none_or(|end| *end > histories.head(origin).sequence);
        shown.iter().any(|(origin, _)| !is_deleted || can_come(*origin))
    }

    /// What deleted documents may show that the frontier is still to reach, ascending.
    pub(crate) fn awaited(&self, histories: &Histories) -> impl Iterator<Item = (ReplicaId, u64)> {
        self.shown_of((self.since, true), histories)
    }

    /// The last record up to which no deleted document changed that shows what the frontier is still to reach; `None`
    /// when none shows such.
    pub(crate) fn settled_until(&self, histories: &Histories) -> Option<Lsn> {
        let due = self.awaited(histories).next();
        due.map(|_| Lsn::new(self.since.get().saturating_sub(1)))
    }

    /// Nothing is held any more.
    pub(crate) fn clear(&mut self) {
        self.bounds.clear();
    }

    fn within_end(&self, origin: ReplicaId, bound: u64) -> u64 {
        self.ends.get(&origin).map_or(bound, |end| bound.min(*end))
    }

    /// The bound of an origin, if one is known.
    pub(crate) fn of(&self, origin: ReplicaId) -> Option<u64> {
        self.bounds.get(&origin).copied()
    }

    /// How many origins have a bound.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Chain, Position};

    fn origin(number: u128) -> ReplicaId {
        ReplicaId::from_u128(number)
    }

    fn raised(sequence: u64) -> Histories {
        let mut histories = Histories::default();
        histories.raise(origin(1), Position { sequence, chain: Chain::START });
        histories
    }

    #[test]
    fn a_bound_holds_until_the_frontier_reaches_it() {
        let mut ahead = Ahead::default();
        ahead.note([(origin(1), 7)], Lsn::new(5), &raised(3));
        assert!(ahead.shown_by(Lsn::new(5), &raised(6)));
        assert!(!ahead.shown_by(Lsn::new(4), &raised(6)), "not touched since");
        assert!(!ahead.shown_by(Lsn::new(5), &raised(7)));
    }

    #[test]
    fn only_what_says_more_is_news() {
        let mut ahead = Ahead::default();
        ahead.note([(origin(1), 7)], Lsn::new(5), &raised(3));
        let news = |bounds: &[(ReplicaId, u64)]| ahead.news(bounds.iter().copied(), &raised(3));
        assert_eq!(news(&[(origin(1), 7), (origin(1), 3)]), []);
        assert_eq!(news(&[(origin(1), 8), (origin(2), 1), (origin(1), 9)]), [(origin(1), 9), (origin(2), 1)]);
    }

    #[test]
    fn a_bound_that_was_reached_does_not_come_back_when_the_identity_is_divided_below_it() {
        let mut ahead = Ahead::default();
        ahead.note([(origin(1), 7)], Lsn::new(5), &raised(3));
        ahead.split(origin(1), origin(2), 7);
        assert!(!ahead.shown_by(Lsn::new(5), &raised(4)));
        ahead.note([(origin(1), 9)], Lsn::new(6), &raised(4));
        ahead.split(origin(1), origin(2), 8);
        assert_eq!(
            (ahead.of(origin(1)), ahead.of(origin(2))),
            (None, Some(9)),
            "the branch goes on to there"
        );
    }

    #[test]
    fn beyond_the_end_of_a_retired_identity_nothing_of_a_deletion_is_due_but_all_of_it_was_shown() {
        let mut ahead = Ahead::default();
        ahead.note([(origin(1), 7)], Lsn::new(5), &raised(3));
        assert_eq!(ahead.settled_until(&raised(3)), Some(Lsn::new(4)));
        ahead.end([(origin(1), 6)].into_iter());
        let shown_of = |changed, is_deleted, head| {
            ahead.shown_of((Lsn::new(changed), is_deleted), &raised(head)).collect::<Vec<_>>()
        };
        assert_eq!(shown_of(5, true, 5), [(origin(1), 6)]);
        assert_eq!(shown_of(4, true, 5), []);
        assert_eq!(shown_of(5, true, 6), []);
        assert_eq!(shown_of(5, false, 6), [(origin(1), 7)], "it lives, and may show it");
        assert_eq!(ahead.settled_until(&raised(6)), None);
        let is_news = |is_deleted, shown| ahead.is_news(is_deleted, &[(origin(shown), 7)], &raised(6));
        assert!(!is_news(true, 1) && is_news(true, 2));
        assert!(is_news(false, 1));
        assert!(ahead.shown_by(Lsn::new(5), &raised(6)));
        // Somebody had applied more of it.
        ahead.end([(origin(1), 9)].into_iter());
        assert_eq!(ahead.settled_until(&raised(6)), Some(Lsn::new(4)));
    }

    #[test]
    fn bounds_that_were_reached_are_forgotten_with_the_next_ones() {
        let mut ahead = Ahead::default();
        ahead.note([(origin(1), 7)], Lsn::new(5), &raised(3));
        ahead.note([(origin(2), 1)], Lsn::new(9), &raised(7));
        assert_eq!(ahead.len(), 1);
        assert!(!ahead.shown_by(Lsn::new(8), &raised(7)));
    }
}
