//! The two streams of frames between the sides: sequence numbers, checks, and what becomes of frames
//! that are lost, doubled or late.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::merkle::frame::{self, Again, Envelope, FrameWriter, Tag};
use crate::merkle::prf::{self, SessionPrf};
use crate::merkle::trace::{Side, Stats, Step, Trace};
use crate::merkle::{Limits, ProtocolError};

/// How many frames may be kept before a missing one; a number further ahead is no honest one.
const MAX_AHEAD: u32 = 1 << 16;
/// How many of the frames kept ahead a frame that asks again names.
const NAMED: u32 = 256;

pub(super) struct Link {
    pub(super) initiator: bool,
    /// Drawn from both hellos, once they are known; until then a stand-in under which no frame is checked.
    prf: SessionPrf,
    is_open: bool,
    pub(super) stats: Stats,
    pub(super) trace: Trace,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// This side's frames, from the first that the peer may still miss on.
#[derive(Default)]
struct Outgoing {
    frames: VecDeque<Vec<u8>>,
    /// The sequence number of the first of `frames`.
    first: u32,
    /// The sequence number of the next frame to be polled for the first time.
    unsent: u32,
    /// Frames to be polled once more.
    again: BTreeSet<u32>,
    /// A frame that asks the peer for frames.
    request: Option<Vec<u8>>,
}

/// The peer's frames.
#[derive(Default)]
struct Incoming {
    /// The sequence number of the next one.
    next: u32,
    /// Later ones that came already.
    ahead: BTreeMap<u32, Vec<u8>>,
    ahead_bytes: usize,
    /// Whether this side has asked for it since the one before.
    is_asked_for: bool,
}

impl Link {
    pub(super) fn new(initiator: bool) -> Self {
        Self {
            initiator,
            prf: SessionPrf::none(),
            is_open: false,
            stats: Stats::default(),
            trace: Trace::default(),
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
        }
    }

    /// Admits a frame if it is the peer's next one. Others are dealt with here: requests are served,
    /// repeated frames dropped, early ones kept for [`Link::next_kept`].
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
        if !self.is_open && !envelope.tag.is_greeting() {
            return self.keep_unchecked(&envelope, frame, limits).map(|()| None);
        }
        self.verify(frame, envelope.tag)?;
        if envelope.tag.is_greeting() && envelope.sequence > 0 {
            return Err(ProtocolError::Unexpected { tag: envelope.tag.byte() });
        }
        if envelope.tag == Tag::Again {
            self.serve(&envelope).map(|()| None)
        } else if envelope.sequence < self.incoming.next {
            self.repeat_greeting(envelope.tag);
            Ok(None)
        } else if envelope.sequence > self.incoming.next {
            self.keep(&envelope, frame, limits).map(|()| None)
        } else {
            self.take(frame.len());
            Ok(Some(envelope))
        }
    }

    /// The peer's next frame, if it came early and was kept.
    pub(super) fn next_kept(&mut self) -> Option<Vec<u8>> {
        let frame = self.incoming.ahead.remove(&self.incoming.next)?;
        self.incoming.ahead_bytes -= frame.len();
        // It may have been kept before the session had its key: noise is as good as lost.
        if self.verify(&frame, Tag::Digests).is_err() {
            return None;
        }
        self.take(frame.len());
        Some(frame)
    }

    pub(super) fn frame(&self, tag: Tag) -> FrameWriter {
        FrameWriter::new(tag, self.outgoing.next())
    }

    /// Seals a frame and queues it.
    pub(super) fn send(&mut self, frame: FrameWriter) {
        let frame = self.seal(frame);
        self.queue(frame);
    }

    pub(super) fn queue(&mut self, frame: Vec<u8>) {
        self.stats.frames += 1;
        self.stats.bytes_sent += frame.len() as u64;
        self.trace.frame(frame.len());
        self.outgoing.frames.push_back(frame);
    }

    /// Asks for what is missing: the peer repeats it, or says what it misses itself. Before the
    /// session has its key that is the hello once more.
    pub(super) fn ask_again(&mut self) {
        if self.is_open {
            self.incoming.is_asked_for = true;
            self.request(true);
        } else {
            self.outgoing.again.extend(self.outgoing.first..self.outgoing.unsent);
        }
    }

    /// Both hellos are known: from here on every frame is checked under what they make.
    pub(super) fn open(&mut self, prf: SessionPrf) {
        self.prf = prf;
        self.is_open = true;
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the peer has shown that it holds the key now: a frame came under the session's key.
    pub(super) fn is_proven(&self) -> bool {
        self.is_open && self.incoming.next > 1
    }

    pub(super) fn prf(&self) -> &SessionPrf {
        &self.prf
    }

    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        if let Some(request) = self.outgoing.request.take() {
            return Some(request);
        }
        if let Some(sequence) = self.outgoing.again.pop_first() {
            let frame = self.outgoing.get(sequence)?.clone();
            self.stats.repeated += 1;
            self.stats.bytes_sent += frame.len() as u64;
            return Some(frame);
        }
        let frame = self.outgoing.get(self.outgoing.unsent)?.clone();
        self.outgoing.unsent += 1;
        Some(frame)
    }

