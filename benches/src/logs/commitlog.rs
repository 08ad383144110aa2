//! `commitlog` 0.2. It never syncs the records: its flush is `File::flush`, which does nothing, so that it is only
//! compared where nobody syncs.

use std::path::Path;

use commitlog::message::MessageSet;
use commitlog::{CommitLog, LogOptions, ReadLimit};

use super::records::{Digest, Records};
use super::{Appending, Candidate, SEGMENT_BYTES, Tailing};

const PAGE_BYTES: usize = 1 << 20;

/// The log.
pub struct Commitlog(CommitLog);

impl Commitlog {
    fn open(folder: &Path) -> Self {
        let mut options = LogOptions::new(folder);
        options.segment_max_bytes(SEGMENT_BYTES as usize);
        Self(CommitLog::new(options).expect("a log"))
    }
}

impl Candidate for Commitlog {
    const NAME: &'static str = "commitlog (never syncs)";
    const SYNCS: bool = false;

    fn create(folder: &Path) -> Self {
        Self::open(folder)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let mut log = Self::open(folder);
        log.read_from(0, digest);
        log
    }
}

impl Appending for Commitlog {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        for payload in records.iter() {
            self.0.append_msg(payload).expect("appended");
        }
        appended();
        self.0.flush().expect("flushed");
    }
}

impl Tailing for Commitlog {
    fn append(&mut self, payload: &[u8]) {
        self.0.append_msg(payload).expect("appended");
    }

    fn publish(&mut self) {}

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        let mut next = first;
        while next < self.0.next_offset() {
            let page = self.0.read(next, ReadLimit::max_bytes(PAGE_BYTES)).expect("readable");
            for message in page.iter() {
                digest.add(message.payload());
                next = message.offset() + 1;
            }
        }
    }
}
