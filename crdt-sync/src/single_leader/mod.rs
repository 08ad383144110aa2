//! Single leader: one node takes writes, and the others follow its log.
//!
//! The log of every node is a copy of one log, batch by batch, and its cells are what the committed records of it make,
//! applied by the same replay everywhere. The leader writes, and has a [sender](replication_log::ship::Sender) for
//! each follower; what they have acknowledged decides by the policy what is committed
//! ([`Commits`](replication_log::ship::Commits)). A follower takes what its [receiver](replication_log::ship::Receiver)
//! says follows, and applies what it hears to be committed. It refuses writes and says who leads.
//!
//! | module | what it does |
//! |---|---|
//! | `config` | [`SingleLeaderConfig`] |
//! | `leading` | what is written, committed, and told to clients |
//! | `lag` | how far followers are behind |
//! | `reigning` | how a node begins to lead, and stops |
//! | `takeover` | what the others promise before |
//! | `handover` | how it makes way for another one |
//! | `supervised` | who does all that by itself: this node's part in [`failover`](crate::failover) |
//! | `serving` | what those who follow are sent |
//! | `following` | whose log this node is sent, and what becomes of it |
//! | `sessions` | reads that wait for what their session depends on |
//! | `requests` | what clients ask for |
//! | `reply` | what they are told, and how far everybody is |
//! | [`host`] | a log that does what the engine asks of it |

mod config;
mod following;
mod handover;
pub mod host;
mod lag;
mod leading;
#[cfg(feature = "_planted_bugs")]
mod mistakes;
mod reigning;
mod reply;
mod requests;
mod serving;
mod sessions;
mod supervised;
mod takeover;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use crdt_core::ReplicaId;
use replication_log::{Epoch, Lsn};

pub use config::{SingleLeaderConfig, Takeover};
pub use reply::{CommitReply, FollowerStatus, LeadReply, Leadership};

pub use crate::failover::Grant;

use crate::engine::{
    Activity, Context, Event, FailoverNews, LinkId, LogNews, LogStanding, PeerError, PeerStatus, Request,
    RequestId, Topology,
};
use crate::membership::HoldsBack;
use crate::metrics::Lag;
use crate::node::NodeId;
use crate::replica::{Reign, Replica};
use crate::scope::Scope;
use crate::time::Instant;
use crate::wire::{Message, Ship, ShipStanding};
use following::Following;
use handover::Handover;
use leading::Leading;
use reigning::Ascending;
use serving::{Followed, Serving, Title};
use sessions::Reads;
use supervised::Supervised;
use takeover::Promises;

/// So many reigns are told of.
const REIGNS: usize = 64;

/// The state of the topology.
#[derive(Debug)]
pub(crate) struct SingleLeader {
    config: SingleLeaderConfig,
    me: NodeId,
    peers: BTreeMap<NodeId, LinkId>,
    /// Who leads, as far as this node has heard.
    known: Option<(Epoch, NodeId)>,
    /// How far each peer said that its readers see.
    applied: BTreeMap<NodeId, Lsn>,
    /// Where this node leads.
    leading: Option<Leading>,
    following: Following,
    serving: Serving,
    reads: Reads,
    /// This node is about to lead.
    ascending: Option<Ascending>,
    handover: Option<Handover>,
    /// Where nodes take over by themselves.
    supervised: Option<Supervised>,
    promises: Promises,
    /// The newest epoch that the log is known to have promised.
    promised: Epoch,
    /// Whether this node has looked into its log to see whether it leads.
    settled: bool,
    /// The log contradicts itself: this node stays where it is.
    stuck: bool,
    next_heartbeat: Instant,
    #[cfg(feature = "_planted_bugs")]
    planted: Option<crate::PlantedBug>,
}

impl SingleLeader {
    pub(crate) fn new(now: Instant, config: SingleLeaderConfig, replica: &Replica) -> Self {
        let following = Following::new(&config.commits);
        let supervised = Supervised::new(&config, replica.config.node, now);
        Self {
            config,
            me: replica.config.node,
            peers: BTreeMap::new(),
            known: None,
            applied: BTreeMap::new(),
            leading: None,
            following,
            serving: Serving::default(),
            reads: Reads::default(),
            ascending: None,
            handover: None,
            supervised,
            promises: Promises::default(),
            promised: Epoch::ZERO,
            settled: false,
            stuck: false,
            // The first look into the log is at once.
            next_heartbeat: now,
            #[cfg(feature = "_planted_bugs")]
            planted: None,
        }
    }

