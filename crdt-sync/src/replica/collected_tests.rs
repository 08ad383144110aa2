//! Which documents pass for forgotten, and which do not.

use alloc::vec;
use alloc::vec::Vec;

use super::collected::Coverage;
use super::tests::{Logged, WALL, collections};
use super::*;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::membership::Membership;
use crate::wire::{ItemState, StatesPart};

fn document(key: &str) -> ItemKey {
    ItemKey { collection: collections()[0].id(), key: key.into() }
}

fn act_on(item: &ItemKey, action: Action) -> Write {
    Write { collection: item.collection, key: item.key.clone(), action }
}

fn put(item: &ItemKey, body: &str) -> Write {
    act_on(item, Action::Put(body.into()))
}

/// What somebody sends of one key who shows of others as much as this beyond its frontier.
fn part_of(there: &Partition, item: &ItemKey, old: bool, ahead: Vec<(ReplicaId, u64)>) -> StatesPart {
    let held = there.cells.get(item);
    let state = held.map(|held| held.cell.encode(&item.key)).unwrap_or_default();
    let items = vec![ItemState { key: item.key.clone(), state, more: false, old }];
    StatesPart { index: 0, collection: item.collection, items, ahead }
}

/// Each side has applied all that the other has, and the state may show more.
fn alike(here: &Replica) -> Coverage {
    Coverage { here: true, there: true, lsn: here.journal.last(), is_old: false }
}

/// They have heard of another's identity.
fn introduce(writer: &Logged, readers: [&mut Logged; 2]) {
    for reader in readers {
        let mut known = Membership::default();
        known.meet(writer.config.node, Some(writer.replica.id));
        reader.replica.learn_members(&known);
    }
}

fn retire(writer: &Logged, readers: [&mut Logged; 2]) {
    for reader in readers {
        reader.replica.retire(writer.config.node).unwrap();
        reader.write_log();
    }
}

#[test]
fn what_is_shown_ahead_of_the_frontier_does_not_pass_for_forgotten() {
    let (mut writer, mut holder) = (Logged::new(1), Logged::new(2));
    let note = document("note");
    writer.act(&put(&note, "body"));
    // The state arrives, and the session is given up.
    holder.merge_states_of(&writer, false);
    assert!(holder.replica.partition(0).cells.get(&note).is_some());

    // Somebody who has applied all that the holder has, which is nothing, and never had the note.
    let stranger = Logged::new(3);
    let (standing, coverage) = (stranger.replica.partition(0).standing(), alike(&holder.replica));
    let part = part_of(stranger.replica.partition(0), &note, false, Vec::new());
    holder.replica.apply_part(0, &part, &standing, coverage, WALL).unwrap();
    holder.write_log();
    assert!(holder.replica.partition(0).cells.get(&note).is_some());
    holder.assert_log_tells_the_truth();

    // Nor when the entry arrives in the middle of the session: what the other side had applied says nothing of it.
    holder.catch_up_with(&writer);
    holder.replica.apply_part(0, &part, &standing, coverage, WALL).unwrap();
    holder.write_log();
    assert!(holder.replica.partition(0).cells.get(&note).is_some());
    holder.assert_log_tells_the_truth();
}

/// A writer that wrote a document and deleted it, and somebody who has its states and none of its entries.
fn ahead_with_a_deletion() -> (Logged, Logged) {
    let (mut writer, mut holder) = (Logged::new(1), Logged::new(2));
    for action in [Action::Put("body".into()), Action::Delete] {
        writer.act(&act_on(&document("note"), action));
    }
    holder.merge_states_of(&writer, false);
    (writer, holder)
}

#[test]
fn a_deletion_that_came_ahead_of_its_entry_is_not_forgotten_before_the_entry_has_come() {
    let (writer, mut holder) = ahead_with_a_deletion();
    let awaited = |holder: &Logged| holder.replica.partition(0).awaited().collect::<Vec<_>>();
    assert_eq!(holder.replica.collect(0, holder.replica.journal.last()), 0);
    assert_eq!(awaited(&holder), [(writer.replica.id, 2)]);
    holder.catch_up_with(&writer);
    assert_eq!(awaited(&holder), []);
    assert_eq!(holder.replica.collect(0, holder.replica.journal.last()), 1);
    holder.write_log();
    holder.assert_log_tells_the_truth();
}

