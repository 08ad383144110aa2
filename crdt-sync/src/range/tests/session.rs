//! Sessions against the naive difference of two sets.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{Replica, Row, Run, difference, key_range, rows, run, run_over, to_send};
use crate::merkle::Outcome;
use crate::range::{
    Comparison, FanOut, KeyRange, Limits, ProtocolError, RangeSession, Refinement, RefinementPolicy,
};

fn limits() -> impl Strategy<Value = Limits> {
    let max_frame = prop_oneof![Just(0_usize), 1_200_usize..3_000, Just(64 << 10)];
    max_frame.prop_map(|max_frame| Limits { max_frame, ..Limits::default() })
}

fn of(shared: &[Row], own: &[Row]) -> Replica {
    Replica::of(shared.iter().chain(own).cloned())
}

/// Checks a session against the sets, and that repair by its outcome ends in `Converged`.
fn check<P: RefinementPolicy>(
    run: Run<P>,
    (a, b): (&mut Replica, &mut Replica),
    range: &KeyRange,
) -> Result<Run<P>, TestCaseError> {
    let run = run.finish().unwrap();
    let (missing_at_b, missing_at_a) = (a.missing_at(b, range), b.missing_at(a, range));
    prop_assert_eq!(run.initiator.range(), range);
    prop_assert_eq!(run.acceptor.range(), range);
    prop_assert_eq!(run.has_converged(), missing_at_b.is_empty() && missing_at_a.is_empty());
    let (at_a, at_b) = run.differences();
    prop_assert_eq!((at_a.receive, at_b.receive), (missing_at_a.len() as u64, missing_at_b.len() as u64));
    prop_assert!(!at_a.partial && !at_b.partial);
    prop_assert_eq!(&to_send(&run.initiator), &missing_at_b);
    prop_assert_eq!(&to_send(&run.acceptor), &missing_at_a);
    a.repair(missing_at_a);
    b.repair(missing_at_b);
    prop_assert!(run_over(a, b, range, range).has_converged());
    Ok(run)
}

/// Splits and lists as chance has it.
#[derive(Clone)]
struct Fickle(Vec<u32>);

impl RefinementPolicy for Fickle {
    fn refine(&self, Comparison { ours, theirs }: Comparison) -> Refinement {
        let seed = usize::try_from(ours ^ theirs << 3).unwrap();
        match self.0[seed % self.0.len()] {
            0 => Refinement::List,
            parts => Refinement::Split(parts - 1),
        }
    }
}

