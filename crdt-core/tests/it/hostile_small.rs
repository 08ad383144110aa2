//! Whatever bytes arrive for registers, flags and the sets with removal: a typed error, or a value whose one
//! encoding they are. Never a panic, and no memory for what is merely claimed.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::codec::{self, DecodeError, Encoded};
use crdt_core::dotted::{Causal, DotFun, DotMap, DotSet};
use crdt_core::set::RwMarks;
use crdt_core::{
    Crdt, DwFlag, EwFlag, Limits, MaxRegister, MinRegister, MvRegister, ReplicaId, RwSet, TwoPhaseSet,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::by;
use crate::hostile::{check_additions, check_cuts, check_flipped_bits, check_noise};

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

/// A gap in the context, two siblings, one write replaced.
fn register() -> MvRegister<String> {
    let (mut a, mut b) = (MvRegister::default(), MvRegister::default());
    a.set(by(A), "old".into()).unwrap();
    a.set(by(A), "draft".into()).unwrap();
    b.clear();
    b.set(by(B), "lost".into()).unwrap();
    b.clear();
    let late = b.set(by(B), "plan".into()).unwrap();
    let _ = a.merge(&late);
    a
}

fn greatest() -> MaxRegister<u64> {
    let mut register = MaxRegister::default();
    register.raise(70_000);
    register
}

fn least() -> MinRegister<String> {
    let mut register = MinRegister::default();
    register.lower("fig".into());
    register
}

fn enabled() -> EwFlag {
    let (mut a, mut b) = (EwFlag::default(), EwFlag::default());
    a.enable(by(A)).unwrap();
    a.enable(by(A)).unwrap();
    b.enable(by(B)).unwrap();
    a.merged(&b)
}

fn disabled() -> DwFlag {
    let (mut a, mut b) = (DwFlag::default(), DwFlag::default());
    a.disable(by(A)).unwrap();
    a.enable();
    b.disable(by(B)).unwrap();
    a.merged(&b)
}

fn two_phase() -> TwoPhaseSet<String> {
    let mut set = TwoPhaseSet::default();
    for element in ["plum", "fig", "pear"] {
        set.insert(element.into());
    }
    set.remove("pear");
    set
}

/// An element that is in, one that is out, and one that is contested.
fn remove_wins() -> RwSet<String> {
    let (mut a, mut b) = (RwSet::default(), RwSet::default());
    a.add(by(A), "fig".into()).unwrap();
    a.remove(by(A), "plum".into()).unwrap();
    a.remove(by(A), "pear".into()).unwrap();
    b.add(by(B), "pear".into()).unwrap();
    a.merged(&b)
}

fn decode<T: Encoded>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::from_bytes(bytes, &Limits::default())
}

fn payload<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::decode_payload(bytes, &Limits::default())
}

/// Runs `check`, generic over the type, on one value of each type.
macro_rules! for_every_type {
    ($check:ident) => {
        $check(&register());
        $check(&greatest());
        $check(&least());
        $check(&enabled());
        $check(&disabled());
        $check(&two_phase());
        $check(&remove_wins());
        $check(&MvRegister::<u64>::default());
        $check(&MaxRegister::<u64>::default());
        $check(&DwFlag::default());
        $check(&RwSet::<u64>::default());
    };
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
        check_noise::<MvRegister<u8>>(&noise);
        check_noise::<MaxRegister<String>>(&noise);
        check_noise::<MinRegister<u64>>(&noise);
        check_noise::<EwFlag>(&noise);
        check_noise::<DwFlag>(&noise);
        check_noise::<TwoPhaseSet<u8>>(&noise);
        check_noise::<RwSet<u8>>(&noise);
    }
}

fn assert_malformed<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8], reason: &str) {
    match payload::<T>(bytes) {
        Err(DecodeError::Malformed { reason: found }) => assert!(found.contains(reason), "{found}"),
        other => panic!("{other:?}"),
    }
}

/// A live dot as the register and the flags write it.
fn dot(replica: ReplicaId, counter: u8) -> Vec<u8> {
    [replica.as_bytes(), &[counter][..]].concat()
}

/// A context of one replica with the counters `1..=last`.
fn seen(replica: ReplicaId, last: u8) -> Vec<u8> {
    [&[1][..], replica.as_bytes(), &[1, 0, last - 1]].concat()
}

