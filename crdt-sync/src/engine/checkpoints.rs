//! Checkpoints of an engine: made between inputs, opened from.

use replication_log::Lsn;

use super::{Config, Engine, Now, RecoverError, Replica};
use crate::checkpoint::{CheckpointError, CheckpointPiece, Writer};

impl Engine {
    /// Starts a node from a checkpoint and the records of its log behind it, oldest first.
    ///
    /// The bytes of the checkpoint may come cut into chunks anyhow. Records that the checkpoint has may be among the
    /// others; they are passed over, not applied twice. What comes of it is what [`open`](Self::open) makes of the
    /// whole log, except that peers may be served fewer of the entries of before.
    ///
    /// O(bytes of the checkpoint), and what replaying the other records costs.
    ///
    /// ```
    /// use crdt_sync::time::{Instant, Now, WallTime};
    /// use crdt_sync::{
    ///     Action, CheckpointPiece, ClusterKey, Collection, Config, Engine, Input, NodeId, Output, Request, RequestId,
    ///     Write,
    /// };
    /// use replication_log::Lsn;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let visits = Collection::counters("visits");
    /// let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [1; 32])
    ///     .with_collections([visits.clone()]);
    /// let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
    /// let mut engine = Engine::open(config.clone(), Vec::<(_, Vec<u8>)>::new(), now)?;
    /// let write = Write { collection: visits.id(), key: "/".into(), action: Action::Increment(1) };
    /// engine.handle(now, Input::Request { id: RequestId(1), request: Request::Write(vec![write]) });
    /// let mut durable = Lsn::ZERO;
    /// while let Some(output) = engine.poll_output() {
    ///     if let Output::Append { first, records } = output {
    ///         durable = Lsn::new(first.get() + records.len() as u64 - 1); // in a log
    ///     }
    /// }
    /// engine.handle(now, Input::Durable { lsn: durable });
    ///
    /// engine.begin_checkpoint();
    /// let mut checkpoint = Vec::new();
    /// while let CheckpointPiece::Bytes(piece) = engine.next_piece(64 << 10)? {
    ///     checkpoint.push(piece); // and inputs may be handled in between
    /// }
    ///
    /// // The log up to here can go.
    /// let reopened = Engine::open_from(config, &checkpoint, Vec::<(_, Vec<u8>)>::new(), now)?;
    /// assert_eq!(reopened.status().partitions, engine.status().partitions);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); bytes that are [no checkpoint](RecoverError::Checkpoint); a log that does not
    /// [go on where the checkpoint ends](RecoverError::Gap), or [ends before it](RecoverError::LogTooShort).
    pub fn open_from<C: AsRef<[u8]>, R: AsRef<[u8]>>(
        config: Config,
        checkpoint: impl IntoIterator<Item = C>,
        records: impl IntoIterator<Item = (Lsn, R)>,
        now: Now,
    ) -> Result<Self, RecoverError> {
        let replica = Replica::recover_from(config, checkpoint, records, now.wall)?;
        Ok(Self::start(replica, now))
    }

    /// Begins a checkpoint of everything this node holds now, and returns the last record it contains. One that is
    /// under way is given up.
    ///
    /// To be called between inputs, when all outputs are polled. O(origins); the rest of the work is done by
    /// [`next_piece`](Self::next_piece), and inputs may be handled in between: what they change is kept as it was
    /// until it is given out, which takes at most one encoded copy of what the node holds now.
    pub fn begin_checkpoint(&mut self) -> Lsn {
        let writer = Writer::begin(&mut self.replica);
        let lsn = writer.lsn();
        #[cfg(feature = "_planted_bugs")]
        if self.topology.has_bug(crate::PlantedBug::CheckpointWithoutCells) {
            self.abandon_checkpoint();
        }
        self.checkpoint = Some(writer);
        lsn
    }

    /// The next bytes of the checkpoint that was begun: about `budget` of them, or none after as much was looked at.
    /// A single state is never divided. The bytes do not depend on the budgets, nor on what is handled in between.
    ///
    /// Its last bytes come only when the record it stands for is durable. Put all bytes away so that damage is noticed
    /// and make them durable before the log is cut; `docs/formats.md` says what is in them.
    ///
    /// # Errors
    ///
    /// When none was begun or the log failed; or when one state is larger than what can be loaded again, after which
    /// the checkpoint is given up, and the log must not be cut.
    pub fn next_piece(&mut self, budget: usize) -> Result<CheckpointPiece, CheckpointError> {
        let writer = self.checkpoint.as_mut().ok_or(CheckpointError::NotUnderWay)?;
        let piece = writer.next_piece(&mut self.replica, self.outbox.durable(), budget);
        if !matches!(piece, Ok(CheckpointPiece::Bytes(_) | CheckpointPiece::Waiting { .. })) {
            self.abandon_checkpoint();
        }
        piece
    }

    /// Gives up the checkpoint that is being made, if one is: its bytes could not be put away.
    pub fn abandon_checkpoint(&mut self) {
        self.checkpoint = None;
        for partition in &mut self.replica.partitions {
            partition.cells.forget_images();
        }
    }

    /// An engine around a replica that is in its log up to the last record.
    pub(super) fn start(mut replica: Replica, now: Now) -> Self {
        let durable = if replica.is_newly_founded() { Lsn::ZERO } else { replica.journal.last() };
        let mut engine = Self {
            outbox: super::Outbox::new(durable),
            links: super::Links::default(),
            topology: super::topology_of(now.instant, &mut replica),
            waits: super::Waits::default(),
            settling: super::Settling::resume(now.instant, &replica),
            replica,
            timer: None,
            ended: false,
            checkpoint: None,
        };
        engine.settle(now);
        engine
    }
}
