//! The name of a version: how deep it lies and what it says.

use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;

use super::digest::{DIGEST_BYTES, Digest};

/// The identity of one version of one document: `generation-digest`, as in
/// `2-9f86d081884c7d659a2feaa0c55ad015`.
///
/// The *generation* is one more than the highest generation among the parents, 1 for a version
/// without parents. The *digest* is 16 bytes of BLAKE3 over everything the version says: its key,
/// its parents, whether it is a deletion, its body, and where they exist its stamp and the rule
/// that wrote it. So the same write made on two nodes is one version, and an id cannot be claimed
/// for content it does not belong to.
///
/// Ids are ordered by generation as a number, then by the bytes of the digest:
///
/// ```
/// use conflict_store::VersionId;
///
/// let second: VersionId = "2-b0000000000000000000000000000000".parse()?;
/// let tenth: VersionId = "10-a0000000000000000000000000000000".parse()?;
/// assert!(tenth > second, "ten is more than two, whatever the text says");
/// assert_eq!(tenth.to_string(), "10-a0000000000000000000000000000000");
/// assert_eq!(tenth.short().to_string(), "10-a000000");
/// # Ok::<(), conflict_store::ParseVersionIdError>(())
/// ```
///
/// The form is that of [CouchDB](https://couchdb.apache.org)'s `_rev`. Its digest is MD5 over other
/// content, so the ids are not interchangeable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId {
    // The order of the fields is the order of ids.
    generation: NonZeroU64,
    digest: Digest,
}

impl VersionId {
    /// The id with these parts, or `None` for generation 0, which no version has.
    pub const fn new(generation: u64, digest: Digest) -> Option<Self> {
        match NonZeroU64::new(generation) {
            Some(generation) => Some(Self { generation, digest }),
            None => None,
        }
    }

    /// The id of a child of `parents` whose digest is known.
    ///
    /// The generation saturates. A hostile version of the last generation can therefore still be
    /// superseded.
    pub(crate) fn below(parents: &[Self], digest: Digest) -> Self {
        let generation = parents
            .iter()
            .map(|parent| parent.generation)
            .max()
            .map_or(NonZeroU64::MIN, |highest| highest.saturating_add(1));
        Self { generation, digest }
    }

    /// How deep the version lies, at least 1.
    pub const fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// What the version says, as 16 bytes.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The generation and the first seven hex digits, for people.
    pub fn short(&self) -> impl fmt::Display + use<> {
        Short(*self)
    }
}

/// `generation-digest`, the digest in lower-case hex. [`FromStr`] reads it back.
impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.generation)?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The short form: ids are met in assertions more often than anywhere else.
impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Short(*self), f)
    }
}

struct Short(VersionId);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [digits @ .., _, _, _, _, _, _, _, _, _, _, _, _] = self.0.digest;
        write!(f, "{}-{:07x}", self.0.generation, u32::from_be_bytes(digits) >> 4)
    }
}

/// A text is not the text of a [`VersionId`]. The caller, or whoever sent the text, is at fault.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseVersionIdError {
    /// There is no `-` between generation and digest.
    #[error("a version id is a generation and a digest with '-' between them; there is no '-'")]
    MissingDash,
    /// The part before the `-` is not a decimal number from 1 to 2⁶⁴ - 1 without sign or leading
    /// zeros.
    #[error("the generation of a version id is a number from 1 to 2^64 - 1, no sign, no leading zeros")]
    Generation,
    /// The part behind the `-` is not 32 lower-case hex digits.
    #[error("the digest of a version id is 32 lower-case hex digits")]
    Digest,
}

/// Reads the form that [`Display`](fmt::Display) writes, and no other: one id has one spelling.
impl FromStr for VersionId {
    type Err = ParseVersionIdError;

    fn from_str(text: &str) -> Result<Self, ParseVersionIdError> {
        let (generation, digest) = text.split_once('-').ok_or(ParseVersionIdError::MissingDash)?;
        Ok(Self { generation: parse_generation(generation)?, digest: parse_digest(digest)? })
    }
}

fn parse_generation(text: &str) -> Result<NonZeroU64, ParseVersionIdError> {
    if !text.starts_with(|first: char| matches!(first, '1'..='9')) {
        return Err(ParseVersionIdError::Generation);
    }
    text.parse().map_err(|_| ParseVersionIdError::Generation)
}

fn parse_digest(text: &str) -> Result<Digest, ParseVersionIdError> {
    let (digits, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(ParseVersionIdError::Digest);
    };
    let digits: &[[u8; 2]; DIGEST_BYTES] = digits.try_into().map_err(|_| ParseVersionIdError::Digest)?;
    let mut digest = [0; DIGEST_BYTES];
    for (byte, [high, low]) in digest.iter_mut().zip(digits) {
        *byte = parse_nibble(*high)? << 4 | parse_nibble(*low)?;
    }
    Ok(digest)
}

fn parse_nibble(digit: u8) -> Result<u8, ParseVersionIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseVersionIdError::Digest),
    }
}

/// The text in formats people read, the generation and the bare 16 bytes in all others.
mod serde_impls {
    use alloc::string::String;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Digest, NonZeroU64, VersionId};

    impl Serialize for VersionId {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(self)
            } else {
                (self.generation, self.digest).serialize(serializer)
            }
        }
    }

    impl<'de> Deserialize<'de> for VersionId {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            } else {
                let (generation, digest) = <(NonZeroU64, Digest)>::deserialize(deserializer)?;
                Ok(Self { generation, digest })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015";

    #[test]
    fn text_reads_back() {
        for generation in [1, 9, 10, u64::MAX] {
            let id = VersionId::new(generation, 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes())
                .expect("not zero");
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn one_id_has_one_spelling() {
        use ParseVersionIdError::{Digest, Generation, MissingDash};
        let parse = |text: &str| text.parse::<VersionId>().unwrap_err();
        assert_eq!(parse(""), MissingDash);
        assert_eq!(parse(DIGEST), MissingDash);
        for generation in ["", "0", "01", "+1", "x", "18446744073709551616"] {
            assert_eq!(parse(&[generation, DIGEST].join("-")), Generation, "{generation:?}");
        }
        for digest in ["", &DIGEST[1..], &DIGEST[2..], &DIGEST.to_uppercase(), &[DIGEST, "00"].concat()] {
            assert_eq!(parse(&["1", digest].join("-")), Digest, "{digest:?}");
        }
    }

    #[test]
    fn an_id_takes_24_bytes_and_so_does_the_absence_of_one() {
        assert_eq!((size_of::<VersionId>(), size_of::<Option<VersionId>>()), (24, 24));
    }
}
