//! Watching a node: what its engine reports while it syncs.

use crdt_sync::{Event, NodeId, SessionReport};
use crdt_sync_driver::Node;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A task that listens to a node's events.
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<Finished>>,
}

/// A Merkle session that is over, with whom it was and what it took.
pub(crate) type Finished = (NodeId, SessionReport);

impl Watch {
    /// Hands every event from now on to `tell`.
    pub(crate) fn start(node: &Node, mut tell: impl FnMut(&Event) + Send + 'static) -> Self {
        let mut events = node.events();
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut finished = Vec::new();
            loop {
                // Events first: whoever stops the watch wants to know all that happened before.
                let event = tokio::select! {
                    biased;
                    event = events.recv() => event,
                    _ = &mut stopped => break,
                };
                match event {
                    Ok(event) => {
                        tell(&event);
                        if let Event::SessionFinished { peer, report, .. } = event {
                            finished.push((peer, report));
                        }
                    }
                    Err(RecvError::Lagged(missed)) => {
                        eprintln!("{missed} events came too fast and were missed");
                    }
                    Err(RecvError::Closed) => break,
                }
            }
            finished
        });
        Self { stop, task }
    }

    /// Stops watching, and returns the sessions that ended meanwhile.
    pub(crate) async fn finish(self) -> Vec<Finished> {
        // A task that ended by itself cannot be told, and need not.
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

/// What somebody should look at, in words. Sessions that are given up are not among it: they are tried again.
pub(crate) fn trouble(event: &Event) -> Option<String> {
    Some(match event {
        Event::LinkRefused { reason, .. } => format!("a connection was refused: {reason:?}"),
        Event::PeerLeaves { reason, .. } => format!("a peer closes its connection: {reason:?}"),
        Event::Violation { error, .. } => format!("a peer broke the protocol and was disconnected: {error}"),
        Event::ForkedReplica { origin, .. } => format!("two histories were written as {origin:?}"),
        Event::IdentityRenewed { new, .. } => format!("this replica writes as {new:?} from now on"),
        _ => return None,
    })
}
