//! The disk: a log and checkpoints in a directory, opened and read back, with one flusher for all appends.

mod cut_off;
mod files;
mod kept;
mod shared;

use std::path::Path;
use std::sync::Arc;

use crdt_sync::single_leader::host::{ENGINE_RECORD, Photographs};
use crdt_sync::time::Now;
use crdt_sync::{Config, Engine, Input, LogEvent, NodeId, RecoverError, node_of_checkpoint, node_of_log};
use replication_log::install::{self, Resumed};
use replication_log::snapshot::{SnapshotError, Snapshots};
use replication_log::storage::FileStorage;
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogHandle, LogOptions, Lsn, ReadError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::{error, info, warn};
use uuid::Uuid;

pub(crate) use kept::{Claims, Kept, NotCut, claims};

use crate::checkpoints::Checkpoints;
use crate::error::{OpenError, UnusableCheckpoint};
use crate::options::NodeOptions;

/// What a directory holds of a node: its log, and checkpoints that stand for the beginning of it.
pub(crate) struct Past {
    storage: FileStorage,
    log: Log<FileStorage>,
    snapshots: Snapshots<FileStorage>,
    kept: Kept,
    checkpoint_every: u64,
    tells_written: bool,
    /// The checkpoint the engine was opened from.
    base: Option<Lsn>,
}

/// The log of a running node, and what makes checkpoints of it.
pub(crate) struct Disk {
    storage: FileStorage,
    log: LogHandle<FileStorage>,
    pub(crate) checkpoints: Checkpoints,
    photographs: Photographs<FileStorage>,
    kept: Arc<Kept>,
    tails: shared::Tails,
    /// Whether something was cut off the log's end since it was opened.
    was_cut: bool,
    /// Whether commits wait for records to be written, and no further.
    tells_written: bool,
}

/// What a node goes on with that was opened anew.
pub(crate) struct Reopened {
    pub(crate) engine: Engine,
    /// What its log reports.
    pub(crate) reports: UnboundedReceiver<Input>,
    pub(crate) event: LogEvent,
}

/// Opens the log of a directory, creating both if need be.
pub(crate) fn open(directory: &Path, options: &NodeOptions) -> Result<Past, OpenError> {
    open_in(FileStorage::open(directory)?, options)
}

fn open_in(storage: FileStorage, options: &NodeOptions) -> Result<Past, OpenError> {
    let snapshots = Snapshots::open(storage.clone())?;
    let fresh = || LogOptions::new(Uuid::new_v4().as_u64_pair().0).segment_bytes(options.segment_bytes);
    match install::resume(&storage, fresh())? {
        Some(Resumed::Installed(snapshot)) => {
            let record = snapshot.map_or(Lsn::ZERO, |snapshot| snapshot.position.lsn);
            info!(record = record.get(), "the log begins anew behind a snapshot");
        }
        Some(Resumed::Undone(_)) => warn!("a snapshot did not arrive, and the log is the one of before"),
        None => {}
    }
    // A checkpoint has a name only when the log is durable up to its record.
    let known_durable = snapshots.newest()?.unwrap_or(Lsn::ZERO);
    let (log, report) = Log::open(storage.clone(), fresh().known_durable(known_durable))?;
    info!(last = report.last.get(), clean = report.closed_cleanly, "log opened");
    if let Some(cut) = &report.cut {
        warn!(?cut, "an unsynced tail was cut off the log");
    }
    let kept = if options.is_single_leader() {
        Kept::load(&storage, &log, options.log_for_followers)?
    } else {
        Kept::for_nobody()
    };
    let (checkpoint_every, tells_written) = (options.checkpoint_every, options.waits_for_writes());
    Ok(Past { storage, log, snapshots, kept, checkpoint_every, tells_written, base: None })
}

impl Past {
    /// The last record of the log.
    pub(crate) fn last(&self) -> Lsn {
        self.log.last()
    }

