//! What a world with one leader has besides: a log that all share, and what can be seen of it from outside.
//!
//! The world knows what no node does: what the leader wrote, who has how much of it on a disk, and what was committed.
//! After each input it looks whether anybody shows more than may be seen, and before each answer whether it is true.

use std::collections::BTreeMap;

use core::time::Duration;

use crdt_sync::single_leader::{CommitReply, SingleLeaderConfig};
use crdt_sync::{Event, Input, LogNews, LogTask, NodeId, Output, Reply, RequestId};
use replication_log::ship::Stage;
use replication_log::ship::commit::{Event as CommitEvent, GaveUp, Visibility, WhenShort};
use replication_log::ship::policy::{Among, Need};
use replication_log::{Lsn, Position};

use super::ring::name_of;
use super::{Happening, Setup, World};
use crate::disk::DiskError;
use crate::faults::Fault;
use crate::topology::Topology;
use crate::violation::Violation;

/// The node that leads, as long as the world stands.
pub(crate) const LEADER: usize = 0;
/// Bytes of records that may wait to be committed.
const MAX_UNCOMMITTED: usize = 4 << 10;
/// How long it takes to read a log for somebody else.
const READING: core::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(15);
/// Until the engine hears what came of what it asked for.
const TELLING: core::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(3);

/// The log that all nodes share.
#[derive(Debug, Default)]
pub(super) struct SharedLog {
    /// Behind each batch of the leader's log.
    ends: BTreeMap<Lsn, Position>,
    /// The last record that was ever committed.
    committed: Lsn,
    /// What the leader took for committed before the present input.
    before: Lsn,
    /// The leader said that it commits alone, at least once since it started.
    degraded: bool,
    /// The last record in the leader's log when it started.
    recovered: Lsn,
    asked: Asked,
}

/// What came of a request at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// The first and the last record that it became, if it became any.
    pub(crate) written: Option<(Lsn, Lsn)>,
    /// The last record whose effect could be seen then.
    pub(crate) applied: Lsn,
}

/// How far a node ever was: records that were on a disk which is lost were there all the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    appended: Lsn,
    pub(super) durable: Lsn,
    applied: Lsn,
    /// The last record that this process of it has shown.
    shown: Lsn,
}

impl Setup {
    /// Who may count when a record is committed: everybody but the leader, and the last two, of which one follows a
    /// follower and the other observes.
    pub(crate) fn candidates(&self) -> core::ops::Range<usize> {
        1..self.nodes.saturating_sub(2).max(1)
    }

    pub(super) fn single_leader_config(&self, node: NodeId) -> SingleLeaderConfig {
        let (chained, observer) = (self.nodes.saturating_sub(2), self.nodes.saturating_sub(1));
        let mut config = SingleLeaderConfig::new(name_of(LEADER), self.candidates().map(name_of))
            .with_commits(self.commits.clone())
            .with_observer(name_of(observer));
        if node == name_of(chained) && chained > 1 {
            config = config.with_upstream(name_of(1));
        }
        config.max_uncommitted = MAX_UNCOMMITTED;
        config.window = 2 << 10;
        config.frame_bytes = 512;
        config.patience = Duration::from_millis(800);
        config
    }
}

impl World {
    /// What came of the last request at once.
    pub(crate) fn asked(&self) -> Asked {
        self.shared.asked
    }

    /// The last record that was ever committed.
    pub(crate) fn committed(&self) -> Lsn {
        self.shared.committed
    }

    /// The last record in the leader's log when it started last.
    pub(crate) fn recovered(&self) -> Lsn {
        self.shared.recovered
    }

    /// The disk of a node, which is there also while the node is down.
    pub(crate) fn disk_of(&self, number: usize) -> &crate::disk::Disk {
        &self.nodes[number].disk
    }

