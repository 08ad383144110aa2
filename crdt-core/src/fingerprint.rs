//! Version digests: 128 bits that are equal when, and only when, the states are.
//!
//! A digest is the wrapping sum of one hash per part of a state (an entry of a counter, a live dot
//! with its element, a range of a context), so it does not depend on any order and can be kept
//! incrementally: add the hash of what appears, subtract the hash of what goes. The hash is
//! `SipHash`-2-4 with 128 bits of output under a fixed, public key over canonical little-endian
//! bytes, the same on every platform and in every release. Standard library hashing gives neither
//! promise and is not used.
//!
//! The key is public: digests tell apart what *chance* made different. Whoever chooses states on
//! purpose can make sums collide, so nothing that must withstand malice may rest on them; a sum
//! never travels as a proof.
//!
//! Source: Aumasson, Bernstein, "`SipHash`: a fast short-input PRF", 2012.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::{CausalContext, Dot, Hlc, ReplicaId, Stamp, VersionDigest};

/// The bytes of "crdt-coreversion": a key with nothing up its sleeve.
const KEY: (u64, u64) = (u64::from_le_bytes(*b"crdt-cor"), u64::from_le_bytes(*b"eversion"));

/// The 128-bit hash of `bytes` under the family's fixed public key. O(length).
///
/// ```
/// use crdt_core::digest_of;
///
/// assert_eq!(digest_of(b"plum"), digest_of(b"plum"));
/// assert_ne!(digest_of(b"plum"), digest_of(b"fig"));
/// ```
pub fn digest_of(bytes: &[u8]) -> u128 {
    let mut hasher = SipHasher24::new_with_keys(KEY.0, KEY.1);
    hasher.write(bytes);
    hasher.finish128().into()
}

/// Hashes one part of a state from the canonical bytes of its fields.
///
/// Integers enter in little-endian order at their full width, byte strings behind their length, so
/// that no two different sequences of fields feed the same bytes.
///
/// ```
/// use crdt_core::FingerprintWriter;
///
/// let part = |name: &str, count| {
///     let mut part = FingerprintWriter::new(*b"example1");
///     part.write(name);
///     part.write(&count);
///     part.finish()
/// };
/// assert_ne!(part("plum", 1_u64), part("plum", 2));
/// ```
#[derive(Clone, Debug)]
pub struct FingerprintWriter {
    hasher: SipHasher24,
}

impl FingerprintWriter {
    /// A writer for parts of one kind. The eight bytes of `domain` name the kind and keep the parts
    /// of different types from hashing alike.
    pub fn new(domain: [u8; 8]) -> Self {
        let mut writer = Self { hasher: SipHasher24::new_with_keys(KEY.0, KEY.1) };
        writer.write_raw(&domain);
        writer
    }

    /// Feeds the canonical bytes of `value`.
    pub fn write<T: CanonicalBytes + ?Sized>(&mut self, value: &T) {
        value.feed(self);
    }

    /// Feeds `bytes` as they are. The caller sees to it that their length follows from what was fed
    /// before.
    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    /// The hash of everything fed.
    pub fn finish(&self) -> u128 {
        self.hasher.finish128().into()
    }
}

/// Values with one canonical byte string, for version digests.
///
/// Implementations must feed equal bytes for equal values, different bytes for different ones, on
/// every platform, and no value's bytes may be the beginning of another's (put a length in front of
/// whatever varies). Changing what an implementation feeds changes every digest: it is a format.
///
/// ```
/// use crdt_core::{CanonicalBytes, FingerprintWriter};
///
/// struct Sku { vendor: u32, article: String }
///
/// impl CanonicalBytes for Sku {
///     fn feed(&self, writer: &mut FingerprintWriter) {
///         writer.write(&self.vendor);
///         writer.write(self.article.as_str());
///     }
/// }
/// ```
pub trait CanonicalBytes {
    /// Feeds this value's canonical bytes.
    fn feed(&self, writer: &mut FingerprintWriter);

    /// Feeds the items of a slice whose length has been fed; bytes override it to go in one piece.
    fn feed_all(items: &[Self], writer: &mut FingerprintWriter)
    where
        Self: Sized,
    {
        for item in items {
            item.feed(writer);
        }
    }
}

/// The wrapping sum of the hashes of a state's parts.
pub(crate) fn sum(parts: impl Iterator<Item = u128>) -> u128 {
    parts.fold(0, u128::wrapping_add)
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl CanonicalBytes for $integer {
            fn feed(&self, writer: &mut FingerprintWriter) {
                writer.write_raw(&self.to_le_bytes());
            }
        }
    )*};
}

integers!(u16, u32, u64, u128, i8, i16, i32, i64, i128);

impl CanonicalBytes for u8 {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write_raw(&[*self]);
    }

    fn feed_all(items: &[Self], writer: &mut FingerprintWriter) {
        writer.write_raw(items);
    }
}

impl CanonicalBytes for bool {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&u8::from(*self));
    }
}

impl CanonicalBytes for char {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&u32::from(*self));
    }
}

impl<T: CanonicalBytes> CanonicalBytes for [T] {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&(self.len() as u64));
        T::feed_all(self, writer);
    }
}

impl<T: CanonicalBytes, const N: usize> CanonicalBytes for [T; N] {
    fn feed(&self, writer: &mut FingerprintWriter) {
        T::feed_all(self, writer);
    }
}

impl<T: CanonicalBytes> CanonicalBytes for Vec<T> {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(self.as_slice());
    }
}

impl CanonicalBytes for str {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(self.as_bytes());
    }
}

impl CanonicalBytes for String {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(self.as_str());
    }
}

impl<T: CanonicalBytes + ?Sized> CanonicalBytes for &T {
    fn feed(&self, writer: &mut FingerprintWriter) {
        (**self).feed(writer);
    }
}

impl<T: CanonicalBytes> CanonicalBytes for Option<T> {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.is_some());
        if let Some(value) = self {
            writer.write(value);
        }
    }
}

impl CanonicalBytes for () {
    fn feed(&self, _: &mut FingerprintWriter) {}
}

impl<A: CanonicalBytes, B: CanonicalBytes> CanonicalBytes for (A, B) {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.0);
        writer.write(&self.1);
    }
}

impl<A: CanonicalBytes, B: CanonicalBytes, C: CanonicalBytes> CanonicalBytes for (A, B, C) {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.0);
        writer.write(&self.1);
        writer.write(&self.2);
    }
}

impl CanonicalBytes for ReplicaId {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write_raw(self.as_bytes());
    }
}

impl CanonicalBytes for Dot {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.replica);
        writer.write(&self.counter());
    }
}

impl CanonicalBytes for Hlc {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.millis());
        writer.write(&self.counter());
    }
}

impl CanonicalBytes for Stamp {
    fn feed(&self, writer: &mut FingerprintWriter) {
        writer.write(&self.time);
        writer.write(&self.replica);
    }
}

/// One part per range.
impl VersionDigest for CausalContext {
    fn version_digest(&self) -> u128 {
        sum(self.ranges().map(|(replica, counters)| {
            let mut part = FingerprintWriter::new(*b"context.");
            part.write(&replica);
            part.write(counters.start());
            part.write(counters.end());
            part.finish()
        }))
    }
}
