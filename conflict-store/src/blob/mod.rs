//! Attachments: bytes kept beside documents, named by what they are.
//!
//! A body that carries a picture makes every version of the document as large as the picture. So a
//! body only refers to it: by a [`BlobRef`], on its own or in a [`Manifest`]. The bytes lie in
//! [`Blobs`] under their [`BlobId`], once, however many versions of however many documents refer to
//! them, and whoever reads them sees at once if they were damaged.
//!
//! Replicating a document does not send its blobs. A receiver asks for those it does not
//! [hold](Blobs::contains) and [puts](Blobs::put_as) what arrives.
//!
//! ```
//! use conflict_store::Document;
//! use conflict_store::blob::{BlobRef, Blobs, Manifest, MemoryBlobs, live_blobs};
//! use crdt_core::Limits;
//!
//! let mut blobs = MemoryBlobs::default();
//! let photo = blobs.put(b"\x89PNG...".to_vec())?;
//! blobs.put(b"an earlier photo".to_vec())?;
//!
//! let mut manifest = Manifest::new(b"Laptop".to_vec());
//! manifest.attach("front.png", BlobRef::of(b"\x89PNG...").with_media_type("image/png")?)?;
//! let mut product = Document::<Vec<u8>>::default();
//! product.put(b"product-1", None, Some(manifest.encode()), None)?;
//!
//! // What no leaf refers to can go.
//! let refers_to = |body: &Vec<u8>| Ok::<_, conflict_store::blob::ManifestError>(
//!     Manifest::decode(body, &Limits::default())?.blobs().copied().collect::<Vec<_>>(),
//! );
//! let live = live_blobs([&product], refers_to)?;
//! for id in blobs.unreferenced(&live)? {
//!     blobs.remove(&id)?;
//! }
//! assert_eq!(blobs.len(), 1);
//! assert_eq!(blobs.get(&photo)?.as_deref(), Some(&b"\x89PNG..."[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod id;
mod manifest;
mod memory;

#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

pub use error::{BlobError, InvalidMediaType, ManifestError, ParseBlobIdError};
pub use id::{BLOB_ID_BYTES, BlobId};
pub use manifest::{BlobRef, Manifest};
pub use memory::MemoryBlobs;

use crate::limits::MAX_BLOB_BYTES;
use crate::revision::{RevisionTree, Version};

/// Blobs by their ids.
///
/// A storage implements [`read`](Self::read), [`write`](Self::write), [`remove`](Self::remove) and
/// [`ids`](Self::ids); what its users call checks sizes and digests on the way in and out, so that
/// a storage need not be trusted.
///
/// A blob must be durable before a version that refers to it is written. Between the two nothing
/// refers to it, so do not collect [garbage](Self::unreferenced) then.
pub trait Blobs {
    /// What can go wrong beneath.
    type Error: core::error::Error;

    /// The bytes stored under `id`, unchecked.
    fn read(&self, id: &BlobId) -> Result<Option<Cow<'_, [u8]>>, Self::Error>;

    /// Stores `bytes` under `id`, in place of what is there.
    fn write(&mut self, id: BlobId, bytes: Vec<u8>) -> Result<(), Self::Error>;

    /// Forgets what is stored under `id`, and says whether that was anything.
    fn remove(&mut self, id: &BlobId) -> Result<bool, Self::Error>;

    /// The ids of all blobs, in any order.
    fn ids(&self) -> impl Iterator<Item = Result<BlobId, Self::Error>>;

    /// Whether something is stored under `id`, damaged or not.
    fn contains(&self, id: &BlobId) -> Result<bool, Self::Error> {
        Ok(self.read(id)?.is_some())
    }

    /// Stores `bytes` and returns their id. Bytes that are there already are not stored again,
    /// unless they are damaged. O(length).
    fn put(&mut self, bytes: Vec<u8>) -> Result<BlobId, BlobError<Self::Error>> {
        check_size(bytes.len())?;
        let id = BlobId::of(&bytes);
        let stored = self.read(&id).map_err(BlobError::Storage)?;
        if stored.is_none_or(|stored| *stored != *bytes) {
            self.write(id, bytes).map_err(BlobError::Storage)?;
        }
        Ok(id)
    }

    /// Stores `bytes` that somebody sent as the blob `claimed`, if they are. O(length).
    fn put_as(&mut self, claimed: &BlobId, bytes: Vec<u8>) -> Result<(), BlobError<Self::Error>> {
        check_size(bytes.len())?;
        let actual = BlobId::of(&bytes);
        if actual != *claimed {
            return Err(BlobError::Forged { claimed: *claimed, actual });
        }
        self.put(bytes).map(|_| ())
    }

    /// The bytes of the blob, which are what was put or an error; `None` when it is not there.
    /// O(length).
    fn get(&self, id: &BlobId) -> Result<Option<Cow<'_, [u8]>>, BlobError<Self::Error>> {
        let Some(bytes) = self.read(id).map_err(BlobError::Storage)? else { return Ok(None) };
        let actual = BlobId::of(&bytes);
        if actual != *id {
            return Err(BlobError::Damaged { id: *id, actual });
        }
        Ok(Some(bytes))
    }

    /// The blobs stored that are not among `live`, ascending: what can be removed when `live` is
    /// all that is needed, see [`live_blobs`]. O(stored · log live).
    fn unreferenced(&self, live: &BTreeSet<BlobId>) -> Result<Vec<BlobId>, Self::Error> {
        let is_garbage = |id: &Result<BlobId, _>| id.as_ref().map_or(true, |id| !live.contains(id));
        let mut garbage = self.ids().filter(is_garbage).collect::<Result<Vec<_>, _>>()?;
        garbage.sort_unstable();
        Ok(garbage)
    }
}

fn check_size<E>(given: usize) -> Result<(), BlobError<E>> {
    if given > MAX_BLOB_BYTES {
        return Err(BlobError::TooLarge { given, limit: MAX_BLOB_BYTES });
    }
    Ok(())
}

/// The blobs that any leaf of these documents refers to, the conflicts' among them. `refers_to`
/// tells which blobs a body refers to.
///
/// The first body it cannot read ends the search: nothing is garbage as long as something
/// unreadable may refer to it. Versions below the leaves do not count; who wants to read old
/// versions with their blobs adds what those refer to. O(leaves), plus what `refers_to` does.
pub fn live_blobs<'a, V: 'a, R, E>(
    documents: impl IntoIterator<Item = &'a RevisionTree<V>>,
    mut refers_to: impl FnMut(&V) -> Result<R, E>,
) -> Result<BTreeSet<BlobId>, E>
where
    R: IntoIterator<Item = BlobId>,
{
    let mut live = BTreeSet::new();
    for body in documents.into_iter().flat_map(RevisionTree::leaves).filter_map(Version::body) {
        live.extend(refers_to(body)?);
    }
    Ok(live)
}
