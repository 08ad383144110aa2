//! The world: nodes, their disks, the wires between them, and time.

mod adversary;
mod besides;
mod checkpoint;
mod coordinator;
mod driver;
mod fenced;
mod happening;
mod histories;
mod leaderless;
mod mending;
mod node;
mod notice;
mod operator;
mod partial;
mod past;
mod retirement;
mod ring;
mod setup;
mod single_leader;
mod standing;
mod succession;
mod takeovers;
mod wires;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use core::time::Duration;
use crdt_core::ReplicaId;
use crdt_sync::time::{Instant, Now};
use crdt_sync::{Engine, Input, ItemKey, NodeId, Request, RequestId};

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::faults::{Fault, FaultCounts};
use crate::lineage::{Lineage, Place};
use crate::network::Network;
use crate::queue::Queue;
use crate::trace::Trace;
use crate::violation::Violation;
use adversary::Aim;
pub(crate) use driver::refuses;
use happening::Happening;
pub(crate) use histories::{Histories, LogPlace};
pub(crate) use leaderless::REPLICAS;
pub(crate) use node::CLUSTER;
use node::Node;
pub use notice::{Loss, Notice};
use ring::Ring;
pub(crate) use ring::{member_of, name_of};
pub use setup::{Setup, Shape};
use single_leader::SharedLog;
use takeovers::Takeovers;

/// More events than this at once mean that something feeds itself.
const MAX_EVENTS: usize = 100_000;

/// A cluster of engines in simulated time.
///
/// The caller asks nodes with [`request`](Self::request), lets time pass with [`step`](Self::step) or
/// [`run_for`](Self::run_for), and learns what came of it from [`poll_notice`](Self::poll_notice). Everything
/// that happens is a function of the seed, the setup and these calls.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::{Action, Cell, Collection, ItemKey, Request, Write};
/// use crdt_sync_sim::{Setup, World};
///
/// # fn main() -> Result<(), crdt_sync_sim::Violation> {
/// let visits = Collection::counters("visits");
/// let item = ItemKey { collection: visits.id(), key: "today".into() };
/// let mut world = World::new(7, Setup::hostile(3, [visits.clone()]));
/// world.run_for(Duration::from_secs(1))?;
///
/// for node in 0..world.nodes() {
///     let action = Action::Increment(1);
///     let write = Write { collection: item.collection, key: item.key.clone(), action };
///     world.request(node, Request::Write(vec![write]))?; // `None` if the node is down just now
/// }
/// world.make_peace();
/// world.run_for(Duration::from_secs(10))?;
///
/// let seen: Vec<_> = (0..3).map(|node| world.engine(node).unwrap().peek(&item).cloned()).collect();
/// assert_eq!(seen[0], seen[1]);
/// assert_eq!(seen[1], seen[2]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct World {
    setup: Setup,
    time: Instant,
    queue: Queue<Happening>,
    nodes: Vec<Node>,
    network: Network,
    dice: WorldDice,
    faults: FaultCounts,
    coverage: Coverage,
    trace: Trace,
    notices: VecDeque<Notice>,
    next_request: u64,
    /// How often the adversary has struck, or would have.
    strikes: u32,
    /// What the strikes draw from: each has dice of its own.
    strike_chance: u64,
    left_out_strikes: BTreeSet<u32>,
    left_out_nodes: BTreeSet<usize>,
    /// Per sender and receiver, the frames that were sent so far.
    frames: BTreeMap<(usize, usize), u64>,
    /// Strikes that wait for a phase, the oldest first.
    aims: VecDeque<Aim>,
    /// The node at which something happened last, while strikes wait.
    touched: Option<usize>,
    /// Whether nodes are restored now and then, so that their disks are copied.
    restores: bool,
    /// Whether an identity may have two pasts by now.
    has_forks: bool,
    /// Whether a client waits to see what its request does at once.
    is_asked: bool,
    /// Everything that was written, and what follows what.
    lineage: Lineage,
    /// What the last request became.
    grown: Vec<Place>,
    /// Identities of which two histories were taken for one, as nobody could see it, and in which partition.
    unseen_forks: BTreeSet<(usize, ReplicaId)>,
    /// What a strike brought to light.
    found: Option<Violation>,
    /// Between nodes one of which is to be retired: who is about to connect to whom. They part again and again.
    dialing: BTreeSet<(usize, usize)>,
    /// Of a leaderless world.
    ring: Ring,
    /// Of a world with one leader.
    shared: SharedLog,
}

/// One source of chance per purpose.
#[derive(Debug)]
struct WorldDice {
    /// What the engines are seeded with.
    seeds: Dice,
    /// How long frames and connections take, and what becomes of them.
    wires: Dice,
    /// How long disks take, and what they keep.
    disks: Dice,
    /// What strikes when and whom.
    strikes: Dice,
    /// When checkpoints are made, and how.
    checkpoints: Dice,
    /// How long it takes to read a log that nodes share.
    shared: Dice,
}

