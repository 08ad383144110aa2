//! What is known of the nodes: their tags, who leads, whom one reaches, how far each is.

use alloc::collections::BTreeMap;
use core::time::Duration;

use replication_log::Epoch;

use super::error::NoRoute;
use super::lineage::{Holds, Lineage, Version};
use super::tags::Tags;
use crate::node::NodeId;
use crate::time::Instant;

/// What somebody outside knows of a cluster with one leader. All of it is hearsay, and may be late: it decides whom to
/// ask, and the node that is asked decides what it answers.
///
/// ```
/// use crdt_sync::NodeId;
/// use crdt_sync::routing::{Fleet, Tags};
/// use replication_log::Epoch;
///
/// let [a, b] = [1, 2].map(NodeId::from_u128);
/// let mut fleet = Fleet::default();
/// fleet.add(a, Tags::default());
/// fleet.add(b, Tags::default());
/// assert!(fleet.leads(b, Epoch::new(2), None));
/// // An older word that comes late changes nothing.
/// assert!(!fleet.leads(a, Epoch::new(1), None));
/// assert_eq!(fleet.leader(), Ok((b, Epoch::new(2))));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    nodes: BTreeMap<NodeId, Node>,
    reign: Option<Reign>,
    lineage: Lineage,
}

#[derive(Clone, Debug)]
struct Node {
    tags: Tags,
    reachable: bool,
    heard: Option<Heard>,
}

/// The newest epoch that was heard of, and who leads in it where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reign {
    epoch: Epoch,
    leader: Option<NodeId>,
}

/// How far a node has applied the log, and when it said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it shows to readers.
    pub version: Version,
    /// When that was heard.
    pub at: Instant,
}

/// How far a node is behind its leader, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Records between what the node and what the leader last said.
    pub records: u64,
    /// How long ago the older of the two words was heard. What happened since is not known.
    pub age: Duration,
}

/// What is written of the fleet.
impl Fleet {
    /// A node is there, and reachable until [somebody says otherwise](Self::set_reachable). Of a node that is known
    /// only the tags change.
    pub fn add(&mut self, node: NodeId, tags: Tags) {
        let new = || Node { tags: Tags::default(), reachable: true, heard: None };
        self.nodes.entry(node).or_insert_with(new).tags = tags;
    }

    /// A node left for good. Sessions that were pinned to it find another one at their next read.
    pub fn remove(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// A node became reachable, or no longer is. How far it was is then forgotten: it may come back with less.
    pub fn set_reachable(&mut self, node: NodeId, reachable: bool) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.reachable = reachable;
            node.heard = node.heard.filter(|_| reachable);
        }
    }

    /// A node said what it shows to readers. A word from before the last one is ignored, and so are nodes that are not
    /// known. An epoch nobody has heard of ends the reign before it: somebody leads now, it is not known who.
    pub fn heard(&mut self, node: NodeId, version: Version, at: Instant) {
        let Some(node) = self.nodes.get_mut(&node) else { return };
        if node.heard.is_none_or(|last| last.at <= at) {
            node.heard = Some(Heard { version, at });
        }
        self.hear_of(version.epoch);
    }

    /// `node` leads in `epoch`, and `began` with that log where that is known; see [`Lineage::learn`]. The newest epoch
    /// wins, and in an epoch the first word. Whether it changed who leads.
    pub fn leads(&mut self, node: NodeId, epoch: Epoch, began: Option<Version>) -> bool {
        if let Some(began) = began {
            self.lineage.learn(epoch, began);
        }
        self.hear_of(epoch);
        let reign = self.reign.as_mut().filter(|reign| reign.epoch == epoch && reign.leader.is_none());
        reign.map(|reign| reign.leader = Some(node)).is_some()
    }

    /// `by` answered that it does not lead in `epoch`, and who does where it knows. Whether it changed who leads.
    pub fn redirected(&mut self, by: NodeId, leader: Option<NodeId>, epoch: Epoch) -> bool {
        let before = self.reign;
        self.hear_of(epoch);
        if let Some(reign) = self.reign.as_mut().filter(|reign| reign.epoch == epoch) {
            // Of itself a node knows best.
            reign.leader = reign.leader.filter(|&known| known != by).or(leader.filter(|&named| named != by));
        }
        self.reign != before
    }

    fn hear_of(&mut self, epoch: Epoch) {
        if self.reign.is_none_or(|reign| reign.epoch < epoch) {
            self.reign = Some(Reign { epoch, leader: None });
        }
    }
}

/// What is read of it.
impl Fleet {
    /// Who leads, in which epoch.
    pub fn leader(&self) -> Result<(NodeId, Epoch), NoRoute> {
        let newest = self.newest_epoch();
        let Some(Reign { epoch, leader: Some(leader) }) = self.reign else {
            return Err(NoRoute::NoLeader { newest });
        };
        match self.nodes.get(&leader) {
            None => Err(NoRoute::UnknownLeader { leader, epoch }),
            Some(node) if !node.reachable => Err(NoRoute::LeaderUnreachable { leader, epoch }),
            Some(_) => Ok((leader, epoch)),
        }
    }

    /// The newest epoch that was heard of, also if it is not known who leads in it.
    pub fn newest_epoch(&self) -> Option<Epoch> {
        self.reign.map(|reign| reign.epoch)
    }

    /// Which logs contain which versions.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The nodes that can be reached, and their tags, in the order of their ids.
    pub fn reachable(&self) -> impl Iterator<Item = (NodeId, &Tags)> {
        let reachable = self.nodes.iter().filter(|(_, node)| node.reachable);
        reachable.map(|(&id, node)| (id, &node.tags))
    }

    /// What a node showed when it was last heard; `None` if it was not heard since it became reachable.
    pub fn last_heard(&self, node: NodeId) -> Option<Heard> {
        self.nodes.get(&node)?.heard
    }

    /// How far a node is behind; `None` while that is not known: it or the leader was not heard, or it follows another
    /// log than the leader's. The leader itself is never behind.
    pub fn lag(&self, node: NodeId, now: Instant) -> Option<Lag> {
        let Reign { epoch, leader } = self.reign?;
        let leader = leader?;
        if node == leader {
            return Some(Lag { records: 0, age: Duration::ZERO });
        }
        let (its, leaders) = (self.last_heard(node)?, self.last_heard(leader)?);
        if leaders.version.epoch != epoch || self.lineage.survives(its.version, epoch) != Holds::Yes {
            return None;
        }
        Some(Lag {
            records: leaders.version.lsn.get().saturating_sub(its.version.lsn.get()),
            age: now.since(its.at.min(leaders.at)),
        })
    }
}
