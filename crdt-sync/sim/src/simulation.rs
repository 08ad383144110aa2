//! One run: random clients in a hostile world, then peace, then the reckoning.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use core::ops::RangeInclusive;
use core::time::Duration;
use crdt_sync::{Cell, Engine, Event, ItemKey, PlantedBug, Reply, Request, RequestId, Status, Write};

use crate::checks;
use crate::dice::Dice;
use crate::faults::FaultCounts;
use crate::model::{Command, Fate, Model};
use crate::observe;
use crate::trace::Trace;
use crate::violation::{Failure, Violation};
use crate::workload::{self, Operation, Workload};
use crate::world::{Notice, Setup, World};

/// How long a read waits for its disk.
const PATIENCE: Duration = Duration::from_millis(30);

/// What a run is like, apart from its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The world.
    pub setup: Setup,
    /// How many operations clients begin.
    pub steps: u32,
    /// The time from one operation to the next.
    pub pause: RangeInclusive<Duration>,
    /// How long the nodes have to agree once there is peace.
    pub settle_within: Duration,
    /// Whether the trace keeps its lines.
    pub verbose: bool,
}

impl Plan {
    /// Three nodes, 150 operations, everything that can go wrong.
    ///
    /// ```
    /// use crdt_sync_sim::{Plan, simulate};
    ///
    /// let report = simulate(1, &Plan::hostile())?;
    /// assert_eq!(simulate(1, &Plan::hostile())?.digest, report.digest);
    /// # Ok::<(), crdt_sync_sim::Failure>(())
    /// ```
    pub fn hostile() -> Self {
        Self::in_world(Setup::hostile(3, workload::collections()))
    }

    /// The same without faults.
    pub fn peaceful() -> Self {
        Self::in_world(Setup::peaceful(3, workload::collections()))
    }

    /// The same with another number of nodes.
    pub fn with_nodes(mut self, nodes: usize) -> Self {
        self.setup.nodes = nodes;
        self
    }

    /// The same with another number of operations.
    pub fn with_steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }

    /// The same with a mistake in every engine.
    pub fn with_bug(mut self, bug: PlantedBug) -> Self {
        self.setup.plant = Some(bug);
        self
    }

    fn in_world(setup: Setup) -> Self {
        Self {
            setup,
            steps: 150,
            pause: Duration::from_millis(1)..=Duration::from_millis(80),
            settle_within: Duration::from_secs(60),
            verbose: false,
        }
    }
}

/// What a run without violation was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stands for everything that happened: equal digests, equal runs.
    pub digest: u128,
    /// How many things happened.
    pub events: u64,
    /// The faults that struck.
    pub faults: FaultCounts,
    /// Commands that were acknowledged.
    pub acknowledged: u64,
    /// Commands that were refused.
    pub refused: u64,
    /// Commands whose outcome the client never learned.
    pub unknown: u64,
    /// Reads that were answered with a value.
    pub reads: u64,
    /// Merkle sessions that came to their end, counted on both sides.
    pub sessions: u64,
    /// Merkle sessions that were given up, counted on both sides.
    pub aborted_sessions: u64,
    /// How long the nodes took to agree once there was peace.
    pub settled_after: Duration,
    /// The trace, if it was recorded.
    pub trace: Vec<String>,
}

/// Runs the plan with a seed. The same seed and plan give the same run, byte for byte.
///
/// Fails at the first violation, a panic included.
pub fn simulate(seed: u64, plan: &Plan) -> Result<Report, Failure> {
    let mut simulation = Simulation::new(seed, plan);
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let message = text.unwrap_or("without a message").to_owned();
        Err(Violation::Panicked { message })
    });
    match outcome {
        Ok(()) => Ok(simulation.report()),
        Err(violation) => Err(Failure {
            seed,
            at: simulation.world.time(),
            violation,
            trace: simulation.world.trace().lines().to_vec(),
        }),
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
enum Due {
    /// The command writes to these documents, in this order.
    Write { documents: Vec<ItemKey> },
    /// The read must show what these commands did.
    Read { item: ItemKey, shows: BTreeSet<RequestId> },
}

/// What a node held before a command.
#[derive(PartialEq)]
struct Before {
    status: Status,
    cells: BTreeMap<ItemKey, Option<Cell>>,
}

impl Before {
    fn of(engine: &Engine, writes: &[Write]) -> Self {
        let items = observe::by_item(writes).into_keys();
        let cells = items.map(|item| (item.clone(), engine.peek(&item).cloned())).collect();
        Self { status: engine.status(), cells }
    }
}

struct Simulation<'p> {
    plan: &'p Plan,
    world: World,
    workload: Workload,
    dice: Dice,
    model: Model,
    due: BTreeMap<(usize, RequestId), Due>,
    report: Report,
}

impl<'p> Simulation<'p> {
    fn new(seed: u64, plan: &'p Plan) -> Self {
        // The clients' choices are their own: another world for the same clients is another setup, not another seed.
        let mut dice = Dice::new(!seed);
        let trace = if plan.verbose { Trace::recording() } else { Trace::new() };
        Self {
            plan,
            world: World::traced(seed, plan.setup.clone(), trace),
            workload: Workload::new(plan.setup.collections.clone(), dice.fork()),
            dice,
            model: Model::default(),
            due: BTreeMap::new(),
            report: Report::default(),
        }
    }

    fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..self.plan.steps {
            let pause = self.dice.span(&self.plan.pause);
            self.pass(pause)?;
            match self.workload.next(&self.world) {
                Operation::Read { node, item } => self.read(node, item)?,
                Operation::Write { node, writes } => self.write(node, &writes)?,
            }
        }
        self.settle()?;
        self.reckon()
    }

    fn report(mut self) -> Report {
        self.report.digest = self.world.trace().digest();
        self.report.events = self.world.trace().events();
        self.report.faults = self.world.faults();
        self.report.unknown = self.model.commands().filter(|c| c.fate != Fate::Acknowledged).count() as u64;
        self.report.trace = self.world.trace().lines().to_vec();
        self.report
    }

    /// Lets time pass and notices what happens.
    fn pass(&mut self, span: Duration) -> Result<(), Violation> {
        let until = self.world.time() + span;
        while self.world.next_at().is_some_and(|at| at <= until) {
            self.world.step()?;
            self.notice()?;
        }
        self.world.run_for(until.since(self.world.time()))
    }

    fn read(&mut self, node: usize, item: ItemKey) -> Result<(), Violation> {
        let Some(engine) = self.world.engine(node) else {
            return Ok(());
        };
        checks::honest(&self.model, node, engine, &item)?;
        let facts = self.model.facts_of(&item);
        let own = facts.filter(|(command, _)| command.is_at(node) && command.is_promised());
        let shows = own.map(|(command, _)| command.request).collect();
        if let Some(id) = self.world.read(node, item.clone(), PATIENCE)? {
            self.due.insert((node, id), Due::Read { item, shows });
        }
        self.notice()
    }

    /// A client writes, and the model learns what that did in memory.
    fn write(&mut self, node: usize, writes: &[Write]) -> Result<(), Violation> {
        let Some(engine) = self.world.engine(node) else {
            return Ok(());
        };
        let before = Before::of(engine, writes);
        before.cells.keys().try_for_each(|item| checks::honest(&self.model, node, engine, item))?;
        let Some(request) = self.world.request(node, Request::Write(writes.to_vec()))? else {
            return Ok(());
        };
        let documents = observe::documents(writes, &self.plan.setup.collections);
        self.due.insert((node, request), Due::Write { documents });
        // If the node went down over this command, nothing of it reached the disk.
        if let Some(engine) = self.world.engine(node) {
            if !self.was_refused(request) {
                let command = self.command(node, request, writes, &before, engine)?;
                self.model.add(command);
            } else if Before::of(engine, writes) != before {
                return Err(Violation::RefusalWithEffect { node, request });
            }
        }
        self.notice()
    }

    /// What a command did, which must be what it says.
    fn command(
        &self,
        node: usize,
        request: RequestId,
        writes: &[Write],
        before: &Before,
        engine: &Engine,
    ) -> Result<Command, Violation> {
        let wrong = |detail| Violation::WrongEffect { node, request, detail };
        let mut command = Command::between(node, request, &before.status, &engine.status());
        for (item, writes) in observe::by_item(writes) {
            let was = before.cells.get(&item).and_then(Option::as_ref);
            let fact = observe::fact(&writes, was, engine.peek(&item)).map_err(wrong)?;
            command.facts.extend(fact.map(|fact| (item, fact)));
        }
        if let (Some(first), Some(last)) = (command.first_stamp(), self.model.last_stamp(command.origin))
            && first <= last
        {
            return Err(wrong(format!("its stamp {first:?} is not later than {last:?}, given out before")));
        }
        Ok(command)
    }

    fn was_refused(&self, request: RequestId) -> bool {
        let refusal = |notice: &Notice| match notice {
            Notice::Replied { id, reply, .. } => {
                *id == request && matches!(reply, Reply::Refused(_) | Reply::Overloaded)
            }
            _ => false,
        };
        self.world.notices().any(refusal)
    }

    /// Answers, restarts and what else happened since the last time.
    fn notice(&mut self) -> Result<(), Violation> {
        while let Some(notice) = self.world.poll_notice() {
            match notice {
                Notice::Replied { node, id, reply } => self.replied(node, id, reply)?,
                Notice::Said { event, .. } => match event {
                    Event::SessionFinished { .. } => self.report.sessions += 1,
                    Event::SessionAborted { .. } => self.report.aborted_sessions += 1,
                    _ => {}
                },
                Notice::Down { node } => self.due.retain(|(asked, _), _| *asked != node),
                Notice::Up { node } => {
                    if let Some(engine) = self.world.engine(node) {
                        checks::recovered(&mut self.model, node, engine)?;
                    }
                }
                Notice::Rotted { node, lost } | Notice::Restored { node, lost } => {
                    self.model.lose_disk(node, &lost);
                }
            }
        }
        Ok(())
    }

    fn replied(&mut self, node: usize, request: RequestId, reply: Reply) -> Result<(), Violation> {
        let not_due = Violation::AnswerNotDue { node, request };
        match (self.due.remove(&(node, request)), reply) {
            (Some(Due::Write { documents }), Reply::Written(written)) => {
                self.report.acknowledged += 1;
                let detail = "it was acknowledged before it was written".into();
                let lost = Violation::LostWrite { node, request, detail };
                let command = self.model.by_request(request).ok_or(lost)?;
                command.fate = Fate::Acknowledged;
                command.named = documents.into_iter().zip(written.versions).collect();
                Ok(())
            }
            (Some(Due::Write { .. }), Reply::Refused(_) | Reply::Overloaded) => {
                self.report.refused += 1;
                Ok(())
            }
            (Some(Due::Read { item, shows }), Reply::Value(cell)) => {
                self.report.reads += 1;
                self.model.show(node, &item, request);
                self.check_read(node, request, &item, &shows, cell.as_ref())
            }
            (Some(Due::Read { .. }), Reply::NotYetVisible { .. } | Reply::Overloaded)
            | (Some(Due::Write { .. }), Reply::Unknown { .. }) => Ok(()),
            _ => Err(not_due),
        }
    }

    fn check_read(
        &mut self,
        node: usize,
        request: RequestId,
        item: &ItemKey,
        shows: &BTreeSet<RequestId>,
        cell: Option<&Cell>,
    ) -> Result<(), Violation> {
        let facts = self.model.facts_of(item);
        for (command, fact) in facts.filter(|(command, _)| shows.contains(&command.request)) {
            checks::shows(&self.model, command, item, fact, cell).map_err(|detail| Violation::StaleRead {
                node,
                request,
                detail,
            })?;
        }
        Ok(())
    }

    /// Peace: all nodes come up, agree, fall silent, and have answered everything they were asked.
    fn settle(&mut self) -> Result<(), Violation> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        self.world.make_peace();
        // What was struck before may still have to be noticed, and what was held up to arrive.
        let aftermath = self.plan.setup.hostility.as_ref().map(|hostility| *hostility.lasting.end());
        self.pass(aftermath.unwrap_or_default())?;
        let peace = self.world.time();
        while let Some(detail) = self.disagreement() {
            let waited = self.world.time().since(peace);
            if waited > self.plan.settle_within {
                let waited_millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Err(Violation::NoConvergence { waited_millis, detail });
            }
            self.pass(LOOK_EVERY)?;
        }
        self.report.settled_after = self.world.time().since(peace);
        self.pass(self.plan.setup.timing.session_timeout)?;
        self.fall_silent()?;
        match self.due.keys().next() {
            Some(&(node, request)) => Err(Violation::NeverAnswered { node, request }),
            None => Ok(()),
        }
    }

    /// When everything has settled, nodes only tell each other now and then that they are alive.
    fn fall_silent(&mut self) -> Result<(), Violation> {
        const SIGNS_OF_LIFE: u32 = 5;
        let before = self.world.frames().clone();
        self.pass(self.plan.setup.timing.keep_alive * SIGNS_OF_LIFE)?;
        // A sign of life and the answer to one, per partition.
        let limit = u64::from(2 * (SIGNS_OF_LIFE + 1)) * u64::from(self.plan.setup.partitions);
        for (&(from, to), &sent) in self.world.frames() {
            let frames = sent - before.get(&(from, to)).copied().unwrap_or_default();
            if frames > limit {
                return Err(Violation::Restless { from, to, frames, limit });
            }
        }
        Ok(())
    }

    /// Why the nodes cannot be said to agree yet.
    fn disagreement(&self) -> Option<String> {
        let mut first: Option<Status> = None;
        for node in 0..self.world.nodes() {
            let Some(engine) = self.world.engine(node) else {
                return Some(format!("node {node} is down"));
            };
            let status = engine.status();
            let first = first.get_or_insert_with(|| status.clone());
            if status.sessions > 0 {
                return Some(format!("node {node} is in a session"));
            }
            let peers = self.plan.setup.shape.peers_of(node, self.world.nodes());
            if status.peers.len() < peers {
                return Some(format!("node {node} sees only {:?}", status.peers));
            }
            if status.partitions != first.partitions {
                return checks::disagreement(first, &status);
            }
        }
        None
    }

    /// The nodes agree to the byte, on what the writes come to, and nothing acknowledged is missing.
    fn reckon(&mut self) -> Result<(), Violation> {
        let engines: Vec<_> = (0..self.world.nodes()).filter_map(|node| self.world.engine(node)).collect();
        let collections = &self.plan.setup.collections;
        let Some((first, others)) = engines.split_first() else {
            return Ok(());
        };
        for other in others {
            if let Some(detail) = checks::difference(first, other, collections) {
                return Err(Violation::NoConvergence { waited_millis: 0, detail });
            }
        }
        self.model.settle(&first.status()).map_err(|(node, request)| {
            let detail = "its entries are not among those all nodes know".into();
            Violation::LostWrite { node, request, detail }
        })?;
        checks::nothing_lost(&self.model, first, |_| true)?;
        checks::outcome(&self.model, first, collections)
    }
}
