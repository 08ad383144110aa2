//! The adversary: it strikes nodes, disks, clocks and connections, whenever the dice say so, or when a phase of the
//! protocol has come for which it waits.

use std::collections::VecDeque;

use core::time::Duration;
use crdt_sync::LinkId;
use crdt_sync::time::Instant;

use super::{Happening, World};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::network::{End, Narrow};
use crate::phase::{Phase, Phases};
use crate::topology::Topology;

/// After how many operations of its disk a machine stops at the latest.
const MOST_OPERATIONS: u64 = 8;
/// How many strikes wait for their phase at once; more make way for the latest.
const MOST_AIMS: usize = 24;
/// Of 1000 strikes while one waits for somebody who takes a new identity, how many restore a node besides, so that it
/// takes one: few nodes do by themselves.
const RENEWALS: u32 = 500;
/// Of 1000 strikes in a world that restores nodes, before how many a node gets a new copy of its disk.
const NEW_COPIES: u32 = 300;
/// What a way carries in a second when it carries next to nothing.
const NARROW_BYTES: core::ops::RangeInclusive<u64> = 500..=20_000;

/// A strike that waits for a phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    pub(super) fault: Fault,
    pub(super) phase: Phase,
}

impl World {
    /// Lets a fault strike now, in a hostile world as in a peaceful one.
    ///
    /// The node is the one that is struck by what strikes a node, its disk or its clock; which connection breaks and
    /// who is parted from whom is left to chance. A node that is down is struck by what its disk, its clock or its
    /// operator does. What strikes the disk of a node that is up shows when the disk is used the next time, and what
    /// strikes its driver when the engine is polled the next time. A restored node needs a copy of its disk, which
    /// [`copy_disk`](Self::copy_disk) makes. A fault of frames does nothing: how many frames are struck is said by the
    /// [`Hostility`](crate::Hostility) of a world.
    pub fn inflict(&mut self, fault: Fault, node: usize) {
        self.inflict_in(fault, node, None);
    }

    /// Copies the disk of a node that is up and waits for no sync, in place of the last copy; what restores the node
    /// puts it back.
    pub fn copy_disk(&mut self, node: usize) {
        if node < self.nodes.len() {
            self.back_up(node);
        }
    }

    /// In which phases a node is.
    pub(super) fn phases_of(&self, number: usize) -> Phases {
        let node = &self.nodes[number];
        let Some(engine) = &node.engine else {
            return Phases::of(Phase::Recovering);
        };
        self.own_phases(number).and(in_activity(engine.activity())).or_idle()
    }

    /// A fault struck a node in the phases in which it is.
    pub(super) fn strike_counts(&mut self, fault: Fault, number: usize) {
        let phases = self.phases_of(number);
        self.count(fault, phases);
    }

    /// A fault struck in these phases.
    pub(super) fn count(&mut self, fault: Fault, phases: Phases) {
        self.faults.add(fault);
        self.coverage.add_all(fault, phases.or_idle());
    }

    /// Something happened at a node: a strike may have waited for it.
    pub(super) fn touch(&mut self, number: usize) {
        if !self.aims.is_empty() {
            self.touched = Some(number);
        }
    }

    /// Lets a strike fall that waited for a phase in which the node is that was touched last.
    pub(super) fn strike_aimed(&mut self) {
        const AT_ONCE: [Fault; 17] = [
            Fault::LinkBroken,
            Fault::Partitioned,
            Fault::PartitionedOneWay,
            Fault::BandwidthCollapsed,
            Fault::PowerLost,
            Fault::ProcessKilled,
            Fault::BitRot,
            Fault::DiskSlow,
            Fault::Paused,
            Fault::ClockSetForward,
            Fault::ClockSetBack,
            Fault::RestoredTold,
            Fault::RestoredUntold,
            Fault::ClonedUnderOtherName,
            Fault::RestoredAndWrote,
            Fault::Cloned,
            Fault::DiskLost,
        ];
        let Some(number) = self.touched.take().filter(|number| *number < self.nodes.len()) else { return };
        let phases = self.phases_of(number);
        let met = |aim: &Aim| AT_ONCE.contains(&aim.fault) && phases.contains(aim.phase);
        let at = self.aims.iter().position(met);
        let Some(aim) = at.and_then(|at| self.aims.remove(at)) else { return };
        let struck = self.faults.of(aim.fault);
        self.inflict_in(aim.fault, number, Some(aim.phase));
        if self.faults.of(aim.fault) == struck {
            // It could not fall here; it waits on, behind the others.
            self.aims.push_back(aim);
        }
    }

