//! Members: who belongs to a cluster, who no longer does, and how much of what the retired wrote is valid.
//!
//! A node becomes *Active* wherever it is first seen. An administrator *retires* it at any node: a lost device, or one
//! that holds everybody else back. From then on nothing of it is merged, from itself or by way of others, except what
//! members had applied when they heard of it: its *final frontier*. What nodes know of members is a [`Membership`], a
//! join-semilattice that they tell each other until all have the same, over any shape of network.
//!
//! # How the final frontier joins
//!
//! Retiring asks nobody, so two nodes may retire one device at the same time, each having applied another part of what
//! it wrote; and a third may go on taking its entries until it hears of either. Each node states what it had applied
//! at the moment it heard, and the final frontier is the maximum of what was stated. So **everything at or below the
//! maximum that somebody had applied is valid**: a member that lacks some of it gets it from whoever stated it. And
//! **nothing above it is**: no member holds it, because each stopped taking entries when it stated its own. The
//! maximum is final as soon as all Active members have heard; before that it can only grow, and an entry that was
//! refused for lying above it is sent again when it does.
//!
//! # What remains of a retired member
//!
//! Per identity it wrote under: one final position per partition here (about 40 bytes), one head in every partition's
//! frontier (48 bytes, and as much in every frontier told), and one range in every partition's causal context (24
//! bytes). They count towards [`max_origins`](crate::Limits::max_origins). Counters keep one entry per origin that
//! counted. None of it can be dropped by one node alone: to take another's word for the writes of a retired identity,
//! a peer must see it in the frontier.
//!
//! Source: the join of retirements is that of grow-only maps (Shapiro et al., "Conflict-free Replicated Data Types",
//! 2011). Retirement in place of removal, and a typed refusal in place of a time-out, avoid what pruned members did to
//! Akka's replicator: data that came back after the marker of its removal had expired.

mod known;
mod refusal;
mod rejoin;
mod stability;
#[cfg(test)]
mod tests;
mod unseen;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;

use crdt_core::{Change, Crdt, ReplicaId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use known::{Members, News};
pub use refusal::RetireError;
pub(crate) use rejoin::plan;
pub use rejoin::{Rejoin, RejoinError};
pub use stability::HoldsBack;
pub(crate) use stability::Stability;
pub use unseen::{Forgotten, Unacknowledged, Unseen};
pub(crate) use unseen::{Known, unacknowledged};

use crate::entry::Position;
use crate::limits::Limits;
use crate::node::NodeId;
use crate::replica::check_position;

/// What a node knows of the members of its cluster.
///
/// ```
/// use crdt_core::{Crdt, ReplicaId};
/// use crdt_sync::{Membership, NodeId};
///
/// let (phone, laptop) = (NodeId::from_u128(1), NodeId::from_u128(2));
/// let mut here = Membership::default();
/// here.meet(phone, Some(ReplicaId::from_u128(11)));
/// here.meet(laptop, None);
/// let mut there = here.clone();
/// there.retire(phone);
///
/// let _ = here.merge(&there);
/// assert!(here.is_retired(phone) && !here.is_retired(laptop));
/// // Nobody becomes Active again.
/// here.meet(phone, None);
/// assert_eq!(here, there);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    members: BTreeMap<NodeId, Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// It takes writes, and all others wait for it.
    Active {
        /// The identities it wrote under, as far as they are known.
        replicas: BTreeSet<ReplicaId>,
    },
    /// It never merges again.
    Retired {
        /// The end of what is valid of it.
        last: FinalFrontier,
    },
}

/// How far the writes of a retired node are valid: per identity and partition the last valid position. Where none is
/// given nothing is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalFrontier(BTreeMap<ReplicaId, BTreeMap<u16, Position>>);

/// Why what a peer says of members was refused, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Together with the known ones there would be more members than this node takes on.
    #[error("the peer names more members than the {limit} that are taken on; nothing was taken over")]
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
    /// Together with the known ones there would be more identities than this node takes on.
    #[error(
        "the peer names more identities of members than the {limit} that are taken on; nothing was taken over"
    )]
    TooManyReplicas {
        /// The limit.
        limit: usize,
    },
    /// A final frontier that no honest node could tell.
    #[error("the peer tells an impossible final frontier of {node:?}; nothing was taken over")]
    BadFrontier {
        /// The retired node.
        node: NodeId,
    },
}

