//! Giving a checkpoint out, piece by piece.

use alloc::vec::Vec;
use core::mem;

use crdt_core::ReplicaId;
use replication_log::Lsn;

use super::CheckpointError;
use super::frame::{self, FULL, Frame, Head, START};
use super::images::Walked;
use crate::entry::Position;
use crate::history::History;
use crate::replica::{JournalRecord, Partition, Replica};
use crate::wire::{Run, Standing};

/// What comes next of a checkpoint that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointPiece {
    /// These bytes; none when much was looked at and nothing of it belongs to the checkpoint.
    Bytes(Vec<u8>),
    /// Everything but the end is given out. The end comes when the log is durable up to this record.
    Waiting {
        /// The record the checkpoint stands for.
        lsn: Lsn,
    },
    /// Everything is given out. The bytes in their order are the checkpoint.
    Complete {
        /// The record it stands for.
        lsn: Lsn,
        /// Records below this one are no longer needed to open a node, once the checkpoint itself is durable.
        cut_below: Lsn,
    },
}

/// A checkpoint that is being made.
#[derive(Debug)]
pub(crate) struct Writer {
    lsn: Lsn,
    head: Option<Head>,
    /// What was kept for other nodes, in frames.
    hints: alloc::vec::IntoIter<Vec<JournalRecord>>,
    /// Where each partition stood at the record.
    standings: Vec<Standing>,
    stage: Stage,
}

/// What a hint takes up beside its key, state and dots, about.
const HINT: usize = 64;
/// What a dot does.
const DOT: usize = 20;

/// What is given out next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    Hints,
    Partition(u16),
    /// Entries of the origin at this index of the standing's heads, above this sequence.
    Retained {
        number: u16,
        index: usize,
        above: u64,
    },
    Cells(u16),
    End,
    Complete,
}

impl Writer {
    /// Begins a checkpoint of the replica as it is now, which is what its journal says up to the last record.
    ///
    /// O(origins and ranges of the contexts, and bytes of the hints); cells and entries are looked at later.
    pub(crate) fn begin(replica: &mut Replica) -> Self {
        let standings = replica.partitions.iter().map(Partition::standing).collect();
        for partition in &mut replica.partitions {
            partition.cells.begin_images();
        }
        let lsn = replica.applied();
        let (issued, clock) = replica.stamps();
        let head = Head { lsn: lsn.get(), records: replica.records_of_head(), issued, clock };
        let hints = framed(replica.records_of_hints()).into_iter();
        Self { lsn, head: Some(head), hints, standings, stage: Stage::Head }
    }

    /// The record it stands for.
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The next piece: whole frames, until they have `budget` bytes or as much was looked at.
    pub(crate) fn next_piece(
        &mut self,
        replica: &mut Replica,
        durable: Lsn,
        budget: usize,
    ) -> Result<CheckpointPiece, CheckpointError> {
        let mut bytes = Vec::new();
        let mut effort = budget.max(1);
        while bytes.len() < budget.max(1) && effort > 0 {
            match self.stage {
                // What is there leaves before word of what is missing.
                Stage::End | Stage::Complete if !bytes.is_empty() => break,
                Stage::End if self.lsn > durable => return Ok(CheckpointPiece::Waiting { lsn: self.lsn }),
                Stage::Complete => return Ok(self.complete()),
                _ => self.step(replica, &mut effort, &mut bytes)?,
            }
        }
        Ok(CheckpointPiece::Bytes(bytes))
    }

    fn complete(&self) -> CheckpointPiece {
        CheckpointPiece::Complete { lsn: self.lsn, cut_below: Lsn::new(self.lsn.get() + 1) }
    }

    /// Gives out one frame, or looks on for one.
    fn step(
        &mut self,
        replica: &mut Replica,
        effort: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        match self.stage {
            Stage::Head => {
                if let Some(head) = self.head.take() {
                    out.extend_from_slice(&START);
                    frame::put(&Frame::Head(head), out)?;
                }
                self.stage = Stage::Hints;
            }
            Stage::Hints => match self.hints.next() {
                Some(records) => frame::put(&Frame::Records(records), out)?,
                None => self.stage = self.partition_or_end(0),
            },
            Stage::Partition(number) => {
                let standing = self.standing(number).clone();
                frame::put(&Frame::Partition { number, standing }, out)?;
                self.stage = Stage::Retained { number, index: 0, above: 0 };
            }
            Stage::Retained { number, index, above } => {
                self.retained(replica.partition(number), index, above, out)?;
            }
            Stage::Cells(number) => match replica.partition_mut(number).cells.walk_images(effort) {
                Walked::Frame(cells) => frame::put(&Frame::Cells(cells), out)?,
                Walked::Paused => {}
                Walked::Done => self.stage = self.partition_or_end(number + 1),
            },
            Stage::End => {
                frame::put(&Frame::End, out)?;
                self.stage = Stage::Complete;
            }
            Stage::Complete => {}
        }
        Ok(())
    }

    fn partition_or_end(&self, number: u16) -> Stage {
        if usize::from(number) < self.standings.len() { Stage::Partition(number) } else { Stage::End }
    }

    fn standing(&self, number: u16) -> &Standing {
        &self.standings[usize::from(number)]
    }

    /// The next entries that are still retained of those that were when the checkpoint began.
    fn retained(
        &mut self,
        partition: &Partition,
        index: usize,
        above: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let number = partition.number;
        let Some(&(origin, head)) = self.standing(number).heads.get(index) else {
            self.stage = Stage::Cells(number);
            return Ok(());
        };
        let history = partition.histories.get(origin);
        let next = history.and_then(|history| retained_run(number, origin, history, head, above));
        let Some((run, lsns)) = next else {
            self.stage = Stage::Retained { number, index: index + 1, above: 0 };
            return Ok(());
        };
        let above = run.after.sequence + run.entries.len() as u64;
        self.stage = Stage::Retained { number, index, above };
        frame::put(&Frame::Retained { run, lsns }, out)
    }
}

/// Records of hints in frames that are full, but for the last one.
fn framed(records: impl Iterator<Item = JournalRecord>) -> Vec<Vec<JournalRecord>> {
    let (mut frames, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        if let JournalRecord::HintHeld(held) = &record {
            let delta = &held.kept.delta;
            bytes += HINT + delta.key.len() + delta.state.len() + DOT * delta.removed.len();
        }
        open.push(record);
        if bytes >= FULL {
            frames.push(mem::take(&mut open));
            bytes = 0;
        }
    }
    if !open.is_empty() {
        frames.push(open);
    }
    frames
}

/// A frame full of what is retained of an origin above a sequence, up to its head of then.
///
/// A history that no longer passes through that head is another one by now, and none of it is given out.
fn retained_run(
    partition: u16,
    origin: ReplicaId,
    history: &History,
    head: Position,
    above: u64,
) -> Option<(Run, Vec<u64>)> {
    if history.at(head.sequence) != Some(head) {
        return None;
    }
    let after = history.at(above.max(history.floor().sequence))?;
    let left = usize::try_from(head.sequence.saturating_sub(after.sequence)).unwrap_or(usize::MAX);
    let (mut entries, mut lsns, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut chain = after.chain;
    for retained in history.after(after.sequence)?.take(left) {
        if bytes >= FULL {
            break;
        }
        bytes += retained.bytes.len();
        chain = retained.chain;
        entries.push(retained.bytes.clone());
        lsns.push(retained.lsn.get());
    }
    (!entries.is_empty()).then_some((Run { partition, origin, after, entries, chain }, lsns))
}
