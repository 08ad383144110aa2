//! Staging: appends gather in memory and reach the disk together, and a batch can be built where it
//! will be written from.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, image, options, payload, records};
use proptest::prelude::*;
use replication_log::{
    AppendError, Batch, BatchError, Epoch, Log, LogOptions, Lsn, PoisonedBy, RecordKind, SyncError,
    limits::{MAX_RECORD_BYTES, MAX_STAGED_BYTES},
    storage::{FaultStorage, MemoryStorage, StorageErrorKind, Survivors},
};

const KIND: RecordKind = RecordKind(1);

/// A log on a disk of its own, with room for everything a test stages.
fn staged() -> (FaultStorage, Log<FaultStorage>) {
    let disk = FaultStorage::new();
    let options = options().segment_bytes(64 << 10).preallocate_bytes(64 << 10).staging_bytes(4096);
    let (log, _) = Log::open(disk.clone(), options).expect("new");
    (disk, log)
}

#[test]
fn a_batch_is_one_write_when_nothing_is_staged() {
    let disk = FaultStorage::new();
    let (mut log, _) = common::open(&disk).expect("new");
    let before = disk.operations();
    log.append(&batch(0, 1, &[100, 200, 300])).expect("fits");
    assert_eq!(disk.operations() - before, 1);
    assert_eq!(log.append(&batch(0, 2, &[])), Err(AppendError::Empty));
    assert_eq!(disk.operations() - before, 1);
}

#[test]
fn appends_cost_nothing_until_the_buffer_is_full_and_then_one_write() {
    let (disk, mut log) = staged();
    let before = disk.operations();
    let each = batch(0, 1, &[60]).encoded_bytes();
    for _ in 0..4096 / each {
        log.append(&batch(0, 1, &[60])).expect("fits");
    }
    assert_eq!((disk.operations() - before, log.written()), (0, Lsn::ZERO));
    log.append(&batch(0, 1, &[60])).expect("fits");
    assert_eq!((disk.operations() - before, log.written()), (1, log.last()));
    assert_eq!(log.durable(), Lsn::ZERO);
}

#[test]
fn a_sync_is_one_write_and_one_sync_whatever_is_staged() {
    let (disk, mut log) = staged();
    for label in 0..20 {
        log.append(&batch(0, label, &[60])).expect("fits");
    }
    let before = disk.operations();
    assert_eq!(log.sync(), Ok(Lsn::new(20)));
    assert_eq!(disk.operations() - before, 2);
    assert_eq!(log.sync(), Ok(Lsn::new(20)));
    assert_eq!(disk.operations() - before, 2, "nothing to do is nothing done");
}

#[test]
fn the_three_marks_follow_each_other() {
    let (_, mut log) = staged();
    log.append(&batch(0, 1, &[10])).expect("fits");
    assert_eq!((log.last().get(), log.written().get(), log.durable().get()), (1, 0, 0));
    assert_eq!(log.flush(), Ok(Lsn::new(1)));
    log.append(&batch(0, 2, &[10])).expect("fits");
    assert_eq!((log.last().get(), log.written().get(), log.durable().get()), (2, 1, 0));
    assert_eq!(records(&log).len(), 1, "what is only staged cannot be read");
    let pending = log.begin_sync().expect("healthy");
    log.append(&batch(0, 3, &[10])).expect("fits");
    assert_eq!((log.last().get(), log.written().get(), log.durable().get()), (3, 1, 0));
    let outcome = pending.run();
    log.finish_sync(pending, outcome).expect("healthy");
    assert_eq!((log.last().get(), log.written().get(), log.durable().get()), (3, 2, 2));
}

#[test]
fn a_promise_reports_the_end_of_the_log_with_everything_staged() {
    let (disk, mut log) = staged();
    for label in 0..5 {
        log.append(&batch(1, label, &[10])).expect("fits");
    }
    assert_eq!(log.written(), Lsn::ZERO);
    assert_eq!(log.promise_epoch(Epoch::new(2)), Ok(Lsn::new(5)));
    drop(log);
    disk.crash(Survivors::NOTHING);
    let (log, _) = common::open(&disk).expect("healthy");
    assert_eq!((log.durable(), log.epoch()), (Lsn::new(5), Epoch::new(2)));
}

