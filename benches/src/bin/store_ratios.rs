//! What a store costs beside the bare engine beneath it, and how much memory a document takes.
//!
//! `cargo run --release -p crdt-benches --bin store_ratios -- [documents] [rounds]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a command line program"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use conflict_store::backend::Write;
use conflict_store::backend::redb::{RedbBackend, RedbOptions};
use conflict_store::{Backend, Cursor, Document, MemoryBackend, Store, Strategy};
use crdt_core::ReplicaId;
use redb::{Database, ReadableDatabase, TableDefinition};

type Bytes = Vec<u8>;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bare");
const FEED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("feed");
const BATCH: u64 = 1_000;
const PAGE: usize = 1_000;
const BODY: usize = 100;

fn main() {
    let argument = |place, default: u64| {
        std::env::args().nth(place).and_then(|number| number.parse().ok()).unwrap_or(default)
    };
    let documents = argument(1, 100_000);
    let rounds = usize::try_from(argument(2, 3)).unwrap().max(1);
    println!(
        "{documents} documents, keys of 16 bytes in random order, bodies of {BODY}, batches of {BATCH}; \
         medians of {rounds} rounds.\n"
    );
    println!("| what | bare engine | store | ratio |\n|---|---:|---:|---:|");
    let turns = |bare: &dyn Fn() -> Duration, store: &dyn Fn() -> Duration| {
        let mut times: Vec<_> = (0..rounds).map(|_| (bare(), store())).collect();
        times.sort_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
        times[rounds / 2]
    };
    row("load, memory (a BTreeMap beside it)", turns(&|| bare_memory(documents), &|| load_memory(documents)));
    row(
        "load, memory (the versions hashed beside it)",
        turns(&|| hashed_memory(documents), &|| load_memory(documents)),
    );
    row(
        "load, memory (its backend beside it)",
        turns(&|| load_bare(&mut MemoryBackend::default(), documents), &|| load_memory(documents)),
    );
    let beside = |feed: bool| {
        turns(&|| in_folder(|path| bare_redb(path, documents, feed)), &|| {
            in_folder(|path| load(&mut durable(path), documents))
        })
    };
    row("load, durable (one table beside it)", beside(false));
    row("load, durable (two tables: a feed beside it)", beside(true));
    row(
        "load, durable (its backend beside it)",
        turns(&|| in_folder(|path| load_bare(&mut backend(path), documents)), &|| {
            in_folder(|path| load(&mut durable(path), documents))
        }),
    );
    feeds(documents, rounds);
    memory(documents);
}

fn row(what: &str, (bare, store): (Duration, Duration)) {
    println!("| {what} | {bare:.1?} | {store:.1?} | {:.2} |", ratio((bare, store)));
}

fn ratio((bare, store): (Duration, Duration)) -> f64 {
    store.as_secs_f64() / bare.as_secs_f64()
}

/// Different for each number, and in no order.
fn key(number: u64) -> [u8; 16] {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (u128::from(mixed) << 64 | u128::from(number)).to_be_bytes()
}

fn body(number: u64) -> Bytes {
    vec![number.to_le_bytes()[0]; BODY]
}

fn batches(documents: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..documents).step_by(1_000).map(move |from| from..documents.min(from + BATCH))
}

fn document(number: u64) -> Document<Bytes> {
    let mut document = Document::default();
    document.put(&key(number), None, Some(body(number)), None).unwrap();
    document
}

fn load<B: Backend<[u8], Document<Bytes>>>(store: &mut Store<Bytes, B>, documents: u64) -> Duration {
    let start = Instant::now();
    for (lsn, batch) in (1..).zip(batches(documents)) {
        let keys: Vec<_> = batch.clone().map(key).collect();
        let documents = keys.iter().zip(batch).map(|(key, number)| (&key[..], document(number)));
        assert!(store.merge_at(lsn, documents).unwrap().is_changed());
    }
    start.elapsed()
}

/// The same documents, put without asking what is there.
fn load_bare(backend: &mut impl Backend<[u8], Document<Bytes>>, documents: u64) -> Duration {
    let start = Instant::now();
    for (lsn, batch) in (1..).zip(batches(documents)) {
        let writes = batch.map(|number| (key(number).to_vec(), Write::Put(document(number)))).collect();
        backend.apply(lsn, writes).unwrap();
    }
    start.elapsed()
}

