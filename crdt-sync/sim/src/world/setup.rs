//! What a world is made of.

use core::ops::RangeInclusive;
use core::time::Duration;

use crdt_sync::failover::FailoverConfig;
use crdt_sync::{Collection, Limits, NodeId, PlantedBug, Timing, merkle};
use replication_log::ship::AckPolicy;
use replication_log::ship::commit::CommitOptions;

use crate::faults::Hostility;
use crate::topology::Topology;

/// The nodes of a world, what they hold, and what they must endure.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How the nodes replicate.
    pub topology: Topology,
    /// In a world with one leader: what a commit waits for.
    pub commits: CommitOptions<NodeId>,
    /// In a world with one leader: whether an operator has other nodes lead.
    pub new_leaders: bool,
    /// In a world with one leader: by which rules nodes take over by themselves, if they do. Then no operator grants
    /// anybody the lead.
    pub failover: Option<FailoverConfig>,
    /// In a world with one leader: whether nodes let go of the log behind their checkpoints, so that whoever lacks it
    /// begins with a snapshot.
    pub snapshots: bool,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many of them, the last ones, are not on the ring in the beginning of a leaderless world.
    pub spares: usize,
    /// How many of them, the last ones, are partial replicas. Nobody gives an identity of such a world two pasts.
    pub partial: usize,
    /// Whether nodes forget deletions that all members have. Nobody gives an identity of such a world two pasts.
    pub forgets_deletions: bool,
    /// Into how many partitions keys are divided.
    pub partitions: u16,
    /// Who connects to whom.
    pub shape: Shape,
    /// The collections, the same on every node.
    pub collections: Vec<Collection>,
    /// The bounds of every node.
    pub limits: Limits,
    /// How long every node waits for what.
    pub timing: Timing,
    /// The size of the hash trees; small, because a simulated node holds little.
    pub leaf_bits: u8,
    /// How long a frame takes when nothing is wrong. The range makes frames overtake each other.
    pub latency: RangeInclusive<Duration>,
    /// Into how many sites the nodes are divided, in the order of their numbers. Frames between two sites take the
    /// distance in place of the latency.
    pub sites: usize,
    /// How long a frame takes from one site to another.
    pub distance: RangeInclusive<Duration>,
    /// How long it takes to read a log before the engine can begin.
    pub recovery_time: RangeInclusive<Duration>,
    /// How long a sync takes.
    pub sync_time: RangeInclusive<Duration>,
    /// How long it is from one checkpoint of a node to the next; `None` for nodes that make none.
    pub between_checkpoints: Option<RangeInclusive<Duration>>,
    /// What goes wrong; `None` for a world without faults.
    pub hostility: Option<Hostility>,
    /// A mistake that every engine is told to make.
    pub plant: Option<PlantedBug>,
}

impl Setup {
    /// A hostile world of so many nodes with these collections, all of whose bounds and spans are small, so that
    /// what takes megabytes and minutes elsewhere happens within some hundred writes.
    pub fn hostile(nodes: usize, collections: impl IntoIterator<Item = Collection>) -> Self {
        let micros = Duration::from_micros;
        Self {
            topology: Topology::MultiLeader,
            commits: CommitOptions::new(AckPolicy::asynchronous()),
            new_leaders: false,
            failover: None,
            snapshots: false,
            nodes,
            spares: 0,
            partial: 0,
            forgets_deletions: false,
            partitions: 2,
            shape: Shape::AllToAll,
            collections: collections.into_iter().collect(),
            limits: small_limits(),
            timing: short_timing(),
            leaf_bits: 8,
            latency: micros(200)..=micros(5_000),
            sites: 2,
            distance: micros(15_000)..=micros(60_000),
            recovery_time: micros(100)..=micros(10_000),
            sync_time: micros(500)..=micros(20_000),
            between_checkpoints: Some(micros(100_000)..=micros(2_000_000)),
            hostility: Some(Hostility::default()),
            plant: None,
        }
    }

    /// The same world without faults.
    pub fn peaceful(nodes: usize, collections: impl IntoIterator<Item = Collection>) -> Self {
        Self { hostility: None, ..Self::hostile(nodes, collections) }
    }

    /// The same with nodes that keep all entries and catch up by them rather than by states. A fork is seen only where
    /// one side still knows the chain value at the other's head; in this world that is so nearly always.
    pub fn with_long_memory(mut self) -> Self {
        self.limits.max_retained = 1 << 20;
        self.timing.catch_up_entries = 10_000;
        self
    }

    /// How many nodes found the ring of a leaderless world: the first ones.
    pub(crate) fn founders(&self) -> usize {
        self.nodes.saturating_sub(self.spares)
    }

    /// In which site a node is.
    pub(crate) fn site_of(&self, node: usize) -> usize {
        node * self.sites.max(1) / self.nodes.max(1)
    }
}

/// Who connects to whom.
///
/// ```
/// use crdt_sync_sim::Shape;
///
/// let neighbours = |shape: Shape, node| (0..5).filter(|other| shape.links(node, *other, 5)).collect::<Vec<_>>();
/// assert_eq!(neighbours(Shape::AllToAll, 3), [0, 1, 2, 4]);
/// assert_eq!(neighbours(Shape::Star, 3), [0]);
/// assert_eq!(neighbours(Shape::Ring, 4), [0, 3]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// Everybody to everybody.
    #[default]
    AllToAll,
    /// Everybody to node 0, and node 0 to everybody.
    Star,
    /// Each node to the one before it and the one after it.
    Ring,
}

impl Shape {
    /// Whether two of so many nodes connect to each other.
    pub fn links(self, a: usize, b: usize, nodes: usize) -> bool {
        let next = |a: usize, b: usize| (a + 1) % nodes.max(1) == b;
        let meant = match self {
            Self::AllToAll => true,
            Self::Star => a == 0 || b == 0,
            Self::Ring => next(a, b) || next(b, a),
        };
        meant && a != b && a < nodes && b < nodes
    }

    /// How many peers a node has among so many nodes.
    pub fn peers_of(self, node: usize, nodes: usize) -> usize {
        (0..nodes).filter(|other| self.links(node, *other, nodes)).count()
    }
}

fn small_limits() -> Limits {
    Limits {
        max_frame: 64 << 10,
        max_retained: 1 << 10,
        send_window: 2 << 10,
        parts_window: 2,
        part_size: 256,
        merkle: merkle::Limits { max_frame: 256, max_items: 4, ..merkle::Limits::default() },
        ..Limits::default()
    }
}

fn short_timing() -> Timing {
    let millis = Duration::from_millis;
    Timing {
        heartbeat: millis(50),
        resend_after: millis(150),
        relay_after: millis(30),
        session_timeout: millis(800),
        keep_alive: millis(400),
        silence: millis(2_000),
        catch_up_entries: 12,
        ..Timing::default()
    }
}
