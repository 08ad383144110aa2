//! Damaged, misplaced and forged frames. Whatever comes, a session ends: with a typed error, or
//! like any other.

use alloc::vec;
use alloc::vec::Vec;

use allocation_counter::measure;
use proptest::prelude::*;

use super::support::{Replica, Run, run_with};
use crate::merkle::frame::{self, FrameWriter, Tag};
use crate::merkle::prf::hello_check;
use crate::merkle::{Limits, Outcome, ProtocolError};

pub(super) const SMALL: Limits = Limits {
    max_frame: Limits::MIN_FRAME,
    max_open_nodes: 1 << 16,
    max_items: 1 << 20,
    max_sketch_cells: 0,
    max_rounds: 24,
    max_session_bytes: 1 << 16,
    max_ahead_bytes: 1 << 12,
};

/// A session by sketch.
const SKETCHING: Limits = Limits { max_sketch_cells: 200, ..SMALL };

/// Replicas whose session by tree has every kind of frame that there is on this way, and lists that
/// go on from frame to frame.
pub(super) fn replicas() -> (Replica, Replica) {
    let a = Replica::of(8, (0..150).map(|key| (key, 1)));
    let b = Replica::of(8, (0..150).map(|key| (key + u64::from(key < 20) * 1_000, 1)));
    (a, b)
}

/// Replicas whose session by sketch has two frames of cells.
fn sketched() -> (Replica, Replica) {
    let a = Replica::of(8, (0..600).map(|key| (key, 1)));
    let b = Replica::of(8, (3..600).map(|key| (key, 1 + u128::from(key % 150 == 0))));
    (a.with_sketch(64), b.with_sketch(64))
}

type Pair = fn() -> (Replica, Replica);

/// The two kinds of session.
fn kinds() -> [(Limits, Pair); 2] {
    [(SMALL, replicas), (SKETCHING, sketched)]
}

pub(super) fn start(a: &mut Replica, b: &mut Replica) -> Run {
    Run::start(a, b, (SMALL, SMALL))
}

/// Runs a session up to the frame with this number and returns it with the frame, not yet delivered.
pub(super) fn stop_before(a: &mut Replica, b: &mut Replica, number: usize) -> (Run, bool, Vec<u8>) {
    stop_with(SMALL, a, b, number)
}

fn stop_with(limits: Limits, a: &mut Replica, b: &mut Replica, number: usize) -> (Run, bool, Vec<u8>) {
    let mut run = Run::start(a, b, (limits, limits));
    for _ in 0..number {
        assert!(run.step(a, b).unwrap());
    }
    if let Some(frame) = run.initiator.poll_frame() {
        return (run, true, frame);
    }
    let frame = run.acceptor.poll_frame().unwrap();
    (run, false, frame)
}

impl Run {
    pub(super) fn deliver(
        &mut self,
        from_initiator: bool,
        frame: &[u8],
        a: &Replica,
        b: &Replica,
    ) -> Result<(), ProtocolError> {
        if from_initiator { self.acceptor.handle(frame, b) } else { self.initiator.handle(frame, a) }
    }

    /// Carries on to the end, whatever the errors.
    pub(super) fn exhaust(&mut self, a: &Replica, b: &Replica) {
        for _ in 0..5_000 {
            if let Ok(false) = self.step(a, b) {
                return;
            }
        }
        panic!("the session does not end");
    }

    /// Seals a frame as the sender would.
    pub(super) fn forge(&self, from_initiator: bool, mut content: Vec<u8>) -> Vec<u8> {
        let sender = if from_initiator { &self.initiator } else { &self.acceptor };
        let is_hello = content.first().is_some_and(|tag| *tag <= Tag::Welcome.byte());
        let check = if is_hello { hello_check(&content) } else { sender.frame_check(&content) };
        content.extend_from_slice(&check);
        content
    }
}

fn frames_of(limits: Limits, (mut a, mut b): (Replica, Replica)) -> usize {
    run_with(&mut a, &mut b, (limits, limits)).frames.len()
}

