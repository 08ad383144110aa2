//! Frames to bytes.

use alloc::vec::Vec;

use super::{CHECK, Hello, PROTOCOL_VERSION, Tag, index_set, varint};

/// A whole hello, check included.
pub(in crate::merkle) fn hello(tag: Tag, hello: &Hello, check: impl Fn(&[u8]) -> [u8; CHECK]) -> Vec<u8> {
    let mut frame = FrameWriter::new(tag, 0);
    frame.byte(PROTOCOL_VERSION);
    frame.byte(hello.leaf_bits);
    frame.bytes(&hello.key_check);
    frame.number(hello.count);
    frame.bytes(&hello.digest.to_le_bytes());
    frame.bytes(&hello.nonce);
    frame.number(u32::try_from(hello.max_frame).unwrap_or(u32::MAX));
    frame.number(hello.max_open_nodes);
    frame.number(hello.max_items);
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

/// Appends one list: the number of fingerprints, then the low `width` bytes of each, high byte
/// first so that bytes sort as numbers do.
pub(in crate::merkle) fn write_list(
    out: &mut Vec<u8>,
    width: u8,
    fingerprints: impl ExactSizeIterator<Item = u64>,
) {
    varint::write(out, u32::try_from(fingerprints.len()).unwrap_or(u32::MAX));
    for fingerprint in fingerprints {
        let bytes = fingerprint.to_be_bytes();
        out.extend_from_slice(&bytes[8 - usize::from(width.min(8))..]);
    }
}
