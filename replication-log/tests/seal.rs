//! Batches at rest, compressed and encrypted: what is read back is what was appended, and what
//! cannot be read is told apart from what is damaged.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod common;

use common::{batch, crc32c, hex, image, open, options};
use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, OpenError, RecordKind, SegmentId, storage::FaultStorage,
};

const FIRST: &str = "0000000000000001.log";
const HEADER: usize = 80;
const BATCH_HEADER: usize = 40;

/// Opens and expects a refusal that touches nothing.
fn refusal(disk: &FaultStorage, options: LogOptions) -> OpenError {
    let before = image(disk);
    let refused = Log::open(disk.clone(), options).map(drop).expect_err("refused");
    assert_eq!(image(disk), before, "a refusal touched the files");
    refused
}

/// What somebody can do who writes to the disk and knows this crate, but no key: change the first
/// batch of a log and make its checksums right again.
fn forge(disk: &FaultStorage, change: impl FnOnce(&mut [u8])) {
    let mut bytes = disk.bytes(FIRST).expect("there");
    let end = HEADER + BATCH_HEADER + u32::from_le_bytes(le(&bytes, HEADER + 4)) as usize;
    change(&mut bytes[HEADER..end]);
    let bound = [&bytes[24..32], &(HEADER as u64).to_le_bytes(), &bytes[HEADER + 4..HEADER + 40]].concat();
    bytes[HEADER..HEADER + 4].copy_from_slice(&crc32c(&bound).to_le_bytes());
    disk.set_bytes(FIRST, bytes);
}

fn le<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("in range")
}

/// A log of one batch, without zeros behind it.
fn one_batch(options: LogOptions, payload: &[u8]) -> FaultStorage {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(disk.clone(), options.preallocate_bytes(0)).expect("new");
    log.append(&Batch::of(Epoch::new(3), RecordKind(1), payload).expect("small")).expect("fits");
    log.sync().expect("healthy");
    disk
}

#[test]
fn an_intact_batch_of_an_unknown_kind_is_unsupported_and_never_cut() {
    for kind in [0x05, 0x0f, 0x10, 0x41, 0x81, 0x12, 0xff] {
        let disk = one_batch(options(), b"milk");
        forge(&disk, |batch| batch[36] = kind);
        let refused = refusal(&disk, options());
        assert_eq!(refused, OpenError::UnsupportedBatch { segment: SegmentId::FIRST, offset: 80, kind });
        assert!(refused.to_string().contains(&format!("{kind:#04x}")), "{refused}");
    }
}

#[test]
fn a_kind_that_was_flipped_is_damage_like_any_other_flip() {
    let disk = one_batch(options(), b"milk");
    disk.flip_bit(FIRST, (HEADER + 36) * 8 + 6);
    let (log, report) = open(&disk).expect("nothing states that this was durable");
    assert_eq!((log.durable(), report.cut.is_some()), (Lsn::ZERO, true));
}

#[test]
fn an_unknown_kind_behind_a_hole_counts_as_what_was_there() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[30])).expect("fits");
    log.sync().expect("healthy");
    let second = HEADER + BATCH_HEADER + 32;
    log.append(&batch(1, 2, &[30])).expect("fits");
    // The second batch, which states that the first is durable, is of another version of this crate.
    let mut bytes = disk.bytes(FIRST).expect("there");
    bytes[second + 36] = 0x41;
    let bound = [&bytes[24..32], &(second as u64).to_le_bytes(), &bytes[second + 4..second + 40]].concat();
    bytes[second..second + 4].copy_from_slice(&crc32c(&bound).to_le_bytes());
    disk.set_bytes(FIRST, bytes);
    assert!(matches!(refusal(&disk, options()), OpenError::UnsupportedBatch { offset: 152, .. }));
    disk.flip_bit(FIRST, (HEADER + 50) * 8);
    let OpenError::Corrupt(corruption) = refusal(&disk, options()) else { panic!("the flip got lost") };
    assert_eq!((corruption.offset, corruption.stated_durable), (80, Lsn::FIRST));

    // One with a number that no log reaches is chance: random bytes, whose checksum happens to fit.
    let mut bytes = disk.bytes(FIRST).expect("there");
    bytes[second + 8..second + 16].copy_from_slice(&(1_u64 << 48).to_le_bytes());
    let bound = [&bytes[24..32], &(second as u64).to_le_bytes(), &bytes[second + 4..second + 40]].concat();
    bytes[second..second + 4].copy_from_slice(&crc32c(&bound).to_le_bytes());
    disk.set_bytes(FIRST, bytes);
    let (_, report) = open(&disk).expect("nothing states that this was durable");
    assert_eq!(report.cut.map(|cut| cut.batches), Some(1), "the flipped one's own header");
}

