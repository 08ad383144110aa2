//! What the state of one key shows, laid out so that many commands can be looked for in it at once.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::{Dot, ReplicaId};
use crdt_sync::{Bytes, Cell, ItemKey};

use crate::lineage::Lineage;
use crate::model::{Command, Fact, Model, ancestry};
use crate::observe::known_versions;

/// The state of a key, and what the model says of the key.
pub(crate) struct Shown<'s> {
    model: &'s Model,
    item: &'s ItemKey,
    cell: Option<&'s Cell>,
    /// The live dots of a set, ascending.
    live: Vec<(Bytes, Dot)>,
    /// What a counter counts, by the identity under which it was counted.
    counted: BTreeMap<ReplicaId, (u64, u64)>,
    /// The dots that somebody removed or replaced, ascending; made when a dot is missing.
    removed: OnceCell<Vec<(Bytes, Dot)>>,
    /// The versions of a document, and all that they were written on top of; made when a document is looked at.
    covered: OnceCell<BTreeSet<VersionId>>,
    /// The versions of a document that somebody deleted, where that may be forgotten; made when one is missing. Who has
    /// forgotten it need not have heard of the deletion itself: in a session it is told that others have nothing left.
    deleted: OnceCell<BTreeSet<VersionId>>,
}

impl<'s> Shown<'s> {
    pub(crate) fn of(model: &'s Model, item: &'s ItemKey, cell: Option<&'s Cell>, lineage: &Lineage) -> Self {
        let mut live = live_dots(cell, lineage);
        live.sort_unstable();
        let counted = counted(cell, lineage);
        let (removed, covered, deleted) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { model, item, cell, live, counted, removed, covered, deleted }
    }

    /// Whether the effect of every chosen command is there, or what took its place; else the first that is not, and
    /// what is missing of it. Takes time in proportion to the commands that wrote to the key, chosen or not.
    pub(crate) fn check(
        &self,
        mut chosen: impl FnMut(&Command) -> bool,
    ) -> Result<(), (&'s Command, String)> {
        let mut totals: BTreeMap<ReplicaId, (u64, u64)> = BTreeMap::new();
        for (command, fact) in self.model.facts_of(self.item) {
            if chosen(command) {
                // An identity with two pasts counted in each of them, and both count.
                if let Fact::Amounts { up, down } = fact {
                    let total = totals.entry(command.origin).or_default();
                    *total = (total.0 + up, total.1 + down);
                }
                let total = totals.get(&command.origin).copied().unwrap_or_default();
                self.look_for(command, fact, total).map_err(|missing| (command, missing))?;
            }
        }
        Ok(())
    }

    /// Whether a document has a version, or one that was written on top of it.
    pub(crate) fn has_version(&self, id: VersionId) -> Result<(), String> {
        if self.covered.get_or_init(|| self.cover()).contains(&id) {
            return Ok(());
        }
        if self.deleted.get_or_init(|| self.model.deleted(self.item)).contains(&id) {
            let below = ancestry(vec![id], &self.model.parents(self.item));
            let may_not = |leaf: &VersionId| !self.model.may_be_back(self.item, *leaf, self.cell);
            return match live_leaves(self.cell).filter(may_not).find(|leaf| below.contains(leaf)) {
                Some(leaf) => {
                    Err(format!("version {leaf} at {:?} was deleted by {id} and is back", self.item))
                }
                None => Ok(()),
            };
        }
        Err(format!("version {id} and all its descendants are missing at {:?}", self.item))
    }

    fn look_for(&self, command: &Command, fact: &Fact, total: (u64, u64)) -> Result<(), String> {
        let missing = |what: String| Err(format!("{what} at {:?} {:?}", self.item.collection, self.item.key));
        let is_live = |dot: &(Bytes, Dot)| self.live.binary_search(dot).is_ok();
        match fact {
            Fact::Elements { .. } if self.model.ambiguous.contains(self.item) => Ok(()),
            Fact::Elements { added, removed } => {
                let gone = |dot: &(Bytes, Dot)| self.removed_dots().binary_search(dot).is_ok();
                if let Some((element, dot)) = added.iter().find(|dot| !is_live(dot) && !gone(dot)) {
                    return missing(format!(
                        "{element:?}, added as {dot:?}, is missing and nobody removed it"
                    ));
                }
                match removed.iter().find(|dot| is_live(dot)) {
                    Some(dot) => missing(format!("{dot:?} was removed and is back")),
                    None => Ok(()),
                }
            }
            Fact::Amounts { .. } => {
                let counted = self.counted.get(&command.origin).copied().unwrap_or_default();
                if counted.0 >= total.0 && counted.1 >= total.1 {
                    Ok(())
                } else {
                    missing(format!("of +{} -{} only {counted:?} are counted", total.0, total.1))
                }
            }
            Fact::Register { stamp, .. } => match self.cell {
                Some(Cell::Register(register)) if register.stamp() >= Some(*stamp) => Ok(()),
                _ => missing(format!("the write of {stamp:?} was undone")),
            },
            Fact::Versions(versions) => versions.iter().try_for_each(|(id, _)| self.has_version(*id)),
        }
    }

    fn removed_dots(&self) -> &[(Bytes, Dot)] {
        self.removed.get_or_init(|| self.model.removed(self.item).into_iter().collect())
    }

    fn cover(&self) -> BTreeSet<VersionId> {
        ancestry(known_versions(self.cell).into_keys().collect(), &self.model.parents(self.item))
    }
}

/// The versions of a document that readers can see.
pub(crate) fn live_leaves(cell: Option<&Cell>) -> impl Iterator<Item = VersionId> {
    let document = match cell {
        Some(Cell::Document(document)) => Some(document),
        _ => None,
    };
    document.into_iter().flat_map(|document| document.live_leaves().map(|leaf| *leaf.id()))
}

/// The elements of a set and the dots under which they were written, in no order.
pub(crate) fn live_dots(cell: Option<&Cell>, lineage: &Lineage) -> Vec<(Bytes, Dot)> {
    match cell {
        Some(Cell::Set(elements)) => {
            let dots_of =
                |each| elements.dots_of(each).iter().map(|dot| lineage.written_as(dot)).collect::<Vec<_>>();
            let dots = elements.iter().flat_map(|each| dots_of(each).into_iter().map(move |dot| (each, dot)));
            dots.map(|(each, dot)| (each.clone(), dot)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a counter counts, by the identity under which it was counted: the branches of one are added up.
pub(crate) fn counted(cell: Option<&Cell>, lineage: &Lineage) -> BTreeMap<ReplicaId, (u64, u64)> {
    let mut counted: BTreeMap<ReplicaId, (u64, u64)> = BTreeMap::new();
    if let Some(Cell::Counter(counter)) = cell {
        for (origin, amount) in counter.increments().entries() {
            counted.entry(lineage.root_of(origin)).or_default().0 += amount;
        }
        for (origin, amount) in counter.decrements().entries() {
            counted.entry(lineage.root_of(origin)).or_default().1 += amount;
        }
    }
    counted
}
