//! The way back for a retired device: as a new node, with what nobody else had.
//!
//! A retired node never merges again; what it wrote while nobody heard of it would otherwise be lost with it. The way
//! back, which [`Engine::rejoin`](crate::Engine::rejoin) is a part of:
//!
//! 1. found a new node beside the old one: an empty log, a fresh [`NodeId`](crate::NodeId);
//! 2. let it catch up with a member, as every new node does, by a session or entry by entry;
//! 3. ask it what of the old node it lacks: `fresh.rejoin(&old)`;
//! 4. write [`Rejoin::writes`] there, and a note that it is done in the same command, and show what was
//!    [reported](Rejoin::reported) to whoever can decide; then the old log may go.
//!
//! The writes are made against what the new node holds, so that each counts once, and means what it meant: a counter
//! gets the difference to what is known of the old node's count; an element is removed only under the dots that the
//! old node saw; a register, or a document whose last writer wins, is written only if it was not written later
//! elsewhere; any other document is written on top of the version it was written on, or beside what took its place.
//!
//! One thing is left to the operator: a member that hears of the retirement late may still have more of the old node's
//! entries than the one the new node caught up with. These are valid, and arrive; what was replayed of them by then
//! counts twice in counters. So replay when the members are in touch, or have the late one retired, too.
//!
//! What was written on a branch of a forked identity is made again like the rest, if both nodes know of the fork, as
//! they do once it was healed while the old one was a member. Where only one of them knows, counters may get more than
//! the difference, and an element that was removed on the branch may stay. A fork of which neither knows is not seen
//! here: the two histories pass for one, and what only the old one has of its own is not made again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use conflict_store::{Document, Version, VersionId};
use crdt_core::codec;
use crdt_core::dotted::{DotStore, ElementStore};
use crdt_core::{CausalContext, Crdt, LwwRegister, PnCounter, ReplicaId};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::Strategy;
use crate::entry::{Delta, Entry};
use crate::replica::{Action, ItemKey, Partition, Replica, Write};

/// What a retired node wrote beyond its final frontier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unacknowledged {
    /// Its entries that are still held, in the order in which they were written.
    pub entries: Vec<Unseen>,
    /// Those that are not held any more, whose effects are only in its states.
    pub forgotten: Vec<Forgotten>,
}

/// An entry that nobody else may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    /// The partition.
    pub partition: u16,
    /// Under which identity it is held: that under which it was written or, where that was forked, the branch of it.
    pub origin: ReplicaId,
    /// Its sequence.
    pub sequence: u64,
    /// The entry.
    pub entry: Entry,
}

/// Entries that nobody else may have, and that are too old to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The partition.
    pub partition: u16,
    /// Under which identity they are held, as of [`Unseen::origin`].
    pub origin: ReplicaId,
    /// Their sequences.
    pub sequences: RangeInclusive<u64>,
}

/// What to do so that nothing of a retired node is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejoin {
    /// To be written on the new node, in this order, in as many commands as the limits ask for.
    pub writes: Vec<Write>,
    /// States of the retired node that no write stands for: a deletion of what was edited elsewhere in the meantime, a
    /// body that was deleted elsewhere; and where entries were [forgotten](Unacknowledged::forgotten), every key that
    /// differs.
    pub reported: Vec<(ItemKey, Cell)>,
}

/// Why nothing can be said of what to replay.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RejoinError {
    /// The other engine was not retired; it syncs by itself.
    #[error("the node whose writes are to be replayed is not retired")]
    NotRetired,
    /// The new node is retired itself.
    #[error("the node that is to replay is retired itself")]
    Retired,
    /// The two nodes are not of one cluster, or divide keys or declare collections in different ways.
    #[error("the two nodes are not of one cluster")]
    OtherCluster,
}

