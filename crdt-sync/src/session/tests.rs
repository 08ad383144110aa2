//! The laws of tokens, their bytes, and what is refused.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::codec::DecodeError;
use crdt_core::{Hlc, ReplicaId};
use proptest::collection::vec as list_of;
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::node::ClusterKey;

fn cluster() -> ClusterKey {
    ClusterKey::from_bytes([7; 16])
}

fn decode(bytes: &[u8]) -> Result<SessionToken, TokenError> {
    SessionToken::decode(bytes, &cluster(), &Limits::default())
}

fn causal(touched: &[(u16, u8, u64)], latest: Hlc) -> SessionToken {
    let mut causal = Causal::default();
    causal.see(latest);
    for &(partition, origin, sequence) in touched {
        causal.touch(partition, ReplicaId::from_bytes([origin; 16]), sequence);
    }
    SessionToken::Causal(causal)
}

fn sample() -> SessionToken {
    causal(&[(0, 0xaa, 3), (0, 0xbb, 300), (2, 0xbb, 1)], Hlc::new(1_000, 2))
}

fn merged(one: &SessionToken, other: &SessionToken) -> SessionToken {
    let mut merged = one.clone();
    merged.merge(other).unwrap();
    merged
}

/// The same bytes with another payload, as only a member of the cluster can make them.
fn sealed_by_a_member(payload: &[u8]) -> Vec<u8> {
    let mut bytes = SessionToken::default().encode(&cluster())[..9].to_vec();
    bytes.extend(payload);
    let key = blake3::derive_key("crdt-sync 2026 session token key v1", &[7; 16]);
    let code = blake3::keyed_hash(&key, &bytes);
    bytes.extend(code.as_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn arb_causal() -> impl Strategy<Value = SessionToken> {
    let stamp = (0..3_u64, 0..3_u32).prop_map(|(millis, counter)| Hlc::new(millis, counter));
    (list_of((0..4_u16, 0..4_u8, 0..400_u64), 0..12), stamp)
        .prop_map(|(touched, latest)| causal(&touched, latest))
}

fn arb_single_leader() -> impl Strategy<Value = SessionToken> {
    let placed = (0..3_u64, 0..3_u64).prop_map(|(epoch, lsn)| SessionToken::SingleLeader { epoch, lsn });
    prop_oneof![placed, Just(SessionToken::default())]
}

/// Three tokens of one topology.
fn arb_three() -> impl Strategy<Value = [SessionToken; 3]> {
    let causal = || arb_causal();
    let single = || arb_single_leader();
    prop_oneof![[causal(), causal(), causal()], [single(), single(), single()]]
}

proptest! {
    #[test]
    fn tokens_are_a_join_semilattice([a, b, c] in arb_three()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&merged(&a, &a), &a);
        prop_assert_eq!(&merged(&a, &SessionToken::default()), &a);
        prop_assert_eq!(merged(&a, &merged(&a, &b)), merged(&a, &b));
    }

    #[test]
    fn a_token_is_read_back_as_it_was_made([token, _, _] in arb_three()) {
        let bytes = token.encode(&cluster());
        prop_assert_eq!(decode(&bytes), Ok(token));
    }

    #[test]
    fn what_a_member_made_is_the_one_encoding_of_what_it_says(noise in list_of(0..4_u8, 0..60)) {
        let bytes = sealed_by_a_member(&noise);
        if let Ok(token) = decode(&bytes) {
            prop_assert_eq!(token.encode(&cluster()), bytes);
        }
    }
}

/// The bytes are described in `docs/formats.md`. A change here needs a new format version.
#[test]
fn tokens_are_golden() {
    let golden = [
        "01 e306f88d68cb13c0",
        "00 fbe80302 02 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "02 00 02 0003 01fb2c01 02 01 0101",
        "70c9cf1b60ea7f7a9f240127949242acedb2b657a94d3c1d62cba941244c1261",
    ];
    assert_eq!(hex(&sample().encode(&cluster())), golden.concat().replace(' ', ""));
    let golden = [
        "01 e306f88d68cb13c0",
        "01 05 fb2c01",
        "c5425c4adc5c53b73dc25288fdbb3efe5d64dc1ae1c875efe8eb879b01fb46a0",
    ];
    let token = SessionToken::SingleLeader { epoch: 5, lsn: 300 };
    assert_eq!(hex(&token.encode(&cluster())), golden.concat().replace(' ', ""));
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let bytes = sample().encode(&cluster());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => TokenError::OtherVersion { found: changed[0], supported: 1 },
            1..9 => TokenError::OtherCluster,
            _ => TokenError::NotAuthentic,
        };
        assert_eq!(decode(&changed), Err(expected));
    }
}

