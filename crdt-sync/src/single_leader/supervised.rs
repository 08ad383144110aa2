//! This node's part in failover: what its [`Supervisor`] is told, and what is done that it wants done.

use core::time::Duration;

use replication_log::{Epoch, Lsn, Position};

use super::reigning::Asker;
use super::{LeadReply, SingleLeader, SingleLeaderConfig};
use crate::engine::{Context, Event, FailoverNews, FailoverTask, LinkId, Output, Reply, RequestId};
use crate::failover::supervisor::{
    Act, Command, Failover, NotPromoted, OwnStanding, Round, Standing, WhyStepDown,
};
use crate::failover::voter::{Refusal, Request};
use crate::failover::{Grant, Supervisor, Voter};
use crate::node::NodeId;
use crate::time::Instant;
use crate::wire::{Beat, LogEnd, Message, RenewAsked, Ship};

/// What a node that may take over decides by.
#[derive(Debug)]
pub(super) struct Supervised {
    supervisor: Supervisor,
    /// What it promises to others, and to itself. What its log had promised before it was opened is known once the log
    /// has been asked.
    voter: Option<Voter>,
    own: Option<OwnStanding>,
}

impl Supervised {
    pub(super) fn new(config: &SingleLeaderConfig, me: NodeId, now: Instant) -> Option<Self> {
        // Whoever opens the engine has checked the configuration.
        let supervisor = Supervisor::new(config.failover_of(me)?, me, now).ok()?;
        Some(Self { supervisor, voter: None, own: None })
    }

    pub(super) fn next_deadline(&self) -> Instant {
        self.supervisor.next_deadline()
    }

    #[cfg(feature = "_planted_bugs")]
    pub(super) fn plant(&mut self, bug: crate::PlantedBug) {
        if bug == crate::PlantedBug::LateTickBlamed {
            self.supervisor.blame_late_ticks();
        }
    }
}

impl SingleLeader {
    /// The log has promised this, or more.
    pub(super) fn learn_promised(&mut self, promised: Epoch, now: Instant) {
        self.promised = self.promised.max(promised);
        let Some(supervised) = &mut self.supervised else { return };
        let terms = supervised.supervisor.config().lease;
        #[cfg(feature = "_planted_bugs")]
        if self.planted == Some(crate::PlantedBug::LeaseForgotten) {
            supervised.voter.get_or_insert_with(|| Voter::new(terms, Epoch::ZERO, now));
        }
        supervised.voter.get_or_insert_with(|| Voter::new(terms, promised, now)).learn(promised);
    }

    /// Whether this node may promise that: nobody else's lease runs. Without failover nobody has one.
    pub(super) fn votes_for(
        &mut self,
        candidate: NodeId,
        grant: Grant,
        lease: Duration,
        context: &Context<'_>,
    ) -> bool {
        let Some(supervised) = &mut self.supervised else { return true };
        let Some(voter) = &mut supervised.voter else { return false };
        voter.handle(Request::Promise { grant, candidate, lease }, context.now.instant).is_ok()
    }

    /// Time has passed, or something has come in that the supervisor may go by.
    pub(super) fn supervise(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        let own = OwnStanding {
            end: position(context.replica.end_at(context.outbox.durable())),
            promised: self.promised,
            promotable: self.settled && !self.stuck && self.config.decides(self.me),
            priority: self.config.priority,
        };
        let Some(supervised) = &mut self.supervised else { return };
        if self.settled && supervised.own != Some(own) {
            supervised.own = Some(own);
            supervised.supervisor.stands(own, now);
        }
        supervised.supervisor.tick(now);
        self.act(context);
    }

