//! Sessions against the naive difference of two sets.

use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{KEY, Replica, Run, run, run_with};
use crate::merkle::session::{Outcome, Session};
use crate::merkle::{Item, ItemSource, Limits, Prefix, ProtocolError, Side, Step, TreeKey};

fn rows() -> impl Strategy<Value = Vec<(u64, u128)>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec((0_u64..50, 0_u128..3), 0..60),
        proptest::collection::vec((0_u64..2_000, 0_u128..3), 0..1_000),
    ]
}

fn frames_of(max_frame: usize) -> Limits {
    Limits { max_frame, ..Limits::default() }
}

fn few_rows() -> impl Strategy<Value = Vec<(u64, u128)>> {
    proptest::collection::vec((0_u64..300, 0_u128..3), 0..100)
}

fn leaf_bits() -> impl Strategy<Value = u8> {
    (1_u8..=4).prop_map(|level| 4 * level)
}

fn max_frame() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), 128_usize..2_000, Just(64 << 10)]
}

/// Checks a session against the sets, and that repair by its outcome ends in `Converged`.
fn check(mut a: Replica, mut b: Replica, limits: (Limits, Limits)) -> Result<Run, TestCaseError> {
    let run = run_with(&mut a, &mut b, limits);
    let largest = limits.0.max_frame.min(limits.1.max_frame).max(Limits::MIN_FRAME);
    prop_assert!(run.frames.iter().all(|(_, frame)| frame.len() <= largest));
    // Sixteen children per turn at least; before them the estimate and a sketch that was too small, after them lists.
    let rounds = u16::from(a.tree.leaf_bits().min(b.tree.leaf_bits()).div_ceil(4)) + 8;
    let taken = run.initiator.stats().rounds;
    prop_assert!(taken <= rounds, "{} rounds instead of {}", taken, rounds);

    if a.items() == b.items() {
        prop_assert_eq!(run.initiator.outcome(), Some(&Outcome::Converged));
        prop_assert_eq!(run.acceptor.outcome(), Some(&Outcome::Converged));
        return Ok(run);
    }
    let (at_a, at_b) = run.differences();
    prop_assert_eq!(&at_a.send, &sorted(a.missing_at(&b)));
    prop_assert_eq!(&at_b.send, &sorted(b.missing_at(&a)));
    prop_assert_eq!((at_a.receive, at_b.receive), (at_b.send.len() as u64, at_a.send.len() as u64));
    prop_assert!(!at_a.partial && !at_b.partial);

    let before = Replica::of(4, a.items());
    a.repair_from(&b, &at_b.send);
    b.repair_from(&before, &at_a.send);
    prop_assert!(have_converged(&mut a, &mut b));
    Ok(run)
}

fn have_converged(a: &mut Replica, b: &mut Replica) -> bool {
    let run = run(a, b);
    [run.initiator, run.acceptor].iter().all(|side| side.outcome() == Some(&Outcome::Converged))
}

