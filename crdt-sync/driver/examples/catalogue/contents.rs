//! What a replica shows, package by package.

use std::collections::BTreeSet;

use conflict_store::Document;
use crdt_sync::Bytes;
use crdt_sync_driver::{Documents, NodeError};

/// All packages of a replica, ascending by the bytes of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) packages: Vec<Package>,
}

/// A package as a reader sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: Bytes,
    /// Distinct and ascending: all live versions while they are kept, the one the rule shows when it decides.
    pub(crate) shown: Vec<Bytes>,
    /// Whether replicas wrote versions that differ, and nobody has resolved that since.
    pub(crate) is_conflict: bool,
}

impl Contents {
    pub(crate) async fn of(packages: &Documents) -> Result<Self, NodeError> {
        let mut contents = Self::default();
        for (name, document) in packages.scan().await? {
            contents.packages.extend(Package::read(packages, name, &document)?);
        }
        Ok(contents)
    }

    /// Packages whose versions differ.
    pub(crate) fn conflicts(&self) -> usize {
        self.packages.iter().filter(|package| package.is_conflict).count()
    }

    /// Those of them for which the rule shows one.
    pub(crate) fn resolved(&self) -> usize {
        self.packages.iter().filter(|package| package.is_conflict && package.shown.len() == 1).count()
    }
}

impl Package {
    /// `None` when the package was deleted.
    fn read(
        packages: &Documents,
        name: Bytes,
        document: &Document<Bytes>,
    ) -> Result<Option<Self>, NodeError> {
        let live: BTreeSet<&Bytes> = document.live_leaves().filter_map(|version| version.body()).collect();
        let is_conflict = live.len() > 1;
        let reading = packages.show(&name, document)?;
        let shown: Vec<Bytes> = if reading.conflicts.is_empty() {
            reading.value.into_iter().collect()
        } else {
            live.into_iter().cloned().collect()
        };
        Ok((!shown.is_empty()).then_some(Self { name, shown, is_conflict }))
    }
}
