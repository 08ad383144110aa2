//! The bytes of whole sessions, as an independent implementation of `docs/formats.md` makes them. A
//! change here is a change of the protocol and needs a new version number.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::support::{Replica, Run};
use crate::range::{KeyRange, Limits};

/// Frames as lines of hexadecimal, `>` for the initiator's.
fn hex(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for (from_initiator, frame) in &run.frames {
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

/// Defaults may change, and a hello tells limits.
fn run_over(a: &Replica, b: &Replica, asked: &KeyRange, shared: &KeyRange) -> Run {
    let limits =
        Limits { max_frame: 1 << 16, max_open_ranges: 1 << 16, max_items: 1 << 20, ..Limits::default() };
    let mut run = Run::start((a, b), (asked, shared), (limits, limits), 0);
    while let Some((from_initiator, frame)) = run.poll() {
        run.frames.push((from_initiator, frame.clone()));
        // A refusal is an error, and is told.
        let _ = run.deliver(from_initiator, &frame);
    }
    run
}

fn orders(from: u32, to: u32) -> impl Iterator<Item = (String, u128)> {
    (from..to).map(|at| (alloc::format!("orders/{at:04}"), 1))
}

#[test]
fn a_session_over_a_prefix() {
    let a = Replica::of(orders(0, 40).chain([(String::from("people/ada"), 1)]));
    let mut b = Replica::of(orders(0, 40));
    b.put(b"orders/0017", 2);
    let range = KeyRange::prefix(b"orders/").unwrap();
    let run = run_over(&a, &b, &range, &KeyRange::all());
    assert_eq!(
        hex(&run),
        [
            "> 1100010000000000000000000000000000000080800480800480804002076f72",
            "  646572732f313028e1289abb098baf97d42721557d24bfbfa77102fd88bed844",
            "  29f1c66e",
            "< 1200010100000000000000000000000000000080800480800480804002076f72",
            "  646572732f3130280d111c05fa4dd57533574d051db6ec500eef2da13f42f426",
            "  41884d5c",
            "< 140100010101041004596810de3c3030303202284db83e513501a272c3e65137",
            "  028c44bc0c49310161ed7260513202201036d6513501d4286fac513702baa092",
            "  1a493201d5193db751320229b7756151350168fb2f80513702803044f3493301",
            "  70bfb7b65132027e23544f513501a5e6a715513702956726b8ac2708e8",
            "> 14010010010f040003420b48ab464a6b5b644029097b151a67",
            "< 14020403010201000004116e3023",
        ]
    );
}

#[test]
fn a_session_over_a_narrowed_range() {
    let a = Replica::of(orders(0, 40));
    let b = Replica::of(orders(0, 40).chain(orders(50, 53)));
    let shared = KeyRange::new(b"orders/0030", Some(b"orders/0052")).unwrap();
    let run = run_over(&a, &b, &KeyRange::all(), &shared);
    assert_eq!(
        hex(&run),
        [
            "> 11000100000000000000000000000000000000808004808004808040010028e1",
            "  289abb098baf97d42721557d24bfbf2d85e66ad76b33d0673bc36b",
            "< 12000101000000000000000000000000000000808004808004808040020b6f72",
            "  646572732f303033304a35320c9eb1e4a3a582c5d88f4e4958ac42521c011087",
            "  1c90533d887c0e5b4c",
            "> 13010a96770d666c8678cb5adba19b9f99b39aa07af2b9",
            "> 14020001010104000a07d533fb662eb7117b909fb48e5615418f42a5e1a05742",
            "  31a73a4e7fab46f197c8d4f3caec7a0da8718d60fc",
            "< 1401040a00020000041b3a2ba5",
        ]
    );
}

#[test]
fn a_refusal() {
    let a = Replica::of(orders(0, 40));
    let [orders, people] = [b"orders/", b"people/"].map(|prefix| KeyRange::prefix(prefix).unwrap());
    let run = run_over(&a, &a, &people, &orders);
    assert_eq!(
        hex(&run),
        [
            "> 1100010000000000000000000000000000000080800480800480804002077065",
            "  6f706c652f31300000000000000000000000000000000000bf7dc76ef2895772",
            "  f6c961cb",
            "< 1200010100000000000000000000000000000080800480800480804000000000",
            "  0000000000000000000000000000787b244a59f7c46bf3c1f9eb",
        ]
    );
}
