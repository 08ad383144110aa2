//! What a read may be promised, where it goes, and what comes back.

use core::time::Duration;

use replication_log::Epoch;

use super::lineage::Version;
use crate::node::NodeId;

/// What a session is promised of a read. The module's page compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPattern {
    /// Nothing: one of the nearest followers. An answer may be older than the last one, and lack own writes.
    Any {
        /// How far behind the node may be, where that matters.
        at_most: Option<Freshness>,
    },
    /// Own writes: the leader while the last own write is younger than `window`, or a follower that is known to have
    /// it. After that as [`ReadPattern::Any`], on the assumption that every follower has it by then.
    LeaderAfterOwnWrite {
        /// Longer than followers lag; [`Duration::MAX`] assumes nothing and asks the leader until a follower is known
        /// to have the write.
        window: Duration,
    },
    /// Never older than before, own writes among it: always the same follower, which the session's seed chooses. It
    /// waits where a write went ahead of it. When it leaves, one that is known to have what the session saw.
    Monotonic,
    /// Never older than before, own writes among it: any follower, with a condition that it checks.
    Versioned {
        /// The nearest follower may be asked, and waits until it has what the session saw. Otherwise the nearest node
        /// that is known to have it, the leader where no follower is: for those in a hurry, and after a node refused.
        waits: bool,
    },
}

/// How fresh is fresh enough. The leader always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The most records a node may lack of what the leader was last heard to have.
    pub records: u64,
    /// The oldest the words may be by which that is known.
    pub heard_within: Duration,
}

/// Where to send a read, and with what condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whom to ask.
    pub node: NodeId,
    /// What the node must have before it answers. It waits for that until a deadline of the caller's, or refuses; if
    /// its log went on without, it says so.
    pub at_least: Option<Version>,
    /// What the session was promised.
    pub pattern: ReadPattern,
    /// Why this node.
    pub why: Reason,
}

/// Why a read goes to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is one of the nearest that will do.
    Nearest,
    /// It leads, and the session wrote a moment ago.
    OwnWrite,
    /// It is known to have what the session wrote or saw.
    HasIt,
    /// It is not known to have that, and has to wait for it.
    Waits,
    /// The session is pinned to it.
    Pinned,
    /// The session is pinned to it from now on, because there was no pin, or its node left.
    NewlyPinned,
    /// It leads, and no follower is known to have what the session saw. The session is not pinned to it.
    Leader,
}

/// Where to send a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteRoute {
    /// Who leads.
    pub node: NodeId,
    /// In which epoch, so that a node that led and no longer does can refuse.
    pub epoch: Epoch,
    /// What the session rests on. A leader that compares it with its log vouches for it in its answer.
    pub at_least: Option<Version>,
}

/// What a node says when it answered a read, or acknowledged a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the answer was read from: all records the node had applied. Of a write, the log up to that write.
    pub version: Version,
    /// What the node looked for in its own log before it answered, and found: [`Route::at_least`], of nodes that check
    /// it. It decides where the router does not know where two logs part.
    pub vouched: Option<Version>,
}

impl Answer {
    /// The answer of a node that checks nothing.
    pub const fn of(version: Version) -> Self {
        Self { version, vouched: None }
    }

    /// The answer of a node that has `vouched`.
    pub const fn vouching(self, vouched: Option<Version>) -> Self {
        Self { vouched, ..self }
    }
}
