//! What every type has to refuse, whatever its bytes mean.

use std::fmt::Debug;

use crdt_core::Limits;
use crdt_core::codec::{self, DecodeError, Encoded, HEADER_LEN};

/// A flipped bit is refused, or makes the one encoding of another value.
pub(crate) fn check_flipped_bits<T: Encoded + PartialEq + Debug>(value: &T) {
    let mut bytes = codec::to_bytes(value);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = codec::from_bytes::<T>(&bytes, &Limits::default()) {
            assert!(bit / 8 >= HEADER_LEN, "a flip in the envelope is never another value");
            assert_ne!(&other, value);
            assert_eq!(codec::to_bytes(&other), bytes);
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// No beginning of an encoding is one, and the refusal says what is wrong.
pub(crate) fn check_cuts<T: Encoded + PartialEq + Debug>(value: &T) {
    let bytes = codec::to_bytes(value);
    for end in 0..bytes.len() {
        let expected = if end < HEADER_LEN {
            DecodeError::Truncated
        } else {
            let claimed = (bytes.len() - HEADER_LEN) as u64;
            DecodeError::LengthMismatch { claimed, found: end - HEADER_LEN }
        };
        assert_eq!(codec::from_bytes::<T>(&bytes[..end], &Limits::default()), Err(expected));
    }
    let payload = &bytes[HEADER_LEN..];
    for end in 0..payload.len() {
        assert!(codec::decode_payload::<T>(&payload[..end], &Limits::default()).is_err());
    }
}

/// Nothing may follow an encoding.
pub(crate) fn check_additions<T: Encoded + PartialEq + Debug>(value: &T) {
    let mut payload = codec::encode_payload(value);
    payload.push(0);
    let refused = codec::decode_payload::<T>(&payload, &Limits::default());
    assert_eq!(refused, Err(DecodeError::TrailingBytes { extra: 1 }));

    let mut bytes = codec::to_bytes(value);
    bytes.push(0);
    let refused = codec::from_bytes::<T>(&bytes, &Limits::default());
    assert!(matches!(refused, Err(DecodeError::LengthMismatch { .. })));
}

/// Whatever decodes is the one encoding of its value.
pub(crate) fn check_noise<T: Encoded + Debug>(noise: &[u8]) {
    if let Ok(value) = codec::decode_payload::<T>(noise, &Limits::default()) {
        assert_eq!(codec::encode_payload(&value), noise);
    }
}
