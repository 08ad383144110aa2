//! `wal-db` 1.1. An append is one write; many threads share one `fdatasync`.

use std::path::Path;
use std::sync::Arc;

use wal_db::{Lsn, SegmentedStore, Wal};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, SEGMENT_BYTES, Sharing, Tailing, Write};

/// With where each record is, which is how this log finds one again.
pub struct WalDb {
    wal: Arc<Wal<SegmentedStore>>,
    places: Vec<Lsn>,
}

impl WalDb {
    fn open(folder: &Path) -> Self {
        let wal = Wal::open_segmented(folder, u64::from(SEGMENT_BYTES)).expect("a log");
        Self { wal: Arc::new(wal), places: Vec::new() }
    }
}

impl Candidate for WalDb {
    const NAME: &'static str = "wal-db";

    fn create(folder: &Path) -> Self {
        Self::open(folder)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let log = Self::open(folder);
        for record in log.wal.iter().expect("readable") {
            digest.add(record.expect("intact").data());
        }
        log
    }
}

impl Appending for WalDb {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        for payload in records.iter() {
            let _ = self.wal.append(payload).expect("appended");
        }
        appended();
        self.wal.sync().expect("synced");
    }
}

impl Committing for WalDb {
    fn commit(&mut self, payload: &[u8]) {
        let _ = self.wal.append_and_sync(payload).expect("durable");
    }
}

impl Sharing for WalDb {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        (0..threads).map(|_| Writer(Arc::clone(&self.wal))).collect()
    }
}

/// The log itself, shared.
pub struct Writer(Arc<Wal<SegmentedStore>>);

impl Write for Writer {
    fn commit(&mut self, payload: &[u8]) {
        let _ = self.0.append_and_sync(payload).expect("durable");
    }
}

impl Tailing for WalDb {
    fn append(&mut self, payload: &[u8]) {
        self.places.push(self.wal.append(payload).expect("appended"));
    }

    fn publish(&mut self) {}

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        let Some(place) = usize::try_from(first).ok().and_then(|first| self.places.get(first)) else {
            return;
        };
        for record in self.wal.iter_from(*place).expect("readable") {
            digest.add(record.expect("intact").data());
        }
    }
}
