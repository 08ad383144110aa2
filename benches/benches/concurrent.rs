//! Documents and siblings with 1, 2 and 100 concurrent versions: reading, writing on top, merging.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

use conflict_store::{KeepAll, Siblings, Store, Strategy, VersionId};
use crdt_core::{CausalContext, Crdt, ReplicaId, Writer};

const KEY: &[u8] = b"product-1";
const CONCURRENT: [u8; 3] = [1, 2, 100];

fn body(of: u8) -> Vec<u8> {
    format!("what writer {of} says about it, in a hundred bytes or so, as descriptions of products have them")
        .into()
}

fn documents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("document, concurrent versions");
    for concurrent in CONCURRENT {
        let mut store = Store::in_memory(Strategy::KeepAll);
        let mut late = Vec::new();
        for writer in 0..=concurrent {
            let mut elsewhere = Store::in_memory(Strategy::KeepAll);
            let (_, delta) = elsewhere.put(KEY, None, body(writer), None).expect("the first version");
            if writer < concurrent {
                let _ = store.merge(KEY, delta).expect("a sound version");
            } else {
                late.push(delta);
            }
        }
        let document = store.document(KEY).expect("memory").expect("it was written").into_owned();
        let seen: Vec<VersionId> = document.leaves().iter().map(|leaf| *leaf.id()).collect();
        assert_eq!(seen.len(), usize::from(concurrent));
        group.bench_function(BenchmarkId::new("get", concurrent), |bencher| {
            bencher.iter(|| document.read(KEY, &KeepAll));
        });
        group.bench_function(BenchmarkId::new("put on top of all", concurrent), |bencher| {
            let put = |mut store: Store<Vec<u8>>| (store.resolve(KEY, &seen, Some(body(0)), None), store);
            bencher.iter_batched(|| store.clone(), put, BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("merge one more", concurrent), |bencher| {
            let merge = |mut store: Store<Vec<u8>>| (store.merge(KEY, late[0].clone()), store);
            bencher.iter_batched(|| store.clone(), merge, BatchSize::SmallInput);
        });
    }
}

fn siblings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("siblings, concurrent values");
    let by = |writer: u8| ReplicaId::from_u128(u128::from(writer) + 1);
    for concurrent in CONCURRENT {
        let mut siblings = Siblings::<Vec<u8>>::default();
        let mut late = Siblings::default();
        for writer in 0..=concurrent {
            let mut elsewhere = Siblings::default();
            let me = by(writer);
            let written = elsewhere
                .write(Writer::unchecked(me), &CausalContext::default(), body(writer))
                .expect("a first value");
            if writer < concurrent {
                let _ = siblings.merge(&written.delta);
            } else {
                late = written.delta;
            }
        }
        assert_eq!(siblings.len(), usize::from(concurrent));
        let seen = siblings.live();
        let me = by(200);
        group.bench_function(BenchmarkId::new("get", concurrent), |bencher| {
            bencher.iter(|| siblings.values().map(Vec::len).sum::<usize>());
        });
        group.bench_function(BenchmarkId::new("put on top of all", concurrent), |bencher| {
            let write = |mut siblings: Siblings<Vec<u8>>| {
                (siblings.write(Writer::unchecked(me), &seen, body(0)), siblings)
            };
            bencher.iter_batched(|| siblings.clone(), write, BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("merge one more", concurrent), |bencher| {
            let merge = |mut siblings: Siblings<Vec<u8>>| (siblings.merge(&late), siblings);
            bencher.iter_batched(|| siblings.clone(), merge, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, documents, siblings);
criterion_main!(benches);
