//! The way out of one connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Net;
use super::counters::Counters;

/// Where the engine's thread puts frames for one connection.
#[derive(Debug)]
pub(crate) struct Outbound {
    frames: UnboundedSender<Vec<u8>>,
    backlog: Arc<Backlog>,
    pub(crate) address: SocketAddr,
    pub(crate) dialed: bool,
}

/// Where the connection takes them from.
#[derive(Debug)]
pub(super) struct Queue {
    frames: UnboundedReceiver<Vec<u8>>,
    backlog: Arc<Backlog>,
}

/// The bytes that wait on one connection, which are also counted for all together.
#[derive(Debug)]
struct Backlog {
    bytes: AtomicU64,
    all: Arc<Counters>,
    abandoned: Notify,
}

/// Both ends of the queue of a new connection.
pub(super) fn queue(net: &Net, address: SocketAddr, dialed: bool) -> (Outbound, Queue) {
    let (sender, receiver) = unbounded_channel();
    let all = Arc::clone(&net.counters);
    let backlog = Arc::new(Backlog { bytes: AtomicU64::new(0), all, abandoned: Notify::new() });
    let outbound = Outbound { frames: sender, backlog: Arc::clone(&backlog), address, dialed };
    (outbound, Queue { frames: receiver, backlog })
}

impl Outbound {
    /// Queues a frame; false when the connection is gone.
    pub(crate) fn send(&self, frame: Vec<u8>) -> bool {
        let bytes = frame.len() as u64;
        self.backlog.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.backlog.all.queued.fetch_add(bytes, Ordering::Relaxed);
        self.frames.send(frame).is_ok()
    }

    /// What waits is not to be sent any more.
    pub(crate) fn abandon(&self) {
        self.backlog.abandoned.notify_one();
    }

    /// The bytes that wait.
    pub(crate) fn queued(&self) -> u64 {
        self.backlog.bytes.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// The next frame; `None` when the engine closed the connection and everything was taken.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.frames.recv().await
    }

    /// Waits until what waits is not to be sent any more, which may be never.
    pub(super) fn abandoned(&self) -> impl Future<Output = ()> + use<> {
        let backlog = Arc::clone(&self.backlog);
        async move { backlog.abandoned.notified().await }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// A frame that was taken has been written.
    pub(super) fn written(&self, frame: &[u8]) {
        let bytes = frame.len() as u64;
        self.backlog.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.backlog.all.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What was never written waits no longer.
impl Drop for Backlog {
    fn drop(&mut self) {
        self.all.queued.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
