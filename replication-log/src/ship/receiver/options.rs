//! What a follower wants of whom.

use alloc::string::String;

use crate::{
    entry::logical::{FORMAT_VERSIONS, Filter, FormatVersions},
    page::PageFormat,
};

/// What a follower wants, and how much at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverOptions {
    /// The follower's name, which is that of its slot at the leader.
    pub name: String,
    /// What it wants to be sent.
    pub wants: Wants,
    /// How many bytes of records it takes before it has written them. 8 MiB. A larger batch comes alone.
    pub window: u32,
}

/// What a follower wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// The batches themselves. With a format, records may say which bytes of pages became what, and only a leader
    /// whose pages have the same is followed.
    Copy {
        /// The format of its pages.
        pages: Option<PageFormat>,
    },
    /// The transactions of a logical stream.
    Logical {
        /// The versions of the entry format it reads.
        formats: FormatVersions,
        /// What it wants to know of.
        filter: Filter,
    },
}

impl ReceiverOptions {
    /// Wants a copy of the log, whatever its records mean.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), wants: Wants::Copy { pages: None }, window: 8 << 20 }
    }

    /// Wants a physical copy, of pages of this format.
    pub fn pages(mut self, pages: PageFormat) -> Self {
        self.wants = Wants::Copy { pages: Some(pages) };
        self
    }

    /// Wants the transactions of a logical stream, or what `filter` leaves of them.
    pub fn logical(mut self, filter: Filter) -> Self {
        self.wants = Wants::Logical { formats: FORMAT_VERSIONS, filter };
        self
    }

    /// Sets how many bytes may be under way.
    pub fn window(mut self, bytes: u32) -> Self {
        self.window = bytes;
        self
    }
}
