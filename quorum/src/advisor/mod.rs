//! From what an application needs to the ways of replicating that can give it.
//!
//! [`Requirements`] say what may be lost, how long writes may stop, how old a read may be, and how far apart the
//! regions are. [`advise`] works out for each [`Topology`] what it would cost and what it would break, accepts or
//! refuses it with the reasons, and recommends one of those that are left.
//!
//! The times are lower bounds made of the distances alone: a write that must reach a follower and be acknowledged takes
//! at least the round trip. Disks, queues and retries come on top.

mod advice;
mod assessment;
mod distances;
mod geometry;
mod objection;
mod requirements;
mod topology;

pub use advice::{Advice, Recommendation};
pub use assessment::{Assessment, Extent, Latency};
pub use distances::{Distances, LONGEST, MAX_REGIONS};
pub use objection::Objection;
pub use requirements::{AcceptableLoss, ConflictHandling, LeaderAim, MAX_REPLICAS, ReadNeed, Requirements};
pub use topology::Topology;

/// What each topology would do under these requirements, and which one to take.
///
/// Deterministic. O(regions * replicas * (regions + replicas) * log replicas).
///
/// ```
/// use core::time::Duration;
/// use quorum::advisor::{AcceptableLoss, Distances, Requirements, Topology, advise};
///
/// let atlantic = Distances::symmetric(["new york", "london"], [("new york", "london", Duration::from_millis(150))])?;
/// let requirements = Requirements::new(atlantic, 3)?;
///
/// // No acknowledged write may be lost: one follower must have it before the leader acknowledges.
/// let advice = advise(&requirements);
/// assert_eq!(advice.recommended(), Some(Topology::SingleLeaderSemiSync));
/// assert_eq!(advice.of(Topology::SingleLeaderSync).write_wait, Duration::from_millis(300));
///
/// // Writes may not stop for more than a second: a leader whose failure is noticed after 30 s will not do.
/// let advice = advise(&requirements.write_outage(Duration::from_secs(1)));
/// assert!(!advice.of(Topology::SingleLeaderSemiSync).is_accepted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn advise(requirements: &Requirements) -> Advice {
    Advice::of_all(Topology::ALL.map(|topology| assessment::assess(topology, requirements)), requirements)
}
