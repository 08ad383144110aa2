//! The naive model: every write that took effect, and what they come to in the end.
//!
//! The model knows nothing of deltas, contexts, frontiers or trees. For each command it keeps what the writing
//! node saw change, and which entries of the node's identity the command became. A restart tells which commands
//! survived; at the end the outcome of a key is worked out from the survivors in the most simple-minded way:
//! an element is there if one of its additions was never seen removed, a counter is the sum of its amounts, a
//! register holds its latest write, a document all its versions.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::{Dot, ReplicaId, Stamp};
use crdt_sync::{Bytes, ItemKey, PartitionStatus, RequestId, Status};

use crate::world::Loss;

/// What one command changed at one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Elements came under new dots; dots that were there are gone.
    Elements { added: Vec<(Bytes, Dot)>, removed: Vec<Dot> },
    /// The origin counted.
    Amounts { up: u64, down: u64 },
    /// The register was written.
    Register { stamp: Stamp, value: Option<Bytes> },
    /// The document has these versions, each with its parents.
    Versions(Vec<(VersionId, Vec<VersionId>)>),
}

/// What is known of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was made in memory; whether it lasts is open.
    Open,
    /// The client was told that it is durable.
    Acknowledged,
    /// The node went down and came up without it.
    Gone,
}

/// The entries of one partition that a command became: those after `before`, up to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entries {
    partition: usize,
    before: u64,
    last: u64,
}

/// One command, from the moment it was made in memory.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about what became of it")]
pub(crate) struct Command {
    pub(crate) node: usize,
    pub(crate) request: RequestId,
    pub(crate) fate: Fate,
    /// Somebody read what it did, so it must last as if it had been acknowledged.
    pub(crate) shown: bool,
    /// Its node lost its disk since, so that what the node comes up with says nothing of it.
    pub(crate) orphaned: bool,
    /// Some of its entries were nowhere else when that happened.
    pub(crate) at_risk: bool,
    /// Some of its entries are gone, so that nobody can say what must be left of it.
    smudged: bool,
    pub(crate) facts: Vec<(ItemKey, Fact)>,
    /// Under which identity it was written.
    pub(crate) origin: ReplicaId,
    entries: Vec<Entries>,
}

/// How much of a command a node came up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    Whole,
    Torn,
    Nothing,
}

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
    /// Keys to which a command wrote of which only some entries are left, so that nobody can say what they must be.
    pub(crate) smudged: BTreeSet<ItemKey>,
}

impl Command {
    /// The command that took its node from one status to the other.
    pub(crate) fn between(node: usize, request: RequestId, before: &Status, after: &Status) -> Self {
        let origin = after.replica;
        let entries = (0..after.partitions.len())
            .map(|partition| Entries {
                partition,
                before: head_of(before, partition, origin),
                last: head_of(after, partition, origin),
            })
            .filter(|entries| entries.before < entries.last)
            .collect();
        Self {
            node,
            request,
            fate: Fate::Open,
            shown: false,
            orphaned: false,
            at_risk: false,
            smudged: false,
            facts: Vec::new(),
            origin,
            entries,
        }
    }

    /// How many entries it became.
    pub(crate) fn entry_count(&self) -> u64 {
        self.entries.iter().map(|entries| entries.last - entries.before).sum()
    }

    /// Whether its node promised somebody that it lasts.
    pub(crate) fn is_promised(&self) -> bool {
        (self.fate == Fate::Acknowledged || self.shown) && !self.at_risk
    }

    /// Whether it was made at this node, on the disk that the node has now.
    pub(crate) fn is_at(&self, node: usize) -> bool {
        self.node == node && !self.orphaned
    }

    /// Whether it has entries of an origin in a partition above a number.
    fn reaches_above(&self, loss: Loss) -> bool {
        let above = |entries: &Entries| entries.partition == loss.partition && entries.last > loss.lost_above;
        self.origin == loss.origin && self.entries.iter().any(above)
    }

