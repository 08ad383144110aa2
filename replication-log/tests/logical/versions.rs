//! Lessons on versions of the format: what peers speak, and what an old one makes of a new one.

use replication_log::{
    Batch, BatchError, Epoch, Log, LogOptions, Lsn, Record, RecordKind,
    entry::logical::{
        Before, Change, Decoded, Entry, EntryError, FORMAT_VERSIONS, FormatVersions, LOGICAL, LogicalApplier,
        Malformed, MemoryTarget, NoCommonVersion, Outcome, StreamError, Transaction, Transactions,
        WriteError,
    },
    limits::{MAX_BATCH_BYTES, MAX_RECORD_BYTES},
    storage::MemoryStorage,
};

use super::{GOODS, declaration, delete, entry, registry, row, rows, schema, upsert};

const fn record(lsn: u64, payload: &[u8]) -> Record<'_> {
    Record { lsn: Lsn::new(lsn), kind: LOGICAL, payload }
}

#[test]
fn peers_speak_the_highest_version_that_both_know() {
    let versions = |min, max| FormatVersions { min, max };
    for (ours, theirs, common) in [
        (versions(1, 1), versions(1, 1), Some(1)),
        (versions(1, 3), versions(2, 5), Some(3)),
        (versions(2, 2), versions(1, 9), Some(2)),
        (versions(1, 1), versions(2, 3), None),
    ] {
        assert_eq!(ours.common(theirs).ok(), common);
        assert_eq!(theirs.common(ours).ok(), common, "both come to the same answer");
        if common.is_none() {
            assert_eq!(ours.common(theirs), Err(NoCommonVersion { ours, theirs }));
        }
    }
    assert_eq!(FORMAT_VERSIONS.common(versions(1, u8::MAX)), Ok(FORMAT_VERSIONS.max));
}

#[test]
fn a_newer_entry_is_passed_over_if_it_is_optional_and_refused_if_it_is_required() {
    let optional = [9, 0x80 | 6, 1, b'?'];
    assert_eq!(Entry::decode(&optional), Ok(Decoded { entry: None, last: true }));
    let required = [9, 6, 1, b'?'];
    let error = EntryError::UnsupportedVersion { found: 9, supported: FORMAT_VERSIONS.max, kind: 6 };
    assert_eq!(Entry::decode(&required), Err(error));
    let mut transactions = Transactions::new();
    let lsn = Lsn::new(1);
    assert_eq!(transactions.push(&record(1, &required)), Err(StreamError::Entry { lsn, error }));
    let message = error.to_string();
    assert!(message.contains("version 9") && message.contains("up to 1"), "both versions: {message}");
}

/// What a build of version 1 wrote, and what one of version 2 did: the same, with optional entries
/// of its own in between.
const TRACE_V1: &[&str] = &[
    "01 05 01 01 07 01 01 03 01 046e616d65 06 00 00 057072696365 03 00 00 046e6f7465 06 01 00",
    "01 01 05 01 07 01 046d696c6b 03 01 06046d696c6b 00 03c601 00 00",
];
const TRACE_V2: &[&str] = &[
    "01 05 00 01 07 01 01 03 01 046e616d65 06 00 00 057072696365 03 00 00 046e6f7465 06 01 00",
    "02 86 01 ffff",
    "02 87 00",
    "01 01 05 01 07 01 046d696c6b 03 01 06046d696c6b 00 03c601 00 00",
];

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.bytes().filter(|byte| *byte != b' ').collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    digits.chunks(2).map(|digits| pair(digits).expect("hexadecimal")).collect()
}

#[test]
fn a_follower_reads_what_its_own_version_and_the_next_one_wrote() {
    for (trace, skipped) in [(TRACE_V1, 0), (TRACE_V2, 2)] {
        let mut transactions = Transactions::new();
        let mut follower = LogicalApplier::new(MemoryTarget::new(), registry(&schema()));
        for (lsn, line) in (1..).zip(trace) {
            if let Some(transaction) = transactions.push(&record(lsn, &bytes(line))).expect("readable") {
                assert_eq!(follower.apply(&transaction), Ok(Outcome::Applied));
            }
        }
        assert_eq!(follower.skipped(), skipped);
        let mut milk = row("milk", 99, "");
        milk.set(super::NOTE, replication_log::entry::logical::Cell::Null);
        assert_eq!(rows(follower.target()), [("milk".into(), milk)]);
    }
}

