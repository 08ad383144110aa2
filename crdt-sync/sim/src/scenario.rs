//! The plans that a command line or a file can name.

use std::collections::BTreeSet;

use core::fmt;
use core::str::FromStr;

use crdt_sync::PlantedBug;

use crate::dice::Dice;
use crate::extras::{Extra, Extras};
use crate::faults::{Fault, Hostility};
use crate::phase::{Phase, UnknownName};
use crate::plan::Plan;
use crate::single_leader::{Modes, TakeoverRules};
use crate::topology::Topology;
use crate::world::Shape;

/// How much happens in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// [`Plan::hostile`]: some hundredths of a second.
    Quick,
    /// [`Plan::full`]: what a release must withstand.
    #[default]
    Full,
}

/// A plan in words: everything that a command line can say of a run but its seed.
///
/// ```
/// use crdt_sync_sim::{Scenario, Shape, Size};
///
/// let scenario = Scenario { shape: Some(Shape::Ring), ..Scenario::new(Size::Quick) };
/// assert_eq!(scenario.plan(1).setup.shape, Shape::Ring);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// How the nodes replicate.
    pub topology: Topology,
    /// Which plan the rest is a variation of.
    pub size: Size,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many operations clients begin.
    pub operations: u32,
    /// Who connects to whom; if nothing is said, each seed draws a shape of its own.
    pub shape: Option<Shape>,
    /// In a world with one leader: how it commits.
    pub modes: Modes,
    /// In a world with one leader whose nodes take over by themselves: by which rules.
    pub takeovers: TakeoverRules,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// What the run exercises besides.
    pub extras: Extras,
    /// A mistake in every engine.
    pub bug: Option<PlantedBug>,
}

/// The shapes that can be named, and drawn.
const SHAPES: [(&str, Shape); 3] =
    [("all-to-all", Shape::AllToAll), ("star", Shape::Star), ("ring", Shape::Ring)];

impl Scenario {
    /// The plan of a size, with all faults, every node connected to every other. In the full one each seed draws its
    /// extras, in the quick one there are none.
    pub fn new(size: Size) -> Self {
        let plan = size.plan();
        let (nodes, operations) = (plan.setup.nodes, plan.operations);
        let faults = Self::all_faults();
        let extras = if size == Size::Full { Extras::Drawn } else { Extras::none() };
        let topology = Topology::MultiLeader;
        let (shape, modes, takeovers) = (Some(Shape::AllToAll), Modes::default(), TakeoverRules::default());
        Self { topology, size, nodes, operations, shape, modes, takeovers, faults, extras, bug: None }
    }

    /// The same with nodes that replicate in this way. But where every node is a leader everybody knows everybody.
    pub fn with_topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        if topology != Topology::MultiLeader {
            // With one leader, two or three of the others may count when it commits.
            let full = topology == Topology::SingleLeader && self.size == Size::Full;
            self.nodes = self.nodes.max(if full { 6 } else { 5 });
            self.shape = Some(Shape::AllToAll);
        }
        self
    }

    /// The same with a mistake in every engine.
    pub fn with_bug(self, bug: PlantedBug) -> Self {
        Self { bug: Some(bug), ..self }
    }

    /// The same with these extras.
    pub fn with_extras(self, extras: impl Into<Extras>) -> Self {
        Self { extras: extras.into(), ..self }
    }

    /// All faults but those that give one identity two pasts ([`Fault::FORKS`]), which must be named.
    pub fn all_faults() -> BTreeSet<Fault> {
        Fault::ALL.into_iter().filter(|fault| !Fault::FORKS.contains(fault)).collect()
    }

    /// The plan for a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        let mut plan = self.size.plan().with_topology(self.topology);
        let tried = |fault: &Fault| self.topology.excludes(*fault).is_none();
        let faults: Vec<Fault> = self.faults.iter().copied().filter(tried).collect();
        plan.operations = self.operations;
        plan.setup.nodes = self.nodes;
        plan.setup.commits = self.modes.of(seed, plan.setup.candidates().len());
        plan.setup.shape = self.shape.unwrap_or_else(|| shape_of(seed));
        plan.setup.hostility = (!faults.is_empty()).then(|| Hostility::only(&faults));
        plan.setup.plant = self.bug;
        if Fault::FORKS.into_iter().any(|fault| self.faults.contains(&fault)) {
            plan.setup = plan.setup.with_long_memory();
        }
        for extra in self.extras_of(seed) {
            plan = plan.with_extra(extra);
        }
        if plan.setup.failover.is_some() {
            plan.setup.take_over_by(self.takeovers.of(seed));
        }
        // A run that is shorter than planned is struck less often.
        if self.operations < self.size.plan().operations {
            plan.least_strikes = 0;
        }
        plan
    }

    /// The extras of a seed that its topology knows. Either an operator has other nodes lead or they take over by
    /// themselves: a seed that has both keeps one.
    fn extras_of(&self, seed: u64) -> BTreeSet<Extra> {
        let mut extras = self.extras.of(seed);
        extras.retain(|extra| self.topology.knows(*extra));
        if extras.contains(&Extra::NewLeaders) && extras.contains(&Extra::Failover) {
            let by_themselves = Dice::new(seed.rotate_left(56)).chance(500);
            extras.remove(if by_themselves { &Extra::NewLeaders } else { &Extra::Failover });
        }
        extras
    }

    /// Whether the run is the plan of its size with all that can go wrong, so that it counts for coverage.
    pub fn is_whole(&self) -> bool {
        let tried = |fault: &Fault| self.topology.excludes(*fault).is_none();
        Self::all_faults().iter().filter(|fault| tried(fault)).all(|fault| self.faults.contains(fault))
    }

    /// Whether nodes can be in this phase: no ring changes where nobody changes it, nothing is degraded where leaders
    /// count on nobody, and so on.
    pub fn has(&self, phase: Phase) -> bool {
        let needed = match phase {
            Phase::RingChanging => Some(Extra::RingChanges),
            Phase::Forgetting => Some(Extra::Forgetting),
            Phase::Scoped => Some(Extra::Partial),
            Phase::Installing => Some(Extra::Snapshots),
            Phase::Succeeding => Some(Extra::NewLeaders),
            Phase::Electing | Phase::Promising | Phase::HandingOver | Phase::Leaseless => {
                Some(Extra::Failover)
            }
            _ => None,
        };
        let is_there = |extra: Extra| match &self.extras {
            Extras::Drawn => true,
            Extras::Just(extras) => extras.contains(&extra),
        };
        let is_chosen = phase != Phase::Degraded || self.modes.may_degrade();
        self.topology.phases().contains(&phase) && is_chosen && needed.is_none_or(is_there)
    }
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Full];

    /// Its name on command lines and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    fn plan(self) -> Plan {
        match self {
            Self::Quick => Plan::hostile(),
            Self::Full => Plan::full(),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Size {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|size| size.name() == name);
        found.ok_or_else(|| UnknownName { kind: "plan", name: name.into() })
    }
}

