//! Those who follow this node: what each is sent.
//!
//! A node that follows another one can be followed itself: it sends on what it has, under its leader's name.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use replication_log::ship::wire::{Hello, Stream, ToLeader};
use replication_log::ship::{
    AnswerError, History, HistoryView, Marks, SendError, Sender, SenderEvent, SenderOptions, SnapshotOffer,
    Stage, Want,
};
use replication_log::{BatchCopy, Epoch, Lsn, Position};

use super::{SingleLeaderConfig, elapsed};
use crate::bytes::Bytes;
use crate::engine::{Activity, Context, Event, LinkId, LogTask, Output, PeerError};
use crate::node::NodeId;
use crate::wire::{Message, Ship};

/// So many conversations of a follower are told from new ones. One that begins them faster than frames are late is in
/// trouble anyway.
const MAX_STREAMS: usize = 32;

/// All who follow this node.
#[derive(Debug, Default)]
pub(super) struct Serving {
    conversations: BTreeMap<NodeId, Conversation>,
    /// The conversations that each began on its connection, of which late first words begin nothing.
    streams: BTreeMap<NodeId, VecDeque<u64>>,
    /// First words that the log is read for.
    asked: BTreeMap<u64, (NodeId, Hello)>,
    /// Whom the log is read for.
    reading: BTreeMap<u64, NodeId>,
    next_task: u64,
}

#[derive(Debug)]
struct Conversation {
    link: LinkId,
    sender: Sender,
    /// The last durable record here.
    end: Lsn,
    /// What is being read for it.
    reads: Option<u64>,
}

/// What a follower's word means for whoever counts.
#[derive(Debug)]
pub(super) enum Followed {
    Connected(Marks),
    Reported(Marks),
    Nothing,
}

/// Whose log it is, and under which epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title {
    pub(super) leader: NodeId,
    pub(super) epoch: Epoch,
}

impl Serving {
    /// A frame came from somebody who follows, or wants to.
    pub(super) fn frame(
        &mut self,
        (node, link): (NodeId, LinkId),
        frame: &[u8],
        context: &mut Context<'_>,
    ) -> Result<Followed, PeerError> {
        if let Ok(ToLeader::Hello(hello)) = ToLeader::decode(frame) {
            if self.has_begun(node, hello.stream) {
                return Ok(Followed::Nothing);
            }
            self.conversations.remove(&node);
            let ends = match &hello.wants {
                Stream::Copy { ends, .. } => ends.clone(),
                // Nobody here asks for one; what it would be sent is not cells.
                Stream::Logical { .. } => return Err(PeerError::Unexpected { what: "a logical stream" }),
            };
            let task = self.next_task();
            self.asked.retain(|_, (asked, _)| *asked != node);
            self.asked.insert(task, (node, hello));
            context.outbox.push(Output::Log(LogTask::See { task, ends }));
            return Ok(Followed::Nothing);
        }
        let now = elapsed(context.now.instant);
        let Some(conversation) = self.conversations.get_mut(&node).filter(|known| known.link == link) else {
            return Ok(Followed::Nothing);
        };
        let event = conversation
            .sender
            .handle(now, frame)
            .map_err(|error| PeerError::Unexpected { what: what_is_wrong(&error) })?;
        Ok(match event {
            SenderEvent::Ready(marks) | SenderEvent::Installed(marks) => Followed::Connected(marks),
            SenderEvent::Advanced(marks) => Followed::Reported(marks),
            SenderEvent::Refused(refusal) => {
                self.conversations.remove(&node);
                context.outbox.event(Event::NotFollowed { peer: node, refusal: refusal.to_string() });
                Followed::Nothing
            }
            _ => Followed::Nothing,
        })
    }

    /// Whether a conversation is one that was begun before; if not, it is from now on.
    fn has_begun(&mut self, node: NodeId, stream: u64) -> bool {
        let begun = self.streams.entry(node).or_default();
        let before = begun.contains(&stream);
        if !before {
            if begun.len() == MAX_STREAMS {
                begun.pop_front();
            }
            begun.push_back(stream);
        }
        before
    }

    /// The log was read for a follower's first word: it is answered.
    pub(super) fn seen(
        &mut self,
        task: u64,
        title: Option<Title>,
        (view, snapshot): (&HistoryView, Option<SnapshotOffer>),
        links: &BTreeMap<NodeId, LinkId>,
        config: &SingleLeaderConfig,
        context: &mut Context<'_>,
    ) {
        let Some((node, hello)) = self.asked.remove(&task) else { return };
        let (Some(link), Some(title)) = (links.get(&node), title) else { return };
        // Nothing may be cut of what this node has yet to get, be it that it lost its disk: they ask again later.
        if is_ahead(&hello, view) {
            return;
        }
        let options = SenderOptions::new(title.leader.to_string(), title.epoch)
            .heartbeat(context.replica.config.timing.heartbeat)
            .resend(context.replica.config.timing.resend_after)
            .frame_bytes(config.frame_bytes.min(context.replica.config.limits.max_frame / 2));
        match Sender::answer(options, elapsed(context.now.instant), &hello, view, snapshot) {
            Ok(sender) => {
                self.conversations
                    .insert(node, Conversation { link: *link, sender, end: Lsn::ZERO, reads: None });
            }
            Err(AnswerError::Refused(refusal)) => {
                let frame = Bytes::from(refusal.encode(hello.stream));
                context.outbox.send(*link, &Message::Ship(Ship::ToFollower(frame)), Lsn::ZERO);
                context.outbox.event(Event::NotServed { peer: node, refusal: refusal.to_string() });
            }
            // The log could not be read. The follower asks again.
            Err(_) => {}
        }
    }

