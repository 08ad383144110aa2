//! A conversation between two snapshots that ends with both sides knowing what the other lacks.
//!
//! The sides take turns. When the roots differ, the first estimates how much does, from short digests
//! of the tree's upper nodes, and picks the way that takes the fewest bytes:
//!
//! - *stream*: the side that has less lists the fingerprints of all its items;
//! - *sketch*: one side sends as many cells of a sketch as the difference takes, the other reads it;
//! - *tree*: each turn answers the questions of the one before, "is this node the same as yours?",
//!   and asks new ones about the descendants of what differs, until listing items is cheaper than
//!   asking on. A sketch that cannot be read, because the estimate was too low or the peer made no
//!   honest one, is followed by the tree.
//!
//! ```text
//! initiator                                   acceptor
//!   hello: root, count, nonce         ->
//!                                     <-      welcome: root, count, nonce; bytes of 64 nodes
//!   about 12 differ; 30 cells         ->
//!                                     <-      the wanted ids, how many are sent in turn
//! or
//!   thousands differ; 256 digests     ->
//!                                     <-      250 of them differ; 4,000 digests
//!   3,100 differ; their items         ->
//!                                     <-      the wanted items, by position
//! ```

mod answer;
mod choose;
mod greet;
mod link;
mod list_frames;
mod lists;
mod matching;
mod plan;
mod questions;
mod receive;
mod sketching;
mod view;

use alloc::vec::Vec;

use self::link::Link;
use self::lists::Listing;
use self::matching::Matching;
use self::questions::{Comparison, Questions};
use self::sketching::{Sketched, Sketching};
use self::view::View;
use super::frame::{self, Envelope, Tag};
use super::trace::{Stats, Trace};
use super::{Item, ItemSource, Limits, Prefix, ProtocolError, TreeSnapshot};

/// What a session found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The two snapshots hold the same items: their 128-bit roots and their counts agree.
    Converged,
    /// The peer holds nothing: it is to get every item of this side, as [`Session::for_each_in`] gives them. They
    /// are not named, so that a set of any size can be sent while it is read. (Sessions over ranges of keys,
    /// which may be small parts of a set, do name them.)
    SendAll,
    /// Anything else.
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
    /// Whether differences were left out because of the limits, or because chance hid them from a
    /// sketch (the side that sent it notices), or whether this side's source changed while a long
    /// list was under way: then more is sent than is needed. Once what was found is repaired, the
    /// next session finds more.
    pub partial: bool,
}

/// One side of a session between two snapshots, without IO: frames in through [`Session::handle`],
/// frames out through [`Session::poll_frame`].
///
/// Frames may be lost, doubled and reordered on the way. A repeated frame is ignored, an early one is
/// kept until those before it are there, and [`Session::resend`], called by whoever has waited too
/// long, makes the peer repeat exactly the frames that are missing, byte for byte. There is no timer
/// in here. A damaged or foreign frame is an error that ends the session, as is every deviation from
/// the protocol; a new one costs nothing but its bytes.
///
/// Before the peer has shown that it holds the cluster key, by a frame under the key that both
/// nonces make, an acceptor sends at most [`Limits::MAX_FIRST_ANSWER`] bytes per hello: hellos can be
/// recorded and replayed, so a session is no amplifier.
///
/// Memory: O(differing nodes + cells + frames that the peer may still miss), within the [`Limits`], and eight
/// bytes per item to send, unless the peer holds nothing: see [`Outcome::SendAll`].
/// - The side that lists items keeps their frames until they are answered, about five bytes for each item, and
///   two megabytes besides: of more than 262,144 items it notes the pieces of about 65,536 (or of one part, if
///   that has fewer), which it sorts one at a time, and lists those once more of which something is wanted.
/// - The side that is listed to holds the list of one part, up to thirteen bytes for each entry, because an item is
///   missing there only if the whole list lacks it. A list of the whole set is the list of one part, so that is what
///   [`Limits::max_items`] bounds.
///
/// Decoding a frame allocates at most eight bytes per byte of the frame. Time: whatever the peer says, each of
/// this side's nodes is compared, and each of its items hashed, at most once per turn, but for lists of more
/// than 65,536 items of one part: for these the items are gone through once for every 65,536, and once more for
/// those of which something is wanted.
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
    view: View,
    horizon: u64,
    /// This side's limits, and from the peer's hello on, the smaller of both sides'.
    announced: Limits,
    agreed: Limits,
    nonce: [u8; 16],
    /// The peer's count of items, and the depth of the leaves of the smaller tree; known from its
    /// hello on.
    peer_count: u32,
    peer_horizon: u64,
    leaf_bits: u8,
    link: Link,
    phase: Phase,
    partial: bool,
    /// How many turns of digests there were, of both sides.
    digest_turns: u8,
    /// How many keys differ, once that was estimated.
    differing: Option<u64>,
    /// Whether this side has given its first turn away.
    passed: bool,
}