#[test]
fn the_two_kinds_of_session_have_their_frames() {
    for ((limits, replicas), tags) in kinds().into_iter().zip([&[1, 2, 3, 4, 5][..], &[1, 2, 8, 9, 11][..]]) {
        let (mut a, mut b) = replicas();
        let run = run_with(&mut a, &mut b, (limits, limits));
        for tag in tags {
            assert!(
                run.frames.iter().any(|(_, frame)| frame[0] == *tag),
                "no {tag}: {}",
                run.initiator.trace()
            );
        }
    }
}

fn replicas_for(limits: Limits) -> (Replica, Replica) {
    if limits == SMALL { replicas() } else { sketched() }
}

/// Every frame of either kind of session.
fn all_frames() -> impl Iterator<Item = (Limits, usize)> {
    kinds()
        .into_iter()
        .flat_map(|(limits, replicas)| (0..frames_of(limits, replicas())).map(move |number| (limits, number)))
}

#[test]
fn every_damaged_frame_is_noticed() {
    for (limits, number) in all_frames() {
        let (mut a, mut b) = replicas_for(limits);
        let (run, _, frame) = stop_with(limits, &mut a, &mut b, number);
        drop(run);
        for at in 0..frame.len() {
            for bit in [0x01, 0x10, 0x80] {
                let (mut run, from_initiator, mut frame) = stop_with(limits, &mut a, &mut b, number);
                frame[at] ^= bit;
                assert!(
                    run.deliver(from_initiator, &frame, &a, &b).is_err(),
                    "frame {number}, byte {at}, bit {bit}"
                );
            }
            let (mut run, from_initiator, frame) = stop_with(limits, &mut a, &mut b, number);
            assert!(
                run.deliver(from_initiator, &frame[..at], &a, &b).is_err(),
                "frame {number} cut to {at} bytes"
            );
        }
    }
}

#[test]
fn every_forged_byte_leads_to_an_end() {
    for (limits, number) in all_frames() {
        let (mut a, mut b) = replicas_for(limits);
        let (_, _, frame) = stop_with(limits, &mut a, &mut b, number);
        for at in 0..frame.len() - 4 {
            for bits in [0x01, 0x02, 0x04, 0x7f, 0xff] {
                let (mut run, from_initiator, mut content) = stop_with(limits, &mut a, &mut b, number);
                content.truncate(content.len() - 4);
                content[at] ^= bits;
                let forged = run.forge(from_initiator, content);
                let _ = run.deliver(from_initiator, &forged, &a, &b);
                run.exhaust(&a, &b);
                if number > 1 {
                    let converged = Some(&Outcome::Converged);
                    assert!(run.initiator.outcome() != converged && run.acceptor.outcome() != converged);
                }
            }
        }
    }
}

#[test]
fn every_truncation_sealed_anew_is_an_error() {
    for (limits, number) in all_frames() {
        let (mut a, mut b) = replicas_for(limits);
        let (_, _, frame) = stop_with(limits, &mut a, &mut b, number);
        for len in 0..frame.len() - 4 {
            let (mut run, from_initiator, frame) = stop_with(limits, &mut a, &mut b, number);
            let forged = run.forge(from_initiator, frame[..len].to_vec());
            let result = run.deliver(from_initiator, &forged, &a, &b);
            // A list may end early, between two fingerprints of its frame never.
            assert!(result.is_err(), "frame {number} cut to {len} bytes");
            run.exhaust(&a, &b);
        }
    }
}

