//! One run: random clients in a hostile world, then peace, then the reckoning.

mod clocks;
mod ends;
mod reckoning;
mod retiring;
mod sessions;
mod unhealed;

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;
use crdt_core::Dot;
use crdt_sync::{Cell, Engine, Event, ItemKey, NodeId, Reply, RequestId, Status, Write};

use crate::checks;
use crate::clients::{Client, Clients, Sight};
use crate::course::{Course, Run, run_to_the_end};
use crate::coverage::Coverage;
use crate::cuts::Cuts;
use crate::dice::Dice;
use crate::faults::FaultCounts;
use crate::leaderless;
use crate::model::{Command, Fate, Model};
use crate::observe;
use crate::plan::Plan;
use crate::seen::Registers;
use crate::shown::Shown;
use crate::single_leader;
use crate::topology::Topology;
use crate::violation::{Failure, Violation};
use crate::workload::{Operation, Workload};
use crate::world::{Notice, refuses};
use retiring::Retirements;
pub(crate) use sessions::WANDERERS;
use sessions::Wanderer;
use unhealed::Unhealed;

/// How long a read waits for its disk.
const PATIENCE: Duration = Duration::from_millis(30);

/// What a run without violation was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stands for everything that happened: equal digests, equal runs.
    pub digest: u128,
    /// How many things happened.
    pub events: u64,
    /// The faults that struck.
    pub faults: FaultCounts,
    /// In which phases of the protocol they struck.
    pub coverage: Coverage,
    /// How often the adversary struck.
    pub strikes: u32,
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
    /// Members that were retired.
    pub retired: u64,
    /// Devices of retired members that came back as new nodes.
    pub rejoined: u64,
    /// Writes of retired members that were made again by those.
    pub replayed: u64,
    /// Reads that were answered to clients that go from node to node, as what their sessions depend on was there.
    pub session_reads: u64,
    /// Those that were not, as it was not there in time.
    pub behind: u64,
    /// Deleted documents that nodes forgot, counted at each.
    pub forgotten: u64,
    /// Quorum reads that had to show what was acknowledged before, or shown before.
    pub promised_reads: u64,
    /// Hints that were delivered.
    pub hints_delivered: u64,
    /// Partitions that a node was filled with whose store had begun with nothing.
    pub filled: u64,
    /// Changes of the ring that came to their end.
    pub ring_changes: u64,
    /// Changes of the ring that were given up, because a new owner died.
    pub ring_changes_given_up: u64,
    /// Commits that only the leader's disk vouched for.
    pub degraded: u64,
    /// Writes of which the leader said in time that they are not with those who were to have them.
    pub not_replicated: u64,
    /// How often an operator had another node lead.
    pub new_leaders: u64,
    /// How often a log was cut because its leader's is another one.
    pub cuts: u64,
    /// How often that took what readers had seen.
    pub losses: u64,
    /// Snapshots that took the place of a log.
    pub installed: u64,
    /// How often a node asked to lead, where nodes take over by themselves.
    pub elections: u64,
    /// How often one then led because the leader was not heard.
    pub failovers: u64,
    /// How often one led because the leader made way for it.
    pub handovers: u64,
    /// How often a leader stopped because its lease was about to end.
    pub leases_ended: u64,
    /// Answers that came so late that a host could not give them any more.
    pub withheld: u64,
    /// How often a node had not heard the leader for too long.
    pub suspicions: u64,
    /// How often the coordinator lost its store.
    pub stores_lost: u64,
    /// How long the nodes took to agree once there was peace.
    pub settled_after: Duration,
    /// The trace, if it was recorded.
    pub trace: Vec<String>,
}

/// Runs the plan with a seed. The same seed and plan give the same run, byte for byte.
///
/// Fails at the first violation, a panic included.
pub fn simulate(seed: u64, plan: &Plan) -> Result<Report, Box<Failure>> {
    run(seed, plan, &Cuts::default())
}

