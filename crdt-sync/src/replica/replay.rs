//! From the journal back to the replica it was.

use alloc::string::String;
use alloc::vec::Vec;

use crdt_core::codec::{self, DecodeError};
use crdt_core::{Dot, Hlc, HlcClock, ReplicaId, WallTime};
use replication_log::Lsn;
use thiserror::Error;

use super::deletions::TimeNotes;
use super::journal::{Founding, JournalRecord};
use super::pending::SharedFounding;
use super::{Config, Partition, Replica, Replication};
use crate::bytes::Bytes;
use crate::cell::{self, CellError};
use crate::checkpoint::{self, RestoreError};
use crate::collection::Registry;
use crate::entry::Entry;
use crate::failover;
use crate::limits::TimingError;
use crate::merkle::TreeError;
use crate::node::NodeId;
use crate::rules::RuleError;
use crate::wire::{MergedState, Run};

/// What was admitted once is read back whatever the limits are now; the log's own bounds hold it in check.
pub(crate) const STORED: crdt_core::Limits =
    crdt_core::Limits { max_bytes: 64 << 20, max_elements: 64 << 20, ..crdt_core::Limits::DEFAULT };

/// Why a node cannot start from its log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Two collections of the configuration have one name.
    #[error("the collection \"{name}\" is declared twice")]
    DeclaredTwice {
        /// The name.
        name: String,
    },
    /// The rules do not fit the collections.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// The spans of the configuration contradict each other.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// The rules of failover contradict each other.
    #[error(transparent)]
    Failover(#[from] failover::ConfigError),
    /// There must be at least one partition.
    #[error("a node needs at least one partition")]
    NoPartitions,
    /// The configured tree size does not exist.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The log was written by another node.
    #[error("the log belongs to another node; nothing was changed")]
    OtherNode,
    /// The log was written in another cluster.
    #[error("the log belongs to another cluster; nothing was changed")]
    OtherCluster,
    /// The log was written with another number of partitions.
    #[error(
        "the log divides keys into {logged} partitions, the configuration into {configured}; nothing was changed"
    )]
    OtherPartitions {
        /// The number in the log.
        logged: u16,
        /// The number in the configuration.
        configured: u16,
    },
    /// The log was written with other collections, or with other strategies for them.
    #[error(
        "the log was written with other collections or strategies than the ones configured; nothing was changed"
    )]
    OtherCollections,
    /// The log was written by a node that holds another part of the data.
    #[error("the log was written with another scope than the one configured; nothing was changed")]
    OtherScope,
    /// The log is that of a node of another topology.
    #[error("the log was written in a cluster of another topology; nothing was changed")]
    OtherReplication,
    /// A node of a cluster that shares a log holds all of it.
    #[error("a node that follows a leader holds everything; its scope cannot be a part of it")]
    PartOfSharedLog,
    /// The first record does not say what the log belongs to.
    #[error("the log does not start with the founding of a node")]
    NotFounded,
    /// A record passed the log's checksum and is not a record all the same.
    #[error("record {lsn} of the log is malformed: {cause}")]
    Malformed {
        /// Which record.
        lsn: Lsn,
        /// What is wrong with it.
        cause: DecodeError,
    },
    /// A record contradicts the ones before it.
    #[error("record {lsn} of the log does not follow from what is before it")]
    OutOfOrder {
        /// Which record.
        lsn: Lsn,
    },
    /// A record holds a state of another kind, or of no kind.
    #[error("record {lsn} of the log: {cause}")]
    Cell {
        /// Which record.
        lsn: Lsn,
        /// What is wrong with it.
        cause: CellError,
    },
    /// The checkpoint cannot be loaded. An older one may do, or the whole log.
    #[error(transparent)]
    Checkpoint(#[from] RestoreError),
    /// Records between the checkpoint and the rest of the log are gone: the two together are not the whole past.
    #[error(
        "the checkpoint stands for record {checkpoint}, the log goes on with record {first}: what is between is gone"
    )]
    Gap {
        /// The record the checkpoint stands for.
        checkpoint: Lsn,
        /// The first record behind it that there is.
        first: Lsn,
    },
    /// The log ends before the record the checkpoint stands for: it lost what was durable.
    #[error("the checkpoint stands for record {checkpoint}, the log ends with record {last}")]
    LogTooShort {
        /// The record the checkpoint stands for.
        checkpoint: Lsn,
        /// The last record of the log.
        last: Lsn,
    },
}

