//! Siblings as a CRDT: everything follows from the store under its context.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use crdt_core::codec::Encoded;
use crdt_core::dotted::{Causal, CausalCrdt, CausalDigest, DotFun};
use crdt_core::{
    CanonicalBytes, Change, Crdt, DeltaCrdt, HeapSize, MergeError, NotStable, ReplicaId, Retire, Retirement,
    TryMerge, VersionDigest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Siblings;

/// Bottom: nothing was written yet.
impl<V> Default for Siblings<V> {
    fn default() -> Self {
        Self { causal: Causal::default() }
    }
}

impl<V> From<Causal<DotFun<V>>> for Siblings<V> {
    fn from(causal: Causal<DotFun<V>>) -> Self {
        Self { causal }
    }
}

impl<V> From<Siblings<V>> for Causal<DotFun<V>> {
    fn from(siblings: Siblings<V>) -> Self {
        siblings.causal
    }
}

impl<V: Clone + Eq> CausalCrdt for Siblings<V> {
    type Store = DotFun<V>;
}

/// Merging is never refused for the number of values; see [`Siblings::crowding`].
impl<V: Clone + Eq> Crdt for Siblings<V> {
    fn merge(&mut self, other: &Self) -> Change {
        self.causal.merge(&other.causal)
    }

    fn merge_owned(&mut self, other: Self) -> Change {
        self.causal.merge_owned(other.causal)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        self.causal.compare(&other.causal)
    }

    fn is_bottom(&self) -> bool {
        self.causal.is_bottom()
    }
}

impl<V: Clone + Eq> DeltaCrdt for Siblings<V> {
    type Digest = CausalDigest;

    fn digest(&self) -> CausalDigest {
        self.causal.digest()
    }

    fn delta_since(&self, digest: &CausalDigest) -> Self {
        self.causal.delta_since(digest).into()
    }

    fn split(&self) -> Vec<Self> {
        self.causal.split().into_iter().map(Self::from).collect()
    }
}

impl<V: Clone + Eq> TryMerge for Siblings<V> {
    fn changes_of(&self, replica: ReplicaId) -> u128 {
        self.causal.changes_of(replica)
    }

    fn check_merge(&self, other: &Self, me: ReplicaId) -> Result<(), MergeError> {
        self.causal.check_merge(&other.causal, me)
    }
}

impl<V: Clone + Eq> Retire for Siblings<V> {
    fn retire(&mut self, retirement: &Retirement) -> Result<(), NotStable> {
        self.causal.retire(retirement)
    }
}

impl<V: CanonicalBytes + Clone + Eq> VersionDigest for Siblings<V> {
    fn version_digest(&self) -> u128 {
        self.causal.version_digest()
    }
}

impl<V: HeapSize> HeapSize for Siblings<V> {
    fn heap_size(&self) -> usize {
        self.causal.heap_size()
    }
}

impl<V: fmt::Debug> fmt::Debug for Siblings<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Siblings").field("live", self.store()).field("seen", self.context()).finish()
    }
}

/// Bytes in and out are those of [`crdt_core::codec`], under the limits the caller passes.
///
/// ```
/// use conflict_store::Siblings;
/// use crdt_core::{CausalContext, Limits, ReplicaId, Writer, codec};
///
/// let mut greeting = Siblings::default();
/// greeting.write(Writer::unchecked(ReplicaId::from_u128(7)), &CausalContext::new(), "Hello".to_string())?;
///
/// let bytes = codec::to_bytes(&greeting);
/// assert_eq!(codec::from_bytes::<Siblings<String>>(&bytes, &Limits::default())?, greeting);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
impl<V> Encoded for Siblings<V>
where
    Self: Serialize + DeserializeOwned,
{
    const TYPE_TAG: u16 = 0x0100;
    const NAME: &str = "Siblings";
}
