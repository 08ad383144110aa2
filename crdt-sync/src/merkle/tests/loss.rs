//! Frames that are lost, doubled and reordered between two sessions.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{Replica, Run, run_with};
use crate::merkle::{Limits, Outcome, ProtocolError, Session};

/// Many small frames.
fn small(max_sketch_cells: u32) -> Limits {
    Limits { max_frame: 200, max_sketch_cells, ..Limits::default() }
}

fn replicas() -> (Replica, Replica) {
    let a = Replica::of(8, (0..3_000).map(|key| (key, 1)));
    let b = Replica::of(8, (20..3_020).map(|key| (key, 1 + u128::from(key % 100 == 0))));
    (a, b)
}

/// What happens to a frame on its way.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Arrives,
    Lost,
    Doubled,
    /// Arrives behind the next one.
    Late,
}

/// Two sessions with a bad network between them, and a timer on each side that rings when nothing
/// moves.
struct Network {
    sides: [Session; 2],
    /// On the way to each side.
    under_way: [Vec<Vec<u8>>; 2],
    /// Sent by either side, the frames that ask again excluded.
    sent: u64,
    timeouts: u32,
}

const AGAIN: u8 = 6;

impl Network {
    fn new(a: &mut Replica, b: &mut Replica, limits: Limits) -> Self {
        let Run { initiator, acceptor, .. } = Run::start(a, b, (limits, limits));
        Self { sides: [initiator, acceptor], under_way: [Vec::new(), Vec::new()], sent: 0, timeouts: 0 }
    }

