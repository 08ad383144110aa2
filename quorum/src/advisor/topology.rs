//! The ways of replicating that there are.

use core::fmt;

/// Who accepts writes, and who must have them before they are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Topology {
    /// One leader, which waits for every follower. Nothing acknowledged is lost while one replica is left, and one
    /// follower that is down stops all writes until it is back or taken out.
    SingleLeaderSync,
    /// One leader, which waits for the fastest follower. Nothing acknowledged is lost by one failure.
    SingleLeaderSemiSync,
    /// One leader, which waits for nobody. A failover loses what had not been shipped; that is bounded only where a
    /// follower further behind than the bound is not promoted.
    SingleLeaderAsync,
    /// Every replica accepts writes and ships them later, clients that are offline included. Concurrent writes of the
    /// same key conflict.
    MultiLeader,
    /// No leader: read and write quorums that overlap, so that there is no failover at all.
    LeaderlessStrict,
    /// No leader: few acknowledgements, from fallbacks too if need be; hints, read repair and anti-entropy bring the
    /// rest about. It assumes enough nodes besides the replicas to fall back on.
    LeaderlessSloppy,
}

impl Topology {
    /// Every topology, in the order in which advice lists them: the simplest to reason about first.
    pub const ALL: [Self; 6] = [
        Self::SingleLeaderSync,
        Self::SingleLeaderSemiSync,
        Self::SingleLeaderAsync,
        Self::MultiLeader,
        Self::LeaderlessStrict,
        Self::LeaderlessSloppy,
    ];

    /// Whether one replica orders all writes, so that there are no conflicts and there is a failover.
    pub const fn has_single_leader(self) -> bool {
        matches!(self, Self::SingleLeaderSync | Self::SingleLeaderSemiSync | Self::SingleLeaderAsync)
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SingleLeaderSync => "single leader, sync",
            Self::SingleLeaderSemiSync => "single leader, semi-sync",
            Self::SingleLeaderAsync => "single leader, async",
            Self::MultiLeader => "multi-leader",
            Self::LeaderlessStrict => "leaderless, strict",
            Self::LeaderlessSloppy => "leaderless, sloppy",
        })
    }
}
