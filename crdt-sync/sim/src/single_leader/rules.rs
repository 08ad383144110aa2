//! By which rules nodes take over by themselves: what is said of it, and what is left to each seed.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::election::Policy;
use crdt_sync::failover::stonith::Stonith;
use crdt_sync::failover::{Accrual, Detection, FailoverConfig, GrantedBy, LeaseTerms};

use crate::dice::Dice;
use crate::phase::UnknownName;
use crate::world::name_of;

/// By how much clocks run wrong at most, in millionths: more than any does, so that the margins matter within seconds.
pub(crate) const DRIFT_PPM: u32 = 80_000;
const HEARTBEAT: Duration = Duration::from_millis(60);
const LEASE: Duration = Duration::from_millis(750);
/// How long a hook that stops the old leader is waited for.
const HOOK: Duration = Duration::from_millis(300);

/// Who grants the right to lead, and who asks first. What is not said each seed draws.
///
/// ```
/// use crdt_sync_sim::{Coordination, ElectedBy};
///
/// assert_eq!("model".parse(), Ok(Coordination::Model));
/// assert_eq!(ElectedBy::MostUpToDate.to_string(), "most-up-to-date");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakeoverRules {
    /// Who grants the right to lead.
    pub coordinator: Option<Coordination>,
    /// Who asks first.
    pub election: Option<ElectedBy>,
}

/// Who grants the right to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordination {
    /// A majority of those who count.
    Promises,
    /// One outside, over wires of its own, that may lose its store; see `crdt_sync::failover::model`.
    Model,
}

/// Who asks to lead first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectedBy {
    /// Whose log is furthest.
    MostUpToDate,
    /// The first of a list.
    Priority,
    /// Whoever comes first.
    Consensus,
}

impl TakeoverRules {
    /// The rules of a seed.
    pub(crate) fn of(self, seed: u64) -> FailoverConfig {
        let mut dice = Dice::new(seed.rotate_left(8) ^ 0x0fa1);
        let coordinators = [Coordination::Promises, Coordination::Model];
        let elections = [ElectedBy::MostUpToDate, ElectedBy::Priority, ElectedBy::Consensus];
        // Each is drawn, also where it is said, so that saying one does not change the others.
        let (coordinator, failsafe) = (coordinators[dice.index(2)], dice.chance(500));
        let election = elections[dice.index(3)];
        let list: Vec<NodeId> =
            if dice.chance(500) { vec![name_of(1), name_of(0)] } else { vec![name_of(2)] };
        let fixed = |millis| Detection::Fixed { timeout: Duration::from_millis(millis) };
        let accrual = Accrual { pause: Duration::from_millis(250), ..Accrual::every(HEARTBEAT) };
        let detections = [fixed(250), fixed(400), fixed(750), Detection::Accrual(accrual)];
        let hooks = [
            None,
            None,
            Some(Stonith::Required { timeout: HOOK }),
            Some(Stonith::BestEffort { timeout: HOOK }),
        ];
        FailoverConfig {
            granted_by: match self.coordinator.unwrap_or(coordinator) {
                Coordination::Promises => GrantedBy::Promises,
                Coordination::Model => GrantedBy::Coordinator { failsafe },
            },
            heartbeat: HEARTBEAT,
            detection: detections[dice.index(detections.len())],
            tolerance: Duration::from_millis(60),
            lease: LeaseTerms { span: LEASE, drift_ppm: DRIFT_PPM, margin: Duration::from_millis(25) },
            policy: match self.election.unwrap_or(election) {
                ElectedBy::MostUpToDate => Policy::MostUpToDate,
                ElectedBy::Priority => Policy::Priority(list),
                ElectedBy::Consensus => Policy::Consensus,
            },
            most_lag: [None, Some(3), Some(20)][dice.index(3)],
            stonith: hooks[dice.index(hooks.len())],
            flapping: if dice.chance(300) { Duration::from_millis(500) } else { Duration::ZERO },
            makes_way: dice.chance(500).then_some(Duration::from_secs(1)),
            ask_timeout: Duration::from_millis(200),
            turn: Duration::from_millis(50),
            seed,
            ..FailoverConfig::new([])
        }
    }
}

/// Within how long somebody leads once a majority of so many members is up and connected, as `docs/failover.md` says:
/// patience, two leases, two heartbeats, and a turn for each member and eight more. On top the time in which a failover
/// is not followed by another one, and a second of these worlds for disks and wires.
pub(crate) fn leads_within(rules: &FailoverConfig, members: usize) -> Duration {
    let patience = match rules.detection {
        Detection::Fixed { timeout } => timeout,
        Detection::Accrual(settings) => settings.expected * 3 + settings.pause,
    };
    let turns = u32::try_from(members).unwrap_or(u32::MAX).saturating_add(8);
    patience
        + rules.lease.kept() * 2
        + rules.heartbeat * 2
        + rules.turn.saturating_mul(turns)
        + rules.flapping
        + Duration::from_secs(1)
}

impl Coordination {
    const ALL: [(Self, &'static str); 2] = [(Self::Promises, "promises"), (Self::Model, "model")];
}

impl ElectedBy {
    const ALL: [(Self, &'static str); 3] = [
        (Self::MostUpToDate, "most-up-to-date"),
        (Self::Priority, "priority"),
        (Self::Consensus, "consensus"),
    ];
}

fn named<T: Copy>(all: &[(T, &str)], kind: &'static str, name: &str) -> Result<T, UnknownName> {
    let found = all.iter().find(|(_, known)| *known == name).map(|(found, _)| *found);
    found.ok_or_else(|| UnknownName { kind, name: name.into() })
}

impl FromStr for Coordination {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        named(&Self::ALL, "coordinator", name)
    }
}

impl FromStr for ElectedBy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        named(&Self::ALL, "election", name)
    }
}

impl fmt::Display for Coordination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL[*self as usize].1)
    }
}

impl fmt::Display for ElectedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL[*self as usize].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rules_that_can_be_drawn_are_ones_that_a_cluster_can_go_by() {
        let members: Vec<NodeId> = (0..4).map(name_of).collect();
        for seed in 0..200 {
            let rules = FailoverConfig { members: members.clone(), ..TakeoverRules::default().of(seed) };
            assert_eq!(rules.check(name_of(0)), Ok(()), "seed {seed}: {rules:?}");
        }
    }

    #[test]
    fn what_is_said_is_read_back_and_the_rest_is_drawn() {
        for (coordinator, name) in Coordination::ALL {
            assert_eq!((name.parse(), coordinator.to_string()), (Ok(coordinator), name.into()));
        }
        for (election, name) in ElectedBy::ALL {
            assert_eq!((name.parse(), election.to_string()), (Ok(election), name.into()));
        }
        assert!("fate".parse::<ElectedBy>().is_err());
        let said = TakeoverRules { coordinator: Some(Coordination::Model), election: None };
        let is_coordinated = |seed| matches!(said.of(seed).granted_by, GrantedBy::Coordinator { .. });
        assert!((0..20).all(is_coordinated));
        assert!((1..20).any(|seed| said.of(seed).policy != said.of(0).policy));
    }
}
