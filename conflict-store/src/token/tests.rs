use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::codec::DecodeError;
use crdt_core::laws::arb_context;
use crdt_core::{CausalContext, ReplicaId};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{OpenTokenError, ParseTokenError, SealTokenError, Seen, Token, TokenKey, TokenScope, Tokens};
use crate::VersionId;
use crate::limits::{MAX_PARENTS, MAX_TOKEN_BYTES};

const SCOPE: TokenScope<'_> = TokenScope { cluster: b"shop", collection: b"carts", key: b"ann" };

fn tokens() -> Tokens {
    Tokens::new(TokenKey::new(&[7; 32]))
}

fn version(generation: u64, digest: u8) -> VersionId {
    VersionId::new(generation, [digest; 16]).unwrap()
}

/// `aa..` 1 to 3 and 5.
fn context() -> CausalContext {
    let replica = ReplicaId::from_bytes([0xaa; 16]);
    let mut context = CausalContext::new();
    context.insert_range(replica, 1..=3);
    context.insert_range(replica, 5..=5);
    context
}

fn seal(seen: &Seen) -> Token {
    tokens().seal(SCOPE, seen).unwrap()
}

fn open(token: &Token) -> Result<Seen, OpenTokenError> {
    tokens().open(SCOPE, token)
}

/// A token with this payload, as only somebody with the key can make it.
fn sealed_by_an_insider(payload: &[u8]) -> Token {
    let key = blake3::derive_key("conflict-store 2026 token key v1", &[7; 32]);
    let honest = seal(&Seen::Versions(Vec::new()));
    let mut bytes = honest.as_bytes()[..17].to_vec();
    bytes.extend(payload);
    let mac = blake3::keyed_hash(&key, &bytes);
    bytes.extend(mac.as_bytes());
    Token::from(bytes)
}

fn arb_seen() -> impl Strategy<Value = Seen> {
    let versions = vec((1..300_u64, any::<u8>()), 0..8)
        .prop_map(|versions| versions.into_iter().map(|(generation, digest)| version(generation, digest)));
    prop_oneof![
        arb_context().prop_map(Seen::Context),
        versions.prop_map(|versions| {
            let mut versions: Vec<_> = versions.collect();
            versions.sort_unstable();
            versions.dedup();
            Seen::Versions(versions)
        }),
    ]
}

proptest! {
    #[test]
    fn what_was_sealed_is_what_is_opened(seen in arb_seen()) {
        let text = seal(&seen).to_string();
        prop_assert_eq!(open(&text.parse().unwrap()), Ok(seen));
    }

    #[test]
    fn whatever_decodes_is_the_one_encoding_of_what_was_seen(noise in vec(0..4_u8, 0..60)) {
        if let Ok(seen) = Seen::decode(&noise) {
            prop_assert_eq!(seen.encode(), noise);
        }
    }

    #[test]
    fn noise_is_no_token(noise in vec(any::<u8>(), 0..200), is_versioned in any::<bool>()) {
        let mut noise = noise;
        if let (true, Some(version)) = (is_versioned, noise.first_mut()) {
            *version = 1;
        }
        prop_assert!(open(&Token::from(noise)).is_err());
    }
}

