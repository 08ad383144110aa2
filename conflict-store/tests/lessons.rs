//! What a store of documents promises, one lesson per test.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use std::ops::Bound;

use conflict_store::{
    ApplyError, Backend, Conflict, Custom, Document, PutError, Resolution, Store, Strategy, Version,
    VersionId, WriteError,
};
use crdt_core::{Change, Hlc, ReplicaId, Stamp, VersionDigest};

type Text = Vec<u8>;

const KEY: &[u8] = b"title";

fn keep() -> Store<Text> {
    Store::in_memory(Strategy::KeepAll)
}

fn last_writer_wins() -> Store<Text> {
    Store::in_memory(Strategy::LastWriterWins)
}

fn stamp(millis: u64, replica: u8) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_bytes([replica; 16]) }
}

fn document(store: &Store<Text>) -> Document<Text> {
    store.document(KEY).unwrap().unwrap().into_owned()
}

/// Both sides tell each other everything.
fn meet(a: &mut Store<Text>, b: &mut Store<Text>) {
    let (from_a, from_b) = (document(a), document(b));
    let _ = a.merge(KEY, from_b).unwrap();
    let _ = b.merge(KEY, from_a).unwrap();
    assert_eq!(document(a).version_digest(), document(b).version_digest());
}

/// Two stores with "Hello" and "Bonjour" written apart, after they met.
fn greeted_apart() -> (Store<Text>, Store<Text>, [VersionId; 2]) {
    let (mut a, mut b) = (keep(), keep());
    let (hello, _) = a.put(KEY, None, b"Hello".to_vec(), None).unwrap();
    let (bonjour, _) = b.put(KEY, None, b"Bonjour".to_vec(), None).unwrap();
    meet(&mut a, &mut b);
    (a, b, [hello, bonjour])
}

#[test]
fn the_same_import_on_two_nodes_is_one_version() {
    let (mut a, mut b) = (keep(), keep());
    let (on_a, _) = a.put(KEY, None, b"imported".to_vec(), None).unwrap();
    let (on_b, _) = b.put(KEY, None, b"imported".to_vec(), None).unwrap();
    assert_eq!(on_a, on_b);
    let (edited, _) = b.put(KEY, Some(&on_b), b"edited".to_vec(), None).unwrap();
    meet(&mut a, &mut b);
    for store in [a, b] {
        let reading = store.get(KEY).unwrap();
        assert_eq!((reading.value, reading.version), (Some(b"edited".to_vec()), Some(edited)));
        assert_eq!(reading.conflicts, [], "the edit was made on the very version the other imported");
    }
}

#[test]
fn different_values_written_apart_are_both_kept() {
    let (a, b, [hello, bonjour]) = greeted_apart();
    let (winner, loser) = (hello.max(bonjour), hello.min(bonjour));
    for store in [a, b] {
        assert_eq!(store.get(KEY).unwrap().version, Some(winner));
        assert_eq!(store.conflicts(KEY).unwrap(), [loser]);
        assert!(loser.to_string().starts_with("1-"));
        assert!(document(&store).get(&loser).is_some());
    }
}

#[test]
fn the_tenth_revision_beats_the_second_although_nine_comes_after_one_in_text() {
    let (mut long, mut short) = (keep(), keep());
    let write = |store: &mut Store<Text>, revisions: u8| {
        let mut parent = None;
        for revision in 1..=revisions {
            let body = vec![revisions, revision];
            parent = Some(store.put(KEY, parent.as_ref(), body, None).unwrap().0);
        }
    };
    write(&mut long, 10);
    write(&mut short, 2);
    meet(&mut long, &mut short);
    assert_eq!(short.get(KEY).unwrap().version.map(|version| version.generation()), Some(10));
}

#[test]
fn the_winner_does_not_depend_on_who_heard_what_first() {
    let apart: Vec<_> = ["a", "b", "c", "d"]
        .map(|body| Document::default().put(KEY, None, Some(Text::from(body)), None).unwrap().1)
        .into();
    let winners = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]].map(|order| {
        let mut store = keep();
        for place in order {
            let _ = store.merge(KEY, apart[place].clone()).unwrap();
        }
        store.get(KEY).unwrap()
    });
    assert_eq!(winners[0], winners[1]);
    assert_eq!(winners[0], winners[2]);
}

#[test]
fn a_deleted_document_is_not_found_and_can_come_back() {
    let (mut a, mut b, _) = greeted_apart();
    for _ in 0..2 {
        let shown = a.get(KEY).unwrap().version.unwrap();
        a.delete(KEY, &shown, None).unwrap();
    }
    meet(&mut a, &mut b);
    let reading = b.get(KEY).unwrap();
    assert_eq!(reading.value, None);
    let deletion = reading.version.expect("the highest deletion is reported");
    assert_eq!(deletion.generation(), 2);
    assert_eq!(b.scan(Bound::Unbounded).count(), 0);

    let (revived, _) = b.put(KEY, None, b"again".to_vec(), None).unwrap();
    assert_eq!(revived.generation(), 3);
    meet(&mut a, &mut b);
    assert_eq!(a.get(KEY).unwrap().value, Some(b"again".to_vec()));
    assert_eq!(a.conflicts(KEY).unwrap(), []);
}

