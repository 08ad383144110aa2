//! The log without a disk: framing, checksums and bookkeeping on the way in, and the same on the way out.
#![allow(clippy::print_stdout, reason = "counts that criterion has no place for")]

use allocation_counter::measure;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use replication_log::storage::MemoryStorage;
use replication_log::{Batch, Epoch, Log, LogOptions, Lsn, RecordKind};

const RECORDS: u64 = 1_000;
const SIZES: [usize; 2] = [100, 4_096];
const KIND: RecordKind = RecordKind(1);

fn append(criterion: &mut Criterion) {
    for size in SIZES {
        let payload = vec![0x5a; size];
        let mut group = criterion.benchmark_group(format!("append 1,000 records of {size} bytes"));
        group.throughput(Throughput::Elements(RECORDS));
        for per_batch in [1, 100] {
            group.bench_function(BenchmarkId::new("records per batch", per_batch), |bencher| {
                bencher.iter_batched(
                    || (warm_log(size), Batch::new(Epoch::new(1))),
                    |(mut log, mut batch)| {
                        append_all(&mut log, &mut batch, &payload, per_batch);
                        (log, batch)
                    },
                    BatchSize::LargeInput,
                );
            });
        }
    }
}

fn read_back(criterion: &mut Criterion) {
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("read 1,000 records of {size} bytes"));
        group.throughput(Throughput::Elements(RECORDS));
        for per_batch in [1, 100] {
            let storage = MemoryStorage::new();
            let log = written_log(&storage, size, per_batch);
            group.bench_function(BenchmarkId::new("records per batch", per_batch), |bencher| {
                bencher.iter(|| read_all(&log, size));
            });
            drop(log);
            group.bench_function(BenchmarkId::new("opened, records per batch", per_batch), |bencher| {
                bencher.iter_batched(
                    || storage.clone(),
                    |storage| Log::open(storage, options(size)).expect("it opens again"),
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

/// Not a time: how often memory is asked for, which is the same on every machine.
fn allocations(_: &mut Criterion) {
    for size in SIZES {
        let (mut log, mut batch) = (warm_log(size), Batch::new(Epoch::new(1)));
        let payload = vec![0x5a; size];
        let mut append = || append_all(&mut log, &mut batch, &payload, 1);
        append();
        let appending = measure(append);
        let log = written_log(&MemoryStorage::new(), size, 1);
        let reading = measure(|| read_all(&log, size));
        println!(
            "allocations for 1,000 records of {size} bytes: {} to append one by one, {} to read",
            appending.count_total, reading.count_total
        );
    }
}

fn append_all(log: &mut Log<MemoryStorage>, batch: &mut Batch, payload: &[u8], per_batch: u64) {
    let before = log.last().get();
    for _ in 0..RECORDS / per_batch {
        batch.clear();
        for _ in 0..per_batch {
            batch.push(KIND, payload).expect("a record fits");
        }
        log.append(batch).expect("memory takes a batch");
    }
    assert_eq!(log.last(), Lsn::new(before + RECORDS));
}

fn read_all(log: &Log<MemoryStorage>, size: usize) {
    let (mut records, mut bytes) = (0, 0);
    let mut reader = log.read_from(Lsn::FIRST).expect("the beginning is there");
    while let Some(record) = reader.next_record().expect("intact") {
        records += 1;
        bytes += record.payload.len();
    }
    assert_eq!((records, bytes), (RECORDS, 1_000 * size));
}

fn written_log(storage: &MemoryStorage, size: usize, per_batch: u64) -> Log<MemoryStorage> {
    let (mut log, _) = Log::open(storage.clone(), options(size)).expect("an empty storage opens");
    append_all(&mut log, &mut Batch::new(Epoch::new(1)), &vec![0x5a; size], per_batch);
    log.sync().expect("memory syncs");
    log
}

/// With its first segment in place.
fn warm_log(size: usize) -> Log<MemoryStorage> {
    Log::open(MemoryStorage::new(), options(size)).expect("an empty storage opens").0
}

/// One segment for all, filled ahead as a whole.
fn options(size: usize) -> LogOptions {
    let bytes = 4 * RECORDS * (size as u64 + 64);
    LogOptions::new(7).segment_bytes(bytes).preallocate_bytes(bytes)
}

criterion_group!(benches, append, read_back, allocations);
criterion_main!(benches);
