//! The naive model: every write that took effect, and what they come to in the end.
//!
//! The model knows nothing of deltas, contexts, frontiers or trees. For each command it keeps what the writing
//! node saw change, and which entries of the node's identity the command became. A restart tells which commands
//! survived; at the end the outcome of a key is worked out from the survivors in the most simple-minded way:
//! an element is there if one of its additions was never seen removed, a counter is the sum of its amounts, a
//! register holds its latest write, a document all its versions.

mod command;
mod forgotten;
mod named;
mod retired;

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::{Dot, ReplicaId, Stamp};
use crdt_sync::{Bytes, ItemKey, PartitionStatus, RequestId};

use crate::lineage::{Known, Lineage, Place};
use crate::world::Loss;
pub(crate) use command::{Command, Fact, Fate, Survival};
pub(crate) use forgotten::ancestry;

/// What the writes make of a key. Only what fits the kind of the key is filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) elements: BTreeMap<Bytes, BTreeSet<Dot>>,
    pub(crate) sum: i128,
    pub(crate) register: Option<(Stamp, Option<Bytes>)>,
    pub(crate) versions: BTreeSet<VersionId>,
    pub(crate) leaves: BTreeSet<VersionId>,
}

/// The commands of a run in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    commands: Vec<Command>,
    /// Per key the commands that wrote to it, each with the place of its fact, in the order of the commands.
    by_item: BTreeMap<ItemKey, Vec<(usize, usize)>>,
    /// Per document the commands whose answers name a version of it.
    named: BTreeMap<ItemKey, Vec<(usize, VersionId)>>,
    /// The first command that became an entry and was not gone when the next one did.
    by_place: BTreeMap<Place, usize>,
    /// Identities of which nothing can be said in a partition: two histories were taken for one.
    mixed: BTreeSet<(usize, ReplicaId)>,
    /// Keys to which a command wrote of which only some entries are left, so that nobody can say what they must be.
    pub(crate) smudged: BTreeSet<ItemKey>,
    /// Sets in which two branches of an identity hold one element under one dot: a removal may mean either.
    pub(crate) ambiguous: BTreeSet<ItemKey>,
    /// The versions that delete; `None` where deletions are not forgotten.
    deletions: Option<BTreeSet<VersionId>>,
    /// Versions that were deleted when a disk of the past came back on which they were not.
    relapsed: BTreeSet<(ItemKey, VersionId)>,
    /// Nodes that hold a part of the keys.
    partial: BTreeSet<usize>,
    has_losses: bool,
    /// A node was retired, and perhaps a new one founded in its place.
    has_retired: bool,
    /// Keys of which a retired node reported what it held, in place of what it wrote.
    inexact: BTreeSet<ItemKey>,
}

impl Model {
    pub(crate) fn add(&mut self, command: Command, lineage: &Lineage) {
        let mut command = command;
        let index = self.commands.len();
        // What is gone owns nothing: its places are free to be taken again, be it by the same bytes.
        let lasts = |owner: &usize| self.commands[*owner].fate != Fate::Gone;
        let owner = |place: &Place| self.by_place.get(place).copied().filter(lasts);
        let is_twin = command.entries.iter().any(|place| owner(place).is_some());
        let first = command.entries.first();
        if is_twin {
            let twin = first.and_then(owner).filter(|other| self.commands[*other].entries == command.entries);
            // Some entries are shared with another command, and some are not: what is one write, and what two?
            if twin.is_none() {
                self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
                command.smudged = true;
            }
            command.twin_of = twin;
        }
        for place in &command.entries {
            let owner = self.by_place.entry(*place).or_insert(index);
            if self.commands.get(*owner).is_some_and(|owner| owner.fate == Fate::Gone) {
                *owner = index;
            }
        }
        self.note_ambiguous(&command);
        if self.is_mixed(&command, lineage) {
            command.smudged = true;
            self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
        }
        for (fact, (item, _)) in command.facts.iter().enumerate() {
            self.by_item.entry(item.clone()).or_default().push((index, fact));
        }
        self.commands.push(command);
    }

