//! The bytes and digests of registers, flags and the sets with removal, to the bit. `docs/formats.md`
//! explains them.
//!
//! A change here is a change of the format: it needs a new format version, not a new constant.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::{Crdt, DwFlag, EwFlag, MaxRegister, MinRegister, MvRegister, ReplicaId, RwSet, TwoPhaseSet};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::by;
use crate::exact::assert_golden;

const A: ReplicaId = ReplicaId::from_u128(0xa0a1_a2a3_a4a5_a6a7_a8a9_aaab_acad_aeaf);
const B: ReplicaId = ReplicaId::from_u128(0xb0b1_b2b3_b4b5_b6b7_b8b9_babb_bcbd_bebf);

/// The envelope of a payload this long.
fn envelope(tag: &str, length: &str) -> String {
    format!("43524454 0100 {tag}00 0000000000000000 {length}00000000000000")
}

#[test]
fn bottom() {
    assert_golden(&MvRegister::<u64>::default(), &envelope("06", "02"), "00 00", 0);
    assert_golden(&MaxRegister::<u64>::default(), &envelope("07", "01"), "00", 0);
    assert_golden(&MinRegister::<u64>::default(), &envelope("08", "01"), "00", 0);
    assert_golden(&EwFlag::default(), &envelope("09", "02"), "00 00", 0);
    assert_golden(&DwFlag::default(), &envelope("0a", "02"), "00 00", 0);
    assert_golden(&TwoPhaseSet::<u64>::default(), &envelope("0b", "02"), "00 00", 0);
    assert_golden(&RwSet::<u64>::default(), &envelope("0c", "02"), "00 00", 0);
}

#[test]
fn mv_register() {
    let (mut register, mut other) = (MvRegister::default(), MvRegister::default());
    register.set(by(A), "old".to_string()).unwrap();
    register.set(by(A), "fig".to_string()).unwrap();
    other.set(by(B), "plum".to_string()).unwrap();
    let _ = register.merge(&other);
    // Alive: fig under A:2 and plum under B:1. Seen: A's 1..=2 and B's 1.
    assert_golden(
        &register,
        &envelope("06", "53"),
        "02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 02 03666967
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 04706c756d
         02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 01
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 00",
        0x7c5b_0be6_cfe3_977f_a4c3_5205_c856_0786,
    );
}

#[test]
fn extremes() {
    let (mut greatest, mut least) = (MaxRegister::default(), MinRegister::default());
    greatest.raise(300_u64);
    least.lower(300_u64);
    assert_golden(&greatest, &envelope("07", "04"), "01 fb2c01", 0x4c7e_6ddf_2a85_3cd6_bff9_ade7_8bcd_ee94);
    assert_golden(&least, &envelope("08", "04"), "01 fb2c01", 0x1bc4_bc43_2592_c480_4484_a246_2e72_32f2);
}

#[test]
fn flags() {
    let (mut enabled, mut disabled) = (EwFlag::default(), DwFlag::default());
    for _ in 0..2 {
        enabled.enable(by(A)).unwrap();
        disabled.disable(by(A)).unwrap();
    }
    // Alive: A:2. Seen: A's 1..=2.
    let payload = "01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 02
                   01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 01";
    let digest = 0xb82c_1a26_15f5_5ffa_c5e6_c374_b4e9_40d6;
    assert_golden(&enabled, &envelope("09", "26"), payload, digest);
    assert_golden(&disabled, &envelope("0a", "26"), payload, digest);
}

#[test]
fn two_phase_set() {
    let mut set = TwoPhaseSet::default();
    for element in ["plum", "fig", "pear"] {
        set.insert(element.to_string());
    }
    set.remove("pear");
    assert_golden(
        &set,
        &envelope("0b", "10"),
        "02 03666967 04706c756d
         01 0470656172",
        0x23c9_0ab4_9a8a_dff3_9343_a2f2_9a41_3ec1,
    );
}

#[test]
fn rw_set() {
    let (mut set, mut other) = (RwSet::default(), RwSet::default());
    set.add(by(A), "plum".to_string()).unwrap();
    set.add(by(A), "fig".to_string()).unwrap();
    set.remove(by(A), "plum".to_string()).unwrap();
    other.add(by(B), "plum".to_string()).unwrap();
    let _ = set.merge(&other);
    // Seen: A's 1..=3 and B's 1. Alive: fig added by A:2, plum removed by A:3 and added by B:1.
    assert_golden(
        &set,
        &envelope("0c", "61"),
        "02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 01 01 02 03666967 01 04706c756d 00
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 00 01 04706c756d 01
         02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 02
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 00 00",
        0x41c3_e6ff_c425_221f_2759_46bb_c930_aca3,
    );
}

fn assert_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &str) {
    let json: String = json.split_whitespace().collect();
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
}

#[test]
fn other_formats_are_readable() {
    let one = ReplicaId::from_u128(1);
    let mut title = MvRegister::default();
    title.set(by(one), "Draft".to_string()).unwrap();
    assert_written(
        &title,
        r#"{
            "store": [[{"replica": "00000000-0000-0000-0000-000000000001", "counter": 1}, "Draft"]],
            "context": [["00000000-0000-0000-0000-000000000001", [[0, 0]]]]
        }"#,
    );

    let mut flag = EwFlag::default();
    flag.enable(by(one)).unwrap();
    assert_written(
        &flag,
        r#"{
            "store": [{"replica": "00000000-0000-0000-0000-000000000001", "counter": 1}],
            "context": [["00000000-0000-0000-0000-000000000001", [[0, 0]]]]
        }"#,
    );

    let mut newest = MaxRegister::default();
    newest.raise(7_u8);
    assert_written(&newest, "7");
    assert_written(&MinRegister::<u8>::default(), "null");

    let mut keys = TwoPhaseSet::default();
    keys.insert(3_u8);
    keys.insert(1);
    keys.remove(&3);
    assert_written(&keys, r#"{"present": [1], "removed": [3]}"#);

    let mut guests = RwSet::default();
    guests.add(by(one), "ann".to_string()).unwrap();
    guests.remove(by(one), "eve".to_string()).unwrap();
    assert_written(
        &guests,
        r#"{
            "store":   [["00000000-0000-0000-0000-000000000001", [[0, 1]], [["ann", true], ["eve", false]]]],
            "context": [["00000000-0000-0000-0000-000000000001", [[0, 1]]]]
        }"#,
    );
}
