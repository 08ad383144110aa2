//! A whole store as one stream of bytes, and back. `docs/formats.md` has the bytes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

use crdt_core::Limits;

use super::{Store, Strategy};
use crate::backend::{Backend, FillError, StoredState};
use crate::limits::{MAX_KEY_BYTES, MAX_SNAPSHOT_SEQUENCE, SEQUENCE_JUMP};
use crate::revision::Document;

/// The first bytes of a snapshot: what it is, and its version.
const MAGIC: [u8; 8] = *b"CSNAP\0\0\x01";

/// What keys the checksum, so that it is one of a snapshot.
const CHECKSUM_KEY: &[u8; 32] = b"conflict-store snapshot bytes  1";

/// What stands where a key's length would, after the last document.
const END: u32 = u32::MAX;

/// A snapshot was not written to its end. What was written of it is refused by a reader.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError<E, W> {
    /// The backend failed.
    #[error("the backend failed: {0}; the snapshot is not complete")]
    Backend(E),
    /// A key or a document is longer than a snapshot can say, or its reader will accept.
    #[error("the key \"{}\" or its document of {document} bytes is too long for a snapshot", key.escape_ascii())]
    TooLong {
        /// The key.
        key: Vec<u8>,
        /// The length of the document's bytes.
        document: usize,
    },
    /// Where it was written to failed.
    #[error("writing the snapshot failed: {0}; it is not complete")]
    Sink(W),
}

/// A snapshot was refused, or could not be kept. The backend it was for is as empty as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError<E, R> {
    /// The bytes are no snapshot of a version this release reads.
    #[error("not a snapshot, or of another version: it begins with {found:02x?}; nothing was imported")]
    NotASnapshot {
        /// The first bytes.
        found: [u8; 8],
    },
    /// The bytes end too early.
    #[error("the snapshot ends after {documents} documents, before its end; nothing was imported")]
    Truncated {
        /// How many documents were there.
        documents: u64,
    },
    /// The bytes are not the ones that were written.
    #[error("the snapshot is damaged at document {documents}: {reason}; nothing was imported")]
    Damaged {
        /// How many documents came before.
        documents: u64,
        /// What is wrong.
        reason: String,
    },
    /// A key or a document is longer than the receiver's limit.
    #[error(
        "document {documents} of the snapshot has {found} bytes, over the limit of {limit}; nothing was imported"
    )]
    TooLong {
        /// How many documents came before.
        documents: u64,
        /// How long the key or the document is said to be.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// There are more documents than the receiver's limit.
    #[error("over the limit of {limit} documents; nothing was imported")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Where it is read from failed.
    #[error("reading the snapshot failed: {0}; nothing was imported")]
    Source(R),
    /// The backend held something before.
    #[error("the backend is not new; nothing was imported")]
    NotNew,
    /// The backend failed.
    #[error("the backend failed: {0}; nothing was imported")]
    Backend(E),
}

