//! Waiting for durability without a thread.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Awaited, Shared, WaitError};
use crate::{FsyncPolicy, Lsn, storage::Storage};

/// Becomes ready when a batch is durable, or will not be; see
/// [`LogHandle::when_durable`](super::LogHandle::when_durable).
///
/// It needs no particular executor and may be polled from any thread. Dropped early, it leaves
/// nothing behind, and the batch becomes durable all the same.
#[must_use = "a future does nothing unless it is polled"]
pub struct DurableFuture<S: Storage> {
    shared: Arc<Shared<S>>,
    awaited: Awaited,
    /// Where its waker is registered, once it is.
    key: Option<(Lsn, u64)>,
}

impl<S: Storage> DurableFuture<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, awaited: Awaited) -> Self {
        Self { shared, awaited, key: None }
    }
}

impl<S: Storage> Future for DurableFuture<S> {
    type Output = Result<Lsn, WaitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key;
        let mut state = self.shared.lock();
        if let Some(outcome) = state.outcome(&self.awaited, self.shared.policy == FsyncPolicy::Never) {
            if let Some(key) = key {
                state.wakers.forget(key);
            }
            drop(state);
            self.key = None;
            return Poll::Ready(outcome);
        }
        let key = key.unwrap_or_else(|| state.wakers.key(self.awaited.lsn));
        state.wakers.set(key, context.waker());
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl<S: Storage> Drop for DurableFuture<S> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().wakers.forget(key);
        }
    }
}

impl<S: Storage> fmt::Debug for DurableFuture<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DurableFuture").field("lsn", &self.awaited.lsn).finish_non_exhaustive()
    }
}
