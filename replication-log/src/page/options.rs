//! How a table is created.

use alloc::string::String;

/// The file of a table, and the size of its pages.
///
/// ```
/// use replication_log::page::TableOptions;
///
/// let options = TableOptions::new("users.pages").page_bytes(16 << 10);
/// assert_eq!(options.page_bytes, 16 << 10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableOptions {
    /// The name of the file. A log in the same storage does not mind it, unless it ends like a
    /// segment's.
    pub name: String,
    /// The size of the pages when the table is created; an existing table keeps its own.
    pub page_bytes: u32,
}

impl TableOptions {
    /// A file of this name, with pages of 4 KiB.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), page_bytes: 4096 }
    }

    /// Sets the size of the pages: a power of two within the [`limits`](crate::limits).
    pub fn page_bytes(mut self, bytes: u32) -> Self {
        self.page_bytes = bytes;
        self
    }
}
