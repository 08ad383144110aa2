//! A log that is a copy of another one: the same batches under the same numbers, epochs and checksums, whatever
//! the copy has promised meanwhile.

mod common;

use common::{append_copy, batch, image, open, records};
use proptest::prelude::*;
use replication_log::{
    AppendCopyError, AppendError, Epoch, Log, Lsn, OpenError, Position,
    storage::{FaultStorage, Storage},
};

/// Copies what `log` has and `copy` lacks, as a leader of epoch `reign` would send it.
fn catch_up<S: Storage>(log: &Log<S>, copy: &mut Log<FaultStorage>, reign: u64) {
    copy.promise_epoch(Epoch::new(reign)).expect("not promised to a later one");
    let missing = copy.last().next().expect("numbers are left");
    let mut batches = log.read_batches_from(missing).expect("kept");
    while let Some(batch) = batches.next_batch().expect("readable") {
        assert!(batch.follows(copy.last_position()));
        copy.append_copy(Epoch::new(reign), &batch).expect("goes on");
        assert_eq!(copy.last_position(), batch.end());
    }
    copy.sync().expect("healthy");
}

/// A log of epochs 1, 3 and 4: records 1 to 3, 4, and 5 to 6.
fn three_epochs() -> Log<FaultStorage> {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    for (epoch, label, sizes) in [(1, 1, &[30, 5][..]), (1, 2, &[20]), (3, 3, &[7]), (4, 4, &[9, 400])] {
        log.append(&batch(epoch, label, sizes)).expect("fits");
    }
    log.sync().expect("healthy");
    log
}

/// A follower that was away during epochs 3 and 4 comes back in epoch 5. It promises 5 first, so that the leaders of
/// 3 and 4 are nothing to it any more, and is sent by the leader of 5 what they wrote.
#[test]
fn what_was_missed_of_older_epochs_is_copied_under_the_promise_of_a_newer_one() {
    let log = three_epochs();
    let disk = FaultStorage::new();
    let (mut copy, _) = open(&disk).expect("new");
    catch_up(&log, &mut copy, 5);
    assert_eq!((copy.epoch(), copy.last_position()), (Epoch::new(5), log.last_position()));
    assert_eq!(records(&copy), records(&log));

    // All of it is in the files, the promise too.
    drop(copy);
    let (copy, report) = open(&disk).expect("intact");
    assert_eq!((report.epoch, report.cut), (Epoch::new(5), None));
    assert_eq!((copy.last_position(), records(&copy)), (log.last_position(), records(&log)));
    for lsn in [0, 2, 3, 4, 6].map(Lsn::new) {
        assert_eq!(copy.position(lsn), log.position(lsn), "record {lsn}");
    }
    assert_eq!(copy.epoch_ends(9).expect("readable"), log.epoch_ends(9).expect("readable"));
}

#[test]
fn the_sender_is_fenced_by_its_own_epoch_and_not_by_that_of_the_batch() {
    let (mut copy, _) = open(&FaultStorage::new()).expect("new");
    copy.promise_epoch(Epoch::new(5)).expect("healthy");
    let of = |epoch| batch(epoch, epoch, &[10]);
    let copied = |copy: &mut Log<FaultStorage>, reign, epoch| append_copy(copy, reign, &of(epoch));
    let epochs = |last, reign, got| {
        let [last, reign, got] = [last, reign, got].map(Epoch::new);
        Err(AppendCopyError::OutOfOrder { last, reign, got })
    };

    let (have, got) = (Epoch::new(5), Epoch::new(4));
    let fenced = AppendError::Fenced { have, got };
    assert_eq!(copied(&mut copy, 4, 4), Err(fenced.into()), "an old leader sends what is its own");
    let (promised, reign) = (Epoch::new(5), Epoch::new(6));
    assert_eq!(copied(&mut copy, 6, 3), Err(AppendCopyError::NotPromised { promised, reign }));
    assert_eq!(copied(&mut copy, 5, 6), epochs(0, 5, 6), "of a later epoch than its sender's");
    assert_eq!(copied(&mut copy, 5, 3), Ok(Lsn::new(1)..=Lsn::new(1)));
    assert_eq!(copied(&mut copy, 5, 2), epochs(3, 5, 2), "epochs never decrease");
    assert_eq!(copied(&mut copy, 5, 3), Ok(Lsn::new(2)..=Lsn::new(2)));
    assert_eq!(copied(&mut copy, 5, 5), Ok(Lsn::new(3)..=Lsn::new(3)));
    assert_eq!(copied(&mut copy, 5, 3), epochs(5, 5, 3), "nor after the catching up");
    assert_eq!(copy.last(), Lsn::new(3), "what was refused left nothing behind");
}

