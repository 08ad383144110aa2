//! The wires: frames under way, connections that come and go.

use core::time::Duration;

use crdt_sync::{Input, LinkId};

use super::{Happening, World};
use crate::faults::Fault;
use crate::network::End;
use crate::phase::Phases;
use crate::violation::Violation;

/// Until a node tries to connect, and tries again.
const BEFORE_DIALING: core::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(100);
/// Of 1000 nodes that are already connected when they dial, how many connect once more.
const DIALED_TWICE: u32 = 200;

impl World {
    /// A node hands a frame to the network. The phases are those that the frame belongs to.
    pub(super) fn transmit(&mut self, from: usize, link: LinkId, bytes: Vec<u8>, phases: Phases) {
        let Some(End { far, far_node, .. }) = self.network.end(link) else {
            return;
        };
        *self.frames.entry((from, far_node)).or_default() += 1;
        let length = bytes.len();
        self.trace.note(
            self.time,
            format_args!("{from} sends {far_node} {length} bytes over {}", link.0),
            &bytes,
        );
        if !self.network.carries(link) || self.network.is_cordoned(from, far_node) {
            return;
        }
        let is_near = self.setup.site_of(from) == self.setup.site_of(far_node);
        let range = if is_near { &self.setup.latency } else { &self.setup.distance };
        let mut latency = self.dice.wires.span(range);
        let Some(hostility) = &self.setup.hostility else {
            return self.put(latency, Happening::Arrival { link: far, bytes });
        };
        if self.network.is_blocked(from, far_node) {
            return;
        }
        if let Some(passed) = self.network.pass(from, far_node, self.time, bytes.len()) {
            latency += passed.since(self.time);
        }
        if self.dice.wires.chance(hostility.lost_frames) {
            self.count(Fault::FrameLost, self.own_phases(from).and(phases));
            return;
        }
        let long_delay = hostility.long_delay.clone();
        let (doubled, delayed) = (hostility.doubled_frames, hostility.delayed_frames);
        if self.dice.wires.chance(doubled) {
            self.count(Fault::FrameDoubled, self.own_phases(from).and(phases));
            let later = latency + self.dice.wires.span(&long_delay);
            let bytes = bytes.clone();
            self.put(later, Happening::Arrival { link: far, bytes });
        }
        let mut takes = latency;
        if self.dice.wires.chance(delayed) {
            self.count(Fault::FrameDelayed, self.own_phases(from).and(phases));
            takes += self.dice.wires.span(&long_delay);
        }
        self.put(takes, Happening::Arrival { link: far, bytes });
    }

    /// A frame comes to the end of its wire, if there still is one.
    pub(super) fn arrive(&mut self, link: LinkId, bytes: Vec<u8>) -> Result<(), Violation> {
        let Some(end) = self.network.end(link) else {
            return Ok(());
        };
        self.look_at_heard(end.node, link, &bytes);
        self.handle(end.node, Input::Frame { link, bytes })
    }

    /// A node learns that a connection is gone, and tries to connect again.
    pub(super) fn lose_link(&mut self, link: LinkId) -> Result<(), Violation> {
        let Some(end) = self.network.remove(link) else {
            return Ok(());
        };
        self.note(format_args!("{} loses {}", end.node, link.0));
        self.dial_soon(end.node, end.far_node);
        self.handle(end.node, Input::LinkDown { link })
    }

    /// An engine closes a connection; the other side learns it a little later.
    pub(super) fn close(&mut self, link: LinkId) {
        let Some(end) = self.network.remove(link) else {
            return;
        };
        let takes = self.setup.latency.end().max(self.setup.distance.end()).saturating_mul(2);
        self.put(takes, Happening::LinkDown { link: end.far });
        self.dial_soon(end.node, end.far_node);
    }

    /// A node is down: its ends are gone, the others learn it later.
    pub(super) fn drop_ends(&mut self, node: usize) {
        for link in self.network.ends_of(node) {
            if let Some(end) = self.network.remove(link) {
                let takes = self.until_noticed();
                self.put(takes, Happening::LinkDown { link: end.far });
            }
        }
    }

    pub(super) fn dial_soon(&mut self, from: usize, to: usize) {
        if (self.is_condemned(from) || self.is_condemned(to)) && !self.dialing.insert((from, to)) {
            return;
        }
        let after = self.dice.wires.span(&BEFORE_DIALING);
        self.put(after, Happening::Dial { from, to });
    }

    /// A node connects to another. Now and then both do at the same time, and two connections are one too many.
    pub(super) fn dial(&mut self, from: usize, to: usize) -> Result<(), Violation> {
        self.dialing.remove(&(from, to));
        // Who is down connects when it starts.
        if self.engine(from).is_none() || self.engine(to).is_none() {
            return Ok(());
        }
        let hostile = self.setup.hostility.is_some();
        if self.network.are_linked(from, to) && !(hostile && self.dice.wires.chance(DIALED_TWICE)) {
            return Ok(());
        }
        if self.network.is_blocked(from, to) || self.network.is_blocked(to, from) {
            self.dial_soon(from, to);
            return Ok(());
        }
        let (near, far) = self.network.connect(from, to);
        self.note(format_args!("{from} connects to {to}: {} and {}", near.0, far.0));
        self.handle(from, Input::LinkUp { link: near, dialed: true })?;
        // Whoever does nothing just now finds the connection when it goes on.
        match &mut self.nodes[to].standstill {
            Some(standstill) => {
                standstill.piled.push_back(Happening::LinkUp { link: far });
                Ok(())
            }
            None => self.accept(far),
        }
    }

    /// A node finds that somebody connected to it.
    pub(super) fn accept(&mut self, link: LinkId) -> Result<(), Violation> {
        let Some(end) = self.network.end(link) else { return Ok(()) };
        self.handle(end.node, Input::LinkUp { link, dialed: false })
    }

    /// How long it takes a node to notice that a connection is gone.
    pub(super) fn until_noticed(&mut self) -> Duration {
        let lasting = self.setup.hostility.as_ref().map(|hostility| hostility.lasting.clone());
        lasting.map_or(*self.setup.latency.end(), |lasting| self.dice.wires.span(&lasting))
    }
}