#[test]
fn one_type_is_not_read_as_another() {
    // The two flags have the same payload and opposite meanings.
    let mut flag = EwFlag::default();
    flag.enable(by(A)).unwrap();
    let refused = decode::<DwFlag>(&codec::to_bytes(&flag));
    assert_eq!(refused, Err(DecodeError::WrongType { expected: 0xa, name: "DwFlag", found: 9 }));
    assert!(payload::<DwFlag>(&codec::encode_payload(&flag)).is_ok(), "a bare payload cannot tell");

    let refused = decode::<MinRegister<u64>>(&codec::to_bytes(&greatest()));
    assert_eq!(refused, Err(DecodeError::WrongType { expected: 8, name: "MinRegister", found: 7 }));
}

#[test]
fn registers_in_disorder_are_refused() {
    let value = |counter: u8, value: u8| [dot(A, counter), vec![value]].concat();
    let register = |dots: &[Vec<u8>], context: &[u8]| {
        [vec![u8::try_from(dots.len()).unwrap()], dots.concat(), context.to_vec()].concat()
    };
    let read = |bytes: &[u8], reason| assert_malformed::<MvRegister<u64>>(bytes, reason);
    assert!(payload::<MvRegister<u64>>(&register(&[value(1, 7), value(2, 8)], &seen(A, 2))).is_ok());

    read(&register(&[value(2, 8), value(1, 7)], &seen(A, 2)), "strictly ascending");
    read(&register(&[value(1, 7), value(1, 7)], &seen(A, 2)), "strictly ascending");
    read(&register(&[value(1, 7), value(1, 8)], &seen(A, 2)), "strictly ascending");
    read(&register(&[value(0, 7)], &seen(A, 2)), "nonzero");
    read(&register(&[value(3, 7)], &seen(A, 2)), "not in its context");
}

#[test]
fn flags_in_disorder_are_refused() {
    let flag = |dots: &[Vec<u8>], context: &[u8]| {
        [vec![u8::try_from(dots.len()).unwrap()], dots.concat(), context.to_vec()].concat()
    };
    assert!(payload::<EwFlag>(&flag(&[dot(A, 1), dot(A, 2)], &seen(A, 2))).is_ok());
    for (dots, reason) in [
        (vec![dot(A, 2), dot(A, 1)], "strictly ascending"),
        (vec![dot(A, 1), dot(A, 1)], "strictly ascending"),
        (vec![dot(A, 0)], "nonzero"),
        (vec![dot(A, 3)], "not in its context"),
        (vec![dot(B, 1)], "not in its context"),
    ] {
        assert_malformed::<EwFlag>(&flag(&dots, &seen(A, 2)), reason);
        assert_malformed::<DwFlag>(&flag(&dots, &seen(A, 2)), reason);
    }
}

#[test]
fn two_phase_sets_in_disorder_are_refused() {
    let read = |bytes: &[u8], reason| assert_malformed::<TwoPhaseSet<u64>>(bytes, reason);
    assert!(payload::<TwoPhaseSet<u64>>(&[2, 1, 3, 2, 2, 4]).is_ok());
    read(&[2, 3, 1, 0], "out of order");
    read(&[2, 1, 1, 0], "out of order");
    read(&[0, 2, 4, 2], "out of order");
    read(&[0, 2, 4, 4], "out of order");
    read(&[2, 1, 3, 2, 3, 4], "both present and removed");
}

#[test]
fn remove_wins_sets_in_disorder_are_refused() {
    let set = |live: &[u8]| [live, &seen(A, 2)[..]].concat();
    let by_a = |marks: &[u8]| set(&[&[1][..], A.as_bytes(), marks].concat());
    let read = |bytes: &[u8], reason| assert_malformed::<RwSet<u64>>(bytes, reason);
    // Element 7 removed under dot 1 and added under dot 2.
    assert!(payload::<RwSet<u64>>(&by_a(&[1, 0, 1, 2, 7, 0, 7, 1])).is_ok());

    read(&by_a(&[0, 0]), "at least one");
    read(&by_a(&[1, 2, 0, 1, 7, 1]), "not in its context");
    let last = [&[2, 253][..], &(u64::MAX - 1).to_le_bytes(), &[0, 0, 0, 2, 7, 1, 8, 1]].concat();
    read(&by_a(&last), "last counter");
    let twice = [&[2][..], A.as_bytes(), &[1, 0, 0, 1, 7, 1], A.as_bytes(), &[1, 1, 0, 1, 7, 0]].concat();
    read(&set(&twice), "strictly ascending");
    assert!(payload::<RwSet<u64>>(&by_a(&[1, 0, 0, 1, 7, 2])).is_err(), "a mark is an add or a removal");
}

