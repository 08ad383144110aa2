//! A node that follows: whose log it is sent, and what becomes of it.

use alloc::string::ToString;
use alloc::vec::Vec;

use crdt_core::codec;
use replication_log::ship::commit::{self, CommitOptions, Visibility, WhenShort};
use replication_log::ship::policy::Need;
use replication_log::ship::{ReceiveError, Receiver, ReceiverOptions, SnapshotOffer, Stage, Step};
use replication_log::{Epoch, LoggedBatch, Lsn};

use super::SingleLeaderConfig;
use crate::engine::{Activity, Context, Event, LinkId, LogStanding, LogTask, Output, PeerError};
use crate::node::NodeId;
use crate::replica::{JournalRecord, STORED};
use crate::time::Instant;
use crate::wire::{Message, Ship};

/// What a node has of another one's log, and how the two speak.
#[derive(Debug)]
pub(super) struct Following {
    receiver: Option<Receiver>,
    conversation: Option<Conversation>,
    /// What the cluster's commits wait for.
    reports_at: Stage,
    /// Whether what was shown here may be lost when another node leads, by the cluster's own choice.
    may_lose: bool,
    /// The log was asked where it stands.
    asked: bool,
    /// Up to where the log is being cut, and which epoch it promises with that.
    cutting: Option<(Lsn, Epoch)>,
    /// The snapshot that arrives.
    incoming: Option<Incoming>,
    /// A snapshot is being installed, and another engine opened from it.
    is_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Incoming {
    offer: SnapshotOffer,
    received: u64,
}

#[derive(Clone, Copy, Debug)]
struct Conversation {
    node: NodeId,
    link: LinkId,
    /// When it was heard of last.
    heard: Instant,
    /// Everything was here once that the other has.
    caught_up: bool,
}

impl Following {
    /// Nobody is followed yet, in a cluster with such commits.
    pub(super) fn new(commits: &CommitOptions<NodeId>) -> Self {
        let (reports_at, may_lose) = (commits.stage, may_lose(commits));
        Self {
            may_lose,
            receiver: None,
            conversation: None,
            reports_at,
            asked: false,
            cutting: None,
            incoming: None,
            is_over: false,
        }
    }

    /// Whose log this node is sent, if it is.
    pub(super) fn source(&self) -> Option<NodeId> {
        let is_sent = self.receiver.as_ref().is_some_and(Receiver::is_following);
        self.conversation.filter(|_| is_sent).map(|conversation| conversation.node)
    }

    /// Whether the log is about to become another one's, or this engine another one.
    pub(super) fn is_beginning(&self) -> bool {
        self.cutting.is_some() || self.is_over
    }

    /// The last record that is here and known to be committed.
    pub(super) fn committed(&self) -> Lsn {
        self.receiver.as_ref().map_or(Lsn::ZERO, Receiver::committed)
    }

    /// The log is to be asked where it stands, unless it is.
    pub(super) fn ask(&mut self, context: &mut Context<'_>) {
        // What is not durable yet is not told of, and not cut.
        if !self.asked && context.outbox.durable() == context.replica.journal.last() {
            self.asked = true;
            context.outbox.push(Output::Log(LogTask::Stand));
        }
    }

    pub(super) fn answered(&mut self) {
        self.asked = false;
    }

    /// Begins to speak with whom it is to follow, if that is not so already: first the log has to be asked.
    pub(super) fn seek(&mut self, source: Option<(NodeId, LinkId)>, context: &mut Context<'_>) {
        let speaks = self.conversation.map(|now| (now.node, now.link));
        if speaks == source || self.is_over {
            return;
        }
        self.part();
        if source.is_some() && self.cutting.is_none() {
            self.ask(context);
        }
    }

    /// The log stands here: says so to whom it is to follow.
    pub(super) fn hello(
        &mut self,
        (node, link): (NodeId, LinkId),
        standing: LogStanding,
        config: &SingleLeaderConfig,
        context: &mut Context<'_>,
    ) {
        if standing.end.lsn != context.replica.journal.last() {
            // Something came in between. The next heartbeat asks again.
            return;
        }
        let name = context.replica.config.node.to_string();
        let options = ReceiverOptions::new(name).window(config.window);
        let receiver =
            self.receiver.get_or_insert_with(|| Receiver::new(options, standing.promised, standing.end));
        receiver.promised(standing.promised);
        if !self.may_lose {
            receiver.keep(context.replica.applied());
        }
        receiver.mark(Stage::Applied, context.replica.applied());
        let frame = receiver.hello(context.replica.draw_number(), standing.ends);
        self.conversation = Some(Conversation { node, link, heard: context.now.instant, caught_up: false });
        context.outbox.send(link, &Message::Ship(Ship::ToLeader(frame.into())), Lsn::ZERO);
    }

