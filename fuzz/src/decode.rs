//! Foreign bytes never panic a decoder, and what it accepts is the one encoding of that value.

use conflict_store::Document;
use crdt_core::{Limits, codec};
use crdt_sync::wire;

/// For a type that travels in an envelope.
pub fn decodes_only_what_is_canonical<T: codec::Encoded>(bytes: &[u8]) {
    if let Ok(value) = codec::from_bytes::<T>(bytes, &Limits::DEFAULT) {
        assert_eq!(codec::to_bytes(&value), bytes);
    }
}

/// For the versions of one key.
pub fn a_document_decodes_only_from_its_canonical_bytes(bytes: &[u8]) {
    if let Ok(document) = Document::<Vec<u8>>::decode_for_key(b"key", bytes, &Limits::DEFAULT) {
        assert_eq!(document.encode_for_key(b"key"), bytes);
    }
}

/// For what nodes say to each other.
pub fn a_message_decodes_only_from_its_one_frame(frame: &[u8]) {
    if let Ok(message) = wire::decode(frame, &crdt_sync::Limits::default()) {
        assert_eq!(wire::encode(&message), frame);
    }
}
