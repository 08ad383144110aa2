//! What a world with one leader has besides: logs that are copies of each other, read, written and cut as their engines
//! ask.
//!
//! The world knows what no node does: who led when and wrote what, who has how much of it on a disk, and what was
//! committed. After each input it looks whether anybody shows more than may be seen, and before each answer whether it
//! is true.

use std::collections::BTreeSet;

use core::time::Duration;

use crdt_sync::single_leader::{Grant, SingleLeaderConfig};
use crdt_sync::{Engine, Input, LogNews, LogTask, NodeId};
use replication_log::{Epoch, Lsn, Position};

use super::histories::{Histories, LogPlace, Marks};
use super::ring::name_of;
use super::succession::Succession;
use super::takeovers::{Part, Takeovers};
use super::{Happening, Setup, World};
use crate::disk::{DiskError, Replacement};
use crate::faults::Fault;
use crate::violation::Violation;

/// The node that leads first.
pub(crate) const FOUNDER: usize = 0;
/// Bytes of records that may wait to be committed.
const MAX_UNCOMMITTED: usize = 4 << 10;
/// How long it takes to read a log for somebody else.
const READING: core::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(15);
/// Until the engine hears what came of what it asked for.
const TELLING: core::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(3);

/// The logs that all nodes share.
#[derive(Debug, Default)]
pub(super) struct SharedLog {
    pub(super) histories: Histories,
    /// What the node took for committed that has the present input, if it led before that.
    pub(super) before: Lsn,
    /// The nodes that said that they commit alone, since they started.
    pub(super) degraded: BTreeSet<usize>,
    /// What the leader shows before others have it, if it may.
    pub(super) shown: Marks,
    /// Epochs that were begun once more, as nothing of them was left.
    pub(super) renewed: Vec<Epoch>,
    /// Batches that were cut off some log and kept aside, by their ends.
    pub(super) kept_aside: BTreeSet<LogPlace>,
    pub(super) asked: Asked,
    pub(super) succession: Succession,
    /// Where nodes take over by themselves.
    pub(super) takeovers: Option<Takeovers>,
}

/// What came of a request at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// Under which epoch the node led, if it did.
    pub(crate) leads: Option<Epoch>,
    /// The record before those that it became.
    pub(crate) before: LogPlace,
    /// The first and the last record that it became, if it became any.
    pub(crate) written: Option<(Lsn, Lsn)>,
    /// The last record whose effect could be seen then.
    pub(crate) applied: LogPlace,
}

/// How far a node ever was: records that were on a disk which is lost were there all the same.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Reach {
    pub(super) appended: Marks,
    pub(super) durable: Marks,
    pub(super) applied: Marks,
    /// The last record that this process of it has shown.
    pub(super) shown: Lsn,
    /// Under which epoch this process leads.
    pub(super) leads: Option<Epoch>,
    /// The last durable record of its log, and the newest epoch that its log has promised.
    pub(super) end: LogPlace,
    pub(super) promised: Epoch,
    /// It would lead if it were started.
    pub(super) claims: bool,
    /// What was on its disk when that was lost, until it has that again, or what came in its place.
    pub(super) lacks: Option<LogPlace>,
    /// Its disk was lost, so that it is opened as one that never led.
    pub(super) is_emptied: bool,
    /// A part of what it wrote may be on no disk any more.
    pub(super) was_damaged: bool,
    /// Whom it follows has neither what it lacks nor a snapshot.
    pub(super) is_stranded: bool,
    /// What it said that it shows and has cut off.
    pub(super) reported_cut: Option<(Lsn, Lsn)>,
    /// Where nodes take over by themselves.
    pub(super) part: Part,
}

impl Setup {
    /// Who may count when a record is committed by the first leader: everybody else but the last two, of which one
    /// follows a follower and the other observes.
    pub(crate) fn candidates(&self) -> core::ops::Range<usize> {
        1..self.nodes.saturating_sub(2).max(1)
    }

    /// The configuration of a node; the one that follows a follower follows the leader where that one is gone.
    pub(super) fn single_leader_config(
        &self,
        node: NodeId,
        first: NodeId,
        has_upstream: bool,
    ) -> SingleLeaderConfig {
        let (chained, observer) = (self.nodes.saturating_sub(2), self.nodes.saturating_sub(1));
        let counted = self.candidates().chain([FOUNDER]).map(name_of);
        let mut config = SingleLeaderConfig::new(first, counted)
            .with_commits(self.commits.clone())
            .with_observer(name_of(observer));
        if node == name_of(chained) && chained > 1 && has_upstream {
            config = config.with_upstream(name_of(1));
        }
        config.failover = self.failover_rules();
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

    /// Who led when, and what was committed.
    pub(crate) fn histories(&self) -> &Histories {
        &self.shared.histories
    }

    /// Epochs that were begun once more since this was asked last: everything of before is gone.
    pub(crate) fn take_renewed(&mut self) -> Vec<Epoch> {
        core::mem::take(&mut self.shared.renewed)
    }

    /// Whether a batch was cut off a log and kept aside.
    pub(crate) fn is_kept_aside(&self, end: LogPlace) -> bool {
        self.shared.kept_aside.contains(&end)
    }

    /// Whether a disk of a node was lost, or put back.
    pub(crate) fn was_damaged(&self, number: usize) -> bool {
        self.nodes[number].reach.was_damaged
    }

    /// The disk of a node, which is there also while the node is down.
    pub(crate) fn disk_of(&self, number: usize) -> &crate::disk::Disk {
        &self.nodes[number].disk
    }

    /// The last record of a node's log, as its engine has it.
    pub(crate) fn end_of(&self, number: usize) -> LogPlace {
        let node = &self.nodes[number];
        match (node.reach.leads, &node.engine) {
            (Some(epoch), Some(engine)) => LogPlace { epoch, lsn: engine.status().appended },
            _ => node.disk.end().map_or(node.reach.end, LogPlace::of),
        }
    }

    /// The nodes that take themselves for the leader.
    pub(crate) fn leading(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|number| self.leads(*number))
    }

