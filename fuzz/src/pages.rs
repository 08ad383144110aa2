//! A table whose pages or entries were written by somebody else.

use replication_log::Lsn;
use replication_log::entry::physical::{PhysicalApplier, PhysicalEntry};
use replication_log::page::{PageTable, TableOptions};
use replication_log::storage::MemoryStorage;

const NAME: &str = "fuzz.pages";
const PAGE_BYTES: usize = 512;
const ROWS: u8 = 70;

type Table = PageTable<MemoryStorage>;

/// However a table's file is forged, with checksums that fit, and however entries are that it is offered: every
/// operation ends, and an entry that is refused changes nothing. The first byte says how much of the rest is for the
/// file.
pub fn a_forged_table_never_goes_further_than_an_error(edits: &[u8]) {
    let Some((&share, edits)) = edits.split_first() else { return };
    let (pages, entries) = edits.split_at(edits.len() * usize::from(share) / 255);
    let storage = MemoryStorage::new();
    let log = a_small_table(&storage);
    forge_entries(log, entries);
    forge_pages(&storage, pages);
    let Ok(recovery) = PageTable::open(&storage, &options()) else { return };
    let Ok(mut table) = recovery.finish() else { return };
    let bytes = storage.bytes(NAME).map_or(0, |bytes| bytes.len());
    let rows = table.range(..).map_or(0, |rows| rows.take_while(Result::is_ok).count());
    assert!(rows <= bytes, "more rows than bytes");
    change_every_row(&mut table);
    let _ = table.checkpoint(table.applied());
}

fn options() -> TableOptions {
    TableOptions::new(NAME).page_bytes(512)
}

/// Several levels, values of several sizes, free pages; checkpointed. Returns the entries.
fn a_small_table(storage: &MemoryStorage) -> Vec<Vec<u8>> {
    let mut table = PageTable::create(storage, &options()).expect("an empty storage takes a table");
    let mut log = Vec::new();
    for number in 0..ROWS {
        let mut mini = table.begin().expect("memory is healthy");
        let size = if number % 20 == 7 { 1300 } else { 40 };
        mini.upsert(&key(number), &vec![number; size]).expect("a small row fits");
        if number % 3 == 2 {
            mini.delete(&key(number / 2)).expect("the table is sound");
        }
        let change = mini.finish().expect("nothing failed");
        log.extend(change.entries().iter().map(PhysicalEntry::encode));
        change.install(Lsn::new(log.len() as u64)).expect("numbers ascend");
    }
    table.checkpoint(table.applied()).expect("memory is healthy");
    log
}

fn key(number: u8) -> Vec<u8> {
    vec![number.reverse_bits(); 60]
}

/// Every four bytes are one edit: which page, where in it, and the new byte.
fn forge_pages(storage: &MemoryStorage, edits: &[u8]) {
    let mut file = storage.bytes(NAME).expect("it was created");
    let pages = file.len() / PAGE_BYTES;
    for edit in edits.chunks_exact(4) {
        let page = usize::from(edit[0]) % pages;
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % PAGE_BYTES;
        file[page * PAGE_BYTES + at] = edit[3];
    }
    for page in file.chunks_exact_mut(PAGE_BYTES).skip(1) {
        let checksum = crate::tamper::crc32c(&page[4..]);
        page[..4].copy_from_slice(&checksum.to_le_bytes());
    }
    storage.set_bytes(NAME, file);
}

fn change_every_row(table: &mut Table) {
    for number in 0..ROWS {
        let _ = table.get(&key(number));
        let last = table.applied().get();
        let change = match number % 3 {
            0 => table.delete(&key(number)),
            1 => table.upsert(&key(number), &[number; 70]),
            _ => table.upsert(&key(number), &[number; 900]),
        };
        if let Ok(change) = change {
            let entries = change.entries().len() as u64;
            if let Some(last) = Lsn::new(last).advance(entries) {
                change.install(last).expect("numbers ascend");
            }
        }
    }
}

/// Every four bytes are one edit: which entry, where in it, and the new byte.
fn forge_entries(mut log: Vec<Vec<u8>>, edits: &[u8]) {
    for edit in edits.chunks_exact(4) {
        let entry = usize::from(edit[0]) % log.len();
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % log[entry].len();
        log[entry][at] = edit[3];
    }
    let mut table =
        PageTable::create(&MemoryStorage::new(), &options()).expect("an empty storage takes a table");
    let mut applier = PhysicalApplier::new();
    for (lsn, payload) in (1..).map(Lsn::new).zip(&log) {
        let before = table.applied();
        if let Ok(entry) = PhysicalEntry::decode(payload) {
            assert_eq!(&entry.encode(), payload, "an entry has one encoding");
        }
        if applier.apply(&mut table, lsn, payload).is_err() {
            assert_eq!(table.applied(), before);
        }
    }
    let _ = table.range(..).map(|rows| rows.take_while(Result::is_ok).count());
}
