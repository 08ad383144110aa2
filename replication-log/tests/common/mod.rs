//! What the tests share: records that say who they are, and a model of what a log must hold after a
//! crash.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![allow(dead_code, reason = "every test binary uses its own part")]

pub(crate) mod gate;
pub(crate) mod watched;

use std::ops::RangeInclusive;

use replication_log::{
    AppendCopyError, Batch, Epoch, Log, LogOptions, Lsn, OpenError, OwnedRecord, Position, RecordKind,
    RecoveryReport,
    storage::{FaultStorage, Keep, Storage, Survivors},
};

/// Small segments, so that a short workload rotates, and every append written at once, so that a
/// test can look at the bytes.
pub(crate) fn options() -> LogOptions {
    LogOptions::new(0x5eed).segment_bytes(2048).preallocate_bytes(1024).staging_bytes(0)
}

/// A batch whose records state their number in the workload and have the given sizes.
pub(crate) fn batch(epoch: u64, label: u64, sizes: &[usize]) -> Batch {
    let mut batch = Batch::new(Epoch::new(epoch));
    for (index, &size) in sizes.iter().enumerate() {
        batch.push(RecordKind(index as u8), &payload(label, index, size)).expect("small");
    }
    batch
}

/// Bytes that no other record of a test has, none of them zero.
pub(crate) fn payload(label: u64, index: usize, size: usize) -> Vec<u8> {
    let seed = label.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64) << 32;
    (0..size as u64)
        .map(|at| (seed.wrapping_add(at).wrapping_mul(0xd134_2543_de82_ef95) >> 56) as u8 | 1)
        .collect()
}

/// The records of a log, from the oldest on.
pub(crate) fn records<S: Storage>(log: &Log<S>) -> Vec<OwnedRecord> {
    let reader = log.read_written_from(log.oldest()).expect("the oldest record is there");
    reader.into_iter().collect::<Result<_, _>>().expect("an opened log is readable")
}

pub(crate) fn open(disk: &FaultStorage) -> Result<(Log<FaultStorage>, RecoveryReport), OpenError> {
    Log::open(disk.clone(), options())
}

/// The files of a disk and their bytes, to compare before and after.
pub(crate) fn image(disk: &FaultStorage) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().expect("the machine runs");
    names.into_iter().map(|name| (name.clone(), disk.bytes(&name).expect("listed"))).collect()
}

/// What a workload did, as far as the machine let it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// Every record handed to the log, also those of which the log did not hear back.
    pub(crate) appended: Vec<OwnedRecord>,
    /// The end of each batch, as a number of records.
    pub(crate) ends: Vec<u64>,
    /// The highest record reported durable.
    pub(crate) durable: Lsn,
    /// The highest epoch reported promised.
    pub(crate) promised: Epoch,
    /// The highest epoch ever tried.
    pub(crate) attempted: Epoch,
    /// The highest record whose truncation was tried.
    pub(crate) truncated: Lsn,
    /// The record that was to be the last when the log did not hear back from cutting its end.
    pub(crate) cutting: Option<Lsn>,
    /// Tells the batches apart, also those that were cut.
    pub(crate) labels: u64,
}

impl Model {
    /// The log gave these records the next numbers, or may have.
    pub(crate) fn append(&mut self, batch: &Batch, records: &[(RecordKind, Vec<u8>)]) {
        for (kind, payload) in records {
            let lsn = Lsn::new(self.appended.len() as u64 + 1);
            self.appended.push(OwnedRecord { lsn, kind: *kind, payload: payload.clone() });
        }
        self.ends.push(self.appended.len() as u64);
        self.attempted = self.attempted.max(batch.epoch());
    }

    /// The log ends with record `last`, and so does the model.
    pub(crate) fn cut_after(&mut self, last: Lsn) {
        self.appended.truncate(last.get() as usize);
        self.ends.retain(|&end| end <= last.get());
        self.durable = last;
        self.cutting = None;
    }

