//! Damaged, misplaced and forged frames. Whatever comes, a session ends: with a typed error, or
//! like any other.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::{Replica, Run, to_send};
use crate::merkle::Outcome;
use crate::merkle::ProtocolError as Form;
use crate::range::frame::{self, Tag, hello_check};
use crate::range::{
    Comparison, FanOut, KeyRange, Limits, ProtocolError, RangeSession, Refinement, RefinementPolicy,
};

pub(super) const SMALL: Limits = Limits {
    max_frame: Limits::MIN_FRAME,
    max_open_ranges: 1 << 16,
    max_items: 1 << 20,
    max_rounds: 32,
    max_session_bytes: 1 << 16,
    max_amplification: 64,
};

/// Replicas whose session has every kind of frame and answer, and turns of several frames.
pub(super) fn replicas() -> (Replica, Replica) {
    let rows = |range: core::ops::Range<u32>| range.map(|at| (at.to_be_bytes(), 1));
    let a = Replica::of(rows(0..1_400));
    let mut b = Replica::of(rows(300..700).chain(rows(1_100..1_500)));
    for at in (300..1_500_u32).step_by(7) {
        b.put(&at.to_be_bytes(), 2);
    }
    (a, b)
}

/// What the initiator asks for, of which the acceptor shares less.
pub(super) fn ranges() -> (KeyRange, KeyRange) {
    let range = |start: u32, end: u32| KeyRange::new(&start.to_be_bytes(), Some(&end.to_be_bytes()));
    (range(0, 1_450).unwrap(), range(200, 2_000).unwrap())
}

pub(super) fn start(a: &Replica, b: &Replica) -> Run {
    let (asked, shared) = ranges();
    Run::start((a, b), (&asked, &shared), (SMALL, SMALL), 0).with_policies([LONG_LISTS; 2])
}

/// Such that lists go on from frame to frame.
const LONG_LISTS: FanOut = FanOut { parts: 4, list_up_to: 320 };

/// Runs a session up to the frame with this number and returns it with the frame, not yet delivered.
pub(super) fn stop_before((a, b): (&Replica, &Replica), number: usize) -> (Run, bool, Vec<u8>) {
    let mut run = start(a, b);
    for _ in 0..number {
        assert!(run.step().unwrap());
    }
    let (from_initiator, frame) = run.poll().unwrap();
    (run, from_initiator, frame)
}

impl Run {
    /// Carries on to the end, whatever the errors.
    pub(super) fn exhaust(&mut self) {
        for _ in 0..5_000 {
            if let Ok(false) = self.step() {
                return;
            }
        }
        panic!("the session does not end");
    }

    /// Seals a frame as the sender would.
    pub(super) fn forge(&self, from_initiator: bool, mut content: Vec<u8>) -> Vec<u8> {
        let sender = if from_initiator { &self.initiator } else { &self.acceptor };
        let is_hello = content.first().is_some_and(|tag| matches!(tag, 0x11 | 0x12));
        let check = if is_hello { hello_check(&content) } else { sender.frame_check(&content) };
        content.extend_from_slice(&check);
        content
    }
}

/// The frames of the session between the two.
const SESSION: usize = 9;

#[test]
fn the_session_under_attack_has_everything() {
    let (a, b) = replicas();
    let run = start(&a, &b).finish().unwrap();
    for tag in 0x11..=0x14 {
        assert!(run.frames.iter().any(|(_, frame)| frame[0] == tag), "no frame with tag {tag}");
    }
    for flag in [frame::FLAG_MORE, frame::FLAG_WANTS] {
        let is_flagged = |frame: &[u8]| frame[0] == Tag::Answers.byte() && frame[2] & flag != 0;
        assert!(run.frames.iter().any(|(_, frame)| is_flagged(frame)), "no frame with flag {flag}");
    }
    assert!(run.messages() < run.frames.len(), "no turn of several frames");
    assert_eq!(run.frames.len(), SESSION);
    assert!(run.initiator.stats().items_listed > 0);
}

#[test]
fn every_damaged_frame_is_noticed() {
    let (a, b) = replicas();
    for number in 0..SESSION {
        let (_, _, frame) = stop_before((&a, &b), number);
        for at in (0..frame.len()).filter(|at| *at < 64 || at % 37 == 0 || at + 5 > frame.len()) {
            let (mut run, from_initiator, mut frame) = stop_before((&a, &b), number);
            frame[at] ^= 1 << (at % 8);
            assert!(run.deliver(from_initiator, &frame).is_err(), "frame {number}, byte {at}");
        }
    }
}