    /// Whether one of these faults waited for a phase in which the node is now; it has to fall now.
    pub(super) fn is_aimed_at(&mut self, number: usize, faults: &[Fault]) -> Option<Fault> {
        if !self.aims.iter().any(|aim| faults.contains(&aim.fault)) {
            return None;
        }
        let phases = self.phases_of(number);
        let met = |aim: &Aim| faults.contains(&aim.fault) && phases.contains(aim.phase);
        let at = self.aims.iter().position(met)?;
        self.aims.remove(at).map(|aim| aim.fault)
    }

    /// Lets a few strikes wait for their phases before anything happened: one for any, and one for nodes that are being
    /// founded, which hardly any world has later.
    pub(super) fn take_first_aims(&mut self) {
        let aimed = self.setup.hostility.as_ref().map_or(0, |hostility| hostility.aimed);
        if aimed > 0 {
            self.aim(&[Phase::Founding]);
            self.aim(self.setup.topology.phases());
        }
    }

    /// Strikes once, or begins to wait for a phase to strike in, and orders the next strike.
    pub(super) fn strike(&mut self) {
        let Some(hostility) = &self.setup.hostility else {
            return;
        };
        let aimed = hostility.aimed;
        let number = self.strikes;
        self.strikes += 1;
        self.dice.strikes = Dice::new(self.strike_chance.wrapping_add(number.into()));
        let next = self.dice.strikes.span(&hostility.between_strikes);
        self.put(next, Happening::Strike);
        let node = self.dice.strikes.index(self.nodes.len());
        if self.restores && (self.nodes[node].backup.is_none() || self.dice.strikes.chance(NEW_COPIES)) {
            self.back_up(node);
        }
        let (renews, aims) = (self.dice.strikes.chance(RENEWALS), self.dice.strikes.chance(aimed));
        if self.left_out_strikes.contains(&number) {
            return;
        }
        if renews && self.awaits_renewal() {
            self.inflict(Fault::RestoredTold, node);
        }
        if aims {
            self.aim(self.setup.topology.phases());
        } else if let Some(fault) = self.draw_fault() {
            self.inflict(fault, node);
        }
        self.strike_besides(number);
        self.strike_coordinator(number);
    }

    /// Whether a strike waits for somebody who takes a new identity, in a world in which nodes are told to.
    fn awaits_renewal(&self) -> bool {
        let told = self.setup.hostility.as_ref().is_some_and(|h| h.weight(Fault::RestoredTold) > 0);
        told && self.aims.iter().any(|aim| aim.phase == Phase::Renewing)
    }

    /// A partition is over, as far as these ways are concerned.
    pub(super) fn reopen(&mut self, ways: &[(usize, usize)]) {
        self.note(format_args!("ways are open again: {ways:?}"));
        for &(from, to) in ways {
            self.network.unblock(from, to);
        }
    }

    /// There is room on a disk again.
    pub(super) fn make_room(&mut self, number: usize) {
        self.note(format_args!("there is room on the disk of {number} again"));
        self.nodes[number].disk.make_room();
        self.put(Duration::ZERO, Happening::Start { node: number });
    }

    /// The disk of a node is full for a while.
    pub(super) fn fill_disk(&mut self, number: usize) {
        self.nodes[number].disk.fill();
        let takes = self.lasting();
        self.put(takes, Happening::Room { node: number });
    }

    /// How long a misfortune lasts.
    pub(super) fn lasting(&mut self) -> Duration {
        let lasting = self.setup.hostility.clone().unwrap_or_default().lasting;
        self.dice.strikes.span(&lasting)
    }

    fn draw_fault(&mut self) -> Option<Fault> {
        let hostility = self.setup.hostility.as_ref()?;
        let place = self.dice.strikes.below(hostility.total_weight());
        hostility.strike_at(place)
    }

    /// Lets a strike wait for one of some phases. Every pair of a fault that strikes and a phase that it can meet is
    /// drawn as often as any other, however rare the fault is otherwise.
    fn aim(&mut self, phases: &[Phase]) {
        let Some(hostility) = &self.setup.hostility else { return };
        let faults = Fault::ALL.into_iter().filter(|fault| hostility.weight(*fault) > 0);
        let phases = phases.iter().filter(|phase| !Phase::BESIDES.contains(phase));
        let pairs = faults.flat_map(|fault| phases.clone().map(move |phase| Aim { fault, phase: *phase }));
        let pairs: Vec<Aim> = pairs.filter(|aim| aim.phase.excludes(aim.fault).is_none()).collect();
        let aim = self.dice.strikes.pick(&pairs).copied();
        self.wait_for(aim);
    }

    pub(super) fn wait_for(&mut self, aim: Option<Aim>) {
        let Some(Aim { fault, phase }) = aim else { return };
        self.note(format_args!("{fault} waits for somebody who is {phase}"));
        self.aims.push_back(Aim { fault, phase });
        if self.aims.len() > MOST_AIMS {
            self.aims.pop_front();
        }
    }

