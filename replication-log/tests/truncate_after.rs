//! Cutting the newest end: what was cut never comes back, what stays is never lost, the promise
//! stays, and a power cut at every operation finds the cut made or not begun.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{Model, append, batch, choices, crc32c, cut, image, open, options, promise, records, sync};
use replication_log::{
    AppendError, Corruption, Damage, Epoch, Log, Lsn, OpenError, PoisonedBy, SegmentId, TruncateAfterError,
    repair,
    storage::{FaultStorage, Keep, Storage, StorageErrorKind, Survivors},
};

const INTENT: &str = "truncation.intent";
const UNBORN_INTENT: &str = "truncation.intent.new";
const FIRST: &str = "0000000000000001.log";

/// Cuts over segments, inside one, at a segment's end, over a promise, of what is not durable, and of
/// everything, each followed by batches as long as those that were cut.
fn workload(disk: &FaultStorage, model: &mut Model) -> Option<()> {
    let (mut log, _) = open(disk).ok()?;
    append(&mut log, model, 0, &[10])?;
    append(&mut log, model, 0, &[1, 600, 3])?;
    sync(&mut log, model)?;
    for _ in 0..4 {
        append(&mut log, model, 2, &[700, 0])?;
    }
    sync(&mut log, model)?;
    cut(&mut log, model, 4)?;
    append(&mut log, model, 2, &[700, 0])?;
    promise(&mut log, model, 5)?;
    append(&mut log, model, 5, &[500])?;
    sync(&mut log, model)?;
    cut(&mut log, model, 4)?;
    append(&mut log, model, 5, &[700, 0])?;
    append(&mut log, model, 5, &[700])?;
    append(&mut log, model, 6, &[700])?;
    append(&mut log, model, 6, &[700])?;
    cut(&mut log, model, 7)?;
    append(&mut log, model, 6, &[700, 8])?;
    cut(&mut log, model, 0)?;
    append(&mut log, model, 6, &[10])?;
    append(&mut log, model, 6, &[1, 600, 3])?;
    cut(&mut log, model, 1)?;
    let written = log.last();
    log.close().ok()?;
    model.durable = written;
    Some(())
}

fn run_until(operations: u64) -> (FaultStorage, Model, bool) {
    let (disk, mut model) = (FaultStorage::new(), Model::default());
    disk.stop_after(operations);
    let finished = workload(&disk, &mut model).is_some();
    (disk, model, finished)
}

fn run_length() -> u64 {
    (0..10_000).find(|&operations| run_until(operations).2).expect("the workload ends")
}

#[test]
fn a_power_cut_after_every_operation_finds_the_cut_made_or_not_begun() {
    let (mut finished_later, length) = (0, run_length());
    for operations in 0..=length {
        let (disk, _, _) = run_until(operations);
        for survivors in choices(&disk) {
            let (disk, mut model, _) = run_until(operations);
            disk.crash(survivors);
            let context = format!("stopped after {operations} with {survivors:?}");
            let (mut log, report) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            model.check(&log, &context);
            if let Some(truncation) = report.truncated {
                assert_eq!(Some(truncation.last), model.cutting, "{context}");
                finished_later += 1;
            }
            let names = disk.list().expect("running");
            assert!(!names.iter().any(|name| name.starts_with("truncation")), "{context}: {names:?}");

            // What is appended now is not joined by what was cut.
            model.cut_after(log.durable());
            model.attempted = Epoch::new(20);
            append(&mut log, &mut model, 20, &[700, 0]).expect("healthy");
            sync(&mut log, &mut model).expect("healthy");
            drop(log);
            disk.crash(Survivors::NOTHING);
            let (log, report) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!((report.cut, report.truncated), (None, None), "{context}");
            model.check(&log, &context);
            assert_eq!(log.durable(), model.durable, "{context}");
        }
    }
    assert!(finished_later > 500, "only {finished_later} cuts were interrupted");
}

