//! Why a checkpoint is not made, or not loaded.

use crdt_core::codec::DecodeError;
use thiserror::Error;

use crate::cell::CellError;

/// Why no further piece of a checkpoint comes. The replica goes on as if none had been begun.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Nothing was begun, it was complete already, or the log failed meanwhile.
    #[error("no checkpoint is being made")]
    NotUnderWay,
    /// One state, or one partition's standing, is larger than what can be loaded again. The checkpoint is given up.
    #[error(
        "the checkpoint is given up: one part of it has {bytes} bytes, at most {limit} can be loaded again"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why bytes are not loaded as a checkpoint. Nothing came of them; an older checkpoint or the whole log may serve.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// They are something else.
    #[error("these bytes are not a checkpoint")]
    NotOne,
    /// They are of another version of the format.
    #[error("the checkpoint has format version {found}, this build reads {supported}")]
    OtherVersion {
        /// The version they state.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// They end early: the checkpoint was never completed, or reading it failed.
    #[error("the checkpoint ends before its end")]
    Unfinished,
    /// They go on behind the end.
    #[error("{extra} bytes follow the end of the checkpoint")]
    TrailingBytes {
        /// How many, as far as they were seen.
        extra: usize,
    },
    /// A part claims to be larger than any is.
    #[error("a part of the checkpoint claims {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A part is not the encoding of anything.
    #[error("a part of the checkpoint is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A state is not one of its collection's kind.
    #[error("a state in the checkpoint: {0}")]
    Cell(#[from] CellError),
    /// The parts do not follow each other as they must.
    #[error("the checkpoint is out of order: {what}")]
    Disorder {
        /// What does not fit.
        what: &'static str,
    },
    /// What was loaded is not what the checkpoint says it holds.
    #[error("partition {partition} of the checkpoint does not hold what its root says")]
    OtherRoot {
        /// Which partition.
        partition: u16,
    },
}
