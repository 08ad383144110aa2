//! What may be let out, and when: durable, of an epoch that is still the newest, and not cut since.
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "these tests are about threads")]

mod common;

use std::sync::mpsc;

use common::{batch, open, options, records};
use replication_log::{
    Epoch, FsyncPolicy, Log, LogHandle, Lsn, PromiseError, ReleaseError, SyncError, TruncateAfterError,
    handle::{SubmitError, WaitError},
    storage::FaultStorage,
};

fn shared(policy: FsyncPolicy) -> (FaultStorage, LogHandle<FaultStorage>) {
    let disk = FaultStorage::new();
    let (log, _) = open(&disk).expect("new");
    (disk, LogHandle::start(log, policy).expect("a thread"))
}

/// The mutant: checked only at append. The batch was accepted under epoch 3 and is durable, and its
/// acknowledgement must not leave all the same.
#[test]
fn an_epoch_checked_only_at_append_would_release_what_a_newer_one_has_fenced() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    let epoch = Epoch::new(3);
    let lsn = *log.append(&batch(3, 1, &[10])).expect("epoch 3 is the newest").end();
    assert_eq!(log.promise_epoch(Epoch::new(4)), Ok(lsn), "the promise reports what was staged, too");
    assert!(log.durable() >= lsn);
    assert_eq!(log.release(epoch, lsn), Err(ReleaseError::Fenced { have: Epoch::new(4), got: epoch }));
    assert_eq!(log.release(Epoch::new(4), lsn), Ok(lsn));
}

#[test]
fn a_ticket_of_an_older_epoch_is_fenced_although_its_batch_is_durable() {
    for policy in [FsyncPolicy::Always, FsyncPolicy::Group, FsyncPolicy::Never] {
        let (_, handle) = shared(policy);
        let ticket = handle.append(&batch(3, 1, &[10])).expect("fits");
        assert_eq!(handle.promise_epoch(Epoch::new(4)), Ok(ticket.last()));
        assert!(handle.durable() >= Some(ticket.last()));
        let fenced = WaitError::Fenced { have: Epoch::new(4), got: Epoch::new(3) };
        assert_eq!(handle.wait_durable(ticket), Err(fenced));
        assert_eq!(handle.sync(), Ok(ticket.last()), "a sync asks about bytes and not about reigns");
    }
}

#[test]
fn accepting_a_batch_of_a_newer_epoch_fences_like_a_promise() {
    let (_, handle) = shared(FsyncPolicy::Never);
    let older = handle.append(&batch(3, 1, &[10])).expect("fits");
    let newer = handle.append(&batch(4, 2, &[10])).expect("fits");
    handle.sync().expect("healthy");
    assert!(matches!(handle.wait_durable(older), Err(WaitError::Fenced { .. })));
    assert_eq!(handle.wait_durable(newer), Ok(newer.last()));
}

#[test]
fn a_promise_reports_the_end_of_the_log_including_what_is_not_durable() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    log.append(&batch(1, 1, &[10, 10])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(1, 2, &[10])).expect("fits");
    assert_eq!(log.durable(), Lsn::new(2));
    assert_eq!(log.promise_epoch(Epoch::new(2)), Ok(Lsn::new(3)));
    let fenced = PromiseError::Fenced { have: Epoch::new(2), got: Epoch::new(1) };
    assert_eq!(log.promise_epoch(Epoch::new(1)), Err(fenced));
}

#[test]
fn what_is_not_durable_is_not_released_and_on_a_poisoned_log_never_will_be() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[10])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(0, 2, &[10])).expect("fits");
    let (asked, durable) = (Lsn::new(2), Lsn::new(1));
    assert_eq!(log.release(Epoch::ZERO, asked), Err(ReleaseError::NotDurable { asked, durable }));
    disk.fail_syncs(1);
    let Err(SyncError::Poisoned(poison)) = log.sync() else { panic!("the error got lost") };
    assert_eq!(log.release(Epoch::ZERO, asked), Err(ReleaseError::Poisoned(poison)));
    assert_eq!(log.release(Epoch::ZERO, durable), Ok(durable), "that it is durable stays true");
}

/// rabbitmq/ra #637: the mark of what was written outlived a truncation, and entries were committed
/// that nobody had written.
#[test]
fn a_ticket_of_a_batch_that_was_cut_stays_void_when_others_reach_its_number() {
    let (_, handle) = shared(FsyncPolicy::Never);
    let tickets: Vec<_> = (0..4).map(|label| handle.append(&batch(0, label, &[10])).expect("fits")).collect();
    handle.truncate_after(Lsn::new(2), Lsn::ZERO).expect("a boundary");
    for label in 4..8 {
        let ticket = handle.append(&batch(0, label, &[10])).expect("fits");
        handle.sync().expect("healthy");
        assert_eq!(handle.wait_durable(ticket), Ok(ticket.last()));
    }
    let outcomes: Vec<_> = tickets.into_iter().map(|ticket| handle.wait_durable(ticket)).collect();
    let cut = Err(WaitError::Truncated { to: Lsn::new(2) });
    assert_eq!(outcomes, [Ok(Lsn::new(6)), Ok(Lsn::new(6)), cut.clone(), cut]);
}

