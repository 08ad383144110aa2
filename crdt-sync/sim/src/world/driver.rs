//! The driver of a node: it gives the engine what happens and does what the engine says. It may stand still, or die,
//! between the two.

use std::collections::VecDeque;

use crdt_sync::wire::{self, Message};
use crdt_sync::{Engine, Event, Input, Output, PartitionStatus, Reply};

use super::coordinator::unscaled;
use super::node::Node;
use super::operator::Doubt;
use super::{Happening, Notice, World};
use crate::disk::DiskError;
use crate::faults::Fault;
use crate::topology::Topology;
use crate::violation::Violation;

/// More outputs than this after one input mean that an engine talks to itself.
const MAX_OUTPUTS: usize = 10_000;

/// Whether an answer says that nothing was done, also where it comes with a session's token.
pub(crate) fn refuses(reply: &Reply) -> bool {
    match reply {
        Reply::InSession { reply, .. } => refuses(reply),
        reply => matches!(reply, Reply::Refused(_) | Reply::Overloaded),
    }
}

/// A process that does nothing: what it was to do, and what happens to it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// Polled from the engine and not carried out.
    held: VecDeque<Output>,
    /// In the order in which it came.
    pub(super) piled: VecDeque<Happening>,
}

impl World {
    /// Gives an engine an input and does what it says, to the last output.
    pub(super) fn handle(&mut self, number: usize, input: Input) -> Result<(), Violation> {
        if self.setup.topology == Topology::SingleLeader {
            self.handle_shared(number, input)?;
            return self.drain(number);
        }
        let node = &mut self.nodes[number];
        let now = node.now(self.time);
        let Some(engine) = &mut node.engine else {
            return Ok(());
        };
        if self.is_asked && self.setup.topology == Topology::MultiLeader {
            let before = engine.own_heads();
            engine.handle(now, input);
            let grown = (0..)
                .zip(&before)
                .map(|(partition, head)| (partition, *head, engine.own_entries_after(partition, *head)));
            for (partition, before, entries) in grown {
                self.grown.extend(self.lineage.grow(partition.into(), engine.replica(), before, entries));
            }
            node.wrote.insert(engine.replica());
        } else {
            engine.handle(now, input);
        }
        if self.has_forks {
            self.name_branches(number);
        }
        self.drain(number)
    }

    /// Notes what the branches are called that a node knows of.
    pub(super) fn name_branches(&mut self, number: usize) {
        for (branch, root) in self.nodes[number].engine.iter().flat_map(Engine::branches) {
            self.lineage.name(branch, root);
        }
    }

