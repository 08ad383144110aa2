//! Nodes that take over by themselves: what is checked whenever one leads, promises or answers, and what an operator
//! does meanwhile.
//!
//! The world knows the true time, and with it what no node can know: whether the lease of another one runs at the
//! instant at which somebody begins to lead.

use core::time::Duration;

use crdt_sync::failover::supervisor::{Command, Event, WhyStepDown};
use crdt_sync::failover::{FailoverConfig, Grant};
use crdt_sync::single_leader::CommitReply;
use crdt_sync::time::Instant;
use crdt_sync::wire::{self, LogEnd, Message, PromiseAnswer, Ship};
use crdt_sync::{Input, LinkId, LogNews, LogTask, NodeId, PlantedBug, Reply, Request, RequestId};
use replication_log::ship::policy::{Among, Need};
use replication_log::ship::{AckPolicy, Begin};
use replication_log::{Epoch, Lsn};
use std::collections::BTreeSet;

use super::coordinator::Coordinator;
use super::ring::name_of;
use super::single_leader::FOUNDER;
use super::{Setup, World};
use crate::dice::Dice;
use crate::phase::{Phase, Phases};
use crate::single_leader::{DRIFT_PPM, leads_within};
use crate::violation::Violation;

/// A node that lost what it had promised comes back under a name that is so much higher.
const NEXT_NAME: u128 = 1_000;
/// How long a planned change may take.
const HANDOVER: core::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(900);

/// What a world knows besides in which nodes take over by themselves.
#[derive(Debug)]
pub(super) struct Takeovers {
    pub(super) dice: Dice,
    pub(super) coordinator: Option<Coordinator>,
    /// Since when there is peace, and whether anybody has led since then.
    peace: Option<(Instant, bool)>,
    /// Connections over which a greeting came, and no farewell: what comes before, or after, nobody listens to.
    pub(super) greeted: BTreeSet<LinkId>,
    elections: u64,
    failovers: u64,
    handovers: u64,
    leases_ended: u64,
    withheld: u64,
    suspicions: u64,
}

/// What a node does in the matter of who leads.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Part {
    /// It is none of those that count any more: it lost what it had promised.
    pub(super) is_out: bool,
    /// The newest epoch that it ever promised while it counted.
    ever_promised: Epoch,
    /// The newest one that it said it had promised.
    said: Epoch,
    /// The furthest end of a log that this process was told of.
    heard: LogEnd,
    electing: bool,
    /// The election is one that the old leader asked for.
    planned: bool,
    promising: bool,
    handing_over: bool,
    leaseless: bool,
}

impl Takeovers {
    pub(super) fn of(setup: &Setup, seed: u64) -> Option<Self> {
        let rules = setup.failover.as_ref()?;
        let mut dice = Dice::new(seed.rotate_left(40) ^ 0xfa11);
        let rate = rate(&mut dice);
        Some(Self {
            dice,
            coordinator: Coordinator::of(rules, rate),
            peace: None,
            greeted: BTreeSet::new(),
            elections: 0,
            failovers: 0,
            handovers: 0,
            leases_ended: 0,
            withheld: 0,
            suspicions: 0,
        })
    }
}

/// By how many millionths a clock runs wrong: mostly as much as it may.
fn rate(dice: &mut Dice) -> i64 {
    let most = i64::from(DRIFT_PPM);
    match dice.below(4) {
        0 => most,
        1 => -most,
        _ => i64::try_from(dice.below(2 * u64::from(DRIFT_PPM) + 1)).unwrap_or(most) - most,
    }
}

impl Part {
    /// Another process of the node begins.
    pub(super) fn begin(self) -> Self {
        let Self { is_out, ever_promised, said, .. } = self;
        Self { is_out, ever_promised, said, ..Self::default() }
    }

    /// Its log has promised this.
    pub(super) fn has_promised(&mut self, promised: Epoch) {
        if !self.is_out {
            self.ever_promised = self.ever_promised.max(promised);
        }
    }