#[test]
fn every_truncation_is_an_error_also_when_it_is_sealed_anew() {
    let (a, b) = replicas();
    for number in 0..SESSION {
        let (_, _, frame) = stop_before((&a, &b), number);
        for len in 0..frame.len() {
            let (mut run, from_initiator, frame) = stop_before((&a, &b), number);
            assert!(run.deliver(from_initiator, &frame[..len]).is_err(), "frame {number} cut to {len} bytes");
            if len + 4 < frame.len() {
                let (mut run, from_initiator, frame) = stop_before((&a, &b), number);
                let forged = run.forge(from_initiator, frame[..len].to_vec());
                assert!(run.deliver(from_initiator, &forged).is_err(), "frame {number}, {len} bytes, sealed");
                run.exhaust();
            }
        }
    }
}

proptest! {
    #[test]
    fn every_forged_byte_leads_to_an_end(number in 0..SESSION, at: prop::sample::Index, bits in 1_u8..) {
        let (a, b) = replicas();
        let (mut run, from_initiator, mut content) = stop_before((&a, &b), number);
        content.truncate(content.len() - 4);
        let at = at.index(content.len());
        content[at] ^= bits;
        let forged = run.forge(from_initiator, content);
        let _ = run.deliver(from_initiator, &forged);
        run.exhaust();
        let converged = Some(&Outcome::Converged);
        prop_assert!(run.initiator.outcome() != converged && run.acceptor.outcome() != converged);
    }

    #[test]
    fn random_content_leads_to_an_end(
        number in 0..SESSION,
        tag in 0x11_u8..=0x14,
        content in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..5], 0..120),
    ) {
        let (a, b) = replicas();
        let (mut run, from_initiator, original) = stop_before((&a, &b), number);
        let forged = run.forge(from_initiator, [&[tag, original[1]], &content[..]].concat());
        let _ = run.deliver(from_initiator, &forged);
        run.exhaust();
        prop_assert!(run.initiator.stats().bytes_sent <= SMALL.max_session_bytes);
    }
}

#[test]
fn a_repeated_frame_is_ignored() {
    let (a, b) = replicas();
    let mut run = start(&a, &b);
    let mut limits = 0;
    while run.step().unwrap() {
        limits += 1;
        let (from_initiator, frame) = run.frames.last().unwrap().clone();
        run.deliver(from_initiator, &frame).unwrap();
    }
    let undisturbed = start(&a, &b).finish().unwrap();
    assert_eq!(limits, undisturbed.frames.len());
    assert_eq!(run.differences(), undisturbed.differences());
    assert_eq!(run.frames, undisturbed.frames);
}

#[test]
fn a_lost_frame_is_noticed_at_the_next_one() {
    let (a, b) = replicas();
    let (mut run, from_initiator, lost) = stop_before((&a, &b), 2);
    assert!(from_initiator);
    let next = run.initiator.poll_frame().unwrap();
    let error = ProtocolError::OutOfOrder { expected: 1, found: 2 };
    assert_eq!(run.acceptor.handle(&next), Err(error));
    assert_eq!(run.acceptor.handle(&lost), Err(error), "the session is dead");
    assert_eq!((run.acceptor.error(), run.acceptor.outcome()), (Some(error), None));
}

#[test]
fn frames_of_another_session_or_of_oneself_are_foreign() {
    let (a, b) = replicas();
    let (mut run, from_initiator, frame) = stop_before((&a, &b), 3);
    assert!(from_initiator);
    assert_eq!(run.initiator.handle(&frame), Err(ProtocolError::Corrupt), "an echo");

    let (asked, shared) = ranges();
    let mut other = Run::start((&a, &b), (&asked, &shared), (SMALL, SMALL), 1);
    for _ in 0..3 {
        other.step().unwrap();
    }
    assert_eq!(other.acceptor.handle(&frame), Err(ProtocolError::Corrupt), "another session");

    let mut lonely = start(&a, &b);
    let hello = lonely.initiator.poll_frame().unwrap();
    let error = ProtocolError::Unexpected { tag: Tag::Hello.byte() };
    assert_eq!(lonely.initiator.handle(&hello), Err(error), "an echoed hello");
}

/// An old welcome with the same sum must not make a peer that has changed look equal.
#[test]
fn a_recorded_welcome_does_not_fit_another_hello() {
    let a = Replica::of([("milk", 1)]);
    let all = KeyRange::all();
    let recorded = Run::start((&a, &a), (&all, &all), Default::default(), 0).finish().unwrap();
    assert!(recorded.has_converged());
    let mut later = Run::start((&a, &Replica::new()), (&all, &all), Default::default(), 1);
    later.initiator.poll_frame().unwrap();
    assert_eq!(later.initiator.handle(&recorded.frames[1].1), Err(ProtocolError::KeyMismatch));
}

#[test]
fn a_frame_of_another_kind_of_session_is_refused() {
    let a = Replica::of([("milk", 1)]);
    let mut tree = crate::merkle::BucketTree::new(&super::support::KEY, 4).unwrap();
    let limits = crate::merkle::Limits::default();
    let mut buckets = crate::merkle::Session::initiate(tree.snapshot(), [0; 16], limits);
    let mut ranges = RangeSession::accept(a.tree.snapshot(), KeyRange::all(), [1; 16], Limits::default());
    let hello = buckets.poll_frame().unwrap();
    assert_eq!(ranges.handle(&hello), Err(ProtocolError::UnknownTag { tag: 1 }));
}

