//! Merging two whole grow-only sets, beside `crdts` and `crdt-kit`.

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

use crdt_benches::peers::crdt_kit;
use crdt_benches::workloads::{Divergence, MergingSet, grown_sets, shuffled_sets};
use crdt_core::GSet;

type Sides<S> = fn(usize, Divergence) -> [S; 2];

fn sets(criterion: &mut Criterion) {
    for (divergence, name) in Divergence::ALL {
        let mut group = criterion.benchmark_group(format!("g-set, {name}"));
        group.sample_size(20);
        for len in [1_000, 100_000, 1_000_000] {
            group.throughput(Throughput::Elements(len as u64));
            let ours = merge::<GSet<u64>>(&mut group, "crdt-core", len, divergence, grown_sets);
            let theirs = merge::<crdts::GSet<u64>>(&mut group, "crdts", len, divergence, grown_sets);
            assert!(ours == theirs, "{name}");
        }
        let len = 1_000;
        let ours = merge::<GSet<u64>>(&mut group, "crdt-core, random orders", len, divergence, shuffled_sets);
        let theirs = merge::<crdt_kit::GSet>(&mut group, "crdt-kit", len, divergence, shuffled_sets);
        assert!(ours == theirs, "{name}");
        group.finish();
    }
}

fn merge<S: MergingSet>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    len: usize,
    divergence: Divergence,
    sides: Sides<S>,
) -> Vec<u64> {
    let [left, right] = sides(len, divergence);
    group.bench_function(BenchmarkId::new(candidate, len), |bencher| {
        let merge = |(mut left, right): (S, S)| {
            let rest = left.merge_with(right);
            (left, rest)
        };
        bencher.iter_batched(|| (left.clone(), right.clone()), merge, BatchSize::LargeInput);
    });
    let mut merged = left;
    merged.merge_with(right);
    merged.elements()
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("g-set of 100,000");
    group.sample_size(20);
    look_and_add::<GSet<u64>>(&mut group, "crdt-core");
    look_and_add::<crdts::GSet<u64>>(&mut group, "crdts");
}

fn look_and_add<S: MergingSet>(group: &mut BenchmarkGroup<'_, WallTime>, candidate: &str) {
    let [set, _] = grown_sets::<S>(100_000, Divergence::None);
    let elements = set.elements();
    let mut turn = 0;
    group.bench_function(BenchmarkId::new("contains", candidate), |bencher| {
        bencher.iter(|| {
            // Far from the last one, there and not there by turns.
            turn = (turn + 40_009) % elements.len();
            set.has(elements[turn] ^ u64::from(turn % 2 == 0))
        });
    });
    group.throughput(Throughput::Elements(elements.len() as u64));
    group.bench_function(BenchmarkId::new("add each", candidate), |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut set = S::default();
            for element in &elements {
                set.add(1, element.rotate_left(17));
            }
            set
        });
    });
}

criterion_group!(benches, sets, steps);
criterion_main!(benches);
