//! Partitions that are given up, and deletions that are forgotten.

use core::time::Duration;

use super::*;
use crate::limits::TimingError;
use crate::replica::{JournalRecord, RecoverError};
use crdt_core::codec;

fn later(days: u64) -> WallTime {
    WALL.saturating_add(Duration::from_secs(days * 24 * 60 * 60))
}

fn filled() -> Logged {
    let mut node = Logged::new(1);
    for n in 0..20 {
        let key = alloc::format!("key-{n}");
        node.tell(&write(0, &key, Action::Put("body".into()))).unwrap();
        node.tell(&write(1, &key, Action::Add("milk".into()))).unwrap();
        node.tell(&write(2, &key, Action::Increment(1))).unwrap();
    }
    node
}

#[test]
fn a_dropped_partition_leaves_nothing_and_the_identity_with_it() {
    let mut node = filled();
    let (old, kept) = (node.replica.id, node.replica.partition(1).standing());
    let lsn = node.replica.drop_partition(0).unwrap();
    assert_eq!(lsn, node.replica.journal.last());
    assert_eq!(node.write_log(), 2, "one batch");
    assert_ne!(node.replica.id, old);
    let empty = Logged::new(1).replica.partition(0).standing();
    assert_eq!(node.replica.partition(0).standing(), empty);
    assert_eq!(node.replica.partition(0).cells.len(), 0);
    assert_eq!(node.replica.partition(1).standing(), kept);
    node.assert_log_tells_the_truth();
    assert_eq!(node.replica.drop_partition(7), Err(RunError::UnknownPartition { partition: 7 }));
}

#[test]
fn what_others_hold_of_a_dropped_partition_comes_back_whole_and_counts_go_on() {
    let mut node = Logged::new(1);
    let mut other = Logged::new(2);
    let told = node.tell(&write(2, "visits", Action::Increment(5))).unwrap();
    other.hear(&told).unwrap();
    node.replica.drop_partition(told.partition).unwrap();
    node.write_log();
    // It starts from nothing, under another name: nobody mistakes its totals for old ones.
    let next = node.tell(&write(2, "visits", Action::Increment(1))).unwrap();
    other.hear(&next).unwrap();
    node.hear(&told).unwrap();
    for node in [&node, &other] {
        let Some(Cell::Counter(counter)) = node.cell(&item(2, "visits")) else { panic!("a counter") };
        assert_eq!(counter.value(), 6);
    }
}

#[test]
fn a_partition_dropped_while_a_checkpoint_is_made_is_in_it() {
    let mut node = filled();
    let mut writer = crate::checkpoint::Writer::begin(&mut node.replica);
    node.replica.drop_partition(0).unwrap();
    node.write_log();
    let last = node.replica.journal.last();
    let mut bytes = Vec::new();
    while let crate::CheckpointPiece::Bytes(piece) =
        writer.next_piece(&mut node.replica, last, 1 << 10).unwrap()
    {
        bytes.extend(piece);
    }
    let reopened =
        Replica::recover_from(node.config.clone(), [bytes], node.log.clone(), WALL).map(|replica| replica.id);
    assert_eq!(reopened, Ok(node.replica.id));
}

#[test]
fn a_deletion_is_as_old_as_the_last_note_behind_it() {
    let mut node = Logged::new(1);
    node.tell(&write(0, "note", Action::Put("body".into()))).unwrap();
    assert!(!node.replica.note_time(WALL), "nothing is deleted yet");
    let told = node.tell(&write(0, "note", Action::Delete)).unwrap();
    assert!(node.replica.note_time(later(1)));
    assert!(!node.replica.note_time(later(1)), "nothing was logged since but the note");
    node.write_log();
    node.restart();
    let old = |node: &Logged, time| node.replica.deleted_older_than(told.partition, time, 10);
    assert_eq!(old(&node, WALL), [], "it may be younger than that");
    let digest = node.replica.read_state(&item(0, "note")).unwrap().digest;
    assert_eq!(old(&node, later(1)), [(item(0, "note"), digest)]);
    assert_eq!(node.replica.deleted_older_than(told.partition, later(1), 0), []);
}