/// The log whose next batch would be this one takes it, and no other.
#[test]
fn a_batch_follows_one_position_only() {
    let log = three_epochs();
    let ends: Vec<_> = [0, 2, 3, 4, 6].map(|lsn| log.position(Lsn::new(lsn)).expect("a boundary")).to_vec();
    let mut batches = log.read_batches_from(Lsn::FIRST).expect("kept");
    let mut at = 0;
    while let Some(batch) = batches.next_batch().expect("readable") {
        for (number, end) in ends.iter().enumerate() {
            assert_eq!(batch.follows(*end), number == at, "batch {at} behind position {number}");
        }
        let here = ends[at];
        assert!(!batch.follows(Position { checksum: here.checksum ^ 1, ..here }), "another history");
        assert!(!batch.follows(Position { epoch: Epoch::new(9), ..here }), "epochs never decrease");
        assert_eq!(batch.end(), ends[at + 1]);
        let expected = log.read_from(batch.first()).expect("kept").into_iter().take(batch.len());
        let expected: Vec<_> = expected.collect::<Result<_, _>>().expect("readable");
        assert_eq!(batch.records().map(|record| record.to_owned()).collect::<Vec<_>>(), expected);
        at += 1;
    }
    assert_eq!(at, 4);
}

/// The log itself refuses what does not follow, so that no mistake of its host makes it anything but a copy.
#[test]
fn what_does_not_follow_is_refused_by_the_log_itself() {
    let log = three_epochs();
    let (mut copy, _) = open(&FaultStorage::new()).expect("new");
    copy.promise_epoch(Epoch::new(4)).expect("healthy");
    let mut batches = log.read_batches_from(Lsn::new(3)).expect("kept");
    let second = batches.next_batch().expect("readable").expect("durable");
    let (wanted, got) = (Lsn::new(1), Lsn::new(3));
    assert_eq!(copy.append_copy(Epoch::new(4), &second), Err(AppendCopyError::NotNext { wanted, got }));

    // Records of the same numbers and epoch, and another content.
    append_copy(&mut copy, 4, &batch(1, 7, &[30, 5])).expect("goes on");
    let end = copy.last_position();
    assert_eq!(copy.append_copy(Epoch::new(4), &second), Err(AppendCopyError::Parted { end }));
    assert_eq!((copy.last_position(), copy.last()), (end, Lsn::new(2)), "nothing is left of it");
    append_copy(&mut copy, 4, &batch(1, 8, &[3])).expect("it can be used further");
}

/// Reading begins with the batch that holds the record asked for, and ends with what is durable.
#[test]
fn batches_are_lent_whole_and_only_when_they_are_durable() {
    let mut log = three_epochs();
    log.append(&batch(4, 9, &[8])).expect("fits");
    log.promise_epoch(Epoch::new(6)).expect("healthy");
    log.append(&batch(6, 10, &[8])).expect("fits");
    let firsts = |from| {
        let (mut firsts, mut batches) = (Vec::new(), log.read_batches_from(Lsn::new(from)).expect("kept"));
        while let Some(batch) = batches.next_batch().expect("readable") {
            firsts.push(batch.first().get());
        }
        firsts
    };
    assert_eq!(firsts(0), [1, 3, 4, 5, 7]);
    assert_eq!(firsts(2), [1, 3, 4, 5, 7]);
    assert_eq!(firsts(3), [3, 4, 5, 7]);
    assert_eq!(firsts(6), [5, 7]);
    assert_eq!(firsts(8), [0; 0], "record 8 is not durable");
    assert_eq!(firsts(80), [0; 0]);
}

/// No bit of a copied batch can flip unnoticed, be it one of the epoch it was written under.
#[test]
fn a_copied_batch_is_as_well_protected_as_any() {
    let disk = FaultStorage::new();
    let (mut copy, _) = open(&disk).expect("new");
    copy.promise_epoch(Epoch::new(5)).expect("healthy");
    append_copy(&mut copy, 5, &batch(3, 1, &[30])).expect("goes on");
    copy.close().expect("healthy");
    let name = "0000000000000001.log";
    let before = image(&disk);
    let whole = disk.bytes(name).expect("there");
    let (from, to) = (80 + 2 * 40, 80 + 2 * 40 + 40 + 8 + 32);
    for bit in from * 8..to * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        disk.set_bytes(name, bytes);
        let outcome = open(&disk);
        // The kind's byte may become one that is not of this version.
        let noticed = matches!(outcome, Err(OpenError::Corrupt(_) | OpenError::UnsupportedBatch { .. }));
        assert!(noticed, "bit {bit}: {:?}", outcome.map(drop));
    }
    disk.set_bytes(name, whole);
    assert_eq!(image(&disk), before);
    assert_eq!(open(&disk).expect("intact").1.epoch, Epoch::new(5));
}

