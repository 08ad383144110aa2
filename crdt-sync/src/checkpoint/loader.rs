//! From a checkpoint back to the replica it was made of.

use alloc::vec::Vec;

use crdt_core::{ReplicaId, WallTime};
use replication_log::Lsn;

use super::RestoreError;
use super::frame::{self, CellsFrame, Frame, Head, START_BYTES};
use crate::cell::Cell;
use crate::node::NodeId;
use crate::replica::{Config, ItemKey, JournalRecord, RecoverError, Replica, STORED};
use crate::wire::{Run, Standing};

/// Loads a checkpoint whose bytes come cut into chunks anyhow. Returns the replica and the record it stands for.
///
/// O(bytes) and the tree over all cells, which is built anew. At most one frame is held beside what is built.
pub(crate) fn load<C: AsRef<[u8]>>(
    config: Config,
    chunks: impl IntoIterator<Item = C>,
    wall: WallTime,
) -> Result<(Replica, Lsn), RecoverError> {
    let mut loader =
        Loader { replica: Replica::empty(config)?, wall, lsn: None, partition: None, ended: false };
    let mut bytes: Vec<u8> = Vec::new();
    let mut started = false;
    for chunk in chunks {
        bytes.extend_from_slice(chunk.as_ref());
        let mut used = 0;
        if !started && let Some(start) = bytes.first_chunk::<START_BYTES>() {
            frame::check_start(start)?;
            (started, used) = (true, START_BYTES);
        }
        while started && let Some((frame, length)) = frame::take(&bytes[used..])? {
            loader.add(frame)?;
            used += length;
        }
        bytes.drain(..used);
    }
    match loader.lsn {
        Some(lsn) if loader.ended && bytes.is_empty() => Ok((loader.replica, lsn)),
        _ if loader.ended => Err(RestoreError::TrailingBytes { extra: bytes.len() }.into()),
        _ => Err(RestoreError::Unfinished.into()),
    }
}

/// Which node made a checkpoint, told by its first bytes; `None` when they are not those of a checkpoint, or too few.
pub fn node_of_checkpoint(first_bytes: &[u8]) -> Option<NodeId> {
    let (start, rest) = first_bytes.split_first_chunk::<START_BYTES>()?;
    frame::check_start(start).ok()?;
    match frame::take(rest).ok()?? {
        (Frame::Head(head), _) => match head.records.first()? {
            JournalRecord::Founded(founding) => Some(founding.node),
            _ => None,
        },
        _ => None,
    }
}

struct Loader {
    replica: Replica,
    wall: WallTime,
    lsn: Option<Lsn>,
    /// The partition that is being loaded.
    partition: Option<Loading>,
    ended: bool,
}

struct Loading {
    number: u16,
    standing: Standing,
    /// The origin whose entries came last.
    origin: Option<ReplicaId>,
    /// The key that came last.
    key: Option<ItemKey>,
}

const fn disorder(what: &'static str) -> RestoreError {
    RestoreError::Disorder { what }
}

impl Loader {
    fn add(&mut self, frame: Frame) -> Result<(), RecoverError> {
        match frame {
            Frame::Head(head) if self.lsn.is_none() => self.head(head),
            _ if self.lsn.is_none() || self.ended => Err(disorder("where the head and the end are").into()),
            Frame::Head(_) => Err(disorder("a second head").into()),
            Frame::Records(records) => self.records(records),
            Frame::Partition { number, standing } => self.begin_partition(number, standing),
            Frame::Retained { run, lsns } => Ok(self.retained(run, &lsns)?),
            Frame::Cells(cells) => self.cells(cells),
            Frame::End => {
                let last = self.finish_partition()?;
                self.ended = true;
                if usize::from(last) == self.replica.partitions.len() {
                    Ok(())
                } else {
                    Err(disorder("the number of partitions").into())
                }
            }
        }
    }

    fn head(&mut self, head: Head) -> Result<(), RecoverError> {
        let lsn = Lsn::new(head.lsn);
        for (index, record) in (0..).zip(head.records) {
            self.replica.replay(record, lsn, index == 0, self.wall)?;
        }
        if head.lsn == 0 || self.replica.is_anonymous() {
            return Err(disorder("a head of nothing").into());
        }
        self.replica.restore_stamps(head.issued, head.clock, self.wall);
        self.lsn = Some(lsn);
        Ok(())
    }

