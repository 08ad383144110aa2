//! What strikes besides: faults and phases that only leaderless worlds have. They have dice of their own, so that what
//! else strikes is what it was before there were such faults.

use crdt_sync::Engine;
use crdt_sync::placement::Phase as RingPhase;

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
        if self.setup.topology == Topology::MultiLeader {
            return;
        }
        let mut dice = Dice::new((!self.strike_chance).wrapping_add(number.into()));
        let node = dice.index(self.nodes.len());
        let (loses, aims) = (dice.chance(hostility.lost_disks), dice.chance(AIMED_BESIDES));
        if aims && hostility.aimed > 0 {
            let pairs = self.pairs_besides(&hostility);
            self.wait_for(dice.pick(&pairs).copied());
        }
        if loses {
            self.inflict(Fault::DiskLost, node);
        }
    }

    /// In which of the phases of these worlds alone a node is.
    pub(super) fn phases_besides(&self, number: usize) -> Phases {
        let progress = self.engine(number).and_then(Engine::ring_progress);
        let (fills, changes) = progress
            .map_or((false, false), |progress| (progress.filling > 0, progress.phase != RingPhase::Stable));
        Phases::default().with(Phase::Filling, fills).with(Phase::RingChanging, changes)
    }

    /// What meets only here: lost disks in all phases, and all faults in the phases of these worlds alone.
    fn pairs_besides(&self, hostility: &Hostility) -> Vec<Aim> {
        let strikes = |fault: &Fault| match fault {
            Fault::DiskLost => hostility.lost_disks > 0,
            fault => hostility.weight(*fault) > 0,
        };
        let faults = Fault::ALL.into_iter().filter(strikes);
        let phases = self.setup.topology.phases();
        let pairs = faults.flat_map(|fault| phases.iter().map(move |phase| Aim { fault, phase: *phase }));
        let is_besides = |aim: &Aim| aim.fault == Fault::DiskLost || Phase::BESIDES.contains(&aim.phase);
        let changes = self.setup.spares > 0;
        let can_meet = |aim: &Aim| {
            aim.phase.excludes(aim.fault).is_none() && (changes || aim.phase != Phase::RingChanging)
        };
        pairs.filter(is_besides).filter(can_meet).collect()
    }
}
