//! What clients know: which writes were begun, which were acknowledged and by whom, and which disks were lost since.
//!
//! The model knows nothing of dots, contexts or hints. It counts copies: a write is on the nodes that its report names.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::Stamp;
use crdt_sync::{Action, Bytes, ItemKey, RequestId};

use crate::world::REPLICAS;

/// Counts what happens to clients and disks, in order.
pub(super) type Tick = u64;

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    /// It was not answered yet.
    Pending,
    /// It may be there, or come to be there.
    Unknown,
    /// It is nowhere, for certain.
    Nowhere,
    /// It reached its level.
    Acknowledged,
}

/// A write as its client knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) request: RequestId,
    pub(super) node: usize,
    pub(super) item: ItemKey,
    pub(super) action: Action,
    pub(super) begun: Tick,
    /// When it was answered with certainty.
    pub(super) ended: Option<Tick>,
    pub(super) fate: Fate,
    /// The primaries that had it when it was acknowledged.
    pub(super) primaries: BTreeSet<usize>,
    /// Of how many primaries a read must cover the states to be sure to meet it.
    needed: Option<u32>,
    /// The fallbacks that had it, and for whom they stood in: their copies become those of the others.
    pub(super) fallbacks: BTreeSet<(usize, usize)>,
    /// Whether a majority of the primaries was read before.
    pub(super) has_seen: bool,
    /// All primaries that had it lost their disks since: no read is promised to show it.
    is_unsure: bool,
    /// Nodes that lost their disks since it was begun.
    suffered: BTreeSet<usize>,
    /// The stamp of a register write, once seen.
    pub(super) stamp: Option<Stamp>,
    /// The versions that a write to a document made, once acknowledged.
    pub(super) versions: Vec<VersionId>,
}

/// What happened to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// It was lost. Who begins with nothing does not answer reads before it has what it acknowledged.
    Lost,
    /// An older copy was put in its place, or not all came back of what was lost. The node answers reads as always.
    Unnoticed,
}

/// What happened to the disk of a node, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    harm: Harm,
    at: Tick,
}

/// Damaged nodes, and how they were damaged last.
pub(super) type Damaged = BTreeMap<usize, Damage>;

#[derive(Debug, Default)]
pub(super) struct Model {
    tick: Tick,
    writes: Vec<Known>,
    by_request: BTreeMap<RequestId, usize>,
    by_item: BTreeMap<ItemKey, Vec<usize>>,
    /// Nodes that did not get back yet what they lost.
    damaged: Damaged,
    /// When each node was damaged.
    damages: Vec<(usize, Tick)>,
    /// From when to when some node lacked something and did not know it.
    spells: Vec<(Tick, Option<Tick>)>,
    /// From when to when the ring changed.
    changes: Vec<(Tick, Option<Tick>)>,
}

impl Known {
    /// The primaries that have it for certain, unless they hold something later.
    fn holders(&self, damaged: &[&Damaged]) -> usize {
        let lost_it = |node: &usize| {
            damaged.iter().any(|damaged| damaged.get(node).is_some_and(|it| self.is_lost_by(it)))
        };
        if self.is_unsure { 0 } else { self.primaries.iter().filter(|node| !lost_it(node)).count() }
    }

    /// Whether a node may lack it that acknowledged it and was damaged, and answers reads even so. One that was filled
    /// has what was acknowledged before; what was under way may have counted the copy that is gone.
    fn is_lost_by(&self, damage: &Damage) -> bool {
        let was_over = self.ended.is_some_and(|ended| ended < damage.at);
        damage.at >= self.begun && !(damage.harm == Harm::Lost && was_over)
    }

    /// The primaries that must have it, as far as nothing happened to their disks.
    pub(super) fn unharmed(&self) -> impl Iterator<Item = usize> {
        self.primaries.difference(&self.suffered).copied()
    }

    /// Whether it may be there.
    pub(super) fn may_be(&self) -> bool {
        self.fate != Fate::Nowhere
    }

    /// What it does to a counter.
    pub(super) fn amount(&self) -> i128 {
        match self.action {
            Action::Increment(amount) => amount.into(),
            Action::Decrement(amount) => -i128::from(amount),
            _ => 0,
        }
    }

