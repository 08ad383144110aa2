//! Hints: what other nodes missed while they could not be reached, kept for them until they have it.
//!
//! Per node and key there is one hint: everything the node missed of the key, joined into one delta with its exact
//! dots. A key that is written a thousand times in between is one hint. Hints are as durable as everything else, live
//! as long as the configuration says, and take up no more room than it allows. One that finds no room, or gets too old,
//! is not kept, and that is not passed over in silence: the partition is marked as one that must be compared with the
//! node's.
//!
//! Delivery is at least once: a hint goes when its owner confirmed it, and one that grew meanwhile stays. Joining twice
//! is joining once, so a crash between the two costs nothing but a repetition.

mod held;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::time::Duration;

use crdt_core::Change;
use replication_log::Lsn;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use held::Hints;

use super::JournalRecord;
use super::replay::{RecoverError, STORED};
use super::told::Told;
use super::{ItemKey, Replica, RunError};
use crate::collection::Kind;
use crate::node::NodeId;
use crate::time::WallTime;
use crate::wire::MergedState;

/// Something that a node missed, in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptHint {
    /// Who missed it.
    pub(crate) owner: NodeId,
    /// When the oldest write in it was kept.
    pub(crate) oldest: WallTime,
    /// When the newest one was.
    pub(crate) newest: WallTime,
    /// What was missed.
    pub(crate) delta: MergedState,
}

/// A whole hint, in a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HeldHint {
    pub(crate) kept: KeptHint,
    /// The record of the first write in it, or one before that.
    pub(crate) first: u64,
    /// The record of the last one.
    pub(crate) last: u64,
}

/// A hint, or the part of it up to a record, is no longer needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SettledHint {
    pub(crate) item: ItemKey,
    pub(crate) up_to: u64,
}

/// Which limit a hint would have exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HintLimit {
    /// `max_hints`.
    Count,
    /// `max_hint_bytes`.
    Bytes,
    /// `max_hint_bytes_per_owner`.
    BytesOfOwner,
    /// `max_state`, by this one alone.
    State,
}

/// Why a hint was not kept. In the first case the owner's partition is marked as one to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum HintError {
    /// There is no room.
    #[error("a hint for {owner} finds no room ({limit:?})")]
    Full {
        /// Whose hint.
        owner: NodeId,
        /// What it would have exceeded.
        limit: HintLimit,
    },
    /// A node keeps no hints for itself.
    #[error("a hint for this node itself")]
    Myself,
    /// What was told is refused.
    #[error(transparent)]
    Refused(#[from] RunError),
}

/// A hint to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DueHint {
    /// Up to which record it is what was kept. It may be sent when that is durable, and is named in the confirmation.
    pub(crate) up_to: Lsn,
    /// When the oldest write in it was kept.
    pub(crate) oldest: WallTime,
    /// What the owner missed.
    pub(crate) delta: MergedState,
}

/// A hint that got too old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpiredHint {
    pub(crate) owner: NodeId,
    pub(crate) partition: u16,
    pub(crate) item: ItemKey,
    pub(crate) oldest: WallTime,
    pub(crate) newest: WallTime,
}

/// How much waits for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) count: usize,
    /// At most so many bytes.
    pub(crate) bytes: usize,
    /// When the oldest write was kept.
    pub(crate) oldest: WallTime,
}

/// What became of hints for a node that leaves.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reassigned {
    /// How many hints were taken from the owner.
    pub(crate) moved: usize,
    /// Nodes that now own a partition and for which a hint could not be kept.
    pub(crate) refused: Vec<(NodeId, ItemKey, HintError)>,
    /// Whether none was left to be moved.
    pub(crate) complete: bool,
}

/// A moment in the life of the hints: those that were kept before it, by owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncPoint {
    upto: Vec<(NodeId, u64)>,
}

impl Replica {
    /// Keeps for a node what it missed. Returns the record that this rests on, also when all of it was kept before.
    ///
    /// O(delta × log hints), and now and then O(hint).
    pub(crate) fn keep_hint(
        &mut self,
        owner: NodeId,
        delta: &MergedState,
        now: WallTime,
    ) -> Result<Lsn, HintError> {
        self.keep_hint_of(owner, delta, (now, now))
    }

    fn keep_hint_of(
        &mut self,
        owner: NodeId,
        delta: &MergedState,
        (oldest, newest): (WallTime, WallTime),
    ) -> Result<Lsn, HintError> {
        if owner == self.config.node {
            return Err(HintError::Myself);
        }
        let told = self.admit(delta)?;
        if let Err(limit) = self.hints.check_room(owner, &told, &self.config.limits) {
            self.mark_missed(owner, delta.partition);
            return Err(HintError::Full { owner, limit });
        }
        let (lsn, max_revisions, item) =
            (self.journal.upcoming(), self.config.limits.max_revisions, told.item.clone());
        let times = (oldest, newest);
        let change = self.hints.keep((owner, delta.partition), told, times, lsn, max_revisions);
        if !change.is_changed() {
            return Ok(self.hints.get(owner, &item).map_or(self.journal.last(), |hint| hint.last));
        }
        let kept = KeptHint { owner, oldest, newest, delta: delta.clone() };
        Ok(self.journal.append(&JournalRecord::HintKept(kept)))
    }

