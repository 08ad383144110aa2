//! Peace, and the reckoning: all primaries of a partition hold the same, everything that may not be lost, and nothing
//! twice; nobody else holds anything.

use core::time::Duration;

use crdt_sync::placement::Placement;
use crdt_sync::{Engine, ItemKey, NodeId};

use super::checks::{Broken, View, Wants};
use super::{Simulation, of_item};
use crate::checks;
use crate::violation::Violation;

impl Simulation<'_> {
    /// Peace: all nodes come up and agree, and have answered everything they were asked.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        self.world.make_peace();
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
        }
        self.report.settled_after = self.world.time().since(peace);
        self.be_regular()?;
        match self.due.keys().next() {
            Some(&(node, request)) => Err(Violation::NeverAnswered { node, request }),
            None => Ok(()),
        }
    }

    /// When everything has settled, nodes tell each other of the ring at each heartbeat, and compare each partition now
    /// and then.
    fn be_regular(&mut self) -> Result<(), Violation> {
        let (before, timing) = (self.world.frames().clone(), self.plan.setup.timing);
        let span = timing.compare_every * 2;
        self.pass(span)?;
        let beats = span.as_micros() / timing.heartbeat.as_micros().max(1);
        // A word about the ring and the answer to it; for each partition an opening and the answer to it, three times.
        let limit = u64::try_from(2 * beats).unwrap_or(u64::MAX) + 6 * u64::from(self.plan.setup.partitions);
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
        let members: Vec<usize> = self.world.members().collect();
        let is_whole = members.len() == self.world.nodes();
        for &node in &members {
            let Some(engine) = self.world.engine(node) else {
                return Some(format!("node {node} is down"));
            };
            if engine.status().peers.len() + 1 < members.len() {
                return Some(format!("node {node} sees only {:?}", engine.status().peers));
            }
            let hints = engine.activity().hints;
            // Those for a node that never starts are kept.
            if is_whole && hints > 0 {
                return Some(format!("node {node} keeps {hints} hints"));
            }
        }
        let ring = Placement::new(name_of(0), self.plan.setup.layout());
        let mut partitions = 0..self.plan.setup.partitions;
        partitions.find_map(|partition| {
            let holds = |node: &&usize| ring.holds(name_of(**node), partition);
            let (primaries, others): (Vec<_>, Vec<_>) = members.iter().partition(holds);
            let difference = self.difference(partition, &primaries);
            difference.or_else(|| {
                others.into_iter().filter(|_| is_whole).find_map(|node| self.stray(partition, node))
            })
        })
    }

    /// How the primaries of a partition differ.
    fn difference(&self, partition: u16, primaries: &[usize]) -> Option<String> {
        let (first, rest) = primaries.split_first()?;
        let look = |node: usize| {
            let engine = self.world.engine(node)?;
            Some((engine.status().partitions[usize::from(partition)].root, engine.seen_digest(partition)))
        };
        let ours = look(*first);
        let other = rest.iter().find(|node| look(**node) != ours)?;
        Some(format!("of partition {partition} {first} holds {ours:?} and {other} holds {:?}", look(*other)))
    }

    /// What a node holds of a partition that is not its own.
    fn stray(&self, partition: u16, node: usize) -> Option<String> {
        let keys = self.world.engine(node)?.status().partitions[usize::from(partition)].keys;
        (keys > 0).then(|| format!("{node} holds {keys} keys of partition {partition}, which is not its own"))
    }

    /// Nothing is lost that may not be, nothing is there that nobody wrote, or that was removed.
    pub(super) fn reckon(&mut self) -> Result<(), Violation> {
        let ring = Placement::new(name_of(0), self.plan.setup.layout());
        let from = self.model.tick();
        let engines = || self.world.members().filter_map(|node| Some((node, self.world.engine(node)?)));
        for item in self.model.items() {
            for (node, engine) in engines() {
                if ring.holds(name_of(node), engine.partition_of(item)) {
                    self.check_in_the_end(node, engine, item, from)?;
                }
            }
        }
        for (node, engine) in engines() {
            if let Some(item) =
                checks::held(engine, &self.plan.setup.collections).find(|item| !self.model.has_item(item))
            {
                let found = format!("held by {node}");
                return Err(Violation::WrongOutcome {
                    item,
                    found,
                    expected: "nothing: nobody wrote to it".into(),
                });
            }
        }
        Ok(())
    }

    fn check_in_the_end(
        &self,
        node: usize,
        engine: &Engine,
        item: &ItemKey,
        from: u64,
    ) -> Result<(), Violation> {
        let view = View { model: &self.model, item, from, wants: Wants::Everything };
        view.check(engine.peek(item)).map_err(|broken| match broken {
            Broken::Missing(known, detail) => Violation::LostWrite {
                node: known.node,
                request: known.request,
                detail: format!("at {item:?} of {node}: {detail}"),
            },
            other => of_item(item, other),
        })
    }
}

fn name_of(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}