#[test]
fn the_store_of_a_remove_wins_set_is_checked_where_it_is_nested() {
    // As a part of something else it is written under its keys: element, adds, removals.
    type Store = DotMap<u64, RwMarks>;
    let store = |adds: &[u8], removals: &[u8]| [&[1, 7][..], adds, removals].concat();
    let one = |counter| [vec![1], dot(A, counter)].concat();
    assert!(payload::<Store>(&store(&one(1), &one(2))).is_ok());
    assert_malformed::<Store>(&store(&[0], &[0]), "without a live dot");

    let causal = [store(&one(1), &one(1)), seen(A, 2)].concat();
    assert_malformed::<Causal<Store>>(&causal, "in the store twice");
}

#[test]
fn an_integer_written_longer_than_needed_is_refused() {
    assert!(payload::<MaxRegister<u64>>(&[1, 3]).is_ok());
    assert_eq!(payload::<MaxRegister<u64>>(&[1, 251, 3, 0]), Err(DecodeError::NotCanonical));
    assert_eq!(payload::<TwoPhaseSet<u64>>(&[251, 1, 0, 5, 0]), Err(DecodeError::NotCanonical));
}

#[test]
fn a_claim_to_every_dot_there_is_costs_nothing() {
    let everything = [&[1][..], A.as_bytes(), &[1, 0, 253], &(u64::MAX - 1).to_le_bytes()].concat();
    let mut flag = payload::<EwFlag>(&[&[0][..], &everything].concat()).unwrap();
    let mut set = payload::<RwSet<u64>>(&[&[0][..], &everything].concat()).unwrap();
    let mut register = payload::<MvRegister<u64>>(&[&[0][..], &everything].concat()).unwrap();

    assert!(flag.enable(by(A)).is_err() && set.remove(by(A), 1).is_err() && register.set(by(A), 1).is_err());
    assert!(flag.enable(by(B)).is_ok() && set.remove(by(B), 1).is_ok() && register.set(by(B), 1).is_ok());
    assert!(set.forget_stable(&set.context().clone()).context().contains(crdt_core::Dot::new(B, 1).unwrap()));
}

/// What refusing a few bytes may allocate: the text of an error, a first few elements.
const FRUGAL: u64 = 1024;

/// What decoding may hold per byte of input, as documented on the codec.
const MULTIPLE: u64 = 128;

fn held_while<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    (result.unwrap(), info.bytes_max)
}

#[test]
fn claimed_lengths_allocate_nothing() {
    fn check<T: Serialize + DeserializeOwned>(before_the_length: &[u8]) {
        let boundless = Limits { max_bytes: usize::MAX, max_elements: usize::MAX, max_depth: 64 };
        for claimed in [1_u64 << 32, 1 << 63, u64::MAX] {
            let mut bytes = [before_the_length, &[253], &claimed.to_le_bytes()].concat();
            bytes.resize(20, 0);
            let (refused, held) = held_while(|| codec::decode_payload::<T>(&bytes, &boundless).is_err());
            assert!(refused && held <= FRUGAL, "{held} bytes held for {claimed}");
        }
    }
    check::<MvRegister<String>>(&[]);
    check::<MaxRegister<String>>(&[1]);
    check::<EwFlag>(&[]);
    check::<DwFlag>(&[0]);
    check::<TwoPhaseSet<u64>>(&[]);
    check::<TwoPhaseSet<String>>(&[0]);
    check::<RwSet<u64>>(&[]);
    check::<RwSet<u64>>(&[0]);
    check::<DotFun<u64>>(&[]);
    check::<DotSet>(&[]);
}

#[test]
fn what_is_really_there_allocates_a_bounded_multiple() {
    fn check<T: Encoded>(value: &T) {
        let bytes = codec::to_bytes(value);
        let (decoded, held) = held_while(|| decode::<T>(&bytes).is_ok());
        let bound = FRUGAL + MULTIPLE * bytes.len() as u64;
        assert!(decoded && held <= bound, "{held} bytes for {} of {}", bytes.len(), T::NAME);
    }
    let id = |n: u64| ReplicaId::from_u128(u128::from(n) + 1);
    for many in [1, 12, 129, 1025] {
        let mut siblings = MvRegister::default();
        let mut flag = EwFlag::default();
        let mut keys = TwoPhaseSet::default();
        let mut by_many = RwSet::default();
        let mut by_one = RwSet::default();
        for n in 0..many {
            let _ = siblings.merge(&MvRegister::default().set(by(id(n)), n).unwrap());
            let _ = flag.merge(&EwFlag::default().enable(by(id(n))).unwrap());
            keys.insert(n);
            let _ = by_many.merge(&RwSet::default().remove(by(id(n)), n).unwrap());
            // The worst: three bytes on the wire become a tree entry with room for two dots.
            by_one.add(by(id(0)), n.min(250)).unwrap();
        }
        check(&siblings);
        check(&flag);
        check(&keys);
        check(&by_many);
        check(&by_one);
    }
}
