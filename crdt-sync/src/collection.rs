//! Collections: what kind of value lives under a key, and what happens when writes meet.
//!
//! A collection is declared in code, the same on every node. Its [`CollectionId`] is a digest of the whole
//! declaration, so two nodes that disagree about a collection hold two different collections, never one with
//! mixed contents; the engine refuses to sync with a node whose declarations differ and says so.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// The kind of value that every key of a collection holds. A key never changes its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// A tree of versions: concurrent writes are all kept until something resolves them.
    Document,
    /// An add-wins set of byte strings.
    Set,
    /// A counter that goes up and down.
    Counter,
    /// One value; the last writer wins.
    Register,
}

/// What a reader of a document collection sees when versions are concurrent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// All of them: a winner that every node agrees on, and the others as its conflicts.
    Keep,
    /// The one with the greatest timestamp.
    LastWriterWins,
    /// What the rule of this name makes of them; each node must register the same rule.
    Custom(String),
}

impl Strategy {
    /// The name of the rule: part of the collection's identity.
    pub fn rule(&self) -> &str {
        match self {
            Self::Keep => "keep",
            Self::LastWriterWins => "lww",
            Self::Custom(rule) => rule,
        }
    }
}

/// A collection as every node declares it.
///
/// ```
/// use crdt_sync::{Collection, Kind, Strategy};
///
/// let notes = Collection::documents("notes", Strategy::Keep);
/// assert_eq!(notes.kind, Kind::Document);
/// assert_ne!(notes.id(), Collection::documents("notes", Strategy::LastWriterWins).id());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its name, unique on a node.
    pub name: String,
    /// What its keys hold.
    pub kind: Kind,
    /// How concurrent document versions are read; has no effect on the other kinds.
    pub strategy: Strategy,
    /// The application's schema version.
    pub schema_version: u32,
}

impl Collection {
    /// A document collection with schema version 1.
    pub fn documents(name: &str, strategy: Strategy) -> Self {
        Self { name: name.into(), kind: Kind::Document, strategy, schema_version: 1 }
    }

    /// A collection of add-wins sets with schema version 1.
    pub fn sets(name: &str) -> Self {
        Self { name: name.into(), kind: Kind::Set, strategy: Strategy::Keep, schema_version: 1 }
    }

    /// A collection of counters with schema version 1.
    pub fn counters(name: &str) -> Self {
        Self { name: name.into(), kind: Kind::Counter, strategy: Strategy::Keep, schema_version: 1 }
    }

    /// A collection of last-writer-wins registers with schema version 1.
    pub fn registers(name: &str) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Register,
            strategy: Strategy::LastWriterWins,
            schema_version: 1,
        }
    }

    /// The digest of the declaration.
    pub fn id(&self) -> CollectionId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"crdt-sync collection v1");
        for part in [self.name.as_bytes(), &[self.kind.tag()], self.strategy.rule().as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&self.schema_version.to_le_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        CollectionId(id)
    }
}

impl Kind {
    /// The number that stands for the kind in digests and on disk.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Document => 1,
            Self::Set => 2,
            Self::Counter => 3,
            Self::Register => 4,
        }
    }
}

/// Eight bytes that stand for a whole declaration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CollectionId([u8; 8]);

impl CollectionId {
    /// The id that sorts before all others.
    pub(crate) const LEAST: Self = Self([0; 8]);

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("collection-")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The collections a node knows, by id and by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    collections: Vec<(CollectionId, Collection)>,
}

impl Registry {
    /// Fails with the name that is declared twice.
    pub(crate) fn new(declared: &[Collection]) -> Result<Self, String> {
        let mut collections: Vec<_> = declared.iter().map(|c| (c.id(), c.clone())).collect();
        collections.sort_by_key(|(id, _)| *id);
        let mut names: Vec<&str> = declared.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(pair[0].into()),
            None => Ok(Self { collections }),
        }
    }

    pub(crate) fn get(&self, id: CollectionId) -> Option<&Collection> {
        let index = self.collections.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.collections[index].1)
    }

    /// All ids in ascending order, as the greeting lists them.
    pub(crate) fn ids(&self) -> Vec<CollectionId> {
        self.collections.iter().map(|(id, _)| *id).collect()
    }
}