#[test]
#[cfg(not(feature = "lz4"))]
fn a_compressed_log_asks_for_the_feature_that_is_missing() {
    let disk = FaultStorage::new();
    disk.set_bytes(FIRST, hex(include_str!("golden/compressed_v1.hex")));
    let refused = refusal(&disk, options());
    let feature = "lz4";
    assert_eq!(refused, OpenError::FeatureMissing { segment: SegmentId::FIRST, offset: 80, feature });
    assert!(refused.to_string().contains("feature `lz4`"), "{refused}");
}

#[test]
#[cfg(not(feature = "encryption"))]
fn an_encrypted_log_asks_for_the_feature_that_is_missing() {
    let disk = FaultStorage::new();
    disk.set_bytes(FIRST, hex(include_str!("golden/sealed_v1.hex")));
    let feature = "encryption";
    let refused = OpenError::FeatureMissing { segment: SegmentId::FIRST, offset: 80, feature };
    assert_eq!(refusal(&disk, options()), refused);
}

#[cfg(feature = "lz4")]
mod compression {
    use super::*;
    use common::records;
    use replication_log::{limits::MAX_BATCH_BYTES, seal::Sealing};

    fn compressed() -> LogOptions {
        options().seal(Sealing::plain().compressed())
    }

    #[test]
    fn the_bytes_of_a_compressed_batch() {
        // Another release of the compressor may find a shorter block; what was written stays readable.
        let disk = FaultStorage::new();
        disk.set_bytes(FIRST, hex(include_str!("golden/compressed_v1.hex")));
        let (log, report) = open(&disk).expect("what is compressed is read whatever is written");
        assert_eq!((report.last, report.cut), (Lsn::FIRST, None));
        assert_eq!(records(&log)[0].payload, [b'x'; 100]);
    }

    #[test]
    fn compression_is_kept_only_where_it_saves_bytes() {
        let length = |payload: &[u8]| one_batch(compressed(), payload).bytes(FIRST).expect("there").len();
        assert!(length(&[b'x'; 1000]) < 200);
        let (noise, plain) = (noise(1, 1000), HEADER + BATCH_HEADER + 3);
        assert_eq!(length(&noise), plain + 1000, "not one byte more than without it");
        assert_eq!(one_batch(compressed(), &noise).bytes(FIRST), one_batch(options(), &noise).bytes(FIRST));
        assert_eq!(length(b""), plain - 1);
    }

    #[test]
    fn any_bit_flipped_in_a_compressed_body_is_damage() {
        let disk = one_batch(compressed(), &[b'x'; 1000]);
        for bit in 8 * HEADER..8 * disk.bytes(FIRST).expect("there").len() {
            disk.flip_bit(FIRST, bit);
            let known = options().known_durable(Lsn::FIRST);
            assert!(matches!(refusal(&disk, known), OpenError::Corrupt(_)), "bit {bit}");
            disk.flip_bit(FIRST, bit);
        }
        assert!(open(&disk).is_ok());
    }

    #[test]
    fn a_compressed_body_that_claims_more_than_a_batch_may_hold_is_damage() {
        for claimed in [0, 1, 1002, 1004, 65_536, MAX_BATCH_BYTES as u32 + 1, u32::MAX] {
            let disk = one_batch(compressed(), &[b'x'; 1000]);
            forge(&disk, |batch| {
                let (header, body) = batch.split_at_mut(BATCH_HEADER);
                body[..4].copy_from_slice(&claimed.to_le_bytes());
                let checksum = continued(&header[32..36], &[&body[..4], &body[8..]].concat());
                body[4..8].copy_from_slice(&checksum.to_le_bytes());
            });
            let (log, report) = open(&disk).expect("nothing states that this was durable");
            assert_eq!((log.durable(), report.cut.is_some()), (Lsn::ZERO, true), "{claimed}");
        }
    }
}

