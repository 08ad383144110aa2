//! The first frame of each side: what the trees are, and what both sides can do.

use alloc::vec::Vec;

use super::questions::Questions;
use super::{Outcome, Phase, Session, differs};
use crate::merkle::frame::{self, Hello, RootAtHorizon, Tag};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf;
use crate::merkle::trace::{Side, Step};
use crate::merkle::{ItemSource, ProtocolError};

impl Session {
    /// This side's hello or welcome as bytes: always the same ones, for the session's limits are
    /// agreed on later and so is what the horizon leaves out.
    pub(super) fn own_hello(&self) -> Vec<u8> {
        let snapshot = self.view.snapshot();
        let root = snapshot.node(Prefix::ALL);
        let [max_frame, max_open_nodes, max_items, max_sketch_cells] = self.announced.announced();
        let hello = Hello {
            leaf_bits: snapshot.leaf_bits(),
            key_check: snapshot.prf().key_check(&self.nonce),
            count: root.count,
            digest: root.lanes.as_u128(),
            nonce: self.nonce,
            horizon: self.horizon,
            max_frame,
            max_open_nodes,
            max_items,
            max_sketch_cells,
        };
        let tag = if self.link.initiator { Tag::Hello } else { Tag::Welcome };
        frame::hello(tag, &hello, prf::hello_check)
    }

    /// Queues this side's hello or welcome.
    pub(super) fn greet(&mut self) {
        self.link.queue(self.own_hello());
        self.link.end_round(Side::Local, Step::Hello { items: self.view.snapshot().root().count });
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
        self.link.open(self.view.snapshot().prf().session(frame, &self.own_hello()));
        self.align(&peer, items)
    }

    pub(super) fn on_welcome(
        &mut self,
        frame: &[u8],
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let peer = self.meet(Hello::decode(body)?)?;
        self.link.end_round(Side::Remote, Step::Hello { items: u64::from(peer.count) });
        self.link.open(self.view.snapshot().prf().session(&self.own_hello(), frame));
        self.align(&peer, items)
    }

    /// The peer's root as of this side's horizon, which is the later one.
    pub(super) fn on_root(&mut self, body: &[u8], items: &dyn ItemSource) -> Result<Phase, ProtocolError> {
        match RootAtHorizon::decode(body)? {
            RootAtHorizon::Unknown => Err(self.horizons_differ()),
            RootAtHorizon::Known { count, digest } => {
                self.peer_count = count;
                self.link.end_round(Side::Remote, Step::Root { items: u64::from(count) });
                Ok(self.begin(digest, items))
            }
        }
    }

    /// Checks that the trees can be compared and agrees on what both sides can do.
    fn meet(&mut self, peer: Hello) -> Result<Hello, ProtocolError> {
        if peer.key_check != self.view.snapshot().prf().key_check(&peer.nonce) {
            return Err(ProtocolError::KeyMismatch);
        }
        self.peer_count = peer.count;
        self.peer_horizon = peer.horizon;
        self.leaf_bits = self.leaf_bits.min(peer.leaf_bits);
        self.agreed.max_frame = self.agreed.max_frame.min(peer.max_frame as usize);
        self.agreed.max_open_nodes = self.agreed.max_open_nodes.min(peer.max_open_nodes);
        self.agreed.max_items = self.agreed.max_items.min(peer.max_items);
        self.agreed.max_sketch_cells = self.agreed.max_sketch_cells.min(peer.max_sketch_cells);
        Ok(peer)
    }

    /// Roots at different horizons cannot be compared: the side with the earlier one leaves out what
    /// lies below the later one, and says what its root is then.
    fn align(&mut self, peer: &Hello, items: &dyn ItemSource) -> Result<Phase, ProtocolError> {
        if self.horizon > peer.horizon {
            return Ok(Phase::Meeting);
        }
        if self.horizon < peer.horizon {
            let can_tell = self.view.exclude_below(peer.horizon, items);
            self.say_root(can_tell);
            if !can_tell {
                return Err(self.horizons_differ());
            }
        }
        Ok(self.begin(peer.digest, items))
    }

    fn say_root(&mut self, is_known: bool) {
        let root = self.view.root();
        let mut frame = self.link.frame(Tag::Root);
        frame.byte(u8::from(is_known));
        if is_known {
            frame.number(root.count);
            frame.bytes(&root.lanes.as_u128().to_le_bytes());
        }
        self.link.send(frame);
        self.link.end_round(Side::Local, Step::Root { items: u64::from(root.count) });
    }

    fn horizons_differ(&self) -> ProtocolError {
        ProtocolError::HorizonMismatch { ours: self.horizon, theirs: self.peer_horizon }
    }

    /// Both roots are known: the acceptor has the turn, unless it has told the outcome already.
    fn begin(&mut self, peer_digest: u128, items: &dyn ItemSource) -> Phase {
        match self.settle(peer_digest) {
            Some(outcome) => Phase::Over(outcome),
            None if self.link.initiator => Phase::Asked(Questions::root()),
            None => self.first_turn(items),
        }
    }

    /// The outcome, where the two roots tell it: they are equal, or a side holds nothing.
    fn settle(&self, peer_digest: u128) -> Option<Outcome> {
        let own = self.view.root();
        if (peer_digest, self.peer_count) == (own.lanes.as_u128(), own.count) {
            return Some(Outcome::Converged);
        }
        match (own.count, self.peer_count) {
            (1.., 1..) => None,
            (_, 0) => Some(Outcome::SendAll),
            (0, receive) => Some(differs(Vec::new(), u64::from(receive), false)),
        }
    }
}
