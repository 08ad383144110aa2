//! Documents that nodes may have forgotten: those that somebody deleted.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::{Version, VersionId};
use crdt_sync::{Cell, Engine, ItemKey};

use super::{Command, Fact, Model};
use crate::shown::live_leaves;

impl Model {
    /// A model of nodes that forget deletions, or of such that do not.
    pub(crate) fn new(forgets: bool, partial: BTreeSet<usize>) -> Self {
        Self { deletions: forgets.then(BTreeSet::new), partial, ..Self::default() }
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

    /// A node came up on a disk of the past, with documents on it that were deleted since.
    pub(crate) fn note_relapses(&mut self, engine: &Engine) {
        if self.forgets() {
            let live = |item: &ItemKey| live_leaves(engine.peek(item)).collect::<Vec<_>>();
            let shown = self.items().map(|item| (item, live(item))).filter(|(_, live)| !live.is_empty());
            let relapsed = shown.flat_map(|(item, live)| {
                let deleted = self.deleted(item);
                let back = live.into_iter().filter(move |leaf| deleted.contains(leaf));
                back.map(|leaf| (item.clone(), leaf))
            });
            let relapsed: Vec<_> = relapsed.collect();
            self.relapsed.extend(relapsed);
        }
    }

    /// Whether a deleted version may be seen again in this state of its document: it was made anew, by the replay of
    /// what a retired node wrote; or a disk of the past had it, and nobody can tell any more what of it was forgotten:
    /// the key was written to meanwhile, or a new node that had never heard of it passed it on, or the disk had what a
    /// retired node wrote beyond its end.
    pub(crate) fn may_be_back(&self, item: &ItemKey, version: VersionId, cell: Option<&Cell>) -> bool {
        let makes_it = |fact: &Fact| match fact {
            Fact::Versions(versions) => versions.iter().any(|(id, _)| *id == version),
            _ => false,
        };
        let is_beside_another = match cell {
            Some(Cell::Document(document)) => document.leaves().len() > 1,
            _ => false,
        };
        (is_beside_another || self.has_retired) && self.relapsed.contains(&(item.clone(), version))
            || self.forgets() && self.all_facts_of(item).filter(|(_, fact)| makes_it(fact)).count() > 1
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
