//! What changed since a reader last looked.

use alloc::vec::Vec;

use super::{ReadError, Store};
use crate::backend::{Backend, ChangedKey, KeyVersion};
use crate::revision::Document;

/// How far a reader of the [feed](Store::changes) of one store has come.
///
/// It is worth keeping: a store that is closed and opened goes on where it was. It says nothing about
/// any other store, and nothing about this one after that lost or forgot changes; it is then refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Up to where keys had been removed when the reader began. What it read since then lacks nothing
    /// as long as no more are removed.
    floor: u64,
    sequence: u64,
}

impl Cursor {
    /// Before the first change.
    pub const START: Self = Self { floor: 0, sequence: 0 };

    /// The last sequence that the reader has seen.
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// The cursor as 16 bytes: two little-endian numbers.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (floor, sequence) = bytes.split_at_mut(8);
        floor.copy_from_slice(&self.floor.to_le_bytes());
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// The cursor that gave these bytes. Whatever they are, reading on from them is harmless.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = |from: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[from..from + 8]);
            u64::from_le_bytes(number)
        };
        Self { floor: number(0), sequence: number(8) }
    }
}

/// One page of the [feed](Store::changes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The keys, in the order of their last changes.
    pub keys: Vec<ChangedKey<Vec<u8>>>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether there was more when this page was made.
    pub more: bool,
}

/// The feed could not be read. The cursor is as good as it was.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError<E> {
    /// Keys were removed that the reader may still believe to be there, or the store is not the one
    /// it was: restored, copied, crashed with writes that were not durable. The reader forgets what it
    /// has and begins again at [`Cursor::START`].
    #[error("the feed begins at {floor} and the reader is at {sequence}; nothing was read, begin again")]
    StartOver {
        /// How far the reader had come.
        sequence: u64,
        /// Up to where the feed is not complete.
        floor: u64,
    },
    /// The cursor is past the last change: it belongs to another store. Begin again at
    /// [`Cursor::START`].
    #[error("the cursor is at {sequence} and the last change was {last}; nothing was read, begin again")]
    NotOfThisStore {
        /// Where the cursor is.
        sequence: u64,
        /// The last change.
        last: u64,
    },
    /// The backend failed.
    #[error("the backend failed: {0}; nothing was read")]
    Backend(E),
}

/// Following changes.
impl<V, B> Store<V, B>
where
    V: AsRef<[u8]> + Clone + Eq,
    B: Backend<[u8], Document<V>>,
{
    /// The digest and the last change of `key`, without reading the document; `None` if nothing is
    /// known of it.
    ///
    /// Two replicas whose digests of a key are equal know the same leaves.
    pub fn version(&self, key: &[u8]) -> Result<Option<KeyVersion>, ReadError<B::Error>> {
        self.backend.version(key).map_err(ReadError::Backend)
    }

    /// Up to `limit` keys that changed since `since`, in the order in which they last did.
    ///
    /// A key is in the feed once, where it last changed; one that changes while a reader goes from page
    /// to page may come a second time and is never left out. Deleted documents are in it until they are
    /// [collected](Self::collect_tombstones). O(limit).
    ///
    /// ```
    /// use conflict_store::{Cursor, Store, Strategy};
    ///
    /// let mut store = Store::in_memory(Strategy::KeepAll);
    /// let (milk, _) = store.put(b"milk", None, b"1 l".to_vec(), None)?;
    /// store.put(b"rice", None, b"2 kg".to_vec(), None)?;
    /// let page = store.changes(Cursor::START, 1)?;
    /// assert_eq!((&*page.keys[0].key, page.more), (&b"milk"[..], true));
    ///
    /// store.put(b"milk", Some(&milk), b"2 l".to_vec(), None)?;
    /// let page = store.changes(page.next, 10)?;
    /// let keys: Vec<_> = page.keys.iter().map(|changed| &*changed.key).collect();
    /// assert_eq!(keys, [b"rice", b"milk"]);
    /// assert!(store.changes(page.next, 10)?.keys.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changes(&self, since: Cursor, limit: usize) -> Result<Changes, FeedError<B::Error>> {
        let (floor, last) = (self.backend.floor(), self.backend.last_sequence());
        let begins = since == Cursor::START;
        if !begins && since.sequence < floor && since.floor != floor {
            return Err(FeedError::StartOver { sequence: since.sequence, floor });
        }
        if since.sequence > last {
            return Err(FeedError::NotOfThisStore { sequence: since.sequence, last });
        }
        let mut changed = self.backend.changed_past(since.sequence);
        let keys: Vec<_> =
            changed.by_ref().take(limit).collect::<Result<_, _>>().map_err(FeedError::Backend)?;
        let more = changed.next().is_some();
        // Whoever has read everything has read up to the floor, too, even if nothing is left above it.
        let sequence = match keys.last() {
            _ if !more => last,
            Some(changed) => changed.version.sequence,
            None => since.sequence,
        };
        let next = Cursor { floor: if begins { floor } else { since.floor }, sequence };
        Ok(Changes { keys, next, more })
    }
}
