//! Who has been silent for too long.
//!
//! Two rules. *Fixed*: silence of so long is death; easy to say, and to reason about. *Accrual*: how improbable is this
//! silence, seen how the heartbeats came so far? Hayashibara and others, "The phi accrual failure detector" (2004),
//! take the intervals for normally distributed, and say by how many powers of ten a silence is improbable: phi. Who is
//! suspected at phi 8 is wrongly suspected once in 10^8 heartbeats, if intervals are as independent and as normal as
//! the rule takes them for. They are not: processes pause, networks blip. Hence three things the paper does not have,
//! and that Akka's detector has in a similar form: a *pause* that is borne on top, a least deviation, so that a quiet
//! hour does not teach nervousness, and a cap, so that an outage does not teach patience. Intervals below the expected
//! one count as that long, so that a busy hour does not make the quiet one after it look like death.
//!
//! Phi is compared with one threshold only, so the number of standard deviations that it stands for is computed once,
//! when the detector is made, and everything after that is arithmetic on whole microseconds: the same everywhere, and
//! the moment of suspicion is known beforehand. The linear rule, a multiple of the mean, is that of
//! [`placement`](crate::placement), where a wrong guess costs a detour. Here it costs an election.
//!
//! Suspicion decides nothing. It is what makes a node ask to lead.

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use core::f64::consts::FRAC_1_SQRT_2;
use core::time::Duration;

use crate::node::NodeId;
use crate::time::Instant;

/// More intervals than that are not kept.
const LONGEST_WINDOW: usize = 10_000;
/// Intervals are capped below that, 12 days, so that the sum of their squares fits.
const LONGEST_INTERVAL: u64 = 1 << 40;
/// Beyond that the probability has no `f64` any more.
const HIGHEST_THRESHOLD: u32 = 300;

/// When silence is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// After so long.
    Fixed {
        /// How long silence is borne.
        timeout: Duration,
    },
    /// When it is too improbable.
    Accrual(Accrual),
}

impl Detection {
    /// 30 seconds, which is six heartbeats of 5 seconds.
    pub const DEFAULT: Self = Self::Fixed { timeout: Duration::from_secs(30) };
}

/// What makes silence improbable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accrual {
    /// The interval of heartbeats, as it is meant. Those that come closer to each other count as that far apart.
    pub expected: Duration,
    /// Suspected when the probability of such a silence is 10 to the minus this. At most 300.
    pub threshold: u32,
    /// The last so many intervals count; at most 10,000.
    pub window: usize,
    /// Intervals are never taken to scatter less.
    pub least_deviation: Duration,
    /// Borne beyond what the intervals make probable: the pauses and blips that are seldom seen.
    pub pause: Duration,
    /// An interval counts at most as that long.
    pub longest: Duration,
}

impl Accrual {
    /// For heartbeats of that interval: phi 8, 200 intervals, pauses of two of them.
    pub const fn every(heartbeat: Duration) -> Self {
        Self {
            expected: heartbeat,
            threshold: 8,
            window: 200,
            least_deviation: part(heartbeat, 10),
            pause: heartbeat.saturating_mul(2),
            longest: heartbeat.saturating_mul(4),
        }
    }
}

/// Such a part of a span; nothing of a part that there is not.
pub(super) const fn part(span: Duration, of: u32) -> Duration {
    match span.checked_div(of) {
        Some(part) => part,
        None => Duration::ZERO,
    }
}

/// Says who has been silent for too long. Memory: 8 bytes for each interval kept, in the accrual mode.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::NodeId;
/// use crdt_sync::failover::{Detection, Detector};
/// use crdt_sync::time::Instant;
///
/// let (peer, start) = (NodeId::from_u128(2), Instant::from_micros(0));
/// let mut detector = Detector::new(Detection::DEFAULT, start);
/// detector.heard(peer, start + Duration::from_secs(5));
/// assert!(!detector.suspects(peer, start + Duration::from_secs(34)));
/// assert!(detector.suspects(peer, start + Duration::from_secs(35)));
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    rule: Rule,
    /// Silence before that counts for nothing: it is this process that was not there.
    awake_since: Instant,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Clone, Debug)]
enum Rule {
    Fixed(Duration),
    Accrual {
        settings: Accrual,
        /// So many thousandths of a standard deviation above the mean are too many.
        deviations: u64,
    },
}

#[derive(Clone, Debug)]
struct Peer {
    heard: Instant,
    intervals: Intervals,
}

impl Detector {
    /// A detector that has heard of nobody; it bears with everybody as if all had been heard just now.
    pub fn new(detection: Detection, now: Instant) -> Self {
        let rule = match detection {
            Detection::Fixed { timeout } => Rule::Fixed(timeout),
            Detection::Accrual(settings) => {
                Rule::Accrual { settings, deviations: deviations(settings.threshold) }
            }
        };
        Self { rule, awake_since: now, peers: BTreeMap::new() }
    }

    /// A heartbeat of the node arrived. O(log peers).
    pub fn heard(&mut self, node: NodeId, now: Instant) {
        let peer =
            self.peers.entry(node).or_insert_with(|| Peer { heard: now, intervals: self.rule.begin() });
        if now > peer.heard {
            self.rule.count(&mut peer.intervals, now.since(peer.heard));
            peer.heard = now;
        }
    }