    pub(super) fn leads(&self, number: usize) -> bool {
        let node = &self.nodes[number];
        node.engine.is_some() && node.reach.leads.is_some()
    }

    /// Gives an engine an input in a world with one leader, and looks what it shows then.
    pub(super) fn handle_shared(&mut self, number: usize, input: Input) -> Result<(), Violation> {
        let now = self.nodes[number].now(self.time);
        let is_asked = self.is_asked;
        let before_end = if is_asked { self.end_of(number) } else { LogPlace::ORIGIN };
        let node = &mut self.nodes[number];
        let leads = node.reach.leads;
        let Some(engine) = &mut node.engine else { return Ok(()) };
        let led = engine.leadership().filter(|_| leads.is_some());
        self.shared.before = led.map_or(Lsn::ZERO, |leadership| leadership.committed);
        let before = is_asked.then(|| (engine.status().appended, engine.memory().uncommitted));
        engine.handle(now, input);
        let after = engine.status().appended;
        let shown = engine.leadership().map_or(Lsn::ZERO, |leadership| leadership.applied);
        self.look_at_standing(number)?;
        if let Some((before, held)) = before {
            let written = before.next().filter(|_| after > before).map(|first| (first, after));
            let written = written.filter(|_| leads.is_some());
            let applied = self.shared.histories.at(self.end_of(number), shown);
            self.shared.asked = Asked { leads, before: before_end, written, applied };
            if written.is_some() && held >= MAX_UNCOMMITTED {
                let what = "bytes of records that are not committed, and takes more";
                return Err(Violation::Unbounded { node: number, what, held, limit: MAX_UNCOMMITTED });
            }
        }
        Ok(())
    }

    /// A node is about to open its log: what its former process showed is over.
    pub(super) fn begin_process(&mut self, number: usize) -> Result<(), Violation> {
        self.shared.degraded.remove(&number);
        let node = &mut self.nodes[number];
        (node.reach.shown, node.reach.leads, node.reach.reported_cut) = (Lsn::ZERO, None, None);
        node.reach.is_stranded = false;
        node.reach.part = node.reach.part.begin();
        self.check_promise_kept(number)?;
        let node = &self.nodes[number];
        let Some(end) = node.disk.end() else { return Ok(()) };
        let was = node.reach.end;
        if !self.shared.histories.leads_to(was, LogPlace::of(end)) {
            let detail = format!("{was:?} was durable, and its log ends with {end:?}");
            return Err(Violation::Forgot { node: number, detail });
        }
        // Where nothing was written behind it, a rotten promise cannot be told from one that was never durable.
        let is_rotten = node.was_rotten || !node.rotten_files.is_empty();
        if !is_rotten && node.disk.promised().is_some_and(|promised| promised < node.reach.promised) {
            let detail = format!("it promised {}, and its log does not say so", node.reach.promised);
            return Err(Violation::Forgot { node: number, detail });
        }
        self.look_at_end(number);
        self.compare_end(number, end)
    }

