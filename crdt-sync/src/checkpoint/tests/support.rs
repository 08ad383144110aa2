//! A replica with the log it would write and the checkpoints made of it.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::Lsn;

use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::checkpoint::{CheckpointPiece, Writer};
use crate::collection::{Collection, Strategy};
use crate::node::{ClusterKey, NodeId};
use crate::replica::{Config, Coverage, ItemKey, JournalRecord, RecoverError, Replica, Staged, Write};
use crate::time::WallTime;
use crate::wire::{ItemState, Run, Standing, StatesPart};

pub(super) const WALL: WallTime = WallTime::from_millis(1_700_000_000_000);
pub(super) const PARTITIONS: u16 = 2;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) type Log = Vec<(Lsn, Vec<u8>)>;
type Cells = Vec<(ItemKey, Cell)>;
/// Partition, origin and floor.
type Of = (u16, crdt_core::ReplicaId, u64);

pub(super) fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Strategy::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

pub(super) fn config(number: u8) -> Config {
    let cluster = ClusterKey::from_bytes([9; 16]);
    let mut config =
        Config::new(NodeId::from_u128(number.into()), cluster, [number; 32]).with_collections(collections());
    config.partitions = PARTITIONS;
    config.leaf_bits = 4;
    // So that documents are stemmed within a few writes.
    config.limits.max_revisions = 2;
    config.limits.max_hints = 5;
    config
}

pub(super) struct Logged {
    pub(super) config: Config,
    pub(super) replica: Replica,
    /// Everything ever logged.
    pub(super) log: Log,
    /// The checkpoint being made, what it gave out, and what it would have given out in one go.
    pub(super) making: Option<(Writer, Vec<u8>, Vec<u8>)>,
    /// The newest checkpoint.
    pub(super) made: Option<(Lsn, Vec<u8>)>,
}

impl Logged {
    pub(super) fn new(number: u8) -> Self {
        let config = config(number);
        let replica = Replica::recover(config.clone(), Log::new(), WALL).unwrap();
        let mut logged = Self { config, replica, log: Log::new(), making: None, made: None };
        logged.write_log();
        logged
    }

    pub(super) fn write_log(&mut self) {
        while let Some(Staged { first, records, .. }) = self.replica.journal.take() {
            self.log.extend((first.get()..).map(Lsn::new).zip(records));
        }
    }

    pub(super) fn act(&mut self, write: &Write) {
        // A register may refuse a stamp, a document an empty deletion; then nothing was written.
        let _ = self.replica.write(core::slice::from_ref(write), WALL);
        self.write_log();
    }

    /// Writes, and keeps the write for a node that cannot be reached.
    pub(super) fn miss(&mut self, owner: u8, write: &Write) {
        if let Ok(mutation) = self.replica.write_mutation(write, WALL) {
            // Some find no room.
            let _ = self.replica.keep_hint(NodeId::from_u128(owner.into()), &mutation.told, WALL);
        }
        self.write_log();
    }

    /// Tells one what was kept for the owner, who confirms every second hint.
    pub(super) fn deliver(&mut self, owner: u8, other: &mut Self) {
        let owner = NodeId::from_u128(owner.into());
        let due = self.replica.hints_for(owner, 1_000);
        let delivered = due.iter().step_by(2).map(|hint| {
            let _ = other.replica.merge_mutation(&hint.delta, WALL).unwrap();
            (ItemKey { collection: hint.delta.collection, key: hint.delta.key.clone() }, hint.up_to)
        });
        let delivered: Vec<_> = delivered.collect();
        self.replica.hints_delivered(owner, &delivered);
        self.write_log();
        other.write_log();
    }

    pub(super) fn drop_partition(&mut self, partition: u16) {
        self.replica.drop_partition(partition).unwrap();
        self.write_log();
    }

    /// Forgets every deletion.
    pub(super) fn forget_deleted(&mut self) {
        self.replica.note_time(WALL);
        for number in 0..PARTITIONS {
            let old = self.replica.deleted_older_than(number, WALL.saturating_add(DAY), 10);
            self.replica.forget_deleted(number, &old);
        }
        self.write_log();
    }

    /// Takes the entries that the other has retained and this one lacks.
    pub(super) fn catch_up_with(&mut self, other: &Self) {
        for number in 0..PARTITIONS {
            for (origin, history) in other.replica.partition(number).histories.iter() {
                let after = self.replica.partition(number).histories.head(origin);
                let Some(entries) = history.after(after.sequence) else { continue };
                let entries: Vec<Bytes> = entries.map(|retained| retained.bytes.clone()).collect();
                if !entries.is_empty() {
                    let run = Run { partition: number, origin, after, entries, chain: history.head().chain };
                    self.replica.apply_run(&run, WALL).unwrap();
                }
            }
        }
        self.write_log();
    }