    /// The client was told that a command is durable, and which versions it wrote or found. False if nobody made it.
    pub(crate) fn acknowledge(
        &mut self,
        request: RequestId,
        named: impl IntoIterator<Item = (ItemKey, VersionId)>,
    ) -> bool {
        let Some(index) = self.place_of(request) else { return false };
        self.commands[index].fate = Fate::Acknowledged;
        for (item, version) in named {
            self.named.entry(item).or_default().push((index, version));
        }
        true
    }

    /// Two histories of these identities were taken for one, and nobody could see it.
    pub(crate) fn mix(&mut self, identities: &BTreeSet<(usize, ReplicaId)>, lineage: &Lineage) {
        if self.mixed.len() == identities.len() {
            return;
        }
        self.mixed.clone_from(identities);
        for index in 0..self.commands.len() {
            if self.is_mixed(&self.commands[index], lineage) {
                let command = &mut self.commands[index];
                (command.smudged, command.at_risk) = (true, true);
                self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
            }
        }
    }

    /// Whether nobody can say what a key shows.
    pub(crate) fn is_unsure_of(&self, item: &ItemKey) -> bool {
        self.ambiguous.contains(item) || (!self.mixed.is_empty() && self.smudged.contains(item))
    }

    fn is_mixed(&self, command: &Command, lineage: &Lineage) -> bool {
        let mut places = command.entries.iter();
        places.any(|place| self.mixed.contains(&(lineage.partition_of(*place), command.origin)))
    }

    fn note_ambiguous(&mut self, command: &Command) {
        for (item, fact) in command.facts.iter().filter(|_| command.twin_of.is_none()) {
            let Fact::Elements { added, .. } = fact else { continue };
            let before = self.facts_of(item).any(|(_, other)| match other {
                Fact::Elements { added: known, .. } => added.iter().any(|dot| known.contains(dot)),
                _ => false,
            });
            if before {
                self.ambiguous.insert(item.clone());
                self.smudged.insert(item.clone());
            }
        }
    }

    /// A node lost its disk, and with it perhaps these entries.
    pub(crate) fn lose_disk(&mut self, node: usize, losses: &[Loss], lineage: &Lineage) {
        let place =
            |loss: &Loss| Some((loss.lost_above, lineage.find(loss.partition, loss.origin, loss.head)?));
        self.has_losses |= !losses.is_empty();
        let losses: Vec<_> = losses.iter().filter_map(place).collect();
        for command in &mut self.commands {
            command.orphaned |= command.node == node;
            command.at_risk |= losses.iter().any(|(above, head)| command.is_among(*above, *head, lineage));
        }
    }

    /// The nodes agree: what was at risk is there or gone for good. Fails with what must be there and is not.
    pub(crate) fn settle(&mut self, known: &Known<'_>) -> Result<(), (usize, RequestId)> {
        let open =
            |command: &&mut Command| command.fate != Fate::Gone && (command.orphaned || command.at_risk);
        for command in self.commands.iter_mut().filter(open) {
            let (node, request) = (command.node, command.request);
            match command.survival(known) {
                Survival::Whole => command.at_risk = false,
                _ if !command.at_risk => return Err((node, request)),
                // Some entries may have reached somebody, or their states in a session of which the entries never did.
                Survival::Nothing | Survival::Torn => {
                    self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
                    command.smudged = true;
                    command.entries.retain(|entry| known.holds(*entry));
                    command.fate = if command.entries.is_empty() { Fate::Gone } else { command.fate };
                }
            }
        }
        Ok(())
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }

    pub(crate) fn of_node_mut(&mut self, node: usize) -> impl Iterator<Item = &mut Command> {
        self.commands.iter_mut().filter(move |command| command.is_at(node))
    }

    /// A read showed what a node had written to a key before.
    pub(crate) fn show(&mut self, node: usize, item: &ItemKey, read: RequestId) {
        for &(index, _) in self.by_item.get(item).into_iter().flatten() {
            let command = &mut self.commands[index];
            command.shown |= command.is_at(node) && command.request < read;
        }
    }

    /// The last stamp of an identity, as far as its writes showed.
    pub(crate) fn last_stamp(&self, origin: ReplicaId) -> Option<Stamp> {
        let own =
            |command: &&Command| command.origin == origin && command.fate != Fate::Gone && !command.at_risk;
        // An identity's stamps ascend, so the last command that has any has the last.
        self.commands.iter().rev().filter(own).find_map(|command| command.stamps().max())
    }

