use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crdt_core::codec::{self, DecodeError, Encoded, HEADER_LEN};
use crdt_core::laws::{arb_context, arb_replicas, check_delta_laws, check_laws};
use crdt_core::{
    CausalContext, Change, Crdt, DotsExhausted, HeapSize, InvalidCausal, Limits, MergeError, ReplicaId,
    Retire, Retirement, TryMerge, VersionDigest, Writer,
};
use proptest::prelude::*;

use super::{SiblingWriteError, Siblings};

/// The writers of the histories.
const A: ReplicaId = ReplicaId::from_bytes([0xaa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xbb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xcc; 16]);

/// States that three replicas reach when clients have seen everything, only what is there, some of
/// what was ever written, or nothing, while deltas go astray.
fn arb_siblings() -> impl Strategy<Value = [Siblings<u8>; 3]> {
    let action = (0..4_u8, arb_context(), proptest::option::weighted(0.8, 0..4_u8));
    arb_replicas(action, |siblings: &mut Siblings<u8>, me, (kind, some, value)| {
        let seen = match kind {
            0 => siblings.context().clone(),
            1 => siblings.live(),
            2 => siblings.context().intersection(&some),
            _ => CausalContext::new(),
        };
        match value {
            Some(value) => siblings.write(me, &seen, value).unwrap().delta,
            None => siblings.delete(me, &seen).unwrap(),
        }
    })
}

fn values(siblings: &Siblings<u8>) -> Vec<u8> {
    let mut values: Vec<u8> = siblings.values().copied().collect();
    values.sort_unstable();
    values
}

proptest! {
    #[test]
    fn merging_obeys_the_laws([a, b, c] in arb_siblings()) {
        check_laws(&a, &b, &c)?;
        check_delta_laws(&a, &b, &c)?;
    }

    #[test]
    fn digests_are_equal_when_states_are([a, b, c] in arb_siblings()) {
        for (a, b) in [(&a, &b), (&b, &c), (&c, &a)] {
            prop_assert_eq!(a.version_digest() == b.version_digest(), a == b);
        }
        prop_assert_eq!(a.version_digest() == 0, a.is_bottom());
    }

    /// Checking first changes nothing but whether own writes may be news.
    #[test]
    fn checked_merges_are_merges([a, b, _] in arb_siblings()) {
        let merged = a.clone().merged(&b);
        for me in [A, B, C, ReplicaId::from_u128(7)] {
            let mut checked = a.clone();
            let refused = checked.try_merge(&b, me).is_err();
            prop_assert_eq!(refused, b.changes_of(me) > a.changes_of(me));
            prop_assert_eq!(&checked, if refused { &a } else { &merged });
        }
    }

    /// Retiring leaves the values alone and commutes with merging.
    #[test]
    fn writers_can_be_retired([a, b, c] in arb_siblings()) {
        let mut one = a.merged(&b);
        let mut other = one.clone().merged(&c);
        let mut both = one.clone().merged(&other);
        let decision = [A, B].map(|replica| (replica, one.changes_of(replica)));
        let retirement = Retirement::new(1, decision).unwrap();

        let before = values(&both);
        for state in [&mut one, &mut other, &mut both] {
            prop_assert_eq!(state.retire(&retirement), Ok(()));
        }
        prop_assert_eq!(values(&both), before);
        prop_assert_eq!(&one.merged(&other), &both);
        prop_assert!(both.context().range_count() <= 2, "the archive and C");
    }

    /// A mutator's delta brings another replica exactly what it did here.
    #[test]
    fn a_delta_is_what_was_done([a, b, _] in arb_siblings(), some in arb_context(), write in any::<bool>()) {
        let seen = b.context().intersection(&some);
        let mut after = a.clone();
        let done = if write {
            after.write(Writer::unchecked(A), &seen, 9).map(|written| written.delta)
        } else {
            after.delete(Writer::unchecked(A), &seen)
        };
        match done {
            Ok(delta) => {
                prop_assert_eq!(delta.is_bottom(), a == after);
                prop_assert_eq!(&a.clone().merged(&delta), &after);
                prop_assert!(after.entries().all(|(dot, value)| *value == 9 || !seen.contains(dot)));
                let survivors = a.entries().filter(|(dot, _)| !seen.contains(*dot)).count();
                prop_assert_eq!(after.len(), survivors + usize::from(write));
            }
            Err(error) => {
                let (claimed, issued) = (seen.highest(A), a.context().highest(A));
                prop_assert!(claimed > issued);
                prop_assert_eq!(error, SiblingWriteError::OwnWritesClaimed { replica: A, claimed, issued });
                prop_assert_eq!(&after, &a);
            }
        }
    }

    #[test]
    fn whatever_decodes_is_the_one_encoding_of_its_value(noise in proptest::collection::vec(0..4_u8, 0..60)) {
        if let Ok(siblings) = codec::decode_payload::<Siblings<u8>>(&noise, &Limits::default()) {
            prop_assert_eq!(codec::encode_payload(&siblings), noise);
        }
    }

    #[test]
    fn bytes_read_back([a, b, c] in arb_siblings()) {
        let merged = a.merged(&b).merged(&c);
        let bytes = codec::to_bytes(&merged);
        prop_assert_eq!(codec::from_bytes::<Siblings<u8>>(&bytes, &Limits::default()), Ok(merged));
    }
}