#[test]
fn a_cut_or_longer_token_is_refused() {
    let bytes = sample().encode(&cluster());
    for found in 0..bytes.len() {
        let expected = if found < 41 { TokenError::Truncated { found } } else { TokenError::NotAuthentic };
        assert_eq!(decode(&bytes[..found]), Err(expected));
    }
    assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(TokenError::NotAuthentic));
}

#[test]
fn a_token_is_good_in_its_own_cluster_only() {
    let other = ClusterKey::from_bytes([8; 16]);
    assert_eq!(decode(&sample().encode(&other)), Err(TokenError::OtherCluster));
    // Knowing how a cluster is told from others is not enough to make a token.
    let mut forged = sample().encode(&other);
    forged[1..9].copy_from_slice(&cluster().check());
    assert_eq!(decode(&forged), Err(TokenError::NotAuthentic));
}

#[test]
fn a_token_is_bounded() {
    let limits = Limits { max_token: 100, ..Limits::default() };
    let bytes = sample().encode(&cluster());
    assert_eq!(
        SessionToken::decode(&bytes, &cluster(), &Limits { max_token: bytes.len(), ..limits }),
        Ok(sample())
    );
    let (found, limit) = (bytes.len(), bytes.len() - 1);
    let refused = SessionToken::decode(&bytes, &cluster(), &Limits { max_token: limit, ..Limits::default() });
    assert_eq!(refused, Err(TokenError::TooLong { found, limit }));
}

#[test]
fn origins_are_named_once_however_many_partitions_depend_on_them() {
    let touched = |partitions: u16, origins: u8| -> Vec<_> {
        (0..partitions).flat_map(|p| (0..origins).map(move |origin| (p, origin, 60_000))).collect()
    };
    let bytes =
        |partitions, origins| causal(&touched(partitions, origins), Hlc::ZERO).encode(&cluster()).len();
    assert_eq!(bytes(1, 1), 41 + 3 + 1 + 16 + 1 + 2 + 4);
    assert_eq!(bytes(64, 100), 41 + 3 + 1 + 100 * 16 + 1 + 64 * (2 + 100 * 4));
    assert!(bytes(64, 100) < Limits::default().max_token);
}

#[test]
fn what_is_genuine_and_malformed_is_reported_as_such() {
    let origins = |count: usize| [&[u8::try_from(count).unwrap()][..], &[0xaa; 16].repeat(count)].concat();
    let unused = [&[0, 0, 0][..], &origins(1), &[0]].concat();
    let twice = [&[0, 0, 0][..], &origins(2), &[1, 0, 2, 0, 1, 1, 1]].concat();
    let absent = [&[0, 0, 0][..], &origins(1), &[1, 0, 2, 0, 1, 1, 1]].concat();
    let zero = [&[0, 0, 0][..], &origins(1), &[1, 0, 1, 0, 0]].concat();
    let empty = vec![0, 0, 0, 0, 1, 0, 0];
    for payload in [unused, twice, absent, zero, empty] {
        let refused = decode(&sealed_by_a_member(&payload));
        assert_eq!(refused, Err(TokenError::Malformed(DecodeError::NotCanonical)), "{payload:?}");
    }
    assert!(matches!(decode(&sealed_by_a_member(&[2])), Err(TokenError::Malformed(_))));
}

#[test]
fn tokens_of_two_topologies_do_not_merge() {
    let placed = SessionToken::SingleLeader { epoch: 1, lsn: 1 };
    for (mut one, other) in [(sample(), placed.clone()), (placed, sample())] {
        let before = one.clone();
        assert_eq!(one.merge(&other), Err(TokenError::OtherTopology));
        assert_eq!(one, before);
    }
}
