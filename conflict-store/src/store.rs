//! A collection of documents under one strategy.

mod collect;
mod feed;
mod snapshot;

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::ops::Bound;

use crdt_core::{Change, Crdt, Stamp};

use crate::backend::{ApplyError, Backend, Batch, MemoryBackend, Write};
use crate::limits::REVISION_LIMIT;
use crate::resolve::{
    Conflict, KeepAll, LastWriterWins, Reading, Resolution, ResolveError, Resolver, SettleError,
};
use crate::revision::{Document, PutError, Version, VersionId, Written};

pub use collect::{CollectError, Collected};
pub use feed::{Changes, Cursor, FeedError};
pub use snapshot::{ExportError, ImportError};

/// What a collection does about concurrent writes. It is chosen once: under
/// [`LastWriterWins`](Self::LastWriterWins) versions carry stamps, which enter their ids, and
/// elsewhere they must not.
#[derive(Clone, Default)]
pub enum Strategy<V> {
    /// Show the winner, report the others: [`KeepAll`].
    #[default]
    KeepAll,
    /// Show what was written last: [`LastWriterWins`]. Every write brings a stamp.
    LastWriterWins,
    /// Show what this rule says.
    Custom(Arc<dyn Resolver<V> + Send + Sync>),
}

impl<V> Strategy<V> {
    /// The strategy that asks `resolver`.
    pub fn custom(resolver: impl Resolver<V> + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(resolver))
    }

    fn resolver(&self) -> &dyn Resolver<V> {
        match self {
            Self::KeepAll => &KeepAll,
            Self::LastWriterWins => &LastWriterWins,
            Self::Custom(resolver) => &**resolver,
        }
    }
}

impl<V> Resolver<V> for Strategy<V> {
    fn rule(&self) -> &str {
        self.resolver().rule()
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        self.resolver().resolve(conflict)
    }

    fn orders_by_time(&self) -> bool {
        self.resolver().orders_by_time()
    }
}

impl<V> fmt::Debug for Strategy<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Strategy").field(&self.rule()).finish()
    }
}

/// A collection of [`Document`]s under one [`Strategy`], in a [`Backend`].
///
/// Every call that changes a document returns the delta for other replicas, who
/// [`merge`](Self::merge) it. Versions more than a [limit](Self::with_revision_limit) below the
/// leaves are forgotten as writes go on.
///
/// ```
/// use conflict_store::{Store, Strategy};
///
/// let mut laptop = Store::in_memory(Strategy::KeepAll);
/// let mut phone = Store::in_memory(Strategy::KeepAll);
///
/// let (first, delta) = laptop.put(b"milk", None, b"1 l".to_vec(), None)?;
/// assert!(phone.merge(b"milk", delta)?.is_changed());
///
/// let (_, delta) = phone.put(b"milk", Some(&first), b"2 l".to_vec(), None)?;
/// assert!(laptop.merge(b"milk", delta)?.is_changed());
/// assert_eq!(laptop.get(b"milk")?.value, Some(b"2 l".to_vec()));
/// assert!(laptop.conflicts(b"milk")?.is_empty(), "the phone had seen what it overwrote");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store<V, B = MemoryBackend<[u8], Document<V>>> {
    strategy: Strategy<V>,
    backend: B,
    revision_limit: usize,
}

/// A key and what a reader sees of it.
pub type KeyedReading<V> = (Vec<u8>, Reading<V>);

/// A document could not be read. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E> {
    /// The strategy's rule broke its contract.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The backend failed.
    #[error("the backend failed: {0}; nothing was read")]
    Backend(E),
}

/// A document could not be written. The store is as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The document refused the write.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The strategy's rule broke its contract.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The collection orders versions by time and a version has no stamp. The caller is at fault,
    /// or a peer that declares the collection otherwise.
    #[error("a version without stamp in a collection that orders by time; nothing was written")]
    StampMissing,
    /// The collection does not order versions by time and a version has a stamp. The caller is at
    /// fault, or a peer that declares the collection otherwise.
    #[error("a version with a stamp in a collection that does not order by time; nothing was written")]
    StampUnexpected,
    /// The backend did not take the result.
    #[error(transparent)]
    Apply(ApplyError<E>),
}

impl<E> From<SettleError> for WriteError<E> {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Resolve(error) => Self::Resolve(error),
            SettleError::Put(error) => Self::Put(error),
        }
    }
}

impl<V> Store<V>
where
    V: AsRef<[u8]> + Clone + Eq,
{
    /// An empty collection in memory.
    pub fn in_memory(strategy: Strategy<V>) -> Self {
        Self::new(strategy, MemoryBackend::default())
    }
}

