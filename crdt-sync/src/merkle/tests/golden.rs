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
            "< 040100010101201f023de98a07b2e5d396013410a55a",
            "> 050102010302a7acf0cd",
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
            "< 030100010101040374c4d76b7a7587842fb39874e9139e1865813325906b3f5e",
            "  65ed6d70d1c814f599f76cd85af2fa42b7c1779c6406e02ced02d372",
            "> 040100100105201d09f395a734cd1a0965ed39dcf4942a31d40ec6043b9d15bf",
            "  7f5da26a308ddf2afb214900a0246eca",
            "< 0502090105012e9d46d1",
        ]
    );
}

#[test]
fn a_session_by_sketch() {
    let mut a = Replica::of(4, (0..100).map(|key| (key, 1)));
    let mut b = Replica::of(4, (2..101).map(|key| (key, 1 + u128::from(key == 7))));
    assert_eq!(
        hex(&run(&mut a, &mut b).frames),
        [
            "> 0100020400fe00be83361b8b256461b29c52f283dd501790a16ff7410fdb0000",
            "  0000000000000000000000000000e36a751b",
            "< 02000204000475f97df3d4c661637df41e430484db495a9fab90e3146ed30100",
            "  0000000000000000000000000000508a90c0",
            "< 080104a8c7438408b9a2363f134ad46319659889d31601",
            "> 0901000800082bb3648216f86cb2d87696663cc644df7a8ab41c349a3e60fd72",
            "  e5d360bf224bd49ac08386e2857b889fa9306415d47e16ae0269a2fcd33be933",
            "  8bc1a545467029d02e52d62ef98a4309b4ea911425ddc9fe0b6c2a8ab083681a",
            "  5adc368f66c2879bf314",
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
