//! When which partition is compared with whom.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use rand_core::Rng;

use crate::limits::Timing;
use crate::node::NodeId;
use crate::time::Instant;

/// The pairs of a partition and one of its other owners, and when the turn of each comes.
#[derive(Debug)]
pub(super) struct Schedule {
    pairs: BTreeMap<NodeId, BTreeMap<u16, Pair>>,
    /// The same pairs, except those in a session, in the order of their turns.
    turns: BTreeMap<NodeId, BTreeSet<(Instant, u16)>>,
    every: Duration,
    heartbeat: Duration,
}

#[derive(Debug)]
struct Pair {
    /// `None` while a session is under way.
    turn: Option<Instant>,
    /// Not sooner than this, whatever calls for it.
    rests_until: Instant,
    failures: u32,
    /// Something called for a comparison since the last one began.
    marked: bool,
    /// Under way is a session that began when this was marked.
    was_marked: bool,
}

/// How a session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Both sides hold what either held when it began.
    Complete,
    /// Not so; the next try waits, longer each time.
    Failed,
    /// It never began.
    Busy,
}

impl Schedule {
    pub(super) fn new(timing: &Timing) -> Self {
        let (every, heartbeat) = (timing.compare_every, timing.heartbeat);
        Self { pairs: BTreeMap::new(), turns: BTreeMap::new(), every, heartbeat }
    }

    /// These are the pairs from now on. Those that are new have their turn within an eighth of the time between two.
    /// Returns the pairs that are gone. O(pairs · log).
    pub(super) fn set(
        &mut self,
        wanted: impl IntoIterator<Item = (u16, NodeId)>,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<(u16, NodeId)> {
        let mut old = core::mem::take(&mut self.pairs);
        for (partition, node) in wanted {
            let known = old.get_mut(&node).and_then(|of_node| of_node.remove(&partition));
            let of_node = self.pairs.entry(node).or_default();
            if let Some(pair) = known {
                of_node.insert(partition, pair);
            } else if let alloc::collections::btree_map::Entry::Vacant(vacant) = of_node.entry(partition) {
                let turn = now + part_of(self.every / 8, rng);
                let (failures, marked, was_marked) = (0, false, false);
                vacant.insert(Pair { turn: Some(turn), rests_until: now, failures, marked, was_marked });
            }
        }
        self.turns = self.pairs.iter().map(|(node, of_node)| (*node, turns_of(of_node))).collect();
        let gone = old.into_iter().flat_map(|(node, of_node)| of_node.into_keys().map(move |p| (p, node)));
        gone.collect()
    }

    pub(super) fn has(&self, (partition, node): (u16, NodeId)) -> bool {
        self.pairs.get(&node).is_some_and(|of_node| of_node.contains_key(&partition))
    }

    /// Something calls for a comparison soon.
    pub(super) fn mark(&mut self, at: (u16, NodeId), now: Instant) {
        self.change(at, |pair| {
            pair.marked = true;
            pair.turn = pair.turn.map(|turn| turn.min(now.max(pair.rests_until)));
        });
    }

    /// A comparison that something called for is under way or still to come.
    pub(super) fn is_marked(&self, (partition, node): (u16, NodeId)) -> bool {
        let pair = self.pairs.get(&node).and_then(|of_node| of_node.get(&partition));
        pair.is_some_and(|pair| pair.marked)
    }

    /// A session of the pair is under way.
    pub(super) fn begin(&mut self, at: (u16, NodeId)) {
        self.change(at, |pair| {
            pair.turn = None;
            pair.was_marked |= core::mem::take(&mut pair.marked);
        });
    }

    /// A session of the pair is over, or was found not to be needed.
    pub(super) fn end(&mut self, at: (u16, NodeId), ending: Ending, now: Instant, rng: &mut impl Rng) {
        let (every, heartbeat) = (self.every, self.heartbeat);
        self.change(at, |pair| {
            if ending != Ending::Complete {
                pair.marked |= pair.was_marked;
            }
            pair.was_marked = false;
            let wait = match ending {
                Ending::Complete => {
                    pair.failures = 0;
                    pair.rests_until = now + heartbeat;
                    every * 3 / 4 + part_of(every / 2, rng)
                }
                Ending::Failed => {
                    pair.failures = pair.failures.saturating_add(1);
                    let wait = heartbeat * (1 << pair.failures.min(7)) * 3 / 4;
                    pair.rests_until = now + wait;
                    wait + part_of(wait / 4, rng)
                }
                Ending::Busy => {
                    pair.rests_until = now + heartbeat / 2;
                    heartbeat / 2 + part_of(heartbeat / 2, rng)
                }
            };
            let turn = now + wait;
            pair.turn = Some(if pair.marked { turn.min(pair.rests_until) } else { turn });
        });
    }

    /// The turn of a pair is put off.
    pub(super) fn put_off(&mut self, at: (u16, NodeId), until: Instant) {
        self.change(at, |pair| pair.turn = pair.turn.map(|turn| turn.max(until)));
    }

    /// The partitions whose turn with a node has come, the one that waited longest first.
    pub(super) fn due(&self, node: NodeId, now: Instant) -> impl Iterator<Item = u16> {
        let turns = self.turns.get(&node).into_iter().flatten();
        turns.take_while(move |(turn, _)| *turn <= now).map(|(_, partition)| *partition)
    }

    fn change(&mut self, (partition, node): (u16, NodeId), change: impl FnOnce(&mut Pair)) {
        let pair = self.pairs.get_mut(&node).and_then(|of_node| of_node.get_mut(&partition));
        let (Some(pair), Some(turns)) = (pair, self.turns.get_mut(&node)) else { return };
        if let Some(turn) = pair.turn {
            turns.remove(&(turn, partition));
        }
        change(pair);
        if let Some(turn) = pair.turn {
            turns.insert((turn, partition));
        }
    }
}

fn turns_of(of_node: &BTreeMap<u16, Pair>) -> BTreeSet<(Instant, u16)> {
    of_node.iter().filter_map(|(partition, pair)| Some((pair.turn?, *partition))).collect()
}

/// A random part of a span.
fn part_of(span: Duration, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.next_u64() % micros.max(1))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    const HEARTBEAT: Duration = Duration::from_millis(250);