    /// The first command that should have its entries known and has not, or the other way round.
    pub(crate) fn misplaced(&self, known: &Known<'_>) -> Option<&Command> {
        let living = self.commands.iter().filter(|command| command.fate != Fate::Gone);
        let written: BTreeSet<Place> = living.flat_map(|command| &command.entries).copied().collect();
        self.commands.iter().filter(|command| !command.smudged).find(|command| match command.fate {
            // What was written again, to the byte and at the same place, is the later command's.
            Fate::Gone => command.entries.iter().any(|entry| known.holds(*entry) && !written.contains(entry)),
            Fate::Open | Fate::Acknowledged => command.survival(known) != Survival::Whole,
        })
    }

    /// Whether what a command did was done by its twin.
    fn is_second(&self, command: &Command) -> bool {
        let twin = command.twin_of.map(|twin| &self.commands[twin]);
        twin.is_some_and(|twin| twin.fate != Fate::Gone && !twin.smudged)
    }

    /// What commands may have done to a key: those that are not gone, and those of which nobody can say, or whose
    /// states may have spread where their entries did not.
    fn traces_of(&self, item: &ItemKey) -> impl Iterator<Item = &Fact> {
        let places = self.by_item.get(item).into_iter().flatten();
        let facts = places.map(|&(command, fact)| (&self.commands[command], fact));
        let left =
            facts.filter(|(command, _)| command.fate != Fate::Gone || command.smudged || command.beyond);
        left.map(|(command, fact)| &command.facts[fact].1)
    }

    /// What commands that are not gone did to a key.
    pub(crate) fn facts_of<'m>(&'m self, item: &ItemKey) -> impl Iterator<Item = (&'m Command, &'m Fact)> {
        let places = self.by_item.get(item).into_iter().flatten();
        let facts = places.map(|&(command, fact)| (&self.commands[command], fact));
        let lasting = facts.filter(|(command, _)| {
            command.fate != Fate::Gone && !command.smudged && !self.is_second(command)
        });
        lasting.map(|(command, fact)| (command, &command.facts[fact].1))
    }

    /// All keys that were ever written to.
    pub(crate) fn items(&self) -> impl Iterator<Item = &ItemKey> {
        self.by_item.keys()
    }

    /// Whether a key was ever written to.
    pub(crate) fn has_item(&self, item: &ItemKey) -> bool {
        self.by_item.contains_key(item)
    }

    /// Requests ascend, and so do the commands they became.
    fn place_of(&self, request: RequestId) -> Option<usize> {
        self.commands.binary_search_by_key(&request, |command| command.request).ok()
    }

    /// The dots of a key that somebody removed or replaced. A command of which some entries are gone may have spread
    /// all the same, by its states.
    pub(crate) fn removed(&self, item: &ItemKey) -> BTreeSet<(Bytes, Dot)> {
        let removed = self.traces_of(item).filter_map(|fact| match fact {
            Fact::Elements { removed, .. } => Some(removed),
            _ => None,
        });
        removed.flatten().cloned().collect()
    }

    /// The parents of each version of a document.
    pub(crate) fn parents(&self, item: &ItemKey) -> BTreeMap<VersionId, &[VersionId]> {
        let versions = self.traces_of(item).filter_map(|fact| match fact {
            Fact::Versions(versions) => Some(versions),
            _ => None,
        });
        versions.flatten().map(|(id, parents)| (*id, parents.as_slice())).collect()
    }

    /// What all commands that are not gone make of a key.
    pub(crate) fn outcome(&self, item: &ItemKey) -> Outcome {
        let removed = self.removed_for_certain(item);
        let mut outcome = Outcome::default();
        let mut parents = BTreeSet::new();
        for (_, fact) in self.facts_of(item) {
            match fact {
                Fact::Elements { added, .. } => {
                    for (element, dot) in added.iter().filter(|added| !removed.contains(added)) {
                        outcome.elements.entry(element.clone()).or_default().insert(*dot);
                    }
                }
                Fact::Amounts { up, down } => outcome.sum += i128::from(*up) - i128::from(*down),
                Fact::Register { stamp, value } => {
                    // Two branches of an identity may have given out one stamp: then a deletion is the later write,
                    // and else the larger value.
                    let order =
                        |(stamp, value): &(Stamp, Option<Bytes>)| (*stamp, value.is_none(), value.clone());
                    let write = (*stamp, value.clone());
                    if outcome.register.as_ref().is_none_or(|latest| order(latest) < order(&write)) {
                        outcome.register = Some(write);
                    }
                }
                Fact::Versions(versions) => {
                    outcome.versions.extend(versions.iter().map(|(id, _)| *id));
                    parents.extend(versions.iter().flat_map(|(_, parents)| parents).copied());
                }
            }
        }
        outcome.leaves = outcome.versions.difference(&parents).copied().collect();
        outcome
    }
}

