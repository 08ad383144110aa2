//! How many replicas one request waits for, by name.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

use crate::{ConfigError, LevelError, QuorumConfig, majority};

/// How many replicas one request waits for, independently of how many there are.
///
/// Parsed from `ONE`, `QUORUM`, `ALL` (in any case) or a number; [`resolve`](Self::resolve) turns it into a count.
///
/// ```
/// use quorum::{Level, LevelError, QuorumConfig};
///
/// let level: Level = "quorum".parse()?;
/// assert_eq!(level.resolve(5)?, 3);
/// assert_eq!("4".parse::<Level>()?.resolve(3), Err(LevelError::TooMany { count: 4, n: 3 }));
/// assert_eq!(QuorumConfig::at_levels(3, Level::One, Level::All), QuorumConfig::read_heavy(3));
/// # Ok::<(), LevelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Any one replica.
    One,
    /// A [`majority`] of the replicas.
    Quorum,
    /// Every replica.
    All,
    /// So many replicas.
    Count(NonZeroU32),
}

impl Level {
    /// How many of `n` replicas it waits for. Fails when there are none, or fewer than it names.
    pub const fn resolve(self, n: u32) -> Result<u32, LevelError> {
        if n == 0 {
            return Err(LevelError::NoReplicas);
        }
        match self.wanted(n) {
            count if count > n => Err(LevelError::TooMany { count, n }),
            count => Ok(count),
        }
    }

    const fn wanted(self, n: u32) -> u32 {
        match self {
            Self::One => 1,
            Self::Quorum => majority(n),
            Self::All => n,
            Self::Count(count) => count.get(),
        }
    }
}

impl QuorumConfig {
    /// The configuration of `n` replicas read at one level and written at another.
    pub const fn at_levels(n: u32, read: Level, write: Level) -> Result<Self, ConfigError> {
        Self::new(n, read.wanted(n), write.wanted(n))
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        let named = [("one", Self::One), ("quorum", Self::Quorum), ("all", Self::All)];
        if let Some((_, level)) = named.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            return Ok(level);
        }
        let count: u32 = text.parse().map_err(|_| LevelError::NotALevel)?;
        NonZeroU32::new(count).map(Self::Count).ok_or(LevelError::Zero)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("ONE"),
            Self::Quorum => f.write_str("QUORUM"),
            Self::All => f.write_str("ALL"),
            Self::Count(count) => fmt::Display::fmt(count, f),
        }
    }
}
