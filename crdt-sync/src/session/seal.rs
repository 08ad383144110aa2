//! Tokens as the bytes that clients carry, and believing only those that were made in this cluster.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use blake3::Hash;
use crdt_core::codec::{self, DecodeError};
use crdt_core::{Hlc, ReplicaId};
use serde::{Deserialize, Serialize};

use super::error::TokenError;
use super::token::{Causal, SessionToken};
use crate::limits::Limits;
use crate::node::ClusterKey;

/// The format version this release writes, and the only one it reads.
const VERSION: u8 = 1;

const CHECK_BYTES: usize = 8;
const CODE_BYTES: usize = blake3::OUT_LEN;

/// The bytes of a token around its payload.
const OVERHEAD: usize = 1 + CHECK_BYTES + CODE_BYTES;

/// What is in a token. Origins are named once: many partitions depend on the same few.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Payload {
    Causal {
        latest: Hlc,
        /// Strictly ascending, each of them used.
        origins: Vec<ReplicaId>,
        /// Strictly ascending; origins by their place above, strictly ascending.
        partitions: Vec<(u16, Vec<(u32, u64)>)>,
    },
    SingleLeader {
        epoch: u64,
        lsn: u64,
    },
}

impl SessionToken {
    /// The bytes of the token, for members of this cluster. O(size).
    ///
    /// They are not secret: whoever holds them can read which identities wrote how much.
    pub fn encode(&self, cluster: &ClusterKey) -> Vec<u8> {
        let mut bytes = Vec::from([VERSION]);
        bytes.extend_from_slice(&cluster.check());
        bytes.extend_from_slice(&self.payload());
        let code = code_of(&bytes, cluster);
        bytes.extend_from_slice(code.as_bytes());
        bytes
    }

    /// The token that has these bytes, if this cluster made it. O(size).
    ///
    /// Codes compare in constant time, and nothing of the payload is looked at before they agree. At most
    /// [`Limits::max_token`] bytes are read.
    pub fn decode(bytes: &[u8], cluster: &ClusterKey, limits: &Limits) -> Result<Self, TokenError> {
        let found = bytes.len();
        if found > limits.max_token {
            return Err(TokenError::TooLong { found, limit: limits.max_token });
        }
        let truncated = TokenError::Truncated { found };
        match bytes.first() {
            None => return Err(truncated),
            Some(&VERSION) => {}
            Some(&found) => return Err(TokenError::OtherVersion { found, supported: VERSION }),
        }
        let Some((sealed, code)) = bytes.split_last_chunk::<CODE_BYTES>() else { return Err(truncated) };
        let Some((check, payload)) = sealed.get(1..).and_then(<[u8]>::split_first_chunk::<CHECK_BYTES>)
        else {
            return Err(truncated);
        };
        if *check != cluster.check() {
            return Err(TokenError::OtherCluster);
        }
        if code_of(sealed, cluster) != Hash::from_bytes(*code) {
            return Err(TokenError::NotAuthentic);
        }
        Self::from_payload(payload, limits)
    }

    /// How many bytes [`encode`](Self::encode) makes.
    pub(crate) fn encoded_len(&self) -> usize {
        OVERHEAD + self.payload().len()
    }

    fn payload(&self) -> Vec<u8> {
        codec::encode_payload(&match self {
            Self::Causal(causal) => causal.to_payload(),
            &Self::SingleLeader { epoch, lsn } => Payload::SingleLeader { epoch, lsn },
        })
    }

    fn from_payload(bytes: &[u8], limits: &Limits) -> Result<Self, TokenError> {
        let limits = crdt_core::Limits {
            max_bytes: limits.max_token,
            max_elements: limits.max_token,
            ..crdt_core::Limits::DEFAULT
        };
        match codec::decode_payload(bytes, &limits)? {
            Payload::SingleLeader { epoch, lsn } => Ok(Self::SingleLeader { epoch, lsn }),
            payload @ Payload::Causal { .. } => match Causal::of_payload(&payload) {
                Some(causal) if causal.to_payload() == payload => Ok(Self::Causal(causal)),
                _ => Err(DecodeError::NotCanonical.into()),
            },
        }
    }
}

impl Causal {
    fn to_payload(&self) -> Payload {
        let mut places: BTreeMap<ReplicaId, u32> = BTreeMap::new();
        places.extend(self.partitions().flat_map(|(_, origins)| origins).map(|(origin, _)| (origin, 0)));
        for (place, index) in places.values_mut().zip(0..) {
            *place = index;
        }
        let place_of = |origin: &ReplicaId| places.get(origin).copied().unwrap_or_default();
        let partitions = self.partitions().map(|(number, origins)| {
            (number, origins.map(|(origin, sequence)| (place_of(&origin), sequence)).collect())
        });
        Payload::Causal {
            latest: self.latest(),
            partitions: partitions.collect(),
            origins: places.keys().copied().collect(),
        }
    }

    /// What a payload says, whether it says it in the one right way or not; `None` if it says nothing.
    fn of_payload(payload: &Payload) -> Option<Self> {
        let Payload::Causal { latest, origins, partitions } = payload else { return None };
        let mut causal = Self::default();
        causal.see(*latest);
        for (number, pairs) in partitions {
            for &(place, sequence) in pairs {
                causal.touch(*number, *origins.get(usize::try_from(place).ok()?)?, sequence);
            }
        }
        Some(causal)
    }
}

/// Proves that a member of the cluster made these bytes: BLAKE3 in keyed mode.
fn code_of(sealed: &[u8], cluster: &ClusterKey) -> Hash {
    let key = blake3::derive_key("crdt-sync 2026 session token key v1", cluster.as_bytes());
    blake3::keyed_hash(&key, sealed)
}
