//! Tokens of sessions that clients bring back.

use crdt_sync::{ClusterKey, Limits, SessionToken};

/// Foreign tokens are refused. A payload that a member of the cluster made is refused, or is the one encoding of what
/// it says; and not believed any more once a bit of the token was changed. Merging it twice into
/// an empty one gives it again.
pub fn a_session_token_is_believed_only_as_a_member_made_it(bytes: &[u8]) {
    let (cluster, limits) = (ClusterKey::from_bytes([7; 16]), Limits::default());
    let decode = |bytes: &[u8]| SessionToken::decode(bytes, &cluster, &limits);
    assert!(decode(bytes).is_err(), "nobody guesses a code");
    let made = |payload: &[u8]| {
        let mut token = SessionToken::default().encode(&cluster)[..9].to_vec();
        token.extend(payload);
        let key = blake3::derive_key("crdt-sync 2026 session token key v1", &[7; 16]);
        token.extend(blake3::keyed_hash(&key, &token).as_bytes());
        token
    };
    let sealed = made(bytes);
    let Ok(token) = decode(&sealed) else { return };
    assert_eq!(token.encode(&cluster), sealed);
    let mut turned = sealed.clone();
    let at = usize::from(bytes.first().copied().unwrap_or(0)) % turned.len();
    turned[at] ^= 1;
    assert!(decode(&turned).is_err());
    let mut grown = SessionToken::default();
    assert_eq!(grown.merge(&token), Ok(()));
    assert_eq!(grown.merge(&token), Ok(()));
    assert_eq!(grown, token);
}
