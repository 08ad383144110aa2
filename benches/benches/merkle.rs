//! What the tree costs each write, and what a comparison costs in time and in bytes.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use crdt_benches::sessions::Replica;

const ITEMS: u64 = 1_000_000;

fn updates(criterion: &mut Criterion) {
    let mut replica = Replica::new(ITEMS).expect("a million items fit");
    let tree = replica.tree();
    let hashes: Vec<_> = (0..ITEMS).map(|key| tree.key_hash(&key.to_le_bytes())).collect();
    let mut group = criterion.benchmark_group("bucket tree of 1,000,000 items");
    group.bench_function("key hash", |bencher| {
        bencher.iter(|| tree.key_hash(b"eight by"));
    });
    let (mut key, mut version) = (0, 1);
    group.bench_function("replace", |bencher| {
        bencher.iter(|| {
            tree.replace(hashes[key], version, version + 1).expect("the item is there");
            key += 1;
            if key == hashes.len() {
                (key, version) = (0, version + 1);
            }
        });
    });
}

fn sessions(criterion: &mut Criterion) {
    let mut here = Replica::new(ITEMS).expect("a million items fit");
    let mut there = Replica::new(ITEMS).expect("a million items fit");
    let mut group = criterion.benchmark_group("session between 1,000,000 items");
    let mut costs = Vec::new();
    let mut changed = 0;
    for differing in [0, 1, 100, 10_000] {
        for key in changed..differing {
            here.set(key, 2).expect("the item is there");
        }
        changed = differing;
        let cost = here.compare(&mut there).expect("both sides keep to the protocol");
        assert_eq!(cost.found as u64, 2 * differing);
        costs.push((differing, cost));
        group.bench_function(BenchmarkId::new("differing", differing), |bencher| {
            bencher.iter(|| here.compare(&mut there));
        });
    }
    for (differing, cost) in costs {
        report(&format!("{differing} differing: {} bytes, {} turns", cost.bytes, cost.turns));
    }
}

#[expect(clippy::print_stdout, reason = "bytes are a result like times, and nobody else prints them")]
fn report(line: &str) {
    println!("{line}");
}

criterion_group!(benches, updates, sessions);
criterion_main!(benches);
