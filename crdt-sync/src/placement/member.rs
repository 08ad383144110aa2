//! Who stands on the ring.

use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::{MAX_MEMBERS, MAX_RACK, MAX_REPLICAS, MAX_WEIGHT};
use crate::node::NodeId;

/// A node, where it stands and how much it carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// What fails together has one label: a rack, a room, a zone. At most [`MAX_RACK`] bytes.
    pub rack: String,
    /// How much it carries in proportion to the others: 1 to [`MAX_WEIGHT`].
    pub weight: u16,
}

impl Member {
    /// A member of weight 1.
    pub fn new(node: NodeId, rack: impl Into<String>) -> Self {
        Self { node, rack: rack.into(), weight: 1 }
    }

    /// The same member with another weight.
    pub fn weighing(self, weight: u16) -> Self {
        Self { weight, ..self }
    }
}

/// What never changes in the life of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Into how many partitions keys are divided; at least 1. Fifty for each node one expects keep the load even.
    pub partitions: u16,
    /// N, how many primaries a partition has where there are as many members: 1 to [`MAX_REPLICAS`].
    pub replicas: u8,
    /// W, the least number of primaries whose acknowledgements a change of the ring carries over: 1 to N. A new owner
    /// copies from N - W + 1 of the old ones, so that it meets every write that reached W. With 1 it copies from all.
    pub write_quorum: u8,
}

/// Why there is no such ring.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RingError {
    /// No member at all.
    #[error("a ring needs a member")]
    Empty,
    /// More members than [`MAX_MEMBERS`].
    #[error("{found} members, at most {MAX_MEMBERS} fit on a ring")]
    TooManyMembers {
        /// How many there are.
        found: usize,
    },
    /// A node is named twice.
    #[error("{node:?} is named twice")]
    Twice {
        /// The node.
        node: NodeId,
    },
    /// A label longer than [`MAX_RACK`].
    #[error("the rack of {node:?} has a label of {found} bytes, at most {MAX_RACK} are taken")]
    RackTooLong {
        /// The node.
        node: NodeId,
        /// The length of the label.
        found: usize,
    },
    /// A weight outside 1 to [`MAX_WEIGHT`].
    #[error("{node:?} weighs {found}, not 1 to {MAX_WEIGHT}")]
    Weight {
        /// The node.
        node: NodeId,
        /// Its weight.
        found: u16,
    },
    /// No partition, or a number of primaries or a write quorum outside its range.
    #[error(
        "{shape:?} is not 1 partition or more, 1 to {MAX_REPLICAS} replicas, a write quorum of 1 to those"
    )]
    Shape {
        /// What was asked for.
        shape: Shape,
    },
}

impl Shape {
    pub(super) fn check(self) -> Result<(), RingError> {
        let replicas = 1..=MAX_REPLICAS;
        let fits = self.partitions > 0
            && replicas.contains(&self.replicas)
            && (1..=self.replicas).contains(&self.write_quorum);
        fits.then_some(()).ok_or(RingError::Shape { shape: self })
    }
}

/// Members that fit on one ring: in ascending order, each once, every one within its limits. Empty only where nothing
/// is known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Member>")]
pub(super) struct Members(Vec<Member>);

impl Members {
    /// These members in order, if they fit.
    pub(super) fn new(mut members: Vec<Member>) -> Result<Self, RingError> {
        members.sort_unstable();
        Self::try_from(members)
    }

    pub(super) fn iter(&self) -> slice::Iter<'_, Member> {
        self.0.iter()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.iter().map(|member| member.node)
    }

    pub(super) fn contains(&self, node: NodeId) -> bool {
        self.0.binary_search_by_key(&node, |member| member.node).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes them in order only: foreign bytes have one form.
impl TryFrom<Vec<Member>> for Members {
    type Error = RingError;

    fn try_from(members: Vec<Member>) -> Result<Self, RingError> {
        if members.len() > MAX_MEMBERS {
            return Err(RingError::TooManyMembers { found: members.len() });
        }
        if let Some(pair) = members.windows(2).find(|pair| pair[0].node >= pair[1].node) {
            return Err(RingError::Twice { node: pair[1].node });
        }
        for member in &members {
            let node = member.node;
            if member.rack.len() > MAX_RACK {
                return Err(RingError::RackTooLong { node, found: member.rack.len() });
            }
            if !(1..=MAX_WEIGHT).contains(&member.weight) {
                return Err(RingError::Weight { node, found: member.weight });
            }
        }
        Ok(Self(members))
    }
}