    /// Joins the other's states: all of them, after which its frontier is taken over, or only every second one, as
    /// when a session is given up half way.
    pub(super) fn merge_states_of(&mut self, other: &Self, all: bool) {
        for number in 0..PARTITIONS {
            let partition = other.replica.partition(number);
            let standing = partition.standing();
            let ours = self.replica.partition(number).cells.iter();
            let mut items: Vec<ItemKey> =
                partition.cells.iter().chain(ours).map(|(key, _)| key.clone()).collect();
            items.sort_unstable();
            items.dedup();
            for (index, item) in (0..).zip(items).filter(|(index, _)| all || index % 2 == 0) {
                let held = partition.cells.get(&item);
                let state = held.map(|held| held.cell.encode(&item.key)).unwrap_or_default();
                let items = vec![ItemState { key: item.key, state, more: false, old: false }];
                let part = StatesPart { index, collection: item.collection, items, ahead: Vec::new() };
                self.replica.apply_part(number, &part, &standing, Coverage::default(), WALL).unwrap();
            }
            if all {
                self.replica.raise_frontier(number, standing);
            }
        }
        self.write_log();
    }

    /// Drops all but so many bytes of what is retained for peers.
    pub(super) fn forget_entries(&mut self, bytes: usize) {
        let last = self.replica.journal.last();
        for partition in &mut self.replica.partitions {
            partition.histories.shrink_to(bytes, last);
        }
    }

    pub(super) fn begin(&mut self) {
        let at_once = checkpoint_of(&mut self.replica);
        self.making = Some((Writer::begin(&mut self.replica), Vec::new(), at_once));
    }

    /// Goes on with the checkpoint; returns whether it is complete now.
    pub(super) fn piece(&mut self, budget: usize) -> bool {
        let Some((writer, bytes, _)) = &mut self.making else { return false };
        let durable = self.replica.journal.last();
        match writer.next_piece(&mut self.replica, durable, budget).unwrap() {
            CheckpointPiece::Bytes(piece) => bytes.extend(piece),
            CheckpointPiece::Complete { lsn, cut_below } => {
                assert_eq!(cut_below.get(), lsn.get() + 1);
                self.made = self.making.take().map(|(_, bytes, _)| (lsn, bytes));
                return true;
            }
            other => panic!("not durable: {other:?}"),
        }
        false
    }

    /// What a restart makes of the newest checkpoint and the log behind it.
    pub(super) fn reopened(&self) -> Option<Result<Replica, RecoverError>> {
        let (lsn, bytes) = self.made.as_ref()?;
        let rest = self.log.iter().filter(|(at, _)| at > lsn);
        // Cut where no frame ends.
        Some(Replica::recover_from(self.config.clone(), bytes.chunks(1_000), rest.cloned(), WALL))
    }

    /// What a restart makes of the whole log.
    pub(super) fn replayed(&self) -> Replica {
        Replica::recover(self.config.clone(), self.log.clone(), WALL).unwrap()
    }
}

/// A checkpoint with nothing in between.
pub(super) fn checkpoint_of(replica: &mut Replica) -> Vec<u8> {
    let mut writer = Writer::begin(replica);
    let durable = replica.journal.last();
    let mut bytes = Vec::new();
    while let CheckpointPiece::Bytes(piece) = writer.next_piece(replica, durable, 64 << 10).unwrap() {
        bytes.extend(piece);
    }
    bytes
}

/// Everything about a replica that a restart must bring back, but for the entries retained for others.
#[derive(Debug, PartialEq)]
pub(super) struct Whole {
    id: crdt_core::ReplicaId,
    last: Lsn,
    /// Members, forks, and what else a checkpoint says in records.
    head: Vec<JournalRecord>,
    hints: Vec<JournalRecord>,
    /// Standing, cells, and a digest of the sketch.
    partitions: Vec<(Standing, Cells, u128)>,
}

impl Whole {
    pub(super) fn of(replica: &mut Replica) -> Self {
        let partitions = replica.partitions.iter_mut().map(|partition| {
            let cells = partition.cells.iter();
            let cells = cells.map(|(key, held)| (key.clone(), held.cell.clone())).collect();
            partition.cells.photograph(&crate::scope::Scope::everything());
            partition.cells.develop();
            let sketch = alloc::format!("{:?}", crate::merkle::ItemSource::sketch(&partition.cells));
            let sketch = crdt_core::digest_of(sketch.as_bytes());
            partition.cells.forget_photograph();
            (partition.standing(), cells, sketch)
        });
        let partitions = partitions.collect();
        let (head, hints) = (replica.records_of_head(), replica.records_of_hints().collect());
        Self { id: replica.id, last: replica.journal.last(), head, hints, partitions }
    }
}

/// The record each cell rests on.
pub(super) fn lsns(replica: &Replica) -> impl Iterator<Item = Lsn> {
    replica.partitions.iter().flat_map(|partition| partition.cells.iter().map(|(_, held)| held.lsn))
}

/// The entries retained per partition and origin, with their records.
pub(super) fn retained(replica: &Replica) -> Vec<(Of, Vec<(Bytes, Lsn)>)> {
    let of_partition = |partition: &crate::replica::Partition| {
        let number = partition.number;
        let histories = partition.histories.iter();
        let entries = histories.map(|(origin, history)| {
            let floor = history.floor().sequence;
            let entries = history.after(floor).unwrap();
            ((number, origin, floor), entries.map(|entry| (entry.bytes.clone(), entry.lsn)).collect())
        });
        entries.collect::<Vec<_>>()
    };
    replica.partitions.iter().flat_map(of_partition).collect()
}
