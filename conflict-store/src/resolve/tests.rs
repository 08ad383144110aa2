use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use crdt_core::{Crdt, Hlc, ReplicaId, Stamp};
use proptest::prelude::*;

use super::{
    AskUser, Conflict, Custom, KeepAll, LastWriterWins, Resolution, ResolveError, SettleError, SuspendReason,
};
use crate::revision::oracle::{Body, KEY, Tree, arb_replicas};
use crate::revision::{RevisionTree, VersionId};

fn stamp(millis: u64) -> Stamp {
    Stamp { time: Hlc::new(millis, 0), replica: ReplicaId::from_bytes([1; 16]) }
}

/// First versions with these bodies and stamps, beside each other.
fn beside<const N: usize>(versions: [(Option<&str>, Option<Stamp>); N]) -> (Tree, [VersionId; N]) {
    let mut tree = Tree::default();
    let ids = versions.map(|(body, stamp)| tree.put_branch(KEY, None, body.map(Into::into), stamp).0);
    (tree, ids)
}

fn text(value: Option<Body>) -> Option<std::string::String> {
    value.map(|body| std::string::String::from_utf8(body).unwrap())
}

proptest! {
    #[test]
    fn every_replica_reads_the_same_whatever_order_things_arrived_in([a, b, c] in arb_replicas()) {
        let one = a.clone().merged(&b).merged(&c);
        let other = c.merged(&b).merged(&a);
        prop_assert_eq!(one.read(KEY, &KeepAll), other.read(KEY, &KeepAll));
        prop_assert_eq!(one.read(KEY, &LastWriterWins), other.read(KEY, &LastWriterWins));
    }

    #[test]
    fn settling_writes_what_was_read_and_leaves_no_conflict([a, b, c] in arb_replicas()) {
        let mut tree = a.merged(&b).merged(&c);
        let mut twin = tree.clone();
        let before = tree.read(KEY, &LastWriterWins).unwrap();
        if let Some((id, delta)) = tree.settle(KEY, &LastWriterWins).unwrap() {
            prop_assert_eq!(twin.settle(KEY, &LastWriterWins).unwrap(), Some((id, delta)));
            prop_assert_eq!(tree.get(&id).unwrap().rule(), Some("last-writer-wins"));
            prop_assert_eq!(tree.leaves().len(), 1);
        }
        prop_assert_eq!(&tree, &twin);
        prop_assert_eq!(tree.read(KEY, &LastWriterWins).unwrap().value, before.value);
        prop_assert_eq!(tree.settle(KEY, &LastWriterWins).unwrap(), None);
    }

    #[test]
    fn writing_on_a_reading_supersedes_what_was_seen([a, b, _] in arb_replicas()) {
        let mut tree = a.merged(&b);
        let reading = tree.read(KEY, &KeepAll).unwrap();
        prop_assert!(reading.seen.is_sorted());
        let (id, _) = tree.supersede(KEY, &reading.seen, Some(b"decided".to_vec()), None).unwrap();
        let after = tree.read(KEY, &KeepAll).unwrap();
        prop_assert_eq!((after.version, after.conflicts, after.seen), (Some(id), vec![], vec![id]));
    }

    #[test]
    fn the_trail_is_that_of_the_versions_known([a, b, c] in arb_replicas()) {
        let one = a.clone().merged(&b).merged(&c);
        let other = c.merged(&b).merged(&a);
        prop_assert!(one.audit().eq(other.audit()));
        prop_assert!(one.audit().is_sorted_by_key(|entry| entry.result));
        let resolutions = one.versions().filter(|version| version.parents().len() > 1);
        prop_assert!(one.audit().map(|entry| entry.result).eq(resolutions.map(|version| *version.id())));
        for entry in one.audit() {
            let body = |id: &VersionId| one.get(id).map(|version| version.body());
            let result = body(&entry.result);
            let mut superseded = [&entry.kept[..], &entry.dropped, &entry.unknown].concat();
            superseded.sort();
            prop_assert_eq!(superseded, entry.superseded);
            prop_assert!(entry.kept.iter().all(|id| body(id) == result));
            prop_assert!(entry.dropped.iter().all(|id| body(id).is_some() && body(id) != result));
            prop_assert!(entry.unknown.iter().all(|id| body(id).is_none()));
        }
    }

    #[test]
    fn a_suspended_conflict_is_what_the_reading_rests_on([a, b, c] in arb_replicas()) {
        let tree = a.merged(&b).merged(&c);
        let reading = tree.read(KEY, &AskUser).unwrap();
        let question = tree.suspended(KEY, &AskUser).unwrap();
        prop_assert_eq!(reading.suspended, question.as_ref().map(|question| question.reason.clone()));
        if let Some(question) = question {
            prop_assert_eq!(reading.version, Some(*question.versions[0].id()));
            let mut versions: Vec<_> = question.versions.iter().map(|version| *version.id()).collect();
            versions.sort();
            prop_assert_eq!(&versions, &question.seen);
            let mut answered = tree.clone();
            answered.resolve_suspended(KEY, &question.seen, Some(b"answer".to_vec()), None).unwrap();
            prop_assert!(answered.suspended(KEY, &AskUser).unwrap().is_none());
        }
    }
}

#[test]
fn the_last_writer_is_the_one_with_the_highest_stamp() {
    let (tree, _) = beside([
        (Some("later"), Some(stamp(2))),
        (Some("earlier"), Some(stamp(1))),
        (Some("no stamp"), None),
    ]);
    let reading = tree.read(KEY, &LastWriterWins).unwrap();
    assert_eq!(text(reading.value).as_deref(), Some("later"));
    assert!(reading.conflicts.is_empty());
    assert_eq!(reading.seen.len(), 3);
}

