//! The recent entries of each origin, kept to be handed on.
//!
//! Per origin a partition knows a *floor* and a *head*: it applied everything up to the head, in order, and
//! still holds the entries above the floor. A peer whose own head is at or above the floor is served entry
//! by entry; one that is further behind reconciles by a Merkle session instead, after which its head is
//! raised and its floor with it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use crdt_core::ReplicaId;
use replication_log::Lsn;

use crate::bytes::Bytes;
use crate::entry::{Chain, Position};
use crate::scope::Scope;

/// All origins of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    origins: BTreeMap<ReplicaId, History>,
    retained_bytes: usize,
    /// At a partial replica the identities of which it has all entries: those it wrote under.
    whole: Option<BTreeSet<ReplicaId>>,
}

/// One origin.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    floor: Position,
    retained: VecDeque<Retained>,
    /// Its entries were written under another identity: they are kept to divide it again, and not handed on.
    branch: bool,
}

/// An entry above the floor.
#[derive(Clone, Debug)]
pub(crate) struct Retained {
    /// The encoded entry, exactly as its origin wrote it.
    pub(crate) bytes: Bytes,
    /// The chain after it.
    pub(crate) chain: Chain,
    /// Where the local log holds it; it may be handed on once this is durable.
    pub(crate) lsn: Lsn,
}

/// Up to where two histories are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Up to this sequence, and not further.
    Upto(u64),
    /// They part at this sequence or before.
    LessThan(u64),
    /// Nothing is known of both at any one sequence.
    Unknown,
}

impl History {
    /// The oldest position from which entries can be served.
    pub(crate) fn floor(&self) -> Position {
        self.floor
    }

    /// Whether its entries were written under another identity.
    pub(crate) fn is_branch(&self) -> bool {
        self.branch
    }

    /// The position from which peers are served entries.
    pub(crate) fn served_from(&self) -> Position {
        if self.branch { self.head() } else { self.floor }
    }

    /// The last position applied.
    pub(crate) fn head(&self) -> Position {
        self.retained.back().map_or(self.floor, |last| Position {
            sequence: self.floor.sequence + self.retained.len() as u64,
            chain: last.chain,
        })
    }

    /// The position at `sequence`, if it is still known.
    pub(crate) fn at(&self, sequence: u64) -> Option<Position> {
        let above = sequence.checked_sub(self.floor.sequence)?;
        match above.checked_sub(1) {
            None => Some(self.floor),
            Some(index) => {
                let retained = self.retained.get(usize::try_from(index).ok()?)?;
                Some(Position { sequence, chain: retained.chain })
            }
        }
    }

    /// The last sequence that both histories reach.
    pub(crate) fn until(&self, other: &Self) -> u64 {
        self.head().sequence.min(other.head().sequence)
    }

    /// Up to where two histories are one, by their chain values, as far as these are still known. O(log n) for the
    /// entries that both hold.
    pub(crate) fn shared_with(&self, other: &Self) -> Shared {
        let (lowest, last) = (self.floor.sequence.max(other.floor.sequence), self.until(other));
        let is_shared = |sequence: u64| self.at(sequence) == other.at(sequence);
        if lowest > last {
            return Shared::Unknown;
        }
        if !is_shared(lowest) {
            return Shared::LessThan(lowest);
        }
        // Two histories that have parted never meet again.
        let (mut shared, mut parted) = (lowest, last + 1);
        while parted - shared > 1 {
            let middle = shared.midpoint(parted);
            if is_shared(middle) { shared = middle } else { parted = middle }
        }
        Shared::Upto(shared)
    }

    /// A sequence that everything applied up to this record of the log is at or below: the last of that, or the floor,
    /// of which it is not known when it was applied.
    pub(crate) fn applied_by(&self, lsn: Lsn) -> u64 {
        self.floor.sequence + self.retained.partition_point(|retained| retained.lsn <= lsn) as u64
    }

    /// The entries that follow `sequence`, oldest first; `None` when some of them are below the floor.
    pub(crate) fn after(&self, sequence: u64) -> Option<impl Iterator<Item = &Retained>> {
        let skip = sequence.checked_sub(self.floor.sequence)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.retained.len());
        Some(self.retained.range(skip..))
    }
}

impl Histories {
    /// Those of a node that holds this part of the data.
    pub(crate) fn within(scope: &Scope) -> Self {
        Self { whole: (!scope.is_everything()).then(BTreeSet::new), ..Self::default() }
    }

    /// Whatever is written under this identity is held here.
    pub(crate) fn hold_whole(&mut self, origin: ReplicaId) {
        if let Some(whole) = &mut self.whole {
            whole.insert(origin);
        }
    }

