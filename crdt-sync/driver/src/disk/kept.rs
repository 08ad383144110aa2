//! What stays of the log and of checkpoints, besides what opening the node takes: for nodes that follow it.
//!
//! Where this node leads, it knows how far each follower is, and a *slot* keeps what that one lacks, within a limit;
//! the slots are durable, so that followers are remembered after a restart. Beyond the limit a slot is lost, and its
//! follower begins anew with a snapshot. Where this node follows, it does not know how far others are, and so many
//! bytes of the log stay for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crdt_sync::{Engine, LogEvent, NodeId};
use replication_log::handle::SubmitError;
use replication_log::ship::slot::{
    Extent, SlotEvent, SlotFile, SlotLimits, SlotState, Slots, SlotsFileError, TruncateSlotsError,
};
use replication_log::ship::{Stage, commit::Link};
use replication_log::snapshot::Snapshots;
use replication_log::storage::{FileStorage, StorageError};
use replication_log::{Log, LogHandle, Lsn, TruncateError};
use thiserror::Error;
use tracing::{error, info, warn};

/// Whoever was sent a part of a snapshot so long ago is not waited for.
const READ_ON_WITHIN: Duration = Duration::from_secs(60);
/// Slots have no limit of time here, so that none is told.
const NOW: Duration = Duration::ZERO;

/// How far each follower is, where this node leads: what it has on its disk.
pub(crate) type Claims = Vec<(NodeId, Lsn)>;