impl World {
    /// A world in which every node is about to start for the first time.
    pub fn new(seed: u64, setup: Setup) -> Self {
        Self::traced(seed, setup, Trace::new())
    }

    /// The same, with a trace that may keep its lines.
    pub fn traced(seed: u64, setup: Setup, trace: Trace) -> Self {
        let mut dice = Dice::new(seed);
        let mut world = Self {
            time: Instant::default(),
            queue: Queue::new(),
            nodes: (1..)
                .take(setup.nodes)
                .map(|name| Node::new(NodeId::from_u128(name), setup.topology, &mut dice))
                .collect(),
            network: Network::default(),
            dice: WorldDice {
                seeds: dice.fork(),
                wires: dice.fork(),
                disks: dice.fork(),
                strikes: dice.fork(),
                checkpoints: dice.fork(),
                // Only some worlds have these: what the others draw is what it was before.
                shared: Dice::new(seed.rotate_left(24)),
            },
            faults: FaultCounts::default(),
            coverage: Coverage::default(),
            trace,
            notices: VecDeque::new(),
            next_request: 0,
            strikes: 0,
            strike_chance: dice.number(),
            left_out_strikes: BTreeSet::new(),
            left_out_nodes: BTreeSet::new(),
            frames: BTreeMap::new(),
            aims: VecDeque::new(),
            touched: None,
            restores: setup.hostility.as_ref().is_some_and(|hostility| {
                let faults = [Fault::RestoredTold, Fault::RestoredUntold, Fault::RestoredAndWrote];
                faults.into_iter().any(|fault| hostility.weight(fault) > 0)
            }),
            has_forks: false,
            is_asked: false,
            lineage: Lineage::default(),
            grown: Vec::new(),
            unseen_forks: BTreeSet::new(),
            found: None,
            dialing: BTreeSet::new(),
            ring: Ring::of(&setup),
            shared: SharedLog { takeovers: Takeovers::of(&setup, seed), ..SharedLog::default() },
            setup,
        };
        for node in 0..world.nodes.len() {
            world.nodes[node].place = node;
            if world.setup.snapshots {
                world.nodes[node].disk.lets_go();
            }
            world.plant_in(node);
            world.put(Duration::ZERO, Happening::Start { node });
        }
        world.take_first_aims();
        world.put(Duration::ZERO, Happening::Strike);
        world
    }

    /// From now on these nodes do not start, and these strikes, counted from zero, do not fall. What is left out
    /// changes nothing of what the other strikes draw. What waits for its phase from the beginning belongs to strike
    /// zero.
    pub fn leave_out(&mut self, nodes: BTreeSet<usize>, strikes: BTreeSet<u32>) {
        self.left_out_nodes = nodes;
        if strikes.contains(&0) {
            self.aims.clear();
        }
        self.left_out_strikes = strikes;
    }

