//! Ways to find out what two data sets hold differently, behind narrow traits, so that every one of them goes through
//! the same steps.
//!
//! An item is a key of 16 bytes and a version of 8; what is stored under the key is nobody's business here. A session
//! is over when either side knows which of its own items the other lacks or holds in another version. Frames are made
//! and read as bytes, and all of them count, hellos and headers included. The items themselves are not sent.

pub mod bound;
pub mod cpu;
#[cfg(feature = "merkle-peers")]
mod listing;
#[cfg(feature = "merkle-peers")]
pub mod merkle_search_tree;
#[cfg(feature = "merkle-peers")]
pub mod negentropy;
pub mod ours;
#[cfg(feature = "merkle-peers")]
pub mod rbsr;
#[cfg(feature = "merkle-peers")]
pub mod riblt;
#[cfg(feature = "merkle-peers")]
pub mod rs_merkle;
pub mod turns;
pub mod workloads;
pub mod writes;

use cpu::Stopwatch;

/// A key: random, as if it were a digest.
pub type Key = [u8; 16];

/// One item of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its key, unique within a set.
    pub key: Key,
    /// Its version: higher is newer.
    pub version: u64,
}

/// What a session found, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The keys of the items that each side knows it has to send, in any order.
    pub sends: [Vec<Key>; 2],
    /// Bytes in both directions.
    pub bytes: u64,
    /// Turns, of which two are a round trip: all that one side says before the other speaks.
    pub turns: u32,
}

/// A data set that can be compared with another one.
pub trait Candidate: Sized + 'static {
    /// As tables call it.
    const NAME: &'static str;
    /// Whether sides never send more than they have to. A few items more are no mistake where short names of keys, of
    /// which two may be the same, say what differs.
    const IS_EXACT: bool = true;
    /// What is kept beside the items, so that a session need not begin with all of them.
    type Summary: 'static;

    /// The summary of a data set.
    fn summary(entries: &[Entry]) -> Self::Summary;

    /// The summary and, where it cannot name items by itself, an index that can.
    fn load(entries: &[Entry]) -> Self;

    /// Compares two data sets to the end, both sides in this thread. What the stopwatch is paused for does not count.
    fn reconcile(left: &mut Self, right: &mut Self, watch: &mut Stopwatch) -> Found;
}

/// A summary that follows writes.
pub trait Updating: Candidate {
    /// Moves an item from one version to another in the summary, not in an index beside it.
    fn upsert(&mut self, to: Entry, from: u64);

    /// Does what has to be done after writes until a session can start, which includes the root if there is one.
    fn prepare(&mut self);
}

impl Found {
    /// Counts a turn of so many bytes.
    pub fn turn(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.turns += 1;
    }
}
