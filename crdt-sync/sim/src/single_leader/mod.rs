//! A run in a world with one leader: clients write where they may, read everywhere and go from node to node; then
//! peace, then the reckoning.

mod model;
mod modes;
mod reckoning;
mod rules;
mod sessions;
mod takeovers;
mod workload;

use std::collections::BTreeMap;

use crdt_sync::single_leader::{CommitReply, LeadReply};
use crdt_sync::{ItemKey, Reply, Request, RequestId, Write, WriteError};
use replication_log::ship::commit::Fate as Told;
use replication_log::{Epoch, Lsn};

use crate::course::{Course, Run};
use crate::cuts::Cuts;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::violation::Violation;
use crate::world::{LogPlace, Notice};
use model::{Fate, Model, Value};
pub use modes::{Modes, UnknownMode};
pub use rules::{Coordination, ElectedBy, TakeoverRules};
pub(crate) use rules::{DRIFT_PPM, leads_within};
use sessions::Wanderer;
use workload::{Draft, Operation, WANDERERS};

/// A request that waits for its answer.
#[derive(Clone, Debug)]
enum Due {
    Write {
        client: Option<usize>,
        /// Under which epoch the node led that was asked.
        leads: Option<Epoch>,
        /// The records that it became.
        written: Option<(Lsn, Lsn)>,
        /// Whether it has to be refused, and whether it changes anything.
        refused: bool,
        changes: bool,
    },
    /// The read shows this.
    Read {
        item: ItemKey,
        at: LogPlace,
        value: Value,
    },
    SessionRead {
        client: usize,
        item: ItemKey,
    },
    Fate(GivenUp),
    /// The node is to lead.
    Lead,
    /// An operator wants something of a node that may take over by itself.
    Operated,
}

/// A write for which the leader waited in vain.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    epoch: Epoch,
    lsn: Lsn,
}

pub(crate) struct Simulation<'p> {
    course: Course<'p>,
    model: Model,
    due: BTreeMap<(usize, RequestId), Due>,
    wanderers: Vec<Wanderer>,
    given_up: Vec<GivenUp>,
    /// The last record of which a client was told that it is committed, for each epoch.
    acknowledged: BTreeMap<Epoch, Lsn>,
}

