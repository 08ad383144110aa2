//! N, R and W as one value that cannot be nonsense.

use core::fmt;
use core::num::NonZeroU32;

use crate::{AckTally, ConfigError, TallyError, majority};

/// How many replicas a key has (N), and how many of them a read (R) and a write (W) wait for.
///
/// Parsed once, by [`QuorumConfig::new`], and sound from then on: `1 <= R <= N` and `1 <= W <= N`.
/// What follows from the three numbers is a pure function of them, O(1) and free of overflow for any `u32`.
///
/// ```
/// use quorum::{ConfigError, QuorumConfig};
///
/// let config = QuorumConfig::new(3, 2, 2)?;
/// assert!(config.is_strict());
/// assert_eq!(config.to_string(), "N=3 R=2 W=2");
/// assert_eq!(QuorumConfig::new(3, 4, 2), Err(ConfigError::ReadQuorumTooLarge { r: 4, n: 3 }));
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuorumConfig {
    n: NonZeroU32,
    r: NonZeroU32,
    w: NonZeroU32,
}

impl QuorumConfig {
    /// The configuration of `n` replicas, of which a read waits for `r` and a write for `w`.
    ///
    /// Any sound triple is accepted, also one whose quorums do not overlap: that is a choice, not a mistake, and
    /// [`classification`](Self::classification) names it.
    pub const fn new(n: u32, r: u32, w: u32) -> Result<Self, ConfigError> {
        let Some(replicas) = NonZeroU32::new(n) else {
            return Err(ConfigError::NoReplicas);
        };
        let Some(reads) = NonZeroU32::new(r) else {
            return Err(ConfigError::EmptyReadQuorum);
        };
        let Some(writes) = NonZeroU32::new(w) else {
            return Err(ConfigError::EmptyWriteQuorum);
        };
        if r > n {
            return Err(ConfigError::ReadQuorumTooLarge { r, n });
        }
        if w > n {
            return Err(ConfigError::WriteQuorumTooLarge { w, n });
        }
        Ok(Self { n: replicas, r: reads, w: writes })
    }

    /// Read one, write all: the cheapest strict reads. One failed replica stops every write.
    pub const fn read_heavy(n: u32) -> Result<Self, ConfigError> {
        Self::new(n, if n == 0 { 0 } else { 1 }, n)
    }

    /// Write one, read all: the cheapest writes that every read still sees. One failed replica stops every read,
    /// and two writers need not meet anywhere.
    pub const fn write_heavy(n: u32) -> Result<Self, ConfigError> {
        Self::new(n, n, if n == 0 { 0 } else { 1 })
    }

    /// A majority for both: strict, and as tolerant of failures as a strict configuration of `n` replicas gets.
    pub const fn balanced(n: u32) -> Result<Self, ConfigError> {
        Self::new(n, majority(n), majority(n))
    }

    /// One for both: as available as can be, promising no overlap (unless `n` is 1).
    pub const fn best_effort(n: u32) -> Result<Self, ConfigError> {
        Self::new(n, 1, 1)
    }

    /// N, the number of replicas of a key.
    pub const fn n(&self) -> u32 {
        self.n.get()
    }

    /// R, the number of replicas that a read waits for.
    pub const fn r(&self) -> u32 {
        self.r.get()
    }

    /// W, the number of replicas that a write waits for.
    pub const fn w(&self) -> u32 {
        self.w.get()
    }

    /// A tally of the answers to one read: it needs R distinct nodes.
    ///
    /// Fewer primaries than N may be named (the cluster is smaller than N); more are refused.
    pub fn read_tally<N: Ord + Copy>(
        &self,
        primaries: impl IntoIterator<Item = N>,
    ) -> Result<AckTally<N>, TallyError> {
        self.tally(self.r, primaries)
    }

    /// A tally of the acknowledgements of one write: it needs W distinct nodes.
    ///
    /// Fewer primaries than N may be named (the cluster is smaller than N); more are refused.
    pub fn write_tally<N: Ord + Copy>(
        &self,
        primaries: impl IntoIterator<Item = N>,
    ) -> Result<AckTally<N>, TallyError> {
        self.tally(self.w, primaries)
    }

    fn tally<N: Ord + Copy>(
        &self,
        required: NonZeroU32,
        primaries: impl IntoIterator<Item = N>,
    ) -> Result<AckTally<N>, TallyError> {
        let tally = AckTally::new(required, primaries);
        match u32::try_from(tally.asked()) {
            Ok(given) if given <= self.n() => Ok(tally),
            _ => Err(TallyError::TooManyPrimaries { given: tally.asked(), n: self.n() }),
        }
    }
}

impl fmt::Display for QuorumConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "N={} R={} W={}", self.n, self.r, self.w)
    }
}
