//! Following a shared log while others append to it, rotate it, and cut it at both ends.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "these tests are about threads")]

mod common;

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use common::{batch, gate::Gate, open, options, payload, watched::Watched};
use replication_log::{
    Damage, Epoch, FsyncPolicy, Log, LogHandle, Lsn, TruncateAfterError,
    handle::{SubmitError, Tail, TailError},
    storage::{FaultStorage, FileStorage, Storage, StorageErrorKind, StorageFile},
};

const FIRST: &str = "0000000000000001.log";

fn shared(policy: FsyncPolicy) -> (FaultStorage, LogHandle<FaultStorage>) {
    let disk = FaultStorage::new();
    let (log, _) = open(&disk).expect("new");
    (disk, LogHandle::start(log, policy).expect("a thread"))
}

/// Appends batches of one record each, labelled with their number.
fn append<S>(handle: &LogHandle<S>, count: u64, size: usize)
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    for _ in 0..count {
        let label = handle.last().expect("open").get() + 1;
        let _ = handle.append(&batch(0, label, &[size])).expect("fits");
    }
}

/// The numbers of all records there are, and how that ends.
fn drain<S: Storage>(tail: &mut Tail<S>) -> (Vec<u64>, Option<TailError>) {
    let mut numbers = Vec::new();
    loop {
        match tail.try_next() {
            Ok(Some(record)) => numbers.push(record.lsn.get()),
            Ok(None) => return (numbers, None),
            Err(error) => return (numbers, Some(error)),
        }
    }
}

/// Scenario 23. The writer rotates every few batches and drops what the tail has passed.
#[test]
fn a_tail_beside_a_writer_sees_every_durable_record_once_and_in_order() {
    const RECORDS: u64 = 4000;
    let (disk, handle) = shared(FsyncPolicy::Group);
    let (passed, reports) = mpsc::channel::<Lsn>();
    thread::scope(|scope| {
        let writer = handle.clone();
        scope.spawn(move || {
            let mut seen = Lsn::ZERO;
            for label in 1..=RECORDS / 4 {
                let _ = writer.append(&batch(0, label, &[60, 0, 130, 7])).expect("fits");
                // Some segments ahead, and not so far that the tail never has to keep up with it.
                while 4 * label > seen.get() + 100 {
                    seen = reports.recv().expect("the tail follows");
                    writer.truncate_before(seen).expect("healthy");
                }
            }
        });
        let mut tail = handle.tail(Lsn::FIRST).expect("open");
        for expected in 1..=RECORDS {
            let position = tail.position();
            let record = tail.wait_next().expect("nothing it has not seen is dropped");
            let (label, index) = ((expected - 1) / 4 + 1, (expected - 1) as usize % 4);
            assert_eq!((record.lsn, position), (Lsn::new(expected), Lsn::new(expected)));
            assert_eq!(record.payload, payload(label, index, [60, 0, 130, 7][index]));
            assert!(handle.durable() >= Some(Lsn::new(expected)), "{expected} is ahead of the disk");
            passed.send(Lsn::new(expected)).ok();
        }
    });
    assert!(disk.bytes(FIRST).is_none(), "nothing was dropped");
}

#[test]
fn a_tail_never_passes_the_durable_mark() {
    let (_, handle) = shared(FsyncPolicy::Never);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    for round in 0..20 {
        append(&handle, 3, 150);
        if handle.durable() < Some(Lsn::new(3 * round + 1)) {
            assert_eq!(drain(&mut tail), (vec![], None));
        }
        handle.sync().expect("healthy");
        let (mut seen, error) = drain(&mut tail);
        seen.retain(|&number| number > 3 * round);
        assert_eq!(error, None);
        assert_eq!(seen.last(), Some(&(3 * round + 3)));
    }
}

#[test]
fn a_tail_may_start_inside_a_batch_or_ahead_of_the_log() {
    let (_, handle) = shared(FsyncPolicy::Never);
    for label in 0..4 {
        let _ = handle.append(&batch(0, label, &[10, 300, 10])).expect("fits");
    }
    handle.sync().expect("healthy");
    for from in 0..=12 {
        let mut tail = handle.tail(Lsn::new(from)).expect("open");
        assert_eq!(drain(&mut tail), ((from.max(1)..=12).collect(), None));
    }
    let mut ahead = handle.tail(Lsn::new(14)).expect("open");
    assert_eq!(drain(&mut ahead), (vec![], None));
    let _ = handle.append(&batch(0, 9, &[1, 1, 1])).expect("fits");
    handle.sync().expect("healthy");
    assert_eq!(drain(&mut ahead), (vec![14, 15], None));
}

