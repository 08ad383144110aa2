//! From the grant to the end: promotion, renewals, handing over, stepping down.

use super::{
    Act, Ask, AskId, Duration, Epoch, Event, Grant, GrantedBy, Instant, Leader, NodeId, NotFenced,
    NotPromoted, Phase, Renewal, Round, Supervisor, Told, WhyStepDown,
};
use crate::failover::Tenure;

/// The right to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) grant: Grant,
    /// Until when, by this node's clock.
    pub(super) until: Instant,
    pub(super) renew_at: Instant,
}

/// The lead was handed to another node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handing {
    pub(super) to: NodeId,
    /// It is told from then on, when the coordinator has it back.
    pub(super) told_at: Instant,
    pub(super) told: bool,
    pub(super) until: Instant,
    /// By which the coordinator was given it back.
    pub(super) release: Option<AskId>,
}

impl Supervisor {
    /// Has the host promote this node.
    pub(super) fn lead(&mut self, planned: bool, unfenced: Option<NotFenced>) {
        let lease = self.config.lease;
        let held = self.held.or_else(|| {
            // The members grant by promising, and their leases begin with that: it is sent from now on.
            let grant = self.view.newest().map_or(Some(Grant::FIRST), Grant::next)?;
            Some(Held {
                grant,
                until: lease.held_until(self.now),
                renew_at: self.now + lease.renewed_every(),
            })
        });
        let Some(held) = held else {
            // The grants are used up, or a member says so.
            let newest = self.view.newest().unwrap_or(Grant::FIRST);
            self.event(Event::NotPromoted(NotPromoted::Fenced { newest }));
            self.phase = Phase::Following;
            return self.put_off();
        };
        self.view.note_grant(held.grant);
        self.held = Some(held);
        self.phase = Phase::Promoting { give_up: self.now + lease.held(), planned, unfenced };
        self.act(Act::Lead { grant: held.grant, lease_until: held.until });
    }

    pub(super) fn end_promotion(&mut self, ended: Result<Epoch, NotPromoted>) {
        let promoting = match (self.phase, self.held) {
            (Phase::Promoting { planned, unfenced, .. }, Some(held)) => Some((planned, unfenced, held)),
            _ => None,
        };
        match (ended, promoting) {
            (Ok(epoch), Some((planned, unfenced, held))) if Grant::of(epoch) == held.grant => {
                self.begin_reign(epoch, planned, unfenced);
            }
            // It leads under an epoch that nobody waits for any more.
            (Ok(epoch), _) if self.leads() != Some(epoch) => {
                self.act(Act::StepDown { why: WhyStepDown::TooLate });
            }
            (Err(why), Some((.., held))) => {
                match why {
                    NotPromoted::Behind { node, end } => {
                        self.view.note_end_of(node, end);
                        self.behind = Some(node);
                    }
                    NotPromoted::Fenced { newest } => self.view.note_grant(newest),
                    NotPromoted::NoQuorum => {}
                }
                self.event(Event::NotPromoted(why));
                self.phase = Phase::Following;
                self.held = None;
                self.pending = None;
                self.give_back(held.grant, None);
                self.put_off();
            }
            _ => {}
        }
    }

    fn begin_reign(&mut self, epoch: Epoch, planned: bool, unfenced: Option<NotFenced>) {
        if !planned && self.view.leader().is_some_and(|leader| leader.node != self.me) {
            self.flapping.happened(Grant::of(epoch), Duration::ZERO, self.now);
        }
        self.renewal = Renewal::new(self.config.agreeing(), &self.config.members);
        self.view.leads(Leader { node: self.me, epoch });
        self.told = Told::default();
        self.failures = 0;
        self.handing = None;
        self.phase = Phase::Leading { epoch };
        self.put_off_making_way();
        self.event(Event::Leads { epoch, unfenced });
        self.beat();
    }

    /// Whether the lease may be renewed now. One question at a time: a second one would make the answer to the first
    /// one nobody's. And before the members have promised there is no lease of theirs.
    pub(super) fn renews(&self) -> bool {
        let may_ask = if self.is_coordinated() { self.pending.is_none() } else { self.leads().is_some() };
        self.held.is_some() && may_ask
    }

    pub(super) fn renew(&mut self) {
        let Some(held) = self.held.filter(|held| self.renews() && self.now >= held.renew_at) else { return };
        let tenure = Tenure { holder: self.me, grant: held.grant };
        // Tried again if that is not answered in time.
        self.set_renew_at(self.now + self.config.ask_timeout);
        if self.is_coordinated() {
            self.await_answer(Ask::Renew { tenure, lease: self.config.lease.kept() });
        } else {
            self.begin_round(held);
        }
    }

