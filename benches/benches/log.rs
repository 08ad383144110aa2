//! Appending without waiting for a disk: framing, checksums and bookkeeping.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use replication_log::storage::MemoryStorage;
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind};

const RECORDS: u64 = 1_000;

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append 1,000 records of 100 bytes");
    group.throughput(Throughput::Elements(RECORDS));
    for per_batch in [1, 100] {
        group.bench_function(BenchmarkId::new("records per batch", per_batch), |bencher| {
            bencher.iter_batched(
                empty_log,
                |mut log| {
                    append_all(&mut log, per_batch);
                    log
                },
                BatchSize::LargeInput,
            );
        });
    }
}

fn append_all(log: &mut Log<MemoryStorage>, per_batch: u64) {
    let mut batch = Batch::new(Epoch::new(1));
    for _ in 0..RECORDS / per_batch {
        batch.clear();
        for _ in 0..per_batch {
            batch.push(RecordKind(1), &[0x5a; 100]).expect("a record fits");
        }
        log.append(&batch).expect("memory takes a batch");
    }
    assert_eq!(log.last(), Lsn::new(RECORDS));
}

/// With its first segment in place, large enough for all.
fn empty_log() -> Log<MemoryStorage> {
    let options = LogOptions::new(7).segment_bytes(1 << 20).preallocate_bytes(1 << 20);
    let (log, _) = Log::open(MemoryStorage::new(), options).expect("an empty storage opens");
    log
}

criterion_group!(benches, append);
criterion_main!(benches);
