//! How long operations take, given who must answer them.

use alloc::vec::Vec;
use core::time::Duration;

use super::Requirements;
use super::assessment::Latency;

impl Requirements {
    /// What an operation costs the clients of all regions, given what it costs those of each.
    pub(super) fn latency(&self, of_client: impl Fn(usize) -> Duration) -> Latency {
        let (mut slowest, mut sum, mut clients) = (Duration::ZERO, 0_u128, 0_u128);
        for (region, share) in self.clients.iter().enumerate().filter(|(_, share)| **share > 0) {
            let time = of_client(region);
            slowest = slowest.max(time);
            sum = sum.saturating_add(time.as_nanos().saturating_mul(u128::from(*share)));
            clients += u128::from(*share);
        }
        let mean = sum.checked_div(clients).unwrap_or(0);
        Latency { slowest, mean: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)) }
    }

    /// The round trip from a region to the `count`-th nearest replica.
    pub(super) fn round_trip_to_nearest(&self, from: usize, count: u32) -> Duration {
        smallest(count, self.homes.iter().map(|home| self.distances.there_and_back(from, *home)))
    }

    /// The round trip from a leader to the `count`-th nearest of its followers; nothing for 0.
    pub(super) fn wait_for_followers(&self, leader: usize, count: u32) -> Duration {
        smallest(count, self.others(leader).map(|home| self.distances.there_and_back(leader, home)))
    }

    /// The time in which a write at a replica in `region` has reached one that outlives the loss of that replica and
    /// the nearest others, `failures` in all. At most all but one are lost.
    pub(super) fn time_to_a_survivor(&self, region: usize, failures: u32) -> Duration {
        smallest(failures, self.others(region).map(|home| self.distances.between(region, home)))
    }

    /// The longest time in which a write at a replica in `region` reaches another replica.
    pub(super) fn time_to_all(&self, region: usize) -> Duration {
        self.others(region).map(|home| self.distances.between(region, home)).max().unwrap_or_default()
    }

    /// The longest of `time` over all replicas.
    pub(super) fn worst_replica(&self, time: impl Fn(usize) -> Duration) -> Duration {
        self.homes.iter().map(|home| time(*home)).max().unwrap_or_default()
    }

    /// What an operation costs that waits for the nearest `count` replicas.
    pub(super) fn quorum_latency(&self, count: u32) -> Latency {
        self.latency(|client| self.round_trip_to_nearest(client, count))
    }

    /// The mean time in seconds over reads and writes in the proportion given.
    pub(super) fn mean_operation(&self, read: Latency, write: Latency) -> f64 {
        let reads = self.read_fraction;
        reads.get() * read.mean.as_secs_f64() + reads.complement().get() * write.mean.as_secs_f64()
    }

    /// How many replicas are in a region.
    pub(super) fn replicas_in(&self, region: usize) -> u32 {
        u32::try_from(self.homes.iter().filter(|home| **home == region).count()).unwrap_or(u32::MAX)
    }

    /// The regions of all replicas but one in `region`.
    fn others(&self, region: usize) -> impl Iterator<Item = usize> + '_ {
        let first = self.homes.iter().position(|home| *home == region);
        self.homes.iter().enumerate().filter(move |(at, _)| Some(*at) != first).map(|(_, home)| *home)
    }
}

/// The `count`-th smallest time, counted from 1; nothing for 0.
fn smallest(count: u32, times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = usize::try_from(count).ok().and_then(|count| count.checked_sub(1));
    at.and_then(|at| times.get(at)).copied().unwrap_or_default()
}
