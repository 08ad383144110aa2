//! Group commit: whoever waits leads, the others follow, and futures wait without a thread.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "these tests are about threads")]

mod common;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use common::{batch, open, options, payload, records, watched::Watched};
use replication_log::{
    AppendError, FsyncPolicy, Log, LogHandle, LogOptions, Lsn,
    handle::{AppendDurableError, SubmitError, WaitError},
    storage::{FaultStorage, Keep, Survivors},
};

fn roomy() -> LogOptions {
    options().segment_bytes(1 << 20).preallocate_bytes(0).staging_bytes(64 << 10)
}

fn start(policy: FsyncPolicy, before_sync: fn()) -> (FaultStorage, LogHandle<Watched>) {
    let disk = FaultStorage::new();
    let (log, _) = Log::open(Watched::syncs(disk.clone(), before_sync), roomy()).expect("new");
    (disk, LogHandle::start(log, policy).expect("a thread"))
}

/// Scenario: sixty-four threads each append and wait, on a disk that takes a millisecond. The count
/// is all that is asserted: fewer than one sync for sixteen commits.
#[test]
fn sixty_four_threads_that_commit_in_a_loop_share_their_syncs() {
    const THREADS: u64 = 64;
    const ROUNDS: u64 = 25;
    let (disk, handle) = start(FsyncPolicy::Group, || thread::sleep(Duration::from_millis(1)));
    let before = disk.syncs();
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let handle = &handle;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let lsns = handle.append_durable(&batch(0, worker * ROUNDS + round, &[100]));
                    assert!(handle.durable() >= Some(*lsns.expect("healthy").end()));
                }
            });
        }
    });
    let syncs = disk.syncs() - before;
    assert!(syncs <= THREADS * ROUNDS / 16, "{syncs} syncs for {} commits", THREADS * ROUNDS);
    assert_eq!(handle.durable(), Some(Lsn::new(THREADS * ROUNDS)));
}

#[test]
fn a_thread_alone_syncs_once_for_each_commit() {
    let (disk, handle) = start(FsyncPolicy::Group, || {});
    let before = (disk.syncs(), disk.operations());
    for label in 0..50 {
        handle.append_durable(&batch(0, label, &[10])).expect("healthy");
    }
    assert_eq!((disk.syncs() - before.0, disk.operations() - before.1), (50, 100), "one write, one sync");
}

/// Scenario: what was acknowledged survives, whenever the machine stops and whoever synced it.
#[test]
fn every_commit_that_was_acknowledged_survives_the_power_cut() {
    let mut acknowledged = 0;
    for seed in 0..300_u64 {
        let disk = FaultStorage::new();
        let options = options().staging_bytes(2000);
        let (log, _) = Log::open(disk.clone(), options.clone()).expect("new");
        let handle = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
        disk.stop_after(seed % 97);
        let done: Vec<(Lsn, u64)> = thread::scope(|scope| {
            let commit = |worker: u64| {
                let handle = &handle;
                move || {
                    let labels = (0..20).map(move |round| worker * 100 + round);
                    let commit = |label| Some((handle.append_durable(&batch(0, label, &[70])).ok()?, label));
                    labels.map_while(commit).map(|(lsns, label)| (*lsns.end(), label)).collect::<Vec<_>>()
                }
            };
            let workers: Vec<_> = (0..4).map(|worker| scope.spawn(commit(worker))).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
        });
        drop(handle);
        disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
        let (log, _) = Log::open(disk, options).expect("a crash is no corruption");
        let kept = records(&log);
        for &(lsn, label) in &done {
            let record = kept.get(lsn.get() as usize - 1);
            assert_eq!(record.map(|r| &r.payload), Some(&payload(label, 0, 70)), "seed {seed}, {lsn}");
        }
        acknowledged += done.len();
    }
    assert!(acknowledged > 3000, "only {acknowledged} commits were acknowledged");
}

