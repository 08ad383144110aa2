//! Whom to ask.

use core::time::Duration;

use replication_log::Epoch;

use super::choice::{Candidate, Draw, nearest, nearest_that_has_it};
use super::client::{Seen, Session};
use super::error::NoRoute;
use super::fleet::Fleet;
use super::lineage::{Holds, Version};
use super::pattern::{Answer, Freshness, ReadPattern, Reason, Route, WriteRoute};
use super::tags::{Audience, Regions, Tags};
use crate::node::NodeId;
use crate::time::Instant;

/// Answers for each read and write which node to ask, and for each answer whether it is what the session was promised.
///
/// Deterministic, without IO or a clock. A read costs O(nodes · (regions + epochs)) and allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Router {
    fleet: Fleet,
    regions: Regions,
}

impl Router {
    /// A router in a place from which `regions` are seen.
    pub const fn new(fleet: Fleet, regions: Regions) -> Self {
        Self { fleet, regions }
    }

    /// What is known of the nodes.
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What is known of the nodes, to be told more.
    pub const fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Where to send a write: to the leader.
    pub fn route_write(&self, session: &Session) -> Result<WriteRoute, NoRoute> {
        let at_least = session.version();
        let (node, epoch) = self.leader_of(at_least)?;
        Ok(WriteRoute { node, epoch, at_least })
    }

    /// Where to send a read of a session.
    pub fn route(
        &self,
        session: &mut Session,
        pattern: ReadPattern,
        audience: Audience,
        now: Instant,
    ) -> Result<Route, NoRoute> {
        let audience = self.served_by(audience)?;
        let read = Read { router: self, analytics: audience, now };
        let (node, at_least, why) = match pattern {
            ReadPattern::Any { at_most } => read.any(session, at_most)?,
            ReadPattern::LeaderAfterOwnWrite { window } => read.after_own_write(session, window)?,
            ReadPattern::Monotonic => read.monotonic(session)?,
            ReadPattern::Versioned { waits } => read.versioned(session, waits)?,
        };
        Ok(Route { node, at_least, pattern, why })
    }

    /// A node answered a read: notes how far it is, and says whether the answer may be shown.
    pub fn answered(&mut self, session: &mut Session, route: &Route, answer: Answer, now: Instant) -> Seen {
        self.fleet.heard(route.node, answer.version, now);
        session.saw(self.fleet.lineage(), route, answer)
    }

    /// The leader acknowledged a write: see [`Session::wrote`].
    pub fn acknowledged(&mut self, session: &mut Session, by: NodeId, answer: Answer, now: Instant) -> Seen {
        self.fleet.heard(by, answer.version, now);
        session.wrote(self.fleet.lineage(), answer, now)
    }

    /// Whether nodes for analytics serve this audience now, or all the others.
    fn served_by(&self, audience: Audience) -> Result<bool, NoRoute> {
        let is_reachable =
            |analytics: bool| self.fleet.reachable().any(|(_, tags)| tags.analytics == analytics);
        match (audience, is_reachable(false), is_reachable(true)) {
            (_, false, false) => Err(NoRoute::NobodyReachable),
            (Audience::Default, true, _) | (Audience::Analytics { or_default: true }, true, false) => {
                Ok(false)
            }
            (Audience::Default, false, true) => Err(NoRoute::OnlyAnalytics),
            (Audience::Analytics { .. }, _, true) => Ok(true),
            (Audience::Analytics { .. }, true, false) => Err(NoRoute::NoAnalytics),
        }
    }

    /// Who leads, unless `need` was written or seen under a newer leader than the one that is known.
    fn leader_of(&self, need: Option<Version>) -> Result<(NodeId, Epoch), NoRoute> {
        let newest = self.fleet.newest_epoch();
        if need.is_some_and(|need| newest.is_none_or(|newest| newest < need.epoch)) {
            return Err(NoRoute::NoLeader { newest });
        }
        self.fleet.leader()
    }

    /// Whether a node has `need`. What is heard of the leader is late, and its log has all of its epoch.
    fn holds(&self, node: NodeId, leads: bool, need: Option<Version>) -> Holds {
        let Some(need) = need else { return Holds::Yes };
        let lineage = self.fleet.lineage();
        match (self.fleet.newest_epoch(), self.fleet.last_heard(node)) {
            (Some(epoch), _) if leads && epoch >= need.epoch => lineage.survives(need, epoch),
            (_, Some(heard)) => lineage.holds(heard.version, need),
            (_, None) => Holds::Unknown,
        }
    }
}

/// Whom to ask, the condition, and why.
type Choice = (NodeId, Option<Version>, Reason);

/// One read, as far as it is the same in every pattern.
struct Read<'a> {
    router: &'a Router,
    analytics: bool,
    now: Instant,
}