/// Bytes that nothing can compress.
#[cfg(feature = "lz4")]
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        Some(((*state ^ (*state >> 22)) >> 41) as u8)
    };
    std::iter::repeat(()).scan(seed, |state, ()| next(state)).take(size).collect()
}

/// CRC32C of `bytes`, continuing the checksum stored in `before`.
#[cfg(any(feature = "lz4", feature = "encryption"))]
fn continued(before: &[u8], bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
    };
    let before = u32::from_le_bytes(le(before, 0));
    !bytes.iter().fold(!before, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(feature = "encryption")]
mod encryption {
    use std::collections::BTreeSet;

    use super::*;
    use common::{Model, payload, records};
    use replication_log::{
        Damage, repair, repair_sealed,
        seal::{SealKey, Sealing},
        storage::{Keep, Storage, StorageFile, Survivors},
    };

    /// What encryption adds to a batch: key check, nonce, checksum of the two, and tag.
    const OVERHEAD: usize = 8 + 24 + 4 + 16;

    fn key(number: u8) -> SealKey {
        SealKey::new([number; 32])
    }

    /// Key 1, and fresh bytes that no other opening of a test draws.
    fn drawn(fresh: u8) -> LogOptions {
        options().seal(Sealing::plain().encrypted(key(1), [fresh; 16]))
    }

    /// Only to read with.
    fn reading(number: u8) -> LogOptions {
        options().seal(Sealing::plain().also_reads(key(number)))
    }

    /// The headers and bodies of all batches in a segment, up to the first zeros.
    fn batches(disk: &FaultStorage, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = disk.bytes(name).expect("there");
        let (mut offset, mut found) = (HEADER, Vec::new());
        while bytes.get(offset + 36).is_some_and(|&kind| kind != 0) {
            let body = offset + BATCH_HEADER;
            let end = body + u32::from_le_bytes(le(&bytes, offset + 4)) as usize;
            found.push((bytes[offset..body].to_vec(), bytes[body..end].to_vec()));
            offset = end;
        }
        found
    }

