//! Whatever bytes arrive: a typed error, or a value whose one encoding they are. Never a panic.

#![cfg(feature = "serde")]
#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::codec::{self, DecodeError, Encoded, HEADER_LEN};
use crdt_core::{Crdt, Dot, GCounter, GSet, Hlc, Limits, LwwRegister, OrSet, PnCounter, ReplicaId, Stamp};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::common::by;
use crate::hostile::{check_additions, check_cuts, check_flipped_bits, check_noise};

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

fn g_counter() -> GCounter {
    let mut counter = GCounter::default();
    counter.increment(by(A), 3).unwrap();
    counter.increment(by(B), u64::MAX).unwrap();
    counter
}

fn pn_counter() -> PnCounter {
    let mut counter = PnCounter::default();
    counter.increment(by(A), 300).unwrap();
    counter.decrement(by(B), 70_000).unwrap();
    counter
}

fn g_set() -> GSet<String> {
    ["fig", "plum", "quince"].map(String::from).into_iter().collect()
}

/// Gaps in the context, an element under two dots, a removed one.
fn or_set() -> OrSet<String> {
    let mut a = OrSet::default();
    a.add_all(by(A), ["fig", "plum", "quince"].map(String::from)).unwrap();
    a.remove("fig");
    let mut b = OrSet::default();
    b.add(by(B), "pear".into()).unwrap();
    let late = b.add(by(B), "plum".into()).unwrap();
    let _ = a.merge(&late);
    a
}

fn register() -> LwwRegister<String> {
    let stamp = Stamp { time: Hlc::new(1_700_000_000_000, 5), replica: A };
    LwwRegister::default().set(stamp, "title".into()).unwrap()
}

fn decode<T: Encoded>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::from_bytes(bytes, &Limits::default())
}

/// Runs `check`, generic over the type, on one value of each type.
macro_rules! for_every_type {
    ($check:ident) => {
        $check(&g_counter());
        $check(&pn_counter());
        $check(&g_set());
        $check(&or_set());
        $check(&register());
        $check(&GCounter::default());
        $check(&OrSet::<u64>::default());
        $check(&LwwRegister::<u64>::default());
    };
}

#[test]
fn what_was_written_is_read_back() {
    fn check<T: Encoded + PartialEq + Debug>(value: &T) {
        assert_eq!(decode::<T>(&codec::to_bytes(value)).as_ref(), Ok(value));
    }
    for_every_type!(check);
}

#[test]
fn every_cut_is_refused() {
    for_every_type!(check_cuts);
}

#[test]
fn every_flipped_bit_is_refused_or_another_value() {
    for_every_type!(check_flipped_bits);
}

#[test]
fn bytes_behind_the_end_are_refused() {
    for_every_type!(check_additions);
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn noise_is_refused_or_canonical(
        noise in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..64)
    ) {
        check_noise::<GCounter>(&noise);
        check_noise::<PnCounter>(&noise);
        check_noise::<GSet<u64>>(&noise);
        check_noise::<OrSet<u8>>(&noise);
        check_noise::<LwwRegister<String>>(&noise);
    }
}

#[test]
fn each_field_of_the_envelope_has_its_own_error() {
    let good = codec::to_bytes(&g_counter());
    let refused = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        decode::<GCounter>(&bytes).unwrap_err()
    };
    assert_eq!(refused(0), DecodeError::WrongMagic { found: [b'C' ^ 0x80, b'R', b'D', b'T'] });
    assert_eq!(refused(4), DecodeError::UnsupportedVersion { found: 0x81, supported: 1 });
    assert_eq!(refused(6), DecodeError::WrongType { expected: 1, name: "GCounter", found: 0x81 });
    assert_eq!(refused(8), DecodeError::WrongBaseline { found: 0x80, expected: 0 });
    let payload = good.len() - HEADER_LEN;
    let claimed = payload as u64 ^ 0x80;
    assert_eq!(refused(16), DecodeError::LengthMismatch { claimed, found: payload });

    let other_type = decode::<PnCounter>(&good);
    assert_eq!(other_type, Err(DecodeError::WrongType { expected: 2, name: "PnCounter", found: 1 }));
}

#[test]
fn an_integer_written_longer_than_needed_is_refused() {
    // 3 may be written as 3, as 251 3 0, and so on; only the first is canonical.
    for long in [&[251, 3, 0][..], &[252, 3, 0, 0, 0], &[253, 3, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(payload::<u64>(long), Err(DecodeError::NotCanonical));
        let counter = [&[1][..], A.as_bytes(), long].concat();
        assert_eq!(payload::<GCounter>(&counter), Err(DecodeError::NotCanonical));
    }
}

fn payload<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::decode_payload(bytes, &Limits::default())
}

fn assert_malformed<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let result = payload::<T>(bytes);
    assert!(matches!(result, Err(DecodeError::Malformed { .. })), "{result:?}");
}

#[test]
fn states_no_replica_can_reach_are_refused() {
    let entry = |replica: ReplicaId, amount| [&replica.as_bytes()[..], &[amount]].concat();
    let (a, b) = (entry(A, 1), entry(B, 1));
    assert!(payload::<GCounter>(&[&[2][..], &a, &b].concat()).is_ok());
    assert_malformed::<GCounter>(&[&[1][..], &entry(A, 0)].concat());
    assert_malformed::<GCounter>(&[&[2][..], &b, &a].concat());
    assert_malformed::<GCounter>(&[&[2][..], &a, &a].concat());

    assert!(payload::<GSet<u64>>(&[2, 1, 2]).is_ok());
    assert_malformed::<GSet<u64>>(&[2, 2, 1]);
    assert_malformed::<GSet<u64>>(&[2, 1, 1]);
}