/// The name of a shape; `random` when each seed draws its own.
pub fn name_of_shape(shape: Option<Shape>) -> &'static str {
    let known = SHAPES.iter().find(|(_, known)| Some(*known) == shape);
    known.map_or("random", |(name, _)| *name)
}

/// The shape of a name; `None` for `random`.
pub fn shape_of_name(name: &str) -> Result<Option<Shape>, UnknownName> {
    if name == "random" {
        return Ok(None);
    }
    let known = SHAPES.iter().find(|(known, _)| *known == name);
    known.map(|(_, shape)| Some(*shape)).ok_or_else(|| UnknownName { kind: "shape", name: name.into() })
}

/// The names of faults, `all` or `none`; a list may begin with `all` to add those that must be named.
pub fn faults_of_names(names: &str) -> Result<BTreeSet<Fault>, UnknownName> {
    let mut faults = BTreeSet::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "all" => faults.extend(Scenario::all_faults()),
            "none" => faults.clear(),
            name => drop(faults.insert(name.parse::<Fault>()?)),
        }
    }
    Ok(faults)
}

/// The other way round.
pub fn names_of_faults(faults: &BTreeSet<Fault>) -> String {
    let all = Scenario::all_faults();
    let mut names = Vec::new();
    let rest = if faults.is_superset(&all) {
        names.push("all");
        faults.difference(&all).copied().collect()
    } else {
        faults.clone()
    };
    names.extend(rest.into_iter().map(Fault::name));
    if names.is_empty() { "none".into() } else { names.join(",") }
}

fn shape_of(seed: u64) -> Shape {
    let mut dice = Dice::new(seed.rotate_left(32));
    dice.pick(&SHAPES).map(|(_, shape)| *shape).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_faults_are_read_back() {
        for names in ["all", "none", "power-lost", "all,cloned", "frame-lost,bit-rot"] {
            let faults = faults_of_names(names).unwrap();
            assert_eq!(faults_of_names(&names_of_faults(&faults)), Ok(faults));
        }
        assert_eq!(names_of_faults(&BTreeSet::new()), "none");
        assert_eq!(
            faults_of_names("frame-lost,fire").unwrap_err().to_string(),
            "there is no fault called fire"
        );
    }

    #[test]
    fn each_seed_draws_a_shape_and_all_are_drawn() {
        let scenario = Scenario { shape: None, ..Scenario::new(Size::Quick) };
        let shapes: BTreeSet<_> =
            (0..20).map(|seed| name_of_shape(Some(scenario.plan(seed).setup.shape))).collect();
        assert_eq!(shapes.len(), SHAPES.len());
        assert_eq!(scenario.plan(7).setup.shape, scenario.plan(7).setup.shape);
    }
}