    #[test]
    fn what_is_encrypted_is_read_back_and_cannot_be_read_on_the_disk() {
        let disk = FaultStorage::new();
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).expect("new");
        let secret = b"the safe opens with 4711";
        for _ in 0..3 {
            log.append(&Batch::of(Epoch::ZERO, RecordKind(1), secret).expect("small")).expect("fits");
        }
        log.sync().expect("healthy");
        assert!(records(&log).iter().all(|record| record.payload == secret));
        assert_eq!(log.position(Lsn::new(2)).expect("durable").lsn, Lsn::new(2));
        log.close().expect("healthy");
        let bytes = disk.bytes(FIRST).expect("there");
        assert!(!bytes.windows(8).any(|window| secret.windows(8).any(|part| part == window)));
        let texts =
            batches(&disk, FIRST).into_iter().filter_map(|(_, body)| body.get(36..).map(<[u8]>::to_vec));
        let bodies: BTreeSet<_> = texts.collect();
        assert_eq!(bodies.len(), 3, "equal records do not look equal");
        let (log, report) = Log::open(disk, drawn(2)).expect("closed");
        assert!(report.closed_cleanly);
        assert!(records(&log).iter().all(|record| record.payload == secret));
    }

    #[test]
    fn a_wrong_key_is_an_error_of_its_own_and_never_corruption() {
        let disk = one_batch(drawn(1), b"milk");
        let (segment, offset) = (SegmentId::FIRST, 80);
        assert_eq!(refusal(&disk, reading(2)), OpenError::WrongKey { segment, offset });
        assert_eq!(refusal(&disk, options()), OpenError::KeyRequired { segment, offset });
        let wrong = options().seal(Sealing::plain().encrypted(key(2), [9; 16]));
        assert_eq!(refusal(&disk, wrong), OpenError::WrongKey { segment, offset });
        assert_eq!(repair(&disk), Err(OpenError::KeyRequired { segment, offset }), "no reason to cut it");
        let (log, _) = Log::open(disk, reading(1)).expect("the right one");
        assert_eq!(records(&log)[0].payload, b"milk");
    }

    #[test]
    fn a_torn_or_flipped_batch_is_not_taken_for_a_wrong_key() {
        let whole = one_batch(drawn(1), b"milk").bytes(FIRST).expect("there");
        for kept in HEADER + BATCH_HEADER..whole.len() {
            let disk = FaultStorage::new();
            let mut torn = whole[..kept].to_vec();
            torn.resize(whole.len(), 0);
            disk.set_bytes(FIRST, torn);
            let (log, report) = Log::open(disk, drawn(2)).expect("a tear of what was not durable");
            // The last bytes may have been zeros anyway.
            assert!(report.cut.is_some() || log.durable() == Lsn::FIRST, "{kept} bytes");
        }
    }

    #[test]
    fn a_bit_flip_is_an_authenticated_failure_and_damage_by_the_hole_rule() {
        let disk = FaultStorage::new();
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).expect("new");
        log.append(&batch(1, 1, &[30])).expect("fits");
        log.sync().expect("healthy");
        log.append(&batch(1, 2, &[30])).expect("fits");
        let all = records(&log);
        drop(log);
        let batch_bytes = BATCH_HEADER + OVERHEAD + 2 + 30;
        for bit in 8 * HEADER..8 * (HEADER + 2 * batch_bytes) {
            let flipped = FaultStorage::new();
            flipped.set_bytes(FIRST, disk.bytes(FIRST).expect("there"));
            flipped.flip_bit(FIRST, bit);
            if bit / 8 < HEADER + batch_bytes {
                let OpenError::Corrupt(corruption) = refusal(&flipped, drawn(2)) else {
                    panic!("bit {bit} is no corruption")
                };
                assert_eq!((corruption.offset, corruption.damage), (80, Damage::Batch), "bit {bit}");
            } else {
                let (log, report) = Log::open(flipped, drawn(2)).expect("nothing states it was durable");
                assert!(report.cut.is_some(), "bit {bit} flipped unnoticed");
                assert_eq!(records(&log), all[..1]);
            }
        }
    }

    #[test]
    fn a_forger_who_makes_every_checksum_right_is_refused_all_the_same() {
        let body = b"\x04\x01milk";
        let chain = |body: &[u8], epoch: u64| {
            continued(&[0; 4], &[&1_u64.to_le_bytes(), &epoch.to_le_bytes(), body].concat())
        };
        let forged = |sealed: bool, changed: &[u8], epoch: u64| {
            let disk = one_batch(if sealed { drawn(1) } else { options() }, b"milk");
            forge(&disk, |batch| {
                let (header, stored) = batch.split_at_mut(BATCH_HEADER);
                header[16..24].copy_from_slice(&epoch.to_le_bytes());
                header[32..36].copy_from_slice(&chain(changed, epoch).to_le_bytes());
                let text = if sealed { 36 } else { 0 };
                // The cipher is a stream: what is flipped in it is flipped in the records.
                for (at, (before, after)) in body.iter().zip(changed).enumerate() {
                    stored[text + at] ^= before ^ after;
                }
                if sealed {
                    let checksum = continued(&header[32..36], &stored[..32]);
                    stored[32..36].copy_from_slice(&checksum.to_le_bytes());
                }
            });
            Log::open(disk, drawn(2)).expect("nothing states that this was durable").0.durable()
        };
        assert_eq!(forged(false, b"\x04\x01silk", 3), Lsn::FIRST, "a checksum alone is no protection");
        assert_eq!(forged(true, body, 3), Lsn::FIRST, "the forger changed nothing");
        assert_eq!(forged(true, b"\x04\x01silk", 3), Lsn::ZERO, "a changed record");
        assert_eq!(forged(true, body, 2), Lsn::ZERO, "a changed epoch");
    }

    #[test]
    fn a_sealed_body_is_valid_nowhere_else() {
        // Same key, same nonce, same records, same place: only the id of the log differs.
        let sealing = Sealing::plain().encrypted(key(1), [1; 16]);
        let here = one_batch(LogOptions::new(1).seal(sealing.clone()), b"milk");
        let there = one_batch(LogOptions::new(2).seal(sealing), b"milk");
        let opens = |disk: &FaultStorage| Log::open(disk.clone(), reading(1)).expect("readable").0.durable();
        let (_, body) = batches(&there, FIRST).remove(0);
        assert_ne!(batches(&here, FIRST)[0].1, body);
        forge(&here, |batch| batch[BATCH_HEADER..].copy_from_slice(&body));
        assert_eq!(opens(&here), Lsn::ZERO);
        assert_eq!(opens(&there), Lsn::FIRST);
    }

    #[test]
    fn no_nonce_is_used_twice_after_a_restart_or_after_a_tail_was_cut() {
        let (disk, mut nonces, mut written) = (FaultStorage::new(), BTreeSet::new(), 0);
        for opening in 0..6_u8 {
            let (mut log, _) = Log::open(disk.clone(), drawn(opening)).expect("a crash is no corruption");
            let kept = log.durable();
            for label in 0..3 {
                log.append(&batch(1, label, &[20])).expect("fits");
                // One batch of each opening becomes durable, the others are lost with the power.
                if label == 0 {
                    log.sync().expect("healthy");
                }
            }
            let new = batches(&disk, FIRST).split_off(kept.get() as usize);
            assert_eq!(new.len(), 3);
            for (header, body) in new {
                assert_eq!(header[36], 0x21);
                nonces.insert(body[8..32].to_vec());
                written += 1;
            }
            disk.crash(Survivors::NOTHING);
        }
        assert_eq!((nonces.len(), written), (18, 18));
    }

    #[test]
    fn fresh_bytes_that_are_not_fresh_are_refused() {
        let disk = one_batch(drawn(1), b"milk");
        let (segment, offset) = (SegmentId::FIRST, 80);
        assert_eq!(refusal(&disk, drawn(1)), OpenError::FreshBytesReused { segment, offset });
        let other_key = Sealing::plain().encrypted(key(2), [1; 16]).also_reads(key(1));
        assert!(Log::open(disk, options().seal(other_key)).is_ok(), "a nonce belongs to its key");
    }

    #[test]
    fn keys_are_rotated_by_reading_with_the_old_and_writing_with_the_new_one() {
        let disk = one_batch(drawn(1), b"one");
        let both = |fresh| options().seal(Sealing::plain().encrypted(key(2), [fresh; 16]).also_reads(key(1)));
        let (mut log, _) = Log::open(disk.clone(), both(2)).expect("both keys");
        log.append(&Batch::of(Epoch::new(3), RecordKind(1), b"two").expect("small")).expect("fits");
        log.sync().expect("healthy");
        assert_eq!(records(&log).len(), 2);
        drop(log);
        // And a log can leave encryption behind the same way.
        let both_read = options().seal(Sealing::plain().also_reads(key(1)).also_reads(key(2)));
        let (mut log, _) = Log::open(disk.clone(), both_read).expect("both keys");
        log.append(&Batch::of(Epoch::new(3), RecordKind(1), b"three").expect("small")).expect("fits");
        log.close().expect("healthy");
        let offset = (HEADER + BATCH_HEADER + OVERHEAD + 5) as u64;
        let segment = SegmentId::FIRST;
        assert_eq!(refusal(&disk, reading(1)), OpenError::WrongKey { segment, offset });
        let (log, _) = Log::open(disk, both(3)).expect("both keys");
        let payloads: Vec<_> = records(&log).into_iter().map(|record| record.payload).collect();
        assert_eq!(payloads, [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn encryption_adds_the_same_few_bytes_to_every_batch_and_none_to_marks() {
        for size in [0, 1, 100, 1500] {
            let sealed = one_batch(drawn(1), &payload(1, 0, size)).bytes(FIRST).expect("there").len();
            let plain = one_batch(options(), &payload(1, 0, size)).bytes(FIRST).expect("there").len();
            assert_eq!(sealed - plain, OVERHEAD);
        }
        let disk = FaultStorage::new();
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).expect("new");
        log.promise_epoch(Epoch::new(2)).expect("healthy");
        log.close().expect("healthy");
        assert!(batches(&disk, FIRST).iter().all(|(_, body)| body.is_empty()));
        assert!(open(&disk).is_ok(), "no key is needed where nothing is encrypted");
    }

    #[test]
    fn a_batch_that_fits_only_without_its_seal_is_too_large() {
        // A copy of it may need eight bytes more, for the epoch it was written under.
        let room = 2048 - HEADER - BATCH_HEADER - 3 - OVERHEAD - 8;
        let (mut log, _) = Log::open(FaultStorage::new(), drawn(1)).expect("new");
        assert!(log.append(&batch(0, 1, &[room + 1])).is_err());
        assert!(log.append(&batch(0, 1, &[room])).is_ok());
    }

    #[test]
    fn power_cuts_leave_a_prefix_of_whole_encrypted_batches() {
        let (mut cuts, mut finished, mut stop) = (0, false, 0);
        while !finished {
            let run = || {
                let (disk, mut model) = (FaultStorage::new(), Model::default());
                disk.stop_after(stop);
                let done = workload(&disk, &mut model).is_some();
                (disk, model, done)
            };
            let (disk, _, done) = run();
            finished = done;
            let sectors = (0..disk.unsynced_sectors()).flat_map(|at| [Keep::Only(at), Keep::AllBut(at)]);
            for sectors in sectors.chain([Keep::None, Keep::All, Keep::Random(stop)]).collect::<Vec<_>>() {
                for entries in [Keep::None, Keep::All] {
                    let (disk, model, _) = run();
                    disk.crash(Survivors { sectors, entries });
                    let context = format!("stopped after {stop}, {sectors:?}, {entries:?}");
                    let opened = Log::open(disk, drawn(2));
                    let (log, report) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
                    model.check(&log, &context);
                    cuts += usize::from(report.cut.is_some());
                }
            }
            stop += 1;
        }
        assert!(cuts > 20, "only {cuts} tails were torn: the disk is too kind");
    }

    fn workload(disk: &FaultStorage, model: &mut Model) -> Option<()> {
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).ok()?;
        for (label, sizes) in [&[10][..], &[1, 600, 3], &[900], &[700, 0], &[1200]].into_iter().enumerate() {
            let batch = batch(label as u64, label as u64, sizes);
            let record = |(at, &size)| (RecordKind(at as u8), payload(label as u64, at, size));
            model.append(&batch, &sizes.iter().enumerate().map(record).collect::<Vec<_>>());
            log.append(&batch).ok()?;
            if label % 2 == 0 {
                model.durable = log.sync().ok()?;
            }
        }
        Some(())
    }

    #[test]
    fn a_damaged_encrypted_log_is_repaired_with_its_keys() {
        let disk = FaultStorage::new();
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).expect("new");
        for label in 0..3 {
            log.append(&batch(1, label, &[30])).expect("fits");
        }
        log.close().expect("healthy");
        disk.flip_bit(FIRST, 8 * (HEADER + 2 * (BATCH_HEADER + OVERHEAD + 32) + 60));
        assert!(matches!(refusal(&disk, drawn(2)), OpenError::Corrupt(_)));
        let report = repair_sealed(&disk, &Sealing::plain().also_reads(key(1))).expect("healthy");
        assert_eq!(report.last, Lsn::new(2));
        assert_eq!(records(&Log::open(disk, drawn(2)).expect("repaired").0).len(), 2);
    }

    #[test]
    fn a_batch_that_rots_while_the_log_is_open_is_corrupt() {
        let disk = FaultStorage::new();
        let (mut log, _) = Log::open(disk.clone(), drawn(1)).expect("new");
        log.append(&batch(1, 1, &[30])).expect("fits");
        log.sync().expect("healthy");
        disk.flip_bit(FIRST, 8 * (HEADER + BATCH_HEADER + OVERHEAD));
        let mut reader = log.read_from(Lsn::FIRST).expect("there");
        assert!(matches!(reader.next_record(), Err(replication_log::ReadError::Corrupt(_))));
    }

    #[test]
    fn a_key_is_not_shown() {
        let sealing = Sealing::plain().encrypted(SealKey::new([0xab; 32]), [1; 16]);
        let shown = format!("{:?}", options().seal(sealing));
        assert!(shown.contains("SealKey(..)"), "{shown}");
        assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
    }

    /// The bytes were computed from `docs/formats.md` by another implementation of the cipher.
    #[test]
    fn the_bytes_of_an_encrypted_batch() {
        let (disk, numbers) = (FaultStorage::new(), std::array::from_fn(|at| at as u8));
        let sealing = Sealing::plain().encrypted(SealKey::new(numbers), *b"drawn this once!");
        let options = LogOptions::new(0x0123_4567_89ab_cdef).preallocate_bytes(0).seal(sealing);
        let (mut log, _) = Log::open(disk.clone(), options).expect("new");
        let mut batch = Batch::new(Epoch::new(3));
        batch.push(RecordKind(1), b"milk").expect("small");
        batch.push(RecordKind(2), b"bread and butter").expect("small");
        log.append(&batch).expect("fits");
        log.flush().expect("healthy");
        assert_eq!(disk.bytes(FIRST), Some(hex(include_str!("golden/sealed_v1.hex"))));
    }

    #[test]
    fn zeros_behind_an_encrypted_log_are_its_end() {
        let disk = one_batch(drawn(1), b"milk");
        disk.open(FIRST).and_then(|file| file.set_len(2048)).expect("healthy");
        let (_, report) = Log::open(disk, drawn(2)).expect("intact");
        assert_eq!((report.last, report.cut), (Lsn::FIRST, None));
    }
}

