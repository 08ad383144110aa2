//! How a node is opened.

use std::net::SocketAddr;
use std::time::Duration;

use conflict_store::Resolver;
use crdt_sync::failover::{Coordinator, FailoverConfig};
use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::single_leader::SingleLeaderConfig;
use crdt_sync::{
    Authorization, Authorize, Bytes, ClusterKey, Collection, CollectionId, Config, Limits, NodeId,
    Replication, Rules, Scope, Timing,
};
use replication_log::ship::Stage;
use uuid::Uuid;

use crate::failover::{SharedCoordinator, SharedHook, StonithHook};
use crate::limits::NetworkLimits;
use crate::net::Protection;

/// TCP loses nothing while a connection lives, so repeating is for peers that are stuck, not for frames that are slow.
const RELIABLE: Timing = Timing {
    resend_after: Duration::from_secs(15),
    session_timeout: Duration::from_secs(60),
    ..Timing::DEFAULT
};

const CHECKPOINT_EVERY: u64 = 64 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const LOG_FOR_FOLLOWERS: u64 = 1 << 30;

/// How a node is opened.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection, Strategy};
/// use crdt_sync_driver::NodeOptions;
///
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
///     .collection(Collection::documents("notes", Strategy::Keep))
///     .collection(Collection::counters("visits"))
///     .listen(([127, 0, 0, 1], 0));
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub struct NodeOptions {
    pub(crate) cluster: ClusterKey,
    pub(crate) node: Option<NodeId>,
    pub(crate) collections: Vec<Collection>,
    pub(crate) rules: Rules,
    settled: Vec<CollectionId>,
    tell_lost_writes: bool,
    authorization: Authorization,
    collects_deletions: bool,
    pub(crate) partitions: u16,
    pub(crate) scope: Scope,
    replication: Replication,
    pub(crate) coordinator: Option<SharedCoordinator>,
    pub(crate) stonith: Option<SharedHook>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) protection: Protection,
    pub(crate) beyond_loopback: bool,
    pub(crate) is_restored: bool,
    pub(crate) limits: Limits,
    pub(crate) network_limits: NetworkLimits,
    pub(crate) timing: Timing,
    pub(crate) checkpoint_every: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) log_for_followers: u64,
}

impl NodeOptions {
    /// A member of the cluster with this key. It has no collections and does not listen yet.
    pub fn new(cluster: ClusterKey) -> Self {
        Self {
            cluster,
            node: None,
            collections: Vec::new(),
            rules: Rules::default(),
            settled: Vec::new(),
            tell_lost_writes: false,
            authorization: Authorization::default(),
            collects_deletions: false,
            partitions: 1,
            scope: Scope::everything(),
            replication: Replication::MultiLeader,
            coordinator: None,
            stonith: None,
            listen: None,
            protection: Protection::None,
            beyond_loopback: false,
            is_restored: false,
            limits: Limits::default(),
            network_limits: NetworkLimits::default(),
            timing: RELIABLE,
            checkpoint_every: CHECKPOINT_EVERY,
            segment_bytes: SEGMENT_BYTES,
            log_for_followers: LOG_FOR_FOLLOWERS,
        }
    }

