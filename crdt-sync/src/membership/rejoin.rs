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
//! Two things are left to the operator. First, a member that hears of the retirement late may still have more of the
//! old node's entries than the one the new node caught up with. These are valid, and arrive; what was replayed of them
//! by then counts twice in counters. So replay when the members are in touch, or have the late one retired, too.
//!
//! Second, writes are refused, like any others, if the clock of the new node is too far behind that of whoever wrote
//! what it holds ([`StampBehind`](crate::WriteError::StampBehind)) or was set back too far
//! ([`Clock`](crate::WriteError::Clock)). Nothing of their command took effect then. Plan anew when that clock is
//! right.
//!
//! Where an identity was forked, the same entries may go by two names, and two entries by one: one of the nodes knows
//! of the fork and the other does not, or neither does. So entries are told apart by their chain values, as far back as
//! both nodes know them, and dots by the identity under which they were written. Two things cannot be told: whether an
//! entry is among those of which the new node holds the effects alone, which is [reported](Rejoin::reported); and which
//! of two branches an element was seen on that both added as the same write of the same name.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use conflict_store::{Document, Version, VersionId};
use crdt_core::dotted::{DotSet, ElementStore};
use crdt_core::{Crdt, Dot, LwwRegister, PnCounter, ReplicaId};
use thiserror::Error;

use super::unseen::{Forgotten, Known, Unseen, unacknowledged};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::Strategy;
use crate::entry::{Delta, Entry};
use crate::history::Shared;
use crate::replica::{Action, ItemKey, Partition, Replica, Write};

/// What to do so that nothing of a retired node is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejoin {
    /// To be written on the new node, in this order, in as many commands as the limits ask for.
    pub writes: Vec<Write>,
    /// States of the retired node that no write stands for: a deletion of what was edited elsewhere in the meantime, a
    /// body that was deleted elsewhere; and where entries were [forgotten](crate::Unacknowledged::forgotten), every key
    /// that differs.
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

/// What the fresh replica has of what the old one holds of a history, under whatever name.
fn applied(fresh: &Partition, old: &Partition, origin: ReplicaId) -> Known {
    let Some(held) = old.histories.get(origin) else { return Known::default() };
    let root = fresh.forks.root_of(old.forks.root_of(origin));
    let mut known = Known::default();
    let mut untold = Vec::new();
    for (segment, there) in fresh.histories.iter().filter(|(other, _)| fresh.forks.root_of(*other) == root) {
        let start = fresh.forks.start_of(segment);
        match held.shared_with(there) {
            Shared::Upto(upto) => known.upto = known.upto.max(upto),
            // Of one name, and as long as nothing tells otherwise of one history.
            Shared::Unknown if segment == origin => known.upto = known.upto.max(held.until(there)),
            // Two branches of one cut part in their first entries, or they would have one name.
            _ if segment != origin && start.is_some() && start == old.forks.start_of(origin) => {}
            Shared::LessThan(parted) => untold.push((start, parted - 1)),
            Shared::Unknown => untold.push((start, held.until(there))),
        }
    }
    // What goes on beyond the start of one branch is on no other branch from there.
    untold.retain(|(start, _)| start.is_none_or(|start| known.upto <= start));
    known.untold = untold.into_iter().map(|(_, until)| until).max().unwrap_or(0);
    known
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
        let mut removed: BTreeMap<&Bytes, BTreeSet<Dot>> = BTreeMap::new();
        for unseen in self.unseen {
            let (element, gone) = match &unseen.entry.delta {
                Delta::SetAdd { element, superseded, .. } => (element, superseded),
                Delta::SetRemove { element, dots, .. } => (element, dots),
                _ => continue,
            };
            for dot in gone {
                // What nobody else has is not among what they have, though another branch may call it the same.
                if !added.remove(&(self.root_of(dot.replica), dot.counter(), element)) {
                    removed.entry(element).or_default().insert(*dot);
                }
            }
            if matches!(unseen.entry.delta, Delta::SetAdd { .. }) {
                added.insert((self.root_of(unseen.origin), unseen.sequence, element));
            }
        }
        let added: BTreeSet<&Bytes> = added.into_iter().map(|(_, _, element)| element).collect();
        for (element, named) in removed {
            let dots = here.dots_of(element);
            let gone = !dots.is_empty() && dots.iter().all(|dot| self.speaks_of(&named, dot, &dots));
            if gone && !added.contains(element) {
                self.write(Action::Remove(element.clone()), rejoin);
            }
        }
        for element in added {
            self.write(Action::Add(element.clone()), rejoin);
        }
    }

    /// Whether a dot that an element has on the new node is among those that the old one named: by its name, or by
    /// that of a dot which the element does not have there, and which is of the same write as far as names tell.
    fn speaks_of(&self, named: &BTreeSet<Dot>, dot: Dot, dots: &DotSet) -> bool {
        let is_it = |other: &Dot| {
            other.counter() == dot.counter() && self.root_of(other.replica) == self.root_of(dot.replica)
        };
        named.contains(&dot) || named.iter().any(|other| is_it(other) && !dots.contains(*other))
    }

    fn partitions(&self) -> (&Partition, &Partition) {
        let number = self.old.partition_of(self.item.collection, &self.item.key);
        (self.old.partition(number), self.fresh.partition(number))
    }

    /// The identity under which a history was written, as far as either node knows.
    fn root_of(&self, segment: ReplicaId) -> ReplicaId {
        let (old, fresh) = self.partitions();
        fresh.forks.root_of(old.forks.root_of(segment))
    }

    /// What the entries added: but no more than the new node lacks, which may have been told states besides entries.
    fn plan_counter(&self, old: &PnCounter, here: &PnCounter, rejoin: &mut Rejoin) {
        let mut unseen: BTreeMap<ReplicaId, (u64, u64)> = BTreeMap::new();
        for Unseen { origin, entry, .. } in self.unseen {
            let Delta::Counter { raised, lowered, .. } = entry.delta else { continue };
            let (up, down) = unseen.entry(*origin).or_default();
            (*up, *down) = (up.saturating_add(raised), down.saturating_add(lowered));
        }
        for (origin, (up, down)) in unseen {
            let lacks = |old: u64, here: u64| {
                if self.has_parted(origin) { u64::MAX } else { old.saturating_sub(here) }
            };
            let up = up.min(lacks(old.increments().entry(origin), here.increments().entry(origin)));
            let down = down.min(lacks(old.decrements().entry(origin), here.decrements().entry(origin)));
            if up > 0 {
                self.write(Action::Increment(up), rejoin);
            }
            if down > 0 {
                self.write(Action::Decrement(down), rejoin);
            }
        }
    }

    /// Whether the two nodes hold different histories under this name, so that their totals cannot be compared.
    fn has_parted(&self, origin: ReplicaId) -> bool {
        let (old, fresh) = self.partitions();
        let (Some(old), Some(fresh)) = (old.histories.get(origin), fresh.histories.get(origin)) else {
            return false;
        };
        match old.shared_with(fresh) {
            Shared::Upto(upto) => upto < old.until(fresh),
            Shared::LessThan(_) => true,
            Shared::Unknown => false,
        }
    }

    fn plan_register(&self, old: &LwwRegister<Bytes>, here: &LwwRegister<Bytes>, rejoin: &mut Rejoin) {
        let written_here = self.unseen.iter().any(|unseen| {
            let is_writer = |replica| self.root_of(replica) == self.root_of(unseen.origin);
            old.stamp().is_some_and(|stamp| stamp.time == unseen.entry.stamp && is_writer(stamp.replica))
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
