//! A host that does what a supervisor says, as an engine would: it has members promise, it leads, it stops.

use std::collections::BTreeSet;

use crdt_sync::NodeId;
use crdt_sync::failover::supervisor::{Act, AskId, Event, NotPromoted, OwnStanding, Round, Standing};
use crdt_sync::failover::voter::{Refusal, Request};
use crdt_sync::failover::{Answer, Ask, FailoverConfig, Grant, Supervisor, Voter};
use crdt_sync::time::Instant;
use replication_log::{Epoch, Lsn, Position};

/// What goes over a wire.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Beat(Standing),
    Request { request: Request, round: Option<Round> },
    Vote { request: Request, round: Option<Round>, result: Result<(), Refusal>, end: Position },
    Ask(AskId, Ask),
    Answer(AskId, Answer),
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Node(NodeId),
    Coordinator,
}

/// What survives the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) promised: Epoch,
    pub(crate) end: Position,
    pub(crate) promotable: bool,
    pub(crate) priority: u32,
    /// It hears the leader, and takes nothing from its log.
    pub(crate) broken: bool,
}

#[derive(Debug)]
struct Promotion {
    grant: Grant,
    promised: BTreeSet<NodeId>,
    newest: Option<Grant>,
    give_up: Instant,
    lease_until: Instant,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) me: NodeId,
    pub(crate) disk: Disk,
    pub(crate) supervisor: Supervisor,
    pub(crate) voter: Voter,
    /// Where it leads: nothing leaves after that.
    pub(crate) leads: Option<(Epoch, Instant)>,
    promotion: Option<Promotion>,
    handing_to: Option<NodeId>,
    pub(crate) out: Vec<(To, Message)>,
    pub(crate) events: Vec<Event>,
    /// Nodes that are to be stopped.
    pub(crate) shoot: Vec<NodeId>,
    /// Began to lead or goes on: whoever watches looks whether somebody else does.
    pub(crate) led: bool,
}

impl Host {
    pub(crate) fn start(config: FailoverConfig, me: NodeId, disk: Disk, now: Instant) -> Self {
        let voter = Voter::new(config.lease, disk.promised, now);
        let supervisor = Supervisor::new(config, me, now).unwrap();
        let mut host = Self {
            me,
            disk,
            supervisor,
            voter,
            leads: None,
            promotion: None,
            handing_to: None,
            out: Vec::new(),
            events: Vec::new(),
            shoot: Vec::new(),
            led: false,
        };
        host.stands(now);
        host.drain(now);
        host
    }

    pub(crate) fn is_valid(&self, now: Instant) -> bool {
        self.leads.is_some_and(|(_, until)| now < until)
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        let promotion = self.promotion.as_ref().map(|promotion| promotion.give_up);
        promotion.map_or(self.supervisor.next_deadline(), |at| at.min(self.supervisor.next_deadline()))
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(given_up) = self.promotion.take_if(|promotion| now >= promotion.give_up) {
            let newest = given_up.newest.filter(|newest| *newest > given_up.grant);
            let why = newest.map_or(NotPromoted::NoQuorum, |newest| NotPromoted::Fenced { newest });
            self.supervisor.promoted(Err(why), now);
        }
        self.supervisor.tick(now);
        self.drain(now);
    }

    /// The leader writes a record, if it may.
    pub(crate) fn write(&mut self, now: Instant) {
        if let Some((epoch, _)) = self.leads.filter(|_| self.is_valid(now) && self.handing_to.is_none()) {
            self.disk.end = Position { lsn: self.disk.end.lsn.next().unwrap(), epoch, checksum: 0 };
            self.stands(now);
        }
    }

    pub(crate) fn receive(&mut self, from: Option<NodeId>, message: Message, now: Instant) {
        match (message, from) {
            (Message::Beat(standing), Some(from)) => self.hear(from, standing, now),
            (Message::Request { request, round }, Some(from)) => {
                let result = self.vote(request, now);
                let end = self.disk.end;
                self.out.push((To::Node(from), Message::Vote { request, round, result, end }));
            }
            (Message::Vote { request, round, result, end }, Some(from)) => {
                self.count(from, request, round, result, end, now);
            }
            (Message::Answer(id, answer), None) => self.supervisor.answer(id, answer, now),
            _ => {}
        }
        self.drain(now);
    }

