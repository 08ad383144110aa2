//! The bytes of whole sessions, laid down in `docs/formats.md`. A change here is a change of the
//! protocol and needs a new version number.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::support::{Replica, Run, run, run_with};
use crate::merkle::{Item, ItemSource, Limits, Prefix, Session};

/// Frames as lines of hexadecimal, `>` for the initiator's.
fn hex(frames: &[(bool, Vec<u8>)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (from_initiator, frame) in frames {
        for (at, bytes) in frame.chunks(32).enumerate() {
            let mut line = String::from(match (at, from_initiator) {
                (0, true) => "> ",
                (0, false) => "< ",
                _ => "  ",
            });
            for byte in bytes {
                write!(line, "{byte:02x}").unwrap();
            }
            lines.push(line);
        }
    }
    lines
}

#[test]
fn a_session_of_lists() {
    let mut a = Replica::of(8, [(1, 1), (2, 1), (3, 1)]);
    let mut b = Replica::of(12, [(1, 2), (2, 1)]);
    let frames = run(&mut a, &mut b).frames;
    assert_eq!(
        hex(&frames),
        [
            "> 0100020800fe00be83361b8b2503eaffaac19c3e54a5d87e0b8dfc07c3960000",
            "  0000000000000000000000000000bcd312a1",
            "< 0200020c000475f97df3d4c66102af584c2ec3bf6a519880d5e9600964180100",
            "  0000000000000000000000000000f55fedf9",
            "< 040100010101201f028b60b44d83c786af5f1860d0",
            "> 050102010102ab76828b",
        ]
    );
}

#[test]
fn a_session_with_a_drill_down() {
    let limits = Limits { max_frame: Limits::MIN_FRAME, max_sketch_cells: 0, ..Limits::default() };
    let mut a = Replica::of(4, (0..133).map(|key| (key, 1)));
    let mut b = Replica::of(4, (0..133).map(|key| (key, u128::from(key != 7))));
    let frames = run_with(&mut a, &mut b, (limits, limits)).frames;
    assert_eq!(
        hex(&frames),
        [
            "> 0100020412fe00be83361b8b258501585a93986dc946ae7cbad0aa478974d100",
            "  000000000000000000000000000000800100a75833af",
            "< 02000204120475f97df3d4c6618501d4d24bef46760e8db673d4a743e054e201",
            "  000000000000000000000000000000800100f56cb305",
            "< 0301000101010403db172412525fee13d22654e8b2ae9f3df2655d068731e773",
            "  39668cb32525c749a5b59f609a87c42aff737ad93e9f80247d169d26",
            "> 040100100105201d09235092419ac9e8d1fff8b5c8bcad7e1e4dfaa2db814353",
            "  62b280e708e05dec0a3f3500362f0f18",
            "< 050209010901c4def3ba",
        ]
    );
}

#[test]
fn a_session_by_sketch() {
    let mut a = Replica::of(4, (0..100).map(|key| (key, 1))).with_sketch(64);
    let mut b = Replica::of(4, (2..101).map(|key| (key, 1 + u128::from(key == 7)))).with_sketch(64);
    assert_eq!(
        hex(&run(&mut a, &mut b).frames),
        [
            "> 0100020400fe00be83361b8b256461b29c52f283dd501790a16ff7410fdb0000",
            "  0000000000000000000000000000e36a751b",
            "< 02000204000475f97df3d4c661637df41e430484db495a9fab90e3146ed30100",
            "  0000000000000000000000000000508a90c0",
            "< 0801045c29b5c162013ed781d15c7ed4206ebd1e59d924",
            "> 09010108000890d741f0273855fc3abae3257563432d5232ecda00e01ce7006c",
            "  0e66e4145096e16e857a61c43f3c5e61336ca8b2dc7ccf3af5a3da3ffc05d3e5",
            "  8f10e09312d49df90a913d05b0f5ea82050f6dfc32326acd21700fa91a3b27de",
            "  cb32dacb5d98a34606ee",
            "< 0b02000215a1e1a1be552e1fde7e367f10608d1a1f03b54f14462d1c46b78948",
            "  544191414599",
        ]
    );
}

/// A lost frame, asked for again.
#[test]
fn a_frame_is_asked_for_again() {
    let limits = Limits { max_sketch_cells: 0, ..Limits::default() };
    let (mut a, mut b) = (Replica::of(8, [(1, 1)]), Replica::of(8, [(2, 1)]));
    let mut run = Run::start(&mut a, &mut b, (limits, limits));
    run.step(&a, &b).unwrap();
    let (welcome, items) = (run.acceptor.poll_frame().unwrap(), run.acceptor.poll_frame().unwrap());
    run.initiator.handle(&welcome, &a).unwrap();
    run.initiator.resend();
    let again = run.initiator.poll_frame().unwrap();
    run.acceptor.handle(&again, &b).unwrap();
    assert_eq!(run.acceptor.poll_frame().unwrap(), items);
    assert_eq!(hex(&[(true, again)]), ["> 0601010000f00bb317",]);
}

/// Horizons, limits that are not the default ones, and a root at the later horizon.
#[test]
fn horizons_that_differ() {
    struct Ageless(Replica);
    impl ItemSource for Ageless {
        fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
            self.0.for_each_in(part, f);
        }

        fn for_each_below(&self, _: u64, _: &mut dyn FnMut(Item)) -> bool {
            true
        }
    }
    let mut a = Replica::of(8, [(1, 1)]);
    let mut b = Ageless(Replica::of(8, [(1, 1)]));
    let mut initiator =
        Session::initiate(a.tree.snapshot(), [0; 16], Limits { max_items: 1 << 10, ..Limits::default() })
            .at_horizon(500);
    let mut acceptor = Session::accept(b.0.tree.snapshot(), [1; 16], Limits::default()).at_horizon(499);
    let hello = initiator.poll_frame().unwrap();
    acceptor.handle(&hello, &b).unwrap();
    let mut frames = Vec::from([(true, hello)]);
    frames.extend(core::iter::from_fn(|| acceptor.poll_frame()).map(|frame| (false, frame)));
    assert_eq!(
        hex(&frames),
        [
            "> 0100020809fe00be83361b8b2501f4563f2422ac65175b3307fbb892e8d40000",
            "  0000000000000000000000000000f40100000000000080085f0d483f",
            "< 020002080161b693d78acede8d01f4563f2422ac65175b3307fbb892e8d40101",
            "  0101010101010101010101010101f3010000000000003202752a",
            "< 07010101f4563f2422ac65175b3307fbb892e8d407f52b3d",
        ]
    );
}

#[test]
fn equal_replicas() {
    let mut a = Replica::of(16, [(1, u128::MAX)]);
    let mut b = Replica::of(16, [(1, u128::MAX)]);
    assert_eq!(
        hex(&run(&mut a, &mut b).frames),
        [
            "> 0100021000fe00be83361b8b2501426b96d9d2acd2bc5cfae22989ca85950000",
            "  0000000000000000000000000000ff8ca000",
            "< 02000210000475f97df3d4c66101426b96d9d2acd2bc5cfae22989ca85950100",
            "  00000000000000000000000000007f7b4dbe",
        ]
    );
}
