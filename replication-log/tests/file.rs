//! Real files.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "the tests look at the files behind the log's back")]

mod common;

use common::{batch, options, records};
use replication_log::{
    Log, Lsn,
    storage::{FileStorage, Storage, StorageErrorKind, StorageFile},
};

#[test]
fn a_log_in_a_directory_outlives_its_process() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("deep/down");
    let open = || Log::open(FileStorage::open(&path).expect("free"), options()).expect("intact");
    let (mut log, report) = open();
    assert_eq!(report.last, Lsn::ZERO);
    for label in 0..10 {
        log.append(&batch(1, label, &[500, 40])).expect("fits");
        log.sync().expect("healthy");
    }
    let all = records(&log);
    log.truncate_before(Lsn::new(9)).expect("healthy");
    drop(log);

    let (log, report) = open();
    assert_eq!((report.last, report.closed_cleanly, report.cut), (Lsn::new(20), false, None));
    assert_eq!(records(&log)[..], all[log.oldest().get() as usize - 1..]);
    log.close().expect("healthy");
    assert!(open().1.closed_cleanly);
}

#[test]
fn the_same_bytes_on_a_real_disk_as_in_memory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let memory = replication_log::storage::MemoryStorage::new();
    let (mut on_disk, _) =
        Log::open(FileStorage::open(directory.path()).expect("free"), options()).expect("new");
    let (mut in_memory, _) = Log::open(memory.clone(), options()).expect("new");
    for label in 0..7 {
        on_disk.append(&batch(label, label, &[300, 0, 77])).expect("fits");
        in_memory.append(&batch(label, label, &[300, 0, 77])).expect("fits");
    }
    on_disk.close().expect("healthy");
    in_memory.close().expect("healthy");
    for name in memory.list().expect("healthy") {
        let bytes = std::fs::read(directory.path().join(&name)).expect("the same names");
        assert!(Some(bytes) == memory.bytes(&name), "{name} differs");
    }
}

#[test]
fn a_second_handle_finds_the_directory_locked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = FileStorage::open(directory.path()).expect("free");
    let clone = first.clone();
    drop(first);
    let error = FileStorage::open(directory.path()).expect_err("a clone still holds it");
    assert_eq!(error.kind, StorageErrorKind::Locked);
    drop(clone);
    FileStorage::open(directory.path()).expect("free again");
}

/// The lock is the operating system's, so it holds between processes and ends with them, however
/// they end.
#[test]
#[expect(clippy::disallowed_types, reason = "the other process is this test binary itself")]
fn a_second_process_finds_the_directory_locked() {
    const DIRECTORY: &str = "REPLICATION_LOG_LOCKED_DIRECTORY";
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let error = FileStorage::open(std::path::PathBuf::from(directory)).expect_err("the parent holds it");
        assert_eq!(error.kind, StorageErrorKind::Locked);
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let _held = FileStorage::open(directory.path()).expect("free");
    let status = std::process::Command::new(std::env::current_exe().expect("running"))
        .args(["--exact", "a_second_process_finds_the_directory_locked"])
        .env(DIRECTORY, directory.path())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("started");
    assert!(status.success());
}

#[test]
fn names_cannot_leave_the_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let storage = FileStorage::open(directory.path()).expect("free");
    for name in ["", ".", "..", "../a", "/a", "a/b", "a\\b", "c:a", "lock", "a\0"] {
        assert_eq!(
            storage.create(name).expect_err("refused").kind,
            StorageErrorKind::InvalidName,
            "{name:?}"
        );
    }
    assert_eq!(storage.open("absent").expect_err("absent").kind, StorageErrorKind::NotFound);
    let file = storage.create("a").expect("plain");
    assert_eq!(storage.create("a").expect_err("there").kind, StorageErrorKind::AlreadyExists);
    file.write_at(3, b"xyz").expect("healthy");
    let mut buffer = [7; 8];
    assert_eq!(file.read_at(1, &mut buffer), Ok(5));
    assert_eq!(buffer, [0, 0, b'x', b'y', b'z', 7, 7, 7]);
    assert_eq!(storage.list(), Ok(vec!["a".to_owned()]));
}

#[test]
fn staged_prepared_and_recycled_on_a_real_disk() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = options().staging_bytes(1000).recycle(2);
    let open = || {
        let storage = FileStorage::open(directory.path()).expect("free");
        Log::open(storage, options.clone()).expect("intact")
    };
    let (mut log, _) = open();
    for label in 0..40 {
        log.append(&batch(1, label, &[300, 40])).expect("fits");
        if let Some(mut pending) = log.begin_prepare() {
            let outcome = pending.run();
            log.finish_prepare(pending, outcome).expect("healthy");
        }
        log.sync().expect("healthy");
        log.truncate_before(Lsn::new(2 * label)).expect("healthy");
    }
    let all = records(&log);
    drop(log);
    let (log, report) = open();
    assert_eq!((report.last, report.cut), (Lsn::new(80), None));
    assert_eq!(records(&log), all);
}
