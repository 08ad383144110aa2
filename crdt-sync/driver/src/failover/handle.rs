//! The handle of operators.

use std::time::Duration;

use crdt_sync::failover::supervisor::{self, Command};
use crdt_sync::single_leader::Leadership;
use crdt_sync::{Event, NodeId, Reply, Request};
use replication_log::Epoch;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::error::{NodeError, refusal};
use crate::node::{GLANCE, Node};
use crate::single_leader::CommitError;

/// Failover of a cluster with one leader, for whoever operates it.
///
/// What happens is told by [`Node::events`] as [`Event::Failover`]: who is suspected, why nobody asks to lead, who
/// leads, and why a leader stopped.
#[derive(Clone)]
pub struct Failover {
    node: Node,
}

impl Node {
    /// Failover of a cluster with one leader. Without [rules](crdt_sync::single_leader::SingleLeaderConfig::failover)
    /// for it, everything asked of it fails with [`NodeError::OtherTopology`].
    pub fn failover(&self) -> Failover {
        Failover { node: self.clone() }
    }
}

impl Failover {
    /// Has another node lead, without losing anything: asked of the node that leads, which takes no more writes, waits
    /// until the other one has everything, and steps down in its favour. Returns when the other one leads, under which
    /// epoch.
    ///
    /// The other one has half of `patience` to get what it lacks; otherwise this node goes on, and nothing has changed.
    ///
    /// # Errors
    ///
    /// [`CommitError::NotLeader`] where this node does not lead, with who does. [`CommitError::NotSwitched`] where it
    /// came to nothing, or nobody knows yet, with who leads now.
    pub async fn switch_over(&self, to: NodeId, patience: Duration) -> Result<Epoch, NodeError> {
        let me = self.node.status().await?.node;
        let leads = |now: &Leadership| now.leader.filter(|leader| *leader != me || now.mode.is_some());
        let before = self.leadership().await?;
        if before.mode.is_none() {
            return Err(CommitError::NotLeader { leader: leads(&before), epoch: before.epoch }.into());
        }
        let mut events = self.node.events();
        let (asked, deadline) = (self.node.now(), self.node.now() + patience / 2);
        self.tell(Command::SwitchOver { to, deadline }).await?;
        loop {
            // Most of what leads there is told by an event; what other nodes do may not be.
            let failed = match timeout(GLANCE, events.recv()).await {
                Ok(Ok(Event::Failover(supervisor::Event::SwitchOverFailed { to: other }))) => other == to,
                Ok(Err(RecvError::Closed)) => return Err(NodeError::Ended),
                _ => false,
            };
            let now = self.leadership().await?;
            if now.leader == Some(to) && now.epoch > before.epoch {
                return Ok(now.epoch);
            }
            let is_anothers = now.epoch > before.epoch;
            if failed || is_anothers || self.node.now() >= asked + patience {
                return Err(CommitError::NotSwitched { leader: leads(&now) }.into());
            }
        }
    }

    /// Somebody has looked at the last failover: the next one may come before
    /// [`flapping`](crdt_sync::failover::FailoverConfig::flapping) is over. Asked of one node that knows of it, such as
    /// the one that leads, all hear of it with the next heartbeats.
    pub async fn acknowledge(&self) -> Result<(), NodeError> {
        self.tell(Command::AcknowledgeFailover).await
    }

    /// This node does not ask to lead any more. If it leads, it goes on for as long as its lease is renewed. It asks
    /// again after [`resume`](Self::resume), or when it is opened again.
    pub async fn pause(&self) -> Result<(), NodeError> {
        self.tell(Command::Pause).await
    }

    /// This node asks to lead again when nobody does.
    pub async fn resume(&self) -> Result<(), NodeError> {
        self.tell(Command::Resume).await
    }

    /// Who leads, as far as this node has heard, and until when if it is this one; the same as
    /// [`Commits::leadership`](crate::Commits::leadership).
    pub async fn leadership(&self) -> Result<Leadership, NodeError> {
        self.node.commits().leadership().await
    }

    async fn tell(&self, command: Command) -> Result<(), NodeError> {
        match self.node.ask(Request::Failover(command)).await? {
            Reply::FailoverTold => Ok(()),
            other => Err(refusal(other)),
        }
    }
}