    /// The node whose directory this is, told by the beginning of its log, or by a checkpoint where that was cut; by a
    /// file where nodes share a log, which says nothing of whose directory it lies in.
    pub(crate) fn node(&self) -> Result<Option<NodeId>, OpenError> {
        if let Some(node) = files::read_node(&self.storage)? {
            return Ok(Some(node));
        }
        if self.log.oldest() == Lsn::FIRST {
            let mut reader = self.log.read_from(Lsn::FIRST)?;
            return Ok(reader.next_record()?.and_then(|record| node_of_log(record.payload)));
        }
        for lsn in self.newest_first()? {
            if let Ok(mut reader) = self.snapshots.read(lsn)
                && let Ok(Some(chunk)) = reader.next_chunk()
                && let Some(node) = node_of_checkpoint(chunk)
            {
                return Ok(Some(node));
            }
        }
        Ok(None)
    }

    /// Makes sure that the directory says whose it is, before a log that nodes share lies in it: another node that went
    /// on with what this one wrote would lead under the same epoch.
    pub(crate) fn name(&self, node: NodeId) -> Result<(), OpenError> {
        match self.node()? {
            Some(known) if known == node => Ok(()),
            Some(_) => Err(RecoverError::OtherNode.into()),
            None if self.last() == Lsn::ZERO => Ok(files::write_node(&self.storage, node)?),
            None => Err(OpenError::Nameless),
        }
    }

    /// Opens the engine from the newest checkpoint that serves, or from the whole log when it is still there.
    pub(crate) fn open_engine(&mut self, config: &Config, now: Now) -> Result<Engine, OpenError> {
        let mut unusable = Vec::new();
        for lsn in self.newest_first()? {
            match self.open_from(lsn, config, now)? {
                Ok(engine) => {
                    info!(record = lsn.get(), "opened from a checkpoint");
                    self.base = Some(lsn);
                    return Ok(engine);
                }
                Err(why) => {
                    error!(record = lsn.get(), %why, "a checkpoint is of no use");
                    unusable.push((lsn, why));
                }
            }
        }
        let oldest = self.log.oldest();
        if oldest > Lsn::FIRST {
            return Err(OpenError::NoCheckpoint { oldest, unusable });
        }
        self.with_records_after(Lsn::ZERO, |records| Engine::open(config.clone(), records, now))
    }

    /// Opens the engine from one checkpoint. What is wrong with it is told apart from what no other would mend.
    fn open_from(
        &self,
        lsn: Lsn,
        config: &Config,
        now: Now,
    ) -> Result<Result<Engine, UnusableCheckpoint>, OpenError> {
        let reader = self.snapshots.read(lsn).map_err(UnusableCheckpoint::from);
        let reader = reader.and_then(|reader| Ok(reader.usable_with(&self.log).map(|()| reader)?));
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(why) => return Ok(Err(why)),
        };
        let mut damage: Option<SnapshotError> = None;
        let chunks = std::iter::from_fn(|| match reader.next_chunk() {
            Ok(chunk) => chunk.map(<[u8]>::to_vec),
            Err(error) => {
                damage = Some(error);
                None
            }
        });
        let opened =
            self.with_records_after(lsn, |records| Engine::open_from(config.clone(), chunks, records, now));
        if let Some(damage) = damage {
            return Ok(Err(damage.into()));
        }
        match opened {
            Ok(engine) => Ok(Ok(engine)),
            Err(OpenError::Recover(RecoverError::Checkpoint(why))) => Ok(Err(why.into())),
            Err(other) => Err(other),
        }
    }

    /// Hands the records behind `lsn` over, oldest first, one at a time.
    fn with_records_after(
        &self,
        lsn: Lsn,
        open: impl FnOnce(&mut dyn Iterator<Item = (Lsn, Vec<u8>)>) -> Result<Engine, RecoverError>,
    ) -> Result<Engine, OpenError> {
        let mut failed: Option<ReadError> = None;
        let records = self.log.read_from(Lsn::new(lsn.get() + 1))?.into_iter();
        // They end early when one cannot be read, and then what was made of them is not used.
        let mut records = records.map_while(|record| match record {
            Ok(record) => Some((record.lsn, record.payload)),
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        let opened = open(&mut records);
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(opened?),
        }
    }

    fn newest_first(&self) -> Result<impl Iterator<Item = Lsn> + use<>, OpenError> {
        Ok(self.snapshots.list()?.into_iter().rev())
    }
}

