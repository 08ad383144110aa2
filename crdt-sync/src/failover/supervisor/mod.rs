//! One node's part in failover: it hears who is alive, asks to lead when it should, and stops leading in time.
//!
//! A state machine without IO. Its host tells it what happens and what time it is, and after each input does what
//! [`poll`](Supervisor::poll) says until there is nothing more; it calls [`tick`](Supervisor::tick) at the latest at
//! [`next_deadline`](Supervisor::next_deadline).
//!
//! ```text
//!              the leader is silent,               its turn                granted, old leader stopped
//!              or nobody leads                     comes                   (or nothing to ask and to stop)
//!  Following ---------------------> Waiting ----------------> Asking, Fencing ---------------> Promoting
//!      ^                                                            |                               | a majority
//!      |                 refused                                    |                               | promised
//!      +------------------------------------------------------------+                               v
//!      ^       the lease ends, a later grant, handed over                                        Leading
//!      +--------------------------------------------------------------------------------------------+
//! ```
//!
//! What makes it safe is the lease and the promises, not this machine: whatever it decides wrongly, by what it heard or
//! did not hear, costs time. Its own rules for safety are two. Before anything else happens, at any input, a lease that
//! is over is given up. And a process that was not there, because it was stopped or its clock jumped, blames nobody: it
//! listens first.
//!
//! The host owns the rest of the safety: it drops what depends on leading when it is later than `lease_until`, makes
//! promises durable before they are answered, and has members answer by a [`Voter`](super::voter::Voter), also where
//! an outside coordinator grants.

mod act;
mod campaign;
mod precedence;
mod reign;
mod renewal;
mod view;

use alloc::collections::VecDeque;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use replication_log::Epoch;

pub use act::{
    Act, AskId, Command, Event, Failover, NotPromoted, OwnStanding, Refused, Round, Standing, WhyStepDown,
};

use self::campaign::Pending;
use self::reign::{Handing, Held};
use self::renewal::Renewal;
use self::view::{Lead, Leader, View};
use super::config::{ConfigError, FailoverConfig, GrantedBy};
use super::lease::before;
use super::stonith::{Flapping, NotFenced};
use super::{Answer, Ask, Detector, Grant};
use crate::node::NodeId;
use crate::time::Instant;

/// One node's part in failover.
#[derive(Debug)]
pub struct Supervisor {
    config: FailoverConfig,
    me: NodeId,
    /// The newest moment that was told.
    now: Instant,
    own: Option<OwnStanding>,
    view: View,
    phase: Phase,
    /// The right to lead, where this node has it or is about to be promised it.
    held: Option<Held>,
    pending: Option<Pending>,
    renewal: Renewal,
    handing: Option<Handing>,
    flapping: Flapping,
    paused: bool,
    /// Who said last that this node's log lacks something.
    behind: Option<NodeId>,
    /// When it looks whether somebody else is to lead instead.
    makes_way_at: Option<Instant>,
    /// No attempt begins before.
    not_before: Instant,
    /// So many attempts failed since somebody led.
    failures: u32,
    /// What whoever watches was told last.
    told: Told,
    next_beat: Instant,
    next_id: u64,
    random: ChaCha8Rng,
    acts: VecDeque<Act>,
    #[cfg(feature = "_planted_bugs")]
    blames_late_ticks: bool,
}

/// So that it is told once.
#[derive(Debug, Default)]
struct Told {
    refused: Option<Refused>,
    suspects: Option<NodeId>,
    degraded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Somebody leads, or nobody does and this node may not ask.
    Following,
    /// It asks then, if there is still nobody.
    Waiting { until: Instant },
    /// The coordinator is asked.
    Asking { planned: bool },
    /// The old leader is being stopped.
    Fencing { give_up: Instant },
    /// The host has the others promise.
    Promoting { give_up: Instant, planned: bool, unfenced: Option<NotFenced> },
    /// This node leads.
    Leading { epoch: Epoch },
    /// It leads, and takes no more writes, so that another one has them all.
    HandingOver { epoch: Epoch, to: NodeId, deadline: Instant },
}

