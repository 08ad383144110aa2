//! The tree comparison of a session, said over links that lose, double and reorder.

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::merkle;
use crate::replica::Partition;
use crate::wire::SessionStep;

/// The tree comparison, carried over messages that may be lost.
pub(crate) struct TreeTalk {
    pub(crate) session: merkle::Session,
    /// All frames of this side, to be said again.
    said: Vec<Bytes>,
    /// The next frame expected of the peer.
    heard: u32,
}

impl TreeTalk {
    pub(super) fn new(session: merkle::Session) -> Self {
        Self { session, said: Vec::new(), heard: 0 }
    }

    /// How many frames of the peer were taken.
    pub(super) fn heard(&self) -> u32 {
        self.heard
    }

    /// The frames this side has to say now.
    pub(crate) fn poll(&mut self) -> Vec<SessionStep> {
        let first = self.said.len();
        while let Some(frame) = self.session.poll_frame() {
            self.said.push(frame.into());
        }
        self.all().skip(first).collect()
    }

    /// Takes a frame if it is the next one; says whether it was.
    pub(crate) fn hear(
        &mut self,
        index: u32,
        frame: &[u8],
        partition: &Partition,
    ) -> Result<bool, merkle::ProtocolError> {
        if index != self.heard {
            return Ok(false);
        }
        self.heard += 1;
        self.session.handle(frame, &partition.cells)?;
        Ok(true)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = SessionStep> {
        (0..).zip(&self.said).map(|(index, frame)| SessionStep::Tree { index, frame: frame.clone() })
    }
}

impl core::fmt::Debug for TreeTalk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TreeTalk")
            .field("said", &self.said.len())
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}
