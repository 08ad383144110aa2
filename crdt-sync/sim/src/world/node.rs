//! A node: an engine, its disk and its clocks, from start to crash.

use std::collections::BTreeSet;

use core::time::Duration;

use crdt_core::ReplicaId;
use crdt_sync::time::{Instant, Now, WallTime};
use crdt_sync::{ClusterKey, Config, Engine, NodeId, Replication, Status};
use replication_log::Lsn;
use replication_log::storage::{Keep, Survivors};

use super::checkpoint::Making;
use super::coordinator::scaled;
use super::driver::Standstill;
use super::mending::Mending;
use super::operator::{Backup, Doubt};
use super::past::Past;
use super::single_leader::Reach;
use super::{Happening, Notice, World};
use crate::dice::Dice;
use crate::disk::Disk;
use crate::faults::Fault;
use crate::lineage::Place;
use crate::topology::Topology;
use crate::violation::Violation;

/// What wall clocks show when the world begins: some day in 2023.
const EPOCH_MILLIS: u64 = 1_700_000_000_000;
/// The key of every world's cluster.
pub(crate) const CLUSTER: ClusterKey = ClusterKey::from_bytes(*b"one for them all");
/// How long a process takes to start again when nothing is wrong with it.
const RESTART: Duration = Duration::from_millis(20);

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Node {
    pub(super) name: NodeId,
    /// How often it was founded anew under a fresh name.
    pub(super) renamed: u128,
    /// The node whose place it has among the others: its own, unless it is a clone.
    pub(super) place: usize,
    pub(super) engine: Option<Engine>,
    /// What the log holds, from when it is open until the engine is.
    pub(super) records: Option<Vec<(Lsn, Vec<u8>)>>,
    pub(super) disk: Disk,
    /// Until when each sync takes its time.
    pub(super) slow_until: Instant,
    /// Counts starts, so that what was meant for an earlier process does not reach a later one.
    pub(super) boot: u64,
    /// What the monotonic clock showed when the world began; every process has its own.
    origin: Duration,
    /// By how many millionths it runs wrong.
    pub(super) rate: i64,
    /// By how many milliseconds the wall clock is wrong.
    pub(super) skew: i64,
    /// The number of the last timer that was set; earlier ones do not ring.
    pub(super) ticket: u64,
    pub(super) past: Past,
    /// An append failed, which the engine is told as soon as it is drained.
    pub(super) log_failed: bool,
    /// The process does nothing just now.
    pub(super) standstill: Option<Standstill>,
    /// The process stands still, or dies, after it has polled what the engine wants next.
    pub(super) stall: Option<Fault>,
    /// Nothing of the node is durable yet.
    pub(super) is_new: bool,
    /// The record with which the node takes a new identity, until it is durable.
    pub(super) renewing: Option<Lsn>,
    /// The node may be without a part of its past, and has not taken a new identity since.
    pub(super) doubt: Option<Doubt>,
    pub(super) backup: Option<Backup>,
    /// A byte of the log changed, and nobody has noticed.
    pub(super) is_rotten: bool,
    /// It was so when the log was read for the last time.
    pub(super) was_rotten: bool,
    /// The files where bits changed that are still there: of checkpoints not all are read when it starts.
    pub(super) rotten_files: BTreeSet<String>,
    /// What the others had when this node lost its disk or a part of it; it is mended when it has that again.
    pub(super) owed: Vec<Place>,
    pub(super) making: Option<Making>,
    /// What a node of a leaderless world has to get back.
    pub(super) mending: Option<Mending>,
    /// Its store began with nothing, and it has not been seen to be filled: nobody can tell whether it lost something.
    pub(super) is_unfilled: bool,
    /// The identities under which it wrote, with the disk that it has.
    pub(super) wrote: BTreeSet<ReplicaId>,
    /// Its disk is an older one, and it has not got back what the others have of what was on the newer one.
    pub(super) is_behind_itself: bool,
    /// An operator has decided to retire it.
    pub(super) condemned: bool,
    /// It was retired and shut down, and never starts again.
    pub(super) gone: bool,
    /// It took the place of a retired node, and has not yet made its writes again.
    pub(super) rejoining: bool,
    /// How far it ever was, in a world with one leader.
    pub(super) reach: Reach,
    /// When its engine will have heard of everything that was done with its log.
    pub(super) told_until: Instant,
}