enum Phase {
    /// The peer's hello is awaited.
    Greeting,
    /// The hellos have different horizons, and the peer's, the earlier one's, root at the later one
    /// is awaited.
    Meeting,
    /// This side's questions are out.
    Asked(Questions),
    /// The peer's answer is coming in, with questions of its own.
    Comparing(Questions, Comparison),
    /// The peer's answer is coming in, with its items.
    Matching(Questions, Matching),
    /// This side's items are out.
    Listed(Listing),
    /// The peer's sketch is coming in.
    Sketching(Sketching),
    /// This side's sketch is out.
    Sketched(Sketched),
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
            link: Link::new(initiator),
            leaf_bits: snapshot.leaf_bits(),
            announced: limits,
            agreed: limits,
            peer_count: 0,
            peer_horizon: 0,
            phase: Phase::Greeting,
            partial: false,
            digest_turns: 0,
            differing: None,
            passed: false,
            horizon: 0,
            view: View::new(snapshot),
            nonce,
        }
    }

    /// States which tombstones and expired items this side has dropped: those from before `horizon`,
    /// see [`ItemSource::for_each_below`]. To be called before the first frame is polled or handled.
    ///
    /// Peers with different horizons compare what lies at or above the later one, so that an item
    /// that one of them has dropped for good does not travel back to it. The side with the earlier
    /// horizon needs a source that can tell; otherwise both sides end with
    /// [`ProtocolError::HorizonMismatch`]. A peer that says nothing has horizon 0.
    #[must_use]
    pub fn at_horizon(mut self, horizon: u64) -> Self {
        self.horizon = horizon;
        if self.link.initiator {
            self.link = Link::new(true);
            self.greet();
        }
        self
    }

    /// Takes the next frame of the peer. Frames to send may be ready afterwards, see
    /// [`Session::poll_frame`].
    ///
    /// `items` are those of the session's snapshot. They are asked for at most once per part of the
    /// tree that differs, or per 65,536 items of it.
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

    /// Asks for what is missing, to be called by whoever has waited too long: a frame to be polled
    /// makes the peer repeat what this side has not got, or say what it has not got itself. Costs
    /// about ten bytes; every frame that was lost is repeated once. A frame is kept until the peer
    /// has shown that it got it, so a session is to be kept for a while after its outcome.
    ///
    /// ```
    /// # use crdt_sync::merkle::{BucketTree, Item, ItemSource, Limits, Outcome, Prefix, Session, TreeKey};
    /// # struct Nothing;
    /// # impl ItemSource for Nothing {
    /// #     fn for_each_in(&self, _: Prefix, _: &mut dyn FnMut(Item)) {}
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tree = BucketTree::new(&TreeKey::new([7; 16]), 4)?;
    /// let mut initiator = Session::initiate(tree.snapshot(), [1; 16], Limits::default());
    /// let mut acceptor = Session::accept(tree.snapshot(), [2; 16], Limits::default());
    /// let lost = initiator.poll_frame();
    ///
    /// initiator.resend(); // nothing came for too long
    /// let repeated = initiator.poll_frame();
    /// assert_eq!(repeated, lost);
    /// acceptor.handle(&repeated.ok_or("no frame")?, &Nothing)?;
    /// # Ok(()) }
    /// ```
    pub fn resend(&mut self) {
        if self.error().is_none() {
            self.link.ask_again();
        }
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

    /// Calls `f` with the items of `items` in `part` that take part in the session: with all but those below
    /// the peer's horizon, see [`Session::at_horizon`]. After [`Outcome::SendAll`] these are the items to send.
    ///
    /// Part by part, so that sending takes no more memory than the items of one part do.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// use crdt_sync::merkle::{BucketTree, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, Session, TreeKey};
    ///
    /// struct Rows(BTreeMap<KeyHash, Item>);
    /// impl ItemSource for Rows {
    ///     fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
    ///         self.0.range(part.start()..=part.end()).for_each(|(_, item)| f(*item));
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut tree, mut rows) = (BucketTree::new(&TreeKey::new([7; 16]), 8)?, BTreeMap::new());
    /// for handle in 0..1_000_u64 {
    ///     let key_hash = tree.key_hash(&handle.to_le_bytes());
    ///     tree.insert(key_hash, 1)?;
    ///     rows.insert(key_hash, Item { handle, key_hash, version: 1 });
    /// }
    /// let rows = Rows(rows);
    /// let mut empty = BucketTree::new(&TreeKey::new([7; 16]), 8)?;
    ///
    /// let mut new_node = Session::initiate(empty.snapshot(), [1; 16], Limits::default());
    /// let mut full_node = Session::accept(tree.snapshot(), [2; 16], Limits::default());
    /// full_node.handle(&new_node.poll_frame().ok_or("a hello")?, &rows)?;
    /// assert_eq!(full_node.outcome(), Some(&Outcome::SendAll));
    ///
    /// let (mut sent, mut largest) = (0, 0);
    /// for bucket in Prefix::all_at(6) {
    ///     let mut batch = Vec::new();
    ///     full_node.for_each_in(bucket, &rows, &mut |item| batch.push(item.handle));
    ///     sent += batch.len(); // and off it goes
    ///     largest = largest.max(batch.len());
    /// }
    /// assert_eq!((sent, largest < 40), (1_000, true));
    /// # Ok(()) }
    /// ```
    pub fn for_each_in(&self, part: Prefix, items: &dyn ItemSource, f: &mut dyn FnMut(Item)) {
        self.view.for_each_in(part, items, f);
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
        self.advance(frame, envelope, items)?;
        while let Some(kept) = self.link.next_kept() {
            let envelope = frame::open(&kept)?;
            self.advance(&kept, envelope, items)?;
        }
        Ok(())
    }

    fn advance(
        &mut self,
        frame: &[u8],
        envelope: Envelope<'_>,
        items: &dyn ItemSource,
    ) -> Result<(), ProtocolError> {
        if matches!(self.phase, Phase::Over(_)) {
            return Err(ProtocolError::Over);
        }
        let body = envelope.body;
        let phase = core::mem::replace(&mut self.phase, Phase::Greeting);
        self.phase = match (phase, envelope.tag) {
            (Phase::Greeting, Tag::Hello) if !self.link.initiator => self.on_hello(frame, body, items)?,
            (Phase::Greeting, Tag::Welcome) if self.link.initiator => self.on_welcome(frame, body, items)?,
            (Phase::Meeting, Tag::Root) => self.on_root(body, items)?,
            (Phase::Asked(asked), Tag::Digests) => self.on_digests(asked, Comparison::new(), body, items)?,
            (Phase::Comparing(asked, so_far), Tag::Digests) => self.on_digests(asked, so_far, body, items)?,
            (Phase::Asked(asked), Tag::Items) => self.on_items(asked, Matching::new(), body, items)?,
            (Phase::Matching(asked, so_far), Tag::Items) => self.on_items(asked, so_far, body, items)?,
            (Phase::Listed(listing), Tag::Wants) => self.on_wants(listing, body, items)?,
            (Phase::Asked(asked), Tag::Estimate) if asked.is_root() => self.on_estimate(body, items)?,
            (Phase::Asked(asked), Tag::Sketch) if asked.is_root() => {
                self.on_sketch(Sketching::new(), body, items)?
            }
            (Phase::Sketching(so_far), Tag::Sketch) => self.on_sketch(so_far, body, items)?,
            (Phase::Sketched(sketched), Tag::More) => self.on_more(&sketched, body, items)?,
            (Phase::Sketched(sketched), Tag::Found) => self.on_found(sketched, body, items)?,
            // The peer could not read the sketch, and goes by the tree.
            (Phase::Sketched(_), Tag::Digests) => {
                self.on_digests(Questions::root(), Comparison::new(), body, items)?
            }
            (Phase::Sketched(_), Tag::Items) => {
                self.on_items(Questions::root(), Matching::new(), body, items)?
            }
            (_, tag) => return Err(ProtocolError::Unexpected { tag: tag.byte() }),
        };
        self.link.check_cost(&self.announced)
    }

    /// The roots differ, and no short digest showed where.
    fn nothing_found(&self) -> Outcome {
        differs(Vec::new(), 0, self.partial)
    }

    /// Frames of a turn that cannot be completed are withdrawn; a welcome, which names version and
    /// key, and word of a horizon are not.
    fn fail(&mut self, error: ProtocolError) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        let is_told = matches!(error, ProtocolError::HorizonMismatch { .. });
        if self.link.is_open() && !is_told {
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