impl<V, B> Store<V, B>
where
    V: AsRef<[u8]> + Clone + Eq,
    B: Backend<[u8], Document<V>>,
{
    /// The collection in this backend.
    pub fn new(strategy: Strategy<V>, backend: B) -> Self {
        Self { strategy, backend, revision_limit: REVISION_LIMIT }
    }

    /// Keeps up to `limit` ancestors of each leaf instead of [`REVISION_LIMIT`].
    ///
    /// The rest is [forgotten](Document::stem) when a document comes to hold more than
    /// `leaves · (limit + 1) + limit / 2` versions. The slack is what makes forgetting cheap: one walk
    /// over the document every `limit / 2` writes.
    pub fn with_revision_limit(mut self, limit: usize) -> Self {
        self.revision_limit = limit;
        self
    }

    /// What a reader sees of `key` under the strategy.
    pub fn get(&self, key: &[u8]) -> Result<Reading<V>, ReadError<B::Error>> {
        match self.document(key)? {
            Some(document) => Ok(document.read(key, &self.strategy)?),
            None => Ok(Reading::default()),
        }
    }

    /// The document of `key` with all its versions, deleted or not.
    pub fn document(&self, key: &[u8]) -> Result<Option<Cow<'_, Document<V>>>, ReadError<B::Error>> {
        self.backend.get(key).map_err(ReadError::Backend)
    }

    /// The versions of `key` that compete with the one a reader sees, ascending; none where the
    /// strategy decides.
    pub fn conflicts(&self, key: &[u8]) -> Result<Vec<VersionId>, ReadError<B::Error>> {
        Ok(self.get(key)?.conflicts)
    }

    /// All documents that exist from `from` on, in the order of their keys, as readers see them.
    pub fn scan(
        &self,
        from: Bound<&[u8]>,
    ) -> impl Iterator<Item = Result<KeyedReading<V>, ReadError<B::Error>>> {
        self.backend.scan(from).filter_map(|entry| {
            let read = || {
                let (key, document) = entry.map_err(ReadError::Backend)?;
                let reading = document.read(&key, &self.strategy)?;
                Ok((key.into_owned(), reading))
            };
            Some(read()).filter(|read| read.as_ref().map_or(true, |(_, reading)| reading.value.is_some()))
        })
    }

    /// Writes `body` on top of `parent`; see [`Document::put`].
    pub fn put(
        &mut self,
        key: &[u8],
        parent: Option<&VersionId>,
        body: V,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, WriteError<B::Error>> {
        self.check_stamp(stamp)?;
        self.write(key, |document| document.put_delta(key, parent, Some(body), stamp))
    }

    /// Deletes what was written as `parent`; see [`Document::put`]. The deletion is a version like
    /// any other: it stays, and replicates.
    pub fn delete(
        &mut self,
        key: &[u8],
        parent: &VersionId,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, WriteError<B::Error>> {
        self.check_stamp(stamp)?;
        self.write(key, |document| document.put_delta(key, Some(parent), None, stamp))
    }

    /// Writes `body` (`None` deletes) on top of all of `seen`, normally [`Reading::seen`]; see
    /// [`Document::supersede`]. This is also how to write over whatever is there, as a collection
    /// under last-writer-wins mostly does.
    pub fn resolve(
        &mut self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, WriteError<B::Error>> {
        self.check_stamp(stamp)?;
        self.write(key, |document| document.supersede_delta(key, seen, body, stamp, None))
    }

    /// Writes what somebody decided about a suspended conflict (`None` deletes) on top of all they had seen; see
    /// [`Document::resolve_suspended`]. The question itself is [`Document::suspended`], asked of
    /// [`document`](Self::document) under the [`strategy`](Self::strategy).
    ///
    /// ```
    /// use conflict_store::{AskUser, Store, Strategy};
    ///
    /// let mut here = Store::in_memory(Strategy::custom(AskUser));
    /// let mut there = Store::in_memory(Strategy::custom(AskUser));
    /// here.put(b"title", None, b"Hello".to_vec(), None)?;
    /// let (_, delta) = there.put(b"title", None, b"Bonjour".to_vec(), None)?;
    /// assert!(here.merge(b"title", delta)?.is_changed());
    ///
    /// let document = here.document(b"title")?.expect("it was written").into_owned();
    /// let question = document.suspended(b"title", here.strategy())?.expect("nobody has decided");
    /// here.resolve_suspended(b"title", &question.seen, Some(b"Hello, bonjour".to_vec()), None)?;
    /// assert_eq!(here.get(b"title")?.value, Some(b"Hello, bonjour".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve_suspended(
        &mut self,
        key: &[u8],
        seen: &[VersionId],
        body: Option<V>,
        stamp: Option<Stamp>,
    ) -> Result<Written<V>, WriteError<B::Error>> {
        self.check_stamp(stamp)?;
        self.write(key, |document| document.resolve_suspended_delta(key, seen, body, stamp))
    }

    /// Writes what the strategy makes of the conflict of `key`, if it has one and decides it; see
    /// [`Document::settle`].
    pub fn settle(&mut self, key: &[u8]) -> Result<Option<Written<V>>, WriteError<B::Error>> {
        let Some((id, delta)) = self.load(key)?.settle_delta(key, &self.strategy)? else {
            return Ok(None);
        };
        let _ = self.merge(key, delta.clone())?;
        Ok(Some((id, delta)))
    }

    /// Merges versions of `key` from another replica, as the next batch of the backend.
    pub fn merge(&mut self, key: &[u8], document: Document<V>) -> Result<Change, WriteError<B::Error>> {
        self.merge_at(self.backend.applied_lsn().saturating_add(1), [(key, document)])
    }

    /// Merges the documents of one log record, all or none, as the batch `lsn`, which must be past
    /// [`applied_lsn`](Backend::applied_lsn).
    pub fn merge_at<'k>(
        &mut self,
        lsn: u64,
        documents: impl IntoIterator<Item = (&'k [u8], Document<V>)>,
    ) -> Result<Change, WriteError<B::Error>> {
        let mut incoming: Vec<_> = documents.into_iter().collect();
        incoming.iter().try_for_each(|(_, document)| self.check_stamps(document))?;
        incoming.sort_by_key(|(key, _)| *key);
        incoming.dedup_by(|(later, document), (earlier, joined)| {
            let same = later == earlier;
            if same {
                // What counts is whether the whole is new to the store.
                let _ = joined.merge_owned(mem::take(document));
            }
            same
        });
        let mut batch = Batch::<[u8], _>::with_capacity(incoming.len());
        for (key, document) in incoming {
            let write = self.plan(key, document)?;
            batch.extend(write.map(|write| (key.to_vec(), write)));
        }
        let change = Change::from(!batch.is_empty());
        self.backend.apply(lsn, batch).map_err(WriteError::Apply)?;
        Ok(change)
    }

    /// Gives the backend back, to be closed.
    pub fn into_backend(self) -> B {
        self.backend
    }

    /// The strategy of the collection.
    pub fn strategy(&self) -> &Strategy<V> {
        &self.strategy
    }

    /// What the documents are kept in.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn write(
        &mut self,
        key: &[u8],
        delta: impl FnOnce(&Document<V>) -> Result<Written<V>, PutError>,
    ) -> Result<Written<V>, WriteError<B::Error>> {
        let (id, delta) = delta(&*self.load(key)?)?;
        // Whether it is new shows in the delta.
        let _ = self.merge(key, delta.clone())?;
        Ok((id, delta))
    }

    fn load(&self, key: &[u8]) -> Result<Cow<'_, Document<V>>, WriteError<B::Error>> {
        let document =
            self.backend.get(key).map_err(|error| WriteError::Apply(ApplyError::Backend(error)))?;
        Ok(document.unwrap_or_default())
    }

    /// How `incoming` gets into the backend: not at all if it is there, by a merge, or in place of
    /// the document if that has grown so long that its oldest versions are to be forgotten.
    fn plan(
        &self,
        key: &[u8],
        incoming: Document<V>,
    ) -> Result<Option<Write<Document<V>>>, WriteError<B::Error>> {
        let document = self.load(key)?;
        if document.contains_all(&incoming) {
            return Ok(None);
        }
        if document.len() + incoming.len() <= self.most_versions(document.leaves().len()) {
            return Ok(Some(Write::Merge(incoming)));
        }
        let mut document = document.into_owned().merged(&incoming);
        if document.len() <= self.most_versions(document.leaves().len()) {
            return Ok(Some(Write::Merge(incoming)));
        }
        document.stem(self.revision_limit);
        Ok(Some(Write::Put(document)))
    }

    /// How many versions a document with this many leaves may have before it is stemmed. Stemming
    /// takes it at least half the limit below, so its cost is spread over as many writes.
    fn most_versions(&self, leaves: usize) -> usize {
        self.revision_limit.saturating_add(1).saturating_mul(leaves).saturating_add(self.revision_limit / 2)
    }

    fn check_stamps(&self, document: &Document<V>) -> Result<(), WriteError<B::Error>> {
        let with_content = |version: &&Version<V>| !version.is_stub();
        document.versions().filter(with_content).try_for_each(|version| self.check_stamp(version.stamp()))
    }

    fn check_stamp(&self, stamp: Option<Stamp>) -> Result<(), WriteError<B::Error>> {
        match (self.strategy.orders_by_time(), stamp) {
            (true, None) => Err(WriteError::StampMissing),
            (false, Some(_)) => Err(WriteError::StampUnexpected),
            _ => Ok(()),
        }
    }
}
