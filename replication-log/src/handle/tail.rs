//! Following a shared log: every durable record, once, in order, as it becomes durable.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    LogHandle, TailError,
    shared::{Life, Shared, State},
};
use crate::{
    Corruption, Damage, Log, LoggedBatch, Lsn, Record, SegmentId,
    seal::{Sealing, Unsealer},
    segment::{FramedRecords, Place, Step, Walk, file_name},
    storage::{Storage, StorageFile},
};

/// A reader that follows a shared log for as long as it wants, on a thread of its own.
///
/// It yields every record once and in order, across segments, and none that is not durable: what a
/// follower has seen never turns out not to have happened, unless the log's end is cut, and then it is
/// told. It reads outside the log's lock and holds one batch in memory.
///
/// It does not hold the log back: whoever wants records kept for it must not call
/// [`truncate_before`](LogHandle::truncate_before) above [`position`](Tail::position). When its records
/// are gone it says so and never jumps. It keeps the storage, and with it a directory's lock, but not
/// the log.
///
/// ```
/// use replication_log::{
///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind, storage::MemoryStorage,
/// };
///
/// let (log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
/// let mut tail = handle.tail(Lsn::FIRST)?;
/// assert!(tail.try_next()?.is_none());
///
/// let _ = handle.append(&Batch::of(Epoch::ZERO, RecordKind(1), b"milk")?)?;
/// assert_eq!(tail.wait_next()?.payload, b"milk");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tail<S: Storage> {
    shared: Arc<Shared<S>>,
    storage: Arc<S>,
    sealing: Sealing,
    /// Where its waker is registered, if it is.
    key: Option<(Lsn, u64)>,
    /// The record that is yielded next.
    next: Lsn,
    /// Whether only what is committed is yielded.
    committed_only: bool,
    /// The last record that may be yielded, as it was when the log was looked at.
    limit: Lsn,
    /// How often the log's end had been cut then, and how often someone had begun to.
    truncations: u64,
    attempts: u64,
    reading: Option<Reading<S::File>>,
}

/// The segment that is being read, and the batch of it that is being taken apart.
struct Reading<F> {
    segment: SegmentId,
    /// Up to where the segment held batches when the log was looked at.
    end: u64,
    walk: Walk<F>,
    records: FramedRecords,
    /// The first record of the batch, and how many it has.
    batch: (Lsn, u32),
    /// The record that is taken off the batch next.
    first: Lsn,
    /// How many of its records are left.
    left: u32,
}

impl<S> LogHandle<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Follows the log from record `from` on. Asking for what is not there yet is fine.
    ///
    /// # Errors
    ///
    /// When the record was truncated away, or the log is closed.
    pub fn tail(&self, from: Lsn) -> Result<Tail<S>, TailError> {
        self.follow(from, false)
    }

    /// Follows the log like [`tail`](LogHandle::tail), but yields only what is
    /// [committed](LogHandle::commit) as well as durable.
    ///
    /// # Errors
    ///
    /// When the record was truncated away, or the log is closed.
    pub fn tail_committed(&self, from: Lsn) -> Result<Tail<S>, TailError> {
        self.follow(from, true)
    }

    fn follow(&self, from: Lsn, committed_only: bool) -> Result<Tail<S>, TailError> {
        let shared = Arc::clone(self.shared());
        let state = shared.lock();
        let log = state.log.as_ref().ok_or(TailError::Closed)?;
        let (storage, sealing, truncations) =
            (log.shared_storage(), log.sealing().clone(), log.truncations());
        let next = from.max(Lsn::FIRST);
        check_kept(log, next)?;
        drop(state);
        // Whether anything is durable is asked with the first record.
        let (limit, attempts) = (Lsn::ZERO, 0);
        let (key, reading) = (None, None);
        Ok(Tail {
            shared,
            storage,
            sealing,
            key,
            next,
            committed_only,
            limit,
            truncations,
            attempts,
            reading,
        })
    }
}

impl<S: Storage> Tail<S> {
    /// The record that comes next.
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// The next record, or `None` when all that is durable was yielded. Never waits for anything but
    /// the disk.
    ///
    /// # Errors
    ///
    /// After [`Rewound`](TailError::Rewound) it goes on behind the cut, and after
    /// [`Storage`](TailError::Storage) it tries again where it was; all others come again.
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>, TailError> {
        if self.advance()? { self.take().map(Some) } else { Ok(None) }
    }