    /// The next hints for a node: as many as fit into `bytes`, and at least one if there is any. They have their next
    /// turn after all others, so that none that cannot be delivered holds up the rest.
    pub(crate) fn hints_for(&mut self, owner: NodeId, bytes: usize) -> Vec<DueHint> {
        let due = self.hints.take_turns(owner, bytes).into_iter().map(|hint| DueHint {
            up_to: hint.last,
            oldest: hint.oldest,
            delta: hint.told.merged_state(hint.partition),
        });
        due.collect()
    }

    /// A node confirmed that it has these hints durably, as they were up to these records. Returns how many are gone;
    /// those that grew since stay.
    pub(crate) fn hints_delivered(&mut self, owner: NodeId, delivered: &[(ItemKey, Lsn)]) -> usize {
        self.settle_hints(owner, delivered, false)
    }

    fn settle_hints(&mut self, owner: NodeId, settled: &[(ItemKey, Lsn)], missed: bool) -> usize {
        let (mut hints, mut gone) = (Vec::new(), 0);
        for (item, up_to) in settled {
            // Nothing that was sent is later than the last record.
            let up_to = (*up_to).min(self.journal.last());
            if let Some(is_gone) = self.hints.settle(owner, item, up_to) {
                gone += usize::from(is_gone);
                hints.push(SettledHint { item: item.clone(), up_to: up_to.get() });
            }
        }
        if !hints.is_empty() {
            self.journal.append(&JournalRecord::HintsSettled { owner, hints });
        }
        if missed {
            for (item, _) in settled {
                self.mark_missed(owner, self.partition_of(item.collection, &item.key));
            }
        }
        gone
    }

    /// Drops hints of which some write was kept longer ago than `lifetime`, of those partitions and kinds that may go,
    /// and marks their partitions. Returns them: all, or the first so many that one command may hold.
    pub(crate) fn expire_hints(
        &mut self,
        now: WallTime,
        lifetime: Duration,
        may_go: impl Fn(u16, Kind) -> bool,
    ) -> Vec<ExpiredHint> {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let Some(time) = now.as_millis().checked_sub(lifetime).map(WallTime::from_millis) else {
            return Vec::new();
        };
        let old = self.hints.older_than(time, self.config.limits.max_writes, may_go).into_iter();
        let (expired, settled): (Vec<_>, Vec<_>) = old
            .map(|(owner, hint)| {
                let (partition, item) = (hint.partition, hint.told.item.clone());
                let (oldest, newest) = (hint.oldest, hint.newest);
                let settled = (item.clone(), hint.last);
                (ExpiredHint { owner, partition, item, oldest, newest }, settled)
            })
            .unzip();
        let mut rest = &settled[..];
        for of_owner in expired.chunk_by(|one, next| one.owner == next.owner) {
            let (these, others) = rest.split_at(of_owner.len());
            self.settle_hints(of_owner[0].owner, these, true);
            rest = others;
        }
        expired
    }

    /// Drops hints for a node that is gone for good, `limit` of them, of partitions of which they are not needed.
    /// Returns how many. O(hints of the node).
    pub(crate) fn discard_hints_of(
        &mut self,
        owner: NodeId,
        limit: usize,
        is_needed: impl Fn(u16) -> bool,
    ) -> usize {
        let due = self.hints.misplaced(owner, is_needed, limit).into_iter();
        let due: Vec<_> = due.map(|hint| (hint.told.item.clone(), hint.last)).collect();
        self.settle_hints(owner, &due, false)
    }

    /// Drops all hints for a node that is gone for good, and all marks.
    pub(crate) fn discard_hints(&mut self, owner: NodeId) -> Option<Pending> {
        let pending = self.pending_hints(owner);
        if pending.is_some() || self.missed_hints().any(|(of, _)| of == owner) {
            self.hints.discard(owner);
            self.journal.append(&JournalRecord::HintsDiscarded { owner });
        }
        pending
    }

    /// A node gave up partitions: its hints of those go to the nodes that now are their primaries, `limit` of them at a
    /// time. What this node itself should have is merged. A hint that not all of them could be given stays as it is.
    /// O(hints of the node).
    pub(crate) fn reassign_hints(
        &mut self,
        owner: NodeId,
        limit: usize,
        holds: impl Fn(u16) -> bool,
        primaries: impl Fn(u16) -> Vec<NodeId>,
        wall: WallTime,
    ) -> Reassigned {
        let due: Vec<_> = self
            .hints
            .misplaced(owner, holds, limit)
            .into_iter()
            .map(|hint| {
                let delta = hint.told.merged_state(hint.partition);
                (hint.told.item.clone(), hint.last, (hint.oldest, hint.newest), delta)
            })
            .collect();
        let mut reassigned = Reassigned { complete: due.is_empty(), ..Reassigned::default() };
        let mut settled = Vec::new();
        for (item, last, times, delta) in due {
            let before = reassigned.refused.len();
            for node in primaries(delta.partition).into_iter().filter(|node| *node != owner) {
                let outcome = if node == self.config.node {
                    self.merge_mutation(&delta, wall).map(|_| ()).map_err(HintError::from)
                } else {
                    self.keep_hint_of(node, &delta, times).map(|_| ())
                };
                if let Err(error) = outcome {
                    reassigned.refused.push((node, item.clone(), error));
                }
            }
            if reassigned.refused.len() == before {
                settled.push((item, last));
            }
        }
        reassigned.moved = self.settle_hints(owner, &settled, false);
        reassigned
    }

