//! The name of a blob: the digest of its bytes.

use core::fmt;
use core::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::ParseBlobIdError;

/// The length of a blob's id in bytes.
pub const BLOB_ID_BYTES: usize = 32;

/// The identity of a blob: the BLAKE3 digest of its bytes, what the command `b3sum` prints.
///
/// It is twice as long as a version's digest. Whoever uploads files chooses their bytes freely and
/// in advance, so that two with one id must be out of reach.
///
/// ```
/// use conflict_store::BlobId;
///
/// let id = BlobId::of(b"");
/// let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
/// assert_eq!(id.to_string(), text);
/// assert_eq!(text.parse(), Ok(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId([u8; BLOB_ID_BYTES]);

impl BlobId {
    /// The id of these bytes. O(length).
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; BLOB_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; BLOB_ID_BYTES] {
        &self.0
    }
}

/// Lower-case hex. [`FromStr`] reads it back.
impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first seven hex digits.
impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..3].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "{:x}", self.0[3] >> 4)
    }
}

/// Exactly 64 lower-case hex digits.
impl FromStr for BlobId {
    type Err = ParseBlobIdError;

    fn from_str(text: &str) -> Result<Self, ParseBlobIdError> {
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(ParseBlobIdError),
        };
        let digits: &[u8; 2 * BLOB_ID_BYTES] = text.as_bytes().try_into().map_err(|_| ParseBlobIdError)?;
        let mut bytes = [0; BLOB_ID_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
        }
        Ok(Self(bytes))
    }
}

/// The text in formats people read, the bare bytes in all others.
impl Serialize for BlobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            alloc::string::String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Deserialize::deserialize(deserializer).map(Self)
        }
    }
}
