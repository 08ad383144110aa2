//! What an element costs in memory and on the wire, for the family and for `crdts`, as a table.
//!
//! `cargo run --release -p crdt-benches --example sizes`
#![allow(clippy::print_stdout, reason = "a command line program")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use allocation_counter::measure;
use serde::Serialize;

use crdt_benches::workloads::{
    Acquaintance, Divergence, MergingCounter, MergingSet, RemovingSet, diverged_counters, diverged_sets,
    grown_sets,
};
use crdt_core::codec::encode_payload;
use crdt_core::{GCounter, GSet, HeapSize, OrSet, PnCounter, ReplicaId, Writer};

fn main() {
    println!(
        "Bytes per entry or element. Grown: as it came to be, spare room included. Copy: what a clone asks the \
         allocator for. Wire: the same bincode, without an envelope.\n"
    );
    println!(
        "| what | crdt-core, grown | copy | wire | crdts, copy | wire |\n|---|---:|---:|---:|---:|---:|"
    );
    let len = 10_000;
    row("G-counter of 10,000", len, &counter::<GCounter>(len), &counter::<crdts::GCounter<u128>>(len));
    row("PN-counter of 10,000", len, &counter::<PnCounter>(len), &counter::<crdts::PNCounter<u128>>(len));
    for len in [1_000, 100_000, 1_000_000] {
        let name = format!("G-set of {len}");
        row(&name, len, &grow_only::<GSet<u64>>(len), &grow_only::<crdts::GSet<u64>>(len));
    }
    for len in [1_000, 100_000, 1_000_000] {
        let name = format!("OR-set of {len}");
        row(&name, len, &or_set::<OrSet<u64>>(len), &or_set::<crdts::Orswot<u64, u128>>(len));
    }
    let (bytes, len) = worst();
    println!(
        "\nAt its worst size, {len}, an OR-set of `crdt-core` takes {bytes:.1} bytes of heap per element."
    );
}

/// The most that an element takes while a set grows from 100,000 to 2,200,000, and at which size.
fn worst() -> (f64, usize) {
    let mut set = OrSet::default();
    let mut worst = (0.0, 0);
    for len in 1..=2_200_000_usize {
        let me = Writer::unchecked(ReplicaId::from_u128(len as u128 % 8));
        set.add(me, (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("dots are left");
        let per_element = set.heap_size() as f64 / len as f64;
        if len > 100_000 && per_element > worst.0 {
            worst = (per_element, len);
        }
    }
    worst
}

fn counter<C: MergingCounter>(len: usize) -> C {
    let [counter, _] = diverged_counters(len, Acquaintance::Same);
    counter
}

fn grow_only<S: MergingSet>(len: usize) -> S {
    let [set, _] = grown_sets(len, Divergence::None);
    set
}

fn or_set<S: RemovingSet>(len: usize) -> S {
    let [set, _] = diverged_sets(len, Divergence::None);
    set
}

fn row<O, P>(name: &str, len: usize, ours: &O, theirs: &P)
where
    O: Clone + Serialize + HeapSize,
    P: Clone + Serialize,
{
    let per_element = |bytes: u64| bytes as f64 / len as f64;
    let grown = per_element(ours.heap_size() as u64);
    let [our_copy, their_copy] = [copied(ours), copied(theirs)].map(per_element);
    let [our_wire, their_wire] =
        [encode_payload(ours), encode_payload(theirs)].map(|bytes| per_element(bytes.len() as u64));
    println!("| {name} | {grown:.1} | {our_copy:.1} | {our_wire:.1} | {their_copy:.1} | {their_wire:.1} |");
}

/// The bytes that a copy has when it is made.
fn copied<T: Clone>(value: &T) -> u64 {
    let mut copy = None;
    let allocations = measure(|| copy = Some(value.clone()));
    drop(copy);
    allocations.bytes_current.unsigned_abs()
}