    fn records(&mut self, records: Vec<JournalRecord>) -> Result<(), RecoverError> {
        let Some(lsn) = self.lsn.filter(|_| self.partition.is_none()) else {
            return Err(disorder("records behind the first partition").into());
        };
        for record in records {
            if !matches!(record, JournalRecord::HintHeld(_)) {
                return Err(disorder("records that belong into the head").into());
            }
            self.replica.replay(record, lsn, false, self.wall)?;
        }
        Ok(())
    }

    fn begin_partition(&mut self, number: u16, standing: Standing) -> Result<(), RecoverError> {
        let next = self.finish_partition()?;
        let ascending = standing.heads.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if number != next || usize::from(number) >= self.replica.partitions.len() || !ascending {
            return Err(disorder("the order of partitions, or of the origins of one").into());
        }
        self.partition = Some(Loading { number, standing, origin: None, key: None });
        Ok(())
    }

    /// Checks what was loaded against what the partition said of itself, and returns the number after it.
    fn finish_partition(&mut self) -> Result<u16, RecoverError> {
        let Some(Loading { number, standing, .. }) = self.partition.take() else { return Ok(0) };
        let max_retained = self.replica.config.limits.max_retained;
        let partition = self.replica.partition_mut(number);
        let root = partition.cells.root();
        if (root.digest, root.count) != standing.root {
            return Err(RestoreError::OtherRoot { partition: number }.into());
        }
        partition.raise(&standing);
        if partition.heads() != standing.heads {
            return Err(disorder("entries above the head of their origin").into());
        }
        partition.histories.shrink_to(max_retained, Lsn::new(u64::MAX));
        Ok(number + 1)
    }

    fn retained(&mut self, run: Run, lsns: &[u64]) -> Result<(), RestoreError> {
        let loading = self.partition.as_mut().ok_or(disorder("entries outside of a partition"))?;
        let follows = loading.origin.is_none_or(|last| last <= run.origin) && loading.key.is_none();
        if !follows
            || run.partition != loading.number
            || run.entries.is_empty()
            || lsns.len() != run.entries.len()
        {
            return Err(disorder("the order of entries"));
        }
        let partition = self.replica.partition_mut(loading.number);
        loading.origin = Some(run.origin);
        partition.histories.raise(run.origin, run.after);
        if partition.histories.head(run.origin) != run.after {
            return Err(disorder("entries that do not follow those before them"));
        }
        for (entry, lsn) in run.entries.into_iter().zip(lsns) {
            partition.remember(run.origin, entry, Lsn::new(*lsn));
        }
        if partition.forks.start_of(run.origin).is_some() {
            partition.histories.mark_branch(run.origin);
        }
        if partition.histories.head(run.origin).chain == run.chain {
            Ok(())
        } else {
            Err(disorder("entries that are not those of their chain"))
        }
    }

    fn cells(&mut self, frame: CellsFrame) -> Result<(), RecoverError> {
        let collection = frame.collection;
        let kind = self.replica.kind_of(collection).map_err(|_| RecoverError::OtherCollections)?;
        for (key, state, lsn) in frame.items {
            let item = ItemKey { collection, key };
            let cell = Cell::decode(kind, &item.key, &state, &STORED).map_err(RestoreError::Cell)?;
            self.cell(item, cell, Lsn::new(lsn))?;
        }
        Ok(())
    }

    fn cell(&mut self, item: ItemKey, cell: Cell, lsn: Lsn) -> Result<(), RestoreError> {
        let loading = self.partition.as_mut().ok_or(disorder("states outside of a partition"))?;
        let follows = loading.key.as_ref().is_none_or(|last| *last < item);
        let belongs = self.replica.partition_of(item.collection, &item.key) == loading.number;
        if !follows || !belongs || cell.is_vacant() {
            return Err(disorder("the order of states"));
        }
        // The clock must not fall behind what the cells show, whatever the wall clock says about its last stamp.
        if let Some(stamp) = cell.latest_stamp() {
            self.replica.observe(stamp, self.wall);
        }
        self.replica.partition_mut(loading.number).cells.put(&item, cell, lsn);
        loading.key = Some(item);
        Ok(())
    }
}