#[test]
fn only_the_same_deletion_is_forgotten() {
    let mut node = Logged::new(1);
    for key in ["same", "changed", "back"] {
        node.tell(&write(0, key, Action::Put("body".into()))).unwrap();
        node.tell(&write(0, key, Action::Delete)).unwrap();
    }
    node.replica.note_time(later(1));
    let mut old: Vec<_> =
        [0, 1].into_iter().flat_map(|number| node.replica.deleted_older_than(number, later(2), 10)).collect();
    assert_eq!(old.len(), 3);
    // One is deleted anew, one is written to again.
    for (key, last) in [("changed", Some(Action::Delete)), ("back", None)] {
        node.tell(&write(0, key, Action::Put("again".into()))).unwrap();
        last.and_then(|last| node.tell(&write(0, key, last)));
    }
    old.extend(old.clone());
    let forgotten: usize = [0, 1]
        .into_iter()
        .map(|number| {
            let here: Vec<_> = old
                .iter()
                .filter(|(item, _)| node.replica.partition_of(item.collection, &item.key) == number)
                .cloned()
                .collect();
            node.replica.forget_deleted(number, &here)
        })
        .sum();
    assert_eq!(forgotten, 1);
    node.write_log();
    assert!(node.cell(&item(0, "same")).is_none());
    assert!(node.cell(&item(0, "changed")).is_some_and(|cell| cell.is_deleted()));
    assert!(node.cell(&item(0, "back")).is_some_and(|cell| !cell.is_deleted()));
    node.assert_log_tells_the_truth();
}

#[test]
fn notes_are_few_and_survive_a_clock_that_jumps() {
    let mut node = Logged::new(1);
    let delete = |node: &mut Logged, n: u64| {
        let key = alloc::format!("key-{n}");
        node.tell(&write(0, &key, Action::Put("body".into()))).unwrap();
        node.tell(&write(0, &key, Action::Delete)).unwrap();
    };
    for day in 0..100 {
        delete(&mut node, day);
        node.replica.note_time(later(day));
        node.write_log();
    }
    let noted = |node: &Logged| match node.replica.time_notes.record() {
        Some(JournalRecord::TimeNoted(noted)) => noted,
        other => panic!("{other:?}"),
    };
    assert_eq!(noted(&node).len(), 11, "those of the horizon, and one before it");
    // The clock was a year ahead and is set right: what was noted then is not believed any more.
    delete(&mut node, 100);
    assert!(node.replica.note_time(later(500)));
    delete(&mut node, 101);
    assert!(node.replica.note_time(later(101)));
    assert!(noted(&node).iter().all(|(_, time)| *time <= later(101)));
    node.write_log();
    node.assert_log_tells_the_truth();
}

#[test]
fn notes_out_of_order_are_refused() {
    let node = filled();
    let lsn = Lsn::new(node.log.len() as u64 + 1);
    let noted = JournalRecord::TimeNoted(alloc::vec![(2, later(2)), (1, later(3))]);
    let log = node.log.iter().cloned().chain([(lsn, codec::encode_payload(&noted))]);
    let refused = Replica::recover(node.config.clone(), log, WALL).map(|_| ()).unwrap_err();
    assert_eq!(refused, RecoverError::OutOfOrder { lsn });
}

#[test]
fn hints_must_not_outlive_the_memory_of_deletions() {
    let mut config = config(1);
    let span = Duration::from_secs(60);
    (config.timing.hint_lifetime, config.timing.tombstone_horizon) = (span, span);
    let refused =
        Replica::recover(config.clone(), Vec::<(Lsn, Vec<u8>)>::new(), WALL).map(|_| ()).unwrap_err();
    let error = TimingError::HintsOutliveDeletions { lifetime: span, horizon: span };
    assert_eq!(refused, RecoverError::Timing(error));
    config.timing.hint_lifetime = Duration::from_secs(59);
    assert!(Replica::recover(config, Vec::<(Lsn, Vec<u8>)>::new(), WALL).is_ok());
}
