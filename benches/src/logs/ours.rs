//! `replication-log`, through its public interface. The only file that has to change with it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use replication_log::handle::LogHandle;
use replication_log::storage::{DiskFile, FileStorage, Storage, StorageError, StorageFile};
use replication_log::{Batch, Epoch, FsyncPolicy, Log, LogOptions, Lsn, RecordKind};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, SEGMENT_BYTES, Sharing, Tailing, Write};

const EPOCH: Epoch = Epoch::new(1);
const KIND: RecordKind = RecordKind(1);

/// With zeros written ahead, as by default.
pub type Ours = ReplicationLog<{ 1 << 20 }, 1>;
/// With a file that grows by every write.
pub type Growing = ReplicationLog<0, 1>;
/// With a thousand records in each batch where nobody waits for one.
pub type Batching = ReplicationLog<0, 1_000>;

/// A log that fills its segments with zeros `AHEAD` bytes ahead and puts `BATCH` records into each batch that nobody
/// waits for.
pub struct ReplicationLog<const AHEAD: u64, const BATCH: usize> {
    log: Log<Counting>,
    syncs: Arc<AtomicU64>,
}

impl<const AHEAD: u64, const BATCH: usize> ReplicationLog<AHEAD, BATCH> {
    fn open(folder: &Path) -> Self {
        let syncs = Arc::<AtomicU64>::default();
        let inner = FileStorage::open(folder).expect("a folder");
        let options = LogOptions::new(7).segment_bytes(u64::from(SEGMENT_BYTES)).preallocate_bytes(AHEAD);
        let storage = Counting { inner, syncs: Arc::clone(&syncs) };
        let (log, _) = Log::open(storage, options).expect("a log");
        Self { log, syncs }
    }

    fn append_one(&mut self, payload: &[u8]) {
        self.log.append_record(EPOCH, KIND, payload).expect("appended");
    }
}

impl<const AHEAD: u64, const BATCH: usize> Candidate for ReplicationLog<AHEAD, BATCH> {
    const NAME: &'static str = match (AHEAD, BATCH) {
        (0, 1) => "replication-log, growing",
        (0, _) => "replication-log, 1,000 a batch",
        _ => "replication-log",
    };

    fn create(folder: &Path) -> Self {
        Self::open(folder)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let mut log = Self::open(folder);
        log.read_from(0, digest);
        log
    }

    fn syncs(&self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(&self.syncs))
    }
}

impl<const AHEAD: u64, const BATCH: usize> Appending for ReplicationLog<AHEAD, BATCH> {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        let mut left = records.iter().peekable();
        while left.peek().is_some() {
            let mut batch = self.log.begin_batch(EPOCH).expect("a batch");
            left.by_ref().take(BATCH).for_each(|payload| batch.push(KIND, payload).expect("a record fits"));
            batch.commit().expect("appended");
        }
        appended();
        self.log.sync().expect("synced");
    }
}

impl<const AHEAD: u64, const BATCH: usize> Committing for ReplicationLog<AHEAD, BATCH> {
    fn commit(&mut self, payload: &[u8]) {
        self.append_one(payload);
        self.log.sync().expect("synced");
    }
}

impl<const AHEAD: u64, const BATCH: usize> Sharing for ReplicationLog<AHEAD, BATCH> {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        let handle = LogHandle::start(self.log, FsyncPolicy::Group).expect("a thread");
        (0..threads).map(|_| Writer { handle: handle.clone(), batch: Batch::new(EPOCH) }).collect()
    }
}

/// A clone of the handle with a batch to use again and again.
pub struct Writer {
    handle: LogHandle<Counting>,
    batch: Batch,
}

impl Write for Writer {
    fn commit(&mut self, payload: &[u8]) {
        self.batch.clear();
        self.batch.push(KIND, payload).expect("a record fits");
        self.handle.append_durable(&self.batch).expect("durable");
    }
}

impl<const AHEAD: u64, const BATCH: usize> Tailing for ReplicationLog<AHEAD, BATCH> {
    fn append(&mut self, payload: &[u8]) {
        self.append_one(payload);
    }

    fn publish(&mut self) {
        self.log.flush().expect("written");
    }

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        let mut reader = self.log.read_written_from(Lsn::new(first + 1)).expect("still there");
        while let Some(record) = reader.next_record().expect("readable") {
            digest.add(record.payload);
        }
    }
}

/// A folder that counts syncs of its files. Those of the folder itself are not counted: a segment costs one.
struct Counting {
    inner: FileStorage,
    syncs: Arc<AtomicU64>,
}

struct CountingFile {
    inner: DiskFile,
    syncs: Arc<AtomicU64>,
}

impl Counting {
    fn counted(&self, inner: DiskFile) -> CountingFile {
        CountingFile { inner, syncs: Arc::clone(&self.syncs) }
    }
}

impl Storage for Counting {
    type File = CountingFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<CountingFile, StorageError> {
        self.inner.create(name).map(|file| self.counted(file))
    }

    fn open(&self, name: &str) -> Result<CountingFile, StorageError> {
        self.inner.open(name).map(|file| self.counted(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.inner.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), StorageError> {
        self.inner.sync_directory()
    }
}

impl StorageFile for CountingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.write_at(offset, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), StorageError> {
        self.inner.set_len(length)
    }

    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_data()
    }
}
