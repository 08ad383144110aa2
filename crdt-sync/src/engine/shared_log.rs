//! A log that is a copy of the leader's: what the engine asks of it, and what it is told.
//!
//! Where nodes replicate one by one, their logs are their own, and [`Output::Append`](super::Output::Append) is all
//! that is asked of one. Where one node leads, followers keep copies of its log, so that its host must also be able to
//! read it, to cut it, and to promise epochs.

use alloc::string::String;
use alloc::vec::Vec;

use replication_log::ship::slot::Why;
use replication_log::ship::{Begin, HistoryView, SnapshotOffer};
use replication_log::snapshot::SnapshotIdentity;
use replication_log::{BatchCopy, Epoch, Lsn, Position};

use crate::node::NodeId;

/// Something to be done with a log that nodes share, in this order with everything else.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogTask {
    /// Append these records under an epoch as one atomic batch and make them durable; then say
    /// [`Input::Durable`](super::Input::Durable). The first record gets this number. An epoch that is newer than what
    /// was promised is promised with it.
    Append {
        /// The epoch.
        epoch: Epoch,
        /// The number of the first record.
        first: Lsn,
        /// The records.
        records: Vec<Vec<u8>>,
    },
    /// Append these batches of another node's log ([`Log::append_copy`](replication_log::Log::append_copy)) and make
    /// them durable; say [`LogNews::Written`] when the operating system has them, if that is known before, and then
    /// [`Input::Durable`](super::Input::Durable).
    Copy {
        /// The epoch under which whoever sends them leads.
        reign: Epoch,
        /// The batches.
        batches: Vec<BatchCopy>,
    },
    /// Say where the log stands: [`LogNews::Stands`]. Asked for when everything in it is durable.
    Stand,
    /// Promise the epoch and cut the log, durably and before anything else, and keep what was cut off for whoever wants
    /// to look at it; then say [`LogNews::Begun`].
    Begin(Begin),
    /// Find out where the log and one whose epochs end like this part: [`LogNews::Seen`].
    See {
        /// Which answer belongs to it.
        task: u64,
        /// Where the epochs of the other end.
        ends: Vec<Position>,
    },
    /// Read durable batches behind a record, as many as have so many bytes together, or one: [`LogNews::Read`].
    Read {
        /// Which answer belongs to it.
        task: u64,
        /// The record before.
        after: Lsn,
        /// The bytes.
        bytes: usize,
    },
    /// Read a part of a snapshot that was offered, of at most
    /// [`MAX_SNAPSHOT_CHUNK_BYTES`](replication_log::limits::MAX_SNAPSHOT_CHUNK_BYTES): [`LogNews::SnapshotRead`].
    ReadSnapshot {
        /// Which answer belongs to it.
        task: u64,
        /// Which snapshot.
        identity: SnapshotIdentity,
        /// How many bytes of its state come before.
        offset: u64,
    },
    /// Write down what follows of a snapshot that another node sends; what there is of another one, or of an earlier
    /// attempt, can go when its first bytes come.
    KeepSnapshot {
        /// Which snapshot.
        identity: SnapshotIdentity,
        /// How many bytes of its state come before.
        offset: u64,
        /// The bytes.
        part: Vec<u8>,
    },
    /// All of a snapshot is here: make it durable, let the log begin behind it under the epoch that is promised, and
    /// open an engine [from it](crate::Engine::open_from). This one does nothing any more; its links are the new one's.
    Install(SnapshotIdentity),
    /// Open another engine from the newest snapshot that the log has not been cut below, and the records behind it:
    /// what this one shows was cut off. It does nothing any more.
    Reopen,
}

/// What became of a [`LogTask`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogNews {
    /// Where the log stands.
    Stands(LogStanding),
    /// The operating system has everything up to this record, which need not be durable.
    Written {
        /// The record.
        lsn: Lsn,
    },
    /// What was asked for to begin with is done, and durable.
    Begun,
    /// It was not done, for a newer epoch was promised.
    Fenced {
        /// Which.
        promised: Epoch,
    },
    /// Where the log and another one part.
    Seen {
        /// Which task this answers.
        task: u64,
        /// What the log says of itself.
        view: HistoryView,
        /// The newest snapshot that is not known to be damaged, for one that lacks what the log does not have any more.
        snapshot: Option<SnapshotOffer>,
    },
    /// What was read.
    Read {
        /// Which task this answers.
        task: u64,
        /// The batches, in order; none when they are not in the log any more, or cannot be read now.
        batches: Vec<BatchCopy>,
    },
    /// A part of a snapshot was read.
    SnapshotRead {
        /// Which task this answers.
        task: u64,
        /// How many bytes come before.
        offset: u64,
        /// The part.
        part: Vec<u8>,
    },
    /// The log could not be read. Whoever it was for begins anew after a while.
    Failed {
        /// Which task this answers.
        task: u64,
    },
}

/// What becomes of a log that nodes share without the engine being told: for operators, by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogEvent {
    /// What the leader does not have, or may not have, is not in the log any more, or is about to be replaced by a
    /// snapshot.
    CutOff {
        /// The first record of it.
        first: Lsn,
        /// The last one.
        last: Lsn,
        /// Where it can be looked at: the name of a file.
        put_aside: String,
    },
    /// Another engine goes on in the place of the one that was: a snapshot came, or what that had shown was cut off.
    Reopened {
        /// The record of the snapshot it was opened from; none where that was the whole log.
        from: Lsn,
        /// The last record of the log.
        last: Lsn,
    },
    /// A follower was away for so long that what it lacks is kept for it no longer. It begins anew with a snapshot.
    FollowerLost {
        /// Which.
        follower: NodeId,
        /// What was kept for it, and why no more of it is.
        why: Why,
    },
}

/// Where a log stands, all of it durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStanding {
    /// The newest epoch that was promised.
    pub promised: Epoch,
    /// Behind its last record.
    pub end: Position,
    /// Where its epochs end, newest first ([`Log::epoch_ends`](replication_log::Log::epoch_ends)).
    pub ends: Vec<Position>,
}