    /// Whether the node has been silent for too long. O(log peers).
    pub fn suspects(&self, node: NodeId, now: Instant) -> bool {
        now >= self.suspected_at(node)
    }

    /// When the node will have been silent for too long, if it stays silent. O(log peers).
    pub fn suspected_at(&self, node: NodeId) -> Instant {
        match self.peers.get(&node) {
            Some(peer) => peer.heard.max(self.awake_since) + self.rule.patience(&peer.intervals),
            None => self.awake_since + self.rule.patience(&self.rule.begin()),
        }
    }

    /// When the node was last heard.
    pub fn last_heard(&self, node: NodeId) -> Option<Instant> {
        self.peers.get(&node).map(|peer| peer.heard)
    }

    /// How improbable the silence of the node is, in the accrual mode, for whoever watches; nothing is decided by it.
    pub fn phi(&self, node: NodeId, now: Instant) -> Option<f64> {
        let Rule::Accrual { settings, .. } = &self.rule else { return None };
        let peer = self.peers.get(&node)?;
        let silence = now.since(peer.heard.max(self.awake_since)).saturating_sub(settings.pause);
        let (mean, deviation) = peer.intervals.mean_and_deviation(settings.least_deviation);
        let above = silence.as_secs_f64() - Duration::from_micros(mean).as_secs_f64();
        Some(phi(above / Duration::from_micros(deviation.max(1)).as_secs_f64()))
    }

    /// This process was not there for a while, and has heard nobody in that time: it does not blame others.
    pub fn was_away(&mut self, now: Instant) {
        self.awake_since = self.awake_since.max(now);
    }

    /// The node is no member any more. O(log peers).
    pub fn forget(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }
}

impl Rule {
    fn begin(&self) -> Intervals {
        match self {
            Self::Fixed(_) => Intervals::default(),
            Self::Accrual { settings, .. } => Intervals::estimated(micros(settings.expected)),
        }
    }

    fn count(&self, intervals: &mut Intervals, interval: Duration) {
        if let Self::Accrual { settings, .. } = self {
            let least = micros(settings.expected);
            let most = micros(settings.longest).max(least);
            intervals.push(micros(interval).clamp(least, most), settings.window.clamp(2, LONGEST_WINDOW));
        }
    }

    /// How long silence is borne.
    fn patience(&self, intervals: &Intervals) -> Duration {
        match self {
            Self::Fixed(timeout) => *timeout,
            Self::Accrual { settings, deviations } => {
                let (mean, deviation) = intervals.mean_and_deviation(settings.least_deviation);
                let beyond = u128::from(deviation) * u128::from(*deviations) / 1_000;
                let beyond = u64::try_from(beyond).unwrap_or(u64::MAX);
                settings.pause.saturating_add(Duration::from_micros(mean.saturating_add(beyond)))
            }
        }
    }
}

/// The last intervals, with what their mean and their deviation need. All exact.
#[derive(Clone, Debug, Default)]
struct Intervals {
    last: VecDeque<u64>,
    sum: u128,
    squares: u128,
}

impl Intervals {
    /// Before the first one: two that are a quarter off, as Akka's detector begins.
    fn estimated(expected: u64) -> Self {
        let mut intervals = Self::default();
        intervals.push(expected - expected / 4, 2);
        intervals.push(expected + expected / 4, 2);
        intervals
    }

    fn push(&mut self, interval: u64, window: usize) {
        while self.last.len() >= window
            && let Some(oldest) = self.last.pop_front()
        {
            self.sum -= u128::from(oldest);
            self.squares -= u128::from(oldest) * u128::from(oldest);
        }
        self.last.push_back(interval);
        self.sum += u128::from(interval);
        self.squares += u128::from(interval) * u128::from(interval);
    }

    /// In microseconds. O(1).
    fn mean_and_deviation(&self, least: Duration) -> (u64, u64) {
        let count = self.last.len().max(1) as u128;
        let deviation = (self.squares * count - self.sum * self.sum).isqrt() / count;
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        (whole(self.sum / count), whole(deviation).max(micros(least)))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(LONGEST_INTERVAL)
}

/// By how many powers of ten it is improbable that something normally distributed is so many deviations above the mean.
fn phi(deviations: f64) -> f64 {
    // For 38 deviations and more there is no `f64` to say it; infinity is what the logarithm makes of that.
    -libm::log10(libm::erfc(deviations * FRAC_1_SQRT_2) / 2.0)
}

/// The fewest thousandths of a deviation above the mean whose phi reaches the threshold. Exact to the last of them:
/// looked for by halving, for phi only grows.
fn deviations(threshold: u32) -> u64 {
    let threshold = f64::from(threshold.min(HIGHEST_THRESHOLD));
    let (mut below, mut enough) = (0_u32, 40_000_u32);
    while enough - below > 1 {
        let middle = below.midpoint(enough);
        if phi(f64::from(middle) / 1_000.0) >= threshold { enough = middle } else { below = middle }
    }
    u64::from(enough)
}
