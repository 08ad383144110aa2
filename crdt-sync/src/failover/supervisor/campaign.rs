//! From silence to the grant: when a node asks to lead, and what it does before it may.

use super::{
    Act, Answer, Ask, AskId, Epoch, Event, Held, Instant, Lead, Leader, NodeId, NotFenced, Phase, Refused,
    Supervisor, WhyStepDown,
};
use crate::failover::election::{Candidate, Election, NotElectable, is_ahead};
use crate::failover::stonith::Verdict;
use crate::failover::{Grant, Tenure};

/// A question to the coordinator that is not answered.
#[derive(Debug)]
pub(super) struct Pending {
    id: AskId,
    pub(super) ask: Ask,
    sent: Instant,
    pub(super) give_up: Instant,
}

/// That a node may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    /// So many come before it.
    behind: usize,
    /// The lead was handed to it.
    planned: bool,
}

impl Supervisor {
    /// Another node says that it leads.
    pub(super) fn hear_leader(&mut self, node: NodeId, epoch: Epoch) {
        let (leader, by) = (Leader { node, epoch }, Grant::of(epoch));
        let known = self.view.leader();
        if known.is_some_and(|known| known.epoch > epoch) {
            return;
        }
        if self.held.is_some_and(|held| held.grant < by) {
            self.lose(WhyStepDown::Overtaken { by });
        }
        self.give_up_attempt();
        self.view.leads(leader);
        if known != Some(leader) {
            self.event(Event::Follows { leader: node, epoch });
        }
        (self.told.suspects, self.told.refused) = (None, None);
        self.failures = 0;
        self.handing = None;
    }

    /// An attempt that nothing was granted for is given up.
    pub(super) fn give_up_attempt(&mut self) {
        let attempts = matches!(self.phase, Phase::Waiting { .. } | Phase::Fencing { .. });
        if attempts && self.held.is_none() {
            self.phase = Phase::Following;
        }
    }

    /// Whether to ask, and when.
    pub(super) fn consider(&mut self) {
        let lead = self.view.lead(self.me, self.now);
        if let Lead::Silent(leader) = lead
            && self.told.suspects.replace(leader) != Some(leader)
        {
            self.event(Event::Suspects { leader });
            // Others that still hear it are told that this node does not.
            self.beat();
        }
        if self.phase == Phase::Following && self.now >= self.not_before {
            match self.turn() {
                Ok(Some(Turn { planned: true, .. })) => self.phase = Phase::Waiting { until: self.now },
                Ok(Some(Turn { behind, .. })) => {
                    let behind = u32::try_from(behind).unwrap_or(u32::MAX);
                    let turns = self.config.turn.saturating_mul(behind);
                    let until = self.now + turns + self.part_of(self.config.turn);
                    self.phase = Phase::Waiting { until };
                }
                Ok(None) => {}
                Err(why) => self.refuse(why),
            }
        }
        if let Phase::Waiting { until } = self.phase
            && self.now >= until
        {
            self.phase = Phase::Following;
            match self.turn() {
                Ok(Some(turn)) => self.begin(turn.planned),
                Ok(None) => {}
                Err(why) => self.refuse(why),
            }
        }
    }

    /// Whether it is this node's turn to ask; `None` where nobody has to.
    fn turn(&self) -> Result<Option<Turn>, Refused> {
        let Some(own) = self.own.filter(|_| !self.paused) else { return Ok(None) };
        let now = self.now;
        let mine =
            Candidate { node: self.me, end: own.end, promotable: own.promotable, priority: own.priority };
        let mut alive = self.view.alive(now);
        let silent = match self.view.lead(self.me, now) {
            Lead::Heard(_) => return Ok(None),
            Lead::Silent(leader) => Some(leader),
            Lead::Vacant(since) => {
                if let Some((to, end)) =
                    self.view.handed_to().filter(|_| now < since + self.config.lease.kept())
                {
                    let has_all = to == self.me && !is_ahead(end, own.end) && own.promotable;
                    if has_all {
                        return Ok(Some(Turn { behind: 0, planned: true }));
                    }
                    // The other one's turn, for as long as nobody else would be granted it. A node that was named and
                    // lacks something will have it in a moment.
                    return Ok(None);
                }
                // Who has just started hears the others first.
                if self.view.leader().is_none() && now < since + self.config.heartbeat.saturating_mul(2) {
                    return Ok(None);
                }
                None
            }
        };
        let needed = self.config.majority();
        if alive.len() + 1 < needed {
            return Err(Refused::NoMajority { alive: alive.len() + 1, needed });
        }
        if let Some(leader) = silent {
            let by = self.view.followers_of(leader, now);
            if by + 1 >= needed {
                return Err(Refused::StillHeard { leader, by });
            }
        }
        if !own.promotable {
            return Err(NotElectable::NotPromotable.into());
        }
        if let Some(node) = self.behind.filter(|node| self.view.is_ahead(*node, own.end, now)) {
            return Err(Refused::Behind { node });
        }
        let again = self.view.leader().is_some_and(|leader| leader.node == self.me);
        if self.view.leader().is_some()
            && !again
            && let Some(until) = self.flapping.blocked_until(now)
        {
            return Err(Refused::Flapping { until });
        }
        if let Some(rule) = &self.config.quorum {
            rule.check(self.me, own.end, alive.iter().map(|candidate| (candidate.node, candidate.end)))?;
        }
        alive.push(mine);
        let election = Election {
            policy: &self.config.policy,
            most_lag: self.config.most_lag,
            known_end: self.view.known_end(),
            candidates: &alive,
        };
        let behind = election.turn(self.me)?;
        // Whoever led until now is the one whose lease nobody has to wait for.
        Ok(Some(Turn { behind: if again { 0 } else { behind }, planned: false }))
    }

