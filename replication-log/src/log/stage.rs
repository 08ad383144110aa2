//! Encoded batches in memory, on their way to the storage.

use alloc::vec::Vec;

use crate::{
    RecordKind,
    limits::MAX_STAGED_BYTES,
    segment::{BATCH_HEADER_BYTES, frame_record},
};

/// Two buffers of which one is filled while a sync writes the other one out.
///
/// The staged batches are followed by at most one that is still open. Both buffers are kept and used
/// again, so that nothing is allocated once they have grown to what a log needs between two writes.
///
/// An append of 100 bytes costs about 60 ns this way, nearly half of it for checksums of which the
/// shortest are the dearest by the byte. A buffer of 1 MiB instead of 64 KiB gained a twentieth.
#[derive(Debug, Default)]
pub(super) struct Stage {
    bytes: Vec<u8>,
    /// Where the staged batches end and the open one begins.
    staged: usize,
    /// The other buffer, empty, unless a sync has it.
    other: Vec<u8>,
}

impl Stage {
    /// Begins a batch; one that was left open is forgotten.
    pub(super) fn open(&mut self) {
        self.abandon();
        self.bytes.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
    }

    /// Adds a record to the open batch.
    pub(super) fn push(&mut self, kind: RecordKind, payload: &[u8]) {
        frame_record(&mut self.bytes, kind, payload);
    }

    /// Adds framed records to the open batch.
    pub(super) fn extend(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(body);
    }

    /// The size of the open batch, header included.
    pub(super) fn open_bytes(&self) -> usize {
        self.bytes.len() - self.staged
    }

    /// The records of the open batch.
    pub(super) fn open_body(&self) -> &[u8] {
        self.bytes.get(self.staged + BATCH_HEADER_BYTES..).unwrap_or_default()
    }

    /// Puts what is to be stored in the place of the open batch's records.
    pub(super) fn replace_body(&mut self, body: &[u8]) {
        self.bytes.truncate(self.staged + BATCH_HEADER_BYTES);
        self.bytes.extend_from_slice(body);
    }

    /// Makes the open batch one of the staged ones.
    pub(super) fn seal(&mut self, header: &[u8; BATCH_HEADER_BYTES]) {
        if let Some(place) = self.bytes.get_mut(self.staged..self.staged + BATCH_HEADER_BYTES) {
            place.copy_from_slice(header);
        }
        self.staged = self.bytes.len();
    }

    /// Forgets the open batch.
    pub(super) fn abandon(&mut self) {
        self.bytes.truncate(self.staged);
    }

    /// The batches that wait to be written.
    pub(super) fn staged(&self) -> &[u8] {
        &self.bytes[..self.staged]
    }

    /// Whether a batch of this size may be staged while those before it cannot be written.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.staged == 0 || self.staged + bytes <= MAX_STAGED_BYTES
    }

    /// Forgets what was staged because it is written. An open batch moves to the front.
    pub(super) fn written(&mut self) {
        self.bytes.drain(..self.staged);
        self.staged = 0;
        trim(&mut self.bytes);
    }

    /// Hands over what is staged and goes on with the other buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.abandon();
        self.staged = 0;
        core::mem::replace(&mut self.bytes, core::mem::take(&mut self.other))
    }

    /// Takes a buffer back that was handed over.
    pub(super) fn give_back(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        trim(&mut bytes);
        if bytes.capacity() > self.other.capacity() {
            self.other = bytes;
        }
    }
}

/// One very large batch does not hold on to its memory for good.
fn trim(bytes: &mut Vec<u8>) {
    if bytes.capacity() > 2 * MAX_STAGED_BYTES {
        bytes.shrink_to(MAX_STAGED_BYTES);
    }
}
