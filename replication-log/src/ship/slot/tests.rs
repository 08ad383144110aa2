//! Unit tests: the bookkeeping of slots, and the file.

use alloc::{format, vec, vec::Vec};
use core::time::Duration;
use proptest::prelude::*;

use super::*;
use crate::{
    Epoch, Log, LogOptions, Lsn, Malformed, RecordKind, checksum,
    limits::{MAX_SLOT_EVENTS, MAX_SLOT_NAME_BYTES, MAX_SLOTS},
    storage::MemoryStorage,
};

const START: Duration = Duration::ZERO;

fn slots() -> Slots {
    Slots::new(0x5eed, SlotLimits::none(), START)
}

fn extent(oldest: u64, durable: u64) -> Extent {
    Extent { oldest: Lsn::new(oldest), durable: Lsn::new(durable) }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A log of so many records of 1000 bytes, three to a segment, and room for slots beside it.
fn log_of(records: u64) -> (Log<MemoryStorage>, SlotFile<MemoryStorage>) {
    let storage = MemoryStorage::new();
    let options = LogOptions::new(0x5eed).segment_bytes(4096).preallocate_bytes(0);
    let (mut log, _) = Log::open(storage.clone(), options).expect("new");
    write(&mut log, records);
    (log, SlotFile::open(storage).expect("healthy"))
}

fn write(log: &mut Log<MemoryStorage>, records: u64) {
    for _ in 0..records {
        log.append_record(Epoch::ZERO, RecordKind(1), &[b'x'; 1000]).expect("fits");
    }
    log.sync().expect("healthy");
}

#[test]
fn a_slot_is_created_within_bounds_only() {
    let mut slots = slots();
    let extent = extent(10, 20);
    assert_eq!(slots.create("", "", Lsn::new(15), extent, START), Err(CreateSlotError::Name { limit: 63 }));
    let long = "x".repeat(MAX_SLOT_NAME_BYTES + 1);
    assert_eq!(
        slots.create("a", &long, Lsn::new(15), extent, START),
        Err(CreateSlotError::Name { limit: 63 })
    );
    let gone = OutsideLog::Gone { needed: Lsn::new(9), oldest: Lsn::new(10) };
    assert_eq!(slots.create("a", "", Lsn::new(8), extent, START), Err(gone.into()));
    let ahead = OutsideLog::Ahead { asked: Lsn::new(21), durable: Lsn::new(20) };
    assert_eq!(slots.create("a", "", Lsn::new(21), extent, START), Err(ahead.into()));
    slots.create("a", "", Lsn::new(9), extent, START).expect("it needs 10 next");
    assert_eq!(slots.create("a", "", Lsn::new(9), extent, START), Err(CreateSlotError::Exists));
    for number in 1..MAX_SLOTS {
        slots.create(&format!("{number}"), "", Lsn::new(20), extent, START).expect("room");
    }
    let full = CreateSlotError::TooMany { limit: MAX_SLOTS };
    assert_eq!(slots.create("one more", "", Lsn::new(20), extent, START), Err(full));
    assert_eq!(slots.retain_from(), Some(Lsn::new(10)));
}

#[test]
fn one_follower_at_a_time_and_none_beyond_the_log() {
    let mut slots = slots();
    slots.create("a", "", Lsn::new(5), extent(1, 9), START).expect("room");
    assert_eq!(slots.attach("b", at(1)), Err(AttachError::Unknown));
    assert_eq!(slots.attach("a", at(1)), Ok(Lsn::new(5)));
    assert_eq!(slots.attach("a", at(2)), Err(AttachError::InUse));
    assert_eq!(slots.drop_slot("a"), Err(DropSlotError::InUse { state: SlotState::Reserved }));

    assert_eq!(slots.confirm("a", Lsn::new(7), Lsn::new(9)), Ok(true));
    assert_eq!(slots.confirm("a", Lsn::new(6), Lsn::new(9)), Ok(false), "a late message");
    let ahead = ConfirmError::Ahead { asked: Lsn::new(10), durable: Lsn::new(9) };
    assert_eq!(slots.confirm("a", Lsn::new(10), Lsn::new(9)), Err(ahead));
    assert_eq!(slots.confirm("b", Lsn::new(7), Lsn::new(9)), Err(ConfirmError::Unknown));
    assert_eq!(slots.get("a").map(Slot::confirmed), Some(Lsn::new(7)));

    assert_eq!(slots.get("a").map(|slot| slot.idle(at(8))), Some(START), "somebody is there");
    assert!(slots.detach("a", at(8)) && !slots.detach("a", at(9)));
    assert_eq!(slots.get("a").map(|slot| slot.idle(at(11))), Some(at(3)));
    slots.drop_slot("a").expect("nobody is there");
    assert_eq!((slots.drop_slot("a"), slots.retain_from()), (Err(DropSlotError::Unknown), None));
}

#[test]
fn what_is_kept_is_decided_by_the_file_and_not_by_memory() {
    let (log, file) = log_of(30);
    let mut slots = file.load(&log, SlotLimits::none(), START).expect("none yet");
    slots.create("a", "", Lsn::new(5), Extent::of(&log), START).expect("room");
    slots.create("b", "", Lsn::new(8), Extent::of(&log), START).expect("room");
    assert_eq!(file.save(&mut slots), Ok(true));
    assert_eq!(file.save(&mut slots), Ok(false), "nothing has changed");

    slots.confirm("a", Lsn::new(20), log.durable()).expect("durable");
    assert_eq!(slots.retain_from(), Some(Lsn::new(6)), "after a crash it would ask for 6");
    file.save(&mut slots).expect("healthy");
    assert_eq!(slots.retain_from(), Some(Lsn::new(9)));
    slots.drop_slot("b").expect("nobody is there");
    assert_eq!(slots.retain_from(), Some(Lsn::new(9)), "after a crash it would be there again");
    file.save(&mut slots).expect("healthy");
    assert_eq!(slots.retain_from(), Some(Lsn::new(21)));

    slots.reset("a", Lsn::new(3), Extent::of(&log), START).expect("all of it is there");
    assert_eq!(slots.retain_from(), Some(Lsn::new(4)), "and so does what is not saved yet");
}

#[test]
fn the_slots_are_written_only_when_a_segment_can_be_dropped() {
    let (mut log, file) = log_of(30);
    let mut slots = file.load(&log, SlotLimits::none(), START).expect("none yet");
    slots.create("a", "", Lsn::ZERO, Extent::of(&log), START).expect("room");
    file.save(&mut slots).expect("healthy");
    let mut saves = 0;
    for lsn in (1..=30).map(Lsn::new) {
        slots.confirm("a", lsn, log.durable()).expect("durable");
        let report = slots.truncate(START, &mut log, &file, Lsn::new(31)).expect("healthy");
        assert!(report.lost.is_empty() && report.oldest <= lsn.next().expect("small"));
        saves += u32::from(report.saved);
    }
    assert_eq!((saves, log.oldest()), (9, Lsn::new(28)), "30 records in 10 segments of 3");
}

#[test]
fn a_record_the_caller_needs_stays_whatever_the_slots_say() {
    let (mut log, file) = log_of(30);
    let mut slots = file.load(&log, SlotLimits::none(), START).expect("none yet");
    let report = slots.truncate(START, &mut log, &file, Lsn::new(14)).expect("healthy");
    assert_eq!(report, TruncatedSlots { oldest: Lsn::new(13), saved: true, lost: vec![] });
}

#[test]
fn each_limit_says_which_it_was_and_by_how_much() {
    let (mut log, file) = log_of(1);
    let rules = SlotRules::new(SlotLimits::none().soft_bytes(4096))
        .class("hard", SlotLimits::none().bytes(4096))
        .class("old", SlotLimits::none().age(at(10)))
        .class("idle", SlotLimits::none().idle(at(20)));
    let mut slots = file.load(&log, rules, START).expect("none yet");
    for class in ["hard", "idle", "old", "soft"] {
        slots.create(class, class, Lsn::ZERO, Extent::of(&log), START).expect("room");
    }
    slots.assess(START, &log);
    assert_eq!(slots.poll_event(), None);
    write(&mut log, 5);
    slots.assess(at(30), &log);
    let kept = log.bytes_from(Lsn::FIRST);
    let expected = [
        ("hard", SlotState::Unreserved, Why::Bytes { kept, limit: 4096 }),
        ("idle", SlotState::Unreserved, Why::Idle { idle: at(30), limit: at(20) }),
        ("old", SlotState::Unreserved, Why::Age { age: at(30), limit: at(10) }),
        ("soft", SlotState::Extended, Why::Bytes { kept, limit: 4096 }),
    ];
    let from = SlotState::Reserved;
    for (slot, to, why) in expected {
        assert_eq!(slots.poll_event(), Some(SlotEvent::Changed { slot: slot.into(), from, to, why }));
        assert_eq!(slots.get(slot).map(|slot| (slot.state(), slot.why())), Some((to, why)));
    }
    slots.assess(at(30), &log);
    assert_eq!(slots.poll_event(), None, "only what changes is an event");
}

#[test]
fn whoever_truncates_alone_finds_the_slots_lost() {
    let (mut log, file) = log_of(30);
    let mut slots = file.load(&log, SlotLimits::none(), START).expect("none yet");
    slots.create("a", "", Lsn::new(3), Extent::of(&log), START).expect("room");
    log.truncate_before(Lsn::new(20)).expect("healthy");
    slots.assess(START, &log);
    let (from, to) = (SlotState::Reserved, SlotState::Lost);
    let why = Why::Gone { needed: Lsn::new(4), oldest: Lsn::new(19) };
    assert_eq!(slots.poll_event(), Some(SlotEvent::Changed { slot: "a".into(), from, to, why }));
    assert_eq!(slots.retain_from(), None);
    assert_eq!(slots.attach("a", START), Err(AttachError::Lost));
    assert_eq!(slots.confirm("a", Lsn::new(30), log.durable()), Err(ConfirmError::Lost));
    slots.assess(START, &log);
    assert_eq!(slots.get("a").map(Slot::state), Some(to), "for good");
    let gone = OutsideLog::Gone { needed: Lsn::new(6), oldest: Lsn::new(19) };
    assert_eq!(slots.reset("a", Lsn::new(5), Extent::of(&log), START), Err(gone.into()));
    slots.reset("a", Lsn::new(18), Extent::of(&log), START).expect("19 is there");
    let (from, to) = (to, from);
    assert_eq!(slots.poll_event(), Some(SlotEvent::Changed { slot: "a".into(), from, to, why: Why::Reset }));
    assert_eq!(slots.attach("a", START), Ok(Lsn::new(18)));
}

#[test]
fn a_cut_takes_confirmations_back_and_says_so() {
    let mut slots = slots();
    slots.create("a", "", Lsn::new(5), extent(1, 9), START).expect("room");
    slots.create("b", "", Lsn::new(9), extent(1, 9), START).expect("room");
    slots.cut(Lsn::new(7));
    let rewound = SlotEvent::Rewound { slot: "b".into(), from: Lsn::new(9), to: Lsn::new(7) };
    assert_eq!((slots.poll_event(), slots.poll_event()), (Some(rewound), None));
    assert_eq!(slots.get("b").map(Slot::confirmed), Some(Lsn::new(7)));
}

#[test]
fn events_that_nobody_fetches_are_counted_and_not_kept() {
    let mut slots = slots();
    slots.create("a", "", Lsn::new(5), extent(1, 9), START).expect("room");
    for _ in 0..MAX_SLOT_EVENTS + 3 {
        slots.confirm("a", Lsn::new(9), Lsn::new(9)).expect("durable");
        slots.cut(Lsn::new(5));
    }
    assert_eq!(slots.missed_events(), 3);
    assert_eq!(core::iter::from_fn(|| slots.poll_event()).count(), MAX_SLOT_EVENTS);
}

fn any_slots() -> impl Strategy<Value = Slots> {
    let slot = ("[a-zé]{1,8}", "[a-z]{0,3}", any::<u64>(), any::<bool>());
    prop::collection::vec(slot, 0..6).prop_map(|chosen| {
        let mut slots = slots();
        for (name, class, confirmed, lost) in chosen {
            let state = if lost { SlotState::Lost } else { SlotState::Reserved };
            slots.by_name.insert(name, Slot::new(class, Lsn::new(confirmed), state, START));
        }
        slots
    })
}

fn decode(bytes: &[u8]) -> Result<Slots, SlotsFileError> {
    Slots::decode(bytes, 0x5eed, SlotLimits::none(), START)
}

/// Bytes with the checksum they ought to have.
fn stamped(mut body: Vec<u8>) -> Vec<u8> {
    let checksum = checksum::extend(0, &body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_nothing_else(
        slots in any_slots(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let bytes = slots.encode();
        prop_assert_eq!(decode(&bytes).expect("written here").by_name, slots.by_name);

        let mut damaged = bytes.clone();
        let at = at.index(bytes.len());
        damaged[at] = to;
        prop_assert_eq!(decode(&damaged).is_ok(), damaged == bytes);
        prop_assert!(decode(&bytes[..at]).is_err());

        // Even with a checksum that fits there is one way to write anything.
        let restamped = stamped(damaged[..damaged.len() - 4].to_vec());
        if let Ok(read) = decode(&restamped) {
            prop_assert_eq!(read.encode(), restamped);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_canonical(rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut body = slots().encode();
        body.truncate(20);
        body.extend(rest);
        let bytes = stamped(body);
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn what_is_not_this_logs_or_this_versions_is_told_apart_from_damage() {
    let bytes = slots().encode();
    let other = Slots::decode(&bytes, 7, SlotLimits::none(), START).map(drop);
    assert_eq!(other, Err(SlotsFileError::OtherLog { found: 0x5eed, expected: 7 }));
    let mut newer = bytes.clone();
    newer[8] = 2;
    let refused = SlotsFileError::UnsupportedVersion { found: 2, supported: 1 };
    assert_eq!(decode(&newer).map(drop), Err(refused));
    assert_eq!(decode(&[]).map(drop), Err(SlotsFileError::Damaged));

    let mut many = bytes[..20].to_vec();
    crate::bytes::put_count(&mut many, MAX_SLOTS + 1);
    let too_much = Malformed::TooMuch { what: "slots", limit: MAX_SLOTS };
    assert_eq!(decode(&stamped(many)).map(drop), Err(too_much.into()));
    let twice = [&bytes[..20], &[2, 1, b'a', 0, 0, 5, 1, b'a', 0, 0, 5]].concat();
    assert!(matches!(decode(&stamped(twice)).map(drop), Err(SlotsFileError::Malformed(Malformed::Shape(_)))));
}

#[test]
fn a_file_longer_than_slots_can_be_is_refused_unread() {
    let (log, file) = log_of(1);
    let storage = log.storage().clone();
    storage.set_bytes("replication.slots", vec![0; format::MAX_FILE_BYTES + 1]);
    let refused = file.load(&log, SlotLimits::none(), START).map(drop);
    assert_eq!(refused, Err(SlotsFileError::Damaged));
}
