//! What the tests share: records that say who they are, and a model of what a log must hold after a
//! crash.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![allow(dead_code, reason = "every test binary uses its own part")]

use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, OpenError, OwnedRecord, RecordKind, RecoveryReport,
    storage::{FaultStorage, Storage},
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

    /// What recovery owes: whole batches from the beginning, in order, at least the durable ones,
    /// with the promise.
    pub(crate) fn check<S: Storage>(&self, log: &Log<S>, context: &str) {
        let last = log.durable();
        assert!(last >= self.durable, "{context}: {last} recovered of {} durable", self.durable);
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

/// CRC32C bit by bit, from its definition.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
    };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