#[test]
fn transactions_go_through_a_log_and_come_out_whole() {
    let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed)).expect("new");
    let mut batch = Batch::new(Epoch::ZERO);
    let first = [declaration(&schema()), upsert("milk", row("milk", 99, "")).into()];
    Transaction::write(&first, &mut batch).expect("small");
    Transaction::write(&[delete("milk").into()], &mut batch).expect("small");
    log.append(&batch).expect("fits");
    log.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"of another kind").expect("small")).expect("fits");
    log.sync().expect("healthy");

    let mut transactions = Transactions::new();
    let mut follower = LogicalApplier::new(MemoryTarget::new(), registry(&schema()));
    let mut seen = Vec::new();
    let mut reader = log.read_from(Lsn::FIRST).expect("there");
    while let Some(record) = reader.next_record().expect("intact") {
        if let Some(transaction) = transactions.push(&record).expect("readable") {
            seen.push((transaction.first().get(), transaction.last().get(), transaction.entries().len()));
            follower.apply(&transaction).expect("fits");
        }
    }
    assert_eq!(seen, [(1, 2, 2), (3, 3, 1), (4, 4, 0)]);
    assert_eq!((follower.skipped(), follower.target().rows(GOODS).count()), (1, 0));
}

#[test]
fn a_record_of_another_kind_does_not_end_a_transaction() {
    let mut transactions = Transactions::new();
    let middle = Entry::from(delete("milk")).encode(false).expect("small");
    let end = Entry::from(delete("bread")).encode(true).expect("small");
    assert_eq!(transactions.push(&record(5, &middle)), Ok(None));
    let foreign = Record { lsn: Lsn::new(6), kind: RecordKind(1), payload: b"of another kind" };
    assert_eq!(transactions.push(&foreign), Ok(None));
    let gap = StreamError::Gap { wanted: Lsn::new(7), got: Lsn::new(8) };
    assert_eq!(transactions.push(&record(8, &end)), Err(gap));
    let whole = transactions.push(&record(7, &end)).expect("next").expect("its end");
    assert_eq!((whole.first(), whole.last(), whole.skipped()), (Lsn::new(5), Lsn::new(7), 1));
    assert_eq!(whole.entries().len(), 2);
}

#[test]
fn a_transaction_without_an_end_does_not_fill_the_memory() {
    let large =
        entry("milk", Before::Unknown, Change::Delta { tag: 0, bytes: vec![0; MAX_RECORD_BYTES / 2] });
    let large = Entry::from(large).encode(false).expect("small enough");
    let mut transactions = Transactions::new();
    let fits = (MAX_BATCH_BYTES / large.len()) as u64;
    for lsn in 1..=fits {
        assert_eq!(transactions.push(&record(lsn, &large)), Ok(None));
    }
    let refused = StreamError::TooLarge { first: Lsn::FIRST, limit: MAX_BATCH_BYTES };
    assert_eq!(transactions.push(&record(fits + 1, &large)), Err(refused));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let mut batch = Batch::new(Epoch::ZERO);
    assert_eq!(Transaction::write(&[], &mut batch), Err(WriteError::Empty));
    let large = |bytes| entry("milk", Before::Unknown, Change::Delta { tag: 0, bytes: vec![0; bytes] });
    let refused = Transaction::write(&[large(MAX_RECORD_BYTES).into()], &mut batch);
    let malformed = Malformed::TooMuch { what: "bytes of an entry", limit: MAX_RECORD_BYTES };
    assert_eq!(refused, Err(WriteError::Entry(malformed.into())));
    let half = Entry::from(large(MAX_RECORD_BYTES / 2));
    let refused = Transaction::write(&vec![half; 9], &mut batch);
    assert!(matches!(refused, Err(WriteError::Batch(BatchError::BatchTooLarge { .. }))), "{refused:?}");
    let long = delete(&"k".repeat(1 << 17));
    assert!(matches!(Transaction::write(&[long.into()], &mut batch), Err(WriteError::Entry(_))));
    assert_eq!(Transaction::numbered(Lsn::FIRST, Vec::new()), None);
    assert_eq!(Transaction::numbered(Lsn::new(u64::MAX), vec![delete("milk").into()]), None);
}
