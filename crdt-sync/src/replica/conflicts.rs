//! Conflicts: which documents have more than one live version, when that changed, and what their rules make of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use conflict_store::{Document, Reading, SettleError};
use crdt_core::{Stamp, codec};
use replication_log::Lsn;

use super::{Config, ItemKey, Partition, Replica};
use crate::authorize::{Author, Op};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::{CollectionId, Kind, Strategy};
use crate::entry::{Delta, Entry};
use crate::rules::ShowError;
use crate::time::WallTime;

/// The documents of a partition that are in conflict. A change costs O(log conflicts), and one to a document that is
/// in none and comes into none O(its leaves).
///
/// Where the last writer wins, nobody has anything to resolve, so such collections have no conflicts.
#[derive(Debug, Default)]
pub(crate) struct Conflicts {
    /// The collections that can have conflicts, ascending.
    watched: Vec<CollectionId>,
    /// Documents with more than one live version, and how many they have.
    contested: BTreeMap<ItemKey, usize>,
    counts: BTreeMap<CollectionId, u64>,
    /// Contested documents that changed since somebody asked: how many live versions there were.
    changed: BTreeMap<ItemKey, (usize, Lsn)>,
}

/// A document that is in conflict, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) item: ItemKey,
    /// Live versions before; one also stands for none.
    pub(crate) before: usize,
    /// Live versions now; one also stands for none.
    pub(crate) now: usize,
    /// The record that made it so.
    pub(crate) lsn: Lsn,
}

/// A write that came too late to be seen: another one with a later stamp was there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostWrite {
    pub(crate) item: ItemKey,
    pub(crate) lost: Stamp,
    pub(crate) kept: Stamp,
    pub(crate) lsn: Lsn,
}

/// What became of documents whose rules were asked to end their conflicts.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Rules that failed.
    pub(crate) failed: Vec<(ItemKey, SettleError)>,
    /// Documents that had no room in one batch, or no clock to stamp it.
    pub(crate) left: Vec<ItemKey>,
}

impl Conflicts {
    pub(crate) fn of(config: &Config) -> Self {
        let watched = config.collections.iter().filter(|declared| {
            declared.kind == Kind::Document && declared.strategy != Strategy::LastWriterWins
        });
        let mut watched: Vec<_> = watched.map(crate::Collection::id).collect();
        watched.sort_unstable();
        Self { watched, ..Self::default() }
    }

    /// A key holds this from now on.
    pub(super) fn note(&mut self, key: &ItemKey, cell: &Cell, lsn: Lsn) {
        let Cell::Document(document) = cell else { return };
        if self.watched.binary_search(&key.collection).is_err() {
            return;
        }
        let now = document.live_leaves().count();
        let before = self.contested.get(key).copied().unwrap_or(1);
        if now <= 1 && before <= 1 {
            return;
        }
        self.changed.entry(key.clone()).or_insert((before, lsn)).1 = lsn;
        if now > 1 {
            self.contested.insert(key.clone(), now);
        } else {
            self.contested.remove(key);
        }
        let count = self.counts.entry(key.collection).or_default();
        *count = (*count + u64::from(now > 1)).saturating_sub(u64::from(before > 1));
        if *count == 0 {
            self.counts.remove(&key.collection);
        }
    }

    /// How many documents of each collection are in conflict, ascending by collection.
    pub(crate) fn counts(&self) -> Vec<(CollectionId, u64)> {
        self.counts.iter().map(|(collection, count)| (*collection, *count)).collect()
    }

    /// What changed since this was asked last.
    pub(super) fn take_turns(&mut self) -> impl Iterator<Item = Turn> {
        mem::take(&mut self.changed).into_iter().map(|(item, (before, lsn))| {
            let now = self.contested.get(&item).copied().unwrap_or(1);
            Turn { item, before, now, lsn }
        })
    }
}

impl Replica {
    /// The documents whose conflicts began, grew, shrank or ended since this was asked last.
    pub(crate) fn take_turns(&mut self) -> Vec<Turn> {
        // It is asked after every input, of all partitions.
        let changed = |partition: &&mut Partition| !partition.cells.conflicts.changed.is_empty();
        let partitions = self.partitions.iter_mut().filter(changed);
        partitions.flat_map(|partition| partition.cells.conflicts.take_turns()).collect()
    }

    /// After a restart nothing is news: conflicts are there as they were.
    pub(super) fn forget_turns(&mut self) {
        for partition in &mut self.partitions {
            partition.cells.conflicts.changed.clear();
        }
    }

    /// All documents in conflict in these collections.
    pub(crate) fn contested(&self, collections: &[CollectionId]) -> Vec<ItemKey> {
        let all = self.partitions.iter().flat_map(|partition| partition.cells.conflicts.contested.keys());
        all.filter(|item| collections.contains(&item.collection)).cloned().collect()
    }

    /// The writes that lost since this was asked last.
    pub(crate) fn take_lost_writes(&mut self) -> Vec<LostWrite> {
        mem::take(&mut self.lost_writes)
    }

    /// Notes that an entry that was just applied came too late to be seen.
    ///
    /// Only this node's own writes are looked at as the ones that win. Their writer had not seen the entry, for it
    /// arrives only now; of any other value one cannot tell whether it was written in ignorance of the entry, or
    /// overwrote it and was faster. Every lost write is thus told by the node whose write beat it.
    pub(super) fn note_lost_write(&mut self, number: u16, item: ItemKey, lost: Stamp, lsn: Lsn) {
        let held = self.partition(number).cells.get(&item).map(|held| &held.cell);
        let kept = match held {
            Some(Cell::Register(register)) => register.stamp(),
            Some(Cell::Document(document)) if is_beside_others(document, lost) => {
                document.leaves().iter().filter_map(conflict_store::Version::stamp).max()
            }
            _ => None,
        };
        if let Some(kept) = kept.filter(|kept| kept.replica == self.id && *kept > lost) {
            self.lost_writes.push(LostWrite { item, lost, kept, lsn });
        }
    }

