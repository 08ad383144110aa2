//! One replica of the data: its cells, what it has seen, and the journal that makes both survive.
//!
//! Everything here is a function of the inputs. A change is staged in the [`Journal`] and made in memory at
//! the same moment; whatever tells anyone about it waits until the journal's record is durable.

mod apply;
mod cells;
mod draft;
mod journal;
mod partition;
mod replay;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use crdt_core::{HlcClock, ReplicaId};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use replication_log::Lsn;

pub(crate) use apply::{Joined, check_position};
pub use apply::{RunError, RunOutcome};
pub use cells::ItemKey;

pub use draft::{Action, Write, WriteError, Written};
pub(crate) use journal::{Journal, JournalRecord};
pub(crate) use partition::{MergeOutcome, Partition};
pub use replay::{RecoverError, node_of_log};

use crate::collection::{Collection, CollectionId, Registry};
use crate::entry::Position;
use crate::limits::{Limits, Timing};
use crate::merkle::{TreeError, TreeKey};
use crate::node::{ClusterKey, NodeId};

/// What a replica is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name, unique in the cluster.
    pub node: NodeId,
    /// The cluster's shared secret.
    pub cluster: ClusterKey,
    /// Into how many partitions keys are divided; the same on every node. At least one.
    pub partitions: u16,
    /// The collections, the same on every node.
    pub collections: Vec<Collection>,
    /// Bounds on what others can make grow.
    pub limits: Limits,
    /// How long to wait for what.
    pub timing: Timing,
    /// The size of each partition's hash tree: 2^`leaf_bits` leaves, in steps of 4 from 4 to 20. Nodes may differ.
    /// Sixteen suit a partition of up to some millions of keys.
    pub leaf_bits: u8,
    /// Seeds every random choice: identities, session numbers, nonces. Two nodes, and two runs of one node,
    /// must not share it; a simulator repeats a run by repeating it.
    pub seed: [u8; 32],
}

impl Config {
    /// A configuration with one partition, no collections and the default limits.
    pub fn new(node: NodeId, cluster: ClusterKey, seed: [u8; 32]) -> Self {
        Self {
            node,
            cluster,
            partitions: 1,
            collections: Vec::new(),
            limits: Limits::default(),
            timing: Timing::default(),
            leaf_bits: 16,
            seed,
        }
    }

    /// The same with these collections.
    pub fn with_collections(mut self, collections: impl IntoIterator<Item = Collection>) -> Self {
        self.collections.extend(collections);
        self
    }
}

/// The replica of one node.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    /// The identity under which this node writes now.
    pub(crate) id: ReplicaId,
    clock: HlcClock,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) journal: Journal,
    #[cfg(feature = "_planted_bugs")]
    planted: Option<crate::PlantedBug>,
}

impl Replica {
    /// An empty replica; it has no identity yet.
    fn unfounded(config: Config, registry: Registry) -> Result<Self, TreeError> {
        let tree_key = TreeKey::new(*config.cluster.as_bytes());
        let partitions = (0..config.partitions)
            .map(|number| Partition::new(number, &tree_key, &config))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            clock: HlcClock::new(config.timing.max_drift),
            rng: ChaCha8Rng::from_seed(config.seed),
            id: ReplicaId::from_u128(0),
            journal: Journal::after(Lsn::ZERO),
            config,
            registry,
            partitions,
            #[cfg(feature = "_planted_bugs")]
            planted: None,
        })
    }

    /// Makes the replica make a mistake from now on.
    #[cfg(feature = "_planted_bugs")]
    pub(crate) fn plant(&mut self, bug: crate::PlantedBug) {
        self.planted = Some(bug);
        if bug == crate::PlantedBug::AppliedTwice {
            self.apply_received_again();
        }
    }

    /// Whether the replica was told to make this mistake.
    #[cfg(feature = "_planted_bugs")]
    pub(crate) fn has_bug(&self, bug: crate::PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    /// Gives up the present identity and writes under a fresh one from now on.
    ///
    /// The counters of the old one are no longer known to be this node's alone, so none of them may be used
    /// again; what was written under it stays, as the writes of one more origin.
    pub(crate) fn renew_identity(&mut self) -> ReplicaId {
        let mut random = [0; 16];
        self.rng.fill_bytes(&mut random);
        self.id = ReplicaId::from_random_bytes(random);
        self.journal.append(&JournalRecord::Identity(self.id));
        self.id
    }

    /// Whether `heads` name writes of this identity that this replica does not know: a backup was restored,
    /// or another process writes under the same name.
    pub(crate) fn is_outrun_by(&self, partition: u16, heads: &[(ReplicaId, Position)]) -> bool {
        let own = self.partition(partition).histories.head(self.id);
        #[cfg(feature = "_planted_bugs")]
        if self.has_bug(crate::PlantedBug::IdentityKept) {
            return false;
        }
        heads.iter().any(|&(origin, head)| {
            let forked = head.sequence == own.sequence && head.chain != own.chain;
            origin == self.id && (head.sequence > own.sequence || forked)
        })
    }

    /// The partition of this number. The number comes from inside, or was checked at the door.
    pub(crate) fn partition(&self, number: u16) -> &Partition {
        &self.partitions[usize::from(number)]
    }

    pub(crate) fn partition_mut(&mut self, number: u16) -> &mut Partition {
        &mut self.partitions[usize::from(number)]
    }

    /// Whether nothing of this replica is in a log yet.
    pub(crate) fn is_newly_founded(&self) -> bool {
        self.journal.has_staged()
    }

    /// Which partition a key belongs to: the same on every node, whatever its cluster key.
    pub(crate) fn partition_of(&self, collection: CollectionId, key: &[u8]) -> u16 {
        let partitions = self.partitions.len() as u128;
        if partitions == 1 {
            return 0;
        }
        let mut bytes = Vec::with_capacity(8 + key.len());
        bytes.extend_from_slice(collection.as_bytes());
        bytes.extend_from_slice(key);
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a number of partitions")]
        let number = (crdt_core::digest_of(&bytes) % partitions) as u16;
        number
    }
}
