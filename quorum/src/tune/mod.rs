//! From what is wanted to the configurations that give it.
//!
//! [`Targets`] say how many replicas there may be and what they must achieve. [`tune`] tries every configuration,
//! sorts those that meet all targets, and says of each other one what it fails, with the numbers.

mod figures;
mod refusal;
mod targets;

use alloc::format;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use core::fmt;

pub use figures::Figures;
use figures::Sizes;
pub use refusal::Refusal;
pub use targets::{Freshness, LatencyTarget, MAX_TUNED, Measure, Targets};

use crate::QuorumConfig;

/// Every configuration within the range of the targets: those that meet them, and why the others do not.
///
/// O(N^2) configurations for each N, of at most [`MAX_TUNED`] replicas, and O(N) latencies.
///
/// ```
/// use quorum::tune::{Freshness, Targets, tune};
/// use quorum::{Probability, QuorumConfig};
///
/// // Reads that never miss a write, of which each side survives one failure: three replicas, two and two.
/// let targets = Targets::new(1..=5)?.surviving(1, 1).freshness(Freshness::Strict);
/// assert_eq!(tune(&targets).best(), Some(QuorumConfig::new(3, 2, 2)?));
///
/// // One node in ten is down, and of a thousand operations one may fail.
/// let (one_in_ten, wanted) = (Probability::new(0.1)?, Probability::new(0.999)?);
/// let available = Targets::new(1..=9)?.availability(one_in_ten, wanted, wanted).freshness(Freshness::Strict);
/// assert_eq!(tune(&available).best(), Some(QuorumConfig::new(9, 5, 5)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn tune(targets: &Targets) -> Tuning {
    let mut tuning = Tuning { accepted: Vec::new(), refused: Vec::new() };
    for n in targets.replicas() {
        let sizes = Sizes::of(n, targets);
        for r in 1..=n {
            for w in 1..=n {
                let Ok(config) = QuorumConfig::new(n, r, w) else { continue };
                let figures = sizes.figures(config);
                let reasons = refusal::refusals(config, &figures, targets);
                if reasons.is_empty() {
                    tuning.accepted.push(Tuned { config, figures });
                } else {
                    tuning.refused.push(Refused { config, figures, reasons });
                }
            }
        }
    }
    tuning.accepted.sort_by(Tuned::better);
    tuning
}

/// Every configuration tried. Made by [`tune`]; displays the accepted ones as a table, and why the rest is not there.
///
/// The best comes first: fewer replicas; a lower chance that a read misses the last write; two writes that meet before
/// two that may not; more failures survived by both reads and writes; less waited for in all; a smaller R.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    accepted: Vec<Tuned>,
    refused: Vec<Refused>,
}

/// A configuration that meets all targets, with what it achieves.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Tuned {
    /// Which configuration.
    pub config: QuorumConfig,
    /// What it achieves.
    pub figures: Figures,
}

/// A configuration that fails some target.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// Which configuration.
    pub config: QuorumConfig,
    /// What it achieves.
    pub figures: Figures,
    /// Every target that it fails; at least one.
    pub reasons: Vec<Refusal>,
}

impl Tuning {
    /// Those that meet all targets, the best first.
    pub fn accepted(&self) -> &[Tuned] {
        &self.accepted
    }

    /// Those that fail some target, in the order of N, R and W.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The best; `None` if no configuration meets all targets.
    pub fn best(&self) -> Option<QuorumConfig> {
        self.accepted.first().map(|tuned| tuned.config)
    }
}

impl Tuned {
    fn better(&self, other: &Self) -> Ordering {
        let misses = self.figures.misses.get().total_cmp(&other.figures.misses.get());
        let (a, b) = (&self.config, &other.config);
        let waited = |config: &QuorumConfig| u64::from(config.r()) + u64::from(config.w());
        let rest = |config: &QuorumConfig| {
            let splits = config.write_write_overlap() == 0;
            (splits, Reverse(config.tolerated_failures()), waited(config), config.r())
        };
        a.n().cmp(&b.n()).then(misses).then_with(|| rest(a).cmp(&rest(b)))
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.accepted.is_empty() {
            let titles = ["reads up", "writes up", "misses", "read takes", "write takes"];
            write!(f, "{:14}", "accepted")?;
            titles.iter().try_for_each(|title| write!(f, "  {title:11}"))?;
            writeln!(f, "  survives")?;
        }
        for Tuned { config, figures } in &self.accepted {
            write!(f, "{:14}", format!("{config}"))?;
            let latency = |time: Option<f64>| time.map_or_else(|| "-".into(), |time| format!("{time:.4}"));
            for likely in [figures.read_availability, figures.write_availability, Some(figures.misses)] {
                write!(
                    f,
                    "  {:11}",
                    likely.map_or_else(|| "-".into(), |likely| format!("{:.9}", likely.get()))
                )?;
            }
            write!(f, "  {:11}  {:11}", latency(figures.read_latency), latency(figures.write_latency))?;
            writeln!(f, "  {}, {}", config.tolerated_read_failures(), config.tolerated_write_failures())?;
        }
        for Refused { config, reasons, .. } in &self.refused {
            write!(f, "refused {config}: ")?;
            for (at, reason) in reasons.iter().enumerate() {
                write!(f, "{}{reason}", if at == 0 { "" } else { "; " })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
