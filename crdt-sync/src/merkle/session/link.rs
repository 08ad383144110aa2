//! The two streams of frames between the sides: sequence numbers, checks, the queue of what is to
//! be sent.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::merkle::frame::{self, Envelope, FrameWriter, Tag};
use crate::merkle::prf::{self, SessionPrf};
use crate::merkle::trace::{Side, Stats, Step, Trace};
use crate::merkle::{Limits, ProtocolError};

pub(super) struct Link {
    pub(super) initiator: bool,
    /// Drawn from both hellos, once they are known; until then a stand-in that no frame fits.
    prf: SessionPrf,
    is_open: bool,
    pub(super) stats: Stats,
    pub(super) trace: Trace,
    /// The sequence numbers of the next frame in each direction.
    sent: u32,
    received: u32,
    queue: VecDeque<Vec<u8>>,
}

impl Link {
    pub(super) fn new(initiator: bool, stand_in: SessionPrf) -> Self {
        Self {
            initiator,
            prf: stand_in,
            is_open: false,
            stats: Stats::default(),
            trace: Trace::default(),
            sent: 0,
            received: 0,
            queue: VecDeque::new(),
        }
    }

    /// Admits the next frame of the peer; `None` for one that was admitted before.
    pub(super) fn admit<'a>(
        &mut self,
        frame: &'a [u8],
        limits: &Limits,
    ) -> Result<Option<Envelope<'a>>, ProtocolError> {
        if frame.len() > limits.max_frame {
            return Err(ProtocolError::FrameTooLarge { len: frame.len(), max: limits.max_frame });
        }
        self.stats.bytes_received += frame.len() as u64;
        self.check_cost(limits)?;
        let envelope = frame::open(frame)?;
        self.verify(frame, envelope.tag)?;
        if envelope.sequence < self.received {
            return Ok(None);
        }
        if envelope.sequence > self.received {
            return Err(ProtocolError::OutOfOrder { expected: self.received, found: envelope.sequence });
        }
        self.received += 1;
        self.stats.frames += 1;
        self.trace.frame(frame.len());
        Ok(Some(envelope))
    }

    pub(super) fn frame(&self, tag: Tag) -> FrameWriter {
        FrameWriter::new(tag, self.sent)
    }

    /// Seals a frame and queues it.
    pub(super) fn send(&mut self, frame: FrameWriter) {
        let by_initiator = self.initiator;
        let frame = frame.seal(|bytes| self.prf.frame_check(by_initiator, bytes));
        self.queue(frame);
    }

    pub(super) fn queue(&mut self, frame: Vec<u8>) {
        self.sent += 1;
        self.stats.frames += 1;
        self.stats.bytes_sent += frame.len() as u64;
        self.trace.frame(frame.len());
        self.queue.push_back(frame);
    }

    /// Both hellos are known: from here on every frame is checked under what they make.
    pub(super) fn open(&mut self, prf: SessionPrf) {
        self.prf = prf;
        self.is_open = true;
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn prf(&self) -> &SessionPrf {
        &self.prf
    }

    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Notes the end of a turn.
    pub(super) fn end_round(&mut self, by: Side, step: Step) {
        self.trace.end_round(by, step);
        self.stats.rounds += 1;
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

    fn verify(&self, frame: &[u8], tag: Tag) -> Result<(), ProtocolError> {
        let (checked, check) = frame::check_of(frame)?;
        let expected = match tag {
            Tag::Hello | Tag::Welcome => prf::hello_check(checked),
            Tag::Digests | Tag::Items | Tag::Wants => self.prf.frame_check(!self.initiator, checked),
        };
        if check == expected { Ok(()) } else { Err(ProtocolError::Corrupt) }
    }
}
