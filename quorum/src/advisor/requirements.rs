//! What an application needs from replication.

use alloc::vec::Vec;
use core::time::Duration;

use super::Distances;
use crate::{Probability, RequirementsError};

/// The most replicas advice is given for.
pub const MAX_REPLICAS: u32 = 128;

/// What an application needs: what it tolerates, what it insists on, and where its clients and replicas are.
///
/// It starts with what a single leader can promise: nothing acknowledged is lost, one replica may fail, no conflicts,
/// reads see the latest write; how long a failover, a write or replication takes is not limited. Each method replaces
/// one of these.
///
/// Replicas that fail are taken to be gone for good, with their disks: whether a crashed node comes back is luck.
///
/// ```
/// use core::time::Duration;
/// use quorum::advisor::{AcceptableLoss, ConflictHandling, Distances, ReadNeed, Requirements};
///
/// let shopping_list = Requirements::new(Distances::single("home"), 3)?
///     .may_lose(AcceptableLoss::Anything)
///     .conflicts(ConflictHandling::Merge)
///     .reads(ReadNeed::OwnWrites)
///     .offline_clients();
/// assert_eq!(shopping_list.replicas(), 3);
/// # Ok::<(), quorum::RequirementsError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Requirements {
    pub(super) distances: Distances,
    /// The region of each replica. Not empty, and at most [`MAX_REPLICAS`].
    pub(super) homes: Vec<usize>,
    /// The share of clients in each region; not all 0.
    pub(super) clients: Vec<u32>,
    pub(super) failures: u32,
    pub(super) loss: AcceptableLoss,
    pub(super) write_outage: Option<Duration>,
    pub(super) lag: Option<Duration>,
    pub(super) write_latency: Option<Duration>,
    pub(super) writes_in_every_region: bool,
    pub(super) offline_clients: bool,
    pub(super) conflicts: ConflictHandling,
    pub(super) reads: ReadNeed,
    pub(super) read_fraction: Probability,
    pub(super) detection: Duration,
    pub(super) aim: LeaderAim,
}

/// Which acknowledged writes may be lost when replicas fail for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptableLoss {
    /// None.
    Nothing,
    /// Those acknowledged within such a time before the failure.
    Last(Duration),
    /// Any.
    Anything,
}

/// What the application can do with two concurrent writes of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictHandling {
    /// Nothing: there must be none.
    Impossible,
    /// Keep the later one and drop the other, acknowledged or not.
    LastWriterWins,
    /// Merge them: the data is a CRDT, or the application resolves siblings.
    Merge,
}

/// What a read must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadNeed {
    /// Some state, perhaps an old one.
    Anything,
    /// What the same client wrote, as long as it stays in its region.
    OwnWrites,
    /// Every write that was acknowledged before the read began.
    Latest,
}

/// By what the region of a single leader is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaderAim {
    /// The time of a write from the region where it takes longest.
    Slowest,
    /// The mean time of a write over all clients.
    Mean,
}

impl Default for Requirements {
    /// Three replicas in one region.
    fn default() -> Self {
        Self::of(Distances::single("here"), alloc::vec![0; 3])
    }
}

impl Requirements {
    /// So many replicas, dealt out to the regions in turn, so that no region has two before each has one.
    ///
    /// Fails when there are no replicas or more than [`MAX_REPLICAS`].
    pub fn new(distances: Distances, replicas: u32) -> Result<Self, RequirementsError> {
        counted(u64::from(replicas))?;
        let homes = (0..distances.len()).cycle().zip(0..replicas).map(|(region, _)| region).collect();
        Ok(Self::of(distances, homes))
    }

    /// So many replicas in each region, in the order of the regions.
    ///
    /// Fails unless there is one number for each region, and when there are no replicas or more than [`MAX_REPLICAS`].
    pub fn placed(
        distances: Distances,
        replicas: impl IntoIterator<Item = u32>,
    ) -> Result<Self, RequirementsError> {
        let counts = per_region(&distances, replicas)?;
        counted(counts.iter().copied().map(u64::from).sum())?;
        let homes = counts.into_iter().enumerate();
        let homes = homes.flat_map(|(region, count)| (0..count).map(move |_| region)).collect();
        Ok(Self::of(distances, homes))
    }

