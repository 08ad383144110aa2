//! What a token says, as a value: a join semilattice.

use alloc::collections::BTreeMap;

use crdt_core::{Hlc, ReplicaId};

use super::error::TokenError;

/// What a client's session has written and been shown, so that every node can tell whether it has got as far.
///
/// Tokens form a join semilattice under [`merge`](Self::merge): a client that got several answers at once merges
/// their tokens, in any order. Clients carry a token as bytes, made by [`encode`](Self::encode) with a message
/// authentication code, and can neither make one up nor change one.
///
/// ```
/// use crdt_sync::{ClusterKey, Limits, SessionToken, TokenError};
///
/// let (ours, theirs) = (ClusterKey::from_bytes([7; 16]), ClusterKey::from_bytes([8; 16]));
/// let bytes = SessionToken::default().encode(&ours);
/// assert_eq!(SessionToken::decode(&bytes, &ours, &Limits::default())?, SessionToken::default());
/// assert_eq!(
///     SessionToken::decode(&bytes, &theirs, &Limits::default()),
///     Err(TokenError::OtherCluster)
/// );
/// # Ok::<(), TokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionToken {
    /// Where every node takes writes.
    Causal(Causal),
    /// Where one node at a time takes writes: the place in its log that must have been applied.
    SingleLeader {
        /// The leader's epoch.
        epoch: u64,
        /// The record of the log.
        lsn: u64,
    },
}

/// What a session depends on where every node takes writes: per partition and origin the last sequence.
///
/// Entries of one origin are applied in order, so its highest sequence stands for all before. There is therefore
/// nothing coarser to fall back to that a node could check: a token is at most a frontier per partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causal {
    /// No partition is empty, no sequence zero.
    partitions: BTreeMap<u16, BTreeMap<ReplicaId, u64>>,
    latest: Hlc,
}

impl SessionToken {
    /// Takes over what the other token says: the least upper bound of both. O(size) of the other.
    ///
    /// An empty token merges with every other; tokens of two topologies do not, and this one stays as it was.
    pub fn merge(&mut self, other: &Self) -> Result<(), TokenError> {
        match (&mut *self, other) {
            (Self::Causal(ours), Self::Causal(theirs)) => ours.join(theirs),
            (
                Self::SingleLeader { epoch, lsn },
                &Self::SingleLeader { epoch: their_epoch, lsn: their_lsn },
            ) => {
                (*epoch, *lsn) = (*epoch, *lsn).max((their_epoch, their_lsn));
            }
            (Self::SingleLeader { .. }, Self::Causal(theirs)) if theirs.is_empty() => {}
            (Self::Causal(ours), Self::SingleLeader { .. }) if ours.is_empty() => *self = other.clone(),
            _ => return Err(TokenError::OtherTopology),
        }
        Ok(())
    }
}

/// The token of a session in which nothing happened yet.
impl Default for SessionToken {
    fn default() -> Self {
        Self::Causal(Causal::default())
    }
}

impl Causal {
    /// Whether the session depends on nothing.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.latest == Hlc::ZERO
    }

    /// The partitions the session depends on, ascending, and in each the last sequence of every origin, ascending.
    pub fn partitions(&self) -> impl Iterator<Item = (u16, impl Iterator<Item = (ReplicaId, u64)>)> {
        self.partitions.keys().map(|number| (*number, self.of(*number)))
    }

    /// The last sequence of every origin that the session depends on in one partition, ascending.
    pub fn of(&self, partition: u16) -> impl Iterator<Item = (ReplicaId, u64)> + use<'_> {
        let origins = self.partitions.get(&partition).into_iter().flatten();
        origins.map(|(origin, sequence)| (*origin, *sequence))
    }

    /// The latest stamp the session wrote or saw: what it writes next must be later.
    pub fn latest(&self) -> Hlc {
        self.latest
    }

    /// The session depends on everything of an origin up to this sequence; zero stands for nothing.
    pub(crate) fn touch(&mut self, partition: u16, origin: ReplicaId, sequence: u64) {
        if sequence > 0 {
            let known = self.partitions.entry(partition).or_default().entry(origin).or_default();
            *known = (*known).max(sequence);
        }
    }

    /// The session saw this stamp.
    pub(crate) fn see(&mut self, stamp: Hlc) {
        self.latest = self.latest.max(stamp);
    }

    fn join(&mut self, other: &Self) {
        for (&partition, origins) in &other.partitions {
            for (&origin, &sequence) in origins {
                self.touch(partition, origin, sequence);
            }
        }
        self.see(other.latest);
    }
}
