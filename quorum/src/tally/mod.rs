//! Counting answers while they come in.

mod ack;
mod commit;
mod joint;
mod members;
mod system;
mod vote;

pub use ack::{AckTally, Answer, Outcome, Role};
pub use commit::{CommitTally, Progress};
pub use joint::{JointCommitTally, JointVoteTally};
pub use system::SystemTally;
pub use vote::{Vote, VoteOutcome, VoteTally};
