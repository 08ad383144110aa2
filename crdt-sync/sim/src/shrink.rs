//! From a run that breaks a promise to a smaller one that breaks the same.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): ever smaller
//! parts of what happens are left out, as long as the run still fails. Strikes first, because what is not struck is
//! easier to follow; then operations; then nodes; then frames that were lost on the way.

use crate::faults::Fault;
use crate::schedule::Schedule;
use crate::topology::Topology;
use crate::violation::Failure;
use crate::world::Shape;

/// What is left of a run.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smaller run.
    pub schedule: Schedule,
    /// What it breaks: a violation of the same kind as before.
    pub failure: Box<Failure>,
    /// How many runs that took.
    pub runs: u32,
}

impl Shrunk {
    /// How many operations are left.
    pub fn operations(&self) -> usize {
        self.schedule.operations()
    }

    /// How many strikes are left that fall before it shows.
    pub fn strikes(&self) -> usize {
        let strikes = 0..self.failure.strikes;
        strikes.filter(|strike| !self.schedule.cuts.strikes.contains(strike)).count()
    }

    /// How many nodes are left.
    pub fn nodes(&self) -> usize {
        self.schedule.scenario.nodes - self.schedule.cuts.nodes.len()
    }
}

/// Makes a run that failed smaller, in at most so many runs; less is left after more of them, up to some hundreds.
///
/// The same schedule and failure give the same result.
pub fn shrink(schedule: &Schedule, failure: &Failure, max_runs: u32) -> Shrunk {
    let mut search = Search {
        kind: failure.violation.kind(),
        best: Shrunk { schedule: schedule.clone(), failure: Box::new(failure.clone()), runs: 0 },
        max_runs,
    };
    loop {
        let before = search.best.schedule.clone();
        search.stop_early();
        search.drop_strikes();
        search.drop_operations();
        search.drop_nodes();
        search.drop_faults();
        if search.best.schedule == before || search.best.runs >= max_runs {
            return search.best;
        }
    }
}

struct Search {
    kind: String,
    best: Shrunk,
    max_runs: u32,
}

impl Search {
    /// Nothing needs to happen after the last operation that counts.
    fn stop_early(&mut self) {
        let begun = self.best.failure.operations;
        let cuts = &self.best.schedule.cuts;
        let last = (0..begun).rev().find(|number| !cuts.operations.contains(number));
        for stop in [begun, last.map_or(0, |last| last + 1)] {
            if self.best.schedule.cuts.stop_after.unwrap_or(self.best.schedule.scenario.operations) > stop {
                self.fails_with(|schedule| schedule.cuts.stop_after = Some(stop));
            }
        }
    }

    fn drop_strikes(&mut self) {
        let struck = 0..self.best.failure.strikes;
        let kept = struck.filter(|strike| !self.best.schedule.cuts.strikes.contains(strike)).collect();
        minimize(kept, |dropped| {
            self.fails_with(|schedule| schedule.cuts.strikes.extend(dropped.iter().copied()))
        });
    }

    fn drop_operations(&mut self) {
        let begun = 0..self.best.failure.operations;
        let kept = begun.filter(|number| !self.best.schedule.cuts.operations.contains(number)).collect();
        minimize(kept, |dropped| {
            self.fails_with(|schedule| schedule.cuts.operations.extend(dropped.iter().copied()))
        });
    }

    /// Only where every node is connected to every other, so that those that are left still are.
    fn drop_nodes(&mut self) {
        let schedule = &self.best.schedule;
        // Where one leads the others have their parts, and commits wait for them.
        let has_parts = schedule.scenario.topology == Topology::SingleLeader;
        if has_parts || schedule.scenario.plan(schedule.seed).setup.shape != Shape::AllToAll {
            return;
        }
        let nodes = (0..schedule.scenario.nodes).filter(|node| !schedule.cuts.nodes.contains(node));
        for node in nodes.collect::<Vec<_>>() {
            if self.best.nodes() > 2 {
                self.fails_with(|schedule| {
                    schedule.cuts.nodes.insert(node);
                });
            }
        }
    }

    /// Faults that do not strike but happen on the way: without them the strikes stay what they are.
    fn drop_faults(&mut self) {
        let on_the_way =
            [Fault::FrameLost, Fault::FrameDoubled, Fault::FrameDelayed, Fault::LostPowerInRecovery];
        for fault in on_the_way {
            if self.best.schedule.scenario.faults.contains(&fault) {
                self.fails_with(|schedule| {
                    schedule.scenario.faults.remove(&fault);
                });
            }
        }
    }

    /// Whether the best run still fails in the same way when it is changed like this; then that is the best one.
    fn fails_with(&mut self, change: impl FnOnce(&mut Schedule)) -> bool {
        let mut schedule = self.best.schedule.clone();
        change(&mut schedule);
        if self.best.runs >= self.max_runs || schedule == self.best.schedule {
            return false;
        }
        self.best.runs += 1;
        match schedule.run() {
            Err(failure) if failure.violation.kind() == self.kind => {
                self.best = Shrunk { schedule, failure, runs: self.best.runs };
                true
            }
            _ => false,
        }
    }
}

/// Drops ever smaller parts of a list: all of it, halves, quarters, down to single ones, and as long as that helps.
/// `fails_without` drops a part for good when it says so.
fn minimize<T: Copy>(mut kept: Vec<T>, mut fails_without: impl FnMut(&[T]) -> bool) {
    let mut size = kept.len();
    while size > 0 {
        let mut helped = false;
        let mut from = 0;
        while from < kept.len() {
            let part = from..kept.len().min(from + size);
            if fails_without(&kept[part.clone()]) {
                kept.drain(part);
                helped = true;
            } else {
                from = part.end;
            }
        }
        let single = size == 1;
        size = if helped && single { 1 } else { size / 2 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_dropped_and_what_does_is_left() {
        let mut left: Vec<u32> = (0..100).collect();
        let all = left.clone();
        minimize(all, |part| {
            let rest: Vec<u32> = left.iter().copied().filter(|number| !part.contains(number)).collect();
            let fails = [3, 50, 51].iter().all(|number| rest.contains(number));
            if fails {
                left = rest;
            }
            fails
        });
        assert_eq!(left, [3, 50, 51]);
    }
}
