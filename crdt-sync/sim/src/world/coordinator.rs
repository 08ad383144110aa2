//! What nodes that take over by themselves ask for outside: a coordinator over wires of its own, and a hook that stops
//! the old leader.
//!
//! The coordinator does one thing after the other, by a clock of its own. What is asked and what it answers may be late
//! or lost, its store is lost now and then and comes back whole or empty, and nodes that reach it may not hear of it.
//! The hook stops a process at once, or says that it could not, or says nothing.

use core::time::Duration;
use std::collections::BTreeSet;

use crdt_sync::failover::model::{Model, Recovered};
use crdt_sync::failover::stonith::NotFenced;
use crdt_sync::failover::supervisor::AskId;
use crdt_sync::failover::{Answer, Ask, FailoverConfig, GrantedBy};
use crdt_sync::time::Instant;
use crdt_sync::{FailoverNews, FailoverTask, Input, NodeId};

use super::takeovers::Takeovers;
use super::{Happening, World};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::violation::Violation;

/// How long it takes to reach the coordinator, and to hear from it.
const WAY: core::ops::RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(35);
/// How long a hook takes.
const HOOK: core::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(120);
/// Of 1000 strikes, with how many something becomes of the coordinator or of the ways to it besides.
const STRUCK: u32 = 250;

/// The coordinator, and who reaches it.
#[derive(Debug)]
pub(super) struct Coordinator {
    model: Model,
    /// By how many millionths its clock runs wrong.
    rate: i64,
    /// Who cannot be heard by it, and who cannot hear it.
    blocked: BTreeSet<(usize, Way)>,
    /// To whom it gave which grant.
    granted: BTreeSet<(u64, usize)>,
    /// How often its store was lost.
    pub(super) losses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    There,
    Back,
}

impl Coordinator {
    /// `None` where the nodes themselves grant.
    pub(super) fn of(rules: &FailoverConfig, rate: i64) -> Option<Self> {
        let GrantedBy::Coordinator { .. } = rules.granted_by else { return None };
        let model = Model::new(rules.lease.kept());
        Some(Self { model, rate, blocked: BTreeSet::new(), granted: BTreeSet::new(), losses: 0 })
    }

    pub(super) fn has_granted(&self, grant: u64, node: usize) -> bool {
        self.granted.contains(&(grant, node))
    }
}

impl World {
    /// Does what an engine wants done so that its node may lead, or lead on.
    pub(super) fn carry_failover(&mut self, number: usize, task: &FailoverTask) {
        match *task {
            FailoverTask::Ask { id, ask } => {
                self.note(format_args!("{number} asks the coordinator: {ask:?}"));
                let boot = self.nodes[number].boot;
                if let Some(after) = self.way(number, Way::There) {
                    self.put(after, Happening::Ask { node: number, boot, id, ask });
                }
            }
            FailoverTask::Stonith { node, .. } => self.shoot(number, node),
            _ => {}
        }
    }

    /// The coordinator is asked.
    pub(super) fn coordinate(&mut self, node: usize, boot: u64, id: AskId, ask: Ask) {
        let time = self.time;
        let Some(coordinator) = self.coordinator() else { return };
        let answer = coordinator.model.handle(Instant::default() + scaled(time, coordinator.rate), ask);
        if let Answer::Granted(grant) | Answer::Renewed(grant) = &answer {
            coordinator.granted.insert((grant.number(), node));
        }
        self.note(format_args!("the coordinator answers {node}: {answer:?}"));
        if let Some(after) = self.way(node, Way::Back) {
            self.put(after, Happening::Outside { node, boot, news: FailoverNews::Answer { id, answer } });
        }
    }

    /// A process hears what came of what it wanted.
    pub(super) fn hear_outside(
        &mut self,
        node: usize,
        boot: u64,
        news: FailoverNews,
    ) -> Result<(), Violation> {
        if self.nodes[node].boot == boot { self.handle(node, Input::Failover(news)) } else { Ok(()) }
    }

