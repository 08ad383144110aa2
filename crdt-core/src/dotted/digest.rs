//! Version digests and sizes of dot stores.

use core::mem::size_of;

use super::{Causal, DotFun, DotSet, DotStore};
use crate::fingerprint::sum;
use crate::heap::owned_by;
use crate::{CanonicalBytes, Dot, FingerprintWriter, HeapSize, VersionDigest};

/// A dot store whose live content can be hashed, one part per live dot.
///
/// A part is what it is filed under, from the outermost key inwards, then the dot, then the content, if any.
pub trait StoreDigest: DotStore {
    /// The wrapping sum of the hashes of all parts; `path` has been fed what this store is filed under.
    fn digest_parts(&self, path: &FingerprintWriter) -> u128;

    /// The sum for a store that is filed under nothing.
    fn store_digest(&self) -> u128 {
        self.digest_parts(&FingerprintWriter::new(*b"dotted.."))
    }
}

impl StoreDigest for DotSet {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        sum(self.iter().map(|dot| {
            let mut part = path.clone();
            part.write(&dot);
            part.finish()
        }))
    }
}

impl<V: CanonicalBytes + Clone + Eq> StoreDigest for DotFun<V> {
    fn digest_parts(&self, path: &FingerprintWriter) -> u128 {
        sum(self.iter().map(|(dot, value)| {
            let mut part = path.clone();
            part.write(&dot);
            part.write(value);
            part.finish()
        }))
    }
}

/// Store and context together: a removal changes one of them only.
impl<S: StoreDigest> VersionDigest for Causal<S> {
    fn version_digest(&self) -> u128 {
        self.store().store_digest().wrapping_add(self.context().version_digest())
    }
}

impl HeapSize for DotSet {
    fn heap_size(&self) -> usize {
        self.spilled_bytes()
    }
}

impl<V: HeapSize> HeapSize for DotFun<V> {
    fn heap_size(&self) -> usize {
        b_tree_bytes(self.len(), size_of::<(Dot, V)>()) + owned_by(self.iter().map(|(_, value)| value))
    }
}

impl<S: HeapSize> HeapSize for Causal<S> {
    fn heap_size(&self) -> usize {
        self.store().heap_size() + self.context().heap_size()
    }
}

/// An estimate, as a B-tree does not tell: its nodes have room for 11 entries and are about three quarters full.
pub(crate) const fn b_tree_bytes(entries: usize, entry_bytes: usize) -> usize {
    entries * entry_bytes * 4 / 3
}
