//! Bytes that changed behind the log's back: flipped, cut off, replaced, missing.
//!
//! The hole rule: damage below what anything intact states to be durable is refused and nothing is
//! touched; the rest is an unsynced tail, which is cut and reported. A wrong record is never
//! returned.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, image, open, options, records};
use replication_log::{
    Damage, Log, Lsn, OpenError, OwnedRecord, SegmentId, repair,
    storage::{FaultStorage, Keep, Storage, Survivors},
};

const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
const THIRD: &str = "0000000000000003.log";

/// A closed log of one segment with three batches: records 1, 2 to 3, and 4.
fn closed() -> (FaultStorage, Vec<OwnedRecord>) {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[30])).expect("fits");
    log.append(&batch(1, 2, &[20, 5])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(2, 3, &[0])).expect("fits");
    let all = records(&log);
    log.close().expect("healthy");
    (disk, all)
}

/// A log of three segments whose last batch is not durable.
fn three_segments() -> (FaultStorage, Vec<OwnedRecord>) {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..5 {
        log.append(&batch(1, label, &[400, 400])).expect("fits");
    }
    assert_eq!(disk.list().expect("running"), [FIRST, SECOND, THIRD]);
    let all = records(&log);
    drop(log);
    disk.crash(replication_log::storage::Survivors::EVERYTHING);
    (disk, all)
}

fn copy(disk: &FaultStorage) -> FaultStorage {
    let copy = FaultStorage::new();
    for (name, bytes) in image(disk) {
        copy.set_bytes(&name, bytes);
    }
    copy
}

#[test]
fn no_single_bit_of_a_closed_log_can_flip_unnoticed() {
    let (disk, all) = closed();
    let used = 80 + (40 + 2 + 30) + (40 + 2 + 20 + 2 + 5) + (40 + 2) + 40;
    let (mut refused, mut cut) = (0, 0);
    for bit in 0..used * 8 {
        let flipped = copy(&disk);
        flipped.flip_bit(FIRST, bit);
        let before = image(&flipped);
        match open(&flipped) {
            Err(OpenError::Corrupt(_) | OpenError::UnsupportedVersion { .. }) => {
                assert_eq!(image(&flipped), before, "a refusal touched the files, bit {bit}");
                refused += 1;
            }
            Err(error) => panic!("bit {bit}: {error}"),
            // Only the closing mark itself can go without anything behind it to miss it.
            Ok((log, report)) => {
                assert!(report.cut.is_some() && !report.closed_cleanly, "bit {bit} flipped unnoticed");
                assert_eq!(records(&log), all, "bit {bit} cost a record");
                cut += 1;
            }
        }
    }
    assert_eq!(cut, 40 * 8, "the closing mark has forty bytes");
    assert_eq!(refused, used * 8 - cut);
}

#[test]
fn without_a_closing_mark_a_flip_is_refused_below_the_durable_mark_and_cut_above_it() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[30])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(1, 2, &[30])).expect("fits");
    log.append(&batch(1, 3, &[30])).expect("fits");
    let all = records(&log);
    drop(log);
    let batch_bytes = 40 + 2 + 30;
    for bit in 80 * 8..(80 + 3 * batch_bytes) * 8 {
        let flipped = copy(&disk);
        flipped.flip_bit(FIRST, bit);
        match (bit / 8 - 80) / batch_bytes {
            0 => {
                let Err(OpenError::Corrupt(corruption)) = open(&flipped) else { panic!("bit {bit} opened") };
                assert_eq!((corruption.segment, corruption.offset), (SegmentId::FIRST, 80));
                assert_eq!((corruption.lsn, corruption.stated_durable), (Lsn::new(1), Lsn::new(1)));
                assert_eq!(corruption.damage, Damage::Batch);
                // Its own header counts when the flip is in its record.
                assert!((2..=3).contains(&corruption.batches_behind));
            }
            intact => {
                let (log, report) = open(&flipped).expect("nothing states that this was durable");
                let cut = report.cut.expect("something was cut");
                assert_eq!(cut.offset as usize, 80 + intact * batch_bytes);
                assert_eq!(records(&log), all[..intact]);
            }
        }
    }
}

#[test]
fn a_flip_anywhere_in_a_sealed_segment_is_refused() {
    let (disk, _) = three_segments();
    for name in [FIRST, SECOND] {
        let used = 80 + 2 * (40 + 2 * (3 + 400));
        for bit in (0..used * 8).step_by(7) {
            let flipped = copy(&disk);
            flipped.flip_bit(name, bit);
            assert!(open(&flipped).is_err(), "bit {bit} of {name}");
        }
    }
}

