//! The frame that is being filled: batches as they are, or transactions that a filter has looked at.

use alloc::vec::Vec;

use super::{SendError, Stream};
use crate::{
    Epoch, LoggedBatch, Lsn,
    entry::logical::{Filter, Transaction, Transactions},
    limits::{MAX_BATCH_BYTES, MAX_FRAME_BATCHES},
    ship::wire::{self, BatchesFrame},
};

/// What goes into the next frame.
#[derive(Debug)]
pub(super) enum Outgoing {
    Copy {
        frame: BatchesFrame,
        last: Lsn,
    },
    Logical {
        filter: Filter,
        /// Puts transactions together, also where one reaches over several batches.
        assembly: Transactions,
        ready: Vec<Transaction>,
        /// The bytes of the records that they were made of: an upper bound, as far as frames are concerned.
        bytes: usize,
        /// The last record that the follower knows of, once it has what is ready.
        last: Lsn,
    },
}

impl Outgoing {
    pub(super) fn new(stream: u64, wants: &Stream, last: Lsn) -> Self {
        match wants {
            Stream::Copy { .. } => Self::Copy { frame: BatchesFrame::new(stream), last },
            Stream::Logical { filter, .. } => Self::Logical {
                filter: filter.clone(),
                assembly: Transactions::new(),
                ready: Vec::new(),
                bytes: 0,
                last,
            },
        }
    }

    /// The last record that may be sent: of a logical stream, which its follower cannot cut, only what is committed.
    pub(super) fn limit(&self, end: Lsn, commit: Lsn) -> Lsn {
        match self {
            Self::Copy { .. } => end,
            Self::Logical { .. } => commit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Copy { frame, .. } => frame.is_empty(),
            Self::Logical { ready, .. } => ready.is_empty(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Copy { frame, .. } => frame.bytes(),
            Self::Logical { bytes, .. } => *bytes,
        }
    }

    pub(super) fn is_full(&self, bytes: usize) -> bool {
        self.bytes() >= bytes.max(1)
    }

    pub(super) fn has_room(&self, batch: &LoggedBatch<'_>) -> bool {
        match self {
            Self::Copy { frame, .. } => frame.has_room(batch.body().len()),
            Self::Logical { ready, bytes, .. } => {
                // A batch may end as many transactions as it has records.
                let count = ready.len() + batch.len();
                ready.is_empty()
                    || (count <= MAX_FRAME_BATCHES && bytes + batch.body().len() <= MAX_BATCH_BYTES)
            }
        }
    }

    /// Whether the record that comes next is the batch's first; of transactions, of which a batch can end several, any.
    pub(super) fn goes_on_with(&self, batch: &LoggedBatch<'_>, wanted: Lsn) -> bool {
        match self {
            Self::Copy { .. } => batch.first() == wanted,
            Self::Logical { .. } => (batch.first()..=batch.last()).contains(&wanted),
        }
    }

    pub(super) fn push(&mut self, batch: &LoggedBatch<'_>, wanted: Lsn) -> Result<(), SendError> {
        match self {
            Self::Copy { frame, last } => {
                frame.push(batch);
                *last = batch.last();
            }
            Self::Logical { filter, assembly, ready, bytes, last } => {
                for record in batch.records().filter(|record| record.lsn >= wanted) {
                    let Some(transaction) = assembly.push(&record)? else { continue };
                    *last = transaction.last();
                    add(ready, filter.apply(&transaction)?);
                }
                *bytes += batch.body().len();
            }
        }
        Ok(())
    }

    /// The frame, and the last record that whoever has it knows of; `None` when nothing is in it.
    pub(super) fn take(
        &mut self,
        stream: u64,
        epoch: Epoch,
        commit: Lsn,
        end: Lsn,
    ) -> Result<Option<(Lsn, Vec<u8>)>, SendError> {
        if self.is_empty() {
            return Ok(None);
        }
        match self {
            Self::Copy { frame, last } => Ok(Some((*last, frame.take(epoch, commit, end)))),
            Self::Logical { ready, bytes, last, .. } => {
                // One batch can end more transactions than a frame carries; the others are left for the next one.
                let left = ready.split_off(ready.len().min(MAX_FRAME_BATCHES));
                let transactions = core::mem::replace(ready, left);
                *bytes = 0;
                let through = transactions.last().map_or(*last, Transaction::last);
                let frame = wire::Transactions { stream, epoch, commit, end, transactions }.encode()?;
                Ok(Some((through, frame)))
            }
        }
    }

    /// Begins anew behind a record that the follower has.
    pub(super) fn restart(&mut self, after: Lsn) {
        match self {
            Self::Copy { frame, last } => {
                frame.clear();
                *last = after;
            }
            Self::Logical { assembly, ready, bytes, last, .. } => {
                (*assembly, *bytes, *last) = (Transactions::new(), 0, after);
                ready.clear();
            }
        }
    }
}

/// Adds a transaction; of several that have nothing to tell one is made.
fn add(ready: &mut Vec<Transaction>, transaction: Transaction) {
    if let Some(last) = ready.last_mut()
        && last.tells_nothing()
        && transaction.tells_nothing()
    {
        last.cover_with(&transaction);
        return;
    }
    ready.push(transaction);
}
