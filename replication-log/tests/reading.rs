//! Reading back: across segments, from anywhere, up to the watermark, and against a model.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, open, options, payload, records};
use proptest::prelude::*;
use replication_log::{
    Batch, BatchError, Epoch, Log, LogOptions, Lsn, OpenError, ReadError, RecordKind,
    limits::{MAX_RECORD_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES},
    storage::{FaultStorage, MemoryStorage, Storage},
};

#[test]
fn a_reader_sees_what_is_durable_and_no_more_unless_asked() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    log.append(&batch(0, 1, &[10, 10])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(0, 2, &[10])).expect("fits");
    let count = |reader: replication_log::Reader<'_, _>| reader.into_iter().count();
    assert_eq!(count(log.read_from(Lsn::FIRST).expect("there")), 2);
    assert_eq!(count(log.read_written_from(Lsn::FIRST).expect("there")), 3);
    assert_eq!(count(log.read_from(Lsn::new(3)).expect("not yet")), 0);
    assert_eq!(count(log.read_from(Lsn::new(u64::MAX)).expect("not yet")), 0);
}

#[test]
fn a_reader_may_start_at_any_record_of_any_segment() {
    let (mut log, _) = open(&FaultStorage::new()).expect("new");
    for label in 0..30 {
        log.append(&batch(0, label, &[100, 1, 200])).expect("fits");
    }
    log.sync().expect("healthy");
    let all = records(&log);
    assert_eq!(all.len(), 90);
    for from in 1..=91 {
        let read: Vec<_> = log
            .read_from(Lsn::new(from))
            .expect("there")
            .into_iter()
            .map(|record| record.expect("intact"))
            .collect();
        assert_eq!(read, all[from as usize - 1..]);
    }
}

#[test]
fn truncation_drops_whole_segments_and_reading_below_says_so() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    for label in 0..12 {
        log.append(&batch(0, label, &[800])).expect("fits");
    }
    let checksum = log.checksum();
    assert_eq!(disk.list().expect("running").len(), 6, "two batches in each segment");
    assert_eq!(log.truncate_before(Lsn::new(6)), Ok(Lsn::new(5)), "record 5 shares a segment with 6");
    assert_eq!(disk.list().expect("running").len(), 4);
    let truncated = ReadError::Truncated { asked: Lsn::new(4), oldest: Lsn::new(5) };
    assert_eq!(log.read_from(Lsn::new(4)).map(drop), Err(truncated));
    assert_eq!(records(&log).len(), 8);

    assert_eq!(log.truncate_before(Lsn::new(1000)), Ok(Lsn::new(11)), "the active segment stays");
    log.close().expect("healthy");
    let (log, report) = open(&disk).expect("closed");
    assert_eq!((report.oldest, report.last), (Lsn::new(11), Lsn::new(12)));
    assert_eq!(log.checksum(), checksum, "the running checksum does not need what was dropped");
}

#[test]
fn two_logs_with_the_same_batches_agree_on_the_checksum_and_others_do_not() {
    let checksum = |id: u64, segment_bytes: u64, batches: &[Batch]| {
        let options = LogOptions::new(id).segment_bytes(segment_bytes);
        let (mut log, _) = Log::open(MemoryStorage::new(), options).expect("new");
        for batch in batches {
            log.append(batch).expect("fits");
        }
        log.checksum()
    };
    let batches: Vec<Batch> = (0..5).map(|label| batch(label, label, &[300])).collect();
    let reference = checksum(1, 600, &batches);
    assert_eq!(reference, checksum(2, 1 << 20, &batches), "identity and segment size do not matter");
    assert_ne!(reference, checksum(1, 600, &batches[1..]));
    let other_epoch: Vec<Batch> = (0..5).map(|label| batch(label + 1, label, &[300])).collect();
    assert_ne!(reference, checksum(1, 600, &other_epoch));
}

#[test]
fn framing_costs_little() {
    let framing = |sizes: &[usize]| batch(0, 1, sizes).encoded_bytes() - sizes.iter().sum::<usize>();
    for size in [0, 1, 127, 128, 16 << 10, MAX_RECORD_BYTES] {
        assert!(framing(&[size]) <= 48, "a single record of {size} bytes costs {}", framing(&[size]));
    }
    assert_eq!(framing(&[100; 1000]) - framing(&[100; 999]), 2);
}

#[test]
fn what_is_too_large_is_refused_while_the_batch_is_built() {
    let mut batch = Batch::new(Epoch::ZERO);
    let bytes = MAX_RECORD_BYTES + 1;
    let refused = batch.push(RecordKind(0), &vec![0; bytes]);
    assert_eq!(refused, Err(BatchError::RecordTooLarge { bytes, limit: MAX_RECORD_BYTES }));
    for _ in 0..3 {
        batch.push(RecordKind(0), &vec![0; MAX_RECORD_BYTES]).expect("three fit");
    }
    assert!(matches!(
        batch.push(RecordKind(0), &vec![0; MAX_RECORD_BYTES]),
        Err(BatchError::BatchTooLarge { .. })
    ));
    assert_eq!(batch.len(), 3);
}

