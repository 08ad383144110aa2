//! The bytes of format version 1, as `docs/formats.md` draws them. They never change: a new format
//! gets a new number.

mod common;

use common::crc32c;
use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, RecordKind,
    limits::MAX_RECORD_BYTES,
    storage::{FaultStorage, Storage, StorageFile},
};

const NAME: &str = "0000000000000001.log";

/// A log with a batch of two records, a promise, a batch of one and a clean close.
fn golden_log() -> FaultStorage {
    let disk = FaultStorage::new();
    let options = LogOptions::new(0x0123_4567_89ab_cdef).preallocate_bytes(0);
    let (mut log, _) = Log::open(disk.clone(), options).expect("new");
    let mut batch = Batch::new(Epoch::new(3));
    batch.push(RecordKind(1), b"milk").expect("small");
    batch.push(RecordKind(2), b"").expect("small");
    log.append(&batch).expect("fits");
    log.promise_epoch(Epoch::new(5)).expect("healthy");
    log.append(&Batch::of(Epoch::new(5), RecordKind(255), &[b'x'; 200]).expect("small")).expect("fits");
    log.close().expect("healthy");
    disk
}

#[test]
fn the_bytes_of_version_1() {
    assert_eq!(golden_log().bytes(NAME), Some(golden_bytes()));
}

#[test]
fn a_log_of_version_1_can_be_read() {
    let disk = FaultStorage::new();
    disk.set_bytes(NAME, golden_bytes());
    let (log, report) = Log::open(disk, LogOptions::new(0)).expect("readable");
    assert!(report.closed_cleanly);
    assert_eq!((report.last, report.epoch), (Lsn::new(3), Epoch::new(5)));
    let payloads: Vec<_> =
        common::records(&log).into_iter().map(|record| (record.kind.0, record.payload)).collect();
    assert_eq!(payloads, [(1, b"milk".to_vec()), (2, Vec::new()), (255, vec![b'x'; 200])]);
}

/// A log that has promised epoch 5 and then took over a batch of epoch 3, in its second segment.
#[test]
fn the_bytes_of_a_copied_batch_and_of_the_header_behind_it() {
    let disk = FaultStorage::new();
    let options = LogOptions::new(0x0123_4567_89ab_cdef).preallocate_bytes(0).segment_bytes(512);
    let (mut log, _) = Log::open(disk.clone(), options).expect("new");
    log.promise_epoch(Epoch::new(5)).expect("healthy");
    let copied = |payload: &[u8]| Batch::of(Epoch::new(3), RecordKind(1), payload).expect("small");
    common::append_copy(&mut log, 5, &copied(b"milk")).expect("goes on");
    common::append_copy(&mut log, 5, &copied(&[b'x'; 300])).expect("goes on");
    log.flush().expect("healthy");
    let first = disk.bytes(NAME).expect("there");
    let second = disk.bytes("0000000000000002.log").expect("there");
    assert_eq!([&first[160..], &second[..140]].concat(), common::hex(include_str!("golden/copied_v1.hex")));
}

fn golden_bytes() -> Vec<u8> {
    common::hex(include_str!("golden/segment_v1.hex"))
}

fn le<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("in range")
}

#[test]
fn every_checksum_can_be_computed_from_the_document_alone() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value every catalogue gives");
    let bytes = golden_log().bytes(NAME).expect("there");
    assert_eq!(u32::from_le_bytes(le(&bytes, 76)), crc32c(&bytes[..76]));
    let identity = &bytes[24..32];

    let (mut offset, mut covered) = (80, Vec::new());
    let mut kinds = Vec::new();
    while offset < bytes.len() {
        let header = &bytes[offset..offset + 40];
        let bound = [identity, &(offset as u64).to_le_bytes()[..], &header[4..]].concat();
        assert_eq!(u32::from_le_bytes(le(header, 0)), crc32c(&bound), "batch at {offset}");

        let length = u32::from_le_bytes(le(header, 4)) as usize;
        let body = &bytes[offset + 40..offset + 40 + length];
        if header[36] == 1 {
            covered.extend_from_slice(&header[8..24]);
            covered.extend_from_slice(body);
        }
        assert_eq!(u32::from_le_bytes(le(header, 32)), crc32c(&covered), "running checksum at {offset}");
        kinds.push(header[36]);
        offset += 40 + length;
    }
    assert_eq!(kinds, [1, 2, 2, 1, 3]);
}

#[test]
fn zero_bytes_are_never_a_batch() {
    let disk = golden_log();
    let file = disk.open(NAME).expect("there");
    file.set_len(80).expect("healthy");
    file.set_len(4096).expect("healthy");
    let (log, report) = Log::open(disk, LogOptions::new(0)).expect("readable");
    assert_eq!((log.durable(), report.cut), (Lsn::ZERO, None));
}

#[test]
fn creating_a_log_twice_gives_the_same_bytes() {
    assert_eq!(golden_log().bytes(NAME), golden_log().bytes(NAME));
}

#[test]
fn a_record_costs_at_most_5_bytes_in_a_batch_and_45_alone() {
    for size in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, MAX_RECORD_BYTES] {
        let mut batch = Batch::new(Epoch::ZERO);
        let payload = vec![0; size];
        batch.push(RecordKind(1), &payload).expect("within bounds");
        let alone = batch.encoded_bytes() - size;
        assert!(alone <= 45, "{alone} bytes around one of {size}");
        batch.push(RecordKind(1), &payload).expect("within bounds");
        let each = batch.encoded_bytes() - 2 * size - alone;
        assert!(each <= 5, "{each} bytes around another one of {size}");
    }
}
