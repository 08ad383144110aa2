//! Checkpoints: the whole of a replica as bytes, so that the log before it can go.
//!
//! A checkpoint of record *s* is what replaying the log up to *s* would make. It is **exact**, not fuzzy: it is given
//! out piece by piece while writes go on, and whatever a write changes that is not given out yet is encoded before it
//! changes ([`Images`]). So every piece shows the moment the checkpoint began, the bytes are the same however pieces
//! and writes take turns, and a restart is "load, then replay what follows *s*" with nothing to prove about records
//! that are applied to a state which has them already. Joins alone would not carry that proof: a document that was
//! stemmed forgets old versions, and an entry from before that would bring one of them back as a conflict.
//!
//! Encoding early costs what encoding later would have: one encoding per key, whoever asks for it first. The memory
//! it takes is at most one encoded copy of what the replica held at *s*, and none when nobody writes.
//!
//! The one thing that is not frozen are the entries retained for peers: those that are dropped meanwhile are left
//! out, and a peer that would have needed them reconciles by a session, as it would have had to anyway.
//!
//! ```text
//! magic, version │ head │ hints .. │ partition 0: standing, retained entries .., cells .. │ partition 1: .. │ end
//! ```
//!
//! Whoever stores the bytes sees to it that damage is noticed: they are meant for the snapshots of `replication-log`.
//! The end is given out only when the log is durable up to *s*, and bytes without an end are no checkpoint: a
//! checkpoint never holds what its log could lose.
//!
//! The method is copy-on-update as in "An Evaluation of Checkpoint Recovery for Massively Multiplayer Online Games"
//! (Vaz Salles et al., VLDB 2009), in one thread and key by key.

mod error;
mod frame;
mod images;
mod loader;
#[cfg(test)]
mod tests;
mod writer;

pub use error::{CheckpointError, RestoreError};
pub(crate) use images::{Images, Walked};
pub(crate) use loader::load;
pub use loader::node_of_checkpoint;
pub use writer::CheckpointPiece;
pub(crate) use writer::Writer;