impl Supervisor {
    /// Node `me` starts, and leads nothing.
    pub fn new(config: FailoverConfig, me: NodeId, now: Instant) -> Result<Self, ConfigError> {
        config.check(me)?;
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(me.as_bytes());
        seed[16..24].copy_from_slice(&config.seed.to_le_bytes());
        // A node that starts again draws others.
        seed[24..].copy_from_slice(&now.as_micros().to_le_bytes());
        Ok(Self {
            me,
            now,
            own: None,
            view: View::new(Detector::new(config.detection, now), now),
            phase: Phase::Following,
            held: None,
            pending: None,
            renewal: Renewal::new(config.agreeing(), &config.members),
            handing: None,
            flapping: Flapping::new(config.flapping),
            paused: false,
            behind: None,
            makes_way_at: None,
            not_before: now,
            failures: 0,
            told: Told::default(),
            next_beat: now,
            next_id: 0,
            random: ChaCha8Rng::from_seed(seed),
            acts: VecDeque::new(),
            #[cfg(feature = "_planted_bugs")]
            blames_late_ticks: false,
            config,
        })
    }

    /// Time has passed. O(members), as are all inputs.
    pub fn tick(&mut self, now: Instant) {
        self.advance(now);
        self.go_on();
    }

    /// A heartbeat of a member arrived. What others say is ignored.
    pub fn heard(&mut self, peer: NodeId, standing: Standing, now: Instant) {
        self.advance(now);
        if peer != self.me && self.config.members.contains(&peer) {
            self.view.hear(peer, standing, self.now);
            if let Some(Failover { grant, ago }) = standing.failover {
                self.flapping.happened(grant, ago, self.now);
            }
            if let Some(grant) = standing.acknowledged {
                self.flapping.acknowledge(grant);
            }
            match standing.leads {
                Some(epoch) => self.hear_leader(peer, epoch),
                None if self.view.leader().is_some_and(|leader| leader.node == peer) => {
                    self.view.vacate(self.now);
                }
                None => {}
            }
            self.hear_promise(Grant::of(standing.promised));
        }
        self.go_on();
    }

    /// Where this node's own log stands, and whether it may lead. Said before the first tick, and whenever it changes.
    pub fn stands(&mut self, own: OwnStanding, now: Instant) {
        self.advance(now);
        self.view.note_end(own.end);
        self.view.note_grant(Grant::of(own.promised));
        self.own = Some(own);
        self.hear_promise(Grant::of(own.promised));
        self.go_on();
    }

    /// The coordinator answered.
    pub fn answer(&mut self, id: AskId, answer: Answer, now: Instant) {
        self.advance(now);
        self.hear_answer(id, answer);
        self.go_on();
    }

    /// The old leader has stopped, which is confirmed, or it may go on.
    pub fn fenced(&mut self, ended: Result<(), NotFenced>, now: Instant) {
        self.advance(now);
        if let Phase::Fencing { .. } = self.phase {
            self.end_fencing(ended);
        }
        self.go_on();
    }

    /// This node leads under that epoch, as [`Act::Lead`] asked, or does not.
    pub fn promoted(&mut self, ended: Result<Epoch, NotPromoted>, now: Instant) {
        self.advance(now);
        self.end_promotion(ended);
        self.go_on();
    }

    /// A member has renewed the lease, as [`Act::Renew`] asked.
    pub fn renewed(&mut self, round: Round, by: NodeId, now: Instant) {
        self.advance(now);
        if self.leads().is_some()
            && let Some(sent) = self.renewal.agree(round, by)
        {
            self.extend(sent);
            if !self.is_coordinated() {
                self.restored();
            }
        }
        self.go_on();
    }

    /// The other node has all there is and no writes were taken since, as [`Act::HandOver`] asked.
    pub fn handed_over(&mut self, now: Instant) {
        self.advance(now);
        self.end_handover();
        self.go_on();
    }

    /// An operator asks for something.
    pub fn operate(&mut self, command: Command, now: Instant) {
        self.advance(now);
        match command {
            Command::SwitchOver { to, deadline } => self.begin_handover(to, deadline),
            Command::AcknowledgeFailover => {
                if let Some((grant, _)) = self.flapping.last(self.now) {
                    self.flapping.acknowledge(grant);
                }
            }
            Command::Pause => self.paused = true,
            Command::Resume => self.paused = false,
        }
        self.go_on();
    }

    /// What is to be done next; called after each input until there is nothing more.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// When [`tick`](Self::tick) is called at the latest. It is never further away than a heartbeat.
    pub fn next_deadline(&self) -> Instant {
        let phase = match self.phase {
            Phase::Following => Some(self.not_before),
            Phase::Waiting { until } => Some(until),
            Phase::Fencing { give_up } | Phase::Promoting { give_up, .. } => Some(give_up),
            Phase::HandingOver { deadline, .. } => Some(deadline),
            Phase::Leading { .. } => self.makes_way_at,
            Phase::Asking { .. } => None,
        };
        let lease = self.held.map(|held| before(held.until, self.config.lease.margin));
        let renewal = self.held.filter(|_| self.renews()).map(|held| held.renew_at);
        let others = [
            phase,
            lease,
            renewal,
            self.pending.as_ref().map(|pending| pending.give_up),
            self.handing.as_ref().map(|handing| handing.told_at),
            self.view.suspected_at(self.me),
        ];
        others.into_iter().flatten().filter(|at| *at > self.now).fold(self.next_beat, Instant::min)
    }