impl Membership {
    /// All members that were ever seen, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(node, member)| (*node, member))
    }

    /// What is known of a node.
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Whether the node is retired. O(log members).
    pub fn is_retired(&self, node: NodeId) -> bool {
        matches!(self.get(node), Some(Member::Retired { .. }))
    }

    /// The nodes that are Active, ascending.
    pub fn active(&self) -> impl Iterator<Item = NodeId> {
        self.iter().filter(|(_, member)| matches!(member, Member::Active { .. })).map(|(node, _)| node)
    }

    /// Notes that there is a node, and an identity it writes under. A retired node stays retired.
    pub fn meet(&mut self, node: NodeId, replica: Option<ReplicaId>) {
        let met = Member::Active { replicas: replica.into_iter().collect() };
        let _ = self.members.entry(node).or_default().merge(&met);
    }

    /// Retires a node whose writes are valid as far as the final frontier says that is joined afterwards.
    pub fn retire(&mut self, node: NodeId) {
        let retired = Member::Retired { last: FinalFrontier::default() };
        let _ = self.members.entry(node).or_default().merge(&retired);
    }

    /// The retired identities, and per partition how far each is valid.
    pub fn retired_replicas(&self) -> impl Iterator<Item = (ReplicaId, &BTreeMap<u16, Position>)> {
        self.members
            .values()
            .filter_map(|member| match member {
                Member::Retired { last } => Some(last.0.iter().map(|(replica, last)| (*replica, last))),
                Member::Active { .. } => None,
            })
            .flatten()
    }

    /// What is known of all but these.
    pub(crate) fn without(&self, nodes: &BTreeSet<NodeId>) -> Self {
        let others = self.members.iter().filter(|(node, _)| !nodes.contains(node));
        Self { members: others.map(|(node, member)| (*node, member.clone())).collect() }
    }

    /// The same, but that nobody is given an identity which is known `here` as that of another node, where that node is
    /// one of those asked for. O(identities × log identities).
    pub(crate) fn without_identities_of(mut self, here: &Self, asked: impl Fn(NodeId) -> bool) -> Self {
        let mut owners: BTreeMap<ReplicaId, Vec<NodeId>> = BTreeMap::new();
        for (node, member) in here.iter() {
            member.replicas().for_each(|replica| owners.entry(replica).or_default().push(node));
        }
        for (node, member) in &mut self.members {
            let is_kept = |replica: &ReplicaId| {
                let owners = owners.get(replica).map_or(&[][..], |owners| owners);
                owners.contains(node) || !owners.iter().any(|owner| asked(*owner))
            };
            match member {
                Member::Active { replicas } => replicas.retain(is_kept),
                Member::Retired { last } => last.0.retain(|replica, _| is_kept(replica)),
            }
        }
        self
    }

    /// The members of which this side knows more than the other does.
    pub(crate) fn news_for(&self, other: &Self) -> Self {
        let is_news = |(node, member): &(&NodeId, &Member)| other.members.get(node) != Some(member);
        let members = self.members.iter().filter(is_news).map(|(node, member)| (*node, member.clone()));
        Self { members: members.collect() }
    }

    /// States how far a retired identity's entries were applied.
    pub(crate) fn extend(&mut self, node: NodeId, replica: ReplicaId, partition: u16, applied: Position) {
        if let Some(Member::Retired { last }) = self.members.get_mut(&node) {
            let _ = last.merge(&FinalFrontier::of(replica, partition, applied));
        }
    }

    /// Checks what a peer says of members before it is joined.
    pub(crate) fn admit(
        &self,
        theirs: &Self,
        partitions: u16,
        limits: &Limits,
    ) -> Result<(), MembershipError> {
        let (limit, replicas) = (limits.max_members, limits.max_origins);
        if self.members.keys().chain(theirs.members.keys()).collect::<BTreeSet<_>>().len() > limit {
            return Err(MembershipError::TooManyMembers { limit });
        }
        let both = self.members.values().chain(theirs.members.values());
        if both.flat_map(Member::replicas).collect::<BTreeSet<_>>().len() > replicas {
            return Err(MembershipError::TooManyReplicas { limit: replicas });
        }
        let sound = |member: &Member| match member {
            Member::Active { .. } => true,
            Member::Retired { last } => last.is_sound(partitions),
        };
        match theirs.members.iter().find(|(_, member)| !sound(member)) {
            Some((&node, _)) => Err(MembershipError::BadFrontier { node }),
            None => Ok(()),
        }
    }
}

