//! Rotation: the next segment prepared before it is needed, dropped segments used again, and a crash
//! at every step of it.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, image, open, options, payload, records};
use replication_log::{
    AppendError, Epoch, Log, LogOptions, Lsn, PromiseError,
    storage::{
        FaultFile, FaultStorage, Keep, MemoryStorage, Storage, StorageError, StorageErrorKind, StorageFile,
        Survivors,
    },
};

fn prepare<S: Storage>(log: &mut Log<S>) -> Option<Result<(), StorageError>> {
    let mut pending = log.begin_prepare()?;
    let outcome = pending.run();
    Some(log.finish_prepare(pending, outcome))
}

/// A log of three segments full of valid records, which are dropped but for the last segment, and
/// the bytes that the dropped ones held.
fn with_spares(options: &LogOptions) -> (FaultStorage, Log<FaultStorage>, Vec<Vec<u8>>) {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options.clone()).expect("new");
    for label in 0..6 {
        log.append(&batch(1, label, &[400, 400])).expect("fits");
    }
    log.sync().expect("healthy");
    let old = (0..4).flat_map(|label| [payload(label, 0, 400), payload(label, 1, 400)]).collect();
    assert_eq!(log.truncate_before(Lsn::new(12)), Ok(Lsn::new(9)));
    let names = disk.list().expect("running");
    assert_eq!(names, ["0000000000000001.spare", "0000000000000002.spare", "0000000000000003.log"]);
    (disk, log, old)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Scenario: a recycled segment was full of valid old records, and its new content is shorter.
#[test]
fn no_stale_record_ever_appears_in_a_recycled_segment() {
    for prepare_bytes in [0, 100, u64::MAX] {
        let options = options().recycle(2).prepare_bytes(prepare_bytes);
        let (disk, mut log, old) = with_spares(&options);
        let prepared = prepare(&mut log);
        assert_eq!(prepared, (prepare_bytes > 0).then_some(Ok(())));
        log.append(&batch(1, 7, &[400])).expect("fits into a new segment");
        let names = disk.list().expect("running");
        assert_eq!(names, ["0000000000000002.spare", "0000000000000003.log", "0000000000000004.log"]);
        let bytes = disk.bytes("0000000000000004.log").expect("there");
        assert_eq!(bytes.len(), 2048, "it is the old file");
        assert!(bytes[80 + 40 + 3 + 400..].iter().all(|&byte| byte == 0), "zeros behind the end");
        assert!(old.iter().all(|old| !contains(&bytes, old)));

        let expected = records(&log);
        assert_eq!((expected.len(), log.oldest()), (5, Lsn::new(9)));
        drop(log);
        disk.crash(Survivors::EVERYTHING);
        let (log, report) = Log::open(disk.clone(), options).expect("intact");
        assert_eq!((records(&log), report.cut), (expected, None));
        assert_eq!(disk.list().expect("running").len(), 2, "opening removes what is no part of the log");
    }
}