/// The bytes are described in `docs/formats.md`. A change here needs a new format version.
#[test]
fn golden_tokens() {
    let context = seal(&Seen::Context(context()));
    let payload = [&[0, 1][..], &[0xaa; 16], &[2, 0, 2, 0, 0]].concat();
    assert_eq!(context.as_bytes()[17..context.as_bytes().len() - 32], payload);
    assert_eq!(
        context.to_string(),
        [
            "01",
            "b494e73f5845c05dae6a197bc82be234",
            "0001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0200020000",
            "d6f6713ea178ddad305a74d80d06385620d2e60dd35dfaf2493b82560b444c96",
        ]
        .concat()
    );

    let versions = seal(&Seen::Versions(vec![version(2, 0xbb), version(300, 0xaa)]));
    let payload = [&[1, 2, 2][..], &[0xbb; 16], &[0xfb, 0x2c, 0x01], &[0xaa; 16]].concat();
    assert_eq!(versions.as_bytes()[17..versions.as_bytes().len() - 32], payload);
    assert_eq!(
        versions.to_string(),
        [
            "01",
            "b494e73f5845c05dae6a197bc82be234",
            "010202bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbfb2c01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "4f8047a7b66afdba9d0a833ed01cbe430bb16943bbf8ace4c9e4391dc57816ff",
        ]
        .concat()
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let token = seal(&Seen::Context(context()));
    for bit in 0..token.as_bytes().len() * 8 {
        let mut bytes = token.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0 => OpenTokenError::UnsupportedVersion { found: bytes[0], supported: 1 },
            _ => OpenTokenError::NotAuthentic,
        };
        assert_eq!(open(&Token::from(bytes)), Err(expected));
    }
    for end in 0..token.as_bytes().len() {
        let expected =
            if end < 49 { OpenTokenError::Truncated { found: end } } else { OpenTokenError::NotAuthentic };
        assert_eq!(open(&Token::from(token.as_bytes()[..end].to_vec())), Err(expected));
    }
    let longer = [token.as_bytes(), &[0]].concat();
    assert_eq!(open(&Token::from(longer)), Err(OpenTokenError::NotAuthentic));
}

#[test]
fn a_token_is_bound_to_each_part_of_its_scope() {
    let token = seal(&Seen::Context(context()));
    let others = [
        TokenScope { cluster: b"test", ..SCOPE },
        TokenScope { collection: b"wishes", ..SCOPE },
        TokenScope { key: b"bob", ..SCOPE },
        // The same bytes, divided otherwise.
        TokenScope { collection: b"cartsa", key: b"nn", ..SCOPE },
        TokenScope { cluster: b"shopcarts", collection: b"", ..SCOPE },
    ];
    for scope in others {
        assert_eq!(tokens().open(scope, &token), Err(OpenTokenError::Elsewhere));
    }
    assert!(tokens().open(SCOPE, &token).is_ok());
}

#[test]
fn keys_are_rotated_by_accepting_two() {
    let [old, new, next] = [1, 2, 3].map(|n| TokenKey::new(&[n; 32]));
    let of_old = Tokens::new(old.clone()).seal(SCOPE, &Seen::Context(context())).unwrap();
    let of_new = Tokens::new(new.clone()).seal(SCOPE, &Seen::Context(context())).unwrap();
    assert_ne!(of_old, of_new);

    assert_eq!(Tokens::new(old.clone()).open(SCOPE, &of_new), Err(OpenTokenError::NotAuthentic));
    for tokens in [Tokens::new(old.clone()).accepting(new.clone()), Tokens::new(new.clone()).accepting(old)] {
        assert_eq!(tokens.open(SCOPE, &of_old), tokens.open(SCOPE, &of_new));
        assert!(tokens.open(SCOPE, &of_old).is_ok());
    }
    let tokens = Tokens::new(next).accepting(new);
    assert_eq!(tokens.open(SCOPE, &of_old), Err(OpenTokenError::NotAuthentic));
    assert!(tokens.open(SCOPE, &of_new).is_ok());
}

#[test]
fn versions_are_a_set() {
    let seen = |versions: &[VersionId]| Seen::Versions(versions.to_vec());
    let [a, b] = [version(1, 2), version(2, 1)];
    assert_eq!(seal(&seen(&[b, a, b])), seal(&seen(&[a, b])));
    assert_eq!(open(&seal(&seen(&[b, a, b]))), Ok(seen(&[a, b])));

    let descending = [&[1, 2, 2][..], &[0xbb; 16], &[1], &[0xaa; 16]].concat();
    assert_eq!(Seen::decode(&descending), Err(DecodeError::NotCanonical));
    let twice = [&[1, 2, 2][..], &[0xbb; 16], &[2], &[0xbb; 16]].concat();
    assert_eq!(Seen::decode(&twice), Err(DecodeError::NotCanonical));
    let generation_zero = [&[1, 1, 0][..], &[0xbb; 16]].concat();
    assert!(matches!(Seen::decode(&generation_zero), Err(DecodeError::Malformed { .. })));
    assert!(matches!(Seen::decode(&[2]), Err(DecodeError::Malformed { .. })));
    assert_eq!(Seen::decode(&[0, 0, 0]), Err(DecodeError::TrailingBytes { extra: 1 }));
}

