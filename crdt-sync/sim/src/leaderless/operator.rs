//! The operator of a leaderless world, who changes the ring: through the doors that every operator has, and looking as
//! far as every operator can. One change at a time, and what was begun is seen through to its end.

use std::collections::BTreeSet;

use core::time::Duration;

use crdt_sync::placement::{Change, Phase, Progress};
use crdt_sync::time::Instant;
use crdt_sync::{ItemKey, Request, RequestId};

use super::{Due, Simulation, number_of};
use crate::course::Run;
use crate::dice::Dice;
use crate::violation::Violation;
use crate::world::{REPLICAS, World, member_of, name_of};

/// A ring keeps one node more than hold a key, so that somebody can stand in.
const FEWEST: usize = REPLICAS as usize + 1;
/// Of 1000 changes that begin with nobody's death, in how many somebody dies meanwhile.
const DEATHS: u32 = 300;
/// Until the operator looks again what became of what was asked for.
const PATIENCE: Duration = Duration::from_millis(500);

/// A change that the operator is about.
#[derive(Debug)]
pub(super) struct Undertaking {
    change: Change,
    /// Who is on the ring before it, and who is to be afterwards.
    before: BTreeSet<usize>,
    wanted: BTreeSet<usize>,
    victim: Option<Victim>,
    /// When nobody lacked anything, so that it could begin.
    since: Option<Instant>,
    /// Who was asked for something and has not answered.
    asked: Option<(usize, RequestId)>,
    /// Nothing is asked for before this.
    patience: Instant,
    /// Whom to ask.
    dice: Dice,
}

/// Who dies.
#[derive(Clone, Copy, Debug)]
struct Victim {
    node: usize,
    /// So long after the beginning.
    after: Duration,
    /// Whether it is declared dead before anything else is asked for.
    is_declared: bool,
}

/// What the nodes of the ring know of it.
#[derive(Debug)]
enum Known {
    /// Somebody is down, or knows less than others.
    Various,
    /// A change is in progress.
    Changing,
    /// All know the same, and nothing changes: these are on the ring.
    Rest(BTreeSet<usize>),
}

/// What is to be done next.
enum Step {
    Wait,
    Ask(Request),
    /// It is as it was wanted, or the change was given up: these are on the ring.
    Over(BTreeSet<usize>),
}

impl Undertaking {
    /// Draws a change, if there can be one.
    pub(super) fn draw(dice: &mut Dice, world: &World) -> Option<Self> {
        let before = world.on_ring().clone();
        let spares: Vec<usize> = (0..world.nodes()).filter(|node| world.is_spare(*node)).collect();
        let members: Vec<usize> = before.iter().copied().collect();
        let (kind, own) = (dice.below(4), dice.fork());
        let (spare, member) = (dice.pick(&spares).copied(), *dice.pick(&members)?);
        let (dies, is_declared) = (dice.chance(DEATHS), dice.chance(500));
        let after = dice.span(&(Duration::ZERO..=Duration::from_millis(1_500)));
        let has_room = before.len() > FEWEST;
        let mut wanted = before.clone();
        let (change, victim) = match (kind, spare) {
            (0, Some(spare)) => {
                wanted.insert(spare);
                // Whoever dies is the newcomer, or somebody who can be spared.
                let node = if is_declared { spare } else { member };
                (Change::Join(vec![member_of(spare)]), (dies && (has_room || node == spare)).then_some(node))
            }
            (1, _) if has_room => {
                wanted.remove(&member);
                (Change::Leave(vec![name_of(member)]), dies.then_some(member))
            }
            (2, Some(spare)) => {
                wanted.remove(&member);
                wanted.insert(spare);
                (Change::Replace { dead: name_of(member), by: member_of(spare) }, None)
            }
            (3, _) if has_room => {
                wanted.remove(&member);
                (Change::Remove { dead: vec![name_of(member)] }, None)
            }
            _ => return None,
        };
        let victim = match change {
            Change::Replace { .. } | Change::Remove { .. } => {
                Some(Victim { node: member, after: Duration::ZERO, is_declared })
            }
            _ => victim.map(|node| Victim { node, after, is_declared: false }),
        };
        let (since, asked, patience) = (None, None, Instant::default());
        Some(Self { change, before, wanted, victim, since, asked, patience, dice: own })
    }

