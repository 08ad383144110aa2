//! Each way to leave the protocol, forged by a peer that holds the key, and the name of the error it meets.

use alloc::vec;

use super::hostile::{SMALL, replicas, start, stop_before};
use super::support::{KEY, Replica, Run};
use crate::merkle::frame::{self, FrameWriter, Hello, Tag};
use crate::merkle::prf::{TreePrf, hello_check};
use crate::merkle::{Limits, ProtocolError, Session};

/// A frame of the acceptor, forged in place of its first answer, and what the initiator says to it.
fn answer_to_hello(tag: Tag, build: impl FnOnce(&mut FrameWriter)) -> Result<(), ProtocolError> {
    let (mut a, mut b) = replicas();
    let (mut run, from_initiator, _) = stop_before(&mut a, &mut b, 2);
    assert!(!from_initiator);
    let mut frame = FrameWriter::new(tag, 1);
    build(&mut frame);
    let frame = frame.seal(|content| run.acceptor.frame_check(content));
    let result = run.initiator.handle(&frame, &a);
    run.exhaust(&a, &b);
    result
}

/// The fields of a digests frame that answers the one question of the hello.
fn digests(frame: &mut FrameWriter, flags: u8, fanout: u8, width: u8, digests: usize) {
    frame.byte(flags);
    frame.set(1, [0].into_iter());
    frame.byte(fanout);
    frame.byte(width);
    frame.bytes(&vec![0x5a; digests * usize::from(width)]);
}

/// The fields of an items frame that answers the one question of the hello.
fn items(frame: &mut FrameWriter, flags: u8, width: u8, lists: &[u8]) {
    frame.byte(flags);
    frame.set(1, [0].into_iter());
    frame.byte(width);
    frame.byte(8);
    frame.bytes(lists);
}

#[test]
fn each_deviation_has_its_name() {
    use ProtocolError as E;
    let digests_frame = |flags, fanout, width, count| {
        answer_to_hello(Tag::Digests, |frame| digests(frame, flags, fanout, width, count))
    };
    assert_eq!(digests_frame(0, 4, 4, 16), Ok(()));
    assert_eq!(digests_frame(1, 4, 4, 16), Err(E::UnknownFlags { flags: 1 }));
    assert_eq!(digests_frame(0, 1, 4, 2), Ok(()));
    assert_eq!(digests_frame(0, 0, 4, 1), Err(E::Fanout { fanout: 0 }));
    assert_eq!(digests_frame(0, 13, 4, 1), Err(E::Fanout { fanout: 13 }));
    assert_eq!(digests_frame(0, 63, 4, 1), Err(E::Fanout { fanout: 63 }));
    assert_eq!(digests_frame(0, 4, 2, 16), Err(E::Width { width: 2 }));
    assert_eq!(digests_frame(0, 4, 4, 15), Err(E::Truncated));
    assert_eq!(digests_frame(0, 4, 4, 17), Err(E::TrailingBytes { count: 4 }));

    let items_frame =
        |flags, width, lists: &[u8]| answer_to_hello(Tag::Items, |frame| items(frame, flags, width, lists));
    // Gaps of 9 bits: a one, and the low eight bits.
    assert_eq!(items_frame(0, 32, &[2, 0b11, 0b10, 0]), Ok(()), "equal fingerprints are legal");
    assert_eq!(items_frame(0, 15, &[1, 1, 0]), Err(E::Width { width: 15 }));
    assert_eq!(items_frame(0, 65, &[0]), Err(E::Width { width: 65 }));
    assert_eq!(items_frame(0, 32, &[2, 0b11, 0b10]), Err(E::Truncated));
    assert_eq!(items_frame(0, 32, &[]), Err(E::ListCount { expected: 1, found: 0 }));
    assert_eq!(items_frame(0, 32, &[0, 0]), Err(E::ListCount { expected: 1, found: 2 }));
    assert_eq!(
        items_frame(5, 32, &[0]),
        Err(E::UnknownFlags { flags: 5 }),
        "a list goes on or is cut, not both"
    );
    assert_eq!(
        items_frame(4, 32, &[0]),
        Err(E::UnknownFlags { flags: 4 }),
        "a cut list leaves something out"
    );
    assert_eq!(items_frame(1, 32, &[0]), Err(E::Idle), "a list that goes on and never gets on");
    for parameter in [0, 7, 32] {
        let result = answer_to_hello(Tag::Items, |frame| {
            frame.byte(0);
            frame.set(1, [0].into_iter());
            frame.bytes(&[32, parameter, 0]);
        });
        assert_eq!(result, Err(E::Parameter { parameter, width: 32 }));
    }
    // 257 steps of 2^8 leave the 16 bits of a fingerprint.
    let far = [&[1][..], &[0; 32], &[0b10, 0]].concat();
    assert_eq!(items_frame(0, 16, &far), Err(E::FingerprintOutOfRange { width: 16 }));

    let wants = |frame: &mut FrameWriter| {
        frame.set(0, [].into_iter());
        frame.number(0);
    };
    assert_eq!(answer_to_hello(Tag::Wants, wants), Err(E::Unexpected { tag: 5 }), "nothing was listed");
    assert_eq!(answer_to_hello(Tag::Welcome, wants), Err(E::Corrupt));
    let two_answers = |frame: &mut FrameWriter| {
        frame.byte(0);
        frame.set(2, [].into_iter());
    };
    assert_eq!(answer_to_hello(Tag::Digests, two_answers), Err(E::NeverAsked { answered: 2, open: 1 }));
    let no_answer = |frame: &mut FrameWriter| {
        frame.byte(0);
        frame.set(0, [].into_iter());
    };
    assert_eq!(answer_to_hello(Tag::Digests, no_answer), Err(E::Idle));
    let (mut a, mut b) = replicas();
    let (mut run, ..) = stop_before(&mut a, &mut b, 2);
    let unknown = run.forge(false, vec![12, 1]);
    assert_eq!(run.initiator.handle(&unknown, &a), Err(E::UnknownTag { tag: 12 }));
    let (mut run, ..) = stop_before(&mut a, &mut b, 2);
    let long = vec![0; SMALL.max_frame + 1];
    assert_eq!(run.initiator.handle(&long, &a), Err(E::FrameTooLarge { len: 129, max: 128 }));
}

