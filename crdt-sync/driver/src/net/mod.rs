//! Connections: frames over TCP, each with its length in front.

mod dialer;
mod link;
mod listener;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crdt_sync::{Input, LinkId};
use tokio::sync::mpsc::{Sender, UnboundedSender};

pub(crate) use dialer::dial;
pub(crate) use listener::listen;

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

#[derive(Debug, Default)]
pub(crate) struct Counters {
    bytes_sent: AtomicU64,
    frames_sent: AtomicU64,
    bytes_received: AtomicU64,
    frames_received: AtomicU64,
    next_link: AtomicU64,
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

    fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.frames_sent.fetch_add(1, Ordering::Relaxed);
    }

    fn received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.frames_received.fetch_add(1, Ordering::Relaxed);
    }
}

/// What every connection needs of its node.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) inputs: Sender<NetInput>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_frame: usize,
    pub(crate) max_queued: usize,
}

/// What connections tell the engine's thread.
pub(crate) enum NetInput {
    /// A connection is up; what is to be sent on it goes to `outbound`.
    Up { link: LinkId, dialed: bool, outbound: Outbound },
    /// Something for the engine.
    Engine(Input),
}

/// The way out of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    frames: UnboundedSender<Vec<u8>>,
    queued: Arc<AtomicU64>,
    max_queued: u64,
}

impl Outbound {
    /// Queues a frame; false when the connection is gone or too far behind to be kept.
    pub(crate) fn send(&self, frame: Vec<u8>) -> bool {
        let queued = self.queued.fetch_add(frame.len() as u64, Ordering::Relaxed);
        queued <= self.max_queued && self.frames.send(frame).is_ok()
    }
}

impl Net {
    fn next_link(&self) -> LinkId {
        LinkId(self.counters.next_link.fetch_add(1, Ordering::Relaxed))
    }
}