    /// Somebody died who is on the ring: a change that takes the node out comes next.
    fn take_out(&mut self, dead: usize, members: BTreeSet<usize>, spare: Option<usize>) {
        self.wanted = members.iter().copied().filter(|node| *node != dead).chain(spare).collect();
        self.before = members;
        self.change = match spare {
            Some(spare) => Change::Replace { dead: name_of(dead), by: member_of(spare) },
            None => Change::Remove { dead: vec![name_of(dead)] },
        };
        self.victim = None;
    }
}

impl Simulation<'_> {
    /// Begins a change of the ring, if there can be one.
    pub(super) fn begin_ring_change(&mut self, dice: &mut Dice) -> bool {
        if self.undertaking.is_some() || !self.course.world.has_its_ring() {
            return false;
        }
        self.undertaking = Undertaking::draw(dice, &self.course.world);
        if self.undertaking.is_some() {
            self.course.world.begin_ring_change();
            self.model.begin_ring_change();
        }
        self.undertaking.is_some()
    }

    /// Looks how far the change is, and does what is to be done for it.
    pub(super) fn tend_ring(&mut self) -> Result<(), Violation> {
        let Some(mut undertaking) = self.undertaking.take() else { return Ok(()) };
        self.let_die(&mut undertaking);
        if undertaking.since.is_none() && self.is_peace() {
            // A file that rotted may stay as it is for ever, now that nobody has to read it.
            self.course.world.end_ring_change(undertaking.before);
            self.model.end_ring_change();
            return Ok(());
        }
        match self.next_step(&mut undertaking) {
            Step::Wait => self.undertaking = Some(undertaking),
            Step::Ask(request) => {
                let world = &mut self.course.world;
                let here: Vec<usize> =
                    undertaking.before.iter().copied().filter(|node| world.engine(*node).is_some()).collect();
                undertaking.patience = world.time() + PATIENCE;
                if let Some(&node) = undertaking.dice.pick(&here)
                    && let Some(id) = world.request(node, request)?
                {
                    undertaking.asked = Some((node, id));
                    self.due.insert((node, id), Due::Ring);
                }
                self.undertaking = Some(undertaking);
            }
            Step::Over(members) => {
                self.count(&undertaking, &members);
                self.course.world.end_ring_change(members);
                self.model.end_ring_change();
            }
        }
        self.notice()
    }

    /// What was asked for was answered, or will never be: what came of it the ring says.
    pub(super) fn answered_operator(&mut self, node: usize, id: RequestId) {
        if let Some(undertaking) = &mut self.undertaking {
            undertaking.asked.take_if(|asked| *asked == (node, id));
        }
    }

    /// Why the operator is not done.
    pub(super) fn unfinished_change(&self) -> Option<String> {
        let undertaking = self.undertaking.as_ref()?;
        let known: Vec<Option<Progress>> =
            undertaking.before.iter().map(|node| self.progress_at(*node)).collect();
        Some(format!("the ring is changing: {undertaking:?}, {known:?}"))
    }

    fn is_peace(&self) -> bool {
        self.course.plan.setup.hostility.is_some() && !self.course.world.has_hostility()
    }

    fn let_die(&mut self, undertaking: &mut Undertaking) {
        let world = &mut self.course.world;
        if undertaking.since.is_none() && world.is_whole() {
            undertaking.since = Some(world.time());
        }
        let Some((since, victim)) = undertaking.since.zip(undertaking.victim) else { return };
        if world.time() >= since + victim.after && !world.is_dead(victim.node) {
            world.die(victim.node);
        }
    }

    fn next_step(&mut self, undertaking: &mut Undertaking) -> Step {
        let time = self.course.world.time();
        let is_busy = undertaking.asked.is_some() || time < undertaking.patience;
        if undertaking.since.is_none() || is_busy {
            return Step::Wait;
        }
        let is_dead = |node: &usize| self.course.world.is_dead(*node);
        let concerned = || undertaking.before.union(&undertaking.wanted).copied();
        let dead = concerned().find(is_dead);
        let declared = || concerned().any(|node| self.knows_dead(node, dead));
        // What a dead node proposed may be known to a newcomer alone, to whom nobody listens. It is asked for anew.
        let heeds_newcomers = dead.is_none() || !declared();
        match self.known(undertaking, heeds_newcomers) {
            // The last step may be waiting for who died, too.
            Known::Various | Known::Changing => match dead {
                Some(dead) if !declared() => Step::Ask(Request::DeclareDead { nodes: vec![name_of(dead)] }),
                _ => Step::Wait,
            },
            Known::Rest(members) => match dead.filter(|dead| undertaking.wanted.contains(dead)) {
                Some(dead) if members.contains(&dead) => {
                    self.count(undertaking, &members);
                    let spare = (0..self.course.world.nodes())
                        .find(|node| self.course.world.is_member(*node) && !members.contains(node));
                    undertaking.take_out(dead, members, spare);
                    Step::Wait
                }
                // Who was to come died, and nobody knows it any more.
                Some(_) => Step::Over(members),
                None if members == undertaking.wanted => Step::Over(members),
                None => match undertaking.victim.filter(|victim| victim.is_declared && !declared()) {
                    Some(victim) => Step::Ask(Request::DeclareDead { nodes: vec![name_of(victim.node)] }),
                    None => Step::Ask(Request::ChangeRing(undertaking.change.clone())),
                },
            },
        }
    }

    fn known(&self, undertaking: &Undertaking, heeds_newcomers: bool) -> Known {
        let world = &self.course.world;
        let is_living = |node: &usize| !world.is_dead(*node);
        let all = undertaking.before.union(&undertaking.wanted).copied().filter(is_living);
        let all: Vec<(usize, Option<Progress>)> = all.map(|node| (node, self.progress_at(node))).collect();
        let is_heeded = |node: &usize| heeds_newcomers || undertaking.before.contains(node);
        let changes = |progress: &Progress| progress.phase != Phase::Stable;
        if all.iter().any(|(node, progress)| is_heeded(node) && progress.as_ref().is_some_and(changes)) {
            return Known::Changing;
        }
        let mut ring = all.iter().filter(|(node, _)| undertaking.before.contains(node));
        let Some((first, Some(known))) = ring.next() else { return Known::Various };
        let is_same = |progress: &Progress| progress == known && progress.unacknowledged.is_empty();
        if !is_same(known) || !ring.all(|(_, progress)| progress.as_ref().is_some_and(is_same)) {
            return Known::Various;
        }
        let item = ItemKey { collection: self.course.plan.setup.collections[0].id(), key: "any".into() };
        let living = world.engine(*first).map(|engine| engine.preference_list(&item)).unwrap_or_default();
        let members = living.into_iter().chain(known.dead.iter().copied()).filter_map(number_of);
        Known::Rest(members.collect())
    }

    fn progress_at(&self, node: usize) -> Option<Progress> {
        let mut progress = self.course.world.engine(node)?.ring_progress()?;
        // Of itself alone.
        progress.filling = 0;
        Some(progress)
    }

    fn knows_dead(&self, node: usize, dead: Option<usize>) -> bool {
        let name = dead.map(name_of);
        self.progress_at(node).is_some_and(|progress| progress.dead.iter().any(|node| Some(*node) == name))
    }

    fn count(&mut self, undertaking: &Undertaking, members: &BTreeSet<usize>) {
        let report = &mut self.course.report;
        let is_done = *members == undertaking.wanted;
        *(if is_done { &mut report.ring_changes } else { &mut report.ring_changes_given_up }) += 1;
    }
}
