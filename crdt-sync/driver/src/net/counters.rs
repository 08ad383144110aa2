//! What is counted at the edge.

use std::sync::atomic::{AtomicU64, Ordering};

/// What went over the sockets of a node so far, length prefixes included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Frames written to sockets.
    pub frames_sent: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Frames read from sockets.
    pub frames_received: u64,
}

/// The connections of a node, and what became of those that were not wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted connections that are open now.
    pub open: usize,
    /// Those of them on which nobody has greeted yet.
    pub half_open: usize,
    /// Connections that were let in so far.
    pub let_in: u64,
    /// Connections that were turned away at once: too many, too often, or from an address that is locked out.
    pub turned_away: u64,
    /// Connections that were refused or ended later, for any [`Refusal`](crate::Refusal).
    pub refused: u64,
    /// Times that an address was locked out.
    pub lockouts: u64,
    /// Times that a peer was read more slowly because it sent too fast.
    pub throttled: u64,
    /// Peers that were disconnected because they take too little of what they are sent.
    pub stalled: u64,
    /// Bytes that wait to be sent now.
    pub queued: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) frames_received: AtomicU64,
    pub(crate) let_in: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) lockouts: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) stalled: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) next_link: AtomicU64,
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

impl Counters {
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            frames_sent: self.frames_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            frames_received: self.frames_received.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn connections(&self) -> Connections {
        Connections {
            open: 0,
            half_open: 0,
            let_in: self.let_in.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            lockouts: self.lockouts.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            stalled: self.stalled.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        count(&self.frames_sent);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        count(&self.frames_received);
    }
}