#[test]
fn below_the_retention_floor_a_tail_says_so_and_does_not_jump() {
    let (_, handle) = shared(FsyncPolicy::Never);
    append(&handle, 12, 800);
    handle.sync().expect("healthy");
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    assert_eq!(tail.try_next().expect("there").map(|record| record.lsn), Some(Lsn::FIRST));
    handle.truncate_before(Lsn::new(7)).expect("healthy");

    // The segment it is in may be read to its end; then records are missing.
    let truncated = TailError::Truncated { asked: Lsn::new(3), oldest: Lsn::new(7) };
    assert_eq!(drain(&mut tail), (vec![2], Some(truncated.clone())));
    assert_eq!(drain(&mut tail), (vec![], Some(truncated.clone())), "again and again");
    assert_eq!(tail.wait_next().map(|record| record.lsn), Err(truncated));
    let asked = Lsn::new(6);
    let refused = handle.tail(asked).map(drop);
    assert_eq!(refused, Err(TailError::Truncated { asked, oldest: Lsn::new(7) }));
    assert_eq!(drain(&mut handle.tail(Lsn::new(7)).expect("there")), ((7..=12).collect(), None));
}

/// A segment's file can be given to a later segment while a tail has it open.
#[test]
fn a_segment_that_is_used_again_under_a_tail_is_no_damage() {
    const SECOND: &str = "0000000000000002.log";
    let disk = FaultStorage::new();
    let (log, _) = Log::open(disk.clone(), options().segment_bytes(1 << 18)).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Never).expect("a thread");
    // Five records a segment, of which a tail does not read two at once.
    append(&handle, 15, 50_000);
    handle.sync().expect("healthy");
    let used_again = [(FIRST, vec![0; 1 << 18], 1), (SECOND, disk.bytes(FIRST).expect("there"), 6)];
    for (name, bytes, from) in used_again {
        let mut tail = handle.tail(Lsn::new(from)).expect("there");
        assert_eq!(tail.try_next().expect("there").map(|record| record.lsn), Some(Lsn::new(from)));
        let held = disk.open(name).expect("there");
        handle.truncate_before(Lsn::new(from + 5)).expect("healthy");
        held.write_at(0, &bytes).expect("healthy");
        let (asked, oldest) = (Lsn::new(from + 1), Lsn::new(from + 5));
        assert_eq!(drain(&mut tail), (vec![], Some(TailError::Truncated { asked, oldest })));
    }
}

#[test]
fn damage_under_a_tail_is_damage_and_not_the_end() {
    let (disk, handle) = shared(FsyncPolicy::Never);
    append(&handle, 3, 100);
    handle.sync().expect("healthy");
    disk.flip_bit(FIRST, (80 + 142 + 60) * 8);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    for expected in [vec![1], vec![]] {
        let (seen, error) = drain(&mut tail);
        let Some(TailError::Corrupt(corruption)) = error else { panic!("{error:?}") };
        assert_eq!((seen, corruption.damage, corruption.lsn), (expected, Damage::Batch, Lsn::new(2)));
    }
}

#[test]
fn a_cut_below_what_a_tail_has_yielded_rewinds_it_and_a_cut_above_does_not() {
    let (_, handle) = shared(FsyncPolicy::Never);
    append(&handle, 10, 300);
    handle.sync().expect("healthy");
    let mut ahead = handle.tail(Lsn::FIRST).expect("open");
    assert_eq!(drain(&mut ahead).0.len(), 10);
    let mut behind = handle.tail(Lsn::FIRST).expect("open");
    for _ in 0..3 {
        behind.try_next().expect("there").expect("there");
    }
    let mut exactly = handle.tail(Lsn::new(5)).expect("open");

    handle.truncate_after(Lsn::new(4), Lsn::ZERO).expect("a boundary");
    let rewound = TailError::Rewound { to: Lsn::new(4) };
    assert_eq!(drain(&mut ahead), (vec![], Some(rewound)));
    for tail in [&mut ahead, &mut exactly] {
        assert_eq!((tail.position(), drain(tail)), (Lsn::new(5), (vec![], None)));
    }
    assert_eq!(drain(&mut behind), (vec![4], None));

    append(&handle, 3, 400);
    handle.sync().expect("healthy");
    for mut tail in [ahead, behind, exactly] {
        assert_eq!(tail.try_next().expect("there").map(|record| record.payload.len()), Some(400));
        assert_eq!(drain(&mut tail), (vec![6, 7], None), "the new records, once");
    }
}