    /// Everything that may follow from what just came in.
    fn go_on(&mut self, context: &mut Context<'_>) {
        if self.stuck {
            return;
        }
        self.apply(context);
        if let Some(leading) = &mut self.leading {
            context.outbox.lead_until(leading.until);
            leading.tell(context);
        } else {
            self.following.report(context);
        }
        self.reads.wake(context);
        let committed = self.leading.as_ref().map_or_else(|| context.replica.applied(), Leading::committed);
        self.serving.go_on(committed, &self.config, context);
        self.go_on_handing_over(context);
        if let Some(leading) = &mut self.leading
            && leading.note_caught_up(|node| self.serving.is_caught_up(node))
        {
            // Who has caught up may be whom the policy waits for. What is committed by that is applied first.
            self.go_on(context);
        }
    }

    /// Applies what is committed.
    fn apply(&mut self, context: &mut Context<'_>) {
        let through = match &self.leading {
            Some(leading) => leading.visible(),
            None => self.following.committed(),
        };
        #[cfg(feature = "_planted_bugs")]
        let through = mistakes::shown(through, self.leading.is_some(), context);
        let through = through.min(context.outbox.durable());
        if let Err(error) = context.replica.apply_through(through, context.now.wall) {
            self.stuck = true;
            context.outbox.event(Event::LogUnusable { error });
        }
    }

    /// The log stands here: this node leads if it is to, or follows.
    fn stands(&mut self, standing: LogStanding, context: &mut Context<'_>) {
        self.following.answered();
        self.learn_promised(standing.promised, context.now.instant);
        if !core::mem::replace(&mut self.settled, true)
            && let Some(epoch) = self.leads_under(standing.promised, context.replica)
        {
            return self.lead(epoch, None, context);
        }
        if let Some(source) = self.source().filter(|_| self.leading.is_none()) {
            self.following.hello(source, standing, &self.config, context);
        }
    }

    /// Whom this node is to follow, if there is a way.
    fn source(&self) -> Option<(NodeId, LinkId)> {
        let node = self.config.upstream.or(self.known.map(|(_, leader)| leader))?;
        if self.ascending.is_some() || self.is_promised_away() {
            return None;
        }
        self.peers.get(&node).map(|link| (node, *link))
    }

    /// Whose log it is that others are sent from here.
    fn title(&self) -> Option<Title> {
        let serves = self.leading.is_some() || self.following.source().is_some();
        self.known.filter(|_| serves).map(|(epoch, leader)| Title { leader, epoch })
    }

    /// A follower is sent nothing more until it begins anew.
    fn part_with(&mut self, follower: Option<NodeId>) {
        if let (Some(leading), Some(node)) = (&mut self.leading, follower) {
            leading.gone(node);
        }
    }

    fn tell_everybody(&self, context: &mut Context<'_>) {
        for link in self.peers.values() {
            self.tell(*link, context);
        }
    }

    fn tell(&self, link: LinkId, context: &mut Context<'_>) {
        let leader = self.known.map(|(epoch, node)| (epoch.get(), node));
        let (applied, promised) = (context.replica.applied().get(), self.promised.get());
        let standing = ShipStanding { leader, applied, end: context.replica.end_of_log(), promised };
        // Who leads is told when that is durable.
        let after = if self.leading.is_some() { context.replica.reign_lsn() } else { Lsn::ZERO };
        context.outbox.send(link, &Message::Ship(Ship::Standing(standing)), after);
    }

    /// A peer says who leads, and how far it is.
    fn on_standing(&mut self, peer: NodeId, standing: ShipStanding, context: &mut Context<'_>) {
        self.applied.insert(peer, Lsn::new(standing.applied));
        let Some((epoch, leader)) = standing.leader.map(|(epoch, node)| (Epoch::new(epoch), node)) else {
            return;
        };
        if self.known.is_none_or(|(known, _)| epoch > known) {
            self.known = Some((epoch, leader));
            context.outbox.event(Event::Leads { node: leader, epoch });
            #[cfg(feature = "_planted_bugs")]
            if context.replica.has_bug(crate::PlantedBug::OldLeaderStays) && self.leading.is_some() {
                return;
            }
            self.step_down(context);
            let source = self.source().filter(|_| self.settled && self.leading.is_none());
            self.following.seek(source, context);
        }
    }
}

impl Topology for SingleLeader {
    fn peer_up(&mut self, node: NodeId, link: LinkId, _: Scope, context: &mut Context<'_>) {
        self.peers.insert(node, link);
        context.outbox.event(Event::PeerUp { node });
        self.tell(link, context);
        self.ask_for_promise(link, node, context);
        if self.settled && self.leading.is_none() {
            self.following.seek(self.source(), context);
        }
    }

