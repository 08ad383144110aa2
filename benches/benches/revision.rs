//! Documents of long histories: writing on top, merging, stemming, reading from bytes.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use conflict_store::{Document, VersionId};
use crdt_core::{Crdt, Limits};

type Tree = Document<Vec<u8>>;

const KEY: &[u8] = b"product-1";
const REVISIONS: [usize; 3] = [1_000, 10_000, 100_000];

/// A history of so many versions, each on top of the one before.
fn chain(revisions: usize) -> Tree {
    let mut tree = Tree::default();
    (0..revisions).for_each(|revision| edit(&mut tree, revision));
    tree
}

fn edit(tree: &mut Tree, revision: usize) {
    let parent: Option<VersionId> = tree.winner().map(|winner| *winner.id());
    let body = format!("the text as of revision {revision}").into_bytes();
    tree.put(KEY, parent.as_ref(), Some(body), None).expect("on top of the winner");
}

fn long_histories(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("revision, a long chain");
    group.sample_size(20);
    for revisions in REVISIONS {
        let whole = chain(revisions);
        let half = chain(revisions / 2);
        let bytes = whole.encode_for_key(KEY);
        group.throughput(Throughput::Elements(revisions as u64));
        group.bench_function(BenchmarkId::new("put each", revisions), |bencher| {
            bencher.iter_with_large_drop(|| chain(revisions));
        });
        group.bench_function(BenchmarkId::new("merge into half of it", revisions), |bencher| {
            let merge = |mut half: Tree| (half.merge(&whole), half);
            bencher.iter_batched(|| half.clone(), merge, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("merge what is known", revisions), |bencher| {
            let mut known = whole.clone();
            bencher.iter(|| known.merge(&whole));
        });
        group.bench_function(BenchmarkId::new("stem to half of it", revisions), |bencher| {
            let stem = |mut whole: Tree| (whole.stem(revisions / 2), whole);
            bencher.iter_batched(|| whole.clone(), stem, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("decode", revisions), |bencher| {
            bencher.iter_with_large_drop(|| Tree::decode_for_key(KEY, &bytes, &Limits::DEFAULT));
        });
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("put one more", revisions), |bencher| {
            // The chain grows by what is measured, which changes its length by little.
            let mut grown = whole.clone();
            let mut revision = revisions;
            bencher.iter(|| {
                revision += 1;
                edit(&mut grown, revision);
            });
        });
    }
    group.finish();
}

fn wide_conflicts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("revision, branches from one version");
    group.sample_size(20);
    for branches in [10, 100, 1_000] {
        let trunk = chain(10);
        let root = trunk.winner().map(|winner| *winner.id());
        let grow = || {
            let mut tree = trunk.clone();
            for branch in 0..branches {
                tree.put_branch(KEY, root.as_ref(), Some(format!("branch {branch}").into_bytes()), None);
            }
            tree
        };
        let wide = grow();
        group.throughput(Throughput::Elements(branches));
        group.bench_function(BenchmarkId::new("put each", branches), |bencher| {
            bencher.iter_with_large_drop(grow);
        });
        group.bench_function(BenchmarkId::new("merge", branches), |bencher| {
            let merge = |mut trunk: Tree| (trunk.merge(&wide), trunk);
            bencher.iter_batched(|| trunk.clone(), merge, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("winner and conflicts", branches), |bencher| {
            bencher.iter(|| (wide.winner().map(|winner| *winner.id()), wide.conflicts().count()));
        });
    }
    group.finish();
}

criterion_group!(benches, long_histories, wide_conflicts);
criterion_main!(benches);