/// Its entries will never come: what is held of it is all there is.
#[test]
fn a_deletion_that_came_ahead_of_a_retired_nodes_entry_is_forgotten() {
    let (writer, mut holder) = ahead_with_a_deletion();
    let (_, mut other) = ahead_with_a_deletion();
    introduce(&writer, [&mut holder, &mut other]);
    assert_eq!(holder.replica.collect(0, holder.replica.journal.last()), 0);
    retire(&writer, [&mut holder, &mut other]);
    let mut restarted = Replica::recover(holder.config.clone(), holder.log.clone(), WALL).unwrap();
    for replica in [&mut holder.replica, &mut restarted] {
        assert_eq!(replica.partition(0).awaited().count(), 0);
        assert_eq!(replica.collect(0, replica.journal.last()), 1);
    }
    // Nor does it come back with the states of somebody who still holds it, and has heard of no more entries.
    let (_, other) = ahead_with_a_deletion();
    let there = other.replica.partition(0);
    let part = part_of(there, &document("note"), false, there.ahead_of(&[]));
    let coverage = alike(&holder.replica);
    holder.replica.apply_part(0, &part, &there.standing(), coverage, WALL).unwrap();
    assert!(holder.replica.partition(0).cells.get(&document("note")).is_none());
}

/// It was seen, and nobody deleted it.
#[test]
fn what_a_retired_node_wrote_beyond_its_end_is_not_taken_for_forgotten() {
    let (mut writer, note) = (Logged::new(1), document("note"));
    writer.act(&put(&note, "Hello"));
    let (mut holder, mut other) = (Logged::new(2), Logged::new(3));
    holder.catch_up_with(&writer);
    other.catch_up_with(&writer);
    introduce(&writer, [&mut holder, &mut other]);
    writer.act(&put(&note, "Bonjour"));
    // Its state arrives without its entry, and it is retired.
    holder.merge_states_of(&writer, false);
    retire(&writer, [&mut holder, &mut other]);
    let held = |logged: &Logged| logged.replica.partition(0).cells.get(&note).unwrap().cell.encode(&note.key);
    let (more, less) = (held(&holder), held(&other));
    assert_ne!(more, less);
    // Somebody who has all its entries, and shows less; and the same the other way round.
    for [here, there] in [[&holder, &other], [&other, &holder]] {
        let mut here = Replica::recover(here.config.clone(), here.log.clone(), WALL).unwrap();
        let there = there.replica.partition(0);
        let part = part_of(there, &note, false, there.ahead_of(&there.heads()));
        let coverage = alike(&here);
        here.apply_part(0, &part, &there.standing(), coverage, WALL).unwrap();
        assert_eq!(here.partition(0).cells.get(&note).unwrap().cell.encode(&note.key), more);
    }
}

/// A document whose history is here in pieces, so that both sides of the missing one pass for its ends, and which
/// changed since a retired node showed more than its end, so that it is old to nobody; and another copy with the whole
/// history, which is old. Refused, that would be offered for ever.
#[test]
fn an_old_copy_that_ends_in_nothing_else_gives_what_it_knows_of_the_past() {
    let (mut writers, note) = ([1, 2, 3].map(Logged::new), document("note"));
    let (mut retired, mut holder, mut other) = (Logged::new(4), Logged::new(5), Logged::new(6));
    for (writer, body) in ["Hello", "Salut", "Bonjour"].into_iter().enumerate() {
        writers[writer].catch_up_with(&other);
        writers[writer].act(&put(&note, body));
        other.catch_up_with(&writers[writer]);
    }
    introduce(&retired, [&mut holder, &mut other]);
    retired.act(&put(&document("beyond"), "its end"));
    holder.merge_states_of(&retired, false);
    retire(&retired, [&mut holder, &mut other]);
    for writer in [&writers[0], &writers[2]] {
        holder.catch_up_with_one(writer, writer.replica.id);
    }
    let bodies = |logged: &Logged| match &logged.replica.partition(0).cells.get(&note).unwrap().cell {
        Cell::Document(document) => {
            document.live_leaves().filter_map(|leaf| leaf.body().cloned()).collect::<Vec<_>>()
        }
        cell => panic!("{cell:?}"),
    };
    assert_eq!(bodies(&holder), ["Hello", "Bonjour"].map(Bytes::from));
    assert_eq!(bodies(&other), ["Bonjour"].map(Bytes::from));

    let there = other.replica.partition(0);
    let part = part_of(there, &note, true, Vec::new());
    let coverage = Coverage { is_old: true, ..alike(&holder.replica) };
    holder.replica.apply_part(0, &part, &there.standing(), coverage, WALL).unwrap();
    assert_eq!(bodies(&holder), ["Bonjour"].map(Bytes::from));
}

#[test]
fn a_forgotten_document_is_in_no_conflict() {
    let (mut here, mut there, note) = (Logged::new(1), Logged::new(2), document("note"));
    here.act(&put(&note, "one"));
    there.act(&put(&note, "two"));
    here.catch_up_with(&there);
    assert_eq!(here.replica.partition(0).cells.conflicts.counts(), [(note.collection, 1)]);
    let lsn = here.replica.journal.upcoming();
    here.replica.partition_mut(0).forget(&[note], lsn);
    assert_eq!(here.replica.partition(0).cells.conflicts.counts(), []);
}