    /// A frame came from somebody who may be the one that is followed.
    pub(super) fn frame(
        &mut self,
        node: NodeId,
        frame: &[u8],
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Some(conversation) = self.conversation.as_mut().filter(|now| now.node == node) else {
            return Ok(());
        };
        let Some(receiver) = &mut self.receiver else { return Ok(()) };
        let step = receiver.handle(frame);
        // Signs of life are none where the answer was lost, or another conversation is meant.
        let goes_on = receiver.is_following() || matches!(step, Ok(Step::Begin(_) | Step::Snapshot { .. }));
        if goes_on && step != Ok(Step::Stray) {
            conversation.heard = context.now.instant;
        }
        match step {
            Ok(Step::Begin(begin)) => {
                let end = begin.cut.map_or(context.replica.journal.last(), |cut| cut.lsn);
                self.cutting = Some((end, begin.promise));
                self.incoming = begin.snapshot.map(|offer| Incoming { offer, received: 0 });
                context.outbox.push(Output::Log(LogTask::Begin(begin)));
                if let Some(cut) = begin.cut {
                    self.lose_behind(cut.lsn, context);
                }
            }
            Ok(Step::Snapshot { part, is_last }) => {
                let part = part.to_vec();
                self.keep(part, is_last, context);
            }
            Ok(Step::Append { reign, batches }) => {
                if let Err(error) = take(reign, &batches, context) {
                    // The receiver takes them for appended.
                    self.receiver = None;
                    self.conversation = None;
                    return Err(error);
                }
            }
            Ok(Step::Refused(refusal)) => {
                context.outbox.event(Event::NotServed { peer: node, refusal: refusal.to_string() });
            }
            Ok(_) | Err(ReceiveError::Frame(_)) => {}
            Err(error @ (ReceiveError::Refused(_) | ReceiveError::Parted { .. })) => {
                context.outbox.event(Event::NotFollowed { peer: node, refusal: error.to_string() });
                receiver.apart();
            }
            Err(_) => return Err(PeerError::Unexpected { what: "a word of a leader out of turn" }),
        }
        if let (Some(conversation), Some(receiver)) = (&mut self.conversation, &self.receiver) {
            conversation.caught_up |= receiver.is_following() && receiver.end().lsn >= receiver.leader_end();
        }
        self.report(context);
        Ok(())
    }

    /// What was asked for to begin with is done. Returns which epoch is promised, and whether the log was cut.
    pub(super) fn begun(&mut self, context: &mut Context<'_>) -> (Epoch, bool) {
        let Some((end, promised)) = self.cutting.take() else { return (Epoch::ZERO, false) };
        if self.is_over {
            return (promised, false);
        }
        let is_cut = end < context.replica.journal.last();
        context.replica.cut_pending(end);
        context.outbox.cut(end);
        if let Some(receiver) = &mut self.receiver {
            receiver.begun();
        }
        if self.incoming.is_some_and(|incoming| incoming.offer.bytes == 0) {
            self.keep(Vec::new(), true, context);
        }
        self.report(context);
        (promised, is_cut)
    }

    /// What was asked for to begin with was not done, for a newer epoch is promised: whose that is will be heard of.
    pub(super) fn not_begun(&mut self) {
        self.cutting = None;
        self.part();
    }

    /// What this node shows goes with what is cut off: another engine has to be opened from what stays.
    fn lose_behind(&mut self, lsn: Lsn, context: &mut Context<'_>) {
        if tell_of_loss(lsn, context) {
            self.part();
            self.is_over = true;
            context.outbox.push(Output::Log(LogTask::Reopen));
        }
    }

    /// A part of a snapshot is here. With the last one this engine is over: another one is opened from the snapshot.
    fn keep(&mut self, part: Vec<u8>, is_last: bool, context: &mut Context<'_>) {
        let Some(Incoming { offer, received }) = &mut self.incoming else { return };
        let (identity, offset) = (offer.identity, *received);
        *received += part.len() as u64;
        context.outbox.push(Output::Log(LogTask::KeepSnapshot { identity, offset, part }));
        if is_last {
            tell_of_loss(identity.position.lsn, context);
            self.part();
            self.is_over = true;
            context.outbox.push(Output::Log(LogTask::Install(identity)));
        }
    }

