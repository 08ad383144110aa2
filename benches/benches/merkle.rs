//! What the tree costs each write, and what a comparison costs in time and in bytes.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use crdt_benches::sessions::Replica;
use crdt_sync::merkle::{BucketTree, Change, TreeKey};

const ITEMS: u64 = 1_000_000;
const BATCH: usize = 1_000;

fn updates(criterion: &mut Criterion) {
    for leaf_bits in [16, 20] {
        let mut tree = BucketTree::new(&TreeKey::new([7; 16]), leaf_bits).expect("an allowed size");
        let hashes: Vec<_> = (0..ITEMS).map(|key| tree.key_hash(&key.to_le_bytes())).collect();
        for hash in &hashes {
            tree.insert(*hash, 1).expect("a million items fit");
        }
        let mut group = criterion.benchmark_group(format!("1,000,000 items in 2^{leaf_bits} leaves"));
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
        for hash in &hashes[key..] {
            tree.replace(*hash, version, version + 1).expect("the item is there");
        }
        version += 1;
        group.bench_function("replace, refresh, root", |bencher| {
            bencher.iter(|| {
                key = (key + 37) % hashes.len();
                tree.replace(hashes[key], version, version).expect("the item is there");
                tree.refresh();
                tree.root()
            });
        });
        key = 0;
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("replace, in batches", |bencher| {
            bencher.iter_batched_ref(
                || {
                    if key == hashes.len() {
                        (key, version) = (0, version + 1);
                    }
                    let (batch, old, new) = (&hashes[key..key + BATCH], Some(version), Some(version + 1));
                    key += BATCH;
                    batch.iter().map(|&key_hash| Change { key_hash, old, new }).collect::<Vec<_>>()
                },
                |changes| tree.update_batch(changes),
                BatchSize::SmallInput,
            );
        });
    }
    criterion.bench_function("key hash", |bencher| {
        let tree = BucketTree::new(&TreeKey::new([7; 16]), 4).expect("an allowed size");
        bencher.iter(|| tree.key_hash(b"eight by"));
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