    fn peer() -> NodeId {
        NodeId::from_u128(2)
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    fn schedule_of(partitions: u16) -> (Schedule, ChaCha8Rng) {
        let timing =
            Timing { compare_every: Duration::from_secs(8), heartbeat: HEARTBEAT, ..Timing::DEFAULT };
        let (mut schedule, mut rng) = (Schedule::new(&timing), ChaCha8Rng::from_seed([7; 32]));
        assert_eq!(schedule.set((0..partitions).map(|n| (n, peer())), at(0), &mut rng), []);
        (schedule, rng)
    }

    fn due(schedule: &Schedule, millis: u64) -> usize {
        schedule.due(peer(), at(millis)).count()
    }

    #[test]
    fn a_pair_has_its_turn_about_once_per_span_and_not_all_at_once() {
        let (mut schedule, mut rng) = schedule_of(64);
        assert_eq!(due(&schedule, 1_000), 64, "new pairs have their turn within an eighth");
        for n in 0..64 {
            schedule.begin((n, peer()));
            schedule.end((n, peer()), Ending::Complete, at(1_000), &mut rng);
        }
        assert_eq!(due(&schedule, 1_000 + 5_999), 0);
        let half = due(&schedule, 1_000 + 8_000);
        assert!((16..48).contains(&half), "{half} of 64 in the first half");
        assert_eq!(due(&schedule, 1_000 + 10_000), 64);
    }

    #[test]
    fn a_marked_pair_is_next_but_never_twice_within_a_heartbeat() {
        let (mut schedule, mut rng) = schedule_of(1);
        schedule.begin((0, peer()));
        schedule.end((0, peer()), Ending::Complete, at(1_000), &mut rng);
        schedule.mark((0, peer()), at(1_001));
        assert_eq!((due(&schedule, 1_249), due(&schedule, 1_250)), (0, 1));
    }

    #[test]
    fn a_mark_outlives_the_session_that_failed_it_and_the_one_that_began_before_it() {
        let (mut schedule, mut rng) = schedule_of(1);
        schedule.mark((0, peer()), at(1));
        schedule.begin((0, peer()));
        assert!(!schedule.is_marked((0, peer())));
        schedule.end((0, peer()), Ending::Failed, at(2), &mut rng);
        assert!(schedule.is_marked((0, peer())));
        schedule.begin((0, peer()));
        schedule.mark((0, peer()), at(3));
        schedule.end((0, peer()), Ending::Complete, at(4), &mut rng);
        assert!(schedule.is_marked((0, peer())), "its photograph is older than the mark");
        schedule.begin((0, peer()));
        schedule.end((0, peer()), Ending::Complete, at(5), &mut rng);
        assert!(!schedule.is_marked((0, peer())));
    }

    #[test]
    fn failures_put_off_the_next_try_longer_each_time() {
        let (mut schedule, mut rng) = schedule_of(1);
        for (failures, first) in [(1, 375), (2, 750), (3, 1_500)] {
            schedule.begin((0, peer()));
            schedule.end((0, peer()), Ending::Failed, at(0), &mut rng);
            assert_eq!(due(&schedule, first - 1), 0, "after {failures}");
            assert_eq!(due(&schedule, first + first / 4), 1, "after {failures}");
        }
    }

    #[test]
    fn a_pair_that_stays_keeps_its_turn_when_the_others_change() {
        let (mut schedule, mut rng) = schedule_of(2);
        schedule.begin((0, peer()));
        let gone = schedule.set([(0, peer()), (5, peer())], at(9_000), &mut rng);
        assert_eq!(gone, [(1, peer())]);
        assert_eq!(due(&schedule, 9_999), 1, "the new one only: the other is in its session");
        assert!(schedule.has((0, peer())) && !schedule.has((1, peer())));
    }
}
