//! A snapshot in the place of a log: a power cut at every operation finds the log of before or the one behind the
//! snapshot, whole, and what was promised is kept.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{batch, choices, image, options};
use replication_log::{
    Epoch, Log, Lsn, OpenError, Position,
    install::{self, InstallError, Resumed},
    ship::slot::{SlotFile, SlotLimits},
    snapshot::{SnapshotIdentity, Snapshots},
    storage::{FaultStorage, Survivors},
};

const INTENT: &str = "install.intent";
const STATE: &[u8] = b"what the leader's records come to";
/// The epoch of the leader that sends the snapshot.
const PROMISED: Epoch = Epoch::new(9);

fn identity() -> SnapshotIdentity {
    let position = Position { lsn: Lsn::new(40), epoch: Epoch::new(8), checksum: 0x89ab_cdef };
    SnapshotIdentity { log_id: 0x0123_4567_89ab_cdef, position }
}

/// A follower's directory: a log over several segments that has promised an epoch, snapshots of its own, slots.
fn follower() -> (FaultStorage, Position) {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options()).unwrap();
    for label in 0..8 {
        log.append(&batch(1 + label / 4, label, &[700])).unwrap();
    }
    log.promise_epoch(PROMISED).unwrap();
    let snapshots = Snapshots::open(disk.clone()).unwrap();
    for lsn in [2, 5] {
        snapshots.begin(&log, Lsn::new(lsn)).unwrap().finish().unwrap();
    }
    let file = SlotFile::open(disk.clone()).unwrap();
    let mut slots = file.load(&log, SlotLimits::none(), core::time::Duration::ZERO).unwrap();
    slots.create("c", "", Lsn::new(3), (&log).into(), core::time::Duration::ZERO).unwrap();
    file.save(&mut slots).unwrap();
    (disk, log.last_position())
}

/// All of it; `None` when the machine stopped.
fn install(disk: &FaultStorage, snapshot: Option<SnapshotIdentity>, declared: &mut bool) -> Option<()> {
    if let Some(identity) = snapshot {
        let mut writer = Snapshots::open(disk.clone()).ok()?.receive_at_leisure(identity).ok()?;
        writer.write(STATE).ok()?;
        install::declare(disk, snapshot, PROMISED).ok()?;
        writer.finish().ok()?;
    } else {
        install::declare(disk, None, PROMISED).ok()?;
    }
    *declared = true;
    install::resume(disk, options()).ok()?;
    Some(())
}

/// What whoever opens the directory finds: where the log ends, and its epoch.
fn open(disk: &FaultStorage) -> Log<FaultStorage> {
    let snapshots = Snapshots::open(disk.clone()).unwrap();
    install::resume(disk, options()).unwrap();
    assert_eq!(disk.bytes(INTENT), None);
    let known = snapshots.newest().unwrap().unwrap_or(Lsn::ZERO);
    let (log, _) = Log::open(disk.clone(), options().known_durable(known)).unwrap();
    log
}

fn check(disk: &FaultStorage, before: Position, snapshot: Option<SnapshotIdentity>, must_be_new: bool) {
    let start = snapshot.map_or(Position::ORIGIN, |identity| identity.position);
    let mut log = open(disk);
    assert_eq!(log.epoch(), PROMISED);
    let snapshots = Snapshots::open(disk.clone()).unwrap();
    if log.last() == start.lsn {
        assert_eq!((log.last_position().lsn, log.checksum()), (start.lsn, start.checksum));
        assert_eq!(log.oldest(), start.lsn.next().unwrap());
        let kept: Vec<_> = snapshot.map(|identity| identity.position.lsn).into_iter().collect();
        assert_eq!(snapshots.list().unwrap(), kept);
        for lsn in kept {
            let mut reader = snapshots.read(lsn).unwrap();
            reader.usable_with(&log).unwrap();
            assert_eq!(reader.next_chunk().unwrap(), Some(STATE));
        }
        assert!(disk.bytes("replication.slots").is_none());
    } else {
        assert!(!must_be_new);
        assert_eq!((log.last_position(), log.oldest()), (before, Lsn::FIRST));
        assert_eq!(snapshots.list().unwrap(), [Lsn::new(2), Lsn::new(5)]);
    }
    // It goes on like any other, and nothing of the one before comes up again.
    log.append(&batch(PROMISED.get(), 99, &[700])).unwrap();
    log.sync().unwrap();
    let end = log.last_position();
    drop(log);
    disk.crash(Survivors::NOTHING);
    assert_eq!(open(disk).last_position(), end);
}

