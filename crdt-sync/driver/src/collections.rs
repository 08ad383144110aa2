//! Collections as typed handles.

use std::sync::Arc;

use conflict_store::{Document, KeepAll, Reading, Resolver, VersionId};
use crdt_sync::{Action, Bytes, Cell, Collection, CollectionId, ItemKey, Write, Written};

use crate::error::NodeError;
use crate::node::Node;
use crate::session::Session;
use crate::watch::Watch;

type SharedResolver = Arc<crdt_sync::Rule>;

/// A collection of documents: concurrent versions are kept, and shown as its rule says.
#[derive(Clone)]
pub struct Documents {
    at: Place,
    resolver: SharedResolver,
}

/// A collection of add-wins sets.
#[derive(Clone)]
pub struct Sets {
    at: Place,
}

/// A collection of counters.
#[derive(Clone)]
pub struct Counters {
    at: Place,
}

/// A collection of last-writer-wins registers.
#[derive(Clone)]
pub struct Registers {
    at: Place,
}

/// A collection on a node.
#[derive(Clone)]
struct Place {
    node: Node,
    session: Option<Session>,
    collection: CollectionId,
}

impl Node {
    /// The documents of a collection, read by the rule its strategy names. Of a collection that is not declared on
    /// this node nothing can be read anyway.
    pub fn documents(&self, collection: &Collection) -> Documents {
        let resolver = self.rules().resolver(&collection.strategy).unwrap_or_else(|| Arc::new(KeepAll));
        Documents { at: self.place(collection), resolver }
    }

    /// The documents of a collection, read by another rule than its strategy names.
    pub fn documents_by(
        &self,
        collection: &Collection,
        resolver: impl Resolver<Bytes> + Send + Sync + 'static,
    ) -> Documents {
        Documents { at: self.place(collection), resolver: Arc::new(resolver) }
    }

    /// The sets of a collection.
    pub fn sets(&self, collection: &Collection) -> Sets {
        Sets { at: self.place(collection) }
    }

    /// The counters of a collection.
    pub fn counters(&self, collection: &Collection) -> Counters {
        Counters { at: self.place(collection) }
    }

    /// The registers of a collection.
    pub fn registers(&self, collection: &Collection) -> Registers {
        Registers { at: self.place(collection) }
    }

    fn place(&self, collection: &Collection) -> Place {
        Place { node: self.clone(), session: None, collection: collection.id() }
    }
}

impl Place {
    async fn act(&self, key: impl Into<Bytes>, action: Action) -> Result<Option<VersionId>, NodeError> {
        let write = Write { collection: self.collection, key: key.into(), action };
        Ok(self.write(vec![write]).await?.versions.first().copied())
    }

    /// For actions that always write a version of a document.
    async fn write_version(&self, key: impl Into<Bytes>, action: Action) -> Result<VersionId, NodeError> {
        self.act(key, action).await?.ok_or(NodeError::Ended)
    }

    async fn watch<T>(
        &self,
        read: impl Fn(Option<Cell>) -> T + Send + Sync + 'static,
    ) -> Result<Watch<T>, NodeError> {
        self.node.watch_as(self.collection, Arc::new(move |_: &[u8], cell| Ok(read(cell)))).await
    }

    async fn cell(&self, key: impl Into<Bytes>) -> Result<Option<Cell>, NodeError> {
        let item = ItemKey { collection: self.collection, key: key.into() };
        self.node.read_in(self.session.as_ref(), item).await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Written, NodeError> {
        self.node.write_in(self.session.as_ref(), writes).await
    }
}

impl Documents {
    /// The same within a session: what it writes and shows, the session carries on.
    pub fn in_session(mut self, session: &Session) -> Self {
        self.at.session = Some(session.clone());
        self
    }

    /// Writes a version on top of what this node shows, and returns its id.
    pub async fn put(&self, key: impl Into<Bytes>, body: impl Into<Bytes>) -> Result<VersionId, NodeError> {
        self.at.write_version(key, Action::Put(body.into())).await
    }

    /// Writes first versions of many documents, in one atomic batch. Importing the same thing again, or on
    /// another node, makes no second version.
    pub async fn insert_all(
        &self,
        documents: impl IntoIterator<Item = (Bytes, Bytes)>,
    ) -> Result<(), NodeError> {
        let collection = self.at.collection;
        let write = |(key, body)| Write { collection, key, action: Action::Insert(body) };
        self.at.write(documents.into_iter().map(write).collect()).await.map(drop)
    }

    /// Writes a version on top of one that was read, and fails if that is no longer current.
    pub async fn update(
        &self,
        key: impl Into<Bytes>,
        parent: VersionId,
        body: Option<Bytes>,
    ) -> Result<VersionId, NodeError> {
        self.at.write_version(key, Action::Update { parent, body }).await
    }

    /// Writes one version that supersedes every live one.
    pub async fn resolve(
        &self,
        key: impl Into<Bytes>,
        body: impl Into<Bytes>,
    ) -> Result<VersionId, NodeError> {
        self.at.write_version(key, Action::Resolve(body.into())).await
    }

    /// Deletes a document as it is seen here.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<(), NodeError> {
        self.at.act(key, Action::Delete).await.map(drop)
    }