fn sorted(mut keys: Vec<u64>) -> Vec<u64> {
    keys.sort_unstable();
    keys
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_session_finds_what_comparing_the_sets_finds(
        shared in rows(),
        (only_a, only_b) in (rows(), rows()),
        (bits_a, bits_b) in (leaf_bits(), leaf_bits()),
        (frame_a, frame_b) in (max_frame(), max_frame()),
        max_sketch_cells in prop_oneof![Just(0_u32), Just(40), Just(1 << 15)],
    ) {
        let a = Replica::of(bits_a, shared.iter().chain(&only_a).copied());
        let b = Replica::of(bits_b, shared.iter().chain(&only_b).copied());
        let [frame_a, frame_b] = [frame_a, frame_b].map(frames_of);
        check(a, b, (Limits { max_sketch_cells, ..frame_a }, frame_b))?;
    }

    #[test]
    fn whatever_the_limits_repeated_sessions_converge(
        shared in few_rows(),
        (only_a, only_b) in (few_rows(), few_rows()),
        (max_open_nodes, max_items) in (0_u32..20, 0_u32..40),
        max_frame in max_frame(),
    ) {
        let mut a = Replica::of(12, shared.iter().chain(&only_a).copied());
        let mut b = Replica::of(8, shared.iter().chain(&only_b).copied());
        let limits = Limits { max_frame, max_open_nodes, max_items, ..Limits::default() };
        for round in 0_u128.. {
            prop_assert!(round < 1_000, "sessions that do not get on");
            let run = Run::start_with(&mut a, &mut b, (limits, Limits::default()), round);
            let run = run.finish(&a, &b).unwrap();
            if run.initiator.outcome() == Some(&Outcome::Converged) {
                break;
            }
            let (at_a, at_b) = run.differences();
            let (missing_at_b, missing_at_a) = (a.missing_at(&b), b.missing_at(&a));
            prop_assert!(at_a.send.iter().all(|key| missing_at_b.contains(key)));
            prop_assert!(at_b.send.iter().all(|key| missing_at_a.contains(key)));
            prop_assert_eq!(at_a.partial, at_b.partial);
            let all = at_a.send.len() == missing_at_b.len() && at_b.send.len() == missing_at_a.len();
            prop_assert!(all || at_a.partial, "a whole session leaves nothing");
            let before = Replica::of(4, a.items());
            a.repair_from(&b, &at_b.send);
            b.repair_from(&before, &at_a.send);
        }
        prop_assert_eq!(a.items(), b.items());
    }
}

#[test]
fn two_empty_replicas_agree_in_two_frames() {
    let run = check(Replica::new(16), Replica::new(4), Default::default()).unwrap();
    assert_eq!(run.frames.len(), 2);
}

#[test]
fn an_empty_replica_gets_everything_without_a_drill_down() {
    let full = || Replica::of(12, (0..10_000).map(|key| (key, 1)));
    assert_eq!(check(full(), Replica::new(12), Default::default()).unwrap().frames.len(), 2);
    assert_eq!(check(Replica::new(12), full(), Default::default()).unwrap().frames.len(), 2);
}

#[test]
fn the_smaller_replica_lists_at_once_when_the_other_dwarfs_it() {
    let small = || Replica::of(12, (0..1_000).map(|key| (key, 1)));
    let large = || Replica::of(12, (500..10_000).map(|key| (key, 1)));
    // An acceptor does not list that much for a mere hello, which anybody may have recorded.
    let cases =
        [(check(large(), small(), Default::default()), 5), (check(small(), large(), Default::default()), 4)];
    for (run, messages) in cases {
        let run = run.unwrap();
        assert_eq!(run.initiator.stats().items_listed, 1_000);
        assert_eq!(run.messages(), messages, "{}", run.initiator.trace());
    }
}

#[test]
fn disjoint_replicas_list_before_they_reach_the_leaves() {
    let a = Replica::of(16, (0..5_000).map(|key| (key, 1)));
    let b = Replica::of(16, (5_000..10_000).map(|key| (key, 1)));
    let run = check(a, b, Default::default()).unwrap();
    assert!(run.messages() <= 5, "{}", run.initiator.trace());
    assert_eq!(run.initiator.stats().items_listed, 5_000);
}

#[test]
fn a_subset_asks_for_the_rest_only() {
    let all = (0..3_000).map(|key| (key, 1));
    let (at_a, at_b) = check(Replica::of(8, all.clone()), Replica::of(8, all.step_by(2)), Default::default())
        .unwrap()
        .differences();
    assert_eq!(at_a.send.len(), 1_500);
    assert_eq!(at_b.send, []);
}

#[test]
fn a_changed_value_is_sent_by_both_sides() {
    let a = Replica::of(8, (0..300).map(|key| (key, 1)));
    let b = Replica::of(8, (0..300).map(|key| (key, 2)));
    let (at_a, at_b) = check(a, b, Default::default()).unwrap().differences();
    assert_eq!(at_a.send.len(), 300);
    assert_eq!(at_b.send.len(), 300);
}