/// A frame of twenty bytes that speaks of four billion entries costs no more memory than another one.
#[test]
fn a_claimed_count_costs_no_memory() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let bodies = [
        (Tag::Digests, [&[0][..], &huge, &huge].concat()),
        (Tag::Digests, [&[0, 1, 1, 1, 12, 4][..]].concat()),
        (Tag::Items, [&[0][..], &huge, &huge].concat()),
        (Tag::Items, [&[0, 1, 1, 1, 32, 8][..], &huge].concat()),
        (Tag::Wants, [&huge[..], &huge].concat()),
        (Tag::Sketch, [&[0][..], &huge, &[0], &huge].concat()),
        (Tag::Found, [&[1, 8][..], &huge].concat()),
        (Tag::Again, [&[0][..], &huge, &huge].concat()),
    ];
    for (limits, _) in kinds() {
        for (tag, body) in &bodies {
            let (mut a, mut b) = replicas_for(limits);
            let (mut run, from_initiator, _) = stop_with(limits, &mut a, &mut b, 2);
            let forged = run.forge(from_initiator, [&[tag.byte(), 1][..], body].concat());
            let mut result = Ok(());
            let memory = measure(|| result = run.deliver(from_initiator, &forged, &a, &b));
            assert!(result.is_err(), "{tag:?}");
            assert!(memory.bytes_max < 1_024, "{tag:?}: {} bytes for {}", memory.bytes_max, forged.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_content_leads_to_an_end(
        (limits, number) in (0..all_frames().count()).prop_map(|at| all_frames().nth(at).unwrap()),
        tag in 1_u8..=11,
        content in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..5], 0..120),
    ) {
        let (mut a, mut b) = replicas_for(limits);
        let (mut run, from_initiator, original) = stop_with(limits, &mut a, &mut b, number);
        let forged = run.forge(from_initiator, [&[tag, original[1]], &content[..]].concat());
        let _ = run.deliver(from_initiator, &forged, &a, &b);
        run.exhaust(&a, &b);
        prop_assert!(run.initiator.stats().bytes_sent <= SMALL.max_session_bytes);
    }
}

#[test]
fn a_repeated_frame_is_ignored() {
    for (limits, replicas) in kinds() {
        let (mut a, mut b) = replicas();
        let mut run = Run::start(&mut a, &mut b, (limits, limits));
        while run.step(&a, &b).unwrap() {
            // A hello that comes again is answered again, see the tests of losses.
            for (from_initiator, frame) in run.frames.clone().into_iter().skip(1) {
                run.deliver(from_initiator, &frame, &a, &b).unwrap();
            }
        }
        let undisturbed = run_with(&mut a, &mut b, (limits, limits));
        assert_eq!(run.differences(), undisturbed.differences());
        assert_eq!(run.frames, undisturbed.frames);
    }
}

/// A hello shows that its sender held the key once; it may have been recorded. Until the peer shows
/// that it holds the key now, an acceptor sends one datagram at most, however often it is asked.
#[test]
fn a_recorded_hello_is_answered_by_one_datagram_at_most() {
    for items in [0, 10, 60, 1_000, 5_000] {
        for peer_items in [1, 50, 900, 5_000] {
            for max_sketch_cells in [0, 1 << 15] {
                let limits = Limits { max_sketch_cells, ..Limits::default() };
                let mut a = Replica::of(12, (0..peer_items).map(|key| (key, 1)));
                let mut b = Replica::of(12, (0..items).map(|key| (key, 2)));
                let mut run = Run::start(&mut a, &mut b, (limits, limits));
                let hello = run.initiator.poll_frame().unwrap();
                for times in 1..4 {
                    run.acceptor.handle(&hello, &b).unwrap();
                    while run.acceptor.poll_frame().is_some() {}
                    let sent = run.acceptor.stats().bytes_sent;
                    assert!(sent <= times * Limits::MAX_FIRST_ANSWER as u64, "{items}, {peer_items}: {sent}");
                }
            }
        }
    }
}

/// A peer that sends digests of nothing has everything differ, down to the leaves. What it costs is
/// bounded by what was announced.
#[test]
fn a_peer_that_claims_that_everything_differs_meets_the_limits() {
    let mut a = Replica::of(12, (0..5_000).map(|key| (key, 1)));
    let mut b = Replica::of(12, (1..5_001).map(|key| (key, 1)));
    let limits = Limits { max_open_nodes: 300, max_items: 200, max_sketch_cells: 0, ..Limits::default() };
    let mut run = Run::start(&mut a, &mut b, (limits, limits));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let (mut open, mut bits, mut sequence) = (1_u32, 0_u8, 1);
    let mut received = 0;
    while run.initiator.outcome().is_none() && run.initiator.error().is_none() && bits < 12 {
        let mut frame = FrameWriter::new(Tag::Digests, sequence);
        frame.byte(0);
        let all: Vec<u32> = (0..open).collect();
        frame.set(open, all.into_iter());
        frame.byte(2);
        frame.byte(3);
        frame.bytes(&vec![0xa5; 3 * ((open as usize) << 2)]);
        let frame = frame.seal(|content| run.acceptor.frame_check(content));
        received += frame.len();
        let _ = run.initiator.handle(&frame, &a);
        let answer: Vec<Vec<u8>> = core::iter::from_fn(|| run.initiator.poll_frame()).collect();
        let Some(digests) = answer.first().filter(|frame| frame[0] == Tag::Digests.byte()) else { break };
        // The peer's turn: it now says that all that it was asked about differs.
        let level = frame::Digests::decode(frame::open(digests).unwrap().body).unwrap().level.unwrap();
        open = u32::try_from(level.digests.len() / usize::from(level.width)).unwrap();
        bits += 2 + level.fanout;
        sequence += 1;
    }
    let stats = run.initiator.stats();
    assert!(stats.items_listed <= limits.max_items, "{}", run.initiator.trace());
    assert!(stats.bytes_sent + stats.bytes_received <= (received + (300 << 12) * 4) as u64);
}

