//! A log that all nodes share: records wait here until they are committed, and are applied then.
//!
//! Where one node leads, its log is everybody's, and the cells of every node are what the committed records of that log
//! make. A record is in the log first and takes effect later: at the node that leads as at those that follow, by the
//! same replay. So nobody is shown what a change of leaders may take back, and what was cut off the log needs no
//! undoing. The node that leads writes on top of what waits: what the records behind the last applied one will make of
//! the cells they touch is kept as a *draft* beside them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crdt_core::{CausalContext, Dot, Hlc, HlcClock, ReplicaId, codec};
use replication_log::{Epoch, Lsn};
use serde::{Deserialize, Serialize};

use super::{ItemKey, JournalRecord, RecoverError, Replica, Replication, STORED, Written};
use crate::bytes::Bytes;
use crate::cell::{self, Cell};
use crate::collection::{CollectionId, Kind};
use crate::entry::{Entry, Position};
use crate::node::NodeId;
use crate::time::WallTime;
use crate::wire::{LogEnd, Run};
use conflict_store::VersionId;

/// What must be the same wherever a shared log is opened: its first record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SharedFounding {
    pub(crate) cluster_check: [u8; 8],
    pub(crate) partitions: u16,
    pub(crate) collections: Vec<CollectionId>,
}

/// From here on a node leads: its first record under an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reign {
    pub(crate) epoch: u64,
    pub(crate) leader: NodeId,
    /// The identity under which everything is written while it lasts.
    pub(crate) writer: ReplicaId,
    /// The record that says so.
    pub(crate) first: u64,
}

/// The reigns that are remembered: of older ones it is not known any more which of them wrote a record.
const MAX_REIGNS: usize = 1 << 10;

/// The records of a shared log that are not applied, and what they will make.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The last record whose effect can be seen.
    applied: Lsn,
    records: VecDeque<Waiting>,
    bytes: usize,
    /// At the node that leads.
    drafted: Option<Drafted>,
    /// Of the applied records, ascending.
    reigns: Vec<Reign>,
    /// What is not applied yet, but known to be committed once.
    noted: Lsn,
}

#[derive(Debug)]
struct Waiting {
    lsn: Lsn,
    record: JournalRecord,
    bytes: usize,
}

/// What cells and histories will be when everything that waits is applied.
#[derive(Debug, Default)]
struct Drafted {
    cells: BTreeMap<(u16, ItemKey), (Cell, Lsn)>,
    /// The last position of the present writer in each partition; once that is applied it is that of the history, too.
    heads: BTreeMap<u16, Position>,
    /// Whose draft each record changed last.
    touched: BTreeMap<Lsn, Vec<(u16, ItemKey)>>,
}

impl Drafted {
    fn put(&mut self, slot: (u16, ItemKey), cell: Cell, lsn: Lsn) {
        self.touched.entry(lsn).or_default().push(slot.clone());
        self.cells.insert(slot, (cell, lsn));
    }

    /// Drops what is in the cells by now.
    fn applied(&mut self, lsn: Lsn) {
        for slot in self.touched.remove(&lsn).unwrap_or_default() {
            if self.cells.get(&slot).is_some_and(|(_, last)| *last == lsn) {
                self.cells.remove(&slot);
            }
        }
    }
}

impl Replica {
    /// Whether the log of this node is a copy of one that the cluster shares.
    pub(crate) fn shares_log(&self) -> bool {
        matches!(self.config.replication, Replication::SingleLeader(_))
    }

    /// The last record whose effect can be seen.
    pub(crate) fn applied(&self) -> Lsn {
        self.pending.as_ref().map_or_else(|| self.journal.last(), |pending| pending.applied)
    }

