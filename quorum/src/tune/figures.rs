//! What a configuration achieves, in numbers.

use alloc::vec::Vec;

use super::targets::{AvailabilityTarget, LatencyTarget, Targets};
use crate::{Probability, QuorumConfig};

/// What a configuration achieves under the assumptions of the targets.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// How likely a read finds R replicas; `None` without a target for it.
    pub read_availability: Option<Probability>,
    /// How likely a write finds W replicas; `None` without a target for it.
    pub write_availability: Option<Probability>,
    /// How likely a read misses the last write, quorums being chosen evenly.
    pub misses: Probability,
    /// How long a read takes, by the measure of the target; `None` without one.
    pub read_latency: Option<f64>,
    /// How long a write takes, by the measure of the target; `None` without one.
    pub write_latency: Option<f64>,
}

/// The figures of the quorums of each size out of one N: reads depend on R alone and writes on W alone, so that they
/// are worked out N times and not N^2 times.
pub(super) struct Sizes {
    reads: Vec<Size>,
    writes: Vec<Size>,
}

#[derive(Clone, Copy, Default)]
struct Size {
    availability: Option<Probability>,
    latency: Option<f64>,
}

impl Sizes {
    pub(super) fn of(n: u32, targets: &Targets) -> Self {
        let availability = targets.availability;
        Self {
            reads: sizes(n, availability, targets.read_latency.as_ref()),
            writes: sizes(n, availability, targets.write_latency.as_ref()),
        }
    }

    pub(super) fn figures(&self, config: QuorumConfig) -> Figures {
        let (reads, writes) = (size(&self.reads, config.r()), size(&self.writes, config.w()));
        Figures {
            read_availability: reads.availability,
            write_availability: writes.availability,
            misses: config.miss_probability(),
            read_latency: reads.latency,
            write_latency: writes.latency,
        }
    }
}

fn sizes(n: u32, availability: Option<AvailabilityTarget>, latency: Option<&LatencyTarget>) -> Vec<Size> {
    let size = |count| {
        // What holds for a read of this size holds for a write of it.
        let config = QuorumConfig::new(n, count, count).ok();
        config.map_or_else(Size::default, |config| Size {
            availability: availability.map(|target| config.read_availability(target.failure)),
            latency: latency.map(|target| target.measure.of(&config.read_latency(&target.answer))),
        })
    };
    (1..=n).map(size).collect()
}

fn size(sizes: &[Size], count: u32) -> Size {
    let at = usize::try_from(count).ok().and_then(|count| count.checked_sub(1));
    at.and_then(|at| sizes.get(at)).copied().unwrap_or_default()
}
