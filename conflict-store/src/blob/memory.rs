//! Blobs in memory.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use super::{BlobId, Blobs};

/// [`Blobs`] that are forgotten when dropped.
///
/// ```
/// use conflict_store::blob::{BlobId, Blobs, MemoryBlobs};
///
/// let mut blobs = MemoryBlobs::default();
/// let id = blobs.put(b"Hello".to_vec())?;
/// assert_eq!(id, BlobId::of(b"Hello"));
/// assert_eq!(blobs.put(b"Hello".to_vec())?, id);
/// assert_eq!(blobs.len(), 1, "what is there already is stored once");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryBlobs(BTreeMap<BlobId, Vec<u8>>);

impl MemoryBlobs {
    /// How many blobs are stored.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no blob is stored.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Each call is O(log n), besides hashing.
impl Blobs for MemoryBlobs {
    type Error = Infallible;

    fn read(&self, id: &BlobId) -> Result<Option<Cow<'_, [u8]>>, Infallible> {
        Ok(self.0.get(id).map(|bytes| bytes.as_slice().into()))
    }

    fn write(&mut self, id: BlobId, bytes: Vec<u8>) -> Result<(), Infallible> {
        self.0.insert(id, bytes);
        Ok(())
    }

    fn remove(&mut self, id: &BlobId) -> Result<bool, Infallible> {
        Ok(self.0.remove(id).is_some())
    }

    fn ids(&self) -> impl Iterator<Item = Result<BlobId, Infallible>> {
        self.0.keys().copied().map(Ok)
    }
}

/// The ids and lengths.
impl fmt::Debug for MemoryBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(id, bytes)| (id, bytes.len()))).finish()
    }
}