    /// The document with all its versions, or `None` when nobody wrote it.
    pub async fn document(&self, key: impl Into<Bytes>) -> Result<Option<Document<Bytes>>, NodeError> {
        Ok(match self.at.cell(key).await? {
            Some(Cell::Document(document)) => Some(document),
            _ => None,
        })
    }

    /// What a reader sees of a document, by the collection's rule.
    pub async fn read(&self, key: impl Into<Bytes>) -> Result<Reading<Bytes>, NodeError> {
        let key = key.into();
        let document = self.document(key.clone()).await?.unwrap_or_default();
        Ok(self.show(&key, &document)?)
    }

    /// What a reader sees of a document that is at hand.
    pub fn show(
        &self,
        key: &[u8],
        document: &Document<Bytes>,
    ) -> Result<Reading<Bytes>, conflict_store::ResolveError> {
        document.read(key, &*self.resolver)
    }

    /// All documents, in key order.
    pub async fn scan(&self) -> Result<Vec<(Bytes, Document<Bytes>)>, NodeError> {
        let cells = self.at.node.scan_in(self.at.session.as_ref(), self.at.collection).await?;
        let documents = cells.into_iter().filter_map(|(key, cell)| match cell {
            Cell::Document(document) => Some((key, document)),
            _ => None,
        });
        Ok(documents.collect())
    }

    /// Watches the documents from now on; each change comes with what a reader sees by the collection's rule.
    pub async fn watch(&self) -> Result<Watch<Reading<Bytes>>, NodeError> {
        let shown = self.clone();
        let show = move |key: &[u8], cell| match cell {
            Some(Cell::Document(document)) => Ok(shown.show(key, &document)?),
            _ => Ok(shown.show(key, &Document::default())?),
        };
        self.at.node.watch_as(self.at.collection, Arc::new(show)).await
    }
}

impl Sets {
    /// The same within a session: what it writes and shows, the session carries on.
    pub fn in_session(mut self, session: &Session) -> Self {
        self.at.session = Some(session.clone());
        self
    }

    /// Adds an element.
    pub async fn add(&self, key: impl Into<Bytes>, element: impl Into<Bytes>) -> Result<(), NodeError> {
        self.at.act(key, Action::Add(element.into())).await.map(drop)
    }

    /// Removes an element as far as it is seen here: an add that happens meanwhile elsewhere wins.
    pub async fn remove(&self, key: impl Into<Bytes>, element: impl Into<Bytes>) -> Result<(), NodeError> {
        self.at.act(key, Action::Remove(element.into())).await.map(drop)
    }

    /// The elements, ascending.
    pub async fn elements(&self, key: impl Into<Bytes>) -> Result<Vec<Bytes>, NodeError> {
        Ok(elements_of(self.at.cell(key).await?))
    }

    /// Watches the sets from now on; each change comes with the elements, ascending.
    pub async fn watch(&self) -> Result<Watch<Vec<Bytes>>, NodeError> {
        self.at.watch(elements_of).await
    }
}

impl Counters {
    /// The same within a session: what it writes and shows, the session carries on.
    pub fn in_session(mut self, session: &Session) -> Self {
        self.at.session = Some(session.clone());
        self
    }

    /// Adds.
    pub async fn increment(&self, key: impl Into<Bytes>, amount: u64) -> Result<(), NodeError> {
        self.at.act(key, Action::Increment(amount)).await.map(drop)
    }

    /// Subtracts.
    pub async fn decrement(&self, key: impl Into<Bytes>, amount: u64) -> Result<(), NodeError> {
        self.at.act(key, Action::Decrement(amount)).await.map(drop)
    }

    /// The sum of all increments less all decrements that reached this node.
    pub async fn value(&self, key: impl Into<Bytes>) -> Result<i128, NodeError> {
        Ok(value_of(self.at.cell(key).await?))
    }

    /// Watches the counters from now on; each change comes with the value.
    pub async fn watch(&self) -> Result<Watch<i128>, NodeError> {
        self.at.watch(value_of).await
    }
}

impl Registers {
    /// The same within a session: what it writes and shows, the session carries on.
    pub fn in_session(mut self, session: &Session) -> Self {
        self.at.session = Some(session.clone());
        self
    }

    /// Sets the value.
    pub async fn set(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<(), NodeError> {
        self.at.act(key, Action::Set(Some(value.into()))).await.map(drop)
    }

    /// Clears the value.
    pub async fn clear(&self, key: impl Into<Bytes>) -> Result<(), NodeError> {
        self.at.act(key, Action::Set(None)).await.map(drop)
    }

    /// The last value written.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Bytes>, NodeError> {
        Ok(last_written(self.at.cell(key).await?))
    }

    /// Watches the registers from now on; each change comes with the last value written.
    pub async fn watch(&self) -> Result<Watch<Option<Bytes>>, NodeError> {
        self.at.watch(last_written).await
    }
}

pub(crate) fn elements_of(cell: Option<Cell>) -> Vec<Bytes> {
    match cell {
        Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn value_of(cell: Option<Cell>) -> i128 {
    match cell {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    }
}

pub(crate) fn last_written(cell: Option<Cell>) -> Option<Bytes> {
    match cell {
        Some(Cell::Register(register)) => register.get().cloned(),
        _ => None,
    }
}
