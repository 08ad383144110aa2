//! Structs of mergeable fields: what holds for the fields holds for the whole, all of them or none.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::cmp::Ordering;

use crdt_core::{
    Crdt, DeltaCrdt, GSet, HeapSize, Hlc, LwwRegister, MergeError, OrMap, OrSet, PnCounter, Replica,
    ReplicaId, Retire, Retirement, Stamp, TryMerge, VersionDigest, composite,
};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);

composite! {
    /// A note that many may edit.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
    pub(crate) struct Note {
        /// What stands on top.
        pub(crate) title: LwwRegister<String>,
        #[cfg_attr(feature = "serde", serde(default))]
        tags: OrSet<String>,
        likes: PnCounter,
    }
}

fn stamp(millis: u64, replica: ReplicaId) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica }
}

fn titled(millis: u64, replica: ReplicaId, title: &str) -> Note {
    let title = LwwRegister::default().set(stamp(millis, replica), title.into()).unwrap();
    Note { title, ..Note::default() }
}

fn tagged(replica: ReplicaId, tag: &str) -> Note {
    let tags = OrSet::default().add(by(replica), tag.into()).unwrap();
    Note { tags, ..Note::default() }
}

fn liked(replica: ReplicaId, likes: u64) -> Note {
    let likes = PnCounter::default().increment(by(replica), likes).unwrap();
    Note { likes, ..Note::default() }
}

#[test]
fn fields_merge_each_for_itself() {
    let (a, b) =
        (titled(1, A, "plums").merged(&liked(A, 1)), titled(2, B, "figs").merged(&tagged(B, "fruit")));
    assert_eq!(a.compare(&b), None, "each knows something the other does not");
    let merged = a.clone().merged(&b);
    assert_eq!(merged, b.merged(&a));
    assert_eq!(a.compare(&merged), Some(Ordering::Less));
    assert_eq!(merged.title.get().map(String::as_str), Some("figs"));
    assert!(merged.tags.contains("fruit"));
    assert_eq!(merged.likes.value(), 1);
}

#[test]
fn a_delta_leaves_out_the_fields_that_are_known() {
    let a = titled(1, A, "plums").merged(&tagged(A, "fruit")).merged(&liked(A, 1));
    let b = titled(1, A, "plums");
    let delta = a.delta_since(&b.digest());
    assert!(delta.title.is_bottom() && !delta.tags.is_bottom() && !delta.likes.is_bottom());
    assert_eq!(a.split().len(), 3);
    assert!(a.delta_since(&a.digest()).is_bottom());
}

#[test]
fn a_bad_field_keeps_all_of_them_out() {
    let mut ours = titled(1, A, "plums");
    let before = ours.clone();
    // The tags are welcome; the title uses a stamp a second time.
    let theirs = tagged(A, "fruit").merged(&titled(1, A, "figs"));
    assert_eq!(ours.try_merge(&theirs, B), Err(MergeError::ForkedStamp { stamp: stamp(1, A) }));
    assert_eq!(ours, before);

    let refused = ours.try_merge(&liked(B, 3).merged(&tagged(A, "fruit")), B);
    assert_eq!(refused, Err(MergeError::OwnChangesClaimed { replica: B, claimed: 3, issued: 0 }));
    assert_eq!(ours, before);
}

#[test]
fn an_id_that_wrote_any_field_is_in_use() {
    for note in [titled(1, A, "plums"), tagged(A, "fruit"), liked(A, 1)] {
        assert!(Replica::new(A, note.clone()).is_err());
        assert!(Replica::new(B, note).is_ok());
    }
}

#[test]
fn all_fields_retire_together_under_one_archive() {
    let mut note = titled(1, A, "plums").merged(&tagged(A, "fruit")).merged(&liked(A, 4));
    note.tags.add(by(B), "blue".into()).unwrap();
    assert_eq!(note.changes_to_retire(A), 5, "one tag and four likes; a stamp keeps its name");
    let retirement = Retirement::new(1, [(A, 5)]).unwrap();

    note.retire(&retirement).unwrap();

    assert_eq!(note.tags.context().highest(retirement.archive()), 1);
    assert_eq!(note.likes.increments().entry(retirement.archive()), 4);
    assert_eq!(note.title.stamp(), Some(stamp(1, A)));
    assert!(note.tags.contains("fruit") && note.tags.contains("blue"));
    assert_eq!(note.likes.value(), 4);
}

