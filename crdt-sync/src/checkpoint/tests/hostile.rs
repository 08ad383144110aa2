//! Bytes that are no checkpoint, or not one of this log, and what is said about them.

use alloc::vec::Vec;

use crdt_core::codec::DecodeError;
use replication_log::Lsn;

use super::support::*;
use crate::checkpoint::frame::{self, Frame, START, START_BYTES};
use crate::checkpoint::{CheckpointError, RestoreError, load, node_of_checkpoint};
use crate::limits::MAX_CHECKPOINT_FRAME;
use crate::node::{ClusterKey, NodeId};
use crate::replica::{Action, Config, JournalRecord, RecoverError, Replica, Write};

fn written() -> Logged {
    let mut logged = Logged::new(1);
    for n in 0u8..20 {
        let action = Action::Put(alloc::vec![n].into());
        logged.act(&Write { collection: collections()[0].id(), key: alloc::vec![n].into(), action });
    }
    logged
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = &bytes[START_BYTES..];
    core::iter::from_fn(|| {
        let (frame, length) = frame::take(rest).unwrap()?;
        rest = &rest[length..];
        Some(frame)
    })
    .collect()
}

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = START.to_vec();
    for frame in frames {
        frame::put(frame, &mut bytes).unwrap();
    }
    bytes
}

fn refused(config: &Config, bytes: &[u8]) -> RecoverError {
    load(config.clone(), [bytes], WALL).map(|(_, lsn)| lsn).unwrap_err()
}