    /// Withdraws all frames that were not polled yet.
    pub(super) fn clear(&mut self) {
        let sent = (self.outgoing.unsent - self.outgoing.first) as usize;
        self.outgoing.frames.truncate(sent);
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
        let expected = if tag.is_greeting() {
            prf::hello_check(checked)
        } else {
            self.prf.frame_check(!self.initiator, checked)
        };
        if check == expected { Ok(()) } else { Err(ProtocolError::Corrupt) }
    }

    fn seal(&self, frame: FrameWriter) -> Vec<u8> {
        frame.seal(|bytes| self.prf.frame_check(self.initiator, bytes))
    }

    /// The sides take turns, so whoever says something new has heard all of the turn before.
    fn take(&mut self, len: usize) {
        self.incoming.next += 1;
        self.incoming.is_asked_for = false;
        self.stats.frames += 1;
        self.trace.frame(len);
        self.outgoing.forget_sent();
    }

    /// A frame that overtook the hello cannot be checked yet. A few are kept unchecked.
    fn keep_unchecked(
        &mut self,
        envelope: &Envelope<'_>,
        frame: &[u8],
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        if envelope.tag == Tag::Again && self.initiator {
            return Ok(()); // The welcome was lost, and this side will say its hello again.
        }
        if !self.initiator || envelope.sequence == 0 {
            return Err(ProtocolError::Unexpected { tag: envelope.tag.byte() });
        }
        if frame.len() <= Limits::MAX_FIRST_ANSWER && envelope.sequence < 16 {
            self.keep(envelope, frame, limits)?;
        }
        Ok(())
    }

    fn keep(&mut self, envelope: &Envelope<'_>, frame: &[u8], limits: &Limits) -> Result<(), ProtocolError> {
        let (expected, found) = (self.incoming.next, envelope.sequence);
        if found - expected > MAX_AHEAD {
            return Err(ProtocolError::OutOfOrder { expected, found });
        }
        let fits = self.incoming.ahead_bytes + frame.len() <= limits.max_ahead_bytes;
        if fits && !self.incoming.ahead.contains_key(&found) {
            self.incoming.ahead_bytes += frame.len();
            self.incoming.ahead.insert(found, frame.to_vec());
        }
        Ok(())
    }

    /// A hello that comes once more means that the answer to it was lost, if nothing else has come
    /// since. Any other frame that comes once more means nothing: two sides that answered it could
    /// go on doing so for ever.
    fn repeat_greeting(&mut self, tag: Tag) {
        if tag == Tag::Hello && self.incoming.next == 1 {
            self.outgoing.again.extend(self.outgoing.first..self.outgoing.unsent);
        }
    }

    /// Repeats what the peer misses, or says what this side misses.
    fn serve(&mut self, envelope: &Envelope<'_>) -> Result<(), ProtocolError> {
        let again = Again::decode(envelope.body)?;
        let missing = envelope.sequence;
        if missing > self.outgoing.unsent {
            return Err(ProtocolError::NeverSent { found: missing, sent: self.outgoing.unsent });
        }
        let held: BTreeSet<u32> = again.held.iter().map(|distance| missing + 1 + distance).collect();
        let named = missing + 1 + again.held.universe();
        let names_all = again.held.universe() < NAMED;
        let repeated: Vec<u32> = (missing.max(self.outgoing.first)..self.outgoing.unsent)
            .filter(|sequence| !held.contains(sequence) && (names_all || *sequence < named))
            .collect();
        if repeated.is_empty() {
            if again.reply && !self.incoming.is_asked_for {
                self.request(false);
            }
            return Ok(());
        }
        self.outgoing.again.extend(repeated);
        Ok(())
    }

    fn request(&mut self, reply: bool) {
        let missing = self.incoming.next;
        let ahead = self.incoming.ahead.keys().map(|held| held.saturating_sub(missing + 1));
        let held: Vec<u32> = ahead.take_while(|at| *at < NAMED).collect();
        let named_all = held.len() == self.incoming.ahead.len();
        let universe = if named_all { held.last().map_or(0, |last| last + 1) } else { NAMED };
        let mut frame = FrameWriter::new(Tag::Again, missing);
        frame.byte(u8::from(reply));
        frame.set(universe, held.into_iter());
        let frame = self.seal(frame);
        self.stats.bytes_sent += frame.len() as u64;
        self.outgoing.request = Some(frame);
    }
}

impl Outgoing {
    fn next(&self) -> u32 {
        self.first + u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn get(&self, sequence: u32) -> Option<&Vec<u8>> {
        self.frames.get(sequence.checked_sub(self.first)? as usize)
    }

    fn forget_sent(&mut self) {
        self.frames.drain(..(self.unsent - self.first) as usize);
        self.first = self.unsent;
        self.again.clear();
    }
}
