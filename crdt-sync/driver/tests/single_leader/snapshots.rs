//! Followers that lack what the leader's log does not have any more begin with a snapshot of it, by themselves.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crdt_sync::{Event, LogEvent};
use crdt_sync_driver::{Node, NodeError, WatchError};
use replication_log::snapshot::{SnapshotIdentity, Snapshots};
use replication_log::storage::FileStorage;
use replication_log::{Epoch, Log, LogOptions, Lsn, install};
use tokio::sync::broadcast::Receiver;

use crate::checkpoints::{checkpoints, ending, has_first_segment, log_bytes, overwrite, small};
use crate::cluster::{A, B, C, Cluster, asynchronous, id_of, plain, semi_sync, titles, until, visits};
use crate::restarts::{HOME, LISTEN, Victim};

/// Waits for what is told of a log.
pub(crate) async fn told(events: &mut Receiver<Event>, so: impl Fn(&LogEvent) -> bool) -> LogEvent {
    loop {
        match events.recv().await.unwrap() {
            Event::Log(event) if so(&event) => return event,
            _ => {}
        }
    }
}

/// A leader whose log begins behind what the last node has, which is down.
async fn last_is_left_behind() -> Cluster {
    let mut cluster = Cluster::with(asynchronous(), small).await;
    cluster.node(A).counters(&visits()).increment("first", 1).await.unwrap();
    cluster.node(A).in_sync_with(2).await.unwrap();
    cluster.stop(C).await;
    let mut events = cluster.node(A).events();
    overwrite(cluster.node(A), 1 << 20).await;
    told(
        &mut events,
        |event| matches!(event, LogEvent::FollowerLost { follower, .. } if *follower == id_of(C)),
    )
    .await;
    let directory = cluster.directory(A);
    until(|| async { !has_first_segment(&directory) }).await;
    assert!(log_bytes(&directory) < 1 << 20, "the disk is spared");
    cluster
}

#[tokio::test]
async fn a_follower_that_was_away_beyond_the_limit_begins_with_a_snapshot_and_goes_on_following() {
    let mut cluster = last_is_left_behind().await;
    cluster.start_with(C, |options| options).await;
    let mut events = cluster.node(C).events();
    cluster.connect(C);
    let LogEvent::Reopened { from, last } =
        told(&mut events, |event| matches!(event, LogEvent::Reopened { .. })).await
    else {
        panic!()
    };
    assert!(from > Lsn::ZERO && last == from);
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.shows(C, "page", "Hello").await;
    assert_eq!(cluster.node(C).counters(&visits()).value("first").await, Ok(1));
    assert_eq!(cluster.leadership(C).await.follows, Some(id_of(A)));
    // It makes checkpoints of its own, and is a directory like any other.
    overwrite(cluster.node(A), 512 << 10).await;
    cluster.all_have_everything().await;
    let directory = cluster.directory(C);
    until(|| async { checkpoints(&directory) == 2 }).await;
    cluster.kill(C);
    cluster.start(C).await;
    assert_eq!(cluster.node(C).doubt(), None);
    cluster.shows(C, "page", "Hello").await;
    assert!(ending(&directory, "cut-off").is_empty(), "it had nothing that the leader had not");
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_new_follower_begins_with_a_snapshot() {
    let mut cluster = last_is_left_behind().await;
    fs::remove_dir_all(cluster.directory(C)).unwrap();
    cluster.start(C).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.shows(C, "page", "Hello").await;
    assert_eq!(cluster.node(C).counters(&visits()).value("first").await, Ok(1));
    cluster.stop(C).await;
    cluster.start(C).await;
    cluster.shows(C, "page", "Hello").await;
    // It can be followed itself, and lead.
    cluster.kill(A);
    let second = crdt_sync::single_leader::Grant::FIRST.next().unwrap();
    until(|| async { cluster.node(C).commits().lead(second).await.is_ok() }).await;
    cluster.node(C).registers(&titles()).set("page", "Bonjour").await.unwrap();
    cluster.shows(B, "page", "Bonjour").await;
    cluster.start(A).await;
    cluster.connect(B);
    cluster.connect(C);
    cluster.shows(A, "page", "Bonjour").await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_leader_whose_snapshots_rotted_makes_another_one_though_nobody_writes() {
    let mut cluster = last_is_left_behind().await;
    for snapshot in ending(&cluster.directory(A), "snapshot") {
        let mut bytes = fs::read(&snapshot).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&snapshot, bytes).unwrap();
    }
    fs::remove_dir_all(cluster.directory(C)).unwrap();
    cluster.start(C).await;
    cluster.connect(C);
    let first = cluster.node(C).counters(&visits());
    until(|| async { first.value("first").await == Ok(1) }).await;
    // The leader can be opened from that itself.
    cluster.kill(A);
    cluster.start(A).await;
    cluster.all_follow().await;
    assert_eq!(cluster.node(A).counters(&visits()).value("first").await, Ok(1));
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn whoever_waits_while_a_snapshot_comes_is_told_so_and_asks_again() {
    let mut cluster = last_is_left_behind().await;
    let session = cluster.node(A).session();
    session.registers(&titles()).set("page", "Hello").await.unwrap();
    let token = session.token();
    drop(session);

    cluster.start_with(C, |options| options).await;
    let mut changes = cluster.node(C).registers(&titles()).watch().await.unwrap();
    let session = cluster.node(C).session().resume(&token).unwrap();
    let waits = tokio::spawn(async move {
        let titles = session.registers(&titles());
        (titles.get("page").await, titles.get("page").await)
    });
    until(|| async { cluster.node(C).metrics().await.unwrap().counters.session_requests > 0 }).await;
    cluster.connect(C);
    let (first, second) = waits.await.unwrap();
    assert_eq!((first, second), (Err(NodeError::Reopened), Ok(Some("Hello".into()))));
    // What changed is not known, except that something did.
    while changes.next().await != Err(WatchError::Lagged) {}
    cluster.node(A).registers(&titles()).set("later", "Bonjour").await.unwrap();
    while changes.next().await.unwrap().key != "later".into() {}
}

/// The newest checkpoint of a directory in which nobody is at work.
fn newest(directory: &Path) -> (SnapshotIdentity, PathBuf) {
    let snapshots = Snapshots::open(FileStorage::open(directory).unwrap()).unwrap();
    let lsn = snapshots.newest().unwrap().unwrap();
    (snapshots.read(lsn).unwrap().identity(), directory.join(format!("{:016x}.snapshot", lsn.get())))
}

fn epoch_of(directory: &Path) -> Epoch {
    let (log, _) = Log::open(FileStorage::open(directory).unwrap(), LogOptions::new(7)).unwrap();
    log.epoch()
}

/// What a crash leaves of an install.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    /// It is known what is to come, and the snapshot is not whole.
    BeforeTheSnapshot,
    /// The snapshot is there, and the log of before.
    BeforeTheLogGoes,
    /// The log of before is gone in part.
    WhileTheLogGoes,
    /// All of it is gone.
    BeforeTheLogComes,
}

#[tokio::test]
async fn a_crash_between_the_steps_of_an_install_is_finished_or_undone_when_the_directory_is_opened() {
    let mut cluster = last_is_left_behind().await;
    cluster.stop(A).await;
    let ((identity, file), directory) = (newest(&cluster.directory(A)), cluster.directory(C));
    cluster.start(A).await;
    let promised = Epoch::new(identity.position.epoch.get() + 1);
    let original = directory.with_extension("original");
    fs::rename(&directory, &original).unwrap();
    for crash in
        [Crash::BeforeTheSnapshot, Crash::BeforeTheLogGoes, Crash::WhileTheLogGoes, Crash::BeforeTheLogComes]
    {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        for entry in fs::read_dir(&original).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), directory.join(entry.file_name())).unwrap();
        }
        // As any write of before the crash would be.
        install::declare(&FileStorage::open(&directory).unwrap(), Some(identity), promised).unwrap();
        if crash != Crash::BeforeTheSnapshot {
            fs::copy(&file, directory.join(file.file_name().unwrap())).unwrap();
        }
        let segments = ending(&directory, "log");
        let gone = match crash {
            Crash::BeforeTheSnapshot | Crash::BeforeTheLogGoes => 0,
            Crash::WhileTheLogGoes => segments.len() / 2,
            Crash::BeforeTheLogComes => segments.len(),
        };
        for segment in &segments[..gone] {
            fs::remove_file(segment).unwrap();
        }
        cluster.start_with(C, |options| options).await;
        let durable = cluster.node(C).status().await.unwrap().durable;
        if crash == Crash::BeforeTheSnapshot {
            assert!(durable < identity.position.lsn, "{crash:?}");
        } else {
            assert_eq!(durable, identity.position.lsn, "{crash:?}");
            cluster.stop(C).await;
            assert_eq!(epoch_of(&directory), promised, "{crash:?}");
            cluster.start_with(C, |options| options).await;
            assert_eq!(cluster.node(C).counters(&visits()).value("first").await, Ok(1), "{crash:?}");
        }
        cluster.stop(C).await;
    }
    cluster.start(C).await;
    cluster.connect(B);
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
}