impl Replica {
    /// Rebuilds the replica from the records of its log, oldest first; an empty log founds a new one.
    pub(crate) fn recover<R: AsRef<[u8]>>(
        config: Config,
        records: impl IntoIterator<Item = (Lsn, R)>,
        wall: WallTime,
    ) -> Result<Self, RecoverError> {
        let mut replica = Self::empty(config)?;
        replica.replay_after(Lsn::ZERO, records, wall)?;
        // A log that is shared is founded by one node, and sent to the others.
        if replica.journal.last() == Lsn::ZERO && !replica.shares_log() {
            replica.found();
        }
        Ok(replica)
    }

    /// Rebuilds the replica from a checkpoint and the records behind it. Records that the checkpoint has may be
    /// among them; they are passed over unread.
    pub(crate) fn recover_from<C: AsRef<[u8]>, R: AsRef<[u8]>>(
        config: Config,
        checkpoint: impl IntoIterator<Item = C>,
        records: impl IntoIterator<Item = (Lsn, R)>,
        wall: WallTime,
    ) -> Result<Self, RecoverError> {
        let (mut replica, base) = checkpoint::load(config, checkpoint, wall)?;
        replica.restore_applied(base);
        replica.replay_after(base, records, wall)?;
        Ok(replica)
    }

    /// A replica that holds nothing, and has no identity yet.
    pub(crate) fn empty(config: Config) -> Result<Self, RecoverError> {
        let registry =
            Registry::new(&config.collections).map_err(|name| RecoverError::DeclaredTwice { name })?;
        config.rules.check(&config.collections)?;
        config.timing.check()?;
        if let Replication::SingleLeader(settings) = &config.replication
            && let Some(failover) = settings.failover_of(config.node)
        {
            failover.check(config.node)?;
        }
        if config.partitions == 0 {
            return Err(RecoverError::NoPartitions);
        }
        if matches!(config.replication, Replication::SingleLeader(_)) && !config.scope.is_everything() {
            return Err(RecoverError::PartOfSharedLog);
        }
        Ok(Self::unfounded(config, registry)?)
    }

    /// Replays the records behind `base`, up to which this replica is.
    fn replay_after<R: AsRef<[u8]>>(
        &mut self,
        base: Lsn,
        records: impl IntoIterator<Item = (Lsn, R)>,
        wall: WallTime,
    ) -> Result<(), RecoverError> {
        let (mut last, mut seen) = (base, None);
        for (lsn, bytes) in records {
            seen = Some(lsn);
            if lsn <= base {
                continue;
            }
            if last == base && base != Lsn::ZERO && lsn.get() > base.get() + 1 {
                return Err(RecoverError::Gap { checkpoint: base, first: lsn });
            }
            let record = codec::decode_payload(bytes.as_ref(), &STORED)
                .map_err(|cause| RecoverError::Malformed { lsn, cause })?;
            if self.shares_log() {
                if lsn == Lsn::FIRST {
                    // What is not committed is not replayed yet, and may be all there is.
                    self.check_first(&record)?;
                }
                self.take_record(lsn, record, bytes.as_ref().len());
            } else {
                self.replay(record, lsn, last == Lsn::ZERO, wall)?;
            }
            last = lsn;
        }
        self.apply_through(self.noted_commit(), wall)?;
        match seen {
            Some(seen) if seen < base => Err(RecoverError::LogTooShort { checkpoint: base, last: seen }),
            _ => {
                self.journal = super::Journal::after(last);
                self.forget_turns();
                Ok(())
            }
        }
    }

    /// The records that make, on an empty replica, what a checkpoint tells nowhere else: everything but partitions,
    /// hints and clocks. The first is the founding, and every one holds for whatever comes after it.
    pub(crate) fn records_of_head(&self) -> Vec<JournalRecord> {
        if self.shares_log() {
            return self.records_of_shared_head();
        }
        let mut records = Vec::from([JournalRecord::Founded(self.founding())]);
        let own = self.partitions.first().into_iter().flat_map(|first| first.histories.own_of_partial());
        records.extend(own.filter(|id| *id != self.id).map(JournalRecord::Identity));
        records.push(JournalRecord::Identity(self.id));
        records.push(JournalRecord::Members(self.members.membership().clone()));
        records.extend(self.partitions.iter().flat_map(Partition::records_of_head));
        records.extend(self.records_of_missed());
        records.extend(self.time_notes.record());
        records.extend(self.record_of_layout());
        records.extend(self.record_of_unfilled());
        records
    }

