//! What a replica writes to its log, so that it is the same again after a restart.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crdt_core::{ReplicaId, codec};
use replication_log::{Epoch, Lsn};
use serde::{Deserialize, Serialize};

use super::ItemKey;
use super::hints::{HeldHint, KeptHint, SettledHint};
use super::pending::{Reign, SharedFounding};
use super::split::Split;
use super::unfilled::Spans;
use crate::bytes::Bytes;
use crate::collection::CollectionId;
use crate::membership::Membership;
use crate::node::NodeId;
use crate::placement::Layout;
use crate::scope::Scope;
use crate::time::WallTime;
use crate::wire::{Excerpt, KnownForks, MergedState, Run, Standing};

/// A record of the log. Replaying all of them in order rebuilds the replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum JournalRecord {
    /// The first record: what this log belongs to.
    Founded(Founding),
    /// From here on the node writes under this identity.
    Identity(ReplicaId),
    /// Entries of one origin, own or received, in order.
    Entries(Run),
    /// The state of a key that came from a peer's state, not from entries.
    StateMerge(MergedState),
    /// All states of a session arrived: its partner's standing is reached.
    FrontierRaised {
        /// The partition.
        partition: u16,
        /// What is reached.
        standing: Standing,
    },
    /// States merged from record `since` on may show entries up to these sequences, ahead of the frontier.
    Ahead {
        /// The partition.
        partition: u16,
        /// The first record that may show them.
        since: u64,
        /// The last sequence of each origin, ascending.
        bounds: Vec<(ReplicaId, u64)>,
    },
    /// What became known of members.
    Members(Membership),
    /// Deleted documents that all members know to be deleted were forgotten.
    Collected {
        /// The partition.
        partition: u16,
        /// Which.
        documents: Vec<ItemKey>,
    },
    /// Something new was learned of forked identities.
    ForksKnown {
        /// The partition.
        partition: u16,
        /// What was new.
        known: KnownForks,
    },
    /// A history was divided at a cut.
    Split(Split),
    /// Entries that a partial replica received: those in its scope, and how many were not.
    Excerpt(Excerpt),
    /// Something that another node missed is kept for it.
    HintKept(KeptHint),
    /// What is kept for another node under one key, all of it. Only in checkpoints.
    HintHeld(HeldHint),
    /// Hints were delivered, got too old or moved on.
    HintsSettled {
        /// Whose.
        owner: NodeId,
        /// Which, and up to which record each.
        hints: Vec<SettledHint>,
    },
    /// A node is gone for good: its hints are dropped, and what is known to be missing of them.
    HintsDiscarded {
        /// The node.
        owner: NodeId,
    },
    /// A hint was not kept, or what was missing is made good.
    HintsMissed {
        /// Whose.
        owner: NodeId,
        /// The partition that must be compared.
        partition: u16,
        /// Whether it still must.
        missed: bool,
    },
    /// The data of a partition was given up. An identity follows in the same batch.
    Dropped {
        /// The partition.
        partition: u16,
    },
    /// Which record was the last one at what time, ascending: all such notes that are kept.
    TimeNoted(Vec<(u64, WallTime)>),
    /// What became known of the ring, all of it.
    Layout(Layout),
    /// Of these partitions something may be missing that the node acknowledged, and of no others: spans of numbers.
    Unfilled(Spans),
    /// All that there was of a partition is here.
    Filled {
        /// The partition.
        partition: u16,
    },
    /// The first record of a log that a cluster shares.
    SharedFounded(SharedFounding),
    /// From here on a node leads.
    Reign(Reign),
    /// Everything up to this record is committed.
    Committed(u64),
}

/// What must be the same whenever the log is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Founding {
    pub(crate) node: NodeId,
    pub(crate) cluster_check: [u8; 8],
    pub(crate) partitions: u16,
    pub(crate) collections: Vec<CollectionId>,
    pub(crate) scope: Scope,
}

/// With so many bytes a batch is large enough. The log takes four times as much, so that there is room for what must
/// still come with it.
const LARGE_BATCH: usize = 16 << 20;

/// The records that one input caused; the log takes them as one atomic batch, or as several where they may be
/// [parted](Self::part).
#[derive(Debug)]
pub(crate) struct Journal {
    last: Lsn,
    staged: Vec<Vec<u8>>,
    /// The bytes of what is staged.
    bytes: usize,
    /// Batches that were parted from what is staged, and come before it.
    parted: VecDeque<Staged>,
    /// Under which records are written to a log that nodes share.
    epoch: Epoch,
}

/// Records that enter the log as one batch.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) epoch: Epoch,
    /// The number of the first record.
    pub(crate) first: Lsn,
    pub(crate) records: Vec<Vec<u8>>,
}

impl Journal {
    /// A journal whose next record gets the number after `last`.
    pub(crate) fn after(last: Lsn) -> Self {
        Self { last, staged: Vec::new(), bytes: 0, parted: VecDeque::new(), epoch: Epoch::ZERO }
    }

    /// Stages a record and returns its number.
    pub(crate) fn append(&mut self, record: &JournalRecord) -> Lsn {
        self.append_measured(record).0
    }

    /// The same, and how many bytes the record has.
    pub(crate) fn append_measured(&mut self, record: &JournalRecord) -> (Lsn, usize) {
        let encoded = codec::encode_payload(record);
        let bytes = encoded.len();
        self.staged.push(encoded);
        self.bytes += bytes;
        self.last = self.upcoming();
        (self.last, bytes)
    }

    /// From here on records are written under this epoch.
    pub(crate) fn write_under(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// The log is what another node sent, up to this record.
    pub(crate) fn follow(&mut self, last: Lsn) {
        self.last = last;
    }

    /// Stages a record of entries, and hands them back.
    pub(crate) fn append_entries(&mut self, run: Run) -> (Lsn, Vec<Bytes>) {
        let record = JournalRecord::Entries(run);
        let lsn = self.append(&record);
        let JournalRecord::Entries(run) = record else { return (lsn, Vec::new()) };
        (lsn, run.entries)
    }

    /// The number of the last record, staged ones included.
    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// Whether records wait to be taken.
    pub(crate) fn has_staged(&self) -> bool {
        !self.staged.is_empty() || !self.parted.is_empty()
    }

    /// Whether so much is staged that it should be [parted](Self::part) from what is still to come.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes >= LARGE_BATCH
    }

    /// What is staged becomes a batch of its own. Only to be called where the replica may be left as it is now, should
    /// nothing of what comes after reach the disk.
    pub(crate) fn part(&mut self) {
        let staged = self.take_staged();
        self.parted.extend(staged);
    }

    /// The number the next record will get.
    pub(crate) fn upcoming(&self) -> Lsn {
        Lsn::new(self.last.get() + 1)
    }

    /// Takes the next batch of what was staged.
    pub(crate) fn take(&mut self) -> Option<Staged> {
        self.parted.pop_front().or_else(|| self.take_staged())
    }

    fn take_staged(&mut self) -> Option<Staged> {
        self.bytes = 0;
        let records = core::mem::take(&mut self.staged);
        let first = Lsn::new(self.last.get() + 1 - records.len() as u64);
        (!records.is_empty()).then_some(Staged { epoch: self.epoch, first, records })
    }
}
