//! What others tell, and whose requests are carried out.

use alloc::vec::Vec;

use crdt_core::Crdt;
use thiserror::Error;

use super::super::layout::Layout;
use super::super::layout::Phase;
use super::super::limits::MAX_FENCED;
use super::Placement;
use crate::node::NodeId;

/// What a layout that was told changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what changed is to be written down"]
pub struct Learned {
    /// Anything at all: the layout is to be written down and told to others.
    pub changed: bool,
    /// The state is another one: operations in flight began under another [`generation`](Placement::generation).
    pub entered: bool,
    /// A change that was proposed at the same time as another, and lost.
    pub lost: Option<Lost>,
    /// Nodes that were declared dead. This node may be among them: it then has to stop.
    pub fenced: Vec<NodeId>,
}

/// Two states of one version met; the layout goes on with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Two members proposed at the same time. What the loser asked for has to be proposed again; nobody read by it.
    Proposal {
        /// The member whose proposal lost.
        by: NodeId,
    },
    /// Two different phases claim one version, which the protocol rules out: a node lost a layout that it had
    /// acknowledged, or acknowledged while operations of an earlier one were in flight.
    Fork {
        /// The version.
        version: u64,
    },
}

/// Why a layout was not taken in. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LearnError {
    /// It comes from a node that was declared dead.
    #[error("{from:?} was declared dead")]
    Fenced {
        /// Who told it.
        from: NodeId,
    },
    /// It comes from a node that is on no ring this node knows.
    #[error("{from:?} has no part in version {version}")]
    Stranger {
        /// Who told it.
        from: NodeId,
        /// The version known here.
        version: u64,
    },
    /// It was founded with other members, or in another shape.
    #[error("the layout is that of another cluster")]
    OtherCluster,
    /// More nodes would be dead than a layout remembers.
    #[error("together more than {MAX_FENCED} nodes were declared dead")]
    TooManyFenced,
}

/// Whether a request is carried out, by who sent it and under which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is: the version is the one known here or the one before.
    Accepted,
    /// The sender must learn the version known here, and try again.
    Outdated,
    /// This node must learn the sender's version first.
    Ahead,
    /// The sender is on no ring known here.
    Stranger,
    /// The sender was declared dead. It is refused for ever.
    Fenced,
}

impl Placement {
    /// Takes in what `from` told. A node that knows nothing yet believes whom it is given.
    ///
    /// Only what takes part in the version known here is believed: that a proposal of somebody who was declared dead
    /// cannot come in by a back door, after all others acknowledged another, is what a phase rests on.
    pub fn learn(&mut self, from: NodeId, told: &Layout) -> Result<Learned, LearnError> {
        self.check(from, told)?;
        let before = self.layout.fenced.clone();
        let entered = self.layout.state.compare(&told.state).is_lt();
        let lost = self.lost_with(told, entered);
        let changed = self.layout.merge(told).is_changed();
        if entered {
            self.entered();
        }
        let fenced = self.layout.fenced.difference(&before).copied().collect();
        Ok(Learned { changed, entered, lost, fenced })
    }

    /// Whether a request of that node, sent under that version, is carried out. O(log nodes).
    pub fn admits(&self, from: NodeId, version: u64) -> Admission {
        if self.layout.is_fenced(from) {
            Admission::Fenced
        } else if version > self.version() {
            Admission::Ahead
        } else if version == 0 || version < self.version() - 1 {
            Admission::Outdated
        } else if !self.layout.state.takes_part(from) {
            Admission::Stranger
        } else {
            Admission::Accepted
        }
    }

    fn check(&self, from: NodeId, told: &Layout) -> Result<(), LearnError> {
        if self.layout.is_fenced(from) {
            return Err(LearnError::Fenced { from });
        }
        if self.version() > 0 && told.version() > 0 {
            if told.state.founded != self.layout.state.founded {
                return Err(LearnError::OtherCluster);
            }
            if from != self.me && !self.layout.state.takes_part(from) {
                return Err(LearnError::Stranger { from, version: self.version() });
            }
        }
        let new = told.fenced().filter(|node| !self.layout.is_fenced(*node)).count();
        if self.layout.fenced.len() + new > MAX_FENCED {
            return Err(LearnError::TooManyFenced);
        }
        Ok(())
    }

    fn lost_with(&self, told: &Layout, theirs_is_newer: bool) -> Option<Lost> {
        let (mine, theirs) = (&self.layout.state, &told.state);
        if mine.version != theirs.version || mine == theirs {
            return None;
        }
        let loser = if theirs_is_newer { mine } else { theirs };
        let proposals = mine.phase() == Phase::Writing && theirs.phase() == Phase::Writing;
        match &loser.transition {
            Some(change) if proposals => Some(Lost::Proposal { by: change.by }),
            _ => Some(Lost::Fork { version: mine.version }),
        }
    }

    /// The state is another one.
    pub(super) fn entered(&mut self) {
        self.generation += 1;
        self.rebuild();
    }
}
