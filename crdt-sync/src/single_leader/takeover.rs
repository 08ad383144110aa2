//! What the others promise before a node leads, and what this node promises to others.
//!
//! A grant says who may lead. That nobody else does any more, and that nothing acknowledged is lost, the nodes see to
//! themselves: whoever is to lead has so many of them promise its epoch that the rest can commit nothing without one of
//! them, and each says where its log ends from then on. The one who asks leads if no end is behind its own; as in Raft
//! (Ongaro and Ousterhout 2014, §5.4.1) it then has everything that was ever committed. It promises last itself: before
//! it knows that it may, it does not want to keep whoever leads from being followed here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::ship::Begin;
use replication_log::ship::policy::Need;
use replication_log::{Epoch, Lsn};

use super::reigning::{Ascending, Asker};
use super::supervised::micros;
use super::{LeadReply, SingleLeader, SingleLeaderConfig};
use crate::engine::{Context, LinkId, LogTask, Output};
use crate::failover::Grant;
use crate::node::NodeId;
use crate::time::Instant;
use crate::wire::{LogEnd, Message, PromiseAnswer, PromiseAsked, Ship};

/// What is asked, and what is about to be promised.
#[derive(Debug, Default)]
pub(super) struct Promises {
    asking: Option<Asking>,
    /// The log is promising this.
    giving: Option<Promise>,
    /// What was promised last since this node was opened.
    given: Option<Promise>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Promise {
    to: NodeId,
    epoch: Epoch,
}

/// This node is to lead, and asks the others.
#[derive(Debug)]
struct Asking {
    asker: Asker,
    grant: Grant,
    /// When the right that the grant gives ends.
    lasts: Option<Instant>,
    promised: BTreeMap<NodeId, LogEnd>,
    until: Instant,
}

impl Promises {
    /// Whether somebody is to lead, and it is not known who: nobody of before is followed meanwhile.
    pub(super) fn are_under_way(&self) -> bool {
        self.asking.is_some() || self.giving.is_some()
    }

    pub(super) fn is_giving(&self) -> bool {
        self.giving.is_some()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.asking.as_ref().map(|asking| asking.until)
    }
}

impl SingleLeader {
    /// Asks everybody who counts to promise the grant's epoch, before this node does so itself and leads.
    pub(super) fn ask_for_promises(
        &mut self,
        asker: Asker,
        (grant, lasts): (Grant, Option<Instant>),
        within: Duration,
        context: &mut Context<'_>,
    ) {
        self.following.part();
        let until = context.now.instant + within;
        self.promises.asking = Some(Asking { asker, grant, lasts, promised: BTreeMap::new(), until });
        self.ask_again(context);
        self.count_promises(context);
    }

    /// Whether nobody of before is followed any more: whoever has promised an epoch takes nothing of an earlier one.
    pub(super) fn is_promised_away(&self) -> bool {
        let newer_promised = self.known.is_some_and(|(known, _)| known < self.promised);
        self.is_fencing() && (self.promises.are_under_way() || newer_promised)
    }

    #[cfg_attr(not(feature = "_planted_bugs"), expect(clippy::unused_self, reason = "only mistakes need it"))]
    fn is_fencing(&self) -> bool {
        #[cfg(feature = "_planted_bugs")]
        if self.makes(crate::PlantedBug::OldReignFollowed) {
            return false;
        }
        true
    }

    /// Asks those who have not answered yet.
    pub(super) fn ask_again(&self, context: &mut Context<'_>) {
        let Some(asking) = &self.promises.asking else { return };
        let ask = Message::Ship(Ship::Promise(self.promise_asked(asking)));
        let silent = self.peers.iter().filter(|(node, _)| !asking.promised.contains_key(node));
        for (_, link) in silent.filter(|(node, _)| self.config.decides(**node)) {
            context.outbox.send(*link, &ask, Lsn::ZERO);
        }
    }

    fn promise_asked(&self, asking: &Asking) -> PromiseAsked {
        let lease = self.config.failover.as_ref().map_or(Duration::ZERO, |failover| failover.lease.span);
        PromiseAsked { epoch: asking.grant.epoch().get(), lease: micros(lease) }
    }

