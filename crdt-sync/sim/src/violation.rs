//! What must never happen.

use crdt_sync::time::Instant;
use crdt_sync::{ItemKey, RequestId};
use thiserror::Error;

/// A promise that was broken. Nodes are numbered from zero.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// An engine went on and on.
    #[error("node {node}: more than {limit} outputs followed one input")]
    Endless {
        /// The node.
        node: usize,
        /// How many are enough.
        limit: usize,
    },
    /// An engine wants something that this world does not know how to do.
    #[error("node {node} had an output that the world cannot carry out: {output}")]
    UnknownOutput {
        /// The node.
        node: usize,
        /// The output.
        output: String,
    },
    /// More and more was on its way.
    #[error("{events} events are waiting to happen, more than {limit}")]
    Crowded {
        /// How many there were.
        events: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The log refused a batch although nothing had failed.
    #[error("node {node}: the log refused a batch: {error}")]
    AppendRefused {
        /// The node.
        node: usize,
        /// What the log said.
        error: String,
    },
    /// A node could not start again.
    #[error("node {node} cannot start: {error}")]
    CannotStart {
        /// The node.
        node: usize,
        /// Why.
        error: String,
    },
    /// Something left an engine whose log had failed.
    #[error("node {node} had an effect after its log had failed: {output}")]
    EffectAfterFailure {
        /// The node.
        node: usize,
        /// What left.
        output: String,
    },
    /// All peers are honest, and one was accused all the same.
    #[error("node {node} accused an honest peer: {error}")]
    HonestPeerAccused {
        /// The accuser.
        node: usize,
        /// The accusation.
        error: String,
    },
    /// No node was cloned or restored, and yet somebody saw two histories of one identity, or gave its own up.
    #[error("node {node} saw an identity with two pasts: {event}")]
    PastInDoubt {
        /// The node.
        node: usize,
        /// What it said.
        event: String,
    },
    /// A node came up and was not what its log made it before, or lacks what it had told others.
    #[error("node {node} came up with another past: {detail}")]
    Forgot {
        /// The node.
        node: usize,
        /// What it forgot.
        detail: String,
    },
    /// A frame was sent that no peer can read.
    #[error("node {node} sent a frame that cannot be read: {error}")]
    UnreadableFrame {
        /// The sender.
        node: usize,
        /// What is wrong with it.
        error: String,
    },
    /// A request was answered twice, or an answer came that nobody had asked for.
    #[error("node {node} answered request {} when no answer was due", request.0)]
    AnswerNotDue {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
    },
    /// A request was never answered although its node did not go down.
    #[error("node {node} never answered request {}", request.0)]
    NeverAnswered {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
    },
    /// A write that was refused left a trace.
    #[error("node {node} refused request {} and changed something all the same", request.0)]
    RefusalWithEffect {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
    },
    /// A write was made in memory and did something else than it says.
    #[error("node {node}: request {} did not do what it says: {detail}", request.0)]
    WrongEffect {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
        /// What is wrong.
        detail: String,
    },
    /// A write is gone that was acknowledged, or shown to a reader.
    #[error("node {node} acknowledged or showed request {} and lost it: {detail}", request.0)]
    LostWrite {
        /// The node that had done it.
        node: usize,
        /// The request.
        request: RequestId,
        /// What is missing, and where.
        detail: String,
    },
    /// A node holds more of a retired member than anybody held when they heard of the retirement.
    #[error("node {node} merged what a retired member wrote beyond its end: {detail}")]
    MergedBack {
        /// The node.
        node: usize,
        /// What it merged.
        detail: String,
    },
    /// A retired node acknowledged a write that nobody else has, and does not report it.
    #[error("retired node {node} neither spread request {} nor reports it", request.0)]
    NotReported {
        /// The retired node.
        node: usize,
        /// The request.
        request: RequestId,
    },
    /// What a retired node wrote was made again on another one, and is not there exactly once.
    #[error("node {node} made the writes of a retired one again: {detail}")]
    NotExactlyOnce {
        /// The node in its place.
        node: usize,
        /// What is there too often, or not at all.
        detail: String,
    },
    /// A command survived in part.
    #[error("node {node} kept a part of request {} over a restart", request.0)]
    TornCommand {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
    },
    /// A node says that it has a command's entries, and does not show what the command did.
    #[error("node {node} has the entries of request {} and does not show it: {detail}", request.0)]
    NotShown {
        /// The node.
        node: usize,
        /// The request, made on this or another node.
        request: RequestId,
        /// What is missing.
        detail: String,
    },
    /// A read did not show what the same node had acknowledged before.
    #[error("node {node}: read {} does not show what was acknowledged before: {detail}", request.0)]
    StaleRead {
        /// The node.
        node: usize,
        /// The read.
        request: RequestId,
        /// What it does not show.
        detail: String,
    },
    /// A write was reported to be on a node that does not have it.
    #[error("request {} was acknowledged as being on node {node}, which does not have it: {detail}", request.0)]
    FalseReport {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
        /// What is missing.
        detail: String,
    },
    /// What was removed, by somebody who had seen it, is there again although nobody added it since.
    #[error("{item:?} shows again what was removed: {detail}")]
    Resurrected {
        /// The key.
        item: ItemKey,
        /// What came back, and where.
        detail: String,
    },
    /// A read did not show what the same client had been shown before.
    #[error("node {node}: read {} does not show what its client was shown before: {detail}", request.0)]
    ForgottenSight {
        /// The node.
        node: usize,
        /// The read.
        request: RequestId,
        /// What it does not show.
        detail: String,
    },
    /// What clients saw of a register at one node cannot have happened one operation after the other.
    #[error("node {node}: no order of the operations on {item:?} explains what clients saw: {detail}")]
    NotLinearizable {
        /// The node.
        node: usize,
        /// The register.
        item: ItemKey,
        /// What contradicts what.
        detail: String,
    },
    /// What a client was told is not true.
    #[error("node {node} answered request {} with what is not so: {detail}", request.0)]
    FalseAnswer {
        /// The node.
        node: usize,
        /// The request.
        request: RequestId,
        /// What is so.
        detail: String,
    },
    /// A node shows what is not committed.
    #[error("node {node} shows what is not committed: {detail}")]
    Uncommitted {
        /// The node.
        node: usize,
        /// What it shows, and what it may.
        detail: String,
    },
    /// Something passes for committed, and is not where it has to be for that.
    #[error("node {node} takes something for committed that is not: {detail}")]
    NotHeld {
        /// The node.
        node: usize,
        /// Who should have it.
        detail: String,
    },
    /// The log of a node is not a beginning of the leader's.
    #[error("the log of node {node} is no copy of the leader's: {detail}")]
    LogsDiffer {
        /// The node.
        node: usize,
        /// Where they differ.
        detail: String,
    },
    /// Two nodes lead where one does, or a node gives up what nobody may.
    #[error("node {node} and another one both lead: {detail}")]
    TwoLeaders {
        /// The node.
        node: usize,
        /// How it shows.
        detail: String,
    },
    /// What was cut off a log is gone, or was not told of.
    #[error("node {node} lost what was cut off its log: {detail}")]
    TailLost {
        /// The node.
        node: usize,
        /// What is missing.
        detail: String,
    },
    /// A node holds more than its limits allow.
    #[error("node {node} holds {held} {what}, more than {limit}")]
    Unbounded {
        /// The node.
        node: usize,
        /// Of what it holds too much.
        what: &'static str,
        /// How much it holds.
        held: usize,
        /// How much it may hold.
        limit: usize,
    },
    /// The adversary struck less often than the plan says, so that the run shows less than it claims.
    #[error("the adversary struck {strikes} times, and the plan wants {least}: let it strike more often")]
    TooFewStrikes {
        /// How often it struck.
        strikes: u32,
        /// How often it must.
        least: u32,
    },
    /// The nodes did not agree in time.
    #[error("after {waited_millis} ms without faults the nodes still differ: {detail}")]
    NoConvergence {
        /// How long they had.
        waited_millis: u64,
        /// How they differ.
        detail: String,
    },
    /// The nodes agreed, and went on talking.
    #[error(
        "node {from} sent node {to} {frames} frames after everything had settled; {limit} show that it is alive"
    )]
    Restless {
        /// The sender.
        from: usize,
        /// The receiver.
        to: usize,
        /// How many frames there were.
        frames: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The nodes agree on something that no sequence of the writes can have led to.
    #[error("{item:?} is {found}, but the writes make it {expected}")]
    WrongOutcome {
        /// The key.
        item: ItemKey,
        /// What the nodes hold.
        found: String,
        /// What a naive model makes of the same writes.
        expected: String,
    },
    /// The nodes know other entries than were written.
    #[error("the entries known in the end are not those that were written: {detail}")]
    WrongEntries {
        /// How they differ.
        detail: String,
    },
    /// A node leads whom nobody granted that, or whom too few promised it.
    #[error("node {node} leads without a right to: {detail}")]
    Ungranted {
        /// The node.
        node: usize,
        /// What it lacks.
        detail: String,
    },
    /// A node takes something of a leader whose time is over, as it said itself.
    #[error("node {node} does not keep what it promised: {detail}")]
    Unfenced {
        /// The node.
        node: usize,
        /// What it takes, or has and does not tell of.
        detail: String,
    },
    /// A node asks to lead that lacks more than it may.
    #[error("node {node} lags too far to lead: {detail}")]
    Laggard {
        /// The node.
        node: usize,
        /// What it lacks.
        detail: String,
    },
    /// There is peace, all nodes are up, and nobody leads.
    #[error("nobody leads {waited_millis} ms after peace, and somebody has to after {bound_millis} ms")]
    NobodyLeads {
        /// How long it has been.
        waited_millis: u64,
        /// How long it may take.
        bound_millis: u64,
    },
    /// Something panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
}

impl Violation {
    /// The name of its kind: two violations of one kind break the same promise, at whatever node and key.
    pub fn kind(&self) -> String {
        let text = format!("{self:?}");
        text.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

/// A violation, and the run that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("seed {seed}, at {}.{:06} s: {violation}", at.as_micros() / 1_000_000, at.as_micros() % 1_000_000)]
pub struct Failure {
    /// The seed of the run; with the same plan it leads here again.
    pub seed: u64,
    /// When it showed, in simulated time.
    pub at: Instant,
    /// What was broken.
    pub violation: Violation,
    /// How many operations clients had begun.
    pub operations: u32,
    /// How often the adversary had struck.
    pub strikes: u32,
    /// Stands for everything that happened up to there.
    pub digest: u128,
    /// The trace up to there, if it was recorded.
    pub trace: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_of_one_kind_differ_in_where_and_not_in_what() {
        let torn = |node| Violation::TornCommand { node, request: RequestId(1) };
        assert_eq!(torn(1).kind(), torn(2).kind());
        assert_eq!(torn(1).kind(), "TornCommand");
        assert_ne!(torn(1).kind(), Violation::Panicked { message: String::new() }.kind());
    }
}