#[test]
fn the_frames_of_a_turn_are_alike() {
    let (mut a, mut b) = replicas();
    for (second_width, expected) in [(32, Ok(())), (33, Err(ProtocolError::MixedTurn))] {
        let (mut run, ..) = stop_before(&mut a, &mut b, 2);
        let mut first = FrameWriter::new(Tag::Items, 1);
        items(&mut first, 1, 32, &[1, 3, 0]);
        let first = first.seal(|content| run.acceptor.frame_check(content));
        let mut second = FrameWriter::new(Tag::Items, 2);
        second.byte(0);
        second.set(0, [].into_iter());
        second.byte(second_width);
        second.bytes(&[8, 1, 3, 0]);
        let second = second.seal(|content| run.acceptor.frame_check(content));
        assert_eq!(run.initiator.handle(&first, &a), Ok(()));
        assert_eq!(run.initiator.handle(&second, &a), expected);
    }
}

#[test]
fn digests_below_the_leaves_are_refused() {
    let mut a = Replica::of(4, (0..100).map(|key| (key, 1)));
    let mut b = Replica::of(4, (1..100).map(|key| (key, 1)));
    let mut run = Run::start(&mut a, &mut b, Default::default());
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let mut frame = FrameWriter::new(Tag::Digests, 1);
    digests(&mut frame, 0, 8, 3, 256);
    let frame = frame.seal(|content| run.acceptor.frame_check(content));
    let error = ProtocolError::TooDeep { bits: 8, leaf_bits: 4 };
    assert_eq!(run.initiator.handle(&frame, &a), Err(error));
}

/// A hello with one field changed, and what an acceptor says to it.
fn hello_with(change: impl FnOnce(&mut Hello)) -> Result<(), ProtocolError> {
    let (_, mut b) = replicas();
    let nonce = [3; 16];
    let mut hello = Hello {
        leaf_bits: 8,
        key_check: TreePrf::new(&KEY).key_check(&nonce),
        count: 5,
        digest: 5,
        nonce,
        horizon: 0,
        max_frame: 1_000,
        max_open_nodes: 10,
        max_items: 10,
        max_sketch_cells: 10,
    };
    change(&mut hello);
    let frame = frame::hello(Tag::Hello, &hello, hello_check);
    Session::accept(b.tree.snapshot(), [4; 16], Limits::default()).handle(&frame, &b)
}

