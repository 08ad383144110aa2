//! Dividing a history as a pure function: what comes out is what would be there, had the writer used another identity
//! from the cut on.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crdt_core::Dot;
use proptest::prelude::*;
use replication_log::Lsn;

use super::fork::branch_id;
use super::split::Split;
use super::*;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::Collection;
use crate::entry::Position;
use crate::time::WallTime;
use crate::wire::{Cut, KnownForks};

pub(super) const WALL: WallTime = WallTime::from_millis(1_700_000_000_000);

pub(super) fn collections() -> [Collection; 2] {
    [Collection::sets("lists"), Collection::counters("counts")]
}

pub(super) fn replica(seed: u8) -> Replica {
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config = Config::new(NodeId::from_u128(1), cluster, [seed; 32]).with_collections(collections());
    config.leaf_bits = 4;
    let mut replica = Replica::recover(config, Vec::<(Lsn, Vec<u8>)>::new(), WALL).unwrap();
    replica.journal.take();
    replica
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Add(usize, u8),
    Remove(usize, u8),
    Up(usize, u64),
    Down(usize, u64),
}

fn op() -> impl proptest::strategy::Strategy<Value = Op> {
    prop_oneof![
        3 => (0..2usize, 0..4u8).prop_map(|(key, element)| Op::Add(key, element)),
        2 => (0..2usize, 0..4u8).prop_map(|(key, element)| Op::Remove(key, element)),
        2 => (0..2usize, 1..9u64).prop_map(|(key, amount)| Op::Up(key, amount)),
        1 => (0..2usize, 1..9u64).prop_map(|(key, amount)| Op::Down(key, amount)),
    ]
}

fn key(number: usize) -> Bytes {
    format!("key {number}").as_str().into()
}

fn element(number: u8) -> Bytes {
    format!("element {number}").as_str().into()
}

impl Op {
    fn write(self) -> Write {
        let [sets, counters] = collections().map(|collection| collection.id());
        let (collection, number, action) = match self {
            Self::Add(key, which) => (sets, key, Action::Add(element(which))),
            Self::Remove(key, which) => (sets, key, Action::Remove(element(which))),
            Self::Up(key, amount) => (counters, key, Action::Increment(amount)),
            Self::Down(key, amount) => (counters, key, Action::Decrement(amount)),
        };
        Write { collection, key: key(number), action }
    }
}

/// The naive form: live dots and totals by identity, where each write asks who its writer is.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    live: BTreeMap<(usize, u8), BTreeSet<(ReplicaId, u64)>>,
    totals: BTreeMap<(usize, ReplicaId), (u64, u64)>,
    sequence: u64,
}

impl Naive {
    fn act(&mut self, op: Op, writer: impl Fn(u64) -> ReplicaId) {
        let id = writer(self.sequence + 1);
        match op {
            Op::Add(key, element) => {
                self.live.insert((key, element), BTreeSet::from([(id, self.sequence + 1)]));
            }
            // What is not there is not removed, and takes no sequence.
            Op::Remove(key, element) => {
                if self.live.remove(&(key, element)).is_none() {
                    return;
                }
            }
            Op::Up(key, amount) => self.totals.entry((key, id)).or_default().0 += amount,
            Op::Down(key, amount) => self.totals.entry((key, id)).or_default().1 += amount,
        }
        self.sequence += 1;
    }

    fn of(partition: &Partition, ids: &[ReplicaId]) -> Self {
        let [sets, counters] = collections().map(|collection| collection.id());
        let mut naive = Self::default();
        for number in 0..2 {
            let cell = |collection| partition.cells.get(&ItemKey { collection, key: key(number) });
            if let Some(Cell::Set(elements)) = cell(sets).map(|held| &held.cell) {
                for (dot, found) in elements.iter_dots() {
                    let which = (0..4).find(|which| element(*which) == *found).unwrap();
                    let dots = naive.live.entry((number, which)).or_default();
                    dots.insert((dot.replica, dot.counter()));
                }
            }
            if let Some(Cell::Counter(counter)) = cell(counters).map(|held| &held.cell) {
                for &id in ids {
                    let totals = (counter.increments().entry(id), counter.decrements().entry(id));
                    if totals != (0, 0) {
                        naive.totals.insert((number, id), totals);
                    }
                }
            }
        }
        naive.sequence = partition.context.dots().map(Dot::counter).max().unwrap_or_default();
        naive
    }
}

fn position(partition: &Partition, id: ReplicaId, sequence: u64) -> Position {
    partition.histories.get(id).map_or_else(Position::default, |history| history.at(sequence).unwrap())
}

fn cut(replica: &mut Replica, segment: ReplicaId, root: ReplicaId, after: Position) {
    let cuts = Vec::from([(Cut { after, root }, Vec::from([segment]))]);
    replica.learn_forks(0, &KnownForks { cuts, ..KnownForks::default() }).unwrap();
}

