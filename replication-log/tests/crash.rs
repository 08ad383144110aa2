//! Power cuts at every step of everything a log does, with every kind of disk behind it.
//!
//! Each test runs a workload again and again, stops the machine after one operation more each time,
//! lets a choice of unsynced sectors and directory entries survive, opens what is left and compares
//! it with the model.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{Model, append, batch, choices, image, open, options, promise, records, sync};
use replication_log::{
    Epoch, Log, LogOptions, Lsn, OpenError,
    storage::{FaultFile, FaultStorage, Keep, Storage, StorageError, Survivors},
};

/// Appends of several sizes, syncs, promises, rotation, truncation, a clean close, and a second life.
fn workload<S: Storage>(open: impl Fn() -> Result<Log<S>, OpenError>, model: &mut Model) -> Option<()> {
    let mut log = open().ok()?;
    append(&mut log, model, 0, &[10])?;
    append(&mut log, model, 0, &[1, 600, 3])?;
    sync(&mut log, model)?;
    append(&mut log, model, 0, &[300; 4])?;
    promise(&mut log, model, 3)?;
    for _ in 0..3 {
        append(&mut log, model, 3, &[0, 700])?;
    }
    sync(&mut log, model)?;
    model.truncated = Lsn::new(13);
    log.truncate_before(model.truncated).ok()?;
    append(&mut log, model, 4, &[1500])?;
    append(&mut log, model, 4, &[20; 9])?;
    let last = log.last();
    log.close().ok()?;
    model.durable = last;

    let mut log = open().ok()?;
    append(&mut log, model, 4, &[40])?;
    promise(&mut log, model, 9)?;
    append(&mut log, model, 9, &[900, 2])?;
    sync(&mut log, model)?;
    append(&mut log, model, 9, &[5, 5])?;
    model.truncated = log.last();
    log.truncate_before(model.truncated).ok()?;
    for _ in 0..4 {
        append(&mut log, model, 9, &[1200])?;
    }
    sync(&mut log, model)?;
    append(&mut log, model, 9, &[60])
}

/// Every append written at once, some together, and as many as there are between two syncs; segments
/// made when they are due and prepared before; dropped ones removed and used again.
fn variants() -> [LogOptions; 6] {
    let made_when_due = options().prepare_bytes(0);
    [
        made_when_due.clone(),
        made_when_due.clone().staging_bytes(900),
        made_when_due.clone().staging_bytes(64 << 10),
        made_when_due.recycle(2),
        options().prepare_bytes(1500).staging_bytes(900),
        options().recycle(2).staging_bytes(64 << 10),
    ]
}

/// Runs the workload on a fresh disk that stops after `operations`.
fn run_until(options: &LogOptions, operations: u64) -> (FaultStorage, Model, bool) {
    let (disk, mut model) = (FaultStorage::new(), Model::default());
    disk.stop_after(operations);
    let open = || Log::open(disk.clone(), options.clone()).map(|(log, _)| log);
    let finished = workload(open, &mut model).is_some();
    (disk, model, finished)
}

/// Every variant with every number of operations after which its workload can be stopped.
fn every_stop() -> Vec<(LogOptions, u64)> {
    let stops = |options: LogOptions| {
        let length = (0..10_000).find(|&operations| run_until(&options, operations).2);
        (0..=length.expect("the workload ends")).map(move |operations| (options.clone(), operations))
    };
    variants().into_iter().flat_map(stops).collect()
}

#[test]
fn power_cut_after_every_operation_leaves_a_prefix_of_whole_batches() {
    let (stops, mut cuts) = (every_stop(), 0);
    for (options, operations) in &stops {
        let (disk, ..) = run_until(options, *operations);
        for survivors in choices(&disk) {
            let (disk, model, _) = run_until(options, *operations);
            disk.crash(survivors);
            let context = format!("{options:?} stopped after {operations} with {survivors:?}");
            let (log, report) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            model.check(&log, &context);
            cuts += usize::from(report.cut.is_some());
        }
    }
    assert!(stops.len() > 500, "the workloads have shrunk to {} operations", stops.len());
    assert!(cuts > 150, "only {cuts} tails were torn: the disk is too kind");
}

