//! Collections as typed handles that wait for several nodes.

use conflict_store::{Document, Reading, VersionId};
use crdt_sync::{Action, Bytes, Cell, Collection, CollectionId, Written};

use super::quorum::{Quorum, Reached};
use crate::collections::{Documents, elements_of, last_written, value_of};
use crate::error::NodeError;

/// A collection of last-writer-wins registers, read and written by quorums.
#[derive(Clone)]
pub struct QuorumRegisters {
    at: Place,
}

/// A collection of add-wins sets, read and written by quorums.
#[derive(Clone)]
pub struct QuorumSets {
    at: Place,
}

/// A collection of counters, read and written by quorums.
#[derive(Clone)]
pub struct QuorumCounters {
    at: Place,
}

/// A collection of documents, read and written by quorums.
#[derive(Clone)]
pub struct QuorumDocuments {
    at: Place,
    shown: Documents,
}

/// A collection, and how it is asked.
#[derive(Clone)]
struct Place {
    quorum: Quorum,
    collection: CollectionId,
}

impl Quorum {
    /// The registers of a collection.
    pub fn registers(&self, collection: &Collection) -> QuorumRegisters {
        QuorumRegisters { at: self.place(collection) }
    }

    /// The sets of a collection.
    pub fn sets(&self, collection: &Collection) -> QuorumSets {
        QuorumSets { at: self.place(collection) }
    }

    /// The counters of a collection.
    pub fn counters(&self, collection: &Collection) -> QuorumCounters {
        QuorumCounters { at: self.place(collection) }
    }

    /// The documents of a collection, read by the rule that its strategy names.
    pub fn documents(&self, collection: &Collection) -> QuorumDocuments {
        QuorumDocuments { at: self.place(collection), shown: self.node().documents(collection) }
    }

    fn place(&self, collection: &Collection) -> Place {
        Place { quorum: self.clone(), collection: collection.id() }
    }
}

impl Place {
    async fn act(&self, key: impl Into<Bytes>, action: Action) -> Result<Reached<Written>, NodeError> {
        self.quorum.write_to(self.collection, key.into(), action).await
    }

    /// For actions whose result says nothing more than the report.
    async fn change(&self, key: impl Into<Bytes>, action: Action) -> Result<Reached<()>, NodeError> {
        Ok(self.act(key, action).await?.map(drop))
    }

    async fn version(&self, key: impl Into<Bytes>, action: Action) -> Result<Reached<VersionId>, NodeError> {
        let Reached { value, report } = self.act(key, action).await?;
        let value = value.versions.first().copied().ok_or(NodeError::Ended)?;
        Ok(Reached { value, report })
    }

    async fn cell(&self, key: impl Into<Bytes>) -> Result<Reached<Option<Cell>>, NodeError> {
        self.quorum.read_of(self.collection, key.into()).await
    }
}

impl QuorumRegisters {
    /// Sets the value.
    pub async fn set(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Set(Some(value.into()))).await
    }

    /// Clears the value.
    pub async fn clear(&self, key: impl Into<Bytes>) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Set(None)).await
    }

    /// The last value written that the nodes asked know of.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Reached<Option<Bytes>>, NodeError> {
        Ok(self.at.cell(key).await?.map(last_written))
    }
}

impl QuorumSets {
    /// Adds an element.
    pub async fn add(
        &self,
        key: impl Into<Bytes>,
        element: impl Into<Bytes>,
    ) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Add(element.into())).await
    }

    /// Removes an element as far as it is seen where the write is carried out, or by the read
    /// [before it](Quorum::reading_first).
    pub async fn remove(
        &self,
        key: impl Into<Bytes>,
        element: impl Into<Bytes>,
    ) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Remove(element.into())).await
    }

    /// The elements, ascending.
    pub async fn elements(&self, key: impl Into<Bytes>) -> Result<Reached<Vec<Bytes>>, NodeError> {
        Ok(self.at.cell(key).await?.map(elements_of))
    }
}

impl QuorumCounters {
    /// Adds. After [`Unmet`](crate::QuorumError::Unmet) or [`Lost`](crate::QuorumError::Lost) it may have counted:
    /// adding again may count twice.
    pub async fn increment(&self, key: impl Into<Bytes>, amount: u64) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Increment(amount)).await
    }

    /// Subtracts, with the same caution.
    pub async fn decrement(&self, key: impl Into<Bytes>, amount: u64) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Decrement(amount)).await
    }

    /// The sum of all increments less all decrements that the nodes asked know of.
    pub async fn value(&self, key: impl Into<Bytes>) -> Result<Reached<i128>, NodeError> {
        Ok(self.at.cell(key).await?.map(value_of))
    }
}

impl QuorumDocuments {
    /// Writes a version on top of what is seen where the write is carried out, or by the read
    /// [before it](Quorum::reading_first).
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        body: impl Into<Bytes>,
    ) -> Result<Reached<VersionId>, NodeError> {
        self.at.version(key, Action::Put(body.into())).await
    }

    /// Writes a version on top of one that was read, and fails if that is no longer current where the write is carried
    /// out. It is no lock: with a read [before it](Quorum::reading_first) it notices what reached a quorum before.
    pub async fn update(
        &self,
        key: impl Into<Bytes>,
        parent: VersionId,
        body: Option<Bytes>,
    ) -> Result<Reached<VersionId>, NodeError> {
        self.at.version(key, Action::Update { parent, body }).await
    }

    /// Deletes a document as it is seen.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Reached<()>, NodeError> {
        self.at.change(key, Action::Delete).await
    }

    /// What a reader sees of a document, by the collection's rule.
    pub async fn read(&self, key: impl Into<Bytes>) -> Result<Reached<Reading<Bytes>>, NodeError> {
        let key = key.into();
        let Reached { value: document, report } = self.document(key.clone()).await?;
        let value = self.shown.show(&key, &document.unwrap_or_default())?;
        Ok(Reached { value, report })
    }

    /// The document with all its versions, or `None` when nobody asked holds it.
    pub async fn document(
        &self,
        key: impl Into<Bytes>,
    ) -> Result<Reached<Option<Document<Bytes>>>, NodeError> {
        Ok(self.at.cell(key).await?.map(|cell| match cell {
            Some(Cell::Document(document)) => Some(document),
            _ => None,
        }))
    }
}
