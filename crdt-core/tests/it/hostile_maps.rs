//! Whatever bytes arrive for a map or a counter of one: a typed error, or a value whose one encoding they are. Never a
//! panic.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::codec::{self, DecodeError, Encoded};
use crdt_core::dotted::Dotted;
use crdt_core::{
    BoundedCounter, Crdt, GSet, Hlc, Limits, LwwMap, OrMap, OrSet, ReplicaId, ResetCounter, Stamp,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::by;
use crate::hostile::{check_additions, check_cuts, check_flipped_bits, check_noise};

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

fn stamp(millis: u64) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica: A }
}

fn lww_map() -> LwwMap<String, u64> {
    let mut map = LwwMap::default();
    map.set(stamp(5), "fig".into(), 300).unwrap();
    map.remove(stamp(6), &"plum".into()).unwrap();
    map
}

/// Runs of each kind, a gap, a removed dot.
fn reset_counter() -> ResetCounter {
    let mut other = ResetCounter::default();
    other.increment(by(B), 1).unwrap();
    let late = other.increment(by(B), 70_000).unwrap();
    let mut counter = ResetCounter::default();
    counter.increment(by(A), 9).unwrap();
    counter.reset();
    for amount in [3, 3, -2] {
        counter.add(by(A), amount).unwrap();
    }
    counter.merged(&late)
}

fn map_of_counters() -> OrMap<String, ResetCounter> {
    let mut map = OrMap::default();
    map.update("fig".into(), |counter: &mut ResetCounter| counter.increment(by(A), 2)).unwrap();
    map.update("plum".into(), |counter| counter.decrement(by(B), 2)).unwrap();
    map.remove("fig");
    map
}

fn map_of_maps() -> OrMap<u8, OrMap<u8, OrSet<u8>>> {
    let mut map: OrMap<u8, OrMap<u8, OrSet<u8>>> = OrMap::default();
    map.update(1, |inner| inner.update(2, |set| set.add(by(A), 3))).unwrap();
    map.update(1, |inner| inner.update(4, |set| set.add(by(B), 5))).unwrap();
    map
}

fn map_of_dotted() -> OrMap<u8, Dotted<GSet<u8>>> {
    let mut map: OrMap<u8, Dotted<GSet<u8>>> = OrMap::default();
    map.update(1, |set| set.update(by(A), |set| drop(set.insert(7)))).unwrap();
    map
}

fn bounded_counter() -> BoundedCounter {
    let mut counter = BoundedCounter::default();
    counter.increment(by(A), 300).unwrap();
    counter.transfer(by(A), B, 5).unwrap();
    counter.decrement(by(B), 4).unwrap();
    counter
}

fn decode<T: Encoded>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::from_bytes(bytes, &Limits::default())
}

/// Runs `check`, generic over the type, on one value of each type.
macro_rules! for_every_type {
    ($check:ident) => {
        $check(&lww_map());
        $check(&reset_counter());
        $check(&map_of_counters());
        $check(&map_of_maps());
        $check(&map_of_dotted());
        $check(&bounded_counter());
    };
}

#[test]
fn what_was_written_is_read_back() {
    fn check<T: Encoded + PartialEq + Debug>(value: &T) {
        assert_eq!(decode::<T>(&codec::to_bytes(value)).as_ref(), Ok(value));
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
    }
    for_every_type!(check);
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    for_every_type!(check_cuts);
    for_every_type!(check_additions);
}

#[test]
fn every_flipped_bit_is_refused_or_another_value() {
    for_every_type!(check_flipped_bits);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn noise_is_refused_or_canonical(
        noise in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..64)
    ) {
        check_noise::<LwwMap<u8, u8>>(&noise);
        check_noise::<ResetCounter>(&noise);
        check_noise::<OrMap<u8, ResetCounter>>(&noise);
        check_noise::<OrMap<u8, OrMap<u8, OrSet<u8>>>>(&noise);
        check_noise::<BoundedCounter>(&noise);
    }

    /// A map of one type of value read as one of another: an error, or something that is written the same.
    #[test]
    fn one_type_of_value_read_as_another_is_no_panic(amounts in prop::collection::vec(0_u64..5, 0..6)) {
        let mut map: OrMap<u8, ResetCounter> = OrMap::default();
        for amount in amounts {
            map.update(0, |counter| counter.increment(by(A), amount)).unwrap();
        }
        let bytes = codec::to_bytes(&map);
        if let Ok(other) = decode::<OrMap<u8, OrSet<u8>>>(&bytes) {
            prop_assert_eq!(codec::to_bytes(&other), bytes.clone());
        }
        if let Ok(other) = decode::<OrMap<u8, Dotted<GSet<u8>>>>(&bytes) {
            prop_assert_eq!(codec::to_bytes(&other), bytes);
        }
    }
}

fn payload<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::decode_payload(bytes, &Limits::default())
}

fn assert_malformed<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let result = payload::<T>(bytes);
    assert!(matches!(result, Err(DecodeError::Malformed { .. })), "{result:?}");
}

