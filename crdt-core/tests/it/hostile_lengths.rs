//! A length that is merely claimed allocates nothing.
//!
//! Own file, own process: every allocation of the program goes through the counter.

#![cfg(feature = "serde")]

use crdt_core::codec::{self, DecodeError, Encoded};
use crdt_core::{GCounter, GSet, Limits, LwwRegister, OrSet, PnCounter, ReplicaId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::by;

/// What refusing 20 bytes may allocate: the text of an error, a first few elements.
const BOUND: u64 = 1024;

/// No limit but the machine's, so that nothing but the decoder itself stands in the way.
const BOUNDLESS: Limits = Limits { max_bytes: usize::MAX, max_elements: usize::MAX, max_depth: 64 };

/// The claimed lengths: 2^32, 2^63 and the largest there is, as `bincode` writes them.
fn claims() -> [Vec<u8>; 3] {
    [1 << 32, 1 << 63, u64::MAX].map(|claimed| [&[253][..], &u64::to_le_bytes(claimed)].concat())
}

/// Decodes `bytes` filled up to 20 and returns the most memory held at any time.
fn refuse<T: Serialize + DeserializeOwned>(bytes: &[u8], limits: &Limits) -> u64 {
    let mut input = bytes.to_vec();
    input.resize(20, 0);
    let mut result = None;
    let info = allocation_counter::measure(|| {
        result = Some(codec::decode_payload::<T>(&input, limits).err());
    });
    assert!(matches!(result, Some(Some(_))), "20 bytes cannot hold what they claim");
    info.bytes_max
}

fn assert_frugal<T: Serialize + DeserializeOwned>(before_the_length: &[u8]) {
    for claim in claims() {
        for limits in [Limits::default(), BOUNDLESS] {
            let held = refuse::<T>(&[before_the_length, &claim].concat(), &limits);
            assert!(held <= BOUND, "{held} bytes held for {claim:?}");
        }
    }
}

#[derive(Serialize, serde::Deserialize)]
struct Blob(#[serde(with = "codec::bytes")] Vec<u8>);

#[test]
fn claimed_lengths_allocate_nothing() {
    assert_frugal::<Vec<u8>>(&[]);
    assert_frugal::<Vec<u64>>(&[]);
    assert_frugal::<Vec<[u64; 16]>>(&[]);
    assert_frugal::<String>(&[]);
    assert_frugal::<Blob>(&[]);
    assert_frugal::<Vec<String>>(&[]);
    assert_frugal::<Vec<String>>(&[1]);
    assert_frugal::<std::collections::BTreeMap<u64, String>>(&[]);

    assert_frugal::<GCounter>(&[]);
    assert_frugal::<PnCounter>(&[]);
    assert_frugal::<PnCounter>(&[0]);
    assert_frugal::<GSet<u64>>(&[]);
    assert_frugal::<GSet<String>>(&[1]);
    assert_frugal::<OrSet<u64>>(&[]);
    assert_frugal::<OrSet<String>>(&[0]);
    assert_frugal::<LwwRegister<u64>>(&[1]);
}

#[test]
fn a_claimed_payload_allocates_nothing() {
    for claim in [1_u64 << 32, 1 << 63, u64::MAX] {
        let mut bytes = codec::to_bytes(&GSet::<u64>::default());
        bytes[16..24].copy_from_slice(&claim.to_le_bytes());
        let mut result = None;
        let info = allocation_counter::measure(|| {
            result = Some(codec::from_bytes::<GSet<u64>>(&bytes, &BOUNDLESS));
        });
        assert_eq!(result, Some(Err(DecodeError::LengthMismatch { claimed: claim, found: 1 })));
        assert_eq!(info.count_total, 0);
    }
}

/// What decoding may hold per byte of input, as documented on the codec.
const MULTIPLE: u64 = 128;

fn assert_proportional<T: Encoded>(value: &T) {
    let bytes = codec::to_bytes(value);
    let mut decoded = None;
    let info = allocation_counter::measure(|| {
        decoded = Some(codec::from_bytes::<T>(&bytes, &Limits::default()).is_ok());
    });
    assert_eq!(decoded, Some(true));
    let multiple = info.bytes_max / bytes.len() as u64;
    assert!(multiple <= MULTIPLE, "{multiple} bytes per byte for {}", T::NAME);
}

#[test]
fn what_is_really_there_allocates_a_bounded_multiple() {
    let id = |n: u64| ReplicaId::from_u128(n.into());
    // Just past powers of two, where growing vectors are at their emptiest.
    for many in [65, 129, 1025, 4097] {
        let mut counter = GCounter::default();
        let mut by_many = OrSet::default();
        let mut with_gaps = OrSet::default();
        for n in 0..many {
            counter.increment(by(id(n)), 1).expect("far from the last counter");
            by_many.add(by(id(n)), n).expect("far from the last counter");
            with_gaps.add_all(by(id(0)), [n, n + 1]).expect("far from the last counter");
        }
        assert_proportional(&counter);
        assert_proportional(&by_many);
        assert_proportional(&with_gaps);
        assert_proportional(&(0..many).collect::<GSet<u64>>());
        assert_proportional(&(0..many).map(|n| n.to_string()).collect::<GSet<String>>());

        // The worst: two bytes on the wire become a tree entry that holds a whole dot.
        let mut dense = OrSet::default();
        dense.add_all(by(id(0)), 0..many.min(250)).expect("far from the last counter");
        assert_proportional(&dense);
    }
}
