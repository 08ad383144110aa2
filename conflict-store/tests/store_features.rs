//! The feed of changes, collecting deletions, and snapshots, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::convert::Infallible;

use conflict_store::limits::{MAX_KEY_BYTES, MAX_SNAPSHOT_SEQUENCE};
use conflict_store::{
    CollectError, Collected, Cursor, Document, ExportError, FeedError, ImportError, MemoryBackend, Store,
    Strategy, VersionId,
};
use crdt_core::{Limits, VersionDigest};

type Text = Vec<u8>;

fn keep() -> Store<Text> {
    Store::in_memory(Strategy::KeepAll)
}

fn put(store: &mut Store<Text>, key: &str, parent: Option<&VersionId>, body: &str) -> VersionId {
    store.put(key.as_bytes(), parent, body.into(), None).unwrap().0
}

fn keys(store: &Store<Text>, since: Cursor) -> Vec<String> {
    let page = store.changes(since, 100).unwrap();
    page.keys.iter().map(|changed| String::from_utf8_lossy(&changed.key).into_owned()).collect()
}

fn end(store: &Store<Text>) -> Cursor {
    store.changes(Cursor::START, usize::MAX).unwrap().next
}

fn copy_of(from: &Store<Text>, key: &str) -> Document<Text> {
    from.document(key.as_bytes()).unwrap().unwrap().into_owned()
}

fn value(store: &Store<Text>, key: &str) -> Option<String> {
    store.get(key.as_bytes()).unwrap().value.map(|body| String::from_utf8(body).unwrap())
}

/// "milk" written and deleted at one replica, and the other has heard of all of it.
fn both_deleted() -> (Store<Text>, Store<Text>, VersionId) {
    let (mut a, mut b) = (keep(), keep());
    let milk = put(&mut a, "milk", None, "1 l");
    a.delete(b"milk", &milk, None).unwrap();
    let _ = b.merge(b"milk", copy_of(&a, "milk")).unwrap();
    (a, b, milk)
}

#[test]
fn a_key_is_in_the_feed_once_where_it_last_changed() {
    let mut store = keep();
    let milk = put(&mut store, "milk", None, "1 l");
    put(&mut store, "rice", None, "2 kg");
    assert_eq!(keys(&store, Cursor::START), ["milk", "rice"]);
    let before = end(&store);
    put(&mut store, "milk", Some(&milk), "2 l");
    assert_eq!(keys(&store, Cursor::START), ["rice", "milk"]);
    assert_eq!(keys(&store, before), ["milk"]);
}

#[test]
fn what_changes_nothing_is_not_in_the_feed() {
    let mut store = keep();
    put(&mut store, "milk", None, "1 l");
    let before = end(&store);
    let same = copy_of(&store, "milk");
    let _ = store.merge(b"milk", same).unwrap();
    put(&mut store, "milk", None, "1 l");
    assert_eq!(end(&store), before);
}

#[test]
fn the_feed_says_the_digest_that_the_document_has() {
    let mut store = keep();
    put(&mut store, "milk", None, "1 l");
    let page = store.changes(Cursor::START, 1).unwrap();
    assert_eq!(page.keys[0].version.digest, copy_of(&store, "milk").version_digest());
    assert_eq!(store.version(b"milk").unwrap(), Some(page.keys[0].version));
    assert_eq!(store.version(b"oil").unwrap(), None);
}