    /// Carries frames until both sides have an outcome.
    fn run(mut self, a: &Replica, b: &Replica, mut fate: impl FnMut() -> Fate) -> Self {
        for _ in 0..10_000 {
            let mut is_idle = true;
            for from in 0..2 {
                while let Some(frame) = self.sides[from].poll_frame() {
                    is_idle = false;
                    self.sent += u64::from(frame[0] != AGAIN);
                    self.post(1 - from, frame, fate());
                }
            }
            for to in 0..2 {
                for frame in core::mem::take(&mut self.under_way[to]) {
                    is_idle = false;
                    match self.sides[to].handle(&frame, [a, b][to]) {
                        Ok(()) | Err(ProtocolError::Over) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            if self.sides.iter().all(|side| side.outcome().is_some()) {
                return self;
            }
            if is_idle {
                self.timeouts += 1;
                self.sides.iter_mut().filter(|side| side.outcome().is_none()).for_each(Session::resend);
            }
        }
        panic!("the sessions do not end");
    }

    fn post(&mut self, to: usize, frame: Vec<u8>, fate: Fate) {
        match fate {
            Fate::Lost => {}
            Fate::Arrives => self.under_way[to].push(frame),
            Fate::Doubled => self.under_way[to].extend([frame.clone(), frame]),
            Fate::Late => self.under_way[to].insert(0, frame),
        }
    }

    fn send(&self) -> [Vec<u64>; 2] {
        [0, 1].map(|side| match self.sides[side].outcome() {
            Some(Outcome::Differs(difference)) => difference.send.clone(),
            outcome => panic!("{outcome:?}"),
        })
    }
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        4 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Late),
    ];
    proptest::collection::vec(fate, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_network_does_the_outcome_is_the_same(
        fates in fates(),
        max_sketch_cells in prop_oneof![Just(0_u32), Just(1_000)],
        max_ahead_bytes in prop_oneof![Just(0_usize), Just(500), Just(1 << 20)],
    ) {
        let (mut a, mut b) = replicas();
        let limits = Limits { max_ahead_bytes, ..small(max_sketch_cells) };
        let undisturbed = run_with(&mut a, &mut b, (limits, limits));
        // Fates do not repeat for ever, or nothing might ever arrive.
        let mut fates = fates.into_iter();
        let network = Network::new(&mut a, &mut b, limits);
        let network = network.run(&a, &b, || fates.next().unwrap_or(Fate::Arrives));
        let (at_a, at_b) = undisturbed.differences();
        prop_assert_eq!(network.send(), [at_a.send, at_b.send]);
    }
}

/// Of a session with dozens of frames each one is lost in turn.
#[test]
fn a_loss_costs_one_timeout_and_one_retransmission() {
    let (mut a, mut b) = replicas();
    for max_sketch_cells in [0, 1_000] {
        let limits = small(max_sketch_cells);
        let frames = run_with(&mut a, &mut b, (limits, limits)).frames.len() as u64;
        assert!(frames > 10);
        for lost in 0..frames {
            let mut number = 0;
            let network = Network::new(&mut a, &mut b, limits).run(&a, &b, || {
                number += 1;
                if number == lost + 1 { Fate::Lost } else { Fate::Arrives }
            });
            // A lost welcome is asked for by the hello, and comes with the frame that followed it.
            let cost = if lost == 1 { 3 } else { 1 };
            assert_eq!((network.sent, network.timeouts), (frames + cost, 1), "frame {lost} was lost");
            let repeated: u32 = network.sides.iter().map(|side| side.stats().repeated).sum();
            assert_eq!(u64::from(repeated), cost);
        }
    }
}

#[test]
fn what_is_repeated_are_the_same_bytes() {
    let (mut a, mut b) = replicas();
    let mut run = Run::start(&mut a, &mut b, (small(0), small(0)));
    let mut turn = Vec::new();
    while turn.len() < 3 {
        for frame in core::mem::take::<Vec<Vec<u8>>>(&mut turn) {
            run.initiator.handle(&frame, &a).unwrap();
        }
        while let Some(frame) = run.initiator.poll_frame() {
            run.acceptor.handle(&frame, &b).unwrap();
        }
        turn.extend(core::iter::from_fn(|| run.acceptor.poll_frame()));
    }
    run.initiator.handle(&turn[0], &a).unwrap();
    run.initiator.resend();
    let again = run.initiator.poll_frame().unwrap();
    run.acceptor.handle(&again, &b).unwrap();
    for frame in &turn[1..] {
        assert_eq!(run.acceptor.poll_frame().as_ref(), Some(frame));
    }
    assert_eq!(run.acceptor.poll_frame(), None);
}

/// Two sides that answered every repeated frame would keep each other busy for ever.
#[test]
fn repeated_frames_are_not_answered_except_hellos() {
    let (mut a, mut b) = replicas();
    let mut run = Run::start(&mut a, &mut b, (small(0), small(0)));
    let hello = run.initiator.poll_frame().unwrap();
    run.acceptor.handle(&hello, &b).unwrap();
    let mut welcome = Vec::new();
    while let Some(frame) = run.acceptor.poll_frame() {
        welcome.push(frame);
    }
    run.acceptor.handle(&hello, &b).unwrap();
    for frame in &welcome {
        assert_eq!(run.acceptor.poll_frame().as_ref(), Some(frame), "the welcome was lost");
    }
    for frame in &welcome {
        run.initiator.handle(frame, &a).unwrap();
    }
    let answer = run.initiator.poll_frame().unwrap();
    for frame in &welcome {
        run.initiator.handle(frame, &a).unwrap();
    }
    run.acceptor.handle(&answer, &b).unwrap();
    run.acceptor.handle(&answer, &b).unwrap();
    run.acceptor.handle(&hello, &b).unwrap();
    assert_eq!(run.acceptor.poll_frame(), None, "the welcome was answered already");
}

#[test]
fn a_frame_from_far_ahead_is_no_honest_one() {
    let (mut a, mut b) = replicas();
    let mut run = Run::start(&mut a, &mut b, (small(0), small(0)));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let far = run.forge(false, [&[3][..], &[0xff, 0xff, 0x7f], &[0, 0, 0]].concat());
    let error = ProtocolError::OutOfOrder { expected: 1, found: 0x1f_ffff };
    assert_eq!(run.initiator.handle(&far, &a), Err(error));

    let mut run = Run::start(&mut a, &mut b, (small(0), small(0)));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let again = run.forge(false, [&[AGAIN, 9][..], &[0, 0, 0]].concat());
    assert_eq!(run.initiator.handle(&again, &a), Err(ProtocolError::NeverSent { found: 9, sent: 1 }));
}

/// What came too early is kept up to a bound, and beyond it as good as lost.
#[test]
fn early_frames_are_kept_within_their_bound() {
    let (mut a, mut b) = replicas();
    for (max_ahead_bytes, held) in [(1 << 20, true), (0, false)] {
        let limits = Limits { max_ahead_bytes, ..small(0) };
        let mut run = Run::start(&mut a, &mut b, (limits, limits));
        run.step(&a, &b).unwrap();
        let mut turn = Vec::new();
        while let Some(frame) = run.acceptor.poll_frame() {
            turn.push(frame);
        }
        for frame in turn.iter().rev() {
            run.initiator.handle(frame, &a).unwrap();
        }
        assert_eq!(run.initiator.poll_frame().is_some(), held, "{max_ahead_bytes} bytes");
    }
}