/// Why the log was not cut. It grows until it is.
#[derive(Debug, Error)]
pub(crate) enum NotCut {
    #[error("the log is over")]
    Closed,
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Log(#[from] TruncateError),
    #[error(transparent)]
    Slots(#[from] TruncateSlotsError),
}

/// What followers keep alive of a node's log and checkpoints.
#[derive(Debug)]
pub(crate) struct Kept {
    /// At most so many bytes of the log.
    limit: u64,
    /// Where nodes share a log.
    slots: Option<Mutex<(Slots, SlotFile<FileStorage>)>>,
    /// The snapshots that others are sent, and when that was last so.
    reading: Mutex<BTreeMap<Lsn, Instant>>,
}

impl Kept {
    /// For nobody: the log is one's own.
    pub(super) fn for_nobody() -> Self {
        Self { limit: 0, slots: None, reading: Mutex::default() }
    }

    /// For followers, as the directory has them.
    pub(super) fn load(
        storage: &FileStorage,
        log: &Log<FileStorage>,
        limit: u64,
    ) -> Result<Self, StorageError> {
        let file = SlotFile::open(storage.clone())?;
        let limits = SlotLimits::none().bytes(limit);
        let slots = match file.load(log, limits, NOW) {
            Ok(slots) => slots,
            Err(SlotsFileError::Storage(error)) => return Err(error),
            Err(error) => {
                error!(%error, "who follows this node is forgotten, until they are heard of");
                Slots::new(log.id(), limits, NOW)
            }
        };
        Ok(Self { limit, slots: Some(Mutex::new((slots, file))), reading: Mutex::default() })
    }

    /// A part of this snapshot was read for somebody: it stays, and so does what follows it.
    pub(super) fn is_read(&self, snapshot: Lsn) {
        locked(&self.reading).insert(snapshot, Instant::now());
    }

    /// Before the log's end is cut there: nobody has what had these numbers.
    pub(super) fn forget_behind(&self, lsn: Lsn) -> Result<(), StorageError> {
        let Some(slots) = &self.slots else { return Ok(()) };
        let (slots, file) = &mut *locked(slots);
        slots.cut(lsn);
        file.save(slots).map(drop)
    }

    /// Makes the claims durable of followers that this node had not heard of, if it leads: the log is cut now and then
    /// only, and they are to be remembered if this node stops before.
    pub(crate) fn remember(&self, log: &LogHandle<FileStorage>, engine: &Engine) {
        // Whoever cuts the log just now takes note of everybody.
        let Some(Ok(mut held)) = self.slots.as_ref().map(Mutex::try_lock) else { return };
        let (slots, file) = &mut *held;
        let (Some(mut claims), Some(extent)) = (claims(engine), log.extent()) else { return };
        let is_kept = |has: &Lsn| has.next() >= Some(extent.oldest);
        claims.retain(|(node, has)| is_kept(has) && slots.get(&node.to_string()).is_none());
        if claims.is_empty() {
            return;
        }
        claim(slots, &claims, extent);
        if let Err(error) = file.save(slots) {
            warn!(%error, "followers cannot be remembered");
        }
    }

    /// Drops what is older than the checkpoint before the newest one, and what nobody has a claim to; the newest one
    /// needs the log from another record on. Returns whose claims were lost.
    pub(crate) fn drop_old(
        &self,
        log: &LogHandle<FileStorage>,
        snapshots: &Snapshots<FileStorage>,
        (before, newest_needs): (Lsn, Lsn),
        claims: Option<&Claims>,
    ) -> Result<Vec<LogEvent>, NotCut> {
        let read = self.being_read();
        snapshots.remove_if(|lsn| lsn < before && !read.contains(&lsn))?;
        let needed = newest_needs.min(Lsn::new(before.get() + 1));
        // Whoever has the snapshot goes on with the log behind it.
        let is_within = |lsn: &Lsn| log.bytes_from(*lsn).is_some_and(|bytes| bytes <= self.limit);
        let needed =
            read.into_iter().filter_map(Lsn::next).find(is_within).map_or(needed, |lsn| lsn.min(needed));
        let mut lost = Vec::new();
        let oldest = match (claims, &self.slots) {
            (Some(claims), Some(slots)) => {
                let (slots, file) = &mut *locked(slots);
                claim(slots, claims, log.extent().ok_or(NotCut::Closed)?);
                let cut = log.truncate_slots(NOW, slots, file, needed).map_err(refused)?;
                lost.extend(std::iter::from_fn(|| slots.poll_event()).filter_map(lost_by));
                cut.oldest
            }
            _ => log
                .truncate_before(oldest_within(log, self.limit).map_or(needed, |lsn| lsn.min(needed)))
                .map_err(refused)?,
        };
        info!(oldest = oldest.get(), "the log was cut");
        Ok(lost)
    }

    fn being_read(&self) -> BTreeSet<Lsn> {
        let mut reading = locked(&self.reading);
        reading.retain(|_, read| read.elapsed() < READ_ON_WITHIN);
        reading.keys().copied().collect()
    }
}

/// How far everybody is who follows this node, or did since it began to lead; `None` where it does not lead.
pub(crate) fn claims(engine: &Engine) -> Option<Claims> {
    let leadership = engine.status().leadership.filter(|leadership| leadership.mode.is_some())?;
    let followers = leadership.followers.iter().map(|(node, status)| (*node, status.follower));
    let heard_of = followers
        .filter(|(_, follower)| follower.link != Link::Gone || follower.marks.at(Stage::Flushed) > Lsn::ZERO);
    Some(heard_of.map(|(node, follower)| (node, follower.marks.at(Stage::Flushed))).collect())
}

/// Takes note of how far followers are. One that lacks what is gone has no claim: it is sent a snapshot.
fn claim(slots: &mut Slots, claims: &Claims, extent: Extent) {
    for (node, has) in claims {
        let (name, has) = (node.to_string(), (*has).min(extent.durable));
        let made = match slots.get(&name).map(|slot| (slot.state(), slot.confirmed())) {
            None => slots.create(&name, "", has, extent, NOW).map_err(|error| error.to_string()),
            // Or it lost its disk, and comes with less than it had.
            Some((state, confirmed)) if state == SlotState::Lost || has < confirmed => {
                slots.reset(&name, has, extent, NOW).map_err(|error| error.to_string())
            }
            Some(_) => slots.confirm(&name, has, extent.durable).map(drop).map_err(|error| error.to_string()),
        };
        if let Err(error) = made {
            info!(follower = %node, %error, "nothing is kept for a follower");
        }
    }
}

/// What to tell of a slot, if it is lost.
fn lost_by(event: SlotEvent) -> Option<LogEvent> {
    let SlotEvent::Changed { slot, to: SlotState::Lost, why, .. } = event else { return None };
    let follower = NodeId::from_u128(u128::from_str_radix(&slot, 16).ok()?);
    warn!(%follower, ?why, "a follower was away for too long: it will have to begin anew");
    Some(LogEvent::FollowerLost { follower, why })
}

fn refused<E: std::error::Error>(error: SubmitError<E>) -> NotCut
where
    NotCut: From<E>,
{
    match error {
        SubmitError::Refused(error) => error.into(),
        _ => NotCut::Closed,
    }
}

/// The first record from which on the log takes up no more than so many bytes; `None` when that is not to be asked, or
/// the log is closed. O(log records) looks at the segments.
fn oldest_within(log: &LogHandle<FileStorage>, bytes: u64) -> Option<Lsn> {
    let extent = log.extent().filter(|_| bytes > 0)?;
    let (mut from, mut to) = (extent.oldest.get(), extent.durable.get() + 1);
    while from < to {
        let middle = from + (to - from) / 2;
        if log.bytes_from(Lsn::new(middle))? <= bytes { to = middle } else { from = middle + 1 }
    }
    Some(Lsn::new(from))
}

/// A thread that panicked left nothing half done that matters here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use replication_log::{Batch, Epoch, FsyncPolicy, LogOptions, RecordKind};
    use tempfile::TempDir;

    use super::*;

    const SEGMENT: u64 = 4_096;

    struct World {
        _home: TempDir,
        log: LogHandle<FileStorage>,
        snapshots: Snapshots<FileStorage>,
        kept: Kept,
    }

    /// A log of which each segment holds three records, with a snapshot of every tenth.
    fn world(limit: u64) -> World {
        let home = tempfile::tempdir().unwrap();
        let storage = FileStorage::open(home.path()).unwrap();
        let (log, _) = Log::open(storage.clone(), LogOptions::new(7).segment_bytes(SEGMENT)).unwrap();
        let kept = Kept::load(&storage, &log, limit).unwrap();
        let (log, snapshots) =
            (LogHandle::start(log, FsyncPolicy::Group).unwrap(), Snapshots::open(storage).unwrap());
        let mut world = World { _home: home, log, snapshots, kept };
        world.grow(30);
        world
    }

    impl World {
        fn grow(&mut self, records: u64) {
            let batch = Batch::of(Epoch::new(1), RecordKind(1), &[b'x'; 1_000]).unwrap();
            for _ in 0..records {
                let last = *self.log.append_durable(&batch).unwrap().end();
                if last.get().is_multiple_of(10) {
                    self.snapshots.receive(self.log.identity_at(last).unwrap()).unwrap().finish().unwrap();
                }
            }
        }

        /// As if the checkpoint of this record had been the newest but one.
        fn drop_before(&self, before: u64, claims: Option<&Claims>) -> Vec<LogEvent> {
            let needs = Lsn::new(before + 11);
            self.kept.drop_old(&self.log, &self.snapshots, (Lsn::new(before), needs), claims).unwrap()
        }

        fn oldest(&self) -> u64 {
            self.log.extent().unwrap().oldest.get()
        }
    }

    fn node(number: u128) -> NodeId {
        NodeId::from_u128(number)
    }

    #[test]
    fn a_snapshot_that_somebody_is_sent_stays_and_so_does_the_log_behind_it() {
        let world = world(20 * SEGMENT);
        world.kept.is_read(Lsn::new(10));
        world.drop_before(30, Some(&Vec::new()));
        assert_eq!(world.snapshots.list().unwrap(), [10, 30].map(Lsn::new));
        assert!((9..=11).contains(&world.oldest()), "{}", world.oldest());
    }

    #[test]
    fn the_log_behind_a_snapshot_that_is_sent_is_kept_within_the_limit_and_no_further() {
        let mut world = world(4 * SEGMENT);
        world.grow(30);
        world.kept.is_read(Lsn::new(10));
        world.drop_before(50, Some(&Vec::new()));
        assert_eq!(world.snapshots.list().unwrap(), [10, 50, 60].map(Lsn::new));
        assert!(world.oldest() > 45, "{}", world.oldest());
    }

    #[test]
    fn a_claim_holds_the_log_until_it_is_lost_and_its_follower_may_claim_again() {
        let mut world = world(8 * SEGMENT);
        let claims = vec![(node(2), Lsn::new(14)), (node(3), Lsn::new(30))];
        assert_eq!(world.drop_before(20, Some(&claims)), []);
        assert!((13..=15).contains(&world.oldest()), "{}", world.oldest());
        world.grow(30);
        // The second one is away.
        let claims = vec![(node(3), Lsn::new(60))];
        let lost = world.drop_before(50, Some(&claims));
        let [LogEvent::FollowerLost { follower, .. }] = &lost[..] else { panic!("{lost:?}") };
        assert_eq!(*follower, node(2));
        assert!(world.oldest() > 45, "{}", world.oldest());
        // It is back with a snapshot.
        let claims = vec![(node(2), Lsn::new(62)), (node(3), Lsn::new(60))];
        world.grow(20);
        assert_eq!(world.drop_before(60, Some(&claims)), []);
        let claims = vec![(node(2), Lsn::new(80)), (node(3), Lsn::new(80))];
        assert_eq!(world.drop_before(60, Some(&claims)), []);
        // And with less than it had.
        let claims = vec![(node(2), Lsn::new(65)), (node(3), Lsn::new(80))];
        assert_eq!(world.drop_before(70, Some(&claims)), []);
        assert!((64..=66).contains(&world.oldest()), "{}", world.oldest());
    }

    #[test]
    fn whoever_does_not_lead_keeps_so_many_bytes_for_whom_it_does_not_know() {
        let world = world(4 * SEGMENT);
        world.drop_before(20, None);
        assert!(world.log.bytes_from(Lsn::FIRST).unwrap() <= 5 * SEGMENT);
        assert!(world.oldest() < 21);
    }
}
