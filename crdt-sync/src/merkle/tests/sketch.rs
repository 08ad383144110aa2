//! The way by sketch: when it is gone, what it finds, and what makes a session leave it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::support::{Replica, Run, run, run_with};
use crate::merkle::frame::{self, FrameWriter, Tag};
use crate::merkle::{Limits, Outcome, ProtocolError, Way};
use crate::sketch::{Cell, CellRun};

const ITEMS: u64 = 3_000;

/// Replicas that keep sketches, of which `differing` keys differ, in turn changed and missing on either side.
fn replicas(differing: u64) -> (Replica, Replica) {
    let fate = |key: u64| (key < differing).then_some(key % 4);
    let a = Replica::of(8, (0..ITEMS).filter(|key| fate(*key) != Some(1)).map(|key| (key, 1)));
    let b = (0..ITEMS).filter(|key| fate(*key) != Some(3));
    let b = Replica::of(8, b.map(|key| (key, 1 + u128::from(matches!(fate(key), Some(0 | 2))))));
    (a.with_sketch(256), b.with_sketch(256))
}

fn assert_found(run: &Run, a: &Replica, b: &Replica) {
    let (at_a, at_b) = run.differences();
    let [mut from_a, mut from_b] = [a.missing_at(b), b.missing_at(a)];
    from_a.sort_unstable();
    from_b.sort_unstable();
    assert_eq!((&at_a.send, &at_b.send), (&from_a, &from_b), "{}", run.initiator.trace());
    assert_eq!((at_a.receive, at_b.receive), (from_b.len() as u64, from_a.len() as u64));
    assert!(!at_a.partial && !at_b.partial);
}

#[test]
fn a_few_differences_are_found_in_two_messages_after_the_estimate() {
    for differing in [1, 2, 3, 10, 50] {
        let (mut a, mut b) = replicas(differing);
        let run = run(&mut a, &mut b);
        assert_eq!(run.initiator.trace().way(), Some(Way::Sketch), "{}", run.initiator.trace());
        assert!(run.messages() == 4 || run.messages() == 6, "{}", run.initiator.trace());
        assert_found(&run, &a, &b);
    }
}

#[test]
fn the_trace_tells_which_way_and_why() {
    let (mut a, mut b) = replicas(40);
    let run = run(&mut a, &mut b);
    let choice = run.initiator.trace().choice().unwrap();
    assert_eq!(choice.way, Way::Sketch);
    assert!((20..80).contains(&choice.estimate));
    assert!(choice.sketch.is_some() && choice.sketch < choice.tree && choice.sketch < choice.stream);
    assert!(run.initiator.trace().to_string().contains(&choice.to_string()));
    assert_eq!(run.acceptor.trace().choice(), None, "the other side chose");
    assert_eq!(run.acceptor.trace().way(), Some(Way::Sketch));
}

#[test]
fn where_most_differs_the_smaller_side_lists() {
    let mut a = Replica::of(8, (0..400).map(|key| (key, 1)));
    let mut b = Replica::of(8, (0..ITEMS).map(|key| (key, 2)));
    let run = run(&mut a, &mut b);
    assert_eq!(run.initiator.trace().way(), Some(Way::Stream), "{}", run.initiator.trace());
    assert_found(&run, &a, &b);
}

#[test]
fn a_large_tree_is_sketched_only_if_a_sketch_is_kept_up() {
    let rows = |first: u64| (first..first + 20_000).map(|key| (key, 1));
    let limits = (Limits::default(), Limits::default());
    let cases = [(None, None, Way::Tree), (Some(64), None, Way::Tree), (Some(64), Some(64), Way::Sketch)];
    for (for_a, for_b, way) in cases {
        let keep = |replica: Replica, cells: Option<usize>| match cells {
            Some(cells) => replica.with_sketch(cells),
            None => replica,
        };
        let mut a = keep(Replica::of(12, rows(0)), for_a);
        let mut b = keep(Replica::of(12, rows(3)), for_b);
        let run = run_with(&mut a, &mut b, limits);
        assert_eq!(run.initiator.trace().way(), Some(way), "{}", run.initiator.trace());
        assert_found(&run, &a, &b);
    }
}