/// Scenario: a sync fails once and the disk is healthy again at once.
#[test]
fn after_one_failed_sync_everyone_hears_of_it_and_nothing_is_acknowledged_any_more() {
    for healthy_syncs in 0..6 {
        let (disk, handle) = start(FsyncPolicy::Group, thread::yield_now);
        let failed = AtomicBool::new(false);
        let (acknowledged, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for label in 0..healthy_syncs {
            handle.append_durable(&batch(0, label, &[10])).expect("healthy");
        }
        disk.fail_syncs(1);
        thread::scope(|scope| {
            for worker in 0..16 {
                let (handle, failed, acknowledged, refused) = (&handle, &failed, &acknowledged, &refused);
                scope.spawn(move || {
                    for round in 0..5 {
                        let after = failed.load(Ordering::SeqCst);
                        match handle.append_durable(&batch(0, 100 * worker + round, &[10])) {
                            Ok(_) => {
                                assert!(!after, "acknowledged after the failure");
                                acknowledged.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(
                                AppendDurableError::Wait(WaitError::Poisoned(_))
                                | AppendDurableError::Submit(SubmitError::Refused(AppendError::Poisoned(_))),
                            ) => {
                                failed.store(true, Ordering::SeqCst);
                                refused.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                });
            }
        });
        assert_eq!((acknowledged.into_inner(), refused.into_inner()), (0, 80));
        drop(handle);
        disk.crash(Survivors::NOTHING);
        assert_eq!(open(&disk).expect("a prefix").0.durable(), Lsn::new(healthy_syncs));
    }
}

#[test]
fn a_storage_that_panics_in_a_sync_leaves_nobody_waiting() {
    static ARMED: AtomicBool = AtomicBool::new(false);
    let (_, handle) = start(FsyncPolicy::Group, || {
        assert!(!ARMED.load(Ordering::SeqCst), "a bug in the storage, on purpose");
    });
    ARMED.store(true, Ordering::SeqCst);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let commit = |label| {
            let handle = &handle;
            move || handle.append_durable(&batch(0, label, &[10]))
        };
        let workers: Vec<_> = (0..4).map(|label| scope.spawn(commit(label))).collect();
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "the leader's own panic");
    let told = outcomes.into_iter().filter_map(Result::ok);
    assert!(told.into_iter().all(|told| told == Err(AppendDurableError::Wait(WaitError::Closed))));
}

#[test]
fn what_append_durable_can_answer() {
    let (_, handle) = start(FsyncPolicy::Never, || {});
    let never = handle.append_durable(&batch(0, 0, &[1]));
    assert_eq!(never, Err(AppendDurableError::Wait(WaitError::NeverSynced)));
    let empty = handle.append_durable(&batch(0, 1, &[]));
    assert_eq!(empty, Err(AppendDurableError::Submit(SubmitError::Refused(AppendError::Empty))));
    handle.clone().close().expect("healthy");
    let closed = handle.append_durable(&batch(0, 1, &[1]));
    assert_eq!(closed, Err(AppendDurableError::Submit(SubmitError::Closed)));

    let (_, handle) = start(FsyncPolicy::Interval(Duration::from_millis(1)), || {});
    handle.append_durable(&batch(0, 0, &[1])).expect("after one interval");
    let (_, handle) = start(FsyncPolicy::Always, || {});
    handle.append_durable(&batch(0, 0, &[1])).expect("at once");
}

/// All there is to an executor: a thread that sleeps until it is woken.
struct Unpark(thread::Thread, AtomicUsize);

impl Unpark {
    fn here() -> Arc<Self> {
        Arc::new(Self(thread::current(), AtomicUsize::new(0)))
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let (mut future, waker) = (pin!(future), Waker::from(Unpark::here()));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_future_is_ready_when_its_batch_is_durable() {
    let policies = [FsyncPolicy::Always, FsyncPolicy::Group, FsyncPolicy::Interval(Duration::from_millis(1))];
    for policy in policies {
        let (_, handle) = start(policy, || {});
        for label in 0..20 {
            let ticket = handle.append(&batch(0, label, &[10])).expect("fits");
            let durable = block_on(handle.when_durable(ticket)).expect("healthy");
            assert!(durable >= ticket.last() && handle.durable() >= Some(durable), "{policy:?}");
        }
    }
}

#[test]
fn one_thread_waits_for_a_thousand_commits_and_few_syncs() {
    let (disk, handle) = start(FsyncPolicy::Group, || thread::sleep(Duration::from_millis(1)));
    let before = disk.syncs();
    let append = |label| handle.append(&batch(0, label, &[10])).expect("fits");
    let futures: Vec<_> = (0..1000).map(append).map(|ticket| handle.when_durable(ticket)).collect();
    // Last first, so that most of them are ready when they are asked.
    for future in futures.into_iter().rev() {
        block_on(future).expect("healthy");
    }
    let syncs = disk.syncs() - before;
    assert!(syncs <= 1000 / 16, "{syncs} syncs");
}

#[test]
fn a_future_answers_what_a_waiting_thread_would() {
    let (_, handle) = start(FsyncPolicy::Never, || {});
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    assert_eq!(block_on(handle.when_durable(ticket)), Err(WaitError::NeverSynced));

    let (disk, handle) = start(FsyncPolicy::Group, || thread::sleep(Duration::from_millis(1)));
    disk.fail_syncs(1);
    let append = |label| handle.append(&batch(0, label, &[1]));
    let futures: Vec<_> =
        (0..9).filter_map(|label| append(label).ok()).map(|t| handle.when_durable(t)).collect();
    for future in futures {
        assert!(matches!(block_on(future), Err(WaitError::Poisoned(_))));
    }

    // An interval that does not end in this test.
    let (_, handle) = start(FsyncPolicy::Interval(Duration::from_secs(1 << 20)), || {});
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    let (waker, mut future) = (Waker::from(Unpark::here()), handle.when_durable(ticket));
    assert_eq!(poll_once(&mut future, &waker), Poll::Pending);
    handle.close().expect("healthy");
    assert_eq!(block_on(future), Err(WaitError::Closed));
}

#[test]
fn a_future_that_is_dropped_leaves_no_waker_behind() {
    let (_, handle) = start(FsyncPolicy::Interval(Duration::from_secs(1 << 20)), || {});
    let ticket = handle.append(&batch(0, 0, &[1])).expect("fits");
    let (first, second) = (Unpark::here(), Unpark::here());
    let (first_waker, second_waker) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
    let mut dropped = handle.when_durable(ticket);
    let mut kept = handle.when_durable(ticket);
    for waker in [&first_waker, &first_waker, &second_waker] {
        assert_eq!(poll_once(&mut dropped, waker), Poll::Pending);
        assert_eq!(poll_once(&mut kept, waker), Poll::Pending);
    }
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 4), "only the latest is kept");
    drop(dropped);
    assert_eq!(Arc::strong_count(&second), 3);
    handle.sync().expect("healthy");
    assert_eq!((Arc::strong_count(&second), second.1.load(Ordering::SeqCst)), (2, 1), "woken once");
    assert_eq!(first.1.load(Ordering::SeqCst), 0);
    assert_eq!(poll_once(&mut kept, &second_waker), Poll::Ready(Ok(ticket.last())));
}
