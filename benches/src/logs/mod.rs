//! Logs behind narrow traits, so that every one of them goes through the same steps.
//!
//! A log implements the traits whose promise it can keep, and is left out of the tables of the rest.
#![allow(clippy::disallowed_methods, reason = "disks, threads and stopwatches are what is measured")]

pub mod bare_file;
#[cfg(feature = "log-peers")]
pub mod commitlog;
#[cfg(feature = "log-peers")]
pub mod fjall;
#[cfg(feature = "log-peers")]
pub mod okaywal;
#[cfg(feature = "log-peers")]
pub mod open_wal;
pub mod ours;
#[cfg(feature = "log-peers")]
pub mod raft_engine;
pub mod records;
#[cfg(feature = "log-peers")]
pub mod wal_db;
pub mod workloads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use records::{Digest, Records};

/// How large a segment may grow, for every log that can be told.
pub const SEGMENT_BYTES: u32 = 64 << 20;

/// A log in a folder of its own.
pub trait Candidate: Sized + 'static {
    /// As tables call it.
    const NAME: &'static str;
    /// Whether a sync makes records durable.
    const SYNCS: bool = true;

    /// Creates an empty log.
    fn create(folder: &Path) -> Self;

    /// Opens the log in `folder` for writing, as after a restart, and reads all of it in order.
    fn replay(folder: &Path, digest: &mut Digest) -> Self;

    /// How often the log has synced, if it can be seen.
    fn syncs(&self) -> Option<Arc<AtomicU64>> {
        None
    }
}

/// Appends now and syncs later.
pub trait Appending: Candidate {
    /// Appends `records` one by one without a sync, calls `appended`, and makes them durable.
    fn append_all(&mut self, records: &Records, appended: impl FnOnce());
}

/// Makes one record durable after the other.
pub trait Committing: Candidate {
    /// Returns once the record is durable.
    fn commit(&mut self, payload: &[u8]);
}

/// Can be written by many threads that share syncs.
pub trait Sharing: Candidate {
    /// What one thread writes through.
    type Writer: Write + Send;

    /// One writer for each of `threads`. The log is closed with the last of them.
    fn share(self, threads: usize) -> Vec<Self::Writer>;
}

/// One thread's access to a shared log.
pub trait Write {
    /// Returns once the record is durable.
    fn commit(&mut self, payload: &[u8]);
}

/// Can be read from the middle while it is written.
pub trait Tailing: Candidate {
    /// Appends one record.
    fn append(&mut self, payload: &[u8]);

    /// Does what it takes until readers see all that was appended.
    fn publish(&mut self);

    /// Reads from the record `first` on, counted from 0, to the end.
    fn read_from(&mut self, first: u64, digest: &mut Digest);
}
