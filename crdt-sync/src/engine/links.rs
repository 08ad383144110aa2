//! Links: connections, from the first frame until it is clear who speaks.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::{Context, Event, LinkId, Outbox, PeerError, Topology};
use crate::multi_leader::authority;
use crate::node::NodeId;
use crate::time::Instant;
use crate::wire::{self, Farewell, Greeting, Message, WireError};

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(super) links: BTreeMap<LinkId, Link>,
    /// Of each node the process that greeted last, and those it replaced.
    processes: BTreeMap<NodeId, Processes>,
}

/// The processes that said they are one node.
#[derive(Debug, Default)]
struct Processes {
    current: u64,
    /// With whether it was told of already. The oldest are forgotten.
    replaced: Vec<(u64, bool)>,
}

/// Processes of one node that are remembered.
const MAX_REPLACED: usize = 16;

/// Nodes whose processes are remembered.
const MAX_NODES: usize = 1 << 12;

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
        if context.replica.members.is_evicted() {
            return refuse(link, Farewell::Leaving, context);
        }
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
        topology: &mut dyn Topology,
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
                // Only a member of the same cluster can tell.
                let peer = known.peer.filter(|_| reason == Farewell::Retired);
                let config = &context.replica.config;
                if peer.is_some_and(|peer| config.authorization.believes_retired(peer, config.node)) {
                    topology.evicted(context);
                }
                Ok(())
            }
            (Ok(_), Some(peer)) if context.replica.members.refuses(peer) => Ok(()),
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
    pub(crate) fn drop_silent(&mut self, topology: &mut dyn Topology, context: &mut Context<'_>) {
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
        topology: &mut dyn Topology,
        context: &mut Context<'_>,
    ) {
        let limit = context.replica.config.limits.max_frame;
        self.violation(link, WireError::TooLong { length, limit }.into(), topology, context);
    }

    fn violation(
        &mut self,
        link: LinkId,
        error: PeerError,
        topology: &mut dyn Topology,
        context: &mut Context<'_>,
    ) {
        let reason = match error {
            PeerError::Unauthorized { .. } => Farewell::Unauthorized,
            _ => Farewell::Protocol,
        };
        context.outbox.event(Event::Violation { link, error });
        self.drop_link(link, reason, topology, context);
    }

    /// The peer said who it is. It becomes a peer if it belongs here and is not connected already.
    fn greeted(
        &mut self,
        link: LinkId,
        greeting: &Greeting,
        topology: &mut dyn Topology,
        context: &mut Context<'_>,
    ) {
        if let Some(reason) = objection_to(greeting, context) {
            if reason == Farewell::Duplicate {
                context.outbox.event(Event::DuplicateNode { node: greeting.node, link });
            }
            context.outbox.event(Event::LinkRefused { link, reason });
            return self.drop_link(link, reason, topology, context);
        }
        let node = greeting.node;
        if context.replica.members.refuses(node) {
            return self.part_with(link, topology, context);
        }
        if let Some(other) = self.link_to(node) {
            if self.is_duplicate(greeting) {
                let known = self.processes.entry(node).or_default().replaced.iter_mut();
                for (_, told) in known.filter(|(process, _)| *process == greeting.incarnation) {
                    if !core::mem::replace(told, true) {
                        context.outbox.event(Event::DuplicateNode { node, link });
                    }
                }
                return self.drop_link(link, Farewell::Duplicate, topology, context);
            }
            if self.prefers(other, link, node, context) {
                return self.drop_link(link, Farewell::Replaced, topology, context);
            }
            self.drop_link(other, Farewell::Replaced, topology, context);
        }
        self.remember(greeting);
        if let Some(link) = self.links.get_mut(&link) {
            link.peer = Some(node);
        }
        topology.peer_up(node, link, greeting.scope.clone(), context);
    }

    /// Closes the links to nodes that were retired, or all if this node was.
    pub(crate) fn part_with_retired(&mut self, topology: &mut dyn Topology, context: &mut Context<'_>) {
        let members = &mut context.replica.members;
        if !members.must_part || members.lsn() > context.outbox.durable() {
            return;
        }
        members.must_part = false;
        let (evicted, links) = (members.is_evicted(), self.links.iter());
        let parts = |peer: Option<NodeId>| peer.is_some_and(|peer| context.replica.members.refuses(peer));
        let parting: Vec<LinkId> =
            links.filter(|(_, link)| evicted || parts(link.peer)).map(|(link, _)| *link).collect();
        for link in parting {
            if evicted {
                self.drop_link(link, Farewell::Leaving, topology, context);
            } else {
                self.part_with(link, topology, context);
            }
        }
    }

    /// Tells a retired node how much of what it wrote is valid, and closes its link. As long as the retirement is not
    /// durable nothing is said; the node greets again.
    fn part_with(&mut self, link: LinkId, topology: &mut dyn Topology, context: &mut Context<'_>) {
        if context.replica.members.lsn() > context.outbox.durable() {
            return;
        }
        let known = context.replica.members.membership().clone();
        context.outbox.send(link, &Message::Members(wire::Members { ask: false, known }), Lsn::ZERO);
        context.outbox.event(Event::LinkRefused { link, reason: Farewell::Retired });
        self.drop_link(link, Farewell::Retired, topology, context);
    }

    /// Whether a process greets that another, to which there is a connection, had replaced: it lives after all.
    fn is_duplicate(&self, greeting: &Greeting) -> bool {
        let known = self.processes.get(&greeting.node);
        known.is_some_and(|known| known.replaced.iter().any(|(process, _)| *process == greeting.incarnation))
    }

    /// Remembers which process a node is. Without a connection to any the last that greets is.
    fn remember(&mut self, greeting: &Greeting) {
        // A node for which there is no room is never found to be two, which is how it was before it came.
        if self.processes.len() >= MAX_NODES && !self.processes.contains_key(&greeting.node) {
            return;
        }
        let process = greeting.incarnation;
        let known = self
            .processes
            .entry(greeting.node)
            .or_insert(Processes { current: process, replaced: Vec::new() });
        if known.current != process {
            known.replaced.retain(|(other, _)| *other != process);
            known.replaced.push((known.current, false));
            known.current = process;
            let surplus = known.replaced.len().saturating_sub(MAX_REPLACED);
            known.replaced.drain(..surplus);
        }
    }

    /// Of two connections to one peer both sides must keep the same. When both dialed, the one that the lower
    /// node dialed stays; when one side dialed twice, the later one stays, because the earlier is dead.
    fn prefers(&self, other: LinkId, new: LinkId, peer: NodeId, context: &Context<'_>) -> bool {
        let dialed = |link: &LinkId| self.links.get(link).is_some_and(|link| link.dialed);
        let we_are_lower = context.replica.config.node < peer;
        dialed(&other) != dialed(&new) && dialed(&other) == we_are_lower
    }

    /// When something arrived from a peer last.
    pub(crate) fn heard(&self, node: NodeId) -> Option<Instant> {
        self.links.values().find(|link| link.peer == Some(node)).map(|link| link.alive)
    }

    fn link_to(&self, node: NodeId) -> Option<LinkId> {
        self.links.iter().find(|(_, link)| link.peer == Some(node)).map(|(id, _)| *id)
    }

    fn drop_link(
        &mut self,
        link: LinkId,
        reason: Farewell,
        topology: &mut dyn Topology,
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
        incarnation: context.replica.incarnation,
        scope: config.scope.clone(),
    }
}

fn has_too_many_selectors(theirs: &Greeting, context: &Context<'_>) -> bool {
    let selectors = theirs.scope.selectors().map_or(0, <[_]>::len);
    selectors > context.replica.config.limits.max_selectors
}

fn objection_to(theirs: &Greeting, context: &Context<'_>) -> Option<Farewell> {
    let ours = greeting_of(context);
    if theirs.cluster_check != ours.cluster_check {
        Some(Farewell::OtherCluster)
    } else if theirs.node == ours.node && theirs.incarnation != ours.incarnation {
        Some(Farewell::Duplicate)
    } else if theirs.node == ours.node {
        Some(Farewell::Myself)
    } else if theirs.partitions != ours.partitions {
        Some(Farewell::OtherPartitions)
    } else if theirs.collections != ours.collections {
        Some(Farewell::OtherCollections)
    } else if !theirs.scope.is_everything() && !ours.scope.is_everything() {
        Some(Farewell::PartialReplica)
    } else if !authority::may_read(theirs.node, &theirs.scope, context) {
        Some(Farewell::Unauthorized)
    } else if !context.replica.has_room_for(theirs.node) || has_too_many_selectors(theirs, context) {
        Some(Farewell::Full)
    } else {
        None
    }
}
