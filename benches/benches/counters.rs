//! Merging two whole counters, beside `crdts` and `crdt-kit`.

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

use crdt_benches::peers::crdt_kit;
use crdt_benches::workloads::{Acquaintance, MergingCounter, diverged_counters};
use crdt_core::{GCounter, PnCounter};

fn counters(criterion: &mut Criterion) {
    for (acquaintance, name) in Acquaintance::ALL {
        let mut group = criterion.benchmark_group(format!("g-counter, {name}"));
        for replicas in [16, 1_000, 10_000] {
            group.throughput(Throughput::Elements(replicas as u64));
            let ours = merge::<GCounter>(&mut group, "crdt-core", replicas, acquaintance);
            let theirs = merge::<crdts::GCounter<u128>>(&mut group, "crdts", replicas, acquaintance);
            assert_eq!(ours, theirs, "{replicas} replicas");
            let theirs = merge::<crdt_kit::GCounter>(&mut group, "crdt-kit", replicas, acquaintance);
            assert_eq!(ours, theirs, "{replicas} replicas");
        }
        group.finish();
        let mut group = criterion.benchmark_group(format!("pn-counter, {name}"));
        for replicas in [1_000, 10_000] {
            group.throughput(Throughput::Elements(replicas as u64));
            let ours = merge::<PnCounter>(&mut group, "crdt-core", replicas, acquaintance);
            let theirs = merge::<crdts::PNCounter<u128>>(&mut group, "crdts", replicas, acquaintance);
            assert_eq!(ours, theirs, "{replicas} replicas");
        }
    }
}

fn merge<C: MergingCounter>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    replicas: usize,
    acquaintance: Acquaintance,
) -> u128 {
    let [left, right] = diverged_counters::<C>(replicas, acquaintance);
    group.bench_function(BenchmarkId::new(candidate, replicas), |bencher| {
        let merge = |(mut left, right): (C, C)| {
            let rest = left.merge_with(right);
            (left, rest)
        };
        bencher.iter_batched(|| (left.clone(), right.clone()), merge, BatchSize::SmallInput);
    });
    let mut merged = left;
    merged.merge_with(right);
    merged.total()
}

criterion_group!(benches, counters);
criterion_main!(benches);