/// Scenario: the machine stops at every step of a rotation: create or rename, zeros, header, syncs,
/// name, directory.
#[test]
fn a_crash_at_every_step_of_a_rotation_loses_nothing_and_brings_nothing_back() {
    let mut crashes = 0;
    for recycle in [0, 2] {
        for prepare_bytes in [0, 700, u64::MAX] {
            let options = options().recycle(recycle).prepare_bytes(prepare_bytes).staging_bytes(4096);
            // Everything from the preparation to the first durable record of the new segment.
            let rotate = |log: &mut Log<FaultStorage>| {
                if let Some(prepared) = prepare(log) {
                    prepared.ok()?;
                }
                log.append(&batch(1, 7, &[300])).ok()?;
                log.sync().ok()
            };
            let full = || {
                let (disk, mut log, old) = with_spares(&self::options().recycle(2).staging_bytes(4096));
                if recycle == 0 {
                    drop(log);
                    (log, _) = Log::open(disk.clone(), options.clone()).expect("healthy");
                }
                (disk, log, old)
            };
            let (disk, mut log, _) = full();
            let before = disk.operations();
            rotate(&mut log).expect("healthy");
            let steps = disk.operations() - before;
            assert!(steps >= 8, "only {steps} steps");
            for step in 0..=steps {
                let keeps = [Keep::None, Keep::All, Keep::Only(0), Keep::AllBut(0)];
                let random = (0..8).map(|seed| (Keep::Random(seed), Keep::Random(!seed)));
                let chosen = keeps.into_iter().flat_map(|s| keeps.map(|e| (s, e))).chain(random);
                for (sectors, entries) in chosen {
                    let (disk, mut log, _) = full();
                    disk.stop_after(step);
                    let done = rotate(&mut log);
                    drop(log);
                    disk.crash(Survivors { sectors, entries });
                    let context = format!("{options:?} stopped after {step}, {sectors:?}, {entries:?}");
                    let opened = Log::open(disk.clone(), options.clone());
                    let (log, _) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert!(log.durable() >= done.unwrap_or(Lsn::new(12)), "{context}");
                    let kept: Vec<_> = records(&log).into_iter().map(|record| record.payload).collect();
                    let labels = [(4, 400), (4, 400), (5, 400), (5, 400), (7, 300)];
                    let appended = labels.iter().enumerate();
                    let appended = appended.map(|(at, &(label, size))| payload(label, at % 2, size));
                    assert!(appended.take(kept.len()).eq(kept), "{context}");
                    crashes += 1;
                }
            }
        }
    }
    assert!(crashes > 1000, "only {crashes} crashes");
}

#[test]
fn a_prepared_segment_makes_a_rotation_four_steps() {
    let rotation = |prepare_bytes: u64| {
        let disk = FaultStorage::new();
        let options = options().segment_bytes(1 << 20).preallocate_bytes(1 << 20).staging_bytes(1 << 20);
        let (mut log, _) = Log::open(disk.clone(), options.prepare_bytes(prepare_bytes)).expect("new");
        log.append(&batch(0, 1, &[900 << 10])).expect("fits");
        prepare(&mut log);
        log.sync().expect("healthy");
        let before = disk.operations();
        log.append(&batch(0, 2, &[200 << 10])).expect("fits into a new segment");
        disk.operations() - before
    };
    // The old segment's sync, header, its sync, name, directory.
    assert_eq!(rotation(u64::MAX), 5);
    assert!(rotation(0) >= 5 + 16, "without it, the zeros are written while everyone waits");
}

#[test]
fn a_segment_is_prepared_once_and_when_half_of_the_present_one_is_used() {
    let (mut log, _) = Log::open(FaultStorage::new(), options()).expect("new");
    assert!(log.begin_prepare().is_none(), "too early");
    log.append(&batch(0, 1, &[1000])).expect("fits");
    let pending = log.begin_prepare().expect("due");
    assert!(log.begin_prepare().is_none(), "it is under way");

    // What does not need the segment goes on; what does has to wait for it.
    log.append(&batch(0, 2, &[10])).expect("fits");
    assert_eq!(log.append(&batch(0, 3, &[1000])), Err(AppendError::SyncUnderWay));
    log.append(&batch(0, 3, &[830])).expect("fits exactly");
    assert_eq!(log.promise_epoch(Epoch::new(1)), Err(PromiseError::SyncUnderWay));
    log.finish_prepare(pending, Ok(())).expect("nothing was run, so there is nothing");
    assert!(log.begin_prepare().is_none(), "given up for this segment");
    log.append(&batch(0, 4, &[1000])).expect("made when it is due");
    assert_eq!(prepare(&mut log), Some(Ok(())));
    assert!(log.begin_prepare().is_none(), "it is there already");
    assert_eq!(log.close(), Ok(Lsn::new(4)));
}