/// What a node wrote above what `valid` says of its identities and their branches; nothing of a node that is not
/// retired. Where an identity was forked, what the node wrote after the fork is held as a branch.
pub(crate) fn unacknowledged(
    replica: &Replica,
    valid: impl Fn(&Partition, ReplicaId) -> u64,
) -> Unacknowledged {
    let mut found = Unacknowledged::default();
    let member =
        replica.members.membership().get(replica.config.node).filter(|_| replica.members.is_evicted());
    let own: BTreeSet<ReplicaId> = member.into_iter().flat_map(super::Member::replicas).collect();
    for partition in &replica.partitions {
        let forks = &partition.forks;
        let branches = forks.branches().filter(|(branch, _)| own.contains(&forks.root_of(*branch)));
        let whole = own.iter().map(|origin| (*origin, 0));
        for (origin, start) in whole.chain(branches) {
            collect_unseen(partition, origin, valid(partition, origin).max(start), &mut found);
        }
    }
    // A node's clock never goes back, whatever identity it writes under.
    found.entries.sort_by_key(|unseen| (unseen.entry.stamp, unseen.origin, unseen.sequence));
    found
}

fn collect_unseen(partition: &Partition, origin: ReplicaId, valid: u64, found: &mut Unacknowledged) {
    let Some(history) = partition.histories.get(origin) else { return };
    let (number, floor) = (partition.number, history.floor().sequence);
    if valid < floor {
        found.forgotten.push(Forgotten { partition: number, origin, sequences: valid + 1..=floor });
    }
    let from = valid.max(floor);
    for (sequence, retained) in (from + 1..).zip(history.after(from).into_iter().flatten()) {
        // What this node encoded itself is read back whatever the limits are.
        match codec::decode_payload(&retained.bytes, &crate::replica::STORED) {
            Ok(entry) => found.entries.push(Unseen { partition: number, origin, sequence, entry }),
            Err(_) => {
                found.forgotten.push(Forgotten { partition: number, origin, sequences: sequence..=sequence });
            }
        }
    }
}

/// What the `fresh` replica must write to have everything of the retired one.
pub(crate) fn plan(fresh: &Replica, old: &Replica) -> Result<Rejoin, RejoinError> {
    if fresh.members.is_evicted() {
        return Err(RejoinError::Retired);
    }
    if !old.members.is_evicted() {
        return Err(RejoinError::NotRetired);
    }
    if fresh.config.cluster != old.config.cluster
        || fresh.partitions.len() != old.partitions.len()
        || fresh.registry.ids() != old.registry.ids()
    {
        return Err(RejoinError::OtherCluster);
    }
    // What the new node has applied counts, however little the old one was told.
    let unseen = unacknowledged(old, |held, origin| applied(fresh.partition(held.number), held, origin));
    let mut by_key: BTreeMap<ItemKey, Vec<&Unseen>> = BTreeMap::new();
    for unseen in &unseen.entries {
        let Entry { collection, key, .. } = &unseen.entry;
        by_key.entry(ItemKey { collection: *collection, key: key.clone() }).or_default().push(unseen);
    }
    let mut rejoin = Rejoin::default();
    for (item, unseen) in &by_key {
        Replay { fresh, old, item, unseen }.plan(&mut rejoin);
    }
    report_differences(fresh, old, &unseen.forgotten, &mut rejoin);
    Ok(rejoin)
}

/// Up to which sequence the fresh replica has what the old one holds of a history. Only one of them may know that the
/// identity was forked: then the same entries go by two names, and their chain values tell.
fn applied(fresh: &Partition, old: &Partition, origin: ReplicaId) -> u64 {
    let named = fresh.histories.head(origin).sequence;
    let Some(held) = old.histories.get(origin) else { return named };
    let root = old.forks.root_of(origin);
    let others =
        fresh.histories.iter().filter(|(other, _)| *other != origin && fresh.forks.root_of(*other) == root);
    let shared = others.filter_map(|(_, other)| {
        let last = held.head().sequence.min(other.head().sequence);
        (held.at(last)? == other.at(last)?).then_some(last)
    });
    shared.max().unwrap_or(0).max(named)
}