    /// Whether no record has given this replica an identity yet.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.id == ReplicaId::from_u128(0)
    }

    /// The last stamp that was given out, and the last one given out or taken note of.
    pub(crate) fn stamps(&self) -> (Hlc, Hlc) {
        (self.issued, self.clock.last())
    }

    /// Takes both over from a checkpoint: the first in any case, the second as if it arrived now.
    pub(crate) fn restore_stamps(&mut self, issued: Hlc, noted: Hlc, wall: WallTime) {
        self.issued = issued;
        self.clock = HlcClock::resume(issued, self.config.timing.max_drift);
        self.clock.observe(noted, wall);
    }

    fn found(&mut self) {
        self.journal.append(&JournalRecord::Founded(self.founding()));
        self.renew_identity();
    }

    fn founding(&self) -> Founding {
        Founding {
            node: self.config.node,
            cluster_check: self.config.cluster.check(),
            partitions: self.config.partitions,
            collections: self.registry.ids(),
            scope: self.config.scope.clone(),
        }
    }

    pub(crate) fn replay(
        &mut self,
        record: JournalRecord,
        lsn: Lsn,
        first: bool,
        wall: WallTime,
    ) -> Result<(), RecoverError> {
        match record {
            _ if first => self.check_first(&record),
            JournalRecord::Founded(_) | JournalRecord::SharedFounded(_) => {
                Err(RecoverError::OutOfOrder { lsn })
            }
            JournalRecord::Reign(reign) => {
                self.replay_reign(reign);
                Ok(())
            }
            JournalRecord::Committed(_) => Ok(()),
            JournalRecord::Identity(id) => {
                self.write_under(id, lsn);
                Ok(())
            }
            JournalRecord::Entries(run) => self.replay_run(&run, lsn, wall),
            JournalRecord::Excerpt(excerpt) => self.replay_excerpt(&excerpt, lsn, wall),
            JournalRecord::StateMerge(merged) => self.replay_state(&merged, lsn, wall),
            JournalRecord::FrontierRaised { partition, standing } => {
                self.checked(partition, lsn)?;
                self.partition_mut(partition).raise(&standing);
                Ok(())
            }
            JournalRecord::Ahead { partition, since, bounds } => {
                self.checked(partition, lsn)?;
                let partition = self.partition_mut(partition);
                partition.ahead.note(bounds, Lsn::new(since), &partition.histories);
                Ok(())
            }
            JournalRecord::Collected { partition, documents } => {
                self.checked(partition, lsn)?;
                self.partition_mut(partition).forget(&documents, lsn);
                Ok(())
            }
            JournalRecord::Members(known) => {
                self.replay_members(&known);
                Ok(())
            }
            JournalRecord::ForksKnown { partition, known } => {
                self.checked(partition, lsn)?;
                let partition = self.partition_mut(partition);
                let news = partition.forks.learn(&known);
                partition.clamp_all(&news.ceilings, lsn);
                Ok(())
            }
            JournalRecord::Split(split) => {
                self.checked(split.run.partition, lsn)?;
                let divided = self.partition_mut(split.run.partition).split(&split, lsn);
                divided.map(|_| ()).map_err(|_| RecoverError::OutOfOrder { lsn })
            }
            JournalRecord::HintKept(kept) => self.replay_kept_hint(&kept, lsn),
            JournalRecord::HintHeld(held) => self.replay_held_hint(&held, lsn),
            JournalRecord::HintsSettled { owner, hints } => {
                self.replay_settled_hints(owner, &hints);
                Ok(())
            }
            JournalRecord::HintsDiscarded { owner } => {
                self.hints.discard(owner);
                Ok(())
            }
            JournalRecord::HintsMissed { owner, partition, missed } => {
                self.checked(partition, lsn)?;
                self.replay_missed(owner, partition, missed);
                Ok(())
            }
            JournalRecord::Dropped { partition } => {
                self.checked(partition, lsn)?;
                self.empty_partition(partition, lsn);
                Ok(())
            }
            JournalRecord::Layout(layout) => {
                self.replay_layout(layout, lsn);
                Ok(())
            }
            JournalRecord::Unfilled(spans) => {
                self.replay_unfilled(&spans).then_some(()).ok_or(RecoverError::OutOfOrder { lsn })
            }
            JournalRecord::Filled { partition } => {
                self.checked(partition, lsn)?;
                self.replay_filled(partition);
                Ok(())
            }
            JournalRecord::TimeNoted(noted) => {
                self.time_notes = TimeNotes::of(&noted).ok_or(RecoverError::OutOfOrder { lsn })?;
                Ok(())
            }
        }
    }

    fn check_founding(&self, logged: &Founding) -> Result<(), RecoverError> {
        if logged.node != self.config.node {
            return Err(RecoverError::OtherNode);
        }
        let Founding { cluster_check, partitions, .. } = *logged;
        self.check_shared_founding(&SharedFounding {
            cluster_check,
            partitions,
            collections: logged.collections.clone(),
        })?;
        if logged.scope == self.config.scope { Ok(()) } else { Err(RecoverError::OtherScope) }
    }

    /// The first record says what the log belongs to.
    fn check_first(&self, record: &JournalRecord) -> Result<(), RecoverError> {
        match record {
            JournalRecord::Founded(founding) if !self.shares_log() => self.check_founding(founding),
            JournalRecord::SharedFounded(founding) if self.shares_log() => {
                self.check_shared_founding(founding)
            }
            JournalRecord::Founded(_) | JournalRecord::SharedFounded(_) => {
                Err(RecoverError::OtherReplication)
            }
            _ => Err(RecoverError::NotFounded),
        }
    }

    fn check_shared_founding(&self, logged: &SharedFounding) -> Result<(), RecoverError> {
        let (logged_in, configured) = (logged.partitions, self.config.partitions);
        if logged.cluster_check != self.config.cluster.check() {
            Err(RecoverError::OtherCluster)
        } else if logged_in != configured {
            Err(RecoverError::OtherPartitions { logged: logged_in, configured })
        } else if logged.collections.iter().any(|id| self.registry.get(*id).is_none()) {
            // Collections may have been added since; one that is gone, or changed, is not known any more.
            Err(RecoverError::OtherCollections)
        } else {
            Ok(())
        }
    }

    /// Makes the effect of an entry that was admitted once.
    pub(super) fn replay_entry(
        &mut self,
        (number, origin): (u16, ReplicaId),
        sequence: u64,
        bytes: &Bytes,
        lsn: Lsn,
        wall: WallTime,
    ) -> Result<(), RecoverError> {
        let entry: Entry =
            codec::decode_payload(bytes, &STORED).map_err(|cause| RecoverError::Malformed { lsn, cause })?;
        let kind = self.kind_of(entry.collection).map_err(|_| RecoverError::OtherCollections)?;
        let dot = Dot::new(origin, sequence).ok_or(RecoverError::OutOfOrder { lsn })?;
        let effect =
            cell::effect_of(&entry, kind, dot, &STORED).map_err(|cause| RecoverError::Cell { lsn, cause })?;
        self.restore_clock(origin, entry.stamp, wall);
        self.partition_mut(number).apply(&entry, &effect, kind, lsn);
        Ok(())
    }

    fn replay_run(&mut self, run: &Run, lsn: Lsn, wall: WallTime) -> Result<(), RecoverError> {
        self.checked(run.partition, lsn)?;
        let out_of_order = RecoverError::OutOfOrder { lsn };
        if self.partition(run.partition).histories.head(run.origin) != run.after {
            return Err(out_of_order);
        }
        for (sequence, bytes) in (run.after.sequence + 1..).zip(&run.entries) {
            self.replay_entry((run.partition, run.origin), sequence, bytes, lsn, wall)?;
            self.partition_mut(run.partition).remember(run.origin, bytes.clone(), lsn);
        }
        // Where the log is shared it is what is sent on.
        let max_retained = if self.shares_log() { 0 } else { self.config.limits.max_retained };
        self.partition_mut(run.partition).histories.shrink_to(max_retained, lsn);
        if self.partition(run.partition).histories.head(run.origin).chain == run.chain {
            Ok(())
        } else {
            Err(out_of_order)
        }
    }

    /// A stamp this node gave out is never given out again, wherever the wall clock stands now; one of
    /// another node counts only within the bound, as it did when it arrived.
    pub(super) fn restore_clock(&mut self, origin: ReplicaId, stamp: Hlc, wall: WallTime) {
        // A log that is shared has one writer at a time, whose stamps go on where those of the one before ended.
        if origin == self.id || self.shares_log() {
            self.issued = self.issued.max(stamp);
            self.clock = HlcClock::resume(self.clock.last().max(stamp), self.config.timing.max_drift);
        } else {
            self.clock.observe(stamp, wall);
        }
    }

    fn replay_state(&mut self, merged: &MergedState, lsn: Lsn, wall: WallTime) -> Result<(), RecoverError> {
        let told = self.read_stored(merged, lsn)?;
        if let Some(stamp) = told.cell.latest_stamp() {
            self.clock.observe(stamp, wall);
        }
        let _ = self.partition_mut(merged.partition).join_told(&told, lsn);
        Ok(())
    }

    pub(super) fn checked(&self, partition: u16, lsn: Lsn) -> Result<(), RecoverError> {
        if usize::from(partition) < self.partitions.len() {
            Ok(())
        } else {
            Err(RecoverError::OutOfOrder { lsn })
        }
    }
}

/// Which node wrote a log, told by its first record; `None` when that is not the founding of a node.
pub fn node_of_log(first_record: &[u8]) -> Option<NodeId> {
    match codec::decode_payload(first_record, &STORED) {
        Ok(JournalRecord::Founded(founding)) => Some(founding.node),
        _ => None,
    }
}
