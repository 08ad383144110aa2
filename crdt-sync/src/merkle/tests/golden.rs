//! The bytes of whole sessions, as an independent implementation of `docs/formats.md` makes them. A
//! change here is a change of the protocol and needs a new version number.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::support::{Replica, run, run_with};
use crate::merkle::Limits;

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
            "> 01000108fe00be83361b8b2503eaffaac19c3e54a5d87e0b8dfc07c396000000",
            "  00000000000000000000000000808004808004808040bd9a7bea",
            "< 0200010c0475f97df3d4c66102af584c2ec3bf6a519880d5e960096418010000",
            "  00000000000000000000000000808004808004808040a72ae67e",
            "< 040100010101040241f1b0b67010aacff7fd7e4d",
            "> 05010201030206494cad",
        ]
    );
}

#[test]
fn a_session_with_a_drill_down() {
    let limits = Limits { max_frame: Limits::MIN_FRAME, ..Limits::default() };
    let mut a = Replica::of(4, (0..33).map(|key| (key, 1)));
    let mut b = Replica::of(4, (0..33).map(|key| (key, u128::from(key != 7))));
    let frames = run_with(&mut a, &mut b, (limits, limits)).frames;
    assert_eq!(
        hex(&frames),
        [
            "> 01000104fe00be83361b8b2521cce077eb0449d83b38097403b29b1d19000000",
            "  000000000000000000000000008001808004808040ee129905",
            "< 020001040475f97df3d4c6612148593042def59f1a72c27700aef2fd29010000",
            "  000000000000000000000000008001808004808040eeff3a7d",
            "< 03010001010104045dc630a85be2330c376a4e0069641bc35323a42829c25183",
            "  5a52a5f56aea0fcfc550a2b4b18e2bf529c25183f0a3fc3b1c7aea278001af9f",
            "  d762977ea684aedcd1a773c6",
            "> 04010010010504020dfdce4b10b61c5cedf6abf2",
            "< 050202010101abccb778",
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
            "> 01000110fe00be83361b8b2501426b96d9d2acd2bc5cfae22989ca8595000000",
            "  00000000000000000000000000808004808004808040225cfd59",
            "< 020001100475f97df3d4c66101426b96d9d2acd2bc5cfae22989ca8595010000",
            "  00000000000000000000000000808004808004808040962f1e79",
        ]
    );
}
