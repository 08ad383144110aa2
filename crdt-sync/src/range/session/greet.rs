//! The first frame of each side: which range is compared, what it sums up to, and what both sides
//! can do.

use alloc::vec::Vec;

use super::asked::Asked;
use super::turn::Turn;
use super::{Phase, RangeSession};
use crate::merkle::cells::{Cell, Lanes};
use crate::merkle::frame::reader::Reader;
use crate::merkle::frame::varint;
use crate::merkle::{Difference, Outcome};
use crate::range::frame::{Hello, Tag, is_genuine};
use crate::range::policy::RefinementPolicy;
use crate::range::{KeyRange, ProtocolError};

impl<P> RangeSession<P> {
    /// Queues the initiator's hello.
    pub(super) fn greet(&mut self) {
        let hello = self.own_hello();
        self.link.queue(hello);
        self.link.end_round();
    }

    /// Always the same bytes, until a range is agreed on.
    fn own_hello(&self) -> Vec<u8> {
        let asked = (!self.range.is_empty()).then(|| self.range.clone());
        self.hello(asked).encode(Tag::Hello, &[], self.snapshot.prf())
    }

    fn hello(&self, range: Option<KeyRange>) -> Hello {
        Hello {
            nonce: self.nonce,
            max_frame: self.announced.max_frame,
            max_open_ranges: self.announced.max_open_ranges,
            max_items: self.announced.max_items,
            cell: range.as_ref().map_or(Cell::default(), |range| self.snapshot.cell(range)),
            range,
        }
    }

    /// Queues a welcome and returns it. Without a range it is a refusal, and tells of no item.
    fn welcome(&mut self, range: Option<KeyRange>, hello: &[u8]) -> Vec<u8> {
        let welcome = self.hello(range).encode(Tag::Welcome, hello, self.snapshot.prf());
        self.link.queue(welcome.clone());
        self.link.end_round();
        welcome
    }

    fn agree(&mut self, range: KeyRange, peer: &Hello) {
        self.range = range;
        self.agreed.max_frame = self.agreed.max_frame.min(peer.max_frame);
        self.agreed.max_open_ranges = self.agreed.max_open_ranges.min(peer.max_open_ranges);
        self.agreed.max_items = self.agreed.max_items.min(peer.max_items);
    }

    /// What an acceptor and the peer's hello have in common; it says whether that is less than was
    /// asked for.
    fn judge(&self, frame: &[u8], body: &[u8]) -> Result<(Hello, KeyRange, bool), ProtocolError> {
        let peer = Hello::decode(body)?;
        if !is_genuine(frame, &[], self.snapshot.prf()) {
            return Err(ProtocolError::KeyMismatch);
        }
        let asked = peer.range.as_ref().ok_or(ProtocolError::NotAuthorized)?;
        let common = asked.intersection(&self.range);
        if common.is_empty() {
            return Err(ProtocolError::NotAuthorized);
        }
        let is_narrowed = common != *asked;
        Ok((peer, common, is_narrowed))
    }
}

impl<P: RefinementPolicy> RangeSession<P> {
    /// A hello that cannot be accepted is answered nevertheless, so that the peer, too, learns of
    /// another version or key.
    pub(super) fn on_hello(&mut self, frame: &[u8], body: &[u8]) -> Result<Phase, ProtocolError> {
        self.link.end_round();
        let (peer, range, is_narrowed) = match self.judge(frame, body) {
            Ok(judged) => judged,
            Err(error) => {
                self.welcome(None, frame);
                return Err(error);
            }
        };
        self.agree(range.clone(), &peer);
        let welcome = self.welcome(Some(range), frame);
        self.link.open(self.snapshot.prf().session(frame, &welcome));
        if is_narrowed {
            return Ok(Phase::Narrowed);
        }
        Ok(self.settle(peer.cell).unwrap_or_else(|| self.compare_roots(peer.cell)))
    }

    pub(super) fn on_welcome(&mut self, frame: &[u8], body: &[u8]) -> Result<Phase, ProtocolError> {
        self.link.end_round();
        let peer = Hello::decode(body)?;
        let hello = self.own_hello();
        if !is_genuine(frame, &hello, self.snapshot.prf()) {
            return Err(ProtocolError::KeyMismatch);
        }
        let range = peer.range.clone().ok_or(ProtocolError::NotAuthorized)?;
        if !self.range.covers(&range) {
            return Err(ProtocolError::Widened);
        }
        let is_narrowed = range != self.range;
        self.agree(range, &peer);
        self.link.open(self.snapshot.prf().session(&hello, frame));
        if is_narrowed {
            self.send_root();
        }
        Ok(match self.settle(peer.cell) {
            Some(phase) => phase,
            None if is_narrowed => self.compare_roots(peer.cell),
            None => Phase::Asked(self.root_question(), Turn::default()),
        })
    }

    /// The peer goes on within its turn if there is something to compare.
    pub(super) fn on_root(&mut self, body: &[u8]) -> Result<Phase, ProtocolError> {
        let mut reader = Reader::new(body);
        let count = reader.number()?;
        let lanes = Lanes::from_u128(u128::from_le_bytes(reader.array()?));
        reader.end()?;
        if count == 0 && lanes != Lanes::default() {
            return Err(ProtocolError::Hello { field: "sum" });
        }
        let settled = self.settle(Cell { lanes, count });
        Ok(settled.unwrap_or_else(|| Phase::Asked(self.root_question(), Turn::default())))
    }

    fn compare_roots(&mut self, theirs: Cell) -> Phase {
        let turn = Turn::root(&self.snapshot, &self.range, theirs.count);
        self.take_turn(turn)
    }

    fn root_question(&self) -> Asked {
        Asked::root(self.range.clone(), self.snapshot.cell(&self.range).count)
    }

    fn send_root(&mut self) {
        let cell = self.snapshot.cell(&self.range);
        let mut frame = self.link.frame(Tag::Root);
        varint::write(&mut frame, cell.count);
        frame.extend_from_slice(&cell.lanes.as_u128().to_le_bytes());
        self.link.send(frame);
    }

    /// The outcome, where both sides' sums tell it: they agree, or a side holds nothing.
    fn settle(&mut self, theirs: Cell) -> Option<Phase> {
        let ours = self.snapshot.cell(&self.range);
        if ours == theirs {
            return Some(Phase::Over(Outcome::Converged));
        }
        if ours.count > 0 && theirs.count > 0 {
            return None;
        }
        let first = self.snapshot.rank(self.range.start());
        let send = (first..first + u64::from(ours.count)).collect();
        let difference = Difference { send, receive: u64::from(theirs.count), partial: false };
        Some(Phase::Over(Outcome::Differs(difference)))
    }
}