    /// Somebody else is to lead, and asks this node to take nothing of an earlier epoch any more.
    pub(super) fn on_promise(&mut self, peer: NodeId, asked: PromiseAsked, context: &mut Context<'_>) {
        let epoch = Epoch::new(asked.epoch);
        if !self.settled || self.stuck || self.is_beginning() {
            // It asks again.
            return;
        }
        let promise = Promise { to: peer, epoch };
        let (newest, again) = (self.newest_epoch(), self.promises.given == Some(promise));
        if epoch < newest || epoch == newest && !again {
            let refused = PromiseAnswer::Refused { epoch: asked.epoch, newest: newest.get() };
            return self.answer_promise(peer, refused, context);
        }
        let rivals = self.promises.asking.as_ref().is_some_and(|asking| asking.grant.epoch() >= epoch);
        if rivals || !self.votes_for(peer, Grant::of(epoch), Duration::from_micros(asked.lease), context) {
            return;
        }
        if again {
            return self.say_promised(context);
        }
        self.give_up_asking(LeadReply::Fenced { newest: epoch }, context);
        self.step_down(context);
        if self.is_fencing() {
            self.following.part();
        }
        self.promises.giving = Some(promise);
        context.outbox.push(Output::Log(LogTask::Begin(Begin { promise: epoch, cut: None, snapshot: None })));
    }

    /// The log has promised what another node asked for, or never will. Returns whether that was it.
    pub(super) fn gave_promise(&mut self, fenced_by: Option<Epoch>, context: &mut Context<'_>) -> bool {
        let Some(promise) = self.promises.giving.take() else { return false };
        let Promise { to: peer, epoch } = promise;
        if let Some(newest) = fenced_by {
            self.learn_promised(newest, context.now.instant);
            let refused = PromiseAnswer::Refused { epoch: epoch.get(), newest: newest.get() };
            self.answer_promise(peer, refused, context);
            return true;
        }
        self.learn_promised(epoch, context.now.instant);
        self.promises.given = Some(promise);
        self.say_promised(context);
        true
    }

    /// What was promised is told with the end of a log that only the one it was promised to adds to.
    fn say_promised(&self, context: &mut Context<'_>) {
        let Some(Promise { to, epoch }) = self.promises.given else { return };
        let end = context.replica.end_of_log();
        #[cfg(feature = "_planted_bugs")]
        let end = super::mistakes::told_end(end, self.makes(crate::PlantedBug::StagedEndNotTold), context);
        let answer = PromiseAnswer::Given { epoch: epoch.get(), end };
        self.answer_promise(to, answer, context);
    }

    fn answer_promise(&self, peer: NodeId, answer: PromiseAnswer, context: &mut Context<'_>) {
        if let Some(link) = self.peers.get(&peer) {
            context.outbox.send(*link, &Message::Ship(Ship::Promised(answer)), Lsn::ZERO);
        }
    }

    /// Somebody has answered.
    pub(super) fn on_promised(&mut self, peer: NodeId, answer: PromiseAnswer, context: &mut Context<'_>) {
        let Some(asking) = &mut self.promises.asking else { return };
        match answer {
            PromiseAnswer::Given { epoch, end } if epoch == asking.grant.epoch().get() => {
                asking.promised.insert(peer, end);
                self.count_promises(context);
            }
            PromiseAnswer::Refused { epoch, newest } if epoch == asking.grant.epoch().get() => {
                self.give_up_asking(LeadReply::Fenced { newest: Epoch::new(newest) }, context);
            }
            _ => {}
        }
    }

    /// This node promises, too, and leads, once enough others have promised, unless one of them has more.
    pub(super) fn count_promises(&mut self, context: &mut Context<'_>) {
        let Some(asking) = &self.promises.asking else { return };
        let ours = context.replica.end_of_log();
        let ahead = asking.promised.iter().find(|(_, end)| **end > ours);
        #[cfg(feature = "_planted_bugs")]
        let ahead = ahead.filter(|_| !self.makes(crate::PlantedBug::LaggardPromoted));
        if let Some((node, end)) = ahead {
            let lacks = LeadReply::Lacks { node: *node, end: *end };
            return self.give_up_asking(lacks, context);
        }
        let has_promised = |node: &NodeId| *node == self.me || asking.promised.contains_key(node);
        let (grant, span) = (asking.grant, Duration::from_micros(self.promise_asked(asking).lease));
        if !is_enough(&self.config, has_promised) || !self.votes_for(self.me, grant, span, context) {
            return;
        }
        if let Some(Asking { asker, lasts, .. }) = self.promises.asking.take() {
            self.promise_itself(Ascending { asker, epoch: grant.epoch(), until: lasts }, context);
        }
    }