#[test]
fn a_power_cut_while_an_interrupted_cut_is_finished_changes_nothing() {
    let mut interrupted = 0;
    for operations in 0..run_length() {
        // Without survivors only the process dies, and its successor finds what the cache has.
        for seed in [None, Some(0), Some(1), Some(2)] {
            let survivors =
                seed.map(|seed| Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
            let crashed = || {
                let (disk, model, _) = run_until(operations);
                disk.resume();
                if let Some(survivors) = survivors {
                    disk.crash(survivors);
                }
                (disk, model)
            };
            let (reference, model) = crashed();
            let before = reference.operations();
            let (log, report) = open(&reference).expect("a crash is no corruption");
            if report.truncated.is_none() {
                continue;
            }
            for step in 0..reference.operations() - before {
                for seed in 0..4 {
                    let (disk, _) = crashed();
                    disk.stop_after(step);
                    assert!(open(&disk).is_err(), "recovery went on without a disk");
                    disk.crash(Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed + 1) });
                    let context = format!("{operations}, {survivors:?}, stopped after {step}, {seed}");
                    let (again, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
                    // An intent that only the cache had can be lost with it, and nothing was done then.
                    let same = records(&again) == records(&log) && again.epoch() == log.epoch();
                    assert!(same || survivors.is_none(), "{context}");
                    model.check(&again, &context);
                    interrupted += 1;
                }
            }
        }
    }
    assert!(interrupted > 500, "only {interrupted} recoveries were interrupted");
}

#[test]
fn a_process_that_dies_while_it_cuts_leaves_the_cut_made_or_not_begun() {
    for operations in 0..run_length() {
        let (disk, mut model, _) = run_until(operations);
        disk.resume();
        let context = format!("died after {operations}");
        let (mut log, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        model.check(&log, &context);
        model.cut_after(log.durable());
        model.attempted = Epoch::new(20);
        append(&mut log, &mut model, 20, &[1]).expect("healthy");
        sync(&mut log, &mut model).expect("healthy");
        drop(log);
        disk.crash(Survivors::NOTHING);
        let (log, _) = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        model.check(&log, &context);
        assert_eq!(log.durable(), model.durable, "{context}");
    }
}

/// seglog zeroes one header at the cut: a record of equal length written there gives all that came
/// behind it its place back. etcd #22442 is the same with committed entries.
#[test]
fn a_record_of_equal_length_over_the_cut_does_not_bring_its_old_successors_back() {
    for keep in 0..5 {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        for label in 0..5 {
            log.append(&batch(1, label, &[100])).expect("fits");
        }
        log.sync().expect("healthy");
        let old = records(&log);
        log.truncate_after(Lsn::new(keep), Lsn::ZERO).expect("a boundary");
        log.append(&batch(1, 77, &[100])).expect("fits");
        log.sync().expect("healthy");
        let new = records(&log);
        drop(log);
        disk.crash(Survivors::NOTHING);
        let (log, report) = open(&disk).expect("healthy");
        assert_eq!((log.durable(), report.cut), (Lsn::new(keep + 1), None));
        assert_eq!(records(&log), new);
        assert_eq!(new[..keep as usize], old[..keep as usize]);
    }
}

/// The same batch appended again is byte for byte what was cut, and its successors even verified behind
/// it once.
#[test]
fn the_same_record_over_the_cut_does_not_bring_its_old_successors_back() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..5 {
        log.append(&batch(1, label, &[100])).expect("fits");
        log.sync().expect("healthy");
    }
    log.truncate_after(Lsn::new(2), Lsn::ZERO).expect("a boundary");
    log.append(&batch(1, 2, &[100])).expect("fits");
    log.sync().expect("healthy");
    drop(log);
    disk.crash(Survivors::NOTHING);
    assert_eq!(open(&disk).expect("healthy").0.durable(), Lsn::new(3));
}

#[test]
fn a_cut_never_lowers_the_epoch() {
    for cut_to in [0, 1] {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        log.append(&batch(1, 1, &[10])).expect("fits");
        log.promise_epoch(Epoch::new(7)).expect("healthy");
        log.append(&batch(9, 2, &[10])).expect("fits");
        log.truncate_after(Lsn::new(cut_to), Lsn::ZERO).expect("a boundary");
        let fenced = Err(AppendError::Fenced { have: Epoch::new(9), got: Epoch::new(8) });
        assert_eq!(log.append(&batch(8, 3, &[10])), fenced);
        drop(log);
        disk.crash(Survivors::NOTHING);
        // One of the two marks may rot.
        let marks = 80 + cut_to as usize * (40 + 2 + 10);
        for bit in (marks * 8..(marks + 80) * 8).step_by(5) {
            disk.flip_bit(FIRST, bit);
            let copy = FaultStorage::new();
            for (name, bytes) in image(&disk) {
                copy.set_bytes(&name, bytes);
            }
            disk.flip_bit(FIRST, bit);
            let (mut log, report) = open(&copy).expect("healthy");
            assert_eq!((report.epoch, log.append(&batch(8, 3, &[10]))), (Epoch::new(9), fenced.clone()));
        }
    }
}