/// Snapshots.
impl<V, B> Store<V, B>
where
    V: AsRef<[u8]> + From<Vec<u8>> + Clone + Eq,
    B: Backend<[u8], Document<V>>,
{
    /// Writes all documents, with the LSN they stand at, piece by piece into `sink`. O(size).
    ///
    /// A snapshot is the same for the same documents, LSN and sequence, whatever the backend.
    ///
    /// ```
    /// use std::io::{Cursor, Read, Write};
    ///
    /// use conflict_store::{MemoryBackend, Store, Strategy};
    /// use crdt_core::Limits;
    ///
    /// let mut store = Store::in_memory(Strategy::KeepAll);
    /// store.put(b"milk", None, b"1 l".to_vec(), None)?;
    /// let mut snapshot = Vec::new();
    /// store.export(|piece| snapshot.write_all(piece))?;
    ///
    /// let mut file = Cursor::new(snapshot);
    /// let read = |buffer: &mut [u8]| file.read(buffer);
    /// let copy: Store<Vec<u8>> =
    ///     Store::import(Strategy::KeepAll, MemoryBackend::default(), read, &Limits::default())?;
    /// assert_eq!(copy.get(b"milk")?.value, Some(b"1 l".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export<W>(
        &self,
        sink: impl FnMut(&[u8]) -> Result<(), W>,
    ) -> Result<(), ExportError<B::Error, W>> {
        let mut out = Summing { hasher: blake3::Hasher::new_keyed(CHECKSUM_KEY), inner: sink };
        let mut put = |bytes: &[u8]| out.write(bytes).map_err(ExportError::Sink);
        put(&MAGIC)?;
        put(&self.backend.applied_lsn().to_le_bytes())?;
        put(&self.backend.last_sequence().to_le_bytes())?;
        let mut documents: u64 = 0;
        for entry in self.backend.scan(Bound::Unbounded) {
            let (key, document) = entry.map_err(ExportError::Backend)?;
            let bytes = document.encode_state(&key);
            let lengths = u32::try_from(key.len()).ok().zip(u32::try_from(bytes.len()).ok());
            let Some((key_len, len)) = lengths.filter(|_| key.len() <= MAX_KEY_BYTES) else {
                return Err(ExportError::TooLong { key: key.into_owned(), document: bytes.len() });
            };
            put(&key_len.to_le_bytes())?;
            put(&len.to_le_bytes())?;
            put(&key)?;
            put(&bytes)?;
            documents += 1;
        }
        put(&END.to_le_bytes())?;
        put(&documents.to_le_bytes())?;
        let sum = *out.hasher.finalize().as_bytes();
        (out.inner)(&sum).map_err(ExportError::Sink)
    }

    /// The store in a snapshot, in a `backend` that never held anything: all of it, or an error and a
    /// backend as empty as before.
    ///
    /// `read` fills a part of the buffer it is given, says how much, and says 0 at the end, as
    /// `std::io::Read::read` does. `limits` bound the bytes of one document, and how many versions it and
    /// how many documents the snapshot may hold. No more than one key and one document are in memory
    /// beside what the backend keeps. Bytes after the end are not read.
    ///
    /// The documents are those of a *copy*: whoever writes here does so under another
    /// [`ReplicaId`](crdt_core::ReplicaId), and cursors into the feed of the original are refused.
    pub fn import<R>(
        strategy: Strategy<V>,
        mut backend: B,
        read: impl FnMut(&mut [u8]) -> Result<usize, R>,
        limits: &Limits,
    ) -> Result<Self, ImportError<B::Error, R>> {
        let input = Summing { hasher: blake3::Hasher::new_keyed(CHECKSUM_KEY), inner: read };
        let mut documents = Documents { input, limits, read: 0, last_key: None };
        let magic = documents.array()?;
        if magic != MAGIC {
            return Err(ImportError::NotASnapshot { found: magic });
        }
        let lsn = u64::from_le_bytes(documents.array()?);
        let sequence = u64::from_le_bytes(documents.array()?);
        if sequence > MAX_SNAPSHOT_SEQUENCE {
            return Err(documents.damaged("its sequences leave none for a copy"));
        }
        let floor = sequence.saturating_add(SEQUENCE_JUMP);
        // An error ends the reading, so nothing is read after it.
        let states = core::iter::from_fn(|| documents.next_document().transpose());
        backend.fill(lsn, floor, states).map_err(|error| match error {
            FillError::NotNew => ImportError::NotNew,
            FillError::Source(error) => error,
            FillError::Backend(error) => ImportError::Backend(error),
        })?;
        Ok(Self::new(strategy, backend))
    }
}

/// Whatever passes through, with its checksum.
struct Summing<T> {
    hasher: blake3::Hasher,
    inner: T,
}

impl<T> Summing<T> {
    fn write<W>(&mut self, bytes: &[u8]) -> Result<(), W>
    where
        T: FnMut(&[u8]) -> Result<(), W>,
    {
        self.hasher.update(bytes);
        (self.inner)(bytes)
    }
}