    pub(super) fn phases(&self) -> Phases {
        Phases::default()
            .with(Phase::Electing, self.electing)
            .with(Phase::Promising, self.promising)
            .with(Phase::HandingOver, self.handing_over)
            .with(Phase::Leaseless, self.leaseless)
    }
}

impl Setup {
    /// The rules by which a node takes over, the mistake of a cluster that leaves no margins included.
    pub(super) fn failover_rules(&self) -> Option<FailoverConfig> {
        let mut rules = self.failover.clone()?;
        if self.plant == Some(PlantedBug::LeaseWithoutMargin) {
            (rules.lease.drift_ppm, rules.lease.margin) = (0, Duration::ZERO);
        }
        Some(rules)
    }
}

impl World {
    /// How often elections began, ended with a leader that nobody had asked for, with one that was, leases ended, and
    /// answers came too late to be given; how often the coordinator's store was lost, and a leader suspected.
    pub(crate) fn takeover_counts(&self) -> [u64; 7] {
        let Some(known) = &self.shared.takeovers else { return [0; 7] };
        let losses = known.coordinator.as_ref().map_or(0, |coordinator| coordinator.losses);
        let Takeovers { elections, failovers, handovers, leases_ended, withheld, suspicions, .. } = *known;
        [elections, failovers, handovers, leases_ended, withheld, losses, suspicions]
    }

    /// The clock of the next process of a node runs wrong by so much.
    pub(super) fn draw_rate(&mut self) -> i64 {
        self.shared.takeovers.as_mut().map_or(0, |takeovers| rate(&mut takeovers.dice))
    }

    /// Nothing goes wrong any more, with the coordinator neither.
    pub(super) fn make_peace_outside(&mut self) {
        self.bring_back_store(true);
        self.open_ways_outside();
        if let Some(takeovers) = &mut self.shared.takeovers {
            takeovers.peace = Some((self.time, false));
        }
    }

    /// Somebody has to lead within a time of peace, those who are about to start included.
    pub(crate) fn check_led_in_time(&mut self, aftermath: Duration) -> Result<(), Violation> {
        let is_led = self.leading().next().is_some();
        let members = self.counting().count();
        let (Some(rules), Some(takeovers)) = (&self.setup.failover, &mut self.shared.takeovers) else {
            return Ok(());
        };
        let Some((since, has_led)) = &mut takeovers.peace else { return Ok(()) };
        *has_led |= is_led;
        let (waited, bound) = (self.time.since(*since), aftermath + leads_within(rules, members));
        if *has_led || waited <= bound {
            return Ok(());
        }
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Err(Violation::NobodyLeads { waited_millis: millis(waited), bound_millis: millis(bound) })
    }

    /// The operator wants another node to lead, or says that the last failover was looked at.
    pub(crate) fn operate(&mut self, dice: &mut Dice) -> Result<Option<(usize, RequestId)>, Violation> {
        let leading: Vec<usize> = self.leading().collect();
        let Some(leader) = dice.pick(&leading).copied() else { return Ok(None) };
        if dice.chance(200) {
            let id = self.request(leader, Request::Failover(Command::AcknowledgeFailover))?;
            return Ok(id.map(|id| (leader, id)));
        }
        let others: Vec<usize> = self.counting().filter(|node| *node != leader).collect();
        let Some(to) = dice.pick(&others).copied() else { return Ok(None) };
        let deadline = self.nodes[leader].now(self.time).instant + dice.span(&HANDOVER);
        self.nodes[leader].reach.part.handing_over = true;
        let command = Command::SwitchOver { to: name_of(to), deadline };
        let id = self.request(leader, Request::Failover(command))?;
        Ok(id.map(|id| (leader, id)))
    }

