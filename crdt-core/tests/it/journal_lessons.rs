//! What a journal of changes must get right: a peer at a cursor lacks exactly what came after it.

#![expect(clippy::unwrap_used, reason = "a test stops where its premise fails")]

use core::convert::Infallible;

use crdt_core::{Crdt, DeltaCrdt, Journaled, OrSet, ReplicaId};

use crate::common::by;

const A: ReplicaId = ReplicaId::from_bytes([0xa; 16]);
const B: ReplicaId = ReplicaId::from_bytes([0xb; 16]);
const C: ReplicaId = ReplicaId::from_bytes([0xc; 16]);

type Set = OrSet<u32>;

fn journaled(capacity: usize) -> Journaled<Set> {
    Journaled::new(Set::default(), capacity)
}

fn add(set: &mut Journaled<Set>, element: u32) {
    set.change(|set| set.add(by(A), element)).unwrap();
}

fn remove(set: &mut Journaled<Set>, element: u32) {
    set.change(|set| Ok::<_, Infallible>(set.remove(&element))).unwrap();
}

#[test]
fn a_peer_at_a_cursor_lacks_exactly_what_came_after_it() {
    let mut ours = journaled(100);
    (0..10).for_each(|element| add(&mut ours, element));
    let mut peer = ours.state().clone();
    let told = ours.cursor();
    add(&mut ours, 10);
    remove(&mut ours, 3);
    add(&mut ours, 3);
    remove(&mut ours, 4);

    let news = ours.since(told, None).unwrap();

    assert_eq!(news, ours.delta_since(&peer.digest()).merged(&news), "no more than there is");
    let _ = peer.merge(&news);
    assert_eq!(&peer, ours.state());
    assert!(ours.since(ours.cursor(), None).unwrap().is_bottom());
}

#[test]
fn what_changes_nothing_is_not_noted() {
    let mut ours = journaled(100);
    add(&mut ours, 1);
    remove(&mut ours, 7);
    let known = ours.state().clone();
    assert!(!ours.merge_delta(known.clone(), Some(B)).is_changed());
    assert!(!ours.merge_state(&known, Some(B)).is_changed());
    assert_eq!(ours.len(), 1);
}

#[test]
fn a_peer_is_not_sent_its_own_changes_back() {
    let mut ours = journaled(100);
    let start = ours.cursor();
    let theirs = Set::default().add(by(B), 1).unwrap();
    let _ = ours.merge_delta(theirs.clone(), Some(B));
    add(&mut ours, 2);

    let for_b = ours.since(start, Some(B)).unwrap();
    let for_c = ours.since(start, Some(C)).unwrap();

    assert!(for_b.contains(&2) && !for_b.contains(&1));
    assert!(for_c.contains(&2) && for_c.contains(&1));
    assert_eq!(theirs.merged(&for_b), *ours.state());
}

#[test]
fn of_a_whole_state_only_what_is_new_is_noted() {
    let mut ours = journaled(100);
    (0..5).for_each(|element| add(&mut ours, element));
    let before = ours.cursor();
    let mut theirs = ours.state().clone();
    theirs.add(by(B), 5).unwrap();
    theirs.remove(&0);

    assert!(ours.merge_state(&theirs, Some(B)).is_changed());

    let noted = ours.since(before, None).unwrap();
    assert_eq!((noted.len(), noted.context().dots().count()), (1, 2), "one add and one removal");
    assert_eq!(ours.state(), &theirs);
}

#[test]
fn a_journal_does_not_grow_for_ever_and_says_so_to_those_who_come_late() {
    let mut ours = journaled(3);
    let start = ours.cursor();
    (0..5).for_each(|element| add(&mut ours, element));

    assert_eq!(ours.len(), 3);
    let refused = ours.since(start, None).unwrap_err();
    assert_eq!((refused.cursor, refused.oldest, refused.newest), (0, 2, 5));

    let mut longer = journaled(100);
    (0..9).for_each(|element| add(&mut longer, element));
    assert!(ours.since(longer.cursor(), None).is_err(), "a cursor of another journal is ahead of this one");
}

#[test]
fn a_refused_change_and_a_refused_delta_leave_no_trace() {
    let mut ours = journaled(3);
    add(&mut ours, 1);
    let refused = ours.change(|_| Err::<Set, _>("no"));
    assert_eq!(refused, Err("no"));
    let mut forged = Set::default();
    forged.add_all(by(A), [1, 2, 3]).unwrap();
    assert!(ours.try_merge_delta(forged, A, Some(B)).is_err());
    assert_eq!(ours.len(), 1);
    assert_eq!(ours.state().len(), 1);
}
