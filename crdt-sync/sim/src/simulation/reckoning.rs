//! Peace, and the reckoning: the nodes agree, fall silent, and hold what the writes come to.

use core::time::Duration;
use crdt_sync::Status;

use super::Simulation;
use crate::checks;
use crate::violation::Violation;

impl Simulation<'_> {
    /// Peace: all nodes come up, agree, fall silent, and have answered everything they were asked.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        self.world.make_peace();
        // What was struck before may still have to be noticed, and what was held up to arrive.
        let aftermath = self.plan.setup.hostility.as_ref().map(|hostility| *hostility.lasting.end());
        self.pass(aftermath.unwrap_or_default())?;
        let peace = self.world.time();
        while let Some(detail) = self.disagreement() {
            let waited = self.world.time().since(peace);
            if waited > self.plan.settle_within {
                let waited_millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Err(Violation::NoConvergence { waited_millis, detail });
            }
            self.pass(LOOK_EVERY)?;
            self.tend_retirements()?;
        }
        self.report.settled_after = self.world.time().since(peace);
        self.pass(self.plan.setup.timing.session_timeout)?;
        self.fall_silent()?;
        self.check_pending()?;
        match self.due.keys().next() {
            Some(&(node, request)) => Err(Violation::NeverAnswered { node, request }),
            None => Ok(()),
        }
    }

    /// When everything has settled, nodes only tell each other now and then that they are alive.
    fn fall_silent(&mut self) -> Result<(), Violation> {
        const SIGNS_OF_LIFE: u32 = 5;
        let before = self.world.frames().clone();
        self.pass(self.plan.setup.timing.keep_alive * SIGNS_OF_LIFE)?;
        // A sign of life and the answer to one, per partition.
        let limit = u64::from(2 * (SIGNS_OF_LIFE + 1)) * u64::from(self.plan.setup.partitions);
        for (&(from, to), &sent) in self.world.frames() {
            let frames = sent - before.get(&(from, to)).copied().unwrap_or_default();
            if frames > limit {
                return Err(Violation::Restless { from, to, frames, limit });
            }
        }
        Ok(())
    }

    /// Why the nodes cannot be said to agree yet.
    fn disagreement(&self) -> Option<String> {
        if let Some(detail) = self.unfinished_retirement() {
            return Some(detail);
        }
        let mut first: Option<Status> = None;
        for node in self.world.members() {
            let Some(engine) = self.world.engine(node) else {
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
            if status.partitions != first.partitions {
                return checks::disagreement(first, &status);
            }
            if status.members != first.members {
                return Some(format!("{:?} and {:?} know other members", first.node, status.node));
            }
        }
        None
    }

    /// When nodes have fallen silent, next to nothing is on its way: a timer for each, old ones that no longer ring,
    /// and signs of life.
    fn check_pending(&self) -> Result<(), Violation> {
        let (events, nodes) = (self.world.pending(), self.world.nodes());
        let limit = 64 * nodes * nodes;
        if events > limit { Err(Violation::Crowded { events, limit }) } else { Ok(()) }
    }

    fn peers_of(&self, node: usize) -> usize {
        let (shape, nodes) = (self.plan.setup.shape, self.world.nodes());
        self.world.members().filter(|other| shape.links(node, *other, nodes)).count()
    }

    /// The nodes agree to the byte, on what the writes come to, and nothing acknowledged is missing.
    pub(super) fn reckon(&mut self) -> Result<(), Violation> {
        self.end_retirements()?;
        let engines: Vec<_> = self.world.members().filter_map(|node| self.world.engine(node)).collect();
        let collections = &self.plan.setup.collections;
        let Some((first, others)) = engines.split_first() else {
            return Ok(());
        };
        for other in others {
            if let Some(detail) = checks::difference(first, other, collections) {
                return Err(Violation::NoConvergence { waited_millis: 0, detail });
            }
        }
        let (status, lineage) = (first.status(), self.world.lineage());
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
