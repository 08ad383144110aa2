//! What goes into the engine and what comes out of it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use conflict_store::Reading;
use replication_log::ship::commit::Fate;
use replication_log::{Epoch, Lsn};

use super::Event;
use super::failover::{FailoverNews, FailoverTask};
use super::shared_log::{LogNews, LogTask};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::CollectionId;
use crate::failover::supervisor::Command;
use crate::leaderless::coordinate::{ReadOptions, WriteOptions};
use crate::leaderless::{HintsReply, QuorumReply, RingReply};
use crate::membership::RetireError;
use crate::node::NodeId;
use crate::placement::Change;
use crate::replica::{ItemKey, Write, WriteError, Written};
use crate::rules::ShowError;
use crate::session::{Missing, TokenError};
use crate::single_leader::{CommitReply, Grant, LeadReply};
use crate::time::Instant;
use crate::wire::Farewell;

/// A transport connection, numbered by the caller. Numbers are not reused while the engine lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A client's request, numbered by the caller; the reply carries the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that happened outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A connection is up. Frames on it arrive whole; they may be lost, doubled or out of order.
    LinkUp {
        /// Its number.
        link: LinkId,
        /// Whether this side opened it.
        dialed: bool,
    },
    /// A connection is gone.
    LinkDown {
        /// Its number.
        link: LinkId,
    },
    /// A frame arrived.
    Frame {
        /// On which connection.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// A frame was announced that is longer than [`Limits::max_frame`](crate::Limits::max_frame); it was not read.
    FrameTooLong {
        /// On which connection.
        link: LinkId,
        /// The length announced.
        length: usize,
    },
    /// A client asks for something.
    Request {
        /// Which answer belongs to it.
        id: RequestId,
        /// What it asks.
        request: Request,
    },
    /// All records up to this one are durable.
    Durable {
        /// The last durable record.
        lsn: Lsn,
    },
    /// Something became of what was asked of a log that nodes share.
    Log(LogNews),
    /// Something became of what was asked so that a node may take over.
    Failover(FailoverNews),
    /// An append or an fsync failed. The engine is over: what waited for the disk is answered as unknown and
    /// nothing more leaves. Opening the log again rebuilds the state.
    LogFailed,
    /// The time asked for by [`Output::SetTimer`] has come.
    Timer,
}