fn refusal(bytes: &[u8]) -> RestoreError {
    match refused(&config(1), bytes) {
        RecoverError::Checkpoint(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_can_be_taken_apart_and_put_together() {
    let bytes = checkpoint_of(&mut written().replica);
    assert_eq!(bytes_of(&frames(&bytes)), bytes);
    assert_eq!(node_of_checkpoint(&bytes), Some(NodeId::from_u128(1)));
    assert_eq!(node_of_checkpoint(&bytes[..20]), None);
    assert_eq!(node_of_checkpoint(b"something else altogether"), None);
}

#[test]
fn a_checkpoint_that_ends_early_anywhere_is_none() {
    let bytes = checkpoint_of(&mut written().replica);
    for length in (0..bytes.len()).step_by(7) {
        assert_eq!(refusal(&bytes[..length]), RestoreError::Unfinished, "{length}");
    }
}

#[test]
fn what_is_not_a_checkpoint_of_this_version_is_refused_by_its_start() {
    let mut bytes = checkpoint_of(&mut written().replica);
    assert_eq!(refusal(b"CSYNTREE and so on"), RestoreError::NotOne);
    bytes[8] = 2;
    assert_eq!(refusal(&bytes), RestoreError::OtherVersion { found: 2, supported: 1 });
}

#[test]
fn a_part_larger_than_any_is_refused_before_it_is_read() {
    let mut bytes = START.to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    let limit = MAX_CHECKPOINT_FRAME;
    assert_eq!(refusal(&bytes), RestoreError::TooLarge { bytes: u32::MAX as usize, limit });
}

#[test]
fn a_part_larger_than_can_be_loaded_is_not_written() {
    let (bytes, limit) = (MAX_CHECKPOINT_FRAME + 1, MAX_CHECKPOINT_FRAME);
    assert_eq!(frame::length_of(bytes), Err(CheckpointError::TooLarge { bytes, limit }));
    assert_eq!(frame::length_of(limit), Ok([0, 0, 0, 0x40]));
}

#[test]
fn hints_anywhere_else_or_twice_are_refused_and_so_is_anything_in_their_place() {
    let mut logged = written();
    for n in 0u8..4 {
        let action = Action::Add(alloc::vec![n].into());
        logged.miss(7, &Write { collection: collections()[1].id(), key: alloc::vec![n].into(), action });
    }
    let whole = frames(&checkpoint_of(&mut logged.replica));
    let Frame::Records(hints) = &whole[1] else { panic!("hints follow the head") };
    assert!(load(config(1), [bytes_of(&whole)], WALL).is_ok());
    let with = |at: usize, records: &[JournalRecord]| {
        let mut frames = whole.clone();
        let hints = frames.remove(1);
        frames.insert(at, if records.is_empty() { hints } else { Frame::Records(records.to_vec()) });
        refused(&config(1), &bytes_of(&frames))
    };
    for at in (0..whole.len()).filter(|at| *at != 1) {
        let refusal = with(at, &[]);
        assert!(
            matches!(refusal, RecoverError::Checkpoint(RestoreError::Disorder { .. })),
            "{at}: {refusal:?}"
        );
    }
    let twice = [hints[0].clone(), hints[0].clone()];
    assert!(matches!(with(1, &twice), RecoverError::OutOfOrder { .. }));
    let foreign = JournalRecord::Dropped { partition: 0 };
    assert!(matches!(with(1, &[foreign]), RecoverError::Checkpoint(RestoreError::Disorder { .. })));
    let JournalRecord::HintHeld(held) = &hints[0] else { panic!("a hint") };
    let changed = |change: fn(&mut crate::replica::HeldHint)| {
        let mut held = held.clone();
        change(&mut held);
        with(1, &[JournalRecord::HintHeld(held)])
    };
    assert!(matches!(changed(|held| held.first = held.last + 1), RecoverError::OutOfOrder { .. }));
    assert!(matches!(changed(|held| held.last = u64::MAX), RecoverError::OutOfOrder { .. }));
    assert!(matches!(changed(|held| held.kept.delta.partition = 9), RecoverError::OutOfOrder { .. }));
    assert!(matches!(changed(|held| held.kept.delta.state = "\u{7f}".into()), RecoverError::Cell { .. }));
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let mut bytes = checkpoint_of(&mut written().replica);
    bytes.push(0);
    assert_eq!(refusal(&bytes), RestoreError::TrailingBytes { extra: 1 });
}

#[test]
fn a_part_that_is_nothing_is_malformed() {
    let mut bytes = START.to_vec();
    bytes.extend([1, 0, 0, 0, 99]);
    assert!(matches!(refusal(&bytes), RestoreError::Malformed(DecodeError::Malformed { .. })));
}

#[test]
fn parts_in_any_other_order_or_number_are_refused() {
    let whole = frames(&checkpoint_of(&mut written().replica));
    for left_out in 0..whole.len() {
        let mut frames = whole.clone();
        let gone = frames.remove(left_out);
        // Entries for peers may be left out: that is what happens when they are dropped meanwhile.
        let loaded = load(config(1), [bytes_of(&frames)], WALL);
        assert_eq!(loaded.is_ok(), matches!(gone, Frame::Retained { .. }), "without {gone:?}");
    }
    for doubled in 0..whole.len() {
        let mut frames = whole.clone();
        frames.insert(doubled, whole[doubled].clone());
        refused(&config(1), &bytes_of(&frames));
    }
    for swapped in 1..whole.len() {
        let mut frames = whole.clone();
        frames.swap(swapped - 1, swapped);
        refused(&config(1), &bytes_of(&frames));
    }
}

/// Changes every frame that it can and expects each to be refused.
fn every_change_is_refused(mut change: impl FnMut(&mut Frame) -> bool) -> Vec<RecoverError> {
    let whole = frames(&checkpoint_of(&mut written().replica));
    let mut refusals = Vec::new();
    for at in 0..whole.len() {
        let mut frames = whole.clone();
        if change(&mut frames[at]) {
            refusals.push(refused(&config(1), &bytes_of(&frames)));
        }
    }
    assert!(!refusals.is_empty());
    refusals
}

#[test]
fn cells_that_do_not_sum_up_to_the_root_are_refused() {
    for refusal in every_change_is_refused(|frame| match frame {
        Frame::Cells(cells) => cells.items.pop().is_some(),
        _ => false,
    }) {
        assert!(matches!(refusal, RecoverError::Checkpoint(RestoreError::OtherRoot { .. })), "{refusal:?}");
    }
}

#[test]
fn keys_in_another_order_and_entries_of_another_chain_are_refused() {
    every_change_is_refused(|frame| match frame {
        Frame::Cells(cells) => {
            cells.items.reverse();
            cells.items.len() > 1
        }
        _ => false,
    });
    every_change_is_refused(|frame| match frame {
        Frame::Retained { run, lsns } => {
            run.entries.swap(0, 1);
            lsns.len() > 1
        }
        _ => false,
    });
    every_change_is_refused(|frame| match frame {
        Frame::Retained { lsns, .. } => lsns.pop().is_some(),
        _ => false,
    });
}

#[test]
fn a_state_of_another_kind_is_refused() {
    let refusals = every_change_is_refused(|frame| match frame {
        Frame::Cells(cells) => {
            cells.collection = collections()[2].id();
            true
        }
        _ => false,
    });
    let bad = |refusal: &RecoverError| matches!(refusal, RecoverError::Checkpoint(RestoreError::Cell(_)));
    assert!(refusals.iter().all(bad), "{refusals:?}");
}

#[test]
fn a_checkpoint_of_another_node_cluster_division_or_with_other_collections_is_refused_as_a_log_would_be() {
    let bytes = checkpoint_of(&mut written().replica);
    assert_eq!(refused(&config(2), &bytes), RecoverError::OtherNode);
    let other_cluster = Config { cluster: ClusterKey::from_bytes([8; 16]), ..config(1) };
    assert_eq!(refused(&other_cluster, &bytes), RecoverError::OtherCluster);
    let other_partitions = Config { partitions: PARTITIONS + 1, ..config(1) };
    let (logged, configured) = (PARTITIONS, PARTITIONS + 1);
    assert_eq!(refused(&other_partitions, &bytes), RecoverError::OtherPartitions { logged, configured });
    let fewer = Config { collections: collections()[..2].to_vec(), ..config(1) };
    assert_eq!(refused(&fewer, &bytes), RecoverError::OtherCollections);
}

#[test]
fn a_log_with_a_gap_behind_the_checkpoint_is_refused_and_one_that_ends_before_it_too() {
    let mut logged = written();
    let checkpoint = logged.replica.journal.last();
    let bytes = checkpoint_of(&mut logged.replica);
    let before = logged.log.clone();
    for body in ["a", "b"] {
        let action = Action::Put(body.into());
        logged.act(&Write { collection: collections()[0].id(), key: "late".into(), action });
    }
    let reopen = |log: &[(Lsn, Vec<u8>)]| {
        let reopened = Replica::recover_from(config(1), [&bytes], log.to_vec(), WALL);
        reopened.map(|replica| replica.journal.last())
    };
    let last = logged.replica.journal.last();
    assert_eq!(reopen(&logged.log), Ok(last), "what the checkpoint has is passed over");
    assert_eq!(reopen(&logged.log[before.len()..]), Ok(last));
    assert_eq!(reopen(&before), Ok(checkpoint));
    assert_eq!(reopen(&[]), Ok(checkpoint), "everything up to it was cut");
    assert_eq!(reopen(&logged.log[before.len() + 1..]), Err(RecoverError::Gap { checkpoint, first: last }));
    let short = &before[..before.len() - 2];
    let ends = Lsn::new(checkpoint.get() - 2);
    assert_eq!(reopen(short), Err(RecoverError::LogTooShort { checkpoint, last: ends }));
}

#[test]
fn a_head_without_an_identity_is_refused() {
    let mut whole = frames(&checkpoint_of(&mut written().replica));
    if let Frame::Head(head) = &mut whole[0] {
        head.records.truncate(1);
    }
    assert!(matches!(refusal(&bytes_of(&whole)), RestoreError::Disorder { .. }));
    if let Frame::Head(head) = &mut whole[0] {
        head.records.clear();
    }
    assert!(matches!(refusal(&bytes_of(&whole)), RestoreError::Disorder { .. }));
}
