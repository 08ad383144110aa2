//! A conversation between two snapshots that ends with both sides knowing what the other lacks.
//!
//! The sides take turns. Each turn answers the questions of the one before, "is this node the same
//! as yours?", and asks new ones about the descendants of what differs, until listing items is
//! cheaper than asking on. Then one side lists, and the other names what it wants of the lists.
//!
//! ```text
//! initiator                                   acceptor
//!   hello: root, count, nonce         ->
//!                                     <-      welcome: root, count, nonce; 256 digests
//!   3 of them differ; 48 digests      ->
//!                                     <-      3 of them differ; their items
//!   the wanted items, by position     ->
//! ```

mod answer;
mod greet;
mod link;
mod list_frames;
mod lists;
mod questions;
mod receive;

use alloc::vec::Vec;

use self::link::Link;
use self::lists::{Listing, Matching};
use self::questions::{Comparison, Questions};
use super::frame::Tag;
use super::trace::{Stats, Trace};
use super::{ItemSource, Limits, ProtocolError, TreeSnapshot};

/// What a session found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The two snapshots hold the same items: their 128-bit roots and their counts agree.
    Converged,
    /// They do not.
    Differs(Difference),
}

/// How two snapshots differ, from one side.
///
/// Nothing to send and nothing to receive although the roots differ means that a short digest hid
/// the difference, which a new session with its new salt will see (about once in ten million), or
/// that on one side tree and items have gone apart, which calls for a rebuild.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Difference {
    /// The handles, in ascending order, of this side's items that the peer lacks or holds in
    /// another version.
    pub send: Vec<u64>,
    /// How many items the peer will send in turn.
    pub receive: u64,
    /// Whether differences were left out because of the limits. Once what was found is repaired,
    /// the next session finds more.
    pub partial: bool,
}

/// One side of a session between two snapshots, without IO: frames in through [`Session::handle`],
/// frames out through [`Session::poll_frame`].
///
/// Frames travel over a reliable, ordered stream. A repeated frame is ignored; a missing,
/// reordered, damaged or foreign one is an error that ends the session. There is no timer and no
/// retransmission: who waits too long drops the session and starts a new one, which costs nothing
/// but its bytes.
///
/// Memory: O(differing nodes + listed items), within the [`Limits`], and eight bytes per item to send.
/// Decoding a frame allocates at most four bytes per byte of the frame. Time: whatever the peer
/// says, each of this side's nodes is compared, and each of its items hashed, at most once per turn.
///
/// ```
/// use crdt_sync::merkle::{BucketTree, Item, ItemSource, Limits, Outcome, Prefix, Session, TreeKey};
///
/// struct Rows(Vec<Item>);
/// impl ItemSource for Rows {
///     fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
///         self.0.iter().filter(|item| part.contains(item.key_hash)).for_each(|item| f(*item));
///     }
/// }
/// fn replica(rows: &[(&str, u128)]) -> (BucketTree, Rows) {
///     let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 4).unwrap();
///     let mut items = Vec::new();
///     for (handle, (key, version)) in (0..).zip(rows) {
///         let key_hash = tree.key_hash(key.as_bytes());
///         tree.insert(key_hash, *version).unwrap();
///         items.push(Item { handle, key_hash, version: *version });
///     }
///     (tree, Rows(items))
/// }
///
/// # fn main() -> Result<(), crdt_sync::merkle::ProtocolError> {
/// let (mut here, here_rows) = replica(&[("milk", 1), ("bread", 1), ("salt", 1)]);
/// let (mut there, there_rows) = replica(&[("milk", 2), ("bread", 1)]);
///
/// // Nonces come from a random source; constants keep this example short.
/// let mut initiator = Session::initiate(here.snapshot(), [1; 16], Limits::default());
/// let mut acceptor = Session::accept(there.snapshot(), [2; 16], Limits::default());
/// loop {
///     if let Some(frame) = initiator.poll_frame() {
///         acceptor.handle(&frame, &there_rows)?;
///     } else if let Some(frame) = acceptor.poll_frame() {
///         initiator.handle(&frame, &here_rows)?;
///     } else {
///         break;
///     }
/// }
///
/// let Some(Outcome::Differs(difference)) = initiator.outcome() else { panic!("{:?}", initiator.outcome()) };
/// assert_eq!(difference.send, [0, 2]); // milk in its version, and salt
/// assert_eq!(difference.receive, 1); // milk in the other version
/// # Ok(()) }
/// ```
pub struct Session {
    snapshot: TreeSnapshot,
    /// This side's limits, and from the peer's hello on, the smaller of both sides'.
    announced: Limits,
    agreed: Limits,
    nonce: [u8; 16],
    /// The peer's count of items, and the depth of the leaves of the smaller tree; known from its
    /// hello on.
    peer_count: u32,
    leaf_bits: u8,
    link: Link,
    phase: Phase,
    partial: bool,
}

enum Phase {
    /// The peer's hello is awaited.
    Greeting,
    /// This side's questions are out.
    Asked(Questions),
    /// The peer's answer is coming in, with questions of its own.
    Comparing(Questions, Comparison),
    /// The peer's answer is coming in, with its items.
    Matching(Questions, Matching),
    /// This side's items are out.
    Listed(Listing),
    Over(Outcome),
    Failed(ProtocolError),
}