    /// What recovery owes: whole batches from the beginning, in order, at least the durable ones,
    /// with the promise.
    pub(crate) fn check<S: Storage>(&self, log: &Log<S>, context: &str) {
        let last = log.durable();
        let cut = self.cutting == Some(last);
        assert!(cut || last >= self.durable, "{context}: {last} recovered of {} durable", self.durable);
        assert!(last.get() == 0 || self.ends.contains(&last.get()), "{context}: {last} is inside a batch");
        assert!(log.oldest() <= self.truncated.max(Lsn::FIRST), "{context}: dropped more than asked for");
        let expected: Vec<_> =
            self.appended.iter().filter(|r| (log.oldest()..=last).contains(&r.lsn)).cloned().collect();
        assert!(records(log) == expected, "{context}: other records than were appended");
        assert!(log.epoch() >= self.promised, "{context}: forgot epoch {}", self.promised);
        assert!(log.epoch() <= self.attempted, "{context}: invented epoch {}", log.epoch());
    }
}

/// The bytes a golden file shows, eight in a row.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text.lines().collect::<String>();
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

/// Appends a batch as another log would lend it that has all that `copy` has, and the batch behind it.
pub(crate) fn append_copy<S: Storage>(
    copy: &mut Log<S>,
    reign: u64,
    batch: &Batch,
) -> Result<RangeInclusive<Lsn>, AppendCopyError> {
    // Of an older epoch than any, so that the batch can be of every one.
    let start = Position { epoch: Epoch::ZERO, ..copy.last_position() };
    let (mut original, _) =
        Log::open(FaultStorage::new(), LogOptions::new(7).starts_after(start)).expect("new");
    original.append(batch).expect("fits");
    original.sync().expect("healthy");
    let mut batches = original.read_batches_from(original.last()).expect("kept");
    let lent = batches.next_batch().expect("readable").expect("durable");
    copy.append_copy(Epoch::new(reign), &lent)
}

/// Appends a batch no other batch of the workload is like; `None` when the machine has stopped.
pub(crate) fn append<S: Storage>(
    log: &mut Log<S>,
    model: &mut Model,
    epoch: u64,
    sizes: &[usize],
) -> Option<()> {
    let label = model.labels;
    model.labels += 1;
    let records: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(at, &size)| (RecordKind(at as u8), payload(label, at, size)))
        .collect();
    let batch = batch(epoch, label, sizes);
    model.append(&batch, &records);
    log.append(&batch).ok()?;
    if let Some(mut pending) = log.begin_prepare() {
        let outcome = pending.run();
        log.finish_prepare(pending, outcome).ok()?;
    }
    Some(())
}

pub(crate) fn sync<S: Storage>(log: &mut Log<S>, model: &mut Model) -> Option<()> {
    model.durable = log.sync().ok()?;
    assert_eq!((model.durable, log.written()), (log.last(), log.last()));
    Some(())
}

pub(crate) fn promise<S: Storage>(log: &mut Log<S>, model: &mut Model, epoch: u64) -> Option<()> {
    model.attempted = Epoch::new(epoch);
    model.durable = log.promise_epoch(Epoch::new(epoch)).ok()?;
    model.promised = Epoch::new(epoch);
    Some(())
}

/// Cuts the newest end; `None` when the machine has stopped.
pub(crate) fn cut<S: Storage>(log: &mut Log<S>, model: &mut Model, last: u64) -> Option<()> {
    model.cutting = Some(Lsn::new(last));
    let truncation = log.truncate_after(Lsn::new(last), Lsn::ZERO).ok()?;
    assert_eq!(
        (truncation.last, log.durable(), log.written()),
        (Lsn::new(last), Lsn::new(last), Lsn::new(last))
    );
    model.cut_after(Lsn::new(last));
    Some(())
}

/// CRC32C bit by bit, from its definition.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
    };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// Nothing, everything, every single sector with and without the others, and some at random;
/// entries likewise.
pub(crate) fn choices(disk: &FaultStorage) -> Vec<Survivors> {
    let mut choices = vec![Survivors::NOTHING, Survivors::EVERYTHING];
    let all_entries = [Keep::None, Keep::All, Keep::Only(0), Keep::Only(1), Keep::AllBut(0), Keep::AllBut(1)];
    let entries = &all_entries[..if disk.unsynced_entries() > 0 { 6 } else { 1 }];
    for &entries in entries {
        for sector in 0..disk.unsynced_sectors() {
            choices.push(Survivors { sectors: Keep::Only(sector), entries });
            choices.push(Survivors { sectors: Keep::AllBut(sector), entries });
        }
        for seed in 0..4 {
            choices.push(Survivors { sectors: Keep::Random(seed), entries });
        }
    }
    choices
}
