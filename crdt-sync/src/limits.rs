//! The bounds on everything that others can make grow, and the spans the engine waits.

use core::time::Duration;

use thiserror::Error;

use crate::merkle;

/// Bytes of one part of a checkpoint: a state, or a partition's standing. The writer gives up above it, and the
/// reader takes no more.
pub(crate) const MAX_CHECKPOINT_FRAME: usize = 1 << 30;

/// Bounds on what peers and clients can make a node hold or do. Reaching one is a typed error or a stated
/// policy, never an allocation without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame that is accepted or sent. A longer one ends the link.
    pub max_frame: usize,
    /// The longest key. A write to a longer one is refused.
    pub max_key: usize,
    /// The longest encoded value or element of one write. A longer one is refused.
    pub max_value: usize,
    /// Writes in one command. A longer command is refused.
    pub max_writes: usize,
    /// Bytes of entries in one command, which becomes one atomic batch of the log. A larger one is refused.
    pub max_batch: usize,
    /// Links that may be open at once. A further one is closed.
    pub max_links: usize,
    /// Versions kept of a document besides its leaves, per leaf; older ones are dropped.
    pub max_revisions: usize,
    /// Bytes of one key's encoded state; a larger one is not sent in a session, and an event says so.
    pub max_state: usize,
    /// Ranges in the causal context of a partition: a peer's that has more is refused, and one that would lead to more
    /// here is not taken over. Until a session is at its end each element of a set may be a range of its own. Also, per
    /// partition, the totals of counters that are known of forked identities.
    pub max_context_ranges: usize,
    /// Origins a partition follows; entries of further ones are refused. As many branches of forked identities it
    /// knows, and names of histories over all cuts; what peers know beyond is not taken in.
    pub max_origins: usize,
    /// Members that are known, retired ones included. A further node is refused as if all links were taken, and a peer
    /// that names more is cut off.
    pub max_members: usize,
    /// Selectors in the scope of a peer. One that names more is refused as if all links were taken.
    pub max_selectors: usize,
    /// Cuts of forked identities a partition knows; further ones are not taken in, and their forks stay fenced.
    pub max_forks: usize,
    /// Bytes of recent entries kept per partition to be handed on; above it the oldest are dropped, and a peer
    /// that lacks them reconciles by a Merkle session.
    pub max_retained: usize,
    /// Bytes of a partition's entries sent to a peer ahead of its acknowledgement; beyond it the sender waits.
    pub send_window: usize,
    /// Parts of states sent in a session ahead of their acknowledgement.
    pub parts_window: u32,
    /// Bytes of states in one part.
    pub part_size: usize,
    /// Bytes of states that a node of the leaderless topology sends per second when it compares partitions with their
    /// other owners, to all of them together; beyond it they wait. At most as much again may have been saved up.
    pub compared_per_second: u32,
    /// Requests that wait, for the disk or for what their session depends on; a further one is refused.
    pub max_waiting: usize,
    /// Bytes of a session's token. A longer one is refused, and so is a request that would make one longer.
    pub max_token: usize,
    /// Keys of other nodes for which something that they missed is kept, counted once per node. A further hint is not
    /// kept, and the partition is marked to be compared instead.
    pub max_hints: usize,
    /// Bytes of all hints, with the same policy. Checkpoints hold them, too.
    pub max_hint_bytes: usize,
    /// Bytes of the hints for one node, with the same policy.
    pub max_hint_bytes_per_owner: usize,
    /// Bounds on a Merkle session.
    pub merkle: merkle::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 16 << 20,
            max_key: 1 << 10,
            max_value: 256 << 10,
            max_writes: 1 << 14,
            max_batch: 8 << 20,
            max_links: 1 << 10,
            max_revisions: 256,
            max_state: 8 << 20,
            max_context_ranges: 1 << 20,
            max_origins: 1 << 13,
            max_members: 1 << 10,
            max_selectors: 1 << 10,
            max_forks: 1 << 10,
            max_retained: 64 << 20,
            send_window: 4 << 20,
            parts_window: 8,
            part_size: 64 << 10,
            compared_per_second: 8 << 20,
            max_waiting: 1 << 16,
            max_token: 32 << 10,
            max_hints: 1 << 17,
            max_hint_bytes: 128 << 20,
            max_hint_bytes_per_owner: 32 << 20,
            merkle: merkle::Limits::default(),
        }
    }
}

