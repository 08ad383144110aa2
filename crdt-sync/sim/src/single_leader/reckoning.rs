//! What a node shows, at every start and in the end: the log as far as it has applied it, and nothing else.

use std::collections::BTreeMap;

use crdt_sync::failover::election::Policy;
use crdt_sync::{Engine, ItemKey, NodeId, Request};
use replication_log::{Lsn, Position};

use super::Simulation;
use crate::checks;
use crate::course::Run as _;
use crate::violation::Violation;
use crate::world::{LogPlace, name_of};

impl Simulation<'_> {
    /// When everything has settled, nodes say that they are alive, and how far they are, at each heartbeat.
    pub(super) fn be_regular(&mut self) -> Result<(), Violation> {
        const BEATS: u32 = 12;
        let heartbeat = self.course.plan.setup.timing.heartbeat;
        // A word of who leads, one of whom it follows or who follows it, and the answer to one.
        // Where nodes take over by themselves they say besides where they stand, and renew leases.
        let words = if self.course.plan.setup.failover.is_some() { 6 } else { 3 };
        self.pass_quietly(heartbeat * BEATS, u64::from(words * (BEATS + 2)))
    }

    /// Why the nodes cannot be said to agree yet.
    pub(super) fn find_disagreement(&self) -> Option<String> {
        let world = &self.course.world;
        if world.awaits_new_leader() {
            return Some("somebody is to lead".into());
        }
        let leading: Vec<usize> = world.leading().collect();
        let [leader] = leading[..] else { return Some(format!("{leading:?} lead")) };
        if let Some(preferred) = self.is_made_way_for(leader) {
            return Some(format!("{leader} leads, and is to make way for {preferred}"));
        }
        let engine = world.engine(leader).map(|engine| (engine.leadership(), engine.status()));
        let Some((Some(leadership), status)) = engine else { return Some("nobody leads".into()) };
        let end = world.disk_of(leader).end();
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
            let agrees = theirs.leader == Some(name_of(leader)) && theirs.epoch == leadership.epoch;
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

    /// Who comes before the leader in the list of priorities, where that is made way for: in peace it leads in the end.
    fn is_made_way_for(&self, leader: usize) -> Option<NodeId> {
        let rules = self.course.plan.setup.failover.as_ref().filter(|rules| rules.makes_way.is_some())?;
        let Policy::Priority(list) = &rules.policy else { return None };
        let mine = list.iter().position(|node| *node == name_of(leader)).unwrap_or(list.len());
        let counts = |name: &&NodeId| {
            self.course.world.members().any(|node| name_of(node) == **name && self.course.world.counts(node))
        };
        list[..mine].iter().find(counts).copied()
    }

    /// A node shows the log as far as it has applied it.
    pub(super) fn check_node(&self, node: usize) -> Result<(), Violation> {
        let Some(engine) = self.course.world.engine(node) else { return Ok(()) };
        let at = engine.leadership().map_or(Lsn::ZERO, |leadership| leadership.applied);
        let at = self.course.world.histories().at(self.course.world.end_of(node), at);
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

    fn compare(&self, engine: &Engine, node: usize, item: &ItemKey, at: LogPlace) -> Result<(), Violation> {
        let value = self.model.at(item, at, self.course.world.histories());
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
        let Some(leader) = self.course.world.leading().next() else { return Ok(()) };
        let ours = self.course.world.disk_of(leader).batches().map_err(unread(leader))?;
        let ours: BTreeMap<Lsn, _> = ours.into_iter().map(|batch| (batch.0.lsn, batch)).collect();
        for node in self.course.world.members().collect::<Vec<_>>() {
            self.check_node(node)?;
            let theirs = self.course.world.disk_of(node).batches().map_err(unread(node))?;
            // Each has let go of what it needed no longer.
            let first = ours.keys().next().copied().unwrap_or_default();
            let differs =
                |batch: &&(Position, Vec<u8>)| batch.0.lsn >= first && ours.get(&batch.0.lsn) != Some(*batch);
            if let Some(batch) = theirs.iter().find(differs) {
                let detail =
                    format!("the batch that ends with {:?} has other bytes, or is not there", batch.0);
                return Err(Violation::LogsDiffer { node, detail });
            }
            let both = theirs.iter().map(|batch| batch.0.lsn).filter(|lsn| *lsn >= first).count();
            let begins = self.course.world.disk_of(node).oldest().max(first);
            if both != ours.range(begins..).count() {
                let detail = format!("it has {both} batches of the leader's {}", ours.len());
                return Err(Violation::LogsDiffer { node, detail });
            }
        }
        self.check_lost(leader)?;
        self.look_at_sessions(leader)?;
        for which in self.given_up.clone() {
            self.ask_fate(which)?;
            self.notice()?;
        }
        Ok(())
    }
}

impl Simulation<'_> {
    /// What was acknowledged is in the last leader's log; or it may be lost, and is kept aside, unless a disk was lost.
    fn check_lost(&self, leader: usize) -> Result<(), Violation> {
        let world = &self.course.world;
        let (histories, end) = (world.histories(), world.end_of(leader));
        let lost = self.model.committed().filter(|(place, ..)| !histories.leads_to(*place, end));
        for (place, request, degraded) in lost {
            let wrote = histories.leader_under(place.epoch).unwrap_or(leader);
            let detail = format!("{place:?} is not in the log that ends with {end:?}");
            if !self.may_lose(degraded) || !world.is_kept_aside(place) && !world.was_damaged(wrote) {
                return Err(Violation::LostWrite { node: wrote, request, detail });
            }
        }
        Ok(())
    }

    /// A session hears that what it depends on is lost, or is shown it.
    fn look_at_sessions(&mut self, node: usize) -> Result<(), Violation> {
        let Some(now) = self.course.world.now(node) else { return Ok(()) };
        for client in 0..self.wanderers.len() {
            let Some(item) = self.model.items().next().cloned() else { return Ok(()) };
            let request = Request::Read { item: item.clone(), deadline: now.instant };
            self.session_read(node, client, item, request)?;
            self.notice()?;
        }
        Ok(())
    }
}

fn wrong(item: ItemKey, found: String, expected: String) -> Violation {
    Violation::WrongOutcome { item, found, expected }
}