#[test]
fn power_cut_during_recovery_leaves_the_same_prefix() {
    let mut interrupted = 0;
    for (options, operations) in every_stop().into_iter().step_by(5) {
        let random =
            (0..3).map(|seed| Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
        for survivors in [Survivors::NOTHING, Survivors::EVERYTHING].into_iter().chain(random) {
            let crashed = || {
                let (disk, model, _) = run_until(&options, operations);
                disk.crash(survivors);
                (disk, model)
            };
            let (reference, model) = crashed();
            let before = reference.operations();
            let (log, _) = open(&reference).expect("a crash is no corruption");
            let (expected, epoch) = (records(&log), log.epoch());
            for step in 0..reference.operations() - before {
                for seed in 0..4 {
                    let (disk, _) = crashed();
                    disk.stop_after(step);
                    assert!(open(&disk).is_err(), "recovery went on without a disk");
                    disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
                    let context =
                        format!("{operations}, {survivors:?}, recovery stopped after {step}, {seed}");
                    let (log, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert!(records(&log) == expected && log.epoch() == epoch, "{context}");
                    model.check(&log, &context);
                    interrupted += 1;
                }
            }
        }
    }
    assert!(interrupted > 1000, "only {interrupted} recoveries were interrupted");
}

#[test]
fn what_a_recovered_log_appends_is_not_joined_by_what_was_cut() {
    for (options, operations) in every_stop() {
        for seed in 0..6 {
            let (disk, mut model, _) = run_until(&options, operations);
            disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
            let (mut log, _) = open(&disk).expect("a crash is no corruption");
            let context = format!("{options:?} stopped after {operations}, seed {seed}");
            // The model forgets what was cut, and then one short batch is written over the place
            // where it began.
            model.appended.truncate(log.durable().get() as usize);
            model.ends.retain(|&end| end <= log.durable().get());
            model.attempted = Epoch::new(20);
            append(&mut log, &mut model, 20, &[1]).expect("healthy");
            sync(&mut log, &mut model).expect("healthy");
            drop(log);
            disk.crash(Survivors::NOTHING);
            let (log, report) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!((log.durable(), report.cut), (model.durable, None), "{context}");
            model.check(&log, &context);
        }
    }
}

#[test]
fn a_process_that_dies_leaves_nothing_in_the_cache_that_its_successor_relies_on() {
    for (options, operations) in every_stop() {
        let (disk, mut model, _) = run_until(&options, operations);
        // The machine runs on: all that was written is there to be read, and nothing says what of
        // it is durable.
        disk.resume();
        let context = format!("{options:?} died after {operations}");
        let (mut log, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        model.check(&log, &context);
        model.appended.truncate(log.durable().get() as usize);
        model.ends.retain(|&end| end <= log.durable().get());
        model.attempted = Epoch::new(20);
        append(&mut log, &mut model, 20, &[1]).expect("healthy");
        sync(&mut log, &mut model).expect("healthy");
        drop(log);
        disk.crash(Survivors::NOTHING);
        let (log, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        model.check(&log, &context);
    }
}

/// A disk on which nobody ever syncs the directory: the negative control of this harness.
#[derive(Clone)]
struct NoDirectorySync(FaultStorage);

impl Storage for NoDirectorySync {
    type File = FaultFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<FaultFile, StorageError> {
        self.0.create(name)
    }

    fn open(&self, name: &str) -> Result<FaultFile, StorageError> {
        self.0.open(name)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.0.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[test]
fn without_directory_syncs_durable_records_are_lost_and_this_harness_sees_it() {
    let (disk, mut model) = (FaultStorage::new(), Model::default());
    let storage = NoDirectorySync(disk.clone());
    workload(|| Log::open(storage.clone(), options()).map(|(log, _)| log), &mut model).expect("healthy");
    disk.crash(Survivors::NOTHING);
    let (log, _) = open(&disk).expect("an empty directory is a new log");
    assert!(log.durable() < model.durable, "the directory was synced all the same");
}

#[test]
fn a_disk_that_lies_about_syncs_costs_records_but_never_wrong_ones() {
    let (disk, mut model) = (FaultStorage::new(), Model::default());
    let (mut log, _) = open(&disk).expect("new");
    append(&mut log, &mut model, 0, &[100]).expect("healthy");
    sync(&mut log, &mut model).expect("healthy");
    disk.lie_about_syncs(true);
    append(&mut log, &mut model, 0, &[100]).expect("healthy");
    assert_eq!(log.sync(), Ok(Lsn::new(2)), "the log cannot know");
    disk.crash(Survivors::NOTHING);
    let (log, _) = open(&disk).expect("nothing states what was lost");
    assert_eq!(log.durable(), Lsn::new(1));
    model.check(&log, "lying disk");
}

#[test]
fn opening_a_closed_log_changes_no_byte() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 7, &[10, 2000 - 200])).expect("fits");
    log.append(&batch(1, 8, &[500])).expect("fits");
    log.close().expect("healthy");
    let before = image(&disk);
    for _ in 0..3 {
        let (log, report) = open(&disk).expect("closed");
        assert!(report.closed_cleanly && report.cut.is_none());
        assert_eq!(log.close(), Ok(Lsn::new(3)));
    }
    assert_eq!(image(&disk), before);
}
