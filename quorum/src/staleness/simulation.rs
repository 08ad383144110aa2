//! What the trials of a simulation have shown.

use alloc::vec::Vec;

use libm::pow;

use super::least;
use super::wars::Outcome;
use crate::{Confidence, Estimate, Probability};

/// The result of [`Wars::run`](crate::Wars::run), which answers for every time and every share.
///
/// Of each trial it keeps the shortest time with which the read would have been fresh, and both latencies, sorted.
/// So an answer is a binary search, O(log trials), and answers never contradict each other: more time is never less
/// fresh. Times have the unit of the delays.
///
/// ```
/// use quorum::{Delays, LatencyDistribution, Probability, QuorumConfig, ReplicaDelays, Wars};
///
/// // Milliseconds: writes take 10 on average, everything else 1.
/// let message = LatencyDistribution::constant(1.0)?;
/// let write = LatencyDistribution::exponential(0.1)?;
/// let delays = ReplicaDelays { write, ..ReplicaDelays::symmetric(message) };
///
/// let simulation = Wars::new(QuorumConfig::new(3, 1, 1)?, Delays::alike(delays))?.run(7, 10_000)?;
/// let truth = 1.0 - 2.0 / 3.0 * (-0.1_f64 * (5.0 + 2.0)).exp();
/// assert!(simulation.visibility(5.0).contains(Probability::new(truth)?));
/// assert_eq!(simulation.read_latency(Probability::new(0.99)?), 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    confidence: Confidence,
    trials: u32,
    /// Ascending, as are the other two; one entry per trial, and at least one trial.
    fresh_from: Vec<f64>,
    read_latencies: Vec<f64>,
    write_latencies: Vec<f64>,
}

impl Simulation {
    pub(super) fn of(trials: u32, outcomes: impl Iterator<Item = Outcome>) -> Self {
        let empty = || Vec::with_capacity(trials as usize);
        let (mut fresh_from, mut read_latencies, mut write_latencies) = (empty(), empty(), empty());
        for outcome in outcomes {
            fresh_from.push(outcome.fresh_from);
            read_latencies.push(outcome.read_latency);
            write_latencies.push(outcome.write_latency);
        }
        for times in [&mut fresh_from, &mut read_latencies, &mut write_latencies] {
            times.sort_unstable_by(f64::total_cmp);
        }
        Self { confidence: Confidence::P95, trials, fresh_from, read_latencies, write_latencies }
    }

    /// The same with intervals of another level than 95 %.
    pub fn with_confidence(self, confidence: Confidence) -> Self {
        Self { confidence, ..self }
    }

    /// How many trials there were.
    pub fn trials(&self) -> u32 {
        self.trials
    }

    /// t-visibility: how likely a read that starts the time `t` after the commit of a write returns it.
    ///
    /// A negative `t` is a read that starts before the commit. NaN is before everything.
    pub fn visibility(&self, t: f64) -> Estimate {
        let fresh = self.fresh_from.partition_point(|from| *from <= t);
        Estimate::wilson(u32::try_from(fresh).unwrap_or(self.trials), self.trials, self.confidence)
    }

    /// `<k, t>`-staleness: how likely a read that starts the time `t` after the last of `k` commits returns one of the
    /// `k` versions: `1 - (1 - p)^k` with the t-visibility p.
    ///
    /// As in the paper, all of them are taken to be committed at once, which is the worst case, and to be missed
    /// independently of each other. `k = 0` asks for the impossible.
    pub fn k_visibility(&self, k: u32, t: f64) -> Estimate {
        self.visibility(t).through(|fresh| {
            let missed = pow(fresh.complement().get(), f64::from(k));
            Probability::clamped(1.0 - missed)
        })
    }

    /// How long a read must wait after a commit to be fresh with `probability`: the smallest `t >= 0` whose
    /// [`visibility`](Self::visibility) is at least that. `None` if no time is enough.
    pub fn time_to(&self, probability: Probability) -> Option<f64> {
        let t = if probability > Probability::ZERO {
            self.percentile(&self.fresh_from, probability)
        } else {
            0.0
        };
        (t < f64::INFINITY).then_some(t.max(0.0))
    }

    /// The latency that the share `probability` of all reads does not exceed: the R-th response. Infinite where a tail
    /// left the range of numbers.
    pub fn read_latency(&self, probability: Probability) -> f64 {
        self.percentile(&self.read_latencies, probability)
    }

    /// The latency that the share `probability` of all writes does not exceed: the W-th acknowledgement. Infinite where
    /// a tail left the range of numbers.
    pub fn write_latency(&self, probability: Probability) -> f64 {
        self.percentile(&self.write_latencies, probability)
    }

    /// The first of `times` such that the share of those up to it is enough, with the division that an estimate does,
    /// so that both agree to the last bit.
    fn percentile(&self, times: &[f64], share: Probability) -> f64 {
        let is_enough = |count: u32| f64::from(count) / f64::from(self.trials) >= share.get();
        let count = least(1, self.trials, is_enough);
        times.get(count as usize - 1).copied().unwrap_or(f64::INFINITY)
    }
}
