//! What nodes of a world with one leader show, take for committed and answer, compared with what the world knows.

use crdt_sync::single_leader::CommitReply;
use crdt_sync::{Event, Output, Reply, RequestId};
use replication_log::ship::Stage;
use replication_log::ship::commit::{Event as CommitEvent, GaveUp, Visibility, WhenShort};
use replication_log::ship::policy::{Among, Need};
use replication_log::{Epoch, Lsn};

use super::histories::LogPlace;
use super::ring::name_of;
use super::single_leader::FOUNDER;
use super::{Setup, World};
use crate::topology::Topology;
use crate::violation::Violation;

impl Setup {
    /// Whether clients may be told of what a change of leaders takes back, by the cluster's own choice.
    pub(crate) fn may_lose_commits(&self) -> bool {
        let commits = &self.commits;
        commits.policy.need() == Need::Nobody
            || commits.visibility == Visibility::BeforeAck
            || matches!(commits.when_short, WhenShort::DegradeToAsync { .. })
            || commits.stage < Stage::Flushed
    }

    /// Who may count when this node leads, and how many of them have to have a record.
    pub(super) fn counted_by(&self, leader: usize) -> (Vec<usize>, usize) {
        let policy = &self.commits.policy;
        let others = self.candidates().chain([FOUNDER]).filter(|node| *node != leader);
        let listed: Vec<usize> = match policy.of() {
            Among::Everybody => others.collect(),
            Among::Listed(names) => others.filter(|node| names.contains(&name_of(*node))).collect(),
        };
        let needed = match policy.need() {
            Need::Nobody => 0,
            Need::First(count) | Need::Any(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Need::All => listed.len(),
        };
        (listed, needed)
    }
}

impl World {
    pub(super) fn may_lose_commits(&self) -> bool {
        self.setup.may_lose_commits()
    }

    /// Looks what a node shows and takes for committed, and whether it leads.
    pub(super) fn look_at_standing(&mut self, number: usize) -> Result<(), Violation> {
        let Some(leadership) = self.leadership_of(number) else { return Ok(()) };
        let leads = leadership.mode.is_some().then_some(leadership.epoch);
        if let Some(epoch) = leads.filter(|_| self.nodes[number].reach.leads != leads) {
            self.check_claim(number, epoch)?;
            self.begin_reign(number, epoch)?;
        }
        let led = core::mem::replace(&mut self.nodes[number].reach.leads, leads);
        let (durable, end) = (self.nodes[number].disk.durable(), self.end_of(number));
        if leads.is_some() && leadership.committed > Lsn::ZERO {
            if leadership.committed > durable {
                let detail = format!("{} is committed, and {durable} is on its disk", leadership.committed);
                return Err(Violation::NotHeld { node: number, detail });
            }
            self.check_commit(number, self.shared.histories.at(end, leadership.committed))?;
        }
        let shown = leadership.applied;
        if shown > end.lsn {
            // It was cut off, and the engine is about to be replaced.
            return Ok(());
        }
        let place = self.shared.histories.at(end, shown);
        let before = self.nodes[number].reach.shown;
        if shown < before {
            let detail = format!("it shows {shown}, and showed {before} before");
            return Err(Violation::Forgot { node: number, detail });
        }
        if shown > before {
            let is_ahead = self.setup.commits.visibility == Visibility::BeforeAck;
            if is_ahead && leads.or(led).is_some() {
                self.shared.shown.add(place);
            } else if leads.is_none() && led.is_some() {
                // It was committed by the very input by which the node ceased to lead.
                self.check_commit(number, place)?;
            }
            let histories = &self.shared.histories;
            let may_show = histories.is_committed(place) || self.shared.shown.have(place, histories);
            if !may_show || shown > durable {
                let detail = format!("it shows {place:?}, and {durable} is on its disk");
                return Err(Violation::Uncommitted { node: number, detail });
            }
            if !histories.is_end(place) {
                let detail = format!("it shows {place:?}, with which no batch ends");
                return Err(Violation::LogsDiffer { node: number, detail });
            }
        }
        let reach = &mut self.nodes[number].reach;
        reach.shown = shown;
        reach.applied.add(place);
        Ok(())
    }