/// A small side without a kept sketch makes one under the salt of the large side's. It does not propose one.
#[test]
fn a_kept_sketch_meets_one_that_is_made() {
    let rows = |first: u64| (first..first + 10_000).map(|key| (key, 1));
    let (mut a, mut b) = (Replica::of(12, rows(0)).with_sketch(64), Replica::of(12, rows(3)));
    for (flip, way) in [(false, Way::Sketch), (true, Way::Tree)] {
        let run = if flip { run(&mut b, &mut a) } else { run(&mut a, &mut b) };
        assert_eq!(run.initiator.trace().way(), Some(way), "{}", run.initiator.trace());
        if flip {
            assert_found(&run, &b, &a);
        } else {
            assert_found(&run, &a, &b);
        }
    }
}

/// Making a sketch takes each side a while for every item. That is not worth the few bytes it saves.
#[test]
fn no_sketch_is_made_for_one_difference() {
    let rows = |version| (0..1_000).map(move |key| (key, if key == 7 { version } else { 1 }));
    let (mut a, mut b) = (Replica::of(4, rows(1)), Replica::of(4, rows(2)));
    let run = run(&mut a, &mut b);
    assert_eq!(run.initiator.trace().way(), Some(Way::Tree), "{}", run.initiator.trace());
    let listed = run.initiator.stats().items_listed;
    assert!((1..150).contains(&listed), "one leaf of sixteen: {listed}");
    assert_found(&run, &a, &b);
}

/// What the initiator sends in place of its sketch, and what becomes of the session.
fn instead_of_the_sketch(build: impl FnOnce(&mut FrameWriter)) -> (Result<(), ProtocolError>, Run) {
    let (mut a, mut b) = replicas(10);
    let mut run = Run::start(&mut a, &mut b, (Limits::default(), Limits::default()));
    for _ in 0..3 {
        run.step(&a, &b).unwrap();
    }
    let mut frame = FrameWriter::new(Tag::Sketch, 1);
    build(&mut frame);
    let frame = frame.seal(|content| run.initiator.frame_check(content));
    let result = run.acceptor.handle(&frame, &b);
    run.initiator.poll_frame().unwrap();
    (result, run)
}

fn cells(frame: &mut FrameWriter, total: u32, run: &CellRun) {
    frame.byte(0);
    frame.number(total);
    frame.bytes(&run.to_bytes());
}

#[test]
fn sketches_that_nobody_may_send_have_their_errors() {
    let run_of = |from, count| CellRun { from, cells: alloc::vec![Cell::default(); count] };
    let error = |total, run: CellRun| instead_of_the_sketch(|frame| cells(frame, total, &run)).0.unwrap_err();
    let max = Limits::default().max_sketch_cells;
    assert_eq!(error(max + 1, run_of(0, 1)), ProtocolError::TooManyCells { cells: max + 1, max });
    assert_eq!(error(9, run_of(1, 1)), ProtocolError::CellOrder { expected: 0, from: 1 });
    assert_eq!(error(9, run_of(0, 10)), ProtocolError::CellOrder { expected: 0, from: 0 });
    assert_eq!(error(9, run_of(0, 0)), ProtocolError::CellOrder { expected: 0, from: 0 });
    let flags = instead_of_the_sketch(|frame| frame.byte(2)).0;
    assert_eq!(flags, Err(ProtocolError::UnknownFlags { flags: 2 }));
    let huge = instead_of_the_sketch(|frame| {
        frame.bytes(&[0, 9, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]); // 2^32 - 1 cells in a frame of 20 bytes
    });
    assert!(matches!(huge.0, Err(ProtocolError::Cells(_))));
}

