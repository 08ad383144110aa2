//! What two nodes must agree on before bytes of pages can be copied between them.

use core::fmt;

use crate::limits::{MAX_PAGE_BYTES, MIN_PAGE_BYTES};

/// The version of the pages this build reads and writes.
pub(crate) const PAGE_FORMAT_VERSION: u8 = 1;

/// The place of a page in its file; page 0 is the meta page.
///
/// ```
/// use replication_log::page::PageId;
///
/// assert_eq!(PageId::new(7).to_string(), "7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(u32);

impl PageId {
    /// Where the file says what it is.
    pub(crate) const META: Self = Self(0);
    /// Where the table keeps its roots and counts.
    pub(crate) const DIRECTORY: Self = Self(1);

    /// The page with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The format of a table's pages. Physical entries are changes of bytes, so they can be shipped only
/// between tables of the same format; nodes compare theirs when they meet, before anything is sent.
///
/// Byte order is part of the version: all numbers are little-endian whatever the machine.
///
/// ```
/// use replication_log::page::PageFormat;
///
/// let (leader, follower) = (PageFormat::new(4096)?, PageFormat::new(8192)?);
/// let received = PageFormat::decode(leader.encode());
/// assert_eq!(received, leader);
/// assert!(leader.check(&received).is_ok());
/// assert!(follower.check(&received).is_err(), "nothing is shipped between these two");
/// # Ok::<(), replication_log::page::PageSizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFormat {
    version: u8,
    size_bits: u8,
}

impl PageFormat {
    /// Pages of `size` bytes in the version this build writes; a power of two within the
    /// [`limits`](crate::limits).
    pub fn new(size: u32) -> Result<Self, PageSizeError> {
        if size.is_power_of_two() && (MIN_PAGE_BYTES..=MAX_PAGE_BYTES).contains(&size) {
            return Ok(Self::of_bits(size.trailing_zeros().to_le_bytes()[0]));
        }
        Err(PageSizeError { size, min: MIN_PAGE_BYTES, max: MAX_PAGE_BYTES })
    }

    const fn of_bits(size_bits: u8) -> Self {
        Self { version: PAGE_FORMAT_VERSION, size_bits }
    }

    /// Two bytes for a handshake: the version, and the logarithm of the page size.
    pub const fn encode(self) -> [u8; 2] {
        [self.version, self.size_bits]
    }

    /// What a peer says its format is. Whatever it says, [`check`](Self::check) decides.
    pub const fn decode(bytes: [u8; 2]) -> Self {
        Self { version: bytes[0], size_bits: bytes[1] }
    }

    /// Whether pages of `other` can be taken over byte for byte.
    pub fn check(&self, other: &Self) -> Result<(), FormatMismatch> {
        if self == other { Ok(()) } else { Err(FormatMismatch { have: *self, got: *other }) }
    }

    /// The version of the pages.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// The bytes of one page; `None` for a size no page can have, which only a peer can state.
    pub fn size(&self) -> Option<u32> {
        1_u32.checked_shl(self.size_bits.into()).filter(|&size| Self::new(size).is_ok())
    }

    /// The bytes of one page of a table, whose format was made by [`new`](Self::new).
    pub(crate) fn page_bytes(self) -> usize {
        1 << self.size_bits.min(16)
    }
}

impl fmt::Display for PageFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "version {} with pages of 2^{} bytes", self.version, self.size_bits)
    }
}

/// Two tables differ in format, so the bytes of one mean nothing to the other. Ship logical entries
/// instead. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pages of another format: this table has {have}, the other side {got}; nothing was changed")]
pub struct FormatMismatch {
    /// The format of the table that refuses.
    pub have: PageFormat,
    /// What it was offered.
    pub got: PageFormat,
}

/// A page cannot have this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page of {size} bytes: it must be a power of two in {min}..={max}; nothing was created")]
pub struct PageSizeError {
    /// The size asked for.
    pub size: u32,
    /// The smallest allowed.
    pub min: u32,
    /// The largest allowed.
    pub max: u32,
}
