//! What a node holds on behalf of others, to be compared with its limits.

use super::Engine;

/// How much a node holds of what peers and clients can make grow. Each has its bound in [`Limits`](crate::Limits).
///
/// ```
/// use crdt_sync::time::{Instant, Now, WallTime};
/// use crdt_sync::{ClusterKey, Config, Engine, NodeId};
///
/// let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [42; 32]);
/// let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
/// let engine = Engine::open(config, Vec::<(_, Vec<u8>)>::new(), now)?;
/// assert_eq!(engine.memory().waiting, 0);
/// # Ok::<(), crdt_sync::RecoverError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Bytes of durable entries kept to be handed on, in the partition that keeps most:
    /// [`max_retained`](crate::Limits::max_retained).
    pub retained: usize,
    /// Requests that wait for the disk: [`max_waiting`](crate::Limits::max_waiting).
    pub waiting: usize,
    /// Messages and answers that wait for the disk.
    pub gated: usize,
    /// Bytes of records of a shared log that are not applied. A node that leads takes no writes while there are
    /// [`max_uncommitted`](crate::single_leader::SingleLeaderConfig::max_uncommitted).
    pub uncommitted: usize,
    /// Bytes of a state that arrived in part, in the session that holds most of one:
    /// [`max_state`](crate::Limits::max_state).
    pub partial: usize,
}

impl Engine {
    /// How much this node holds on behalf of others. O(entries kept to be handed on).
    pub fn memory(&self) -> Memory {
        let durable = self.outbox.durable();
        let retained =
            self.replica.partitions.iter().map(|partition| partition.histories.durable_bytes(durable));
        Memory {
            retained: retained.max().unwrap_or_default(),
            waiting: self.outbox.waiting(),
            gated: self.outbox.gated(),
            uncommitted: self.replica.pending_bytes(),
            partial: self.topology.largest_partial_state(),
        }
    }
}
