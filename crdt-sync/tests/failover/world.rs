//! Several hosts and a coordinator in true time, which none of them knows.

use std::collections::BTreeMap;
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::model::Model;
use crdt_sync::failover::supervisor::{Command, Event};
use crdt_sync::failover::{FailoverConfig, LeaseTerms};
use crdt_sync::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use replication_log::Epoch;

pub(crate) use crate::host::{Disk, Host, Message, To, position};

pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const C: usize = 2;

pub(crate) fn id(place: usize) -> NodeId {
    NodeId::from_u128(0xa + place as u128)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A clock that started at some time and runs wrong by so many millionths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) origin: u64,
    pub(crate) ppm: i64,
}

impl Clock {
    fn read(self, true_now: u64) -> Instant {
        let passed = i128::from(true_now) * i128::from(1_000_000 + self.ppm) / 1_000_000;
        Instant::from_micros(self.origin + passed as u64)
    }

    /// When it will show that at the earliest.
    fn shows(self, at: Instant) -> u64 {
        let passed = i128::from(at.as_micros().saturating_sub(self.origin));
        (passed * 1_000_000 / i128::from(1_000_000 + self.ppm)) as u64 + 1
    }
}

/// A machine: its clock goes on whatever becomes of its process.
#[derive(Debug)]
struct Machine {
    clock: Clock,
    disk: Disk,
    host: Option<Host>,
    /// The process is stopped until then, and what arrives waits.
    stopped_until: u64,
    wakes_at: u64,
}

#[derive(Debug)]
enum Happening {
    Wake(usize),
    Starts(usize),
    Arrives { to: Option<usize>, from: Option<usize>, message: Message },
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: FailoverConfig,
    pub(crate) now: u64,
    machines: Vec<Machine>,
    pub(crate) coordinator: Model,
    coordinator_clock: Clock,
    coming: BTreeMap<(u64, u64), Happening>,
    count: u64,
    /// In which part of the network each machine is, and the coordinator behind them.
    pub(crate) part: Vec<usize>,
    /// These two do not reach each other, whoever else they reach.
    pub(crate) cut: Option<(usize, usize)>,
    /// What is sent to this one takes four seconds.
    pub(crate) slow: Option<usize>,
    /// So many of a thousand messages are lost.
    pub(crate) lost: u64,
    /// The longest way, in microseconds.
    pub(crate) slowest: u64,
    /// Whether hooks confirm, by stopping the node.
    pub(crate) hooks_work: bool,
    /// Two led at once, or somebody led longer than it may.
    pub(crate) broken: Vec<String>,
    /// Everything that was told, with the true time and by whom.
    pub(crate) told: Vec<(u64, usize, Event)>,
    pub(crate) random: ChaCha8Rng,
}

impl World {
    /// Nodes with exact clocks and empty logs, as `config` says, all up.
    pub(crate) fn new(config: FailoverConfig, seed: u64) -> Self {
        let nodes = config.members.len();
        let clock = Clock { origin: 1_000_000, ppm: 0 };
        let disk =
            Disk { promised: Epoch::ZERO, end: position(0, 0), promotable: true, priority: 0, broken: false };
        let longest = config.lease.kept();
        let machine = |_| Machine { clock, disk, host: None, stopped_until: 0, wakes_at: u64::MAX };
        Self {
            now: 0,
            machines: (0..nodes).map(machine).collect(),
            coordinator: Model::new(longest),
            coordinator_clock: clock,
            coming: BTreeMap::new(),
            count: 0,
            part: vec![0; nodes + 1],
            cut: None,
            slow: None,
            lost: 0,
            slowest: 2_000,
            hooks_work: true,
            broken: Vec::new(),
            told: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
            config,
        }
    }

    /// Clocks that run as wrong as they may.
    pub(crate) fn with_drift(mut self) -> Self {
        let drift = u64::from(self.config.lease.drift_ppm);
        for node in 0..self.nodes() {
            let ppm = self.below(2 * drift + 1).cast_signed() - drift.cast_signed();
            self.machines[node].clock = Clock { origin: self.below(1 << 40), ppm };
        }
        self.coordinator_clock.ppm = self.below(2 * drift + 1).cast_signed() - drift.cast_signed();
        self
    }

    pub(crate) fn disk(&mut self, node: usize) -> &mut Disk {
        &mut self.machines[node].disk
    }

    pub(crate) fn start_all(mut self) -> Self {
        (0..self.nodes()).for_each(|node| self.start(node));
        self
    }

