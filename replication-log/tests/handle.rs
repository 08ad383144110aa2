//! Many threads on one log.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "these tests are about threads")]

mod common;

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use common::{batch, gate::Gate, open, options, records, watched::Watched};
use replication_log::{
    AppendError, Epoch, FsyncPolicy, Log, LogHandle, Lsn,
    handle::{SubmitError, WaitError},
    storage::{FaultStorage, Storage, Survivors},
};

/// A disk whose file syncs wait at a gate, so that a test decides what happens during one.
struct Gated {
    disk: FaultStorage,
    gate: Arc<Gate>,
}

/// A handle over a gated disk with room for everything in one segment.
fn gated(policy: FsyncPolicy) -> (Gated, LogHandle<Watched>) {
    let (disk, gate) = (FaultStorage::new(), Arc::new(Gate::default()));
    let at_gate = Arc::clone(&gate);
    let watched = Watched::syncs(disk.clone(), move || at_gate.pass());
    let (log, _) = Log::open(watched, options().segment_bytes(1 << 20)).expect("new");
    (Gated { disk, gate }, LogHandle::start(log, policy).expect("a thread"))
}

#[test]
fn sixty_four_threads_that_append_during_one_sync_share_the_next() {
    let (storage, handle) = gated(FsyncPolicy::Group);
    let before = storage.disk.syncs();
    storage.gate.shut();
    let first = handle.append(&batch(0, 0, &[10])).expect("fits");
    storage.gate.until_someone_waits();

    thread::scope(|scope| {
        let appended = Arc::new(std::sync::Barrier::new(65));
        let mut waiters = Vec::new();
        for label in 1..=64 {
            let (handle, appended) = (handle.clone(), Arc::clone(&appended));
            waiters.push(scope.spawn(move || {
                let ticket = handle.append(&batch(0, label, &[10])).expect("fits");
                appended.wait();
                handle.wait_durable(ticket).map(|durable| durable >= ticket.last())
            }));
        }
        appended.wait();
        assert_eq!(handle.durable(), Some(Lsn::ZERO), "the disk is still busy");
        storage.gate.open();
        for waiter in waiters {
            assert_eq!(waiter.join().expect("no panic"), Ok(true));
        }
    });
    assert_eq!(handle.wait_durable(first), Ok(Lsn::new(65)));
    assert_eq!(storage.disk.syncs() - before, 2, "one for the first, one for the other sixty-four");
}

#[test]
fn every_waiter_hears_of_a_failed_sync_and_nobody_hangs() {
    let (storage, handle) = gated(FsyncPolicy::Group);
    storage.gate.shut();
    let tickets: Vec<_> = (0..8).map(|label| handle.append(&batch(0, label, &[10])).expect("fits")).collect();
    storage.gate.until_someone_waits();
    storage.disk.fail_syncs(1);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let waiters: Vec<_> = tickets
            .iter()
            .map(|&ticket| {
                scope.spawn({
                    let handle = handle.clone();
                    move || handle.wait_durable(ticket)
                })
            })
            .collect();
        storage.gate.open();
        waiters.into_iter().map(|waiter| waiter.join().expect("no panic")).collect()
    });
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(WaitError::Poisoned(_)))), "{outcomes:?}");
    let refused = handle.append(&batch(0, 9, &[10]));
    assert!(matches!(refused, Err(SubmitError::Refused(AppendError::Poisoned(_)))));
    assert!(matches!(handle.sync(), Err(WaitError::Poisoned(_))));
    assert!(handle.close().is_err());
}

#[test]
fn whoever_cannot_wait_is_called() {
    let disk = FaultStorage::new();
    let (log, _) = open(&disk).expect("new");
    let (sender, told) = mpsc::channel();
    let tell = Box::new(move |outcome| sender.send(outcome).unwrap_or(()));
    let handle = LogHandle::start_with(log, FsyncPolicy::Group, tell).expect("a thread");
    let mut heard = Lsn::ZERO;
    for label in 0..20 {
        let ticket = handle.append(&batch(0, label, &[300])).expect("fits");
        while heard < ticket.last() {
            let durable = told.recv().expect("the flusher lives").expect("healthy");
            assert!(durable > heard, "told twice of {durable}");
            heard = durable;
        }
    }
    disk.fail_syncs(1);
    let ticket = handle.append(&batch(0, 99, &[1])).expect("fits");
    assert!(told.recv().expect("told of the failure too").is_err());
    assert!(handle.wait_durable(ticket).is_err());
    assert!(told.recv().is_err(), "and of nothing after it");
}

