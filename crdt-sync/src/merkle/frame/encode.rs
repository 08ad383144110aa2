//! Frames to bytes.

use alloc::vec::Vec;

use super::{CHECK, Hello, PROTOCOL_VERSION, Tag, index_set, varint};
use crate::merkle::Limits;

/// A whole hello, check included.
pub(in crate::merkle) fn hello(tag: Tag, hello: &Hello, check: impl Fn(&[u8]) -> [u8; CHECK]) -> Vec<u8> {
    let mut frame = FrameWriter::new(tag, 0);
    frame.byte(PROTOCOL_VERSION);
    frame.byte(hello.leaf_bits);
    frame.byte(hello.flags());
    frame.bytes(&hello.key_check);
    frame.number(hello.count);
    frame.bytes(&hello.digest.to_le_bytes());
    frame.bytes(&hello.nonce);
    if hello.horizon > 0 {
        frame.bytes(&hello.horizon.to_le_bytes());
    }
    let limits = hello.announced().into_iter().zip(Limits::default().announced());
    limits.filter(|(limit, default)| limit != default).for_each(|(limit, _)| frame.number(limit));
    frame.seal(check)
}

/// A frame under construction, field by field in the order of the layout.
pub(in crate::merkle) struct FrameWriter(Vec<u8>);

impl FrameWriter {
    pub(in crate::merkle) fn new(tag: Tag, sequence: u32) -> Self {
        let mut bytes = Vec::new();
        bytes.push(tag.byte());
        varint::write(&mut bytes, sequence);
        Self(bytes)
    }

    /// Makes room for exactly so many bytes more: a frame is kept until the peer has it.
    pub(in crate::merkle) fn reserve(&mut self, bytes: usize) {
        self.0.reserve_exact(bytes);
    }

    pub(in crate::merkle) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(in crate::merkle) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(in crate::merkle) fn number(&mut self, number: u32) {
        varint::write(&mut self.0, number);
    }

    pub(in crate::merkle) fn set(&mut self, universe: u32, members: impl ExactSizeIterator<Item = u32>) {
        index_set::write(&mut self.0, universe, members);
    }

    pub(in crate::merkle) fn seal(mut self, check: impl Fn(&[u8]) -> [u8; CHECK]) -> Vec<u8> {
        let check = check(&self.0);
        self.bytes(&check);
        self.0
    }
}