    /// Does what the supervisor says, until there is nothing more.
    pub(crate) fn drain(&mut self, now: Instant) {
        while let Some(act) = self.supervisor.poll() {
            match act {
                Act::Ask(id, ask) => self.out.push((To::Coordinator, Message::Ask(id, ask))),
                Act::Stonith { node, .. } => self.shoot.push(node),
                Act::Lead { grant, lease_until } => self.promote(grant, lease_until, now),
                Act::ExtendLease { until } => {
                    if let Some(promotion) = &mut self.promotion {
                        promotion.lease_until = until;
                    }
                    if let Some((_, lease)) = &mut self.leads {
                        *lease = until;
                        self.led = true;
                    }
                }
                Act::Renew { round, grant } => {
                    let lease = self.supervisor.config().lease.span;
                    self.everybody(Request::Renew { grant, holder: self.me, lease }, Some(round), now);
                }
                Act::Release { grant, to } => {
                    self.everybody(Request::Release { grant, holder: self.me, to }, None, now);
                }
                Act::StepDown { .. } => {
                    self.leads = None;
                    self.promotion = None;
                    self.handing_to = None;
                }
                Act::HandOver { to, .. } => self.handing_to = Some(to),
                Act::KeepLeading => self.handing_to = None,
                Act::Beat(standing) => {
                    for node in self.others() {
                        self.out.push((To::Node(node), Message::Beat(standing)));
                    }
                }
                Act::Event(event) => self.events.push(event),
                other => panic!("{other:?}"),
            }
        }
    }

    fn others(&self) -> Vec<NodeId> {
        self.supervisor.config().members.iter().copied().filter(|node| *node != self.me).collect()
    }

    fn stands(&mut self, now: Instant) {
        let Disk { promised, end, promotable, priority, .. } = self.disk;
        self.supervisor.stands(OwnStanding { end, promised, promotable, priority }, now);
    }

    /// A follower has what the leader has as soon as it hears of it, unless its log promised a later epoch.
    fn hear(&mut self, from: NodeId, standing: Standing, now: Instant) {
        if let Some(epoch) =
            standing.leads.filter(|epoch| *epoch >= self.disk.promised && self.leads.is_none())
        {
            if !self.disk.broken {
                self.disk.end = standing.end;
            }
            self.disk.promised = epoch;
            self.voter.learn(epoch);
            self.stands(now);
        }
        self.supervisor.heard(from, standing, now);
        if self.handing_to == Some(from) && standing.end == self.disk.end {
            self.supervisor.handed_over(now);
        }
    }

    fn vote(&mut self, request: Request, now: Instant) -> Result<(), Refusal> {
        self.voter.handle(request, now)?;
        if let Request::Promise { grant, .. } | Request::Renew { grant, .. } = request
            && grant.epoch() > self.disk.promised
        {
            self.disk.promised = grant.epoch();
            self.stands(now);
        }
        Ok(())
    }

    /// This node among them.
    fn everybody(&mut self, request: Request, round: Option<Round>, now: Instant) {
        for node in self.others() {
            self.out.push((To::Node(node), Message::Request { request, round }));
        }
        let result = self.vote(request, now);
        self.count(self.me, request, round, result, self.disk.end, now);
    }

    fn promote(&mut self, grant: Grant, lease_until: Instant, now: Instant) {
        let give_up = now + self.supervisor.config().ask_timeout;
        let promised = BTreeSet::new();
        self.promotion = Some(Promotion { grant, promised, newest: None, give_up, lease_until });
        let lease = self.supervisor.config().lease.span;
        self.everybody(Request::Promise { grant, candidate: self.me, lease }, None, now);
    }

    fn count(
        &mut self,
        from: NodeId,
        request: Request,
        round: Option<Round>,
        result: Result<(), Refusal>,
        end: Position,
        now: Instant,
    ) {
        match (request, result, round) {
            (Request::Renew { .. }, Ok(()), Some(round)) => self.supervisor.renewed(round, from, now),
            (Request::Promise { grant, .. }, result, _) => self.count_promise(from, grant, result, end, now),
            _ => {}
        }
    }

    fn count_promise(
        &mut self,
        from: NodeId,
        grant: Grant,
        result: Result<(), Refusal>,
        end: Position,
        now: Instant,
    ) {
        let majority = self.supervisor.config().members.len() / 2 + 1;
        let Some(promotion) = self.promotion.as_mut().filter(|promotion| promotion.grant == grant) else {
            return;
        };
        match result {
            Err(Refusal::Promised { newest }) => promotion.newest = promotion.newest.max(Some(newest)),
            Err(_) => {}
            Ok(()) if (end.epoch, end.lsn) > (self.disk.end.epoch, self.disk.end.lsn) => {
                self.promotion = None;
                self.supervisor.promoted(Err(NotPromoted::Behind { node: from, end }), now);
            }
            Ok(()) => {
                promotion.promised.insert(from);
                if promotion.promised.len() >= majority {
                    let until = promotion.lease_until;
                    self.promotion = None;
                    self.leads = Some((grant.epoch(), until));
                    self.led = true;
                    self.disk.promised = self.disk.promised.max(grant.epoch());
                    self.supervisor.promoted(Ok(grant.epoch()), now);
                    self.stands(now);
                }
            }
        }
    }
}

pub(crate) fn position(epoch: u64, lsn: u64) -> Position {
    Position { lsn: Lsn::new(lsn), epoch: Epoch::new(epoch), checksum: 0 }
}
