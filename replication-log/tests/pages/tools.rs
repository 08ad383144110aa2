//! What the tests share: a table with its log, and a model of both.

use std::collections::BTreeMap;

use replication_log::{
    Batch, Epoch, Log, LogOptions, Lsn, RecordKind,
    entry::physical::{ApplyError, PhysicalEntry},
    page::{Change, MiniTransaction, PageTable, TableOptions, TableRecovery},
    storage::{FaultStorage, MemoryStorage, Storage},
};

pub(crate) const PAGE: RecordKind = RecordKind(1);
pub(crate) const NAME: &str = "users.pages";

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The encoded entries of a change.
pub(crate) fn encoded<S: Storage>(change: &Change<'_, S>) -> Vec<Vec<u8>> {
    change.entries().iter().map(PhysicalEntry::encode).collect()
}

/// The entries of a change as one batch.
pub(crate) fn batch<S: Storage>(change: &Change<'_, S>) -> Batch {
    let mut batch = Batch::new(Epoch::ZERO);
    for entry in encoded(change) {
        batch.push(PAGE, &entry).expect("small");
    }
    batch
}

pub(crate) fn log_options() -> LogOptions {
    LogOptions::new(0x5eed).segment_bytes(1 << 20).preallocate_bytes(0)
}

pub(crate) fn table_options(page_bytes: u32) -> TableOptions {
    TableOptions::new(NAME).page_bytes(page_bytes)
}

/// A table whose log is a list in memory.
pub(crate) struct Leader<S: Storage> {
    pub(crate) table: PageTable<S>,
    pub(crate) log: Vec<(Lsn, Vec<u8>)>,
}

impl Leader<MemoryStorage> {
    pub(crate) fn in_memory(page_bytes: u32) -> (MemoryStorage, Self) {
        let storage = MemoryStorage::new();
        (storage.clone(), Self::create(&storage, page_bytes))
    }
}

impl<S: Storage> Leader<S> {
    pub(crate) fn create(storage: &S, page_bytes: u32) -> Self {
        let table = PageTable::create(storage, &table_options(page_bytes)).expect("new");
        Self { table, log: Vec::new() }
    }

    /// Runs a mini-transaction and logs it; returns the entries.
    pub(crate) fn write(&mut self, change: impl FnOnce(&mut MiniTransaction<'_, S>)) -> Vec<Vec<u8>> {
        let mut mini = self.table.begin().expect("healthy");
        change(&mut mini);
        let change = mini.finish().expect("sound");
        let entries = encoded(&change);
        let first = self.log.len() as u64 + 1;
        self.log.extend((first..).map(Lsn::new).zip(entries.clone()));
        change.install(Lsn::new(self.log.len() as u64)).expect("next");
        entries
    }

    pub(crate) fn upsert(&mut self, key: &[u8], value: &[u8]) -> Vec<Vec<u8>> {
        self.write(|mini| assert!(mini.upsert(key, value).is_ok()))
    }

    pub(crate) fn checkpoint(&mut self) {
        let last = Lsn::new(self.log.len() as u64);
        self.table.checkpoint(last).expect("healthy");
    }
}

/// All rows of a table.
pub(crate) fn rows<S: Storage>(table: &mut PageTable<S>) -> Model {
    let rows: Result<Model, _> = table.range(..).expect("sound").collect();
    let rows = rows.expect("sound");
    assert_eq!(table.len(), Ok(rows.len() as u64));
    rows
}

/// What becomes of an opened file with the records of a log.
pub(crate) fn recovered<S: Storage, L: Storage>(
    recovery: TableRecovery<S>,
    log: &Log<L>,
) -> Result<PageTable<S>, ApplyError> {
    let records = log.read_from(recovery.replay_from()).expect("not truncated").into_iter();
    recovery
        .replay_all(records.map(|record| record.expect("intact")).map(|record| (record.lsn, record.payload)))
}

pub(crate) fn key(number: u32) -> Vec<u8> {
    number.wrapping_mul(0x9e37_79b9).to_be_bytes().to_vec()
}

pub(crate) fn value(number: u32, size: usize) -> Vec<u8> {
    (0..size).map(|at| key(number)[at % 4] ^ at.to_le_bytes()[0]).collect()
}

/// CRC32C bit by bit, from its definition.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
    };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// How many pages of the file are neither as they were written nor empty.
pub(crate) fn torn_pages(disk: &FaultStorage, page_bytes: usize) -> usize {
    let bytes = disk.bytes(NAME).unwrap_or_default();
    let pages = bytes.chunks_exact(page_bytes).skip(1).filter(|page| page.iter().any(|&byte| byte != 0));
    pages.filter(|page| crc32c(&page[4..]).to_le_bytes() != page[..4]).count()
}