    /// Asks a node; `None` if it cannot be asked: it is down or stands still, or the request writes and the node was
    /// restored and has not found out what others know of it. The answer comes as a [`Notice`].
    pub fn request(&mut self, node: usize, request: Request) -> Result<Option<RequestId>, Violation> {
        let stands_still = self.nodes.get(node).is_none_or(|node| node.standstill.is_some());
        if stands_still || self.engine(node).is_none() {
            return Ok(None);
        }
        let writes = match &request {
            Request::Write(_) | Request::Commit { .. } => true,
            Request::InSession { request, .. } => matches!(**request, Request::Write(_)),
            _ => false,
        };
        if writes && self.is_fenced(node) {
            return Ok(None);
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.trace.note(self.time, format_args!("{node} is asked {} {request:?}", id.0), b"");
        self.is_asked = true;
        self.grown.clear();
        let handled = self.handle(node, Input::Request { id, request });
        self.is_asked = false;
        handled?;
        Ok(Some(id))
    }

    /// Reads a key at a node, which may wait this long for its disk.
    pub fn read(
        &mut self,
        node: usize,
        item: ItemKey,
        patience: Duration,
    ) -> Result<Option<RequestId>, Violation> {
        let Some(now) = self.now(node) else { return Ok(None) };
        let deadline = now.instant + patience;
        self.request(node, Request::Read { item, deadline })
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) -> Result<(), Violation> {
        let Some((at, happening)) = self.queue.pop() else {
            return Ok(());
        };
        self.time = self.time.max(at);
        let events = self.queue.len();
        if events > MAX_EVENTS {
            return Err(Violation::Crowded { events, limit: MAX_EVENTS });
        }
        if happening.of_node().is_some_and(|node| node >= self.nodes.len()) {
            // It was meant for a clone that was taken away.
            return Ok(());
        }
        // What comes to a process that does nothing waits until it goes on.
        let standstill = self.at_whom(&happening).and_then(|node| self.nodes[node].standstill.as_mut());
        if let Some(standstill) = standstill {
            standstill.piled.push_back(happening);
            return Ok(());
        }
        self.happen(happening)?;
        self.strike_aimed();
        self.found.take().map_or(Ok(()), Err)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Arrival { link, bytes } => self.arrive(link, bytes),
            Happening::LinkDown { link } => self.lose_link(link),
            Happening::Dial { from, to } => self.dial(from, to),
            Happening::Timer { node, ticket } => self.ring(node, ticket),
            Happening::Synced { node, boot } => self.synced(node, boot),
            Happening::LinkUp { link } => self.accept(link),
            Happening::Start { node } => self.start(node),
            Happening::Look { node, boot, task } => self.look(node, boot, task),
            Happening::Told { node, boot, news } => self.told(node, boot, news),
            Happening::Checkpoint { node, boot } => self.checkpoint(node, boot),
            Happening::Opened { node, boot } => self.open(node, boot),
            Happening::Resume { node, boot } if self.nodes[node].boot == boot => self.resume(node),
            Happening::Resume { .. } => Ok(()),
            Happening::Reboot { node, boot } => {
                if self.nodes[node].boot == boot {
                    self.kill(node);
                }
                Ok(())
            }
            Happening::Withdraw { node } => {
                self.withdraw(node);
                Ok(())
            }
            Happening::Room { node } => {
                self.make_room(node);
                Ok(())
            }
            Happening::Ask { node, boot, id, ask } => {
                self.coordinate(node, boot, id, ask);
                Ok(())
            }
            Happening::Outside { node, boot, news } => self.hear_outside(node, boot, news),
            Happening::StoreBack { is_whole } => {
                self.bring_back_store(is_whole);
                Ok(())
            }
            Happening::CoordinatorReached => {
                self.open_ways_outside();
                Ok(())
            }
            Happening::Strike => {
                self.strike();
                Ok(())
            }
            Happening::Reopen { ways } => {
                self.reopen(&ways);
                Ok(())
            }
        }
    }

    /// Lets time pass, with everything that happens in it.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Violation> {
        let until = self.time + span;
        while self.next_at().is_some_and(|at| at <= until) {
            self.step()?;
        }
        self.time = until;
        Ok(())
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// The next thing the caller may want to know.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The notices that wait to be polled, without taking them.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter()
    }

    /// No more faults: ways are opened, nodes that are down start soon, what is held up arrives.
    pub fn make_peace(&mut self) {
        self.trace.note(self.time, format_args!("peace"), b"");
        self.setup.hostility = None;
        self.make_peace_outside();
        self.aims.clear();
        self.network.widen();
        self.withdraw(self.setup.nodes);
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                self.network.unblock(from, to);
            }
            self.calm_disk(from);
            if self.nodes[from].standstill.is_some() {
                let boot = self.nodes[from].boot;
                self.put(Duration::ZERO, Happening::Resume { node: from, boot });
            }
        }
    }

    /// The engine of a node, unless it is down.
    pub fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes.get(node)?.engine.as_ref()
    }

    /// How many nodes there are, up or down. One more while there is a clone, which is the last.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The time in the world; no node knows it.
    pub fn time(&self) -> Instant {
        self.time
    }

    /// What both clocks of a node show; `None` for a node that does not exist.
    pub fn now(&self, node: usize) -> Option<Now> {
        Some(self.nodes.get(node)?.now(self.time))
    }

    /// The faults that happened so far.
    pub fn faults(&self) -> FaultCounts {
        self.faults
    }

    /// How often the adversary has struck so far, strikes that were left out included.
    pub fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Whether the adversary strikes at all.
    pub fn is_hostile(&self) -> bool {
        self.setup.hostility.as_ref().is_some_and(|hostility| hostility.total_weight() > 0)
    }

    /// Whether an identity may have two pasts by now.
    pub(crate) fn has_forks(&self) -> bool {
        self.has_forks
    }

    /// Everything that was written, and what follows what.
    pub(crate) fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The identities of which two histories were taken for one in a partition, because neither side knew the chain
    /// value at the other's head any more. What was written under them says nothing.
    pub(crate) fn unseen_forks(&self) -> &BTreeSet<(usize, ReplicaId)> {
        &self.unseen_forks
    }

    /// The entries that the last request became.
    pub(crate) fn grown(&self) -> &[Place] {
        &self.grown
    }

    /// How much is on its way or will happen later.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// In which phases of the protocol the faults struck.
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// The frames that each node sent each other so far, including those that were lost.
    pub fn frames(&self) -> &BTreeMap<(usize, usize), u64> {
        &self.frames
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    fn put(&mut self, after: Duration, happening: Happening) {
        self.queue.put(self.time + after, happening);
    }

    fn note(&mut self, what: core::fmt::Arguments<'_>) {
        self.trace.note(self.time, what, b"");
    }
}
