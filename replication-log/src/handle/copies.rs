//! A shared log as the copy of another one, and as the original of one.

use super::{LogHandle, SubmitError, Ticket};
use crate::{AppendCopyError, Epoch, Log, LoggedBatch, Position, ship::History, storage::Storage};

impl<S> LogHandle<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Appends a batch that another log has, as part of a copy of it; see [`Log::append_copy`]. Otherwise like
    /// [`append`](LogHandle::append): the ticket stands for the sender's epoch.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind, storage::MemoryStorage,
    /// };
    ///
    /// let open = |id| Log::open(MemoryStorage::new(), LogOptions::new(id)).map(|(log, _)| log);
    /// let original = LogHandle::start(open(0x5eed)?, FsyncPolicy::Group)?;
    /// original.append_durable(&Batch::of(Epoch::new(1), RecordKind(1), b"milk")?)?;
    ///
    /// let copy = LogHandle::start(open(0xcafe)?, FsyncPolicy::Group)?;
    /// copy.promise_epoch(Epoch::new(1))?;
    /// let mut tail = original.tail(Lsn::FIRST)?;
    /// while let Some(batch) = tail.try_next_batch()? {
    ///     let ticket = copy.append_copy(Epoch::new(1), &batch)?;
    ///     copy.wait_durable(ticket)?;
    /// }
    /// assert_eq!(copy.last_position(), original.last_position());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_copy(
        &self,
        reign: Epoch,
        batch: &LoggedBatch<'_>,
    ) -> Result<Ticket, SubmitError<AppendCopyError>> {
        self.submit_by(batch.encoded_bytes(), reign, false, |log| log.append_copy(reign, batch))
    }

    /// Where the log ends, durable or not; `None` once it is closed. See [`Log::last_position`].
    pub fn last_position(&self) -> Option<Position> {
        self.shared().lock().log.as_ref().map(Log::last_position)
    }

    /// The highest epoch promised or accepted; `None` once the log is closed.
    pub fn epoch(&self) -> Option<Epoch> {
        self.shared().lock().log.as_ref().map(Log::epoch)
    }

    /// Reads the log for whoever has to know what it is: where its epochs end, and which positions it has. Holds the
    /// log's lock meanwhile.
    pub fn with_history<R>(&self, read: impl FnOnce(&dyn History) -> R) -> Option<R> {
        self.shared().lock().log.as_ref().map(|log| read(log))
    }
}
