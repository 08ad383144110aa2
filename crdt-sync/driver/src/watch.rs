//! Watching keys: what changes, by whomever, and what it is now.
//!
//! A watcher remembers which keys changed, not how. So it holds each key once, however often it changes, and a
//! slow reader skips what lies between rather than falling behind; and what it is told is read when it asks,
//! which waits until the change is durable like any other read.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crdt_sync::{Bytes, Cell, Collection, CollectionId, Engine, ItemKey};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};

use crate::engine_thread::Command;
use crate::error::NodeError;
use crate::node::Node;

/// Changed keys that wait to be asked for.
const MAX_WAITING: usize = 1 << 14;

/// Changes of a collection's keys, each with what the key shows now.
///
/// Every change after the watch began is followed by at least one [`Change`] that shows the key as it was after it, or
/// later. Changes of one key that follow each other closely are shown as one.
///
/// ```
/// use crdt_sync::{ClusterKey, Collection};
/// use crdt_sync_driver::{Node, NodeOptions};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let lists = Collection::sets("lists");
/// let options = NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(lists.clone());
/// let node = Node::open(directory.path(), options).await?;
///
/// let lists = node.sets(&lists);
/// let mut changes = lists.watch().await?;
/// lists.add("groceries", "milk").await?;
/// let change = changes.next().await?;
/// assert_eq!((change.key, change.now), ("groceries".into(), vec!["milk".into()]));
/// # node.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Watch<T = Option<Cell>> {
    node: Node,
    watched: Arc<Watched>,
    show: Show<T>,
}

type Show<T> = Arc<dyn Fn(&[u8], Option<Cell>) -> Result<T, NodeError> + Send + Sync>;

/// A key that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change<T = Option<Cell>> {
    /// The key.
    pub key: Bytes,
    /// What it shows now.
    pub now: T,
}

/// Why a watch has no change to tell. It can be asked again, unless the node is over.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// More than 16,384 keys changed and were not asked for, or a snapshot took the place of what the node had; which
    /// ones changed was forgotten. Whoever needs to know scans the collection now: what changes from now on is told
    /// again.
    #[error("more keys changed than are remembered; scan the collection, and go on")]
    Lagged,
    /// The key could not be read. If the node is not over, the change is told again.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// What one watcher waits for, and what happened meanwhile.
#[derive(Debug)]
pub(crate) struct Watched {
    collection: CollectionId,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    only: Option<Bytes>,
    changed: BTreeSet<Bytes>,
    /// Where to go on, so that a key that changes all the time does not hide the others.
    last: Bytes,
    lagged: bool,
    ended: bool,
}

/// The watchers of a node, as its engine's thread knows them.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    all: Vec<Weak<Watched>>,
}

impl Node {
    /// Watches the keys of a collection from now on. Handles of collections have a `watch` of their own, which shows
    /// readings in place of cells.
    pub async fn watch(&self, collection: &Collection) -> Result<Watch, NodeError> {
        self.watch_as(collection.id(), Arc::new(|_: &[u8], cell| Ok(cell))).await
    }

    pub(crate) async fn watch_as<T>(
        &self,
        collection: CollectionId,
        show: Show<T>,
    ) -> Result<Watch<T>, NodeError> {
        let watched = Arc::new(Watched { collection, state: Mutex::default(), news: Notify::new() });
        let (done, begun) = oneshot::channel();
        let command = Command::Watch(Arc::clone(&watched), done);
        self.inner.commands.send(command).await.map_err(|_| NodeError::Ended)?;
        begun.await.map_err(|_| NodeError::Ended)?;
        Ok(Watch { node: self.clone(), watched, show })
    }
}

impl<T> Watch<T> {
    /// Watches this key only.
    pub fn only(self, key: impl Into<Bytes>) -> Self {
        let key = key.into();
        let mut state = self.watched.state();
        state.changed.retain(|changed| *changed == key);
        state.only = Some(key);
        drop(state);
        self
    }