impl Session {
    /// Opens a session; its first frame is ready to be polled.
    ///
    /// `nonce` is 16 random bytes that were never used for a session before. Both sides' nonces
    /// salt the session, so that a digest that hides a difference by chance does so once only.
    pub fn initiate(snapshot: TreeSnapshot, nonce: [u8; 16], limits: Limits) -> Self {
        let mut session = Self::new(snapshot, nonce, limits, true);
        session.greet();
        session
    }

    /// Answers a session that a peer opens; its first frame comes in through [`Session::handle`].
    pub fn accept(snapshot: TreeSnapshot, nonce: [u8; 16], limits: Limits) -> Self {
        Self::new(snapshot, nonce, limits, false)
    }

    fn new(snapshot: TreeSnapshot, nonce: [u8; 16], limits: Limits, initiator: bool) -> Self {
        let limits = limits.workable();
        Self {
            link: Link::new(initiator, snapshot.prf().session(&nonce, &[])),
            leaf_bits: snapshot.leaf_bits(),
            announced: limits,
            agreed: limits,
            peer_count: 0,
            phase: Phase::Greeting,
            partial: false,
            snapshot,
            nonce,
        }
    }

    /// Takes the next frame of the peer. Frames to send may be ready afterwards, see
    /// [`Session::poll_frame`].
    ///
    /// `items` are those of the session's snapshot. They are asked for at most once per part of the
    /// tree that differs.
    ///
    /// An error ends the session, except that an outcome once reached stays: a frame that comes
    /// after it is refused with [`ProtocolError::Over`] (ignored, if it is a repeated one). Cost:
    /// O(frame), and at the end of the peer's turn O(this side's turn).
    pub fn handle(&mut self, frame: &[u8], items: &dyn ItemSource) -> Result<(), ProtocolError> {
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        let result = self.admit_and_advance(frame, items);
        if let Err(error) = result {
            self.fail(error);
        }
        result
    }

    /// The next frame for the peer, none larger than either side's `max_frame`. To be called until
    /// it returns `None`, also after an outcome or an error: the last frame tells the peer.
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        self.link.poll()
    }

    /// The result, once there is one. The peer has its own once it got all frames of this side.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Why the session ended without a result, if it did.
    pub fn error(&self) -> Option<ProtocolError> {
        match self.phase {
            Phase::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// What the session cost so far.
    pub fn stats(&self) -> Stats {
        self.link.stats
    }

    /// The turns of the session so far; display it to see the drill-down.
    pub fn trace(&self) -> &Trace {
        &self.link.trace
    }

    /// The check under which the peer takes a frame of this side for genuine: what a hostile member
    /// can compute.
    #[cfg(test)]
    pub(super) fn frame_check(&self, frame: &[u8]) -> [u8; 4] {
        self.link.prf().frame_check(self.link.initiator, frame)
    }

    fn admit_and_advance(&mut self, frame: &[u8], items: &dyn ItemSource) -> Result<(), ProtocolError> {
        let Some(envelope) = self.link.admit(frame, &self.announced)? else {
            return Ok(());
        };
        if matches!(self.phase, Phase::Over(_)) {
            return Err(ProtocolError::Over);
        }
        let body = envelope.body;
        let phase = core::mem::replace(&mut self.phase, Phase::Greeting);
        self.phase = match (phase, envelope.tag) {
            (Phase::Greeting, Tag::Hello) if !self.link.initiator => self.on_hello(frame, body, items)?,
            (Phase::Greeting, Tag::Welcome) if self.link.initiator => self.on_welcome(frame, body, items)?,
            (Phase::Asked(asked), Tag::Digests) => self.on_digests(asked, Comparison::new(), body, items)?,
            (Phase::Comparing(asked, so_far), Tag::Digests) => self.on_digests(asked, so_far, body, items)?,
            (Phase::Asked(asked), Tag::Items) => self.on_items(asked, Matching::new(), body, items)?,
            (Phase::Matching(asked, so_far), Tag::Items) => self.on_items(asked, so_far, body, items)?,
            (Phase::Listed(listing), Tag::Wants) => self.on_wants(listing, body)?,
            (_, tag) => return Err(ProtocolError::Unexpected { tag: tag.byte() }),
        };
        self.link.check_cost(&self.announced)
    }

    /// The roots differ, and no short digest showed where.
    fn nothing_found(&self) -> Outcome {
        differs(Vec::new(), 0, self.partial)
    }

    /// Frames of a turn that cannot be completed are withdrawn; a welcome, which names version and
    /// key, is not.
    fn fail(&mut self, error: ProtocolError) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        if self.link.is_open() {
            self.link.clear();
        }
        self.phase = Phase::Failed(error);
    }
}

/// The outcome of a comparison that found something, or should have.
fn differs(mut send: Vec<u64>, receive: u64, partial: bool) -> Outcome {
    send.sort_unstable();
    Outcome::Differs(Difference { send, receive, partial })
}
