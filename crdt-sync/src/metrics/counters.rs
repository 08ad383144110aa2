//! What is counted, and when.

use alloc::collections::BTreeMap;

use crate::engine::{Event, Input, LogTask, Output, PeerError, Reply, Request, SessionReport};
use crate::wire::{Farewell, Message};

/// What an engine counted since it was opened. Nothing here ever goes down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames handed out to be sent, by the message in them.
    pub sent: MessageFlows,
    /// Frames that arrived, by the message they claim to hold.
    pub received: MessageFlows,
    /// Entries in the runs that were sent, each time they were.
    pub entries_sent: u64,
    /// Entries of other nodes that were new here.
    pub entries_applied: u64,
    /// Batches handed to the log; each costs the log at most one fsync.
    pub appends: u64,
    /// Records in these batches.
    pub appended_records: u64,
    /// Bytes of these records.
    pub appended_bytes: u64,
    /// Reports of the log that more is durable. A log that tells of each advance, as the driver's does, is synced once
    /// for each.
    pub syncs: u64,
    /// Commands to write.
    pub write_requests: u64,
    /// Reads of one key, and scans.
    pub read_requests: u64,
    /// Of both, those in a session of a client.
    pub session_requests: u64,
    /// Merkle sessions that began.
    pub merkle_sessions_started: u64,
    /// Merkle sessions that came to their end, complete or not.
    pub merkle_sessions_finished: u64,
    /// Of those, the ones that accounted for the whole difference, so that the peer's frontier was taken over.
    pub merkle_sessions_complete: u64,
    /// Merkle sessions that were given up.
    pub merkle_sessions_aborted: u64,
    /// Bytes of tree comparisons in sessions that came to their end, both ways.
    pub merkle_tree_bytes: u64,
    /// Keys whose states were sent in sessions that came to their end.
    pub merkle_states_sent: u64,
    /// Keys whose states were received in sessions that came to their end.
    pub merkle_states_received: u64,
    /// Replicas that a read found behind and sent what they lacked.
    pub read_repairs: u64,
    /// What was kept for other nodes and given up, because it was so old that it might have brought back what was
    /// deleted.
    pub hints_lost: u64,
    /// Histories that turned out to be forked, per peer and partition.
    pub forks: u64,
    /// Identities that this node gave up.
    pub identities_renewed: u64,
    /// What was refused, by cause: `link_` and why a connection was closed, `peer_` and how a peer broke the protocol,
    /// `request_` and why a client did not get what it asked for; states that are too large, hints, and retirements.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// Frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// How many frames.
    pub frames: u64,
    /// Their bytes, without what a transport adds.
    pub bytes: u64,
}

/// Frames by the message in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageFlows {
    /// Greetings.
    pub greeting: Flow,
    /// Frontiers: advertisements and acknowledgements in one.
    pub frontier: Flow,
    /// Runs of entries.
    pub run: Flow,
    /// Steps of Merkle sessions.
    pub session: Flow,
    /// Farewells.
    pub farewell: Flow,
    /// Anything else; from a peer, what is no frame at all.
    pub other: Flow,
}

impl MessageFlows {
    /// All kinds with their names.
    pub fn by_kind(&self) -> [(&'static str, Flow); 6] {
        [
            ("greeting", self.greeting),
            ("frontier", self.frontier),
            ("run", self.run),
            ("session", self.session),
            ("farewell", self.farewell),
            ("other", self.other),
        ]
    }

    fn add(&mut self, frame: &[u8]) {
        // The message's tag stands behind the magic and the version.
        let flow = match frame.get(3) {
            Some(1) => &mut self.greeting,
            Some(2) => &mut self.frontier,
            Some(3) => &mut self.run,
            Some(4) => &mut self.session,
            Some(5) => &mut self.farewell,
            _ => &mut self.other,
        };
        flow.frames += 1;
        flow.bytes += frame.len() as u64;
    }
}

impl Counters {
    /// Something came in.
    pub(crate) fn count_input(&mut self, input: &Input) {
        match input {
            Input::Frame { bytes, .. } => self.received.add(bytes),
            Input::Request { request, .. } => self.count_request(request),
            Input::Durable { .. } => self.syncs += 1,
            _ => {}
        }
    }

    /// Something goes out.
    pub(crate) fn count_output(&mut self, output: &Output) {
        match output {
            Output::Send { frame, .. } => self.sent.add(frame),
            Output::Append { records, .. } | Output::Log(LogTask::Append { records, .. }) => {
                self.appends += 1;
                self.appended_records += records.len() as u64;
                self.appended_bytes += records.iter().map(|record| record.len() as u64).sum::<u64>();
            }
            Output::Reply { reply, .. } => self.count_reply(reply),
            Output::Event(event) => self.count_event(event),
            _ => {}
        }
    }