    /// A process leads. Whoever waits for others when it commits does not lose what they have to a new leader, if that
    /// was chosen with care.
    fn begin_reign(&mut self, number: usize, epoch: Epoch) -> Result<(), Violation> {
        let base = self.nodes[number].disk.end().map_or(LogPlace::ORIGIN, LogPlace::of);
        let newest = self.shared.histories.newest();
        let is_new = self.shared.histories.begin(epoch, number, base);
        let is_new = is_new.map_err(|detail| Violation::TwoLeaders { node: number, detail })?;
        self.note(format_args!("{number} leads under {epoch} behind {base:?}"));
        if !is_new {
            let heard = |node: &super::node::Node| node.reach.appended.of(epoch).is_some();
            if self.nodes.iter().any(heard) || self.shared.histories.committed.of(epoch).is_some() {
                let detail = format!("it begins epoch {epoch} once more, and there are records of it");
                return Err(Violation::TwoLeaders { node: number, detail });
            }
            self.shared.renewed.push(epoch);
        }
        let is_newest = newest.is_none_or(|(newest, _)| newest < epoch);
        if let Some(place) = self.shared.histories.committed_beside(base)
            && is_newest
            && !self.may_lose_commits()
        {
            let detail = format!("{place:?} is committed, and it leads behind {base:?}");
            return Err(Violation::NotHeld { node: number, detail });
        }
        Ok(())
    }

    /// What is newly committed is where the policy says, unless the leader may commit alone, and in the log of whoever
    /// leads under a newer epoch.
    fn check_commit(&mut self, number: usize, place: LogPlace) -> Result<(), Violation> {
        if self.shared.histories.is_committed(place) {
            return Ok(());
        }
        if !matches!(self.setup.commits.when_short, WhenShort::DegradeToAsync { .. }) {
            let stage = self.setup.commits.stage.min(Stage::Flushed);
            let held = self.check_holders(number, place, stage);
            held.map_err(|detail| Violation::NotHeld { node: number, detail })?;
        }
        self.shared.histories.committed.add(place);
        let Some((epoch, newest)) = self.shared.histories.newest() else { return Ok(()) };
        let is_there = self.shared.histories.leads_to(place, self.shared.histories.base_of(epoch));
        if epoch > place.epoch && !is_there && !self.may_lose_commits() {
            let detail = format!("it commits {place:?}, and {newest} leads under {epoch} without that");
            return Err(Violation::TwoLeaders { node: number, detail });
        }
        Ok(())
    }

    /// Whether as many followers as the policy asks for came to a stage with a record, be it that they lost it since.
    fn check_holders(&self, leader: usize, place: LogPlace, stage: Stage) -> Result<(), String> {
        let (listed, needed) = self.setup.counted_by(leader);
        let has = |node: &usize| {
            let (reach, histories) = (&self.nodes[*node].reach, &self.shared.histories);
            match stage {
                Stage::Received | Stage::Written => reach.appended.have(place, histories),
                Stage::Flushed => reach.durable.have(place, histories),
                Stage::Applied => {
                    reach.durable.have(place, histories) && reach.applied.have(place, histories)
                }
            }
        };
        let holders: Vec<usize> = listed.into_iter().filter(has).collect();
        if holders.len() >= needed {
            return Ok(());
        }
        let policy = &self.setup.commits.policy;
        Err(format!("{place:?} is {stage} at {holders:?}, and that is not what {policy} asks for"))
    }

    /// A log was cut, or is when it is opened again: what was behind is kept aside, all of it.
    pub(super) fn look_at_cuts(&mut self, number: usize) -> Result<(), Violation> {
        let cuts = self.nodes[number].disk.take_cut_off();
        cuts.into_iter().try_for_each(|(from, kept)| self.look_at_cut(number, LogPlace::of(from), &kept))
    }

    fn look_at_cut(&mut self, number: usize, from: LogPlace, kept: &[LogPlace]) -> Result<(), Violation> {
        let was = self.nodes[number].reach.end;
        let histories = &self.shared.histories;
        let cut = histories.ends_between(from, was);
        self.note(format_args!("{number} cuts its log behind {from:?}, and keeps {} batches", kept.len()));
        if let Some(lost) = cut.iter().find(|end| !kept.contains(end)) {
            let detail = format!("{lost:?} is cut off and not kept aside");
            return Err(Violation::TailLost { node: number, detail });
        }
        self.shared.kept_aside.extend(kept);
        self.shared.succession.cuts += u64::from(!cut.is_empty());
        let end = self.shared.histories.at(was, from.lsn);
        self.nodes[number].reach.end = end;
        Ok(())
    }