    /// Waits for the next change. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Result<Change<T>, WatchError> {
        let key = loop {
            let news = self.watched.news.notified();
            if let Some(key) = self.watched.state().next()? {
                break key;
            }
            news.await;
        };
        let mut untold = Untold { watched: &self.watched, key: Some(key.clone()) };
        let item = ItemKey { collection: self.watched.collection, key: key.clone() };
        let now = (self.show)(&key, self.node.read(item).await?)?;
        untold.key = None;
        Ok(Change { key, now })
    }
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.watched).finish()
    }
}

/// A change that is being read; it is told again if that comes to nothing.
struct Untold<'w> {
    watched: &'w Watched,
    key: Option<Bytes>,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.watched.tell(key);
        }
    }
}

impl Watched {
    fn tell(&self, key: Bytes) {
        let mut state = self.state();
        if state.lagged || state.only.as_ref().is_some_and(|only| *only != key) {
            return;
        }
        state.changed.insert(key);
        if state.changed.len() > MAX_WAITING {
            state.lag();
        }
        drop(state);
        self.news.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Which keys changed is not known any more.
    fn lag(&mut self) {
        self.changed.clear();
        self.lagged = true;
    }

    /// The next changed key, in turn.
    fn next(&mut self) -> Result<Option<Bytes>, WatchError> {
        if std::mem::take(&mut self.lagged) {
            return Err(WatchError::Lagged);
        }
        let beyond = (Bound::Excluded(&self.last), Bound::Unbounded);
        let next = self.changed.range::<Bytes, _>(beyond).next().or(self.changed.first()).cloned();
        match next {
            Some(key) => {
                self.changed.remove(&key);
                self.last = key.clone();
                Ok(Some(key))
            }
            None if self.ended => Err(NodeError::Ended.into()),
            None => Ok(None),
        }
    }
}

impl Watchers {
    pub(crate) fn add(&mut self, watched: &Arc<Watched>, engine: &mut Engine) {
        if self.all.is_empty() {
            engine.track_changes(true);
        }
        self.all.push(Arc::downgrade(watched));
    }

    /// Tells all watchers what changed, and forgets those that are gone.
    pub(crate) fn tell(&mut self, engine: &mut Engine) {
        if self.all.is_empty() {
            return;
        }
        for item in engine.take_changes() {
            for watched in self.all.iter().filter_map(Weak::upgrade) {
                if watched.collection == item.collection {
                    watched.tell(item.key.clone());
                }
            }
        }
        self.all.retain(|watched| watched.strong_count() > 0);
        if self.all.is_empty() {
            engine.track_changes(false);
        }
    }

    /// Another engine goes on: any key may show something else, and nobody knows which do.
    pub(crate) fn start_over(&self, engine: &mut Engine) {
        engine.track_changes(!self.all.is_empty());
        for watched in self.all.iter().filter_map(Weak::upgrade) {
            watched.state().lag();
            watched.news.notify_one();
        }
    }

    /// Nothing changes any more.
    pub(crate) fn end(&mut self) {
        for watched in self.all.drain(..).filter_map(|watched| watched.upgrade()) {
            watched.state().ended = true;
            watched.news.notify_one();
        }
    }
}

/// Also where the thread that would tell of changes panicked.
impl Drop for Watchers {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        let collection = Collection::sets("lists").id();
        Watched { collection, state: Mutex::default(), news: Notify::new() }
    }

    #[test]
    fn a_key_that_changes_all_the_time_does_not_hide_the_others() {
        let watched = watched();
        for key in ["a", "b", "c"] {
            watched.tell(key.into());
        }
        let order: Vec<Bytes> = (0..4)
            .map(|_| {
                let key = watched.state().next().unwrap().unwrap();
                watched.tell("a".into());
                key
            })
            .collect();
        assert_eq!(order, ["a".into(), "b".into(), "c".into(), "a".into()]);
    }

    #[test]
    fn who_lags_too_far_is_told_so_once_and_goes_on_from_there() {
        let watched = watched();
        for n in 0..=MAX_WAITING {
            watched.tell(n.to_string().as_str().into());
        }
        assert_eq!(watched.state().next(), Err(WatchError::Lagged));
        assert_eq!(watched.state().next(), Ok(None));
        watched.tell("a".into());
        assert_eq!(watched.state().next(), Ok(Some("a".into())));
    }
}
