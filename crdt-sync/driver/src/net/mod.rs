//! Connections: frames over TCP or TLS, each with its length in front.

mod bucket;
mod channel;
mod counters;
mod dialer;
mod gate;
mod link;
mod listener;
mod outbound;
mod peers;
mod refusal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crdt_sync::{Input, Limits, LinkId};
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tracing::{debug, info, warn};

#[cfg(feature = "tls")]
pub(crate) use channel::Channel;
pub(crate) use channel::Protection;
pub use counters::{Connections, Traffic};
pub(crate) use counters::{Counters, count};
pub(crate) use dialer::dial;
pub(crate) use gate::Gate;
pub(crate) use listener::listen;
pub(crate) use outbound::Outbound;
pub(crate) use peers::Greeted;
pub use peers::{Connection, Peer};
pub use refusal::{NetworkEvent, Refusal};

use crate::limits::NetworkLimits;

/// How many events a listener may lag behind.
const EVENTS: usize = 1_024;

/// What every connection needs of its node.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) inputs: Sender<NetInput>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) limits: Arc<NetworkLimits>,
    pub(crate) protection: Protection,
    pub(crate) gate: Arc<Gate>,
    pub(crate) events: broadcast::Sender<NetworkEvent>,
    /// The connections on which a peer said who it is.
    pub(crate) greeted: Greeted,
    /// The engine's bounds, by which frames are decoded.
    decoding: Arc<Limits>,
    /// Bytes of frames that may still be handed to the engine.
    room: Arc<Semaphore>,
}

/// What connections tell the engine's thread.
pub(crate) enum NetInput {
    /// A connection is up; what is to be sent on it goes to `outbound`.
    Up { link: LinkId, outbound: Outbound },
    /// A frame arrived. Room for the next ones is made when this is dropped.
    Frame { link: LinkId, bytes: Vec<u8>, _room: Option<OwnedSemaphorePermit> },
    /// Something else for the engine.
    Engine(Input),
}

/// How far connections are to be ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not at all.
    #[default]
    Open,
    /// No new ones are made; those there are go on.
    Leaving,
    /// All end at once.
    Over,
}

/// Tells connections how far they are to be ended.
pub(crate) type Stop = watch::Receiver<Phase>;

/// Waits until connections are ended as far as that, or nobody is left who could say so.
pub(crate) async fn until(stop: &mut Stop, at_least: Phase) {
    let _ = stop.wait_for(|phase| *phase >= at_least).await;
}

impl Net {
    pub(crate) fn new(
        inputs: Sender<NetInput>,
        limits: NetworkLimits,
        decoding: Limits,
        protection: Protection,
    ) -> Self {
        Self {
            inputs,
            counters: Arc::default(),
            gate: Gate::new(limits.clone()),
            room: Arc::new(Semaphore::new(limits.max_unhandled.clamp(1, u32::MAX as usize))),
            limits: Arc::new(limits),
            protection,
            events: broadcast::channel(EVENTS).0,
            greeted: Greeted::default(),
            decoding: Arc::new(decoding),
        }
    }

    /// The connections as they are now, and what was counted.
    pub(crate) fn connections(&self) -> Connections {
        let open = self.gate.open();
        Connections { open: open.all, half_open: open.half, ..self.counters.connections() }
    }

    /// A connection was refused or ended by this side: it is counted, told, and held against its address.
    pub(crate) fn refuse(&self, address: SocketAddr, dialed: bool, reason: Refusal) {
        count(&self.counters.refused);
        if reason == Refusal::Stalled {
            count(&self.counters.stalled);
        }
        info!(%address, dialed, %reason, "a connection was refused or ended");
        let is_strike = reason.is_strike();
        self.tell(NetworkEvent::Refused { address, dialed, reason });
        if is_strike {
            self.strike(address, dialed);
        }
    }

    /// A connection from there failed. What this side dialed is its own affair, it waits longer before it dials again.
    pub(crate) fn strike(&self, address: SocketAddr, dialed: bool) {
        if dialed {
            return;
        }
        if let Some(lasts) = self.gate.strike(address.ip(), Instant::now()) {
            count(&self.counters.lockouts);
            warn!(address = %address.ip(), ?lasts, "an address is locked out");
            self.tell(NetworkEvent::LockedOut { address: address.ip(), lasts });
        }
    }

    /// A connection was turned away at once. One event tells of many in a row.
    fn turn_away(&self, address: SocketAddr, reason: Refusal, is_news: bool) {
        count(&self.counters.turned_away);
        debug!(%address, %reason, "a connection was turned away");
        if is_news {
            self.tell(NetworkEvent::Refused { address, dialed: false, reason });
        }
    }

    fn tell(&self, event: NetworkEvent) {
        // Nobody need listen.
        let _ = self.events.send(event);
    }

    fn next_link(&self) -> LinkId {
        LinkId(count(&self.counters.next_link))
    }
}