#[test]
fn contexts_and_live_dots_that_disagree_are_refused() {
    // One replica each in the live part and the context; ranges and elements as given.
    let set = |live: &[u8], ranges: &[u8]| [live, &[1][..], A.as_bytes(), ranges].concat();
    let live = |ranges: &[u8], elements: &[u8]| [&[1][..], A.as_bytes(), ranges, elements].concat();
    // Element 7 under dot 2; counters 1..=2.
    assert!(payload::<OrSet<u64>>(&set(&live(&[1, 1, 0], &[1, 7]), &[1, 0, 1])).is_ok());
    // Dot 3 is alive and was never seen.
    assert_malformed::<OrSet<u64>>(&set(&live(&[1, 2, 0], &[1, 7]), &[1, 0, 1]));
    // A replica without ranges, and one without elements.
    assert_malformed::<OrSet<u64>>(&set(&[0], &[0]));
    assert_malformed::<OrSet<u64>>(&set(&live(&[0], &[0]), &[1, 0, 1]));
    // More dots than elements, more elements than dots.
    assert_malformed::<OrSet<u64>>(&set(&live(&[1, 0, 1], &[1, 7]), &[1, 0, 1]));
    assert_malformed::<OrSet<u64>>(&set(&live(&[1, 0, 0], &[2, 7, 8]), &[1, 0, 1]));
    // The same replica twice.
    let twice = [&[2][..], A.as_bytes(), &[1, 0, 0, 1, 7], A.as_bytes(), &[1, 1, 0, 1, 7]].concat();
    assert_malformed::<OrSet<u64>>(&set(&twice, &[1, 0, 1]));
    // A dot past the last counter.
    let last = [&[2, 253][..], &(u64::MAX - 1).to_le_bytes(), &[0, 0, 0]].concat();
    let everything = [&[1, 0, 253][..], &(u64::MAX - 1).to_le_bytes()].concat();
    assert_malformed::<OrSet<u64>>(&set(&live(&last, &[2, 7, 8]), &everything));
}

#[test]
fn a_claim_to_every_dot_there_is_costs_nothing() {
    let everything = [&[1, 0, 253][..], &(u64::MAX - 1).to_le_bytes()].concat();
    let mut set = payload::<OrSet<u64>>(&[&[0, 1][..], A.as_bytes(), &everything].concat()).unwrap();
    assert!(set.context().contains(Dot::new(A, u64::MAX).unwrap()));
    assert!(set.add(by(A), 1).is_err(), "no counter is left, and none wraps");
    assert!(set.add(by(B), 1).is_ok());
    // Nor does the claim that all of them are alive.
    let live = [&[1][..], A.as_bytes(), &everything, &[1, 7]].concat();
    assert_malformed::<OrSet<u64>>(&[&live[..], &[1], A.as_bytes(), &everything].concat());
}

#[test]
fn limits_are_kept() {
    let limits = Limits { max_bytes: 10, max_elements: 3, max_depth: 2 };
    assert_eq!(codec::decode_payload(&[3, 1, 2, 3], &limits), Ok(vec![1_u8, 2, 3]));
    let refused = codec::decode_payload::<Vec<u8>>(&[4, 1, 2, 3, 4], &limits);
    assert_eq!(refused, Err(DecodeError::TooManyElements { limit: 3 }));
    let refused = codec::decode_payload::<Vec<u8>>(&[0; 11], &limits);
    assert_eq!(refused, Err(DecodeError::TooLarge { found: 11, limit: 10 }));
    let refused = codec::from_bytes::<GCounter>(&codec::to_bytes(&g_counter()), &limits);
    assert!(matches!(refused, Err(DecodeError::TooLarge { limit: 10, .. })));

    // All levels count together, and elements that take no bytes count too.
    let refused = codec::decode_payload::<Vec<Vec<u8>>>(&[2, 1, 9, 1, 9], &limits);
    assert_eq!(refused, Err(DecodeError::TooManyElements { limit: 3 }));
    let refused = codec::decode_payload::<Vec<()>>(&[253, 0, 0, 0, 0, 1, 0, 0, 0], &limits);
    assert_eq!(refused, Err(DecodeError::TooManyElements { limit: 3 }));
}

#[test]
fn recursion_ends_before_the_stack_does() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Tree {
        Leaf,
        Node(Box<Tree>),
    }
    let nested = |levels: usize| [vec![1; levels], vec![0]].concat();
    assert!(payload::<Tree>(&nested(20)).is_ok());
    let refused = payload::<Tree>(&nested(1_000_000));
    assert_eq!(refused, Err(DecodeError::TooDeep { limit: Limits::DEFAULT.max_depth }));
}

#[test]
fn byte_strings_travel_in_one_piece() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Blob {
        #[serde(with = "codec::bytes")]
        body: Vec<u8>,
    }
    let blob = Blob { body: vec![1, 2, 200] };
    let bytes = codec::encode_payload(&blob);
    assert_eq!(bytes, [3, 1, 2, 200]);
    let limits = Limits { max_elements: 0, ..Limits::default() };
    assert_eq!(codec::decode_payload(&bytes, &limits), Ok(blob));
    assert_eq!(payload::<Blob>(&[4, 1, 2, 200]), Err(DecodeError::Truncated));

    let from_json: Blob = serde_json::from_str(r#"{"body":[1,2,200]}"#).unwrap();
    assert_eq!(codec::encode_payload(&from_json), bytes);
}

#[test]
fn an_element_that_cannot_be_written_is_an_error() {
    #[derive(Deserialize)]
    struct Unwritable;
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let error = codec::try_encode_payload(&Unwritable).unwrap_err();
    assert!(error.to_string().contains("not today"));
}
