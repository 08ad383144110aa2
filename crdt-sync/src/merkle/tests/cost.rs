//! What a session costs in bytes and messages. Both follow from the nonces, so they are the same on
//! every machine.

use alloc::string::String;
use core::fmt::Write;

use super::support::{Replica, run};
use crate::merkle::{BucketTree, Item, ItemSource, Limits, Outcome, Prefix, Session};

const ITEMS: u64 = 100_000;

struct Cost {
    differing: u64,
    bytes: usize,
    messages: usize,
}

/// Of `differing` keys half are changed, a quarter is missing on each side.
fn measure(leaf_bits: u8, differing: u64, report: &mut String) -> Cost {
    let step = ITEMS / differing.max(1);
    let fate = |key: u64| (key.is_multiple_of(step) && key / step < differing).then_some(key / step % 4);
    let mut a = Replica::of(leaf_bits, (0..ITEMS).filter(|key| fate(*key) != Some(1)).map(|key| (key, 1)));
    let mut b = Replica::of(
        leaf_bits,
        (0..ITEMS).filter(|key| fate(*key) != Some(3)).map(|key| match fate(key) {
            Some(0 | 2) => (key, 2),
            _ => (key, 1),
        }),
    );
    let run = run(&mut a, &mut b);
    if differing == 0 {
        assert_eq!(run.initiator.outcome(), Some(&Outcome::Converged));
    } else {
        let (at_a, at_b) = run.differences();
        let found = at_a.send.len().max(at_b.send.len());
        assert_eq!(at_a.send, a.missing_at(&b));
        assert_eq!(at_b.send, b.missing_at(&a));
        assert!(found as u64 <= differing);
    }
    let (bytes, messages, frames) = (run.bytes(), run.messages(), run.frames.len());
    writeln!(
        report,
        "2^{leaf_bits} leaves, {differing} differ: {bytes} bytes, {messages} messages, {frames} frames"
    )
    .unwrap();
    writeln!(report, "{}", run.initiator.trace()).unwrap();
    Cost { differing, bytes, messages }
}

/// `cargo test -p crdt-sync merkle::tests::cost -- --nocapture` prints the figures and the way each
/// session took.
#[test]
fn bytes_and_messages_stay_within_their_bounds() {
    let mut report = String::new();
    // Differing keys, bytes, messages: the bounds are about a tenth above what is measured.
    let bounds = [(0, 104, 2), (1, 1_180, 6), (100, 14_000, 6), (10_000, 420_000, 6)];
    for leaf_bits in [12, 16] {
        for (differing, most_bytes, most_messages) in bounds {
            let cost = measure(leaf_bits, differing, &mut report);
            assert!(cost.bytes <= most_bytes, "{report}");
            assert!(cost.messages <= most_messages, "{report}");
            assert_eq!(cost.differing, differing);
        }
    }
    show(&report);
}

#[cfg(feature = "std")]
#[expect(clippy::print_stdout, reason = "the figures are for reading")]
fn show(report: &str) {
    std::println!("{report}");
}

#[cfg(not(feature = "std"))]
fn show(_: &str) {}

/// Nobody goes through the items of sets that are the same.
#[test]
fn of_equal_sets_no_item_is_read() {
    struct Unread;
    impl ItemSource for Unread {
        fn for_each_in(&self, part: Prefix, _: &mut dyn FnMut(Item)) {
            panic!("{part} is read");
        }
    }
    let [a, b] = [12, 16].map(|leaf_bits| Replica::of(leaf_bits, (0..10_000).map(|key| (key, 1))).levels());
    let mut initiator = Session::initiate(a, [1; 16], Limits::default());
    let mut acceptor = Session::accept(b, [2; 16], Limits::default());
    acceptor.handle(&initiator.poll_frame().unwrap(), &Unread).unwrap();
    initiator.handle(&acceptor.poll_frame().unwrap(), &Unread).unwrap();
    for side in [&initiator, &acceptor] {
        assert_eq!((side.outcome(), side.stats().items_listed), (Some(&Outcome::Converged), 0));
    }
}

#[test]
fn sixteen_items_per_leaf_are_advised() {
    assert_eq!(BucketTree::leaf_bits_for(ITEMS), 12);
    for items in [10_u64, 1_000, 100_000, 1_000_000, 10_000_000] {
        let per_leaf = items >> BucketTree::leaf_bits_for(items);
        assert!((0..=64).contains(&per_leaf), "{items}");
    }
}
