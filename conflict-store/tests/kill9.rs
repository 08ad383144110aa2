//! A process that writes is killed without warning, again and again; what it acknowledged is there.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "in a test a panic is the report; this one runs a program and kills it"
)]

use std::io::{BufRead, BufReader, Write};
use std::ops::Bound;
use std::path::Path;
use std::process::{Command, Stdio};

use conflict_store::backend::redb::{FsyncPolicy, MintReason, Opened, RedbBackend, RedbOptions};
use conflict_store::{Backend, Cursor, Document, Store, Strategy};
use crdt_core::ReplicaId;

type File = RedbBackend<Document<Vec<u8>>>;

/// Where the writer finds its file, and whether each batch is durable.
const PLACE: &str = "CONFLICT_STORE_WRITER_PLACE";
const WEAK: &str = "CONFLICT_STORE_WRITER_WEAK";
/// How many batches a weak writer makes before it syncs.
const BETWEEN_SYNCS: u64 = 20;
const ROUNDS: u64 = 12;

type Written = (Vec<u8>, Document<Vec<u8>>);

/// The two documents of a batch, which say the same.
fn batch(lsn: u64) -> [Written; 2] {
    let body = format!("{lsn}-").repeat(usize::try_from(1 + lsn * 37 % 1_000).unwrap()).into_bytes();
    ["left", "right"].map(|side| {
        let key = format!("{:04}-{side}", lsn * 7919 % 10_000).into_bytes();
        let mut document = Document::default();
        document.put(&key, None, Some(body.clone()), None).unwrap();
        (key, document)
    })
}

fn open(path: &Path, fresh: u128, policy: FsyncPolicy) -> (File, Opened) {
    File::open(path, RedbOptions::new(ReplicaId::from_u128(fresh)).fsync(policy)).unwrap()
}

/// Not a test: what the other tests run in a process of its own, and kill.
#[test]
fn writer() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let weak = std::env::var_os(WEAK).is_some();
    let policy = if weak { FsyncPolicy::OnDemand } else { FsyncPolicy::EveryBatch };
    let fresh = u128::from(std::process::id()) << 32 | 1;
    let (mut backend, _) = open(Path::new(&path), fresh, policy);
    loop {
        let lsn = backend.applied_lsn() + 1;
        let documents = batch(lsn);
        let mut store = Store::new(Strategy::KeepAll, backend);
        let documents = documents.iter().map(|(key, document)| (&**key, document.clone()));
        assert!(store.merge_at(lsn, documents).unwrap().is_changed());
        backend = store.into_backend();
        let synced = weak && lsn % BETWEEN_SYNCS == 0;
        if synced {
            backend.sync().unwrap();
        }
        println!("\n{} {lsn}", if synced { "synced" } else { "applied" });
        std::io::stdout().flush().unwrap();
    }
}

/// The last LSN it said it had applied, and the last it said it had synced.
fn run_and_kill(path: &Path, weak: bool, acknowledgements: u64) -> (u64, u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "writer", "--nocapture"]).env(PLACE, path);
    if weak {
        command.env(WEAK, "");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (mut applied, mut synced, mut heard) = (0, 0, 0);
    let mut hear = |line: String| {
        let Some((what, lsn)) = line.split_once(' ') else { return false };
        let Ok(lsn) = lsn.parse() else { return false };
        match what {
            "applied" => applied = lsn,
            "synced" => (applied, synced) = (lsn, lsn),
            _ => return false,
        }
        true
    };
    while heard < acknowledgements {
        let line = lines.next().expect("the writer never ends by itself");
        heard += u64::from(hear(line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died counts, too.
    for line in lines {
        hear(line);
    }
    (applied, synced)
}

/// Every batch up to the LSN is there as it was made, and nothing else.
fn check(backend: &File) {
    let lsn = backend.applied_lsn();
    for lsn in 1..=lsn {
        for (key, document) in batch(lsn) {
            assert_eq!(backend.get(&key).unwrap().unwrap().into_owned(), document, "of batch {lsn}");
        }
    }
    assert_eq!(backend.len().unwrap() as u64, 2 * lsn);
    assert!(backend.scan(Bound::Unbounded).all(|entry| entry.is_ok()));
    let mut feed: Vec<_> = backend.changed_past(0).map(|changed| changed.unwrap().key).collect();
    assert_eq!(feed.len() as u64, 2 * lsn, "each key is in the feed");
    feed.sort();
    feed.dedup();
    assert_eq!(feed.len() as u64, 2 * lsn, "and once");
}

#[test]
fn what_was_acknowledged_before_kill_9_is_there_and_nothing_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents");
    let mut writer = None;
    for round in 0..ROUNDS {
        let (acknowledged, _) = run_and_kill(&path, false, 1 + round * 13 % 40);
        let (backend, opened) = open(&path, 7, FsyncPolicy::EveryBatch);
        assert!(!opened.was_closed);
        let lsn = backend.applied_lsn();
        assert!(lsn >= acknowledged, "{lsn} of {acknowledged} acknowledged are left");
        assert!(lsn <= acknowledged + 1, "one more may have been under way: {lsn}, {acknowledged}");
        assert_eq!(
            *writer.get_or_insert(opened.replica),
            opened.replica,
            "nothing was lost, so it is the same"
        );
        check(&backend);
    }
}

#[test]
fn without_fsync_kill_9_loses_whole_batches_and_costs_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents");
    let mut lost = 0;
    let mut cursor = Cursor::START;
    for round in 0..ROUNDS {
        // Under a name that is checked below.
        open(&path, u128::from(round) << 8 | 1, FsyncPolicy::EveryBatch).0.close().unwrap();
        let (applied, synced) = run_and_kill(&path, true, 10 + round * 13 % 60);
        let fresh = u128::from(round) << 8 | 2;
        let (backend, opened) = open(&path, fresh, FsyncPolicy::EveryBatch);
        assert_eq!(opened.replica, ReplicaId::from_u128(fresh));
        assert_eq!(opened.minted.map(|minted| minted.because), Some(MintReason::Crashed));
        let lsn = backend.applied_lsn();
        assert!(lsn >= synced, "{lsn} of {synced} synced are left");
        lost += u64::from(applied > lsn);
        check(&backend);

        let store = Store::<Vec<u8>, _>::new(Strategy::KeepAll, backend);
        assert_eq!(store.changes(cursor, 1).is_err(), cursor != Cursor::START, "the feed starts over");
        cursor = store.changes(Cursor::START, usize::MAX).unwrap().next;
        store.into_backend().close().unwrap();
    }
    assert!(lost > 0, "the other test would not notice a missing fsync");
}
