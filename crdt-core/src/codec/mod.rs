//! Canonical bytes: the one encoding of a value, and decoding that trusts nothing.
//!
//! A value has exactly one encoding. [`to_bytes`] puts it into an *envelope* (magic, format
//! version, type tag, baseline, length), [`from_bytes`] takes it out again. Crates that bring an
//! envelope of their own use the bare payload through [`encode_payload`] and [`decode_payload`].
//! `docs/formats.md` describes every byte.
//!
//! Decoding refuses whatever is not the encoding of some value: a cut, a changed length, bytes
//! behind the end, an over-long integer, dots out of order. It never panics, and a *claimed* length
//! allocates nothing: memory grows with the elements really present, within [`Limits`](crate::Limits). For the
//! types of this crate that is at most 1 KiB plus 128 bytes for each byte of input, with elements of
//! up to 24 bytes in memory and what they own.
//!
//! ```
//! use crdt_core::{GCounter, Limits, ReplicaId, Writer, codec};
//!
//! let mut likes = GCounter::default();
//! likes.increment(Writer::unchecked(ReplicaId::from_u128(7)), 3)?;
//!
//! let bytes = codec::to_bytes(&likes);
//! assert_eq!(codec::from_bytes::<GCounter>(&bytes, &Limits::default())?, likes);
//!
//! let cut = &bytes[..bytes.len() - 1];
//! assert!(codec::from_bytes::<GCounter>(cut, &Limits::default()).is_err());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod bounded;
pub mod bytes;
mod envelope;
mod error;
mod payload;

pub use envelope::{
    Encoded, FORMAT_VERSION, HEADER_LEN, MAGIC, from_bytes, from_bytes_at, to_bytes, try_to_bytes,
    try_to_bytes_at,
};
pub use error::{DecodeError, EncodeError};
pub use payload::{decode_payload, encode_payload, try_encode_payload};
