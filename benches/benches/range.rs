//! What a tree over keys in their own order costs each write and each question, and what a comparison costs in time and
//! in bytes, where differences are scattered and where they are neighbours.
//!
//! `RANGE_ITEMS=1000000 cargo bench -p crdt-benches --bench range` measures with a million items instead of a hundred
//! thousand.

#![allow(clippy::disallowed_methods, reason = "criterion takes no arguments of a bench")]

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

use crdt_sync::merkle::{Outcome, TreeKey};
use crdt_sync::range::{KeyRange, Limits, ProtocolError, RangeSession, RangeSnapshot, RangeTree, TreeError};

fn items() -> u64 {
    std::env::var("RANGE_ITEMS").ok().and_then(|items| items.parse().ok()).unwrap_or(100_000)
}

/// The random key with this number.
fn key(number: u64) -> [u8; 16] {
    u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn tree(items: u64) -> Result<RangeTree, TreeError> {
    let mut tree = RangeTree::new(&TreeKey::new([7; 16]));
    for number in 0..items {
        tree.insert(&key(number), 1)?;
    }
    Ok(tree)
}

fn writes_and_questions(criterion: &mut Criterion) {
    let items = items();
    let mut group = criterion.benchmark_group(format!("range tree of {items} items"));
    let mut tree = tree(items).expect("the items fit");
    let mut number = 0;
    let mut next = move || {
        number = (number + 1) % items;
        number
    };
    group.bench_function("replace", |bencher| {
        bencher.iter(|| tree.insert(&key(next()), 2).expect("the item is there"));
    });
    group.bench_function("remove and insert", |bencher| {
        bencher.iter(|| {
            let key = key(next());
            tree.remove(&key);
            tree.insert(&key, 1).expect("the tree is not full")
        });
    });
    group.bench_function("insert all, ascending", |bencher| {
        let mut keys: Vec<_> = (0..items).map(key).collect();
        keys.sort_unstable();
        bencher.iter_batched(
            || RangeTree::new(&TreeKey::new([7; 16])),
            |mut tree| {
                for key in &keys {
                    tree.insert(key, 1).expect("the items fit");
                }
                tree
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("aggregate", |bencher| {
        bencher.iter(|| {
            let mut bounds = [key(next()), key(next())];
            bounds.sort_unstable();
            let range = KeyRange::new(&bounds[0], Some(&bounds[1])).expect("the bounds are in order");
            tree.aggregate(&range)
        });
    });
    group.bench_function("rank", |bencher| bencher.iter(|| tree.rank(&key(next()))));
    group
        .bench_function("select", |bencher| bencher.iter(|| tree.select(next()).map(|(_, version)| version)));
    report(&format!("{} bytes per item", tree.heap_bytes() as u64 / items));
}

/// Moves `differing` items to another version, and returns the tree with the first of them moved.
fn changed(of: &mut RangeTree, differing: u64, step: u64) -> Result<RangeSnapshot, TreeError> {
    for at in 0..differing {
        let key = of.select(at * step).map(|(key, _)| key.to_vec()).unwrap_or_default();
        of.insert(&key, 2)?;
    }
    Ok(of.snapshot())
}

fn compare(here: &RangeSnapshot, there: &RangeSnapshot) -> Result<(u64, u16, usize), ProtocolError> {
    let all = KeyRange::all;
    let mut initiator = RangeSession::initiate(here.clone(), all(), [1; 16], Limits::default());
    let mut acceptor = RangeSession::accept(there.clone(), all(), [2; 16], Limits::default());
    loop {
        if let Some(frame) = initiator.poll_frame() {
            acceptor.handle(&frame)?;
        } else if let Some(frame) = acceptor.poll_frame() {
            initiator.handle(&frame)?;
        } else {
            break;
        }
    }
    let found = match initiator.outcome() {
        Some(Outcome::Differs(difference)) => difference.send.len(),
        _ => 0,
    };
    let stats = initiator.stats();
    Ok((stats.bytes_sent + stats.bytes_received, stats.rounds, found))
}

fn sessions(criterion: &mut Criterion) {
    let items = items();
    let here = tree(items).expect("the items fit").snapshot();
    let mut group = criterion.benchmark_group(format!("range session between {items} items"));
    for (differing, place) in [(0, "equal"), (1, "one"), (100, "scattered"), (100, "clustered")] {
        let step = if place == "clustered" { 1 } else { items / differing.max(1) };
        let mut there = tree(items).expect("the items fit");
        let there = changed(&mut there, differing, step).expect("the items are there");
        let (bytes, turns, found) = compare(&here, &there).expect("both sides keep to the protocol");
        assert_eq!(found as u64, differing);
        report(&format!("{differing} differing, {place}: {bytes} bytes, {turns} turns"));
        group.bench_function(BenchmarkId::new("differing", format!("{differing} {place}")), |bencher| {
            bencher.iter(|| compare(&here, &there));
        });
    }
}

#[expect(clippy::print_stdout, reason = "bytes are a result like times, and nobody else prints them")]
fn report(line: &str) {
    println!("{line}");
}

criterion_group!(benches, writes_and_questions, sessions);
criterion_main!(benches);