#[test]
fn whoever_waits_for_a_record_that_is_cut_hears_of_it_and_nobody_hangs() {
    // An interval that never ends in this test: nothing but the cut wakes the waiter.
    let (_, handle) = shared(FsyncPolicy::Interval(std::time::Duration::from_secs(1 << 20)));
    let kept = handle.append(&batch(0, 0, &[10])).expect("fits");
    let ticket = handle.append(&batch(0, 1, &[10])).expect("fits");
    let (sender, told) = mpsc::channel();
    let waiter = std::thread::spawn({
        let handle = handle.clone();
        move || {
            sender.send(()).expect("listening");
            handle.wait_durable(ticket)
        }
    });
    told.recv().expect("started");
    handle.truncate_after(kept.last(), Lsn::ZERO).expect("a boundary");
    assert_eq!(waiter.join().expect("no panic"), Err(WaitError::Truncated { to: kept.last() }));
    // What was asked to be synced and is gone does not keep the flusher busy.
    let _ = handle.append(&batch(0, 2, &[10])).expect("fits");
    assert_eq!(handle.sync(), Ok(Lsn::new(2)));
}

#[test]
fn after_a_cut_the_callback_is_told_of_advances_from_there_on() {
    let (log, _) = open(&FaultStorage::new()).expect("new");
    let (sender, told) = mpsc::channel();
    let tell = Box::new(move |outcome| sender.send(outcome).unwrap_or(()));
    let handle = LogHandle::start_with(log, FsyncPolicy::Never, tell).expect("a thread");
    for label in 0..5 {
        let _ = handle.append(&batch(0, label, &[10])).expect("fits");
    }
    handle.sync().expect("healthy");
    assert_eq!(told.recv().expect("the flusher lives"), Ok(Lsn::new(5)));
    handle.truncate_after(Lsn::new(1), Lsn::ZERO).expect("a boundary");
    let _ = handle.append(&batch(0, 9, &[10])).expect("fits");
    handle.sync().expect("healthy");
    assert_eq!(told.recv().expect("the flusher lives"), Ok(Lsn::new(2)));
}

/// A callback that takes its time must not take the new record 5 for the one it was told of.
#[test]
fn a_mark_that_is_reached_again_after_a_cut_is_told_again() {
    let (log, _) = open(&FaultStorage::new()).expect("new");
    let ((sender, told), (go_on, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    let tell = Box::new(move |outcome| {
        let reached = outcome == Ok(Lsn::new(5));
        sender.send(outcome).unwrap_or(());
        if reached {
            gate.recv().unwrap_or(());
        }
    });
    let handle = LogHandle::start_with(log, FsyncPolicy::Always, tell).expect("a thread");
    let append = |count: u64| {
        for label in 0..count {
            let _ = handle.append(&batch(0, label, &[10])).expect("fits");
        }
    };
    append(5);
    assert!(told.iter().any(|outcome| outcome == Ok(Lsn::new(5))));
    handle.truncate_after(Lsn::new(1), Lsn::ZERO).expect("a boundary");
    append(4);
    go_on.send(()).expect("the flusher lives");
    // Nothing else is appended, so this is the only thing there is to tell.
    drop(go_on);
    drop(handle);
    assert_eq!(told.iter().collect::<Vec<_>>(), [Ok(Lsn::new(5))]);
}

#[test]
fn a_refused_cut_through_the_handle_changes_nothing_for_those_who_wait() {
    let (disk, handle) = shared(FsyncPolicy::Never);
    let ticket = handle.append(&batch(0, 1, &[10])).expect("fits");
    let refused = handle.truncate_after(Lsn::ZERO, ticket.last());
    let below = TruncateAfterError::BelowFloor { asked: Lsn::ZERO, floor: ticket.last() };
    assert_eq!(refused, Err(SubmitError::Refused(below)));
    assert_eq!(handle.sync(), Ok(ticket.last()));
    assert_eq!(handle.wait_durable(ticket), Ok(ticket.last()));
    let other = handle.clone();
    handle.close().expect("healthy");
    assert_eq!(other.truncate_after(Lsn::ZERO, Lsn::ZERO), Err(SubmitError::Closed));
    let (log, _) = Log::open(disk, options()).expect("closed");
    assert_eq!(records(&log).len(), 1);
}

#[test]
fn cuts_are_counted_so_that_a_number_is_not_taken_for_its_successor() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    let grow = |log: &mut Log<FaultStorage>, to: u64| {
        while log.last() < Lsn::new(to) {
            log.append(&batch(0, log.last().get(), &[1])).expect("fits");
        }
        log.truncations()
    };
    let before = grow(&mut log, 10);
    for last in [7, 3, 5] {
        grow(&mut log, 10);
        log.truncate_after(Lsn::new(last), Lsn::ZERO).expect("a boundary");
    }
    let since = [0, 1, 2, 3].map(|count| log.cut_since(before + count).map(Lsn::get));
    assert_eq!(since, [Some(3), Some(3), Some(5), None]);

    // Cuts that climb for ever are remembered up to a bound, and never too few.
    let mut lowest = Vec::new();
    for last in 6..1500 {
        grow(&mut log, last + 1);
        let truncations = log.truncations();
        log.truncate_after(Lsn::new(last), Lsn::ZERO).expect("a boundary");
        lowest.push((truncations, last));
    }
    for (truncations, last) in lowest {
        let told = log.cut_since(truncations).expect("there was one").get();
        let exact =
            log.truncations() - truncations < replication_log::limits::MAX_REMEMBERED_TRUNCATIONS as u64;
        assert!(told == last || (told < last && !exact), "{told} for {last}");
    }
}
