//! Merging OR-sets, whole and by delta, beside `crdts`, `crdt-kit` and `dson`.
//!
//! A million elements and the peers' larger sets take minutes to set up: see the binary `ratios`.

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

use crdt_benches::peers::{crdt_kit, crdts, dson};
use crdt_benches::workloads::{DeltaSet, Deltas, Divergence, RemovingSet, diverged_sets};
use crdt_core::{DeltaCrdt, OrSet};

fn wholes(criterion: &mut Criterion) {
    for (divergence, name) in Divergence::ALL {
        let mut group = criterion.benchmark_group(format!("or-set, {name}"));
        group.sample_size(10);
        for len in [1_000, 100_000] {
            group.throughput(Throughput::Elements(len as u64));
            let ours = merge::<OrSet<u64>>(&mut group, "crdt-core", len, divergence);
            let theirs = merge::<crdts::OrSet>(&mut group, "crdts", len, divergence);
            assert!(ours == theirs, "{name}");
            if len == 1_000 {
                let theirs = merge::<crdt_kit::OrSet>(&mut group, "crdt-kit", len, divergence);
                assert!(ours == theirs, "{name}");
                let theirs = merge::<dson::OrSet>(&mut group, "dson", len, divergence);
                assert!(ours == theirs, "{name}");
            }
        }
    }
}

fn merge<S: RemovingSet>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    len: usize,
    divergence: Divergence,
) -> Vec<u64> {
    let [left, right] = diverged_sets::<S>(len, divergence);
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

/// Changes of ten elements each.
const CHANGES: usize = 20;

fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("or-set, changes of 10");
    group.sample_size(10);
    group.throughput(Throughput::Elements((CHANGES * Deltas::<OrSet<u64>>::WIDTH) as u64));
    for len in [1_000, 100_000] {
        let ours = take_in::<OrSet<u64>>(&mut group, "crdt-core", len);
        assert!(ours == take_in::<crdts::OrSet>(&mut group, "crdts", len));
        if len == 1_000 {
            assert!(ours == take_in::<crdt_kit::OrSet>(&mut group, "crdt-kit", len));
            assert!(ours == take_in::<dson::OrSet>(&mut group, "dson", len));
        }
    }
}

fn take_in<S: DeltaSet>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    len: usize,
) -> [Vec<u64>; 2] {
    let Deltas { set, adds, removals } = Deltas::<S>::new(len, CHANGES);
    [("adds", adds), ("removals", removals)].map(|(kind, deltas)| {
        let all = |(mut set, deltas): (S, Vec<S::Delta>)| {
            for delta in deltas {
                set.take_in(delta);
            }
            set
        };
        let input = || (set.clone(), deltas.clone());
        group.bench_function(BenchmarkId::new(format!("{candidate}, {kind}"), len), |bencher| {
            bencher.iter_batched(input, all, BatchSize::LargeInput);
        });
        all(input()).elements()
    })
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("or-set");
    group.sample_size(10);
    for len in [1_000, 100_000] {
        let Deltas { set, adds, .. } = Deltas::<OrSet<u64>>::new(len, 1);
        let digest = set.digest();
        let mut ahead = set;
        for delta in adds {
            ahead.take_in(delta);
        }
        group.bench_function(BenchmarkId::new("digest", len), |bencher| {
            bencher.iter_with_large_drop(|| ahead.digest());
        });
        group.bench_function(BenchmarkId::new("delta since 10 adds ago", len), |bencher| {
            bencher.iter_with_large_drop(|| ahead.delta_since(&digest));
        });
        one_by_one::<OrSet<u64>>(&mut group, "crdt-core", len);
        one_by_one::<crdts::OrSet>(&mut group, "crdts", len);
    }
}

fn one_by_one<S: RemovingSet>(group: &mut BenchmarkGroup<'_, WallTime>, candidate: &str, len: usize) {
    let [set, _] = diverged_sets::<S>(len, Divergence::None);
    let elements = set.elements();
    let mut turn = 0;
    let mut next = || {
        // Far from the last one.
        turn = (turn + 40_009) % elements.len();
        elements[turn]
    };
    group.bench_function(BenchmarkId::new(format!("{candidate}, contains"), len), |bencher| {
        bencher.iter(|| set.has(next()));
    });
    let mut changing = set.clone();
    group.bench_function(BenchmarkId::new(format!("{candidate}, remove and add again"), len), |bencher| {
        bencher.iter(|| {
            let element = next();
            changing.remove(element);
            changing.add(1, element);
        });
    });
}

criterion_group!(benches, wholes, changes, steps);
criterion_main!(benches);