    /// Does what the supervisor wants done, until there is nothing more.
    fn act(&mut self, context: &mut Context<'_>) {
        while let Some(act) = self.supervised.as_mut().and_then(|supervised| supervised.supervisor.poll()) {
            match act {
                Act::Ask(id, ask) => {
                    context.outbox.push(Output::Failover(FailoverTask::Ask { id, ask }));
                }
                Act::Stonith { node, timeout } => {
                    context.outbox.push(Output::Failover(FailoverTask::Stonith { node, timeout }));
                }
                Act::Lead { grant, lease_until } => {
                    self.ascend(Asker::Supervisor, (grant, Some(lease_until)), context);
                }
                Act::ExtendLease { until } => {
                    self.change_lasts(Some(until), context);
                    if let Some(leading) = &mut self.leading {
                        leading.until = Some(until);
                        context.outbox.lead_until(leading.until);
                    }
                }
                Act::Renew { round, grant } => self.ask_for_renewal(round, grant, context),
                Act::Release { grant, to } => self.release(grant, to, context),
                Act::StepDown { why } => self.stop_leading(why, context),
                Act::HandOver { to, deadline } => {
                    self.hand_over(Asker::Supervisor, (to, deadline), context);
                }
                Act::KeepLeading => self.handover = None,
                Act::Beat(standing) => self.send_all(&Ship::Beat(on_wire(&standing)), context),
                Act::Event(event) => context.outbox.event(Event::Failover(event)),
            }
        }
    }

    /// The supervisor wanted this node to lead, or to hand over, and hears what became of it.
    pub(super) fn tell_supervisor(&mut self, reply: LeadReply, context: &mut Context<'_>) {
        let Some(supervised) = &mut self.supervised else { return };
        let (supervisor, now) = (&mut supervised.supervisor, context.now.instant);
        match reply {
            LeadReply::Leads { epoch, .. } => supervisor.promoted(Ok(epoch), now),
            LeadReply::Lacks { node, end } => {
                supervisor.promoted(Err(NotPromoted::Behind { node, end: position(end) }), now);
            }
            LeadReply::Fenced { newest } => {
                supervisor.promoted(Err(NotPromoted::Fenced { newest: Grant::of(newest) }), now);
            }
            LeadReply::HandedOver { .. } => supervisor.handed_over(now),
            // It gives up by itself.
            LeadReply::StillLeads { .. } => {}
            _ => supervisor.promoted(Err(NotPromoted::NoQuorum), now),
        }
        self.act(context);
    }

    fn stop_leading(&mut self, why: WhyStepDown, context: &mut Context<'_>) {
        self.change_lasts(None, context);
        if let Some(leading) = &self.leading {
            if why == WhyStepDown::LeaseEnded {
                context.outbox.event(Event::LeadEnded { epoch: leading.epoch() });
            }
            self.step_down(context);
        }
    }

    /// Asks everybody for another lease, and itself.
    fn ask_for_renewal(&mut self, round: Round, grant: Grant, context: &mut Context<'_>) {
        let Some(supervised) = &mut self.supervised else { return };
        let (now, lease) = (context.now.instant, supervised.supervisor.config().lease.span);
        let own = Request::Renew { grant, holder: self.me, lease };
        if supervised.voter.as_mut().is_some_and(|voter| voter.handle(own, now).is_ok()) {
            supervised.supervisor.renewed(round, self.me, now);
        }
        let ask = RenewAsked { epoch: grant.epoch().get(), round: round.0, lease: micros(lease) };
        self.send_all(&Ship::Renew(ask), context);
    }

    fn release(&mut self, grant: Grant, to: Option<NodeId>, context: &mut Context<'_>) {
        let own = Request::Release { grant, holder: self.me, to };
        self.vote(own, context.now.instant);
        self.send_all(&Ship::Release { epoch: grant.epoch().get(), to }, context);
    }

    fn vote(&mut self, request: Request, now: Instant) -> Option<Result<(), Refusal>> {
        Some(self.supervised.as_mut()?.voter.as_mut()?.handle(request, now))
    }

    fn send_all(&self, word: &Ship, context: &mut Context<'_>) {
        let message = Message::Ship(word.clone());
        for (_, link) in self.peers.iter().filter(|(node, _)| self.config.decides(**node)) {
            context.outbox.send(*link, &message, Lsn::ZERO);
        }
    }

    /// Another node that may take over says where it stands.
    pub(super) fn on_beat(&mut self, peer: NodeId, beat: &Beat, context: &mut Context<'_>) {
        if let (Some(supervised), Some(standing)) = (&mut self.supervised, off_wire(beat)) {
            supervised.supervisor.heard(peer, standing, context.now.instant);
            self.supervise(context);
        }
    }