    /// The node's name. Without it the node has the one its certificate names; without that, a new directory draws one
    /// at random, and an existing one keeps its own.
    pub fn node(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// Declares a collection. Every node of the cluster must declare the same ones.
    pub fn collection(mut self, collection: Collection) -> Self {
        self.collections.push(collection);
        self
    }

    /// Registers a rule. Every collection with a custom strategy needs the one it names.
    pub fn rule(mut self, rule: impl Resolver<Bytes> + Send + Sync + 'static) -> Self {
        self.rules = self.rules.with(rule);
        self
    }

    /// Ends conflicts in a collection of documents as soon as this node sees them, by writing what the collection's
    /// rule shows. Nodes that do so at the same time write one version; one node that does it is enough.
    pub fn settle(mut self, documents: &Collection) -> Self {
        self.settled.push(documents.id());
        self
    }

    /// Tells by [`Event::ConcurrentWrite`](crdt_sync::Event::ConcurrentWrite) of writes that lost against one of this
    /// node's own where the last writer wins. By default nobody is told: where two nodes were filled from one source,
    /// that is one event for every key.
    pub fn tell_lost_writes(mut self) -> Self {
        self.tell_lost_writes = true;
        self
    }

    /// Asks this before anything that a peer sent is merged, before a peer is greeted, and before this node writes.
    /// Without it everybody who belongs to the cluster may do everything.
    ///
    /// Who a peer *is*, only [TLS](Self::tls) makes certain. What a refusal costs, and what a peer that relays can do
    /// all the same, is told at [`Authorize`].
    pub fn authorize(mut self, authorize: impl Authorize + 'static) -> Self {
        self.authorization = Authorization::by(authorize);
        self
    }

    /// Forgets deleted documents, once every member that was not retired is known to have the deletion. By default they
    /// leave a tombstone for good, and a member that stays away for years finds them.
    pub fn collect_deletions(mut self) -> Self {
        self.collects_deletions = true;
        self
    }

    /// Into how many partitions keys are divided, the same on every node; one by default.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// The node holds this part of the data, and no more, for life. Everything by default.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The node takes part in a leaderless cluster: every key lives on N nodes of a ring. For life, and all nodes
    /// alike.
    ///
    /// Every node that founds the cluster is given the same ring, under the [name](Self::node) that it has there; one
    /// that is to join it later is given [`Layout::default`](crdt_sync::placement::Layout), and the number of
    /// [partitions](Self::partitions), which otherwise is that of the ring. What the ring has become since, a node
    /// knows from its directory. Every node must be connected to every other one, in either direction.
    ///
    /// [`Node::quorum`](crate::Node::quorum) reads and writes, [`Node::ring`](crate::Node::ring) changes who holds
    /// what. The plain handles do less than elsewhere: they write one key at a time, without a wait for others (more
    /// fail with [`WriteError::OneAtATime`](crdt_sync::WriteError)), and read, scan and watch what this node itself
    /// holds.
    ///
    /// ```
    /// use crdt_sync::leaderless::LeaderlessConfig;
    /// use crdt_sync::placement::{Layout, Member, Shape};
    /// use crdt_sync::{ClusterKey, NodeId};
    /// use crdt_sync_driver::NodeOptions;
    ///
    /// // Five nodes in three racks; three copies of everything, two of which outlive every change of the ring.
    /// let racks = ["north", "north", "south", "south", "west"];
    /// let members = (1..).zip(racks).map(|(n, rack)| Member::new(NodeId::from_u128(n), rack)).collect();
    /// let shape = Shape { partitions: 256, replicas: 3, write_quorum: 2 };
    /// let founding = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
    ///     .leaderless(LeaderlessConfig::new(Layout::found(members, shape)?))
    ///     .node(NodeId::from_u128(1));
    ///
    /// let joining = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
    ///     .leaderless(LeaderlessConfig::new(Layout::default()))
    ///     .partitions(256)
    ///     .node(NodeId::from_u128(6));
    /// # Ok::<(), crdt_sync::placement::RingError>(())
    /// ```
    pub fn leaderless(mut self, config: LeaderlessConfig) -> Self {
        let partitions = config.layout.shape().partitions;
        if partitions > 0 {
            self.partitions = partitions;
        }
        self.replication = Replication::Leaderless(Box::new(config));
        self
    }

    /// The node takes part in a cluster with one leader: one node takes writes, and the others keep copies of its log.
    /// For life, and all nodes alike: what is configured is the same on every node, except whom it
    /// [follows](SingleLeaderConfig::with_upstream). Where nodes
    /// [take over by themselves](SingleLeaderConfig::with_failover), every one is connected to every other one.
    ///
    /// The node needs a [name](Self::node), or a certificate that names it. Its directory keeps that name, and is
    /// refused under another one. A follower must be connected to whom it follows, in either direction.
    ///
    /// Every handle writes at the leader and reads anywhere; what is read at a follower is committed, and may be
    /// behind. A [session](crate::Node::session) waits for what it wrote, wherever it reads. At a follower writes fail
    /// with [`CommitError::NotLeader`](crate::CommitError::NotLeader), which says who leads.
    /// [`Node::commits`](crate::Node::commits) has deadlines, and says what became of a write.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use crdt_sync::single_leader::SingleLeaderConfig;
    /// use crdt_sync::{ClusterKey, NodeId};
    /// use crdt_sync_driver::NodeOptions;
    /// use replication_log::ship::AckPolicy;
    /// use replication_log::ship::commit::{CommitOptions, WhenShort};
    ///
    /// let [a, b, c] = [1, 2, 3].map(NodeId::from_u128);
    /// let mut commits = CommitOptions::new(AckPolicy::semi_sync()); // with any one follower
    /// commits.when_short = WhenShort::DegradeToAsync { after: Duration::from_secs(10) };
    /// let cluster = SingleLeaderConfig::new(a, [b, c]).with_commits(commits);
    ///
    /// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).single_leader(cluster.clone());
    /// let leader = options.clone().node(a);
    /// let follower = options.clone().node(b);
    /// // Far away: it follows the follower, so that what it gets crosses the distance once.
    /// let chained = options.single_leader(cluster.with_upstream(b)).node(c);
    /// ```
    pub fn single_leader(mut self, config: SingleLeaderConfig) -> Self {
        self.replication = Replication::SingleLeader(Box::new(config));
        self
    }

    /// Who grants the right to lead in a cluster whose nodes take over by themselves, where the
    /// [rules](SingleLeaderConfig::with_failover) say that [a coordinator](crdt_sync::failover::GrantedBy::Coordinator)
    /// does.
    ///
    /// It is asked one question at a time, by a task of the runtime that opens the node. What is opened with clones of
    /// these options shares it, and takes turns: give each node its own. One that hangs costs the lead, once the lease
    /// ends, and nothing else; a question that it has not answered when the next one comes is dropped.
    ///
    /// ```
    /// use crdt_sync::failover::{Answer, Ask, Coordinator, FailoverConfig, GrantedBy, Tenure};
    /// use crdt_sync::single_leader::SingleLeaderConfig;
    /// use crdt_sync::{ClusterKey, NodeId};
    /// use crdt_sync_driver::NodeOptions;
    ///
    /// /// A store with transactions and leases, as etcd.
    /// struct Store;
    ///
    /// impl Coordinator for Store {
    ///     async fn ask(&mut self, ask: Ask) -> Answer {
    ///         Answer::Unavailable { why: format!("{ask:?} is yet to be written") }
    ///     }
    ///
    ///     async fn changed(&mut self, _: Option<Tenure>) -> Option<Tenure> {
    ///         std::future::pending().await
    ///     }
    /// }
    ///
    /// let [a, b, c] = [1, 2, 3].map(NodeId::from_u128);
    /// let granted_by = GrantedBy::Coordinator { failsafe: false };
    /// let rules = FailoverConfig { granted_by, ..FailoverConfig::new([a, b, c]) };
    /// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16]))
    ///     .single_leader(SingleLeaderConfig::new(a, [b, c]).with_failover(rules))
    ///     .coordinator(Store)
    ///     .node(a);
    /// ```
    pub fn coordinator(mut self, coordinator: impl Coordinator + 'static) -> Self {
        self.coordinator = Some(SharedCoordinator::new(coordinator));
        self
    }

    /// What stops an old leader that is not heard, where the rules of failover say that
    /// [one is stopped](FailoverConfig::stonith): a hook of your own, or a [command](crate::StonithCommand).
    pub fn stonith(mut self, hook: impl StonithHook + 'static) -> Self {
        self.stonith = Some(SharedHook::new(hook));
        self
    }

    /// In a cluster with one leader, at most so many bytes of the log stay on the disk for followers, whatever is in
    /// checkpoints; 1 GiB by default. The leader keeps what each of those lacks that have followed it, and no more; a
    /// node that follows keeps as much, for it may lead tomorrow. A follower that lacks more begins anew with a
    /// snapshot, by itself: the leader tells of it by [`LogEvent::FollowerLost`](crdt_sync::LogEvent::FollowerLost),
    /// the follower by [`LogEvent::Reopened`](crdt_sync::LogEvent::Reopened).
    pub fn log_for_followers(mut self, bytes: u64) -> Self {
        self.log_for_followers = bytes;
        self
    }

    /// Accepts connections at this address; port 0 lets the system choose one.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Encrypts all connections, and accepts only peers that prove who they are. Any address is allowed then.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.protection = Protection::Tls(tls);
        self
    }

