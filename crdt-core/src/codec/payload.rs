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
    let mut gathered = Gathered::default();
    bincode::serde::encode_into_writer(value, &mut gathered, CONFIG).map_err(|error| EncodeError {
        reason: match error {
            bincode::error::EncodeError::OtherString(reason) => reason,
            error => error.to_string(),
        },
    })?;
    Ok(gathered.into_vec())
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

/// How many bytes are gathered before they are allocated for.
const FEW: usize = 256;

/// Bytes that are written bit by bit: a few of them are allocated for once, when it is known how many they are. A
/// vector would grow five times for a hundred, and most of what is encoded is that small.
struct Gathered {
    first: [u8; FEW],
    /// How many of `first` are written; all of them moved on when there were more.
    len: usize,
    many: Vec<u8>,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { first: [0; FEW], len: 0, many: Vec::new() }
    }
}

impl Gathered {
    fn into_vec(self) -> Vec<u8> {
        if self.many.is_empty() { self.first[..self.len].to_vec() } else { self.many }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        match self.first.get_mut(self.len..end) {
            Some(room) if self.many.is_empty() => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            _ => {
                if self.many.is_empty() {
                    self.many.reserve(end + FEW);
                    self.many.extend_from_slice(&self.first[..self.len]);
                }
                self.many.extend_from_slice(bytes);
            }
        }
    }
}

impl Writer for Gathered {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        match (bytes, self.first.get_mut(self.len)) {
            // Ids and small numbers are written byte by byte.
            ([byte], Some(room)) if self.many.is_empty() => {
                *room = *byte;
                self.len += 1;
            }
            _ => self.extend(bytes),
        }
        Ok(())
    }
}

/// Accepts exactly the bytes it was given, so that comparing needs no second buffer.
struct Matching<'a, 'b> {
    rest: &'a mut &'b [u8],
}

impl Writer for Matching<'_, '_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        let behind = match (bytes, *self.rest) {
            ([byte], [first, behind @ ..]) if byte == first => Some(behind),
            _ => self.rest.strip_prefix(bytes),
        };
        *self.rest = behind.ok_or(bincode::error::EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// Around the number of bytes that are gathered before they are allocated for, in pieces of one byte and of many.
    #[test]
    fn what_is_gathered_is_what_a_vector_would_hold() {
        for length in (0..4).chain(FEW - 20..FEW + 20).chain([3 * FEW]) {
            let text = "x".repeat(length);
            for value in [(vec![7_u8; 9], text.as_str()), (vec![7; length], "short")] {
                let expected = bincode::serde::encode_to_vec(&value, CONFIG).unwrap();
                assert_eq!(encode_payload(&value), expected, "{length}");
            }
        }
    }
}