/// Keys cannot be chosen so that they share a leaf without the cluster key; with it, or with bad
/// luck, they can.
#[test]
fn one_leaf_may_hold_everything() {
    let probe = Replica::new(8);
    let crowded: Vec<_> =
        (0_u64..).filter(|key| probe.tree.leaf_of(probe.hash(*key)).value() == 3).take(3_000).collect();
    let tiny = Limits { max_frame: Limits::MIN_FRAME, ..Limits::default() };
    for limits in [Limits::default(), tiny] {
        let a = Replica::of(8, crowded.iter().map(|key| (*key, 1)));
        let b = Replica::of(8, crowded.iter().map(|key| (*key, u128::from(key % 10 == 0))));
        check(a, b, (limits, limits)).unwrap();
    }
}

/// The same with so many that no frame holds them.
#[test]
fn a_leaf_of_a_hundred_thousand_items_is_matched() {
    let probe = Replica::new(4);
    let crowded: Vec<_> =
        (0_u64..).filter(|key| probe.tree.leaf_of(probe.hash(*key)).value() == 3).take(100_000).collect();
    let mut a = Replica::of(4, crowded[3..].iter().map(|key| (*key, 1)));
    let mut b = Replica::of(4, crowded[..99_998].iter().map(|key| (*key, 1)));
    let run = run(&mut a, &mut b);
    let (at_a, at_b) = run.differences();
    assert_eq!(at_a.send, crowded[99_998..]);
    assert_eq!(at_b.send, crowded[..3]);
    assert!(run.frames.iter().all(|(_, frame)| frame.len() <= Limits::default().max_frame));
    assert!(run.initiator.stats().items_listed > 99_000, "{}", run.initiator.trace());
}

/// Three replicas that meet in pairs come together, and what one pair has repaired is sent by no
/// other: each item travels to each replica once.
#[test]
fn three_replicas_converge_in_pairs_without_double_repair() {
    let mut replicas =
        [0_u64, 1, 2].map(|at| Replica::of(8, (0..900).map(|key| (key, u128::from(key % 3 == at)))));
    let mut travelled = 0;
    for (number, (one, other)) in [(0, 1), (1, 2), (0, 2), (0, 1), (1, 2), (0, 2)].into_iter().enumerate() {
        let (mut a, mut b) = (Replica::of(8, replicas[one].items()), Replica::of(8, replicas[other].items()));
        let run = Run::start_with(&mut a, &mut b, Default::default(), number as u128).finish(&a, &b).unwrap();
        let (at_a, at_b) = run.differences();
        // Only what is newer there is fetched, as its owner would after comparing versions.
        let before: [usize; 2] = [one, other].map(|at| changes(&replicas[at], &at_a.send, &at_b.send));
        replicas[one].repair_from(&b, &at_b.send);
        replicas[other].repair_from(&a, &at_a.send);
        travelled += before.iter().sum::<usize>();
    }
    assert_eq!(replicas[0].items(), replicas[1].items());
    assert_eq!(replicas[1].items(), replicas[2].items());
    assert_eq!(travelled, 2 * 900, "each of 900 new versions was taken over by two replicas, once");
}

/// How many of the exchanged keys the replica holds in the old version.
fn changes(replica: &Replica, one: &[u64], other: &[u64]) -> usize {
    let mut keys: Vec<_> = one.iter().chain(other).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.iter().filter(|key| replica.items().contains(&(***key, 0))).count()
}

#[test]
fn both_sides_keep_to_the_smaller_frame() {
    let a = Replica::of(16, (0..2_000).map(|key| (key, 1)));
    let b = Replica::of(16, (100..2_100).map(|key| (key, 1)));
    let small = Limits { max_frame: 200, ..Limits::default() };
    let run = check(a, b, (Limits::default(), small)).unwrap();
    assert!(run.frames.iter().all(|(_, frame)| frame.len() <= 200));
    assert!(run.frames.len() > 20);
}