    /// Does what an engine asked of its log.
    pub(super) fn carry_out(&mut self, number: usize, mut task: LogTask) -> Result<(), Violation> {
        self.look_at_task(number, &mut task)?;
        let boot = self.nodes[number].boot;
        match &task {
            LogTask::See { .. } | LogTask::Read { .. } | LogTask::ReadSnapshot { .. } => {
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
            LogTask::KeepSnapshot { offset, part, .. } => {
                self.note(format_args!("{number} keeps {} bytes of a snapshot at {offset}", part.len()));
            }
            _ => self.note(format_args!("{number} asks its log: {task:?}")),
        }
        if self.nodes[number].log_failed {
            return Ok(());
        }
        if !matches!(task, LogTask::Stand | LogTask::Begin(_) | LogTask::Reopen) {
            match self.is_aimed_at(number, &[Fault::StoppedMidWrite, Fault::DiskFull]) {
                Some(Fault::DiskFull) => self.fill_disk(number),
                Some(_) => self.nodes[number].disk.stop_after(0),
                None => {}
            }
        }
        if let LogTask::Copy { batches, .. } = &task
            && let Some(last) = batches.last()
        {
            self.nodes[number].reach.appended.add(LogPlace::of(last.lend().end()));
        }
        let end = self.nodes[number].disk.end();
        match self.nodes[number].disk.carry(task) {
            Ok(()) => {}
            Err(DiskError::CutTooFar) => return self.give_up_log(number, end),
            Err(error) => return self.disk_failed(number, &error),
        }
        self.look_at_log(number)
    }

    /// A log is to be cut where it is not any more, and no snapshot is as old: the operator puts all of it aside, and
    /// has the node begin with nothing.
    pub(super) fn give_up_log(&mut self, number: usize, end: Option<Position>) -> Result<(), Violation> {
        if !self.may_lose_commits() {
            let detail = format!("it is to cut what it let go of: {end:?}");
            return Err(Violation::Forgot { node: number, detail });
        }
        self.note(format_args!("{number} cannot cut its log so far back, and begins anew"));
        let all = self.shared.histories.ends_between(LogPlace::ORIGIN, self.end_of(number));
        self.shared.kept_aside.extend(all);
        self.kill(number);
        self.empty(number);
        Ok(())
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
        self.look_at_log_news(number, &news);
        self.handle(number, Input::Log(news))
    }

    /// Something became of the log of a node: it is a beginning of a leader's, batch by batch and byte by byte.
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
            if self.shared.histories.leader_under(end.epoch) == Some(number) {
                let differs = |detail| Violation::LogsDiffer { node: number, detail };
                self.shared.histories.write(end).map_err(differs)?;
            }
            self.compare_end(number, end)?;
        }
        self.look_at_cuts(number)?;
        self.look_at_end(number);
        let Some(replacement) = self.nodes[number].disk.take_replacement() else { return Ok(()) };
        self.note(format_args!("{number} has to be opened anew: {replacement:?}"));
        let is_install = matches!(replacement, Replacement::Installed(_));
        if let Replacement::Installed(position) = replacement {
            self.look_at_install(number, position)?;
        }
        self.check_cut_is_told(number)?;
        // Now and then the power goes just when a snapshot has taken the place of the log.
        if is_install && self.setup.hostility.is_some() && self.dice.shared.chance(250) {
            self.cut_power(number);
        } else {
            self.kill(number);
        }
        Ok(())
    }

    /// A snapshot took the place of a log, of which nobody can say what of it the leader has: all of it is kept aside.
    fn look_at_install(&mut self, number: usize, position: Position) -> Result<(), Violation> {
        let (end, place) = (self.end_of(number), LogPlace::of(position));
        let all = self.shared.histories.ends_between(LogPlace::ORIGIN, end);
        self.shared.kept_aside.extend(all);
        self.count_installed();
        let reach = &mut self.nodes[number].reach;
        (reach.end, reach.leads) = (place, None);
        self.compare_end(number, position)
    }

    /// Takes note of where a log ends.
    pub(super) fn look_at_end(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let (Some(end), Some(promised)) = (node.disk.end(), node.disk.promised()) else { return };
        let durable = node.disk.durable();
        // Less than before where the log was cut.
        node.past.durable = durable;
        let place = self.shared.histories.at(LogPlace::of(end), durable);
        node.reach.durable.add(place);
        node.reach.appended.add(place);
        (node.reach.end, node.reach.promised) = (place, promised);
        node.reach.part.has_promised(promised);
        let is_own = self.shared.histories.leader_under(place.epoch) == Some(number);
        node.reach.claims = is_own && Grant::of(promised) == Grant::of(place.epoch);
        let has = |lacks: LogPlace| {
            let newest = self.shared.histories.newest().map_or(Epoch::ZERO, |(epoch, _)| epoch);
            // What was lost of an older reign, and others have, is before the newest.
            self.shared.histories.leads_to(lacks, place) || place.epoch == newest && lacks.epoch != newest
        };
        if node.reach.lacks.is_some_and(has) {
            node.reach.lacks = None;
        }
    }

    fn compare_end(&self, number: usize, end: Position) -> Result<(), Violation> {
        let differs = |detail| Violation::LogsDiffer { node: number, detail };
        self.shared.histories.compare(end).map_err(differs)
    }

    /// How a node is told who leads first: one that lost its disk did not.
    pub(super) fn first_leader_for(&self, node: NodeId) -> NodeId {
        let is_emptied = |other: &super::node::Node| other.name == node && other.reach.is_emptied;
        let first = if self.nodes.iter().any(is_emptied) { FOUNDER + 1 } else { FOUNDER };
        if name_of(first) == node && first != FOUNDER { name_of(FOUNDER) } else { name_of(first) }
    }

    /// What an engine says of who leads.
    pub(super) fn leadership_of(&self, number: usize) -> Option<crdt_sync::single_leader::Leadership> {
        self.engine(number).and_then(Engine::leadership)
    }
}