    /// Gives an engine an input in a world with one leader, and looks what it shows then.
    pub(super) fn handle_shared(&mut self, number: usize, input: Input) -> Result<(), Violation> {
        let now = self.nodes[number].now(self.time);
        let is_asked = self.is_asked;
        let Some(engine) = &mut self.nodes[number].engine else { return Ok(()) };
        if number == LEADER {
            self.shared.before = engine.leadership().map_or(Lsn::ZERO, |leadership| leadership.committed);
        }
        let before = is_asked.then(|| (engine.status().appended, engine.memory().uncommitted));
        engine.handle(now, input);
        if let Some((before, held)) = before {
            let (after, leadership) = (engine.status().appended, engine.leadership());
            let written = before.next().filter(|_| after > before).map(|first| (first, after));
            let applied = leadership.map_or(Lsn::ZERO, |leadership| leadership.applied);
            self.shared.asked = Asked { written, applied };
            if written.is_some() && held >= MAX_UNCOMMITTED {
                let what = "bytes of records that are not committed, and takes more";
                return Err(Violation::Unbounded { node: number, what, held, limit: MAX_UNCOMMITTED });
            }
        }
        self.look_at_standing(number)
    }

    /// A node is about to open its log: what its former process showed is over.
    pub(super) fn begin_process(&mut self, number: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        node.reach.shown = Lsn::ZERO;
        let Some(end) = node.disk.end() else { return Ok(()) };
        if end.lsn < node.past.durable {
            let detail = format!("{} was durable, and its log ends with {}", node.past.durable, end.lsn);
            return Err(Violation::Forgot { node: number, detail });
        }
        node.past.durable = end.lsn;
        node.reach.durable = node.reach.durable.max(end.lsn);
        node.reach.appended = node.reach.appended.max(end.lsn);
        if number == LEADER {
            if let Some(behind) = end.lsn.next() {
                self.shared.ends.split_off(&behind);
            }
            (self.shared.recovered, self.shared.degraded) = (end.lsn, false);
        }
        self.compare_end(number, end)
    }

    /// Does what an engine asked of its log.
    pub(super) fn carry_out(&mut self, number: usize, task: LogTask) -> Result<(), Violation> {
        let boot = self.nodes[number].boot;
        match &task {
            LogTask::See { .. } | LogTask::Read { .. } => {
                // Some logs are read at once, and some when somebody has time; the answer comes later.
                if self.dice.shared.chance(500) {
                    let after = self.dice.shared.span(&READING);
                    self.put(after, Happening::Look { node: number, boot, task });
                    return Ok(());
                }
                let news = self.look_into(number, task)?;
                let after = self.dice.shared.span(&READING);
                if let Some(news) = news {
                    self.put(after, Happening::Told { node: number, boot, news });
                }
                return Ok(());
            }
            LogTask::Append { records, .. } => {
                self.note(format_args!("{number} appends {}", records.len()));
            }
            LogTask::Copy { batches, .. } => {
                self.note(format_args!("{number} copies {} batches", batches.len()));
            }
            LogTask::Reopen | LogTask::Install(_) => {
                self.note(format_args!("{number} has to be opened anew"));
                self.kill(number);
                return Ok(());
            }
            _ => self.note(format_args!("{number} asks its log: {task:?}")),
        }
        if self.nodes[number].log_failed {
            return Ok(());
        }
        if matches!(task, LogTask::Append { .. } | LogTask::Copy { .. }) {
            match self.is_aimed_at(number, &[Fault::StoppedMidWrite, Fault::DiskFull]) {
                Some(Fault::DiskFull) => self.fill_disk(number),
                Some(_) => self.nodes[number].disk.stop_after(0),
                None => {}
            }
        }
        if let LogTask::Copy { batches, .. } = &task
            && let Some(last) = batches.last()
        {
            let reach = &mut self.nodes[number].reach;
            reach.appended = reach.appended.max(last.lend().last());
        }
        if let Err(error) = self.nodes[number].disk.carry(task) {
            return self.disk_failed(number, &error);
        }
        self.look_at_log(number)
    }

    /// A log is read for somebody else, some time after that was asked for.
    pub(super) fn look(&mut self, number: usize, boot: u64, task: LogTask) -> Result<(), Violation> {
        if self.nodes[number].boot != boot || self.nodes[number].engine.is_none() {
            return Ok(());
        }
        let news = self.look_into(number, task)?;
        self.end_if_failed(number)?;
        news.map_or(Ok(()), |news| self.told(number, boot, news))
    }

