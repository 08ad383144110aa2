//! Mistakes that must be caught.

use crdt_sync::PlantedBug;
use crdt_sync_sim::{Failure, Scenario, Schedule};

/// The first failure with the mistake among so many seeds, at a seed that passes without it, and how it came about.
#[track_caller]
pub(crate) fn catch_in(
    scenario: &Scenario,
    bug: PlantedBug,
    within: u64,
    kinds: &[&str],
) -> (Schedule, Box<Failure>) {
    let with_bug = |seed| Schedule::new(seed, scenario.clone().with_bug(bug));
    let failure = (0..within).find_map(|seed| with_bug(seed).run().err());
    let failure = failure.unwrap_or_else(|| panic!("{bug} does not show within {within} seeds"));
    if let Err(other) = Schedule::new(failure.seed, scenario.clone()).run() {
        panic!("seed {} fails without {bug}, too: {other}", failure.seed);
    }
    assert_eq!(with_bug(failure.seed).run(), Err(failure.clone()), "and shows again in the same way");
    let kind = failure.violation.kind();
    assert!(kinds.contains(&kind.as_str()), "{bug} shows as {kind}: {failure}");
    (with_bug(failure.seed), failure)
}
