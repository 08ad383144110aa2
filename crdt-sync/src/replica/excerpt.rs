//! Excerpts: what a partial replica is sent of the entries of an origin.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crdt_core::{ReplicaId, codec};
use replication_log::Lsn;

use super::apply::Admitted;
use super::replay::{RecoverError, STORED};
use super::{JournalRecord, Partition, Replica, RunError, RunOutcome, check_position};
use crate::bytes::Bytes;
use crate::entry::{Entry, Position};
use crate::history::History;
use crate::scope::Scope;
use crate::time::WallTime;
use crate::wire::{Excerpt, Piece, sequenced};

/// A piece of an excerpt that is new here.
enum New {
    Entry(Box<Admitted>),
    Skipped(u64),
}

impl Replica {
    /// Applies what is new of an excerpt, as far as the entries it rests on are here; on an error, nothing.
    ///
    /// A chain value behind a skip is taken on faith: it could only be checked by telling a hash of every entry.
    pub(crate) fn apply_excerpt(
        &mut self,
        excerpt: &Excerpt,
        wall: WallTime,
    ) -> Result<RunOutcome, RunError> {
        let (number, origin) = (excerpt.partition, excerpt.origin);
        let Some((after, pieces)) = self.news_of(excerpt)? else {
            return Ok(RunOutcome::Gap);
        };
        if self.members.is_above_final(origin, number, excerpt.last().sequence) {
            return Ok(RunOutcome::Retired);
        }
        let mut missing = None;
        let mut due = Excerpt { after, pieces: Vec::new(), chain: after.chain, ..excerpt.clone() };
        let mut admitted = Vec::new();
        for (sequence, piece) in sequenced(after.sequence, &pieces) {
            let new = match piece {
                Piece::Skipped { count, .. } => New::Skipped(*count),
                Piece::Entry(bytes) => {
                    let entry = self.admit_entry((number, origin), sequence, bytes)?;
                    missing = self.missing_to((number, origin), &entry.entry);
                    if missing.is_some() {
                        break;
                    }
                    New::Entry(Box::new(entry))
                }
            };
            due.pieces.push(piece.clone());
            admitted.push(new);
        }
        due.chain = due.last().chain;
        let applied = usize::try_from(due.last().sequence - after.sequence).unwrap_or(usize::MAX);
        let outcome = match missing {
            Some(missing) => RunOutcome::Early { applied, missing },
            None => RunOutcome::Applied(applied),
        };
        if applied == 0 {
            return Ok(outcome);
        }
        let last = due.last();
        let lsn = self.journal.append(&JournalRecord::Excerpt(due));
        let mut sequence = after.sequence;
        for new in admitted {
            match new {
                New::Skipped(count) => {
                    self.partition_mut(number).context.insert_range(origin, sequence + 1..=sequence + count);
                    sequence += count;
                }
                New::Entry(admitted) => {
                    self.take_in((number, origin), &admitted, lsn, wall);
                    sequence += 1;
                }
            }
        }
        self.partition_mut(number).histories.raise(origin, last);
        Ok(outcome)
    }

