//! Reads that wait until this node has what their session depends on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use replication_log::Lsn;

use super::answer::Look;
use super::covered::Awaited;
use super::token::Causal;
use crate::engine::{Outbox, Reply, RequestId};
use crate::replica::Replica;
use crate::time::Instant;

/// A read that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) token: Causal,
    pub(super) look: Look,
}

/// All reads that wait, each for one entry at a time, so that an entry wakes only those that wait for it.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    parked: BTreeMap<(Awaited, RequestId), Parked>,
    deadlines: BTreeMap<(Instant, RequestId), Awaited>,
    /// The last record of the log when waiting reads were looked at last: nothing arrives without a record.
    looked_at: Lsn,
}

impl Waits {
    /// How many reads wait.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    pub(super) fn park(&mut self, id: RequestId, awaited: Awaited, parked: Parked) {
        self.deadlines.insert((parked.look.deadline(), id), awaited);
        self.parked.insert((awaited, id), parked);
    }

    /// Takes the reads whose awaited entry is applied now. O(origins waited for), and nothing if nothing arrived.
    pub(super) fn take_arrived(&mut self, replica: &Replica) -> Vec<(RequestId, Parked)> {
        let last = replica.journal.last();
        if core::mem::replace(&mut self.looked_at, last) == last || self.parked.is_empty() {
            return Vec::new();
        }
        let mut arrived = Vec::new();
        let mut after = Bound::Unbounded;
        while let Some(Awaited { partition, origin, .. }) = self.next_awaited(after) {
            let here = replica.partitions.get(usize::from(partition));
            let head = here.map_or(0, |here| here.histories.head(origin).sequence);
            let upto = |sequence, id| (Awaited { partition, origin, sequence }, RequestId(id));
            let keys: Vec<_> =
                self.parked.range(upto(0, 0)..=upto(head, u64::MAX)).map(|(key, _)| *key).collect();
            for key in keys {
                if let Some(parked) = self.parked.remove(&key) {
                    self.deadlines.remove(&(parked.look.deadline(), key.1));
                    arrived.push((key.1, parked));
                }
            }
            after = Bound::Excluded(upto(u64::MAX, u64::MAX));
        }
        arrived
    }

    /// Takes the reads whose deadline has come.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<(RequestId, Parked)> {
        let mut expired = Vec::new();
        while let Some(entry) = self.deadlines.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, id), awaited) = entry.remove_entry();
            if let Some(parked) = self.parked.remove(&(awaited, id)) {
                expired.push((id, parked));
            }
        }
        expired
    }

    /// When the next read gives up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// The engine is over: nothing arrives any more.
    pub(crate) fn fail(&mut self, outbox: &mut Outbox) {
        self.deadlines.clear();
        for (_, id) in core::mem::take(&mut self.parked).into_keys() {
            outbox.reply(id, Reply::Ended, Lsn::ZERO);
        }
    }

    fn next_awaited(&self, after: Bound<(Awaited, RequestId)>) -> Option<Awaited> {
        self.parked.range((after, Bound::Unbounded)).next().map(|((awaited, _), _)| *awaited)
    }
}