/// What a client can ask.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// Writes that take effect together; answered when they are durable.
    Write(Vec<Write>),
    /// The state of one key; answered when everything it shows is durable.
    Read {
        /// Which key.
        item: ItemKey,
        /// When to give up waiting for the disk.
        deadline: Instant,
    },
    /// A document as its collection's rule shows it; answered when everything it shows is durable.
    Show {
        /// Which document.
        item: ItemKey,
        /// When to give up waiting for the disk.
        deadline: Instant,
    },
    /// The states of a collection's keys in key order; answered when everything they show is durable.
    Scan {
        /// Which collection.
        collection: CollectionId,
        /// The first key.
        from: Bytes,
        /// How many keys at most.
        limit: usize,
        /// When to give up waiting for the disk.
        deadline: Instant,
    },
    /// Retires a member, for an administrator: nothing of it is merged any more, by anybody, except what members had
    /// applied before they heard. Answered when it is durable. There is no way back; the device
    /// [rejoins](super::Engine::rejoin) as a new node.
    Retire {
        /// Whom.
        node: NodeId,
    },
    /// A write that waits for several nodes, in a leaderless cluster.
    QuorumWrite {
        /// What to write.
        write: Write,
        /// What to wait for.
        options: WriteOptions,
        /// Whether to read first, and how: the write is then on top of what so many nodes hold. A document that is
        /// updated on top of a version which is current no more is refused.
        read_first: Option<ReadOptions>,
    },
    /// A read that asks several nodes, in a leaderless cluster.
    QuorumRead {
        /// Which key.
        item: ItemKey,
        /// Whom to wait for.
        options: ReadOptions,
    },
    /// Waits until other nodes have what this node keeps for them now, in a leaderless cluster: before it is taken down
    /// for long, say. What comes later is not waited for. So many may wait at a time; more are told to come back.
    AwaitHints {
        /// When to give up.
        deadline: Instant,
    },
    /// Changes who holds what, for an administrator of a leaderless cluster. Answered when the change has begun.
    ChangeRing(Change),
    /// Declares nodes dead, for an administrator of a leaderless cluster: nobody listens to them any more, and nothing
    /// waits for them. They stay on the ring until a [change](Self::ChangeRing) takes them out, and there is no way
    /// back. Possible at any time, also while a change of the ring waits for one that died. Answered when it is durable
    /// here; the progress of the ring says who has not heard of it yet.
    DeclareDead {
        /// Whom.
        nodes: Vec<NodeId>,
    },
    /// Writes that take effect together, in a cluster with one leader; answered when they are committed, or at the
    /// deadline with how far they got. A [`Write`](Self::Write) is the same without a deadline.
    Commit {
        /// What to write.
        writes: Vec<Write>,
        /// When to give up waiting for followers.
        deadline: Instant,
    },
    /// Has this node lead from now on, by a grant that is newer than all before: for an administrator, or whoever
    /// makes grants. Nobody who hears of it takes anything of an older one. Answered when it is durable here. What the
    /// leader before had acknowledged and this node does not have is lost, so ask a node that has
    /// [everything](crate::single_leader::Leadership).
    Lead {
        /// The grant, which nobody else is given.
        grant: Grant,
        /// When it ends, unless it is [extended](Self::Extend); `None` where only a later one ends it.
        until: Option<Instant>,
    },
    /// Has this node lead on until then, if it does by this grant, and if it was to end.
    Extend {
        /// Which grant.
        grant: Grant,
        /// When it ends.
        until: Instant,
    },
    /// Has this node, which leads, admit nothing more, wait until another one has everything, and lead no longer. Then
    /// the other one can be granted the [lead](Self::Lead) without loss.
    HandOver {
        /// Who leads next.
        to: NodeId,
        /// When to give up, and to lead on.
        deadline: Instant,
    },
    /// Something an operator wants of a cluster in which nodes take over by themselves. What becomes of it is told by
    /// [events](Event::Failover).
    Failover(Command),
    /// What became of a record that this node wrote when it led, in a cluster with one leader.
    Fate {
        /// The epoch under which it was written.
        epoch: Epoch,
        /// The record.
        lsn: Lsn,
    },
    /// Another request, within a [session](crate::SessionToken) of the client. A read or a scan is answered once this
    /// node has applied what the session depends on, in the partition of the key or in all; a write at once.
    InSession {
        /// The token of the last answer in the session, as it came; no bytes at all begin a session.
        token: Bytes,
        /// What the client asks: anything but another request in a session.
        request: Box<Request>,
    },
}