#[test]
fn a_power_cut_at_every_operation_finds_the_old_log_or_the_new_one() {
    for snapshot in [Some(identity()), None] {
        let (mut operations, mut seen) = (0, [false; 2]);
        loop {
            let run = || {
                let ((disk, before), mut declared) = (follower(), false);
                disk.stop_after(operations);
                let finished = install(&disk, snapshot, &mut declared).is_some();
                (disk, before, declared, finished)
            };
            let (disk, _, declared, finished) = run();
            seen[usize::from(declared)] = true;
            for survivors in choices(&disk) {
                let (disk, before, ..) = run();
                disk.crash(survivors);
                check(&disk, before, snapshot, declared);
            }
            if finished {
                break;
            }
            operations += 1;
        }
        assert!(operations > 20 && seen == [true; 2], "{operations}");
    }
}

#[test]
fn a_power_cut_at_every_operation_of_what_a_power_cut_left_is_no_worse() {
    for first in (0..).take(60) {
        for second in 0..40 {
            let ((disk, before), mut declared) = (follower(), false);
            disk.stop_after(first);
            let finished = install(&disk, Some(identity()), &mut declared).is_some();
            disk.crash(Survivors::EVERYTHING);
            disk.stop_after(second);
            let resumed = install::resume(&disk, options()).is_ok();
            disk.crash(Survivors::NOTHING);
            check(&disk, before, Some(identity()), declared);
            if resumed || finished {
                break;
            }
        }
    }
}

#[test]
fn a_snapshot_of_the_same_record_that_was_there_before_undoes_the_intent() {
    let (disk, before) = follower();
    let other =
        SnapshotIdentity { position: Position { lsn: Lsn::new(5), ..identity().position }, ..identity() };
    install::declare(&disk, Some(other), PROMISED).unwrap();
    assert_eq!(install::resume(&disk, options()), Ok(Some(Resumed::Undone(other))));
    assert_eq!(install::resume(&disk, options()), Ok(None));
    assert_eq!(open(&disk).last_position(), before);
}

#[test]
fn a_log_that_is_to_be_replaced_is_not_opened() {
    let (disk, before) = follower();
    install::declare(&disk, Some(identity()), PROMISED).unwrap();
    let image_before = image(&disk);
    assert_eq!(Log::open(disk.clone(), options()).unwrap_err(), OpenError::InstallUnderWay);
    assert_eq!(image(&disk), image_before);
    assert_eq!(open(&disk).last_position(), before);
}

#[test]
fn an_intent_that_is_not_what_was_written_is_refused_and_nothing_touched() {
    let (disk, _) = follower();
    install::declare(&disk, Some(identity()), PROMISED).unwrap();
    let bytes = disk.bytes(INTENT).unwrap();
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 4;
        disk.set_bytes(INTENT, wrong);
        let before = image(&disk);
        let refused = install::resume(&disk, options()).unwrap_err();
        let is_version = matches!(refused, InstallError::UnsupportedVersion { found: 5, supported: 1 });
        assert!(
            refused == InstallError::Damaged || at == 8 && is_version || (9..12).contains(&at),
            "{refused:?}"
        );
        assert_eq!(image(&disk), before);
    }
    for length in 0..bytes.len() {
        disk.set_bytes(INTENT, bytes[..length].to_vec());
        assert_eq!(install::resume(&disk, options()), Err(InstallError::Damaged), "{length} bytes");
    }
}

#[test]
fn the_bytes_of_an_intent_are_those_of_version_1() {
    let disk = FaultStorage::new();
    install::declare(&disk, Some(identity()), PROMISED).unwrap();
    let bytes = disk.bytes(INTENT).unwrap();
    assert_eq!(&bytes[..16], b"REPINS\r\n\x01\0\0\0\x40\0\0\0");
    let numbers: Vec<_> =
        bytes[16..48].chunks(8).map(|n| u64::from_le_bytes(n.try_into().unwrap())).collect();
    assert_eq!(numbers, [9, 0x0123_4567_89ab_cdef, 40, 8]);
    assert_eq!(bytes[48..60], [0xef, 0xcd, 0xab, 0x89, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[60..], common::crc32c(&bytes[..60]).to_le_bytes());
}