impl Node {
    pub(super) fn new(name: NodeId, topology: Topology, dice: &mut Dice) -> Self {
        Self {
            name,
            renamed: 0,
            place: 0,
            engine: None,
            records: None,
            disk: Disk::of(topology, dice.number()),
            slow_until: Instant::default(),
            boot: 0,
            origin: Duration::ZERO,
            rate: 0,
            skew: 0,
            ticket: 0,
            past: Past::default(),
            log_failed: false,
            making: None,
            mending: None,
            standstill: None,
            stall: None,
            is_new: true,
            renewing: None,
            doubt: None,
            backup: None,
            is_rotten: false,
            was_rotten: false,
            rotten_files: BTreeSet::new(),
            is_unfilled: topology == Topology::Leaderless,
            owed: Vec::new(),
            wrote: BTreeSet::new(),
            is_behind_itself: false,
            condemned: false,
            gone: false,
            rejoining: false,
            reach: Reach::default(),
            told_until: Instant::default(),
        }
    }

    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn now(&self, time: Instant) -> Now {
        let millis = EPOCH_MILLIS + time.as_micros() / 1_000;
        Now {
            instant: Instant::default() + scaled(time, self.rate) + self.origin,
            wall: WallTime::from_millis(millis.saturating_add_signed(self.skew)),
        }
    }

    /// Whether a process runs, be it that it still reads its log.
    pub(super) fn is_running(&self) -> bool {
        self.engine.is_some() || self.records.is_some()
    }
}

impl World {
    /// Starts a process: the log is recovered, and after a while the engine is opened on what it holds.
    pub(super) fn start(&mut self, number: usize) -> Result<(), Violation> {
        let node = &self.nodes[number];
        if node.is_running() || node.gone || self.left_out_nodes.contains(&number) || self.is_held(number) {
            return Ok(());
        }
        self.touch(number);
        if self.nodes[number].disk.is_full() {
            self.strike_counts(Fault::DiskFull, number);
            self.note(format_args!("{number} finds no room to start"));
            return Ok(());
        }
        let fails = self.setup.hostility.as_ref().map_or(0, |hostility| hostility.failed_recoveries);
        if fails > 0 && self.dice.disks.chance(fails) {
            self.lose_power_in_recovery(number);
            return Ok(());
        }
        match self.is_aimed_at(number, &[Fault::StoppedMidWrite, Fault::SyncFailed]) {
            Some(Fault::SyncFailed) => self.nodes[number].disk.fail_next_sync(),
            Some(_) => {
                let operations = self.dice.strikes.below(3);
                self.nodes[number].disk.stop_after(operations);
            }
            None => {}
        }
        let records = match self.nodes[number].disk.open() {
            Ok(records) if self.is_short(number, &records) => {
                self.note(format_args!("{number} finds its log cut where it was durable"));
                self.found_anew(number)?
            }
            Ok(records) => records,
            Err(error) => {
                let disk = &self.nodes[number].disk;
                let struck =
                    [(disk.is_stopping(), Fault::StoppedMidWrite), (disk.is_failing(), Fault::SyncFailed)];
                if let Some((_, fault)) = struck.into_iter().find(|(is_struck, _)| *is_struck) {
                    self.strike_counts(fault, number);
                    self.lose_power_in_recovery(number);
                    return Ok(());
                }
                if !self.nodes[number].is_rotten {
                    return Err(Violation::CannotStart { node: number, error: error.to_string() });
                }
                self.note(format_args!("{number} refuses its log: {error}"));
                self.found_anew(number)?
            }
        };
        let takes = self.dice.disks.span(&self.setup.recovery_time);
        let node = &mut self.nodes[number];
        node.was_rotten = std::mem::take(&mut node.is_rotten);
        node.boot += 1;
        node.records = Some(records);
        let boot = node.boot;
        self.put(takes, Happening::Opened { node: number, boot });
        Ok(())
    }

