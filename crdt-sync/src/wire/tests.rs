//! The bytes of frames, and what is refused instead of them. `docs/formats.md` says the same in words.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Dot, Hlc, ReplicaId};
use proptest::prelude::*;

use super::*;
use crate::bytes::Bytes;
use crate::collection::Collection;
use crate::entry::{Chain, Delta, Entry, Position};
use crate::limits::Limits;
use crate::membership::Membership;
use crate::node::NodeId;
use crate::scope::{Scope, ScopedContext};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn origin() -> ReplicaId {
    ReplicaId::from_bytes([0xaa; 16])
}

fn entry() -> Entry {
    Entry {
        stamp: Hlc::new(1_000, 2),
        collection: Collection::sets("lists").id(),
        key: "groceries".into(),
        delta: Delta::SetAdd { element: "milk".into(), superseded: vec![Dot::new(origin(), 1).unwrap()] },
    }
}

fn standing() -> Standing {
    let mut context = CausalContext::new();
    context.insert_range(origin(), 1..=3);
    let scope = Scope::nothing().only(Collection::sets("lists").id(), "a/");
    let scoped = ScopedContext::new(scope, &Dot::new(origin(), 5).unwrap().into());
    let heads = vec![(origin(), Position { sequence: 3, chain: Chain::START })];
    Standing { heads, context, scoped, root: (7, 1) }
}

/// One of every message and step.
fn samples() -> Vec<Message> {
    let after = Position { sequence: 1, chain: Chain::START.then(origin(), 0, b"one") };
    let encoded = Bytes::from(crdt_core::codec::encode_payload(&entry()));
    let chain = after.chain.then(origin(), 0, &encoded);
    let status =
        OriginStatus { origin: origin(), floor: 1, head: Position { sequence: 2, chain }, whole: true };
    let part = StatesPart {
        index: 4,
        collection: Collection::sets("lists").id(),
        items: vec![ItemState { key: "k".into(), state: "s".into(), more: false, old: false }],
        ahead: vec![(origin(), 5)],
    };
    let steps = [
        SessionStep::Open(standing()),
        SessionStep::Accept(standing()),
        SessionStep::Busy,
        SessionStep::Tree { index: 1, frame: "frame".into() },
        SessionStep::States(part),
        SessionStep::Received { parts: 5 },
        SessionStep::Sent { parts: 5, weight: (7, 1) },
        SessionStep::End { parts: 6, left_out: false },
        SessionStep::Done { complete: true },
        SessionStep::Abort,
    ];
    let mut samples = vec![
        Message::Greeting(Greeting {
            node: NodeId::from_u128(1),
            cluster_check: [0xcc; 8],
            partitions: 1,
            collections: vec![Collection::sets("lists").id()],
            incarnation: 300,
            scope: Scope::everything().only(Collection::sets("lists").id(), "a/"),
        }),
        Message::Frontier(Frontier {
            partition: 0,
            rewind: false,
            open: false,
            ask: true,
            writer: origin(),
            origins: vec![status],
            refused: vec![origin()],
            root: Some((9, 2)),
            forks: [0xdd; 16],
        }),
        Message::Run(Run { partition: 0, origin: origin(), after, entries: vec![encoded], chain }),
        Message::Farewell(Farewell::OtherCluster),
    ];
    let (active, retired) = (NodeId::from_u128(1), NodeId::from_u128(2));
    let mut known = Membership::default();
    known.meet(active, Some(origin()));
    known.retire(retired);
    known.extend(retired, ReplicaId::from_bytes([0xbb; 16]), 0, after);
    samples.extend(steps.map(|step| Message::Session(Session { partition: 0, id: 3, step })));
    samples.push(Message::Members(Members { ask: true, known }));
    samples.push(Message::Farewell(Farewell::Retired));
    let rows = vec![(active, vec![(origin(), 3)])];
    samples.push(Message::Rows(Rows { partition: 0, ask: true, rows }));
    let cut = Cut { after, root: origin() };
    let forks = KnownForks {
        cuts: vec![(cut, vec![origin()])],
        branches: vec![(ReplicaId::from_bytes([0xbb; 16]), Branch { root: origin(), start: 1, chain })],
        ceilings: vec![Ceiling {
            collection: Collection::counters("counts").id(),
            key: "k".into(),
            segment: origin(),
            incremented: 5,
            decremented: 0,
        }],
    };
    let run = Run { partition: 0, origin: origin(), after, entries: vec!["entry".into()], chain };
    let words = [
        ForkWord::Trace { origin: origin(), samples: vec![after] },
        ForkWord::Known(forks),
        ForkWord::Ask { segment: origin(), after: 1, head: after },
        ForkWord::Lesson { segment: origin(), run },
    ];
    samples.extend(words.map(|word| Message::Fork(Fork { partition: 0, word })));
    let pieces = vec![Piece::Skipped { count: 3, chain }, Piece::Entry("entry".into())];
    samples.push(Message::Excerpt(Excerpt { partition: 0, origin: origin(), after, pieces, chain }));
    samples.push(Message::Session(Session { partition: 0, id: 3, step: SessionStep::Ask }));
    samples.extend(quorum_samples::quorum_samples(origin()));
    samples.extend(ship_samples());
    samples
}

