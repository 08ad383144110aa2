//! What a frame asks of a follower's host, and why one is not taken.

use alloc::vec::Vec;

use crate::{
    Epoch, LoggedBatch, Lsn, Position,
    entry::logical::Transaction,
    ship::{
        SnapshotOffer,
        wire::{FrameError, Refusal},
    },
};

/// What the host has to do about a frame, before it hands in the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'f> {
    /// Nothing, but to look at [`committed`](crate::ship::Receiver::committed).
    Nothing,
    /// Nothing at all: it is of another conversation, and says nothing about whether this one goes on.
    Stray,
    /// The leader has answered. To be answered with [`begun`](crate::ship::Receiver::begun).
    Begin(Begin),
    /// Append these batches, in this order ([`Log::append_copy`](crate::Log::append_copy)).
    Append {
        /// The leader's epoch, which is promised.
        reign: Epoch,
        /// The batches. Each follows the one before it, and the first one the log.
        batches: Vec<LoggedBatch<'f>>,
    },
    /// Apply these transactions, in this order.
    Apply(Vec<Transaction>),
    /// Write this part of the snapshot down ([`Snapshots::receive`](crate::snapshot::Snapshots::receive)).
    Snapshot {
        /// The state's bytes that come next.
        part: &'f [u8],
        /// Whether they are the last. Then finish the snapshot, let the log begin behind it, load it, and say
        /// that it is [`installed`](crate::ship::Receiver::installed).
        is_last: bool,
    },
    /// The leader does not go on. What is here stays as it is.
    Refused(Refusal),
}

/// What has to happen before a follower may say that it follows, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The epoch of the leader: promise it, if it is not ([`Log::promise_epoch`](crate::Log::promise_epoch)).
    pub promise: Epoch,
    /// What the log has beyond this position is not the leader's: cut it
    /// ([`Log::truncate_after`](crate::Log::truncate_after)), and keep what was cut for whoever wants to look
    /// at it.
    pub cut: Option<Position>,
    /// A snapshot comes, for what comes next is no longer in the leader's log: everything here goes, once all of it
    /// has arrived. One without any bytes has arrived already.
    pub snapshot: Option<SnapshotOffer>,
}

/// Why a frame was not taken. The log is as it was. Whoever sent it is told, where that helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The frame is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Whoever sent it is not followed, and is told why. The conversation is over.
    #[error("not followed: {0}")]
    Refused(Refusal),
    /// What arrives does not follow what is here, however often it is sent: the two logs have parted where their
    /// epochs say they have not. An operator has to decide; a follower that begins anew, with nothing, is one way.
    #[error("what comes behind record {end} does not follow it: the logs have parted before it")]
    Parted {
        /// The last record here.
        end: Lsn,
    },
    /// The leader said something that does not fit what was said before. The conversation is over.
    #[error("the leader said something out of turn; nothing was done")]
    OutOfTurn,
}