    /// Whether what is sent to the coordinator, or by it, arrives, and after how long.
    fn way(&mut self, node: usize, way: Way) -> Option<Duration> {
        let hostility = self.setup.hostility.clone();
        let takeovers = self.takeovers()?;
        let is_blocked =
            takeovers.coordinator.as_ref().is_none_or(|known| known.blocked.contains(&(node, way)));
        let mut takes = takeovers.dice.span(&WAY);
        if let Some(hostility) = hostility {
            let is_lost = takeovers.dice.chance(hostility.lost_frames);
            if takeovers.dice.chance(hostility.delayed_frames) {
                takes += takeovers.dice.span(&hostility.long_delay);
            }
            return (!is_blocked && !is_lost).then_some(takes);
        }
        Some(takes)
    }

    /// Somebody wants the old leader stopped.
    fn shoot(&mut self, by: usize, name: NodeId) {
        let target = self.nodes.iter().position(|node| node.name == name).filter(|target| *target != by);
        let is_hostile = self.setup.hostility.is_some();
        let Some(takeovers) = self.takeovers() else { return };
        let fate = if is_hostile { takeovers.dice.below(5) } else { 0 };
        let takes = takeovers.dice.span(&HOOK);
        let ended = match fate {
            0..=2 => Ok(()),
            3 => Err(NotFenced::Failed),
            _ => return self.note(format_args!("{by} wants {name} stopped, and nobody answers")),
        };
        self.note(format_args!("{by} wants {name} stopped: {ended:?}"));
        if let (Some(target), Ok(())) = (target, ended) {
            self.kill(target);
        }
        let boot = self.nodes[by].boot;
        self.put(takes, Happening::Outside { node: by, boot, news: FailoverNews::Stonith(ended) });
    }

    /// Strikes the coordinator besides, or the ways to it.
    pub(super) fn strike_coordinator(&mut self, number: u32) {
        let Some(hostility) = self.setup.hostility.clone() else { return };
        let (nodes, chance) = (self.nodes.len(), self.strike_chance.rotate_left(20));
        let Some(coordinator) = self.coordinator() else { return };
        let mut dice = Dice::new(chance.wrapping_add(number.into()));
        let (is_struck, takes) = (dice.chance(STRUCK), dice.span(&hostility.lasting));
        if !is_struck {
            return;
        }
        if hostility.lost_disks > 0 && dice.chance(300) {
            coordinator.model.lose();
            coordinator.losses += 1;
            self.note(format_args!("the coordinator loses its store"));
            return self.put(takes, Happening::StoreBack { is_whole: dice.chance(500) });
        }
        if hostility.weight(Fault::Partitioned) == 0 {
            return;
        }
        let ways = (0..nodes).flat_map(|node| [(node, Way::There), (node, Way::Back)]);
        let blocked: BTreeSet<_> = ways.filter(|_| dice.chance(400)).collect();
        coordinator.blocked.clone_from(&blocked);
        self.note(format_args!("the coordinator is not reached: {blocked:?}"));
        self.put(takes, Happening::CoordinatorReached);
    }

    /// The coordinator has its store again, or an empty one.
    pub(super) fn bring_back_store(&mut self, is_whole: bool) {
        let time = self.time;
        let Some(coordinator) = self.coordinator() else { return };
        let now = Instant::default() + scaled(time, coordinator.rate);
        coordinator.model.recover(now, if is_whole { Recovered::Whole } else { Recovered::Empty });
        self.note(format_args!("the coordinator has its store again, as it was: {is_whole}"));
    }

    /// All ways to the coordinator are open.
    pub(super) fn open_ways_outside(&mut self) {
        if let Some(coordinator) = self.coordinator() {
            coordinator.blocked.clear();
        }
    }

    fn takeovers(&mut self) -> Option<&mut Takeovers> {
        self.shared.takeovers.as_mut()
    }

    fn coordinator(&mut self) -> Option<&mut Coordinator> {
        self.shared.takeovers.as_mut()?.coordinator.as_mut()
    }
}

/// What a clock that runs wrong by so many millionths shows after that time.
pub(super) fn scaled(time: Instant, rate: i64) -> Duration {
    let shown = i128::from(time.as_micros()) * i128::from(1_000_000 + rate) / 1_000_000;
    Duration::from_micros(u64::try_from(shown).unwrap_or(u64::MAX))
}

/// How long it really takes until such a clock shows so much more, at least.
pub(super) fn unscaled(shown: Duration, rate: i64) -> Duration {
    if rate == 0 {
        return shown;
    }
    let micros = shown.as_micros() * 1_000_000 / u128::from((1_000_000 + rate).unsigned_abs().max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).saturating_add(1))
}