    /// Notes of which identities a node took one history for another, if it could not know better.
    fn note_unseen(&mut self, number: usize, before: &[PartitionStatus], after: &[PartitionStatus]) {
        let known = self.lineage.known(after);
        for (partition, status) in before.iter().enumerate() {
            for (segment, head) in &status.heads {
                let Some(place) = self.lineage.find(partition, *segment, *head) else { continue };
                let index = u16::try_from(partition).unwrap_or(u16::MAX);
                let forgot = |node: &Node| {
                    node.engine
                        .as_ref()
                        .is_some_and(|engine| !engine.knows_chain_at(index, *segment, head.sequence))
                };
                let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != number);
                if !known.holds(place) && others.into_iter().any(|(_, other)| forgot(other)) {
                    self.unseen_forks.insert((partition, self.lineage.origin_of(place)));
                }
            }
        }
    }

    /// A timer rings, unless another was set since.
    pub(super) fn ring(&mut self, node: usize, ticket: u64) -> Result<(), Violation> {
        if self.nodes[node].ticket == ticket { self.handle(node, Input::Timer) } else { Ok(()) }
    }

    /// A sync of the log ends, well or badly.
    pub(super) fn synced(&mut self, number: usize, boot: u64) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        if node.boot != boot || node.engine.is_none() || !node.disk.is_syncing() {
            return Ok(());
        }
        if self.is_aimed_at(number, &[Fault::SyncFailed]).is_some() {
            self.nodes[number].disk.fail_next_sync();
        }
        let node = &mut self.nodes[number];
        match node.disk.finish_sync() {
            Ok(lsn) => {
                node.is_new = false;
                node.past.durable = lsn;
                if node.renewing.is_some_and(|renewed| renewed <= lsn) {
                    (node.renewing, node.doubt) = (None, None);
                }
                self.note(format_args!("{number} has synced up to {lsn}"));
                self.look_at_log(number)?;
                self.handle(number, Input::Durable { lsn })?;
                self.tend_mending();
                Ok(())
            }
            Err(error) => {
                self.disk_failed(number, &error)?;
                self.end_if_failed(number)
            }
        }
    }

    /// A process does nothing for a while.
    pub(super) fn pause(&mut self, number: usize, held: VecDeque<Output>) {
        let takes = self.lasting();
        let node = &mut self.nodes[number];
        node.standstill = Some(Standstill { held, piled: VecDeque::new() });
        let boot = node.boot;
        self.put(takes, Happening::Resume { node: number, boot });
    }

    /// A process goes on: first it does what it had been about to do, then everything comes at once.
    pub(super) fn resume(&mut self, number: usize) -> Result<(), Violation> {
        let Some(standstill) = self.nodes[number].standstill.take() else {
            return Ok(());
        };
        self.note(format_args!("{number} goes on"));
        for happening in standstill.piled {
            self.put(core::time::Duration::ZERO, happening);
        }
        for output in standstill.held {
            if self.nodes[number].engine.is_none() {
                return Ok(());
            }
            self.perform(number, output)?;
        }
        self.end_if_failed(number)?;
        self.sync_soon(number)
    }

    pub(super) fn drain(&mut self, number: usize) -> Result<(), Violation> {
        self.touch(number);
        let ordered = self.nodes[number].stall.take();
        let aimed = self.is_aimed_at(number, &[Fault::DriverStalled, Fault::DriverDied]);
        if let Some(fault) = ordered.or(aimed) {
            return self.stall(number, fault);
        }
        for _ in 0..MAX_OUTPUTS {
            let Some(output) = self.poll(number)? else {
                self.end_if_failed(number)?;
                return self.sync_soon(number);
            };
            self.perform(number, output)?;
        }
        Err(Violation::Endless { node: number, limit: MAX_OUTPUTS })
    }

    /// The driver polls everything, does some of it, and stands still or dies.
    fn stall(&mut self, number: usize, fault: Fault) -> Result<(), Violation> {
        let mut outputs: VecDeque<Output> = VecDeque::new();
        while let Some(output) = self.poll(number)? {
            outputs.push_back(output);
            if outputs.len() > MAX_OUTPUTS {
                return Err(Violation::Endless { node: number, limit: MAX_OUTPUTS });
            }
        }
        self.note(format_args!("{number} has {} things to do: {fault}", outputs.len()));
        self.strike_counts(fault, number);
        let mut first = self.dice.strikes.index(outputs.len() + 1);
        // Who asks sees at once whether the node is there. If it is not, nothing of the command is on its disk.
        if self.is_asked && fault == Fault::DriverDied {
            let appends = |output: &Output| matches!(output, Output::Append { .. } | Output::Log(_));
            let append = outputs.iter().position(appends);
            first = first.min(append.unwrap_or(first));
        }
        for output in outputs.drain(..first).collect::<Vec<_>>() {
            if self.nodes[number].engine.is_none() {
                return Ok(());
            }
            self.perform(number, output)?;
        }
        if self.nodes[number].engine.is_none() {
            return Ok(());
        }
        if fault == Fault::DriverDied {
            self.end_somehow(number);
            return Ok(());
        }
        // A refusal tells nothing of the state, and whoever asked waits for it.
        let is_refusal = |output: &Output| matches!(output, Output::Reply { reply, .. } if refuses(reply));
        let (refusals, held) = outputs.into_iter().partition::<Vec<_>, _>(is_refusal);
        self.pause(number, held.into());
        refusals.into_iter().try_for_each(|refusal| self.perform(number, refusal))
    }

    fn poll(&mut self, number: usize) -> Result<Option<Output>, Violation> {
        let output = self.nodes[number].engine.as_mut().and_then(Engine::poll_output);
        output.iter().try_for_each(|output| self.check_output(number, output))?;
        Ok(output)
    }

    fn perform(&mut self, number: usize, output: Output) -> Result<(), Violation> {
        match output {
            Output::Append { first, records } => {
                self.note(format_args!("{number} appends {} from {first}", records.len()));
                if self.nodes[number].log_failed {
                    return Ok(());
                }
                match self.is_aimed_at(number, &[Fault::StoppedMidWrite, Fault::DiskFull]) {
                    Some(Fault::DiskFull) => self.fill_disk(number),
                    Some(_) => self.nodes[number].disk.stop_after(0),
                    None => {}
                }
                let node = &mut self.nodes[number];
                match node.disk.append(first, &records) {
                    Ok(()) => {
                        if let Some(status) = node.engine.as_ref().map(Engine::status) {
                            let before = self.has_forks.then(|| node.past.latest());
                            let after = self.has_forks.then(|| status.partitions.clone());
                            node.past.remember(status);
                            self.note_unseen(number, &before.unwrap_or_default(), &after.unwrap_or_default());
                        }
                        Ok(())
                    }
                    Err(error) => self.disk_failed(number, &error),
                }
            }
            Output::Log(task) => self.carry_out(number, task),
            Output::Send { link, frame } => {
                self.look_at_word(number, &frame)?;
                let past = &mut self.nodes[number].past;
                let unreadable = |error| Violation::UnreadableFrame { node: number, error };
                let mut phase = past.tell(&frame, &self.setup.limits).map_err(unreadable)?;
                match self.setup.topology {
                    Topology::MultiLeader => phase = phase.and(self.scoped_phase(number, link)),
                    Topology::Leaderless => phase = self.phases_of_frame(number, link, phase),
                    Topology::SingleLeader => phase = phase.and(self.phases_on(number, link)),
                }
                self.transmit(number, link, frame, phase);
                Ok(())
            }
            Output::Reply { id, reply, not_after } => {
                let reply = if self.is_withheld(number, not_after) { reply.too_late() } else { reply };
                self.check_accepted(number, &reply)?;
                self.note(format_args!("{number} answers {} {reply:?}", id.0));
                self.notices.push_back(Notice::Replied { node: number, id, reply });
                Ok(())
            }
            Output::Close { link, reason } => {
                self.note(format_args!("{number} closes {} {reason:?}", link.0));
                self.close(link);
                Ok(())
            }
            Output::SetTimer { at } => {
                let node = &mut self.nodes[number];
                node.ticket += 1;
                let ticket = node.ticket;
                let after = unscaled(at.since(node.now(self.time).instant), node.rate);
                self.put(after, Happening::Timer { node: number, ticket });
                Ok(())
            }
            Output::Failover(task) => {
                self.carry_failover(number, &task);
                Ok(())
            }
            Output::Event(event) => self.said(number, event),
            other => Err(Violation::UnknownOutput { node: number, output: format!("{other:?}") }),
        }
    }

    fn said(&mut self, number: usize, event: Event) -> Result<(), Violation> {
        self.note(format_args!("{number} says {event:?}"));
        if let (Event::PeerLeaves { link, .. }, Some(takeovers)) = (&event, &mut self.shared.takeovers) {
            takeovers.greeted.remove(link);
        }
        if let Event::Failover(event) = event {
            return self.note_takeover(number, event);
        }
        let in_doubt = Violation::PastInDoubt { node: number, event: format!("{event:?}") };
        match event {
            Event::Violation { error, .. } => {
                return Err(Violation::HonestPeerAccused { node: number, error: error.to_string() });
            }
            Event::ForkedReplica { .. } if !self.has_forks => return Err(in_doubt),
            Event::IdentityRenewed { .. } => {
                let node = &mut self.nodes[number];
                if node.doubt.is_none() && !self.has_forks {
                    return Err(in_doubt);
                }
                node.renewing = node.engine.as_ref().map(|engine| engine.status().appended);
            }
            _ => {}
        }
        self.notices.push_back(Notice::Said { node: number, event });
        Ok(())
    }

    /// The disk refused something: because the machine is stopping, because a sync was to fail, because there is no
    /// room, or without cause.
    pub(super) fn disk_failed(&mut self, number: usize, error: &DiskError) -> Result<(), Violation> {
        self.note(format_args!("{number} has a disk error: {error}"));
        self.look_at_cuts(number)?;
        let node = &mut self.nodes[number];
        if matches!(error, DiskError::Full) {
            node.log_failed = true;
            self.strike_counts(Fault::DiskFull, number);
        } else if node.disk.is_stopping() {
            self.strike_counts(Fault::StoppedMidWrite, number);
            self.cut_power(number);
        } else if node.disk.is_failing() {
            node.disk.has_failed();
            node.log_failed = true;
            self.strike_counts(Fault::SyncFailed, number);
        } else if node.disk.is_full() {
            node.log_failed = true;
            self.strike_counts(Fault::DiskFull, number);
        } else if node.is_rotten {
            node.log_failed = true;
        } else {
            return Err(Violation::AppendRefused { node: number, error: error.to_string() });
        }
        Ok(())
    }

    /// Tells an engine that its log failed: it may answer its clients, and that is all.
    pub(super) fn end_if_failed(&mut self, number: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        let now = node.now(self.time);
        let Some(engine) = node.engine.as_mut().filter(|_| node.log_failed) else {
            return Ok(());
        };
        node.log_failed = false;
        engine.handle(now, Input::LogFailed);
        for _ in 0..MAX_OUTPUTS {
            let Some(output) = self.poll(number)? else { break };
            if self.tells_of_state(&output) {
                let output = format!("{output:?}");
                return Err(Violation::EffectAfterFailure { node: number, output });
            }
            self.perform(number, output)?;
        }
        self.end_somehow(number);
        Ok(())
    }

    /// A process ends, and perhaps its machine with it: after a failed sync the operating system may show bytes that
    /// the disk never got, until the power goes.
    fn end_somehow(&mut self, number: usize) {
        if self.dice.disks.chance(500) {
            self.cut_power(number);
        } else {
            self.kill(number);
        }
    }

    /// Whether an output tells others of what may not be on the disk.
    fn tells_of_state(&self, output: &Output) -> bool {
        match output {
            Output::Reply { .. } | Output::Event(_) | Output::Close { .. } => false,
            Output::Send { frame, .. } => {
                !matches!(wire::decode(frame, &self.setup.limits), Ok(Message::Farewell(_)))
            }
            _ => true,
        }
    }

    fn sync_soon(&mut self, number: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        let boot = node.boot;
        match node.disk.begin_sync() {
            Ok(true) => {
                let is_slow = self.time < node.slow_until;
                let slow = || self.setup.hostility.clone().unwrap_or_default().slow_sync;
                let range = if is_slow { slow() } else { self.setup.sync_time.clone() };
                let takes = self.dice.disks.span(&range);
                self.put(takes, Happening::Synced { node: number, boot });
                Ok(())
            }
            Ok(false) => self.tell_of_promised(number),
            Err(error) => self.disk_failed(number, &error),
        }
    }

    /// Whether a node that was restored without being told must not write yet. Where deletions are forgotten nobody
    /// does who was restored, before it has back what it had: what it held then would be new again.
    pub(super) fn is_fenced(&mut self, number: usize) -> bool {
        if self.setup.forgets_deletions && self.nodes[number].is_behind_itself {
            self.nodes[number].is_behind_itself = self.is_damaged(number);
            if self.nodes[number].is_behind_itself {
                return true;
            }
        }
        let Some(Doubt::Untold { since }) = self.nodes[number].doubt else { return false };
        !self.has_met_all(number, since)
    }
}
