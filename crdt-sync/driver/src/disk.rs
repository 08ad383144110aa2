//! The disk: a log in a directory, opened and read back, with one flusher for all appends.

use std::path::Path;

use crdt_sync::Input;
use replication_log::storage::FileStorage;
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, ReadError, RecordKind};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::OpenError;

/// Records of the engine are opaque to the log.
const ENGINE_RECORD: RecordKind = RecordKind(1);

/// A log in a directory.
pub(crate) type FileLog = Log<FileStorage>;

/// The log of a running node.
pub(crate) struct Disk {
    log: LogHandle<FileStorage>,
}

/// Opens the log of a directory, creating both if need be.
pub(crate) fn open(directory: &Path) -> Result<FileLog, OpenError> {
    let storage = FileStorage::open(directory)?;
    let options = LogOptions::new(Uuid::new_v4().as_u64_pair().0);
    let (log, report) = Log::open(storage, options)?;
    info!(last = report.last.get(), clean = report.closed_cleanly, "log opened");
    if let Some(cut) = &report.cut {
        warn!(?cut, "an unsynced tail was cut off the log");
    }
    Ok(log)
}

/// The first record, which says what the log belongs to.
pub(crate) fn first_record(log: &FileLog) -> Result<Option<Vec<u8>>, OpenError> {
    let mut reader = log.read_from(log.oldest())?;
    Ok(reader.next_record()?.map(|record| record.payload.to_vec()))
}

/// All records, oldest first, one at a time. They end early when one cannot be read, and `failed` says why.
pub(crate) fn records<'l>(
    log: &'l FileLog,
    failed: &'l mut Option<ReadError>,
) -> Result<impl Iterator<Item = (Lsn, Vec<u8>)> + 'l, OpenError> {
    let records = log.read_from(log.oldest())?.into_iter();
    Ok(records.map_while(move |record| match record {
        Ok(record) => Some((record.lsn, record.payload)),
        Err(error) => {
            *failed = Some(error);
            None
        }
    }))
}

impl Disk {
    /// Starts the flusher, which reports every advance of the durable mark to the engine.
    pub(crate) fn start(log: Log<FileStorage>, inputs: UnboundedSender<Input>) -> Result<Self, OpenError> {
        let report = Box::new(move |outcome: Result<Lsn, _>| {
            // When nobody listens any more the node is shutting down.
            let _ = inputs.send(match outcome {
                Ok(lsn) => Input::Durable { lsn },
                Err(_) => Input::LogFailed,
            });
        });
        let log = LogHandle::start_with(log, FsyncPolicy::Group, report).map_err(OpenError::Thread)?;
        Ok(Self { log })
    }

    /// Writes records as one batch; whether they became durable is reported later. Returns false when the
    /// log is over.
    pub(crate) fn append(&self, first: Lsn, records: &[Vec<u8>]) -> bool {
        let mut batch = Batch::new(Epoch::ZERO);
        let pushed = records.iter().try_for_each(|record| batch.push(ENGINE_RECORD, record));
        if let Err(error) = pushed {
            warn!(%error, "a batch is larger than the log allows");
            return false;
        }
        match self.log.append(&batch) {
            Ok(ticket) => *ticket.lsns().start() == first,
            Err(error) => {
                warn!(%error, "the log refused a batch");
                false
            }
        }
    }

    /// Marks the log as cleanly closed.
    pub(crate) fn close(self) {
        if let Err(error) = self.log.close() {
            warn!(%error, "the log could not be closed cleanly");
        }
    }
}