impl Limits {
    /// The bounds on a state, in the words of the codec.
    pub(crate) fn state_codec(&self) -> crdt_core::Limits {
        crdt_core::Limits {
            max_bytes: self.max_state,
            max_elements: self.max_state,
            ..crdt_core::Limits::DEFAULT
        }
    }

    /// The bounds on a frame, in the words of the codec.
    pub(crate) fn codec(&self) -> crdt_core::Limits {
        crdt_core::Limits {
            max_bytes: self.max_frame,
            max_elements: self.max_frame,
            ..crdt_core::Limits::DEFAULT
        }
    }
}

/// How long the engine waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a node looks whether peers lag, and repeats what seems lost.
    pub heartbeat: Duration,
    /// Entries that went unacknowledged for this long are sent again.
    pub resend_after: Duration,
    /// Entries received from elsewhere are passed on to a peer that still lacks them after this long.
    pub relay_after: Duration,
    /// A Merkle session without progress for this long is given up and tried again.
    pub session_timeout: Duration,
    /// A peer that knows this node to be equally far is told so again after this long, to show that it is alive.
    pub keep_alive: Duration,
    /// A connection on which nothing was heard for this long is closed.
    pub silence: Duration,
    /// With more than this many entries to catch up on, a Merkle session is used instead.
    pub catch_up_entries: u64,
    /// Two nodes that share no origin yet, each with more than this many entries, begin with a Merkle session: they
    /// may have been filled from one source.
    pub first_contact_entries: u64,
    /// How often a node of the leaderless topology compares a partition with each of its other owners, give or take a
    /// quarter. When nothing changed that costs two messages.
    pub compare_every: Duration,
    /// How far a clock may run ahead before a write is refused.
    pub max_drift: Duration,
    /// What a node missed is kept for it for at most this long. Less than `tombstone_horizon`: what is delivered later
    /// might bring back what was deleted and forgotten meanwhile.
    pub hint_lifetime: Duration,
    /// A deleted document is not forgotten before this much time has passed, where no members agree on it: whatever
    /// was written before must have arrived by then, or never.
    pub tombstone_horizon: Duration,
}

/// Spans that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimingError {
    /// A hint could be delivered after the deletion of what it writes to was forgotten.
    #[error("hints live for {lifetime:?}, which is not less than the tombstone horizon, {horizon:?}")]
    HintsOutliveDeletions {
        /// How long hints live.
        lifetime: Duration,
        /// When deletions may be forgotten.
        horizon: Duration,
    },
}

impl Timing {
    /// Waiting times for links that may lose frames.
    pub const DEFAULT: Self = Self {
        heartbeat: Duration::from_millis(250),
        resend_after: Duration::from_secs(1),
        relay_after: Duration::from_millis(100),
        session_timeout: Duration::from_secs(5),
        keep_alive: Duration::from_secs(5),
        silence: Duration::from_secs(30),
        catch_up_entries: 4_096,
        first_contact_entries: 64,
        compare_every: Duration::from_secs(60),
        max_drift: Duration::from_secs(60),
        hint_lifetime: Duration::from_secs(3 * 60 * 60),
        tombstone_horizon: Duration::from_secs(10 * 24 * 60 * 60),
    };

    /// Whether the spans go together.
    pub(crate) fn check(&self) -> Result<(), TimingError> {
        let (lifetime, horizon) = (self.hint_lifetime, self.tombstone_horizon);
        if lifetime < horizon {
            Ok(())
        } else {
            Err(TimingError::HintsOutliveDeletions { lifetime, horizon })
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}
