//! Going back to a point in the past, with a log and its snapshots as the backup.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, image, open, options, records};
use proptest::prelude::*;
use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, Record, RecordKind,
    restore::{RestoreError, Restored, Until, restore},
    snapshot::Snapshots,
    storage::{FaultStorage, MemoryStorage, Storage},
};

fn fresh() -> LogOptions {
    LogOptions::new(0xcafe).segment_bytes(2048).preallocate_bytes(1024)
}

fn snapshots(disk: &FaultStorage) -> Snapshots<FaultStorage> {
    Snapshots::open(disk.clone()).expect("healthy")
}

/// The state after a record, which here is all payloads up to it.
fn photograph(log: &Log<FaultStorage>, disk: &FaultStorage, states: &[Vec<u8>], lsn: u64) {
    let snapshots = snapshots(disk).chunk_bytes(100);
    let mut writer = snapshots.begin(log, Lsn::new(lsn)).expect("a boundary");
    states[..usize::try_from(lsn).expect("small")]
        .iter()
        .for_each(|state| writer.write(state).expect("healthy"));
    writer.finish().expect("healthy");
}

fn restored_to(
    log: &Log<FaultStorage>,
    disk: &FaultStorage,
    until: Until<'_>,
) -> Result<(Log<MemoryStorage>, Restored, MemoryStorage), RestoreError> {
    let into = MemoryStorage::new();
    restore(log, &snapshots(disk), into.clone(), fresh(), until).map(|(log, report)| (log, report, into))
}

/// The story: at 10:30 somebody deletes all goods. The log knows when, so the shop goes back to what it was before, and
/// what was restored is a log to go on with.
#[test]
fn the_shop_goes_back_to_before_everything_was_deleted() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for text in ["09:00 milk", "10:00 bread", "10:30 everything deleted", "11:00 wine"] {
        log.append(&Batch::of(Epoch::new(3), RecordKind(1), text.as_bytes()).expect("small")).expect("fits");
    }
    log.sync().expect("healthy");
    let before = image(&disk);
    let mut too_late = |record: &Record<'_>| record.payload >= &b"10:30"[..];
    let (mut restored, report, _) = restored_to(&log, &disk, Until::Record(&mut too_late)).expect("there");
    assert_eq!(
        (report.snapshot, report.end, report.original),
        (None, log.position(Lsn::new(2)).expect("a boundary"), Lsn::new(4))
    );
    assert_eq!(image(&disk), before, "the original is only read");

    assert_ne!(restored.id(), log.id());
    assert!(restored.append(&batch(2, 1, &[5])).is_err(), "older leaders are fenced here, too");
    restored.append(&batch(4, 1, &[5])).expect("it goes on");
    assert_eq!(restored.last(), Lsn::new(3));
}

/// A batch is whole or not there, also when a point lies inside it.
#[test]
fn a_point_inside_a_batch_is_the_end_of_the_one_before() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[5])).expect("fits");
    log.append(&batch(1, 2, &[5, 5, 5])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(1, 3, &[5])).expect("fits");
    let ends: Vec<u64> = (0..7)
        .map(|lsn| restored_to(&log, &disk, Until::Lsn(Lsn::new(lsn))).expect("there").0.last().get())
        .collect();
    assert_eq!(ends, [0, 1, 1, 1, 4, 4, 4], "and what is not durable is not restored");
    let mut second = |record: &Record<'_>| record.lsn == Lsn::new(3);
    assert_eq!(restored_to(&log, &disk, Until::Record(&mut second)).expect("there").0.last(), Lsn::new(1));
}

#[test]
fn what_cannot_be_restored_says_so_and_writes_nothing() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    let states: Vec<Vec<u8>> = (0..20).map(|label| common::payload(label, 0, 400)).collect();
    for label in 0..20 {
        log.append(&batch(1, label, &[400])).expect("fits");
    }
    log.sync().expect("healthy");
    photograph(&log, &disk, &states, 15);
    log.truncate_before(Lsn::new(16)).expect("healthy");
    let (oldest, asked) = (log.oldest(), Lsn::new(9));
    assert!(oldest > asked);
    let outcome = restored_to(&log, &disk, Until::Lsn(asked));
    let snapshot = Some(Lsn::new(15));
    assert!(matches!(
        outcome.map(drop),
        Err(RestoreError::TooOld { asked: a, oldest: o, snapshot: s }) if (a, o, s) == (asked, oldest, snapshot)
    ));

    let used = MemoryStorage::new();
    used.create("somebody's file").expect("memory");
    let outcome = restore(&log, &snapshots(&disk), used.clone(), fresh(), Until::Lsn(Lsn::new(20)));
    assert!(matches!(outcome.map(drop), Err(RestoreError::NotEmpty { name }) if name == "somebody's file"));
    assert_eq!(used.list().expect("memory").len(), 1);

    let into = MemoryStorage::new();
    let outcome = restore(&log, &snapshots(&disk), into.clone(), options(), Until::Lsn(Lsn::new(20)));
    assert!(matches!(outcome.map(drop), Err(RestoreError::SameId { .. })));
    assert!(into.list().expect("memory").is_empty());
}