#[test]
fn the_changes_of_several_retired_replicas_do_not_meet_in_any_field() {
    let mut note = tagged(A, "fruit").merged(&tagged(B, "blue")).merged(&liked(B, 4));
    let lasts = [A, B].map(|replica| (replica, note.changes_to_retire(replica)));
    assert_eq!(lasts, [(A, 1), (B, 5)]);
    let retirement = Retirement::new(1, lasts).unwrap();

    note.retire(&retirement).unwrap();

    assert_eq!(note.tags.context().ranges().collect::<Vec<_>>(), [(retirement.archive(), 1..=2)]);
    let peer = note.clone();
    let removal = Note { tags: note.tags.remove("fruit"), ..Note::default() };
    assert!(peer.merged(&removal).tags.contains("blue"), "each under a dot of its own");
}

#[test]
fn a_field_that_is_not_ready_keeps_all_of_them_as_they_are() {
    // The second tag without the first: the numbers add up, and yet something is missing.
    let mut tags = OrSet::default();
    tags.add(by(A), "fruit".into()).unwrap();
    let second = tags.add(by(A), "blue".into()).unwrap();
    let mut note = Note { tags: second, ..liked(A, 4) };
    let before = note.clone();

    let refused = note.retire(&Retirement::new(1, [(A, 6)]).unwrap()).unwrap_err();
    assert_eq!((refused.replica, refused.expected, refused.found), (A, 2, 0));
    assert_eq!(note, before);

    assert!(note.retire(&Retirement::new(1, [(A, 7)]).unwrap()).is_err());
    assert_eq!(note, before);
}

#[test]
fn the_digest_knows_fields_by_name() {
    composite! {
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Ballot { yes: PnCounter, no: PnCounter }
    }
    let votes = PnCounter::default().increment(by(A), 2).unwrap();
    let yes = Ballot { yes: votes.clone(), no: PnCounter::default() };
    let no = Ballot { yes: PnCounter::default(), no: votes };
    assert_ne!(yes.version_digest(), no.version_digest());
    assert_ne!(yes.version_digest(), yes.merged(&no).version_digest());
    assert_eq!(Ballot::default().version_digest(), 0);
}

#[test]
fn tuples_are_composites_without_names() {
    type Pair = (GSet<u8>, PnCounter);
    let mut pair = Pair::default();
    let grown = (pair.0.insert(1), PnCounter::default());
    let counted = (GSet::default(), pair.1.increment(by(A), 2).unwrap());
    assert_eq!(Pair::default().merged(&counted).merged(&grown), pair);
    assert_eq!(pair.split().len(), 2);
    assert_eq!(pair.changes_of(A), 2);
    assert!((pair.1, String::from("plum"), 1_u8).heap_size() >= 4);
}

#[test]
fn composites_nest() {
    composite! {
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Shelf { notes: Note, index: OrMap<u8, OrSet<u8>> }
    }
    let mut shelf = Shelf { notes: tagged(A, "fruit"), index: OrMap::default() };
    shelf.index.update(1, |set| set.add(by(A), 1)).unwrap();
    let retirement = Retirement::new(1, [(A, shelf.changes_to_retire(A))]).unwrap();
    shelf.retire(&retirement).unwrap();
    assert_eq!(shelf.notes.tags.context().highest(retirement.archive()), 1);
    assert_eq!(shelf.index.context().highest(retirement.archive()), 1);
    assert_eq!(shelf.split().iter().fold(Shelf::default(), Crdt::merged), shelf);
}

#[test]
#[cfg(feature = "serde")]
fn a_composite_is_written_as_its_struct_is() {
    let note = titled(1, A, "plums").merged(&liked(A, 1));
    let bytes = crdt_core::codec::encode_payload(&note);
    let fields = (note.title.clone(), note.tags.clone(), note.likes.clone());
    assert_eq!(bytes, crdt_core::codec::encode_payload(&fields));
    let json = serde_json::to_string(&note).unwrap();
    assert_eq!(serde_json::from_str::<Note>(&json).unwrap(), note);
    assert!(note.heap_size() > 0);
}