    /// The element that it adds.
    pub(super) fn adds(&self) -> Option<&Bytes> {
        match &self.action {
            Action::Add(element) => Some(element),
            _ => None,
        }
    }

    /// The element that it removes.
    pub(super) fn removes(&self) -> Option<&Bytes> {
        match &self.action {
            Action::Remove(element) => Some(element),
            _ => None,
        }
    }

    /// The body that it gives a document.
    pub(super) fn puts(&self) -> Option<&Bytes> {
        match &self.action {
            Action::Put(body) => Some(body),
            _ => None,
        }
    }

    /// The value that it sets.
    pub(super) fn sets(&self) -> Option<&Bytes> {
        match &self.action {
            Action::Set(value) => value.as_ref(),
            _ => None,
        }
    }
}

impl Model {
    pub(super) fn tick(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    /// A client asks for a write.
    pub(super) fn begin(
        &mut self,
        request: RequestId,
        node: usize,
        (item, action): (ItemKey, Action),
        has_seen: bool,
        begun: Tick,
    ) {
        let number = self.writes.len();
        self.by_request.insert(request, number);
        self.by_item.entry(item.clone()).or_default().push(number);
        self.writes.push(Known {
            request,
            node,
            item,
            action,
            begun,
            ended: None,
            fate: Fate::Pending,
            primaries: BTreeSet::new(),
            needed: None,
            fallbacks: BTreeSet::new(),
            suffered: BTreeSet::new(),
            has_seen,
            is_unsure: false,
            stamp: None,
            versions: Vec::new(),
        });
    }

    pub(super) fn write(&self, request: RequestId) -> Option<&Known> {
        self.by_request.get(&request).map(|number| &self.writes[*number])
    }

    pub(super) fn write_mut(&mut self, request: RequestId) -> Option<&mut Known> {
        self.by_request.get(&request).map(|number| &mut self.writes[*number])
    }

    /// It was answered that these nodes have it: primaries, and fallbacks with those for whom they stand in.
    pub(super) fn acknowledge(
        &mut self,
        request: RequestId,
        primaries: BTreeSet<usize>,
        needed: Option<u32>,
        fallbacks: BTreeSet<(usize, usize)>,
        versions: Vec<VersionId>,
    ) {
        let ended = self.tick();
        let Some(&number) = self.by_request.get(&request) else { return };
        let known = &mut self.writes[number];
        (known.fate, known.ended) = (Fate::Acknowledged, Some(ended));
        (known.primaries, known.needed, known.fallbacks) = (primaries, needed, fallbacks);
        known.versions = versions;
        let hit = self.damages.iter().filter(|(_, at)| *at >= known.begun);
        known.suffered = hit.map(|(node, _)| *node).collect();
        known.is_unsure = known.primaries.is_subset(&known.suffered);
    }

    /// A node lost its disk, or a part of it.
    pub(super) fn damage(&mut self, node: usize, harm: Harm) {
        let at = self.tick();
        let before = self.damaged.clone();
        for known in self.writes.iter_mut().filter(|known| known.fate == Fate::Acknowledged) {
            known.suffer(node, at, &before);
        }
        self.damaged.insert(node, Damage { harm, at });
        self.damages.push((node, at));
        if harm == Harm::Unnoticed {
            self.spells.push((at, None));
        }
    }

    /// A node was filled, and says that it may not have all back.
    pub(super) fn filled_in_part(&mut self, node: usize) {
        let at = self.tick();
        if let Some(damage) = self.damaged.get_mut(&node) {
            damage.harm = Harm::Unnoticed;
            self.spells.push((at, None));
        }
    }

    /// It has back what the others hold.
    pub(super) fn mend(&mut self, node: usize) {
        let at = self.tick();
        self.damaged.remove(&node);
        if self.damaged.is_empty() {
            self.spells.iter_mut().for_each(|(_, ended)| *ended = ended.or(Some(at)));
        }
    }

    /// Whether a disk was damaged while a write was under way: it may have counted a copy that was gone.
    pub(super) fn was_struck_during(&self, known: &Known) -> bool {
        let ends = known.ended.unwrap_or(Tick::MAX);
        self.damages.iter().any(|(_, at)| (known.begun..=ends).contains(at))
    }

    /// Whether any node lacked something in this time and did not know it.
    pub(super) fn was_damaged_between(&self, from: Tick, to: Option<Tick>) -> bool {
        let ends = to.unwrap_or(Tick::MAX);
        self.spells.iter().any(|(begun, ended)| *begun <= ends && ended.is_none_or(|ended| ended >= from))
    }

    pub(super) fn begin_ring_change(&mut self) {
        let at = self.tick();
        self.changes.push((at, None));
    }

    pub(super) fn end_ring_change(&mut self) {
        let at = self.tick();
        self.changes.iter_mut().for_each(|(_, ended)| *ended = ended.or(Some(at)));
    }

    /// Whether the ring was changed since, or was just being changed.
    pub(super) fn was_moved_since(&self, from: Tick) -> bool {
        self.changes.iter().any(|(_, ended)| ended.is_none_or(|ended| ended >= from))
    }

    /// Whether a read that covers the states of so many primaries must show an acknowledged write, while these nodes
    /// were damaged. When the ring changes, what reached a quorum is handed on to the new owners, and nothing else.
    pub(super) fn is_met(&self, known: &Known, asked: usize, damaged: &[&Damaged]) -> bool {
        let holders = known.holders(damaged);
        if self.was_moved_since(known.begun) {
            let needed = known.needed.filter(|_| known.is_promised() && holders == known.primaries.len());
            return needed.is_some_and(|needed| asked >= needed as usize);
        }
        holders + asked > usize::from(REPLICAS)
    }

    /// Whether an acknowledged write may be lost for good.
    pub(super) fn is_forgiven(&self, known: &Known) -> bool {
        !known.is_promised() && (known.is_lost() || self.was_moved_since(known.begun))
    }

    pub(super) fn damaged(&self) -> &Damaged {
        &self.damaged
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &ItemKey> {
        self.by_item.keys()
    }

    pub(super) fn has_item(&self, item: &ItemKey) -> bool {
        self.by_item.contains_key(item)
    }

    /// The writes to a key, in the order in which they were begun.
    pub(super) fn writes_to(&self, item: &ItemKey) -> impl Iterator<Item = &Known> {
        self.by_item.get(item).into_iter().flatten().map(|number| &self.writes[*number])
    }

    /// The elements that were added last.
    pub(super) fn added_lately(&self, item: &ItemKey) -> Vec<Bytes> {
        let numbers = self.by_item.get(item).into_iter().flatten().rev();
        numbers.filter_map(|number| self.writes[*number].adds()).take(2).cloned().collect()
    }

    /// Register writes whose stamp nobody has seen.
    pub(super) fn unstamped(&mut self) -> impl Iterator<Item = &mut Known> {
        let open = |known: &&mut Known| {
            known.stamp.is_none() && known.sets().is_some() && known.fate == Fate::Pending
        };
        self.writes.iter_mut().rev().take(64).filter(open)
    }
}

impl Known {
    fn suffer(&mut self, node: usize, at: Tick, damaged: &Damaged) {
        if at < self.begun {
            return;
        }
        self.suffered.insert(node);
        let is_left =
            |other: &usize| *other != node && damaged.get(other).is_none_or(|it| it.at < self.begun);
        if self.primaries.contains(&node) && !self.primaries.iter().any(is_left) {
            self.is_unsure = true;
        }
    }

    /// Whether two primaries had it when it was acknowledged; while the ring changed, two of the old and of the new.
    pub(super) fn is_promised(&self) -> bool {
        self.needed.is_some_and(|needed| needed < u32::from(REPLICAS))
    }

    /// Whether the disk of each node was lost that had a copy, or to which a copy was brought home.
    fn is_lost(&self) -> bool {
        let is_lost = |node: &usize| self.suffered.contains(node);
        let fallback_is_lost = |(node, owner): &(usize, usize)| is_lost(node) || is_lost(owner);
        self.primaries.iter().all(is_lost) && self.fallbacks.iter().all(fallback_is_lost)
    }
}
