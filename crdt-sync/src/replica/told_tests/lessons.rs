//! How a write gets about without histories, and what is refused on the way.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{Change, Dot, ReplicaId};
use replication_log::Lsn;

use super::*;
use crate::cell::CellError;
use crate::replica::told::Told;
use crate::replica::unite::unite;
use crate::wire::{ItemState, KeyState, StatesPart};

const STRANGER: ReplicaId = ReplicaId::from_u128(77);

fn dot(replica: ReplicaId, counter: u64) -> Dot {
    Dot::new(replica, counter).unwrap()
}

fn pair() -> [Logged; 2] {
    [Logged::new(1), Logged::new(2)]
}

#[test]
fn a_removal_may_come_before_what_it_removes() {
    let [mut one, mut other] = pair();
    let added = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    let removed = one.tell(&write(1, "groceries", Action::Remove("milk".into()))).unwrap();
    assert_eq!(removed.removed, [dot(one.replica.id, 1), dot(one.replica.id, 2)], "the exact dots");
    assert_eq!(other.hear(&removed), Ok(1));
    assert_eq!(other.hear(&added), Ok(0), "seen already, as removed");
    assert_eq!(other.elements("groceries"), [""; 0].map(Bytes::from));
    other.assert_log_tells_the_truth();
}

#[test]
fn an_element_added_again_elsewhere_survives_the_removal_that_had_not_seen_it() {
    let [mut one, mut other] = pair();
    let first = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    other.hear(&first).unwrap();
    let again = other.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    let removed = one.tell(&write(1, "groceries", Action::Remove("milk".into()))).unwrap();
    other.hear(&removed).unwrap();
    one.hear(&again).unwrap();
    assert_eq!(one.elements("groceries"), other.elements("groceries"));
    assert_eq!(one.elements("groceries"), ["milk"].map(Bytes::from));
}

#[test]
fn an_acknowledgement_rests_on_the_record_of_its_effect_also_when_it_is_a_repetition() {
    let [mut one, mut other] = pair();
    let milk = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    let soap = one.tell(&write(1, "groceries", Action::Add("soap".into()))).unwrap();
    let gone = one.tell(&write(1, "groceries", Action::Remove("soap".into()))).unwrap();
    let mut hear = |told| other.replica.merge_mutation(told, WALL).unwrap();
    let (_, first) = hear(&milk);
    // No cell changes by this one: the element it is about was never here.
    let (_, covered) = hear(&gone);
    assert!(covered > first);
    assert_eq!(hear(&soap), (Change::Unchanged, covered));
    assert_eq!(hear(&gone), (Change::Unchanged, covered));
    assert_eq!(hear(&milk), (Change::Unchanged, covered), "at least the record it rests on");
}

#[test]
fn what_is_left_of_nothing_rests_on_all_that_was_logged() {
    let [mut one, mut other] = pair();
    let milk = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    let gone = one.tell(&write(1, "groceries", Action::Remove("milk".into()))).unwrap();
    other.hear(&milk).unwrap();
    let (_, lsn) = other.replica.merge_mutation(&gone, WALL).unwrap();
    assert_eq!(other.replica.merge_mutation(&gone, WALL), Ok((Change::Unchanged, lsn)));
    let reading = other.replica.read_state(&item(1, "groceries")).unwrap();
    assert!(reading.cell.is_none());
    assert_eq!((reading.digest, reading.lsn), (Cell::vacant(Kind::Set).digest(), lsn));
}

#[test]
fn a_write_that_changes_nothing_tells_what_made_it_unnecessary() {
    let [mut one, mut other] = pair();
    let insert = write(0, "note", Action::Insert("body".into()));
    let first = one.replica.write_mutation(&insert, WALL).unwrap();
    let again = one.replica.write_mutation(&insert, WALL).unwrap();
    assert_eq!((first.change, again.change), (Change::Changed, Change::Unchanged));
    assert_eq!(again.written, first.written, "and it rests on the record of the first");
    other.hear(&again.told).unwrap();
    assert_eq!(other.cell(&item(0, "note")), one.cell(&item(0, "note")));
}

