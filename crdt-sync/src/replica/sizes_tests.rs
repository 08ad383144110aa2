//! Whatever states show and take away, the log takes it, and the context stays within its bounds.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use crdt_core::dotted::ElementStore;
use crdt_core::{CausalContext, Change, Dot, codec};
use replication_log::Lsn;

use super::tests::{Logged, WALL, collections};
use super::*;
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::entry::{Chain, Position};
use crate::scope::ScopedContext;
use crate::wire::{ItemState, MergedState, Standing, StatesPart};

const SENDER: ReplicaId = ReplicaId::from_u128(99);
const RECORD: usize = replication_log::limits::MAX_RECORD_BYTES;

/// A set that shows these dots, each with an element of its own.
fn set_of(key: &str, dots: impl IntoIterator<Item = u64>) -> ItemState {
    let mut elements = ElementStore::new();
    for dot in dots {
        let name = &dot.to_le_bytes()[..4];
        elements.add(Dot::new(SENDER, dot).unwrap(), Bytes::from(name));
    }
    let state = Cell::Set(Box::new(elements)).encode(key.as_bytes());
    ItemState { key: key.into(), state, more: false, old: false }
}

fn part_of(items: Vec<ItemState>, ahead: Vec<(ReplicaId, u64)>) -> StatesPart {
    StatesPart { index: 0, collection: collections()[1].id(), items, ahead }
}

/// Somebody has seen everything up to a sequence.
fn seen_up_to(last: u64) -> Standing {
    let mut context = CausalContext::new();
    context.insert_range(SENDER, 1..=last);
    let heads = vec![(SENDER, Position { sequence: last, chain: Chain::START })];
    Standing { heads, context, scoped: ScopedContext::default(), root: (0, 0) }
}

fn hear(replica: &mut Replica, part: &StatesPart, standing: &Standing) -> Result<(), RunError> {
    replica.apply_part(0, part, standing, Coverage::default(), WALL).map(|_| ())
}

fn lists(key: &str) -> ItemKey {
    ItemKey { collection: collections()[1].id(), key: key.into() }
}

/// How many dots each of the staged records takes away; `None` for records of something else.
fn removals_of(batch: &Staged) -> Vec<Option<usize>> {
    let removals = batch.records.iter().map(|record| {
        assert!(record.len() <= RECORD, "a record of {} bytes", record.len());
        match codec::decode_payload(record, &STORED) {
            Ok(JournalRecord::StateMerge(merged)) => Some(merged.removed.len()),
            other => {
                other.unwrap();
                None
            }
        }
    });
    removals.collect()
}

/// A holder of a set of which somebody took away the first so many elements; what was staged for that.
fn trimmed(many: u64, gone: u64) -> (Logged, Vec<Staged>) {
    let mut holder = Logged::new(1);
    let held = part_of(vec![set_of("list", 1..=many)], vec![]);
    hear(&mut holder.replica, &held, &seen_up_to(many)).unwrap();
    holder.write_log();
    let left = part_of(vec![set_of("list", gone + 1..=many + 1)], vec![(SENDER, many + 2)]);
    hear(&mut holder.replica, &left, &seen_up_to(many + 1)).unwrap();
    let batches = core::iter::from_fn(|| holder.replica.journal.take()).collect();
    (holder, batches)
}

/// Puts batches into the log.
fn write(holder: &mut Logged, batches: Vec<Staged>) {
    for Staged { first, records, .. } in batches {
        assert_eq!(first.get(), holder.log.len() as u64 + 1);
        holder.log.extend((first.get()..).map(Lsn::new).zip(records));
    }
}

#[test]
fn a_state_that_takes_away_more_dots_than_a_record_holds_is_several_records() {
    let full = 1 << 18;
    for (gone, expected) in [
        (full, vec![Some(1 << 18), None]),
        (full + 1, vec![Some(1 << 18), Some(1), None]),
        (2 * full, vec![Some(1 << 18), Some(1 << 18), None]),
    ] {
        let (mut holder, batches) = trimmed(2 * full, gone);
        assert_eq!(batches.iter().map(removals_of).collect::<Vec<_>>(), [expected]);
        write(&mut holder, batches);
        holder.assert_log_tells_the_truth();
        let replayed = Replica::recover(holder.config.clone(), holder.log.clone(), WALL).unwrap();
        let held = |replica: &Replica| replica.partition(0).cells.get(&lists("list")).unwrap().lsn;
        assert_eq!(held(&replayed), held(&holder.replica));
    }
}