impl<'p> Run<'p> for Simulation<'p> {
    fn course(&self) -> &Course<'p> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<'p> {
        &mut self.course
    }

    fn begin(&mut self, number: u32, dice: &mut Dice) -> Result<(), Violation> {
        let changes = self.course.plan.new_leaders;
        if changes > 0 && dice.chance(changes) && self.change_leaders(dice)? {
            return self.notice();
        }
        let (keys, nodes, world) = (self.course.plan.keys, self.course.world.nodes(), &self.course.world);
        let mut leaders: Vec<usize> = world.leading().collect();
        if leaders.is_empty() {
            leaders.push(world.histories().newest().map_or(0, |(_, node)| node));
        }
        let end = world.end_of(leaders[0]);
        let head = |item: &ItemKey| self.model.at(item, end, world.histories());
        let operation = Draft { dice, number, keys, nodes, leaders: &leaders, head: &head }.operation();
        match operation {
            Operation::Write { node, writes, patience, client } => {
                let deadline = patience.zip(self.course.world.now(node));
                let deadline = deadline.map(|(patience, now)| now.instant + patience);
                let request = match deadline {
                    Some(deadline) => Request::Commit { writes: writes.clone(), deadline },
                    None => Request::Write(writes.clone()),
                };
                self.write(node, client, &writes, request)?;
            }
            Operation::Read { node, item, client, patience } => {
                let Some(now) = self.course.world.now(node) else { return Ok(()) };
                let request = Request::Read { item: item.clone(), deadline: now.instant + patience };
                match client {
                    Some(client) => self.session_read(node, client, item, request)?,
                    None => self.read(node, item, request)?,
                }
            }
            Operation::Fate { which } if !self.given_up.is_empty() => {
                let which = self.given_up[which % self.given_up.len()];
                self.ask_fate(which)?;
            }
            Operation::Fate { .. } => {}
        }
        self.notice()
    }

    /// Answers, restarts and what else happened since the last time.
    fn notice(&mut self) -> Result<(), Violation> {
        for epoch in self.course.world.take_renewed() {
            self.model.forget(epoch);
        }
        while let Some(notice) = self.course.world.poll_notice() {
            match notice {
                Notice::Replied { node, id, reply } => self.replied(node, id, reply)?,
                Notice::Down { node } => {
                    let unknown = |due: &Due| matches!(due, Due::Write { written: Some(_), .. });
                    let gone = self.due.iter().filter(|((asked, _), due)| *asked == node && unknown(due));
                    self.course.report.unknown += gone.count() as u64;
                    self.due.retain(|(asked, _), _| *asked != node);
                    let waits = |wanderer: &&mut Wanderer| wanderer.waits.is_some_and(|(at, _)| at == node);
                    self.wanderers.iter_mut().filter(waits).for_each(|wanderer| wanderer.waits = None);
                }
                Notice::Up { node, .. } => {
                    let end = self.course.world.end_of(node);
                    if let Some(request) = self.model.torn_at(end) {
                        return Err(Violation::TornCommand { node, request });
                    }
                    self.check_node(node)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), Violation> {
        self.check_led_in_time()?;
        if let Some(asked) = self.course.world.tend_succession()? {
            self.due.insert(asked, Due::Lead);
        }
        self.notice()
    }

    fn disagreement(&self) -> Option<String> {
        self.find_disagreement()
    }

    fn rest(&mut self) -> Result<(), Violation> {
        self.be_regular()
    }

    fn unanswered(&self) -> Option<(usize, RequestId)> {
        self.due.keys().next().copied()
    }

    fn reckon(&mut self) -> Result<(), Violation> {
        self.check_all()
    }

    fn conclude(mut self) -> Course<'p> {
        let [new_leaders, cuts, losses, installed] = self.course.world.succession_counts();
        let report = &mut self.course.report;
        (report.new_leaders, report.cuts, report.losses, report.installed) =
            (new_leaders, cuts, losses, installed);
        let [elections, failovers, handovers, leases_ended, withheld, stores_lost, suspicions] =
            self.course.world.takeover_counts();
        (report.elections, report.failovers, report.handovers) = (elections, failovers, handovers);
        (report.leases_ended, report.withheld, report.stores_lost) = (leases_ended, withheld, stores_lost);
        report.suspicions = suspicions;
        self.course
    }
}

impl<'p> Simulation<'p> {
    pub(crate) fn new(seed: u64, plan: &'p Plan, cuts: &'p Cuts) -> Self {
        Self {
            course: Course::new(seed, plan, cuts),
            model: Model::new(&plan.setup.collections),
            due: BTreeMap::new(),
            wanderers: vec![Wanderer::default(); WANDERERS],
            given_up: Vec::new(),
            acknowledged: BTreeMap::new(),
        }
    }

    fn write(
        &mut self,
        node: usize,
        client: Option<usize>,
        writes: &[Write],
        request: Request,
    ) -> Result<(), Violation> {
        let Some(request) = self.within_session(client, request) else { return Ok(()) };
        let Some(id) = self.course.world.request(node, request)? else { return Ok(()) };
        let (asked, histories) = (self.course.world.asked(), self.course.world.histories());
        let (written, before) = (asked.written, asked.before);
        let outcome = self.model.outcome(writes, before, histories);
        let refused = outcome.is_none();
        let is_change = |(item, value): (&ItemKey, &Value)| self.model.at(item, before, histories) != *value;
        let changes = outcome.as_ref().is_some_and(|values| values.iter().any(is_change));
        if let Some(records) = written {
            match outcome {
                Some(values) => self.model.add(id, before, records, values, histories),
                _ => return Err(Violation::RefusalWithEffect { node, request: id }),
            }
        }
        let due = Due::Write { client, leads: asked.leads, written, refused, changes };
        self.await_reply(client, (node, id), due);
        Ok(())
    }

    /// A read is answered with what the node shows when it is asked.
    fn read(&mut self, node: usize, item: ItemKey, request: Request) -> Result<(), Violation> {
        let Some(id) = self.course.world.request(node, request)? else { return Ok(()) };
        let asked = self.course.world.asked();
        let at = asked.applied;
        let acknowledged = asked.leads.and_then(|epoch| self.acknowledged.get(&epoch));
        if let Some(acknowledged) = acknowledged.filter(|acknowledged| at.lsn < **acknowledged) {
            let detail = format!("it shows {at:?}, and {acknowledged} was acknowledged before");
            return Err(Violation::StaleRead { node, request: id, detail });
        }
        let value = self.model.at(&item, at, self.course.world.histories());
        self.due.insert((node, id), Due::Read { item, at, value });
        Ok(())
    }

    fn ask_fate(&mut self, which: GivenUp) -> Result<(), Violation> {
        let request = Request::Fate { epoch: which.epoch, lsn: which.lsn };
        let Some((_, leader)) = self.course.world.histories().newest() else { return Ok(()) };
        if let Some(id) = self.course.world.request(leader, request)? {
            self.due.insert((leader, id), Due::Fate(which));
        }
        Ok(())
    }

    fn await_reply(&mut self, client: Option<usize>, asked: (usize, RequestId), due: Due) {
        self.due.insert(asked, due);
        if let Some(client) = client {
            self.wanderers[client].waits = Some(asked);
        }
    }

    fn replied(&mut self, node: usize, request: RequestId, reply: Reply) -> Result<(), Violation> {
        let due = self.due.remove(&(node, request)).ok_or(Violation::AnswerNotDue { node, request })?;
        let (token, reply) = match reply {
            Reply::InSession { token, reply } => (Some(token), *reply),
            reply => (None, reply),
        };
        let client = match &due {
            Due::Write { client, .. } => *client,
            Due::SessionRead { client, .. } => Some(*client),
            _ => None,
        };
        if let Some(client) = client {
            self.wanderers[client].waits = None;
            if let Some(token) = &token {
                self.wanderers[client].token = token.to_vec();
            }
        }
        match due {
            Due::Read { item, at, value } => self.check_read((node, request), &reply, &item, at, &value),
            Due::Lead => self.told_to_lead((node, request), &reply),
            Due::Operated => takeovers::operated((node, request), &reply),
            Due::SessionRead { client, item } => {
                self.session_read_answered((node, request), client, &item, token.as_ref(), &reply)
            }
            Due::Fate(which) => self.fate_told((node, request), which, &reply),
            due @ Due::Write { .. } => self.write_answered((node, request), &due, &reply),
        }
    }

    fn write_answered(
        &mut self,
        (node, request): (usize, RequestId),
        due: &Due,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let &Due::Write { client, leads, written, refused, changes } = due else { return Ok(()) };
        let wrong = |detail: &str| {
            Err(Violation::WrongEffect { node, request, detail: format!("{detail}: {reply:?}") })
        };
        match reply {
            Reply::Commit(CommitReply::Committed { written: lsns, degraded, epoch })
                if leads == Some(*epoch) =>
            {
                match written {
                    Some((first, last)) if (first..=last).contains(&lsns.lsn) => {
                        let fate = Fate::Committed { degraded: *degraded };
                        self.end(LogPlace { epoch: *epoch, lsn: last }, fate);
                    }
                    None if !refused && !changes => {}
                    _ => return wrong("it became other records"),
                }
                self.course.report.acknowledged += 1;
                self.course.report.degraded += u64::from(*degraded);
                let acknowledged = self.acknowledged.entry(*epoch).or_default();
                *acknowledged = lsns.lsn.max(*acknowledged);
                self.depend(client, LogPlace { epoch: *epoch, lsn: lsns.lsn });
                Ok(())
            }
            Reply::Commit(CommitReply::NotReplicated { written: lsns, epoch, durable_local, .. })
                if leads == Some(*epoch) =>
            {
                self.course.report.not_replicated += 1;
                // What changed nothing rests on what made it unnecessary.
                self.depend(client, LogPlace { epoch: *epoch, lsn: lsns.lsn });
                let Some((_, last)) = written else { return Ok(()) };
                let fate = Fate::NotReplicated { durable: *durable_local };
                self.end(LogPlace { epoch: *epoch, lsn: last }, fate);
                self.given_up.push(GivenUp { epoch: *epoch, lsn: lsns.lsn });
                Ok(())
            }
            // It is told before the session writes anything else, and forgets what it asks for.
            Reply::Lost { .. } => {
                let Some(client) = client.filter(|client| leads.is_some() && self.is_lost(*client, node))
                else {
                    return wrong("nothing of the session is lost");
                };
                self.wanderers[client] = Wanderer::default();
                self.course.report.refused += 1;
                if written.is_some() {
                    return Err(Violation::RefusalWithEffect { node, request });
                }
                Ok(())
            }
            // What became of it is found out when the leader is back.
            Reply::Unknown { .. } if leads.is_some() => {
                self.course.report.unknown += 1;
                Ok(())
            }
            // A clock that was set back too far takes no writes.
            Reply::Refused(error)
                if leads.is_some() && !refused && !matches!(error, WriteError::Clock(_)) =>
            {
                wrong("it was not to be refused")
            }
            Reply::Commit(CommitReply::NotAdmitted(_) | CommitReply::TooMuchUncommitted { .. })
            | Reply::Refused(_)
                if leads.is_none() =>
            {
                wrong("who follows says who leads")
            }
            Reply::Commit(
                CommitReply::NotAdmitted(_)
                | CommitReply::TooMuchUncommitted { .. }
                | CommitReply::HandingOver { .. }
                | CommitReply::NotLeader { .. },
            )
            | Reply::Refused(_)
            | Reply::Overloaded
            | Reply::Ended => {
                self.course.report.refused += 1;
                if written.is_some() { Err(Violation::RefusalWithEffect { node, request }) } else { Ok(()) }
            }
            _ => wrong("that is no answer to a write"),
        }
    }

    fn end(&mut self, last: LogPlace, fate: Fate) {
        if let Some(command) = self.model.command_mut(last) {
            command.fate = fate;
        }
    }

    /// A node that was asked to lead does, under the epoch that it was given, or says why not.
    fn told_to_lead(&mut self, (node, request): (usize, RequestId), reply: &Reply) -> Result<(), Violation> {
        self.course.world.told_of_succession(request);
        let is_true = match reply {
            Reply::Lead(LeadReply::Leads { epoch, .. }) => {
                self.course.world.histories().leader_under(*epoch) == Some(node)
            }
            Reply::Lead(_) | Reply::Overloaded | Reply::Ended | Reply::Unknown { .. } => true,
            _ => false,
        };
        if is_true {
            Ok(())
        } else {
            Err(Violation::FalseAnswer { node, request, detail: format!("{reply:?}") })
        }
    }

    fn check_read(
        &mut self,
        (node, request): (usize, RequestId),
        reply: &Reply,
        item: &ItemKey,
        at: LogPlace,
        value: &Value,
    ) -> Result<(), Violation> {
        let cell = match reply {
            Reply::Value(cell) => cell.as_ref(),
            Reply::Overloaded | Reply::Ended | Reply::NotYetVisible { .. } => return Ok(()),
            other => {
                let detail = format!("that is no answer to a read: {other:?}");
                return Err(Violation::WrongEffect { node, request, detail });
            }
        };
        self.course.report.reads += 1;
        value.differs_from(cell).map_or(Ok(()), |difference| {
            let detail = format!("{item:?} at {at:?} is {difference}");
            Err(Violation::StaleRead { node, request, detail })
        })
    }

    fn fate_told(
        &self,
        (node, request): (usize, RequestId),
        which: GivenUp,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let (place, histories) =
            (LogPlace { epoch: which.epoch, lsn: which.lsn }, self.course.world.histories());
        let is_there = histories.leads_to(place, self.course.world.end_of(node));
        let is_true = match reply {
            Reply::Fate(Told::Acknowledged { .. } | Told::Committed) => {
                is_there && histories.is_committed(place)
            }
            Reply::Fate(Told::Pending) => is_there,
            Reply::Fate(Told::Cut) => !is_there,
            _ => true,
        };
        if is_true {
            return Ok(());
        }
        let detail = format!("{which:?} is {} in the log: {reply:?}", if is_there { "" } else { "not" });
        Err(Violation::FalseAnswer { node, request, detail })
    }
}