    /// Batches were read: whoever wants them is sent them. Returns who has to begin anew instead.
    pub(super) fn read(&mut self, task: u64, batches: &[BatchCopy], context: &Context<'_>) -> Option<NodeId> {
        if batches.is_empty() {
            // They are no longer in the log. To ask for them again would be to ask for ever.
            return self.failed(task);
        }
        let node = self.reading.get(&task).copied()?;
        let now = elapsed(context.now.instant);
        let Conversation { sender, .. } = self.reader_of(task)?;
        for batch in batches.iter().map(BatchCopy::lend) {
            let follows = |after: Lsn| after.next() == Some(batch.first());
            if !matches!(sender.wants(), Want::Batches { after } if follows(after)) {
                break;
            }
            if sender.push(now, &batch).is_err() {
                // It cannot be sent whatever is read.
                self.conversations.remove(&node);
                return Some(node);
            }
        }
        None
    }

    /// A part of a snapshot was read: whoever wants it is sent it.
    pub(super) fn snapshot_read(&mut self, task: u64, (offset, part): (u64, &[u8]), context: &Context<'_>) {
        let Some(conversation) = self.reader_of(task) else { return };
        // Another part may be wanted by now, and is asked for then.
        let _ = conversation.sender.push_snapshot(elapsed(context.now.instant), offset, part);
    }

    /// Whom something was read for, if that is still wanted.
    fn reader_of(&mut self, task: u64) -> Option<&mut Conversation> {
        let node = self.reading.remove(&task)?;
        let conversation = self.conversations.get_mut(&node).filter(|known| known.reads == Some(task))?;
        conversation.reads = None;
        Some(conversation)
    }

    /// What was asked of the log did not come. Whoever it was for hears nothing, loses patience and begins anew, which
    /// is soon enough for a disk that is in trouble. Returns who that is, if it was sent the log already.
    pub(super) fn failed(&mut self, task: u64) -> Option<NodeId> {
        self.asked.remove(&task);
        let node = self.reading.remove(&task)?;
        self.conversations.get(&node).filter(|known| known.reads == Some(task))?;
        self.conversations.remove(&node);
        Some(node)
    }

    pub(super) fn lost(&mut self, node: NodeId) {
        self.conversations.remove(&node);
        self.streams.remove(&node);
        self.asked.retain(|_, (asked, _)| *asked != node);
    }

    /// Whoever followed this node must find somebody else, or ask anew.
    pub(super) fn end(&mut self) {
        self.conversations.clear();
        self.asked.clear();
    }

    /// Sends everybody what there is, and asks the log for more.
    pub(super) fn go_on(&mut self, committed: Lsn, config: &SingleLeaderConfig, context: &mut Context<'_>) {
        let (now, durable) = (elapsed(context.now.instant), context.outbox.durable());
        let nodes: Vec<NodeId> = self.conversations.keys().copied().collect();
        for node in nodes {
            let task = self.next_task;
            let Some(conversation) = self.conversations.get_mut(&node) else { continue };
            let Conversation { link, sender, end, reads } = conversation;
            *end = durable;
            sender.progress(durable, committed);
            while let Some(frame) = sender.poll(now) {
                let message = Message::Ship(Ship::ToFollower(frame.into()));
                context.outbox.send(*link, &message, Lsn::ZERO);
            }
            if reads.is_some() {
                continue;
            }
            let wanted = match sender.wants() {
                Want::Nothing => continue,
                Want::Batches { after } => LogTask::Read { task, after, bytes: config.frame_bytes * 4 },
                Want::Snapshot { identity, offset } => LogTask::ReadSnapshot { task, identity, offset },
            };
            *reads = Some(task);
            self.next_task += 1;
            self.reading.insert(task, node);
            context.outbox.push(Output::Log(wanted));
        }
    }

    /// Whether a follower is sent each record as it comes.
    pub(super) fn is_caught_up(&self, node: NodeId) -> bool {
        self.conversations.get(&node).is_some_and(|known| known.sender.is_caught_up())
    }

    /// Counts what is under way, with everybody or with one.
    pub(super) fn add_activity(&self, with: Option<NodeId>, activity: &mut Activity) {
        let is_meant = |node: NodeId| with.is_none_or(|with| with == node);
        activity.asking += self.asked.values().filter(|(node, _)| is_meant(*node)).count();
        for known in self.conversations.iter().filter(|(node, _)| is_meant(**node)).map(|(_, known)| known) {
            if !known.sender.is_caught_up() {
                activity.catching_up += 1;
            } else if known.sender.marks().at(Stage::Flushed) < known.end {
                activity.streaming += 1;
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.conversations.values().filter_map(|known| known.sender.next_deadline()).min()
    }

    fn next_task(&mut self) -> u64 {
        self.next_task += 1;
        self.next_task - 1
    }
}

/// Whether a follower's log goes on where this one ends: whose last record is of a later epoch, or a later one of the
/// same, has everything that was there when that was written.
fn is_ahead(hello: &Hello, view: &HistoryView) -> bool {
    let Stream::Copy { ends: theirs, .. } = &hello.wants else { return false };
    let last = |ends: &[Position]| ends.first().map(|end| (end.epoch, end.lsn)).unwrap_or_default();
    view.epoch_ends().is_ok_and(|ours| last(theirs) > last(&ours))
}

fn what_is_wrong(error: &SendError) -> &'static str {
    match error {
        SendError::Ahead { .. } => "a follower that says to have what it was never sent",
        SendError::Frame(_) => "a follower's word that means nothing",
        _ => "a follower's word that cannot be answered",
    }
}
