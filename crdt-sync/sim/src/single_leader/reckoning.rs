//! What a node shows, at every start and in the end: the log as far as it has applied it, and nothing else.

use crdt_sync::{Engine, ItemKey};
use replication_log::Lsn;

use super::Simulation;
use crate::checks;
use crate::course::Run;
use crate::violation::Violation;
use crate::world::{LEADER, name_of};

impl Simulation<'_> {
    /// When everything has settled, nodes say that they are alive, and how far they are, at each heartbeat.
    pub(super) fn be_regular(&mut self) -> Result<(), Violation> {
        const BEATS: u32 = 12;
        let heartbeat = self.course.plan.setup.timing.heartbeat;
        // A word of who leads, one of whom it follows or who follows it, and the answer to one.
        self.pass_quietly(heartbeat * BEATS, u64::from(3 * (BEATS + 2)))
    }

    /// Why the nodes cannot be said to agree yet.
    pub(super) fn find_disagreement(&self) -> Option<String> {
        let world = &self.course.world;
        let leader = world.engine(LEADER).map(|engine| (engine.leadership(), engine.status()));
        let Some((Some(leadership), status)) = leader else { return Some("nobody leads".into()) };
        let end = world.disk_of(LEADER).end();
        if leadership.mode.is_none() {
            return Some("the leader has yet to look into its log".into());
        }
        for node in world.members() {
            let Some(engine) = world.engine(node) else { return Some(format!("node {node} is down")) };
            let disk = world.disk_of(node);
            if disk.end() != end || end.is_none_or(|end| end.lsn != disk.durable()) {
                let (ends, durable) = (disk.end(), disk.durable());
                return Some(format!(
                    "the log of {node} ends with {ends:?}, and the leader's with {end:?}; {durable} is durable"
                ));
            }
            let Some(theirs) = engine.leadership() else { return Some("it has another topology".into()) };
            let agrees = theirs.leader == Some(name_of(LEADER)) && theirs.epoch == leadership.epoch;
            if !agrees || end.is_none_or(|end| end.lsn != theirs.applied) {
                return Some(format!("{node} says {theirs:?} and the log ends with {end:?}"));
            }
            let partitions = engine.status().partitions;
            if partitions != status.partitions {
                return Some(format!("{node} holds {partitions:?}, and the leader {:?}", status.partitions));
            }
        }
        None
    }

    /// A node shows the log as far as it has applied it.
    pub(super) fn check_node(&self, node: usize) -> Result<(), Violation> {
        let Some(engine) = self.course.world.engine(node) else { return Ok(()) };
        let at = engine.leadership().map_or(Lsn::ZERO, |leadership| leadership.applied);
        for item in self.model.items() {
            self.compare(engine, node, item, at)?;
        }
        match checks::held(engine, &self.course.plan.setup.collections)
            .find(|item| !self.model.has_item(item))
        {
            Some(item) => Err(wrong(item, format!("held by {node}"), "nothing: nobody wrote to it".into())),
            None => Ok(()),
        }
    }

    fn compare(&self, engine: &Engine, node: usize, item: &ItemKey, at: Lsn) -> Result<(), Violation> {
        let value = self.model.at(item, at);
        match value.differs_from(engine.peek(item)) {
            Some(difference) => {
                Err(wrong(item.clone(), format!("at {node} {difference}"), format!("{value:?}")))
            }
            None => Ok(()),
        }
    }

    /// All logs are the same to the last byte, all nodes show all of it, and it says what became of what was given up.
    pub(super) fn check_all(&mut self) -> Result<(), Violation> {
        let unread = |node: usize| {
            move |error: crate::disk::DiskError| Violation::CannotStart { node, error: error.to_string() }
        };
        let ours = self.course.world.disk_of(LEADER).batches().map_err(unread(LEADER))?;
        for node in self.course.world.members().collect::<Vec<_>>() {
            self.check_node(node)?;
            let theirs = self.course.world.disk_of(node).batches().map_err(unread(node))?;
            if let Some((ours, _)) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
                let detail = format!("the batch that ends with {:?} has other bytes", ours.0);
                return Err(Violation::LogsDiffer { node, detail });
            }
            if ours.len() != theirs.len() {
                let detail = format!("it has {} batches, and not {}", theirs.len(), ours.len());
                return Err(Violation::LogsDiffer { node, detail });
            }
        }
        for which in self.given_up.clone() {
            self.ask_fate(which)?;
            self.notice()?;
        }
        Ok(())
    }
}

fn wrong(item: ItemKey, found: String, expected: String) -> Violation {
    Violation::WrongOutcome { item, found, expected }
}