/// A follower until it is killed.
#[tokio::test]
#[ignore = "started by another test, which kills it"]
async fn the_follower_that_is_killed() {
    let leader: SocketAddr = env::var(LISTEN).unwrap().parse().unwrap();
    let options = small(plain().single_leader(semi_sync()).node(id_of(C)));
    let node = Node::open(env::var(HOME).unwrap(), options).await.unwrap();
    node.connect(leader).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_follower_that_is_killed_again_and_again_while_it_begins_comes_to_it_in_the_end() {
    let mut cluster = Cluster::with(semi_sync(), small).await;
    cluster.stop(C).await;
    for round in 0..4 {
        overwrite(cluster.node(A), 1 << 20).await;
        for pause in 0..5 {
            let victim = Command::new(env::current_exe().unwrap())
                .args(["--exact", "snapshots::the_follower_that_is_killed", "--ignored"])
                .env(HOME, cluster.directory(C))
                .env(LISTEN, cluster.address(A).to_string())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let victim = Victim(victim);
            tokio::time::sleep(Duration::from_millis(20 + pause * 25 + round * 6)).await;
            drop(victim);
        }
    }
    cluster.start(C).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.shows(C, "page", "Hello").await;
    cluster.logs_are_equal().await;
}

#[tokio::test]
async fn a_follower_that_is_dropped_again_and_again_while_it_begins_comes_to_it_in_the_end() {
    let mut cluster = Cluster::with(semi_sync(), small).await;
    cluster.stop(C).await;
    for round in 0..4_u64 {
        overwrite(cluster.node(A), 1 << 20).await;
        for pause in 0..6 {
            cluster.start(C).await;
            tokio::time::sleep(Duration::from_millis(pause * 15 + round)).await;
            cluster.kill(C);
        }
    }
    cluster.start(C).await;
    cluster.node(A).registers(&titles()).set("page", "Hello").await.unwrap();
    cluster.shows(C, "page", "Hello").await;
    cluster.logs_are_equal().await;
}