    /// Gives up when it takes too long.
    pub(super) fn lose_hope(&mut self, context: &mut Context<'_>) {
        let Some(asking) = self.promises.asking.as_ref() else { return };
        if context.now.instant >= asking.until {
            let (promised, of) = (asking.promised.len() + 1, self.config.candidates().len());
            self.give_up_asking(LeadReply::TooFewPromised { promised, of }, context);
        }
    }

    fn give_up_asking(&mut self, why: LeadReply, context: &mut Context<'_>) {
        if let Some(asking) = self.promises.asking.take() {
            self.tell_asker(asking.asker, why, Lsn::ZERO, context);
        }
    }

    /// The right to lead that this node was about to get ends later, or is given up.
    pub(super) fn change_lasts(&mut self, until: Option<Instant>, context: &mut Context<'_>) {
        match (until, &mut self.promises.asking, &mut self.ascending) {
            (Some(_), Some(Asking { lasts, .. }), _) => *lasts = until,
            (Some(_), None, Some(ascending)) => ascending.until = until,
            (None, Some(_), _) => self.give_up_asking(LeadReply::Busy, context),
            // The log is promising it. It ends as soon as it has begun.
            (None, None, Some(ascending)) => ascending.until = Some(Instant::default()),
            _ => {}
        }
    }

    /// A node can be reached that could not be.
    pub(super) fn ask_for_promise(&self, link: LinkId, node: NodeId, context: &mut Context<'_>) {
        if let Some(asking) = self.promises.asking.as_ref().filter(|_| self.config.decides(node)) {
            let ask = self.promise_asked(asking);
            context.outbox.send(link, &Message::Ship(Ship::Promise(ask)), Lsn::ZERO);
        }
    }
}

/// Whether these are more than half of those who count, and the others can neither commit anything among themselves nor
/// have done so.
fn is_enough(config: &SingleLeaderConfig, has_promised: impl Fn(&NodeId) -> bool) -> bool {
    let nodes = config.candidates();
    let majority = nodes.iter().filter(|node| has_promised(node)).count() * 2 > nodes.len();
    let policy = &config.commits.policy;
    let may_commit = |leader: NodeId| {
        let followers: Vec<NodeId> = nodes.iter().copied().filter(|node| *node != leader).collect();
        policy.can_be_met_by(&followers, |node| !has_promised(node))
    };
    // Where the leader's disk is enough, it alone can have what nobody else has, and that was chosen.
    let alone = policy.need() == Need::Nobody;
    majority && (alone || !nodes.iter().any(|node| !has_promised(node) && may_commit(*node)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use replication_log::ship::AckPolicy;
    use replication_log::ship::commit::CommitOptions;

    fn needed(nodes: usize, policy: &str) -> Option<usize> {
        let ids: Vec<NodeId> = (1..=nodes as u128).map(NodeId::from_u128).collect();
        let names = policy.parse::<AckPolicy<alloc::string::String>>().unwrap();
        let policy = names.with_names(|name| name.parse().ok().map(NodeId::from_u128)).unwrap();
        let config = SingleLeaderConfig::new(ids[0], ids.iter().skip(1).copied())
            .with_commits(CommitOptions::new(policy));
        (1..=nodes).find(|count| is_enough(&config, |node| ids[..*count].contains(node)))
    }

    /// With 5 nodes and `numsync` acknowledgements, so many have to be asked that not `numsync` are left with the
    /// leader.
    #[test]
    fn so_many_promise_that_the_others_can_have_committed_nothing_alone() {
        let asked = |policy| needed(5, policy);
        assert_eq!((asked(""), asked("ANY 1 (*)"), asked("ANY 2 (*)")), (Some(3), Some(4), Some(3)));
        assert_eq!((asked("ANY 3 (*)"), asked("ALL (*)")), (Some(3), Some(3)));
        assert_eq!(asked("FIRST 1 (2, 3, 4, 5)"), Some(4), "those in front may have been away");
        // Of two that count besides the leader, one that promised is enough, if it is one of them.
        assert_eq!(needed(5, "ANY 1 (4, 5)"), Some(4), "4 and 5 may have been the leader and its follower");
        assert_eq!(needed(5, "ANY 2 (4, 5)"), Some(3));
    }
}
