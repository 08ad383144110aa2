//! Bytes and digests of a value, to the bit.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::fmt::Debug;

use crdt_core::codec::{self, Encoded};
use crdt_core::{Limits, VersionDigest};

/// Envelope, payload (blanks are for the eye) and version digest.
pub(crate) fn assert_golden<T>(value: &T, envelope: &str, payload: &str, digest: u128)
where
    T: Encoded + VersionDigest + PartialEq + Debug,
{
    let bytes = unhex(&[envelope, payload].concat());
    assert_eq!(hex(&codec::to_bytes(value)), hex(&bytes));
    assert_eq!(codec::from_bytes::<T>(&bytes, &Limits::default()).as_ref(), Ok(value));
    assert_eq!(format!("{:#034x}", value.version_digest()), format!("{digest:#034x}"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}