impl Read<'_> {
    fn any(&self, session: &mut Session, at_most: Option<Freshness>) -> Result<Choice, NoRoute> {
        let fresh = |candidate: &Candidate| {
            at_most.is_none_or(|bound| {
                let lag = self.router.fleet.lag(candidate.node, self.now);
                lag.is_some_and(|lag| lag.records <= bound.records && lag.age <= bound.heard_within)
            })
        };
        let chosen = nearest(self.candidates(None).filter(fresh), each_time_anew(session));
        chosen.map(|chosen| (chosen.node, None, Reason::Nearest)).ok_or_else(|| self.too_far_behind())
    }

    fn after_own_write(&self, session: &mut Session, window: Duration) -> Result<Choice, NoRoute> {
        let recent = |at| window == Duration::MAX || self.now.since(at) < window;
        let Some((own, _)) = session.last_write().filter(|&(_, at)| recent(at)) else {
            return self.any(session, None);
        };
        let need = Some(own);
        self.must_survive(need)?;
        let draw = each_time_anew(session);
        if let Some(chosen) = nearest(self.candidates(need).filter(Candidate::has_it), draw) {
            let why = if chosen.leads { Reason::OwnWrite } else { Reason::HasIt };
            return Ok((chosen.node, need, why));
        }
        let (leader, _) = self.router.leader_of(need)?;
        if self.may_ask(leader) {
            return Ok((leader, need, Reason::OwnWrite));
        }
        // A report does not go to the leader.
        let waits = nearest(self.candidates(need), draw).ok_or(NoRoute::NobodyReachable)?;
        Ok((waits.node, need, Reason::Waits))
    }

    fn monotonic(&self, session: &mut Session) -> Result<Choice, NoRoute> {
        let need = session.version();
        self.must_survive(need)?;
        if let Some(pin) = session.pin().filter(|&pin| self.may_ask(pin)) {
            return Ok((pin, need, Reason::Pinned));
        }
        session.unpin();
        let always_the_same = Draw { seed: session.seed(), turn: 0 };
        let leader = self.router.leader_of(need).ok().map(|(leader, _)| leader);
        let leader = leader.filter(|&leader| self.may_ask(leader));
        let has_it = nearest(self.candidates(need).filter(Candidate::has_it), always_the_same);
        match (has_it.filter(|chosen| !chosen.leads), leader) {
            (Some(chosen), _) => {
                session.pin_to(chosen.node);
                Ok((chosen.node, need, Reason::NewlyPinned))
            }
            // No pin: the next read looks again for a follower, or all sessions would end at the leader.
            (None, Some(leader)) => Ok((leader, need, Reason::Leader)),
            (None, None) => {
                let waits =
                    nearest(self.candidates(need), always_the_same).ok_or(NoRoute::NobodyReachable)?;
                session.pin_to(waits.node);
                Ok((waits.node, need, Reason::Waits))
            }
        }
    }

    fn versioned(&self, session: &mut Session, waits: bool) -> Result<Choice, NoRoute> {
        let need = session.version();
        self.must_survive(need)?;
        let draw = each_time_anew(session);
        let candidates = self.candidates(need).filter(|candidate| waits || candidate.has_it());
        if let Some(chosen) = nearest_that_has_it(candidates, draw) {
            let why = match (need, chosen.has_it()) {
                (None, _) => Reason::Nearest,
                (Some(_), true) => Reason::HasIt,
                (Some(_), false) => Reason::Waits,
            };
            return Ok((chosen.node, need, why));
        }
        let (leader, _) = self.router.leader_of(need)?;
        let to_leader = self.may_ask(leader).then_some((leader, need, Reason::Leader));
        to_leader.ok_or_else(|| self.too_far_behind())
    }

    /// All that may be asked, and what is known of each about `need`.
    fn candidates(&self, need: Option<Version>) -> impl Iterator<Item = Candidate> {
        let Router { fleet, regions } = self.router;
        let leader = fleet.leader().ok().map(|(leader, _)| leader);
        fleet.reachable().filter(|(_, tags)| self.serves(tags)).map(move |(node, tags)| {
            let leads = leader == Some(node);
            let holds = self.router.holds(node, leads, need);
            Candidate { node, distance: regions.distance(tags), leads, holds }
        })
    }

    fn may_ask(&self, node: NodeId) -> bool {
        self.router.fleet.reachable().any(|(id, tags)| id == node && self.serves(tags))
    }

    fn serves(&self, tags: &Tags) -> bool {
        tags.analytics == self.analytics
    }

    /// What the newest leader's log is known to lack, nobody will have before long.
    fn must_survive(&self, need: Option<Version>) -> Result<(), NoRoute> {
        let (Some(need), Some(epoch)) = (need, self.router.fleet.newest_epoch()) else { return Ok(()) };
        let lineage = self.router.fleet.lineage();
        match lineage.survives(need, epoch) {
            Holds::Never => Err(NoRoute::Lost(lineage.loss(need, epoch))),
            _ => Ok(()),
        }
    }

    fn too_far_behind(&self) -> NoRoute {
        let lags = || self.candidates(None).map(|candidate| self.router.fleet.lag(candidate.node, self.now));
        NoRoute::TooFarBehind { reachable: lags().count(), unknown: lags().filter(Option::is_none).count() }
    }
}

/// Spreads the reads of one session, too.
fn each_time_anew(session: &mut Session) -> Draw {
    Draw { seed: session.seed(), turn: session.take_turn() }
}