#[test]
fn a_later_deletion_wins_under_last_writer_wins_and_gives_way_under_the_others() {
    let (tree, [deletion, live]) = beside([(None, Some(stamp(2))), (Some("live"), Some(stamp(1)))]);
    let by_time = tree.read(KEY, &LastWriterWins).unwrap();
    assert_eq!((by_time.value, by_time.version), (None, Some(deletion)));
    let kept = tree.read(KEY, &KeepAll).unwrap();
    assert_eq!((kept.value.is_some(), kept.version, kept.seen), (true, Some(live), vec![live]));
    assert!(kept.conflicts.is_empty(), "a deletion is not a conflict");
}

#[test]
fn equal_or_missing_stamps_fall_back_to_the_winner() {
    for stamp in [None, Some(stamp(1))] {
        let (tree, _) = beside([(Some("a"), stamp), (Some("b"), stamp), (None, stamp)]);
        let reading = tree.read(KEY, &LastWriterWins).unwrap();
        assert_eq!(reading.version, tree.winner().map(|winner| *winner.id()));
        assert!(reading.value.is_some());
    }
}

#[test]
fn a_rule_sees_the_versions_and_what_they_were_written_on() {
    let mut tree = Tree::default();
    let (base, _) = tree.put(KEY, None, Some(b"bread".to_vec()), None).unwrap();
    tree.put_branch(KEY, Some(&base), Some(b"bread, milk".to_vec()), None);
    tree.put_branch(KEY, Some(&base), Some(b"bread, eggs".to_vec()), None);

    // A three-way merge of lists: what both have, and what either added.
    let items = |body: &Body| -> Vec<_> {
        str::from_utf8(body).unwrap().split(", ").map(ToString::to_string).collect()
    };
    let union = Custom::new("list union", |conflict: &Conflict<'_, Body>| {
        assert_eq!(conflict.key(), KEY);
        assert!(conflict.is_history_complete());
        let mut merged = items(conflict.common_ancestor().and_then(|base| base.body()).unwrap());
        let added = conflict.bodies().rev().flat_map(&items).filter(|item| !merged.contains(item));
        merged.extend(added.collect::<Vec<_>>());
        merged.sort();
        Resolution::Merge(merged.join(", ").into_bytes())
    });
    let reading = tree.read(KEY, &union).unwrap();
    assert_eq!(text(reading.value).as_deref(), Some("bread, eggs, milk"));
    assert_eq!(reading.version, None, "nobody wrote that yet");

    let (written, _) = tree.settle(KEY, &union).unwrap().unwrap();
    assert_eq!(
        tree.winner().map(|winner| (*winner.id(), winner.rule())),
        Some((written, Some("list union")))
    );
    assert_eq!(tree.read(KEY, &union).unwrap().version, Some(written));
}

#[test]
fn a_suspended_conflict_waits_for_somebody() {
    let (mut tree, _) = beside([(Some("a"), None), (Some("b"), None)]);
    let ask = AskUser;
    let reading = tree.read(KEY, &ask).unwrap();
    assert_eq!(reading.suspended, Some(SuspendReason::LeftToPeople));
    assert_eq!((reading.value.is_some(), reading.conflicts.len()), (true, 1));
    assert_eq!(tree.settle(KEY, &ask), Ok(None));
    tree.supersede(KEY, &reading.seen, Some(b"a".to_vec()), None).unwrap();
    assert_eq!(tree.read(KEY, &ask).unwrap().suspended, None);
}

#[test]
fn one_current_version_is_no_conflict() {
    let never =
        Custom::new("never asked", |_: &Conflict<'_, Body>| unreachable!("there is nothing to decide"));
    let (tree, _) = beside([(Some("only"), None), (None, None)]);
    assert!(tree.read(KEY, &never).unwrap().value.is_some());
    let (deleted, _) = beside([(None, Some(stamp(1))), (None, Some(stamp(2)))]);
    assert_eq!(deleted.read(KEY, &never).unwrap().value, None);
    assert_eq!(deleted.read(KEY, &LastWriterWins).unwrap().seen.len(), 2);
    assert_eq!(RevisionTree::default().read(KEY, &never), Ok(super::Reading::default()));
}

#[cfg(debug_assertions)]
#[test]
fn a_rule_that_is_not_a_function_of_the_conflict_is_caught() {
    let (mut tree, _) = beside([(Some("a"), None), (Some("b"), None)]);
    let calls = Cell::new(0_u8);
    let moody = Custom::new("moody", |_: &Conflict<'_, Body>| {
        calls.set(calls.get() + 1);
        Resolution::Merge(vec![calls.get()])
    });
    let caught = ResolveError::NotDeterministic { rule: "moody".to_string() };
    assert_eq!(tree.read(KEY, &moody), Err(caught.clone()));
    assert_eq!(tree.settle(KEY, &moody), Err(SettleError::Resolve(caught)));
    assert_eq!(tree.len(), 2);
}

#[test]
fn a_rule_cannot_choose_what_is_not_there() {
    let (tree, _) = beside([(Some("a"), None), (Some("b"), None)]);
    let chosen = VersionId::new(7, [7; 16]).unwrap();
    let stray = Custom::new("stray", move |_: &Conflict<'_, Body>| Resolution::Choose(chosen));
    assert_eq!(
        tree.read(KEY, &stray),
        Err(ResolveError::NotInConflict { rule: "stray".to_string(), chosen })
    );
}