#[test]
fn what_was_staged_before_a_promise_is_not_fenced_and_what_comes_after_is() {
    let (_, mut log) = staged();
    log.append(&batch(1, 1, &[10])).expect("fits");
    log.promise_epoch(Epoch::new(2)).expect("healthy");
    let fenced = AppendError::Fenced { have: Epoch::new(2), got: Epoch::new(1) };
    assert_eq!(log.append(&batch(1, 2, &[10])), Err(fenced.clone()));
    assert_eq!(log.begin_batch(Epoch::new(1)).map(drop), Err(fenced));
    assert_eq!(log.last(), Lsn::new(1));
}

#[test]
fn a_process_that_ends_without_closing_loses_what_was_only_staged() {
    let (disk, mut log) = staged();
    log.append(&batch(0, 1, &[10])).expect("fits");
    log.flush().expect("healthy");
    log.append(&batch(0, 2, &[10])).expect("fits");
    drop(log);
    let (mut log, _) = common::open(&disk).expect("healthy");
    assert_eq!(log.last(), Lsn::new(1));
    log.append(&batch(0, 2, &[10])).expect("fits");
    log.close().expect("healthy");
    assert_eq!(common::open(&disk).expect("healthy").0.last(), Lsn::new(2));
}

#[test]
fn a_failed_write_of_staged_batches_poisons_the_log() {
    let (disk, mut log) = staged();
    log.append(&batch(0, 1, &[10])).expect("fits");
    disk.stop_after(0);
    let Err(SyncError::Poisoned(poison)) = log.flush() else { panic!("written without a disk") };
    assert_eq!(poison.by, PoisonedBy::Write);
    disk.resume();
    assert_eq!(log.append(&batch(0, 2, &[10])), Err(AppendError::Poisoned(poison.clone())));
    assert_eq!(log.begin_batch(Epoch::ZERO).map(drop), Err(AppendError::Poisoned(poison.clone())));
    assert_eq!(log.flush(), Err(SyncError::Poisoned(poison)));
    assert_eq!((log.written(), log.durable()), (Lsn::ZERO, Lsn::ZERO));

    // The same, when it is the sync that writes.
    let (disk, mut log) = staged();
    log.append(&batch(0, 1, &[10])).expect("fits");
    let pending = log.begin_sync().expect("healthy");
    disk.stop_after(0);
    let outcome = pending.run();
    let Err(SyncError::Poisoned(poison)) = log.finish_sync(pending, outcome) else { panic!("synced") };
    assert_eq!(poison.by, PoisonedBy::Write);
}

/// Scenario: the device is full after k bytes of a record, for every k. With zeros written ahead the
/// append is refused (see `faults.rs`); without them the write tears, and the log says so.
#[test]
fn a_disk_that_fills_up_inside_staged_batches_costs_no_durable_record() {
    let each = batch(0, 1, &[50]).encoded_bytes();
    for free in 0..3 * each as u64 {
        let disk = FaultStorage::new();
        let options = options().preallocate_bytes(0).staging_bytes(4096);
        let (mut log, _) = Log::open(disk.clone(), options.clone()).expect("new");
        log.append(&batch(0, 0, &[50])).expect("fits");
        log.sync().expect("healthy");
        disk.limit_space(Some(free));
        for label in 1..=3 {
            log.append(&batch(0, label, &[50])).expect("memory is not full");
        }
        let Err(SyncError::Poisoned(poison)) = log.sync() else { panic!("{free} bytes were enough") };
        assert_eq!((poison.by, poison.error.kind), (PoisonedBy::Write, StorageErrorKind::NoSpace));
        assert_eq!(log.durable(), Lsn::new(1));
        drop(log);
        disk.limit_space(None);
        let (mut log, report) = Log::open(disk, options).expect("a torn batch is no corruption");
        let whole = free / each as u64;
        assert_eq!(log.durable(), Lsn::new(1 + whole), "{free} bytes");
        assert_eq!(report.cut.is_some(), free % each as u64 > 0, "{free} bytes");
        assert_eq!(log.append_record(Epoch::ZERO, KIND, b"again"), Ok(Lsn::new(2 + whole)));
    }
}