    fn inflict_in(&mut self, fault: Fault, node: usize, phase: Option<Phase>) {
        let Some(known) = self.nodes.get(node) else { return };
        let (is_running, is_up) = (known.is_running(), known.engine.is_some());
        let is_paused = known.standstill.is_some();
        match fault {
            Fault::LinkBroken => self.break_link(node, phase),
            Fault::Partitioned | Fault::PartitionedOneWay => self.part(fault, node, phase),
            Fault::BandwidthCollapsed => self.narrow(node, phase),
            Fault::ClockSetForward | Fault::ClockSetBack => self.set_clock(node, fault),
            Fault::BitRot => self.rot(node),
            Fault::DiskLost => self.lose_disk(node),
            Fault::RestoredTold | Fault::RestoredUntold | Fault::RestoredAndWrote => {
                self.restore(node, fault);
            }
            Fault::ClonedUnderOtherName => self.clone_under_other_name(node),
            Fault::Cloned => self.clone_under_same_name(node),
            Fault::DiskFull => self.fill_disk(node),
            Fault::Paused if is_running && !is_paused => {
                self.strike_counts(fault, node);
                self.note(format_args!("{node} does nothing for a while"));
                self.pause(node, VecDeque::new());
            }
            Fault::DriverStalled | Fault::DriverDied if is_up => self.nodes[node].stall = Some(fault),
            _ if is_running => self.strike_node(node, fault),
            _ => {}
        }
    }

    fn strike_node(&mut self, node: usize, fault: Fault) {
        self.note(format_args!("{node} is struck: {fault}"));
        match fault {
            Fault::PowerLost => {
                self.strike_counts(fault, node);
                self.cut_power(node);
            }
            Fault::ProcessKilled => {
                self.strike_counts(fault, node);
                self.kill(node);
            }
            Fault::DiskSlow => {
                self.strike_counts(fault, node);
                self.nodes[node].slow_until = self.time + self.lasting();
            }
            // These two count when the disk is used the next time and the fault shows.
            Fault::StoppedMidWrite => {
                let operations = self.dice.strikes.below(MOST_OPERATIONS);
                self.nodes[node].disk.stop_after(operations);
            }
            Fault::SyncFailed => self.nodes[node].disk.fail_next_sync(),
            _ => {}
        }
    }

    fn break_link(&mut self, node: usize, phase: Option<Phase>) {
        let Some((link, end)) = self.draw_link(node, phase) else { return };
        let phases = self.phases_between(link, end.far);
        self.count(Fault::LinkBroken, phases);
        self.note(format_args!("{} and {} break", link.0, end.far.0));
        self.network.sever(link);
        for link in [link, end.far] {
            let takes = self.until_noticed();
            self.put(takes, Happening::LinkDown { link });
        }
    }

    fn narrow(&mut self, node: usize, phase: Option<Phase>) {
        let Some((link, end)) = self.draw_link(node, phase) else { return };
        let phases = self.phases_between(link, end.far);
        self.count(Fault::BandwidthCollapsed, phases);
        let until = self.time + self.lasting();
        let width = NARROW_BYTES.end() - NARROW_BYTES.start();
        let bytes_per_second = NARROW_BYTES.start() + self.dice.strikes.below(width);
        self.note(format_args!("{} to {} carries {bytes_per_second} bytes a second", end.node, end.far_node));
        let narrow = Narrow { until, bytes_per_second, free_at: Instant::default() };
        self.network.narrow(end.node, end.far_node, narrow);
    }

    /// A connection over which frames get; with a phase, one of this node whose one end is in it.
    fn draw_link(&mut self, node: usize, phase: Option<Phase>) -> Option<(LinkId, End)> {
        let mut links = self.network.whole_links();
        if let Some(phase) = phase {
            links.retain(|link| {
                let end = self.network.end(*link);
                end.is_some_and(|end| {
                    (end.node == node || end.far_node == node)
                        && self.phases_between(*link, end.far).contains(phase)
                })
            });
        }
        let link = self.dice.strikes.pick(&links).copied()?;
        Some((link, self.network.end(link)?))
    }