#[test]
fn the_deepest_tree_needs_nine_rounds() {
    let limits = Limits { max_frame: Limits::MIN_FRAME, max_rounds: 9, ..Limits::default() };
    let mut a = Replica::of(20, (0..40_000).map(|key| (key, 1)));
    let mut b = Replica::of(20, (1..40_001).map(|key| (key, 1)));
    // Sixteen children per turn, down to leaves that hold nothing else.
    let crowd: Vec<_> =
        (50_000_u64..).filter(|key| a.tree.leaf_of(a.hash(*key)).value() >> 12 == 0).take(400).collect();
    for key in crowd {
        a.put(key, 1);
        b.put(key, 1);
    }
    let run = run_with(&mut a, &mut b, (limits, limits));
    assert!(run.initiator.stats().rounds <= 9);
    assert_eq!(run.differences().0.send, [0]);
}

#[test]
fn another_cluster_key_is_named_as_such_on_both_sides() {
    let mut ours = Replica::of(8, [(1, 1)]);
    let mut theirs = crate::merkle::BucketTree::new(&TreeKey::new([8; 16]), 8).unwrap();
    let mut initiator = Session::initiate(ours.tree.snapshot(), [1; 16], Limits::default());
    let mut acceptor = Session::accept(theirs.snapshot(), [2; 16], Limits::default());
    let hello = initiator.poll_frame().unwrap();
    assert_eq!(acceptor.handle(&hello, &ours), Err(ProtocolError::KeyMismatch));
    let welcome = acceptor.poll_frame().unwrap();
    assert_eq!(initiator.handle(&welcome, &ours), Err(ProtocolError::KeyMismatch));
    assert_eq!(initiator.error(), Some(ProtocolError::KeyMismatch));
    assert_ne!(KEY, TreeKey::new([8; 16]));
}

#[test]
fn writes_during_a_session_do_not_disturb_it() {
    let mut a = Replica::of(8, (0..1_000).map(|key| (key, 1)));
    let mut b = Replica::of(8, (1..1_001).map(|key| (key, 1)));
    let mut run = Run::start(&mut a, &mut b, Default::default());
    let mut next = 5_000;
    while run.step(&a, &b).unwrap() {
        a.put(next, 1);
        b.put(next + 1, 1);
        b.put(next % 7, 3);
        next += 2;
    }
    // The snapshots differ in two keys. What was written since may be reported where the session
    // looked, no more.
    let (at_a, at_b) = run.differences();
    assert!(at_a.send.contains(&0) && at_b.send.contains(&1_000));
    assert!(at_a.send.iter().all(|key| a.missing_at(&b).contains(key)), "{at_a:?}");
    assert!(at_b.send.iter().all(|key| b.missing_at(&a).contains(key)), "{at_b:?}");
}

/// However many peers ask at once, they ask one snapshot, and all of them get to an end while writes go on.
#[test]
fn many_peers_share_one_snapshot_while_writes_go_on() {
    const PEERS: u64 = 20;
    let mut a = Replica::of(8, (0..1_000).map(|key| (key, 1)));
    let snapshot = a.tree.snapshot();
    let peer = |number: u64| Replica::of(8, (0..1_000).filter(|key| *key != number).map(|key| (key, 1)));
    let mut peers: Vec<(Replica, Run)> = (0..PEERS)
        .map(|number| {
            let mut b = peer(number);
            let nonces = [2 * number, 2 * number + 1].map(|nonce| u128::from(nonce).to_le_bytes());
            let initiator = Session::initiate(snapshot.clone(), nonces[0], Limits::default());
            let acceptor = Session::accept(b.tree.snapshot(), nonces[1], Limits::default());
            (b, Run { initiator, acceptor, frames: Vec::new(), all: Default::default() })
        })
        .collect();
    let (mut rounds, mut are_busy) = (0, true);
    while are_busy {
        are_busy = false;
        for (b, run) in &mut peers {
            a.put(10_000 + rounds, 1);
            rounds += 1;
            are_busy |= run.step(&a, b).unwrap();
        }
    }
    assert!(rounds < PEERS * 16, "writes do not lengthen a session: {rounds}");
    for (number, (b, run)) in (0..PEERS).zip(&peers) {
        let (at_a, at_b) = run.differences();
        assert!(at_a.send.contains(&number) && at_b.send.is_empty(), "peer {number}");
        assert!(at_a.send.iter().all(|key| a.missing_at(b).contains(key)), "peer {number}: {at_a:?}");
    }
    assert_eq!(snapshot.root().count, 1_000);
}