#[test]
fn each_policy_keeps_its_word() {
    let (storage, handle) = gated(FsyncPolicy::Always);
    let before = storage.disk.syncs();
    for label in 0..5 {
        let ticket = handle.append(&batch(0, label, &[10])).expect("fits");
        assert_eq!(handle.durable(), Some(ticket.last()), "durable before it returns");
    }
    assert_eq!(storage.disk.syncs() - before, 5);

    let (storage, handle) = gated(FsyncPolicy::Never);
    let before = storage.disk.syncs();
    let ticket = handle.append(&batch(0, 0, &[10])).expect("fits");
    assert_eq!(handle.wait_durable(ticket), Err(WaitError::NeverSynced));
    assert_eq!(storage.disk.syncs(), before);
    assert_eq!(handle.sync(), Ok(ticket.last()), "unless asked");
    assert_eq!(handle.wait_durable(ticket), Ok(ticket.last()));

    // An interval that never ends in this test: only closing and asking end it early.
    let (storage, handle) = gated(FsyncPolicy::Interval(Duration::from_secs(1 << 20)));
    let before = storage.disk.syncs();
    let first = handle.append(&batch(0, 0, &[10])).expect("fits");
    assert_eq!(storage.disk.syncs(), before);
    assert_eq!(handle.sync(), Ok(first.last()));
    let second = handle.append(&batch(0, 1, &[10])).expect("fits");
    let closer = handle.clone();
    assert_eq!(closer.close().expect("healthy"), Some(second.last()));
    assert_eq!(handle.append(&batch(0, 2, &[10])), Err(SubmitError::Closed));
    assert_eq!(handle.wait_durable(second), Err(WaitError::Closed));

    let (_, handle) = gated(FsyncPolicy::Interval(Duration::from_millis(1)));
    let ticket = handle.append(&batch(0, 0, &[10])).expect("fits");
    assert_eq!(handle.wait_durable(ticket), Ok(ticket.last()));
}

#[test]
fn what_is_flushed_is_written_and_waits_for_no_disk() {
    let (storage, handle) = gated(FsyncPolicy::Group);
    storage.gate.shut();
    let _first = handle.append(&batch(0, 0, &[10])).expect("fits");
    storage.gate.until_someone_waits();
    let second = handle.append(&batch(0, 1, &[10])).expect("fits");
    // Either the sync has bytes to write that come before, or all of it is written now.
    let written = handle.flush().expect("sound");
    assert!(written <= second.last() && Some(written) == handle.written());
    assert_eq!(handle.durable(), Some(Lsn::ZERO), "the disk is still busy");
    storage.gate.open();
    assert_eq!(handle.wait_durable(second), Ok(second.last()));
    assert_eq!(handle.flush(), Ok(second.last()));
    let other = handle.clone();
    other.close().expect("healthy");
    assert_eq!(handle.flush(), Err(SubmitError::Closed));

    let (_storage, handle) = gated(FsyncPolicy::Never);
    let ticket = handle.append(&batch(0, 0, &[10])).expect("fits");
    assert_eq!((handle.flush(), handle.durable()), (Ok(ticket.last()), Some(Lsn::ZERO)));
}