    fn look_into(&mut self, number: usize, task: LogTask) -> Result<Option<LogNews>, Violation> {
        let node = &mut self.nodes[number];
        if node.log_failed {
            return Ok(None);
        }
        let news = node.disk.look(task);
        let is_stopped = node.disk.is_stopping() && matches!(news, Ok(Some(LogNews::Failed { .. })));
        match news {
            // The machine has stopped, and who reads is the first to notice.
            Ok(_) if is_stopped => {
                self.disk_failed(number, &DiskError::Closed)?;
                Ok(None)
            }
            Ok(news) => Ok(news),
            Err(error) => {
                self.disk_failed(number, &error)?;
                Ok(None)
            }
        }
    }

    /// An engine hears what came of what it asked for.
    pub(super) fn told(&mut self, number: usize, boot: u64, news: LogNews) -> Result<(), Violation> {
        if self.nodes[number].boot != boot {
            return Ok(());
        }
        self.handle(number, Input::Log(news))
    }

    /// Something became of the log of a node: it is a beginning of the leader's, batch by batch and byte by byte.
    pub(super) fn look_at_log(&mut self, number: usize) -> Result<(), Violation> {
        let boot = self.nodes[number].boot;
        while let Some(news) = self.nodes[number].disk.poll_news() {
            // One behind the other: a log stands somewhere when everything before is done.
            let after = self.dice.shared.span(&TELLING);
            let at = (self.time + after).max(self.nodes[number].told_until);
            self.nodes[number].told_until = at;
            self.put(at.since(self.time), Happening::Told { node: number, boot, news });
        }
        for end in self.nodes[number].disk.take_ends() {
            if number == LEADER {
                self.shared.ends.insert(end.lsn, end);
            }
            self.compare_end(number, end)?;
        }
        let node = &mut self.nodes[number];
        let durable = node.disk.durable();
        // Less than before where the log was cut.
        node.past.durable = durable;
        node.reach.durable = node.reach.durable.max(durable);
        Ok(())
    }

    fn compare_end(&self, number: usize, end: Position) -> Result<(), Violation> {
        let expected = if end.lsn == Lsn::ZERO { None } else { self.shared.ends.get(&end.lsn).copied() };
        if end.lsn == Lsn::ZERO || expected == Some(end) {
            return Ok(());
        }
        let detail = format!("its log ends with {end:?}, where the leader's has {expected:?}");
        Err(Violation::LogsDiffer { node: number, detail })
    }

    /// Looks what a node shows and takes for committed.
    fn look_at_standing(&mut self, number: usize) -> Result<(), Violation> {
        let node = &self.nodes[number];
        let Some(leadership) = node.engine.as_ref().and_then(crdt_sync::Engine::leadership) else {
            return Ok(());
        };
        let durable = node.disk.durable();
        if number == LEADER && leadership.mode.is_some() {
            if leadership.committed > durable {
                let detail = format!("{} is committed, and {durable} is on its disk", leadership.committed);
                return Err(Violation::NotHeld { node: number, detail });
            }
            if leadership.committed > self.shared.committed {
                self.check_commit(leadership.committed)?;
                self.shared.committed = leadership.committed;
            }
        }
        let is_ahead = number == LEADER && self.setup.commits.visibility == Visibility::BeforeAck;
        let may_show = if is_ahead { durable } else { self.shared.committed.min(durable) };
        let (shown, reach) = (leadership.applied, self.nodes[number].reach);
        if shown > may_show {
            let detail = format!("it shows {shown}, and only {may_show} may be seen");
            return Err(Violation::Uncommitted { node: number, detail });
        }
        if shown < reach.shown {
            let detail = format!("it shows {shown}, and showed {} before", reach.shown);
            return Err(Violation::Forgot { node: number, detail });
        }
        if shown != Lsn::ZERO && !self.shared.ends.contains_key(&shown) {
            let detail = format!("it shows {shown}, with which no batch ends");
            return Err(Violation::LogsDiffer { node: number, detail });
        }
        self.nodes[number].reach = Reach { shown, applied: reach.applied.max(shown), ..reach };
        Ok(())
    }