/// How many entries of an identity are in a partition when the partitions stand like this.
pub(crate) fn head_of_partitions(partitions: &[PartitionStatus], partition: usize, origin: ReplicaId) -> u64 {
    let Some(partition) = partitions.get(partition) else { return 0 };
    let place = partition.heads.binary_search_by_key(&origin, |(known, _)| *known);
    place.map_or(0, |place| partition.heads[place].1.sequence)
}

#[cfg(test)]
mod tests {
    use conflict_store::Document;
    use crdt_core::Hlc;
    use crdt_sync::Collection;

    use super::*;

    fn origin(number: u128) -> ReplicaId {
        ReplicaId::from_u128(number)
    }

    fn item() -> ItemKey {
        ItemKey { collection: Collection::sets("lists").id(), key: "key".into() }
    }

    fn command(request: u64, replica: u128, fact: Fact) -> Command {
        let command = Command::new(0, RequestId(request), origin(replica), Vec::new());
        Command { facts: vec![(item(), fact)], ..command }
    }

    fn outcome(facts: impl IntoIterator<Item = Fact>) -> Outcome {
        let mut model = Model::default();
        for (request, fact) in (0..).zip(facts) {
            model.add(command(request, 1, fact), &Lineage::default());
        }
        model.outcome(&item())
    }

    #[test]
    fn an_element_is_there_while_one_of_its_dots_was_never_removed() {
        let dot = |counter| Dot::new(origin(1), counter).unwrap();
        let added =
            |counter| Fact::Elements { added: vec![("milk".into(), dot(counter))], removed: Vec::new() };
        let removed =
            |counter| Fact::Elements { added: Vec::new(), removed: vec![("milk".into(), dot(counter))] };
        let live = |facts| outcome(facts).elements.into_values().flatten().collect::<Vec<_>>();
        assert_eq!(live(vec![added(1), added(2), removed(1)]), [dot(2)]);
        assert_eq!(live(vec![removed(1), added(1)]), [], "whatever order they come in");
    }

    #[test]
    fn a_counter_is_the_sum_of_all_amounts_that_are_not_gone() {
        let mut model = Model::default();
        model.add(command(1, 1, Fact::Amounts { up: 5, down: 0 }), &Lineage::default());
        model.add(command(2, 2, Fact::Amounts { up: 7, down: 1 }), &Lineage::default());
        model.add(command(3, 1, Fact::Amounts { up: 0, down: 2 }), &Lineage::default());
        assert_eq!(model.outcome(&item()).sum, 9);
        model.commands[1].fate = Fate::Gone;
        assert_eq!(model.outcome(&item()).sum, 3);
    }

    #[test]
    fn a_register_holds_the_latest_write() {
        let write = |millis, value: &str| Fact::Register {
            stamp: Stamp { time: Hlc::new(millis, 0), replica: origin(1) },
            value: Some(value.into()),
        };
        let latest = outcome([write(2, "late"), write(1, "early")]).register.unwrap();
        assert_eq!(latest.1, Some("late".into()));
    }

    #[test]
    fn the_leaves_of_a_document_are_the_versions_that_nobody_wrote_upon() {
        let mut document = Document::<Bytes>::default();
        let (first, _) = document.put(b"key", None, Some("1".into()), None).unwrap();
        let (second, _) = document.put(b"key", Some(&first), Some("2".into()), None).unwrap();
        let facts = [Fact::Versions(vec![(second, vec![first])]), Fact::Versions(vec![(first, Vec::new())])];
        let mut model = Model::default();
        for (request, fact) in (0..).zip(facts) {
            model.add(command(request, 1, fact), &Lineage::default());
        }
        assert_eq!(model.outcome(&item()).leaves, BTreeSet::from([second]));
        assert_eq!(model.parents(&item())[&second], [first]);
    }
}
