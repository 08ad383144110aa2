//! A store in a file: the same answers as one in memory, and a new writer whenever the old one may not go on.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test stops where its premise fails; this one copies and damages files"
)]

use std::ops::Bound;
use std::path::{Path, PathBuf};

use conflict_store::backend::Write;
use conflict_store::backend::redb::{
    FsyncPolicy, MintReason, OpenError, Opened, RedbBackend, RedbError, RedbOptions,
};
use conflict_store::{
    ApplyError, Backend, Cursor, Document, FeedError, ImportError, MemoryBackend, ReadError, Store, Strategy,
    VersionId, WriteError,
};
use crdt_core::{Limits, ReplicaId};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tempfile::TempDir;

type Text = Vec<u8>;
type File = RedbBackend<Document<Text>>;

const STATES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("states");

fn id(n: u128) -> ReplicaId {
    ReplicaId::from_u128(n)
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents");
    (folder, path)
}

fn open(path: &Path, fresh: u128) -> (Store<Text, File>, Opened) {
    let (backend, opened) = File::open(path, RedbOptions::new(id(fresh))).unwrap();
    (Store::new(Strategy::KeepAll, backend), opened)
}

fn why(opened: Opened) -> Option<MintReason> {
    opened.minted.map(|minted| minted.because)
}

/// A closed store with one document, written by replica 1.
fn with_milk(path: &Path) {
    let (mut store, _) = open(path, 1);
    store.put(b"milk", None, b"1 l".to_vec(), None).unwrap();
    store.into_backend().close().unwrap();
}

/// The note beside a store.
fn note(path: &Path) -> PathBuf {
    path.with_extension("opens")
}

#[test]
fn a_store_that_was_closed_goes_on_under_its_name() {
    let (_folder, path) = place();
    with_milk(&path);
    let (store, opened) = open(&path, 2);
    assert_eq!(opened, Opened { replica: id(1), minted: None, was_closed: true });
    assert_eq!(store.backend().incarnation(), 0);
    assert_eq!(store.backend().applied_lsn(), 1);
    assert_eq!(store.get(b"milk").unwrap().value, Some(b"1 l".to_vec()));
}

#[test]
fn a_crash_costs_nothing_when_every_batch_is_durable() {
    let (_folder, path) = place();
    with_milk(&path);
    drop(open(&path, 2));
    let (_, opened) = open(&path, 3);
    assert_eq!(opened, Opened { replica: id(1), minted: None, was_closed: false });
}

#[test]
fn a_crash_costs_the_name_when_batches_may_be_lost() {
    let (_folder, path) = place();
    with_milk(&path);
    let weak = |fresh| RedbOptions::new(id(fresh)).fsync(FsyncPolicy::OnDemand);
    let (backend, opened) = File::open(&path, weak(2)).unwrap();
    assert_eq!(opened.minted, None);
    let mut store = Store::<Text, _>::new(Strategy::KeepAll, backend);
    store.put(b"rice", None, b"2 kg".to_vec(), None).unwrap();
    let cursor = store.changes(Cursor::START, 10).unwrap().next;
    drop(store);

    let (store, opened) = open(&path, 3);
    assert_eq!((opened.replica, why(opened)), (id(3), Some(MintReason::Crashed)));
    assert_eq!(opened.minted.unwrap().before, Some(id(1)));
    assert_eq!(store.backend().incarnation(), 1);
    assert!(matches!(store.changes(cursor, 10), Err(FeedError::StartOver { .. })));
    assert!(store.changes(Cursor::START, 10).is_ok());
}

#[test]
fn what_was_synced_is_there_and_closing_syncs() {
    let (_folder, path) = place();
    let weak = |fresh| RedbOptions::new(id(fresh)).fsync(FsyncPolicy::OnDemand);
    let (mut backend, _) = File::open(&path, weak(1)).unwrap();
    let mut milk = Document::default();
    milk.put(b"milk", None, Some(b"1 l".to_vec()), None).unwrap();
    backend.apply(1, vec![(b"milk".to_vec(), Write::Put(milk.clone()))]).unwrap();
    backend.sync().unwrap();
    backend.apply(2, vec![(b"oil".to_vec(), Write::Remove)]).unwrap();
    backend.close().unwrap();
    let (backend, opened) = File::open(&path, weak(2)).unwrap();
    assert_eq!((opened.minted, backend.applied_lsn()), (None, 2));
    assert_eq!(backend.get(b"milk").unwrap().unwrap().into_owned(), milk);
}