    /// A message is about to be sent.
    pub(crate) fn count_message(&mut self, message: &Message) {
        if let Message::Run(run) = message {
            self.entries_sent += run.entries.len() as u64;
        }
    }

    fn count_request(&mut self, request: &Request) {
        match request {
            Request::Write(_) | Request::QuorumWrite { .. } | Request::Commit { .. } => {
                self.write_requests += 1;
            }
            Request::Read { .. }
            | Request::Show { .. }
            | Request::Scan { .. }
            | Request::QuorumRead { .. } => self.read_requests += 1,
            // An administrator's.
            Request::Retire { .. }
            | Request::Fate { .. }
            | Request::Lead { .. }
            | Request::Extend { .. }
            | Request::HandOver { .. }
            | Request::Failover(_)
            | Request::AwaitHints { .. }
            | Request::ChangeRing(_)
            | Request::DeclareDead { .. } => {}
            Request::InSession { request, .. } => {
                self.session_requests += 1;
                // Not one in another: it is refused, and could be nested deeply.
                if !matches!(**request, Request::InSession { .. }) {
                    self.count_request(request);
                }
            }
        }
    }

    fn count_reply(&mut self, reply: &Reply) {
        let cause = match reply {
            Reply::InSession { reply, .. } => match &**reply {
                Reply::Behind { .. } => "request_behind",
                Reply::Refused(_) => "request_refused",
                _ => return,
            },
            Reply::Refused(_) => "request_refused",
            Reply::NotYetVisible { .. } => "request_not_yet_visible",
            Reply::OutOfScope => "request_out_of_scope",
            Reply::Unknown { .. } => "request_unknown",
            Reply::Overloaded => "request_overloaded",
            Reply::Ended => "request_ended",
            Reply::TokenRefused(_) => "request_token",
            _ => return,
        };
        self.refuse(cause);
    }

    fn count_event(&mut self, event: &Event) {
        match event {
            Event::LinkRefused { reason, .. } => self.refuse(cause_of_closing(*reason)),
            Event::Violation { error, .. } => self.refuse(cause_of_violation(error)),
            Event::SessionStarted { .. } => self.merkle_sessions_started += 1,
            Event::SessionAborted { .. } => self.merkle_sessions_aborted += 1,
            Event::SessionFinished { report, .. } => self.count_session(report),
            Event::StateTooLarge { .. } => self.refuse("state_too_large"),
            Event::HintsLost { hints, .. } => self.hints_lost += *hints as u64,
            Event::HintRefused { .. } => self.refuse("hint"),
            Event::RetirementRefused { .. } => self.refuse("retirement"),
            Event::ForkedReplica { .. } => self.forks += 1,
            Event::IdentityRenewed { .. } => self.identities_renewed += 1,
            _ => {}
        }
    }

    fn count_session(&mut self, report: &SessionReport) {
        self.merkle_sessions_finished += 1;
        self.merkle_sessions_complete += u64::from(report.complete);
        self.merkle_tree_bytes += report.tree_bytes;
        self.merkle_states_sent += report.states_sent;
        self.merkle_states_received += report.states_received;
    }

    fn refuse(&mut self, cause: &'static str) {
        *self.refusals.entry(cause).or_default() += 1;
    }
}

fn cause_of_closing(reason: Farewell) -> &'static str {
    match reason {
        Farewell::Full => "link_full",
        Farewell::Silent => "link_silent",
        Farewell::OtherCluster => "link_other_cluster",
        Farewell::OtherPartitions => "link_other_partitions",
        Farewell::OtherCollections => "link_other_collections",
        Farewell::Myself => "link_myself",
        Farewell::PartialReplica => "link_partial_replica",
        _ => "link_other",
    }
}

fn cause_of_violation(error: &PeerError) -> &'static str {
    match error {
        PeerError::Wire(_) => "peer_wire",
        PeerError::Data(_) => "peer_data",
        PeerError::Tree(_) => "peer_tree",
        PeerError::Unexpected { .. } => "peer_unexpected",
        PeerError::UnknownPartition { .. } => "peer_unknown_partition",
        PeerError::Disorder { .. } => "peer_disorder",
        PeerError::Members(_) => "peer_members",
        PeerError::Unauthorized { .. } => "peer_unauthorized",
    }
}
