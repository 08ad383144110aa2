//! What a sender asks of its host, what it tells it, and why it does not take something.

use crate::{
    BatchError, Lsn, ReadError,
    entry::logical::{EntryError, FilterError, StreamError},
    ship::{
        Marks,
        wire::{FrameError, Refusal},
    },
    snapshot::SnapshotIdentity,
};

/// A snapshot that a follower can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    /// What it is a snapshot of.
    pub identity: SnapshotIdentity,
    /// How many bytes of state it has.
    pub bytes: u64,
}

/// What a sender could send on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Nothing: the follower has everything, or is still busy with what is on its way.
    Nothing,
    /// The batch that follows this record, with [`Sender::push`](crate::ship::Sender::push).
    Batches {
        /// The record.
        after: Lsn,
    },
    /// What follows so many bytes of the snapshot's state, with
    /// [`Sender::push_snapshot`](crate::ship::Sender::push_snapshot).
    Snapshot {
        /// Which snapshot.
        identity: SnapshotIdentity,
        /// How many bytes come before.
        offset: u64,
    },
}

/// What a follower's frame meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// Nothing new.
    Nothing,
    /// The follower is ready to be sent to, and how far it is. These marks take the place of all that were known
    /// from earlier conversations: its disk may have been restored.
    Ready(Marks),
    /// It is further.
    Advanced(Marks),
    /// It has installed the snapshot and is sent what follows.
    Installed(Marks),
    /// It does not go on. The conversation is over.
    Refused(Refusal),
}

/// Why a frame of a follower, or something for it, was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The frame is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The follower says to have what it was never sent: it is at fault, or the frame is not one of its.
    #[error("the follower says to have record {got}, and was sent nothing beyond {sent}; it was ignored")]
    Ahead {
        /// What it says.
        got: Lsn,
        /// The last record it can have.
        sent: Lsn,
    },
    /// The batch does not come next: the log that is read is not the one that was read before.
    #[error("the batch begins with record {got}, and {wanted} comes next; it was not sent")]
    OutOfOrder {
        /// The record that comes next.
        wanted: Lsn,
        /// The first of the batch.
        got: Lsn,
    },
    /// The part of the snapshot does not come next, or is none.
    #[error("the part of the snapshot begins at {got}, and {wanted} comes next; it was not sent")]
    SnapshotOutOfOrder {
        /// What comes next.
        wanted: u64,
        /// Where the part begins.
        got: u64,
    },
    /// A record of the log is no entry of a logical stream, though its kind says so.
    #[error("the log cannot be read as a logical stream: {0}")]
    Stream(#[from] StreamError),
    /// The follower's filter needs to know more of a row than the log tells.
    #[error("not sent: {0}")]
    Filter(#[from] FilterError),
    /// An entry does not keep to the format.
    #[error("not sent: {0}")]
    Entry(#[from] EntryError),
    /// The batch is larger than a batch may be.
    #[error("not sent: {0}")]
    Batch(#[from] BatchError),
}

/// Why a follower was not answered with a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It cannot be served. Tell it: [`Refusal::encode`].
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log could not be read. The follower may ask again.
    #[error("the log could not be read, the follower may ask again: {0}")]
    Log(#[from] ReadError),
}