    fn part(&mut self, fault: Fault, node: usize, phase: Option<Phase>) {
        let nodes = self.nodes.len();
        let mut groups = self.dice.strikes.number();
        let mut only = None;
        if phase.is_some_and(|phase| phase != Phase::Recovering) {
            let Some((_, end)) = self.draw_link(node, phase) else { return };
            // Where one leads, and among many, hardly ever are all idle.
            let is_crowded = self.setup.topology == Topology::SingleLeader || self.setup.partial > 0;
            let is_rare = phase == Some(Phase::Idle) && is_crowded;
            only = is_rare.then_some([end.node, end.far_node]);
            groups = groups & !(1 << (end.node % 64)) | 1 << (end.far_node % 64);
        }
        let group = |node: usize| groups >> (node % 64) & 1;
        let ways: Vec<(usize, usize)> = (0..nodes)
            .flat_map(|from| (0..nodes).map(move |to| (from, to)))
            .filter(|&(from, to)| match fault {
                Fault::PartitionedOneWay => group(from) < group(to),
                _ => group(from) != group(to),
            })
            .filter(|(from, to)| only.is_none_or(|pair| pair.contains(from) && pair.contains(to)))
            .collect();
        if ways.is_empty() {
            return;
        }
        let phases = self.phases_across(&ways);
        self.count(fault, phases);
        self.note(format_args!("ways are blocked: {ways:?}"));
        for &(from, to) in &ways {
            self.network.block(from, to);
        }
        let takes = self.until_noticed();
        self.put(takes, Happening::Reopen { ways });
    }

    /// In which phases the nodes and connections are that these ways concern.
    fn phases_across(&self, ways: &[(usize, usize)]) -> Phases {
        let mut phases = Phases::default();
        for &(from, to) in ways {
            let is_down = [from, to].iter().any(|node| self.nodes[*node].engine.is_none());
            phases = phases.with(Phase::Recovering, is_down);
            for link in self.network.ends_between(from, to) {
                if let Some(end) = self.network.end(link) {
                    phases = phases.and(self.phases_between(link, end.far).without_idle());
                }
            }
        }
        phases.or_idle()
    }

    /// In which phases the two ends of a connection are.
    fn phases_between(&self, link: LinkId, far: LinkId) -> Phases {
        let of_end = |link: LinkId| {
            let Some(end) = self.network.end(link) else { return Phases::default() };
            let Some(_) = self.engine(end.node) else { return Phases::default() };
            self.own_phases(end.node).and(self.phases_on(end.node, link))
        };
        of_end(link).and(of_end(far)).or_idle()
    }

    /// In which phases a node is with the peer at the other end of a connection.
    pub(super) fn phases_on(&self, number: usize, link: LinkId) -> Phases {
        let own =
            self.engine(number).map_or_else(Phases::default, |engine| in_activity(engine.activity_on(link)));
        own.and(self.scoped_phase(number, link))
    }

    /// In which phases a node is that concern it alone.
    pub(super) fn own_phases(&self, number: usize) -> Phases {
        let node = &self.nodes[number];
        Phases::default()
            .with(Phase::Founding, node.is_new)
            .with(Phase::Renewing, node.renewing.is_some())
            .with(Phase::AwaitingSync, node.disk.awaits_sync())
            .and(self.phases_besides(number))
    }

    /// Clocks are mostly set by little, and now and then by a lot.
    fn set_clock(&mut self, node: usize, fault: Fault) {
        let jumps = self.setup.hostility.clone().unwrap_or_default().clock_jump;
        self.strike_counts(fault, node);
        let scale = self.dice.strikes.pick(&[1, 10, 100, 1_000]).copied().unwrap_or(1);
        let jump: Duration = self.dice.strikes.span(&jumps) / scale;
        let millis = i64::try_from(jump.as_millis()).unwrap_or(i64::MAX);
        let skew = &mut self.nodes[node].skew;
        *skew = match fault {
            Fault::ClockSetBack => skew.saturating_sub(millis),
            _ => skew.saturating_add(millis),
        };
        let skew = *skew;
        self.note(format_args!("the wall clock of {node} is now wrong by {skew} ms"));
    }
}

pub(super) fn in_activity(activity: crdt_sync::Activity) -> Phases {
    Phases::default()
        .with(Phase::AwaitingSync, activity.unsynced > 0)
        .with(Phase::Greeting, activity.greeting > 0)
        .with(Phase::Shipping, activity.shipping > 0)
        .with(Phase::Opening, activity.opening > 0)
        .with(Phase::Comparing, activity.comparing > 0)
        .with(Phase::Exchanging, activity.exchanging > 0)
        .with(Phase::Concluding, activity.concluding > 0)
        .with(Phase::Minting, activity.minting > 0)
        .with(Phase::Acknowledging, activity.acknowledging > 0)
        .with(Phase::Reading, activity.reading > 0)
        .with(Phase::Repairing, activity.repairing > 0)
        .with(Phase::HandingOff, activity.handing_off > 0)
        .with(Phase::Asking, activity.asking > 0)
        .with(Phase::CatchingUp, activity.catching_up > 0)
        .with(Phase::Streaming, activity.streaming > 0)
        .with(Phase::Committing, activity.committing)
        .with(Phase::Degraded, activity.degraded)
}