#[test]
fn a_resolved_conflict_stays_resolved_when_the_loser_is_delivered_again() {
    let (mut a, mut b, [hello, _]) = greeted_apart();
    let before = document(&a);
    let seen = a.get(KEY).unwrap().seen;
    let (resolved, _) = a.resolve(KEY, &seen, Some(b"Hello, bonjour".to_vec()), None).unwrap();
    assert_eq!(a.conflicts(KEY).unwrap(), []);

    assert_eq!(a.merge(KEY, before.clone()), Ok(Change::Unchanged));
    meet(&mut a, &mut b);
    let _ = b.merge(KEY, before).unwrap();
    let reading = b.get(KEY).unwrap();
    assert_eq!((reading.version, reading.conflicts), (Some(resolved), vec![]));
    assert!(document(&b).get(&hello).is_some(), "what lost can still be looked up");
}

#[test]
fn the_same_resolution_on_two_nodes_is_one_version() {
    let (mut a, mut b, _) = greeted_apart();
    let resolve = |store: &mut Store<Text>| {
        let seen = store.get(KEY).unwrap().seen;
        store.resolve(KEY, &seen, Some(b"both".to_vec()), None).unwrap().0
    };
    assert_eq!(resolve(&mut a), resolve(&mut b));
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts(KEY).unwrap(), []);
}

#[test]
fn a_version_that_arrives_after_the_writer_looked_is_not_resolved_away() {
    let (mut a, _, _) = greeted_apart();
    let seen = a.get(KEY).unwrap().seen;
    let (late, delta) = Document::default().put(KEY, None, Some(b"Hola".to_vec()), None).unwrap();
    let _ = a.merge(KEY, delta).unwrap();
    a.resolve(KEY, &seen, Some(b"Hello, bonjour".to_vec()), None).unwrap();
    assert_eq!(a.conflicts(KEY).unwrap(), [late]);
}

#[test]
fn a_writer_who_has_not_seen_what_is_there_is_told() {
    let mut store = keep();
    let (first, _) = store.put(KEY, None, b"Hello".to_vec(), None).unwrap();
    let (second, _) = store.put(KEY, Some(&first), b"Hi".to_vec(), None).unwrap();
    for parent in [None, Some(&first)] {
        let refused = store.put(KEY, parent, b"late".to_vec(), None);
        assert_eq!(refused, Err(WriteError::Put(PutError::Conflict { leaves: vec![second] })));
    }
    assert_eq!(store.get(KEY).unwrap().value, Some(b"Hi".to_vec()));
}

#[test]
fn equal_imports_under_last_writer_wins_are_two_versions_that_read_as_one() {
    let (mut a, mut b) = (last_writer_wins(), last_writer_wins());
    let (on_a, _) = a.put(KEY, None, b"imported".to_vec(), Some(stamp(1, 1))).unwrap();
    let (on_b, _) = b.put(KEY, None, b"imported".to_vec(), Some(stamp(1, 2))).unwrap();
    assert_ne!(on_a, on_b, "the stamp is part of what was written");
    meet(&mut a, &mut b);
    let reading = a.get(KEY).unwrap();
    assert_eq!((reading.version, reading.conflicts), (Some(on_b), vec![]));

    // Each node settles by itself, and they still agree.
    let settled = [&mut a, &mut b].map(|store| store.settle(KEY).unwrap().unwrap().0);
    assert_eq!(settled[0], settled[1]);
    assert_eq!(document(&a).leaves().len(), 1);
    assert_eq!(document(&a).winner().and_then(Version::stamp), Some(stamp(1, 2)));
    assert_eq!(a.settle(KEY).unwrap(), None, "there is nothing left to settle");
}

#[test]
fn a_rule_can_be_changed_without_touching_data() {
    let (a, ..) = greeted_apart();
    let longest = Custom::new("longest", |conflict: &Conflict<'_, Text>| {
        let longest = conflict.versions().iter().max_by_key(|version| version.body().map(Vec::len));
        longest.map_or(Resolution::Keep, |version| Resolution::Choose(*version.id()))
    });
    let store = Store::new(Strategy::custom(longest), a.backend().clone());
    assert_eq!(store.get(KEY).unwrap().value, Some(b"Bonjour".to_vec()));
    assert_eq!(store.conflicts(KEY).unwrap(), []);
}