#[cfg(all(feature = "lz4", feature = "encryption"))]
mod both {
    use super::*;
    use common::records;
    use proptest::prelude::*;
    use replication_log::seal::{SealKey, Sealing};

    #[test]
    fn bodies_are_compressed_before_they_are_encrypted() {
        let sealing = Sealing::plain().compressed().encrypted(SealKey::new([1; 32]), [1; 16]);
        let disk = one_batch(options().seal(sealing), &[b'x'; 1500]);
        let bytes = disk.bytes(FIRST).expect("there");
        assert_eq!(bytes[HEADER + 36], 0x31);
        assert!(bytes.len() < 250, "{} bytes", bytes.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn a_sealed_log_holds_what_a_plain_one_does(
            sizes in prop::collection::vec(
                prop::collection::vec((0_usize..400, any::<bool>()), 1..4),
                1..10,
            ),
            compressed in any::<bool>(),
            encrypted in any::<bool>(),
        ) {
            let sealing = |fresh| {
                let sealing = if compressed { Sealing::plain().compressed() } else { Sealing::plain() };
                let key = SealKey::new([1; 32]);
                if encrypted { sealing.encrypted(key, [fresh; 16]) } else { sealing }
            };
            let (plain, sealed) = (FaultStorage::new(), FaultStorage::new());
            let (mut oracle, _) = open(&plain).expect("new");
            let (mut log, _) = Log::open(sealed.clone(), options().seal(sealing(1))).expect("new");
            for (label, sizes) in sizes.iter().enumerate() {
                let mut batch = Batch::new(Epoch::ZERO);
                for (at, &(size, noise)) in sizes.iter().enumerate() {
                    let payload = if noise { super::noise((label * 4 + at) as u64, size) } else { vec![b'x'; size] };
                    batch.push(RecordKind(at as u8), &payload).expect("small");
                }
                prop_assert_eq!(log.append(&batch), oracle.append(&batch));
                prop_assert_eq!(log.checksum(), oracle.checksum());
            }
            log.sync().expect("healthy");
            oracle.sync().expect("healthy");
            prop_assert_eq!(records(&log), records(&oracle));
            let last = log.durable();
            prop_assert_eq!(log.position(last), oracle.position(last));
            drop(log);
            let (log, report) = Log::open(sealed, options().seal(sealing(2))).expect("intact");
            prop_assert_eq!((report.last, report.cut), (last, None));
            prop_assert_eq!(records(&log), records(&oracle));
        }
    }
}