#[test]
fn a_copied_file_is_another_writer() {
    let (folder, path) = place();
    with_milk(&path);
    let copy = folder.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(note(&path), note(&copy)).unwrap();
    let (_store, opened) = open(&copy, 2);
    assert_eq!((opened.replica, why(opened)), (id(2), Some(MintReason::Copied)));
    let (_store, opened) = open(&path, 3);
    assert_eq!(opened.minted, None, "the original goes on");
}

#[test]
fn a_file_without_its_note_is_another_writer() {
    let (_folder, path) = place();
    with_milk(&path);
    open(&path, 2).0.into_backend().close().unwrap();
    std::fs::remove_file(note(&path)).unwrap();
    assert_eq!(why(open(&path, 3).1), Some(MintReason::Copied));
    std::fs::write(note(&path), b"not a note").unwrap();
    assert_eq!(why(open(&path, 4).1), Some(MintReason::Copied));
}

#[test]
fn a_backup_put_back_in_place_is_another_writer() {
    let (folder, path) = place();
    with_milk(&path);
    let backup = folder.path().join("backup");
    std::fs::copy(&path, &backup).unwrap();
    let (mut store, _) = open(&path, 2);
    store.put(b"rice", None, b"2 kg".to_vec(), None).unwrap();
    store.into_backend().close().unwrap();

    std::fs::write(&path, std::fs::read(&backup).unwrap()).unwrap();
    let (store, opened) = open(&path, 3);
    assert_eq!((opened.replica, why(opened)), (id(3), Some(MintReason::OlderThanNote)));
    assert_eq!(store.get(b"rice").unwrap().value, None);
}

#[test]
fn whoever_says_restored_gets_a_new_name() {
    let (_folder, path) = place();
    with_milk(&path);
    let (backend, opened) = File::open(&path, RedbOptions::new(id(2)).restored()).unwrap();
    assert_eq!((opened.replica, why(opened)), (id(2), Some(MintReason::Restored)));
    drop(backend);
    let refused = File::open(&path, RedbOptions::new(id(2)).restored()).unwrap_err();
    assert!(matches!(refused, OpenError::NotFresh { replica } if replica == id(2)));
}

#[test]
fn clones_and_restored_backups_write_under_their_own_names() {
    let (folder, path) = place();
    with_milk(&path);
    let [clone, restored] = ["clone", "restored"].map(|name| folder.path().join(name));
    let (store, _) = open(&path, 9);
    let cursor = store.changes(Cursor::START, 10).unwrap().next;
    store.backend().clone_to(&clone, id(2)).unwrap();
    assert!(matches!(store.backend().clone_to(&clone, id(2)), Err(OpenError::Occupied { .. })));
    let same = store.backend().clone_to(folder.path().join("same"), id(1)).unwrap_err();
    assert!(matches!(same, OpenError::NotFresh { .. }));
    assert!(matches!(File::restore(&path, &restored, id(3)), Err(OpenError::Locked { .. })));
    store.into_backend().close().unwrap();
    File::restore(&path, &restored, id(3)).unwrap();

    for (path, writer) in [(&clone, 2), (&restored, 3)] {
        let (store, opened) = open(path, 9);
        assert_eq!((opened.replica, opened.minted), (id(writer), None));
        assert_eq!(store.backend().incarnation(), 1);
        assert_eq!(store.get(b"milk").unwrap().value, Some(b"1 l".to_vec()));
        assert!(matches!(store.changes(cursor, 10), Err(FeedError::StartOver { .. })));
    }
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let (_folder, path) = place();
    let small = Limits { max_bytes: 8, ..Limits::default() };
    let (backend, _) = File::open(&path, RedbOptions::new(id(1)).limits(small)).unwrap();
    let mut store = Store::<Text, _>::new(Strategy::KeepAll, backend);
    store.put(b"milk", None, b"12345".to_vec(), None).unwrap();
    let refused = store.put(b"rice", None, b"123456".to_vec(), None).unwrap_err();
    assert!(matches!(
        refused,
        WriteError::Apply(ApplyError::Backend(RedbError::TooLarge { found: 9, limit: 8, .. }))
    ));
    assert_eq!((store.backend().len().unwrap(), store.backend().applied_lsn()), (1, 1));
}