    fn peer_down(&mut self, node: NodeId, context: &mut Context<'_>) {
        if self.peers.remove(&node).is_none() {
            return;
        }
        context.outbox.event(Event::PeerDown { node });
        self.applied.remove(&node);
        self.serving.lost(node);
        self.following.lost(node);
        if let Some(leading) = &mut self.leading {
            leading.gone(node);
        }
        self.go_on(context);
    }

    fn message(
        &mut self,
        peer: NodeId,
        message: Message,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        self.look_at_the_clock(context);
        match message {
            Message::Ship(Ship::Standing(standing)) => self.on_standing(peer, standing, context),
            Message::Ship(Ship::Promise(asked)) => self.on_promise(peer, asked, context),
            Message::Ship(Ship::Promised(answer)) => self.on_promised(peer, answer, context),
            Message::Ship(Ship::Renew(asked)) => {
                if let Some(link) = self.peers.get(&peer).copied() {
                    self.on_renew((peer, link), asked, context);
                }
            }
            Message::Ship(Ship::Renewed { epoch, round }) => self.on_renewed(peer, epoch, round, context),
            Message::Ship(Ship::Release { epoch, to }) => {
                self.on_release(peer, epoch, to, context.now.instant);
            }
            Message::Ship(Ship::Beat(beat)) => self.on_beat(peer, &beat, context),
            Message::Ship(Ship::ToFollower(frame)) => {
                if self.leading.is_none() && !self.stuck {
                    self.following.frame(peer, &frame, context)?;
                }
            }
            Message::Ship(Ship::ToLeader(frame)) => {
                let Some(link) = self.peers.get(&peer).copied() else { return Ok(()) };
                let followed = self.serving.frame((peer, link), &frame, context)?;
                match (&mut self.leading, followed) {
                    (Some(leading), Followed::Connected(marks)) => leading.connected(peer, marks),
                    (Some(leading), Followed::Reported(marks)) => leading.reported(peer, &marks),
                    _ => {}
                }
            }
            Message::Greeting(_) | Message::Farewell(_) => return Ok(()),
            _ => return Err(PeerError::Unexpected { what: "a message of another topology" }),
        }
        self.go_on(context);
        Ok(())
    }

    fn request(&mut self, id: RequestId, request: Request, context: &mut Context<'_>) -> Option<Request> {
        self.look_at_the_clock(context);
        let left = self.on_request(id, request, context);
        self.go_on(context);
        left
    }

    fn durable(&mut self, context: &mut Context<'_>) {
        self.look_at_the_clock(context);
        if let Some(leading) = &mut self.leading {
            leading.durable(context);
        }
        self.go_on(context);
    }

    fn log(&mut self, news: LogNews, context: &mut Context<'_>) {
        self.look_at_the_clock(context);
        match news {
            LogNews::Stands(standing) => self.stands(standing, context),
            LogNews::Written { lsn } => self.following.written(lsn),
            LogNews::Begun if self.ascending.is_some() => self.ascended(None, context),
            LogNews::Fenced { promised } if self.ascending.is_some() => {
                self.ascended(Some(promised), context);
            }
            LogNews::Fenced { promised } => {
                if !self.gave_promise(Some(promised), context) {
                    self.following.not_begun();
                }
            }
            LogNews::Begun => {
                if !self.gave_promise(None, context) {
                    let (promised, is_cut) = self.following.begun(context);
                    self.learn_promised(promised, context.now.instant);
                    if is_cut {
                        // What those who follow this node were sent may be gone.
                        self.serving.end();
                    }
                }
            }
            LogNews::Seen { task, view, snapshot } => {
                let title = self.title();
                self.serving.seen(task, title, (&view, snapshot), &self.peers, &self.config, context);
            }
            LogNews::Read { task, batches } => {
                let parted = self.serving.read(task, &batches, context);
                self.part_with(parted);
            }
            LogNews::SnapshotRead { task, offset, part } => {
                self.serving.snapshot_read(task, (offset, &part), context);
            }
            LogNews::Failed { task } => {
                let parted = self.serving.failed(task);
                self.part_with(parted);
            }
        }
        self.supervise(context);
        self.go_on(context);
    }

    fn failover(&mut self, news: FailoverNews, context: &mut Context<'_>) {
        self.look_at_the_clock(context);
        self.hear_failover(news, context);
        self.go_on(context);
    }

