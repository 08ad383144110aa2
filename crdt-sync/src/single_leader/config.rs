//! What a node of a cluster with one leader is told at birth.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::ship::AckPolicy;
use replication_log::ship::commit::{CommitOptions, Role};
use replication_log::ship::lag::LagAlarms;

use crate::failover::FailoverConfig;
use crate::node::NodeId;
use crate::routing::{Fleet, Tags};

/// How a node takes part in a cluster with one leader.
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::single_leader::SingleLeaderConfig;
/// use replication_log::ship::AckPolicy;
/// use replication_log::ship::commit::CommitOptions;
///
/// let [a, b, c] = [1, 2, 3].map(NodeId::from_u128);
/// let config = SingleLeaderConfig::new(a, [b, c])
///     .with_commits(CommitOptions::new(AckPolicy::semi_sync()));
/// assert_eq!(config.followers.len(), 3, "each of them follows when another one leads");
/// ```
#[derive(Clone, Debug)]
pub struct SingleLeaderConfig {
    /// The node that founds the log and leads first; the same on every node.
    pub first_leader: NodeId,
    /// All nodes, and which of them count when another one leads. Others may follow and never count.
    pub followers: BTreeMap<NodeId, Role>,
    /// What operators say of nodes: in which region they are, and which are for analytics.
    pub tags: BTreeMap<NodeId, Tags>,
    /// What a commit waits for.
    pub commits: CommitOptions<NodeId>,
    /// Whom this node follows; the leader itself where nobody is named. A node in between spares the leader the
    /// distance, and what it tells arrives one step later.
    pub upstream: Option<NodeId>,
    /// Bytes of records in the log that are not committed. A write beyond it is refused.
    pub max_uncommitted: usize,
    /// How many bytes of records a follower takes before it has written them.
    pub window: u32,
    /// About so many bytes of records are in one frame.
    pub frame_bytes: usize,
    /// What the leader is to tell of as [`Event::Lag`](crate::Event::Lag).
    pub alarms: LagAlarms<NodeId>,
    /// After this long a conversation that comes to nothing begins anew.
    pub patience: Duration,
    /// What a node that was granted the lead waits for before it leads. With [`failover`](Self::failover) always the
    /// promises of the others.
    pub takeover: Takeover,
    /// Whether nodes take over by themselves, and by which rules. Then nobody leads for ever: a leader that is cut off
    /// stops, and [`Request::Lead`](crate::Request::Lead) is refused.
    pub failover: Option<FailoverConfig>,
    /// The higher, the sooner this node takes over, among nodes that are as far.
    pub priority: u32,
}

/// What a node that was [granted](crate::Request::Lead) the lead waits for before it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Nothing: whoever grants has made sure that the node before leads no longer, and that this one has everything.
    Unasked,
    /// That so many others promise its epoch that those who did not can commit nothing any more, nor have ever
    /// committed anything that none of them has; and more than half of those who count in any case. If one of them has
    /// a longer log, this node does not lead. Where commits wait for nobody else, what only the leader before had may
    /// be lost.
    Promised {
        /// When to give up.
        within: Duration,
    },
}

impl SingleLeaderConfig {
    /// A cluster that this node leads first, with followers that may all count. Commits wait for nobody else.
    pub fn new(first_leader: NodeId, followers: impl IntoIterator<Item = NodeId>) -> Self {
        let nodes = core::iter::once(first_leader).chain(followers);
        let candidates = nodes.map(|node| (node, Role::Candidate));
        Self {
            first_leader,
            followers: candidates.collect(),
            tags: BTreeMap::new(),
            commits: CommitOptions::new(AckPolicy::asynchronous()),
            upstream: None,
            max_uncommitted: 64 << 20,
            window: 8 << 20,
            frame_bytes: 256 << 10,
            alarms: LagAlarms::default(),
            patience: Duration::from_secs(2),
            takeover: Takeover::Unasked,
            failover: None,
            priority: 0,
        }
    }

    /// The same with other rules for commits.
    pub fn with_commits(mut self, commits: CommitOptions<NodeId>) -> Self {
        self.commits = commits;
        self
    }

    /// The same with a leader that tells of followers that fall behind.
    pub fn with_alarms(mut self, alarms: LagAlarms<NodeId>) -> Self {
        self.alarms = alarms;
        self
    }

    /// The same where nobody leads whom the others did not promise its epoch.
    pub fn with_takeover(mut self, takeover: Takeover) -> Self {
        self.takeover = takeover;
        self
    }

    /// The same where nodes take over by themselves: those who [count](Self::followers), whoever the rules name.
    pub fn with_failover(mut self, failover: FailoverConfig) -> Self {
        self.failover = Some(failover);
        self
    }

    /// The same for a node that follows this one instead of the leader.
    pub fn with_upstream(mut self, upstream: NodeId) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// The same with a follower that never counts: in a far region, say, or for backups.
    pub fn with_observer(mut self, node: NodeId) -> Self {
        self.followers.insert(node, Role::Observer);
        self
    }

    /// The same with what an operator says of a node. One for analytics never counts, and is never asked by
    /// [default](crate::routing::Audience).
    pub fn with_tags(mut self, node: NodeId, tags: Tags) -> Self {
        if tags.analytics {
            self.followers.insert(node, Role::Observer);
        }
        self.tags.insert(node, tags);
        self
    }

    /// Those who decide who leads, and may have what the leader before acknowledged.
    pub(super) fn candidates(&self) -> Vec<NodeId> {
        let counts = |(node, role): (&NodeId, &Role)| (*role == Role::Candidate).then_some(*node);
        self.followers.iter().filter_map(counts).collect()
    }

    /// The rules by which a node takes over, among all who count; `None` for one that does not.
    pub(crate) fn failover_of(&self, node: NodeId) -> Option<FailoverConfig> {
        let members = self.candidates();
        let failover = self.failover.clone().filter(|_| self.decides(node));
        failover.map(|failover| FailoverConfig { members, ..failover })
    }

    /// How long a node that is to lead waits for the promises of the others, if it does.
    pub(super) fn promised_within(&self) -> Option<Duration> {
        match (&self.failover, self.takeover) {
            (Some(failover), _) => Some(failover.ask_timeout),
            (None, Takeover::Promised { within }) => Some(within),
            (None, Takeover::Unasked) => None,
        }
    }

    pub(super) fn decides(&self, node: NodeId) -> bool {
        self.followers.get(&node) == Some(&Role::Candidate)
    }

    /// The nodes as a [router](crate::routing::Router) has to know them, of whom nothing is heard yet.
    pub fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::default();
        for node in self.followers.keys() {
            fleet.add(*node, self.tags.get(node).cloned().unwrap_or_default());
        }
        fleet
    }
}
