//! Checkpoints in a world: now and then a node begins one, gives it out between its inputs, puts it away on a disk that
//! may fail under it, and cuts its log.

use core::time::Duration;

use crdt_sync::time::Now;
use crdt_sync::{CheckpointError, CheckpointPiece, Config, Engine, PlantedBug};
use replication_log::Lsn;

use super::node::Node;
use super::{Happening, World};
use crate::disk::{Disk, DiskError, Mistakes};
use crate::violation::Violation;

/// A checkpoint that is being made, as far as it was given out.
#[derive(Clone, Debug, Default)]
pub(super) struct Making {
    bytes: Vec<u8>,
    /// All of it: it waits to be put away.
    complete: Option<Lsn>,
}

/// The records of a log, and the record up to which a node opened from them is.
type Opened = (Engine, Lsn);

impl Node {
    /// Opens an engine from one of the checkpoints on its disk, or from the whole log when there is none.
    pub(super) fn open_engine(
        disk: &Disk,
        config: Config,
        records: Vec<(Lsn, Vec<u8>)>,
        now: Now,
        newest: bool,
    ) -> Result<Opened, String> {
        let checkpoints = disk.checkpoints().map_err(|error| error.to_string())?;
        let last = records.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        // Both that are kept must serve: the older one is there for when the newer one goes bad.
        let chosen = if newest { checkpoints.last() } else { checkpoints.first() };
        let opened = match chosen {
            Some(&lsn) => {
                let bytes = disk.read_checkpoint(lsn).map_err(|error| error.to_string())?;
                Engine::open_from(config, [bytes], records, now)
            }
            None => Engine::open(config, records, now),
        };
        let last = last.max(chosen.copied().unwrap_or(Lsn::ZERO));
        opened.map(|engine| (engine, last)).map_err(|error| error.to_string())
    }
}

impl World {
    /// The driver of a node makes the mistakes that are its own.
    pub(super) fn plant_in(&mut self, number: usize) {
        let has = |bug: PlantedBug| self.setup.plant == Some(bug);
        let mistakes = Mistakes {
            drops_tails: has(PlantedBug::CutTailDropped),
            installs_early: has(PlantedBug::InstalledAheadOfDisk),
            forgets_promises: has(PlantedBug::PromiseNotKept),
        };
        self.nodes[number].disk.plant(mistakes);
    }

    /// A node thinks of a checkpoint some time from now, as long as this process of it lives.
    pub(super) fn checkpoint_later(&mut self, node: usize, boot: u64) {
        if let Some(between) = self.setup.between_checkpoints.clone() {
            let after = self.dice.checkpoints.span(&between);
            self.put(after, Happening::Checkpoint { node, boot });
        }
    }

    /// Begins a checkpoint, moves one on by a piece, or puts it away.
    pub(super) fn checkpoint(&mut self, number: usize, boot: u64) -> Result<(), Violation> {
        /// How long it is from one piece to the next.
        const PAUSE: core::ops::RangeInclusive<Duration> =
            Duration::from_micros(500)..=Duration::from_millis(20);
        let budget = 1 + self.dice.checkpoints.index(2_000);
        let node = &mut self.nodes[number];
        if node.boot() != boot {
            return Ok(());
        }
        let Some(engine) = &mut node.engine else { return Ok(()) };
        if engine.leadership().is_some_and(|leadership| leadership.applied == Lsn::ZERO) {
            self.checkpoint_later(number, boot);
            return Ok(());
        }
        let Some(making) = &mut node.making else {
            let lsn = engine.begin_checkpoint();
            node.making = Some(Making::default());
            self.note(format_args!("{number} begins a checkpoint of {lsn}"));
            self.put(Duration::ZERO, Happening::Checkpoint { node: number, boot });
            return Ok(());
        };
        if let Some(lsn) = making.complete {
            if !node.disk.is_syncing() {
                let Making { bytes, .. } = node.making.take().unwrap_or_default();
                return self.put_away(number, lsn, &bytes);
            }
        } else {
            match engine.next_piece(budget) {
                Ok(CheckpointPiece::Bytes(bytes)) => making.bytes.extend(bytes),
                Ok(CheckpointPiece::Complete { lsn, .. }) => making.complete = Some(lsn),
                // Not durable yet; or the log has failed, and the process is about to end.
                Ok(CheckpointPiece::Waiting { .. }) | Err(CheckpointError::NotUnderWay) => {}
                other => return Err(Violation::AppendRefused { node: number, error: format!("{other:?}") }),
            }
        }
        let after = self.dice.checkpoints.span(&PAUSE);
        self.put(after, Happening::Checkpoint { node: number, boot });
        Ok(())
    }

    fn put_away(&mut self, number: usize, lsn: Lsn, bytes: &[u8]) -> Result<(), Violation> {
        let ignores_the_floor = self.setup.plant == Some(PlantedBug::LogCutTooFar);
        let node = &mut self.nodes[number];
        let boot = node.boot();
        match node.disk.put_away(lsn, bytes, ignores_the_floor) {
            Ok(oldest) => {
                node.rotten_files.retain(|name| node.disk.has_file(name));
                self.note(format_args!("{number} has a checkpoint of {lsn}, and its log from {oldest} on"));
                self.checkpoint_later(number, boot);
                Ok(())
            }
            Err(error) => self.checkpoint_failed(number, &error),
        }
    }

    fn checkpoint_failed(&mut self, number: usize, error: &DiskError) -> Result<(), Violation> {
        self.disk_failed(number, error)?;
        self.end_if_failed(number)
    }
}