/// The documents of a snapshot, one after the other; the last thing it gives is an error unless the
/// checksum is right.
struct Documents<'l, T> {
    input: Summing<T>,
    limits: &'l Limits,
    /// How many so far.
    read: u64,
    last_key: Option<Vec<u8>>,
}

/// A document and its key.
type Keyed<V> = (Vec<u8>, Document<V>);

impl<T> Documents<'_, T> {
    fn next_document<V, E, R>(&mut self) -> Result<Option<Keyed<V>>, ImportError<E, R>>
    where
        V: AsRef<[u8]> + From<Vec<u8>> + Clone + Eq,
        T: FnMut(&mut [u8]) -> Result<usize, R>,
    {
        let key_len = u32::from_le_bytes(self.array()?);
        if key_len == END {
            return self.finish().map(|()| None);
        }
        let len = u32::from_le_bytes(self.array()?);
        if self.read >= self.limits.max_elements as u64 {
            return Err(ImportError::TooMany { limit: self.limits.max_elements });
        }
        let key = self.bytes(key_len, MAX_KEY_BYTES)?;
        let bytes = self.bytes(len, self.limits.max_bytes)?;
        if self.last_key.as_ref().is_some_and(|last| *last >= key) {
            return Err(self.damaged("its key is not past the one before"));
        }
        let document = Document::decode_state(&key, &bytes, self.limits)
            .map_err(|error| self.damaged(&error.to_string()))?;
        self.last_key = Some(key.clone());
        self.read += 1;
        Ok(Some((key, document)))
    }

    /// After the last document: how many there were, and the checksum.
    fn finish<E, R>(&mut self) -> Result<(), ImportError<E, R>>
    where
        T: FnMut(&mut [u8]) -> Result<usize, R>,
    {
        let said = u64::from_le_bytes(self.array()?);
        if said != self.read {
            return Err(self.damaged("it is said to be another number"));
        }
        let sum = *self.input.hasher.finalize().as_bytes();
        if self.array()? != sum {
            return Err(self.damaged("the checksum is another one"));
        }
        Ok(())
    }

    fn array<const N: usize, E, R>(&mut self) -> Result<[u8; N], ImportError<E, R>>
    where
        T: FnMut(&mut [u8]) -> Result<usize, R>,
    {
        let mut array = [0; N];
        self.read_exact(&mut array)?;
        Ok(array)
    }

    /// A byte string whose length was claimed: memory is taken as bytes arrive.
    fn bytes<E, R>(&mut self, len: u32, limit: usize) -> Result<Vec<u8>, ImportError<E, R>>
    where
        T: FnMut(&mut [u8]) -> Result<usize, R>,
    {
        const STEP: usize = 64 << 10;
        let found = usize::try_from(len).unwrap_or(usize::MAX);
        if found > limit {
            return Err(ImportError::TooLong { documents: self.read, found, limit });
        }
        let mut bytes = Vec::new();
        while bytes.len() < found {
            let from = bytes.len();
            bytes.resize(found.min(from + STEP), 0);
            self.read_exact(&mut bytes[from..])?;
        }
        Ok(bytes)
    }

    fn read_exact<E, R>(&mut self, buffer: &mut [u8]) -> Result<(), ImportError<E, R>>
    where
        T: FnMut(&mut [u8]) -> Result<usize, R>,
    {
        let mut filled = 0;
        while filled < buffer.len() {
            match (self.input.inner)(&mut buffer[filled..]).map_err(ImportError::Source)? {
                0 => return Err(ImportError::Truncated { documents: self.read }),
                // A source that claims more than it was asked for is not believed.
                read => filled = buffer.len().min(filled + read),
            }
        }
        self.input.hasher.update(buffer);
        Ok(())
    }

    fn damaged<E, R>(&self, reason: &str) -> ImportError<E, R> {
        ImportError::Damaged { documents: self.read, reason: reason.into() }
    }
}