proptest! {
    #[test]
    fn what_lies_above_the_cuts_is_as_if_others_had_written_it(
        ops in prop::collection::vec(op(), 1..40),
        at in any::<(u64, u64)>(),
        lowest_first: bool,
    ) {
        let mut replica = replica(1);
        let root = replica.id;
        for op in &ops {
            replica.write(&[op.write()], WALL).unwrap();
        }
        let head = replica.partition(0).histories.head(root).sequence;
        prop_assume!(head > 0);
        let (one, other) = (at.0 % head, at.1 % head);
        let (low, high) = (one.min(other), one.max(other));
        let place = |sequence| position(replica.partition(0), root, sequence);
        let (low_cut, high_cut) = (place(low), place(high));
        let name = |after: Position| branch_id(root, 0, place(after.sequence + 1));
        let names = (name(low_cut), name(high_cut));
        // Whichever is found first: the upper cut may come while the root still holds it, or when the branch does.
        let order = if lowest_first { [low_cut, high_cut] } else { [high_cut, low_cut] };
        for after in order {
            let within = if after == high_cut && lowest_first && low != high { names.0 } else { root };
            cut(&mut replica, within, root, after);
        }
        let writer = |sequence| match sequence {
            sequence if sequence > high => names.1,
            sequence if sequence > low => names.0,
            _ => root,
        };
        let mut naive = Naive::default();
        for op in &ops {
            naive.act(*op, writer);
        }
        let partition = replica.partition(0);
        prop_assert_eq!(Naive::of(partition, &[root, names.0, names.1]), naive);
        let expected: CausalContextOf = (1..=head).map(|sequence| (writer(sequence), sequence)).collect();
        let seen: CausalContextOf = partition.context.dots().map(|dot| (dot.replica, dot.counter())).collect();
        prop_assert_eq!(seen, expected);
        prop_assert!(partition.undivided().is_empty());
        // Whatever comes of it is believed by others, whether or not they have heard it before.
        let (known, mut other) = (partition.forks.known(), super::fork_tests::replica(2));
        for news in [true, false] {
            prop_assert_eq!(other.learn_forks(0, &known).map(|(changed, _)| changed), Ok(news));
        }
        prop_assert_eq!(other.partition(0).forks.known(), known);
    }
}

type CausalContextOf = BTreeSet<(ReplicaId, u64)>;

fn written(ops: &[Op]) -> Replica {
    let mut replica = replica(1);
    for op in ops {
        replica.write(&[op.write()], WALL).unwrap();
    }
    replica
}

#[test]
fn entries_that_do_not_lead_to_the_own_head_divide_nothing() {
    let mut replica = written(&[Op::Up(0, 5), Op::Up(0, 3)]);
    let root = replica.id;
    let other = written(&[Op::Up(0, 5), Op::Up(0, 7)]);
    let head = position(other.partition(0), root, 2);
    let run = other.partition(0).lineage(root, 1, head).unwrap();
    let split = Split { segment: root, after: run.after, run, revived: Vec::new() };
    let before = replica.partition(0).cells.root();
    let refused = replica.partition_mut(0).split(&split, Lsn::ZERO);
    assert_eq!(refused, Err(RunError::Forked { origin: root, sequence: 1 }));
    assert_eq!(replica.partition(0).cells.root(), before);
}

#[test]
fn a_broken_chain_divides_nothing() {
    let mut replica = written(&[Op::Up(0, 5), Op::Up(0, 3)]);
    let root = replica.id;
    let head = replica.partition(0).histories.head(root);
    let mut run = replica.partition(0).lineage(root, 1, head).unwrap();
    run.entries.push("junk".into());
    assert!(replica.partition_mut(0).fill(root, &run).is_err());
}

#[test]
fn a_burnt_identity_takes_no_entry_above_its_end() {
    let mut replica = written(&[Op::Up(0, 5), Op::Up(0, 3)]);
    let root = replica.id;
    let (after, head) = (position(replica.partition(0), root, 1), replica.partition(0).histories.head(root));
    let run = replica.partition(0).lineage(root, 1, head).unwrap();
    cut(&mut replica, root, root, after);
    replica.renew_identity();
    assert_eq!(replica.apply_run(&run, WALL), Err(RunError::Burnt { origin: root, end: 1 }));
}

#[test]
fn more_forks_than_may_be_known_are_refused_whole() {
    let mut replica = written(&[Op::Up(0, 5)]);
    replica.config.limits.max_forks = 0;
    let cuts = Vec::from([(Cut { after: Position::default(), root: replica.id }, Vec::new())]);
    let refused = replica.learn_forks(0, &KnownForks { cuts, ..KnownForks::default() });
    assert_eq!(refused, Err(RunError::TooManyForks { limit: 0 }));
    assert!(!replica.partition(0).forks.is_burnt(replica.id));
}

#[test]
fn a_branch_too_large_for_one_record_stays_undivided() {
    let mut replica = written(&[Op::Up(0, 5), Op::Up(0, 3)]);
    let root = replica.id;
    replica.config.limits.max_batch = 8;
    let after = position(replica.partition(0), root, 1);
    cut(&mut replica, root, root, after);
    assert_eq!(replica.partition(0).undivided().len(), 1);
    assert_eq!(replica.partition(0).histories.head(root).sequence, 2);
}