#[test]
fn a_file_is_open_once() {
    let (_folder, path) = place();
    let (_store, _) = open(&path, 1);
    assert!(matches!(File::open(&path, RedbOptions::new(id(2))), Err(OpenError::Locked { .. })));
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let (_folder, path) = place();
    let database = Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(TableDefinition::<u64, u64>::new("accounts")).unwrap();
    writing.commit().unwrap();
    drop(database);
    assert!(matches!(File::open(&path, RedbOptions::new(id(1))), Err(OpenError::Foreign { .. })));

    let missing = path.join("no/such/folder");
    assert!(matches!(File::open(&missing, RedbOptions::new(id(1))), Err(OpenError::Store(_))));
    std::fs::write(&path, b"plain text, and longer than a header would be".repeat(40)).unwrap();
    assert!(matches!(
        File::open(&path, RedbOptions::new(id(1))),
        Err(OpenError::Store(RedbError::Engine(_)))
    ));
}

/// Changes one row in the closed file of a store.
fn tamper(path: &Path, table: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let database = Database::open(path).unwrap();
    let writing = database.begin_write().unwrap();
    if table == "meta" {
        let mut table = writing.open_table(TableDefinition::<(), &[u8]>::new("meta")).unwrap();
        let mut row = table.get(()).unwrap().unwrap().value().to_vec();
        change(&mut row);
        table.insert((), row.as_slice()).unwrap();
    } else {
        let mut table = writing.open_table(STATES).unwrap();
        let mut row = table.get(&b"milk"[..]).unwrap().unwrap().value().to_vec();
        change(&mut row);
        table.insert(&b"milk"[..], row.as_slice()).unwrap();
    }
    writing.commit().unwrap();
}

#[test]
fn damaged_bytes_are_an_error_that_names_the_key() {
    let (_folder, path) = place();
    with_milk(&path);
    let record = {
        let database = Database::open(&path).unwrap();
        let table = database.begin_read().unwrap().open_table(STATES).unwrap();
        table.get(&b"milk"[..]).unwrap().unwrap().value().to_vec()
    };
    let sequence = 8;
    for at in sequence..record.len() {
        tamper(&path, "states", |row| row[at] ^= 1);
        let (mut store, _) = open(&path, 2);
        let refused = store.get(b"milk").unwrap_err();
        assert!(
            matches!(&refused, ReadError::Backend(RedbError::Damaged { key, .. }) if key == b"milk"),
            "byte {at}: {refused:?}"
        );
        assert!(store.scan(Bound::Unbounded).any(|entry| entry.is_err()), "byte {at}");
        let write = store.put(b"milk", None, b"2 l".to_vec(), None).unwrap_err();
        assert!(matches!(write, WriteError::Apply(ApplyError::Backend(RedbError::Damaged { .. }))));
        assert_eq!(store.get(b"rice").unwrap().value, None, "the others can be read");
        drop(store);
        tamper(&path, "states", |row| row[at] ^= 1);
    }
    tamper(&path, "states", |row| row.truncate(20));
    let (store, _) = open(&path, 2);
    assert!(matches!(store.version(b"milk"), Err(ReadError::Backend(RedbError::Damaged { .. }))));
}

#[test]
fn damaged_notes_and_another_layout_are_refused() {
    let (_folder, path) = place();
    with_milk(&path);
    let refused = |path: &Path| File::open(path, RedbOptions::new(id(2))).unwrap_err();
    tamper(&path, "meta", |row| row[0] += 1);
    assert!(matches!(refused(&path), OpenError::UnsupportedLayout { found: 2, supported: 1 }));
    tamper(&path, "meta", |row| row.truncate(5));
    assert!(matches!(refused(&path), OpenError::Store(RedbError::DamagedFile { .. })));
}

#[test]
fn a_batch_is_not_applied_twice_also_after_a_restart() {
    let (_folder, path) = place();
    with_milk(&path);
    let (store, _) = open(&path, 2);
    let mut backend = store.into_backend();
    let again = backend.apply(1, vec![(b"milk".to_vec(), Write::Remove)]);
    assert!(matches!(again, Err(ApplyError::Stale { applied: 1, given: 1 })));
    assert!(backend.get(b"milk").unwrap().is_some());
}