    pub(crate) fn nodes(&self) -> usize {
        self.machines.len()
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    pub(crate) fn start(&mut self, node: usize) {
        let now = self.local(node);
        let machine = &mut self.machines[node];
        if machine.host.is_none() {
            let host = Host::start(self.config.clone(), id(node), machine.disk, now);
            machine.host = Some(host);
            machine.stopped_until = 0;
            self.settle(node);
        }
    }

    /// The process is gone, the disk stays.
    pub(crate) fn crash(&mut self, node: usize) {
        if let Some(host) = self.machines[node].host.take() {
            self.machines[node].disk = host.disk;
        }
    }

    /// The process stands still, as in a long pause of its machine.
    pub(crate) fn stop(&mut self, node: usize, span: Duration) {
        self.machines[node].stopped_until = self.now + span.as_micros() as u64;
    }

    /// What its clock shows jumps ahead.
    pub(crate) fn jump(&mut self, node: usize, span: Duration) {
        self.machines[node].clock.origin += span.as_micros() as u64;
        let now = self.now + 1;
        self.happens(now, Happening::Wake(node));
    }

    /// These can reach each other; everybody else is in another part, with the coordinator.
    pub(crate) fn split_off(&mut self, nodes: &[usize]) {
        self.part.fill(0);
        for node in nodes {
            self.part[*node] = 1;
        }
    }

    pub(crate) fn heal(&mut self) {
        self.part.fill(0);
    }

    pub(crate) fn host(&self, node: usize) -> &Host {
        self.machines[node].host.as_ref().unwrap()
    }

    pub(crate) fn local(&self, node: usize) -> Instant {
        self.machines[node].clock.read(self.now)
    }

    pub(crate) fn coordinator_now(&self) -> Instant {
        self.coordinator_clock.read(self.now)
    }

    pub(crate) fn operate(&mut self, node: usize, command: Command) {
        let now = self.local(node);
        if let Some(host) = &mut self.machines[node].host {
            host.supervisor.operate(command, now);
            host.drain(now);
            self.settle(node);
        }
    }

    /// Who may act as the leader just now.
    pub(crate) fn leaders(&self) -> Vec<usize> {
        let valid = |node: &usize| {
            let host = self.machines[*node].host.as_ref();
            host.is_some_and(|host| host.is_valid(self.local(*node)))
        };
        (0..self.nodes()).filter(valid).collect()
    }

    /// Lets time pass until somebody leads; how long that took.
    pub(crate) fn until_somebody_leads(&mut self, at_most: Duration) -> Option<(usize, Duration)> {
        self.until(at_most, |world| world.leaders().first().copied())
    }

    pub(crate) fn until<R>(
        &mut self,
        at_most: Duration,
        is: impl Fn(&Self) -> Option<R>,
    ) -> Option<(R, Duration)> {
        let (start, end) = (self.now, self.now + at_most.as_micros() as u64);
        loop {
            if let Some(found) = is(self) {
                return Some((found, Duration::from_micros(self.now - start)));
            }
            if !self.step(end) {
                return None;
            }
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span.as_micros() as u64;
        while self.step(end) {}
    }

    /// When that node told something like that first, in true time.
    pub(crate) fn told(&self, node: usize, like: impl Fn(&Event) -> bool) -> Option<Duration> {
        let told = self.told.iter().find(|(_, by, event)| *by == node && like(event));
        told.map(|(at, ..)| Duration::from_micros(*at))
    }

    /// What was told until now is forgotten.
    pub(crate) fn forget_told(&mut self) {
        self.told.clear();
    }

    /// The next thing happens, if it does before `end`.
    fn step(&mut self, end: u64) -> bool {
        match self.coming.first_key_value() {
            Some(((at, _), _)) if *at <= end => {}
            _ => {
                self.now = end;
                return false;
            }
        }
        let Some(((at, _), happening)) = self.coming.pop_first() else { return false };
        self.now = self.now.max(at);
        match happening {
            Happening::Wake(node) => self.wake(node),
            Happening::Starts(node) => self.start(node),
            Happening::Arrives { to: None, from: Some(from), message } => {
                self.ask_coordinator(from, &message);
            }
            Happening::Arrives { to: Some(to), from, message } => self.arrive(to, from, message),
            Happening::Arrives { .. } => {}
        }
        true
    }

    fn wake(&mut self, node: usize) {
        let stopped = self.machines[node].stopped_until;
        if stopped > self.now {
            return self.happens(stopped, Happening::Wake(node));
        }
        let now = self.local(node);
        self.machines[node].wakes_at = u64::MAX;
        if let Some(host) = &mut self.machines[node].host {
            host.tick(now);
            host.write(now);
            self.settle(node);
        }
    }

    fn arrive(&mut self, to: usize, from: Option<usize>, message: Message) {
        let stopped = self.machines[to].stopped_until;
        if stopped > self.now {
            return self.happens(stopped, Happening::Arrives { to: Some(to), from, message });
        }
        let now = self.local(to);
        if let Some(host) = &mut self.machines[to].host {
            host.receive(from.map(id), message, now);
            self.settle(to);
        }
    }

    fn ask_coordinator(&mut self, from: usize, message: &Message) {
        if let Message::Ask(ask_id, ask) = *message {
            let answer = self.coordinator.handle(self.coordinator_now(), ask);
            self.send(None, Some(from), Message::Answer(ask_id, answer));
        }
    }

    /// Sends what a host wants sent, and wakes it when it wants to be woken.
    fn settle(&mut self, node: usize) {
        let Some(host) = &mut self.machines[node].host else { return };
        let (out, shoot) = (std::mem::take(&mut host.out), std::mem::take(&mut host.shoot));
        let events = std::mem::take(&mut host.events);
        let (led, deadline) = (std::mem::take(&mut host.led), host.next_deadline());
        self.told.extend(events.into_iter().map(|event| (self.now, node, event)));
        if led {
            self.check_nobody_else_leads(node);
        }
        for (to, message) in out {
            let to = match to {
                To::Coordinator => None,
                To::Node(to) => (0..self.nodes()).find(|place| id(*place) == to),
            };
            self.send(Some(node), to, message);
        }
        for victim in shoot {
            self.shoot(node, victim);
        }
        let at = self.machines[node].clock.shows(deadline).max(self.now + 1);
        if at < self.machines[node].wakes_at {
            self.machines[node].wakes_at = at;
            self.happens(at, Happening::Wake(node));
        }
    }

    /// A node that is stopped is started again, as machines are by whoever watches over them.
    fn shoot(&mut self, by: usize, victim: NodeId) {
        if !self.hooks_work {
            return;
        }
        if let Some(victim) = (0..self.nodes()).find(|place| id(*place) == victim) {
            self.crash(victim);
            self.happens(self.now + 5_000_000, Happening::Starts(victim));
        }
        let now = self.local(by);
        if let Some(host) = &mut self.machines[by].host {
            host.supervisor.fenced(Ok(()), now);
            host.drain(now);
            self.settle(by);
        }
    }

    /// A stopped process counts: it may go on at any moment.
    fn check_nobody_else_leads(&mut self, node: usize) {
        let leaders = self.leaders();
        if leaders.len() > 1 {
            self.broken.push(format!("at {} us {leaders:?} lead", self.now));
        }
        let host = self.host(node);
        let lease = host.supervisor.lease_until();
        if host.leads.is_some_and(|(_, until)| lease != Some(until)) {
            self.broken.push(format!("at {} us {node} leads by a lease that it does not have", self.now));
        }
    }

    fn send(&mut self, from: Option<usize>, to: Option<usize>, message: Message) {
        let outside = self.nodes();
        let (from_part, to_part) = (self.part[from.unwrap_or(outside)], self.part[to.unwrap_or(outside)]);
        let cut =
            self.cut.is_some_and(|(a, b)| [(Some(a), Some(b)), (Some(b), Some(a))].contains(&(from, to)));
        if cut || from_part != to_part || self.below(1_000) < self.lost {
            return;
        }
        let slow = if to.is_some() && to == self.slow { 4_000_000 } else { 0 };
        let way = 500 + slow + self.below(self.slowest);
        self.happens(self.now + way, Happening::Arrives { to, from, message });
    }

    fn happens(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.coming.insert((at, self.count), happening);
    }
}

impl World {
    /// Lets somebody begin to lead, and everybody hear of it.
    pub(crate) fn led(mut self) -> (Self, usize) {
        let (leader, _) = self.until_somebody_leads(secs(120)).unwrap();
        self.run(secs(20));
        self.forget_told();
        (self, leader)
    }
}

/// The defaults, among so many nodes, without the hour after a failover.
pub(crate) fn settings(nodes: usize) -> FailoverConfig {
    FailoverConfig { flapping: Duration::ZERO, ..FailoverConfig::new((0..nodes).map(id)) }
}

/// The longest that a connected majority may be without a leader, as `docs/failover.md` states it.
pub(crate) fn bound(config: &FailoverConfig) -> Duration {
    let lease: LeaseTerms = config.lease;
    let patience = secs(30);
    patience + 2 * lease.kept() + 2 * config.heartbeat + config.turn * (config.members.len() as u32 + 8)
}