/// Each turn of digests goes deeper, so a part of the tree cannot be split again for ever; estimates
/// go nowhere, so they are counted.
#[test]
fn a_peer_that_estimates_for_ever_is_left() {
    let (mut a, mut b) = sketched();
    let limits = Limits { max_rounds: 8, ..Limits::default() };
    let mut run = Run::start(&mut a, &mut b, (limits, limits));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let mut error = Ok(());
    for sequence in 1..20 {
        let mut frame = FrameWriter::new(Tag::Estimate, sequence);
        frame.byte(6);
        frame.bytes(&[0x5a; 64]);
        let frame = frame.seal(|content| run.acceptor.frame_check(content));
        error = error.and(run.initiator.handle(&frame, &a));
        if error.is_err() {
            break;
        }
    }
    assert!(matches!(error, Err(ProtocolError::TooManyRounds { .. } | ProtocolError::Unexpected { .. })));
}

#[test]
fn frames_of_another_session_or_of_oneself_are_foreign() {
    let (mut a, mut b) = replicas();
    let (mut run, from_initiator, frame) = stop_before(&mut a, &mut b, 3);
    assert!(from_initiator);
    assert_eq!(run.initiator.handle(&frame, &a), Err(ProtocolError::Corrupt), "an echo");

    let mut other = Run::start_with(&mut a, &mut b, (SMALL, SMALL), 1);
    for _ in 0..3 {
        other.step(&a, &b).unwrap();
    }
    assert_eq!(other.acceptor.handle(&frame, &b), Err(ProtocolError::Corrupt), "another session");

    let mut lonely = start(&mut a, &mut b);
    let hello = lonely.initiator.poll_frame().unwrap();
    let error = ProtocolError::Unexpected { tag: Tag::Hello.byte() };
    assert_eq!(
        lonely.initiator.handle(&hello, &a),
        Err(error),
        "an echoed hello must not look like an equal peer"
    );
}

#[test]
fn nothing_takes_an_outcome_back() {
    let (mut a, mut b) = replicas();
    let mut run = run_with(&mut a, &mut b, (SMALL, SMALL));
    let found = run.differences();
    let (_, last) = run.frames.last().unwrap().clone();
    run.deliver(run.frames.last().unwrap().0, &last, &a, &b).unwrap();
    let after =
        u8::try_from(run.frames.iter().filter(|(from_initiator, _)| !from_initiator).count()).unwrap();
    let late = run.forge(false, vec![Tag::Wants.byte(), after, 0, 0, 0]);
    assert_eq!(run.initiator.handle(&late, &a), Err(ProtocolError::Over));
    assert!(run.initiator.handle(b"noise", &a).is_err());
    assert_eq!(run.differences(), found);
}

#[test]
fn a_session_that_costs_too_much_ends() {
    let (a, b) = replicas();
    let tight = |limits: Limits| {
        let mut run =
            Run::start(&mut Replica::of(8, a.items()), &mut Replica::of(8, b.items()), (limits, SMALL));
        while let Ok(true) = run.step(&a, &b) {}
        run.initiator.error()
    };
    assert_eq!(
        tight(Limits { max_session_bytes: 500, ..SMALL }),
        Some(ProtocolError::TooManyBytes { max: 500 })
    );
    assert_eq!(tight(Limits { max_rounds: 3, ..SMALL }), Some(ProtocolError::TooManyRounds { max: 3 }));
    assert_eq!(tight(SMALL), None);
}
