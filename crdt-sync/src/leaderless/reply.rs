//! What clients are told. Whoever hosts an engine has to say something for each of these, so that none of the types is
//! open: one more answer is to be noticed.

use alloc::vec::Vec;

use super::coordinate::{OptionsError, Refusal, Report, Unmet};
use crate::cell::Cell;
use crate::node::NodeId;
use crate::placement::ChangeError;
use crate::replica::{RunError, Written};
use crate::time::WallTime;

/// The answer to a read or a write that several nodes took part in.
#[derive(Clone, Debug, PartialEq)]
pub enum QuorumReply {
    /// The write reached its level.
    Written {
        /// What was written.
        written: Written,
        /// Who has it in truth.
        report: Report<NodeId>,
    },
    /// The read reached its level.
    Read {
        /// The state of the key; `None` when nothing is held.
        cell: Option<Cell>,
        /// Whose states it covers in truth.
        report: Report<NodeId>,
    },
    /// The level was not reached. A write is not taken back: it may still be there, and a later read may show it.
    Unmet(Unmet<NodeId>),
    /// Too few nodes seem to be alive for the level, and nothing was begun: the write is nowhere.
    NotBegun(Unmet<NodeId>),
    /// None of the nodes that might carry out the write seems to be alive. It is nowhere.
    NobodyLive,
    /// The options can never be met. Nothing was begun.
    Options(OptionsError),
    /// The node that was to carry out the write did not. It is nowhere.
    Refused {
        /// Which node.
        by: NodeId,
        /// Why.
        why: Refusal,
    },
    /// The node that was to carry out the write can no longer be reached, or carried it out in place of another and
    /// found no room for a hint: whether the write is there, and stays, is not known.
    Lost {
        /// Which node.
        by: NodeId,
    },
    /// This node is on no ring yet. Nothing was begun.
    NoRing,
    /// This node knows of the ring and is not on it: it never was, it left, or it was declared dead. Nothing was begun.
    NotOnRing {
        /// Who is on it, ascending: ask any of these.
        ask: Vec<NodeId>,
    },
    /// What was asked for cannot be read: the collection is not declared.
    Unreadable(RunError),
}

/// The answer to [`Request::AwaitHints`](crate::Request::AwaitHints).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintsReply {
    /// Of what this node kept for others when it was asked nothing is left: the owners confirmed it; or it was handed
    /// on to those that own the partition now, or dropped, as events said.
    Delivered,
    /// The deadline has passed and something of it is left.
    StillWaiting {
        /// How many hints are kept now, later ones included.
        count: usize,
        /// How many bytes they take up at most.
        bytes: usize,
        /// When the oldest write in them was kept.
        oldest: WallTime,
    },
}

/// The answer to a change of the ring, or to a declaration that nodes are dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingReply {
    /// The change has begun, and that is durable here. It goes on by itself; data moves meanwhile.
    Begun {
        /// The version of its first phase.
        version: u64,
    },
    /// The nodes are declared dead, and that is durable here.
    DeclaredDead {
        /// The version of the ring, which stays as it is.
        version: u64,
    },
    /// Nothing was changed.
    Refused(ChangeError),
}
