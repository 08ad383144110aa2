//! Fields as lines of text.

use alloc::string::String;
use alloc::vec::Vec;

use super::{FieldMap, Fields};
use crate::limits::MAX_FIELDS;

/// Bodies of one line `name=value` per field, ascending by name.
///
/// `\` and the end of a line are escaped as `\\` and `\n`, and in names `=` as `\=`. Names are UTF-8,
/// values are any bytes. Every line ends in a newline, so a body without fields is empty. There is
/// one body for given fields, and `decode` reads no other: the bytes are described in
/// `docs/formats.md`.
///
/// ```
/// use conflict_store::{FieldMap, Fields, Lines, LinesError};
///
/// let body = b"address=Main Street 1\\nBonn\nname=Ann\n".to_vec();
/// let fields: FieldMap = Lines.decode(&body)?;
/// assert_eq!(fields["address"], b"Main Street 1\nBonn");
///
/// let again: Vec<u8> = Lines.encode(&fields)?;
/// assert_eq!(again, body);
/// # Ok::<(), LinesError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines;

/// A body is not lines of fields as [`Lines`] writes them, or there are too many fields for one.
/// Whoever wrote the body is at fault; nothing was read or written.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    /// The last line does not end in a newline: the body was cut.
    #[error("the last line has no end")]
    Cut,
    /// A line has no `=`.
    #[error("line {line} has no '=' after a name")]
    NoValue {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A `\` does not start one of the escapes.
    #[error("line {line} escapes what is not escaped")]
    Escape {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A name is not UTF-8.
    #[error("the name in line {line} is not UTF-8")]
    Name {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A name does not come after the one in the line before.
    #[error("the name in line {line} does not come after the one before")]
    Order {
        /// The number of the line, from 1.
        line: usize,
    },
    /// There are more fields than [`MAX_FIELDS`].
    #[error("there are more fields than the limit of {limit}")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl<V: AsRef<[u8]> + From<Vec<u8>>> Fields<V> for Lines {
    type Error = LinesError;

    /// O(length). Allocates at most 64 bytes for each byte of the body.
    fn decode(&self, body: &V) -> Result<FieldMap, LinesError> {
        let mut fields = FieldMap::new();
        for (index, text) in body.as_ref().split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            if line > MAX_FIELDS {
                return Err(LinesError::TooMany { limit: MAX_FIELDS });
            }
            let Some((b'\n', text)) = text.split_last() else {
                return Err(LinesError::Cut);
            };
            let (name, value) = read_line(text, line)?;
            if fields.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(LinesError::Order { line });
            }
            fields.insert(name, value);
        }
        Ok(fields)
    }

    /// O(length).
    fn encode(&self, fields: &FieldMap) -> Result<V, LinesError> {
        if fields.len() > MAX_FIELDS {
            return Err(LinesError::TooMany { limit: MAX_FIELDS });
        }
        let mut body = Vec::new();
        for (name, value) in fields {
            write_escaped(&mut body, name.as_bytes(), true);
            body.push(b'=');
            write_escaped(&mut body, value, false);
            body.push(b'\n');
        }
        Ok(body.into())
    }
}

fn read_line(text: &[u8], line: usize) -> Result<(String, Vec<u8>), LinesError> {
    let mut name = Vec::new();
    let mut bytes = text.iter().copied();
    loop {
        match bytes.next() {
            Some(b'=') => break,
            Some(b'\\') => name.push(read_escape(bytes.next(), true).ok_or(LinesError::Escape { line })?),
            Some(byte) => name.push(byte),
            None => return Err(LinesError::NoValue { line }),
        }
    }
    let mut value = Vec::new();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\\' => read_escape(bytes.next(), false).ok_or(LinesError::Escape { line })?,
            byte => byte,
        });
    }
    let name = String::from_utf8(name).map_err(|_| LinesError::Name { line })?;
    Ok((name, value))
}

/// The byte that stands behind a `\`, unescaped.
fn read_escape(byte: Option<u8>, in_name: bool) -> Option<u8> {
    match byte? {
        b'\\' => Some(b'\\'),
        b'n' => Some(b'\n'),
        b'=' if in_name => Some(b'='),
        _ => None,
    }
}

fn write_escaped(body: &mut Vec<u8>, text: &[u8], in_name: bool) {
    for byte in text {
        match byte {
            b'\\' => body.extend_from_slice(b"\\\\"),
            b'\n' => body.extend_from_slice(b"\\n"),
            b'=' if in_name => body.extend_from_slice(b"\\="),
            byte => body.push(*byte),
        }
    }
}