    /// Whether all entries of an origin up to its head were applied here, and not only those in the scope.
    pub(crate) fn is_whole(&self, origin: ReplicaId) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.contains(&origin))
    }

    /// At a partial replica the identities it wrote under, ascending; none at others.
    pub(crate) fn own_of_partial(&self) -> impl Iterator<Item = ReplicaId> {
        self.whole.iter().flatten().copied()
    }

    /// The origin's history, if anything of it is known.
    pub(crate) fn get(&self, origin: ReplicaId) -> Option<&History> {
        self.origins.get(&origin)
    }

    /// The last applied position of an origin; the start for an unknown one.
    pub(crate) fn head(&self, origin: ReplicaId) -> Position {
        self.get(origin).map(History::head).unwrap_or_default()
    }

    /// Bytes of all entries that are kept.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.retained_bytes
    }

    /// All origins in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReplicaId, &History)> {
        self.origins.iter().map(|(origin, history)| (*origin, history))
    }

    /// The bytes of the retained entries that are durable.
    pub(crate) fn durable_bytes(&self, durable: Lsn) -> usize {
        let retained = self.origins.values().flat_map(|history| &history.retained);
        retained.filter(|entry| entry.lsn <= durable).map(|entry| entry.bytes.len()).sum()
    }

    /// Appends the entry that follows the head.
    pub(crate) fn push(&mut self, origin: ReplicaId, retained: Retained) {
        self.retained_bytes += retained.bytes.len();
        self.origins.entry(origin).or_default().retained.push_back(retained);
    }

    /// Lifts an origin's head to a position learned as a whole, from a peer's state. What was retained is
    /// forgotten: there is a gap between it and the new head.
    pub(crate) fn raise(&mut self, origin: ReplicaId, to: Position) {
        let history = self.origins.entry(origin).or_default();
        if to.sequence > history.head().sequence {
            self.retained_bytes -= history.retained.iter().map(|r| r.bytes.len()).sum::<usize>();
            *history = History { floor: to, retained: VecDeque::new(), branch: history.branch };
        }
    }

    /// Ends a history at a position; what was above it becomes the history of a branch.
    pub(crate) fn split(
        &mut self,
        segment: ReplicaId,
        at: Position,
        branch: ReplicaId,
        above: VecDeque<Retained>,
    ) {
        let Some(history) = self.origins.get_mut(&segment) else { return };
        let bytes_of = |retained: &VecDeque<Retained>| retained.iter().map(|r| r.bytes.len()).sum::<usize>();
        self.retained_bytes -= bytes_of(&history.retained);
        if at.sequence < history.floor.sequence {
            *history = History { floor: at, retained: VecDeque::new(), branch: history.branch };
        }
        let keep = usize::try_from(at.sequence - history.floor.sequence).unwrap_or(usize::MAX);
        history.retained.truncate(keep);
        self.retained_bytes += bytes_of(&history.retained);
        if at.sequence == 0 {
            self.origins.remove(&segment);
        }
        let known = self.origins.entry(branch).or_default();
        let last = at.sequence + above.len() as u64;
        if known.head().sequence < last {
            self.retained_bytes += bytes_of(&above);
            self.retained_bytes -= bytes_of(&known.retained);
            *known = History { floor: at, retained: above, branch: true };
        }
    }

    /// The history is that of a branch, whose entries are not handed on.
    pub(crate) fn mark_branch(&mut self, origin: ReplicaId) {
        if let Some(history) = self.origins.get_mut(&origin) {
            history.branch = true;
        }
    }

    /// Puts entries in front of a history, whose floor sinks to the position before them.
    pub(crate) fn fill(
        &mut self,
        origin: ReplicaId,
        floor: Position,
        below: VecDeque<Retained>,
        branch: bool,
    ) {
        let Some(history) = self.origins.get_mut(&origin) else { return };
        self.retained_bytes += below.iter().map(|r| r.bytes.len()).sum::<usize>();
        let above = core::mem::replace(&mut history.retained, below);
        history.retained.extend(above);
        history.floor = floor;
        history.branch |= branch;
    }

    /// Drops of each history the last of these entries, and all before it. O(entries held).
    pub(crate) fn drop_through(&mut self, is_last: impl Fn(&Bytes) -> bool) {
        for history in self.origins.values_mut() {
            let Some(last) = history.retained.iter().rposition(|retained| is_last(&retained.bytes)) else {
                continue;
            };
            for first in history.retained.drain(..=last) {
                self.retained_bytes -= first.bytes.len();
                history.floor = Position { sequence: history.floor.sequence + 1, chain: first.chain };
            }
        }
    }

    /// Drops the oldest durable entries of the largest histories until at most `max_bytes` are retained.
    pub(crate) fn shrink_to(&mut self, max_bytes: usize, durable: Lsn) {
        while self.retained_bytes > max_bytes {
            let Some(history) = self
                .origins
                .values_mut()
                .filter(|history| history.retained.front().is_some_and(|first| first.lsn <= durable))
                .max_by_key(|history| history.retained.len())
            else {
                return;
            };
            let drop = (history.retained.len() / 2).max(1);
            let droppable = history.retained.iter().take(drop).take_while(|r| r.lsn <= durable).count();
            for first in history.retained.drain(..droppable) {
                self.retained_bytes -= first.bytes.len();
                history.floor = Position { sequence: history.floor.sequence + 1, chain: first.chain };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn origin() -> ReplicaId {
        ReplicaId::from_u128(7)
    }

    fn filled(entries: u64) -> Histories {
        let mut histories = Histories::default();
        let mut chain = Chain::START;
        for n in 1..=entries {
            let bytes: Vec<u8> = n.to_le_bytes().to_vec();
            chain = chain.then(origin(), 0, &bytes);
            histories.push(origin(), Retained { bytes: bytes.into(), chain, lsn: Lsn::new(n) });
        }
        histories
    }

    #[test]
    fn positions_are_known_from_the_floor_to_the_head() {
        let histories = filled(3);
        let history = histories.get(origin()).expect("filled");
        assert_eq!(history.at(0), Some(Position::default()));
        assert_eq!(history.at(3), Some(history.head()));
        assert_eq!(history.at(4), None);
        assert_eq!(history.after(1).expect("above the floor").count(), 2);
        assert_eq!(history.after(9).expect("nothing above").count(), 0);
    }

    #[test]
    fn what_was_applied_by_a_record_is_known_from_the_floor_on() {
        let mut histories = filled(8);
        histories.shrink_to(16, Lsn::new(4));
        let history = histories.get(origin()).expect("filled");
        let applied: Vec<u64> = [1, 4, 6, 9].map(|lsn| history.applied_by(Lsn::new(lsn))).to_vec();
        assert_eq!(applied, [4, 4, 6, 8]);
    }

    #[test]
    fn shrinking_lifts_the_floor_but_never_past_what_is_durable() {
        let mut histories = filled(8);
        let head = histories.head(origin());
        histories.shrink_to(0, Lsn::new(6));
        let history = histories.get(origin()).expect("filled");
        assert_eq!(history.floor().sequence, 6);
        assert_eq!(history.head(), head);
        assert!(history.after(5).is_none(), "entry 6 can no longer be served");
    }

    #[test]
    fn raising_forgets_what_lies_below_and_ignores_what_is_not_higher() {
        let mut histories = filled(3);
        let head = histories.head(origin());
        histories.raise(origin(), Position { sequence: 2, chain: Chain::START });
        assert_eq!(histories.head(origin()), head);
        let far = Position { sequence: 90, chain: Chain::START.then(origin(), 0, b"x") };
        histories.raise(origin(), far);
        assert_eq!(histories.head(origin()), far);
        assert_eq!(histories.get(origin()).expect("raised").floor(), far);
        assert_eq!(histories.retained_bytes, 0);
    }

    #[test]
    fn two_histories_are_one_up_to_where_their_chain_values_part() {
        let shared = |ours: &Histories, theirs: &Histories| {
            let [ours, theirs] = [ours, theirs].map(|histories| histories.get(origin()).expect("filled"));
            assert_eq!(ours.shared_with(theirs), theirs.shared_with(ours));
            ours.shared_with(theirs)
        };
        let ours = filled(9);
        for common in 0..9 {
            let mut theirs = filled(common);
            let mut chain = theirs.head(origin()).chain;
            for n in common..12 {
                chain = chain.then(origin(), 0, b"theirs");
                let retained = Retained { bytes: Bytes::from("theirs"), chain, lsn: Lsn::new(n + 1) };
                theirs.push(origin(), retained);
                assert_eq!(shared(&ours, &theirs), Shared::Upto(common));
            }
            theirs.shrink_to(0, Lsn::new(common + 1));
            assert_eq!(shared(&ours, &theirs), Shared::LessThan(common + 1));
            theirs.raise(origin(), Position { sequence: 20, chain });
            assert_eq!(shared(&ours, &theirs), Shared::Unknown, "who knows how it came to its head");
            let mut ahead = filled(common + 1);
            ahead.shrink_to(0, Lsn::new(9));
            assert_eq!(shared(&ours, &ahead), Shared::Upto(common + 1));
        }
    }

    #[test]
    fn the_chain_covers_origin_partition_and_past() {
        let there = Chain::START.then(origin(), 0, b"x");
        assert_ne!(there, Chain::START.then(ReplicaId::from_u128(8), 0, b"x"));
        assert_ne!(there, Chain::START.then(origin(), 1, b"x"));
        assert_ne!(there.then(origin(), 0, b"y"), Chain::START.then(origin(), 0, b"y"));
    }
}
