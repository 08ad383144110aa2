//! A run in a world with one leader: clients write where they may, read everywhere and go from node to node; then
//! peace, then the reckoning.

mod model;
mod modes;
mod reckoning;
mod workload;

use std::collections::BTreeMap;

use crdt_sync::single_leader::CommitReply;
use crdt_sync::{Bytes, ItemKey, Reply, Request, RequestId, SessionToken, Write, WriteError};
use replication_log::ship::commit::Fate as Told;
use replication_log::{Epoch, Lsn};

use crate::course::{Course, Run};
use crate::cuts::Cuts;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::violation::Violation;
use crate::world::{CLUSTER, LEADER, Notice};
use model::{Fate, Model, Value};
pub use modes::{Modes, UnknownMode};
use workload::{Draft, Operation, WANDERERS};

/// A request that waits for its answer.
#[derive(Clone, Debug)]
enum Due {
    Write {
        client: Option<usize>,
        /// The records that it became.
        written: Option<(Lsn, Lsn)>,
        /// Whether it has to be refused, and whether it changes anything.
        refused: bool,
        changes: bool,
    },
    /// The read shows this.
    Read {
        item: ItemKey,
        at: Lsn,
        value: Value,
    },
    SessionRead {
        client: usize,
        item: ItemKey,
    },
    Fate(GivenUp),
}

/// A write for which the leader waited in vain.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    request: RequestId,
    epoch: Epoch,
    lsn: Lsn,
    last: Lsn,
}

/// A client that goes from node to node.
#[derive(Clone, Debug, Default)]
struct Wanderer {
    token: Vec<u8>,
    /// The last record that it wrote or was shown, and that is in the log.
    depends: Lsn,
    /// It wrote something that the leader lost before it was on its disk.
    orphaned: bool,
    waits: Option<(usize, RequestId)>,
}

pub(crate) struct Simulation<'p> {
    course: Course<'p>,
    model: Model,
    due: BTreeMap<(usize, RequestId), Due>,
    wanderers: Vec<Wanderer>,
    given_up: Vec<GivenUp>,
    /// The last record of which a client was told that it is committed, since the leader started.
    acknowledged: Lsn,
}

