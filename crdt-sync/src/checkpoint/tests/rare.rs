//! What happens seldom, and must outlive the log all the same: members that were retired, forks, documents that were
//! forgotten, states ahead of the frontier.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{ReplicaId, codec};
use replication_log::Lsn;

use super::support::{Logged, WALL, Whole, collections};
use crate::entry::{Chain, Position};
use crate::membership::{Member, Membership};
use crate::node::NodeId;
use crate::replica::{Action, ItemKey, JournalRecord, Replica, Write};
use crate::session::Causal;
use crate::wire::{Branch, Ceiling, Cut, KnownForks};

const ROOT: ReplicaId = ReplicaId::from_u128(0xa);

fn retired() -> Membership {
    let mut membership = Membership::default();
    membership.meet(NodeId::from_u128(7), Some(ROOT));
    membership.retire(NodeId::from_u128(8));
    membership.extend(NodeId::from_u128(8), ReplicaId::from_u128(0xb), 1, position(3));
    membership
}

fn forked() -> KnownForks {
    let cut = Cut { after: position(2), root: ROOT };
    let branch = ReplicaId::from_u128(0xc);
    KnownForks {
        cuts: vec![(cut, vec![ROOT])],
        branches: vec![(branch, Branch { root: ROOT, start: 2, chain: position(3).chain })],
        ceilings: vec![Ceiling {
            collection: collections()[2].id(),
            key: "k".into(),
            segment: ROOT,
            incremented: 5,
            decremented: 0,
        }],
    }
}

fn position(sequence: u64) -> Position {
    Position { sequence, chain: Chain::START.then(ROOT, 0, &sequence.to_le_bytes()) }
}

#[test]
fn what_happens_seldom_outlives_the_log() {
    let mut logged = Logged::new(1);
    logged.act(&Write { collection: collections()[2].id(), key: "k".into(), action: Action::Increment(4) });
    let records = [
        JournalRecord::Members(retired()),
        JournalRecord::ForksKnown { partition: 0, known: forked() },
        JournalRecord::Collected { partition: 1, documents: Vec::new() },
        JournalRecord::Ahead { partition: 1, since: 2, bounds: vec![(ROOT, 9)] },
    ];
    let last = logged.log.len() as u64;
    let numbered = (last + 1..).map(Lsn::new).zip(records.iter().map(codec::encode_payload));
    logged.log.extend(numbered);
    logged.replica = Replica::recover(logged.config.clone(), logged.log.clone(), WALL).unwrap();
    for record in &records[1..] {
        assert!(logged.replica.records_of_head().contains(record), "{record:?}");
    }
    let members = logged.replica.members.membership();
    assert!(matches!(members.get(NodeId::from_u128(8)), Some(Member::Retired { .. })));

    logged.begin();
    while !logged.piece(100) {}
    let mut reopened = logged.reopened().unwrap().unwrap();
    assert_eq!(Whole::of(&mut reopened), Whole::of(&mut logged.replica));
}

/// A version comes back, as the entry it was, after it was dropped as a far ancestor. Nobody can tell any more where it
/// belongs, so it stands beside the others, a conflict that is none. One exchange brings it to a replica that still
/// knows its place and drops it; the second to one that does not.
#[test]
fn a_version_that_returns_after_it_was_dropped_is_the_same_everywhere_after_two_exchanges() {
    let document = &collections()[0];
    let write = |action| Write { collection: document.id(), key: "key".into(), action };
    let put = || write(Action::Put("body".into()));
    let [mut one, mut other] = [Logged::new(1), Logged::new(2)];
    one.act(&put());
    other.merge_states_of(&one, false);
    for next in [put(), write(Action::Delete), put()] {
        other.act(&next);
    }
    one.catch_up_with(&other);
    other.act(&put());
    other.catch_up_with(&one);
    let roots =
        |logged: &Logged| logged.replica.partitions.iter().map(|part| part.cells.root()).collect::<Vec<_>>();
    for agree in [false, true] {
        one.merge_states_of(&other, true);
        other.merge_states_of(&one, true);
        assert_eq!(roots(&one) == roots(&other), agree);
    }
}

/// A session that was given up brought what its entry brings again and changes nothing of. Whoever reads it depends on
/// that entry at any time: before it is there because of the bound, from then on because the cell rests on it.
#[test]
fn a_session_names_the_entry_of_what_came_ahead_of_it_before_and_after_it_arrived() {
    let actions =
        [Action::Put("body".into()), Action::Add("milk".into()), Action::Increment(1), Action::Set(None)];
    for (collection, action) in collections().iter().zip(actions) {
        let [mut writer, mut reader] = [Logged::new(1), Logged::new(2)];
        let item = ItemKey { collection: collection.id(), key: "key".into() };
        writer.act(&Write { collection: item.collection, key: item.key.clone(), action });
        let number = writer.replica.partition_of(item.collection, &item.key);
        let assert_named = |reader: &Logged| {
            let restarted = [Some(reader.replayed()), reader.reopened().map(Result::unwrap)];
            for replica in restarted.iter().flatten().chain([&reader.replica]) {
                let mut token = Causal::default();
                token.show(replica.partition(number), &item);
                assert_eq!(token.of(number).collect::<Vec<_>>(), [(writer.replica.id, 1)], "{item:?}");
            }
        };
        let checkpoint = |reader: &mut Logged| {
            reader.begin();
            while !reader.piece(100) {}
        };
        reader.merge_states_of(&writer, false);
        assert_named(&reader);
        checkpoint(&mut reader);
        assert_named(&reader);
        reader.catch_up_with(&writer);
        assert_eq!(reader.replica.partition(number).histories.head(writer.replica.id).sequence, 1);
        assert_named(&reader);
        checkpoint(&mut reader);
        assert_named(&reader);
    }
}

/// The same for a deletion: it is as old as its entry, and found under no other age.
#[test]
fn a_deletion_that_came_ahead_of_its_entry_is_as_old_as_the_entry() {
    let [mut writer, mut reader] = [Logged::new(1), Logged::new(2)];
    let item = ItemKey { collection: collections()[0].id(), key: "key".into() };
    for action in [Action::Put("body".into()), Action::Delete] {
        writer.act(&Write { collection: item.collection, key: item.key.clone(), action });
    }
    let number = writer.replica.partition_of(item.collection, &item.key);
    reader.merge_states_of(&writer, false);
    let before = reader.replica.journal.last();
    reader.catch_up_with(&writer);
    for replica in [&mut reader.replayed(), &mut reader.replica] {
        let after = replica.journal.last();
        let cells = &mut replica.partition_mut(number).cells;
        assert_eq!(cells.deleted_until(before, 9), []);
        assert_eq!(cells.deleted_until(after, 9), core::slice::from_ref(&item));
        cells.forget(&item, after);
        assert!(!cells.has_deleted());
    }
}
