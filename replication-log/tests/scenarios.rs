//! What write-ahead logs have got wrong, case by case. Each test is one scenario of a damaged or torn
//! log, tried at every byte, bit or sector it is about.
//!
//! Scenarios with a home elsewhere: the last segment cut off at every byte, and rubbish behind the end
//! (`damage.rs`); recovery interrupted at every step (`crash.rs`); two processes (`file.rs`); golden
//! bytes (`format.rs`); tails (`tail.rs`); cuts below the commit index (`truncate_after.rs`).
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use common::{batch, crc32c, image, open, options, records, watched::Watched};
use replication_log::{Log, Lsn, OpenError, OwnedRecord, ReadOnlyLog, SegmentId, storage::FaultStorage};

const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";

/// The bytes of a batch of two records of 400 bytes.
const BATCH_BYTES: usize = 40 + 2 * (3 + 400);

/// A closed log of three segments: two batches of two records each, twice, and one.
fn closed() -> (FaultStorage, Vec<OwnedRecord>) {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..5 {
        log.append(&batch(label, label, &[400, 400])).expect("fits");
    }
    let all = records(&log);
    log.close().expect("healthy");
    (disk, all)
}

fn with_bytes(disk: &FaultStorage, name: &str, bytes: Vec<u8>) -> FaultStorage {
    let copy = FaultStorage::new();
    for (other, bytes) in image(disk) {
        copy.set_bytes(&other, bytes);
    }
    copy.set_bytes(name, bytes);
    copy
}

/// Opening is refused with this place, nothing is touched, and what can be read is a true prefix.
fn refused_at(disk: &FaultStorage, segment: u64, offset: usize, all: &[OwnedRecord], context: &str) {
    let before = image(disk);
    match open(disk) {
        Err(OpenError::Corrupt(corruption)) => {
            let place = (corruption.segment, corruption.offset);
            assert_eq!(place, (SegmentId::new(segment), offset as u64), "{context}");
            let view = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("readable");
            assert_eq!(view.corruption(), Some(&corruption), "{context}");
            let read: Result<Vec<_>, _> = view.read_from(Lsn::FIRST).expect("there").into_iter().collect();
            let read = read.expect("the intact part");
            assert_eq!(read.len() as u64 + 1, corruption.lsn.get(), "{context}");
            assert_eq!(read[..], all[..read.len()], "{context}");
        }
        Err(OpenError::UnsupportedVersion { supported, found, .. }) => assert_ne!(found, supported),
        Err(error) => panic!("{context}: {error}"),
        Ok(_) => panic!("{context}: opened"),
    }
    assert_eq!(image(disk), before, "{context}: a refusal touched the files");
}

/// Scenario 2. camunda #6098: a damaged entry was not told from the end of the log.
#[test]
fn a_sealed_segment_cut_off_at_any_byte_is_refused_with_its_place_and_not_touched() {
    let (disk, all) = closed();
    let bytes = disk.bytes(SECOND).expect("there");
    for length in 0..80 + 2 * BATCH_BYTES {
        let cut = with_bytes(&disk, SECOND, bytes[..length].to_vec());
        let offset = match length {
            ..80 => 0,
            _ => 80 + (length - 80) / BATCH_BYTES * BATCH_BYTES,
        };
        refused_at(&cut, 2, offset, &all, &format!("cut off at {length}"));
    }
    let zeros_are_no_batches = with_bytes(&disk, SECOND, [&bytes[..80 + 2 * BATCH_BYTES], &[0; 99]].concat());
    assert_eq!(records(&open(&zeros_are_no_batches).expect("nothing is missing").0), all);
}

/// Scenario 3. etcd's checksum leaves the type out, okaywal's the length and the id, fjall's the
/// sequence number and the count.
#[test]
fn no_bit_of_any_field_can_flip_without_a_refusal_that_says_where() {
    const SEGMENT_FIELDS: [(&str, usize, usize); 12] = [
        ("magic", 0, 8),
        ("version", 8, 12),
        ("length", 12, 16),
        ("log id", 16, 24),
        ("identity", 24, 32),
        ("segment", 32, 40),
        ("first record", 40, 48),
        ("epoch", 48, 56),
        ("durable record", 56, 64),
        ("running checksum", 64, 68),
        ("zeros", 68, 76),
        ("checksum", 76, 80),
    ];
    const BATCH_FIELDS: [(&str, usize, usize); 11] = [
        ("checksum", 0, 4),
        ("length", 4, 8),
        ("first record", 8, 16),
        ("epoch", 16, 24),
        ("durable record", 24, 32),
        ("running checksum", 32, 36),
        ("kind", 36, 37),
        ("records", 37, 40),
        ("length of a record", 40, 42),
        ("kind of a record", 42, 43),
        ("payload", 43, 47),
    ];
    let (disk, all) = closed();
    for (segment, name) in [(1, FIRST), (2, SECOND)] {
        let bytes = disk.bytes(name).expect("there");
        let flip_all = |base: usize, fields: &[(&str, usize, usize)]| {
            for &(field, from, to) in fields {
                for bit in (base + from) * 8..(base + to) * 8 {
                    let mut flipped = bytes.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    let context = format!("{field} at {base} of {name}, bit {bit}");
                    refused_at(&with_bytes(&disk, name, flipped), segment, base, &all, &context);
                }
            }
        };
        flip_all(0, &SEGMENT_FIELDS);
        flip_all(80, &BATCH_FIELDS);
        flip_all(80 + BATCH_BYTES, &BATCH_FIELDS);
    }
}