    /// Whether hints of a partition are kept, for whomever.
    pub(crate) fn has_hints_of(&self, partition: u16) -> bool {
        self.hints.has_of(partition)
    }

    /// How much waits for a node; `None` when nothing does.
    pub(crate) fn pending_hints(&self, owner: NodeId) -> Option<Pending> {
        self.hints.pending(owner)
    }

    /// The nodes for which there are hints, ascending.
    pub(crate) fn hint_owners(&self) -> impl Iterator<Item = NodeId> {
        self.hints.owners()
    }

    /// How many hints there are, and how many bytes they take up at most.
    pub(crate) fn hints_size(&self) -> (usize, usize) {
        self.hints.size()
    }

    /// This moment. Once it [is past](Self::is_past), all hints kept before are delivered or dropped.
    pub(crate) fn hint_sync_point(&self) -> SyncPoint {
        let last = self.journal.last().get();
        SyncPoint { upto: self.hints.owners().map(|owner| (owner, last)).collect() }
    }

    /// Whether nothing is left of the hints that were kept before a moment. O(owners × log hints).
    pub(crate) fn is_past(&self, point: &SyncPoint) -> bool {
        point.upto.iter().all(|(owner, lsn)| self.hints.is_past(*owner, Lsn::new(*lsn)))
    }

    /// The partitions of other nodes for which hints are missing, ascending: only comparing them can help.
    pub(crate) fn missed_hints(&self) -> impl Iterator<Item = (NodeId, u16)> {
        self.hints.missed.iter().copied()
    }

    /// A partition was compared with a node's, from a moment on at which all that was missed was in it here.
    pub(crate) fn hints_made_good(&mut self, owner: NodeId, partition: u16) -> Change {
        let was_missed = self.hints.missed.remove(&(owner, partition));
        if was_missed {
            self.journal.append(&JournalRecord::HintsMissed { owner, partition, missed: false });
        }
        was_missed.into()
    }

    fn mark_missed(&mut self, owner: NodeId, partition: u16) {
        if self.hints.missed.insert((owner, partition)) {
            self.journal.append(&JournalRecord::HintsMissed { owner, partition, missed: true });
        }
    }

    /// Records that make the marks.
    pub(super) fn records_of_missed(&self) -> impl Iterator<Item = JournalRecord> {
        let missed = self.missed_hints();
        missed.map(|(owner, partition)| JournalRecord::HintsMissed { owner, partition, missed: true })
    }

    /// Records that make the hints, on a replica that has none.
    pub(crate) fn records_of_hints(&self) -> impl Iterator<Item = JournalRecord> {
        self.hints.all().map(JournalRecord::HintHeld)
    }

    pub(super) fn replay_kept_hint(&mut self, kept: &KeptHint, lsn: Lsn) -> Result<(), RecoverError> {
        let told = self.read_stored(&kept.delta, lsn)?;
        let (place, max_revisions) = ((kept.owner, kept.delta.partition), self.config.limits.max_revisions);
        let _ = self.hints.keep(place, told, (kept.oldest, kept.newest), lsn, max_revisions);
        Ok(())
    }

    pub(super) fn replay_held_hint(&mut self, held: &HeldHint, lsn: Lsn) -> Result<(), RecoverError> {
        let told = self.read_stored(&held.kept.delta, lsn)?;
        if held.last <= lsn.get() && self.hints.restore(held, told) {
            Ok(())
        } else {
            Err(RecoverError::OutOfOrder { lsn })
        }
    }

    pub(super) fn replay_settled_hints(&mut self, owner: NodeId, hints: &[SettledHint]) {
        for SettledHint { item, up_to } in hints {
            let _ = self.hints.settle(owner, item, Lsn::new(*up_to));
        }
    }

    pub(super) fn replay_missed(&mut self, owner: NodeId, partition: u16, missed: bool) {
        if missed {
            self.hints.missed.insert((owner, partition));
        } else {
            self.hints.missed.remove(&(owner, partition));
        }
    }

    /// Reads what was admitted once.
    pub(super) fn read_stored(&self, told: &MergedState, lsn: Lsn) -> Result<Told, RecoverError> {
        self.checked(told.partition, lsn)?;
        let kind = self.kind_of(told.collection).map_err(|_| RecoverError::OtherCollections)?;
        Told::read(told, kind, &STORED).map_err(|cause| RecoverError::Cell { lsn, cause })
    }
}
