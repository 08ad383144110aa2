//! Links: connections, from the first frame until it is clear who speaks.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::{Context, Event, LinkId, Outbox, PeerError};
use crate::multi_leader::MultiLeader;
use crate::node::NodeId;
use crate::time::Instant;
use crate::wire::{self, Farewell, Greeting, Message, WireError};

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(super) links: BTreeMap<LinkId, Link>,
}

#[derive(Debug)]
pub(super) struct Link {
    dialed: bool,
    pub(super) peer: Option<NodeId>,
    /// The peer said more than its greeting, so it knows this side's.
    heard: bool,
    /// When something arrived last.
    alive: Instant,
}

impl Links {
    /// A connection is up: this side greets at once.
    pub(crate) fn up(&mut self, link: LinkId, dialed: bool, context: &mut Context<'_>) {
        if self.links.len() >= context.replica.config.limits.max_links {
            return refuse(link, Farewell::Full, context);
        }
        self.links.insert(link, Link { dialed, peer: None, heard: false, alive: context.now.instant });
        let greeting = greeting_of(context);
        context.outbox.send(link, &Message::Greeting(greeting), Lsn::ZERO);
    }

    /// A connection is gone; returns the peer that can no longer be reached, if it was its only one.
    pub(crate) fn down(&mut self, link: LinkId, context: &mut Context<'_>) -> Option<NodeId> {
        context.outbox.forget_link(link);
        self.links.remove(&link)?.peer
    }

    /// A frame arrived. Whatever is wrong with it ends its connection and no other.
    pub(crate) fn frame(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        topology: &mut MultiLeader,
        context: &mut Context<'_>,
    ) {
        let Some(known) = self.links.get_mut(&link) else {
            return;
        };
        known.alive = context.now.instant;
        let handled = match (wire::decode(bytes, &context.replica.config.limits), known.peer) {
            (Err(error), _) => Err(error.into()),
            (Ok(Message::Farewell(reason)), _) => {
                context.outbox.event(Event::PeerLeaves { link, reason });
                Ok(())
            }
            (Ok(Message::Greeting(greeting)), None) => {
                self.greeted(link, &greeting, topology, context);
                Ok(())
            }
            // A greeting that was repeated; or what followed one that was lost or overtaken, and will be repeated.
            (Ok(Message::Greeting(_)), Some(_)) | (Ok(_), None) => Ok(()),
            (Ok(message), Some(peer)) => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.heard = true;
                }
                topology.message(peer, message, context)
            }
        };
        if let Err(error) = handled {
            self.violation(link, error, topology, context);
        }
    }

    /// Closes links on which nobody has greeted, or on which nothing was heard, for too long: a dead connection must
    /// not stand in the way of a new one to the same peer.
    pub(crate) fn drop_silent(&mut self, topology: &mut MultiLeader, context: &mut Context<'_>) {
        let patience = context.replica.config.timing.silence;
        let silent: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| context.now.instant.since(link.alive) >= patience)
            .map(|(link, _)| *link)
            .collect();
        for link in silent {
            context.outbox.event(Event::LinkRefused { link, reason: Farewell::Silent });
            self.drop_link(link, Farewell::Silent, topology, context);
        }
    }

    /// The engine is over: nobody is to wait for it.
    pub(crate) fn close_all(&mut self, outbox: &mut Outbox) {
        for link in core::mem::take(&mut self.links).into_keys() {
            outbox.close(link, Farewell::Leaving);
        }
    }

    /// Greets again where the peer may have missed the first greeting.
    pub(crate) fn greet_again(&mut self, context: &mut Context<'_>) {
        for (link, _) in self.links.iter().filter(|(_, link)| !link.heard) {
            context.outbox.send(*link, &Message::Greeting(greeting_of(context)), Lsn::ZERO);
        }
    }

    /// A peer announced a frame that nobody is going to read.
    pub(crate) fn frame_too_long(
        &mut self,
        link: LinkId,
        length: usize,
        topology: &mut MultiLeader,
        context: &mut Context<'_>,
    ) {
        let limit = context.replica.config.limits.max_frame;
        self.violation(link, WireError::TooLong { length, limit }.into(), topology, context);
    }

    fn violation(
        &mut self,
        link: LinkId,
        error: PeerError,
        topology: &mut MultiLeader,
        context: &mut Context<'_>,
    ) {
        context.outbox.event(Event::Violation { link, error });
        self.drop_link(link, Farewell::Protocol, topology, context);
    }

    /// The peer said who it is. It becomes a peer if it belongs here and is not connected already.
    fn greeted(
        &mut self,
        link: LinkId,
        greeting: &Greeting,
        topology: &mut MultiLeader,
        context: &mut Context<'_>,
    ) {
        if let Some(reason) = objection_to(greeting, context) {
            context.outbox.event(Event::LinkRefused { link, reason });
            return self.drop_link(link, reason, topology, context);
        }
        let node = greeting.node;
        if let Some(other) = self.link_to(node) {
            if self.prefers(other, link, node, context) {
                return self.drop_link(link, Farewell::Replaced, topology, context);
            }
            self.drop_link(other, Farewell::Replaced, topology, context);
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.peer = Some(node);
        }
        topology.peer_up(node, link, context);
    }

    /// Of two connections to one peer both sides must keep the same. When both dialed, the one that the lower
    /// node dialed stays; when one side dialed twice, the later one stays, because the earlier is dead.
    fn prefers(&self, other: LinkId, new: LinkId, peer: NodeId, context: &Context<'_>) -> bool {
        let dialed = |link: &LinkId| self.links.get(link).is_some_and(|link| link.dialed);
        let we_are_lower = context.replica.config.node < peer;
        dialed(&other) != dialed(&new) && dialed(&other) == we_are_lower
    }

    fn link_to(&self, node: NodeId) -> Option<LinkId> {
        self.links.iter().find(|(_, link)| link.peer == Some(node)).map(|(id, _)| *id)
    }

    fn drop_link(
        &mut self,
        link: LinkId,
        reason: Farewell,
        topology: &mut MultiLeader,
        context: &mut Context<'_>,
    ) {
        if let Some(peer) = self.down(link, context) {
            topology.peer_down(peer, context);
        }
        context.outbox.close(link, reason);
    }
}

fn refuse(link: LinkId, reason: Farewell, context: &mut Context<'_>) {
    context.outbox.event(Event::LinkRefused { link, reason });
    context.outbox.close(link, reason);
}

fn greeting_of(context: &Context<'_>) -> Greeting {
    let config = &context.replica.config;
    Greeting {
        node: config.node,
        cluster_check: config.cluster.check(),
        partitions: config.partitions,
        collections: context.replica.registry.ids(),
    }
}

fn objection_to(theirs: &Greeting, context: &Context<'_>) -> Option<Farewell> {
    let ours = greeting_of(context);
    if theirs.cluster_check != ours.cluster_check {
        Some(Farewell::OtherCluster)
    } else if theirs.node == ours.node {
        Some(Farewell::Myself)
    } else if theirs.partitions != ours.partitions {
        Some(Farewell::OtherPartitions)
    } else if theirs.collections != ours.collections {
        Some(Farewell::OtherCollections)
    } else {
        None
    }
}