#[test]
fn a_cursor_survives_as_bytes() {
    let mut store = keep();
    put(&mut store, "milk", None, "1 l");
    let cursor = end(&store);
    assert_eq!(Cursor::from_bytes(cursor.to_bytes()), cursor);
    assert_eq!(cursor.to_bytes(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_cursor_of_another_store_is_refused_when_it_shows() {
    let mut store = keep();
    put(&mut store, "milk", None, "1 l");
    let refused = keep().changes(end(&store), 1);
    assert_eq!(refused, Err(FeedError::NotOfThisStore { sequence: 1, last: 0 }));
}

#[test]
fn a_deletion_is_collected_below_the_horizon_and_not_above() {
    let (mut a, _, _) = both_deleted();
    let horizon = end(&a).sequence();
    assert_eq!(a.collect_tombstones(horizon - 1).unwrap(), Collected::default());
    assert!(a.document(b"milk").unwrap().is_some());
    assert_eq!(a.collect_tombstones(horizon).unwrap(), Collected { removed: 1, live: 0 });
    assert!(a.document(b"milk").unwrap().is_none());
    assert_eq!(a.version(b"milk").unwrap(), None);
    let ahead = a.collect_tombstones(horizon + 1).unwrap_err();
    assert_eq!(ahead, CollectError::HorizonAhead { horizon: horizon + 1, last: horizon });
}

#[test]
fn what_lives_is_not_collected_nor_what_is_half_deleted() {
    let (mut a, mut b) = (keep(), keep());
    let milk = put(&mut a, "milk", None, "1 l");
    put(&mut a, "rice", None, "2 kg");
    put(&mut b, "milk", None, "3 l");
    let _ = a.merge(b"milk", copy_of(&b, "milk")).unwrap();
    a.delete(b"milk", &milk, None).unwrap();
    assert_eq!(a.collect_tombstones(end(&a).sequence()).unwrap(), Collected { removed: 0, live: 2 });
    assert_eq!(value(&a, "milk").as_deref(), Some("3 l"));
}

#[test]
fn a_write_made_beside_the_deletion_shows_whether_or_not_it_was_collected() {
    let (mut a, mut b) = (keep(), keep());
    let milk = put(&mut a, "milk", None, "1 l");
    let _ = b.merge(b"milk", copy_of(&a, "milk")).unwrap();
    a.delete(b"milk", &milk, None).unwrap();
    let (_, late) = b.put(b"milk", Some(&milk), b"2 l".to_vec(), None).unwrap();
    let mut uncollected = a.clone();
    a.collect_tombstones(end(&a).sequence()).unwrap();
    for store in [&mut a, &mut uncollected] {
        let _ = store.merge(b"milk", late.clone()).unwrap();
        assert_eq!(value(store, "milk").as_deref(), Some("2 l"));
    }
}

#[test]
fn whoever_never_heard_of_a_collected_deletion_brings_the_document_back() {
    let (mut a, mut b) = (keep(), keep());
    let milk = put(&mut a, "milk", None, "1 l");
    let _ = b.merge(b"milk", copy_of(&a, "milk")).unwrap();
    a.delete(b"milk", &milk, None).unwrap();
    let mut uncollected = a.clone();
    // Too high a horizon: `b` has not heard of the deletion.
    a.collect_tombstones(end(&a).sequence()).unwrap();
    for (store, shown) in [(&mut a, Some("1 l")), (&mut uncollected, None)] {
        let _ = store.merge(b"milk", copy_of(&b, "milk")).unwrap();
        assert_eq!(value(store, "milk").as_deref(), shown);
    }
}

#[test]
fn whoever_has_not_collected_brings_the_deletion_back_and_it_hits_the_same_first_version() {
    let (mut a, b, milk) = both_deleted();
    a.collect_tombstones(end(&a).sequence()).unwrap();
    assert_eq!(put(&mut a, "milk", None, "1 l"), milk, "the very same version");
    put(&mut a, "rice", None, "2 kg");
    let _ = a.merge(b"milk", copy_of(&b, "milk")).unwrap();
    assert_eq!(value(&a, "milk"), None);
    assert_eq!(a.collect_tombstones(end(&a).sequence()).unwrap(), Collected { removed: 1, live: 1 });
}

#[test]
fn a_reader_who_missed_a_collected_deletion_starts_over() {
    let (mut a, _, _) = both_deleted();
    put(&mut a, "rice", None, "2 kg");
    let (behind, ahead) = (a.changes(Cursor::START, 0).unwrap().next, end(&a));
    a.collect_tombstones(end(&a).sequence()).unwrap();
    let floor = 2;
    assert_eq!(keys(&a, ahead), [""; 0], "who had seen it goes on");
    assert_eq!(behind, Cursor::START);
    let mut b = keep();
    put(&mut b, "oil", None, "1 l");
    let oil = end(&b);
    assert_eq!(a.changes(oil, 9), Err(FeedError::StartOver { sequence: 1, floor }));

    // Who starts over goes on page by page, below the floor or not.
    let first = a.changes(Cursor::START, 1).unwrap();
    assert_eq!(String::from_utf8_lossy(&first.keys[0].key), "rice");
    assert!(a.changes(first.next, 1).is_ok());
}

#[test]
fn pages_below_the_floor_belong_together_until_more_is_removed() {
    let mut store = keep();
    put(&mut store, "a", None, "1");
    put(&mut store, "b", None, "1");
    for key in ["c", "d"] {
        let first = put(&mut store, key, None, "1");
        store.delete(key.as_bytes(), &first, None).unwrap();
    }
    store.collect_tombstones(4).unwrap();
    let page = store.changes(Cursor::START, 1).unwrap();
    assert_eq!(keys(&store, page.next), ["b", "d"]);
    store.collect_tombstones(6).unwrap();
    assert_eq!(store.changes(page.next, 1), Err(FeedError::StartOver { sequence: 1, floor: 6 }));
}

fn snapshot(store: &Store<Text>) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.export(|piece| std::io::Write::write_all(&mut bytes, piece)).unwrap();
    bytes
}

fn import(mut bytes: &[u8], limits: &Limits) -> Result<Store<Text>, ImportError<Infallible, std::io::Error>> {
    let read = |buffer: &mut [u8]| std::io::Read::read(&mut bytes, buffer);
    Store::import(Strategy::KeepAll, MemoryBackend::default(), read, limits)
}

fn two_documents() -> Store<Text> {
    let (mut store, _, _) = both_deleted();
    put(&mut store, "rice", None, "2 kg");
    store
}

#[test]
fn a_snapshot_is_the_store_and_a_cursor_does_not_go_with_it() {
    let store = two_documents();
    let copy = import(&snapshot(&store), &Limits::default()).unwrap();
    assert_eq!(value(&copy, "rice").as_deref(), Some("2 kg"));
    assert_eq!(copy_of(&copy, "milk"), copy_of(&store, "milk"));
    assert!(matches!(copy.changes(end(&store), 9), Err(FeedError::StartOver { .. })));
    assert_eq!(keys(&copy, Cursor::START), ["milk", "rice"]);
}

#[test]
fn the_bytes_of_a_snapshot_are_these() {
    let mut store = keep();
    put(&mut store, "milk", None, "1 l");
    let bytes = snapshot(&store);
    let (content, checksum) = bytes.split_at(bytes.len() - 32);
    let expected = b"CSNAP\0\0\x01\
        \x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
        \x04\0\0\0\x06\0\0\0milk\x01\x00\x031 l\
        \xff\xff\xff\xff\x01\0\0\0\0\0\0\0";
    assert_eq!(content, expected);
    let hex = checksum.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(hex, "bb604f4f1f0b6ddac9ed1ac2229b39defb4d415347e2003b1f596ff1f1e0e990");
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let bytes = snapshot(&two_documents());
    for len in 0..bytes.len() {
        let refused = import(&bytes[..len], &Limits::default()).unwrap_err();
        assert!(matches!(refused, ImportError::Truncated { .. }), "{len}: {refused:?}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(import(&bytes, &Limits::default()).is_err(), "bit {bit}");
    }
}

#[test]
fn claims_of_a_snapshot_are_held_against_the_limits() {
    let bytes = snapshot(&two_documents());
    let small = Limits { max_bytes: 4, ..Limits::default() };
    assert!(matches!(import(&bytes, &small), Err(ImportError::TooLong { limit: 4, .. })));
    // The tombstone has two versions, each of a body or none and up to one parent.
    let few = Limits { max_elements: 1, ..Limits::default() };
    assert!(import(&bytes, &few).is_err());

    let mut store = keep();
    for key in 0..40_u8 {
        put(&mut store, &format!("{key:02}"), None, "");
    }
    let few = Limits { max_elements: 30, ..Limits::default() };
    assert!(matches!(import(&snapshot(&store), &few), Err(ImportError::TooMany { limit: 30 })));

    let mut long = bytes.clone();
    long[24..28].copy_from_slice(&(u32::try_from(MAX_KEY_BYTES).unwrap() + 1).to_le_bytes());
    assert!(matches!(
        import(&long, &Limits::default()),
        Err(ImportError::TooLong { limit: MAX_KEY_BYTES, .. })
    ));
    assert!(matches!(import(b"Contents", &Limits::default()), Err(ImportError::NotASnapshot { .. })));
}

/// Whoever makes one up can also make its checksum right.
#[test]
fn a_snapshot_leaves_sequences_for_its_copy() {
    let bytes = snapshot(&two_documents());
    for sequence in [MAX_SNAPSHOT_SEQUENCE + 1, u64::MAX - 1, u64::MAX] {
        let mut forged = bytes[..bytes.len() - 32].to_vec();
        forged[16..24].copy_from_slice(&sequence.to_le_bytes());
        forged.extend(blake3::keyed_hash(b"conflict-store snapshot bytes  1", &forged).as_bytes());
        let refused = import(&forged, &Limits::default());
        assert!(matches!(refused, Err(ImportError::Damaged { documents: 0, .. })), "{sequence}");
    }
    let mut forged = bytes[..bytes.len() - 32].to_vec();
    forged[16..24].copy_from_slice(&MAX_SNAPSHOT_SEQUENCE.to_le_bytes());
    forged.extend(blake3::keyed_hash(b"conflict-store snapshot bytes  1", &forged).as_bytes());
    assert!(import(&forged, &Limits::default()).is_ok(), "the highest one that is allowed");
}

#[test]
fn keys_of_a_snapshot_ascend() {
    let mut bytes = snapshot(&two_documents());
    let rice = bytes.windows(4).position(|window| window == b"rice").unwrap();
    bytes[rice..rice + 4].copy_from_slice(b"lice");
    assert!(matches!(import(&bytes, &Limits::default()), Err(ImportError::Damaged { documents: 1, .. })));
}

#[test]
fn a_key_too_long_for_a_snapshot_is_said_when_it_is_made() {
    let mut store = keep();
    put(&mut store, &"k".repeat(MAX_KEY_BYTES + 1), None, "");
    let refused = store.export(|_| Ok::<_, Infallible>(()));
    assert!(matches!(refused, Err(ExportError::TooLong { key, .. }) if key.len() == MAX_KEY_BYTES + 1));
}

#[test]
fn a_sink_and_a_source_that_fail_are_passed_on() {
    let store = two_documents();
    assert_eq!(store.export(|_| Err("full")), Err(ExportError::Sink("full")));
    let read = |_: &mut [u8]| Err("unplugged");
    let refused =
        Store::<Text>::import(Strategy::KeepAll, MemoryBackend::default(), read, &Limits::default());
    assert!(matches!(refused, Err(ImportError::Source("unplugged"))));
}
