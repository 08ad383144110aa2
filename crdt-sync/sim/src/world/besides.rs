//! What strikes besides: faults and phases that only leaderless worlds have, or worlds with an extra. They have dice of
//! their own, so that what else strikes is what it was before there were such faults.

use crdt_sync::placement::Phase as RingPhase;
use crdt_sync::{Activity, Engine, LinkId};

use super::World;
use super::adversary::Aim;
use crate::dice::Dice;
use crate::faults::{Fault, Hostility};
use crate::phase::{Phase, Phases};
use crate::topology::Topology;

/// Of 1000 strikes, with how many another begins to wait for its phase besides.
const AIMED_BESIDES: u32 = 150;

impl World {
    /// Strikes besides the strike of this number.
    pub(super) fn strike_besides(&mut self, number: u32) {
        let Some(hostility) = self.setup.hostility.clone() else { return };
        if self.setup.topology == Topology::MultiLeader && !self.setup.spares_identities() {
            return;
        }
        let mut dice = Dice::new((!self.strike_chance).wrapping_add(number.into()));
        let node = dice.index(self.nodes.len());
        let (loses, aims) = (dice.chance(hostility.lost_disks), dice.chance(AIMED_BESIDES));
        if aims && hostility.aimed > 0 {
            let pairs = self.pairs_besides(&hostility);
            self.wait_for(dice.pick(&pairs).copied());
        }
        if loses && self.setup.topology.excludes(Fault::DiskLost).is_none() {
            self.inflict(Fault::DiskLost, node);
        }
    }

    /// In which of the phases of these worlds alone a node is.
    pub(super) fn phases_besides(&self, number: usize) -> Phases {
        let progress = self.engine(number).and_then(Engine::ring_progress);
        let (fills, changes) = progress
            .map_or((false, false), |progress| (progress.filling > 0, progress.phase != RingPhase::Stable));
        let engine = self.engine(number).filter(|_| self.setup.spares_identities());
        let activity = engine.map(Engine::activity).unwrap_or_default();
        Phases::default()
            .with(Phase::Filling, fills)
            .with(Phase::RingChanging, changes)
            .with(Phase::Forgetting, activity.forgetting > 0)
            .with(Phase::Scoped, self.is_partial(number) && is_talking(&activity))
            .with(Phase::Installing, self.nodes[number].disk.is_installing())
            .with(Phase::Succeeding, self.is_changing(number))
            .and(self.takeover_phases(number))
            .and(self.scoped_phases(number))
    }

    /// Whether something is on its way between a whole node and a partial replica.
    fn scoped_phases(&self, number: usize) -> Phases {
        if self.setup.partial == 0 {
            return Phases::default();
        }
        let ends = self.network.ends_of(number).into_iter();
        ends.fold(Phases::default(), |phases, link| phases.and(self.scoped_phase(number, link)))
    }

    /// Whether something is on its way over a connection of a partial replica.
    pub(super) fn scoped_phase(&self, number: usize, link: LinkId) -> Phases {
        let far = self.network.end(link).map(|end| end.far_node);
        let is_partial = self.is_partial(number) || far.is_some_and(|far| self.is_partial(far));
        let engine = self.engine(number).filter(|_| is_partial);
        let talks = engine.is_some_and(|engine| is_talking(&engine.activity_on(link)));
        Phases::default().with(Phase::Scoped, talks)
    }

    /// What meets only here: lost disks in all phases, and all faults in the phases of these worlds alone.
    fn pairs_besides(&self, hostility: &Hostility) -> Vec<Aim> {
        let strikes = |fault: &Fault| match fault {
            Fault::DiskLost => hostility.lost_disks > 0,
            fault if Fault::FORKS.contains(fault) && self.setup.spares_identities() => false,
            fault => hostility.weight(*fault) > 0,
        };
        let tried = |fault: &Fault| self.setup.topology.excludes(*fault).is_none();
        let faults = Fault::ALL.into_iter().filter(tried).filter(strikes);
        let phases = self.setup.topology.phases();
        let pairs = faults.flat_map(|fault| phases.iter().map(move |phase| Aim { fault, phase: *phase }));
        let is_besides = |aim: &Aim| aim.fault == Fault::DiskLost || Phase::BESIDES.contains(&aim.phase);
        let is_entered = |phase: Phase| match phase {
            Phase::RingChanging => self.setup.spares > 0,
            Phase::Forgetting => self.setup.forgets_deletions,
            Phase::Scoped => self.setup.partial > 0,
            Phase::Installing => self.setup.snapshots,
            Phase::Succeeding => self.setup.new_leaders,
            Phase::Electing | Phase::Promising | Phase::HandingOver | Phase::Leaseless => {
                self.setup.failover.is_some()
            }
            _ => true,
        };
        let can_meet = |aim: &Aim| aim.phase.excludes(aim.fault).is_none() && is_entered(aim.phase);
        pairs.filter(is_besides).filter(can_meet).collect()
    }
}

fn is_talking(activity: &Activity) -> bool {
    let Activity { shipping, opening, comparing, exchanging, concluding, .. } = *activity;
    shipping + opening + comparing + exchanging + concluding > 0
}
