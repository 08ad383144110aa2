//! The disk: a log in a directory, opened and read back, with one flusher for all appends.

use std::path::Path;

use crdt_sync::Input;
use replication_log::storage::FileStorage;
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, RecordKind};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::OpenError;

/// Records of the engine are opaque to the log.
const ENGINE_RECORD: RecordKind = RecordKind(1);

/// A directory's log, opened.
pub(crate) struct Disk {
    log: LogHandle<FileStorage>,
}

/// What a directory held when it was opened.
pub(crate) struct Opened {
    pub(crate) log: Log<FileStorage>,
    pub(crate) records: Vec<(Lsn, Vec<u8>)>,
}

/// Opens the log of a directory, creating both if need be, and reads its records.
pub(crate) fn open(directory: &Path) -> Result<Opened, OpenError> {
    let storage = FileStorage::open(directory)?;
    let options = LogOptions::new(Uuid::new_v4().as_u64_pair().0);
    let (log, report) = Log::open(storage, options)?;
    match &report.cut {
        Some(cut) => warn!(?cut, "an unsynced tail was cut off the log"),
        None => info!(last = report.last.get(), clean = report.closed_cleanly, "log opened"),
    }
    let mut records = Vec::new();
    for record in log.read_from(report.oldest)? {
        let record = record?;
        records.push((record.lsn, record.payload));
    }
    Ok(Opened { log, records })
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