    fn of(distances: Distances, homes: Vec<usize>) -> Self {
        Self {
            homes,
            clients: alloc::vec![1; distances.len()],
            distances,
            failures: 1,
            loss: AcceptableLoss::Nothing,
            write_outage: None,
            lag: None,
            write_latency: None,
            writes_in_every_region: false,
            offline_clients: false,
            conflicts: ConflictHandling::Impossible,
            reads: ReadNeed::Latest,
            read_fraction: HALF,
            detection: Duration::from_secs(30),
            aim: LeaderAim::Slowest,
        }
    }

    /// The share of clients in each region, in the order of the regions: equal unless said otherwise.
    ///
    /// Fails unless there is one number for each region and not all are 0.
    pub fn clients(mut self, shares: impl IntoIterator<Item = u32>) -> Result<Self, RequirementsError> {
        self.clients = per_region(&self.distances, shares)?;
        if self.clients.iter().all(|share| *share == 0) {
            Err(RequirementsError::NoClients)
        } else {
            Ok(self)
        }
    }

    /// How many replicas may be lost at the same time while all that is required still holds.
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Which acknowledged writes may be lost when that many replicas fail.
    pub fn may_lose(mut self, loss: AcceptableLoss) -> Self {
        self.loss = loss;
        self
    }

    /// How long writes may be unavailable when that many replicas fail.
    pub fn write_outage(mut self, at_most: Duration) -> Self {
        self.write_outage = Some(at_most);
        self
    }

    /// How far behind the newest write what a read returns may be: the replication lag that is tolerated.
    pub fn replication_lag(mut self, at_most: Duration) -> Self {
        self.lag = Some(at_most);
        self
    }

    /// How long a write may take from the region where it takes longest.
    pub fn write_latency(mut self, at_most: Duration) -> Self {
        self.write_latency = Some(at_most);
        self
    }

    /// Each region must accept writes without asking another.
    pub fn writes_in_every_region(mut self) -> Self {
        self.writes_in_every_region = true;
        self
    }

    /// Clients must be able to write while they reach nobody.
    pub fn offline_clients(mut self) -> Self {
        self.offline_clients = true;
        self
    }

    /// What can be done with concurrent writes of the same key.
    pub fn conflicts(mut self, handling: ConflictHandling) -> Self {
        self.conflicts = handling;
        self
    }

    /// What a read must see.
    pub fn reads(mut self, need: ReadNeed) -> Self {
        self.reads = need;
        self
    }

    /// The share of reads among all operations: one half unless said otherwise.
    pub fn read_fraction(mut self, reads: Probability) -> Self {
        self.read_fraction = reads;
        self
    }

    /// How long a leader must be silent to be given up: 30 s (six heartbeats of 5 s) unless said otherwise.
    ///
    /// A failover takes at least that long; choosing and promoting another leader comes on top.
    pub fn detection(mut self, timeout: Duration) -> Self {
        self.detection = timeout;
        self
    }

    /// By what the region of a single leader is chosen: the slowest write unless said otherwise.
    pub fn place_leader_by(mut self, aim: LeaderAim) -> Self {
        self.aim = aim;
        self
    }

    /// The number of replicas.
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.homes.len()).unwrap_or(u32::MAX)
    }
}

const HALF: Probability = match Probability::new(0.5) {
    Ok(half) => half,
    Err(_) => Probability::ONE,
};

fn counted(replicas: u64) -> Result<(), RequirementsError> {
    match replicas {
        0 => Err(RequirementsError::NoReplicas),
        given if given > u64::from(MAX_REPLICAS) => Err(RequirementsError::TooManyReplicas { given }),
        _ => Ok(()),
    }
}

fn per_region(
    distances: &Distances,
    numbers: impl IntoIterator<Item = u32>,
) -> Result<Vec<u32>, RequirementsError> {
    let regions = distances.len();
    // One more than there are regions is enough to know that there are too many.
    let numbers: Vec<u32> = numbers.into_iter().take(regions + 1).collect();
    if numbers.len() == regions { Ok(numbers) } else { Err(RequirementsError::NotOnePerRegion { regions }) }
}