impl Disk {
    /// Starts the flusher, which reports every advance of the durable mark to the engine.
    pub(crate) fn start(past: Past) -> Result<(Self, UnboundedReceiver<Input>), OpenError> {
        let (inputs, reports) = unbounded_channel();
        let report = Box::new(move |outcome: Result<Lsn, _>| {
            // When nobody listens any more the node is shutting down.
            let _ = inputs.send(match outcome {
                Ok(lsn) => Input::Durable { lsn },
                Err(error) => {
                    warn!(%error, "the log failed");
                    Input::LogFailed
                }
            });
        });
        let Past { storage, log, snapshots, kept, checkpoint_every, tells_written, base } = past;
        let log = LogHandle::start_with(log, FsyncPolicy::Group, report).map_err(OpenError::Thread)?;
        let (kept, photographs) = (Arc::new(kept), Photographs::new(snapshots.clone()));
        let checkpoints = Checkpoints::new(log.clone(), snapshots, Arc::clone(&kept), checkpoint_every, base);
        let tails = shared::Tails::default();
        let disk =
            Self { storage, log, checkpoints, photographs, kept, tails, was_cut: false, tells_written };
        Ok((disk, reports))
    }

    /// Closes the log, does what is to be done with the directory, and opens another engine from it. What the log of
    /// before reported and nobody has heard is of no interest any more. After an error the log stays closed.
    pub(crate) fn reopen(
        &mut self,
        options: &NodeOptions,
        config: &Config,
        now: Now,
    ) -> Result<Reopened, OpenError> {
        self.checkpoints.give_up();
        self.tails = shared::Tails::default();
        // With it goes what had arrived of another snapshot.
        self.photographs = Photographs::new(self.checkpoints.files().clone());
        if let Err(error) = self.log.clone().close() {
            warn!(%error, "the log could not be closed cleanly");
        }
        let mut past = open_in(self.storage.clone(), options)?;
        let engine = past.open_engine(config, now)?;
        let event = LogEvent::Reopened { from: past.base.unwrap_or(Lsn::ZERO), last: past.last() };
        let (disk, reports) = Self::start(past)?;
        *self = disk;
        Ok(Reopened { engine, reports, event })
    }

    /// Writes records as one batch; whether they became durable is reported later. Returns false when the
    /// log is over.
    pub(crate) fn append(&mut self, epoch: Epoch, first: Lsn, records: &[Vec<u8>]) -> bool {
        let mut batch = Batch::new(epoch);
        let pushed = records.iter().try_for_each(|record| batch.push(ENGINE_RECORD, record));
        if let Err(error) = pushed {
            warn!(%error, "a batch is larger than the log allows");
            return false;
        }
        match self.log.append(&batch) {
            Ok(ticket) => {
                self.checkpoints.log_grew(batch.encoded_bytes() as u64);
                *ticket.lsns().start() == first
            }
            Err(error) => {
                warn!(%error, "the log refused a batch");
                false
            }
        }
    }

    /// Takes note of whom this node keeps the log for, if it leads.
    pub(crate) fn remember_followers(&self, engine: &Engine) {
        self.kept.remember(&self.log, engine);
    }

    /// Begins a checkpoint when one is due or wanted, and moves the one that is being made on.
    pub(crate) fn make_checkpoints(&mut self, engine: &mut Engine) {
        if self.photographs.take_wanted() && self.checkpoints.want() {
            warn!("a follower lacks a checkpoint that can be read: another one is made");
        }
        if let Some(made) = self.checkpoints.go_on(engine) {
            self.photographs.renewed(made);
        }
    }

    /// Makes everything durable if a last checkpoint is worth its while, and says up to which record that is.
    pub(crate) fn sync_before_last_checkpoint(&self) -> Option<Lsn> {
        if self.checkpoints.is_last_one_due() { self.log.sync().ok() } else { None }
    }

    /// Marks the log as cleanly closed, and returns its last record if that is durable.
    pub(crate) fn close(self) -> Option<Lsn> {
        drop(self.checkpoints);
        self.log.close().unwrap_or_else(|error| {
            warn!(%error, "the log could not be closed cleanly");
            None
        })
    }
}
