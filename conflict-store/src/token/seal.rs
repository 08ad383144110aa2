//! Making tokens, and believing only those that were made here.

use alloc::vec::Vec;
use core::fmt;

use blake3::{Hash, Hasher};

use super::error::{OpenTokenError, SealTokenError};
use super::seen::Seen;
use super::text::Token;
use crate::limits::MAX_TOKEN_BYTES;

/// The format version this release writes, and the only one it reads.
const VERSION: u8 = 1;

const SCOPE_BYTES: usize = 16;
const MAC_BYTES: usize = blake3::OUT_LEN;

/// The bytes of a token around its payload.
const OVERHEAD: usize = 1 + SCOPE_BYTES + MAC_BYTES;

/// What a token is for. It is of use nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenScope<'a> {
    /// The cluster, by a name or id that no other has.
    pub cluster: &'a [u8],
    /// The collection.
    pub collection: &'a [u8],
    /// The key in the collection.
    pub key: &'a [u8],
}

/// A secret to seal tokens with, which all nodes of a cluster share.
///
/// It is derived from the cluster's secret and is of no use for anything else.
#[derive(Clone)]
pub struct TokenKey([u8; blake3::KEY_LEN]);

impl TokenKey {
    /// The key that follows from a cluster's secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("conflict-store 2026 token key v1", secret))
    }

    fn mac(&self, sealed: &[u8]) -> Hash {
        blake3::keyed_hash(&self.0, sealed)
    }
}

/// Without the secret: debug output ends in logs.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// Makes and opens the [`Token`]s of a cluster.
///
/// A token is what was seen, in the clear, with a message authentication code (BLAKE3 in keyed mode).
/// So a client can keep it for as long as it likes, and send it to any node; but it cannot claim to
/// have seen what it has not, which would delete values that nobody read, and it cannot use it on
/// another key.
///
/// To rotate the key, let every node first [accept](Self::accepting) the new one, then seal with the
/// new one and accept the old. Tokens older than the last two keys are refused, and their clients read
/// again.
///
/// ```
/// use conflict_store::{TokenScope, Seen, Siblings, TokenKey, Tokens};
/// use crdt_core::{CausalContext, Replica, ReplicaId};
///
/// let tokens = Tokens::new(TokenKey::new(&[7; 32]));
/// let scope = TokenScope { cluster: b"shop", collection: b"carts", key: b"ann" };
/// let mut cart = Replica::new(ReplicaId::from_u128(1), Siblings::default())?;
/// cart.edit(|cart, me| cart.write(me, &CausalContext::new(), "milk"))?;
///
/// // The client reads, and is given the values and this text:
/// let text = tokens.seal(scope, &Seen::Context(cart.context().clone()))?.to_string();
///
/// // It writes, and sends the text along.
/// let seen = tokens.open(scope, &text.parse()?)?.into_context()?;
/// cart.edit(|cart, me| cart.write(me, &seen, "milk, rice"))?;
/// assert!(cart.values().copied().eq(["milk, rice"]));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokens {
    current: TokenKey,
    /// The one before or after it.
    accepted: Option<TokenKey>,
}

impl Tokens {
    /// Seals with this key, and opens what was sealed with it.
    pub const fn new(key: TokenKey) -> Self {
        Self { current: key, accepted: None }
    }

    /// Opens also what was sealed with this other key.
    pub fn accepting(self, other: TokenKey) -> Self {
        Self { accepted: Some(other), ..self }
    }

    /// The token that says what was seen in `scope`. O(size).
    pub fn seal(&self, scope: TokenScope<'_>, seen: &Seen) -> Result<Token, SealTokenError> {
        let payload = seen.encode();
        let found = OVERHEAD + payload.len();
        if found > MAX_TOKEN_BYTES {
            return Err(SealTokenError::TooLarge { found, limit: MAX_TOKEN_BYTES });
        }
        let mut bytes = Vec::with_capacity(found);
        bytes.push(VERSION);
        bytes.extend_from_slice(&scope.check());
        bytes.extend_from_slice(&payload);
        let mac = self.current.mac(&bytes);
        bytes.extend_from_slice(mac.as_bytes());
        Ok(Token::from(bytes))
    }

    /// What a token says, if it was sealed here for `scope`. O(size of the token).
    ///
    /// The comparison of the codes takes the same time wherever they differ. Nothing of the token is
    /// decoded before they agree.
    pub fn open(&self, scope: TokenScope<'_>, token: &Token) -> Result<Seen, OpenTokenError> {
        let parts = Parts::of(token.as_bytes())?;
        let keys = [Some(&self.current), self.accepted.as_ref()];
        if !keys.into_iter().flatten().any(|key| parts.are_sealed_with(key)) {
            return Err(OpenTokenError::NotAuthentic);
        }
        if parts.scope != scope.check() {
            return Err(OpenTokenError::Elsewhere);
        }
        Ok(Seen::decode(parts.payload)?)
    }
}

/// A token taken apart.
struct Parts<'a> {
    /// All that the code is about.
    sealed: &'a [u8],
    scope: [u8; SCOPE_BYTES],
    payload: &'a [u8],
    mac: Hash,
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Result<Self, OpenTokenError> {
        let found = token.len();
        if found > MAX_TOKEN_BYTES {
            return Err(OpenTokenError::TooLarge { found, limit: MAX_TOKEN_BYTES });
        }
        let truncated = OpenTokenError::Truncated { found };
        let (version, _) = token.split_first().ok_or(OpenTokenError::Truncated { found })?;
        if *version != VERSION {
            return Err(OpenTokenError::UnsupportedVersion { found: *version, supported: VERSION });
        }
        let Some((sealed, mac)) = token.split_last_chunk::<MAC_BYTES>() else { return Err(truncated) };
        let Some((_, rest)) = sealed.split_first() else { return Err(truncated) };
        let Some((scope, payload)) = rest.split_first_chunk() else { return Err(truncated) };
        Ok(Self { sealed, scope: *scope, payload, mac: Hash::from_bytes(*mac) })
    }

    fn are_sealed_with(&self, key: &TokenKey) -> bool {
        // Hashes compare in constant time.
        key.mac(self.sealed) == self.mac
    }
}

impl TokenScope<'_> {
    /// A digest of the scope, so that a token for another key can be told from a forged one.
    fn check(&self) -> [u8; SCOPE_BYTES] {
        let mut hasher = Hasher::new_keyed(b"conflict-store token scope     1");
        for part in [self.cluster, self.collection, self.key] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut check = [0; SCOPE_BYTES];
        hasher.finalize_xof().fill(&mut check);
        check
    }
}
