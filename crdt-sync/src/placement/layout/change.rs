//! What an operator may ask for.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use thiserror::Error;

use super::super::limits::MAX_FENCED;
use super::super::member::{Member, Members, RingError};
use super::Layout;
use crate::node::NodeId;

/// A change of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// New nodes come.
    Join(Vec<Member>),
    /// Live nodes go: they hand over what they hold and may come back later.
    Leave(Vec<NodeId>),
    /// Dead nodes are taken out. They are fenced for ever.
    Remove {
        /// The dead nodes.
        dead: Vec<NodeId>,
    },
    /// A new node takes the place of a dead one, which is fenced for ever.
    Replace {
        /// The dead node.
        dead: NodeId,
        /// The new one, under a name of its own.
        by: Member,
    },
    /// Members carry more or less than before, or stand in other racks.
    Reshape(Vec<Member>),
}

/// Why a change was not begun, or a node not declared dead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// One at a time.
    #[error("the change of version {version} is in progress")]
    InProgress {
        /// The version of its present phase.
        version: u64,
    },
    /// Only members propose.
    #[error("this node is not a member, or was declared dead")]
    NotAMember,
    /// The change names a node that is not a member.
    #[error("{node:?} is not a member")]
    Unknown {
        /// The node.
        node: NodeId,
    },
    /// The newcomer is a member already.
    #[error("{node:?} is a member already")]
    AlreadyThere {
        /// The node.
        node: NodeId,
    },
    /// A dead node does not come back, and no change keeps one: it must remove it, too.
    #[error("{node:?} was declared dead and cannot be a member afterwards")]
    Dead {
        /// The node.
        node: NodeId,
    },
    /// It was declared dead before.
    #[error("{node:?} was declared dead before")]
    AlreadyDead {
        /// The node.
        node: NodeId,
    },
    /// A node does not declare itself dead.
    #[error("this node is alive")]
    Oneself,
    /// Nothing would be different.
    #[error("the change changes nothing")]
    Nothing,
    /// There is no ring of those members.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// More nodes than a layout remembers were declared dead.
    #[error("{MAX_FENCED} nodes were declared dead; no more are remembered")]
    TooManyFenced,
    /// The highest version there is.
    #[error("there is no version above this one")]
    NoVersion,
}

impl Change {
    /// The members afterwards, and who is declared dead with it.
    pub(in super::super) fn apply(
        &self,
        layout: &Layout,
    ) -> Result<(Members, BTreeSet<NodeId>), ChangeError> {
        let mut after: BTreeMap<NodeId, Member> =
            layout.members().map(|member| (member.node, member.clone())).collect();
        let mut dead = BTreeSet::new();
        match self {
            Self::Join(members) => members.iter().try_for_each(|member| add(&mut after, member))?,
            Self::Leave(nodes) => nodes.iter().try_for_each(|node| take(&mut after, *node))?,
            Self::Remove { dead: nodes } => {
                nodes.iter().try_for_each(|node| take(&mut after, *node))?;
                dead.extend(nodes);
            }
            Self::Replace { dead: node, by } => {
                take(&mut after, *node)?;
                add(&mut after, by)?;
                dead.insert(*node);
            }
            Self::Reshape(members) => {
                for member in members {
                    take(&mut after, member.node)?;
                    after.insert(member.node, member.clone());
                }
            }
        }
        if let Some(node) = after.keys().find(|node| dead.contains(*node) || layout.is_fenced(**node)) {
            return Err(ChangeError::Dead { node: *node });
        }
        let after = Members::new(after.into_values().collect())?;
        if after.is_empty() {
            return Err(RingError::Empty.into());
        }
        if after == layout.state.members {
            return Err(ChangeError::Nothing);
        }
        Ok((after, dead))
    }
}

fn add(members: &mut BTreeMap<NodeId, Member>, member: &Member) -> Result<(), ChangeError> {
    match members.insert(member.node, member.clone()) {
        None => Ok(()),
        Some(_) => Err(ChangeError::AlreadyThere { node: member.node }),
    }
}

fn take(members: &mut BTreeMap<NodeId, Member>, node: NodeId) -> Result<(), ChangeError> {
    members.remove(&node).map(drop).ok_or(ChangeError::Unknown { node })
}