    /// What a node shows and is cut off it has told of.
    pub(super) fn check_cut_is_told(&mut self, number: usize) -> Result<(), Violation> {
        let node = &self.nodes[number];
        let (end, shown) = (node.reach.end.lsn, node.reach.shown);
        let cut = end.next().filter(|first| *first <= shown).map(|first| (first, shown));
        if cut.is_some() && node.reach.reported_cut != cut {
            let detail =
                format!("{cut:?} was shown and is cut off; it told of {:?}", node.reach.reported_cut);
            return Err(Violation::TailLost { node: number, detail });
        }
        if cut.is_some() && !self.may_lose_commits() {
            let detail = format!("it gives up {cut:?}, which was committed");
            return Err(Violation::Forgot { node: number, detail });
        }
        self.shared.succession.losses += u64::from(cut.is_some());
        Ok(())
    }

    /// Looks whether an answer is true when it is given.
    pub(super) fn check_output(&mut self, number: usize, output: &Output) -> Result<(), Violation> {
        if self.setup.topology != Topology::SingleLeader {
            return Ok(());
        }
        match output {
            // Its lease was over before its log had promised: it leads for no time, and its log says that it did.
            Output::Event(Event::Leads { node, epoch })
                if self.setup.failover.is_some()
                    && *node == self.nodes[number].name
                    && self.shared.histories.leader_under(*epoch).is_none() =>
            {
                self.begin_reign(number, *epoch)
            }
            Output::Event(Event::LogUnusable { error }) => {
                Err(Violation::CannotStart { node: number, error: error.to_string() })
            }
            Output::Event(Event::NotServed { peer, refusal }) if refusal.contains("no snapshot") => {
                let upstream = if number + 2 == self.setup.nodes { 1 } else { self.newest_leader() };
                self.nodes[number].reach.is_stranded |= *peer == name_of(upstream);
                Ok(())
            }
            Output::Event(Event::Commit(CommitEvent::Degraded { .. })) => {
                self.shared.degraded.insert(number);
                Ok(())
            }
            Output::Event(Event::Commit(CommitEvent::CommittedCut { first, last })) => {
                self.nodes[number].reach.reported_cut = Some((*first, *last));
                Ok(())
            }
            Output::Reply { id, reply: Reply::Commit(reply), .. } => self.check_reply(number, *id, reply),
            Output::Reply { id, reply: Reply::InSession { reply, .. }, .. } => match &**reply {
                Reply::Commit(reply) => self.check_reply(number, *id, reply),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn check_reply(&self, number: usize, request: RequestId, reply: &CommitReply) -> Result<(), Violation> {
        let Some(leadership) = self.leadership_of(number) else { return Ok(()) };
        let durable = self.nodes[number].disk.durable();
        let wrong = |detail: String| Err(Violation::FalseAnswer { node: number, request, detail });
        let options = &self.setup.commits;
        let leads = leadership.mode.is_some();
        match reply {
            CommitReply::Committed { written, degraded, epoch } => {
                let lsn = written.lsn;
                let shown = leadership.applied.min(durable);
                if lsn > shown || leads && lsn > leadership.committed {
                    return wrong(format!("record {lsn} is not shown here: {leadership:?}"));
                }
                if !degraded {
                    let place = self.shared.histories.at(LogPlace { epoch: *epoch, lsn }, lsn);
                    return self.check_holders(number, place, options.stage).or_else(wrong);
                }
                let may = matches!(options.when_short, WhenShort::DegradeToAsync { .. })
                    && self.shared.degraded.contains(&number);
                if may { Ok(()) } else { wrong("nobody said that the leader commits alone".into()) }
            }
            CommitReply::NotReplicated { written, durable_local, reason, .. } => {
                let lsn = written.lsn;
                if *durable_local && lsn > durable {
                    return wrong(format!("record {lsn} is not on the leader's disk, which has {durable}"));
                }
                // What is committed by the same input is told as it was before.
                if options.stage < Stage::Applied && lsn <= self.shared.before {
                    return wrong(format!("record {lsn} is committed, and is said not to be replicated"));
                }
                match reason {
                    GaveUp::Deadline => Ok(()),
                    GaveUp::FailFast if options.when_short == WhenShort::FailFast => Ok(()),
                    GaveUp::ReignEnded if self.setup.new_leaders || self.setup.failover.is_some() => Ok(()),
                    reason => wrong(format!("nobody had a reason to give up: {reason:?}")),
                }
            }
            CommitReply::NotLeader { leader, epoch } if !leads => {
                let known = self.shared.histories.leader_under(*epoch).map(name_of);
                if leader.is_none_or(|leader| Some(leader) == known) {
                    Ok(())
                } else {
                    wrong(format!("it says that {leader:?} leads under {epoch}"))
                }
            }
            CommitReply::NotLeader { .. } => wrong("the leader says that it does not lead".into()),
            _ => Ok(()),
        }
    }
}
