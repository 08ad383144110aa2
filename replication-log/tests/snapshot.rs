//! Snapshots: what is written is read back whole or not at all, whatever happens to the disk, and a
//! snapshot with the log behind it is as good as the log from its beginning.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, image, open, options, payload, records};
use proptest::prelude::*;
use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, OpenError, OwnedRecord, Position, PositionError,
    limits::MAX_SNAPSHOT_CHUNK_BYTES,
    snapshot::{BeginError, SnapshotDamage, SnapshotError, SnapshotIdentity, Snapshots, UnusableSnapshot},
    storage::{FaultStorage, Keep, MemoryStorage, Storage, StorageError, StorageErrorKind, Survivors},
};

const AT_2: &str = "0000000000000002.snapshot";

fn identity(lsn: u64) -> SnapshotIdentity {
    let position = Position { lsn: Lsn::new(lsn), epoch: Epoch::new(3), checksum: 0x89ab_cdef };
    SnapshotIdentity { log_id: 0x0123_4567_89ab_cdef, position }
}

fn snapshots<S: Storage>(storage: S) -> Snapshots<S> {
    Snapshots::open(storage).expect("running").chunk_bytes(16)
}

fn write<S: Storage>(snapshots: &Snapshots<S>, lsn: u64, state: &[u8]) -> Result<(), StorageError> {
    let mut writer = snapshots.receive(identity(lsn))?;
    for piece in state.chunks(7) {
        writer.write(piece)?;
    }
    writer.finish()
}

fn read<S: Storage>(snapshots: &Snapshots<S>, lsn: Lsn) -> Result<Vec<u8>, SnapshotError> {
    let mut reader = snapshots.read(lsn)?;
    let mut state = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        state.extend_from_slice(chunk);
    }
    assert_eq!(state.len() as u64, reader.state_bytes());
    Ok(state)
}

/// The state that the application of these tests makes of records: a fold that depends on all of
/// them and on their order.
fn apply(state: &mut Vec<u8>, records: &[OwnedRecord]) {
    for record in records {
        state.push(record.kind.0);
        state.extend_from_slice(&record.payload);
        state.rotate_left(1);
    }
}

/// A log of five durable batches, and the batches.
fn five_batches() -> (Log<FaultStorage>, Vec<Batch>) {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    let batches: Vec<_> = (0..5).map(|label| batch(1 + label / 2, label, &[600, 20, 5])).collect();
    for batch in &batches {
        log.append(batch).expect("fits");
    }
    log.sync().expect("healthy");
    (log, batches)
}

#[test]
fn snapshot_and_tail_equal_full_replay() {
    let (source, batches) = five_batches();
    let mut replayed = Vec::new();
    apply(&mut replayed, &records(&source));
    for kept in 0..=batches.len() {
        // The source writes down what it is after some of the batches.
        let lsn = Lsn::new(3 * kept as u64);
        let (mut state, disk) = (Vec::new(), FaultStorage::new());
        apply(&mut state, &records(&source)[..3 * kept]);
        let files = snapshots(disk.clone());
        let mut writer = files.begin(&source, lsn).expect("durable");
        writer.write(&state).expect("healthy");
        writer.finish().expect("healthy");

        // The new node restores that, begins its log behind it, and follows.
        let mut state = read(&files, lsn).expect("intact");
        let reader = files.read(lsn).expect("intact");
        reader.usable_with(&source).expect("the source holds everything");
        let options = options().starts_after(reader.identity().position);
        let (mut log, report) = Log::open(disk.clone(), options.clone()).expect("new");
        assert_eq!((report.last, log.durable(), log.oldest()), (lsn, lsn, lsn.next().expect("small")));
        for batch in &batches[kept..] {
            log.append(batch).expect("the epochs continue");
        }
        log.sync().expect("healthy");
        apply(&mut state, &records(&log));
        assert_eq!(state, replayed, "bootstrapped at {lsn}");
        assert_eq!((log.checksum(), log.durable()), (source.checksum(), source.durable()));
        assert_eq!(log.position(lsn), source.position(lsn));

        // And it is a log like any other when it is opened again.
        drop(log);
        disk.crash(Survivors::NOTHING);
        let (log, report) = Log::open(disk, options).expect("a crash is no corruption");
        assert_eq!((report.last, report.cut), (source.durable(), None));
        assert_eq!(log.checksum(), source.checksum());
    }
}

