//! Slots over a log that many threads share.

use std::time::Duration;

use super::LogHandle;
use crate::{
    Log, Lsn,
    handle::SubmitError,
    ship::slot::{Extent, SlotFile, Slots, TruncateSlotsError, TruncatedSlots},
    storage::Storage,
};

impl<S> LogHandle<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// How many bytes the segments take up from the one on that holds record `lsn`; `None` once the log is
    /// closed. See [`Log::bytes_from`].
    pub fn bytes_from(&self, lsn: Lsn) -> Option<u64> {
        self.shared().lock().log.as_ref().map(|log| log.bytes_from(lsn))
    }

    /// Which records the log has, durably; `None` once it is closed.
    pub fn extent(&self) -> Option<Extent> {
        self.shared().lock().log.as_ref().map(Extent::of)
    }

    /// Moves every slot to the state it is in at `now`; see [`Slots::assess`]. Returns whether it could: not
    /// once the log is closed.
    pub fn assess_slots(&self, now: Duration, slots: &mut Slots) -> bool {
        let state = self.shared().lock();
        state.log.as_ref().map(|log| slots.assess(now, log)).is_some()
    }

    /// Drops what no slot has a claim to; see [`Slots::truncate`]. Holds the log's lock while it writes the
    /// slots, which it does only when a segment can be dropped.
    ///
    /// ```
    /// use core::time::Duration;
    /// use replication_log::{
    ///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind,
    ///     ship::slot::{SlotFile, SlotLimits},
    ///     storage::MemoryStorage,
    /// };
    ///
    /// let (storage, now) = (MemoryStorage::new(), Duration::ZERO);
    /// let (log, _) = Log::open(storage.clone(), LogOptions::new(0x5eed).segment_bytes(4096))?;
    /// let file = SlotFile::open(storage)?;
    /// let mut slots = file.load(&log, SlotLimits::none(), now)?;
    /// slots.create("b", "", Lsn::ZERO, (&log).into(), now)?;
    ///
    /// let handle = LogHandle::start(log, FsyncPolicy::Group)?;
    /// let batch = Batch::of(Epoch::ZERO, RecordKind(1), &[b'x'; 3000])?;
    /// for _ in 0..10 {
    ///     handle.append_durable(&batch)?;
    /// }
    /// let floor = Lsn::new(10);
    /// assert_eq!(handle.truncate_slots(now, &mut slots, &file, floor)?.oldest, Lsn::new(1));
    /// slots.confirm("b", Lsn::new(6), handle.extent().expect("open").durable)?;
    /// assert_eq!(handle.truncate_slots(now, &mut slots, &file, floor)?.oldest, Lsn::new(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn truncate_slots<T: Storage>(
        &self,
        now: Duration,
        slots: &mut Slots,
        file: &SlotFile<T>,
        floor: Lsn,
    ) -> Result<TruncatedSlots, SubmitError<TruncateSlotsError>> {
        let mut state = self.shared().wait_while(|state| state.sync_under_way);
        let log: &mut Log<S> = state.log.as_mut().ok_or(SubmitError::Closed)?;
        let outcome = slots.truncate(now, log, file, floor);
        // Tails may wait for a record that is gone.
        self.shared().release_all(state);
        outcome.map_err(SubmitError::Refused)
    }
}