#[test]
fn what_is_genuine_and_malformed_is_reported_as_such() {
    assert_eq!(open(&sealed_by_an_insider(&[0, 0])), Ok(Seen::Context(CausalContext::new())));
    let refused = open(&sealed_by_an_insider(&[0, 0, 0]));
    assert_eq!(refused, Err(OpenTokenError::Malformed(DecodeError::TrailingBytes { extra: 1 })));
    assert_eq!(open(&sealed_by_an_insider(&[])), Err(OpenTokenError::Malformed(DecodeError::Truncated)));
}

#[test]
fn a_token_of_the_other_kind_is_not_used() {
    let of_siblings = Seen::Context(context());
    let of_documents = Seen::Versions(vec![version(1, 1)]);
    let (context, versions) = ("a causal context", "version ids");
    let refused = of_siblings.clone().into_versions();
    assert_eq!(refused, Err(OpenTokenError::WrongKind { expected: versions, found: context }));
    let refused = of_documents.clone().into_context();
    assert_eq!(refused, Err(OpenTokenError::WrongKind { expected: context, found: versions }));
    assert!(of_siblings.into_context().is_ok() && of_documents.into_versions().is_ok());
}

#[test]
fn tokens_are_bounded() {
    let writers = |count: u128| {
        let mut seen = CausalContext::new();
        for replica in 0..count {
            seen.insert_range(ReplicaId::from_u128(replica), 1..=100_000);
        }
        Seen::Context(seen)
    };
    assert_eq!(seal(&writers(3)).as_bytes().len(), 120);
    let largest = seal(&writers(1_400));
    assert!(open(&largest).is_ok());
    let SealTokenError::TooLarge { found, limit } = tokens().seal(SCOPE, &writers(2_000)).unwrap_err();
    assert!(found > limit && limit == MAX_TOKEN_BYTES);

    let conflict = |count: usize| {
        let deepest = (u64::MAX - count as u64..).take(count);
        Seen::Versions(deepest.map(|generation| version(generation, 1)).collect())
    };
    assert!(open(&seal(&conflict(MAX_PARENTS))).is_ok(), "whatever can be resolved at once fits");

    let (found, limit) = (MAX_TOKEN_BYTES + 1, MAX_TOKEN_BYTES);
    assert_eq!(open(&Token::from(vec![1; found])), Err(OpenTokenError::TooLarge { found, limit }));
    let refused = Seen::decode(&vec![1; found]);
    assert_eq!(refused, Err(DecodeError::TooLarge { found, limit }));
    let claimed = [&[1, 0xfd][..], &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(Seen::decode(&claimed), Err(DecodeError::TooManyElements { .. })));
}

#[test]
fn one_token_has_one_text() {
    let parse = |text: &str| text.parse::<Token>();
    assert_eq!(parse("00ff").map(|token| token.as_bytes().to_vec()), Ok(vec![0, 0xff]));
    for text in ["0", "0g", "0F", " 00", "0x00", "é0", "+0"] {
        assert_eq!(parse(text), Err(ParseTokenError::NotHex), "{text:?}");
    }
    let (found, limit) = (2 * MAX_TOKEN_BYTES + 2, 2 * MAX_TOKEN_BYTES);
    let long: String = "0".repeat(found);
    assert_eq!(parse(&long), Err(ParseTokenError::TooLong { found, limit }));
    assert!(parse(&long[2..]).is_ok());
}

#[test]
fn secrets_do_not_reach_logs() {
    let shown = alloc::format!("{:?}", tokens().accepting(TokenKey::new(&[8; 32])));
    assert_eq!(shown, "Tokens { current: TokenKey(..), accepted: Some(TokenKey(..)) }");
}