/// Alive: "fig" under A:2 and "plum" under B:1. Seen: A's 1..=2, B's 1 and, out of order, B's 3.
fn golden() -> Siblings<String> {
    let [a, b] = [A, B].map(Writer::unchecked);
    let nothing = CausalContext::new();
    let (mut here, mut there) = (Siblings::default(), Siblings::default());
    let draft = here.write(a, &nothing, "draft".to_string()).unwrap();
    here.write(a, draft.context(), "fig".to_string()).unwrap();
    let plum = there.write(b, &nothing, "plum".to_string()).unwrap();
    there.write(b, &nothing, "lost".to_string()).unwrap();
    let late = there.write(b, &nothing, "late".to_string()).unwrap();
    let deletion = there.delete(b, late.context()).unwrap();
    for delta in [plum.delta, deletion] {
        assert!(here.merge(&delta).is_changed());
    }
    here
}

/// The bytes are described in `docs/formats.md`. A change here needs a new format version.
#[test]
fn golden_bytes() {
    let bytes = [
        &b"CRDT\x01\x00\x00\x01\0\0\0\0\0\0\0\0\x55\0\0\0\0\0\0\0"[..],
        &[2],
        &[0xaa; 16],
        b"\x02\x03fig",
        &[0xbb; 16],
        b"\x01\x04plum",
        &[2],
        &[0xaa; 16],
        &[1, 0, 1],
        &[0xbb; 16],
        &[2, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(codec::to_bytes(&golden()), bytes);
    assert_eq!(codec::from_bytes::<Siblings<String>>(&bytes, &Limits::default()), Ok(golden()));
    assert_eq!(golden().version_digest(), 0x4dba_de61_ee43_e8bd_fe2f_d559_762b_5715);
}

#[test]
fn bottom_has_golden_bytes_too() {
    assert_eq!(codec::encode_payload(&Siblings::<u8>::default()), [0, 0]);
    assert_eq!(Siblings::<u8>::TYPE_TAG, 0x0100);
}

#[test]
fn a_flipped_bit_is_refused_or_makes_the_one_encoding_of_another_value() {
    let mut bytes = codec::to_bytes(&golden());
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = codec::from_bytes::<Siblings<String>>(&bytes, &Limits::default()) {
            assert!(bit / 8 >= HEADER_LEN);
            assert_ne!(other, golden());
            assert_eq!(codec::to_bytes(&other), bytes);
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn what_is_not_the_encoding_of_siblings_is_refused() {
    let decode =
        |bytes: &[u8]| codec::decode_payload::<Siblings<String>>(bytes, &Limits::default()).unwrap_err();
    let whole = codec::encode_payload(&golden());
    for end in 0..whole.len() {
        decode(&whole[..end]);
    }
    assert_eq!(decode(&[&whole[..], &[0]].concat()), DecodeError::TrailingBytes { extra: 1 });

    let malformed = |bytes: &[u8], expected: &str| match decode(bytes) {
        DecodeError::Malformed { reason } => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other}"),
    };
    let outside = [&[1][..], &[0xaa; 16], b"\x02\x01x", &[1], &[0xaa; 16], &[1, 0, 0]].concat();
    let dot = crdt_core::Dot::new(A, 2).unwrap();
    malformed(&outside, &InvalidCausal::DotOutsideContext { dot }.to_string());
    let twice =
        [&[2][..], &[0xaa; 16], b"\x01\x01x", &[0xaa; 16], b"\x01\x01x", &[1], &[0xaa; 16], &[1, 0, 0]];
    malformed(&twice.concat(), "ascending");
    let claimed = [&[0xfd][..], &u64::MAX.to_le_bytes()].concat();
    assert_eq!(decode(&claimed), DecodeError::TooManyElements { limit: Limits::DEFAULT.max_elements });
    let few = Limits { max_elements: 3, ..Limits::default() };
    let refused = codec::decode_payload::<Siblings<String>>(&whole, &few);
    assert_eq!(refused, Err(DecodeError::TooManyElements { limit: 3 }));
}

#[test]
fn a_writer_without_numbers_writes_no_more() {
    let mut everything = CausalContext::new();
    everything.insert_range(A, 1..=u64::MAX);
    let mut siblings = Siblings::<u8>::default();
    siblings.delete(Writer::unchecked(B), &everything).unwrap();
    let before = siblings.clone();
    let refused = siblings.write(Writer::unchecked(A), &CausalContext::new(), 1);
    assert_eq!(refused, Err(SiblingWriteError::Exhausted(DotsExhausted { replica: A })));
    assert_eq!(siblings, before);
    siblings.write(Writer::unchecked(B), &CausalContext::new(), 1).unwrap();
}

#[test]
fn a_forked_writer_is_told_apart_and_nothing_is_merged() {
    let mut one = Siblings::<u8>::default();
    let mut other = one.clone();
    let dot = one.write(Writer::unchecked(A), &CausalContext::new(), 1).unwrap().dot;
    other.write(Writer::unchecked(A), &CausalContext::new(), 2).unwrap();
    let before = one.clone();
    assert_eq!(one.try_merge(&other, B), Err(MergeError::ForkedReplica { dot }));
    assert_eq!(one, before);
}

#[test]
fn values_own_what_they_hold() {
    let mut siblings = Siblings::default();
    assert_eq!(siblings.heap_size(), 0);
    siblings.write(Writer::unchecked(A), &CausalContext::new(), "x".repeat(1_000)).unwrap();
    assert!(siblings.heap_size() >= 1_000);
    let _: Change = siblings.merge_owned(Siblings::default());
}
