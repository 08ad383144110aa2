//! Looking at a log without touching it, from a program and from the command line.
#![cfg(feature = "std")]
#![allow(clippy::disallowed_methods, reason = "the tests look at the files behind the log's back")]

mod common;
#[allow(dead_code, reason = "its `main` is not called")]
#[path = "../examples/wal.rs"]
mod wal;

use std::{collections::BTreeMap, path::Path, thread};

use common::{batch, image, open, options, payload, records};
use replication_log::{
    Damage, Epoch, FsyncPolicy, Log, LogHandle, Lsn, OpenError, OwnedRecord, ReadError, ReadOnlyLog,
    SegmentId,
    storage::{
        FaultStorage, FileStorage, Keep, MemoryStorage, Storage, StorageErrorKind, StorageFile, Survivors,
    },
};

const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("there").map(|entry| entry.expect("readable"));
    entries
        .map(|entry| {
            (entry.file_name().into_string().expect("plain"), std::fs::read(entry.path()).expect("a file"))
        })
        .collect()
}

fn read<S: Storage>(view: &ReadOnlyLog<S>) -> Vec<OwnedRecord> {
    let reader = view.read_from(view.report().oldest).expect("the oldest record is there");
    reader.into_iter().collect::<Result<_, _>>().expect("what was found intact is readable")
}

/// A log of three segments with two batches of two records each, and one in the last.
fn three_segments() -> FaultStorage {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..5 {
        log.append(&batch(1, label, &[400, 400])).expect("fits");
    }
    drop(log);
    disk.crash(Survivors::EVERYTHING);
    disk
}

#[test]
fn what_is_foreseen_is_what_opening_reports_and_not_a_byte_changes() {
    let mut unclean = 0;
    for (operations, seed) in (0..60).flat_map(|operations| (0..4).map(move |seed| (operations, seed))) {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        disk.stop_after(operations);
        for label in 0..8 {
            log.append(&batch(label, label, &[500, 20])).ok();
            if label % 3 == 0 {
                log.sync().ok();
            }
            if label == 5 {
                log.truncate_after(Lsn::new(4), Lsn::ZERO).ok();
            }
        }
        drop(log);
        disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
        let before = (image(&disk), disk.operations());
        let view = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("readable");
        assert_eq!((view.corruption(), (image(&disk), disk.operations())), (None, before));
        let (log, report) = open(&disk).expect("a crash is no corruption");
        assert_eq!(view.report(), &report, "stopped after {operations}, seed {seed}");
        assert_eq!(records(&log).len() as u64, report.last.get(), "stopped after {operations}, seed {seed}");
        unclean += usize::from(report.cut.is_some() || report.truncated.is_some());
    }
    assert!(unclean > 50, "only {unclean} logs were torn");
}

#[test]
fn a_log_in_a_directory_is_looked_at_without_lock_or_change() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut log, _) = Log::open(FileStorage::open(directory.path()).expect("free"), options()).expect("new");
    for label in 0..5 {
        log.append(&batch(1, label, &[400, 400])).expect("fits");
    }
    let all = records(&log);
    drop(log);
    let before = files(directory.path());
    let storage = FileStorage::open_read_only(directory.path()).expect("there");
    let view = ReadOnlyLog::open(storage.clone(), Lsn::ZERO).expect("readable");
    assert_eq!(read(&view), all);
    let _writer = FileStorage::open(directory.path()).expect("who looks holds no lock");

    for refused in [
        storage.create("a").map(drop),
        storage.remove(FIRST),
        storage.rename(FIRST, "a"),
        storage.sync_directory(),
    ] {
        assert_eq!(refused.expect_err("read only").kind, StorageErrorKind::ReadOnly);
    }
    storage.open(FIRST).expect("there").write_at(0, b"x").expect_err("opened for reading");
    assert_eq!(files(directory.path()), before);

    let absent = FileStorage::open_read_only(directory.path().join("absent")).expect_err("not there");
    assert_eq!(absent.kind, StorageErrorKind::NotFound);
    assert_eq!(files(directory.path()), before, "and nothing was created");
}

#[test]
fn a_live_writer_is_never_mistaken_for_damage() {
    let storage = MemoryStorage::new();
    let (log, _) = Log::open(storage.clone(), options()).expect("new");
    let handle = LogHandle::start(log, FsyncPolicy::Always).expect("a thread");
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for label in 0..3000 {
                let ticket = handle.append(&batch(1, label, &[70, 70])).expect("fits");
                if label % 50 == 0 {
                    handle.truncate_before(ticket.last()).expect("healthy");
                }
            }
        });
        let mut last = Lsn::ZERO;
        while !writer.is_finished() {
            let view = ReadOnlyLog::open(storage.clone(), Lsn::ZERO).expect("readable");
            assert_eq!(view.corruption(), None);
            assert!(view.report().last >= last, "{} after {last}", view.report().last);
            last = view.report().last;
        }
    });
}

