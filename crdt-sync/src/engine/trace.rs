//! Events and refusals for `tracing`: one place that says at which level, and with which fields.

use tracing::{debug, info, trace, warn};

use super::{Event, Output, Reply};
use crate::node::NodeId;

/// Tells of an output, if it is one that an operator may want to know of.
pub(super) fn output(node: NodeId, output: &Output) {
    match output {
        Output::Event(event) => tell(node, event),
        Output::Reply { id, reply, .. } => refusal(node, id.0, reply),
        Output::Close { link, reason } => debug!(?node, link = link.0, ?reason, "closing a connection"),
        _ => {}
    }
}

fn tell(node: NodeId, event: &Event) {
    match event {
        Event::PeerUp { node: peer } => info!(?node, ?peer, "a peer is connected"),
        Event::PeerDown { node: peer } => info!(?node, ?peer, "a peer is gone"),
        Event::LinkRefused { link, reason } => {
            warn!(?node, link = link.0, ?reason, "a connection is refused");
        }
        Event::PeerLeaves { link, reason } => info!(?node, link = link.0, ?reason, "the other side leaves"),
        Event::Violation { link, error } => warn!(?node, link = link.0, %error, "a peer broke the protocol"),
        Event::SessionStarted { peer, partition } => info!(?node, ?peer, partition, "a Merkle session began"),
        Event::SessionProgress { peer, received, sent, to_send } => {
            trace!(?node, ?peer, received, sent, to_send, "a Merkle session moves on");
        }
        Event::SessionFinished { peer, partition, report } => {
            info!(?node, ?peer, partition, ?report, "a Merkle session ended");
        }
        Event::SessionAborted { peer, partition, reason } => {
            warn!(?node, ?peer, partition, reason = reason.as_str(), "a Merkle session was given up");
        }
        Event::StateTooLarge { item, bytes } => warn!(?node, ?item, bytes, "a state is too large to be sent"),
        Event::InSync { peer, partition } => debug!(?node, ?peer, partition, "in sync"),
        Event::ForkedReplica { peer, origin, partition } => {
            warn!(?node, ?peer, %origin, partition, "an identity has two histories");
        }
        Event::RetirementRefused { peer, node: member } => {
            warn!(?node, ?peer, ?member, "a retirement is not believed");
        }
        Event::IdentityRenewed { old, new } => warn!(?node, %old, %new, "writing under a new identity"),
        other => info!(?node, event = ?other, "an event"),
    }
}

fn refusal(node: NodeId, request: u64, reply: &Reply) {
    match reply {
        Reply::InSession { reply, .. } if !matches!(**reply, Reply::InSession { .. }) => {
            refusal(node, request, reply);
        }
        Reply::Refused(error) => debug!(?node, request, %error, "writes are refused"),
        Reply::TokenRefused(error) => debug!(?node, request, %error, "a session token is refused"),
        Reply::Behind { missing } => debug!(?node, request, ?missing, "a session is ahead of this node"),
        Reply::NotYetVisible { lsn } => {
            debug!(?node, request, lsn = lsn.get(), "the disk is late for a read");
        }
        Reply::Unknown { lsn } => warn!(?node, request, lsn = lsn.get(), "the log failed under a write"),
        Reply::Overloaded => warn!(?node, request, "too many requests wait"),
        _ => {}
    }
}
