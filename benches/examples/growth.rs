//! What a merge of ten elements costs while a set grows, and what the few merges cost that make it grow.
//!
//! `cargo run --release -p crdt-benches --example growth`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a command line program with a stopwatch"
)]

use std::time::Instant;

use crdt_core::{Crdt, OrSet, ReplicaId, Writer};

const LEN: u64 = 2_000_000;
const PER_DELTA: u64 = 10;

fn main() {
    let writer = Writer::unchecked(ReplicaId::from_u128(1));
    let mut source = OrSet::default();
    let mut set = OrSet::default();
    let mut merges = Vec::new();
    for first in (0..LEN).step_by(10) {
        let mut delta = OrSet::default();
        for element in first..first + PER_DELTA {
            let scattered = element.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let _ = delta.merge(&source.add(writer, scattered).expect("dots are left"));
        }
        let start = Instant::now();
        let _ = set.merge(&delta);
        merges.push((start.elapsed().as_nanos() as f64 / PER_DELTA as f64, first));
    }
    let worst_first = |(a, _): &(f64, u64), (b, _): &(f64, u64)| b.total_cmp(a);
    merges.sort_by(worst_first);
    let above = |per_mille: usize| merges[merges.len() * per_mille / 1_000].0;
    println!("merging 10 elements at a time into an OR-set that grows to {LEN}, ns per element:");
    println!("median {:.0}, 99 % {:.0}, 99.9 % {:.0}", above(500), above(10), above(1));
    println!("the slowest merges, and the size at which they came:");
    for (nanos, size) in &merges[..8] {
        println!("  {:.2} ms in all at {size}", nanos * PER_DELTA as f64 / 1e6);
    }
}
