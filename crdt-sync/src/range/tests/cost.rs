//! What a session costs in bytes and messages. Both follow from the nonces, so they are the same on
//! every machine.

use alloc::string::String;
use core::fmt::Write;

use super::buckets;
use super::support::{Replica, run};

const ITEMS: u64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// As far from each other as can be.
    Scattered,
    /// Neighbours in the order of keys.
    Clustered,
}

/// Random keys of 16 bytes of which `differing` differ: half changed, a quarter missing on each side.
fn replicas(differing: u64, place: Place) -> (Replica, Replica) {
    let scatter = |at: u64| u128::from(at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let (mut a, mut b) = (Replica::new(), Replica::new());
    let mut keys: alloc::vec::Vec<_> = (0..ITEMS).map(scatter).collect();
    keys.sort_unstable();
    let step = if place == Place::Scattered { ITEMS / differing.max(1) } else { 1 };
    for (at, key) in (0..).zip(keys) {
        let fate = (at % step == step / 2 && at / step < differing).then_some(at / step % 4);
        if fate != Some(1) {
            a.put(&key.to_be_bytes(), 1);
        }
        if fate != Some(3) {
            b.put(&key.to_be_bytes(), if matches!(fate, Some(0 | 2)) { 2 } else { 1 });
        }
    }
    (a, b)
}

/// `cargo test -p crdt-sync range::tests::cost -- --nocapture` prints the figures.
#[test]
fn bytes_and_messages_stay_within_their_bounds() {
    use Place::{Clustered, Scattered};
    let mut report = String::new();
    // Differing keys, bytes, messages: the bounds are about a tenth above what is measured.
    let bounds = [
        (0, Scattered, 130, 2),
        (1, Scattered, 700, 6),
        (100, Scattered, 26_500, 6),
        (100, Clustered, 1_100, 6),
        (10_000, Clustered, 38_000, 6),
    ];
    for (differing, place, most_bytes, most_messages) in bounds {
        let (a, b) = replicas(differing, place);
        let run = run(&a, &b);
        let (bytes, messages) = (run.bytes() as u64, run.messages());
        let in_buckets = buckets::bytes(&a, &b);
        writeln!(
            report,
            "{differing} differ, {place:?}: {bytes} bytes in {messages} messages; by buckets {in_buckets}"
        )
        .unwrap();
        assert!(bytes <= most_bytes && messages <= most_messages, "{report}");
        assert!(place == Scattered || bytes < in_buckets / 4, "{report}");
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