#[test]
fn while_a_sync_is_under_way_appends_fill_the_other_buffer_up_to_a_bound() {
    let disk = MemoryStorage::new();
    let options = LogOptions::new(1).preallocate_bytes(0).staging_bytes(1024);
    let (mut log, _) = Log::open(disk, options).expect("new");
    log.append_record(Epoch::ZERO, KIND, b"taken along").expect("fits");
    let pending = log.begin_sync().expect("healthy");
    assert_eq!(log.flush(), Err(SyncError::UnderWay), "it would overtake what the sync has to write");

    let large = vec![7; 100_000];
    let mut staged = 0;
    let refused = loop {
        match log.append_record(Epoch::ZERO, KIND, &large) {
            Ok(_) => staged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::SyncUnderWay);
    assert!((MAX_STAGED_BYTES - 200_000..=MAX_STAGED_BYTES).contains(&(staged * large.len())));
    assert_eq!(log.last(), Lsn::new(1 + staged as u64), "the refused one left no trace");

    let outcome = pending.run();
    assert_eq!(log.finish_sync(pending, outcome), Ok(Lsn::FIRST));
    log.append_record(Epoch::ZERO, KIND, &large).expect("there is room again");
    assert_eq!(log.written(), log.last(), "and as it is more than the buffer should hold, it is written");
    assert_eq!(records(&log).len(), staged + 2);
}

#[test]
fn a_single_batch_larger_than_the_bound_is_staged_all_the_same() {
    let options = LogOptions::new(1).preallocate_bytes(0);
    let (mut log, _) = Log::open(MemoryStorage::new(), options).expect("new");
    log.append_record(Epoch::ZERO, KIND, b"taken along").expect("fits");
    let pending = log.begin_sync().expect("healthy");
    log.append_record(Epoch::ZERO, KIND, &vec![7; MAX_STAGED_BYTES + 1]).expect("the buffer is empty");
    let refused = log.append_record(Epoch::ZERO, KIND, b"one more");
    assert_eq!(refused, Err(AppendError::SyncUnderWay));
    let outcome = pending.run();
    log.finish_sync(pending, outcome).expect("healthy");
    assert_eq!(log.sync(), Ok(Lsn::new(2)));
}

#[test]
fn a_batch_dropped_before_commit_leaves_no_trace() {
    let (disk, mut log) = staged();
    log.append(&batch(1, 1, &[10])).expect("fits");
    let before = (image(&disk), log.last(), log.epoch(), log.checksum());
    let mut open = log.begin_batch(Epoch::new(9)).expect("not older");
    open.push(KIND, &payload(2, 0, 30)).expect("small");
    assert_eq!((open.len(), open.is_empty(), open.encoded_bytes()), (1, false, 40 + 2 + 30));
    drop(open);
    assert_eq!((image(&disk), log.last(), log.epoch(), log.checksum()), before);

    // Also one whose destructor never ran.
    let mut open = log.begin_batch(Epoch::new(9)).expect("not older");
    open.push(KIND, &payload(3, 0, 30)).expect("small");
    std::mem::forget(open);
    log.append(&batch(1, 4, &[20])).expect("fits");
    log.sync().expect("healthy");
    let sizes: Vec<_> = records(&log).into_iter().map(|record| record.payload.len()).collect();
    assert_eq!(sizes, [10, 20]);
}

#[test]
fn a_batch_that_cannot_be_committed_leaves_no_trace() {
    let (disk, mut log) = staged();
    log.append(&batch(1, 1, &[10])).expect("fits");
    let before = (image(&disk), log.last(), log.epoch(), log.checksum());
    let open = log.begin_batch(Epoch::new(1)).expect("not older");
    assert_eq!(open.commit(), Err(AppendError::Empty));
    let mut open = log.begin_batch(Epoch::new(2)).expect("not older");
    open.push(KIND, &vec![0; 65 << 10]).expect("a batch may be larger than a segment");
    let (bytes, limit) = (40 + 4 + (65 << 10), (64 << 10) - 80 - 8);
    assert_eq!(open.commit(), Err(AppendError::TooLarge { bytes, limit }));
    let bytes = MAX_RECORD_BYTES + 1;
    let too_large = BatchError::RecordTooLarge { bytes, limit: MAX_RECORD_BYTES };
    let refused = log.append_record(Epoch::new(2), KIND, &vec![0; bytes]);
    assert_eq!(refused, Err(AppendError::Batch(too_large)));
    assert_eq!((image(&disk), log.last(), log.epoch(), log.checksum()), before);
}

#[test]
fn a_log_that_has_warmed_up_appends_without_allocating() {
    const APPENDS: u64 = 10_000;
    let options = LogOptions::new(1).segment_bytes(8 << 20).preallocate_bytes(8 << 20);
    let (mut log, _) = Log::open(MemoryStorage::new(), options).expect("new");
    let batch = batch(0, 1, &[100]);
    let allocations = |work: &mut dyn FnMut()| allocation_counter::measure(work).count_total;
    assert!(
        allocations(&mut || log.append(&batch).map(drop).expect("fits")) > 0,
        "the counter counts, and the first append takes the buffer"
    );
    for _ in 0..1000 {
        log.append(&batch).expect("fits");
    }
    let ways: [fn(&mut Log<MemoryStorage>, &Batch); 3] = [
        |log, batch| log.append(batch).map(drop).expect("fits"),
        |log, _| log.append_record(Epoch::ZERO, KIND, &[7; 100]).map(drop).expect("fits"),
        |log, _| {
            let mut open = log.begin_batch(Epoch::ZERO).expect("not older");
            open.push(KIND, &[7; 100]).expect("small");
            open.commit().map(drop).expect("fits");
        },
    ];
    for append in ways {
        let all = allocations(&mut || (0..APPENDS).for_each(|_| append(&mut log, &batch)));
        assert_eq!(all, 0, "{APPENDS} appends");
    }
    // Two buffers take turns, and both have warmed up after two syncs.
    for round in 0..4 {
        let synced = allocations(&mut || {
            (0..APPENDS / 10).for_each(|_| log.append(&batch).map(drop).expect("fits"));
            log.sync().map(drop).expect("healthy");
        });
        assert!(round < 2 || synced == 0, "round {round} took {synced} allocations");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    /// Built in place or beforehand, written at once or together: the same bytes.
    #[test]
    fn a_log_holds_the_same_bytes_however_its_batches_got_there(
        batches in prop::collection::vec(prop::collection::vec(0_usize..300, 1..5), 1..30),
        staging in 0_usize..3000,
    ) {
        let (at_once, together) = (MemoryStorage::new(), MemoryStorage::new());
        let (mut log, _) = Log::open(at_once.clone(), options()).expect("new");
        let (mut other, _) = Log::open(together.clone(), options().staging_bytes(staging)).expect("new");
        for (label, sizes) in batches.iter().enumerate() {
            let lsns = log.append(&batch(3, label as u64, sizes)).expect("fits");
            let mut open = other.begin_batch(Epoch::new(3)).expect("not older");
            for (at, &size) in sizes.iter().enumerate() {
                open.push(RecordKind(at as u8), &payload(label as u64, at, size)).expect("small");
            }
            prop_assert_eq!(open.commit(), Ok(lsns));
        }
        prop_assert_eq!(log.checksum(), other.checksum());
        prop_assert_eq!(log.close(), other.close());
        for name in replication_log::storage::Storage::list(&at_once).expect("healthy") {
            prop_assert!(at_once.bytes(&name) == together.bytes(&name), "{} differs", name);
        }
    }
}
