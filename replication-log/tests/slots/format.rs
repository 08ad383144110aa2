//! The bytes of the slots' file, version 1, as `docs/formats.md` draws them. They never change: a new format
//! gets a new number.

use core::time::Duration;

use replication_log::{
    Lsn,
    ship::slot::{Extent, SlotLimits, SlotState, Slots},
    storage::FaultStorage,
};

use crate::{
    common,
    tools::{FILE, Leader, SEGMENT_BYTES, seconds},
};

fn golden_bytes() -> Vec<u8> {
    common::hex(include_str!("../golden/slots_v1.hex"))
}

/// One slot that is lost, one far into the log, one that has nothing yet.
fn golden_leader() -> FaultStorage {
    let mut leader = Leader::new(SlotLimits::none().bytes(3 * SEGMENT_BYTES));
    leader.create("reports", "analytics", seconds(0));
    while leader.state("reports") != SlotState::Lost {
        leader.write(1500);
        leader.truncate(seconds(0)).expect("healthy");
    }
    while leader.log.last() < Lsn::new(300) {
        leader.write(20);
    }
    leader.create("standby é", "", seconds(0));
    let extent = Extent { oldest: Lsn::FIRST, ..Extent::of(&leader.log) };
    leader.slots.create("new", "", Lsn::ZERO, extent, seconds(0)).expect("room");
    leader.file.save(&mut leader.slots).expect("healthy");
    leader.disk
}

#[test]
fn the_bytes_of_version_1() {
    assert_eq!(golden_leader().bytes(FILE), Some(golden_bytes()));
}

#[test]
fn slots_of_version_1_can_be_read() {
    let slots = Slots::decode(&golden_bytes(), 0x5eed, SlotLimits::none(), Duration::ZERO).expect("readable");
    let all: Vec<_> =
        slots.iter().map(|(name, slot)| (name, slot.class(), slot.state(), slot.confirmed().get())).collect();
    let expected = [
        ("new", "", SlotState::Reserved, 0),
        ("reports", "analytics", SlotState::Lost, 0),
        ("standby é", "", SlotState::Reserved, 300),
    ];
    assert_eq!(all, expected);
    assert_eq!(slots.encode(), golden_bytes());
}

#[test]
fn the_checksum_can_be_computed_from_the_document_alone() {
    let bytes = golden_bytes();
    let (body, checksum) = bytes.split_last_chunk::<4>().expect("longer");
    assert_eq!(u32::from_le_bytes(*checksum), common::crc32c(body));
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let bytes = golden_bytes();
    let decode = |bytes: &[u8]| Slots::decode(bytes, 0x5eed, SlotLimits::none(), Duration::ZERO);
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit}");
    }
}