/// The other one hears of the deletion, not of the version that was deleted, and then, late, of the one before it.
#[test]
fn what_a_deletion_was_written_on_is_no_version_of_its_own_when_it_comes_late() {
    let [mut one, mut other] = pair();
    let first = one.tell(&write(0, "note", Action::Put("first".into()))).unwrap();
    let _unheard = one.tell(&write(0, "note", Action::Put("second".into()))).unwrap();
    let deletion = one.tell(&write(0, "note", Action::Delete)).unwrap();
    other.hear(&deletion).unwrap();
    other.hear(&first).unwrap();
    let Some(Cell::Document(note)) = other.cell(&item(0, "note")) else { panic!("it knows the deletion") };
    assert!(note.is_deleted() && note.leaves().len() == 1, "{note:?}");
}

/// The one who removes knows that the milk was removed before; the other one was not told.
#[test]
fn a_removal_that_finds_nothing_names_what_was_removed_before() {
    let [mut one, mut other] = pair();
    let remove = write(1, "groceries", Action::Remove("milk".into()));
    let milk = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    other.hear(&milk).unwrap();
    let lost = one.tell(&remove).unwrap();
    let again = one.replica.write_mutation(&remove, WALL).unwrap();
    assert_eq!((again.change, &again.told.removed), (Change::Unchanged, &lost.removed));
    other.hear(&again.told).unwrap();
    assert!(other.elements("groceries").is_empty());
}

/// The milk was put on the list a second time, of which the other one knows nothing: it must not lose its milk, and get
/// none for it, when the eggs are removed.
#[test]
fn a_removal_names_nothing_of_other_elements() {
    let [mut one, mut other] = pair();
    let add = |what: &str| write(1, "groceries", Action::Add(what.into()));
    for what in ["milk", "eggs"] {
        let told = one.tell(&add(what)).unwrap();
        other.hear(&told).unwrap();
    }
    let _unheard = one.tell(&add("milk")).unwrap();
    let (told, removal) = one.tell_all(&write(1, "groceries", Action::Remove("eggs".into()))).unwrap();
    other.hear_removal(&told, &removal.unwrap());
    assert_eq!(other.elements("groceries"), [Bytes::from("milk")]);
}

/// What is remembered of the dead is bounded, and so is what a removal says of those that are not.
#[test]
fn however_much_was_removed_a_removal_stays_small_and_takes_away_all() {
    let [mut one, mut other] = pair();
    let milk = |action: fn(Bytes) -> Action| write(1, "groceries", action("milk".into()));
    let first = one.tell(&milk(Action::Add)).unwrap();
    other.hear(&first).unwrap();
    let _unheard: Vec<_> = (0..200)
        .map(|_| {
            one.tell(&write(2, "visits", Action::Increment(1))).unwrap();
            (one.tell(&milk(Action::Add)).unwrap(), one.tell(&milk(Action::Remove)).unwrap())
        })
        .collect();
    let (told, removal) = one.tell_all(&milk(Action::Remove)).unwrap();
    let removal = removal.unwrap();
    assert!((1..=33).contains(&told.removed.len()), "{}", told.removed.len());
    assert_eq!(removal.before.range_count(), 1);
    assert!(!told.removed.contains(&Dot::new(one.replica.id, 1).unwrap()), "forgotten long ago");
    other.hear_removal(&told, &removal);
    assert!(other.elements("groceries").is_empty());
}

/// After a start nobody knows any more which dots were of which key. Then whoever has seen as much can tell itself, and
/// whoever has not cannot vouch for the removal.
#[test]
fn after_a_start_only_who_has_seen_as_much_can_vouch_for_a_removal_that_finds_nothing() {
    let [mut one, mut other] = pair();
    let third = Logged::new(3);
    let remove = write(1, "groceries", Action::Remove("milk".into()));
    let milk = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    other.hear(&milk).unwrap();
    let lost = one.tell(&remove).unwrap();
    one.restart();
    let (told, removal) = one.tell_all(&remove).unwrap();
    let removal = removal.unwrap();
    let exact = other.hear_removal(&told, &removal);
    assert_eq!((told.removed.len(), exact.removed.len()), (0, 1));
    assert!(other.elements("groceries").is_empty());
    let vouches = |node: &Logged| node.replica.has_seen_all(told.partition, &removal.before);
    assert!(!vouches(&third) && !vouches(&other), "the removal that was lost has a dot, too");
    other.hear(&lost).unwrap();
    assert!(vouches(&other));
}

