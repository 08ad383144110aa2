//! What can go wrong with a node.

use std::io;
use std::net::SocketAddr;

use conflict_store::ResolveError;
use crdt_sync::leaderless::{HintsReply, RingReply};
use crdt_sync::placement::ChangeError;
use crdt_sync::time::WallTime;
use crdt_sync::{
    Missing, NodeId, RecoverError, Reply, RestoreError, RetireError, ShowError, TokenError, WriteError,
};
use replication_log::snapshot::{SnapshotError, UnusableSnapshot};
use replication_log::{Epoch, Lsn};
use thiserror::Error;

use crate::failover::FailoverContradiction;
use crate::leaderless::{QuorumError, refused};
use crate::single_leader::{CommitError, not_committed, not_leading};

/// Why a node could not be opened, or cannot listen. Its directory is as it was, except for what the log's own
/// error says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is in use, or cannot be read or written.
    #[error("the directory cannot be used: {0}")]
    Storage(#[from] replication_log::storage::StorageError),
    /// The log is damaged where it was durable, or of another version.
    #[error("the log cannot be opened: {0}")]
    Log(#[from] replication_log::OpenError),
    /// A snapshot of another node was to take the log's place, and cannot. The next opening tries again.
    #[error(transparent)]
    Install(#[from] replication_log::install::InstallError),
    /// The log's records could not be read back.
    #[error("the log cannot be read: {0}")]
    Read(#[from] replication_log::ReadError),
    /// The log begins with a later record than the first, and none of the checkpoints beside it goes with it. Nothing
    /// was touched; a copy of the directory, or another node of the cluster, has what is missing.
    #[error("the log begins with record {oldest} and no checkpoint goes with it: {}", last_of(.unusable))]
    NoCheckpoint {
        /// The oldest record of the log.
        oldest: Lsn,
        /// The checkpoints there are, newest first, and what is wrong with each.
        unusable: Vec<(Lsn, UnusableCheckpoint)>,
    },
    /// The log belongs to another node or was written with another configuration.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The address is not this machine's own, and the network is not protected.
    #[error("{address} is not a loopback address and connections are not encrypted; allow it explicitly")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The options name another node than the certificate. Peers would refuse it.
    #[error("the options say that this is node {named}, the certificate is of node {certified}")]
    OtherNode {
        /// The node of the options.
        named: NodeId,
        /// The node of the certificate.
        certified: NodeId,
    },
    /// A node of a cluster with one leader needs a name, by the options or a certificate.
    #[error("a node of a cluster with one leader needs a name")]
    Unnamed,
    /// The log is one that nodes share, and the file beside it that says whose directory this is is missing, or cannot
    /// be read. Under a wrong name the node would contradict another one.
    #[error("the directory does not say whose it is: the file `node` is missing, or cannot be read")]
    Nameless,
    /// What the options say on failover contradicts itself.
    #[error(transparent)]
    Failover(#[from] FailoverContradiction),
    /// The node is shut down, or its log failed, perhaps as soon as it was opened. What it acknowledged is in the
    /// directory.
    #[error("the node is over: it was shut down, or its log failed")]
    Ended,
    /// The system gives no thread.
    #[error("no thread can be started: {0}")]
    Thread(io::Error),
}

/// Why a node is not opened from a checkpoint.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnusableCheckpoint {
    /// Its file is damaged, or of another version.
    #[error(transparent)]
    Damaged(#[from] SnapshotError),
    /// It was not taken of this log, or records between the two are gone.
    #[error(transparent)]
    OtherLog(#[from] UnusableSnapshot),
    /// Its content is no checkpoint of an engine.
    #[error(transparent)]
    Content(#[from] RestoreError),
}

fn last_of(unusable: &[(Lsn, UnusableCheckpoint)]) -> String {
    match unusable.first() {
        Some((_, why)) => why.to_string(),
        None => "there is none".to_owned(),
    }
}

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The writes were refused, all of them; by a node that was retired, with
    /// [`WriteError::Evicted`].
    #[error(transparent)]
    Refused(#[from] WriteError),
    /// As many requests wait for the disk as may; nothing was done.
    #[error("too many requests wait for the disk; nothing was done")]
    Overloaded,
    /// The value is not durable yet and the deadline has passed; nothing was changed.
    #[error("record {lsn} is not durable yet; try again")]
    NotYetVisible {
        /// The record waited for.
        lsn: Lsn,
    },
    /// The log failed before the writes were known to be durable: whether they survived is known after the
    /// node is opened again.
    #[error("the log failed; whether record {lsn} is durable is unknown")]
    Unknown {
        /// The record.
        lsn: Lsn,
    },
    /// This node still lacks entries that the session depends on; nothing was shown. Try again, ask another node, or
    /// begin a new session.
    #[error("this node lacks entries of {} origins that the session depends on", missing.len())]
    Behind {
        /// Which entries.
        missing: Vec<Missing>,
    },
    /// The key lies outside the scope of this partial replica: other nodes may hold it.
    #[error("this partial replica does not hold what was asked for")]
    OutOfScope,
    /// The session's token is not good here; nothing was done.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A snapshot took the place of what this node had, or what it had shown was cut off its log, while it was asked.
    /// What was asked for may have been done or not. Ask again: the node goes on.
    #[error("the node went on with another log while it was asked; ask again")]
    Reopened,
    /// The node is shut down, or its log failed. Open it again.
    #[error("the node is shut down")]
    Ended,
    /// An operation of a leaderless cluster did not reach its level, and what is known of it.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// Writes in a cluster with one leader are not known to be committed, and what is known of them.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What the session wrote or saw was lost, and never committed: another node began to lead without it. Begin a new
    /// session.
    #[error("record {lsn} of epoch {epoch}, which the session depends on, was lost before it was committed")]
    Lost {
        /// The epoch under which it was written.
        epoch: Epoch,
        /// The record.
        lsn: Lsn,
    },
    /// The ring of a leaderless cluster was not changed.
    #[error(transparent)]
    NotChanged(#[from] ChangeError),
    /// Clusters of another topology do that: in a leaderless cluster there are no sessions, no rejoining, and no
    /// waiting until all agree; with one leader there is no retiring and no rejoining; elsewhere there are no quorums
    /// and no ring, or no commits. Nothing was done.
    #[error("clusters of another topology do that; nothing was done")]
    OtherTopology,
    /// Something of what this node keeps for others is not where it belongs yet.
    #[error("{count} keys that other nodes missed, {bytes} bytes, are still kept for them here")]
    HintsWaiting {
        /// How many keys, counted once per node.
        count: usize,
        /// How many bytes they take up at most.
        bytes: usize,
        /// When the oldest write in them was kept.
        oldest: WallTime,
    },
    /// The document was not shown.
    #[error(transparent)]
    NotShown(#[from] ShowError),
    /// The engine answered something else than was asked for. It may have been done; please report it.
    #[error("the answer is one to another question")]
    AnotherAnswer,
    /// The member was not retired.
    #[error(transparent)]
    NotRetired(#[from] RetireError),
    /// A conflict cannot be shown by the collection's rule.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The address is not this machine's own, and the network is not protected.
    #[error("{address} is not a loopback address and connections are not encrypted; allow it explicitly")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

/// Why an answer is not what was asked for.
pub(crate) fn refusal(reply: Reply) -> NodeError {
    match reply {
        Reply::Refused(error) => error.into(),
        Reply::Overloaded => NodeError::Overloaded,
        Reply::NotYetVisible { lsn } => NodeError::NotYetVisible { lsn },
        Reply::Unknown { lsn } => NodeError::Unknown { lsn },
        Reply::Behind { missing } => NodeError::Behind { missing },
        Reply::TokenRefused(error) => error.into(),
        Reply::NotRetired(error) => error.into(),
        Reply::OutOfScope => NodeError::OutOfScope,
        Reply::OtherTopology => NodeError::OtherTopology,
        Reply::Quorum(reply) => refused(reply),
        Reply::Commit(reply) => not_committed(reply),
        Reply::Lead(reply) => not_leading(reply),
        Reply::Lost { epoch, lsn } => NodeError::Lost { epoch, lsn },
        Reply::Ring(RingReply::Refused(error)) => error.into(),
        Reply::Hints(HintsReply::StillWaiting { count, bytes, oldest }) => {
            NodeError::HintsWaiting { count, bytes, oldest }
        }
        Reply::NotShown(error) => error.into(),
        Reply::Ended => NodeError::Ended,
        Reply::Fate(_)
        | Reply::Written(_)
        | Reply::Value(_)
        | Reply::Shown(_)
        | Reply::Cells(_)
        | Reply::MemberRetired
        | Reply::FailoverTold
        | Reply::InSession { .. }
        | Reply::Ring(RingReply::Begun { .. } | RingReply::DeclaredDead { .. })
        | Reply::Hints(HintsReply::Delivered) => NodeError::AnotherAnswer,
    }
}