#[test]
fn a_snapshot_torn_at_any_byte_is_refused() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    let state = payload(1, 0, 50);
    write(&files, 2, &state).expect("healthy");
    let bytes = disk.bytes(AT_2).expect("there");
    assert_eq!(bytes.len(), 56 + 50 + 4 * 4 + 24);
    for length in 0..bytes.len() {
        disk.set_bytes(AT_2, bytes[..length].to_vec());
        assert!(read(&files, Lsn::new(2)).is_err(), "{length} bytes");
        // A file system that keeps the length and loses the bytes.
        let mut zeros = bytes[..length].to_vec();
        zeros.resize(bytes.len(), 0);
        disk.set_bytes(AT_2, zeros);
        assert!(read(&files, Lsn::new(2)).is_err(), "{length} bytes, then zeros");
    }
    disk.set_bytes(AT_2, [&bytes[..], &[0]].concat());
    assert!(read(&files, Lsn::new(2)).is_err(), "a byte too many");
    disk.set_bytes(AT_2, bytes);
    assert_eq!(read(&files, Lsn::new(2)), Ok(state));
}

#[test]
fn a_snapshot_with_any_bit_flipped_is_refused_and_no_wrong_chunk_is_lent() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    let state = payload(1, 0, 50);
    write(&files, 2, &state).expect("healthy");
    let bits = disk.bytes(AT_2).expect("there").len() * 8;
    for bit in 0..bits {
        disk.flip_bit(AT_2, bit);
        let outcome = files.read(Lsn::new(2)).and_then(|mut reader| {
            let mut lent = 0;
            while let Some(chunk) = reader.next_chunk()? {
                assert_eq!(chunk, &state[lent..lent + chunk.len()], "bit {bit}");
                lent += chunk.len();
            }
            Ok(())
        });
        assert!(outcome.is_err(), "bit {bit} flipped unnoticed");
        disk.flip_bit(AT_2, bit);
    }
    assert_eq!(read(&files, Lsn::new(2)), Ok(state));
}

#[test]
fn a_snapshot_older_than_the_retention_floor_is_refused_for_a_bootstrap() {
    let (mut log, _) = five_batches();
    let files = snapshots(MemoryStorage::new());
    for lsn in [3, 6] {
        files.begin(&log, Lsn::new(lsn)).expect("durable").finish().expect("healthy");
    }
    assert_eq!(log.truncate_before(Lsn::new(7)), Ok(Lsn::new(7)));
    let usable = |lsn| files.read(Lsn::new(lsn)).expect("intact").usable_with(&log);
    assert_eq!(usable(6), Ok(()), "the log continues right behind it");
    let too_old = UnusableSnapshot::TooOld { snapshot: Lsn::new(3), oldest: Lsn::new(7) };
    assert_eq!(usable(3), Err(too_old.clone()));
    let message = too_old.to_string();
    assert!(message.contains("record 3") && message.contains("record is 7"), "{message}");
}

#[test]
fn a_snapshot_that_the_log_does_not_reach_or_does_not_agree_with_is_refused() {
    let (log, _) = five_batches();
    let files = snapshots(MemoryStorage::new());
    let usable = |lsn, checksum| {
        let mut identity = identity(lsn);
        identity.position.checksum = checksum;
        files.receive(identity).expect("running").finish().expect("healthy");
        files.read(Lsn::new(lsn)).expect("intact").usable_with(&log)
    };
    let (snapshot, durable) = (Lsn::new(16), Lsn::new(15));
    assert_eq!(usable(16, 1), Err(UnusableSnapshot::TooNew { snapshot, durable }));
    let there = log.position(Lsn::new(6)).expect("durable").checksum;
    assert_eq!(usable(6, there), Ok(()));
    assert_eq!(usable(6, there ^ 1), Err(UnusableSnapshot::Diverged { snapshot: Lsn::new(6) }));
    assert_eq!(usable(7, there), Err(UnusableSnapshot::Diverged { snapshot: Lsn::new(7) }));
}