    /// The position from which an excerpt goes on here and the pieces behind it; `None` when entries before them are
    /// missing.
    fn news_of(&self, excerpt: &Excerpt) -> Result<Option<(Position, Vec<Piece>)>, RunError> {
        let (number, origin) = (excerpt.partition, excerpt.origin);
        let Some(partition) = self.partitions.get(usize::from(number)) else {
            return Err(RunError::UnknownPartition { partition: number });
        };
        let limit = self.config.limits.max_origins;
        if partition.histories.get(origin).is_none() && partition.histories.iter().count() >= limit {
            return Err(RunError::TooManyOrigins { limit });
        }
        let broken = RunError::BrokenChain { origin, after: excerpt.after.sequence };
        check_position(excerpt.after)?;
        if excerpt.after.sequence == 0 && excerpt.after != Position::default() {
            return Err(broken);
        }
        let head = partition.histories.head(origin);
        let agrees = |at: Position| at.sequence != head.sequence || at == head;
        let (mut at, mut sound, mut news) = (excerpt.after, agrees(excerpt.after), Vec::new());
        for piece in &excerpt.pieces {
            let before = at;
            at = piece.behind(at, (number, origin)).ok_or_else(|| broken.clone())?;
            check_position(at)?;
            sound &= agrees(at);
            match piece {
                _ if at.sequence <= head.sequence => {}
                Piece::Skipped { chain, .. } => {
                    let count = at.sequence - before.sequence.max(head.sequence);
                    news.push(Piece::Skipped { count, chain: *chain });
                }
                Piece::Entry(_) => news.push(piece.clone()),
            }
        }
        if at.chain != excerpt.chain {
            return Err(broken);
        }
        if !sound {
            return Err(RunError::Forked { origin, sequence: head.sequence });
        }
        if excerpt.after.sequence > head.sequence {
            return Ok(None);
        }
        if origin == self.id && at.sequence > head.sequence {
            return Err(RunError::Outrun);
        }
        Ok(Some((head, news)))
    }

    pub(super) fn replay_excerpt(
        &mut self,
        excerpt: &Excerpt,
        lsn: Lsn,
        wall: WallTime,
    ) -> Result<(), RecoverError> {
        let (number, origin) = (excerpt.partition, excerpt.origin);
        self.checked(number, lsn)?;
        let out_of_order = || RecoverError::OutOfOrder { lsn };
        if self.partition(number).histories.head(origin) != excerpt.after {
            return Err(out_of_order());
        }
        for (sequence, piece) in sequenced(excerpt.after.sequence, &excerpt.pieces) {
            match piece {
                Piece::Skipped { count, .. } => {
                    let last = sequence.checked_add(*count).ok_or_else(out_of_order)?;
                    self.partition_mut(number).context.insert_range(origin, sequence..=last - 1);
                }
                Piece::Entry(bytes) => self.replay_entry((number, origin), sequence, bytes, lsn, wall)?,
            }
        }
        let last = excerpt.last();
        if last.chain != excerpt.chain {
            return Err(out_of_order());
        }
        self.partition_mut(number).histories.raise(origin, last);
        Ok(())
    }
}

impl Partition {
    /// What a peer of this scope is sent of the next entries of an origin: it has everything up to `cursor`.
    pub(crate) fn next_excerpt(
        &self,
        (origin, history): (ReplicaId, &History),
        cursor: u64,
        scope: &Scope,
        budget: usize,
        durable: Lsn,
    ) -> Option<Excerpt> {
        let after = history.at(cursor)?;
        let mut excerpt =
            Excerpt { partition: self.number, origin, after, pieces: Vec::new(), chain: after.chain };
        let mut bytes = 0;
        for retained in history.after(cursor)?.take_while(|retained| retained.lsn <= durable) {
            if is_within(&retained.bytes, scope) {
                bytes += retained.bytes.len();
                if bytes > budget && (!excerpt.pieces.is_empty() || budget == 0) {
                    break;
                }
                excerpt.pieces.push(Piece::Entry(retained.bytes.clone()));
            } else if let Some(Piece::Skipped { count, chain }) = excerpt.pieces.last_mut() {
                *count += 1;
                *chain = retained.chain;
            } else {
                excerpt.pieces.push(Piece::Skipped { count: 1, chain: retained.chain });
            }
            excerpt.chain = retained.chain;
        }
        (!excerpt.pieces.is_empty()).then_some(excerpt)
    }
}

/// Whether an entry that was admitted here is about a key of the scope.
fn is_within(entry: &Bytes, scope: &Scope) -> bool {
    let entry: Result<Entry, _> = codec::decode_payload(entry, &STORED);
    entry.is_ok_and(|entry| scope.contains(entry.collection, &entry.key))
}
