//! Peace, and the reckoning: all primaries of a partition hold the same, everything that may not be lost, and nothing
//! twice; nobody else holds anything.

use crdt_sync::{Engine, ItemKey};

use super::checks::{Broken, View, Wants};
use super::{Simulation, of_item};
use crate::checks;
use crate::course::Run;
use crate::violation::Violation;
use crate::world::name_of;

impl Simulation<'_> {
    /// When everything has settled, nodes tell each other of the ring at each heartbeat, and compare each partition now
    /// and then.
    pub(super) fn be_regular(&mut self) -> Result<(), Violation> {
        let (timing, partitions) = (self.course.plan.setup.timing, self.course.plan.setup.partitions);
        let span = timing.compare_every * 2;
        let beats = span.as_micros() / timing.heartbeat.as_micros().max(1);
        // A word about the ring and the answer to it; for each partition an opening and the answer to it, three times.
        let limit = u64::try_from(2 * beats).unwrap_or(u64::MAX) + 6 * u64::from(partitions);
        self.pass_quietly(span, limit)
    }

    /// Why the nodes cannot be said to agree yet.
    pub(super) fn find_disagreement(&self) -> Option<String> {
        if let Some(detail) = self.unfinished_change() {
            return Some(detail);
        }
        let members: Vec<usize> = self.course.world.members().collect();
        let is_whole = self.course.cuts.nodes.is_empty();
        for &node in &members {
            let Some(engine) = self.course.world.engine(node) else {
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
        let ring = self.course.world.placement();
        let mut partitions = 0..self.course.plan.setup.partitions;
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
            let engine = self.course.world.engine(node)?;
            Some((engine.status().partitions[usize::from(partition)].root, engine.seen_digest(partition)))
        };
        let ours = look(*first);
        let other = rest.iter().find(|node| look(**node) != ours)?;
        Some(format!("of partition {partition} {first} holds {ours:?} and {other} holds {:?}", look(*other)))
    }

    /// What a node holds of a partition that is not its own.
    fn stray(&self, partition: u16, node: usize) -> Option<String> {
        let keys = self.course.world.engine(node)?.status().partitions[usize::from(partition)].keys;
        (keys > 0).then(|| format!("{node} holds {keys} keys of partition {partition}, which is not its own"))
    }

    /// Nothing is lost that may not be, nothing is there that nobody wrote, or that was removed.
    pub(super) fn check_all(&mut self) -> Result<(), Violation> {
        let ring = self.course.world.placement();
        let from = self.model.tick();
        let engines =
            || self.course.world.members().filter_map(|node| Some((node, self.course.world.engine(node)?)));
        for item in self.model.items() {
            for (node, engine) in engines() {
                if ring.holds(name_of(node), engine.partition_of(item)) {
                    self.check_in_the_end(node, engine, item, from)?;
                }
            }
        }
        for (node, engine) in engines() {
            if let Some(item) = checks::held(engine, &self.course.plan.setup.collections)
                .find(|item| !self.model.has_item(item))
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
