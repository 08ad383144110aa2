//! The two streams of frames between the sides: sequence numbers, checks, the queue of what is to
//! be sent.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::merkle::Stats;
use crate::merkle::frame::varint;
use crate::merkle::prf::SessionPrf;
use crate::range::frame::{self, Envelope, Hello, Tag};
use crate::range::{Limits, ProtocolError};

pub(super) struct Link {
    pub(super) initiator: bool,
    /// Drawn from both hellos, once they are known.
    prf: Option<SessionPrf>,
    pub(super) stats: Stats,
    /// The sequence numbers of the next frame in each direction.
    sent: u32,
    received: u32,
    queue: VecDeque<Vec<u8>>,
}

impl Link {
    pub(super) fn new(initiator: bool) -> Self {
        Self { initiator, prf: None, stats: Stats::default(), sent: 0, received: 0, queue: VecDeque::new() }
    }

    /// Admits the next frame of the peer; `None` for one that was admitted before.
    pub(super) fn admit<'a>(
        &mut self,
        frame: &'a [u8],
        limits: &Limits,
    ) -> Result<Option<Envelope<'a>>, ProtocolError> {
        let max = if self.received == 0 { limits.max_frame.max(Hello::MAX_LEN) } else { limits.max_frame };
        if frame.len() > max {
            return Err(ProtocolError::FrameTooLarge { len: frame.len(), max });
        }
        self.stats.bytes_received += frame.len() as u64;
        self.check_cost(limits)?;
        let envelope = frame::open(frame)?;
        if envelope.check != self.expected_check(&envelope)? {
            return Err(ProtocolError::Corrupt);
        }
        if envelope.sequence < self.received {
            return Ok(None);
        }
        if envelope.sequence > self.received {
            return Err(ProtocolError::OutOfOrder { expected: self.received, found: envelope.sequence });
        }
        self.received += 1;
        self.stats.frames += 1;
        Ok(Some(envelope))
    }

    /// A frame under construction.
    pub(super) fn frame(&self, tag: Tag) -> Vec<u8> {
        let mut frame = Vec::from([tag.byte()]);
        varint::write(&mut frame, self.sent);
        frame
    }

    /// Seals a frame and queues it.
    pub(super) fn send(&mut self, mut frame: Vec<u8>) {
        if let Some(prf) = &self.prf {
            let check = prf.frame_check(self.initiator, &frame);
            frame.extend_from_slice(&check);
            self.queue(frame);
        }
    }

    pub(super) fn queue(&mut self, frame: Vec<u8>) {
        self.sent += 1;
        self.stats.frames += 1;
        self.stats.bytes_sent += frame.len() as u64;
        self.queue.push_back(frame);
    }

    /// Both hellos are known: from here on every frame is checked under what they make.
    pub(super) fn open(&mut self, prf: SessionPrf) {
        self.prf = Some(prf);
    }

    pub(super) fn prf(&self) -> Option<&SessionPrf> {
        self.prf.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    /// Frames of a turn that cannot be completed are withdrawn; a welcome, which names version and
    /// key, is not.
    pub(super) fn withdraw(&mut self) {
        if self.prf.is_some() {
            self.queue.clear();
        }
    }

    /// Notes the end of a turn.
    pub(super) fn end_round(&mut self) {
        self.stats.rounds += 1;
    }

    /// What this side may still send under its bound on amplification.
    pub(super) fn allowance(&self, limits: &Limits) -> u64 {
        let earned = self.stats.bytes_received.saturating_mul(u64::from(limits.max_amplification));
        earned.saturating_add(Limits::FREE_BYTES).saturating_sub(self.stats.bytes_sent)
    }

    pub(super) fn check_cost(&self, limits: &Limits) -> Result<(), ProtocolError> {
        let used = self.stats.bytes_received.saturating_add(self.stats.bytes_sent);
        if used > limits.max_session_bytes {
            return Err(ProtocolError::TooManyBytes { max: limits.max_session_bytes });
        }
        if self.stats.rounds > limits.max_rounds {
            return Err(ProtocolError::TooManyRounds { max: limits.max_rounds });
        }
        Ok(())
    }

    fn expected_check(&self, envelope: &Envelope<'_>) -> Result<[u8; frame::CHECK], ProtocolError> {
        if envelope.tag.is_greeting() {
            return Ok(frame::hello_check(envelope.checked));
        }
        let prf = self.prf.as_ref().ok_or(ProtocolError::Unexpected { tag: envelope.tag.byte() })?;
        Ok(prf.frame_check(!self.initiator, envelope.checked))
    }
}
