//! Who seems to be alive: a guess for routing, never a verdict.
//!
//! All nodes hold links to one another, and every frame that arrives shows that its sender lives, a heartbeat where
//! there is nothing else to say. So each node judges each other one by what it hears itself, which is also what
//! matters: a peer that others reach and this node does not is of no use to it. A wrong guess costs a detour to a
//! fallback and a hint; it loses nothing, and nothing is decided by it (only an operator declares a node dead, see
//! [`Placement::declare_dead`](super::Placement::declare_dead)).
//!
//! Three things count: the link is gone; the silence is longer than a multiple of what is usual from this peer;
//! requests to it time out although it is heard, as when its disk hangs. The last must not flap with every
//! heartbeat, so suspicion grows with each time-out, and is forgiven by halves, at most once in a while, only as the
//! peer is heard.
//!
//! The rule for silence is linear, a multiple of the mean, as in Hayashibara's phi detector with exponentially
//! distributed intervals (phi proportional to silence / mean, which is what Chitchat uses, too). It needs no variance:
//! intervals within 3 standard deviations of their mean stay below 8 means as long as the deviation is below 7/3 of the
//! mean, and intervals that scatter wider are no heartbeat. Frames that follow each other closer than the expected
//! interval count as that far apart: a busy hour must not make the quiet one after it look like death. Intervals far
//! above it are capped, so that an outage does not teach patience with the next.
//!
//! # Why not SWIM, and `foca`
//!
//! `foca` (1.0) is a sound implementation of SWIM with suspicion and dissemination: sans-IO, `no_std`, its time and
//! sending behind a `Runtime` trait, its randomness passed in; it would fit. What SWIM buys is a load per node that
//! does not grow with the cluster, by probing one random member at a time, asking others to probe for it, and spreading
//! what they find by gossip. Here the links exist anyway and carry traffic anyway, at most 255 of them, and
//! probes by way of others answer whether *somebody* reaches the peer, which is not the question of routing. It would
//! also bring a second membership, with incarnations of its own that age out, beside the [`Layout`](super::Layout),
//! in which nobody becomes a member or stops being one without an operator. It becomes the better choice where nodes no
//! longer hold links to all others.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::node::NodeId;
use crate::time::Instant;

/// How long silence and how many time-outs are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often a peer that lives is heard at least: the span of heartbeats.
    pub expected: Duration,
    /// A silence of that many mean intervals is too long.
    pub intervals: u32,
    /// Intervals are taken for at most that many expected ones.
    pub longest: u32,
    /// Requests that time out, none forgiven between, until the peer is avoided.
    pub timeouts: u32,
    /// Suspicion is halved at most once in this span.
    pub forgive: Duration,
}

impl Patience {
    /// For heartbeats every quarter of a second: silence of 2 seconds is too long, of 8 where links are slow.
    pub const DEFAULT: Self = Self {
        expected: Duration::from_millis(250),
        intervals: 8,
        longest: 4,
        timeouts: 3,
        forgive: Duration::from_secs(2),
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Guesses who is alive, from what one node hears. Memory: about 60 bytes for each peer.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::NodeId;
/// use crdt_sync::placement::{Detector, Patience};
/// use crdt_sync::time::Instant;
///
/// let (peer, second) = (NodeId::from_u128(2), Duration::from_secs(1));
/// let mut detector = Detector::new(Patience { expected: second, ..Patience::DEFAULT });
/// let mut now = Instant::from_micros(0);
/// assert!(!detector.is_live(peer, now)); // never heard of
/// for _ in 0..20 {
///     detector.heard(peer, now);
///     now = now + second;
/// }
/// assert!(detector.is_live(peer, now));
/// assert!(!detector.is_live(peer, now + 8 * second));
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    patience: Patience,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Clone, Debug)]
struct Peer {
    heard: Instant,
    linked: bool,
    /// Of the intervals between frames, each new one weighing an eighth.
    mean: Duration,
    suspicion: u32,
    /// Avoided, until the suspicion is gone.
    avoided: bool,
    /// When the suspicion last grew or was halved.
    judged: Instant,
}

impl Detector {
    /// A detector that has heard of nobody.
    pub fn new(patience: Patience) -> Self {
        Self { patience, peers: BTreeMap::new() }
    }

    /// A frame of the node arrived. O(log peers).
    pub fn heard(&mut self, node: NodeId, now: Instant) {
        let patience = self.patience;
        let peer = self.peers.entry(node).or_insert(Peer {
            heard: now,
            linked: true,
            mean: patience.expected,
            suspicion: 0,
            avoided: false,
            judged: now,
        });
        let longest = patience.expected.saturating_mul(patience.longest.max(1));
        let interval = now.since(peer.heard).clamp(patience.expected, longest);
        peer.mean = (peer.mean.saturating_mul(7).saturating_add(interval)) / 8;
        peer.heard = peer.heard.max(now);
        peer.linked = true;
        if peer.suspicion > 0 && now.since(peer.judged) >= patience.forgive {
            peer.suspicion /= 2;
            peer.judged = now;
            peer.avoided &= peer.suspicion > 0;
        }
    }

    /// The link to the node ended. It is taken for dead until it is heard again. O(log peers).
    pub fn link_lost(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.linked = false;
        }
    }

    /// A request to the node was not answered in time. O(log peers).
    pub fn timed_out(&mut self, node: NodeId, now: Instant) {
        let enough = self.patience.timeouts.max(1);
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.suspicion = peer.suspicion.saturating_add(1).min(enough.saturating_mul(2));
            peer.avoided |= peer.suspicion >= enough;
            peer.judged = now;
        }
    }

    /// Whether the node seems to be alive and to answer. O(log peers).
    pub fn is_live(&self, node: NodeId, now: Instant) -> bool {
        self.peers.get(&node).is_some_and(|peer| {
            let silence = now.since(peer.heard);
            peer.linked && !peer.avoided && silence < peer.mean.saturating_mul(self.patience.intervals)
        })
    }

    /// Time-outs that were not forgiven yet. O(log peers).
    pub fn suspicion(&self, node: NodeId) -> u32 {
        self.peers.get(&node).map_or(0, |peer| peer.suspicion)
    }

    /// The node is no member any more. O(log peers).
    pub fn forget(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }
}