#[test]
fn nothing_takes_an_outcome_back() {
    let (a, b) = replicas();
    let mut run = start(&a, &b).finish().unwrap();
    let found = (to_send(&run.initiator), to_send(&run.acceptor));
    let sent = u8::try_from(run.frames.iter().filter(|(from_initiator, _)| !from_initiator).count()).unwrap();
    let late = run.forge(false, vec![Tag::Answers.byte(), sent, 0, 0, 0, 4]);
    assert_eq!(run.initiator.handle(&late), Err(ProtocolError::Over));
    assert_eq!(run.initiator.handle(b"noise"), Err(ProtocolError::UnknownTag { tag: b'n' }));
    assert_eq!(run.initiator.handle(b"no"), Err(ProtocolError::Form(Form::Truncated)));
    assert_eq!((to_send(&run.initiator), to_send(&run.acceptor)), found);
}

#[test]
fn a_session_that_costs_too_much_ends() {
    let (a, b) = replicas();
    let (asked, shared) = ranges();
    let tight = |limits: Limits| {
        let mut run = Run::start((&a, &b), (&asked, &shared), (limits, SMALL), 0);
        while let Ok(true) = run.step() {}
        run.initiator.error()
    };
    assert_eq!(
        tight(Limits { max_session_bytes: 500, ..SMALL }),
        Some(ProtocolError::TooManyBytes { max: 500 })
    );
    assert_eq!(tight(Limits { max_rounds: 3, ..SMALL }), Some(ProtocolError::TooManyRounds { max: 3 }));
    assert_eq!(tight(SMALL), None);
}

/// Never lists, and splits as finely as can be.
struct Dawdler;

impl RefinementPolicy for Dawdler {
    fn refine(&self, _: Comparison) -> Refinement {
        Refinement::Split(2)
    }
}

/// Two peers that split by turns around one another's items could go on for long; the bound on
/// rounds is what ends it.
#[test]
fn a_peer_that_never_lists_runs_into_the_bound_on_rounds() {
    let a = Replica::of((0..40_000_u32).map(|at| (at.to_be_bytes(), 1)));
    let b = Replica::of((0..40_000_u32).map(|at| (at.to_be_bytes(), u128::from(at % 2_000 == 0))));
    let limits = Limits { max_rounds: 10, ..Limits::default() };
    let all = KeyRange::all();
    let mut run = Run::start((&a, &b), (&all, &all), (limits, limits), 0).with_policies([Dawdler, Dawdler]);
    while let Ok(true) = run.step() {}
    let error = Some(ProtocolError::TooManyRounds { max: 10 });
    assert!(run.initiator.error() == error || run.acceptor.error() == error);
}

/// A peer that says of every part that it differs gets no more than a multiple of what it sent,
/// although the bounds it asks for are as long as they may be.
#[test]
fn what_is_sent_is_a_multiple_of_what_came() {
    let key = |at: u16| [&[b'k'; 1_000][..], &at.to_be_bytes()].concat();
    let a = Replica::of((0..2_000).map(|at| (key(at), 1)));
    let b = Replica::of((0..2_000).map(|at| (key(at), 2)));
    for max_amplification in [1, 2, 8] {
        let limits = Limits { max_amplification, ..Limits::default() };
        let all = KeyRange::all();
        let run = Run::start((&a, &b), (&all, &all), (limits, limits), 0).finish().unwrap();
        for side in [&run.initiator, &run.acceptor] {
            let stats = side.stats();
            let bound = stats.bytes_received * u64::from(max_amplification) + Limits::FREE_BYTES;
            assert!(stats.bytes_sent <= bound, "{} bytes for {}", stats.bytes_sent, stats.bytes_received);
            assert!(!to_send(side).is_empty() || max_amplification < 8);
        }
    }
}

/// A length of four thousand million in a frame of a few bytes is found out before anything is
/// allocated for it.
#[test]
fn lengths_beyond_the_frame_are_refused() {
    let (a, b) = replicas();
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let (run, from_initiator, frame) = stop_before((&a, &b), 3);
    assert!(from_initiator && frame[0] == Tag::Answers.byte());
    drop(run);
    let entries: [&[u8]; 4] = [&[0], &[2, 0, 1, 2, 3, 4, 0], &[2, 0, 1, 2, 3, 4], &[]];
    for entry in entries {
        let (mut run, ..) = stop_before((&a, &b), 3);
        let mut content = vec![Tag::Answers.byte(), frame[1], 0, 1, 1, 1, 4];
        content.extend_from_slice(entry);
        content.extend_from_slice(&huge);
        let forged = run.forge(true, content);
        assert!(run.deliver(true, &forged).is_err());
        assert!(run.acceptor.outcome().is_none());
    }
}