#[cfg(all(feature = "lz4", feature = "encryption"))]
#[test]
fn copies_are_sealed_like_everything_else_and_agree_all_the_same() {
    use common::options;
    use replication_log::{
        Batch, RecordKind,
        seal::{SealKey, Sealing},
    };
    let mut log = three_epochs();
    log.append(&batch(4, 9, &[3000])).expect_err("larger than a segment");
    log.append(&Batch::of(Epoch::new(4), RecordKind(1), &[b'x'; 1500]).expect("small")).expect("fits");
    log.sync().expect("healthy");
    let disk = FaultStorage::new();
    let sealing = |fresh| Sealing::plain().compressed().encrypted(SealKey::new([7; 32]), [fresh; 16]);
    let (mut copy, _) = Log::open(disk.clone(), options().seal(sealing(1))).expect("new");
    catch_up(&log, &mut copy, 7);
    drop(copy);
    let (copy, _) = Log::open(disk, options().seal(sealing(2))).expect("intact");
    assert_eq!((copy.last_position(), records(&copy)), (log.last_position(), records(&log)));
}

#[derive(Clone, Debug)]
enum Step {
    Append { epochs_later: u64, sizes: Vec<usize> },
    Promise { epochs_later: u64 },
    Copy { epochs_later: u64 },
    ReopenCopy,
    TruncateLog { before: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let later = || prop_oneof![6 => Just(0_u64), 1 => 1..4_u64];
    let step = prop_oneof![
        8 => (later(), prop::collection::vec(0..300_usize, 1..4))
            .prop_map(|(epochs_later, sizes)| Step::Append { epochs_later, sizes }),
        1 => later().prop_map(|epochs_later| Step::Promise { epochs_later }),
        3 => later().prop_map(|epochs_later| Step::Copy { epochs_later }),
        1 => Just(Step::ReopenCopy),
        1 => (0..60_u64).prop_map(|before| Step::TruncateLog { before }),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever a leader writes, promises, drops, and whenever its follower comes for it and restarts: the copy has
    /// the same positions, the same ends of epochs as are written down beside the logs, and the same records.
    #[test]
    fn a_copy_is_its_original(steps in steps()) {
        let (mut log, _) = open(&FaultStorage::new()).expect("new");
        let disk = FaultStorage::new();
        let mut copy = Some(open(&disk).expect("new").0);
        let mut reign = 1;
        // The position behind each batch, beginning with the one before the first.
        let mut ends = vec![Position::ORIGIN];
        for (label, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append { epochs_later, sizes } => {
                    reign += epochs_later;
                    log.append(&batch(reign, label as u64, &sizes)).expect("fits");
                    log.sync().expect("healthy");
                    let lsn = log.last();
                    ends.push(Position { lsn, epoch: Epoch::new(reign), checksum: log.checksum() });
                }
                Step::Promise { epochs_later } => {
                    reign += epochs_later;
                    log.promise_epoch(Epoch::new(reign)).expect("healthy");
                }
                Step::Copy { epochs_later } => {
                    reign += epochs_later;
                    log.promise_epoch(Epoch::new(reign)).expect("healthy");
                    let copy = copy.as_mut().expect("open");
                    if copy.last().next() >= Some(log.oldest()) {
                        catch_up(&log, copy, reign);
                        prop_assert_eq!(copy.last_position(), log.last_position());
                    }
                }
                Step::ReopenCopy => {
                    drop(copy.take());
                    copy = Some(open(&disk).expect("intact").0);
                }
                Step::TruncateLog { before } => {
                    log.truncate_before(Lsn::new(before)).expect("healthy");
                }
            }
            prop_assert_eq!(log.last_position(), ends[ends.len() - 1]);
            for log in [&log, copy.as_ref().expect("open")] {
                let held = |end: &&Position| end.lsn.next() >= Some(log.oldest()) && end.lsn <= log.durable();
                for end in ends.iter().filter(held) {
                    prop_assert_eq!(log.position(end.lsn), Ok(*end));
                }
                for epoch in (0..=reign + 1).map(Epoch::new) {
                    let expected = ends.iter().filter(held).rfind(|end| end.epoch <= epoch);
                    prop_assert_eq!(log.end_of_epoch(epoch).expect("readable"), expected.copied());
                }
                let newest = log.epoch_ends(3).expect("readable");
                let mut expected: Vec<_> = ends.iter().rev().filter(held).copied().collect();
                expected.dedup_by_key(|end| end.epoch);
                expected.truncate(3);
                prop_assert_eq!(newest, expected);
            }
        }
    }
}
