//! Physical entries: which bytes of which page became what.

mod applier;
mod codec;
mod diff;

use alloc::vec::Vec;

pub(crate) use applier::Context;
pub use applier::{Applied, ApplyError, PhysicalApplier};
pub use codec::EntryError;
pub(crate) use diff::changed_ranges;

use crate::page::{PageFormat, PageId};

/// What a mini-transaction did to one page: the payload of one record.
///
/// The entries of a mini-transaction are in the order of their pages, count up from 0 and down to 0,
/// so that whoever replays them knows where it begins and ends. They take effect together, and every page they touch is
/// stamped with the number of the last one.
///
/// ```
/// use replication_log::entry::physical::{PageChange, PhysicalEntry};
/// use replication_log::page::{PageTable, TableOptions};
/// use replication_log::storage::MemoryStorage;
///
/// let mut table = PageTable::create(&MemoryStorage::new(), &TableOptions::new("users.pages"))?;
/// let change = table.insert(b"123", b"balance=50")?;
/// for entry in change.entries() {
///     assert_eq!(PhysicalEntry::decode(&entry.encode()).as_ref(), Ok(entry));
/// }
/// // A page that did not exist is logged whole, without its zeros.
/// assert!(matches!(change.entries()[1].change(), PageChange::Image(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalEntry {
    format: PageFormat,
    page: PageId,
    index: u32,
    remaining: u32,
    change: PageChange,
}

/// What became of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageChange {
    /// The whole page: these bytes, and zeros everywhere else. Logged when a page is touched for the
    /// first time since the last checkpoint, because a power cut during the next one may tear it.
    Image(Vec<ByteRange>),
    /// Some bytes of a page.
    Bytes {
        /// The checksum of the page as it was: on any other page these bytes mean nothing.
        before: u32,
        /// What was overwritten.
        ranges: Vec<ByteRange>,
    },
}

/// New bytes at one place of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Where they begin, counted from the start of the page.
    pub offset: u32,
    /// The bytes; never none.
    pub bytes: Vec<u8>,
}

impl PhysicalEntry {
    /// The entry `index` of a mini-transaction that has `remaining` more after it.
    pub(crate) fn new(
        format: PageFormat,
        page: PageId,
        (index, remaining): (u32, u32),
        change: PageChange,
    ) -> Self {
        Self { format, page, index, remaining, change }
    }

    /// The format of the table the page belongs to.
    pub const fn format(&self) -> PageFormat {
        self.format
    }

    /// The page that changed.
    pub const fn page(&self) -> PageId {
        self.page
    }

    /// How many entries of the same mini-transaction come before this one.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// How many entries of the same mini-transaction follow.
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// What became of the page.
    pub const fn change(&self) -> &PageChange {
        &self.change
    }
}

impl PageChange {
    /// The bytes that are stated, in the order of their places.
    pub fn ranges(&self) -> &[ByteRange] {
        match self {
            Self::Image(ranges) | Self::Bytes { ranges, .. } => ranges,
        }
    }

    /// Writes the stated bytes over a page of the entry's size.
    pub(crate) fn write(&self, page: &mut [u8]) {
        for range in self.ranges() {
            let start = range.offset as usize;
            if let Some(bytes) = page.get_mut(start..start + range.bytes.len()) {
                bytes.copy_from_slice(&range.bytes);
            }
        }
    }
}