    /// A document as its collection's rule shows it, and the record that what is shown rests on.
    pub(crate) fn show(&self, item: &ItemKey) -> Result<(Reading<Bytes>, Option<Lsn>), ShowError> {
        let collection = item.collection;
        let declared = self.registry.get(collection).ok_or(ShowError::UnknownCollection { collection })?;
        let number = self.partition_of(collection, &item.key);
        // Every declared collection has its rule, or the node would not have opened.
        let rule = self.config.rules.of(&declared.strategy);
        match (declared.kind, self.partition(number).cells.get(item), rule) {
            (Kind::Document, None, _) => Ok((Reading::default(), None)),
            (Kind::Document, Some(held), Some(rule)) => match &held.cell {
                Cell::Document(document) => Ok((document.read(&item.key, rule)?, Some(held.lsn))),
                _ => Ok((Reading::default(), None)),
            },
            (kind, ..) => Err(ShowError::WrongKind { kind }),
        }
    }

    /// Writes what their rules make of these documents, in one batch.
    ///
    /// The ids of such versions derive from the versions superseded, the rule's name and the result, so that nodes
    /// that do this at the same time write one version.
    pub(crate) fn settle(&mut self, items: Vec<ItemKey>, wall: WallTime) -> Settled {
        let mut settled = Settled::default();
        let mut clock = self.clock.clone();
        let (mut cells, mut runs) = (BTreeMap::new(), BTreeMap::<u16, Vec<Bytes>>::new());
        let mut bytes = 0;
        for item in items {
            let number = self.partition_of(item.collection, &item.key);
            let document = match self.settled(number, &item) {
                Ok(Some(written)) => written,
                Ok(None) => continue,
                Err(error) => {
                    settled.failed.push((item, error));
                    continue;
                }
            };
            let (Ok(stamp), true) = (clock.now(wall), bytes < self.config.limits.max_batch / 2) else {
                settled.left.push(item);
                continue;
            };
            let (document, delta) = document;
            let delta = Delta::Document(delta.encode_for_key(&item.key).into());
            let entry = Entry { stamp, collection: item.collection, key: item.key.clone(), delta };
            let encoded = Bytes::from(codec::encode_payload(&entry));
            bytes += encoded.len();
            runs.entry(number).or_default().push(encoded);
            cells.insert((number, item), Cell::Document(document));
        }
        self.clock = clock;
        self.commit(cells, runs, Vec::new());
        settled
    }

    /// The document with what its rule makes of it, and the version that says so; `None` when there is nothing to
    /// write, or this node may not.
    fn settled(&self, number: u16, item: &ItemKey) -> Result<Option<Pair>, SettleError> {
        let op = Op::Write { key: &item.key, author: Author::Sender };
        let rule = self.registry.get(item.collection).and_then(|c| self.config.rules.of(&c.strategy));
        let held = self.partition(number).cells.get(item).map(|held| &held.cell);
        let may = self.config.authorization.allows(self.config.node, item.collection, op);
        let (Some(Cell::Document(document)), Some(rule), true) = (held, rule, may) else {
            return Ok(None);
        };
        let mut document = document.clone();
        let written = document.settle(&item.key, rule)?;
        // What is too large for a write stays a conflict, to be read by the rule.
        let fits = |(_, delta): &(_, Document<Bytes>)| {
            let mut bodies = delta.live_leaves().filter_map(|version| version.body());
            bodies.all(|body| body.len() <= self.config.limits.max_value)
        };
        Ok(written.filter(fits).map(|(_, delta)| (document, delta)))
    }

    /// How often in a row rules have written what is in conflict now: no more than eight are counted.
    pub(crate) fn rounds_of_rules(&self, item: &ItemKey) -> u32 {
        let number = self.partition_of(item.collection, &item.key);
        let Some(Cell::Document(document)) = self.partition(number).cells.get(item).map(|held| &held.cell)
        else {
            return 0;
        };
        let rounds = |version: &conflict_store::Version<Bytes>| {
            let mut rounds = 0;
            let mut at = Some(version);
            while let Some(version) = at.filter(|version| version.rule().is_some() && rounds < 8) {
                rounds += 1;
                at = version.parent().and_then(|parent| document.get(parent));
            }
            rounds
        };
        document.live_leaves().map(rounds).max().unwrap_or(0)
    }
}

type Pair = (Document<Bytes>, Document<Bytes>);

/// Whether the version with this stamp is current, and not alone.
fn is_beside_others(document: &Document<Bytes>, stamp: Stamp) -> bool {
    document.leaves().len() > 1 && document.leaves().iter().any(|leaf| leaf.stamp() == Some(stamp))
}

impl Partition {
    /// The counts made anew, to compare with the ones that were kept.
    #[cfg(test)]
    pub(crate) fn count_conflicts(&self) -> Vec<(CollectionId, u64)> {
        let mut counts = BTreeMap::new();
        for (item, held) in self.cells.iter() {
            if let Cell::Document(document) = &held.cell
                && self.cells.conflicts.watched.contains(&item.collection)
                && document.live_leaves().count() > 1
            {
                *counts.entry(item.collection).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }
}