    /// Allows addresses other than this machine's own without TLS. Connections are neither encrypted nor authenticated:
    /// whoever can reach the node and knows the cluster's check value can read and write everything.
    pub fn allow_unprotected_network(mut self) -> Self {
        self.beyond_loopback = true;
        self
    }

    /// The directory was restored from a backup: the node writes under a fresh identity from now on.
    ///
    /// Somebody may have seen writes of the old identity that this directory does not hold. Going on under it would
    /// give other writes the same numbers, and the two histories could not be told apart any more.
    ///
    /// A node notices most copies by itself, by a marker in its directory, see [`Doubt`](crate::Doubt). It does not
    /// notice that the whole disk was put back to an earlier state, as a snapshot of a virtual machine does: there it
    /// must be told. One that is told too late notices when it meets somebody who knows better, and is then fenced
    /// off from its own past. In a cluster with one leader, the leader goes on under a later epoch instead.
    pub fn restored_from_backup(mut self) -> Self {
        self.is_restored = true;
        self
    }

    /// Other bounds on connections than the default ones.
    pub fn network_limits(mut self, limits: NetworkLimits) -> Self {
        self.network_limits = limits;
        self
    }

    /// Other bounds on data than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Other waiting times than the default ones, which suit TCP.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Makes a checkpoint of the node's state whenever its log has grown by this many bytes since the last one, or by
    /// the size of the last one where that is more; 64 MiB by default. What the log holds from before the older of
    /// the last two checkpoints is dropped, so that a directory takes up a small multiple of what the node holds,
    /// and opening it reads one checkpoint and the records behind it.
    pub fn checkpoint_every(mut self, log_bytes: u64) -> Self {
        self.checkpoint_every = log_bytes;
        self
    }