/// A comparison took the milk away, and broke off before it told what else was seen there.
#[test]
fn a_removal_takes_away_what_half_a_comparison_took_away() {
    let [mut one, mut other] = pair();
    let mut third = Logged::new(3);
    for what in ["milk", "soap"] {
        let told = one.tell(&write(1, "groceries", Action::Add(what.into()))).unwrap();
        other.hear(&told).unwrap();
        third.hear(&told).unwrap();
    }
    let remove = write(1, "groceries", Action::Remove("milk".into()));
    let number = third.tell(&remove).unwrap().partition;
    let state = third.cell(&item(1, "groceries")).unwrap().encode(b"groceries");
    let items = vec![ItemState { key: "groceries".into(), state, more: false, old: false }];
    let part = StatesPart { index: 0, collection: remove.collection, items, ahead: Vec::new() };
    let standing = third.replica.partition(number).standing_by_dots();
    other.replica.join_by_dots(number, &part, &standing, WALL).unwrap();
    other.write_log();
    assert_eq!(other.elements("groceries"), [Bytes::from("soap")]);
    let (told, removal) = other.tell_all(&remove).unwrap();
    one.hear_removal(&told, &removal.unwrap());
    assert_eq!(one.elements("groceries"), [Bytes::from("soap")]);
}

#[test]
fn whoever_unites_is_told_of_removals_that_it_has_not_even_seen_the_additions_of() {
    let [mut one, mut other] = pair();
    let mut third = Logged::new(3);
    let milk = one.tell(&write(1, "groceries", Action::Add("milk".into()))).unwrap();
    other.hear(&milk).unwrap();
    one.tell(&write(1, "groceries", Action::Remove("milk".into()))).unwrap();
    let item = item(1, "groceries");
    let states = [&one, &other, &third].map(|node| node.replica.whole_state(&item).unwrap());
    let united = unite(milk.partition, &item, Kind::Set, &states, &crdt_core::Limits::DEFAULT).unwrap();
    third.hear(united.lacks[2].as_ref().unwrap()).unwrap();
    assert_eq!(third.hear(&milk), Ok(0), "the late copy does not bring it back");
    assert!(third.elements("groceries").is_empty());
}

#[test]
fn equal_states_are_united_without_anything_to_tell() {
    let [mut one, mut other] = pair();
    for (collection, action) in [
        (0, Action::Put("body".into())),
        (1, Action::Add("milk".into())),
        (2, Action::Increment(2)),
        (3, Action::Set(Some("title".into()))),
    ] {
        let told = one.tell(&write(collection, "k", action)).unwrap();
        other.hear(&told).unwrap();
        let item = item(collection, "k");
        let states = [&one, &other].map(|node| node.replica.whole_state(&item).unwrap());
        let limits = crdt_core::Limits::DEFAULT;
        let united = unite(told.partition, &item, kind(collection), &states, &limits).unwrap();
        assert_eq!(united.lacks, [None, None]);
        assert_eq!(Some(united.cell), one.cell(&item));
    }
}

#[test]
fn a_malformed_state_is_named_so_that_the_others_can_be_united_without_it() {
    let mut one = Logged::new(1);
    let told = one.tell(&write(1, "k", Action::Add("milk".into()))).unwrap();
    let item = item(1, "k");
    let good = one.replica.whole_state(&item).unwrap();
    let bad = KeyState { state: vec![0xff; 3].into(), ..KeyState::default() };
    let limits = crdt_core::Limits::DEFAULT;
    let error = unite(told.partition, &item, Kind::Set, &[good, bad], &limits).unwrap_err();
    assert_eq!(error.index, 1);
    assert!(matches!(error.cause, CellError::Malformed(_)));
}