#[test]
fn the_last_segment_cut_off_at_any_byte_opens_with_every_batch_before_the_cut() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    let mut ends = vec![80];
    for label in 0..3 {
        log.append(&batch(1, label, &[20, 20])).expect("fits");
        ends.push(ends[label as usize] + 40 + 2 * 22);
    }
    let all = records(&log);
    drop(log);
    let bytes = disk.bytes(FIRST).expect("there");
    for length in 80..=bytes.len() {
        let cut = FaultStorage::new();
        cut.set_bytes(FIRST, bytes[..length].to_vec());
        let whole = ends[1..].iter().filter(|&&end| end <= length).count();
        let (log, report) = open(&cut).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
        assert_eq!(records(&log), all[..2 * whole], "cut at {length}");
        assert_eq!(report.cut.is_some(), !ends.contains(&length) && length < ends[3], "cut at {length}");
        drop(log);
        assert_eq!(open(&cut).expect("mended").1.cut, None, "the second time there is nothing to mend");
    }
}

#[test]
fn a_segment_header_is_durable_before_its_name_so_losing_it_is_damage() {
    let (disk, _) = closed();
    let bytes = disk.bytes(FIRST).expect("there");
    for length in 0..80 {
        let cut = FaultStorage::new();
        cut.set_bytes(FIRST, bytes[..length].to_vec());
        let Err(OpenError::Corrupt(corruption)) = open(&cut) else { panic!("cut at {length} opened") };
        assert_eq!(corruption.damage, Damage::Header);
    }
}

#[test]
fn whatever_lies_behind_the_end_the_same_prefix_is_recovered() {
    let (disk, all) = three_segments();
    let bytes = disk.bytes(THIRD).expect("there");
    let end = 80 + 40 + 2 * (3 + 400);
    let stale = disk.bytes(FIRST).expect("there");
    let own_head = bytes[80..end].to_vec();
    let tails: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("zeros", vec![0; 1000]),
        ("ones", vec![0xff; 1000]),
        ("noise", common::payload(99, 0, 1000)),
        ("batches of another segment", stale[80..].to_vec()),
        ("batches of this segment, moved", own_head),
    ];
    for (what, tail) in tails {
        let replaced = copy(&disk);
        let mut bytes = bytes[..end].to_vec();
        bytes.extend_from_slice(&tail);
        replaced.set_bytes(THIRD, bytes);
        let (log, report) = open(&replaced).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(records(&log), all, "{what}");
        let cut = report.cut.map(|cut| cut.batches);
        assert_eq!(cut, tail.iter().any(|&byte| byte != 0).then_some(0), "{what}");
    }
}

