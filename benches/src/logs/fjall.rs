//! `fjall` 3.1, for its journal. It keeps a sorted table in memory beside it, which is large enough here that nothing
//! else is written.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::records::{Digest, Records};
use super::{Appending, Candidate, Committing, Sharing, Tailing, Write};

const TABLE_BYTES: u64 = 4 << 30;

/// The database and the next key.
pub struct Fjall(Writer);

/// Writes keys of its own, in ascending order.
pub struct Writer {
    database: Database,
    records: Keyspace,
    next: u64,
}

impl Writer {
    fn insert(&mut self, payload: &[u8]) {
        self.records.insert(self.next.to_be_bytes(), payload).expect("inserted");
        self.next += 1;
    }

    fn persist(&self, mode: PersistMode) {
        self.database.persist(mode).expect("persisted");
    }
}

impl Fjall {
    fn open(folder: &Path) -> Self {
        let database = Database::builder(folder)
            .manual_journal_persist(true)
            .max_journaling_size(TABLE_BYTES)
            .open()
            .expect("a database");
        let options =
            || KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(TABLE_BYTES);
        let records = database.keyspace("records", options).expect("a keyspace");
        Self(Writer { database, records, next: 0 })
    }
}

impl Candidate for Fjall {
    const NAME: &'static str = "fjall";

    fn create(folder: &Path) -> Self {
        Self::open(folder)
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let mut log = Self::open(folder);
        log.read_from(0, digest);
        log
    }
}

impl Appending for Fjall {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        records.iter().for_each(|payload| self.0.insert(payload));
        appended();
        self.0.persist(PersistMode::SyncData);
    }
}

impl Committing for Fjall {
    fn commit(&mut self, payload: &[u8]) {
        self.0.commit(payload);
    }
}

impl Sharing for Fjall {
    type Writer = Writer;

    fn share(self, threads: usize) -> Vec<Writer> {
        let starts = (0..threads as u64).map(|thread| thread << 40);
        starts
            .map(|next| Writer { database: self.0.database.clone(), records: self.0.records.clone(), next })
            .collect()
    }
}

impl Write for Writer {
    fn commit(&mut self, payload: &[u8]) {
        self.insert(payload);
        self.persist(PersistMode::SyncData);
    }
}

impl Tailing for Fjall {
    fn append(&mut self, payload: &[u8]) {
        self.0.insert(payload);
    }

    fn publish(&mut self) {}

    fn read_from(&mut self, first: u64, digest: &mut Digest) {
        for pair in self.0.records.range(first.to_be_bytes()..) {
            digest.add(&pair.value().expect("readable"));
        }
    }
}
