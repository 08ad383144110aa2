//! A length that is merely claimed allocates nothing.
//!
//! Own file, own process: every allocation of the program goes through the counter.

#![cfg(feature = "serde")]

use crdt_core::codec::{self, DecodeError, Encoded};
use crdt_core::{GCounter, GSet, Limits, LwwRegister, OrSet, PnCounter};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What refusing 20 bytes may allocate: the text of an error, a first few elements.
const BOUND: u64 = 1024;

/// No limit but the machine's, so that nothing but the decoder itself stands in the way.
const BOUNDLESS: Limits = Limits {
    max_bytes: usize::MAX,
    max_elements: usize::MAX,
    max_depth: 64,
};

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
    assert!(
        matches!(result, Some(Some(_))),
        "20 bytes cannot hold what they claim"
    );
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
        assert_eq!(
            result,
            Some(Err(DecodeError::LengthMismatch {
                claimed: claim,
                found: 1
            }))
        );
        assert_eq!(info.count_total, 0);
    }
}

/// The most memory a decode holds, per byte of input.
fn factor<T: Encoded>(value: &T) -> u64 {
    let bytes = codec::to_bytes(value);
    let mut decoded = None;
    let info = allocation_counter::measure(|| {
        decoded = Some(codec::from_bytes::<T>(&bytes, &Limits::default()).is_ok());
    });
    assert_eq!(decoded, Some(true));
    info.bytes_max.div_ceil(bytes.len() as u64)
}

#[test]
fn what_is_really_there_allocates_a_small_multiple() {
    const MANY: u64 = 10_000;
    let id = |n: u64| crdt_core::ReplicaId::from_u128(n.into());
    let mut counter = GCounter::default();
    let mut sets = [OrSet::default(), OrSet::default()];
    for n in 0..MANY {
        counter.increment(id(n), 1).expect("far from the last counter");
        sets[0].add(id(0), n % 200).expect("far from the last counter");
        sets[1].add(id(n), n).expect("far from the last counter");
    }
    let tiny: OrSet<u8> = {
        let mut set = OrSet::default();
        set.add_all(id(0), 0..=250).expect("far from the last counter");
        set
    };
    assert!(factor(&counter) <= 8, "{}", factor(&counter));
    assert!(factor(&(0..MANY).collect::<GSet<u64>>()) <= 32);
    assert!(factor(&sets[1]) <= 16, "{}", factor(&sets[1]));
    // Two bytes on the wire become a tree entry with a whole dot: the worst this crate has.
    assert!(factor(&tiny) <= 64, "{}", factor(&tiny));
}