    /// Bytes of records that wait to be committed.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.bytes)
    }

    /// Bytes of the records behind one up to another that are not applied. O(records).
    pub(crate) fn bytes_between(&self, after: Lsn, through: Lsn) -> usize {
        let Some(pending) = &self.pending else { return 0 };
        let from = pending.records.partition_point(|waiting| waiting.lsn <= after);
        let records = pending.records.range(from..).take_while(|waiting| waiting.lsn <= through);
        records.map(|waiting| waiting.bytes).sum()
    }

    /// Whether the log has the record of this number and epoch, or may have it yet: it is lost for good once a later
    /// epoch begins before it. O(waiting, and reigns).
    pub(crate) fn may_have(&self, epoch: Epoch, lsn: Lsn) -> bool {
        self.reigns().find(|reign| reign.epoch > epoch.get()).is_none_or(|next| lsn.get() < next.first)
    }

    /// Whether what is written here is everybody's.
    pub(crate) fn is_drafting(&self) -> bool {
        self.pending.as_ref().is_none_or(|pending| pending.drafted.is_some())
    }

    /// The reigns of the log, applied or not, the oldest first. O(waiting).
    pub(crate) fn reigns(&self) -> impl DoubleEndedIterator<Item = Reign> + '_ {
        self.pending.iter().flat_map(|pending| {
            let waiting = pending.records.iter().filter_map(|waiting| match waiting.record {
                JournalRecord::Reign(reign) => Some(reign),
                _ => None,
            });
            pending.reigns.iter().copied().chain(waiting)
        })
    }

    /// Where the log ends, durable or not: the epoch of its last record, and its number.
    pub(crate) fn end_of_log(&self) -> LogEnd {
        // Every epoch begins with a record that says so.
        let epoch = self.reigns().next_back().map_or(0, |reign| reign.epoch);
        LogEnd { epoch, lsn: self.journal.last().get() }
    }

    /// Where the part of the log ends that goes up to a record.
    pub(crate) fn end_at(&self, lsn: Lsn) -> LogEnd {
        let lsn = lsn.min(self.journal.last()).get();
        let epoch = self.reigns().rev().find(|reign| reign.first <= lsn).map_or(0, |reign| reign.epoch);
        LogEnd { epoch, lsn }
    }

    /// The record that says who leads now; the last applied one where that is long ago.
    pub(crate) fn reign_lsn(&self) -> Lsn {
        self.reigns().next_back().map_or(Lsn::ZERO, |reign| Lsn::new(reign.first))
    }

    /// The epoch under which an applied record was written; `None` if it is not applied, or too old to know.
    pub(crate) fn epoch_of(&self, lsn: Lsn) -> Option<Epoch> {
        let pending = self.pending.as_ref().filter(|pending| lsn <= pending.applied)?;
        let before = pending.reigns.partition_point(|reign| reign.first <= lsn.get());
        pending.reigns.get(before.checked_sub(1)?).map(|reign| Epoch::new(reign.epoch))
    }

    /// Founds the log that the cluster is going to share.
    pub(crate) fn found_shared(&mut self) {
        let founding = self.shared_founding();
        self.stage(JournalRecord::SharedFounded(founding));
    }

    /// This node leads from now on, under this epoch. What is behind the applied records becomes drafts.
    pub(crate) fn begin_reign(&mut self, epoch: Epoch) -> Reign {
        let mut random = [0; 16];
        rand_core::Rng::fill_bytes(&mut self.rng, &mut random);
        let writer = ReplicaId::from_random_bytes(random);
        let first = self.journal.upcoming().get();
        let reign = Reign { epoch: epoch.get(), leader: self.config.node, writer, first };
        self.stage(JournalRecord::Reign(reign));
        self.journal.write_under(epoch);
        self.id = writer;
        self.draft_what_waits();
        reign
    }

    /// This node does not lead any longer.
    pub(crate) fn stop_drafting(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.drafted = None;
        }
    }

    /// Says in the log how far it is committed, so that a node that is opened again need not ask.
    pub(crate) fn note_committed(&mut self, committed: Lsn) {
        if self.pending.as_ref().is_some_and(|pending| committed > pending.noted) {
            self.stage(JournalRecord::Committed(committed.get()));
        }
    }

    /// Takes a record that the log has, or is about to have.
    pub(crate) fn take_record(&mut self, lsn: Lsn, record: JournalRecord, bytes: usize) {
        let Some(pending) = &mut self.pending else { return };
        if let JournalRecord::Committed(committed) = record {
            pending.noted = pending.noted.max(Lsn::new(committed));
        }
        pending.bytes += bytes;
        pending.records.push_back(Waiting { lsn, record, bytes });
    }

    /// The last record that is known to be committed from the log alone.
    pub(crate) fn noted_commit(&self) -> Lsn {
        self.pending.as_ref().map_or(Lsn::ZERO, |pending| pending.noted)
    }

    /// Applies everything up to a record. Returns whether there was anything. An error says that the log contradicts
    /// itself: this node can go no further.
    pub(crate) fn apply_through(&mut self, lsn: Lsn, wall: WallTime) -> Result<bool, RecoverError> {
        let before = self.applied();
        while let Some(pending) = &mut self.pending
            && pending.records.front().is_some_and(|waiting| waiting.lsn <= lsn)
        {
            let Some(Waiting { lsn, record, bytes }) = pending.records.pop_front() else { break };
            pending.bytes -= bytes;
            self.replay(record, lsn, lsn == Lsn::FIRST, wall)?;
            if let Some(pending) = &mut self.pending {
                pending.applied = lsn;
                if let Some(drafted) = &mut pending.drafted {
                    drafted.applied(lsn);
                }
            }
        }
        Ok(self.applied() > before)
    }

    /// Forgets the records behind one, which were cut off the log. None of them is applied.
    pub(crate) fn cut_pending(&mut self, lsn: Lsn) {
        let Some(pending) = &mut self.pending else { return };
        while pending.records.back().is_some_and(|waiting| waiting.lsn > lsn) {
            pending.bytes -= pending.records.pop_back().map_or(0, |waiting| waiting.bytes);
        }
        pending.drafted = None;
        self.journal.follow(lsn);
    }

    /// A reign is applied, or loaded from a checkpoint.
    pub(super) fn replay_reign(&mut self, reign: Reign) {
        let Some(pending) = &mut self.pending else { return };
        if pending.drafted.is_none() {
            self.id = reign.writer;
        }
        if pending.reigns.len() == MAX_REIGNS {
            pending.reigns.remove(0);
        }
        pending.reigns.push(reign);
    }

    /// The first records of a checkpoint of a shared log.
    pub(super) fn records_of_shared_head(&self) -> Vec<JournalRecord> {
        let founded = JournalRecord::SharedFounded(self.shared_founding());
        let reigns = self.pending.iter().flat_map(|pending| &pending.reigns);
        core::iter::once(founded).chain(reigns.copied().map(JournalRecord::Reign)).collect()
    }

    /// A checkpoint was loaded: it has everything up to this record.
    pub(crate) fn restore_applied(&mut self, lsn: Lsn) {
        if let Some(pending) = &mut self.pending {
            pending.applied = lsn;
        }
    }

    pub(super) fn shared_founding(&self) -> SharedFounding {
        SharedFounding {
            cluster_check: self.config.cluster.check(),
            partitions: self.config.partitions,
            collections: self.registry.ids(),
        }
    }

    /// The cell of a key as a copy to change, with everything that was written to it.
    pub(super) fn cell_to_change(&self, number: u16, key: &ItemKey, kind: Kind) -> Cell {
        let drafted = self.pending.as_ref().and_then(|pending| pending.drafted.as_ref());
        let draft = drafted.and_then(|drafted| drafted.cells.get(&(number, key.clone())));
        draft.map_or_else(|| self.partition(number).cell_or_vacant(key, kind), |(cell, _)| cell.clone())
    }

    /// The position behind everything that was written under the present identity.
    pub(super) fn head_to_follow(&self, number: u16) -> Position {
        let drafted = self.pending.as_ref().and_then(|pending| pending.drafted.as_ref());
        let draft = drafted.and_then(|drafted| drafted.heads.get(&number));
        draft.copied().unwrap_or_else(|| self.partition(number).histories.head(self.id))
    }

    /// Puts a command's writes into the log. They take effect when they are committed.
    pub(super) fn draft(
        &mut self,
        cells: BTreeMap<(u16, ItemKey), Cell>,
        runs: BTreeMap<u16, Vec<Bytes>>,
        versions: Vec<VersionId>,
    ) -> Written {
        let mut lsns = BTreeMap::new();
        for (number, entries) in runs {
            let (after, origin) = (self.head_to_follow(number), self.id);
            let chained = |chain: crate::entry::Chain, entry: &Bytes| chain.then(origin, number, entry);
            let chain = entries.iter().fold(after.chain, chained);
            let head = Position { sequence: after.sequence + entries.len() as u64, chain };
            let run = Run { partition: number, origin, after, entries, chain };
            let lsn = self.stage(JournalRecord::Entries(run));
            if let Some(drafted) = self.drafted() {
                drafted.heads.insert(number, head);
            }
            lsns.insert(number, lsn);
        }
        for ((number, key), cell) in cells {
            if let Some(&lsn) = lsns.get(&number)
                && let Some(drafted) = self.drafted()
            {
                drafted.put((number, key), cell, lsn);
            }
        }
        Written { lsn: lsns.into_values().max().unwrap_or_default(), versions }
    }

    fn stage(&mut self, record: JournalRecord) -> Lsn {
        let (lsn, bytes) = self.journal.append_measured(&record);
        self.take_record(lsn, record, bytes);
        lsn
    }

    fn drafted(&mut self) -> Option<&mut Drafted> {
        self.pending.as_mut()?.drafted.as_mut()
    }

    /// Makes drafts of what waits: of the cells as the records will leave them, and of the present writer's heads.
    fn draft_what_waits(&mut self) {
        let Some(pending) = &self.pending else { return };
        let (mut drafted, mut latest) = (Drafted::default(), self.clock.last());
        for Waiting { lsn, record, .. } in &pending.records {
            let JournalRecord::Entries(run) = record else { continue };
            for (sequence, bytes) in (run.after.sequence + 1..).zip(&run.entries) {
                latest = latest.max(self.draft_entry(&mut drafted, (run, sequence), bytes, *lsn));
            }
            if run.origin == self.id {
                let sequence = run.after.sequence + run.entries.len() as u64;
                drafted.heads.insert(run.partition, Position { sequence, chain: run.chain });
            }
        }
        // What is written on top is later than all of it, whatever the clock shows now.
        self.clock = HlcClock::resume(latest, self.config.timing.max_drift);
        if let Some(pending) = &mut self.pending {
            pending.drafted = Some(drafted);
        }
    }

    /// Returns the entry's stamp. What cannot be read here cannot be applied either, and is told then.
    fn draft_entry(
        &self,
        drafted: &mut Drafted,
        (run, sequence): (&Run, u64),
        bytes: &Bytes,
        lsn: Lsn,
    ) -> Hlc {
        let Some((stamp, slot, kind, (delta, seen))) = self.effect_of(run, sequence, bytes) else {
            return Hlc::default();
        };
        if usize::from(slot.0) >= self.partitions.len() {
            return Hlc::default();
        }
        let mut cell = drafted
            .cells
            .get(&slot)
            .map_or_else(|| self.partition(slot.0).cell_or_vacant(&slot.1, kind), |(cell, _)| cell.clone());
        // What an entry carries is new to every cell, and what it supersedes it names: whether the context has the dots
        // of the drafts, too, makes no difference.
        let _ = cell.join(&self.partition(slot.0).context, &delta, &seen);
        cell.stem(self.config.limits.max_revisions);
        drafted.put(slot, cell, lsn);
        stamp
    }

    #[expect(clippy::type_complexity, reason = "where, what, and how it changes that")]
    fn effect_of(
        &self,
        run: &Run,
        sequence: u64,
        bytes: &Bytes,
    ) -> Option<(Hlc, (u16, ItemKey), Kind, (Cell, CausalContext))> {
        let entry: Entry = codec::decode_payload(bytes, &STORED).ok()?;
        let kind = self.kind_of(entry.collection).ok()?;
        let effect = cell::effect_of(&entry, kind, Dot::new(run.origin, sequence)?, &STORED).ok()?;
        Some((
            entry.stamp,
            (run.partition, ItemKey { collection: entry.collection, key: entry.key }),
            kind,
            effect,
        ))
    }
}
