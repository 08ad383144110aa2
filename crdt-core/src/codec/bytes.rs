//! Byte strings as one piece: `#[serde(with = "crdt_core::codec::bytes")]`.
//!
//! serde writes a `Vec<u8>` as a sequence of small integers, one call per byte. This module writes
//! it as a byte string and reads it back from whatever a format has: a borrowed slice, an owned
//! buffer, or (JSON) a sequence.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Blob {
//!     #[serde(with = "crdt_core::codec::bytes")]
//!     body: Vec<u8>,
//! }
//! ```

use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer;

/// Writes `bytes` as one byte string.
pub fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes.as_ref())
}

/// Reads a byte string, never reserving more than what is there, into a `Vec<u8>`, `Box<[u8]>`,
/// `Arc<[u8]>` or whatever else comes from a vector.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: From<Vec<u8>>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_bytes(BytesVisitor).map(T::from)
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