#[test]
fn a_batch_that_is_cut_while_a_tail_is_inside_it_is_not_read_on() {
    let (_, handle) = shared(FsyncPolicy::Never);
    append(&handle, 1, 10);
    let _ = handle.append(&batch(0, 5, &[10, 10, 10])).expect("fits");
    handle.sync().expect("healthy");
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    for _ in 0..2 {
        tail.try_next().expect("there").expect("there");
    }
    handle.truncate_after(Lsn::new(1), Lsn::ZERO).expect("a boundary");
    assert_eq!(tail.try_next().map(drop), Err(TailError::Rewound { to: Lsn::new(1) }));
    assert_eq!(drain(&mut tail), (vec![], None));

    // A refused cut has changed nothing, and a tail inside a batch goes on in its middle.
    let _ = handle.append(&batch(0, 6, &[10, 10, 10])).expect("fits");
    handle.sync().expect("healthy");
    tail.try_next().expect("there").expect("there");
    handle.truncate_after(Lsn::new(3), Lsn::ZERO).expect_err("inside the batch");
    assert_eq!(drain(&mut tail), (vec![3, 4], None));
}

/// Whatever the tail yields between two rewinds is a run without gaps, and what it holds in the end is
/// the log.
#[test]
fn a_tail_beside_a_writer_that_cuts_the_end_holds_the_log_in_the_end() {
    let (_, handle) = shared(FsyncPolicy::Group);
    thread::scope(|scope| {
        let mut tail = handle.tail(Lsn::FIRST).expect("open");
        let (sender, last) = mpsc::channel();
        let writer = handle.clone();
        scope.spawn(move || {
            for round in 1..150_u64 {
                for label in 0..4 {
                    let _ = writer.append(&batch(0, 1000 * round + label, &[90])).expect("fits");
                }
                let written = writer.last().expect("open").get();
                writer.truncate_after(Lsn::new(written - round % 6), Lsn::ZERO).expect("a boundary");
            }
            sender.send(writer.last().expect("open")).expect("listening");
        });
        let (mut held, mut rewinds) = (Vec::new(), 0);
        let mut end = None;
        while end.is_none_or(|end: Lsn| (held.len() as u64) < end.get()) {
            end = end.or(last.try_recv().ok());
            match tail.next_timeout(Duration::from_millis(1)) {
                Ok(Some(record)) => {
                    assert_eq!(record.lsn.get(), held.len() as u64 + 1);
                    held.push(record.to_owned());
                }
                Ok(None) => {}
                Err(TailError::Rewound { to }) => {
                    assert!((held.len() as u64) > to.get());
                    held.truncate(to.get() as usize);
                    rewinds += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(tail.try_next(), Ok(None));
        assert_eq!(handle.read_from(Lsn::FIRST, usize::MAX).expect("there"), held, "after {rewinds} rewinds");
    });
}

#[test]
fn a_tail_waits_for_records_for_a_while_or_until_nothing_can_come() {
    let (disk, handle) = shared(FsyncPolicy::Never);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    append(&handle, 1, 10);
    assert_eq!(tail.next_timeout(Duration::ZERO), Ok(None));
    handle.sync().expect("healthy");
    assert_eq!(tail.next_timeout(Duration::ZERO).expect("there").map(|record| record.lsn), Some(Lsn::FIRST));

    let mut waiting = handle.tail(Lsn::new(2)).expect("open");
    let waiter = thread::spawn(move || waiting.wait_next().map(|record| record.lsn));
    append(&handle, 1, 10);
    handle.sync().expect("healthy");
    assert_eq!(waiter.join().expect("no panic"), Ok(Lsn::new(2)));

    append(&handle, 1, 10);
    disk.fail_syncs(1);
    handle.sync().expect_err("ordered");
    assert_eq!(
        tail.wait_next().map(|record| record.lsn),
        Ok(Lsn::new(2)),
        "what is durable is yielded first"
    );
    assert!(matches!(tail.wait_next(), Err(TailError::Poisoned(_))));
}

#[test]
fn a_tail_ends_with_the_log_and_does_not_keep_it_alive() {
    let (_, handle) = shared(FsyncPolicy::Group);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    let waiter = thread::spawn(move || tail.wait_next().map(|record| record.lsn));
    handle.close().expect("healthy");
    assert_eq!(waiter.join().expect("no panic"), Err(TailError::Closed));

    let directory = tempfile::tempdir().expect("a temporary directory");
    let (log, _) = Log::open(FileStorage::open(directory.path()).expect("free"), options()).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Always).expect("a thread");
    append(&handle, 5, 700);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    assert_eq!(drain(&mut tail), ((1..=5).collect(), None));
    drop(handle);
    assert_eq!(tail.try_next(), Err(TailError::Closed));
    let locked = FileStorage::open(directory.path()).expect_err("the tail still reads here");
    assert_eq!(locked.kind, StorageErrorKind::Locked);
    drop(tail);
    FileStorage::open(directory.path()).expect("free");
}

#[test]
fn a_failing_read_can_be_tried_again() {
    let (disk, handle) = shared(FsyncPolicy::Never);
    append(&handle, 5, 800);
    handle.sync().expect("healthy");
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    disk.stop_after(0);
    assert!(matches!(tail.try_next(), Err(TailError::Storage(_))));
    disk.resume();
    assert_eq!(drain(&mut tail), ((1..=5).collect(), None));
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn whoever_cannot_block_awaits_the_next_record() {
    const RECORDS: u64 = 300;
    let (_, handle) = shared(FsyncPolicy::Group);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(tail.poll_ready(&mut context), Poll::Pending);
    let (sender, told) = mpsc::channel();
    let follower = thread::spawn(move || {
        block_on(async move {
            loop {
                tail.ready().await;
                match tail.try_next() {
                    Ok(Some(record)) => sender.send(record.lsn.get()).expect("listening"),
                    Ok(None) => panic!("woken for nothing"),
                    Err(error) => return error,
                }
            }
        })
    });
    append(&handle, RECORDS, 100);
    handle.sync().expect("healthy");
    let seen: Vec<_> = told.iter().take(RECORDS as usize).collect();
    assert_eq!(seen, (1..=RECORDS).collect::<Vec<_>>());
    handle.truncate_after(Lsn::ZERO, Lsn::ZERO).expect("a boundary");
    assert_eq!(follower.join().expect("no panic"), TailError::Rewound { to: Lsn::ZERO });
}

fn slow(policy: FsyncPolicy) -> (Arc<Gate>, LogHandle<Watched>) {
    let gate = Arc::new(Gate::default());
    let at_gate = Arc::clone(&gate);
    let disk = Watched::reads(FaultStorage::new(), move |_| at_gate.pass());
    let (log, _) = Log::open(disk, options()).expect("new");
    (gate, LogHandle::start(log, policy).expect("a thread"))
}

#[test]
fn a_tail_that_waits_for_the_disk_holds_nobody_up() {
    let (gate, handle) = slow(FsyncPolicy::Always);
    append(&handle, 1, 100);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    gate.shut();
    let reader = thread::spawn(move || tail.try_next().map(|record| record.map(|record| record.lsn)));
    gate.until_someone_waits();
    append(&handle, 5, 800);
    handle.promise_epoch(Epoch::new(1)).expect("healthy");
    handle.truncate_before(Lsn::new(1)).expect("healthy");
    gate.open();
    assert_eq!(reader.join().expect("no panic"), Ok(Some(Lsn::FIRST)));
}

/// The bytes a tail reads may be of a record that took the place of a durable one and is not durable, or
/// zeros where it was.
#[test]
fn what_was_cut_during_a_read_is_not_believed_and_not_taken_for_damage() {
    for written_anew in [true, false] {
        let (gate, handle) = slow(FsyncPolicy::Never);
        append(&handle, 2, 100);
        handle.sync().expect("healthy");
        let mut tail = handle.tail(Lsn::new(1)).expect("open");
        // Only the tail finds the gate shut: whoever cuts to the log's beginning reads nothing.
        gate.shut();
        let reader = thread::spawn(move || {
            let outcome = tail.try_next().map(|record| record.map(|record| record.lsn));
            (outcome, tail)
        });
        gate.until_someone_waits();
        handle.truncate_after(Lsn::ZERO, Lsn::ZERO).expect("a boundary");
        if written_anew {
            let _ = handle.append(&batch(0, 77, &[100])).expect("fits");
        }
        assert_eq!(handle.durable(), Some(Lsn::ZERO));
        gate.open();
        let (outcome, mut tail) = reader.join().expect("no panic");
        assert_eq!(outcome, Ok(None), "record 1 is another now, and not durable");
        if !written_anew {
            let _ = handle.append(&batch(0, 77, &[100])).expect("fits");
        }
        handle.sync().expect("healthy");
        let record = tail.try_next().expect("there").map(|record| record.to_owned());
        assert_eq!(record.map(|record| record.payload), Some(payload(77, 0, 100)));
    }
}

/// Scenario 23, with the other mark.
#[test]
fn a_tail_of_what_is_committed_waits_for_both_marks() {
    let (log, _) = Log::open(FaultStorage::new(), options()).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Never).expect("a thread");
    let mut tail = handle.tail_committed(Lsn::FIRST).expect("open");
    append(&handle, 3, 50);
    assert_eq!(handle.commit(Lsn::new(2)), Lsn::new(2));
    assert_eq!(tail.try_next(), Ok(None), "committed elsewhere and not durable here");
    handle.sync().expect("healthy");
    assert_eq!(handle.commit(Lsn::FIRST), Lsn::new(2), "the mark never goes back");
    let mut lsns = Vec::new();
    while let Some(record) = tail.try_next().expect("there") {
        lsns.push(record.lsn);
    }
    assert_eq!(lsns, [Lsn::new(1), Lsn::new(2)], "the third one is durable and not committed");

    let waiting = thread::spawn(move || tail.wait_next().map(|record| record.lsn));
    handle.commit(Lsn::new(3));
    assert_eq!(waiting.join().expect("no panic"), Ok(Lsn::new(3)));
    let refused = handle.truncate_after(Lsn::new(2), Lsn::ZERO);
    assert!(matches!(refused, Err(SubmitError::Refused(TruncateAfterError::BelowFloor { .. }))));
}

/// What a copy of the log is sent: the batches, whole and once, whatever segments they are in and however records were
/// read in between.
#[test]
fn a_tail_lends_batches_as_they_were_appended() {
    let (_, handle) = shared(FsyncPolicy::Group);
    let mut tail = handle.tail(Lsn::FIRST).expect("open");
    assert!(tail.try_next_batch().expect("open").is_none());
    for label in 0..30 {
        let _ = handle.append(&batch(label / 10, label, &[100, 7, 30])).expect("fits");
        if label == 15 {
            handle.promise_epoch(Epoch::new(1)).expect("healthy");
        }
    }
    handle.sync().expect("healthy");
    for label in 0..30 {
        if label == 7 {
            assert_eq!(tail.try_next().expect("open").expect("durable").lsn, Lsn::new(22));
        }
        let lent = tail.try_next_batch().expect("open").expect("durable");
        assert_eq!((lent.first(), lent.last()), (Lsn::new(3 * label + 1), Lsn::new(3 * label + 3)));
        assert_eq!(
            (lent.epoch(), lent.to_batch()),
            (Epoch::new(label / 10), batch(label / 10, label, &[100, 7, 30]))
        );
        if label == 29 {
            assert_eq!(Some(lent.end()), handle.last_position());
        }
    }
    assert!(tail.try_next_batch().expect("open").is_none());
}

/// A mark inside a batch: records up to it may be seen, the batch only as a whole.
#[test]
fn a_batch_is_lent_when_all_of_it_is_committed() {
    let (_, handle) = shared(FsyncPolicy::Group);
    let _ = handle.append(&batch(0, 1, &[5, 5])).expect("fits");
    handle.sync().expect("healthy");
    let mut tail = handle.tail_committed(Lsn::FIRST).expect("open");
    handle.commit(Lsn::new(1));
    assert!(tail.try_next_batch().expect("open").is_none());
    assert_eq!(tail.try_next().expect("open").map(|record| record.lsn), Some(Lsn::new(1)));
    handle.commit(Lsn::new(2));
    assert_eq!(tail.try_next_batch().expect("open").map(|batch| batch.first()), Some(Lsn::new(1)));
}
