//! A conversation between two snapshots, over one range of keys, that ends with both sides knowing
//! what the other lacks.
//!
//! Range-based set reconciliation (Meyer, 2023), with salted digests. The sides take turns. A turn
//! answers each question of the one before, "is this range the same as yours?": a range that
//! differs comes back split into parts, each with a digest to compare, or, once it is small, as a
//! list of its items. The next turn answers the parts, and says what it wants of the lists.
//!
//! ```text
//! initiator                                      acceptor
//!   hello: range, sum, count, nonce      ->
//!                                        <-      welcome: the agreed range, sum, count, nonce;
//!                                                16 parts
//!   1 of them differs, its 16 parts      ->
//!                                        <-      1 of them differs, its items
//!   the wanted items, by position        ->
//! ```

mod answer;
mod asked;
mod greet;
mod link;
mod receive;
mod turn;
mod writer;

use alloc::vec::Vec;

use self::asked::Asked;
use self::link::Link;
use self::turn::Turn;
use super::frame::Tag;
use super::policy::{FanOut, RefinementPolicy};
use super::{KeyRange, Limits, ProtocolError, RangeSnapshot};
use crate::merkle::{Difference, Outcome, Stats};

/// One side of a session over a range of keys, without IO: frames in through
/// [`RangeSession::handle`], frames out through [`RangeSession::poll_frame`].
///
/// The initiator names a range; the acceptor narrows it to what it shares with this peer. Nothing
/// outside the agreed range is spoken of, except that a hello tells sum and count over all that it
/// asks for.
///
/// Frames travel over a reliable, ordered stream. A repeated frame is ignored; a missing,
/// reordered, damaged or foreign one is an error that ends the session. There is no timer and no
/// retransmission: who waits too long drops the session and starts a new one.
///
/// [`Outcome::Converged`] means that 128-bit sums and counts over the agreed range agree. In a
/// [`Difference`] the handle of an item is its rank in this side's snapshot; see
/// [`RangeSession::items_to_send`].
///
/// Memory: O(open ranges + listed items), within the [`Limits`], and eight bytes per item to send.
/// An open range takes at most 2 KiB, when its bounds are that long. Time: O(log n) for each part
/// that is compared or made, O(1) for each item that is listed by either side.
///
/// ```
/// use crdt_sync::merkle::{Outcome, TreeKey};
/// use crdt_sync::range::{KeyRange, Limits, RangeSession, RangeTree};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut here = RangeTree::new(&TreeKey::new([7; 16]));
/// let mut there = RangeTree::new(&TreeKey::new([7; 16]));
/// here.insert(b"orders/2026-11/1", 1)?;
/// here.insert(b"orders/2026-11/2", 2)?;
/// here.insert(b"people/ada", 1)?;
/// there.insert(b"orders/2026-11/2", 1)?;
/// there.insert(b"people/bob", 1)?;
///
/// let wanted = KeyRange::prefix(b"orders/2026-11/")?;
/// let shared = KeyRange::prefix(b"orders/")?;
/// let mut here = RangeSession::initiate(here.snapshot(), wanted, [1; 16], Limits::default());
/// let mut there = RangeSession::accept(there.snapshot(), shared, [2; 16], Limits::default());
/// loop {
///     if let Some(frame) = here.poll_frame() {
///         there.handle(&frame)?;
///     } else if let Some(frame) = there.poll_frame() {
///         here.handle(&frame)?;
///     } else {
///         break;
///     }
/// }
/// let send: Vec<_> = here.items_to_send().collect();
/// assert_eq!(send, [(&b"orders/2026-11/1"[..], 1), (b"orders/2026-11/2", 2)]);
/// let Some(Outcome::Differs(difference)) = here.outcome() else { panic!() };
/// assert_eq!(difference.receive, 1); // the second order in the other version
/// # Ok(()) }
/// ```
pub struct RangeSession<P = FanOut> {
    snapshot: RangeSnapshot,
    /// What this side asks for or shares, and from the peer's hello on, what both agreed on.
    range: KeyRange,
    /// This side's limits, and from the peer's hello on, the smaller of both sides'.
    announced: Limits,
    agreed: Limits,
    nonce: [u8; 16],
    policy: P,
    link: Link,
    phase: Phase,
    /// What was found so far: the ranks of the items to send, and how many will come.
    send: Vec<u64>,
    receive: u64,
    partial: bool,
}

enum Phase {
    /// The peer's hello is awaited.
    Greeting,
    /// The range was narrowed, and the initiator's sum over it is awaited.
    Narrowed,
    /// This side's questions and lists are out, and the peer's turn has come so far.
    Asked(Asked, Turn),
    Over(Outcome),
    Failed(ProtocolError),
}

impl RangeSession {
    /// Opens a session over a range; its first frame is ready to be polled.
    ///
    /// `nonce` is 16 random bytes that were never used for a session before. Both sides' nonces
    /// salt the session, so that a digest that hides a difference by chance does so once only.
    pub fn initiate(snapshot: RangeSnapshot, range: KeyRange, nonce: [u8; 16], limits: Limits) -> Self {
        let mut session = Self::new(snapshot, range, nonce, limits, true);
        session.greet();
        session
    }

