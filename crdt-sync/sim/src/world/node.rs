//! A node: an engine, its disk and its clocks, from start to crash.

use core::time::Duration;

use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::wire::{self, Message};
use crdt_sync::{ClusterKey, Config, Engine, Event, Input, NodeId, Output, Status};
use replication_log::Lsn;
use replication_log::storage::{Keep, Survivors};

use super::past::Past;
use super::{Happening, Notice, World};
use crate::dice::Dice;
use crate::disk::{Disk, DiskError};
use crate::faults::Fault;
use crate::violation::Violation;

/// More outputs than this after one input mean that an engine talks to itself.
const MAX_OUTPUTS: usize = 10_000;
/// What wall clocks show when the world begins: some day in 2023.
const EPOCH_MILLIS: u64 = 1_700_000_000_000;
/// How long a process takes to start again when nothing is wrong with it.
const RESTART: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) engine: Option<Engine>,
    pub(super) disk: Disk,
    /// Counts starts, so that what was meant for an earlier process does not reach a later one.
    boot: u64,
    /// What the monotonic clock showed when the world began; every process has its own.
    origin: Duration,
    /// By how many milliseconds the wall clock is wrong.
    pub(super) skew: i64,
    /// The number of the last timer that was set; earlier ones do not ring.
    ticket: u64,
    pub(super) past: Past,
    /// An append failed, which the engine is told as soon as it is drained.
    log_failed: bool,
}

impl Node {
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            engine: None,
            disk: Disk::new(dice.number()),
            boot: 0,
            origin: Duration::ZERO,
            skew: 0,
            ticket: 0,
            past: Past::default(),
            log_failed: false,
        }
    }

    pub(super) fn now(&self, time: Instant) -> Now {
        let millis = EPOCH_MILLIS + time.as_micros() / 1_000;
        Now {
            instant: time + self.origin,
            wall: WallTime::from_millis(millis.saturating_add_signed(self.skew)),
        }
    }
}

impl World {
    /// Starts a process: the log is recovered and the engine opened on what it holds.
    pub(super) fn start(&mut self, number: usize) -> Result<(), Violation> {
        if self.nodes[number].engine.is_some() || self.left_out_nodes.contains(&number) {
            return Ok(());
        }
        let fails = self.setup.hostility.as_ref().map_or(0, |hostility| hostility.failed_recoveries);
        if fails > 0 && self.dice.disks.chance(fails) {
            self.lose_power_in_recovery(number);
            return Ok(());
        }
        let seed = self.dice.seeds.bytes();
        let origin = Duration::from_micros(self.dice.seeds.below(1 << 40));
        let config = self.config(number, seed);
        let node = &mut self.nodes[number];
        node.boot += 1;
        node.ticket += 1;
        node.origin = origin;
        node.log_failed = false;
        let now = node.now(self.time);
        let refused = |error: String| Violation::CannotStart { node: number, error };
        let records = match node.disk.open() {
            Ok(records) => records,
            Err(_) if node.disk.is_stopping() || node.disk.is_failing() => {
                self.lose_power_in_recovery(number);
                return Ok(());
            }
            Err(error) => return Err(refused(error.to_string())),
        };
        let last = records.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        let engine = Engine::open(config, records, now);
        let mut engine = engine.map_err(|error| refused(error.to_string()))?;
        let forgot = |detail| Violation::Forgot { node: number, detail };
        node.past.come_up(&Status { appended: last, ..engine.status() }).map_err(forgot)?;
        if let Some(bug) = self.setup.plant {
            engine.plant(bug);
        }
        node.engine = Some(engine);
        self.note(format_args!("{number} starts with {last} records"));
        self.notices.push_back(Notice::Up { node: number });
        self.drain(number)?;
        let (shape, nodes) = (self.setup.shape, self.nodes.len());
        for other in (0..nodes).filter(|other| shape.links(number, *other, nodes)) {
            self.dial_soon(number, other);
        }
        Ok(())
    }