/// The same without what is cut out.
pub(crate) fn run(seed: u64, plan: &Plan, cuts: &Cuts) -> Result<Report, Box<Failure>> {
    match plan.setup.topology {
        Topology::MultiLeader => run_to_the_end(seed, Simulation::new(seed, plan, cuts)),
        Topology::Leaderless => run_to_the_end(seed, leaderless::Simulation::new(seed, plan, cuts)),
        Topology::SingleLeader => run_to_the_end(seed, single_leader::Simulation::new(seed, plan, cuts)),
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
enum Due {
    /// The command writes to these documents, in this order.
    Write { documents: Vec<ItemKey> },
    /// The read must show what these commands did, and what the client was shown before.
    Read { item: ItemKey, begun: u64, promised: Promised },
    /// The node of this name is to be retired.
    Retirement { of: NodeId },
}

/// What a read must show.
#[derive(Clone, Debug)]
struct Promised {
    reader: Client,
    /// What these commands did, as far as they are promised to anybody,
    shows: BTreeSet<RequestId>,
    /// and what the client was shown before,
    sight: Sight,
    /// but not what these did: the node has other entries where they have theirs.
    excepted: BTreeSet<RequestId>,
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
    course: Course<'p>,
    workload: Workload,
    model: Model,
    clients: Clients,
    registers: Registers,
    due: BTreeMap<(usize, RequestId), Due>,
    retirements: Retirements,
    unhealed: Unhealed,
    wanderers: Vec<Wanderer>,
}

impl<'p> Run<'p> for Simulation<'p> {
    fn course(&self) -> &Course<'p> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<'p> {
        &mut self.course
    }

    fn begin(&mut self, number: u32, dice: &mut Dice) -> Result<(), Violation> {
        match self.workload.operation(number, dice, &self.course.world) {
            Operation::Read { node, item } => self.read(node, item)?,
            Operation::Write { node, .. } if self.course.world.is_rejoining(node) => {}
            Operation::Write { node, writes } => drop(self.write(node, &writes, None)?),
            Operation::Wander { client, node, errand } => self.wander(client, node, errand)?,
            Operation::Retire { node, comes_back } => self.begin_retirement(node, comes_back),
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), Violation> {
        self.tend_forks();
        self.tend_retirements()
    }

    /// Answers, restarts and what else happened since the last time.
    fn notice(&mut self) -> Result<(), Violation> {
        self.model.mix(self.course.world.unseen_forks(), self.course.world.lineage());
        while let Some(notice) = self.course.world.poll_notice() {
            match notice {
                Notice::Replied { node, id, reply } => self.replied(node, id, reply)?,
                Notice::Said { node, event } => match event {
                    Event::SessionFinished { .. } => self.course.report.sessions += 1,
                    Event::SessionAborted { .. } => self.course.report.aborted_sessions += 1,
                    Event::MemberRetired { .. } => self.heard(node),
                    Event::DeletionsCollected { documents, .. } => {
                        self.course.report.forgotten += documents as u64;
                    }
                    Event::ForkNotHealed { origin, partition, .. } => self.unhealed.add(partition, origin),
                    _ => {}
                },
                Notice::Down { node } => self.due.retain(|(asked, _), _| *asked != node),
                Notice::Up { node, held } => {
                    // What it came up with decides, also when it is down again: its disk may be lost before it is
                    // up the next time, and what never came up with this one is not what the disk took along.
                    checks::recovered(&mut self.model, node, &held, self.course.world.lineage())?;
                    self.heard(node);
                    if let Some(engine) = self.course.world.engine(node) {
                        if self.course.world.is_behind_itself(node) {
                            self.model.note_relapses(engine);
                        }
                        checks::shows_all(&self.model, node, engine, self.course.world.lineage())?;
                    }
                }
                Notice::Mended { .. } => {}
                Notice::Rotted { node, lost } | Notice::Restored { node, lost } => {
                    self.model.lose_disk(node, &lost, self.course.world.lineage());
                    self.clients.forget(node);
                    self.registers.lose_disk(node)?;
                    self.retirements.lose_disk(node);
                }
            }
        }
        Ok(())
    }

    fn disagreement(&self) -> Option<String> {
        self.find_disagreement()
    }

    fn rest(&mut self) -> Result<(), Violation> {
        self.fall_silent()
    }

    fn unanswered(&self) -> Option<(usize, RequestId)> {
        self.due.keys().next().copied()
    }

    fn reckon(&mut self) -> Result<(), Violation> {
        self.compare_all()
    }

    fn conclude(mut self) -> Course<'p> {
        let unknown = self.model.commands().filter(|c| c.fate != Fate::Acknowledged && !c.beyond);
        self.course.report.unknown = unknown.count() as u64;
        self.course
    }
}

impl<'p> Simulation<'p> {
    fn new(seed: u64, plan: &'p Plan, cuts: &'p Cuts) -> Self {
        Self {
            course: Course::new(seed, plan, cuts),
            workload: Workload::new(plan),
            model: Model::new(
                plan.setup.forgets_deletions,
                (0..plan.setup.nodes).filter(|node| plan.setup.is_partial(*node)).collect(),
            ),
            clients: Clients::default(),
            // A clone is one more node.
            registers: Registers::new(plan.setup.nodes + 1),
            due: BTreeMap::new(),
            retirements: Retirements::default(),
            unhealed: Unhealed::default(),
            wanderers: vec![Wanderer::default(); WANDERERS],
        }
    }

    fn read(&mut self, node: usize, item: ItemKey) -> Result<(), Violation> {
        let Some(engine) = self.course.world.engine(node) else {
            return Ok(());
        };
        checks::honest(&self.model, node, engine, self.course.world.lineage(), [&item])?;
        let facts = self.model.facts_of(&item);
        let own = facts.filter(|(command, _)| command.is_at(node) && command.is_promised());
        let shows = own.map(|(command, _)| command.request).collect();
        let sight = self.clients.sight(node, &item);
        let begun = self.registers.tick();
        if let Some(id) = self.course.world.read(node, item.clone(), PATIENCE)? {
            let promised = Promised { reader: node, shows, sight, excepted: BTreeSet::new() };
            self.due.insert((node, id), Due::Read { item, begun, promised });
        }
        self.notice()
    }

    /// A client writes, and the model learns what that did in memory; returns the request if there is a command now.
    fn write(
        &mut self,
        node: usize,
        writes: &[Write],
        client: Option<usize>,
    ) -> Result<Option<RequestId>, Violation> {
        let Some(engine) = self.course.world.engine(node) else {
            return Ok(None);
        };
        let before = Before::of(engine, writes);
        checks::honest(&self.model, node, engine, self.course.world.lineage(), before.cells.keys())?;
        let command = self.command_for(client, writes);
        let Some(request) = self.course.world.request(node, command)? else {
            return Ok(None);
        };
        self.awaits(client, node, request);
        let mut made = None;
        let documents = observe::documents(writes, &self.course.plan.setup.collections);
        self.due.insert((node, request), Due::Write { documents });
        // If the node went down over this command, nothing of it reached the disk.
        if let Some(engine) = self.course.world.engine(node) {
            if !self.was_refused(request) {
                let command = self.command(node, request, writes, &before, engine)?;
                before.cells.keys().for_each(|item| self.model.note_deletions(engine.peek(item)));
                self.registers.written(&command, writes);
                self.model.add(command, self.course.world.lineage());
                made = Some(request);
            } else if Before::of(engine, writes) != before {
                return Err(Violation::RefusalWithEffect { node, request });
            }
        } else if self.course.world.grown().is_empty() && !self.was_refused(request) {
            // What changes nothing waits for no disk: it may have been answered before the process ended.
            let command = Command::new(node, request, before.status.replica, Vec::new());
            self.model.add(command, self.course.world.lineage());
        }
        self.notice()?;
        Ok(made)
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
        let entries = self.course.world.grown().to_vec();
        let origin = before.status.replica;
        let minted = |item: &ItemKey| -> BTreeSet<Dot> {
            let (partition, lineage) = (usize::from(engine.partition_of(item)), self.course.world.lineage());
            let own =
                self.course.world.grown().iter().filter(|place| lineage.partition_of(**place) == partition);
            own.filter_map(|place| Dot::new(origin, place.sequence)).collect()
        };
        let mut command = Command::new(node, request, origin, entries);
        for (item, writes) in observe::by_item(writes) {
            let was = before.cells.get(&item).and_then(Option::as_ref);
            let (is, lineage) = (engine.peek(&item), self.course.world.lineage());
            let fact = observe::fact(&writes, was, is, &minted(&item), lineage).map_err(wrong)?;
            command.facts.extend(fact.map(|fact| (item, fact)));
        }
        if let (Some(first), Some(last)) = (command.first_stamp(), self.model.last_stamp(command.origin))
            && first <= last
            && !self.course.world.has_forks()
        {
            return Err(wrong(format!("its stamp {first:?} is not later than {last:?}, given out before")));
        }
        Ok(command)
    }

    fn was_refused(&self, request: RequestId) -> bool {
        let is_refusal = |notice: &Notice| match notice {
            Notice::Replied { id, reply, .. } => *id == request && refuses(reply),
            _ => false,
        };
        self.course.world.notices().any(is_refusal)
    }

    fn replied(&mut self, node: usize, request: RequestId, reply: Reply) -> Result<(), Violation> {
        let not_due = Violation::AnswerNotDue { node, request };
        let reply = self.take_token(node, request, reply)?;
        match (self.due.remove(&(node, request)), reply) {
            (Some(Due::Write { documents }), Reply::Written(written)) => {
                self.course.report.acknowledged += 1;
                self.registers.acknowledged(request);
                if self.model.acknowledge(request, documents.into_iter().zip(written.versions)) {
                    return Ok(());
                }
                let detail = "it was acknowledged before it was written".into();
                Err(Violation::LostWrite { node, request, detail })
            }
            (Some(Due::Write { .. }), reply @ (Reply::Refused(_) | Reply::Overloaded)) => {
                self.course.report.refused += 1;
                if let Reply::Refused(error) = reply {
                    self.retirements.note_refusal(error);
                }
                Ok(())
            }
            (Some(Due::Read { item, begun, mut promised }), Reply::Value(cell)) => {
                self.course.report.reads += 1;
                self.model.show(node, &item, request);
                self.registers.read(node, &item, begun, cell.as_ref());
                promised.excepted.extend(self.excepted(promised.reader, node, &item));
                if !promised.excepted.is_empty() {
                    self.clients.forget_key(promised.reader, &item);
                }
                self.clients.see(promised.reader, &item, cell.as_ref(), self.course.world.lineage());
                self.check_read(node, request, &item, &promised, cell.as_ref())
            }
            (Some(Due::Read { item, .. }), Reply::OutOfScope)
                if !self.course.world.scope_of(node).contains(item.collection, &item.key) =>
            {
                Ok(())
            }
            (Some(Due::Retirement { of }), reply) => self.retirement_answered(of, node, request, &reply),
            (
                Some(Due::Read { .. }),
                Reply::NotYetVisible { .. } | Reply::Overloaded | Reply::Behind { .. } | Reply::Ended,
            )
            | (Some(Due::Write { .. }), Reply::Unknown { .. }) => Ok(()),
            _ => Err(not_due),
        }
    }

    fn check_read(
        &self,
        node: usize,
        request: RequestId,
        item: &ItemKey,
        promised: &Promised,
        cell: Option<&Cell>,
    ) -> Result<(), Violation> {
        let lineage = self.course.world.lineage();
        let Promised { shows, sight, excepted, .. } = promised;
        let is_due = |command: &Command| {
            shows.contains(&command.request) && !excepted.contains(&command.request) && command.is_promised()
        };
        let state = Shown::of(&self.model, item, cell, lineage);
        let broken = |(_, detail): (&Command, String)| Violation::StaleRead { node, request, detail };
        state.check(is_due).map_err(broken)?;
        if !excepted.is_empty() {
            return Ok(());
        }
        let forgotten = |detail| Violation::ForgottenSight { node, request, detail };
        sight.is_kept(&self.model, item, cell, lineage).map_err(forgotten)
    }
}
