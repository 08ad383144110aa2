//! What a client asks of one operation.

use core::time::Duration;

use quorum::{Level, LevelError, SloppyError, TallyError};
use thiserror::Error;

/// Whether others may answer for a primary that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fallbacks {
    /// Only primaries count: what is reached overlaps as the numbers say, and an operation fails when too few are up.
    Strict,
    /// A fallback stands in for a primary that is down or silent. The operation succeeds more often and promises less:
    /// only primaries are sure to be met by others.
    Sloppy,
}

/// When a read repairs the replicas it found behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repair {
    /// It does not; anti-entropy will.
    Never,
    /// After the reply, which does not wait for it.
    Afterwards,
    /// What the read returns is on a majority of the primaries before it replies. So whoever reads at `QUORUM` later
    /// sees nothing older, also if the writer had failed to reach its level (monotonic quorum reads).
    Before,
}

/// What a write waits for.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Fallbacks, WriteOptions};
///
/// let options = WriteOptions { primaries: 1, fallbacks: Fallbacks::Sloppy, ..WriteOptions::QUORUM };
/// assert_eq!(options.level.to_string(), "QUORUM");
/// assert_eq!(WriteOptions::default(), WriteOptions::ONE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriteOptions {
    /// How many distinct nodes must have it durably (W).
    pub level: Level,
    /// How many of them must be primaries (PW). It stands beside the level: at `ONE` and 2 primaries, 2 are needed.
    pub primaries: u32,
    /// Whether fallbacks may count towards the level. They never count towards `primaries`.
    pub fallbacks: Fallbacks,
    /// After this long whoever has not answered counts as failed, and the operation ends.
    pub timeout: Duration,
    /// Whoever has not answered is asked again this often; at the first time a fallback is asked in its place.
    pub retry: Duration,
}

/// What a read waits for.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{ReadOptions, Repair};
///
/// let monotonic = ReadOptions { repair: Repair::Before, ..ReadOptions::QUORUM };
/// assert!(monotonic.digests);
/// assert_eq!(ReadOptions::default(), ReadOptions::ONE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReadOptions {
    /// Of how many distinct nodes the reply covers the states (R).
    pub level: Level,
    /// How many of them must be primaries (PR).
    pub primaries: u32,
    /// Whether fallbacks may count towards the level.
    pub fallbacks: Fallbacks,
    /// After this long whoever has not answered counts as failed, and the operation ends.
    pub timeout: Duration,
    /// At first only as many are asked as are needed, and one more each time this long passes without an outcome.
    /// `None` asks N at once: the fastest tail, every replica compared, and N times the work.
    pub speculate: Option<Duration>,
    /// When replicas that are behind are repaired.
    pub repair: Repair,
    /// Whether all but one are asked for a digest first. Where replicas agree, that saves sending the value.
    pub digests: bool,
}

impl WriteOptions {
    /// Any one node, a fallback if need be: always possible while anybody is up, and promising the least.
    pub const ONE: Self = Self {
        level: Level::One,
        primaries: 0,
        fallbacks: Fallbacks::Sloppy,
        timeout: Duration::from_secs(5),
        retry: Duration::from_millis(500),
    };
    /// A majority of the primaries.
    pub const QUORUM: Self = Self { level: Level::Quorum, fallbacks: Fallbacks::Strict, ..Self::ONE };
    /// Every primary.
    pub const ALL: Self = Self { level: Level::All, fallbacks: Fallbacks::Strict, ..Self::ONE };

    /// Whether an operation can begin with these, whoever the replicas are.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.retry.is_zero() {
            return Err(OptionsError::NoRetry);
        }
        has_time(self.timeout)
    }
}

impl ReadOptions {
    /// Any one node, a fallback if need be.
    pub const ONE: Self = Self {
        level: Level::One,
        primaries: 0,
        fallbacks: Fallbacks::Sloppy,
        timeout: Duration::from_secs(5),
        speculate: Some(Duration::from_millis(50)),
        repair: Repair::Afterwards,
        digests: true,
    };
    /// A majority of the primaries.
    pub const QUORUM: Self = Self { level: Level::Quorum, fallbacks: Fallbacks::Strict, ..Self::ONE };
    /// Every primary.
    pub const ALL: Self = Self { level: Level::All, fallbacks: Fallbacks::Strict, ..Self::ONE };

    /// Whether an operation can begin with these, whoever the replicas are.
    pub fn check(&self) -> Result<(), OptionsError> {
        has_time(self.timeout)
    }
}

/// Eventual: [`ONE`](Self::ONE).
impl Default for WriteOptions {
    fn default() -> Self {
        Self::ONE
    }
}

/// Eventual: [`ONE`](Self::ONE).
impl Default for ReadOptions {
    fn default() -> Self {
        Self::ONE
    }
}

fn has_time(timeout: Duration) -> Result<(), OptionsError> {
    if timeout.is_zero() { Err(OptionsError::NoTime) } else { Ok(()) }
}

/// Why an operation could never succeed, whoever answers. Nothing was begun.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{OptionsError, Replicas, WriteOp, WriteOptions};
/// use crdt_sync::time::Instant;
///
/// let greedy = WriteOptions { primaries: 4, ..WriteOptions::ONE };
/// let refused = WriteOp::new(Replicas::new(3, ["a", "b", "c"]), greedy, Instant::default());
/// assert!(matches!(refused, Err(OptionsError::Primaries(_))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The timeout is zero: nobody could answer in time.
    #[error("an operation needs time for an answer, its timeout is 0")]
    NoTime,
    /// The retry interval is zero: asking again would never stop.
    #[error("asking again needs time in between, the retry interval is 0")]
    NoRetry,
    /// The level does not fit the number of replicas.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// More primaries are demanded than there are replicas.
    #[error(transparent)]
    Primaries(#[from] SloppyError),
    /// More primaries are named than there are replicas.
    #[error(transparent)]
    Replicas(#[from] TallyError),
}