    /// Answers a session that a peer opens; its first frame comes in through
    /// [`RangeSession::handle`]. `shared` is what this peer is authorised for: whatever it asks for,
    /// nothing outside of it is told. A peer that is authorised for several ranges opens a session
    /// for each.
    pub fn accept(snapshot: RangeSnapshot, shared: KeyRange, nonce: [u8; 16], limits: Limits) -> Self {
        Self::new(snapshot, shared, nonce, limits, false)
    }

    fn new(
        snapshot: RangeSnapshot,
        range: KeyRange,
        nonce: [u8; 16],
        limits: Limits,
        initiator: bool,
    ) -> Self {
        let limits = limits.workable();
        Self {
            snapshot,
            range,
            announced: limits,
            agreed: limits,
            nonce,
            policy: FanOut::default(),
            link: Link::new(initiator),
            phase: Phase::Greeting,
            send: Vec::new(),
            receive: 0,
            partial: false,
        }
    }

    /// The same session with another policy. The peer's need not be the same.
    pub fn with_policy<P: RefinementPolicy>(self, policy: P) -> RangeSession<P> {
        let Self { snapshot, range, announced, agreed, nonce, link, phase, send, receive, partial, .. } =
            self;
        RangeSession {
            snapshot,
            range,
            announced,
            agreed,
            nonce,
            policy,
            link,
            phase,
            send,
            receive,
            partial,
        }
    }
}

impl<P: RefinementPolicy> RangeSession<P> {
    /// Takes the next frame of the peer. Frames to send may be ready afterwards, see
    /// [`RangeSession::poll_frame`].
    ///
    /// An error ends the session, except that an outcome once reached stays: a frame that comes
    /// after it is refused with [`ProtocolError::Over`] (ignored, if it is a repeated one). Cost:
    /// O(frame · log n), and at the end of the peer's turn O(this side's turn · log n).
    pub fn handle(&mut self, frame: &[u8]) -> Result<(), ProtocolError> {
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        let result = self.admit_and_advance(frame);
        if let Err(error) = result {
            self.fail(error);
        }
        result
    }

    fn admit_and_advance(&mut self, frame: &[u8]) -> Result<(), ProtocolError> {
        let Some(envelope) = self.link.admit(frame, &self.announced)? else {
            return Ok(());
        };
        if matches!(self.phase, Phase::Over(_)) {
            return Err(ProtocolError::Over);
        }
        let body = envelope.body;
        let initiator = self.link.initiator;
        let phase = core::mem::replace(&mut self.phase, Phase::Greeting);
        self.phase = match (phase, envelope.tag) {
            (Phase::Greeting, Tag::Hello) if !initiator => self.on_hello(frame, body)?,
            (Phase::Greeting, Tag::Welcome) if initiator => self.on_welcome(frame, body)?,
            (Phase::Narrowed, Tag::Root) => self.on_root(body)?,
            (Phase::Asked(asked, turn), Tag::Answers) => self.on_answers(asked, turn, body)?,
            (_, tag) => return Err(ProtocolError::Unexpected { tag: tag.byte() }),
        };
        self.link.check_cost(&self.announced)
    }

    fn fail(&mut self, error: ProtocolError) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        self.link.withdraw();
        self.phase = Phase::Failed(error);
    }

    /// All questions are answered.
    fn conclude(&mut self) -> Phase {
        let mut send = core::mem::take(&mut self.send);
        send.sort_unstable();
        Phase::Over(Outcome::Differs(Difference { send, receive: self.receive, partial: self.partial }))
    }
}

impl<P> RangeSession<P> {
    /// The next frame for the peer, none larger than either side's `max_frame` except a first one
    /// with long bounds. To be called until it returns `None`, also after an outcome or an error:
    /// the last frame tells the peer.
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

    /// This side's items, in the order of their keys, that the peer lacks or holds in another
    /// version; none before there is an outcome.
    pub fn items_to_send(&self) -> impl Iterator<Item = (&[u8], u128)> {
        let ranks = match self.outcome() {
            Some(Outcome::Differs(difference)) => &difference.send[..],
            _ => &[],
        };
        ranks.iter().filter_map(|rank| self.snapshot.select(*rank))
    }

    /// The range that this side asks for or shares, and from the peer's hello on, the one that both
    /// agreed on.
    pub fn range(&self) -> &KeyRange {
        &self.range
    }

    /// Why the session ended without a result, if it did.
    pub fn error(&self) -> Option<ProtocolError> {
        match self.phase {
            Phase::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// What the session cost so far. Its `leaves_listed` are ranges whose items were listed.
    pub fn stats(&self) -> Stats {
        self.link.stats
    }

    /// The check under which the peer takes a frame of this side for genuine: what a hostile member
    /// can compute.
    #[cfg(test)]
    pub(super) fn frame_check(&self, frame: &[u8]) -> [u8; 4] {
        self.link.prf().map_or([0; 4], |prf| prf.frame_check(self.link.initiator, frame))
    }
}
