//! Promises that several targets check. What belongs to one crate lives in that crate.

use crdt_core::{Limits, codec};

/// Decoding foreign bytes never panics, and what it accepts is the one encoding of that value.
///
/// # Panics
///
/// If the promise is broken: that is what the fuzzer looks for.
pub fn decodes_only_what_is_canonical<T: codec::Encoded>(bytes: &[u8]) {
    if let Ok(value) = codec::from_bytes::<T>(bytes, &Limits::DEFAULT) {
        assert_eq!(codec::to_bytes(&value), bytes);
    }
}