#[test]
fn a_cut_is_made_at_a_boundary_or_refused_with_the_one_below() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[10])).expect("fits");
    log.append(&batch(0, 2, &[10, 10, 10])).expect("fits");
    log.sync().expect("healthy");
    let before = (image(&disk), records(&log));
    for inside in [2, 3] {
        let refused = log.truncate_after(Lsn::new(inside), Lsn::ZERO);
        let (asked, boundary) = (Lsn::new(inside), Lsn::new(1));
        assert_eq!(refused, Err(TruncateAfterError::InsideBatch { asked, boundary }));
    }
    for above in [5, 6, u64::MAX] {
        let refused = log.truncate_after(Lsn::new(above), Lsn::ZERO);
        let (asked, last) = (Lsn::new(above), Lsn::new(4));
        assert_eq!(refused, Err(TruncateAfterError::AboveEnd { asked, last }));
    }
    let operations = disk.operations();
    let nothing = log.truncate_after(Lsn::new(4), Lsn::ZERO).expect("the end is a boundary");
    assert_eq!((nothing.last, nothing.removed.len(), log.truncations()), (Lsn::new(4), 0, 0));
    assert_eq!((disk.operations(), image(&disk), records(&log)), (operations, before.0, before.1));
}

#[test]
fn a_cut_below_the_oldest_record_is_refused_and_one_right_before_it_empties_the_log() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..6 {
        log.append(&batch(3, label, &[800])).expect("fits");
    }
    assert_eq!(log.truncate_before(Lsn::new(3)), Ok(Lsn::new(3)));
    let refused = log.truncate_after(Lsn::new(1), Lsn::ZERO);
    let (asked, oldest) = (Lsn::new(1), Lsn::new(3));
    assert_eq!(refused, Err(TruncateAfterError::BelowOldest { asked, oldest }));

    let emptied = log.truncate_after(Lsn::new(2), Lsn::ZERO).expect("the record before the oldest");
    assert_eq!((emptied.segment, emptied.offset), (SegmentId::new(2), 80));
    assert_eq!((emptied.removed, log.oldest()), (vec![SegmentId::new(3)], Lsn::new(3)));
    log.append(&batch(3, 9, &[800])).expect("fits");
    drop(log);
    let (log, report) = open(&disk).expect("healthy");
    assert_eq!((report.oldest, report.last, log.epoch()), (Lsn::new(3), Lsn::new(3), Epoch::new(3)));
}

/// Scenario 31: what is committed or applied needs a snapshot to go back behind, not a cut.
#[test]
fn a_cut_below_the_commit_or_applied_index_is_refused_and_not_performed() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..4 {
        log.append(&batch(0, label, &[10])).expect("fits");
    }
    log.sync().expect("healthy");
    let before = image(&disk);
    let committed = Lsn::new(3);
    for asked in [0, 1, 2].map(Lsn::new) {
        let refused = log.truncate_after(asked, committed);
        assert_eq!(refused, Err(TruncateAfterError::BelowFloor { asked, floor: committed }));
    }
    assert_eq!(image(&disk), before);
    log.truncate_after(committed, committed).expect("the floor itself stays");
}

#[test]
fn a_cut_waits_for_no_sync_and_is_refused_while_one_is_under_way() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    log.append(&batch(0, 1, &[10])).expect("fits");
    let pending = log.begin_sync().expect("healthy");
    assert_eq!(log.truncate_after(Lsn::ZERO, Lsn::ZERO), Err(TruncateAfterError::SyncUnderWay));
    let outcome = pending.run();
    log.finish_sync(pending, outcome).expect("healthy");
    log.truncate_after(Lsn::ZERO, Lsn::ZERO).expect("nothing in the way");
}

