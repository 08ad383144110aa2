//! What the two ends of a shipped log say to each other, and its bytes.
//!
//! A frame is one message. Whoever carries them keeps them whole; frames that are lost, doubled, late or damaged
//! do no harm. Every frame ends with a CRC32C, and a batch is checked against the running checksum of the log it
//! goes into besides. The first byte says which message it is; a follower's [`Hello`] and a [`Refusal`] have the same
//! form in every version of the protocol, so that two ends can always tell each other why they do not understand
//! each other. `docs/formats.md` of the repository draws the bytes.

mod batches;
mod codec;
mod hello;
mod refusal;
mod to_follower;
mod to_leader;

pub use batches::Batches;
pub(super) use batches::BatchesFrame;
pub use hello::{Hello, Stream};
pub use refusal::Refusal;
pub use to_follower::{Alive, SnapshotPart, Start, ToFollower, Transactions, Welcome};
pub use to_leader::{Report, SnapshotReport, ToLeader};

use crate::{Malformed, entry::logical::FormatVersions};

/// The versions of the protocol that this build speaks.
pub const PROTOCOL_VERSIONS: FormatVersions = FormatVersions { min: 1, max: 1 };

/// Why a frame is not a message. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame does not have the checksum it states: it was damaged on the way.
    #[error("a damaged frame of {bytes} bytes; it was ignored")]
    Damaged {
        /// How long it is.
        bytes: usize,
    },
    /// The frame is as it was sent, and not as this crate writes it: the sender is at fault.
    #[error("a malformed frame: {0}; it was ignored")]
    Malformed(#[from] Malformed),
}
