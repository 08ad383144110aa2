//! Damaged, misplaced and forged frames. Whatever comes, a session ends: with a typed error, or
//! like any other.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{Replica, Run, run_with};
use crate::merkle::frame::Tag;
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

/// Replicas whose session has every kind of frame, and lists that go on from frame to frame.
pub(super) fn replicas() -> (Replica, Replica) {
    let a = Replica::of(8, (0..150).map(|key| (key, 1)));
    let b = Replica::of(8, (0..150).map(|key| (key + u64::from(key < 20) * 1_000, 1)));
    (a, b)
}

pub(super) fn start(a: &mut Replica, b: &mut Replica) -> Run {
    Run::start(a, b, (SMALL, SMALL))
}

/// Runs a session up to the frame with this number and returns it with the frame, not yet delivered.
pub(super) fn stop_before(a: &mut Replica, b: &mut Replica, number: usize) -> (Run, bool, Vec<u8>) {
    let mut run = start(a, b);
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

/// The frames of a session between the two.
const SESSION: usize = 11;

fn whole_session() -> usize {
    let (mut a, mut b) = replicas();
    let run = run_with(&mut a, &mut b, (SMALL, SMALL));
    for tag in 1..=5 {
        assert!(run.frames.iter().any(|(_, frame)| frame[0] == tag), "no frame with tag {tag}");
    }
    assert_eq!(run.frames.len(), SESSION);
    SESSION
}

#[test]
fn every_damaged_frame_is_noticed() {
    let (mut a, mut b) = replicas();
    for number in 0..whole_session() {
        let (run, _, frame) = stop_before(&mut a, &mut b, number);
        drop(run);
        for at in 0..frame.len() {
            for bit in [0x01, 0x10, 0x80] {
                let (mut run, from_initiator, mut frame) = stop_before(&mut a, &mut b, number);
                frame[at] ^= bit;
                assert!(
                    run.deliver(from_initiator, &frame, &a, &b).is_err(),
                    "frame {number}, byte {at}, bit {bit}"
                );
            }
            let (mut run, from_initiator, frame) = stop_before(&mut a, &mut b, number);
            assert!(
                run.deliver(from_initiator, &frame[..at], &a, &b).is_err(),
                "frame {number} cut to {at} bytes"
            );
        }
    }
}

#[test]
fn every_forged_byte_leads_to_an_end() {
    let (mut a, mut b) = replicas();
    for number in 0..whole_session() {
        let (_, _, frame) = stop_before(&mut a, &mut b, number);
        for at in 0..frame.len() - 4 {
            for bits in [0x01, 0x02, 0x04, 0x7f, 0xff] {
                let (mut run, from_initiator, mut content) = stop_before(&mut a, &mut b, number);
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
    let (mut a, mut b) = replicas();
    for number in 0..whole_session() {
        let (_, _, frame) = stop_before(&mut a, &mut b, number);
        for len in 0..frame.len() - 4 {
            let (mut run, from_initiator, frame) = stop_before(&mut a, &mut b, number);
            let forged = run.forge(from_initiator, frame[..len].to_vec());
            let result = run.deliver(from_initiator, &forged, &a, &b);
            // A list may end early, between two fingerprints of its frame never.
            assert!(result.is_err(), "frame {number} cut to {len} bytes");
            run.exhaust(&a, &b);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_content_leads_to_an_end(
        number in 0..SESSION,
        tag in 1_u8..=5,
        content in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..5], 0..120),
    ) {
        let (mut a, mut b) = replicas();
        let (mut run, from_initiator, original) = stop_before(&mut a, &mut b, number);
        let forged = run.forge(from_initiator, [&[tag, original[1]], &content[..]].concat());
        let _ = run.deliver(from_initiator, &forged, &a, &b);
        run.exhaust(&a, &b);
        prop_assert!(run.initiator.stats().bytes_sent <= SMALL.max_session_bytes);
    }
}

#[test]
fn a_repeated_frame_is_ignored() {
    let (mut a, mut b) = replicas();
    let mut run = start(&mut a, &mut b);
    while run.step(&a, &b).unwrap() {
        for (from_initiator, frame) in run.frames.clone() {
            run.deliver(from_initiator, &frame, &a, &b).unwrap();
        }
    }
    let undisturbed = run_with(&mut a, &mut b, (SMALL, SMALL));
    assert_eq!(run.differences(), undisturbed.differences());
    assert_eq!(run.frames, undisturbed.frames);
}

#[test]
fn a_lost_frame_is_noticed_at_the_next_one() {
    let (mut a, mut b) = replicas();
    let (mut run, from_initiator, lost) = stop_before(&mut a, &mut b, 4);
    assert!(from_initiator);
    let next = run.initiator.poll_frame().unwrap();
    let error = ProtocolError::OutOfOrder { expected: 2, found: 3 };
    assert_eq!(run.acceptor.handle(&next, &b), Err(error));
    assert_eq!(run.acceptor.handle(&lost, &b), Err(error), "the session is dead");
    assert_eq!((run.acceptor.error(), run.acceptor.outcome()), (Some(error), None));
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