    /// Under which epoch this node leads, if it does.
    pub fn leads(&self) -> Option<Epoch> {
        match self.phase {
            Phase::Leading { epoch } | Phase::HandingOver { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    /// Until when it may, if it does.
    pub fn lease_until(&self) -> Option<Instant> {
        self.held.map(|held| held.until)
    }

    /// Who leads, as far as this node hears.
    pub fn leader(&self) -> Option<NodeId> {
        match self.view.lead(self.me, self.now) {
            Lead::Heard(node) => Some(node),
            Lead::Silent(_) | Lead::Vacant(_) => None,
        }
    }

    /// By which settings it goes.
    pub fn config(&self) -> &FailoverConfig {
        &self.config
    }

    /// Comes before everything else: a lease that is over is given up, and a process that was away blames nobody.
    fn advance(&mut self, now: Instant) {
        let now = now.max(self.now);
        let passed = now.since(self.now);
        self.now = now;
        if self.held.is_some_and(|held| now + self.config.lease.margin >= held.until) {
            self.lose(WhyStepDown::LeaseEnded);
        }
        if passed > self.config.heartbeat.saturating_add(self.config.tolerance) {
            #[cfg(feature = "_planted_bugs")]
            if self.blames_late_ticks {
                return;
            }
            self.view.was_away(now);
            self.give_up_attempt();
            self.event(Event::WasAway { span: passed });
        }
    }

    /// Everything that may follow from what just came in.
    fn go_on(&mut self) {
        self.time_out();
        self.consider();
        self.make_way();
        self.renew();
        if self.now >= self.next_beat {
            self.beat();
        }
    }

    /// What was waited for too long.
    fn time_out(&mut self) {
        let now = self.now;
        if let Some(pending) = self.pending.take_if(|pending| now >= pending.give_up) {
            self.unanswered(&pending.ask);
        }
        match self.phase {
            Phase::Fencing { give_up } if now >= give_up => self.end_fencing(Err(NotFenced::TimedOut)),
            Phase::Promoting { give_up, .. } if now >= give_up => self.lose(WhyStepDown::TooLate),
            Phase::HandingOver { epoch, to, deadline } if now >= deadline => {
                self.phase = Phase::Leading { epoch };
                self.act(Act::KeepLeading);
                self.event(Event::SwitchOverFailed { to });
            }
            _ => {}
        }
        let told = self.handing.as_mut().filter(|handing| !handing.told && now >= handing.told_at);
        if let Some(handing) = told {
            handing.told = true;
            self.beat();
        }
        self.handing.take_if(|handing| now >= handing.until);
    }

    /// Tells all others where this node stands.
    fn beat(&mut self) {
        self.next_beat = self.now + self.config.heartbeat;
        let Some(own) = self.own else { return };
        let standing = Standing {
            end: own.end,
            promised: own.promised,
            leads: self.leads(),
            follows: self.leader().filter(|leader| *leader != self.me),
            hands_over: self.handing.as_ref().filter(|handing| handing.told).map(|handing| handing.to),
            promotable: own.promotable && !self.paused,
            priority: own.priority,
            failover: self.flapping.last(self.now).map(|(grant, ago)| Failover { grant, ago }),
            acknowledged: self.flapping.acknowledged(),
        };
        // Only the last one counts.
        self.acts.retain(|act| !matches!(act, Act::Beat(_)));
        self.act(Act::Beat(standing));
    }

    /// A planted mistake: what was not heard while the host was away counts as silence.
    #[cfg(feature = "_planted_bugs")]
    pub(crate) fn blame_late_ticks(&mut self) {
        self.blames_late_ticks = true;
    }

    fn act(&mut self, act: Act) {
        self.acts.push_back(act);
    }

    fn event(&mut self, event: Event) {
        self.act(Act::Event(event));
    }

    fn ask(&mut self, ask: Ask) -> AskId {
        self.next_id += 1;
        let id = AskId(self.next_id);
        self.act(Act::Ask(id, ask));
        id
    }

    /// A random part of a span.
    fn part_of(&mut self, span: Duration) -> Duration {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.random.next_u64() % micros)
    }

    fn is_coordinated(&self) -> bool {
        matches!(self.config.granted_by, GrantedBy::Coordinator { .. })
    }
}
