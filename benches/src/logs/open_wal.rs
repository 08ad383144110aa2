//! `open-wal` 0.2. An append stays in memory until a commit writes and syncs all of them; it has one writer, so that
//! threads share it, and its commits, by a lock around it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use open_wal::{Lsn, Wal, WalConfig};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, SEGMENT_BYTES, Sharing, Tailing, Write};

/// The log.
pub struct OpenWal(Wal);

impl OpenWal {
    fn open(folder: &Path) -> Self {
        let config = WalConfig { segment_size: u64::from(SEGMENT_BYTES), ..WalConfig::default() };
        Self(Wal::open(folder, config).expect("a log").0)
    }
}

impl Candidate for OpenWal {
    const NAME: &'static str = "open-wal (in memory until its sync)";

    fn create(folder: &Path) -> Self {
        Self::open(folder)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let mut log = Self::open(folder);
        log.read_from(0, digest);
        log
    }
}

impl Appending for OpenWal {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        for payload in records.iter() {
            self.0.append(payload).expect("appended");
        }
        appended();
        self.0.commit().expect("durable");
    }
}

impl Committing for OpenWal {
    fn commit(&mut self, payload: &[u8]) {
        self.0.append(payload).expect("appended");
        self.0.commit().expect("durable");
    }
}

impl Sharing for OpenWal {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        let shared = Arc::new(Mutex::new(self.0));
        (0..threads).map(|_| Writer(Arc::clone(&shared))).collect()
    }
}

/// The log behind a lock.
pub struct Writer(Arc<Mutex<Wal>>);

impl Write for Writer {
    /// Whoever gets the lock after appending commits for all who appended before.
    fn commit(&mut self, payload: &[u8]) {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lsn = lock().append(payload).expect("appended");
        let mut wal = lock();
        if wal.durable_lsn() < lsn {
            wal.commit().expect("durable");
        }
    }
}

impl Tailing for OpenWal {
    fn append(&mut self, payload: &[u8]) {
        self.0.append(payload).expect("appended");
    }

    fn publish(&mut self) {
        self.0.commit().expect("durable");
    }

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        let mut reader = self.0.reader_from(Lsn(first + 1)).expect("readable");
        while let Some(record) = reader.next() {
            digest.add(record.expect("intact").1);
        }
    }
}