/// A snapshot that lies in the directory and is of another history is passed over.
#[test]
fn a_snapshot_of_another_history_is_not_begun_with() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    let (mut other, _) = open(&FaultStorage::new()).expect("new");
    for label in 0..3 {
        log.append(&batch(1, label, &[40])).expect("fits");
        other.append(&batch(1, label + 7, &[40])).expect("fits");
    }
    log.sync().expect("healthy");
    other.sync().expect("healthy");
    snapshots(&disk).begin(&other, Lsn::new(2)).expect("a boundary").finish().expect("healthy");
    let (restored, report, _) = restored_to(&log, &disk, Until::Lsn(Lsn::new(3))).expect("there");
    assert_eq!((report.snapshot, restored.last_position()), (None, log.last_position()));
}

/// The sizes of a batch's records, how many epochs later it is, and whether a snapshot is taken behind it.
fn written() -> impl Strategy<Value = (Vec<usize>, u64, bool)> {
    (prop::collection::vec(1..200_usize, 1..4), 0..2_u64, prop::bool::weighted(0.3))
}

proptest! {
    /// Whatever was written, photographed and truncated: to every point there is, what is restored is the snapshot and
    /// the records that make the state of that point, and nothing else.
    #[test]
    fn every_point_there_is_can_be_gone_back_to(
        batches in prop::collection::vec(written(), 1..20),
        truncated in 0..40_u64,
    ) {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        let (mut epoch, mut states, mut ends) = (1, Vec::new(), vec![0]);
        for (label, (sizes, later, photographed)) in batches.into_iter().enumerate() {
            epoch += later;
            let label = label as u64;
            log.append(&batch(epoch, label, &sizes)).expect("fits");
            log.sync().expect("healthy");
            states.extend(sizes.iter().enumerate().map(|(index, size)| common::payload(label, index, *size)));
            ends.push(states.len() as u64);
            if photographed {
                photograph(&log, &disk, &states, states.len() as u64);
            }
        }
        let newest = snapshots(&disk).newest().expect("healthy");
        log.truncate_before(Lsn::new(truncated).min(newest.and_then(Lsn::next).unwrap_or(Lsn::ZERO))).expect("healthy");
        for point in 0..states.len() as u64 + 2 {
            let end = ends.iter().copied().rfind(|end| *end <= point).expect("there is 0");
            match restored_to(&log, &disk, Until::Lsn(Lsn::new(point))) {
                Ok((restored, report, into)) => {
                    prop_assert_eq!(restored.last(), Lsn::new(end));
                    prop_assert_eq!(report.end, restored.last_position());
                    let mut state = Vec::new();
                    if let Some(snapshot) = report.snapshot {
                        let copies = Snapshots::open(into).expect("memory");
                        let mut reader = copies.read(snapshot).expect("whole");
                        reader.usable_with(&restored).expect("of this history");
                        while let Some(chunk) = reader.next_chunk().expect("whole") {
                            state.extend_from_slice(chunk);
                        }
                    }
                    for record in records(&restored) {
                        state.extend_from_slice(&record.payload);
                    }
                    prop_assert_eq!(state, states[..end as usize].concat());
                    if let Ok(position) = log.position(Lsn::new(end)) {
                        prop_assert_eq!(restored.last_position(), position);
                    }
                }
                Err(error) => {
                    let is_too_old = matches!(error, RestoreError::TooOld { .. });
                    prop_assert!(is_too_old && log.oldest() > Lsn::FIRST, "{}", error);
                    let kept = snapshots(&disk).list().expect("healthy");
                    let oldest = Some(log.oldest());
                    let reaches = |snapshot: &Lsn| *snapshot <= Lsn::new(point) && snapshot.next() >= oldest;
                    prop_assert!(!kept.iter().any(reaches), "there was one to begin with");
                }
            }
        }
    }
}