    /// The size of the files the log consists of, 64 MiB by default. The log is dropped by whole files, and what one
    /// write or one frame of a peer leads to must fit into one: stay well above [`Limits::max_frame`].
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    pub(crate) fn is_leaderless(&self) -> bool {
        matches!(self.replication, Replication::Leaderless(_))
    }

    pub(crate) fn is_single_leader(&self) -> bool {
        matches!(self.replication, Replication::SingleLeader(_))
    }

    /// The rules by which nodes take over, if they do.
    pub(crate) fn failover_rules(&self) -> Option<&FailoverConfig> {
        match &self.replication {
            Replication::SingleLeader(config) => config.failover.as_ref(),
            _ => None,
        }
    }

    /// Whether commits wait until followers have written records, without their being durable there.
    pub(crate) fn waits_for_writes(&self) -> bool {
        matches!(&self.replication, Replication::SingleLeader(config) if config.commits.stage == Stage::Written)
    }

    /// The engine's half of it, with randomness of its own.
    pub(crate) fn into_config(self, node: NodeId) -> Config {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        seed[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        let mut config = Config::new(node, self.cluster, seed).with_collections(self.collections);
        config.rules = self.rules;
        config.settled = self.settled;
        config.tell_lost_writes = self.tell_lost_writes;
        config.authorization = self.authorization;
        config.collects_deletions = self.collects_deletions;
        config.partitions = self.partitions;
        config.scope = self.scope;
        config.replication = self.replication;
        config.limits = self.limits;
        config.timing = self.timing;
        config
    }
}