/// Scenario 7. fjall does not open when the end of a batch reached the disk and its middle did not.
#[test]
fn any_subset_of_the_sectors_of_an_unsynced_batch_is_the_whole_batch_or_none_of_it() {
    for (sector, payload) in [(512, 3500), (4096, 17_000)] {
        let disk = FaultStorage::new();
        let options = options().segment_bytes(1 << 20).preallocate_bytes(1 << 16);
        let (mut log, _) = Log::open(disk.clone(), options.clone()).expect("new");
        log.append(&batch(1, 1, &[100])).expect("fits");
        log.sync().expect("healthy");
        let before = disk.bytes(FIRST).expect("there");
        log.append(&batch(1, 2, &[payload / 2, 0, payload / 2])).expect("fits");
        let all = records(&log);
        let after = disk.bytes(FIRST).expect("there");
        drop(log);
        let sectors: Vec<usize> = (0..after.len() / sector)
            .filter(|at| before[at * sector..][..sector] != after[at * sector..][..sector])
            .collect();
        assert!(sectors.len() > 4);
        for subset in 0..1_usize << sectors.len() {
            let mut bytes = before.clone();
            for (bit, at) in sectors.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1) {
                assert!(bit < sectors.len());
                bytes[at * sector..][..sector].copy_from_slice(&after[at * sector..][..sector]);
            }
            let torn = with_bytes(&disk, FIRST, bytes);
            let (log, _) = Log::open(torn, options.clone()).expect("a torn batch is no corruption");
            let whole = subset + 1 == 1 << sectors.len();
            assert_eq!(records(&log), all[..if whole { 4 } else { 1 }], "sectors {subset:b} of {sector}");
        }
    }
}

/// Scenario 20. walrus allocates what a length field says. Here even a length that is signed by a right
/// checksum is believed only as far as there are bytes.
#[test]
fn a_length_field_never_makes_the_log_allocate_more_than_there_is() {
    for length in [u32::MAX, u32::MAX - 40, 1 << 31, (64 << 20) + 1, 64 << 20, 1 << 20] {
        let disk = FaultStorage::new();
        let (mut log, _) = open(&disk).expect("new");
        log.append(&batch(1, 1, &[30])).expect("fits");
        log.sync().expect("healthy");
        drop(log);
        let mut bytes = disk.bytes(FIRST).expect("there");
        let offset = 80 + 40 + 2 + 30;
        let mut header = [0; 40];
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&2_u64.to_le_bytes());
        header[16..24].copy_from_slice(&1_u64.to_le_bytes());
        header[36..40].copy_from_slice(&(1_u32 << 8 | 1).to_le_bytes());
        let bound = [&bytes[24..32], &(offset as u64).to_le_bytes(), &header[4..]].concat();
        header[..4].copy_from_slice(&crc32c(&bound).to_le_bytes());
        bytes[offset..offset + 40].copy_from_slice(&header);
        disk.set_bytes(FIRST, bytes.clone());

        let largest = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&largest);
        let storage = Watched::reads(disk.clone(), move |bytes| {
            seen.fetch_max(bytes, Ordering::Relaxed);
        });
        let (log, report) = Log::open(storage, options()).expect("an unsynced tail");
        assert_eq!((log.durable(), report.cut.map(|cut| cut.offset)), (Lsn::new(1), Some(offset as u64)));
        let largest = largest.load(Ordering::Relaxed);
        assert!(
            largest <= bytes.len(),
            "{largest} bytes were asked for of {} because of {length}",
            bytes.len()
        );
    }
}

/// Scenario 22, for the parts of a segment that name no version: a kind of batch this build does not
/// know is nothing it may skip.
#[test]
fn a_batch_of_an_unknown_kind_is_refused_even_if_its_checksum_is_right() {
    let (disk, all) = closed();
    // Compressed and encrypted batches of version 1, written here or copied, have flags beside the kind.
    let sealed = [0x11, 0x21, 0x31, 0x14, 0x24, 0x34];
    for kind in (5..=u8::MAX).filter(|kind| !sealed.contains(kind)) {
        let unknown = with_kind(&disk, kind);
        let before = image(&unknown);
        let place = (SegmentId::new(2), 80, kind);
        match open(&unknown) {
            Err(OpenError::UnsupportedBatch { segment, offset, kind }) => {
                assert_eq!((segment, offset, kind), place);
            }
            outcome => panic!("kind {kind}: {:?}", outcome.map(drop)),
        }
        assert_eq!(image(&unknown), before, "kind {kind}: a refusal touched the files");
    }
    refused_at(&with_kind(&disk, 0), 2, 80, &all, "zero is no kind at all");
}

/// The second segment's first batch with another kind under a right checksum.
fn with_kind(disk: &FaultStorage, kind: u8) -> FaultStorage {
    let mut bytes = disk.bytes(SECOND).expect("there");
    bytes[80 + 36] = kind;
    let bound = [&bytes[24..32], &80_u64.to_le_bytes(), &bytes[84..120]].concat();
    bytes[80..84].copy_from_slice(&crc32c(&bound).to_le_bytes());
    with_bytes(disk, SECOND, bytes)
}
