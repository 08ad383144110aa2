//! What stops an old leader.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::stonith::NotFenced;

/// Stops an old leader: by a power switch, the interface of a cloud, or a [command](crate::StonithCommand).
pub trait StonithHook: Send + Sync {
    /// Stops a node, for good or until somebody starts it again.
    ///
    /// `Ok` says that it is *confirmed* to have stopped. That somebody was told to stop it confirms nothing. The caller
    /// gives up after `timeout`, or when the node ends, by dropping the future.
    fn stop(&self, node: NodeId, timeout: Duration) -> impl Future<Output = Result<(), NotFenced>> + Send;
}

/// A hook, shared by all that is opened with the same options.
#[derive(Clone)]
pub(crate) struct SharedHook(Arc<dyn Stops>);

type Stopping<'a> = Pin<Box<dyn Future<Output = Result<(), NotFenced>> + Send + 'a>>;

/// A [`StonithHook`] behind a pointer.
trait Stops: Send + Sync {
    fn stop(&self, node: NodeId, timeout: Duration) -> Stopping<'_>;
}

impl<H: StonithHook> Stops for H {
    fn stop(&self, node: NodeId, timeout: Duration) -> Stopping<'_> {
        Box::pin(StonithHook::stop(self, node, timeout))
    }
}

impl SharedHook {
    pub(crate) fn new(hook: impl StonithHook + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Never takes longer than that.
    pub(super) async fn stop(self, node: NodeId, timeout: Duration) -> Result<(), NotFenced> {
        tokio::time::timeout(timeout, self.0.stop(node, timeout)).await.unwrap_or(Err(NotFenced::TimedOut))
    }
}

impl fmt::Debug for SharedHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedHook")
    }
}