#[test]
fn whether_a_damaged_log_continues_a_snapshot_is_unknown() {
    let (log, _) = five_batches();
    let files = snapshots(MemoryStorage::new());
    files.begin(&log, Lsn::new(6)).expect("durable").finish().expect("healthy");
    log.storage().flip_bit("0000000000000001.log", 8 * 200);
    let reader = files.read(Lsn::new(6)).expect("intact");
    assert!(matches!(reader.usable_with(&log), Err(UnusableSnapshot::Unreadable(_))));
    assert!(matches!(log.position(Lsn::new(3)), Err(PositionError::Corrupt(_))));
}

#[test]
fn only_what_is_durable_and_whole_can_be_put_into_a_snapshot() {
    let (mut log, _) = five_batches();
    let last = *log.append(&batch(9, 9, &[1, 2])).expect("fits").end();
    let files = snapshots(MemoryStorage::new());
    let begin = |log: &Log<FaultStorage>, lsn| files.begin(log, lsn).map(drop);
    let not_durable = PositionError::NotDurable { asked: last, durable: Lsn::new(15) };
    assert_eq!(begin(&log, last), Err(BeginError::Position(not_durable)));
    log.sync().expect("healthy");
    assert_eq!(begin(&log, last), Ok(()));
    let (asked, end) = (Lsn::new(4), Lsn::new(6));
    let inside = PositionError::InsideBatch { asked, last: end };
    assert_eq!(begin(&log, asked), Err(BeginError::Position(inside)));
    log.truncate_before(Lsn::new(7)).expect("healthy");
    let truncated = PositionError::Truncated { asked: Lsn::new(3), oldest: Lsn::new(7) };
    assert_eq!(begin(&log, Lsn::new(3)), Err(BeginError::Position(truncated)));
    assert_eq!(begin(&log, end), Ok(()), "where the log begins now");
}

#[test]
fn power_cut_at_every_step_of_writing_leaves_the_old_newest_or_the_new_one_whole() {
    let (old, new) = (payload(1, 0, 40), payload(2, 0, 1200));
    let mut outcomes = [0, 0];
    for stop in 0.. {
        let run = || {
            let disk = FaultStorage::new();
            write(&snapshots(disk.clone()), 1, &old).expect("healthy");
            let files = Snapshots::open(disk.clone()).expect("running").chunk_bytes(300);
            disk.stop_after(stop);
            let finished = write(&files, 2, &new).is_ok();
            (disk, finished)
        };
        let (disk, finished) = run();
        let sectors = (0..disk.unsynced_sectors()).flat_map(|at| [Keep::Only(at), Keep::AllBut(at)]);
        let sectors = sectors.chain([Keep::None, Keep::All, Keep::Random(stop)]).collect::<Vec<_>>();
        for sectors in sectors {
            for entries in [Keep::None, Keep::All, Keep::Only(0), Keep::Only(1)] {
                let (disk, _) = run();
                disk.crash(Survivors { sectors, entries });
                let files = snapshots(disk.clone());
                let newest = files.newest().expect("running").expect("the old one was durable");
                let context = format!("stopped after {stop}, {sectors:?}, {entries:?}");
                let expected = if newest == Lsn::new(2) { &new } else { &old };
                assert!(read(&files, newest).as_ref() == Ok(expected), "{context}");
                assert!(!finished || newest == Lsn::new(2), "{context}: what was reported finished is gone");
                assert!(image(&disk).iter().all(|(name, _)| name.ends_with(".snapshot")), "{context}");
                outcomes[usize::from(newest == Lsn::new(2))] += 1;
            }
        }
        if finished {
            break;
        }
    }
    assert!(outcomes.iter().all(|&count| count > 3), "{outcomes:?}: one of the two never happened");
}

