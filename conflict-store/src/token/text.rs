//! The token as clients carry it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::error::ParseTokenError;
use crate::limits::MAX_TOKEN_BYTES;

/// What a client holds after a read and hands back with its write: opaque bytes, or their text.
///
/// It may come from anybody and is worth nothing until [`Tokens::open`](crate::Tokens::open) has
/// believed it. Everybody can read what is in it; nobody without the key can change it.
///
/// The text is lower-case hex, which every protocol carries as it is:
///
/// ```
/// use conflict_store::Token;
///
/// let token: Token = "01a0ff".parse()?;
/// assert_eq!(token.as_bytes(), [0x01, 0xa0, 0xff]);
/// assert_eq!(token.to_string(), "01a0ff");
/// # Ok::<(), conflict_store::ParseTokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Box<[u8]>);

impl Token {
    /// The bytes, for protocols that carry such.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Any bytes: whether they are a token shows when it is opened.
impl From<Vec<u8>> for Token {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Lower-case hex. [`FromStr`] reads it back.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// Reads the form that [`Display`](fmt::Display) writes, and no other, up to [`MAX_TOKEN_BYTES`].
impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        if text.len() > 2 * MAX_TOKEN_BYTES {
            return Err(ParseTokenError::TooLong { found: text.len(), limit: 2 * MAX_TOKEN_BYTES });
        }
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(ParseTokenError::NotHex);
        };
        let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
        let bytes: Option<Box<[u8]>> = pairs.iter().map(byte).collect();
        bytes.map(Self).ok_or(ParseTokenError::NotHex)
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