impl Default for Member {
    fn default() -> Self {
        Self::Active { replicas: BTreeSet::new() }
    }
}

impl Member {
    /// The identities the node wrote under, ascending.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> {
        let (active, retired) = match self {
            Self::Active { replicas } => (Some(replicas.iter()), None),
            Self::Retired { last } => (None, Some(last.0.keys())),
        };
        active.into_iter().flatten().chain(retired.into_iter().flatten()).copied()
    }

    /// Retired wins. The identities known of an Active node are carried along, with nothing of them valid yet: whoever
    /// applied some of it says so.
    fn merge(&mut self, other: &Self) -> Change {
        match (&mut *self, other) {
            (Self::Active { replicas }, Self::Active { replicas: theirs }) => {
                let before = replicas.len();
                replicas.extend(theirs);
                Change::from(replicas.len() > before)
            }
            (Self::Active { replicas }, Self::Retired { last }) => {
                let mut joined = FinalFrontier::naming(replicas);
                let _ = joined.merge(last);
                *self = Self::Retired { last: joined };
                Change::Changed
            }
            (Self::Retired { last }, Self::Active { replicas }) => {
                last.merge(&FinalFrontier::naming(replicas))
            }
            (Self::Retired { last }, Self::Retired { last: theirs }) => last.merge(theirs),
        }
    }
}

impl FinalFrontier {
    /// The last valid position of an identity in a partition.
    pub fn last(&self, replica: ReplicaId, partition: u16) -> Position {
        self.0.get(&replica).and_then(|last| last.get(&partition)).copied().unwrap_or_default()
    }

    fn of(replica: ReplicaId, partition: u16, last: Position) -> Self {
        // A position of nothing is not spelled out, so that equal frontiers have one form.
        let spelled = (last != Position::default()).then_some((partition, last));
        Self(BTreeMap::from([(replica, spelled.into_iter().collect())]))
    }

    /// Identities of which nothing is valid.
    fn naming(replicas: &BTreeSet<ReplicaId>) -> Self {
        Self(replicas.iter().map(|replica| (*replica, BTreeMap::new())).collect())
    }

    /// The later position counts. Two pasts of one length are a fork; the greater chain value counts then, so that all
    /// agree on one of them.
    fn merge(&mut self, other: &Self) -> Change {
        let mut change = Change::Unchanged;
        for (replica, theirs) in &other.0 {
            change |= Change::from(!self.0.contains_key(replica));
            let ours = self.0.entry(*replica).or_default();
            for (&partition, &last) in theirs {
                let known = ours.entry(partition).or_default();
                change |= Change::from(last > *known);
                *known = last.max(*known);
            }
        }
        change
    }

    fn is_sound(&self, partitions: u16) -> bool {
        self.0.values().flatten().all(|(&partition, &last)| {
            partition < partitions && last.sequence > 0 && check_position(last).is_ok()
        })
    }
}

/// Per node the join of what is known of it. O(members and identities of both).
impl Crdt for Membership {
    fn merge(&mut self, other: &Self) -> Change {
        other.members.iter().fold(Change::Unchanged, |change, (node, theirs)| {
            let is_new = Change::from(!self.members.contains_key(node));
            change | is_new | self.members.entry(*node).or_default().merge(theirs)
        })
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let covers = |one: &Self, other: &Self| one.clone().merged(other) == *one;
        match (covers(self, other), covers(other, self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }

    fn is_bottom(&self) -> bool {
        self.members.is_empty()
    }
}
