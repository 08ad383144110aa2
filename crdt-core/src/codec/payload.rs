//! The bare payload: `bincode` 2, standard configuration, canonical or refused.
//!
//! The only place of the crate that names `bincode`. Its encoding is a function of the value alone
//! (little endian, integers in 1, 3, 5, 9 or 17 bytes by size, lengths in front), but its decoder
//! also accepts integers written longer than needed. So a decoded value is encoded once more,
//! straight against the input, without a buffer.

use alloc::string::ToString;
use alloc::vec::Vec;

use bincode::config::{self, Configuration};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bounded::{Budget, Exceeded};
use super::error::{DecodeError, EncodeError};
use crate::limits::Limits;

const CONFIG: Configuration = config::standard();

/// The canonical bytes of `value`, without an envelope. O(size of the value).
///
/// # Panics
///
/// If the `Serialize` of a user's own element type fails; no type of this crate does. Use
/// [`try_encode_payload`] for elements that can.
pub fn encode_payload<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    try_encode_payload(value).unwrap_or_else(|error| panic!("{error}"))
}

/// The canonical bytes of `value`, without an envelope, or the error of a user's own `Serialize`.
pub fn try_encode_payload<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    bincode::serde::encode_to_vec(value, CONFIG).map_err(|error| EncodeError {
        reason: match error {
            bincode::error::EncodeError::OtherString(reason) => reason,
            error => error.to_string(),
        },
    })
}

/// The value whose canonical bytes are exactly `bytes`.
///
/// O(length of the input). Allocates what the value itself needs, at most doubled while vectors
/// grow; lengths that the input merely claims allocate nothing.
///
/// ```
/// use crdt_core::{Limits, codec::{self, DecodeError}};
///
/// let bytes = codec::encode_payload(&vec!["plum", "fig"]);
/// let fruit: Vec<String> = codec::decode_payload(&bytes, &Limits::default())?;
/// assert_eq!(fruit, ["plum", "fig"]);
///
/// // 5 in three bytes instead of one decodes to the same number, but is not its encoding.
/// let refused = codec::decode_payload::<u64>(&[251, 5, 0], &Limits::default());
/// assert_eq!(refused, Err(DecodeError::NotCanonical));
/// # Ok::<(), DecodeError>(())
/// ```
pub fn decode_payload<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limits: &Limits,
) -> Result<T, DecodeError> {
    if bytes.len() > limits.max_bytes {
        return Err(DecodeError::TooLarge { found: bytes.len(), limit: limits.max_bytes });
    }
    let budget = Budget::new(limits);
    let (value, _) = bincode::serde::seed_decode_from_slice(budget.seed::<T>(), bytes, CONFIG)
        .map_err(|error| explain(&error, &budget, limits))?;
    require_canonical(&value, bytes)?;
    Ok(value)
}

fn explain(error: &bincode::error::DecodeError, budget: &Budget, limits: &Limits) -> DecodeError {
    use bincode::error::DecodeError as Cause;
    match (budget.exceeded(), error) {
        (Some(Exceeded::Elements), _) => DecodeError::TooManyElements { limit: limits.max_elements },
        (Some(Exceeded::Depth), _) => DecodeError::TooDeep { limit: limits.max_depth },
        (None, Cause::UnexpectedEnd { .. }) => DecodeError::Truncated,
        (None, Cause::OtherString(reason)) => DecodeError::Malformed { reason: reason.clone() },
        (None, cause) => DecodeError::Malformed { reason: cause.to_string() },
    }
}

fn require_canonical<T: Serialize>(value: &T, bytes: &[u8]) -> Result<(), DecodeError> {
    let mut rest = bytes;
    bincode::serde::encode_into_writer(value, Matching { rest: &mut rest }, CONFIG)
        .map_err(|_| DecodeError::NotCanonical)?;
    match rest.len() {
        0 => Ok(()),
        extra => Err(DecodeError::TrailingBytes { extra }),
    }
}

/// Accepts exactly the bytes it was given, so that comparing needs no second buffer.
struct Matching<'a, 'b> {
    rest: &'a mut &'b [u8],
}

impl Writer for Matching<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        *self.rest = self.rest.strip_prefix(bytes).ok_or(bincode::error::EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}
