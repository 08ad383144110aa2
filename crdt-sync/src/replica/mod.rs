//! One replica of the data: its cells, what it has seen, and the journal that makes both survive.
//!
//! Everything here is a function of the inputs. A change is staged in the [`Journal`] and made in memory at
//! the same moment; whatever tells anyone about it waits until the journal's record is durable.

mod ahead;
mod apply;
mod by_dots;
mod by_hash;
mod by_key;
mod cells;
mod collected;
#[cfg(test)]
mod collected_tests;
mod conflicts;
mod deletions;
mod draft;
mod dropped;
mod excerpt;
mod fork;
mod fork_claims;
#[cfg(test)]
mod fork_claims_tests;
#[cfg(test)]
mod fork_tests;
mod hints;
mod item_sketch;
mod journal;
#[cfg(test)]
mod journal_tests;
mod layout;
mod members;
mod mirrors;
mod mutation;
mod partition;
mod pending;
mod photograph;
#[cfg(test)]
mod photograph_tests;
mod removal;
mod replay;
mod run_error;
mod sizes;
#[cfg(test)]
mod sizes_tests;
mod split;
#[cfg(test)]
mod tests;
mod told;
#[cfg(test)]
pub(crate) mod told_tests;
mod unfilled;
mod unite;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use conflict_store::Resolver;
use crdt_core::{Hlc, HlcClock, ReplicaId};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use replication_log::Lsn;

pub(crate) use apply::{Joined, check_position};
pub(crate) use by_key::ByKey;
pub(crate) use cells::Held;
pub use cells::ItemKey;
pub(crate) use collected::Coverage;
use conflicts::LostWrite;
use deletions::TimeNotes;

pub use draft::{Action, Write, WriteError, Written};
pub(crate) use fork::Divided;
#[cfg(test)]
pub(crate) use hints::HeldHint;
use hints::Hints;
pub(crate) use hints::{HintError, SyncPoint};
pub(crate) use journal::{Journal, JournalRecord, Staged};
use layout::NotedLayout;
pub(crate) use mutation::Mutation;
pub(crate) use partition::{MergeOutcome, Partition};
use pending::Pending;
pub(crate) use pending::Reign;
pub(crate) use replay::STORED;
pub use replay::{RecoverError, node_of_log};
pub use run_error::{RunError, RunOutcome};
pub(crate) use unfilled::{read_spans, spans_of};
pub(crate) use unite::unite;

use crate::authorize::Authorization;
use crate::bytes::Bytes;
use crate::collection::{Collection, CollectionId, Registry};
use crate::entry::Position;
use crate::leaderless::LeaderlessConfig;
use crate::limits::{Limits, Timing};
use crate::membership::Members;
use crate::merkle::{TreeError, TreeKey};
use crate::node::{ClusterKey, NodeId};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::single_leader::SingleLeaderConfig;
use crate::time::WallTime;

/// How the nodes of a cluster replicate.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Replication {
    /// Every node takes writes, and what each writes reaches all.
    #[default]
    MultiLeader,
    /// Every key lives on N nodes, a write waits for W of them and a read for R.
    Leaderless(Box<LeaderlessConfig>),
    /// One node takes writes, and the others follow its log.
    SingleLeader(Box<SingleLeaderConfig>),
}

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
    /// Who may write and read what; without a word everybody may.
    pub authorization: Authorization,
    /// The rules of the custom collections.
    pub rules: Rules,
    /// Collections of documents whose conflicts their rule ends by writing, as soon as this node sees them. Nodes may
    /// differ: one that settles is enough.
    pub settled: Vec<CollectionId>,
    /// Whether to tell of writes that came too late to be seen, see
    /// [`Event::ConcurrentWrite`](crate::Event::ConcurrentWrite). Not by default: when the same catalogue is loaded on
    /// two nodes, that is one event for every key.
    pub tell_lost_writes: bool,
    /// Whether documents that are deleted, and known by all members to be, are forgotten in the end. Every node may
    /// decide for itself; what one has forgotten is not brought back by the others, who forget it with it. In a
    /// leaderless cluster nothing is forgotten unless all replicas of it do so.
    pub collects_deletions: bool,
    /// What this node holds: everything, or the part that it names. The same for life.
    pub scope: Scope,
    /// How nodes replicate; the same on every node, and for life.
    pub replication: Replication,
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
            authorization: Authorization::default(),
            rules: Rules::default(),
            settled: Vec::new(),
            tell_lost_writes: false,
            collects_deletions: false,
            scope: Scope::everything(),
            replication: Replication::MultiLeader,
            seed,
        }
    }

    /// The same with these collections.
    pub fn with_collections(mut self, collections: impl IntoIterator<Item = Collection>) -> Self {
        self.collections.extend(collections);
        self
    }

    /// The same for a node that holds this part of the data.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same with this rule for the custom collections that name it.
    pub fn with_rule(mut self, rule: impl Resolver<Bytes> + Send + Sync + 'static) -> Self {
        self.rules = self.rules.with(rule);
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
    /// The last stamp that was given out.
    issued: Hlc,
    pub(crate) rng: ChaCha8Rng,
    /// Drawn at the start: tells this process from another that says it is the same node.
    pub(crate) incarnation: u64,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) journal: Journal,
    lost_writes: Vec<LostWrite>,
    pub(crate) members: Members,
    /// What other nodes missed.
    hints: Hints,
    time_notes: TimeNotes,
    noted_layout: NotedLayout,
    /// Partitions of which something may be missing that this node acknowledged.
    unfilled: BTreeSet<u16>,
    /// Where the log is shared.
    pending: Option<Pending>,
    /// Whether the log is all that this node ever had in it.
    pub(crate) trusts_log: bool,
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
        let mut rng = ChaCha8Rng::from_seed(config.seed);
        Ok(Self {
            incarnation: rng.next_u64(),
            clock: HlcClock::new(config.timing.max_drift),
            issued: Hlc::ZERO,
            rng,
            id: ReplicaId::from_u128(0),
            journal: Journal::after(Lsn::ZERO),
            lost_writes: Vec::new(),
            members: Members::new(config.node),
            hints: Hints::default(),
            time_notes: TimeNotes::default(),
            noted_layout: NotedLayout::default(),
            unfilled: BTreeSet::new(),
            pending: matches!(config.replication, Replication::SingleLeader(_)).then(Pending::default),
            trusts_log: true,
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
        let lsn = self.journal.append(&JournalRecord::Identity(self.id));
        self.write_under(self.id, lsn);
        self.id
    }

    /// From here on this node writes under an identity, and holds all that is ever written under it.
    fn write_under(&mut self, id: ReplicaId, lsn: Lsn) {
        self.id = id;
        self.members.write_under(id, lsn);
        for partition in &mut self.partitions {
            partition.histories.hold_whole(id);
        }
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

    /// Whatever is written from now on is stamped later than this, within the bound on drift.
    pub(crate) fn observe(&mut self, stamp: Hlc, wall: WallTime) {
        self.clock.observe(stamp, wall);
    }

    /// A random number.
    pub(crate) fn draw_number(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// The latest stamp given out or seen.
    pub(crate) fn latest_stamp(&self) -> Hlc {
        self.clock.last()
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