/// Each batch leaves the replica as one that has merged less, and knows what that may show.
#[test]
fn what_one_part_takes_away_may_be_more_than_one_batch() {
    let many = 1 << 20;
    let (mut holder, batches) = trimmed(many, many);
    let removals: Vec<_> = batches.iter().map(removals_of).collect();
    let full = Some(1 << 18);
    assert_eq!(removals, [vec![full, full, full, full, None]], "the bounds are in the first batch");
    let next = part_of(vec![set_of("list", [many + 2])], vec![]);
    hear(&mut holder.replica, &next, &seen_up_to(many + 2)).unwrap();
    write(&mut holder, batches);
    holder.write_log();
    holder.assert_log_tells_the_truth();

    let mut holder = Logged::new(1);
    let held = vec![set_of("a", 1..=many), set_of("b", many + 1..=2 * many)];
    hear(&mut holder.replica, &part_of(held, vec![]), &seen_up_to(2 * many)).unwrap();
    holder.write_log();
    let gone = part_of(vec![set_of("a", []), set_of("b", [])], vec![(SENDER, 2 * many + 1)]);
    hear(&mut holder.replica, &gone, &seen_up_to(2 * many)).unwrap();
    let batches: Vec<_> = core::iter::from_fn(|| holder.replica.journal.take()).collect();
    let removals: Vec<_> = batches.iter().map(removals_of).collect();
    assert_eq!(removals, [vec![full, full, full, full, None], vec![full; 4]]);
    for batch in batches {
        write(&mut holder, vec![batch]);
        let half = Replica::recover(holder.config.clone(), holder.log.clone(), WALL).unwrap();
        assert_eq!(half.partition(0).awaited().collect::<Vec<_>>(), [(SENDER, 2 * many + 1)]);
        assert!(half.partition(0).cells.get(&lists("a")).is_none());
    }
    holder.assert_log_tells_the_truth();
}

#[test]
fn a_standing_that_would_leave_too_many_holes_is_not_taken_over() {
    let mut holder = Logged::new(1);
    holder.replica.config.limits.max_context_ranges = 3;
    let here = part_of(vec![set_of("a", [2, 4, 6])], vec![]);
    hear(&mut holder.replica, &here, &seen_up_to(0)).unwrap();
    let with = |dots: &[u64]| {
        let context = dots.iter().map(|dot| Dot::new(SENDER, *dot).unwrap()).collect();
        Standing { context, ..seen_up_to(0) }
    };
    assert!(!holder.replica.can_keep(0, &with(&[8, 10])));
    assert!(holder.replica.can_keep(0, &with(&[3, 8])), "it closes a gap and leaves another");
    assert!(holder.replica.can_keep(0, &seen_up_to(20)));
}

#[test]
fn deletions_are_forgotten_so_many_at_a_time_that_a_record_can_name_them() {
    let (mut node, number) = (Logged::new(1), 1_500);
    for n in 0..number {
        let key = format!("{n:01000}");
        for action in [Action::Put("body".into()), Action::Delete] {
            node.act(&Write { collection: collections()[0].id(), key: key.as_str().into(), action });
        }
    }
    let last = node.replica.journal.last();
    let fits = (1 << 20) / 1_000 + 1;
    assert_eq!(node.replica.collect(0, last), fits);
    assert_eq!(node.replica.collect(0, last), number - fits);
    assert_eq!(node.replica.collect(0, last), 0);
    node.write_log();
    node.assert_log_tells_the_truth();
}

#[test]
fn what_is_told_of_more_dots_than_a_record_holds_is_several_records() {
    let (mut node, many) = (Logged::new(1), (1 << 18) + 2);
    // The last dot is among those it covers, and carried all the same.
    let told = MergedState {
        partition: 0,
        collection: collections()[1].id(),
        key: "list".into(),
        state: set_of("list", [many]).state,
        removed: (1..=many).map(|dot| Dot::new(SENDER, dot).unwrap()).collect(),
    };
    let more = MergedState {
        state: Bytes::default(),
        removed: (1..=many + 1).map(|dot| Dot::new(SENDER, dot).unwrap()).collect(),
        ..told.clone()
    };
    for (told, last_dots, is_left) in [(&told, 1, true), (&more, 3, false)] {
        let (change, lsn) = node.replica.merge_mutation(told, WALL).unwrap();
        assert_eq!((change, lsn), (Change::Changed, node.replica.journal.last()));
        assert_eq!(node.replica.partition(0).cells.get(&lists("list")).is_some(), is_left);
        let batch = node.replica.journal.take().unwrap();
        assert_eq!(removals_of(&batch).last(), Some(&Some(last_dots)));
        write(&mut node, vec![batch]);
        node.assert_log_tells_the_truth();
    }
}
