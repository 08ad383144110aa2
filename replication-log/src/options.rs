//! How a log is opened, and when its handle syncs.

use core::time::Duration;

use crate::{Lsn, Position, seal::Sealing};

/// How a log is opened.
///
/// ```
/// use replication_log::LogOptions;
///
/// let options = LogOptions::new(0x5eed).segment_bytes(1 << 20).preallocate_bytes(64 << 10);
/// assert_eq!(options.segment_bytes, 1 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// Names the log when it is created: draw it at random. Every segment's identity derives from
    /// it, so that bytes of another log, or of another segment, never verify in this one. An
    /// existing log keeps the id it was created with.
    pub log_id: u64,
    /// A segment is closed and the next one started before it would grow past this.
    pub segment_bytes: u64,
    /// How far ahead of the records a segment is filled with zeros, so that most syncs need not
    /// write file metadata and a full disk is noticed before a batch is half written. 0 turns it
    /// off. It concerns the first segment and those that were not prepared.
    pub preallocate_bytes: u64,
    /// How much of the next segment is filled with zeros, durably, while the present one is in its
    /// second half, if whoever drives the log lets it ([`Log::begin_prepare`]; the handle does).
    /// Bounded by `segment_bytes`; 0 turns it off. Appends then never wait for a file to be made.
    ///
    /// [`Log::begin_prepare`]: crate::Log::begin_prepare
    pub prepare_bytes: u64,
    /// How many segments dropped by [`Log::truncate_before`] are kept at most, to become segments
    /// again. They take up disk until then, and spare the file system finding new room.
    ///
    /// [`Log::truncate_before`]: crate::Log::truncate_before
    pub recycle: usize,
    /// How many encoded bytes are gathered in memory before they are handed to the storage in one
    /// write. [`flush`](crate::Log::flush) and [`sync`](crate::Log::sync) hand them over earlier. 0
    /// writes every append at once, so that it survives the process, if not the machine.
    pub staging_bytes: usize,
    /// What the caller's own checkpoint says was durable. Opening refuses a log that ends before it.
    pub known_durable: Lsn,
    /// Where a log begins when it is created: behind a snapshot, for example. An existing log keeps
    /// its beginning, and is refused if it ends before this.
    pub starts_after: Position,
    /// How batches are written at rest, and with which keys they are read.
    pub sealing: Sealing,
}

impl LogOptions {
    /// Segments of 64 MiB, zero-filled 1 MiB ahead, the next one prepared whole, none recycled, 64
    /// KiB staged, nothing known to be durable, from record 1 on.
    pub const fn new(log_id: u64) -> Self {
        Self {
            log_id,
            segment_bytes: 64 << 20,
            preallocate_bytes: 1 << 20,
            prepare_bytes: u64::MAX,
            recycle: 0,
            staging_bytes: 64 << 10,
            known_durable: Lsn::ZERO,
            starts_after: Position::ORIGIN,
            sealing: Sealing::plain(),
        }
    }

    /// Sets the size bound of segments that are created from now on.
    pub const fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Sets how far ahead a segment is filled with zeros.
    pub const fn preallocate_bytes(mut self, bytes: u64) -> Self {
        self.preallocate_bytes = bytes;
        self
    }

    /// Sets how much of the next segment is prepared.
    pub const fn prepare_bytes(mut self, bytes: u64) -> Self {
        self.prepare_bytes = bytes;
        self
    }

    /// Sets how many dropped segments are kept to be used again.
    pub const fn recycle(mut self, max: usize) -> Self {
        self.recycle = max;
        self
    }

    /// Sets how much is gathered in memory before it is written.
    pub const fn staging_bytes(mut self, bytes: usize) -> Self {
        self.staging_bytes = bytes;
        self
    }

    /// States what a checkpoint outside the log knows to be durable.
    pub const fn known_durable(mut self, lsn: Lsn) -> Self {
        self.known_durable = lsn;
        self
    }

    /// Lets a new log begin behind `position`, which a snapshot stands for.
    pub const fn starts_after(mut self, position: Position) -> Self {
        self.starts_after = position;
        self
    }

    /// Sets how batches are written at rest, and with which keys they are read.
    pub fn seal(mut self, sealing: Sealing) -> Self {
        self.sealing = sealing;
        self
    }
}

/// When appended batches are made durable by whoever drives the log.
///
/// There is no default: how much a power cut may cost is the application's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Every append is synced on its own before it returns.
    Always,
    /// Appends made while a sync is under way share the next one, which is run by whoever waits for
    /// it or else by the flusher. Nothing waits for a timer.
    Group,
    /// One sync per interval. A power cut costs at most the appends of one interval and one sync.
    Interval(Duration),
    /// Only when asked to explicitly, when a segment is full, and on close.
    Never,
}