#[test]
fn a_storage_failure_leaves_the_log_as_it_was_or_poisons_it() {
    let (mut refused, mut poisoned) = (0, 0);
    for operations in 0.. {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        for label in 0..6 {
            log.append(&batch(0, label, &[800])).expect("fits");
        }
        log.sync().expect("healthy");
        let before = records(&log);
        disk.stop_after(operations);
        let outcome = log.truncate_after(Lsn::new(1), Lsn::ZERO);
        disk.resume();
        match outcome {
            Ok(_) => break,
            Err(TruncateAfterError::Storage(error)) => {
                assert_eq!(error.kind, StorageErrorKind::Disconnected);
                assert_eq!(records(&log), before);
                log.truncate_after(Lsn::new(1), Lsn::ZERO).expect("the log can be used further");
                refused += 1;
            }
            Err(TruncateAfterError::Poisoned(poison)) => {
                assert_eq!(poison.by, PoisonedBy::Truncation);
                assert!(matches!(log.append(&batch(0, 9, &[1])), Err(AppendError::Poisoned(_))));
                drop(log);
                let (log, _) = open(&disk).expect("the cut can be finished");
                assert!([Lsn::new(1), Lsn::new(6)].contains(&log.durable()));
                poisoned += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused >= 3 && poisoned >= 5, "{refused} refused, {poisoned} poisoned");
}

#[test]
fn damage_below_the_cut_is_an_error_of_the_cut() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[10])).expect("fits");
    log.append(&batch(0, 2, &[10])).expect("fits");
    log.sync().expect("healthy");
    disk.flip_bit(FIRST, 90 * 8);
    let refused = log.truncate_after(Lsn::new(1), Lsn::ZERO);
    assert!(
        matches!(refused, Err(TruncateAfterError::Corrupt(Corruption { offset: 80, .. }))),
        "{refused:?}"
    );
}

/// A disk on which the machine stopped while the log was cut after record 1 of 6, of epochs 0 to 3, with
/// the intent durable and nothing else done.
fn intended() -> FaultStorage {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..6 {
        log.append(&batch(label / 2 + label % 2, label, &[800])).expect("fits");
    }
    log.sync().expect("healthy");
    disk.stop_after(5);
    log.truncate_after(Lsn::new(1), Lsn::ZERO).expect_err("the machine stops");
    disk.crash(Survivors::NOTHING);
    assert!(disk.bytes(INTENT).is_some());
    disk
}

/// The bytes of version 1, as `docs/formats.md` draws them.
#[test]
fn the_bytes_of_an_intent() {
    let rows: [[u8; 8]; 8] = [
        *b"REPCUT\r\n",
        [1, 0, 0, 0, 64, 0, 0, 0],
        0x5eed_u64.to_le_bytes(),
        1_u64.to_le_bytes(),
        (80_u64 + 40 + 3 + 800).to_le_bytes(),
        1_u64.to_le_bytes(),
        3_u64.to_le_bytes(),
        [0x96, 0xd5, 0x77, 0x82, 0x81, 0x28, 0x51, 0x92],
    ];
    let bytes = rows.concat();
    assert_eq!(intended().bytes(INTENT).as_ref(), Some(&bytes));
    assert_eq!(bytes[60..], crc32c(&bytes[..60]).to_le_bytes());
}

#[test]
fn an_intent_found_when_a_log_is_opened_is_carried_out_and_reported() {
    let disk = intended();
    let (log, report) = open(&disk).expect("healthy");
    let truncation = report.truncated.expect("it was under way");
    assert_eq!((truncation.last, truncation.segment), (Lsn::new(1), SegmentId::FIRST));
    assert_eq!(truncation.removed, [SegmentId::new(2), SegmentId::new(3)]);
    assert_eq!((report.last, report.segments, report.cut), (Lsn::new(1), 1, None));
    drop(log);
    assert_eq!(open(&disk).expect("healthy").1.truncated, None, "once");
}