proptest! {
    #[test]
    fn a_session_finds_what_comparing_the_sets_finds(
        shared in rows(1_000),
        (only_a, only_b) in (rows(300), rows(300)),
        (asked, authorized) in (key_range(), key_range()),
        limits in (limits(), limits()),
    ) {
        let (mut a, mut b) = (of(&shared, &only_a), of(&shared, &only_b));
        let common = asked.intersection(&authorized);
        let run = Run::start((&a, &b), (&asked, &authorized), limits, 0);
        if common.is_empty() {
            prop_assert_eq!(run.finish().err(), Some(ProtocolError::NotAuthorized));
            return Ok(());
        }
        check(run, (&mut a, &mut b), &common)?;
    }

    #[test]
    fn any_policies_find_the_same(
        shared in rows(600),
        (only_a, only_b) in (rows(200), rows(200)),
        range in key_range().prop_filter("not empty", |range| !range.is_empty()),
        limits in (limits(), limits()),
        policies in [proptest::collection::vec(0_u32..40, 1..20), proptest::collection::vec(0_u32..40, 1..20)],
    ) {
        let (mut a, mut b) = (of(&shared, &only_a), of(&shared, &only_b));
        let patient = |limits| Limits { max_rounds: 2_000, ..limits };
        let run = Run::start((&a, &b), (&range, &range), (patient(limits.0), patient(limits.1)), 0);
        check(run.with_policies(policies.map(Fickle)), (&mut a, &mut b), &range)?;
    }

    #[test]
    fn whatever_the_limits_repeated_sessions_converge(
        shared in rows(400),
        (only_a, only_b) in (rows(200), rows(200)),
        (max_open_ranges, max_items, max_amplification) in (0_u32..20, 0_u32..100, 0_u32..4),
    ) {
        let (mut a, mut b) = (of(&shared, &only_a), of(&shared, &only_b));
        let all = KeyRange::all();
        let limits = Limits { max_open_ranges, max_items, max_amplification, ..Limits::default() };
        for round in 0_u128.. {
            prop_assert!(round < 1_000, "sessions that do not get on");
            let run = Run::start((&a, &b), (&all, &all), (limits, Limits::default()), round);
            let run = run.finish().unwrap();
            if run.has_converged() {
                break;
            }
            let (at_a, at_b) = run.differences();
            let (missing_at_b, missing_at_a) = (a.missing_at(&b, &all), b.missing_at(&a, &all));
            let (for_b, for_a) = (to_send(&run.initiator), to_send(&run.acceptor));
            prop_assert!(for_b.iter().all(|row| missing_at_b.contains(row)));
            prop_assert!(for_a.iter().all(|row| missing_at_a.contains(row)));
            prop_assert_eq!(at_a.partial, at_b.partial);
            prop_assert_eq!((at_a.receive, at_b.receive), (for_a.len() as u64, for_b.len() as u64));
            let all_found = for_b.len() == missing_at_b.len() && for_a.len() == missing_at_a.len();
            prop_assert!(all_found || at_a.partial, "a whole session leaves nothing");
            a.repair(for_a);
            b.repair(for_b);
        }
        prop_assert_eq!(&a.rows, &b.rows);
    }
}

#[test]
fn equal_ranges_take_one_frame_each_way() {
    let a = Replica::of([("a/1", 1), ("b/1", 1)]);
    let b = Replica::of([("a/1", 1), ("b/1", 2)]);
    let range = KeyRange::prefix(b"a/").unwrap();
    let run = run_over(&a, &b, &range, &KeyRange::all());
    assert!(run.has_converged());
    assert_eq!((run.frames.len(), run.bytes()), (2, 126));
    assert!(!run_over(&a, &b, &KeyRange::all(), &KeyRange::all()).has_converged());
    assert!(self::run(&Replica::new(), &Replica::new()).has_converged(), "nothing on either side");
}

#[test]
fn a_narrowed_range_takes_one_frame_more() {
    let rows = (0..100_u32).map(|at| (at.to_be_bytes(), 1));
    let (a, b) = (Replica::of(rows.clone()), Replica::of(rows));
    let shared = KeyRange::new(&50_u32.to_be_bytes(), None).unwrap();
    let run = run_over(&a, &b, &KeyRange::all(), &shared);
    assert!(run.has_converged());
    assert_eq!(run.frames.len(), 3);
    assert_eq!((run.initiator.range(), run.acceptor.range()), (&shared, &shared));
}

#[test]
fn a_peer_that_has_nothing_gets_everything_in_two_frames() {
    let full = Replica::of((0..100_000_u32).map(|at| (at.to_be_bytes(), 1)));
    for (a, b) in [(&full, &Replica::new()), (&Replica::new(), &full)] {
        let run = run(a, b);
        assert_eq!(run.frames.len(), 2);
        assert!(run.bytes() < 200);
        let (at_a, at_b) = run.differences();
        assert_eq!(at_a.send.len() + at_b.send.len(), 100_000);
        assert_eq!(at_a.receive + at_b.receive, 100_000);
    }
}

/// Every item of each side lies in another part than those of its peer.
#[test]
fn disjoint_sides_are_told_apart_without_lists() {
    let a = Replica::of((0..50_000_u32).map(|at| (at.to_be_bytes(), 1)));
    let b = Replica::of((50_000..100_000_u32).map(|at| (at.to_be_bytes(), 1)));
    let run = run(&a, &b);
    assert_eq!((to_send(&run.initiator).len(), to_send(&run.acceptor).len()), (50_000, 50_000));
    assert!(run.bytes() < 1_300, "{} bytes", run.bytes());
}

