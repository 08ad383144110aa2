//! The bytes and digests of one value of each type of map and of the counters made for maps, to the bit.
//! `docs/formats.md` explains them.
//!
//! A change here is a change of the format: it needs a new format version, not a new constant.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::dotted::Dotted;
use crdt_core::{
    BoundedCounter, Crdt, GCounter, Hlc, LwwMap, OrMap, ReplicaId, ResetCounter, Stamp, VersionDigest,
    composite,
};

use crate::common::by;
use crate::exact::assert_golden;

const A: ReplicaId = ReplicaId::from_u128(0xa0a1_a2a3_a4a5_a6a7_a8a9_aaab_acad_aeaf);
const B: ReplicaId = ReplicaId::from_u128(0xb0b1_b2b3_b4b5_b6b7_b8b9_babb_bcbd_bebf);

#[test]
fn bottom() {
    assert_golden(
        &LwwMap::<u64, u64>::default(),
        "43524454 0100 0d00 0000000000000000 0100000000000000",
        "00",
        0,
    );
    assert_golden(
        &OrMap::<u64, ResetCounter>::default(),
        "43524454 0100 0e00 0000000000000000 0200000000000000",
        "00 00",
        0,
    );
    assert_golden(
        &BoundedCounter::default(),
        "43524454 0100 0f00 0000000000000000 0100000000000000",
        "00",
        0,
    );
    assert_golden(
        &ResetCounter::default(),
        "43524454 0100 1000 0000000000000000 0200000000000000",
        "00 00",
        0,
    );
}

#[test]
fn lww_map() {
    let stamp = |millis| Stamp { time: Hlc::new(millis, 7), replica: A };
    let mut map = LwwMap::default();
    map.set(stamp(300), String::from("fig"), -3_i64).unwrap();
    map.set(stamp(5), "plum".into(), 1).unwrap();
    map.remove(stamp(6), &"plum".into()).unwrap();
    assert_golden(
        &map,
        "43524454 0100 0d00 0000000000000000 3500000000000000",
        "02 03666967   01 fb2c01 07 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 00 05
            04706c756d 01 06 07 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01",
        0x6d15_7bde_bc27_6647_d93b_7906_3ad4_ee29,
    );
}

#[test]
fn reset_counter() {
    let mut counter = ResetCounter::default();
    for amount in [5, 5, -3] {
        counter.add(by(A), amount).unwrap();
    }
    let mut other = ResetCounter::default();
    other.increment(by(B), 1).unwrap();
    other.reset();
    other.increment(by(B), 300).unwrap();
    let _ = counter.merge(&other);
    // Alive: A's 1..=2 with 5 each, A's 3 with -3, B's 2 with 300. Seen: these and B's 1.
    assert_golden(
        &counter,
        "43524454 0100 1000 0000000000000000 5500000000000000",
        "02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 02 00 01 0a 00 00 05
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 01 00 fb5802
         02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 02
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 01",
        0xa496_57b9_b238_8267_1087_f444_98ef_4ae0,
    );
}

#[test]
fn or_map() {
    let mut map: OrMap<String, ResetCounter> = OrMap::default();
    map.update("fig".into(), |counter| counter.increment(by(A), 1)).unwrap();
    map.update("plum".into(), |counter| counter.increment(by(A), 1)).unwrap();
    map.update("plum".into(), |counter| counter.decrement(by(B), 2)).unwrap();
    map.remove("fig");
    assert_golden(
        &map,
        "43524454 0100 0e00 0000000000000000 5600000000000000",
        "01 04706c756d 02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 01 00 02
                          b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 00 03
         02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 01
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 00",
        0xf547_2a9a_2c35_61f5_d849_c0b6_1731_1249,
    );
}

#[test]
fn or_map_of_dotted_values() {
    let mut map: OrMap<u8, Dotted<GCounter>> = OrMap::default();
    map.update(7, |counter| counter.update(by(A), |counter| drop(counter.increment(by(A), 9)))).unwrap();
    assert_golden(
        &map,
        "43524454 0100 0e00 0000000000000000 3a00000000000000",
        "01 07 01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 09
         01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 00",
        0x9770_9c5a_caae_1cd8_60d7_2282_d13d_60da,
    );
}

#[test]
fn bounded_counter() {
    let mut counter = BoundedCounter::default();
    counter.increment(by(A), 300).unwrap();
    counter.transfer(by(A), B, 4).unwrap();
    counter.decrement(by(B), 3).unwrap();
    assert_golden(
        &counter,
        "43524454 0100 0f00 0000000000000000 3a00000000000000",
        "02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf fb2c01 00 01 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 04
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 00 03 00",
        0x9dc7_a8f9_2ac0_85c1_b0b0_1a2c_94ac_4b7e,
    );
}

/// A composite has the bytes that serde gives its struct; its digest is its own.
#[test]
fn composite() {
    composite! {
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Visits { seen: GCounter, left: GCounter }
    }
    let counter = |amount| GCounter::from_entries([(A, amount)]);
    let visits = Visits { seen: counter(3), left: counter(2) };
    let digest: u128 = 0x3a55_8fb4_cbc2_9906_3b73_fac1_2887_5ba7;
    assert_eq!(format!("{:#034x}", visits.version_digest()), format!("{digest:#034x}"));
}
