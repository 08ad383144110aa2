//! What a run is like, apart from its seed.

use core::ops::RangeInclusive;
use core::time::Duration;

use crdt_sync::PlantedBug;

use crate::dice::Dice;
use crate::extras::Extra;
use crate::leaderless as quorums;
use crate::single_leader::TakeoverRules;
use crate::topology::Topology;
use crate::workload;
use crate::world::Setup;

/// So many nodes can come to a ring that changes.
const SPARES: usize = 2;
/// So many nodes hold a part of the keys.
const PARTIAL: usize = 2;

/// A world, and what its clients do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The world.
    pub setup: Setup,
    /// How many operations clients begin.
    pub operations: u32,
    /// How many keys of each collection they use; few, so that their writes meet.
    pub keys: usize,
    /// The time from one operation to the next.
    pub pause: RangeInclusive<Duration>,
    /// Of 1000 pauses, how many are lulls, in which sessions come to their end.
    pub lulls: u32,
    /// How long a lull is.
    pub lull: RangeInclusive<Duration>,
    /// How often the adversary must strike in a run; with fewer strikes the plan is at fault.
    pub least_strikes: u32,
    /// How long the nodes have to agree once there is peace.
    pub settle_within: Duration,
    /// Of 1000 operations, how many are those of an operator who retires a member, if that is possible.
    pub retirements: u32,
    /// How many members are retired in a run at most.
    pub most_retired: usize,
    /// Of 1000 operations, how many are those of clients that go from node to node with a token of their session.
    pub in_sessions: u32,
    /// Of 1000 operations, how many are those of an operator who changes the ring, if that is possible.
    pub ring_changes: u32,
    /// Of 1000 operations, how many are those of an operator who has another node lead, if that is possible.
    pub new_leaders: u32,
    /// Whether the trace keeps its lines.
    pub verbose: bool,
}

impl Plan {
    /// The quick plan, for tests: three nodes, 150 operations, everything that can go wrong.
    ///
    /// ```
    /// use crdt_sync_sim::{Plan, simulate};
    ///
    /// let report = simulate(1, &Plan::hostile())?;
    /// assert_eq!(simulate(1, &Plan::hostile())?.digest, report.digest);
    /// # Ok::<(), Box<crdt_sync_sim::Failure>>(())
    /// ```
    pub fn hostile() -> Self {
        Self::quick(Setup::hostile(3, workload::collections()))
    }

    /// The same without faults.
    pub fn peaceful() -> Self {
        Self::quick(Setup::peaceful(3, workload::collections()))
    }

    /// The full plan: five nodes, 2,000 operations in bursts, and at least 20 strikes.
    pub fn full() -> Self {
        let millis = Duration::from_millis;
        Self {
            operations: 2_000,
            keys: 6,
            pause: millis(0)..=millis(8),
            lulls: 10,
            lull: millis(100)..=millis(900),
            least_strikes: 20,
            ..Self::quick(Setup::hostile(5, workload::collections()))
        }
    }

    /// The same with nodes that replicate in this way. In a leaderless world there are more nodes than hold a key, and
    /// more partitions than nodes.
    pub fn with_topology(mut self, topology: Topology) -> Self {
        if topology == Topology::Leaderless {
            self.setup.nodes = self.setup.nodes.max(5);
            self.setup.partitions = 16;
            self.setup.collections = quorums::collections();
            self.setup.timing.compare_every = Duration::from_millis(2_500);
            self.setup.limits.max_hints = 20;
            // Each write is told to two nodes at least, and comparisons go on all the time.
            self.keys = self.keys.max(4);
        }
        if topology == Topology::SingleLeader {
            self.setup.nodes = self.setup.nodes.max(5);
            self.setup.collections = quorums::collections();
            self.keys = self.keys.max(4);
        }
        self.setup.topology = topology;
        self
    }

    /// The same with another number of nodes.
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.setup.nodes = nodes;
        self
    }

    /// The same with another number of operations.
    pub fn with_operations(mut self, operations: u32) -> Self {
        self.operations = operations;
        self
    }

    /// The same with a mistake in every engine.
    pub fn with_bug(mut self, bug: PlantedBug) -> Self {
        self.setup.plant = Some(bug);
        self
    }

    /// The same with an extra.
    pub fn with_extra(mut self, extra: Extra) -> Self {
        match extra {
            Extra::Sessions => self.in_sessions = 250,
            Extra::RingChanges => {
                self.ring_changes = (6_000 / self.operations.max(1)).clamp(5, 40);
                self.setup.nodes += SPARES;
                self.setup.spares = SPARES;
            }
            Extra::Forgetting => {
                self.setup.forgets_deletions = true;
                // A node whose disk is an older one knows by its entries how far it was when a document changed last.
                self.setup.limits.max_retained = self.setup.limits.max_retained.max(1 << 16);
            }
            Extra::Partial => {
                self.setup.nodes += PARTIAL;
                self.setup.partial = PARTIAL;
            }
            Extra::NewLeaders => {
                self.new_leaders = (6_000 / self.operations.max(1)).clamp(4, 40);
                self.setup.new_leaders = true;
            }
            Extra::Snapshots => self.setup.snapshots = true,
            Extra::Failover => {
                self.new_leaders = (12_000 / self.operations.max(1)).clamp(8, 80);
                self.setup.failover = Some(TakeoverRules::default().of(0));
                // Leaders are found out to be gone, and others elected, while clients go on.
                self.pause = *self.pause.start()..=*self.pause.end() * 2;
                self.lulls = self.lulls.max(30);
                self.lull = Duration::from_millis(200)..=Duration::from_millis(1_200);
            }
            Extra::Retirement => {
                // Some are made before there is anybody to retire, and some when there is nobody any more.
                self.retirements = (6_000 / self.operations.max(1)).clamp(3, 40);
                // Whoever is retired leaves three.
                self.setup.nodes = self.setup.nodes.max(4);
            }
        }
        self
    }

    /// The time to the next operation.
    pub(crate) fn pause(&self, dice: &mut Dice) -> Duration {
        let lull = dice.chance(self.lulls);
        dice.span(if lull { &self.lull } else { &self.pause })
    }

    fn quick(setup: Setup) -> Self {
        let millis = Duration::from_millis;
        Self {
            setup,
            operations: 150,
            keys: 3,
            pause: millis(1)..=millis(80),
            lulls: 0,
            lull: millis(0)..=millis(0),
            least_strikes: 0,
            settle_within: Duration::from_secs(60),
            retirements: 0,
            most_retired: 2,
            in_sessions: 0,
            ring_changes: 0,
            new_leaders: 0,
            verbose: false,
        }
    }
}
