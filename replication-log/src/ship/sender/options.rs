//! How a log is shipped.

use alloc::string::String;
use core::time::Duration;

use crate::{Epoch, page::PageFormat};

/// How a log is shipped to one follower.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderOptions {
    /// The name of the node that leads: of this one, or where it passes on what it follows, of the one whose
    /// log it is.
    pub leader: String,
    /// The epoch of that node.
    pub epoch: Epoch,
    /// The format of the pages that physical entries of the log speak of; `None` if it has none. Who wants a physical
    /// copy must have the same.
    pub pages: Option<PageFormat>,
    /// After how long without anything to send the follower is told that this end is there. 1 second.
    pub heartbeat: Duration,
    /// After how long without progress what was sent is sent again. 5 seconds. Connections that lose nothing do not
    /// need it.
    pub resend: Duration,
    /// How many bytes of records are gathered in a frame before it is sent, if so many are there. 256 KiB. A larger
    /// batch is a frame of its own.
    pub frame_bytes: usize,
}

impl SenderOptions {
    /// Ships the log of `leader`, who leads under `epoch`.
    pub fn new(leader: impl Into<String>, epoch: Epoch) -> Self {
        Self {
            leader: leader.into(),
            epoch,
            pages: None,
            heartbeat: Duration::from_secs(1),
            resend: Duration::from_secs(5),
            frame_bytes: 256 << 10,
        }
    }

    /// Sets the format of the pages that the log speaks of.
    pub fn pages(mut self, pages: PageFormat) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Sets after how long without anything to send the follower hears that this end is there.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Sets after how long without progress what was sent is sent again.
    pub fn resend(mut self, after: Duration) -> Self {
        self.resend = after;
        self
    }

    /// Sets how many bytes of records are gathered in a frame.
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }
}