#[test]
fn both_sides_count_the_same_frames() {
    let a = Replica::of((0..5_000_u32).map(|at| (at.to_be_bytes(), 1)));
    let b = Replica::of((0..5_000_u32).map(|at| (at.to_be_bytes(), u128::from(at % 500 == 0))));
    let run = run(&a, &b);
    let (ours, theirs) = (run.initiator.stats(), run.acceptor.stats());
    assert_eq!((ours.bytes_sent, ours.bytes_received), (theirs.bytes_received, theirs.bytes_sent));
    assert_eq!(ours.bytes_sent + ours.bytes_received, run.bytes() as u64);
    assert_eq!((ours.frames as usize, ours.rounds), (run.frames.len(), theirs.rounds));
    assert_eq!(
        (ours.leaves_listed, ours.items_listed),
        (theirs.leaves_listed, theirs.items_listed),
        "both know what was listed"
    );
    assert_eq!(difference(&run.initiator).send.len(), 4_990);
}

/// The keys of one side all lie between two keys of the other, so that its splits tell the other
/// nothing.
#[test]
fn rounds_follow_the_logarithm_whatever_the_keys() {
    let outer = (0..20_000_u32).map(|at| (Vec::from(at.to_be_bytes()), 1));
    let inner = (0..20_000_u32).map(|at| ([&9_999_u32.to_be_bytes()[..], &at.to_be_bytes()].concat(), 1));
    let shared = (Vec::from(9_999_u32.to_be_bytes()), 7);
    let mut a = Replica::of(outer.chain([shared.clone()]));
    let mut b = Replica::of(inner.chain([shared]));
    let run = Run::start((&a, &b), (&KeyRange::all(), &KeyRange::all()), Default::default(), 0);
    let run = check(run, (&mut a, &mut b), &KeyRange::all()).unwrap();
    assert!(run.messages() <= 12, "{} messages", run.messages());
}

#[test]
fn the_default_policy_lists_what_is_small() {
    let refine = |ours| FanOut::default().refine(Comparison { ours, theirs: 1_000_000 });
    assert_eq!(refine(32), Refinement::List);
    assert_eq!(refine(33), Refinement::Split(16));
}

#[test]
fn keys_as_long_as_they_may_be_fit_into_the_smallest_frames() {
    let key = |at: u8, last: u8| [&[at; 1_022][..], &[last, last]].concat();
    let keys = || (0..200_u8).map(|at| key(at, 0));
    let a = Replica::of(keys().chain(keys().map(|key| [&key[..1_023], &[1]].concat())).map(|key| (key, 1)));
    let mut b = Replica::of(a.rows.clone());
    b.put(&key(7, 9), 1);
    let limits = Limits { max_frame: 0, ..Limits::default() };
    let asked = KeyRange::new(&key(3, 3), Some(&key(190, 3))).unwrap();
    let run = Run::start((&a, &b), (&asked, &KeyRange::all()), (limits, limits), 0).finish().unwrap();
    assert_eq!(to_send(&run.acceptor), [(key(7, 9), 1)]);
    assert!(run.frames.iter().skip(2).all(|(_, frame)| frame.len() <= Limits::MIN_FRAME));
    assert!(run.frames[0].1.len() > Limits::MIN_FRAME, "the hello names two long bounds");
}

#[test]
fn nothing_is_to_be_sent_before_the_end() {
    let a = Replica::of([("a", 1)]);
    let session = RangeSession::initiate(a.tree.snapshot(), KeyRange::all(), [0; 16], Limits::default());
    assert_eq!((session.items_to_send().count(), session.outcome()), (0, None::<&Outcome>));
}