    /// An engine asks something of its log: it takes nothing of whoever led before what it said it promised.
    pub(super) fn look_at_task(&mut self, number: usize, task: &mut LogTask) -> Result<(), Violation> {
        if self.setup.failover.is_none() {
            return Ok(());
        }
        if self.setup.plant == Some(PlantedBug::CutToTheMark) {
            self.cut_to_the_mark(number, task);
        }
        let promised = self.leadership_of(number).map_or(Epoch::ZERO, |leadership| leadership.promised);
        match task {
            LogTask::Copy { reign, .. } if *reign < promised => {
                let detail = format!("it takes records of reign {reign}, and has promised {promised}");
                Err(Violation::Unfenced { node: number, detail })
            }
            LogTask::Begin(Begin { cut: None, snapshot: None, .. }) => {
                self.nodes[number].reach.part.promising = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A mistake: what a node has shown is not cut off, wherever the logs part.
    fn cut_to_the_mark(&self, number: usize, task: &mut LogTask) {
        let shown = self.leadership_of(number).map_or(Lsn::ZERO, |leadership| leadership.applied);
        let shown = self.shared.histories.at(self.end_of(number), shown);
        if let LogTask::Begin(Begin { cut: Some(cut), .. }) = task
            && shown.lsn > cut.lsn
            && let Some(position) = self.shared.histories.position_of(shown)
        {
            *cut = position;
        }
    }

    /// A promise makes durable what was appended before, and no sync says so.
    pub(super) fn tell_of_promised(&mut self, number: usize) -> Result<(), Violation> {
        let node = &self.nodes[number];
        let Some(engine) = node.engine.as_ref().filter(|_| self.setup.failover.is_some()) else {
            return Ok(());
        };
        let lsn = node.disk.durable();
        if node.disk.is_syncing() || lsn <= engine.status().durable {
            return Ok(());
        }
        self.handle(number, Input::Durable { lsn })
    }

    /// A log has promised what it was asked to, or more.
    pub(super) fn look_at_log_news(&mut self, number: usize, news: &LogNews) {
        if matches!(news, LogNews::Begun | LogNews::Fenced { .. }) {
            self.nodes[number].reach.part.promising = false;
        }
    }

    /// A node says something: what it says that it promised is so, whatever becomes of it.
    pub(super) fn look_at_word(&mut self, number: usize, frame: &[u8]) -> Result<(), Violation> {
        if self.setup.failover.is_none() {
            return Ok(());
        }
        let Ok(Message::Ship(Ship::Promised(PromiseAnswer::Given { epoch, end }))) =
            wire::decode(frame, &self.setup.limits)
        else {
            return Ok(());
        };
        let node = &mut self.nodes[number];
        node.reach.part.said = node.reach.part.said.max(Epoch::new(epoch));
        let has = node.disk.end().map(|end| LogEnd { epoch: end.epoch.get(), lsn: end.lsn.get() });
        if has.is_some_and(|has| has > end) {
            let detail = format!("it promises {epoch} and says that its log ends with {end:?}: {has:?}");
            return Err(Violation::Unfenced { node: number, detail });
        }
        Ok(())
    }

    /// What it said that it promised is still promised when it starts again.
    pub(super) fn check_promise_kept(&self, number: usize) -> Result<(), Violation> {
        let node = &self.nodes[number];
        let said = node.reach.part.said;
        if node.disk.promised().is_some_and(|promised| promised < said) {
            let detail = format!("it said that it promised {said}, and its log does not say so");
            return Err(Violation::Forgot { node: number, detail });
        }
        Ok(())
    }

    /// A node is told something: where others stand it goes by when it decides whether it lacks too much.
    pub(super) fn look_at_heard(&mut self, number: usize, link: LinkId, frame: &[u8]) {
        let Some(takeovers) = &mut self.shared.takeovers else { return };
        match wire::decode(frame, &self.setup.limits) {
            Ok(Message::Greeting(_)) => drop(takeovers.greeted.insert(link)),
            Ok(Message::Ship(Ship::Beat(beat))) if takeovers.greeted.contains(&link) => {
                let heard = &mut self.nodes[number].reach.part.heard;
                *heard = beat.end.max(*heard);
            }
            _ => {}
        }
    }

    /// A process begins to lead: by a grant, promised by a majority, and while nobody else's lease runs.
    pub(super) fn check_claim(&self, number: usize, epoch: Epoch) -> Result<(), Violation> {
        let Some(takeovers) = &self.shared.takeovers else { return Ok(()) };
        let ungranted = |detail| Err(Violation::Ungranted { node: number, detail });
        let grant = Grant::of(epoch).number();
        if let Some(coordinator) = &takeovers.coordinator
            && !coordinator.has_granted(grant, number)
        {
            return ungranted(format!("the coordinator never gave it grant {grant}"));
        }
        let has_promised = |node: &usize| self.nodes[*node].reach.part.ever_promised >= epoch;
        let promised: Vec<usize> = self.counting().filter(has_promised).collect();
        if 2 * promised.len() <= self.counting().count() || self.nodes[number].reach.part.is_out {
            return ungranted(format!("it leads under {epoch}, which only {promised:?} have promised"));
        }
        for (other, node) in self.nodes.iter().enumerate().filter(|(other, _)| *other != number) {
            let until = self.leadership_of(other).and_then(|leadership| leadership.leads_until);
            let now = node.now(self.time).instant;
            if let Some(until) = until.filter(|until| now < *until) {
                let left = until.since(now);
                let detail = format!("it leads under {epoch}, and the lease of {other} runs for {left:?}");
                return Err(Violation::TwoLeaders { node: number, detail });
            }
        }
        Ok(())
    }

    /// A host is about to give an answer. Of an epoch nothing is said to be committed once another one has begun.
    pub(super) fn check_accepted(&self, number: usize, reply: &Reply) -> Result<(), Violation> {
        if self.setup.failover.is_none() {
            return Ok(());
        }
        let reply = if let Reply::InSession { reply, .. } = reply { reply } else { reply };
        let Reply::Commit(CommitReply::Committed { epoch, .. }) = reply else { return Ok(()) };
        match self.shared.histories.newest() {
            Some((newest, leader)) if newest > *epoch => {
                let detail = format!(
                    "it says that something is committed under {epoch}, and {leader} leads under {newest}"
                );
                Err(Violation::TwoLeaders { node: number, detail })
            }
            _ => Ok(()),
        }
    }

    /// Whether the host of a node may still give an answer that it may not give after a time; with a mistake always.
    pub(super) fn is_withheld(&mut self, number: usize, not_after: Option<Instant>) -> bool {
        let now = self.nodes[number].now(self.time).instant;
        let is_late = not_after.is_some_and(|end| now >= end);
        if let Some(takeovers) = self.shared.takeovers.as_mut().filter(|_| is_late) {
            takeovers.withheld += 1;
        }
        is_late && self.setup.plant != Some(PlantedBug::LateReplySent)
    }

    /// A node says what becomes of who leads.
    pub(super) fn note_takeover(&mut self, number: usize, event: Event) -> Result<(), Violation> {
        let Some(takeovers) = &mut self.shared.takeovers else { return Ok(()) };
        let part = &mut self.nodes[number].reach.part;
        match event {
            Event::ElectionStarted { planned } => {
                (part.electing, part.planned) = (true, planned);
                takeovers.elections += 1;
                return if planned { Ok(()) } else { self.check_gate(number) };
            }
            Event::Leads { .. } => {
                takeovers.handovers += u64::from(part.planned);
                takeovers.failovers += u64::from(!part.planned);
                part.electing = false;
            }
            Event::NotPromoted(_) | Event::Refused(_) | Event::Follows { .. } => part.electing = false,
            Event::Suspects { .. } => takeovers.suspicions += 1,
            Event::Degraded { .. } => part.leaseless = true,
            Event::Renewed => part.leaseless = false,
            Event::SwitchOverFailed { .. } => part.handing_over = false,
            Event::SteppedDown { why } => {
                (part.electing, part.leaseless, part.handing_over) = (false, false, false);
                takeovers.leases_ended += u64::from(why == WhyStepDown::LeaseEnded);
            }
            _ => {}
        }
        Ok(())
    }

    /// Nobody asks to lead who lacks more than it may of what it has heard of.
    fn check_gate(&self, number: usize) -> Result<(), Violation> {
        let Some(most) = self.setup.failover.as_ref().and_then(|rules| rules.most_lag) else { return Ok(()) };
        let (end, heard) = (self.nodes[number].reach.end, self.nodes[number].reach.part.heard);
        let is_behind = (heard.epoch, heard.lsn) > (end.epoch.get(), end.lsn.get());
        let lacks = heard.lsn.saturating_sub(end.lsn.get());
        if is_behind && lacks > most {
            let detail = format!("it asks to lead with a log that ends with {end:?}, and heard of {heard:?}");
            return Err(Violation::Laggard { node: number, detail });
        }
        Ok(())
    }

    /// A node has lost what it promised: it comes back under another name, and counts no more.
    pub(super) fn put_out(&mut self, number: usize) {
        if self.setup.failover.is_none() {
            return;
        }
        self.nodes[number].reach.part.said = Epoch::ZERO;
        if !self.counts(number) {
            return;
        }
        let node = &mut self.nodes[number];
        node.reach.part.is_out = true;
        node.name = NodeId::from_u128(number as u128 + 1 + NEXT_NAME);
        let (name, chained) = (node.name, self.setup.nodes.saturating_sub(2));
        self.note(format_args!("{number} counts no more, and comes back as {name}"));
        // Whoever is told to follow it is told otherwise.
        if number == 1 && chained > 1 {
            self.kill(chained);
        }
    }

    /// Whether the disk of a node may be lost: those that stay can lead and commit, with everything that was committed.
    pub(super) fn may_put_out(&self, number: usize) -> bool {
        let Some(rules) = &self.setup.failover else { return true };
        if !self.counts(number) {
            return true;
        }
        // Where somebody was heard to have more than the others have, nobody leads any more.
        if rules.most_lag.is_some() {
            return false;
        }
        let is_out = |node: &usize| *node == number || !self.counts(*node) || self.nodes[*node].is_rotten;
        let (out, stay): (BTreeSet<usize>, Vec<usize>) = {
            let members: Vec<usize> = self.counting().collect();
            let (out, stay): (Vec<usize>, Vec<usize>) = members.into_iter().partition(is_out);
            (out.into_iter().collect(), stay)
        };
        let can_commit = |leader: &usize| {
            let (listed, needed) = self.setup.counted_by(*leader);
            listed.iter().filter(|node| !out.contains(node)).count() >= needed
        };
        let alone = self.setup.commits.policy.need() == Need::Nobody;
        2 * stay.len() > out.len() + stay.len()
            && stay.iter().all(can_commit)
            && (alone || !self.may_commit_alone(&out))
    }

    /// Whether a node has a vote still.
    pub(crate) fn counts(&self, number: usize) -> bool {
        self.counting().any(|node| node == number) && !self.nodes[number].reach.part.is_out
    }

    /// In which phases of a change a node is.
    pub(super) fn takeover_phases(&self, number: usize) -> Phases {
        self.nodes[number].reach.part.phases()
    }
}

impl Setup {
    /// Nodes take over by these rules. Whoever leads can commit: names in a policy could leave somebody out. And where
    /// commits may be lost logs let go of nothing, for whoever cuts behind that would forget what it promised.
    pub(crate) fn take_over_by(&mut self, rules: FailoverConfig) {
        self.failover = Some(rules);
        self.snapshots &= !self.may_lose_commits();
        if let Some(hostility) = &mut self.hostility {
            hostility.between_strikes = Duration::from_millis(100)..=Duration::from_millis(1_500);
        }
        let members: Vec<usize> = self.candidates().chain([FOUNDER]).collect();
        let can_commit = |leader: &usize| {
            let (listed, needed) = self.counted_by(*leader);
            let is_named = match self.commits.policy.of() {
                Among::Everybody => false,
                Among::Listed(names) => names.contains(&name_of(*leader)),
            };
            listed.len() >= needed && !(is_named && self.commits.policy.need() == Need::All)
        };
        if !members.iter().all(can_commit) {
            self.commits.policy = AckPolicy::semi_sync();
        }
    }
}
