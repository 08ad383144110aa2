//! Reports in plain words.

use core::fmt;

use quorum::{Level, Probability, QuorumConfig};

use super::{Cause, Failure, Operation, Reached, Refusal, Report, Unmet};

/// How stale a reader may be left, in the worst case and by chance. Made by [`Report::staleness`].
///
/// The worst case is what is promised. Chance is the closed form of probabilistically bounded staleness for quorums
/// that are chosen evenly and never grow; hints, repair and anti-entropy make it better as time goes by.
///
/// ```
/// use crdt_sync::leaderless::coordinate::{Replicas, WriteOp, WriteOptions};
/// use crdt_sync::time::Instant;
/// use quorum::Level;
///
/// let now = Instant::default();
/// let mut write = WriteOp::new(Replicas::new(3, [1, 2, 3]), WriteOptions::QUORUM, now)?;
/// write.acknowledged(1, now);
/// write.acknowledged(2, now);
/// let (one, quorum) = (write.report().staleness(Level::One), write.report().staleness(Level::Quorum));
/// assert!(quorum.is_fresh() && !one.is_fresh());
/// assert!((one.miss_probability().get() - 1.0 / 3.0).abs() < 1e-9);
/// assert_eq!(quorum.to_string(), "a read at QUORUM is sure to meet it");
/// # Ok::<(), crdt_sync::leaderless::coordinate::OptionsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Staleness {
    operation: Operation,
    level: Level,
    /// `None` where no quorum of the primaries came together: then nothing is sure and chance says nothing.
    config: Option<QuorumConfig>,
}

impl Staleness {
    pub(super) fn new(operation: Operation, level: Level, config: Option<QuorumConfig>) -> Self {
        Self { operation, level, config }
    }

    /// Whether the two are sure to meet: in the worst case the reader is behind by nothing.
    pub fn is_fresh(&self) -> bool {
        self.config.is_some_and(|config| config.is_strict())
    }

    /// The chance that they do not meet, see [`quorum::QuorumConfig::miss_probability`].
    pub fn miss_probability(&self) -> Probability {
        self.config.map_or(Probability::ONE, |config| config.miss_probability())
    }

    /// The smallest number such that the reader sees one of so many last versions with `probability`, see
    /// [`quorum::QuorumConfig::versions_for`]. `None` if no number is enough.
    pub fn versions_for(&self, probability: Probability) -> Option<u32> {
        self.config.and_then(|config| config.versions_for(probability))
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level;
        match (self.operation, self.is_fresh()) {
            (Operation::Write, true) => return write!(f, "a read at {level} is sure to meet it"),
            (Operation::Read, true) => {
                return write!(f, "it met every write that was completed at {level} before it");
            }
            (Operation::Write, false) => write!(f, "a read at {level} may miss it")?,
            (Operation::Read, false) => {
                write!(f, "it may have missed writes that were completed at {level}")?;
            }
        }
        f.write_str(
            ", in the worst case by any number of versions, until a hint, a repair or anti-entropy heals it",
        )?;
        if self.config.is_none() {
            return Ok(());
        }
        write!(f, "; by chance {:.1} in 100 miss the last version", self.miss_probability().get() * 100.0)?;
        let in_99 = Probability::new(0.99).ok().and_then(|nearly_all| self.versions_for(nearly_all));
        match in_99 {
            Some(versions) => write!(f, ", and 99 in 100 see one of the last {versions}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overloaded => "it is overloaded",
            Self::OtherRing => "it knows another ring",
            Self::NotAReplica => "it is no replica of the key",
            Self::Denied => "it may not do this for us",
            Self::Storage => "its storage failed",
            Self::TooLarge => "it takes nothing so large",
            Self::Behind => "it has not seen enough of what is to be removed",
            Self::Filling => "it is still being filled",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused, {why}"),
            Self::Unreachable => f.write_str("could not be reached"),
            Self::BelievedDown => f.write_str("was believed down and not asked"),
            Self::Silent => f.write_str("did not answer in time"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Impossible => "too many nodes failed",
            Self::Timeout => "too few nodes answered in time",
            Self::NotRepaired => "too few primaries could be brought to what was read",
        })
    }
}

/// Several lines, the first of which says what was asked and reached, the last how stale it leaves a reader.
impl<N: fmt::Display + Ord + Copy> fmt::Display for Report<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, level) = (self.operation, self.level);
        writeln!(f, "{operation} at {level}: {} distinct nodes", self.copies())?;
        for (place, set) in self.sets.iter().enumerate() {
            let which = match (self.sets.len(), place) {
                (1, _) => "among the primaries",
                (_, 0) => "among the primaries of the ring that ends",
                _ => "among the primaries of the ring to come",
            };
            writeln!(f, "  {which}: {set}")?;
        }
        for (node, owner) in &self.fallbacks {
            writeln!(f, "  {node} stands in for {owner}")?;
        }
        for (node, failure) in &self.failed {
            writeln!(f, "  {node} {failure}")?;
        }
        if self.is_eventual() {
            writeln!(f, "  eventual: nothing promises that the next operation at {level} meets it")?;
        }
        write!(f, "  {}", self.staleness(level))
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, durability) = (self.config.n(), self.durability);
        write!(f, "{} of {n} and {} fallbacks", durability.primaries(), durability.fallbacks())?;
        write!(f, ", {} needed", self.config.w())?;
        if self.required_primaries > 0 {
            write!(f, ", {} of them primaries", self.required_primaries)?;
        }
        match durability.needed_to_meet() {
            Some(needed) => write!(f, "; whoever asks {needed} primaries is sure to meet it"),
            None => f.write_str("; nobody is sure to meet it before a hint is delivered"),
        }
    }
}

impl<N: fmt::Display + Ord + Copy> fmt::Display for Unmet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, report } = self;
        writeln!(f, "{} at {} was not met: {cause}", report.operation, report.level)?;
        match report.operation {
            Operation::Write if report.copies() == 0 => {
                writeln!(f, "nobody is known to have the write, but it may still be there")?;
            }
            Operation::Write => writeln!(f, "what was written is not taken back and may still be there")?,
            Operation::Read => writeln!(f, "nothing was read")?,
        }
        report.fmt(f)
    }
}

impl<N: fmt::Debug + fmt::Display + Ord + Copy> core::error::Error for Unmet<N> {}