const LAST: [u8; 9] = [253, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

#[test]
fn runs_that_no_counter_has_are_refused() {
    // A replica with these runs, and everything seen of it.
    let counter = |runs: &[u8]| [&[1][..], A.as_bytes(), runs, &[1], A.as_bytes(), &[1, 0], &LAST].concat();
    // Counters 1..=2 with 1 each, then 3 with -1.
    assert!(payload::<ResetCounter>(&counter(&[2, 0, 1, 2, 0, 0, 1])).is_ok());
    assert!(payload::<ResetCounter>(&counter(&[1, 0, 1, 2])).is_ok());
    // An amount of zero.
    assert_malformed::<ResetCounter>(&counter(&[1, 0, 1, 0]));
    // Two runs that are one; with a gap between they are two.
    assert_malformed::<ResetCounter>(&counter(&[2, 0, 1, 2, 0, 0, 2]));
    assert!(payload::<ResetCounter>(&counter(&[2, 0, 1, 2, 1, 0, 2])).is_ok());
    // No runs.
    assert_malformed::<ResetCounter>(&counter(&[0]));
    // Past the last counter, by the length and by what is skipped.
    assert!(payload::<ResetCounter>(&counter(&[&[1, 0][..], &LAST, &[2]].concat())).is_ok());
    assert_malformed::<ResetCounter>(&counter(&[&[1, 1][..], &LAST, &[2]].concat()));
    assert_malformed::<ResetCounter>(&counter(&[&[2, 0][..], &LAST, &[2, 0, 0, 4]].concat()));
    assert_malformed::<ResetCounter>(&counter(&[&[2, 0, 0, 2][..], &LAST, &[1, 2]].concat()));
}

#[test]
fn amounts_that_no_sum_holds_are_refused() {
    let greatest = [253, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let of = |replica: ReplicaId| [&replica.as_bytes()[..], &[1, 0], &LAST, &greatest].concat();
    let seen = |replica: ReplicaId| [&replica.as_bytes()[..], &[1, 0], &LAST].concat();
    let one = [&[1][..], &of(A), &[1], &seen(A)].concat();
    assert!(payload::<ResetCounter>(&one).unwrap().value() > 0);
    let two = [&[2][..], &of(A), &of(B), &[2], &seen(A), &seen(B)].concat();
    assert_malformed::<ResetCounter>(&two);
}

#[test]
fn dots_in_no_context_or_in_two_places_are_refused() {
    let run = [&[1][..], A.as_bytes(), &[1, 0, 1, 2]].concat();
    let seen = |more: u8| [&[1][..], A.as_bytes(), &[1, 0, more]].concat();
    assert!(payload::<ResetCounter>(&[&run[..], &seen(1)].concat()).is_ok());
    assert_malformed::<ResetCounter>(&[&run[..], &seen(0)].concat());
    assert_malformed::<ResetCounter>(&[&run[..], &[0]].concat());

    let map = |keys: &[&[u8]]| [&[u8::try_from(keys.len()).unwrap()][..], &keys.concat(), &seen(9)].concat();
    let under = |key: u8, runs: &[u8]| [&[key, 1][..], A.as_bytes(), runs].concat();
    let (first, second) = (under(1, &[1, 0, 1, 2]), under(2, &[1, 2, 0, 2]));
    assert!(payload::<OrMap<u8, ResetCounter>>(&map(&[&first, &second])).is_ok());
    // Dot 2 under both keys.
    assert_malformed::<OrMap<u8, ResetCounter>>(&map(&[&first, &under(2, &[1, 1, 0, 2])]));
    // Inside the run of another.
    assert_malformed::<OrMap<u8, ResetCounter>>(&map(&[&under(1, &[1, 0, 8, 2]), &under(2, &[1, 3, 0, 2])]));
    // Keys out of order, twice, and without anything.
    assert_malformed::<OrMap<u8, ResetCounter>>(&map(&[&second, &first]));
    assert_malformed::<OrMap<u8, ResetCounter>>(&map(&[&first, &under(1, &[1, 2, 0, 2])]));
    assert_malformed::<OrMap<u8, ResetCounter>>(&map(&[&[1, 0]]));
    // Replicas out of order within a store.
    let disorder = [&[2][..], B.as_bytes(), &[1, 0, 0, 2], A.as_bytes(), &[1, 0, 0, 2]].concat();
    let both = [&[2][..], A.as_bytes(), &[1, 0, 0], B.as_bytes(), &[1, 0, 0]].concat();
    assert_malformed::<ResetCounter>(&[disorder, both].concat());
}

#[test]
fn keys_that_were_never_written_are_refused() {
    let write = |key: u8| [&[key, 1, 5, 0][..], A.as_bytes(), &[0, 7]].concat();
    let map = |entries: &[&[u8]]| [&[u8::try_from(entries.len()).unwrap()][..], &entries.concat()].concat();
    assert!(payload::<LwwMap<u8, u8>>(&map(&[&write(1), &write(2)])).is_ok());
    assert_malformed::<LwwMap<u8, u8>>(&map(&[&write(2), &write(1)]));
    assert_malformed::<LwwMap<u8, u8>>(&map(&[&write(1), &write(1)]));
    assert_malformed::<LwwMap<u8, u8>>(&map(&[&[1, 0]]));
}

#[test]
fn rows_that_no_replica_has_are_refused() {
    let row = |replica: ReplicaId, entries: &[u8]| [&replica.as_bytes()[..], entries].concat();
    let to = |replica: ReplicaId, amount: u8| [&[3, 0, 1][..], replica.as_bytes(), &[amount]].concat();
    let counter = |rows: &[&[u8]]| [&[u8::try_from(rows.len()).unwrap()][..], &rows.concat()].concat();
    let (a, b) = (row(A, &to(B, 2)), row(B, &[0, 1, 0]));
    assert!(payload::<BoundedCounter>(&counter(&[&a, &b])).is_ok());
    assert_malformed::<BoundedCounter>(&counter(&[&b, &a]));
    assert_malformed::<BoundedCounter>(&counter(&[&a, &a]));
    // Zeros, rights handed to oneself, and a transfer of nothing.
    assert_malformed::<BoundedCounter>(&counter(&[&row(A, &[0, 0, 0])]));
    assert_malformed::<BoundedCounter>(&counter(&[&row(A, &to(A, 1))]));
    assert_malformed::<BoundedCounter>(&counter(&[&row(A, &to(B, 0))]));
}
