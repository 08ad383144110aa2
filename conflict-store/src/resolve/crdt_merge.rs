//! Bodies that merge by themselves.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crdt_core::codec::{Encoded, from_bytes_at, try_to_bytes_at};
use crdt_core::{Limits, ReplicaId, TryMerge};

use super::{Conflict, Resolution, Resolver, SuspendReason};
use crate::revision::Version;

/// In whose name a merge checks what it merges: nobody's, so every writer is a foreign one. Not the
/// id of zeros, which somebody may write under.
const NOBODY: ReplicaId = ReplicaId::from_bytes(*b"merged by nobody");

/// Makes one value of bodies that are encodings of a CRDT, by merging them.
///
/// A body is what [`codec::to_bytes`](crdt_core::codec::to_bytes) makes of a `T`. The result is
/// canonical as well, so equal merges on two nodes are one version. A body that says all the others
/// say is chosen as it is.
///
/// Nothing is lost for a body that is not a `T`, that is over the [`Limits`], or that uses a dot of
/// another body for something else (a forked replica): the conflict is suspended with the
/// [reason](SuspendReason). Deletions give way to live versions, whatever these say.
///
/// O(size of all bodies) for each reading of a conflict; [`settle`](crate::RevisionTree::settle) to
/// pay once.
///
/// ```
/// use conflict_store::{CrdtMerge, Document};
/// use crdt_core::{Crdt, GCounter, Limits, ReplicaId, Writer, codec};
///
/// let likes = |who, amount| {
///     let mut likes = GCounter::default();
///     likes.increment(Writer::unchecked(ReplicaId::from_u128(who)), amount)?;
///     Ok::<_, crdt_core::CounterOverflow>(codec::to_bytes(&likes))
/// };
/// let mut here = Document::<Vec<u8>>::default();
/// let mut there = Document::default();
/// here.put(b"likes", None, Some(likes(1, 3)?), None)?;
/// there.put(b"likes", None, Some(likes(2, 4)?), None)?;
/// assert!(here.merge(&there).is_changed());
///
/// let rule = CrdtMerge::<GCounter>::new();
/// let bytes = here.read(b"likes", &rule)?.value.unwrap_or_default();
/// assert_eq!(codec::from_bytes::<GCounter>(&bytes, &Limits::default())?.value(), 7);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct CrdtMerge<T> {
    limits: Limits,
    baseline: u64,
    merged: PhantomData<fn() -> T>,
}

impl<T> CrdtMerge<T> {
    /// The rule within the default limits, for bodies of the first baseline.
    pub const fn new() -> Self {
        Self { limits: Limits::DEFAULT, baseline: 0, merged: PhantomData }
    }

    /// The rule within these limits. A body over them suspends the conflict, and so does a result of
    /// more than `limits.max_bytes`.
    pub const fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The rule for bodies of this baseline, see
    /// [`from_bytes_at`](crdt_core::codec::from_bytes_at).
    pub const fn with_baseline(self, baseline: u64) -> Self {
        Self { baseline, ..self }
    }
}

impl<T: TryMerge + Encoded> CrdtMerge<T> {
    fn merge<V: AsRef<[u8]>>(&self, versions: &[&Version<V>]) -> Result<Vec<u8>, SuspendReason> {
        let mut merged = T::default();
        for version in versions {
            let Some(body) = version.body() else { continue };
            let refused = |reason| SuspendReason::Undecodable { version: *version.id(), reason };
            let body = from_bytes_at::<T>(self.baseline, body.as_ref(), &self.limits)
                .map_err(|error| refused(error.to_string()))?;
            let refused = |reason| SuspendReason::Unmergeable { version: *version.id(), reason };
            merged.check_merge(&body, NOBODY).map_err(|error| refused(error.to_string()))?;
            // Whether it changed anything shows in the bytes.
            let _ = merged.merge_owned(body);
        }
        let refused = |reason| SuspendReason::Unencodable { reason };
        let bytes = try_to_bytes_at(self.baseline, &merged).map_err(|error| refused(error.to_string()))?;
        if bytes.len() > self.limits.max_bytes {
            let (found, limit) = (bytes.len(), self.limits.max_bytes);
            return Err(refused(alloc::format!("{found} bytes are over the limit of {limit}")));
        }
        Ok(bytes)
    }
}

impl<V, T> Resolver<V> for CrdtMerge<T>
where
    V: AsRef<[u8]> + From<Vec<u8>>,
    T: TryMerge + Encoded,
{
    fn rule(&self) -> &'static str {
        "crdt-merge"
    }

    fn resolve(&self, conflict: &Conflict<'_, V>) -> Resolution<V> {
        match self.merge(conflict.versions()) {
            Ok(bytes) => conflict.choose_or_merge(bytes.into()),
            Err(reason) => Resolution::Suspend(reason),
        }
    }
}

impl<T> Clone for CrdtMerge<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CrdtMerge<T> {}

impl<T> Default for CrdtMerge<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for CrdtMerge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrdtMerge")
            .field("limits", &self.limits)
            .field("baseline", &self.baseline)
            .finish_non_exhaustive()
    }
}
