//! `okaywal` 0.3. Every entry is synced, so records that are not are chunks of one entry. It reads in order only when
//! it is opened.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use okaywal::{
    Configuration, Entry, EntryId, LogManager, LogVoid, ReadChunkResult, SegmentReader, WriteAheadLog,
};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, SEGMENT_BYTES, Sharing, Write};

/// The log. It keeps what it has until it is closed: no segment is handed over to a checkpoint.
pub struct OkayWal(WriteAheadLog);

impl OkayWal {
    fn open(folder: &Path, manager: impl LogManager) -> Self {
        let configuration = Configuration::default_for(folder)
            .preallocate_bytes(SEGMENT_BYTES)
            .checkpoint_after_bytes(u64::MAX);
        Self(configuration.open(manager).expect("a log"))
    }
}

impl Candidate for OkayWal {
    const NAME: &'static str = "okaywal";

    fn create(folder: &Path) -> Self {
        Self::open(folder, LogVoid)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let recovered = Arc::<Mutex<Digest>>::default();
        let log = Self::open(folder, Recovered(Arc::clone(&recovered)));
        *digest = *recovered.lock().unwrap_or_else(PoisonError::into_inner);
        log
    }
}

impl Appending for OkayWal {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        let mut entry = self.0.begin_entry().expect("an entry");
        for payload in records.iter() {
            entry.write_chunk(payload).expect("appended");
        }
        appended();
        entry.commit().expect("durable");
    }
}

impl Committing for OkayWal {
    fn commit(&mut self, payload: &[u8]) {
        commit(&self.0, payload);
    }
}

impl Sharing for OkayWal {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        (0..threads).map(|_| Writer(self.0.clone())).collect()
    }
}

/// The log itself, shared.
pub struct Writer(WriteAheadLog);

impl Write for Writer {
    fn commit(&mut self, payload: &[u8]) {
        commit(&self.0, payload);
    }
}

fn commit(wal: &WriteAheadLog, payload: &[u8]) {
    let mut entry = wal.begin_entry().expect("an entry");
    entry.write_chunk(payload).expect("appended");
    entry.commit().expect("durable");
}

/// Looks at all that is found when the log is opened.
#[derive(Debug)]
struct Recovered(Arc<Mutex<Digest>>);

impl LogManager for Recovered {
    fn recover(&mut self, entry: &mut Entry<'_>) -> std::io::Result<()> {
        let mut digest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            digest.add(&chunk.read_all()?);
            assert!(chunk.check_crc()?, "an intact chunk");
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _last: EntryId,
        _entries: &mut SegmentReader,
        _wal: &WriteAheadLog,
    ) -> std::io::Result<()> {
        Ok(())
    }
}