#[test]
fn a_torn_intent_that_never_got_its_name_is_removed() {
    let intent = intended().bytes(INTENT).expect("there");
    for length in 0..=intent.len() {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        log.append(&batch(0, 1, &[800])).expect("fits");
        log.sync().expect("healthy");
        drop(log);
        disk.set_bytes(UNBORN_INTENT, intent[..length].to_vec());
        let (_, report) = open(&disk).expect("it says nothing");
        assert_eq!((report.last, report.truncated), (Lsn::new(1), None));
        assert_eq!(disk.list().expect("running"), [FIRST]);
    }
}

#[test]
fn a_damaged_intent_is_corruption_and_repair_keeps_a_copy_of_it() {
    let disk = intended();
    let intent = disk.bytes(INTENT).expect("there");
    let mut wrong: Vec<Vec<u8>> = (0..64).map(|length| intent[..length].to_vec()).collect();
    wrong.push([&intent[..], &[0]].concat());
    for bit in 0..64 * 8 {
        let mut flipped = intent.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong.push(flipped);
    }
    for bytes in wrong {
        disk.set_bytes(INTENT, bytes.clone());
        let before = image(&disk);
        let Err(error) = open(&disk) else { panic!("opened with {bytes:x?}") };
        let version =
            u32::from_le_bytes(bytes.get(8..12).map_or([1, 0, 0, 0], |v| v.try_into().expect("four")));
        if version == 1 || bytes[..8] != intent[..8] {
            assert!(matches!(&error, OpenError::Corrupt(c) if c.damage == Damage::Intent), "{error}");
        } else {
            assert_eq!(error, OpenError::UnsupportedIntent { found: version, supported: 1 });
        }
        assert_eq!(image(&disk), before, "a refusal touched the files");
    }

    let damaged = vec![0; 64];
    disk.set_bytes(INTENT, damaged.clone());
    let report = repair(&disk).expect("healthy");
    let copy = report.copies.last().expect("of the intent");
    assert_eq!((copy.starts_with(INTENT), disk.bytes(copy)), (true, Some(damaged)));
    assert_eq!(open(&disk).expect("repaired").0.durable(), Lsn::new(6), "where it was to be cut is unknown");
}

#[test]
fn an_intent_of_another_log_cuts_nothing() {
    let other = FaultStorage::new();
    let (mut log, _) = Log::open(other.clone(), replication_log::LogOptions::new(1)).expect("new");
    for label in 0..6 {
        log.append(&batch(0, label, &[800])).expect("fits");
    }
    log.sync().expect("healthy");
    drop(log);
    other.set_bytes(INTENT, intended().bytes(INTENT).expect("there"));
    let before = image(&other);
    let Err(OpenError::Corrupt(corruption)) = open(&other) else { panic!("opened") };
    assert_eq!(corruption.damage, Damage::Intent);
    assert_eq!(image(&other), before);
}

#[test]
fn damage_below_an_unfinished_cut_is_refused_and_repaired() {
    let disk = intended();
    disk.flip_bit(FIRST, 90 * 8);
    let Err(OpenError::Corrupt(corruption)) = open(&disk) else { panic!("opened") };
    assert_eq!((corruption.damage, corruption.lsn), (Damage::Batch, Lsn::new(1)));
    assert_eq!(corruption.stated_durable, Lsn::new(1), "the intent states it");
    repair(&disk).expect("healthy");
    let (log, report) = open(&disk).expect("repaired");
    assert_eq!((log.durable(), report.truncated), (Lsn::ZERO, None));
}

#[test]
fn what_is_appended_after_a_cut_goes_into_the_segment_that_became_the_last() {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options()).expect("new");
    for label in 0..6 {
        log.append(&batch(0, label, &[800])).expect("fits");
    }
    log.truncate_after(Lsn::new(3), Lsn::ZERO).expect("a boundary");
    assert_eq!(disk.list().expect("running").len(), 2);
    let checksum = log.checksum();
    for label in 0..6 {
        log.append(&batch(0, label + 3, &[800])).expect("fits");
    }
    log.truncate_after(Lsn::new(3), Lsn::ZERO).expect("a boundary");
    assert_eq!(log.checksum(), checksum);
    assert_eq!(log.close(), Ok(Lsn::new(3)));
    assert!(open(&disk).expect("closed").1.closed_cleanly);
}