/// Cells that make no sense are followed by the tree: first more are asked for, then it begins.
#[test]
fn forged_cells_lead_to_the_tree() {
    let (_, b) = replicas(10);
    let noise: Vec<Cell> = {
        let mut other = Replica::of(8, (5_000..8_000).map(|key| (key, 9))).with_sketch(30);
        other.kept.take().unwrap()
    };
    let run = CellRun { from: 0, cells: noise.clone() };
    let (result, mut session) = instead_of_the_sketch(|frame| cells(frame, 30, &run));
    assert_eq!(result, Ok(()));
    let more = session.acceptor.poll_frame().unwrap();
    assert_eq!(more[0], Tag::More.byte());
    let total = frame::decode_more(frame::open(&more).unwrap().body).unwrap();
    let mut frame = FrameWriter::new(Tag::Sketch, 2);
    let rest = noise.iter().cycle().take(total as usize - 30).copied().collect();
    cells(&mut frame, total, &CellRun { from: 30, cells: rest });
    let frame = frame.seal(|content| session.initiator.frame_check(content));
    session.acceptor.handle(&frame, &b).unwrap();
    let answer = session.acceptor.poll_frame().unwrap();
    assert!(answer[0] == Tag::Digests.byte() || answer[0] == Tag::Items.byte());
    assert_eq!(session.acceptor.outcome(), None);
}

/// A sketch of another set, or of none: whatever is read from it, the sender's rest does not agree,
/// and no side takes the other for equal.
#[test]
fn forged_sums_never_converge() {
    for count in [1, 30] {
        let run = CellRun { from: 0, cells: alloc::vec![Cell::default(); count] };
        let (result, session) =
            instead_of_the_sketch(|frame| cells(frame, u32::try_from(count).unwrap(), &run));
        assert_eq!(result, Ok(()));
        assert_ne!(session.acceptor.outcome(), Some(&Outcome::Converged));
        assert_ne!(session.initiator.outcome(), Some(&Outcome::Converged));
    }
}

/// Two items that weigh the same hide from a kept sketch; the roots do not agree, so the tree finds
/// them. The collision is planted: the kept cells are those of the other side.
#[test]
fn what_chance_hides_from_a_sketch_the_tree_finds() {
    let (mut a, mut b) = replicas(1);
    a.kept.clone_from(&b.kept);
    let run = run(&mut a, &mut b);
    assert_eq!(run.initiator.trace().way(), Some(Way::Tree), "{}", run.initiator.trace());
    assert_found(&run, &a, &b);
}

/// The same with other differences beside it: these are found, and that they are not all is said.
#[test]
fn an_incomplete_exchange_is_partial() {
    let (mut a, mut b) = replicas(4);
    let mut hidden = Replica::of(8, b.items());
    hidden.put(0, 1); // as `a` has it
    b.kept = hidden.with_sketch(64).kept;
    a = a.with_sketch(64);
    let run = run(&mut a, &mut b);
    let (at_a, at_b) = run.differences();
    assert_eq!(run.initiator.trace().way(), Some(Way::Sketch), "{}", run.initiator.trace());
    assert!(at_a.partial, "the side that sent the sketch sees it by the rest");
    assert!(!at_a.send.contains(&0) && !at_b.send.contains(&0));
}

#[test]
fn a_sketch_travels_in_frames_of_any_size() {
    let limits = Limits { max_frame: Limits::MIN_FRAME, ..Limits::default() };
    let (mut a, mut b) = replicas(60);
    let run = run_with(&mut a, &mut b, (limits, limits));
    assert_eq!(run.initiator.trace().way(), Some(Way::Sketch), "{}", run.initiator.trace());
    assert!(run.frames.iter().all(|(_, frame)| frame.len() <= Limits::MIN_FRAME));
    assert!(run.frames.iter().filter(|(_, frame)| frame[0] == Tag::Sketch.byte()).count() > 5);
    assert_found(&run, &a, &b);
}
