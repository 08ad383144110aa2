//! What a node of a leaderless cluster is told at birth.

use core::time::Duration;

use super::coordinate::RepairsLimit;
use crate::placement::{Layout, Patience};

/// How a node takes part in a leaderless cluster.
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::leaderless::LeaderlessConfig;
/// use crdt_sync::placement::{Layout, Member, Shape};
///
/// let shape = Shape { partitions: 64, replicas: 3, write_quorum: 2 };
/// let members = (1..=5).map(|n| Member::new(NodeId::from_u128(n), "rack")).collect();
/// let config = LeaderlessConfig::new(Layout::found(members, shape)?);
/// assert_eq!(config.layout.members().len(), 5);
/// # Ok::<(), crdt_sync::placement::RingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeaderlessConfig {
    /// The ring in the beginning, the same on every node that founds the cluster; [`Layout::default`] on one that is to
    /// join it. What the node learned since it keeps in its log.
    pub layout: Layout,
    /// When a peer is no longer asked.
    pub patience: Patience,
    /// How many repairs reads may cause.
    pub repairs: RepairsLimit,
    /// How many bytes of hints are on their way to one node at a time.
    pub handoff_batch: usize,
    /// After this long what was handed to a node and not confirmed is handed to it again.
    pub handoff_patience: Duration,
}

impl LeaderlessConfig {
    /// Takes part in this ring, with the default bounds.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            patience: Patience::DEFAULT,
            repairs: RepairsLimit::default(),
            handoff_batch: 1 << 20,
            handoff_patience: Duration::from_secs(5),
        }
    }
}
