//! Numbers by name: what a replication factor gives by default, and what one request may ask for.

mod level;
mod regional;

use core::fmt;

pub use level::Level;
pub use regional::{Placement, RegionalLevel, RegionalQuorum};

use crate::{ConfigError, QuorumConfig};

/// How to choose R and W when only the number of replicas is given.
///
/// All three keep as much write tolerance as their promise allows. They differ in what a read may miss.
///
/// | N | `Consistent` | `AvailableReads` | `BestEffort` |
/// |---|---|---|---|
/// | 1 | R=1 W=1 | R=1 W=1 | R=1 W=1 |
/// | 2 | R=1 W=2 | R=1 W=2 | R=1 W=1 |
/// | 3 | R=2 W=2 | R=1 W=2 | R=1 W=1 |
/// | 4 | R=2 W=3 | R=1 W=3 | R=1 W=1 |
/// | 5 | R=3 W=3 | R=1 W=3 | R=1 W=1 |
///
/// The formulas are those of Garage's consistency modes.
///
/// ```
/// use quorum::{Preset, QuorumConfig};
///
/// assert_eq!(Preset::Consistent.config(4)?, QuorumConfig::new(4, 2, 3)?);
/// assert_eq!(Preset::AvailableReads.config(3)?, QuorumConfig::new(3, 1, 2)?);
/// # Ok::<(), quorum::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `R = ceil(N / 2)`, `W = N + 1 - R`: reads meet writes and writes meet writes. With an even N a read waits for
    /// one replica fewer than a majority, and nothing is lost by it.
    Consistent,
    /// `R = 1`, W as in `Consistent`: a write is as durable as there, and reads go on while one replica is up, but
    /// from N = 3 on a read may miss a write that has completed.
    AvailableReads,
    /// `R = W = 1`: goes on while one replica is up. A write that one replica took is lost with it.
    BestEffort,
}

impl Preset {
    /// Every preset, the strictest first.
    pub const ALL: [Self; 3] = [Self::Consistent, Self::AvailableReads, Self::BestEffort];

    /// The configuration for `n` replicas. Fails when there are none.
    pub const fn config(self, n: u32) -> Result<QuorumConfig, ConfigError> {
        if n == 0 {
            return Err(ConfigError::NoReplicas);
        }
        let half = n.div_ceil(2);
        match self {
            Self::Consistent => QuorumConfig::new(n, half, n - half + 1),
            Self::AvailableReads => QuorumConfig::new(n, 1, n - half + 1),
            Self::BestEffort => QuorumConfig::new(n, 1, 1),
        }
    }

    /// What is had for what, in one sentence.
    pub const fn trade_off(self) -> &'static str {
        match self {
            Self::Consistent => "a read meets every completed write; both stop when too few replicas are up",
            Self::AvailableReads => {
                "reads go on while one replica is up and may be stale; writes are as durable"
            }
            Self::BestEffort => {
                "all goes on while one replica is up; reads may be stale and one loss loses writes"
            }
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consistent => "consistent",
            Self::AvailableReads => "available reads",
            Self::BestEffort => "best effort",
        })
    }
}
