//! A log on its way to a follower over a real socket, beside the same log that goes nowhere.
//!
//! Both ends are what an application would write around `replication_log::ship`: a task with a socket, a log handle,
//! and a sender or a receiver.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "sockets, threads and a stopwatch")]

mod follower;
mod frames;
mod leader;

use std::path::Path;
use std::thread;
use std::time::Instant;

use replication_log::storage::FileStorage;
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

const EPOCH: Epoch = Epoch::new(1);

/// What is written, and how.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many records.
    pub records: u64,
    /// How large each is.
    pub bytes: usize,
    /// How many of them are one batch.
    pub batch: usize,
    /// When the logs sync.
    pub policy: FsyncPolicy,
}

/// What a turn gave.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Records each second, until all of them are durable where they have to be.
    pub rate: f64,
    /// Frames with records, where there are any.
    pub frames: u64,
}

/// Everything is appended and durable here.
///
/// # Panics
///
/// When the disk fails.
pub fn bare(root: &Path, load: Load) -> Seen {
    let folder = tempfile::tempdir_in(root).expect("a folder");
    let log = open(folder.path(), 0x5eed, load.policy);
    let start = Instant::now();
    append(&log, load);
    log.sync().expect("durable");
    Seen { rate: rate(load, start), frames: 0 }
}

/// Everything is appended and durable here and at a follower, which is told over loopback, and has said so.
///
/// # Panics
///
/// When a disk or the loopback interface fails, or the follower's log is not what was written.
pub fn shipped(root: &Path, load: Load) -> Seen {
    let folders = [(); 2].map(|()| tempfile::tempdir_in(root).expect("a folder"));
    let leader = open(folders[0].path(), 0x5eed, load.policy);
    leader.promise_epoch(EPOCH).expect("granted");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket");

    let following = folders[1].path().to_path_buf();
    let follower = thread::spawn(move || {
        let (wake, woken) = follower::durable_marks();
        let (log, _) = Log::open(FileStorage::open(&following).expect("free"), options(0xcafe)).expect("new");
        let log = LogHandle::start_with(log, load.policy, wake).expect("a thread");
        one_thread().block_on(follower::follow(address, log, woken));
    });
    let writing = leader.clone();
    let (writer, start) = (move || append(&writing, load), Instant::now());
    let writer = thread::spawn(writer);
    let frames = one_thread().block_on(async {
        let (socket, _) =
            TcpListener::from_std(listener).expect("a socket").accept().await.expect("a follower");
        leader::lead(socket, leader.clone(), Lsn::new(load.records)).await
    });
    let seen = Seen { rate: rate(load, start), frames };
    writer.join().expect("no panic");
    follower.join().expect("no panic");
    let [ours, theirs] = [0, 1].map(|at| {
        let storage = FileStorage::open(folders[at].path());
        storage.map(|storage| Log::open(storage, options(0)).expect("intact").0.last_position())
    });
    drop(leader);
    // The leader's directory is locked while its handle lives; the follower's is free.
    assert!(ours.is_err() && theirs.is_ok_and(|end| end.lsn == Lsn::new(load.records)));
    seen
}

fn options(id: u64) -> LogOptions {
    LogOptions::new(id)
}

fn open(folder: &Path, id: u64, policy: FsyncPolicy) -> LogHandle<FileStorage> {
    let (log, _) = Log::open(FileStorage::open(folder).expect("free"), options(id)).expect("new");
    LogHandle::start(log, policy).expect("a thread")
}

fn append(log: &LogHandle<FileStorage>, load: Load) {
    let payload = vec![0x5a; load.bytes];
    let mut batch = Batch::new(EPOCH);
    for _ in 0..load.batch {
        batch.push(RecordKind(1), &payload).expect("small");
    }
    for _ in 0..load.records / load.batch as u64 {
        let _ = log.append(&batch).expect("room");
    }
    log.sync().expect("durable");
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(load: Load, start: Instant) -> f64 {
    load.records as f64 / start.elapsed().as_secs_f64()
}
