//! What every log is asked to do. Each workload is a turn that can be taken again and again: it makes a fresh folder,
//! runs the clock, reads back what was written, and removes the folder.

use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, Sharing, Tailing, Write};

/// What one turn gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Records per second.
    pub rate: f64,
    /// Records per second with the sync at the end, where it is not counted in the rate.
    pub synced: Option<f64>,
    /// Syncs per record, where they can be seen.
    pub syncs: Option<f64>,
}

/// One candidate's turn at one workload.
pub type Turn = Box<dyn FnMut() -> Sample>;

/// How many commits of each thread go before those that are timed: the first ones pay for the folder and for pages that
/// were written ahead.
const WARM_UP: u64 = 10;

/// Appends all records and syncs once. The rate is that of the appends.
pub fn append<C: Appending>(root: &Path, records: &Arc<Records>) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    let written = records.digest_from(0);
    Box::new(move || {
        let folder = folder(&root);
        let mut log = C::create(folder.path());
        let (start, mut appended) = (Instant::now(), Duration::ZERO);
        log.append_all(&records, || appended = start.elapsed());
        let synced = start.elapsed();
        drop(log);
        read_back::<C>(folder.path(), &written);
        Sample {
            rate: rate(records.count(), appended),
            synced: C::SYNCS.then(|| rate(records.count(), synced)),
            syncs: None,
        }
    })
}

/// Makes one record durable after the other for as long as `time`.
pub fn commit<C: Committing>(root: &Path, records: &Arc<Records>, time: Duration) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    Box::new(move || {
        let folder = folder(&root);
        let mut log = C::create(folder.path());
        let mut written = Digest::default();
        let mut commit = |number: u64| {
            let payload = records.payload(number);
            log.commit(payload);
            written.add(payload);
        };
        (0..WARM_UP).for_each(&mut commit);
        let start = Instant::now();
        let (count, end) = commit_for(time, commit);
        let took = end - start;
        drop(log);
        read_back::<C>(folder.path(), &written);
        Sample { rate: rate(count, took), ..Sample::default() }
    })
}

/// Lets `threads` commit at the same time, each one record after the other, for as long as `time`.
pub fn share<C: Sharing>(root: &Path, records: &Arc<Records>, threads: usize, time: Duration) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    Box::new(move || {
        let folder = folder(&root);
        let log = C::create(folder.path());
        let counter = log.syncs();
        let synced = || counter.as_ref().map(|counter| counter.load(Ordering::Relaxed));
        let (mut before, mut start) = (None, None);
        let (ready, go) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        let done: Vec<(u64, Instant)> = thread::scope(|scope| {
            let starts = (0..).map(first_of);
            let running: Vec<_> = starts
                .zip(log.share(threads))
                .map(|(first, mut writer)| {
                    let (records, ready, go) = (&records, &ready, &go);
                    scope.spawn(move || {
                        let mut commit = |number: u64| writer.commit(records.payload(first + number));
                        (0..WARM_UP).for_each(&mut commit);
                        ready.wait();
                        go.wait();
                        commit_for(time, commit)
                    })
                })
                .collect();
            ready.wait();
            before = synced();
            start = Some(Instant::now());
            go.wait();
            running.into_iter().map(joined).collect()
        });
        // Not when the threads have ended: the last one closes the log.
        let end = done.iter().map(|(_, end)| *end).max();
        let took = end.zip(start).map_or(time, |(end, start)| end - start);
        let timed = done.iter().map(|(count, _)| count).sum();
        let syncs = synced().zip(before).map(|(after, before)| quotient(after - before, timed));

        let (mut written, mut found) = (Digest::default(), Digest::default());
        for (first, (count, _)) in (0..).map(first_of).zip(&done) {
            (first..first + WARM_UP + count).for_each(|number| written.add(records.payload(number)));
        }
        drop(C::replay(folder.path(), &mut found));
        // Threads agree on no order.
        check::<C, _>((found.count, found.unordered), (written.count, written.unordered));
        Sample { rate: rate(timed, took), synced: None, syncs }
    })
}

/// The number of the first record of a thread. No two threads write the same.
fn first_of(thread: u64) -> u64 {
    thread * 1_000_003
}

/// Commits what comes after the warm-up until `time` is over, and returns how many it was, and when it ended.
fn commit_for(time: Duration, mut commit: impl FnMut(u64)) -> (u64, Instant) {
    let (start, mut count) = (Instant::now(), 0);
    loop {
        commit(WARM_UP + count);
        count += 1;
        let now = Instant::now();
        if now - start >= time {
            return (count, now);
        }
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().expect("no thread panics")
}

/// Opens a log of all records and reads it. The log is written when the first turn is taken.
pub fn replay<C: Appending>(root: &Path, records: &Arc<Records>) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    let written = records.digest_from(0);
    let mut folder = None;
    Box::new(move || {
        let folder = folder.get_or_insert_with(|| {
            let folder = self::folder(&root);
            C::create(folder.path()).append_all(&records, || {});
            folder
        });
        let (start, mut found) = (Instant::now(), Digest::default());
        let log = C::replay(folder.path(), &mut found);
        let took = start.elapsed();
        drop(log);
        check::<C, _>(found, written);
        Sample { rate: rate(records.count(), took), ..Sample::default() }
    })
}

/// Reads the last `count` records of a log of all records that is open.
pub fn tail<C: Tailing>(root: &Path, records: &Arc<Records>, count: u64) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    let first = records.count() - count;
    let written = records.digest_from(first);
    let mut open = None;
    Box::new(move || {
        let (_, log) = open.get_or_insert_with(|| {
            let folder = folder(&root);
            let mut log = C::create(folder.path());
            records.iter().for_each(|payload| log.append(payload));
            log.publish();
            (folder, log)
        });
        let (start, mut found) = (Instant::now(), Digest::default());
        log.read_from(first, &mut found);
        let took = start.elapsed();
        check::<C, _>(found, written);
        Sample { rate: rate(count, took), ..Sample::default() }
    })
}

/// Follows a writer that appends `at_a_time` records again and again. Timed is only the reading.
pub fn follow<C: Tailing>(root: &Path, records: &Arc<Records>, at_a_time: usize) -> Turn {
    let (root, records) = (root.to_path_buf(), Arc::clone(records));
    let written = records.digest_from(0);
    Box::new(move || {
        let folder = folder(&root);
        let mut log = C::create(folder.path());
        let (mut found, mut took) = (Digest::default(), Duration::ZERO);
        let numbers: Vec<u64> = (0..records.count()).collect();
        for numbers in numbers.chunks(at_a_time) {
            for number in numbers {
                log.append(records.payload(*number));
            }
            log.publish();
            let start = Instant::now();
            log.read_from(numbers[0], &mut found);
            took += start.elapsed();
        }
        check::<C, _>(found, written);
        Sample { rate: rate(records.count(), took), ..Sample::default() }
    })
}

fn folder(root: &Path) -> TempDir {
    tempfile::tempdir_in(root).expect("a folder")
}

fn read_back<C: Candidate>(folder: &Path, written: &Digest) {
    let mut found = Digest::default();
    drop(C::replay(folder, &mut found));
    check::<C, _>(found, *written);
}

fn check<C: Candidate, T: Copy + Debug + PartialEq>(found: T, written: T) {
    assert_eq!(found, written, "{} reads something else than was written", C::NAME);
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn quotient(some: u64, all: u64) -> f64 {
    some as f64 / all.max(1) as f64
}