#[test]
fn stamps_belong_to_collections_that_order_by_time_and_to_no_others() {
    let missing = last_writer_wins().put(KEY, None, b"Hello".to_vec(), None).unwrap_err();
    assert_eq!(missing, WriteError::StampMissing);
    let unexpected = keep().put(KEY, None, b"Hello".to_vec(), Some(stamp(1, 1))).unwrap_err();
    assert_eq!(unexpected, WriteError::StampUnexpected);

    // A peer that declares the collection otherwise is told as well, and nothing of its batch is
    // taken.
    let plain = Document::default().put(b"a", None, Some(b"fine".to_vec()), None).unwrap().1;
    let stamped = Document::default().put(b"b", None, Some(b"not".to_vec()), Some(stamp(1, 1))).unwrap().1;
    let mut store = keep();
    let refused = store.merge_at(1, [(b"a".as_slice(), plain), (b"b".as_slice(), stamped)]);
    assert_eq!(refused, Err(WriteError::StampUnexpected));
    assert_eq!((store.backend().len(), store.backend().applied_lsn()), (Ok(0), 0));
}

#[test]
fn a_log_record_is_applied_once_and_whole() {
    let version = |body: &str| Document::default().put(KEY, None, Some(Text::from(body)), None).unwrap().1;
    let mut store = keep();
    let twice_one_key = [(KEY, version("Hello")), (KEY, version("Bonjour"))];
    assert_eq!(store.merge_at(7, twice_one_key), Ok(Change::Changed));
    assert_eq!(document(&store).leaves().len(), 2);

    let replayed = store.merge_at(7, [(KEY, version("Hola"))]);
    assert_eq!(replayed, Err(WriteError::Apply(ApplyError::Stale { applied: 7, given: 7 })));
    assert_eq!(document(&store).leaves().len(), 2);

    assert_eq!(store.merge_at(8, [(KEY, version("Hello"))]), Ok(Change::Unchanged));
    assert_eq!(
        store.backend().applied_lsn(),
        8,
        "a record that changes nothing has been applied all the same"
    );
}

#[test]
fn a_scan_yields_what_exists_in_the_order_of_keys() {
    let mut store = keep();
    for key in [b"c", b"a", b"d", b"b"] {
        store.put(key, None, key.to_vec(), None).unwrap();
    }
    let c = store.get(b"c").unwrap().version.unwrap();
    store.delete(b"c", &c, None).unwrap();
    let keys = |from| store.scan(from).map(|entry| entry.unwrap().0).collect::<Vec<_>>();
    assert_eq!(keys(Bound::Unbounded), [b"a", b"b", b"d"]);
    assert_eq!(keys(Bound::Included(b"b")), [b"b", b"d"]);
    assert_eq!(keys(Bound::Excluded(b"b")), [b"d"]);
}

/// Writes `revisions` versions, each on what is shown.
fn edit(store: &mut Store<Text>, revisions: usize) {
    for _ in 0..revisions {
        let parent = store.get(KEY).unwrap().version;
        store.put(KEY, parent.as_ref(), b"edited".to_vec(), None).unwrap();
    }
}

#[test]
fn old_versions_are_forgotten_and_the_reading_does_not_change() {
    let mut store = keep().with_revision_limit(100);
    let mut unlimited = keep().with_revision_limit(usize::MAX);
    for store in [&mut store, &mut unlimited] {
        edit(store, 1_000);
    }
    assert!((101..=151).contains(&document(&store).len()), "{}", document(&store).len());
    assert_eq!(document(&unlimited).len(), 1_000);
    assert_eq!(store.get(KEY), unlimited.get(KEY));
    assert_eq!(document(&store).version_digest(), document(&unlimited).version_digest());
    meet(&mut store, &mut unlimited);
    assert_eq!(store.conflicts(KEY).unwrap(), []);
}

#[test]
fn edits_beyond_the_limit_make_a_false_conflict_that_is_flagged() {
    let (mut server, mut device) = (keep().with_revision_limit(20), keep());
    edit(&mut server, 5);
    let _ = device.merge(KEY, document(&server)).unwrap();

    // Within the limit the device's old version is recognised.
    edit(&mut server, 15);
    let _ = server.merge(KEY, document(&device)).unwrap();
    assert_eq!(server.conflicts(KEY).unwrap(), []);

    // Beyond it the version looks unrelated, and the rule is told that it need not be.
    edit(&mut server, 40);
    let _ = server.merge(KEY, document(&device)).unwrap();
    assert_eq!(server.conflicts(KEY).unwrap().len(), 1);
    let flagged = Custom::new("is it complete?", |conflict: &Conflict<'_, Text>| {
        assert!(conflict.common_ancestor().is_none());
        Resolution::Merge(conflict.is_history_complete().to_string().into_bytes())
    });
    assert_eq!(document(&server).read(KEY, &flagged).unwrap().value, Some(b"false".to_vec()));

    // The device catches up, and its whole history heals the rift.
    let mut whole = keep();
    edit(&mut whole, 60);
    let _ = server.merge(KEY, document(&whole)).unwrap();
    assert_eq!(server.conflicts(KEY).unwrap(), []);
}