#[test]
fn a_corrupt_log_is_read_up_to_the_damage_and_says_where_it_is() {
    let disk = three_segments();
    disk.flip_bit(SECOND, (80 + 846 + 100) * 8);
    let before = image(&disk);
    let view = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("corruption is found, not suffered");
    let Err(OpenError::Corrupt(corruption)) = open(&disk) else { panic!("opened") };
    assert_eq!(view.corruption(), Some(&corruption));
    assert_eq!((corruption.segment, corruption.offset), (SegmentId::new(2), 80 + 846));
    assert_eq!(corruption.damage, Damage::Batch);
    let read = read(&view);
    assert_eq!(read.iter().map(|record| record.lsn.get()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read[5].payload, payload(2, 1, 400));
    let used: Vec<_> = view.segments().map(|segment| (segment.last.get(), segment.used_bytes)).collect();
    assert_eq!(used, [(4, 80 + 2 * 846), (6, 80 + 846)]);
    assert_eq!(image(&disk), before);
}

#[test]
fn what_a_checkpoint_knows_better_is_corruption_here_too() {
    let disk = three_segments();
    let view = ReadOnlyLog::open(disk, Lsn::new(11)).expect("readable");
    assert_eq!(view.corruption().map(|corruption| corruption.lsn), Some(Lsn::new(11)));
}

#[test]
fn an_unfinished_cut_is_seen_as_if_it_were_made() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..6 {
        log.append(&batch(2, label, &[800])).expect("fits");
    }
    log.sync().expect("healthy");
    disk.stop_after(5);
    log.truncate_after(Lsn::new(1), Lsn::ZERO).expect_err("the machine stops");
    disk.crash(Survivors::NOTHING);
    let before = image(&disk);
    let view = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("readable");
    assert_eq!(read(&view).len(), 1);
    assert_eq!(image(&disk), before);
    let (_, report) = open(&disk).expect("healthy");
    assert!(report.truncated.is_some());
    assert_eq!(view.report(), &report);
}

#[test]
fn where_there_is_no_log_there_is_nothing_to_read() {
    let view = ReadOnlyLog::open(MemoryStorage::new(), Lsn::ZERO).expect("readable");
    assert_eq!((view.corruption(), view.segments().count()), (None, 0));
    assert_eq!((view.report().last, view.report().epoch), (Lsn::ZERO, Epoch::ZERO));
    assert_eq!(view.read_from(Lsn::FIRST).expect("nothing yet").next_record(), Ok(None));
    assert_eq!(view.left_over(), [""; 0]);
}

#[test]
fn what_was_dropped_is_an_error_and_no_jump() {
    let disk = three_segments();
    let (mut log, _) = open(&disk).expect("healthy");
    log.truncate_before(Lsn::new(5)).expect("healthy");
    let view = ReadOnlyLog::open(disk, Lsn::ZERO).expect("readable");
    let truncated = ReadError::Truncated { asked: Lsn::new(4), oldest: Lsn::new(5) };
    assert_eq!(view.read_from(Lsn::new(4)).map(drop), Err(truncated));
}

/// What the command says, and the code it ends with.
fn command(arguments: &[&str]) -> (u8, String) {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let mut said = Vec::new();
    let code = wal::run(&arguments, &mut said).unwrap_or_else(|complaint| {
        said = complaint.to_string().into_bytes();
        wal::FAILED
    });
    (code, String::from_utf8(said).expect("text"))
}

#[test]
fn the_inspector_lists_verifies_dumps_and_repairs() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("log");
    let directory = path.to_str().expect("plain");
    let open = || Log::open(FileStorage::open(&path).expect("free"), options()).expect("intact").0;
    let mut log = open();
    for label in 0..5 {
        log.append(&batch(1, label, &[400, 3])).expect("fits");
    }
    log.sync().expect("healthy");
    let before = files(&path);

    let (code, said) = command(&["list", directory]);
    assert_eq!(code, wal::INTACT);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("0000000000000001.log") && said.contains("records 9 to 10  epoch 1"), "{said}");
    let (code, said) = command(&["dump", directory, "9", "2"]);
    assert_eq!(code, wal::INTACT);
    assert!(said.contains("\n10 kind 1 3 bytes ") && said.lines().count() == 3, "{said}");
    assert_eq!(command(&["dump", directory]).1.lines().count(), 11);
    assert_eq!(files(&path), before, "beside the writer, and without a change");
    let (code, said) = command(&["repair", directory]);
    assert!(code == wal::FAILED && said.contains("holds the directory"), "{said}");

    log.close().expect("healthy");
    let (code, said) = command(&["verify", directory]);
    assert_eq!((code, said.as_str()), (wal::INTACT, "records 1 to 10, epoch 1, closed\n"));

    let mut bytes = std::fs::read(path.join(FIRST)).expect("there");
    bytes[200] ^= 1;
    std::fs::write(path.join(FIRST), bytes).expect("healthy");
    let (code, said) = command(&["verify", directory]);
    assert!(code == wal::CORRUPT && said.contains("offset 80, where record 1 belongs"), "{said}");
    let (code, said) = command(&["repair", directory]);
    assert!(code == wal::INTACT && said.contains("kept 0000000000000001.log.0.damaged"), "{said}");
    assert_eq!(command(&["repair", directory]).1, "not corrupt; nothing was done\nthe last record is 0\n");

    let mut log = open();
    log.append(&batch(1, 9, &[20])).expect("fits");
    log.append(&batch(1, 9, &[20])).expect("fits");
    drop(log);
    let mut bytes = std::fs::read(path.join(FIRST)).expect("there");
    bytes[80 + 62 + 50] ^= 1;
    std::fs::write(path.join(FIRST), bytes).expect("healthy");
    let (code, said) = command(&["verify", directory]);
    assert!(code == wal::UNFINISHED && said.contains("62 bytes at offset 142"), "{said}");

    let absent = path.join("absent");
    for words in [&["repair", absent.to_str().expect("plain")][..], &["verify", "/dev/null"], &["help"], &[]]
    {
        assert_eq!(command(words).0, wal::FAILED);
    }
    assert!(!absent.exists());
    assert_eq!(command(&["dump", directory, "x"]).0, wal::FAILED);
    assert_eq!(command(&["list", directory, "more"]).1, wal::USAGE);
}
