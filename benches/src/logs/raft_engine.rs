//! `raft-engine` 0.4. A log of each thread is one of its groups; it keeps an index of all entries in memory.
//! Compression is off.

use std::path::Path;
use std::sync::Arc;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, SEGMENT_BYTES, Sharing, Tailing, Write};

const GROUP: u64 = 1;
/// The most entries that are asked for at once.
const PAGE: u64 = 10_000;

/// An entry is its index and the payload.
struct Entries;

impl MessageExt for Entries {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        entry.value.first_chunk().map_or(0, |index| u64::from_le_bytes(*index))
    }
}

/// The engine and the writer of its only group.
pub struct RaftEngine(Writer);

/// Writes one group.
pub struct Writer {
    engine: Arc<Engine>,
    group: u64,
    last: u64,
    batch: LogBatch,
}

impl Writer {
    fn new(engine: Arc<Engine>, group: u64) -> Self {
        let last = engine.last_index(group).unwrap_or(0);
        Self { engine, group, last, batch: LogBatch::with_capacity(1) }
    }

    fn write(&mut self, payload: &[u8], sync: bool) {
        self.last += 1;
        let mut entry = BytesValue::new();
        entry.value.reserve_exact(8 + payload.len());
        entry.value.extend_from_slice(&self.last.to_le_bytes());
        entry.value.extend_from_slice(payload);
        self.batch.add_entries::<Entries>(self.group, &[entry]).expect("an entry fits");
        self.engine.write(&mut self.batch, sync).expect("written");
    }
}

fn open(folder: &Path) -> Arc<Engine> {
    let config = Config {
        dir: folder.to_string_lossy().into_owned(),
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(u64::from(SEGMENT_BYTES)),
        ..Config::default()
    };
    Arc::new(Engine::open(config).expect("an engine"))
}

fn read(engine: &Engine, group: u64, first: u64, digest: &mut Digest) {
    let end = engine.last_index(group).map_or(0, |last| last + 1);
    let mut entries = Vec::new();
    let mut from = first;
    while from < end {
        let to = end.min(from + PAGE);
        entries.clear();
        engine.fetch_entries_to::<Entries>(group, from, to, None, &mut entries).expect("readable");
        for entry in &entries {
            digest.add(&entry.value[8..]);
        }
        from = to;
    }
}

impl Candidate for RaftEngine {
    const NAME: &'static str = "raft-engine";

    fn create(folder: &Path) -> Self {
        Self(Writer::new(open(folder), GROUP))
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let engine = open(folder);
        for group in engine.raft_groups() {
            read(&engine, group, 1, digest);
        }
        Self(Writer::new(engine, GROUP))
    }
}

impl Appending for RaftEngine {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        records.iter().for_each(|payload| self.0.write(payload, false));
        appended();
        self.0.engine.sync().expect("synced");
    }
}

impl Committing for RaftEngine {
    fn commit(&mut self, payload: &[u8]) {
        self.0.write(payload, true);
    }
}

impl Sharing for RaftEngine {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        let groups = (GROUP..).take(threads);
        groups.map(|group| Writer::new(Arc::clone(&self.0.engine), group)).collect()
    }
}

impl Write for Writer {
    fn commit(&mut self, payload: &[u8]) {
        self.write(payload, true);
    }
}

impl Tailing for RaftEngine {
    fn append(&mut self, payload: &[u8]) {
        self.0.write(payload, false);
    }

    fn publish(&mut self) {}

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        read(&self.0.engine, GROUP, first + 1, digest);
    }
}
