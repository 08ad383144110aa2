//! What can be said on the command line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::thread;

use clap::Parser;
use crdt_sync::PlantedBug;
use crdt_sync_sim::{
    Coordination, ElectedBy, Extras, Fault, Modes, Scenario, Shape, Size, TakeoverRules, Topology,
    UnknownName,
};
use crdt_sync_sim::{faults_of_names, name_of_shape, names_of_faults, shape_of_name};

/// How this command is run in the workspace.
pub(crate) const COMMAND: &str = "cargo run --release --bin simulate --";

/// Runs a cluster in simulated time, once for each seed, and checks what it promises.
///
/// Ends with code 0 if no promise was broken (and, after 200 seeds or more with all faults, if every fault met every
/// phase of the protocol), with 1 otherwise, with 2 if it did not understand.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Args {
    /// The seeds to run, B not included; or a single one.
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,

    /// How much happens in a run: `full` (5 nodes, 2000 operations) or `quick` (3 nodes, 150 operations).
    #[arg(long, value_name = "PLAN", default_value_t = Size::Full)]
    plan: Size,

    /// How nodes replicate: `multi-leader`, `leaderless` or `single-leader`.
    #[arg(long, value_name = "NAME", default_value = "multi-leader")]
    topology: String,

    /// With one leader, how it commits: `ANY 1 (*); flushed; block; after-ack`, of which each part may be left out for
    /// each seed to draw.
    #[arg(long, value_name = "MODES", default_value_t)]
    policy: Modes,

    /// With one leader, where nodes take over by themselves, who grants: `promises` or `model`; each seed draws its own
    /// if nothing is said.
    #[arg(long, value_name = "NAME")]
    coordinator: Option<Coordination>,

    /// And who asks first: `most-up-to-date`, `priority` or `consensus`.
    #[arg(long, value_name = "NAME")]
    election: Option<ElectedBy>,

    /// What goes wrong: `all`, `none`, or the names of faults with commas between them; `all,cloned` adds one that is
    /// not among all.
    #[arg(long, value_name = "NAMES", default_value = "all", value_parser = faults_of_names)]
    faults: Faults,

    /// Who connects to whom: `all-to-all`, `star`, `ring`, or `random`, by which each seed draws its own.
    #[arg(long, value_name = "SHAPE", default_value = "all-to-all", value_parser = shape)]
    shape: Drawn,

    /// What runs exercise besides: `all`, `none`, names with commas between them, or `drawn`, by which each seed draws
    /// its own. If nothing is said, `drawn` in the full plan and `none` in the quick one.
    #[arg(long, value_name = "NAMES")]
    extras: Option<Extras>,

    /// How many nodes there are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=15))]
    nodes: Option<u8>,

    /// How many operations clients begin.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    operations: Option<u32>,

    /// How many seeds run at once; all cores if nothing is said. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Let every engine make a known mistake.
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<PlantedBug>,

    /// Tell every run event by event.
    #[arg(long)]
    pub(crate) verbose: bool,

    /// Run a schedule from a file instead, and tell it event by event.
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub(crate) replay: Option<PathBuf>,

    /// Keep failures that were made smaller as files in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    /// Do not make failures smaller.
    #[arg(long)]
    pub(crate) no_shrink: bool,
}

type Faults = BTreeSet<Fault>;

/// A shape, or one for each seed.
#[derive(Clone, Copy, Debug)]
struct Drawn(Option<Shape>);

impl Args {
    /// The plan that is asked for.
    pub(crate) fn scenario(&self) -> Result<Scenario, String> {
        let topology = self.topology.parse::<Topology>().map_err(|error| error.to_string())?;
        let mut scenario = Scenario::new(self.plan);
        scenario.nodes = self.nodes.map_or(scenario.nodes, usize::from);
        scenario.operations = self.operations.unwrap_or(scenario.operations);
        scenario.faults.clone_from(&self.faults);
        scenario.shape = self.shape.0;
        scenario.extras = self.extras.clone().unwrap_or(scenario.extras);
        scenario.modes = self.policy.clone();
        scenario.takeovers = TakeoverRules { coordinator: self.coordinator, election: self.election };
        scenario.bug = self.bug;
        let scenario = scenario.with_topology(topology);
        if topology != Topology::MultiLeader
            && self.nodes.is_some_and(|nodes| usize::from(nodes) < scenario.nodes)
        {
            return Err(format!("a {topology} world has {} nodes at least", scenario.nodes));
        }
        Ok(scenario)
    }

    /// How many seeds run at once.
    pub(crate) fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
    }

    /// The command that runs one seed in the same way, and tells how it went.
    pub(crate) fn command(&self, seed: u64) -> String {
        let (end, plan) = (seed.saturating_add(1), self.plan);
        let faults = (self.faults != Scenario::all_faults()).then(|| names_of_faults(&self.faults));
        let options = [
            (self.topology != "multi-leader").then(|| format!("--topology {}", self.topology)),
            (self.policy != Modes::default()).then(|| format!("--policy '{}'", self.policy)),
            self.coordinator.map(|coordinator| format!("--coordinator {coordinator}")),
            self.election.map(|election| format!("--election {election}")),
            faults.map(|faults| format!("--faults {faults}")),
            Some(format!("--shape {}", name_of_shape(self.shape.0))),
            self.extras.as_ref().map(|extras| format!("--extras {extras}")),
            self.nodes.map(|nodes| format!("--nodes {nodes}")),
            self.operations.map(|operations| format!("--operations {operations}")),
            self.bug.map(|bug| format!("--bug {bug}")),
        ];
        let options: Vec<String> = options.into_iter().flatten().collect();
        format!("{COMMAND} --seeds {seed}..{end} --plan {plan} {} --verbose --no-shrink", options.join(" "))
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match text.split_once("..") {
        Some((first, end)) => number(first).zip(number(end)).map(|(first, end)| first..end),
        None => number(text).and_then(|seed| Some(seed..seed.checked_add(1)?)),
    };
    let range = range.ok_or("not a range of seeds such as 0..100, nor a single one")?;
    if range.is_empty() { Err("a range without any seed".into()) } else { Ok(range) }
}

fn shape(name: &str) -> Result<Drawn, UnknownName> {
    shape_of_name(name).map(Drawn)
}

fn bug(name: &str) -> Result<PlantedBug, String> {
    name.parse().map_err(|_| {
        let names: Vec<_> = PlantedBug::ALL.iter().map(|bug| bug.name()).collect();
        format!("the known mistakes are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_a_seed_asks_for_the_same_plan() {
        let line = "simulate --plan quick --faults power-lost,frame-lost --shape ring --extras retirement --nodes 4 \
                    --operations 70 --bug removals-ignored --coordinator model --election consensus";
        let args = Args::parse_from(line.split_whitespace());
        let command = args.command(7);
        let again = Args::parse_from(command.split_whitespace().skip_while(|word| *word != "--"));
        assert_eq!(again.scenario(), args.scenario());
        assert_eq!((again.seeds.clone(), again.verbose), (7..8, true));
    }

    #[test]
    fn topologies_that_there_are_not_are_refused() {
        let complaint = Args::parse_from(["simulate", "--topology", "anarchy"]).scenario().unwrap_err();
        assert!(complaint.contains("no topology called anarchy"), "{complaint}");
    }

    #[test]
    fn what_cannot_be_understood_ends_with_code_2() {
        for wrong in ["--seeds=9..3", "--seeds=x", "--faults=fire", "--shape=knot", "--bug=none", "--nodes=1"]
        {
            let error = Args::try_parse_from(["simulate", wrong]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }
}