#[test]
fn a_batch_that_fails_half_way_leaves_nothing() {
    let (_folder, path) = place();
    with_milk(&path);
    tamper(&path, "states", |row| *row.last_mut().unwrap() ^= 1);
    let (mut store, _) = open(&path, 2);
    let mut rice = Document::<Text>::default();
    rice.put(b"rice", None, Some(b"2 kg".to_vec()), None).unwrap();
    let mut backend = File::open(&path, RedbOptions::new(id(3))).map(|_| ()).unwrap_err();
    assert!(matches!(&mut backend, OpenError::Locked { .. }));
    let mut milk = Document::<Text>::default();
    milk.put(b"milk", None, Some(b"3 l".to_vec()), None).unwrap();
    assert!(store.merge_at(5, [(&b"rice"[..], rice.clone()), (b"milk", milk.clone())]).is_err());
    let mut backend = store.into_backend();
    let batch = vec![(b"rice".to_vec(), Write::Put(rice)), (b"milk".to_vec(), Write::Merge(milk))];
    assert!(matches!(backend.apply(5, batch), Err(ApplyError::Backend(RedbError::Damaged { .. }))));
    assert_eq!((backend.applied_lsn(), backend.last_sequence(), backend.len().unwrap()), (1, 1, 1));
}

#[test]
fn a_refused_snapshot_leaves_an_empty_file() {
    let (folder, path) = place();
    with_milk(&path);
    let (store, _) = open(&path, 2);
    let mut snapshot = snapshot(&store);
    snapshot.pop();
    let (target, _) = File::open(folder.path().join("target"), RedbOptions::new(id(3))).unwrap();
    let mut bytes = &snapshot[..];
    let read = |buffer: &mut [u8]| std::io::Read::read(&mut bytes, buffer);
    let refused = Store::<Text, _>::import(Strategy::KeepAll, target, read, &Limits::default()).unwrap_err();
    assert!(matches!(refused, ImportError::Truncated { .. }));
    let (target, _) = open(&folder.path().join("target"), 4);
    assert!(target.backend().is_empty().unwrap());
    assert_eq!(target.backend().applied_lsn(), 0);

    let mut bytes = &snapshot[..];
    let read = |buffer: &mut [u8]| std::io::Read::read(&mut bytes, buffer);
    let full = Store::<Text, _>::import(Strategy::KeepAll, store.into_backend(), read, &Limits::default());
    assert!(matches!(full, Err(ImportError::NotNew)));
}

fn snapshot<B: Backend<[u8], Document<Text>>>(store: &Store<Text, B>) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.export(|piece| std::io::Write::write_all(&mut bytes, piece)).unwrap();
    bytes
}

#[derive(Clone, Debug)]
enum Step {
    /// On top of the leaf with this number, or of none.
    Put(u8, Option<u8>, u8),
    Delete(u8, u8),
    Resolve(u8, Option<u8>),
    /// Somebody else's first version.
    Merge(u8, u8),
    Remove(u8),
    Collect(u8),
    Reopen {
        close: bool,
    },
}

fn arb_step() -> impl proptest::strategy::Strategy<Value = Step> {
    let key = 0..6_u8;
    prop_oneof![
        4 => (key.clone(), prop::option::of(0..2_u8), 0..4_u8).prop_map(|(k, p, b)| Step::Put(k, p, b)),
        2 => (key.clone(), 0..2_u8).prop_map(|(k, leaf)| Step::Delete(k, leaf)),
        1 => (key.clone(), prop::option::of(0..4_u8)).prop_map(|(k, body)| Step::Resolve(k, body)),
        2 => (key.clone(), 0..4_u8).prop_map(|(k, body)| Step::Merge(k, body)),
        1 => key.prop_map(Step::Remove),
        1 => any::<u8>().prop_map(Step::Collect),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
    ]
}

/// What a step gave, in words that do not depend on the backend.
fn run<B: Backend<[u8], Document<Text>>>(store: &mut Store<Text, B>, step: &Step) -> String {
    let leaf = |store: &Store<Text, B>, key: &[u8], leaf: u8| -> Option<VersionId> {
        let document = store.document(key).unwrap()?;
        document.leaves().get(usize::from(leaf)).map(|leaf| *leaf.id())
    };
    match *step {
        Step::Put(key, parent, body) => {
            let parent = parent.and_then(|number| leaf(store, &[key], number));
            format!("{:?}", store.put(&[key], parent.as_ref(), vec![body], None))
        }
        Step::Delete(key, number) => match leaf(store, &[key], number) {
            Some(leaf) => format!("{:?}", store.delete(&[key], &leaf, None)),
            None => String::new(),
        },
        Step::Resolve(key, body) => {
            let seen = store.get(&[key]).unwrap().seen;
            format!("{:?}", store.resolve(&[key], &seen, body.map(|body| vec![body]), None))
        }
        Step::Merge(key, body) => {
            let mut theirs = Document::default();
            theirs.put(&[key], None, Some(vec![body]), None).unwrap();
            format!("{:?}", store.merge(&[key], theirs))
        }
        Step::Collect(share) => {
            let horizon = store.backend().last_sequence() * u64::from(share) / 255;
            format!("{:?}", store.collect_tombstones(horizon))
        }
        Step::Remove(_) | Step::Reopen { .. } => String::new(),
    }
}