fn ship_samples() -> impl Iterator<Item = Message> {
    let (node, end) = (NodeId::from_u128(7), LogEnd { epoch: 2, lsn: 301 });
    let words = [
        Ship::Standing(ShipStanding { leader: Some((3, node)), applied: 300, end, promised: 3 }),
        Ship::ToLeader("frame".into()),
        Ship::ToFollower("frame".into()),
        Ship::Promise(PromiseAsked { epoch: 4, lease: 9 }),
        Ship::Promised(PromiseAnswer::Given { epoch: 4, end }),
        Ship::Promised(PromiseAnswer::Refused { epoch: 4, newest: 5 }),
        Ship::Renew(RenewAsked { epoch: 4, round: 5, lease: 9 }),
        Ship::Renewed { epoch: 4, round: 5 },
        Ship::Release { epoch: 4, to: Some(node) },
        Ship::Beat(Beat {
            end,
            promised: 4,
            leads: Some(4),
            follows: None,
            hands_over: Some(node),
            promotable: true,
            priority: 2,
            failover: Some((3, 6)),
            acknowledged: Some(3),
        }),
    ];
    words.into_iter().map(Message::Ship)
}

#[test]
fn what_is_said_is_understood() {
    for message in samples() {
        assert_eq!(decode(&encode(&message), &Limits::default()), Ok(message));
    }
}

#[test]
fn frames_are_golden() {
    let frames: Vec<String> = samples().iter().map(|message| hex(&encode(message))).collect();
    let golden = include_str!("golden.txt");
    assert_eq!(frames.join("\n"), golden.trim_end(), "a frame changed: that takes a new protocol version");
}

#[test]
fn every_cut_and_every_longer_frame_is_refused() {
    for message in samples() {
        let frame = encode(&message);
        for end in 0..frame.len() {
            assert!(decode(&frame[..end], &Limits::default()).is_err(), "{message:?} cut at {end}");
        }
        let longer = [&frame[..], &[0]].concat();
        assert!(decode(&longer, &Limits::default()).is_err());
    }
}

#[test]
fn each_part_of_the_head_has_its_own_error() {
    let frame = encode(&Message::Farewell(Farewell::Leaving));
    let with = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        decode(&frame, &Limits::default()).unwrap_err()
    };
    assert_eq!(with(0, b'x'), WireError::NotThisProtocol { start: *b"xs" });
    assert_eq!(with(2, 9), WireError::OtherVersion { theirs: 9 });
    assert_eq!(with(3, 77), WireError::UnknownMessage { tag: 77 });
    assert_eq!(decode(b"cs", &Limits::default()), Err(WireError::TooShort { length: 2 }));
    let small = Limits { max_frame: 4, ..Limits::default() };
    assert_eq!(decode(&frame, &small), Err(WireError::TooLong { length: 5, limit: 4 }));
}

proptest! {
    #[test]
    fn a_changed_byte_is_refused_or_says_something_else(
        sample in 0..samples().len(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let message = &samples()[sample];
        let mut frame = encode(message);
        let at = at.index(frame.len());
        prop_assume!(frame[at] != byte);
        frame[at] = byte;
        if let Ok(other) = decode(&frame, &Limits::default()) {
            prop_assert_ne!(&other, message);
            prop_assert_eq!(encode(&other), frame, "what is understood has one form");
        }
    }
}