#[test]
fn what_was_never_finished_is_removed_when_the_directory_is_opened() {
    let disk = FaultStorage::new();
    disk.set_bytes("0000000000000002.snapshot.new", vec![1]);
    disk.set_bytes("000000000000000a.snapshot.old", vec![2]);
    let files = snapshots(disk.clone());
    let left: Vec<_> = image(&disk).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["000000000000000a.snapshot.old"], "and nothing else is");
    assert_eq!((files.newest(), disk.unsynced_entries()), (Ok(None), 0));
}

#[test]
fn a_writer_that_is_dropped_or_fails_leaves_nothing_behind() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    let mut writer = files.receive(identity(2)).expect("running");
    assert_eq!(writer.identity(), identity(2));
    writer.write(&[1; 100]).expect("healthy");
    let second = files.receive(identity(2)).map(drop);
    assert!(matches!(second, Err(error) if error.kind == StorageErrorKind::AlreadyExists));
    drop(writer);
    assert_eq!(image(&disk), []);

    let mut writer = files.receive(identity(2)).expect("running");
    disk.limit_space(Some(40));
    let error = writer.write(&[1; 100]).expect_err("full");
    disk.limit_space(None);
    assert_eq!(writer.write(&[1]), Err(error.clone()), "part of the state is missing");
    assert_eq!(writer.finish(), Err(error));
    assert_eq!(image(&disk), []);
}

#[test]
fn a_failed_sync_finishes_nothing() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    write(&files, 1, b"old").expect("healthy");
    disk.fail_syncs(1);
    assert!(write(&files, 2, b"new").is_err());
    assert_eq!(files.list(), Ok(vec![Lsn::new(1)]));
    // The next one is a new file, so nothing that the failed sync forgot is part of it.
    write(&files, 2, b"new").expect("healthy");
    disk.crash(Survivors::NOTHING);
    assert_eq!(read(&files, Lsn::new(2)), Ok(b"new".to_vec()));
}

#[test]
fn snapshots_are_listed_in_order_replaced_and_removed() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    for lsn in [300, 2, 10] {
        write(&files, lsn, &payload(lsn, 0, 33)).expect("healthy");
    }
    let (log, _) = open(&disk).expect("segments and snapshots share a directory");
    log.close().expect("healthy");
    assert_eq!(files.list(), Ok([2, 10, 300].map(Lsn::new).to_vec()));
    assert_eq!(files.newest(), Ok(Some(Lsn::new(300))));
    write(&files, 10, b"another").expect("healthy");
    assert_eq!(read(&files, Lsn::new(10)), Ok(b"another".to_vec()));
    assert_eq!(files.remove_before(Lsn::new(300)), Ok([2, 10].map(Lsn::new).to_vec()));
    assert_eq!(files.remove_before(Lsn::new(300)), Ok(vec![]));
    disk.crash(Survivors::NOTHING);
    assert_eq!(files.list(), Ok(vec![Lsn::new(300)]));
    let missing = files.read(Lsn::new(2)).map(drop);
    assert!(
        matches!(missing, Err(SnapshotError::Storage(error)) if error.kind == StorageErrorKind::NotFound)
    );
}