    /// The next batch, whole: what a copy of the log is sent. `None` when all that is durable was yielded. Of a batch
    /// of which records were yielded one by one, all are lent again.
    ///
    /// # Errors
    ///
    /// As [`try_next`](Tail::try_next).
    pub fn try_next_batch(&mut self) -> Result<Option<LoggedBatch<'_>>, TailError> {
        if !self.advance()? {
            return Ok(None);
        }
        let (lsn, limit) = (self.next, self.limit);
        let Some(reading) = &mut self.reading else { return Err(TailError::Closed) };
        let (first, count) = reading.batch;
        let Some(next) = first.advance(u64::from(count)) else {
            return Err(reading.damage(lsn, limit).into());
        };
        // A mark may have been set inside a batch; the batch is lent when all of it may be seen.
        if next.previous() > Some(limit) {
            return Ok(None);
        }
        reading.left = 0;
        self.next = next;
        let place = reading.walk.place();
        Ok(Some(LoggedBatch::from_log(first, place.reign, count, place.chain, reading.walk.body())))
    }

    /// Like [`try_next`](Tail::try_next), and waits for a record to become durable.
    ///
    /// Never hangs on a log that is closed or poisoned. Under
    /// [`FsyncPolicy::Never`](crate::FsyncPolicy::Never) it waits until someone asks for a sync.
    pub fn wait_next(&mut self) -> Result<Record<'_>, TailError> {
        while !self.advance()? {
            drop(self.shared.wait_while(|state| !self.is_due(state)));
        }
        self.take()
    }

    /// Like [`wait_next`](Tail::wait_next), and `None` when `timeout` is over first.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Record<'_>>, TailError> {
        if !self.advance()? {
            drop(self.shared.wait_while_for(timeout, |state| !self.is_due(state)));
            if !self.advance()? {
                return Ok(None);
            }
        }
        self.take().map(Some)
    }

    /// Completes when [`try_next`](Tail::try_next) has a record or an error to give. It needs no
    /// runtime, and can be dropped and asked for again.
    pub async fn ready(&mut self) {
        poll_fn(|context| self.poll_ready(context)).await;
    }

    /// What [`ready`](Tail::ready) polls.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if let Some(key) = self.key.take() {
            state.wakers.forget(key);
        }
        if self.next <= self.limit || self.is_due(&state) {
            return Poll::Ready(());
        }
        let key = state.wakers.key(self.next);
        state.wakers.set(key, context.waker());
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }

    /// Whether there is something to yield or to report.
    fn is_due(&self, state: &State<S>) -> bool {
        let due = |log: &Log<S>| {
            self.limit_of(state, log) >= self.next
                || log.oldest() > self.next
                || log.truncations() != self.truncations
                || log.poison().is_some()
        };
        state.life == Life::Ended || state.log.as_ref().is_none_or(due)
    }

    /// The last record that may be yielded now.
    fn limit_of(&self, state: &State<S>, log: &Log<S>) -> Lsn {
        if self.committed_only { log.durable().min(state.committed) } else { log.durable() }
    }

    /// Loads the batch with the next record and stands before it; false at the watermark.
    fn advance(&mut self) -> Result<bool, TailError> {
        loop {
            if (self.next > self.limit || self.was_cut()) && !self.look()? {
                return Ok(false);
            }
            let Some(reading) = &mut self.reading else {
                self.open()?;
                continue;
            };
            if reading.left > 0 {
                if reading.first == self.next {
                    return Ok(true);
                }
                if reading.first > self.next || reading.skip().is_none() {
                    let damage = reading.damage(self.next, self.limit);
                    return Err(self.diagnose(damage.into()));
                }
            } else if reading.walk.place().offset >= reading.end {
                self.reading = None;
            } else {
                self.read_batch()?;
            }
        }
    }

    /// Reads one batch outside the log's lock, and believes it if nobody began to cut the log meanwhile.
    fn read_batch(&mut self) -> Result<(), TailError> {
        let Some(reading) = &mut self.reading else { return Ok(()) };
        let outcome = reading.read();
        let damage = reading.damage(self.next, self.limit);
        if self.was_cut() {
            self.reading = None;
            return Ok(());
        }
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.diagnose(damage.into())),
            Err(error) => Err(self.diagnose(error.into())),
        }
    }

    /// Whether someone has begun to cut the log's end since it was looked at.
    fn was_cut(&self) -> bool {
        self.shared.attempts() != self.attempts
    }

    /// Learns how far the log goes and whether it still has the next record; false when that is not
    /// durable yet.
    fn look(&mut self) -> Result<bool, TailError> {
        let state = self.shared.lock();
        let log = state.log.as_ref().ok_or(TailError::Closed)?;
        self.attempts = self.shared.attempts();
        self.limit = self.limit_of(&state, log);
        let cut = log.cut_since(self.truncations);
        self.truncations = log.truncations();
        let segment = log.segment_of(self.next);
        // What was read ahead may have been written since, and a batch half taken is read again.
        let goes_on = |reading: &Reading<_>| reading.segment == segment.id && reading.left == 0;
        self.reading = self.reading.take().filter(|reading| cut.is_none() && goes_on(reading));
        if let Some(reading) = &mut self.reading {
            reading.end = segment.end().offset;
            reading.walk.extend_to(reading.end);
        }
        if let Some(to) = cut
            && let Some(behind) = to.next().filter(|&behind| behind < self.next)
        {
            self.next = behind;
            return Err(TailError::Rewound { to });
        }
        check_kept(log, self.next)?;
        if self.next <= self.limit {
            return Ok(true);
        }
        match log.poison() {
            Some(poison) => Err(TailError::Poisoned(poison.clone())),
            None if state.life == Life::Ended => Err(TailError::Closed),
            None => Ok(false),
        }
    }

    /// Opens the segment that holds the next record.
    fn open(&mut self) -> Result<(), TailError> {
        let state = self.shared.lock();
        let log = state.log.as_ref().ok_or(TailError::Closed)?;
        check_kept(log, self.next)?;
        let segment = log.segment_of(self.next);
        let (id, identity, end) = (segment.id, segment.identity, segment.end().offset);
        let place = segment.seek(self.next);
        drop(state);
        match self.storage.open(&file_name(id)) {
            Ok(file) => {
                let walk = Walk::new(Arc::new(file), identity, place, end);
                let walk = walk.unseal_with(Unsealer::new(self.sealing.clone()));
                self.reading = Some(Reading::new(id, end, walk));
                Ok(())
            }
            Err(error) => Err(self.diagnose(error.into())),
        }
    }

    /// Why reading failed: a segment that was dropped or used again under the reader is no damage.
    fn diagnose(&mut self, error: TailError) -> TailError {
        self.reading = None;
        self.look().err().unwrap_or(error)
    }

    /// The record that [`advance`](Tail::advance) stands before.
    fn take(&mut self) -> Result<Record<'_>, TailError> {
        let (lsn, limit) = (self.next, self.limit);
        let Some(reading) = &mut self.reading else { return Err(TailError::Closed) };
        let damage = reading.damage(lsn, limit);
        let (Some((kind, payload)), Some(next)) = (reading.take(), lsn.next()) else {
            return Err(damage.into());
        };
        self.next = next;
        Ok(Record { lsn, kind, payload })
    }
}

