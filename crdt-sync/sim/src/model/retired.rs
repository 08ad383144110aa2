//! What becomes of commands whose node was retired.

use std::collections::BTreeSet;

use crdt_core::{Dot, ReplicaId};
use crdt_sync::{Bytes, Cell, ItemKey, RequestId};

use super::{Command, Fact, Fate, Model, Survival};
use crate::lineage::{Known, Lineage, Place};
use crate::observe::known_versions;
use crate::shown::{counted, live_dots};

impl Model {
    /// A retired node of these identities was shut down, and this is the last look at its disk: nothing comes from
    /// there any more, unless a new node makes it again.
    ///
    /// The disk may be a copy that was put in the place of a later one. What it holds was made before, and nobody
    /// expects it to be there; but whoever looks sees it, and it is made again.
    pub(crate) fn look_last(
        &mut self,
        (node, look): (usize, usize),
        comes_back: bool,
        identities: &BTreeSet<ReplicaId>,
        held: &Known<'_>,
    ) {
        self.has_retired = true;
        for command in self.commands.iter_mut().filter(|command| command.node == node) {
            let is_copied = command.entry_count() > 0 && command.is_whole(held);
            let is_seen = command.is_at(node) || is_copied && identities.contains(&command.origin);
            command.orphaned = true;
            if is_seen && command.fate != Fate::Gone {
                command.last_look = Some(look);
                command.made_again = comes_back;
            }
        }
    }

    /// The entries of commands that are not on the disk any more of the node that made them, and count all the same.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = Place> {
        let orphaned =
            |command: &&Command| command.orphaned && !command.at_risk && command.fate != Fate::Gone;
        self.commands.iter().filter(orphaned).flat_map(|command| command.entries.iter().copied())
    }

    /// A command makes again what a retired node wrote.
    pub(crate) fn is_made_again_by(&mut self, request: RequestId) {
        if let Some(index) = self.place_of(request) {
            self.commands[index].is_replay = true;
        }
    }

    /// Of these keys a retired node reported what it held; what it wrote there is not made again.
    pub(crate) fn cannot_be_exact(&mut self, items: &BTreeSet<ItemKey>) {
        self.inexact.extend(items.iter().cloned());
    }

    /// The command that a request became.
    pub(crate) fn command(&self, request: RequestId) -> Option<&Command> {
        self.place_of(request).map(|index| &self.commands[index])
    }

    /// The members agree: what is not among their entries of retired nodes' commands lies beyond their ends. Fails with
    /// a command that was acknowledged and that the last look at its node's disk did not report.
    pub(crate) fn end_retired(
        &mut self,
        known: &Known<'_>,
        is_reported: impl Fn(usize, Place) -> bool,
    ) -> Result<(), (usize, RequestId)> {
        for command in self.commands.iter_mut().filter(|command| command.fate != Fate::Gone) {
            let Some(look) = command.last_look else { continue };
            let survival = command.survival(known);
            if survival == Survival::Whole {
                continue;
            }
            let is_told = |place: &Place| known.holds(*place) || is_reported(look, *place);
            if command.is_promised() && !command.entries.iter().all(is_told) {
                return Err((command.node, command.request));
            }
            command.beyond = true;
            if survival == Survival::Nothing {
                command.fate = Fate::Gone;
            } else {
                command.smudged = true;
                self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
                command.entries.retain(|place| known.holds(*place));
            }
        }
        Ok(())
    }

    /// Whether a state shows something of what lies beyond the ends of retired nodes, or may have lost something to it.
    pub(crate) fn has_leaked(&self, item: &ItemKey, cell: Option<&Cell>, lineage: &Lineage) -> bool {
        let live = live_dots(cell, lineage);
        self.all_facts_of(item).filter(|(command, _)| command.beyond).any(|(command, fact)| match fact {
            Fact::Elements { added, removed } => {
                !removed.is_empty() || added.iter().any(|dot| live.contains(dot))
            }
            Fact::Amounts { .. } => {
                let known = self.facts_of(item).filter(|(other, _)| other.origin == command.origin);
                let known = known.fold((0, 0), |sum, (_, fact)| match fact {
                    Fact::Amounts { up, down } => (sum.0 + up, sum.1 + down),
                    _ => sum,
                });
                let counted = counted(cell, lineage).get(&command.origin).copied().unwrap_or_default();
                counted.0 > known.0 || counted.1 > known.1
            }
            Fact::Register { stamp, .. } => match cell {
                Some(Cell::Register(register)) => register.stamp() == Some(*stamp),
                _ => false,
            },
            Fact::Versions(versions) => {
                let held = known_versions(cell);
                // Where it was heard of, what it deleted, or what was deleted on top of it, may be forgotten.
                self.forgets() || versions.iter().any(|(id, _)| held.contains_key(id))
            }
        })
    }

    /// What a counter counts when each write counts once: those of retired nodes whose devices came back as they were
    /// on their disks, in place of what was made again of them. `None` if nobody can say, or nothing was made again.
    pub(crate) fn exact_sum(&self, item: &ItemKey) -> Option<i128> {
        if self.inexact.contains(item) {
            return None;
        }
        let mut sum = 0;
        let mut is_concerned = false;
        for (command, fact) in self.all_facts_of(item) {
            let Fact::Amounts { up, down } = fact else { return None };
            let is_open = command.smudged || command.at_risk || command.beyond;
            match command {
                command if command.made_again => is_concerned = true,
                command if command.is_replay && command.fate != Fate::Gone && !is_open => continue,
                _ if is_open => return None,
                command if command.fate == Fate::Gone => continue,
                _ => {}
            }
            sum += i128::from(*up) - i128::from(*down);
        }
        is_concerned.then_some(sum)
    }

    /// The dots of a key that somebody removed or replaced whose entries the nodes have.
    pub(super) fn removed_for_certain(&self, item: &ItemKey) -> BTreeSet<(Bytes, Dot)> {
        let lasting =
            self.all_facts_of(item).filter(|(command, _)| command.fate != Fate::Gone || command.smudged);
        let removed = lasting.filter_map(|(_, fact)| match fact {
            Fact::Elements { removed, .. } => Some(removed),
            _ => None,
        });
        removed.flatten().cloned().collect()
    }

    /// What all commands did to a key, whatever became of them.
    pub(super) fn all_facts_of<'m>(
        &'m self,
        item: &ItemKey,
    ) -> impl Iterator<Item = (&'m Command, &'m Fact)> {
        let places = self.by_item.get(item).into_iter().flatten();
        places.map(|&(command, fact)| (&self.commands[command], &self.commands[command].facts[fact].1))
    }
}
