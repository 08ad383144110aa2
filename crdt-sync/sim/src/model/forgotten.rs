//! Documents that nodes may have forgotten: those that somebody deleted.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::{Version, VersionId};
use crdt_sync::{Cell, ItemKey};

use super::{Command, Model};

impl Model {
    /// A model of nodes that forget deletions, or of such that do not.
    pub(crate) fn new(forgets: bool) -> Self {
        Self { deletions: forgets.then(BTreeSet::new), ..Self::default() }
    }

    /// Whether nodes forget deletions.
    pub(crate) fn forgets(&self) -> bool {
        self.deletions.is_some()
    }

    /// A document holds these versions: from now on it is known which of them delete.
    pub(crate) fn note_deletions(&mut self, cell: Option<&Cell>) {
        if let (Some(deletions), Some(Cell::Document(document))) = (&mut self.deletions, cell) {
            deletions.extend(document.versions().filter(|version| version.is_deleted()).map(Version::id));
        }
    }

    /// Whether a version deletes, where that is forgotten.
    pub(crate) fn is_forgettable(&self, version: VersionId) -> bool {
        self.deletions.as_ref().is_some_and(|deletions| deletions.contains(&version))
    }

    /// Whether entries were lost with a disk.
    pub(crate) fn has_losses(&self) -> bool {
        self.has_losses
    }

    /// Whether what a command did to a key may be lost, or ends with a retired node, so that its states may be here and
    /// there.
    pub(crate) fn is_lost_at(&self, item: &ItemKey) -> bool {
        let may_be = |command: &Command| command.at_risk || command.smudged || command.last_look.is_some();
        self.all_facts_of(item).any(|(command, _)| may_be(command))
    }

    /// The versions of a document that commands deleted, and those that delete. Nothing where deletions are not
    /// forgotten.
    pub(crate) fn deleted(&self, item: &ItemKey) -> BTreeSet<VersionId> {
        if self.deletions.is_none() {
            return BTreeSet::new();
        }
        let parents = self.parents(item);
        let deletions = parents.keys().copied().filter(|id| self.is_forgettable(*id));
        ancestry(deletions.collect(), &parents)
    }
}

/// Some versions, and all that they were written on.
pub(crate) fn ancestry(
    mut fresh: Vec<VersionId>,
    parents: &BTreeMap<VersionId, &[VersionId]>,
) -> BTreeSet<VersionId> {
    let mut all = BTreeSet::new();
    while let Some(version) = fresh.pop() {
        if all.insert(version) {
            fresh.extend(parents.get(&version).into_iter().flat_map(|parents| parents.iter().copied()));
        }
    }
    all
}