/// Where entries are gone, the states are all there is to show: also of keys of which some entries are left to be made
/// again, because what the others wrote there may not be among them.
fn report_differences(fresh: &Replica, old: &Replica, forgotten: &[Forgotten], rejoin: &mut Rejoin) {
    let reported: BTreeSet<ItemKey> = rejoin.reported.iter().map(|(item, _)| item.clone()).collect();
    let numbers: BTreeSet<u16> = forgotten.iter().map(|forgotten| forgotten.partition).collect();
    for number in numbers {
        let there = &fresh.partition(number).cells;
        for (item, held) in old.partition(number).cells.iter() {
            let differs = there.get(item).is_none_or(|other| other.cell.digest() != held.cell.digest());
            if differs && !reported.contains(item) {
                rejoin.reported.push((item.clone(), held.cell.clone()));
            }
        }
    }
}

/// What happened to one key on the retired node.
struct Replay<'r> {
    fresh: &'r Replica,
    old: &'r Replica,
    item: &'r ItemKey,
    unseen: &'r [&'r Unseen],
}

impl Replay<'_> {
    fn plan(&self, rejoin: &mut Rejoin) {
        let vacant = |replica: &Replica| {
            let kind = replica.kind_of(self.item.collection).ok()?;
            let number = replica.partition_of(self.item.collection, &self.item.key);
            Some(replica.partition(number).cell_or_vacant(self.item, kind))
        };
        match (vacant(self.old), vacant(self.fresh)) {
            (Some(Cell::Set(_)), Some(Cell::Set(here))) => self.plan_set(&here, rejoin),
            (Some(Cell::Counter(old)), Some(Cell::Counter(here))) => self.plan_counter(&old, &here, rejoin),
            (Some(Cell::Register(old)), Some(Cell::Register(here))) => {
                self.plan_register(&old, &here, rejoin);
            }
            (Some(Cell::Document(old)), Some(Cell::Document(here))) => {
                self.plan_document(&old, &here, rejoin);
            }
            _ => {}
        }
    }

    fn write(&self, action: Action, rejoin: &mut Rejoin) {
        let ItemKey { collection, key } = self.item.clone();
        rejoin.writes.push(Write { collection, key, action });
    }

    /// Of elements what the entries came to in the end: what they added and did not remove again, and which dots of
    /// others' they removed.
    fn plan_set(&self, here: &ElementStore<Bytes>, rejoin: &mut Rejoin) {
        // Entries name dots as they were called when they were written, which may have been before a fork was known.
        let mut added: BTreeSet<(ReplicaId, u64, &Bytes)> = BTreeSet::new();
        let mut removed = CausalContext::new();
        for unseen in self.unseen {
            let (element, gone) = match &unseen.entry.delta {
                Delta::SetAdd { element, superseded, .. } => (element, superseded),
                Delta::SetRemove { element, dots, .. } => (element, dots),
                _ => continue,
            };
            for dot in gone {
                // What nobody else has is not among what they have, though another branch may call it the same.
                if !added.remove(&(self.root_of(dot.replica), dot.counter(), element)) {
                    removed.insert(*dot);
                }
            }
            if matches!(unseen.entry.delta, Delta::SetAdd { .. }) {
                added.insert((self.root_of(unseen.origin), unseen.sequence, element));
            }
        }
        let added: BTreeSet<&Bytes> = added.into_iter().map(|(_, _, element)| element).collect();
        for element in here.to_sorted() {
            let mut all_seen = true;
            here.dots_of(element).for_each_dot(&mut |dot| all_seen &= removed.contains(dot));
            if all_seen && !added.contains(element) {
                self.write(Action::Remove(element.clone()), rejoin);
            }
        }
        for element in added {
            self.write(Action::Add(element.clone()), rejoin);
        }
    }

    /// The identity under which a history was written.
    fn root_of(&self, segment: ReplicaId) -> ReplicaId {
        let number = self.old.partition_of(self.item.collection, &self.item.key);
        self.old.partition(number).forks.root_of(segment)
    }

    fn plan_counter(&self, old: &PnCounter, here: &PnCounter, rejoin: &mut Rejoin) {
        let origins: BTreeSet<ReplicaId> = self.unseen.iter().map(|unseen| unseen.origin).collect();
        for origin in origins {
            let more = |old: u64, here: u64| old.saturating_sub(here);
            let up = more(old.increments().entry(origin), here.increments().entry(origin));
            let down = more(old.decrements().entry(origin), here.decrements().entry(origin));
            if up > 0 {
                self.write(Action::Increment(up), rejoin);
            }
            if down > 0 {
                self.write(Action::Decrement(down), rejoin);
            }
        }
    }

    fn plan_register(&self, old: &LwwRegister<Bytes>, here: &LwwRegister<Bytes>, rejoin: &mut Rejoin) {
        let written_here = self.unseen.iter().any(|unseen| {
            let root = self.root_of(unseen.origin);
            old.stamp().is_some_and(|stamp| stamp.replica == root && stamp.time == unseen.entry.stamp)
        });
        if written_here && old.stamp() > here.stamp() {
            self.write(Action::Set(old.get().cloned()), rejoin);
        }
    }

    fn plan_document(&self, old: &Document<Bytes>, here: &Document<Bytes>, rejoin: &mut Rejoin) {
        let written = self.versions_written();
        let mut leaves: Vec<_> = old
            .leaves()
            .iter()
            .filter(|leaf| written.contains(leaf.id()) && here.get(leaf.id()).is_none())
            .collect();
        let collection = self.fresh.registry.get(self.item.collection);
        if collection.is_some_and(|collection| collection.strategy == Strategy::LastWriterWins) {
            let latest = here.leaves().iter().filter_map(Version::stamp).max();
            leaves.sort_by_key(|leaf| leaf.stamp());
            let Some(last) = leaves.pop().filter(|leaf| leaf.stamp() > latest) else { return };
            return match last.body() {
                Some(body) => self.write(Action::Put(body.clone()), rejoin),
                None if here.live_leaves().next().is_some() => self.write(Action::Delete, rejoin),
                None => {}
            };
        }
        for leaf in leaves {
            let mut body = leaf.body().cloned();
            let history = old.history(leaf.id());
            let parents: Vec<VersionId> =
                history.map(|version| *version.id()).filter(|id| here.is_leaf(id)).collect();
            if parents.is_empty() {
                self.plan_branch(body, old, here, rejoin);
                continue;
            }
            // The first takes the body; what else was merged into it ends there.
            for parent in parents {
                let deletes_nothing = body.is_none() && here.get(&parent).is_some_and(Version::is_deleted);
                if !deletes_nothing {
                    self.write(Action::Update { parent, body: body.take() }, rejoin);
                }
            }
        }
    }

    /// What a version was written on is not current any more, or never was known: it goes beside what is.
    fn plan_branch(
        &self,
        body: Option<Bytes>,
        old: &Document<Bytes>,
        here: &Document<Bytes>,
        rejoin: &mut Rejoin,
    ) {
        let Some(body) = body else {
            if !here.is_empty() {
                rejoin.reported.push((self.item.clone(), Cell::Document(old.clone())));
            }
            return;
        };
        let (_, delta) = here.clone().put_branch(&self.item.key, None, Some(body.clone()), None);
        if delta.is_bottom() {
            // The same body was a first version once and has been overwritten since: inserting it changes nothing.
            rejoin.reported.push((self.item.clone(), Cell::Document(old.clone())));
        } else {
            self.write(Action::Insert(body), rejoin);
        }
    }

    fn versions_written(&self) -> BTreeSet<VersionId> {
        let mut written = BTreeSet::new();
        for unseen in self.unseen {
            let Delta::Document(bytes) = &unseen.entry.delta else { continue };
            let delta: Result<Document<Bytes>, _> =
                Document::decode_for_key(&self.item.key, bytes, &crate::replica::STORED);
            written.extend(delta.iter().flat_map(Document::versions).map(|version| *version.id()));
        }
        written
    }
}