    /// What is newly committed is where the policy says, unless the leader may commit alone.
    fn check_commit(&self, lsn: Lsn) -> Result<(), Violation> {
        if matches!(self.setup.commits.when_short, WhenShort::DegradeToAsync { .. }) {
            return Ok(());
        }
        let stage = self.setup.commits.stage.min(Stage::Flushed);
        self.check_holders(lsn, stage).map_err(|detail| Violation::NotHeld { node: LEADER, detail })
    }

    /// Whether as many followers as the policy asks for came to a stage with a record, be it that they lost it since.
    fn check_holders(&self, lsn: Lsn, stage: Stage) -> Result<(), String> {
        let policy = &self.setup.commits.policy;
        let candidates = self.setup.candidates();
        let listed: Vec<usize> = match policy.of() {
            Among::Everybody => candidates.collect(),
            Among::Listed(names) => candidates.filter(|node| names.contains(&name_of(*node))).collect(),
        };
        let needed = match policy.need() {
            Need::Nobody => return Ok(()),
            Need::First(count) | Need::Any(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Need::All => listed.len(),
        };
        let has = |node: &usize| {
            let reach = self.nodes[*node].reach;
            lsn <= match stage {
                Stage::Received | Stage::Written => reach.appended,
                Stage::Flushed => reach.durable,
                Stage::Applied => reach.durable.min(reach.applied),
            }
        };
        let holders: Vec<usize> = listed.into_iter().filter(has).collect();
        if holders.len() >= needed {
            return Ok(());
        }
        Err(format!("record {lsn} is {stage} at {holders:?}, and that is not what {policy} asks for"))
    }

    /// Looks whether an answer is true when it is given.
    pub(super) fn check_output(&mut self, number: usize, output: &Output) -> Result<(), Violation> {
        if self.setup.topology != Topology::SingleLeader {
            return Ok(());
        }
        match output {
            Output::Event(Event::LogUnusable { error }) => {
                Err(Violation::CannotStart { node: number, error: error.to_string() })
            }
            Output::Event(Event::Commit(CommitEvent::Degraded { .. })) => {
                self.shared.degraded = true;
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
        let node = &self.nodes[number];
        let Some(leadership) = node.engine.as_ref().and_then(crdt_sync::Engine::leadership) else {
            return Ok(());
        };
        let durable = node.disk.durable();
        let wrong = |detail: String| Err(Violation::FalseAnswer { node: number, request, detail });
        let options = &self.setup.commits;
        match reply {
            CommitReply::Committed { written, degraded, .. } => {
                let lsn = written.lsn;
                if lsn > leadership.applied.min(leadership.committed).min(durable) {
                    return wrong(format!("record {lsn} is not shown here: {leadership:?}"));
                }
                if !degraded {
                    return self.check_holders(lsn, options.stage).or_else(wrong);
                }
                let may =
                    matches!(options.when_short, WhenShort::DegradeToAsync { .. }) && self.shared.degraded;
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
                    reason => wrong(format!("nobody had a reason to give up: {reason:?}")),
                }
            }
            CommitReply::NotLeader { leader, .. } if number != LEADER || leadership.mode.is_none() => {
                let known = leader.is_none_or(|leader| leader == name_of(LEADER));
                if known { Ok(()) } else { wrong(format!("it says that {leader:?} leads")) }
            }
            CommitReply::NotLeader { .. } => wrong("the leader says that it does not lead".into()),
            _ => Ok(()),
        }
    }

    /// Whether the disk of a node may be lost, or a part of it: not the leader's, whose place nobody takes, and not
    /// while half of the nodes have not got back what they lost.
    pub(super) fn may_lose(&self, number: usize) -> bool {
        let lacks = |other: usize| {
            let node = &self.nodes[other];
            node.is_rotten || node.past.durable < node.reach.durable
        };
        let already = (0..self.nodes.len()).filter(|other| *other != number && lacks(*other)).count();
        number != LEADER && 2 * (already + 1) < self.nodes.len()
    }
}