#[test]
fn threads_rotate_promise_and_truncate_under_each_others_feet() {
    let disk = FaultStorage::new();
    let (log, _) = open(&disk).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
    thread::scope(|scope| {
        for worker in 0..8 {
            let handle = handle.clone();
            scope.spawn(move || {
                for round in 0..25 {
                    let ticket = handle.append(&batch(3, worker * 100 + round, &[200, 1])).expect("fits");
                    let durable = handle.wait_durable(ticket).expect("healthy");
                    let read = handle.read_from(*ticket.lsns().start(), 2);
                    // Another worker may have truncated it since.
                    if let Ok(read) = read {
                        assert_eq!(read.len(), 2, "{durable} is durable, so this batch can be read");
                    }
                    if round % 10 == worker {
                        handle.truncate_before(ticket.last()).expect("healthy");
                        handle.promise_epoch(Epoch::new(3)).expect("not older");
                    }
                }
            });
        }
    });
    assert_eq!(handle.close().expect("healthy"), Some(Lsn::new(400)));
    disk.crash(Survivors::NOTHING);
    let (log, report) = open(&disk).expect("closed");
    assert!(report.closed_cleanly);
    assert_eq!(records(&log).last().map(|record| record.lsn), Some(Lsn::new(400)));
}

#[test]
fn a_callback_that_panics_ends_the_flusher_and_not_the_patience_of_others() {
    let (log, _) = open(&FaultStorage::new()).expect("new");
    let panic = Box::new(|_| panic!("a bug in the callback, on purpose"));
    let handle = LogHandle::start_with(log, FsyncPolicy::Group, panic).expect("a thread");
    let first = handle.append(&batch(0, 0, &[1])).expect("fits");
    handle.wait_durable(first).expect("synced before the callback");
    loop {
        let ticket = handle.append(&batch(0, 1, &[1])).expect("fits");
        if handle.wait_durable(ticket).is_err() {
            break;
        }
    }
}

#[test]
fn a_dropped_handle_leaves_the_log_to_the_next() {
    let disk = FaultStorage::new();
    let (log, _) = open(&disk).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    handle.wait_durable(ticket).expect("healthy");
    drop(handle);
    let (log, report) = open(&disk).expect("intact");
    assert_eq!((log.durable(), report.closed_cleanly), (Lsn::new(1), false));
}

#[test]
fn a_dropped_handle_leaves_nothing_behind_in_memory() {
    let disk = FaultStorage::new();
    let (log, _) = Log::open(disk.clone(), options().staging_bytes(1 << 20)).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Never).expect("a thread");
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    assert_eq!((handle.last(), handle.written()), (Some(ticket.last()), Some(Lsn::ZERO)));
    drop(handle);
    assert_eq!(open(&disk).expect("intact").0.last(), Lsn::new(1));
}

#[test]
fn the_flusher_prepares_the_next_segment_and_uses_dropped_ones_again() {
    let policies = [
        FsyncPolicy::Always,
        FsyncPolicy::Group,
        FsyncPolicy::Interval(Duration::from_millis(1)),
        FsyncPolicy::Never,
    ];
    for policy in policies {
        let disk = FaultStorage::new();
        let (log, _) = Log::open(disk.clone(), options().recycle(1)).expect("new");
        let handle = LogHandle::start(log, policy).expect("a thread");
        let mut prepared = 0;
        for label in 0..20 {
            let ticket = handle.append(&batch(0, label, &[1300])).expect("fits");
            // It is half full now, and the flusher is awake: its next segment appears, and no later
            // append can do without.
            let next = format!("{:016x}.new", label + 2);
            let seen = (0..10_000).any(|_| {
                thread::sleep(Duration::from_micros(100));
                disk.list().expect("running").contains(&next)
            });
            prepared += u64::from(seen);
            handle.truncate_before(ticket.last()).expect("healthy");
        }
        assert_eq!(prepared, 20, "{policy:?}");
        assert_eq!(handle.close().expect("healthy"), Some(Lsn::new(20)));
        assert!(
            disk.list().expect("running").iter().all(|name| name.strip_suffix(".log").is_some()),
            "{policy:?}"
        );
        disk.crash(Survivors::NOTHING);
        assert!(open(&disk).expect("closed").1.closed_cleanly);
    }
}

#[test]
fn a_future_that_outlives_all_handles_does_not_keep_the_log() {
    let (storage, handle) = gated(FsyncPolicy::Group);
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    let future = handle.when_durable(ticket);
    drop(handle);
    let log = Log::open(storage.disk, options());
    assert_eq!(log.expect("free").0.durable(), ticket.last());
    drop(future);
}