fn load_memory(documents: u64) -> Duration {
    load(&mut Store::new(Strategy::KeepAll, MemoryBackend::default()), documents)
}

fn durable(path: &Path) -> Store<Bytes, RedbBackend<Document<Bytes>>> {
    Store::new(Strategy::KeepAll, backend(path))
}

fn backend(path: &Path) -> RedbBackend<Document<Bytes>> {
    RedbBackend::open(path, RedbOptions::new(ReplicaId::from_u128(1))).unwrap().0
}

fn bare_memory(documents: u64) -> Duration {
    let start = Instant::now();
    // One by one, as they arrive; collecting would sort them first.
    let mut map = BTreeMap::<Bytes, Bytes>::new();
    for number in 0..documents {
        map.insert(key(number).to_vec(), body(number));
    }
    let took = start.elapsed();
    assert_eq!(map.len() as u64, documents);
    took
}

fn hashed_memory(documents: u64) -> Duration {
    let start = Instant::now();
    let mut map = BTreeMap::new();
    for number in 0..documents {
        map.insert(key(number).to_vec(), document(number));
    }
    let took = start.elapsed();
    assert_eq!(map.len() as u64, documents);
    took
}

fn bare_redb(path: &Path, documents: u64, feed: bool) -> Duration {
    let database = Database::create(path).unwrap();
    let start = Instant::now();
    for batch in batches(documents) {
        let writing = database.begin_write().unwrap();
        {
            let mut table = writing.open_table(TABLE).unwrap();
            let mut changes = writing.open_table(FEED).unwrap();
            for number in batch {
                table.insert(&key(number)[..], &body(number)[..]).unwrap();
                if feed {
                    changes.insert(number, &key(number)[..]).unwrap();
                }
            }
        }
        writing.commit().unwrap();
    }
    start.elapsed()
}

fn in_folder(work: impl FnOnce(&Path) -> Duration) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    work(&folder.path().join("file"))
}

/// How fast the feed is read, page by page, beside a walk over the engine's rows.
fn feeds(documents: u64, rounds: usize) {
    let mut memory = Store::new(Strategy::KeepAll, MemoryBackend::default());
    load(&mut memory, documents);
    let bare = || {
        let start = Instant::now();
        let keys: Vec<_> = memory.backend().changed_past(0).map(|changed| changed.unwrap()).collect();
        assert_eq!(keys.len() as u64, documents);
        start.elapsed()
    };
    let mut times: Vec<_> = (0..rounds).map(|_| (bare(), walk(&memory))).collect();
    times.sort_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
    row("feed, memory (its backend beside it)", times[rounds / 2]);

    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("bare");
    bare_redb(&bare, documents, true);
    let mut store = durable(&folder.path().join("store"));
    load(&mut store, documents);
    let database = Database::open(&bare).unwrap();
    let scan = || {
        let start = Instant::now();
        let table = database.begin_read().unwrap().open_table(FEED).unwrap();
        let keys: Vec<_> = table.range(0_u64..).unwrap().map(|row| row.unwrap().1.value().to_vec()).collect();
        assert_eq!(keys.len() as u64, documents);
        start.elapsed()
    };
    let mut times: Vec<_> = (0..rounds).map(|_| (scan(), walk(&store))).collect();
    times.sort_by(|a, b| ratio(*a).total_cmp(&ratio(*b)));
    row("feed, durable", times[rounds / 2]);
}

fn walk<B: Backend<[u8], Document<Bytes>>>(store: &Store<Bytes, B>) -> Duration {
    let start = Instant::now();
    let (mut cursor, mut seen) = (Cursor::START, 0);
    loop {
        let page = store.changes(cursor, PAGE).unwrap();
        seen += page.keys.len();
        cursor = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, store.backend().len().unwrap());
    start.elapsed()
}

/// What a document of one version takes in memory.
fn memory(documents: u64) {
    let mut store = Store::new(Strategy::KeepAll, MemoryBackend::default());
    let info = measure(|| {
        load(&mut store, documents);
    });
    let each = info.bytes_current as f64 / documents as f64;
    let said = 16 + BODY;
    println!(
        "\n{each:.0} bytes of memory for each document, whose key and body are {said}: {:.2} times, or",
        each / said as f64
    );
    println!("twice that and {:.0}.", each - 2.0 * said as f64);
    drop(store);
}
