//! Whether what depends on a record may be let out.

use super::{Epoch, Log, Lsn, Storage};
use crate::ReleaseError;

impl<S: Storage> Log<S> {
    /// Whether an effect of `epoch` that depends on record `lsn` may be let out now, be it a reply, an
    /// acknowledgement or a message. Returns the last durable record. O(1).
    ///
    /// Being durable is not enough: between the append and its sync a newer epoch can have been
    /// promised, and whoever was granted it may have decided without this record. Ask at the last
    /// moment before the effect leaves. The idea is that of the fencing token, checked by the resource
    /// and not by its client.
    ///
    /// ```
    /// use replication_log::{
    ///     Batch, Epoch, Log, LogOptions, RecordKind, ReleaseError, storage::MemoryStorage,
    /// };
    ///
    /// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
    /// let epoch = Epoch::new(1);
    /// let lsn = *log.append(&Batch::of(epoch, RecordKind(1), b"milk")?)?.end();
    /// assert!(matches!(log.release(epoch, lsn), Err(ReleaseError::NotDurable { .. })));
    /// log.sync()?;
    /// assert_eq!(log.release(epoch, lsn), Ok(lsn));
    ///
    /// log.promise_epoch(Epoch::new(2))?;
    /// assert!(matches!(log.release(epoch, lsn), Err(ReleaseError::Fenced { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When a newer epoch was promised or accepted, or the record is not durable yet or, because the
    /// log is poisoned, will never be known to be.
    pub fn release(&self, epoch: Epoch, lsn: Lsn) -> Result<Lsn, ReleaseError> {
        if epoch < self.epoch() {
            return Err(ReleaseError::Fenced { have: self.epoch(), got: epoch });
        }
        if lsn > self.durable {
            self.check_poison()?;
            return Err(ReleaseError::NotDurable { asked: lsn, durable: self.durable });
        }
        Ok(self.durable)
    }
}