    fn begin_round(&mut self, held: Held) {
        if self.renewal.is_open(self.now, self.config.ask_timeout) {
            return;
        }
        self.next_id += 1;
        let round = Round(self.next_id);
        if self.renewal.begin(round, self.now) {
            self.degraded(held.until);
        }
        self.act(Act::Renew { round, grant: held.grant });
    }

    /// A renewal that was sent at that time counts.
    pub(super) fn extend(&mut self, sent: Instant) {
        let lease = self.config.lease;
        let Some(held) = &mut self.held else { return };
        held.renew_at = held.renew_at.max(sent + lease.renewed_every());
        if lease.held_until(sent) > held.until {
            held.until = lease.held_until(sent);
            let until = held.until;
            self.act(Act::ExtendLease { until });
        }
    }

    /// Whoever grants it renewed it.
    pub(super) fn restored(&mut self) {
        if core::mem::take(&mut self.told.degraded) {
            self.event(Event::Renewed);
        }
    }

    /// The coordinator did not renew the lease, and did not refuse either.
    pub(super) fn not_renewed(&mut self) {
        let Some(held) = self.held else { return };
        self.degraded(held.until);
        self.set_renew_at(self.now + self.config.turn);
        if self.leads().is_some() && self.config.granted_by == (GrantedBy::Coordinator { failsafe: true }) {
            self.begin_round(held);
        }
    }

    fn degraded(&mut self, lease_until: Instant) {
        if !core::mem::replace(&mut self.told.degraded, true) {
            self.event(Event::Degraded { lease_until });
        }
    }

    fn set_renew_at(&mut self, at: Instant) {
        if let Some(held) = &mut self.held {
            held.renew_at = at;
        }
    }

    /// A member has promised that grant, or this node's own log has.
    pub(super) fn hear_promise(&mut self, grant: Grant) {
        if self.leads().is_some() && self.held.is_some_and(|held| held.grant < grant) {
            // Without a majority nobody leads by it, but that member takes nothing from this node any more. So it asks
            // for a later one, which nobody else is promised while its lease runs.
            self.lose(WhyStepDown::Overtaken { by: grant });
            self.not_before = self.now;
        }
    }

    /// The right to lead is gone, or is no longer wanted.
    pub(super) fn lose(&mut self, why: WhyStepDown) {
        let leading = self.leads().is_some();
        let told = leading || matches!(self.phase, Phase::Promoting { .. });
        self.phase = Phase::Following;
        self.held = None;
        self.pending = None;
        if leading {
            self.view.vacate(self.now);
        }
        self.put_off();
        if told {
            self.act(Act::StepDown { why });
            self.event(Event::SteppedDown { why });
            self.beat();
        }
    }

    pub(super) fn give_back(&mut self, grant: Grant, to: Option<NodeId>) -> Option<AskId> {
        self.act(Act::Release { grant, to });
        let tenure = Tenure { holder: self.me, grant };
        self.is_coordinated().then(|| self.ask(Ask::Release { tenure, to }))
    }

    /// [`Command::SwitchOver`].
    pub(super) fn begin_handover(&mut self, to: NodeId, deadline: Instant) {
        match self.phase {
            Phase::Leading { epoch }
                if to != self.me
                    && self.view.is_alive(to, self.now)
                    && self.view.is_promotable(to)
                    && deadline > self.now =>
            {
                self.phase = Phase::HandingOver { epoch, to, deadline };
                self.act(Act::HandOver { to, deadline });
            }
            _ => self.event(Event::SwitchOverFailed { to }),
        }
    }

    pub(super) fn end_handover(&mut self) {
        let (Phase::HandingOver { to, .. }, Some(held)) = (self.phase, self.held) else { return };
        self.phase = Phase::Following;
        self.held = None;
        self.pending = None;
        self.view.vacate(self.now);
        let why = WhyStepDown::HandedOver { to };
        self.act(Act::StepDown { why });
        self.event(Event::SteppedDown { why });
        let release = self.give_back(held.grant, to.into());
        let until = self.now + self.config.lease.kept();
        // The next one asks when the coordinator has it back, or may have.
        let told_at = if release.is_some() { self.now + self.config.ask_timeout } else { self.now };
        self.handing = Some(Handing { to, told_at, told: release.is_none(), until, release });
        self.not_before = until;
        self.beat();
    }
}