#[test]
fn chunks_of_two_snapshots_never_make_a_third() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    let bytes = |lsn, label| {
        write(&files, lsn, &payload(label, 0, 64)).expect("healthy");
        disk.bytes(&format!("{lsn:016x}.snapshot")).expect("there")
    };
    let (same, other) = (bytes(2, 1), bytes(3, 1));
    // Two attempts at the same record: only the content differs.
    let attempt = bytes(2, 2);
    for stranger in [&other, &attempt] {
        for chunk in 0..4 {
            let at = 56 + chunk * 20..56 + (chunk + 1) * 20;
            let mut mixed = same.clone();
            mixed[at.clone()].copy_from_slice(&stranger[at]);
            disk.set_bytes(AT_2, mixed);
            assert!(read(&files, Lsn::new(2)).is_err(), "chunk {chunk}");
        }
    }
    let mut swapped = same.clone();
    swapped[56..96].rotate_left(20);
    disk.set_bytes(AT_2, swapped);
    assert!(read(&files, Lsn::new(2)).is_err(), "two chunks changed places");
    let footer = attempt.len() - 24;
    disk.set_bytes(AT_2, [&same[..footer], &attempt[footer..]].concat());
    let damaged = |damage, offset| Err(SnapshotError::Damaged { lsn: Lsn::new(2), damage, offset });
    assert_eq!(read(&files, Lsn::new(2)), damaged(SnapshotDamage::Whole, footer as u64));
    disk.set_bytes(AT_2, other);
    assert_eq!(read(&files, Lsn::new(2)), damaged(SnapshotDamage::Misplaced, 0));
}

#[test]
fn a_snapshot_of_another_version_is_refused_with_both_versions() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    write(&files, 2, b"state").expect("healthy");
    let mut bytes = disk.bytes(AT_2).expect("there");
    bytes[8] = 2;
    disk.set_bytes(AT_2, bytes);
    let refused = SnapshotError::UnsupportedVersion { lsn: Lsn::new(2), found: 2, supported: 1 };
    assert_eq!(read(&files, Lsn::new(2)), Err(refused));
}

#[test]
fn a_chunk_is_never_larger_than_its_bound() {
    let storage = MemoryStorage::new();
    let files = Snapshots::open(storage.clone()).expect("running").chunk_bytes(u32::MAX);
    let state = vec![7; MAX_SNAPSHOT_CHUNK_BYTES as usize + 1];
    write(&files, 2, &state).expect("healthy");
    let mut reader = files.read(Lsn::new(2)).expect("intact");
    let mut sizes = Vec::new();
    while let Some(chunk) = reader.next_chunk().expect("intact") {
        sizes.push(chunk.len());
    }
    assert_eq!(sizes, [MAX_SNAPSHOT_CHUNK_BYTES as usize, 1]);

    // A header that asks for more is none, although its checksum is right.
    let mut bytes = storage.bytes(AT_2).expect("there");
    bytes[44..48].copy_from_slice(&(MAX_SNAPSHOT_CHUNK_BYTES + 1).to_le_bytes());
    let checksum = common::crc32c(&bytes[..52]);
    bytes[52..56].copy_from_slice(&checksum.to_le_bytes());
    storage.set_bytes(AT_2, bytes);
    let (lsn, damage) = (Lsn::new(2), SnapshotDamage::Header);
    assert_eq!(read(&files, lsn), Err(SnapshotError::Damaged { lsn, damage, offset: 0 }));
}

#[test]
fn a_log_that_ends_before_its_snapshot_is_not_continued() {
    let (log, _) = five_batches();
    let disk = log.storage().clone();
    log.close().expect("healthy");
    let before = image(&disk);
    let start = Position { lsn: Lsn::new(16), ..Position::ORIGIN };
    let refused = Log::open(disk.clone(), options().starts_after(start)).map(drop);
    assert_eq!(refused, Err(OpenError::EndsBeforeStart { last: Lsn::new(15), start: Lsn::new(16) }));
    assert_eq!(image(&disk), before, "a refusal touched the files");
    let start = Position { lsn: Lsn::new(15), ..Position::ORIGIN };
    assert!(Log::open(disk, options().starts_after(start)).is_ok());
}

