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
use crate::replica::{Action, JournalRecord, Replica, Write};
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
        branches: vec![(branch, Branch { root: ROOT, start: 2 })],
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
