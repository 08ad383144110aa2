//! Merging two whole states, beside `crdts`.

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

use crdt_benches::workloads::{Divergence, MergingCounter, MergingSet, diverged_counters, diverged_sets};
use crdt_core::{GCounter, OrSet};

const SET_LEN: usize = 10_000;

fn sets(criterion: &mut Criterion) {
    for (divergence, name) in Divergence::ALL {
        let mut group = criterion.benchmark_group(format!("or-set of 10,000, {name}"));
        group.throughput(Throughput::Elements(SET_LEN as u64));
        let ours = set::<OrSet<u64>>(&mut group, "crdt-core", divergence);
        let theirs = set::<crdts::Orswot<u64, u128>>(&mut group, "crdts", divergence);
        assert_eq!(ours, theirs, "{name}");
    }
}

fn set<S: MergingSet>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    divergence: Divergence,
) -> Vec<u64> {
    let [left, right] = diverged_sets::<S>(SET_LEN, divergence);
    group.bench_function(candidate, |bencher| {
        let merge = |(mut left, right): (S, S)| {
            left.merge_with(right);
            left
        };
        bencher.iter_batched(|| (left.clone(), right.clone()), merge, BatchSize::LargeInput);
    });
    let mut merged = left;
    merged.merge_with(right);
    merged.elements()
}

fn counters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("g-counter");
    for replicas in [16_u32, 1_000, 10_000] {
        group.throughput(Throughput::Elements(replicas.into()));
        let ours = counter::<GCounter>(&mut group, "crdt-core", replicas);
        let theirs = counter::<crdts::GCounter<u128>>(&mut group, "crdts", replicas);
        assert_eq!(ours, theirs, "{replicas} replicas");
    }
}

fn counter<C: MergingCounter>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    replicas: u32,
) -> u128 {
    let [left, right] = diverged_counters::<C>(replicas.into());
    group.bench_function(BenchmarkId::new(candidate, replicas), |bencher| {
        let merge = |(mut left, right): (C, C)| {
            left.merge_with(right);
            left
        };
        bencher.iter_batched(|| (left.clone(), right.clone()), merge, BatchSize::LargeInput);
    });
    let mut merged = left;
    merged.merge_with(right);
    merged.total()
}

criterion_group!(benches, sets, counters);
criterion_main!(benches);