/// Everything that can be asked.
fn answers<B: Backend<[u8], Document<Text>>>(store: &Store<Text, B>, cursor: Cursor) -> String {
    let documents: Vec<_> =
        store.backend().scan(Bound::Excluded(&[1][..])).map(|entry| entry.unwrap()).collect();
    let versions: Vec<_> = (0..6).map(|key| store.version(&[key]).unwrap()).collect();
    let readings: Vec<_> = (0..6).map(|key| store.get(&[key]).unwrap()).collect();
    let page = store.changes(cursor, 3);
    let all = store.changes(Cursor::START, 100);
    let backend = store.backend();
    let numbers = (backend.applied_lsn(), backend.last_sequence(), backend.floor(), backend.len().unwrap());
    format!("{documents:?} {versions:?} {readings:?} {page:?} {all:?} {numbers:?}")
}

proptest! {
    // Twice as many where nothing waits for the disk.
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_file_answers_what_memory_answers(
        steps in prop::collection::vec(arb_step(), 1..40),
        policy in prop_oneof![1 => Just(FsyncPolicy::EveryBatch), 2 => Just(FsyncPolicy::OnDemand)],
    ) {
        let (_folder, path) = place();
        let open = |fresh| {
            let (backend, opened) = File::open(&path, RedbOptions::new(id(fresh)).fsync(policy)).unwrap();
            (Store::new(Strategy::KeepAll, backend), opened)
        };
        let mut memory = Store::<Text>::in_memory(Strategy::KeepAll);
        let (mut file, _) = open(1);
        let mut cursor = Cursor::START;
        for step in steps {
            match step {
                Step::Reopen { close } => {
                    let mut backend = file.into_backend();
                    // Left open under the weak policy it would go back to its last sync, which is tested elsewhere.
                    let close = close || policy == FsyncPolicy::OnDemand;
                    backend.sync().unwrap();
                    if close { backend.close().unwrap() } else { drop(backend) }
                    let (reopened, opened) = open(2);
                    prop_assert_eq!((opened.minted, opened.was_closed), (None, close));
                    file = reopened;
                }
                Step::Remove(key) => {
                    let mut backends = (memory.into_backend(), file.into_backend());
                    let lsn = backends.0.applied_lsn() + 1;
                    backends.0.apply(lsn, vec![(vec![key], Write::Remove)]).unwrap();
                    backends.1.apply(lsn, vec![(vec![key], Write::Remove)]).unwrap();
                    memory = Store::new(Strategy::KeepAll, backends.0);
                    file = Store::new(Strategy::KeepAll, backends.1);
                }
                step => prop_assert_eq!(run(&mut memory, &step), run(&mut file, &step)),
            }
            prop_assert_eq!(answers(&memory, cursor), answers(&file, cursor));
            cursor = memory.changes(cursor, 3).map_or(Cursor::START, |page| page.next);
        }
        let (of_memory, of_file) = (snapshot(&memory), snapshot(&file));
        prop_assert_eq!(&of_memory, &of_file);

        let mut bytes = &of_file[..];
        let read = |buffer: &mut [u8]| std::io::Read::read(&mut bytes, buffer);
        let copy = Store::<Text, _>::import(
            Strategy::KeepAll, MemoryBackend::default(), read, &Limits::default()).unwrap();
        let all = |store: &Store<Text>| store.backend().scan(Bound::Unbounded).map(|entry| entry.unwrap())
            .map(|(key, document)| (key.into_owned(), document.into_owned())).collect::<Vec<_>>();
        prop_assert_eq!(all(&copy), all(&memory));
        prop_assert_eq!(copy.backend().applied_lsn(), memory.backend().applied_lsn());
    }
}
