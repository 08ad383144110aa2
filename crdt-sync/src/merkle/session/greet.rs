//! The first frame of each side: what the trees are, and what both sides can do.

use alloc::vec::Vec;

use super::questions::{Comparison, Questions};
use super::{Outcome, Phase, Session, differs};
use crate::merkle::frame::{self, Hello, Tag};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf;
use crate::merkle::trace::{Side, Step};
use crate::merkle::{ItemSource, ProtocolError};

impl Session {
    /// This side's hello or welcome as bytes: always the same ones, for the session's limits are
    /// agreed on later.
    pub(super) fn own_hello(&self) -> Vec<u8> {
        let root = self.snapshot.node(Prefix::ALL);
        let hello = Hello {
            leaf_bits: self.snapshot.leaf_bits(),
            key_check: self.snapshot.prf().key_check(&self.nonce),
            count: root.count,
            digest: root.lanes.as_u128(),
            nonce: self.nonce,
            max_frame: self.announced.max_frame,
            max_open_nodes: self.announced.max_open_nodes,
            max_items: self.announced.max_items,
        };
        let tag = if self.link.initiator { Tag::Hello } else { Tag::Welcome };
        frame::hello(tag, &hello, prf::hello_check)
    }

    /// Queues this side's hello or welcome.
    pub(super) fn greet(&mut self) {
        self.link.queue(self.own_hello());
        self.link.end_round(Side::Local, Step::Hello { items: self.snapshot.root().count });
    }

    /// The welcome goes out before the hello is judged, so that the peer, too, learns of another
    /// version or key.
    pub(super) fn on_hello(
        &mut self,
        frame: &[u8],
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let peer = Hello::decode(body);
        self.link
            .end_round(Side::Remote, Step::Hello { items: peer.map_or(0, |peer| u64::from(peer.count)) });
        self.greet();
        let peer = self.meet(peer?)?;
        self.link.open(self.snapshot.prf().session(frame, &self.own_hello()));
        match self.settle(&peer, items) {
            Some(outcome) => Ok(Phase::Over(outcome)),
            None => Ok(self.answer(&Comparison::root(), items)),
        }
    }

    pub(super) fn on_welcome(
        &mut self,
        frame: &[u8],
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let peer = self.meet(Hello::decode(body)?)?;
        self.link.end_round(Side::Remote, Step::Hello { items: u64::from(peer.count) });
        self.link.open(self.snapshot.prf().session(&self.own_hello(), frame));
        Ok(self.settle(&peer, items).map_or_else(|| Phase::Asked(Questions::root()), Phase::Over))
    }

    /// Checks that the trees can be compared and agrees on what both sides can do.
    fn meet(&mut self, peer: Hello) -> Result<Hello, ProtocolError> {
        if peer.key_check != self.snapshot.prf().key_check(&peer.nonce) {
            return Err(ProtocolError::KeyMismatch);
        }
        self.peer_count = peer.count;
        self.leaf_bits = self.leaf_bits.min(peer.leaf_bits);
        self.agreed.max_frame = self.agreed.max_frame.min(peer.max_frame);
        self.agreed.max_open_nodes = self.agreed.max_open_nodes.min(peer.max_open_nodes);
        self.agreed.max_items = self.agreed.max_items.min(peer.max_items);
        Ok(peer)
    }

    /// The outcome, where the two hellos tell it: equal roots, or a side that holds nothing.
    fn settle(&self, peer: &Hello, items: &dyn ItemSource) -> Option<Outcome> {
        let own = self.snapshot.node(Prefix::ALL);
        if (peer.digest, peer.count) == (own.lanes.as_u128(), own.count) {
            return Some(Outcome::Converged);
        }
        if peer.count > 0 && own.count > 0 {
            return None;
        }
        let mut send = Vec::new();
        if peer.count == 0 {
            items.for_each_in(Prefix::ALL, &mut |item| send.push(item.handle));
        }
        Some(differs(send, u64::from(peer.count), false))
    }
}
