//! The course of every run, whatever its topology: operations of clients, then peace, then the reckoning.

use std::panic::{AssertUnwindSafe, catch_unwind};

use core::time::Duration;
use crdt_sync::RequestId;

use crate::checks;
use crate::cuts::Cuts;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::simulation::Report;
use crate::trace::Trace;
use crate::violation::{Failure, Violation};
use crate::world::World;

/// What a run of any topology is made of.
pub(crate) struct Course<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) cuts: &'p Cuts,
    pub(crate) world: World,
    /// What the dice of each operation are made of.
    chance: u64,
    /// How many operations were begun, those that are cut out included.
    begun: u32,
    pub(crate) report: Report,
}

impl<'p> Course<'p> {
    pub(crate) fn new(seed: u64, plan: &'p Plan, cuts: &'p Cuts) -> Self {
        let trace = if plan.verbose { Trace::recording() } else { Trace::new() };
        let mut world = World::traced(seed, plan.setup.clone(), trace);
        world.leave_out(cuts.nodes.clone(), cuts.strikes.clone());
        // The clients' choices are their own: another world for the same clients is another setup, not another seed.
        let chance = Dice::new(!seed).number();
        Self { plan, cuts, world, chance, begun: 0, report: Report::default() }
    }

    /// A plan that promises strikes must keep that, unless something was cut out of it.
    fn check_strikes(&self) -> Result<(), Violation> {
        let (strikes, least) = (self.world.strikes(), self.plan.least_strikes);
        let promised = *self.cuts == Cuts::default() && self.world.is_hostile();
        if promised && strikes < least { Err(Violation::TooFewStrikes { strikes, least }) } else { Ok(()) }
    }

    fn check_memory(&self) -> Result<(), Violation> {
        let engines = (0..self.world.nodes()).filter_map(|node| Some((node, self.world.engine(node)?)));
        let limits = &self.plan.setup.limits;
        engines.into_iter().try_for_each(|(node, engine)| checks::bounded(node, engine, limits))
    }

    fn into_report(self) -> Report {
        Report {
            digest: self.world.trace().digest(),
            events: self.world.trace().events(),
            faults: self.world.faults(),
            coverage: self.world.coverage(),
            strikes: self.world.strikes(),
            trace: self.world.trace().lines().to_vec(),
            ..self.report
        }
    }

    fn into_failure(self, seed: u64, violation: Violation) -> Failure {
        Failure {
            seed,
            at: self.world.time(),
            violation,
            operations: self.begun,
            strikes: self.world.strikes(),
            digest: self.world.trace().digest(),
            trace: self.world.trace().lines().to_vec(),
        }
    }
}

/// What clients do in a world, and what is checked meanwhile: another one for each topology.
pub(crate) trait Run<'p>: Sized {
    fn course(&self) -> &Course<'p>;

    fn course_mut(&mut self) -> &mut Course<'p>;

    /// A client begins an operation.
    fn begin(&mut self, number: u32, dice: &mut Dice) -> Result<(), Violation>;

    /// Looks after what goes on by itself, between operations and until the nodes agree.
    fn tend(&mut self) -> Result<(), Violation> {
        Ok(())
    }

    /// Notices what happened.
    fn notice(&mut self) -> Result<(), Violation>;

    /// Why the nodes cannot be said to agree yet.
    fn disagreement(&self) -> Option<String>;

    /// The nodes agree: they say no more than they must.
    fn rest(&mut self) -> Result<(), Violation>;

    /// The first request that waits for its answer.
    fn unanswered(&self) -> Option<(usize, RequestId)>;

    /// Everything is at rest: it is what the operations come to.
    fn reckon(&mut self) -> Result<(), Violation>;

    /// The course is over: what the report does not say yet.
    fn conclude(self) -> Course<'p>;

    /// Lets time pass and notices what happens.
    fn pass(&mut self, span: Duration) -> Result<(), Violation> {
        let until = self.course().world.time() + span;
        while self.course().world.next_at().is_some_and(|at| at <= until) {
            self.course_mut().world.step()?;
            self.notice()?;
        }
        let world = &mut self.course_mut().world;
        world.run_for(until.since(world.time()))
    }

    /// Lets time pass in which a node may send another no more than so many frames.
    fn pass_quietly(&mut self, span: Duration, limit: u64) -> Result<(), Violation> {
        let before = self.course().world.frames().clone();
        self.pass(span)?;
        for (&(from, to), &sent) in self.course().world.frames() {
            let frames = sent - before.get(&(from, to)).copied().unwrap_or_default();
            if frames > limit {
                return Err(Violation::Restless { from, to, frames, limit });
            }
        }
        Ok(())
    }
}

/// Runs it to the end, or to the first violation, a panic included.
pub(crate) fn run_to_the_end<'p>(seed: u64, mut run: impl Run<'p>) -> Result<Report, Box<Failure>> {
    let outcome = catch_unwind(AssertUnwindSafe(|| follow(&mut run)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let message = text.unwrap_or("without a message").to_owned();
        Err(Violation::Panicked { message })
    });
    let course = run.conclude();
    match outcome {
        Ok(()) => Ok(course.into_report()),
        Err(violation) => Err(Box::new(course.into_failure(seed, violation))),
    }
}

fn follow<'p>(run: &mut impl Run<'p>) -> Result<(), Violation> {
    let (plan, cuts) = (run.course().plan, run.course().cuts);
    let operations = cuts.stop_after.map_or(plan.operations, |stop| stop.min(plan.operations));
    for number in 0..operations {
        let mut dice = Dice::new(run.course().chance.wrapping_add(number.into()));
        run.pass(plan.pause(&mut dice))?;
        run.course_mut().begun += 1;
        if cuts.operations.contains(&number) {
            continue;
        }
        run.begin(number, &mut dice)?;
        run.tend()?;
        run.course().check_memory()?;
    }
    run.course().check_strikes()?;
    settle(run)?;
    run.reckon()
}

/// Peace: all nodes come up, agree, fall silent, and have answered everything they were asked.
fn settle<'p>(run: &mut impl Run<'p>) -> Result<(), Violation> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let plan = run.course().plan;
    run.course_mut().world.make_peace();
    // What was struck before may still have to be noticed, and what was held up to arrive.
    let aftermath = plan.setup.hostility.as_ref().map(|hostility| *hostility.lasting.end());
    run.pass(aftermath.unwrap_or_default())?;
    let peace = run.course().world.time();
    while let Some(detail) = run.disagreement() {
        let waited = run.course().world.time().since(peace);
        if waited > plan.settle_within {
            let waited_millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            return Err(Violation::NoConvergence { waited_millis, detail });
        }
        run.pass(LOOK_EVERY)?;
        run.tend()?;
    }
    let course = run.course_mut();
    course.report.settled_after = course.world.time().since(peace);
    run.rest()?;
    match run.unanswered() {
        Some((node, request)) => Err(Violation::NeverAnswered { node, request }),
        None => Ok(()),
    }
}
