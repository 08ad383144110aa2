//! Who writes: the identity a replica signs its changes with.

use core::cmp::Ordering;
use core::fmt;

use uuid::Uuid;

/// The identity of one writer, 16 bytes over a UUID.
///
/// Every change is named by the replica that made it and a counter ([`Dot`](crate::Dot)), so two
/// writers must never share an id, and a writer that lost its state (a restored backup, a cloned
/// machine) must take a fresh one before it writes again. Ids come from the outside: random bytes
/// by [`from_random_bytes`](Self::from_random_bytes), or any scheme that is unique in the cluster.
///
/// The order of ids is the order of their bytes. It carries no meaning beyond being the same
/// everywhere, which is what breaks ties.
///
/// ```
/// use crdt_core::ReplicaId;
///
/// let id = ReplicaId::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
/// assert_eq!(id.to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
/// assert_eq!(format!("{id:?}"), "67e55044");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplicaId(Uuid);

impl ReplicaId {
    /// The id with these 128 bits, most significant byte first.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    /// The id made of exactly these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// A random (version 4) id from 16 random bytes; the six version and variant bits are overwritten.
    ///
    /// This crate has no randomness of its own: the caller brings a generator that does not repeat
    /// across machines and restarts.
    ///
    /// ```
    /// use crdt_core::ReplicaId;
    ///
    /// let id = ReplicaId::from_random_bytes([0xff; 16]);
    /// assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    /// ```
    pub const fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// The order of the bytes, by one comparison of numbers.
impl Ord for ReplicaId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for ReplicaId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The full hyphenated form, which parses back in any UUID tool.
impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

/// The first eight hex digits: enough to tell writers apart in a log line.
impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hyphenated string in formats people read, the bare 16 bytes in all others.
#[cfg(feature = "serde")]
mod serde_impls {
    use core::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{ReplicaId, Uuid};

    impl Serialize for ReplicaId {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_str(self)
            } else {
                self.as_bytes().serialize(serializer)
            }
        }
    }

    impl<'de> Deserialize<'de> for ReplicaId {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                deserializer.deserialize_str(Hyphenated)
            } else {
                <[u8; 16]>::deserialize(deserializer).map(ReplicaId::from_bytes)
            }
        }
    }

    struct Hyphenated;

    impl Visitor<'_> for Hyphenated {
        type Value = ReplicaId;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a lower-case hyphenated UUID")
        }

        /// Braced, upper-case and bare forms name the same UUID, but one id has one spelling.
        fn visit_str<E: Error>(self, text: &str) -> Result<ReplicaId, E> {
            let invalid = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
            let uuid = Uuid::try_parse(text).map_err(|_| invalid())?;
            let mut buffer = Uuid::encode_buffer();
            if uuid.hyphenated().encode_lower(&mut buffer) == text {
                Ok(ReplicaId(uuid))
            } else {
                Err(invalid())
            }
        }
    }
}