    /// The earliest stamp it gave out.
    pub(crate) fn first_stamp(&self) -> Option<Stamp> {
        self.stamps().min()
    }

    fn stamps(&self) -> impl Iterator<Item = Stamp> {
        self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Register { stamp, .. } => Some(*stamp),
            _ => None,
        })
    }

    /// How much of it a node with this status knows. A command without entries changed nothing and is whole.
    pub(crate) fn survival(&self, status: &Status) -> Survival {
        let head = |entries: &Entries| head_of(status, entries.partition, self.origin);
        if self.entries.iter().all(|entries| head(entries) >= entries.last) {
            Survival::Whole
        } else if self.entries.iter().all(|entries| head(entries) <= entries.before) {
            Survival::Nothing
        } else {
            Survival::Torn
        }
    }
}

impl Model {
    pub(crate) fn add(&mut self, command: Command) {
        // Its entries may have taken the numbers of others that were lost with a disk.
        for entries in &command.entries {
            let (partition, origin, lost_above) = (entries.partition, command.origin, entries.before);
            let taken = Loss { partition, origin, lost_above };
            for lost in self.commands.iter_mut().filter(|lost| lost.at_risk && lost.reaches_above(taken)) {
                lost.fate = Fate::Gone;
                lost.smudged = true;
                self.smudged.extend(lost.facts.iter().map(|(item, _)| item.clone()));
            }
        }
        let index = self.commands.len();
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

    /// A node lost its disk, and with it perhaps these entries.
    pub(crate) fn lose_disk(&mut self, node: usize, losses: &[Loss]) {
        for command in &mut self.commands {
            command.orphaned |= command.node == node;
            command.at_risk |= losses.iter().any(|loss| command.reaches_above(*loss));
        }
    }

    /// The nodes agree: what was at risk is there or gone for good. Fails with what must be there and is not.
    pub(crate) fn settle(&mut self, status: &Status) -> Result<(), (usize, RequestId)> {
        let open =
            |command: &&mut Command| command.fate != Fate::Gone && (command.orphaned || command.at_risk);
        for command in self.commands.iter_mut().filter(open) {
            let (node, request) = (command.node, command.request);
            match command.survival(status) {
                Survival::Whole => command.at_risk = false,
                _ if !command.at_risk => return Err((node, request)),
                // Some entries may have reached somebody, or their states in a session of which the entries never did.
                Survival::Nothing | Survival::Torn => {
                    self.smudged.extend(command.facts.iter().map(|(item, _)| item.clone()));
                    command.smudged = true;
                    for entries in &mut command.entries {
                        entries.last = entries.last.min(head_of(status, entries.partition, command.origin));
                    }
                    command.entries.retain(|entries| entries.before < entries.last);
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

    /// The commands that are not gone.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter().filter(|command| command.fate != Fate::Gone)
    }

    /// What commands may have done to a key: those that are not gone, and those of which nobody can say.
    fn traces_of(&self, item: &ItemKey) -> impl Iterator<Item = &Fact> {
        let places = self.by_item.get(item).into_iter().flatten();
        let facts = places.map(|&(command, fact)| (&self.commands[command], fact));
        let left = facts.filter(|(command, _)| command.fate != Fate::Gone || command.smudged);
        left.map(|(command, fact)| &command.facts[fact].1)
    }

    /// What commands that are not gone did to a key.
    pub(crate) fn facts_of<'m>(&'m self, item: &ItemKey) -> impl Iterator<Item = (&'m Command, &'m Fact)> {
        let places = self.by_item.get(item).into_iter().flatten();
        let facts = places.map(|&(command, fact)| (&self.commands[command], fact));
        let lasting = facts.filter(|(command, _)| command.fate != Fate::Gone && !command.smudged);
        lasting.map(|(command, fact)| (command, &command.facts[fact].1))
    }

    /// The versions of a document that answers to commands named, unless those are gone.
    pub(crate) fn named_at(&self, item: &ItemKey) -> impl Iterator<Item = (&Command, VersionId)> {
        let named = self.named.get(item).into_iter().flatten();
        let named = named.map(|&(command, version)| (&self.commands[command], version));
        named.filter(|(command, _)| command.fate != Fate::Gone && !command.smudged)
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

    /// The last entry of every identity in a partition.
    pub(crate) fn heads(&self, partition: usize) -> BTreeMap<ReplicaId, u64> {
        let mut heads = BTreeMap::new();
        for command in self.lasting() {
            for entries in command.entries.iter().filter(|entries| entries.partition == partition) {
                let head: &mut u64 = heads.entry(command.origin).or_default();
                *head = entries.last.max(*head);
            }
        }
        heads
    }

    /// The dots of a key that somebody removed or replaced. A command of which some entries are gone may have spread
    /// all the same, by its states.
    pub(crate) fn removed(&self, item: &ItemKey) -> BTreeSet<Dot> {
        let removed = self.traces_of(item).filter_map(|fact| match fact {
            Fact::Elements { removed, .. } => Some(removed),
            _ => None,
        });
        removed.flatten().copied().collect()
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
        let removed = self.removed(item);
        let mut outcome = Outcome::default();
        let mut parents = BTreeSet::new();
        for (_, fact) in self.facts_of(item) {
            match fact {
                Fact::Elements { added, .. } => {
                    for (element, dot) in added.iter().filter(|(_, dot)| !removed.contains(dot)) {
                        outcome.elements.entry(element.clone()).or_default().insert(*dot);
                    }
                }
                Fact::Amounts { up, down } => outcome.sum += i128::from(*up) - i128::from(*down),
                Fact::Register { stamp, value } => {
                    let later = outcome.register.as_ref().is_none_or(|(latest, _)| latest < stamp);
                    if later {
                        outcome.register = Some((*stamp, value.clone()));
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

/// How many entries of an identity a node with this status knows in a partition.
pub(crate) fn head_of(status: &Status, partition: usize, origin: ReplicaId) -> u64 {
    head_of_partitions(&status.partitions, partition, origin)
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
        Command {
            node: 0,
            request: RequestId(request),
            fate: Fate::Open,
            shown: false,
            orphaned: false,
            at_risk: false,
            smudged: false,
            facts: vec![(item(), fact)],
            origin: origin(replica),
            entries: Vec::new(),
        }
    }

    fn outcome(facts: impl IntoIterator<Item = Fact>) -> Outcome {
        let mut model = Model::default();
        for (request, fact) in (0..).zip(facts) {
            model.add(command(request, 1, fact));
        }
        model.outcome(&item())
    }

    #[test]
    fn an_element_is_there_while_one_of_its_dots_was_never_removed() {
        let dot = |counter| Dot::new(origin(1), counter).unwrap();
        let added =
            |counter| Fact::Elements { added: vec![("milk".into(), dot(counter))], removed: Vec::new() };
        let removed = |counter| Fact::Elements { added: Vec::new(), removed: vec![dot(counter)] };
        let live = |facts| outcome(facts).elements.into_values().flatten().collect::<Vec<_>>();
        assert_eq!(live(vec![added(1), added(2), removed(1)]), [dot(2)]);
        assert_eq!(live(vec![removed(1), added(1)]), [], "whatever order they come in");
    }

    #[test]
    fn a_counter_is_the_sum_of_all_amounts_that_are_not_gone() {
        let mut model = Model::default();
        model.add(command(1, 1, Fact::Amounts { up: 5, down: 0 }));
        model.add(command(2, 2, Fact::Amounts { up: 7, down: 1 }));
        model.add(command(3, 1, Fact::Amounts { up: 0, down: 2 }));
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
            model.add(command(request, 1, fact));
        }
        assert_eq!(model.outcome(&item()).leaves, BTreeSet::from([second]));
        assert_eq!(model.parents(&item())[&second], [first]);
    }
}