impl<'p> Run<'p> for Simulation<'p> {
    fn course(&self) -> &Course<'p> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<'p> {
        &mut self.course
    }

    fn begin(&mut self, number: u32, dice: &mut Dice) -> Result<(), Violation> {
        let (keys, nodes) = (self.course.plan.keys, self.course.world.nodes());
        let operation = Draft { dice, number, keys, nodes, model: &self.model }.operation();
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
                    if node == LEADER {
                        self.leader_is_back()?;
                    }
                    self.check_node(node)?;
                }
                _ => {}
            }
        }
        Ok(())
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

    fn conclude(self) -> Course<'p> {
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
            acknowledged: Lsn::ZERO,
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
        let written = self.course.world.asked().written;
        let outcome = self.model.outcome(writes);
        let refused = outcome.is_none();
        let changes = outcome.as_ref().is_some_and(|values| self.model.changes(values));
        if let Some(records) = written {
            match outcome {
                Some(values) if node == LEADER => self.model.add(id, records, values),
                _ => return Err(Violation::RefusalWithEffect { node, request: id }),
            }
        }
        self.await_reply(client, (node, id), Due::Write { client, written, refused, changes });
        Ok(())
    }

    /// A read is answered with what the node shows when it is asked.
    fn read(&mut self, node: usize, item: ItemKey, request: Request) -> Result<(), Violation> {
        let Some(id) = self.course.world.request(node, request)? else { return Ok(()) };
        let at = self.course.world.asked().applied;
        if node == LEADER && at < self.acknowledged {
            let detail = format!("it shows {at}, and {} was acknowledged before", self.acknowledged);
            return Err(Violation::StaleRead { node, request: id, detail });
        }
        let value = self.model.at(&item, at);
        self.due.insert((node, id), Due::Read { item, at, value });
        Ok(())
    }

    fn session_read(
        &mut self,
        node: usize,
        client: usize,
        item: ItemKey,
        request: Request,
    ) -> Result<(), Violation> {
        let Some(request) = self.within_session(Some(client), request) else { return Ok(()) };
        let Some(id) = self.course.world.request(node, request)? else { return Ok(()) };
        self.await_reply(Some(client), (node, id), Due::SessionRead { client, item });
        Ok(())
    }

    fn ask_fate(&mut self, which: GivenUp) -> Result<(), Violation> {
        let request = Request::Fate { epoch: which.epoch, lsn: which.lsn };
        if let Some(id) = self.course.world.request(LEADER, request)? {
            self.due.insert((LEADER, id), Due::Fate(which));
        }
        Ok(())
    }

    /// The request with the client's token; nothing while the client waits for something else.
    fn within_session(&self, client: Option<usize>, request: Request) -> Option<Request> {
        let Some(client) = client else { return Some(request) };
        let Wanderer { token, waits, .. } = &self.wanderers[client];
        let token = Bytes::from(token.clone());
        waits.is_none().then(|| Request::InSession { token, request: request.into() })
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
            Due::SessionRead { client, item } => {
                self.session_read_answered((node, request), client, &item, token.as_ref(), &reply)
            }
            Due::Fate(which) => self.fate_told((node, request), which, &reply),
            Due::Write { client, written, refused, changes } => {
                let wrong = |detail: &str| {
                    Err(Violation::WrongEffect { node, request, detail: format!("{detail}: {reply:?}") })
                };
                match &reply {
                    Reply::Commit(CommitReply::Committed { written: lsns, degraded, .. })
                        if node == LEADER =>
                    {
                        match written {
                            Some((first, last)) if (first..=last).contains(&lsns.lsn) => {
                                self.end(last, Fate::Committed);
                            }
                            None if !refused && !changes => {}
                            _ => return wrong("it became other records"),
                        }
                        self.course.report.acknowledged += 1;
                        self.course.report.degraded += u64::from(*degraded);
                        self.acknowledged = self.acknowledged.max(lsns.lsn);
                        self.depend(client, lsns.lsn);
                        Ok(())
                    }
                    Reply::Commit(CommitReply::NotReplicated {
                        written: lsns, epoch, durable_local, ..
                    }) if node == LEADER => {
                        self.course.report.not_replicated += 1;
                        // What changed nothing rests on what made it unnecessary.
                        self.depend(client, lsns.lsn);
                        let Some((_, last)) = written else { return Ok(()) };
                        self.end(last, Fate::NotReplicated { durable: *durable_local });
                        self.given_up.push(GivenUp { request, epoch: *epoch, lsn: lsns.lsn, last });
                        Ok(())
                    }
                    // It is told before the session writes anything else, and forgets what it asks for.
                    Reply::Lost { .. } => {
                        let wanderer = client.map(|client| &mut self.wanderers[client]);
                        let Some(wanderer) = wanderer.filter(|wanderer| node == LEADER && wanderer.orphaned)
                        else {
                            return wrong("nothing of the session is lost");
                        };
                        *wanderer = Wanderer::default();
                        self.course.report.refused += 1;
                        if written.is_some() {
                            return Err(Violation::RefusalWithEffect { node, request });
                        }
                        Ok(())
                    }
                    // What became of it is found out when the leader is back.
                    Reply::Unknown { .. } if node == LEADER => {
                        self.course.report.unknown += 1;
                        Ok(())
                    }
                    // A clock that was set back too far takes no writes.
                    Reply::Refused(error)
                        if node == LEADER && !refused && !matches!(error, WriteError::Clock(_)) =>
                    {
                        wrong("it was not to be refused")
                    }
                    Reply::Commit(CommitReply::NotAdmitted(_) | CommitReply::TooMuchUncommitted { .. })
                    | Reply::Refused(_)
                        if node != LEADER =>
                    {
                        wrong("who follows says who leads")
                    }
                    Reply::Commit(
                        CommitReply::NotAdmitted(_)
                        | CommitReply::TooMuchUncommitted { .. }
                        | CommitReply::NotLeader { .. },
                    )
                    | Reply::Refused(_)
                    | Reply::Overloaded
                    | Reply::Ended => {
                        self.course.report.refused += 1;
                        if written.is_some() {
                            Err(Violation::RefusalWithEffect { node, request })
                        } else {
                            Ok(())
                        }
                    }
                    _ => wrong("that is no answer to a write"),
                }
            }
        }
    }

    fn end(&mut self, last: Lsn, fate: Fate) {
        if let Some(command) = self.model.command_mut(last) {
            command.fate = fate;
        }
    }

    fn depend(&mut self, client: Option<usize>, lsn: Lsn) {
        if let Some(client) = client {
            let wanderer = &mut self.wanderers[client];
            wanderer.depends = wanderer.depends.max(lsn);
        }
    }

    fn check_read(
        &mut self,
        (node, request): (usize, RequestId),
        reply: &Reply,
        item: &ItemKey,
        at: Lsn,
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
            let detail = format!("{item:?} at record {at} is {difference}");
            Err(Violation::StaleRead { node, request, detail })
        })
    }

    fn session_read_answered(
        &mut self,
        (node, request): (usize, RequestId),
        client: usize,
        item: &ItemKey,
        token: Option<&Bytes>,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let stale = |detail: String| Err(Violation::StaleRead { node, request, detail });
        let wanderer = &self.wanderers[client];
        let Some(token) = token else {
            if matches!(reply, Reply::Lost { .. }) && !wanderer.orphaned {
                return stale(format!("{} is said to be lost", wanderer.depends));
            }
            if matches!(reply, Reply::Lost { .. }) {
                self.wanderers[client] = Wanderer::default();
            }
            self.course.report.behind += 1;
            let may_be = matches!(
                reply,
                Reply::Lost { .. } | Reply::NotYetVisible { .. } | Reply::Overloaded | Reply::Ended
            );
            return if may_be { Ok(()) } else { stale(format!("that is no answer: {reply:?}")) };
        };
        if wanderer.orphaned {
            return stale("what the session wrote is gone, and nobody said so".into());
        }
        let limits = &self.course.plan.setup.limits;
        let place = match SessionToken::decode(token, &CLUSTER, limits) {
            Ok(SessionToken::SingleLeader { lsn, .. }) => Lsn::new(lsn),
            Ok(SessionToken::Causal(causal)) if causal.is_empty() => Lsn::ZERO,
            other => return stale(format!("the token is {other:?}")),
        };
        if place < wanderer.depends {
            return stale(format!("it shows {place}, and the session depends on {}", wanderer.depends));
        }
        self.course.report.session_reads += 1;
        self.depend(Some(client), place);
        let value = self.model.at(item, place);
        self.check_read((node, request), reply, item, place, &value)
    }

    fn fate_told(
        &self,
        (node, request): (usize, RequestId),
        which: GivenUp,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let is_there = self.model.holds(which.request, which.last);
        let is_true = match reply {
            Reply::Fate(Told::Acknowledged { .. } | Told::Committed) => {
                is_there && which.lsn <= self.course.world.committed()
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

    /// The leader started again: what was not on its disk is gone, and nobody was promised it.
    fn leader_is_back(&mut self) -> Result<(), Violation> {
        let recovered = self.course.world.recovered();
        self.acknowledged = Lsn::ZERO;
        for command in self.model.cut(recovered).into_values() {
            let request = command.request;
            if command.first <= recovered {
                return Err(Violation::TornCommand { node: LEADER, request });
            }
            if matches!(command.fate, Fate::Committed | Fate::NotReplicated { durable: true }) {
                let detail = format!("its log ends with {recovered}, before record {}", command.first);
                return Err(Violation::LostWrite { node: LEADER, request, detail });
            }
        }
        for wanderer in self.wanderers.iter_mut().filter(|wanderer| wanderer.depends > recovered) {
            (wanderer.depends, wanderer.orphaned) = (recovered, true);
        }
        Ok(())
    }
}
