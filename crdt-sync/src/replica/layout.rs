//! What a replica knows of the ring that its partitions lie on.

use replication_log::Lsn;

use super::{JournalRecord, Replica};
use crate::placement::Layout;

/// The ring as it was written down last.
#[derive(Debug, Default)]
pub(super) struct NotedLayout {
    known: Option<Layout>,
    lsn: Lsn,
}

impl Replica {
    /// What was written down of the ring; none where nothing ever was.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.noted_layout.known.as_ref()
    }

    /// The record of what was written down. Before it is durable nobody may be told.
    pub(crate) fn layout_lsn(&self) -> Lsn {
        self.noted_layout.lsn
    }

    /// Writes down what became known of the ring.
    pub(crate) fn note_layout(&mut self, layout: &Layout) -> Lsn {
        let lsn = self.journal.append(&JournalRecord::Layout(layout.clone()));
        self.replay_layout(layout.clone(), lsn);
        lsn
    }

    pub(super) fn replay_layout(&mut self, layout: Layout, lsn: Lsn) {
        self.noted_layout = NotedLayout { known: Some(layout), lsn };
    }

    pub(super) fn record_of_layout(&self) -> Option<JournalRecord> {
        self.layout().cloned().map(JournalRecord::Layout)
    }
}
