//! How much is on its way to a follower, and how much more may be.

use alloc::collections::VecDeque;

/// What was sent and is not known to have arrived.
///
/// Places are whatever ascends with what is sent: numbers of records, or bytes of a snapshot.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// What each frame ended with, and how many bytes it took.
    on_the_way: VecDeque<(u64, usize)>,
    bytes: usize,
    /// How many bytes the follower takes beyond what it has said to have.
    open: usize,
}

impl Window {
    pub(super) fn new(open: u32) -> Self {
        Self { open: open as usize, ..Self::default() }
    }

    /// Whether another frame may follow. There may always be one, so that no batch is too large for a window.
    pub(super) fn is_open(&self) -> bool {
        self.on_the_way.is_empty() || self.bytes < self.open
    }

    pub(super) fn is_idle(&self) -> bool {
        self.on_the_way.is_empty()
    }

    pub(super) fn sent(&mut self, end: u64, bytes: usize) {
        self.on_the_way.push_back((end, bytes));
        self.bytes += bytes;
    }

    /// The follower takes so many bytes beyond what it has said to have.
    pub(super) fn opens(&mut self, bytes: u32) {
        self.open = bytes as usize;
    }

    /// The follower has everything up to `end`. Returns whether that is progress.
    pub(super) fn arrived(&mut self, end: u64) -> bool {
        let arrived = self.on_the_way.iter().take_while(|(last, _)| *last <= end).count();
        self.bytes -= self.on_the_way.drain(..arrived).map(|(_, bytes)| bytes).sum::<usize>();
        arrived > 0
    }

    /// What is on its way will be sent again.
    pub(super) fn lost(&mut self) {
        self.on_the_way.clear();
        self.bytes = 0;
    }
}