#[test]
fn closing_leaves_only_the_log() {
    let (disk, mut log, _) = with_spares(&options().recycle(2));
    assert_eq!(prepare(&mut log), Some(Ok(())));
    assert!(disk.list().expect("running").contains(&"0000000000000004.new".to_owned()));
    log.close().expect("healthy");
    assert!(disk.list().expect("running").iter().all(|name| name.strip_suffix(".log").is_some()));
}

#[test]
fn no_more_segments_are_kept_than_asked_for() {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options().recycle(1).prepare_bytes(0)).expect("new");
    for label in 0..20 {
        log.append(&batch(0, label, &[800, 800])).expect("fits");
        log.truncate_before(log.last()).expect("healthy");
        let spares =
            disk.list().expect("running").iter().filter(|name| name.strip_suffix(".spare").is_some()).count();
        assert_eq!(spares, usize::from(label > 0));
    }
}

#[test]
fn a_preparation_that_fails_costs_nothing() {
    // The device is full: the file is removed again and the log goes on in what it has.
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options()).expect("new");
    log.append(&batch(0, 1, &[1000])).expect("fits");
    let before = image(&disk);
    disk.limit_space(Some(100));
    let failed = prepare(&mut log).expect("due").expect_err("no room");
    assert_eq!((failed.kind, image(&disk) == before), (StorageErrorKind::NoSpace, true));
    assert!(log.begin_prepare().is_none(), "not again and again");
    disk.limit_space(None);
    log.append(&batch(0, 2, &[1000])).expect("made when it is due");
    log.sync().expect("healthy");

    // Its sync fails: there was nothing of the log in it.
    disk.fail_syncs(1);
    prepare(&mut log).expect("due").expect_err("ordered");
    log.append(&batch(0, 3, &[1000])).expect("made when it is due");
    assert_eq!(log.sync(), Ok(Lsn::new(3)));
    drop(log);
    disk.crash(Survivors::NOTHING);
    assert_eq!(records(&open(&disk).expect("intact").0).len(), 3);
}

/// A disk that takes one byte at a time, as a system call may.
#[derive(Clone)]
struct Stingy(FaultStorage);

struct StingyFile(FaultFile);

impl Storage for Stingy {
    type File = StingyFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<StingyFile, StorageError> {
        self.0.create(name).map(StingyFile)
    }

    fn open(&self, name: &str) -> Result<StingyFile, StorageError> {
        self.0.open(name).map(StingyFile)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.0.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        self.0.sync_directory()
    }
}

impl StorageFile for StingyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        (offset..).zip(bytes).try_for_each(|(at, &byte)| self.0.write_at(at, &[byte]))
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        self.0.set_len(length)
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.0.len()
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.0.sync_data()
    }
}

/// Scenario: short writes. The same bytes, and a crash after any one of them leaves whole batches.
#[test]
fn a_disk_that_takes_one_byte_at_a_time_holds_the_same_bytes() {
    fn work<S: Storage>(storage: S) -> Option<Lsn> {
        let (mut log, _) = Log::open(storage, options().staging_bytes(500)).ok()?;
        for label in 0..6 {
            log.append(&batch(0, label, &[300, 90])).ok()?;
        }
        log.close().ok()
    }
    let (disk, memory) = (FaultStorage::new(), MemoryStorage::new());
    assert_eq!(work(Stingy(disk.clone())), work(memory.clone()));
    for (name, bytes) in image(&disk) {
        assert!(memory.bytes(&name) == Some(bytes), "{name} differs");
    }
    for stop in (0..disk.operations()).step_by(17) {
        let disk = FaultStorage::new();
        disk.stop_after(stop);
        assert_eq!(work(Stingy(disk.clone())), None);
        disk.resume();
        let (log, _) = open(&disk).unwrap_or_else(|error| panic!("stopped after {stop}: {error}"));
        let kept: Vec<_> = records(&log).into_iter().map(|record| record.payload).collect();
        let appended = (0..6).flat_map(|label| [payload(label, 0, 300), payload(label, 1, 90)]);
        assert!(kept.len() % 2 == 0 && appended.take(kept.len()).eq(kept), "stopped after {stop}");
    }
}
