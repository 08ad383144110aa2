//! What a leader chooses.

use core::time::Duration;

use crate::ship::{AckPolicy, Stage};

/// How a leader commits.
///
/// ```
/// use replication_log::ship::{AckPolicy, Stage, commit::{CommitOptions, Visibility, WhenShort}};
///
/// let options = CommitOptions::new(AckPolicy::any(2, ['a', 'b', 'c'])?);
/// assert_eq!((options.stage, options.visibility), (Stage::Flushed, Visibility::AfterAck));
/// let fast = CommitOptions { when_short: WhenShort::FailFast, ..options };
/// # Ok::<(), replication_log::ship::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOptions<N> {
    /// Whose acknowledgements count.
    pub policy: AckPolicy<N>,
    /// What they have to have done with a record before a client is told.
    pub stage: Stage,
    /// From when on the leader's readers see a record.
    pub visibility: Visibility,
    /// What happens while the policy cannot be met.
    pub when_short: WhenShort,
}

impl<N> CommitOptions<N> {
    /// The safest: flushed, visible once committed, and blocking while followers are missing.
    pub const fn new(policy: AckPolicy<N>) -> Self {
        let (visibility, when_short) = (Visibility::AfterAck, WhenShort::Block);
        Self { policy, stage: Stage::Flushed, visibility, when_short }
    }
}

/// From when on the leader's readers see a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Once it is committed: what somebody has read is with all whom the policy asks for, so that no
    /// failover takes it back. `MySQL` calls this `AFTER_SYNC`.
    AfterAck,
    /// Once it is on the leader's disk. Reads are fresher by a round trip, and may be *phantoms*: a
    /// failover to a follower that never got the record takes back what somebody has read. `MySQL` calls
    /// this `AFTER_COMMIT`.
    BeforeAck,
}

/// What happens while the policy cannot be met by who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenShort {
    /// Commits wait, each up to its own deadline. `PostgreSQL` does so, without a deadline.
    Block,
    /// Commits are refused before anything is appended, and those that wait already are told at once.
    FailFast,
    /// Once a record has waited for so long, the leader's disk is enough, until enough followers have caught
    /// up. As in `MySQL`, but never in silence: see [`Mode`](super::Mode).
    DegradeToAsync {
        /// How long a record waits, from when it is on the leader's disk.
        after: Duration,
    },
}