    /// The log is read: the engine begins.
    pub(super) fn open(&mut self, number: usize, boot: u64) -> Result<(), Violation> {
        let seed = self.dice.seeds.bytes();
        let origin = Duration::from_micros(self.dice.seeds.below(1 << 40));
        let rate = self.draw_rate();
        let config = self.config(number, self.nodes[number].name, seed);
        let node = &mut self.nodes[number];
        let Some(records) = node.records.take_if(|_| node.boot == boot) else {
            return Ok(());
        };
        node.ticket += 1;
        (node.origin, node.rate) = (origin, rate);
        node.log_failed = false;
        node.making = None;
        let now = node.now(self.time);
        let newest = !self.dice.checkpoints.chance(250);
        let is_rotten = node.was_rotten || !node.rotten_files.is_empty();
        let mut opened = Node::open_engine(&node.disk, config.clone(), records.clone(), now, newest);
        if opened.is_err() && is_rotten {
            opened = Node::open_engine(&node.disk, config, records, now, !newest);
        }
        let (mut engine, last) = match opened {
            Ok(opened) => opened,
            Err(_) if node.disk.is_stopping() || node.disk.is_failing() => {
                self.lose_power_in_recovery(number);
                return Ok(());
            }
            Err(error) if is_rotten => {
                self.note(format_args!("{number} finds its past rotten: {error}"));
                let records = self.found_anew(number)?;
                let config = self.config(number, self.nodes[number].name, seed);
                let opened = Node::open_engine(&self.nodes[number].disk, config, records, now, true);
                opened.map_err(|error| Violation::CannotStart { node: number, error })?
            }
            Err(error) => return Err(Violation::CannotStart { node: number, error }),
        };
        let node = &mut self.nodes[number];
        node.is_new = last == Lsn::ZERO;
        let status = Status { appended: last, ..engine.status() };
        let forgot = |detail| Violation::Forgot { node: number, detail };
        for (branch, root) in engine.branches() {
            self.lineage.name(branch, root);
        }
        let held = status.partitions.clone();
        if self.setup.topology == Topology::SingleLeader {
            // What it shows is not a function of its log alone, and is looked at besides.
            self.begin_process(number)?;
        } else {
            node.past.come_up(status, &self.lineage).map_err(forgot)?;
        }
        let node = &mut self.nodes[number];
        if node.doubt == Some(Doubt::Told) {
            engine.distrust_past(now);
            node.renewing = Some(engine.status().appended);
        }
        if let Some(bug) = self.setup.plant {
            engine.plant(bug);
        }
        node.engine = Some(engine);
        self.note(format_args!("{number} starts with {last} records"));
        self.notices.push_back(Notice::Up { node: number, held });
        self.drain(number)?;
        let boot = self.nodes[number].boot;
        self.checkpoint_later(number, boot);
        let (nodes, place) = (self.setup.nodes, self.nodes[number].place);
        let is_clone = number != place;
        for other in 0..nodes {
            if self.setup.links(place, other) || is_clone && other == place {
                self.dial_soon(number, other);
            }
        }
        Ok(())
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
        let node = &mut self.nodes[number];
        node.slow_until = Instant::default();
        // A slow sync that is under way need not take its time any more.
        if node.disk.is_syncing() {
            let boot = node.boot;
            let takes = self.dice.disks.span(&self.setup.sync_time);
            self.put(takes, Happening::Synced { node: number, boot });
        }
        let node = &mut self.nodes[number];
        if node.disk.is_full() {
            self.make_room(number);
        }
        let node = &self.nodes[number];
        if node.disk.is_stopping() || node.disk.is_failing() {
            self.cut_power(number);
        }
    }

    fn go_down(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if !node.is_running() {
            return;
        }
        node.records = None;
        (node.standstill, node.stall, node.renewing) = (None, None, None);
        let was_up = node.engine.take();
        self.note(format_args!("{number} is down"));
        self.mend_anew(number);
        if let Some(engine) = was_up {
            self.nodes[number].past.go_down(engine.status());
            self.notices.push_back(Notice::Down { node: number });
            self.drop_ends(number);
        }
        self.touch(number);
        let lasting = self.setup.hostility.as_ref().map(|hostility| hostility.lasting.clone());
        let away = lasting.map_or(RESTART, |lasting| self.dice.strikes.span(&lasting));
        self.put(away, Happening::Start { node: number });
    }

    /// The log is being opened when the power goes out again, after some operations of its recovery.
    fn lose_power_in_recovery(&mut self, number: usize) {
        self.strike_counts(Fault::LostPowerInRecovery, number);
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

    pub(super) fn config(&self, number: usize, node: NodeId, seed: [u8; 32]) -> Config {
        let mut config =
            Config::new(node, CLUSTER, seed).with_collections(self.setup.collections.iter().cloned());
        config.partitions = self.setup.partitions;
        config.scope = self.setup.scope_of(self.nodes[number].place);
        config.collects_deletions = self.setup.forgets_deletions;
        config.limits = self.setup.limits.clone();
        config.timing = self.setup.timing;
        config.leaf_bits = self.setup.leaf_bits;
        if self.setup.topology == Topology::Leaderless {
            config.replication = Replication::Leaderless(self.setup.leaderless_config(node).into());
        }
        if self.setup.topology == Topology::SingleLeader {
            let has_upstream = !self.nodes[1].reach.part.is_out;
            let first = self.first_leader_for(node);
            let settings = self.setup.single_leader_config(node, first, has_upstream);
            config.replication = Replication::SingleLeader(settings.into());
        }
        config
    }
}