#[test]
fn segments_outside_the_limits_are_refused() {
    for bytes in [0, MIN_SEGMENT_BYTES - 1, MAX_SEGMENT_BYTES + 1, u64::MAX] {
        let refused = Log::open(MemoryStorage::new(), LogOptions::new(1).segment_bytes(bytes)).map(drop);
        assert!(matches!(refused, Err(OpenError::SegmentSize { .. })), "{bytes}");
    }
    let (mut log, _) =
        Log::open(MemoryStorage::new(), LogOptions::new(1).segment_bytes(MIN_SEGMENT_BYTES)).expect("new");
    for epoch in 1..50 {
        log.promise_epoch(Epoch::new(epoch)).expect("promises rotate as well");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append { epoch: u64, sizes: Vec<usize> },
    Sync,
    Promise(u64),
    Truncate(u64),
    Cut(u64),
    Reopen { cleanly: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u64..6, prop::collection::vec(0_usize..400, 1..5))
            .prop_map(|(epoch, sizes)| Step::Append { epoch, sizes }),
        2 => Just(Step::Sync),
        1 => (0_u64..6).prop_map(Step::Promise),
        1 => (0_u64..40).prop_map(Step::Truncate),
        1 => (0_u64..60).prop_map(Step::Cut),
        1 => any::<bool>().prop_map(|cleanly| Step::Reopen { cleanly }),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A vector of records and two numbers say all there is to say about a log.
    #[test]
    fn a_log_behaves_like_a_vector(
        steps in steps(),
        staging in prop_oneof![Just(0), 0_usize..4000],
        recycle in 0_usize..3,
        prepare in prop_oneof![Just(0), Just(1), Just(u64::MAX)],
    ) {
        let storage = MemoryStorage::new();
        let options = options().staging_bytes(staging).recycle(recycle).prepare_bytes(prepare);
        let (mut log, _) = Log::open(storage.clone(), options.clone()).expect("new");
        let (mut all, mut epoch, mut floor) = (Vec::new(), 0, 1);
        let mut ends = vec![0];
        for (label, step) in (0..).zip(steps) {
            match step {
                Step::Append { epoch: wanted, sizes } => {
                    let outcome = log.append(&batch(wanted, label, &sizes));
                    prop_assert_eq!(outcome.is_ok(), wanted >= epoch);
                    if outcome.is_ok() {
                        epoch = wanted;
                        all.extend(sizes.iter().enumerate().map(|(at, &size)| payload(label, at, size)));
                        ends.push(all.len() as u64);
                    }
                }
                Step::Sync => prop_assert_eq!(log.sync(), Ok(Lsn::new(all.len() as u64))),
                Step::Promise(wanted) => {
                    prop_assert_eq!(log.promise_epoch(Epoch::new(wanted)).is_ok(), wanted >= epoch);
                    epoch = epoch.max(wanted);
                }
                Step::Truncate(before) => {
                    log.truncate_before(Lsn::new(before)).expect("healthy");
                    floor = floor.max(before.min(all.len() as u64 + 1));
                    prop_assert!(log.oldest().get() <= floor, "dropped more than was asked for");
                }
                Step::Cut(last) => {
                    let outcome = log.truncate_after(Lsn::new(last), Lsn::ZERO);
                    prop_assert_eq!(outcome.is_ok(), ends.contains(&last) && last + 1 >= log.oldest().get());
                    if outcome.is_ok() {
                        all.truncate(last as usize);
                        ends.retain(|&end| end <= last);
                    }
                }
                Step::Reopen { cleanly } => {
                    if cleanly {
                        log.close().expect("healthy");
                    } else {
                        // What is only staged goes with the process.
                        prop_assert_eq!(log.flush(), Ok(log.last()));
                    }
                    let (opened, report) = Log::open(storage.clone(), options.clone()).expect("healthy");
                    prop_assert_eq!(report.cut, None);
                    log = opened;
                }
            }
            if let Some(mut pending) = log.begin_prepare() {
                let outcome = pending.run();
                prop_assert_eq!(log.finish_prepare(pending, outcome), Ok(()));
            }
            prop_assert_eq!(log.last().get(), all.len() as u64);
            prop_assert!(log.durable() <= log.written() && log.written() <= log.last());
            prop_assert_eq!(log.epoch().get(), epoch);
            let read: Vec<_> = records(&log).into_iter().map(|record| record.payload).collect();
            let (oldest, written) = (log.oldest().get() as usize - 1, log.written().get() as usize);
            prop_assert_eq!(&read[..], &all[oldest..written.max(oldest)]);
        }
    }
}