    /// The operating system has more of the log.
    pub(super) fn written(&mut self, lsn: Lsn) {
        if let Some(receiver) = &mut self.receiver {
            receiver.mark(Stage::Written, lsn);
        }
    }

    /// More is durable, or applied: whom it follows is told.
    pub(super) fn report(&mut self, context: &mut Context<'_>) {
        let Some(receiver) = &mut self.receiver else { return };
        let durable = context.outbox.durable();
        #[cfg(feature = "_planted_bugs")]
        let durable = super::mistakes::durable(durable, crate::PlantedBug::FlushedReportedEarly, context);
        receiver.mark(Stage::Flushed, durable);
        receiver.mark(Stage::Applied, context.replica.applied());
        if !self.may_lose {
            receiver.keep(context.replica.applied());
        }
        let Some(Conversation { link, .. }) = self.conversation else { return };
        // Where commits wait for disks, one word says that it is here and on the disk: a report tells everything up to
        // now, and the disk is not slow enough to say less before.
        let waits_for_disk = durable < context.replica.journal.last();
        if waits_for_disk && self.reports_at >= Stage::Flushed {
            return;
        }
        while let Some(frame) = receiver.poll() {
            context.outbox.send(link, &Message::Ship(Ship::ToLeader(frame.into())), Lsn::ZERO);
        }
    }

    /// Ends a conversation in which nothing was heard for too long.
    pub(super) fn lose_patience(&mut self, config: &SingleLeaderConfig, now: Instant) {
        let silent = |conversation: Conversation| now.since(conversation.heard) >= config.patience;
        if self.conversation.is_some_and(silent) {
            self.part();
        }
    }

    pub(super) fn lost(&mut self, node: NodeId) {
        if self.conversation.is_some_and(|now| now.node == node) {
            self.part();
        }
    }

    /// This node leads, and writes what no receiver hears of: whoever it follows later is told anew what there is.
    pub(super) fn end(&mut self) {
        self.part();
        self.receiver = None;
    }

    /// Counts what is under way, if it is with this one.
    pub(super) fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        let Some(conversation) = self.conversation else { return };
        let Some(receiver) = self.receiver.as_ref() else { return };
        if with.is_some_and(|with| with != conversation.node) {
            return;
        }
        if !receiver.is_following() {
            activity.asking += 1;
        } else if !conversation.caught_up {
            activity.catching_up += 1;
        } else if receiver.marks().at(Stage::Flushed) < receiver.end().lsn.max(receiver.leader_end()) {
            activity.streaming += 1;
        }
    }

    /// Nobody is followed from now on.
    pub(super) fn part(&mut self) {
        self.conversation = None;
        if let Some(receiver) = &mut self.receiver {
            receiver.apart();
        }
    }
}

/// Says so if what this node shows goes back to a record. Returns whether it does.
fn tell_of_loss(lsn: Lsn, context: &mut Context<'_>) -> bool {
    let last = context.replica.applied();
    let Some(first) = lsn.next().filter(|first| *first <= last) else { return false };
    context.outbox.event(Event::Commit(commit::Event::CommittedCut { first, last }));
    true
}

/// Whether a cluster has chosen to tell clients of what a change of leaders may take back.
fn may_lose(commits: &CommitOptions<NodeId>) -> bool {
    commits.policy.need() == Need::Nobody
        || commits.visibility == Visibility::BeforeAck
        || matches!(commits.when_short, WhenShort::DegradeToAsync { .. })
        || commits.stage < Stage::Flushed
}

/// Takes batches into the log, and their records to be applied when they are committed. Nothing is taken of what
/// cannot be read.
fn take(reign: Epoch, batches: &[LoggedBatch<'_>], context: &mut Context<'_>) -> Result<(), PeerError> {
    let mut records = Vec::new();
    for record in batches.iter().flat_map(LoggedBatch::records) {
        let read: JournalRecord = codec::decode_payload(record.payload, &STORED)
            .map_err(|cause| PeerError::Wire(crate::wire::WireError::Malformed(cause)))?;
        records.push((record.lsn, read, record.payload.len()));
    }
    for (lsn, record, bytes) in records {
        context.replica.take_record(lsn, record, bytes);
        context.replica.journal.follow(lsn);
    }
    let batches = batches.iter().map(LoggedBatch::to_copy).collect();
    context.outbox.push(Output::Log(LogTask::Copy { reign, batches }));
    Ok(())
}
