//! Peace, and the reckoning: the nodes agree, fall silent, and hold what the writes come to.

use crdt_sync::Status;

use super::Simulation;
use crate::checks;
use crate::course::Run;
use crate::violation::Violation;

impl Simulation<'_> {
    /// When everything has settled, nodes only tell each other now and then that they are alive.
    pub(super) fn fall_silent(&mut self) -> Result<(), Violation> {
        const SIGNS_OF_LIFE: u32 = 5;
        let (timing, partitions) = (self.course.plan.setup.timing, self.course.plan.setup.partitions);
        self.pass(timing.session_timeout)?;
        // A sign of life and the answer to one, per partition.
        // And a question for the entries of each branch that somebody got as states.
        let engines = self.course.world.members().filter_map(|node| self.course.world.engine(node));
        let branches = engines.map(|engine| engine.branches().len() as u64).max().unwrap_or(0);
        let limit = u64::from(SIGNS_OF_LIFE + 1) * (2 * u64::from(partitions) + branches);
        if self.model.forgets() && self.model.has_losses() {
            // Nobody waited until what can be forgotten is: it may be just now, by one after the other.
            let mut patience = 10 * SIGNS_OF_LIFE;
            while self.find_disagreement().is_some() && patience > 0 {
                self.pass(timing.keep_alive / 4)?;
                patience -= 1;
            }
        } else {
            self.pass_quietly(timing.keep_alive * SIGNS_OF_LIFE, limit)?;
        }
        self.check_pending()
    }

    /// Why the nodes cannot be said to agree yet.
    pub(super) fn find_disagreement(&self) -> Option<String> {
        if let Some(detail) = self.unfinished_retirement() {
            return Some(detail);
        }
        let mut first: Option<Status> = None;
        for node in self.course.world.members() {
            let Some(engine) = self.course.world.engine(node) else {
                return Some(format!("node {node} is down"));
            };
            let status = engine.status();
            let first = first.get_or_insert_with(|| status.clone());
            if status.sessions > 0 {
                return Some(format!("node {node} is in a session"));
            }
            if status.peers.len() < self.peers_of(node) {
                return Some(format!("node {node} sees only {:?}", status.peers));
            }
            if !self.course.world.is_partial(node) && status.partitions != first.partitions {
                return checks::disagreement(first, &status);
            }
            if status.members != first.members {
                return Some(format!("{:?} and {:?} know other members", first.node, status.node));
            }
        }
        self.find_difference_in_part().or_else(|| self.find_remembered())
    }

    /// How a partial replica differs from the whole nodes, which agree.
    fn find_difference_in_part(&self) -> Option<String> {
        let (world, collections) = (&self.course.world, &self.course.plan.setup.collections);
        let (partial, whole): (Vec<_>, Vec<_>) = world.members().partition(|node| world.is_partial(*node));
        let whole = whole.first().and_then(|node| world.engine(*node))?;
        let mut parts = partial.into_iter().filter_map(|node| world.engine(node));
        parts.find_map(|part| checks::differs_in_part(&self.model, whole, part, collections))
    }

    /// Where deletions are forgotten, one that is not yet.
    fn find_remembered(&self) -> Option<String> {
        let (world, setup) = (&self.course.world, &self.course.plan.setup);
        // What was lost with a disk is waited for as long as somebody knows of it.
        let must = setup.forgets_deletions && !self.model.has_losses();
        let mut members = world.members().filter(|_| must);
        members.find_map(|node| {
            let item = checks::remembers_deletion(world.engine(node)?, &setup.collections)?;
            let held_back_by = world.engine(node)?.status().held_back_by;
            Some(format!(
                "node {node} has not forgotten the deletion of {item:?}; it waits for {held_back_by:?}"
            ))
        })
    }

    /// When nodes have fallen silent, next to nothing is on its way: a timer for each, old ones that no longer ring,
    /// and signs of life.
    fn check_pending(&self) -> Result<(), Violation> {
        let (events, nodes) = (self.course.world.pending(), self.course.world.nodes());
        let limit = 64 * nodes * nodes;
        if events > limit { Err(Violation::Crowded { events, limit }) } else { Ok(()) }
    }

    fn peers_of(&self, node: usize) -> usize {
        self.course.world.members().filter(|other| self.course.plan.setup.links(node, *other)).count()
    }

    /// The nodes agree to the byte, on what the writes come to, and nothing acknowledged is missing.
    pub(super) fn compare_all(&mut self) -> Result<(), Violation> {
        self.end_retirements()?;
        let whole = self.course.world.members().filter(|node| !self.course.world.is_partial(*node));
        let engines: Vec<_> = whole.filter_map(|node| self.course.world.engine(node)).collect();
        let collections = &self.course.plan.setup.collections;
        let Some((first, others)) = engines.split_first() else {
            return Ok(());
        };
        for other in others {
            if let Some(detail) = checks::difference(first, other, collections) {
                return Err(Violation::NoConvergence { waited_millis: 0, detail });
            }
        }
        if let Some(detail) = self.find_difference_in_part() {
            return Err(Violation::NoConvergence { waited_millis: 0, detail });
        }
        let (status, lineage) = (first.status(), self.course.world.lineage());
        self.model.settle(&lineage.known(&status.partitions)).map_err(|(node, request)| {
            let detail = "its entries are not among those all nodes know".into();
            Violation::LostWrite { node, request, detail }
        })?;
        checks::nothing_lost(&self.model, first, lineage, |_| true)?;
        checks::outcome(&self.model, first, lineage, collections)?;
        checks::exactly_once(&self.model, first)?;
        self.registers.check()
    }
}
