//! The bytes and digests of one value of each type, to the bit. `docs/formats.md` explains them.
//!
//! A change here is a change of the format: it needs a new format version, not a new constant.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use crdt_core::{Crdt, GCounter, GSet, Hlc, LwwRegister, OrSet, PnCounter, ReplicaId, Stamp, digest_of};

use crate::common::by;
use crate::exact::assert_golden;

const A: ReplicaId = ReplicaId::from_u128(0xa0a1_a2a3_a4a5_a6a7_a8a9_aaab_acad_aeaf);
const B: ReplicaId = ReplicaId::from_u128(0xb0b1_b2b3_b4b5_b6b7_b8b9_babb_bcbd_bebf);

#[test]
fn bottom() {
    assert_golden(&GCounter::default(), "43524454 0100 0100 0000000000000000 0100000000000000", "00", 0);
    assert_golden(&PnCounter::default(), "43524454 0100 0200 0000000000000000 0200000000000000", "00 00", 0);
    assert_golden(&GSet::<u64>::default(), "43524454 0100 0300 0000000000000000 0100000000000000", "00", 0);
    assert_golden(
        &OrSet::<u64>::default(),
        "43524454 0100 0400 0000000000000000 0200000000000000",
        "00 00",
        0,
    );
    assert_golden(
        &LwwRegister::<u64>::default(),
        "43524454 0100 0500 0000000000000000 0100000000000000",
        "00",
        0,
    );
}

#[test]
fn g_counter() {
    let mut counter = GCounter::default();
    counter.increment(by(B), 300).unwrap();
    counter.increment(by(A), 5).unwrap();
    assert_golden(
        &counter,
        "43524454 0100 0100 0000000000000000 2500000000000000",
        "02
         a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 05
         b0b1b2b3b4b5b6b7b8b9babbbcbdbebf fb2c01",
        0x6033_7735_b933_20a3_786e_005e_98f9_59fb,
    );
}

#[test]
fn pn_counter() {
    let mut counter = PnCounter::default();
    counter.increment(by(A), 1).unwrap();
    counter.decrement(by(A), 70_000).unwrap();
    assert_golden(
        &counter,
        "43524454 0100 0200 0000000000000000 2800000000000000",
        "01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01
         01 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf fc70110100",
        0xe5ac_f643_3575_07bc_06f4_6645_8a7a_f445,
    );
}

#[test]
fn g_set() {
    let set: GSet<String> = ["plum", "fig"].map(String::from).into_iter().collect();
    assert_golden(
        &set,
        "43524454 0100 0300 0000000000000000 0a00000000000000",
        "02 03666967 04706c756d",
        0xdbd8_2586_4abb_cd1b_1e63_1b53_a0fb_6cf6,
    );
}

#[test]
fn or_set() {
    let mut set = OrSet::default();
    set.add_all(by(A), ["fig", "plum", "pear"].map(String::from)).unwrap();
    set.remove("plum");
    let mut other = OrSet::default();
    other.add(by(B), "lost".into()).unwrap();
    let late = other.add(by(B), "fig".into()).unwrap();
    let _ = set.merge(&late);
    // Seen: A's 1..=3 and B's 2. Alive: fig under A:1 and B:2, pear under A:3.
    assert_golden(
        &set,
        "43524454 0100 0400 0000000000000000 5f00000000000000",
        "02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 02 00 00 00 00 02 03666967 0470656172
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 01 00 01 03666967
         02 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01 00 02
            b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 01 01 00",
        0xda2c_bde8_abfe_50a4_3638_b29b_d58e_a49d,
    );
}

#[test]
fn lww_register() {
    let stamp = Stamp { time: Hlc::new(1_700_000_000_000, 7), replica: A };
    assert_golden(
        &LwwRegister::default().set(stamp, -3_i64).unwrap(),
        "43524454 0100 0500 0000000000000000 1d00000000000000",
        "01 fd0068e5cf8b010000 07 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 00 05",
        0x46df_e717_63d6_0a26_9a52_1b01_f2e2_ecf2,
    );
    assert_golden(
        &LwwRegister::<i64>::default().clear(stamp).unwrap(),
        "43524454 0100 0500 0000000000000000 1c00000000000000",
        "01 fd0068e5cf8b010000 07 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 01",
        0x7868_ad1a_eeaf_b0a3_506c_0a34_66ec_7f5a,
    );
}

#[test]
fn digest_of_bytes() {
    assert_eq!(digest_of(b""), 0x011b_71ed_d493_7c7b_77e1_4e89_9fcd_e275);
    assert_eq!(digest_of(b"crdt"), 0x270e_6d39_d4b7_f3aa_f735_408e_3677_e344);
}
