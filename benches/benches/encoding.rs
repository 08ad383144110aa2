//! Writing and reading whole states.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use crdt_benches::workloads::{Acquaintance, Divergence, diverged_counters, diverged_sets, grown_sets};
use crdt_core::codec::{self, Encoded};
use crdt_core::{GCounter, GSet, Limits, OrSet};

fn encoding(criterion: &mut Criterion) {
    let [counter, _] = diverged_counters::<GCounter>(10_000, Acquaintance::Same);
    both_ways(criterion, 10_000, &counter);
    for len in [1_000, 100_000] {
        let [set, _] = grown_sets::<GSet<u64>>(len, Divergence::None);
        both_ways(criterion, len, &set);
        let [set, _] = diverged_sets::<OrSet<u64>>(len, Divergence::None);
        both_ways(criterion, len, &set);
    }
    let [set, _] = diverged_sets::<OrSet<u64>>(1_000_000, Divergence::None);
    both_ways(criterion, 1_000_000, &set);
}

fn both_ways<T: Encoded + PartialEq>(criterion: &mut Criterion, len: usize, state: &T) {
    let mut group = criterion.benchmark_group(T::NAME);
    group.sample_size(20).throughput(Throughput::Elements(len as u64));
    let bytes = codec::to_bytes(state);
    let limits = Limits { max_bytes: bytes.len(), ..Limits::default() };
    assert!(codec::from_bytes::<T>(&bytes, &limits).is_ok_and(|read| read == *state));
    group.bench_function(BenchmarkId::new("encode", len), |bencher| {
        bencher.iter_with_large_drop(|| codec::to_bytes(state));
    });
    group.bench_function(BenchmarkId::new("decode", len), |bencher| {
        bencher.iter_with_large_drop(|| codec::from_bytes::<T>(&bytes, &limits));
    });
}

criterion_group!(benches, encoding);
criterion_main!(benches);