#[test]
fn an_impossible_hello_is_refused() {
    let refused = |field| Err(ProtocolError::Hello { field });
    assert_eq!(hello_with(|_| ()), Ok(()));
    assert_eq!(hello_with(|hello| hello.leaf_bits = 9), refused("leaf_bits"));
    assert_eq!(hello_with(|hello| hello.leaf_bits = 24), refused("leaf_bits"));
    assert_eq!(hello_with(|hello| hello.count = 0), refused("digest"));
    let mismatch = ProtocolError::HorizonMismatch { ours: 0, theirs: 9 };
    assert_eq!(hello_with(|hello| hello.horizon = 9), Err(mismatch), "possible, but these items have no age");
    assert_eq!(hello_with(|hello| hello.max_frame = 127), refused("max_frame"));
    assert_eq!(hello_with(|hello| hello.max_open_nodes = 0), refused("max_open_nodes"));
    assert_eq!(hello_with(|hello| hello.max_items = 0), refused("max_items"));
    assert_eq!(hello_with(|hello| hello.key_check[0] ^= 1), Err(ProtocolError::KeyMismatch));
    assert_eq!(
        hello_with(|hello| hello.nonce[0] ^= 1),
        Err(ProtocolError::KeyMismatch),
        "the check is for one nonce"
    );
}

#[test]
fn another_version_is_named_as_such() {
    let (mut a, mut b) = replicas();
    let mut run = start(&mut a, &mut b);
    let mut hello = run.initiator.poll_frame().unwrap();
    hello.truncate(hello.len() - 4);
    hello[2] = 1;
    let hello = run.forge(true, hello);
    let error = ProtocolError::Version { ours: 2, theirs: 1 };
    assert_eq!(run.acceptor.handle(&hello, &b), Err(error));
    assert!(run.acceptor.poll_frame().is_some(), "the peer learns which version it met");
}

/// What is the default is left out of a hello, and nothing else is.
#[test]
fn a_hello_has_one_form() {
    let (_, mut b) = replicas();
    let hello = |flags: u8, rest: &[u8]| {
        let nonce = [3; 16];
        let mut content = vec![1, 0, 2, 8, flags];
        content.extend_from_slice(&TreePrf::new(&KEY).key_check(&nonce));
        content.push(5);
        content.extend_from_slice(&5_u128.to_le_bytes());
        content.extend_from_slice(&nonce);
        content.extend_from_slice(rest);
        let check = hello_check(&content);
        content.extend_from_slice(&check);
        content
    };
    let mut take = |frame: &[u8]| {
        Session::accept(b.tree.snapshot(), [4; 16], Limits::default()).handle(frame, &Replica::new(8))
    };
    assert_eq!(take(&hello(0, &[])), Ok(()));
    assert_eq!(take(&hello(16, &[0])), Ok(()), "no sketches");
    assert_eq!(take(&hello(1, &[0; 8])), Err(ProtocolError::Hello { field: "flags" }), "horizon 0");
    assert_eq!(take(&hello(2, &[0x80, 0x80, 4])), Err(ProtocolError::Hello { field: "flags" }), "64 KiB");
    assert_eq!(take(&hello(32, &[])), Err(ProtocolError::UnknownFlags { flags: 32 }));
}

/// The peer was told the limits in the hello.
#[test]
fn a_peer_that_exceeds_the_agreed_limits_is_stopped() {
    let (mut a, mut b) = replicas();
    let limits = Limits { max_items: 3, max_open_nodes: 2, max_sketch_cells: 0, ..Limits::default() };
    let mut run = Run::start(&mut a, &mut b, (limits, Limits::default()));
    run.step(&a, &b).unwrap();
    run.step(&a, &b).unwrap();
    let mut four = FrameWriter::new(Tag::Items, 1);
    items(&mut four, 0, 32, &[4, 3, 6, 12, 24, 0]);
    let four = four.seal(|content| run.acceptor.frame_check(content));
    assert_eq!(run.initiator.handle(&four, &a), Err(ProtocolError::TooManyItems { max: 3 }));

    let mut run = Run::start(&mut a, &mut b, (Limits::default(), limits));
    for _ in 0..3 {
        run.step(&a, &b).unwrap();
    }
    let mut three = FrameWriter::new(Tag::Digests, 1);
    three.byte(0);
    three.set(256, [0, 1, 2].into_iter());
    three.byte(4);
    three.byte(4);
    three.bytes(&[0; 3 * 16 * 4]);
    let three = three.seal(|content| run.initiator.frame_check(content));
    assert_eq!(run.acceptor.handle(&three, &b), Err(ProtocolError::TooManyNodes { max: 2 }));
}