    fn refuse(&mut self, why: Refused) {
        // The same reason with other numbers is not told again.
        let same = |told: Refused| core::mem::discriminant(&told) == core::mem::discriminant(&why);
        if !self.told.refused.replace(why).is_some_and(same) {
            self.event(Event::Refused(why));
        }
    }

    fn begin(&mut self, planned: bool) {
        self.told.refused = None;
        self.event(Event::ElectionStarted { planned });
        if self.is_coordinated() {
            self.phase = Phase::Asking { planned };
            let (candidate, lease, above) = (self.me, self.config.lease.kept(), self.view.newest());
            self.await_answer(Ask::Acquire { candidate, lease, above });
        } else {
            self.fence_or_lead(planned);
        }
    }

    pub(super) fn await_answer(&mut self, ask: Ask) {
        let id = self.ask(ask);
        let give_up = self.now + self.config.ask_timeout;
        self.pending = Some(Pending { id, ask, sent: self.now, give_up });
    }

    pub(super) fn hear_answer(&mut self, id: AskId, answer: Answer) {
        if let Some(handing) = self.handing.as_mut().filter(|handing| handing.release == Some(id)) {
            handing.told_at = self.now;
        }
        let Some(pending) = self.pending.take_if(|pending| pending.id == id) else {
            // A grant that nobody waits for any more is given back.
            if let Answer::Granted(grant) = answer
                && self.held.is_none_or(|held| held.grant != grant)
            {
                self.view.note_grant(grant);
                self.ask(Ask::Release { tenure: Tenure { holder: self.me, grant }, to: None });
            }
            return;
        };
        match (pending.ask, answer) {
            (Ask::Acquire { .. }, Answer::Granted(grant)) => self.granted(grant, pending.sent),
            // It was granted before, and the answer lost, or given back, and that has yet to arrive; or an earlier
            // process of this node has it. To go on under it would be to lose it to whatever is still on its way: it
            // is given back, and another one asked for.
            (Ask::Acquire { .. }, Answer::Held(Some(tenure))) if tenure.holder == self.me => {
                self.view.note_grant(tenure.grant);
                self.phase = Phase::Following;
                self.give_back(tenure.grant, None);
                self.put_off();
            }
            (Ask::Renew { tenure, .. }, Answer::Renewed(grant)) if grant == tenure.grant => {
                self.extend(pending.sent);
                self.restored();
            }
            (Ask::Renew { tenure, .. }, Answer::Held(now)) if self.held.is_some() && now != Some(tenure) => {
                self.lose(WhyStepDown::Lost { now });
            }
            (Ask::Acquire { .. } | Ask::Renew { .. }, Answer::Held(now)) if self.held.is_none() => {
                if let Some(tenure) = now {
                    self.view.note_grant(tenure.grant);
                }
                self.phase = Phase::Following;
                self.put_off();
                self.refuse(Refused::Held(now));
            }
            (ask, _) => self.unanswered(&ask),
        }
    }

    /// The coordinator was not reached, or said nothing that answers the question.
    pub(super) fn unanswered(&mut self, ask: &Ask) {
        if self.held.is_some() {
            if matches!(ask, Ask::Renew { .. }) {
                self.not_renewed();
            }
            return;
        }
        if let Phase::Asking { .. } = self.phase {
            self.phase = Phase::Following;
            self.put_off();
            self.refuse(Refused::Unavailable);
        }
    }

    fn granted(&mut self, grant: Grant, sent: Instant) {
        self.view.note_grant(grant);
        let planned = matches!(self.phase, Phase::Asking { planned: true });
        let lease = self.config.lease;
        let held = Held { grant, until: lease.held_until(sent), renew_at: sent + lease.renewed_every() };
        self.phase = Phase::Following;
        if self.now + lease.margin >= held.until {
            self.give_back(grant, None);
            return self.put_off();
        }
        self.held = Some(held);
        self.fence_or_lead(planned);
    }

    fn fence_or_lead(&mut self, planned: bool) {
        // A leader that said that it stepped down is not shot.
        match (self.config.stonith, self.view.lead(self.me, self.now)) {
            (Some(stonith), Lead::Silent(node)) if !planned => {
                let timeout = stonith.timeout();
                self.phase = Phase::Fencing { give_up: self.now + timeout };
                self.act(Act::Stonith { node, timeout });
            }
            _ => self.lead(planned, None),
        }
    }

    pub(super) fn end_fencing(&mut self, ended: Result<(), NotFenced>) {
        let Some(stonith) = self.config.stonith else { return };
        if let Err(why) = ended {
            self.event(Event::NotFenced(why));
        }
        match stonith.judge(ended) {
            Verdict::Promote => self.lead(false, None),
            Verdict::PromoteUnfenced(why) => self.lead(false, Some(why)),
            Verdict::Refuse(_) => {
                self.phase = Phase::Following;
                if let Some(held) = self.held.take() {
                    self.give_back(held.grant, None);
                }
                self.pending = None;
                self.put_off();
            }
        }
    }

    /// The next attempt comes later, and not when that of others does: one that fails may keep theirs from succeeding
    /// for as long as it takes. So the part that is drawn doubles, up to the time that an attempt may take.
    pub(super) fn put_off(&mut self) {
        let drawn = self.config.turn.saturating_mul(1 << self.failures.min(8));
        let most = self.config.ask_timeout.saturating_mul(2).max(self.config.turn);
        self.failures = self.failures.saturating_add(1);
        self.not_before = self.now + self.config.turn + self.part_of(drawn.min(most));
    }
}