/// The answer to a request. Whoever hosts an engine has to say something for each, so that the type is not open.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The writes are durable.
    Written(Written),
    /// The writes were refused, all of them.
    Refused(WriteError),
    /// The state of the key; `None` when nothing is held.
    Value(Option<Cell>),
    /// The document as its rule shows it.
    Shown(Reading<Bytes>),
    /// The document could not be shown.
    NotShown(ShowError),
    /// The states asked for, in key order.
    Cells(Vec<(Bytes, Cell)>),
    /// The key's last change is not durable yet and the deadline has passed.
    NotYetVisible {
        /// The record the read waited for.
        lsn: Lsn,
    },
    /// The log failed before the writes were known to be durable: they may or may not be there after a
    /// restart.
    Unknown {
        /// The record that would have made them durable.
        lsn: Lsn,
    },
    /// As many requests wait for the disk as may; nothing was done.
    Overloaded,
    /// The engine is over; nothing was done.
    Ended,
    /// The member is retired, and that is durable here.
    MemberRetired,
    /// Nobody was retired.
    NotRetired(RetireError),
    /// The answer to a request in a session. [`NotYetVisible`](Self::NotYetVisible), [`Unknown`](Self::Unknown),
    /// [`Overloaded`](Self::Overloaded) and [`Ended`](Self::Ended) come without this around them: the session stays as
    /// it was.
    InSession {
        /// The token from now on, advanced by what was written or shown.
        token: Bytes,
        /// The answer.
        reply: Box<Reply>,
    },
    /// The deadline has passed and this node still lacks entries that the session depends on. They may be on their way,
    /// or no node has them any more: then only a new session helps.
    Behind {
        /// Which, per partition and origin, ascending.
        missing: Vec<Missing>,
    },
    /// Clusters of another topology answer such requests; nothing was done.
    OtherTopology,
    /// The answer to a request that several nodes took part in.
    Quorum(QuorumReply),
    /// The answer to a change of the ring.
    Ring(RingReply),
    /// What became of what was kept for other nodes.
    Hints(HintsReply),
    /// The answer of a cluster with one leader to writes.
    Commit(CommitReply),
    /// What became of a record.
    Fate(Fate),
    /// Whether this node leads.
    Lead(LeadReply),
    /// This node's part in failover has been told.
    FailoverTold,
    /// The token names a record that was lost when another node began to lead without it, and was never committed: what
    /// the session wrote then is gone.
    Lost {
        /// The epoch under which it was written.
        epoch: Epoch,
        /// The record.
        lsn: Lsn,
    },
    /// The token of a request in a session was refused; nothing was done.
    TokenRefused(TokenError),
    /// The key lies outside the scope of this partial replica, or part of the collection does and the scan is one of a
    /// session: other nodes may hold more.
    OutOfScope,
}

impl Reply {
    /// Whether only a node that leads may say so.
    pub(super) fn needs_the_lead(&self) -> bool {
        match self {
            Self::Commit(CommitReply::Committed { .. }) => true,
            Self::InSession { reply, .. } => reply.needs_the_lead(),
            _ => false,
        }
    }

    /// What is to be said in place of a reply that comes [too late](Output::Reply::not_after): that writes are
    /// committed can be known no longer by a node whose right to lead has ended.
    pub fn too_late(self) -> Self {
        match self {
            Self::Commit(CommitReply::Committed { written, .. }) => Self::Unknown { lsn: written.lsn },
            Self::InSession { reply, .. } if reply.needs_the_lead() => reply.too_late(),
            other => other,
        }
    }
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Append these records to the log as one atomic batch and make them durable, in this order with other
    /// batches; then say [`Input::Durable`]. The first record gets this number. One input may lead to several batches:
    /// when one is not taken, the log has failed, and those behind it must not be taken either.
    Append {
        /// The number of the first record.
        first: Lsn,
        /// The records.
        records: Vec<Vec<u8>>,
    },
    /// Do something with a log that nodes share; in a cluster with one leader only, and there instead of
    /// [`Append`](Self::Append).
    Log(LogTask),
    /// Do something so that a node may take over; in a cluster with one leader and failover only.
    Failover(FailoverTask),
    /// Send a frame. Everything it tells is durable already.
    Send {
        /// On which connection.
        link: LinkId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Answer a client.
    Reply {
        /// Which request.
        id: RequestId,
        /// The answer.
        reply: Reply,
        /// When it is [too late](Reply::too_late) to say so: the right by which it is said has ended then.
        not_after: Option<Instant>,
    },
    /// Close a connection, after what was sent on it before. Its going down need not be reported back.
    Close {
        /// Which connection.
        link: LinkId,
        /// Why.
        reason: Farewell,
    },
    /// Say [`Input::Timer`] at this time; it takes the place of any time asked for before.
    SetTimer {
        /// When.
        at: Instant,
    },
    /// Something an operator or an application may want to know.
    Event(Event),
}
