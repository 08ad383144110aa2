//! How long the messages of a read and of a write are on their way.

use alloc::vec;
use alloc::vec::Vec;

use crate::{DistributionError, LatencyDistribution};

/// How long the four messages between a coordinator and one replica take, the time that the replica itself needs
/// included: W, A, R and S, which give the model its name.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaDelays {
    /// W: until a write has reached the replica and is visible there.
    pub write: LatencyDistribution,
    /// A: until its acknowledgement has come back.
    pub ack: LatencyDistribution,
    /// R: until a read has reached the replica and looks at what is there.
    pub read: LatencyDistribution,
    /// S: until its response has come back.
    pub response: LatencyDistribution,
}

impl ReplicaDelays {
    /// All four messages alike.
    pub fn symmetric(each: LatencyDistribution) -> Self {
        Self { write: each.clone(), ack: each.clone(), read: each.clone(), response: each }
    }

    /// The same for a replica whose messages travel `by` longer in each direction: one in another data centre.
    pub fn shifted(self, by: f64) -> Result<Self, DistributionError> {
        Ok(Self {
            write: self.write.shifted(by)?,
            ack: self.ack.shifted(by)?,
            read: self.read.shifted(by)?,
            response: self.response.shifted(by)?,
        })
    }
}

/// The delays of all replicas of a key, as the coordinator sees them.
///
/// The named ones are what Bailis et al., *Probabilistically bounded staleness for practical partial quorums* (VLDB
/// 2012, table 3), fitted to measurements of real systems: a Pareto body with an exponential tail, in milliseconds.
/// They serve to compare and to learn; measurements of your own system say more
/// ([`LatencyDistribution::empirical`]).
///
/// ```
/// use quorum::{Delays, LatencyDistribution, ReplicaDelays};
///
/// let near = ReplicaDelays::symmetric(LatencyDistribution::exponential(2.0)?);
/// let far = near.clone().shifted(75.0)?;
/// let all_near = Delays::alike(near.clone());
/// let one_of_three_near = Delays::per_replica([near, far.clone(), far]);
/// assert_ne!(all_near, one_of_three_near);
/// # Ok::<(), quorum::DistributionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Delays {
    replicas: Vec<ReplicaDelays>,
    /// Whether the only entry stands for any number of replicas.
    alike: bool,
}

impl Delays {
    /// The same for every replica, however many there are.
    pub fn alike(each: ReplicaDelays) -> Self {
        Self { replicas: vec![each], alike: true }
    }

    /// One for each replica; there must be N of them when they meet a configuration.
    pub fn per_replica(replicas: impl IntoIterator<Item = ReplicaDelays>) -> Self {
        Self { replicas: replicas.into_iter().collect(), alike: false }
    }

    /// YMMR, the Riak cluster of Yammer: one write in sixteen is in a tail of a third of a second on average.
    pub fn yammer() -> Result<Self, DistributionError> {
        let other = body_and_tail(0.982, (1.5, 3.8), 0.0217)?;
        let write = body_and_tail(0.939, (3.0, 3.35), 0.0028)?;
        Ok(Self::alike(ReplicaDelays { write, ..ReplicaDelays::symmetric(other) }))
    }

    /// LNKD-SSD, a Voldemort cluster of `LinkedIn` on solid state disks: all four messages alike.
    pub fn linkedin_ssd() -> Result<Self, DistributionError> {
        Ok(Self::alike(ReplicaDelays::symmetric(solid_state()?)))
    }

    /// LNKD-DISK, a Voldemort cluster of `LinkedIn` on spinning disks: only writes wait for the disk.
    pub fn linkedin_disk() -> Result<Self, DistributionError> {
        let write = body_and_tail(0.38, (1.05, 1.51), 0.183)?;
        Ok(Self::alike(ReplicaDelays { write, ..ReplicaDelays::symmetric(solid_state()?) }))
    }

    /// How many replicas are described, unless one description does for all.
    pub(super) fn described(&self) -> Option<usize> {
        (!self.alike).then_some(self.replicas.len())
    }

    /// Replica after replica and again from the first, for whoever takes N of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &ReplicaDelays> {
        self.replicas.iter().cycle()
    }
}

fn solid_state() -> Result<LatencyDistribution, DistributionError> {
    body_and_tail(0.9122, (0.235, 10.0), 1.66)
}

fn body_and_tail(
    body: f64,
    (scale, shape): (f64, f64),
    tail_rate: f64,
) -> Result<LatencyDistribution, DistributionError> {
    LatencyDistribution::mixture([
        (body, LatencyDistribution::pareto(scale, shape)?),
        (1.0 - body, LatencyDistribution::exponential(tail_rate)?),
    ])
}