#[test]
fn what_no_honest_replica_tells_is_refused_and_changes_nothing() {
    let [mut one, mut other] = pair();
    let told = one.tell(&write(1, "k", Action::Add("milk".into()))).unwrap();
    let foreign = 1 - told.partition;
    let undeclared = Collection::sets("undeclared").id();
    let refused = [
        (MergedState { partition: 9, ..told.clone() }, RunError::UnknownPartition { partition: 9 }),
        (MergedState { partition: foreign, ..told.clone() }, RunError::ForeignKey { partition: foreign }),
        (
            MergedState { collection: undeclared, ..told.clone() },
            RunError::UnknownCollection { collection: undeclared },
        ),
        (
            MergedState { removed: vec![dot(STRANGER, u64::MAX)], ..told.clone() },
            RunError::ImpossibleSequence { sequence: u64::MAX },
        ),
        (MergedState { removed: vec![dot(other.replica.id, 1)], ..told.clone() }, RunError::Outrun),
    ];
    for (bad, error) in refused {
        assert_eq!(other.hear(&bad), Err(error));
    }
    let garbage = MergedState { state: vec![0xff; 3].into(), ..told.clone() };
    assert!(matches!(other.hear(&garbage), Err(RunError::Cell(CellError::Malformed(_)))));
    let (first, second) = (told.state.len(), other.config.limits.max_state);
    other.replica.config.limits.max_state = first - 1;
    assert!(matches!(other.hear(&told), Err(RunError::Cell(CellError::Malformed(_)))));
    other.replica.config.limits.max_state = second;
    assert!(!other.replica.journal.has_staged());
    assert!(other.replica.partitions.iter().all(|partition| partition.context.is_empty()));
    assert_eq!(other.hear(&told), Ok(1));
}

#[test]
fn totals_of_this_node_that_it_never_counted_are_told_apart_and_a_fresh_identity_takes_them_in() {
    let [mut one, mut other] = pair();
    let lost = {
        // A copy of the disk counted on, and is gone now.
        let mut copy = Logged::of(one.config.clone());
        copy.replica.id = one.replica.id;
        copy.tell(&write(2, "visits", Action::Increment(5))).unwrap()
    };
    let lost = MergedState { removed: Vec::new(), ..lost };
    other.hear(&lost).unwrap();
    assert_eq!(one.hear(&lost), Err(RunError::Outrun));
    let old = one.replica.id;
    one.replica.renew_identity();
    assert_eq!(one.hear(&lost), Ok(2));
    let next = one.tell(&write(2, "visits", Action::Increment(1))).unwrap();
    other.hear(&next).unwrap();
    let Some(Cell::Counter(counter)) = other.cell(&item(2, "visits")) else { panic!("a counter") };
    assert_eq!((counter.value(), counter.increments().entry(old)), (6, 5));
}

#[test]
fn a_context_takes_no_more_origins_and_no_more_holes_than_it_may() {
    let [mut one, mut other] = pair();
    let told = one.tell(&write(2, "k", Action::Increment(1))).unwrap();
    let with = |removed| MergedState { removed, ..told.clone() };
    let few = Logged::of(config(2)).replica.config.limits;
    other.replica.config.limits.max_origins = 2;
    other.replica.config.limits.max_context_ranges = 3;
    let third = ReplicaId::from_u128(78);
    assert_eq!(other.hear(&with(vec![dot(STRANGER, 1), dot(one.replica.id, 1)])), Ok(1));
    assert_eq!(other.hear(&with(vec![dot(third, 1)])), Err(RunError::TooManyOrigins { limit: 2 }));
    assert_eq!(other.hear(&with(vec![dot(STRANGER, 3)])), Ok(1));
    assert_eq!(other.hear(&with(vec![dot(STRANGER, 5)])), Err(RunError::ContextFull { limit: 3 }));
    assert_eq!(other.hear(&with(vec![dot(STRANGER, 2)])), Ok(1), "what fills a hole is welcome");
    assert_eq!(few, crate::Limits::default());
}

#[test]
fn deltas_joined_before_they_are_told_do_what_they_do_one_by_one() {
    let [mut one, mut other] = pair();
    let mut joined: Option<Told> = None;
    for action in [Action::Add("milk".into()), Action::Add("soap".into()), Action::Remove("milk".into())] {
        let told = one.tell(&write(1, "groceries", action)).unwrap();
        let told = Told::read(&told, Kind::Set, &crdt_core::Limits::DEFAULT).unwrap();
        match &mut joined {
            Some(joined) => {
                let _ = joined.join(&told, 2);
            }
            None => joined = Some(told),
        }
    }
    let joined = joined.unwrap().merged_state(one.replica.partition_of(collections()[1].id(), b"groceries"));
    assert_eq!(other.hear(&joined), Ok(1));
    assert_eq!(other.elements("groceries"), one.elements("groceries"));
    assert!(other.replica.partition(joined.partition).context.contains(dot(one.replica.id, 3)));
    assert!(other.replica.journal.last() > Lsn::ZERO);
}