#[test]
fn a_log_that_begins_behind_a_snapshot_keeps_the_epoch_and_the_checkpoint_in_mind() {
    let start = Position { lsn: Lsn::new(15), epoch: Epoch::new(4), checksum: 9 };
    let begin = |known| {
        let options = LogOptions::new(1).starts_after(start).known_durable(Lsn::new(known));
        Log::open(MemoryStorage::new(), options)
    };
    let (mut log, report) = begin(15).expect("nothing is missing behind the snapshot");
    assert_eq!((report.epoch, log.checksum(), log.position(Lsn::new(15))), (Epoch::new(4), 9, Ok(start)));
    assert!(log.append(&batch(3, 0, &[1])).is_err(), "fenced");
    assert!(matches!(begin(16), Err(OpenError::Corrupt(_))), "record 16 is missing");
    let last = Position { lsn: Lsn::new(u64::MAX), ..start };
    let exhausted = Log::open(MemoryStorage::new(), LogOptions::new(1).starts_after(last)).map(drop);
    assert_eq!(exhausted, Err(OpenError::Exhausted));
}

/// The golden snapshot; its file shows eight bytes in a row, as the document does.
#[test]
fn the_bytes_of_version_1() {
    let disk = FaultStorage::new();
    let files = snapshots(disk.clone());
    write(&files, 2, b"milk, bread, and some butter").expect("healthy");
    let bytes = disk.bytes(AT_2).expect("there");
    assert_eq!(bytes, common::hex(include_str!("golden/snapshot_v1.hex")));
}

#[test]
fn every_checksum_can_be_computed_from_the_document_alone() {
    let bytes = common::hex(include_str!("golden/snapshot_v1.hex"));
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
    let mut covered = bytes[..52].to_vec();
    let header = common::crc32c(&covered);
    assert_eq!(word(52), header);
    for (number, (at, length)) in [(56, 16), (76, 12)].into_iter().enumerate() {
        covered.extend_from_slice(&bytes[16..32]);
        covered.extend_from_slice(&(number as u64).to_le_bytes());
        covered.extend_from_slice(&bytes[at + 4..at + 4 + length]);
        assert_eq!(word(at), common::crc32c(&covered), "chunk {number}");
    }
    assert_eq!(word(92 + 16), word(76), "the footer repeats the last one");
    assert_eq!(word(92 + 20), common::crc32c(&[&bytes[..52], &bytes[92..92 + 20]].concat()));
    assert_eq!(bytes.len(), 92 + 24);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn what_is_written_in_any_pieces_is_read_back(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
        chunk_bytes in 1_u32..50,
    ) {
        let files = Snapshots::open(MemoryStorage::new()).expect("running").chunk_bytes(chunk_bytes);
        let mut writer = files.receive(identity(1)).expect("running");
        for piece in &pieces {
            writer.write(piece).expect("healthy");
        }
        writer.finish().expect("healthy");
        prop_assert_eq!(read(&files, Lsn::new(1)), Ok(pieces.concat()));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        kept in 0_usize..60,
    ) {
        let storage = MemoryStorage::new();
        let files = snapshots(storage.clone());
        write(&files, 2, b"state").expect("healthy");
        let intact = storage.bytes(AT_2).expect("there");
        let kept = kept.min(bytes.len());
        bytes[..kept].copy_from_slice(&intact[..kept]);
        storage.set_bytes(AT_2, bytes.clone());
        prop_assert!(bytes == intact || read(&files, Lsn::new(2)).is_err());
    }

    #[test]
    fn a_position_is_what_a_log_that_ends_there_is(
        sizes in prop::collection::vec(prop::collection::vec(0_usize..300, 1..4), 1..12),
    ) {
        let (mut log, _) = open(&FaultStorage::new()).expect("new");
        let mut ends = vec![Position::ORIGIN];
        for (label, sizes) in sizes.iter().enumerate() {
            let lsn = *log.append(&batch(label as u64, label as u64, sizes)).expect("fits").end();
            ends.push(Position { lsn, epoch: Epoch::new(label as u64), checksum: log.checksum() });
        }
        log.promise_epoch(Epoch::new(99)).expect("healthy");
        for number in 0..=log.durable().get() {
            let known = ends.iter().find(|end| end.lsn.get() == number).copied();
            prop_assert_eq!(log.position(Lsn::new(number)).ok(), known);
        }
    }
}