    fn log_failed(&mut self, context: &mut Context<'_>) {
        if let Some(leading) = &mut self.leading {
            leading.fail(context);
        }
        self.reads.fail(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) -> bool {
        self.look_at_the_clock(context);
        // Whether this node still leads comes first: whoever leads no more commits nothing by waiting.
        self.supervise(context);
        if let Some(leading) = &mut self.leading {
            leading.tick(context);
        }
        self.reads.expire(context);
        self.count_promises(context);
        self.lose_hope(context);
        let due = context.now.instant >= self.next_heartbeat;
        if due {
            self.next_heartbeat = context.now.instant + context.replica.config.timing.heartbeat;
            self.tell_everybody(context);
            self.ask_again(context);
            self.following.lose_patience(&self.config, context.now.instant);
            if !self.settled {
                self.following.ask(context);
            } else if self.leading.is_none() {
                self.following.seek(self.source(), context);
            }
        }
        self.go_on(context);
        due
    }

    fn next_timer(&self) -> Instant {
        let shipping = [self.serving.next_deadline(), self.leading.as_ref().and_then(Leading::next_deadline)];
        let shipping = shipping.into_iter().flatten().map(|after| Instant::from_micros(0) + after);
        let reigning = [
            self.promises.next_deadline(),
            self.leading.as_ref().and_then(|leading| leading.until),
            self.handover.map(|handover| handover.until),
            self.supervised.as_ref().map(Supervised::next_deadline),
        ];
        let others = self.reads.next_deadline().into_iter().chain(reigning.into_iter().flatten());
        shipping.chain(others).fold(self.next_heartbeat, Instant::min)
    }

    fn evicted(&mut self, _: &mut Context<'_>) {}

    fn peers(&self, replica: &Replica) -> Vec<PeerStatus> {
        let in_sync = |node: &NodeId| match &self.leading {
            Some(leading) => leading.has_everything(*node, replica.journal.last()),
            None => self.following.source() == Some(*node) && replica.applied() == replica.journal.last(),
        };
        self.peers.keys().map(|node| PeerStatus { node: *node, in_sync: in_sync(node) }).collect()
    }

    fn lags(&self, _: &Replica) -> Vec<(NodeId, Vec<Option<Lag>>)> {
        self.peers.keys().map(|node| (*node, Vec::new())).collect()
    }

    fn stability(&self, replica: &Replica) -> (Vec<HoldsBack>, Vec<Vec<(ReplicaId, u64)>>) {
        (Vec::new(), replica.partitions.iter().map(|_| Vec::new()).collect())
    }

    fn sessions(&self) -> usize {
        0
    }

    fn largest_partial_state(&self) -> usize {
        0
    }

    fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        self.serving.add_activity(with, activity);
        if let Some(leading) = &self.leading {
            leading.add_activity(activity);
        } else {
            self.following.add_activity(with, activity);
        }
    }

    fn leadership(&self, replica: &Replica) -> Option<Leadership> {
        let (epoch, leader) = self.known.unzip();
        let mut reigns: Vec<_> = replica.reigns().rev().take(REIGNS).collect();
        reigns.reverse();
        Some(Leadership {
            leader,
            epoch: epoch.unwrap_or(Epoch::ZERO),
            leads_until: self.leading.as_ref().and_then(|leading| leading.until),
            reigns: reigns.iter().map(|reign| (Epoch::new(reign.epoch), Lsn::new(reign.first))).collect(),
            applied: replica.applied(),
            promised: self.promised,
            end: replica.end_of_log(),
            committed: self.leading.as_ref().map_or_else(|| self.following.committed(), Leading::committed),
            follows: self.following.source().filter(|_| self.leading.is_none()),
            readers_at: self.applied.iter().map(|(node, lsn)| (*node, *lsn)).collect(),
            mode: self.leading.as_ref().map(Leading::mode),
            followers: self.leading.iter().flat_map(Leading::followers).collect(),
        })
    }

    #[cfg(feature = "_planted_bugs")]
    fn plant(&mut self, bug: crate::PlantedBug) {
        self.planted = Some(bug);
        self.supervised.iter_mut().for_each(|supervised| supervised.plant(bug));
    }

    #[cfg(feature = "_planted_bugs")]
    fn has_bug(&self, _: crate::PlantedBug) -> bool {
        false
    }
}

/// The local clock as spans since its origin, which is what the log's crate counts in.
fn elapsed(now: Instant) -> Duration {
    now.since(Instant::from_micros(0))
}
