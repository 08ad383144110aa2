//! How the nodes of a world replicate.

use core::fmt;
use core::str::FromStr;

use crate::extras::Extra;
use crate::faults::Fault;
use crate::phase::{Phase, UnknownName};

/// How the nodes of a world replicate, and with that what clients do and what is promised to them.
///
/// ```
/// use crdt_sync_sim::Topology;
///
/// assert_eq!("leaderless".parse(), Ok(Topology::Leaderless));
/// assert_eq!(Topology::default().to_string(), "multi-leader");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topology {
    /// Every node holds everything and writes for itself.
    #[default]
    MultiLeader,
    /// Every key lives on some of the nodes, which are written to and read by quorums.
    Leaderless,
    /// One node writes, and the others keep copies of its log.
    SingleLeader,
}

impl Topology {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MultiLeader, Self::Leaderless, Self::SingleLeader];

    /// Its name on command lines and in files; it stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiLeader => "multi-leader",
            Self::Leaderless => "leaderless",
            Self::SingleLeader => "single-leader",
        }
    }

    /// Why a fault is not tried here; `None` when it is.
    pub fn excludes(self, fault: Fault) -> Option<&'static str> {
        match (self, fault) {
            (Self::Leaderless, Fault::RestoredAndWrote) => {
                Some("every start takes a fresh identity, so that this is what any untold restore is")
            }
            (Self::MultiLeader, Fault::DiskLost) => {
                Some("a node whose disk rots is emptied and founded anew, which is the same")
            }
            (Self::SingleLeader, Fault::RestoredAndWrote) => {
                Some("who follows writes nothing, and whoever led has to be told that it is restored")
            }
            (Self::SingleLeader, Fault::ClonedUnderOtherName) => {
                Some("a log that all share belongs to no node")
            }
            (Self::SingleLeader, Fault::Cloned) => {
                Some("a leader cannot tell two processes of one name apart")
            }
            (Self::Leaderless, Fault::Cloned) => Some("a ring cannot tell two processes of one name apart"),
            _ => None,
        }
    }

    /// Whether its nodes can be asked for this. Where they cannot, a run that is to have it goes on without.
    pub fn knows(self, extra: Extra) -> bool {
        match extra {
            Extra::Retirement | Extra::Sessions | Extra::Forgetting | Extra::Partial => {
                self == Self::MultiLeader
            }
            Extra::RingChanges => self == Self::Leaderless,
            Extra::NewLeaders | Extra::Snapshots | Extra::Failover => self == Self::SingleLeader,
        }
    }

    /// The phases that its nodes go through.
    pub fn phases(self) -> &'static [Phase] {
        match self {
            Self::MultiLeader => &Phase::MULTI_LEADER,
            Self::Leaderless => &Phase::LEADERLESS,
            Self::SingleLeader => &Phase::SINGLE_LEADER,
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Topology {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|topology| topology.name() == name);
        found.ok_or_else(|| UnknownName { kind: "topology", name: name.into() })
    }
}
