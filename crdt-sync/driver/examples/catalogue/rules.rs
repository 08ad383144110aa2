//! What is shown of a package whose versions differ: three rules, and the place to put your own.
//!
//! The rule's name is part of the collection's identity. Nodes with different rules refuse each other, and a
//! directory can only be opened again under the rule it was made with.

use clap::ValueEnum;
use conflict_store::{Conflict, Custom, Resolution, Resolver, Version};
use crdt_sync::{Bytes, Collection, Strategy};
use crdt_sync_driver::{Documents, Node};

use crate::version;

/// The rules to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resolve {
    /// All versions stay, as a conflict for somebody to resolve.
    Keep,
    /// The version that was written last: catalogues are loaded in the order they are named.
    Lww,
    /// A rule written as a closure: the highest version, as Debian orders them.
    Custom,
}

impl Resolve {
    /// The rule as it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Lww => "lww",
            Self::Custom => "custom",
        }
    }

    /// The collection in which packages live under this rule.
    pub(crate) fn collection(self) -> Collection {
        let strategy = match self {
            Self::Keep => Strategy::Keep,
            Self::Lww => Strategy::LastWriterWins,
            Self::Custom => Strategy::Custom("highest-version".into()),
        };
        Collection::documents("packages", strategy)
    }

    /// The packages of a node, read by this rule.
    pub(crate) fn packages(self, node: &Node) -> Documents {
        node.documents(&self.collection())
    }
}

/// The rule behind `--resolve custom`. Replace the closure by a rule of your own: it gets all competing versions,
/// and their common ancestor if it asks for it. It must be a pure function, because every node evaluates it for itself
/// and all must see the same.
pub(crate) fn highest_version() -> impl Resolver<Bytes> + Send + Sync {
    Custom::new("highest-version", |conflict: &Conflict<'_, Bytes>| {
        let text = |version: &Version<Bytes>| version.body().map(ToString::to_string).unwrap_or_default();
        let highest = conflict.versions().iter().max_by(|a, b| version::compare(&text(a), &text(b)));
        highest.map_or(Resolution::Keep, |highest| Resolution::Choose(*highest.id()))
    })
}