fn check_kept<S: Storage>(log: &Log<S>, asked: Lsn) -> Result<(), TailError> {
    let oldest = log.oldest();
    if asked < oldest { Err(TailError::Truncated { asked, oldest }) } else { Ok(()) }
}

impl<F: StorageFile> Reading<F> {
    fn new(segment: SegmentId, end: u64, walk: Walk<F>) -> Self {
        let first = walk.place().next;
        Self { segment, end, walk, records: FramedRecords::default(), batch: (first, 0), first, left: 0 }
    }

    /// Reads the next batch; false where there is none.
    fn read(&mut self) -> Result<bool, crate::storage::StorageError> {
        let Step::Batch(header) = self.walk.step()? else { return Ok(false) };
        self.records = FramedRecords::default();
        self.batch = (header.first, header.count);
        (self.first, self.left) = self.batch;
        Ok(true)
    }

    /// The batch's next record.
    fn take(&mut self) -> Option<(crate::RecordKind, &[u8])> {
        let record = self.records.next(self.walk.body()).ok()??;
        self.first = self.first.next()?;
        self.left -= 1;
        Some(record)
    }

    fn skip(&mut self) -> Option<()> {
        self.take().map(drop)
    }

    fn damage(&self, lsn: Lsn, stated_durable: Lsn) -> Corruption {
        let Place { offset, .. } = self.walk.place();
        let (segment, damage) = (self.segment, Damage::Batch);
        Corruption { segment, offset, lsn, damage, stated_durable, batches_behind: 0 }
    }
}

impl<S: Storage> Drop for Tail<S> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.lock().wakers.forget(key);
        }
    }
}

impl<S: Storage> std::fmt::Debug for Tail<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tail").field("next", &self.next).finish_non_exhaustive()
    }
}