/// A tree that holds an item twice, beside data that hold it once, differs from its peer for good:
/// the session says that it found nothing, which is the sign to rebuild.
#[test]
fn a_tree_that_left_its_data_is_not_reported_as_converged() {
    let mut a = Replica::of(8, (0..100).map(|key| (key, 1)));
    let mut b = Replica::of(8, (0..100).map(|key| (key, 1)));
    a.tree.insert(a.hash(5), 1).unwrap();
    let run = run(&mut a, &mut b);
    let (at_a, at_b) = run.differences();
    assert!(matches!(run.initiator.outcome(), Some(Outcome::Differs(_))));
    assert!(at_a.send.is_empty() && at_a.receive == 0);
    assert!(at_b.send.is_empty() && at_b.receive == 0);
}

/// The same item twice on one side, in tree and data: a multiset differs from its set.
#[test]
fn an_item_held_twice_is_one_too_many() {
    struct Twice<'a>(&'a Replica, u64);
    impl ItemSource for Twice<'_> {
        fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
            self.0.for_each_in(part, &mut |item| {
                f(item);
                if item.handle == self.1 {
                    f(Item { handle: u64::MAX, ..item });
                }
            });
        }
    }
    let mut a = Replica::of(8, (0..100).map(|key| (key, 1)));
    let mut b = Replica::of(8, (0..100).map(|key| (key, 1)));
    a.tree.insert(a.hash(5), 1).unwrap();
    // Lists are of multisets, sketches of sets: these would have either copy sent.
    let limits = Limits { max_sketch_cells: 0, ..Limits::default() };
    let mut initiator = Session::initiate(a.tree.snapshot(), [1; 16], limits);
    let mut acceptor = Session::accept(b.tree.snapshot(), [2; 16], limits);
    while let Some(frame) = initiator.poll_frame() {
        acceptor.handle(&frame, &b).unwrap();
        while let Some(frame) = acceptor.poll_frame() {
            initiator.handle(&frame, &Twice(&a, 5)).unwrap();
        }
    }
    let Some(Outcome::Differs(difference)) = initiator.outcome() else { panic!("{:?}", initiator.outcome()) };
    assert_eq!(difference.send, [u64::MAX]);
}

#[test]
fn the_trace_shows_the_way_down() {
    let mut a = Replica::of(12, (0..20_000).map(|key| (key, 1)));
    let mut b = Replica::of(12, (0..20_000).map(|key| (key, u128::from(key != 77))));
    let leaf = a.tree.leaf_of(a.hash(77));
    let run = run(&mut a, &mut b);
    let trace = run.initiator.trace();
    let [_, _, first, second, items, wants] = trace.rounds() else { panic!("{trace}") };
    assert!(matches!(&first.step, Step::Digests { bits: 8, compared: 256, differing: 1, .. }), "{trace}");
    let Step::Digests { bits: 12, compared: 16, differing: 1, examples } = &second.step else {
        panic!("{trace}")
    };
    assert_eq!(examples[..], [leaf]);
    assert_eq!(
        (first.by, second.by, items.by, wants.by),
        (Side::Remote, Side::Local, Side::Remote, Side::Local)
    );
    assert!(matches!(items.step, Step::Items { parts: 1, .. }));
    assert_eq!(wants.step, Step::Wants { wanted: 1 });

    let stats = run.initiator.stats();
    let bytes: u64 = trace.rounds().iter().map(|round| round.bytes).sum();
    assert_eq!(bytes, stats.bytes_sent + stats.bytes_received);
    assert_eq!(usize::from(stats.rounds), trace.rounds().len());
    assert!(trace.to_string().contains(&alloc::format!("12 bits: 16 compared, 1 differ: {leaf}")), "{trace}");

    // Both sides tell the same story, from their own place.
    let mirrored = run.acceptor.trace().rounds();
    for (ours, theirs) in trace.rounds().iter().zip(mirrored) {
        assert_eq!((&ours.step, ours.bytes, ours.frames), (&theirs.step, theirs.bytes, theirs.frames));
        assert_ne!(ours.by, theirs.by);
    }
}
