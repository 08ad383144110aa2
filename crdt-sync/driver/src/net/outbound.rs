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
    /// The engine is done with the connection: nothing more will wait.
    closed: Notify,
}

/// Both ends of the queue of a new connection.
pub(super) fn queue(net: &Net, address: SocketAddr, dialed: bool) -> (Outbound, Queue) {
    let (sender, receiver) = unbounded_channel();
    let all = Arc::clone(&net.counters);
    let (abandoned, closed) = (Notify::new(), Notify::new());
    let backlog = Arc::new(Backlog { bytes: AtomicU64::new(0), all, abandoned, closed });
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

    /// What waits is not to be sent any more, and counts no longer, whenever the connection hears of it.
    pub(crate) fn abandon(&self) {
        self.backlog.forget(u64::MAX);
        self.backlog.abandoned.notify_one();
    }

    /// The bytes that wait.
    pub(crate) fn queued(&self) -> u64 {
        self.backlog.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.backlog.closed.notify_one();
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

    /// Waits until the engine is done with the connection, and only what waits is left to be sent.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let backlog = Arc::clone(&self.backlog);
        async move { backlog.closed.notified().await }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// A frame that was taken has been written.
    pub(super) fn written(&self, frame: &[u8]) {
        self.backlog.forget(frame.len() as u64);
    }
}

impl Backlog {
    /// So many bytes wait no longer; no more than did.
    fn forget(&self, bytes: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(bytes));
        // It always has an answer.
        let (Ok(waited) | Err(waited)) = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.all.queued.fetch_sub(waited.min(bytes), Ordering::Relaxed);
    }
}

/// What was never written waits no longer.
impl Drop for Backlog {
    fn drop(&mut self) {
        self.forget(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use crdt_sync::Limits;

    use super::*;
    use crate::limits::NetworkLimits;
    use crate::net::Protection;

    fn net() -> Net {
        let (inputs, _) = tokio::sync::mpsc::channel(1);
        Net::new(inputs, NetworkLimits::default(), Limits::default(), Protection::None)
    }

    #[test]
    fn what_is_given_up_counts_no_longer_at_once_and_nothing_is_taken_off_twice() {
        let net = net();
        let waiting = || net.counters.queued.load(Ordering::Relaxed);
        let (outbound, mut queue) = queue(&net, ([127, 0, 0, 1], 1).into(), true);
        let (other, _other_queue) = super::queue(&net, ([127, 0, 0, 1], 2).into(), true);
        for bytes in [10, 5] {
            assert!(outbound.send(vec![0; bytes]) && other.send(vec![0; 1]));
        }
        assert_eq!((waiting(), outbound.queued()), (17, 15));
        let being_written = queue.frames.try_recv().unwrap();
        outbound.abandon();
        assert_eq!((waiting(), outbound.queued()), (2, 0));
        queue.written(&being_written);
        drop((outbound, queue));
        assert_eq!(waiting(), 2);
    }

    #[tokio::test]
    async fn a_connection_hears_when_nothing_more_will_wait() {
        let (outbound, queue) = queue(&net(), ([127, 0, 0, 1], 1).into(), true);
        let closed = queue.closed();
        drop(outbound);
        closed.await;
    }
}