    /// Gives an engine an input and does what it says, to the last output.
    pub(super) fn handle(&mut self, number: usize, input: Input) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        let now = node.now(self.time);
        let Some(engine) = &mut node.engine else {
            return Ok(());
        };
        engine.handle(now, input);
        self.drain(number)
    }

    /// A timer rings, unless another was set since.
    pub(super) fn ring(&mut self, node: usize, ticket: u64) -> Result<(), Violation> {
        if self.nodes[node].ticket == ticket { self.handle(node, Input::Timer) } else { Ok(()) }
    }

    /// A sync of the log ends, well or badly.
    pub(super) fn synced(&mut self, number: usize, boot: u64) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        if node.boot != boot || node.engine.is_none() {
            return Ok(());
        }
        match node.disk.finish_sync() {
            Ok(lsn) => {
                self.note(format_args!("{number} has synced up to {lsn}"));
                self.handle(number, Input::Durable { lsn })
            }
            Err(error) => {
                self.disk_failed(number, &error)?;
                self.end_if_failed(number)
            }
        }
    }

    /// The power of a machine goes out.
    pub(super) fn cut_power(&mut self, number: usize) {
        let survivors = self.survivors();
        self.nodes[number].disk.lose_power(survivors);
        self.go_down(number);
    }

    /// A process ends; its machine goes on.
    pub(super) fn kill(&mut self, number: usize) {
        self.nodes[number].disk.abandon();
        self.go_down(number);
    }

    /// No errors are on order any more.
    pub(super) fn calm_disk(&mut self, number: usize) {
        let disk = &self.nodes[number].disk;
        if disk.is_stopping() || disk.is_failing() {
            self.cut_power(number);
        }
    }

    fn drain(&mut self, number: usize) -> Result<(), Violation> {
        for _ in 0..MAX_OUTPUTS {
            let engine = self.nodes[number].engine.as_mut();
            let Some(output) = engine.and_then(Engine::poll_output) else {
                self.end_if_failed(number)?;
                return self.sync_soon(number);
            };
            self.perform(number, output)?;
        }
        Err(Violation::Endless { node: number, limit: MAX_OUTPUTS })
    }

    fn perform(&mut self, number: usize, output: Output) -> Result<(), Violation> {
        match output {
            Output::Append { first, records } => {
                self.note(format_args!("{number} appends {} from {first}", records.len()));
                let node = &mut self.nodes[number];
                if node.log_failed {
                    return Ok(());
                }
                match node.disk.append(first, &records) {
                    Ok(()) => {
                        if let Some(engine) = &node.engine {
                            node.past.remember(engine.status());
                        }
                        Ok(())
                    }
                    Err(error) => self.disk_failed(number, &error),
                }
            }
            Output::Send { link, frame } => {
                let past = &mut self.nodes[number].past;
                let unreadable = |error| Violation::UnreadableFrame { node: number, error };
                past.tell(&frame, &self.setup.limits).map_err(unreadable)?;
                self.transmit(number, link, frame);
                Ok(())
            }
            Output::Reply { id, reply } => {
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
                let after = at.since(node.now(self.time).instant);
                self.put(after, Happening::Timer { node: number, ticket });
                Ok(())
            }
            Output::Event(event) => self.said(number, event),
            other => Err(Violation::UnknownOutput { node: number, output: format!("{other:?}") }),
        }
    }

    fn said(&mut self, node: usize, event: Event) -> Result<(), Violation> {
        self.note(format_args!("{node} says {event:?}"));
        match event {
            Event::Violation { error, .. } => {
                Err(Violation::HonestPeerAccused { node, error: error.to_string() })
            }
            Event::ForkedReplica { .. } | Event::IdentityRenewed { .. } => {
                Err(Violation::PastInDoubt { node, event: format!("{event:?}") })
            }
            event => {
                self.notices.push_back(Notice::Said { node, event });
                Ok(())
            }
        }
    }

    /// The disk refused something: because the machine is stopping, because a sync was to fail, or without cause.
    fn disk_failed(&mut self, number: usize, error: &DiskError) -> Result<(), Violation> {
        self.note(format_args!("{number} has a disk error: {error}"));
        let node = &mut self.nodes[number];
        if node.disk.is_stopping() {
            self.faults.add(Fault::StoppedMidWrite);
            self.cut_power(number);
            Ok(())
        } else if node.disk.is_failing() {
            node.disk.has_failed();
            node.log_failed = true;
            self.faults.add(Fault::SyncFailed);
            Ok(())
        } else {
            Err(Violation::AppendRefused { node: number, error: error.to_string() })
        }
    }

    /// Tells an engine that its log failed: it may answer its clients, and that is all.
    fn end_if_failed(&mut self, number: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[number];
        let now = node.now(self.time);
        let Some(engine) = node.engine.as_mut().filter(|_| node.log_failed) else {
            return Ok(());
        };
        node.log_failed = false;
        engine.handle(now, Input::LogFailed);
        for _ in 0..MAX_OUTPUTS {
            let engine = self.nodes[number].engine.as_mut();
            let Some(output) = engine.and_then(Engine::poll_output) else { break };
            if self.tells_of_state(&output) {
                let output = format!("{output:?}");
                return Err(Violation::EffectAfterFailure { node: number, output });
            }
            self.perform(number, output)?;
        }
        // After a failed sync the operating system may show bytes that the disk never got, until the power goes.
        if self.dice.disks.chance(500) {
            self.cut_power(number);
        } else {
            self.kill(number);
        }
        Ok(())
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
                let takes = self.dice.disks.span(&self.setup.sync_time);
                self.put(takes, Happening::Synced { node: number, boot });
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => self.disk_failed(number, &error),
        }
    }

    fn go_down(&mut self, number: usize) {
        if self.nodes[number].engine.take().is_none() {
            return;
        }
        self.note(format_args!("{number} is down"));
        self.notices.push_back(Notice::Down { node: number });
        self.drop_ends(number);
        let lasting = self.setup.hostility.as_ref().map(|hostility| hostility.lasting.clone());
        let away = lasting.map_or(RESTART, |lasting| self.dice.strikes.span(&lasting));
        self.put(away, Happening::Start { node: number });
    }

    /// The log is being opened when the power goes out again, after some operations of its recovery.
    fn lose_power_in_recovery(&mut self, number: usize) {
        self.faults.add(Fault::LostPowerInRecovery);
        self.note(format_args!("{number} loses power while it starts"));
        let survivors = self.survivors();
        let operations = self.dice.disks.below(6);
        let disk = &mut self.nodes[number].disk;
        disk.stop_after(operations);
        // Whether it had come to an end does not matter: the next start finds what is left.
        let _ = disk.open();
        disk.lose_power(survivors);
        self.put(RESTART, Happening::Start { node: number });
    }

    /// What a disk happens to have written on its own when the power goes.
    fn survivors(&mut self) -> Survivors {
        let mut keep = || match self.dice.disks.below(4) {
            0 => Keep::None,
            1 => Keep::All,
            _ => Keep::Random(self.dice.disks.number()),
        };
        Survivors { sectors: keep(), entries: keep() }
    }

    fn config(&self, number: usize, seed: [u8; 32]) -> Config {
        let node = NodeId::from_u128(number as u128 + 1);
        let cluster = ClusterKey::from_bytes(*b"one for them all");
        let mut config =
            Config::new(node, cluster, seed).with_collections(self.setup.collections.iter().cloned());
        config.partitions = self.setup.partitions;
        config.limits = self.setup.limits.clone();
        config.timing = self.setup.timing;
        config.leaf_bits = self.setup.leaf_bits;
        config
    }
}