#[test]
fn a_file_full_of_noise_is_refused_and_not_touched() {
    for seed in 0..200 {
        let disk = FaultStorage::new();
        disk.set_bytes(FIRST, common::payload(seed, 0, 37 * seed as usize));
        let before = image(&disk);
        assert!(open(&disk).is_err(), "seed {seed}");
        assert_eq!(image(&disk), before);
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_corruption() {
    let (disk, _) = three_segments();
    disk.remove(SECOND).expect("there");
    let Err(OpenError::Corrupt(corruption)) = open(&disk) else { panic!("opened over a gap") };
    assert_eq!((corruption.segment, corruption.damage), (SegmentId::new(2), Damage::Missing));
}

#[test]
fn a_sealed_segment_cut_off_at_any_batch_is_corruption() {
    let (disk, _) = three_segments();
    let bytes = disk.bytes(SECOND).expect("there");
    for length in (80..80 + 2 * (40 + 2 * 403)).step_by(13) {
        disk.set_bytes(SECOND, bytes[..length].to_vec());
        let Err(OpenError::Corrupt(corruption)) = open(&disk) else { panic!("cut at {length} opened") };
        assert_eq!((corruption.segment, corruption.damage), (SegmentId::new(2), Damage::Batch));
    }
}

#[test]
fn a_missing_tail_is_noticed_by_whoever_knows_better() {
    let (disk, _) = three_segments();
    disk.remove(THIRD).expect("there");
    let checkpoint = options().known_durable(Lsn::new(9));
    let Err(OpenError::Corrupt(corruption)) = Log::open(disk.clone(), checkpoint.clone()) else {
        panic!("opened")
    };
    assert_eq!((corruption.lsn, corruption.stated_durable), (Lsn::new(9), Lsn::new(9)));
    let Err(OpenError::Corrupt(corruption)) = Log::open(FaultStorage::new(), checkpoint) else {
        panic!("opened")
    };
    assert_eq!(corruption.damage, Damage::Missing);
    assert_eq!(open(&disk).expect("nothing in the log states it").0.durable(), Lsn::new(8));
}

#[test]
fn a_segment_of_another_log_or_place_is_not_taken_for_ones_own() {
    let (disk, _) = three_segments();
    let misplaced = copy(&disk);
    misplaced.set_bytes(SECOND, disk.bytes(FIRST).expect("there"));
    assert!(matches!(open(&misplaced), Err(OpenError::Corrupt(c)) if c.damage == Damage::Misplaced));

    let other = FaultStorage::new();
    let other_options = replication_log::LogOptions::new(1).segment_bytes(2048);
    let (mut log, _) = Log::open(other.clone(), other_options).expect("new");
    for label in 0..5 {
        log.append(&batch(1, label, &[400, 400])).expect("fits");
    }
    let foreign = copy(&disk);
    foreign.set_bytes(SECOND, other.bytes(SECOND).expect("there"));
    assert!(matches!(open(&foreign), Err(OpenError::Corrupt(c)) if c.damage == Damage::Misplaced));
}

#[test]
fn another_format_version_is_refused_by_number() {
    let (disk, _) = closed();
    let mut bytes = disk.bytes(FIRST).expect("there");
    bytes[8] = 2;
    disk.set_bytes(FIRST, bytes);
    let Err(error) = open(&disk) else { panic!("opened") };
    let segment = SegmentId::FIRST;
    assert_eq!(error, OpenError::UnsupportedVersion { segment, found: 2, supported: 1 });
}

#[test]
fn damage_that_appears_under_an_open_log_is_an_error_of_the_reader() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[50])).expect("fits");
    log.append(&batch(0, 2, &[50])).expect("fits");
    log.sync().expect("healthy");
    disk.flip_bit(FIRST, (80 + 92 + 60) * 8);
    let mut reader = log.read_from(Lsn::FIRST).expect("there");
    assert!(reader.next_record().expect("intact").is_some());
    for _ in 0..2 {
        assert!(reader.next_record().is_err(), "damage is not the end of the log");
    }
}

#[test]
fn a_promised_epoch_survives_the_rot_of_its_own_mark() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[50])).expect("fits");
    log.promise_epoch(replication_log::Epoch::new(7)).expect("healthy");
    drop(log);
    for bit in (80 + 92) * 8..(80 + 92 + 80) * 8 {
        let flipped = copy(&disk);
        flipped.flip_bit(FIRST, bit);
        let (log, _) = open(&flipped).unwrap_or_else(|error| panic!("bit {bit}: {error}"));
        assert_eq!((log.epoch().get(), log.durable()), (7, Lsn::new(1)), "bit {bit}");
        drop(log);
        assert_eq!(open(&flipped).expect("mended").0.epoch().get(), 7, "bit {bit}, the second time");
    }
}

#[test]
fn repair_is_explicit_keeps_a_copy_and_can_be_repeated() {
    let (disk, all) = three_segments();
    disk.flip_bit(SECOND, (80 + 846 + 100) * 8);
    let damaged = disk.bytes(SECOND).expect("there");
    assert!(open(&disk).is_err());

    let random = (0..6).map(|seed| Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) });
    let choices: Vec<_> = [Survivors::NOTHING, Survivors::EVERYTHING].into_iter().chain(random).collect();
    let mut stop = 0;
    let report = loop {
        let stopped = || {
            let again = copy(&disk);
            again.stop_after(stop);
            let outcome = repair(&again);
            (again, outcome)
        };
        if let (_, Ok(report)) = stopped() {
            assert!(stop > 5, "the machine never stopped");
            break report;
        }
        // Interrupted after every step, whatever of it is on the disk, it can simply be run again.
        for &survivors in &choices {
            let (again, _) = stopped();
            again.crash(survivors);
            repair(&again).expect("healthy");
            let context = format!("stopped after {stop} with {survivors:?}");
            assert_eq!(records(&open(&again).expect("repaired").0), all[..6], "{context}");
        }
        stop += 1;
    };
    assert_eq!(report.corruption.map(|corruption| corruption.lsn), Some(Lsn::new(7)));
    assert_eq!((report.last, report.copies.len()), (Lsn::new(6), 2));

    let report = repair(&disk).expect("healthy");
    assert_eq!(disk.bytes(&report.copies[0]), Some(damaged));
    let (mut log, _) = open(&disk).expect("repaired");
    assert_eq!(records(&log), all[..6]);
    assert_eq!(*log.append(&batch(1, 9, &[1])).expect("usable").start(), Lsn::new(7));
    assert_eq!(repair(&disk).expect("healthy").corruption, None);
}