    /// Whoever leads asks for another lease.
    pub(super) fn on_renew(
        &mut self,
        (peer, link): (NodeId, LinkId),
        asked: RenewAsked,
        context: &mut Context<'_>,
    ) {
        let (epoch, lease) = (Epoch::new(asked.epoch), Duration::from_micros(asked.lease));
        // A node that has not promised the epoch yet takes what an earlier leader sends.
        if epoch != self.promised {
            return;
        }
        let renewal = Request::Renew { grant: Grant::of(epoch), holder: peer, lease };
        if self.vote(renewal, context.now.instant) == Some(Ok(())) {
            let renewed = Ship::Renewed { epoch: asked.epoch, round: asked.round };
            context.outbox.send(link, &Message::Ship(renewed), Lsn::ZERO);
        }
    }

    pub(super) fn on_renewed(&mut self, peer: NodeId, epoch: u64, round: u64, context: &mut Context<'_>) {
        let leads = self.leading.as_ref().is_some_and(|leading| leading.epoch().get() == epoch);
        if let Some(supervised) = self.supervised.as_mut().filter(|_| leads && self.config.decides(peer)) {
            supervised.supervisor.renewed(Round(round), peer, context.now.instant);
            self.act(context);
        }
    }

    pub(super) fn on_release(&mut self, peer: NodeId, epoch: u64, to: Option<NodeId>, now: Instant) {
        let grant = Grant::of(Epoch::new(epoch));
        self.vote(Request::Release { grant, holder: peer, to }, now);
    }

    /// An operator asks for something.
    pub(super) fn operate(&mut self, request: RequestId, command: Command, context: &mut Context<'_>) {
        let reply = match &mut self.supervised {
            Some(supervised) => {
                supervised.supervisor.operate(command, context.now.instant);
                Reply::FailoverTold
            }
            None => Reply::OtherTopology,
        };
        context.outbox.reply(request, reply, Lsn::ZERO);
        self.act(context);
    }

    /// The coordinator has answered, or a node was stopped.
    pub(super) fn hear_failover(&mut self, news: FailoverNews, context: &mut Context<'_>) {
        let Some(supervised) = &mut self.supervised else { return };
        let now = context.now.instant;
        match news {
            FailoverNews::Answer { id, answer } => supervised.supervisor.answer(id, answer, now),
            FailoverNews::Stonith(ended) => supervised.supervisor.fenced(ended, now),
        }
        self.act(context);
    }
}

fn position(LogEnd { epoch, lsn }: LogEnd) -> Position {
    Position { lsn: Lsn::new(lsn), epoch: Epoch::new(epoch), checksum: 0 }
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn on_wire(standing: &Standing) -> Beat {
    Beat {
        end: LogEnd { epoch: standing.end.epoch.get(), lsn: standing.end.lsn.get() },
        promised: standing.promised.get(),
        leads: standing.leads.map(Epoch::get),
        follows: standing.follows,
        hands_over: standing.hands_over,
        promotable: standing.promotable,
        priority: standing.priority,
        failover: standing.failover.map(|last| (last.grant.number(), micros(last.ago))),
        acknowledged: standing.acknowledged.map(Grant::number),
    }
}

/// `None` for one that names a grant that cannot be.
fn off_wire(beat: &Beat) -> Option<Standing> {
    let failover = match beat.failover {
        Some((grant, ago)) => Some(Failover { grant: Grant::new(grant)?, ago: Duration::from_micros(ago) }),
        None => None,
    };
    let acknowledged = match beat.acknowledged {
        Some(number) => Some(Grant::new(number)?),
        None => None,
    };
    Some(Standing {
        end: position(beat.end),
        promised: Epoch::new(beat.promised),
        leads: beat.leads.map(Epoch::new),
        follows: beat.follows,
        hands_over: beat.hands_over,
        promotable: beat.promotable,
        priority: beat.priority,
        failover,
        acknowledged,
    })
}
