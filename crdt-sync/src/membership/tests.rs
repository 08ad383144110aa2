//! The laws of membership, and what one node makes of what others say.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::laws::check_laws;
use proptest::prelude::*;

use super::*;
use crate::entry::Chain;

const PARTITIONS: u16 = 2;

fn node(n: u8) -> NodeId {
    NodeId::from_u128(n.into())
}

fn replica(n: u8) -> ReplicaId {
    ReplicaId::from_u128(n.into())
}

fn position(sequence: u64, past: u8) -> Position {
    Position { sequence, chain: Chain::START.then(replica(0), 0, &[past]) }
}

/// Something that happens to what a node knows of members.
#[derive(Clone, Debug)]
enum Step {
    Meet(u8, u8),
    Retire(u8, u8, u16, Position),
}

fn arb_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4, 0u8..6).prop_map(|(node, replica)| Step::Meet(node, replica)),
        (0u8..4, 0u8..6, 0..PARTITIONS, 1u64..4, 0u8..2).prop_map(
            |(node, replica, partition, sequence, past)| {
                Step::Retire(node, replica, partition, position(sequence, past))
            }
        ),
    ]
}

/// What a node knows that lived through some steps.
fn arb_membership() -> impl Strategy<Value = Membership> {
    prop::collection::vec(arb_step(), 0..8).prop_map(|steps| {
        let mut membership = Membership::default();
        for step in steps {
            match step {
                Step::Meet(n, id) => membership.meet(node(n), Some(replica(id))),
                Step::Retire(n, id, partition, applied) => {
                    membership.retire(node(n));
                    membership.extend(node(n), replica(id), partition, applied);
                }
            }
        }
        membership
    })
}

proptest! {
    #[test]
    fn membership_obeys_the_laws(a in arb_membership(), b in arb_membership(), c in arb_membership()) {
        check_laws(&a, &b, &c)?;
    }

    #[test]
    fn what_is_journaled_makes_up_for_what_was_not_known(a in arb_membership(), b in arb_membership()) {
        let joined = a.clone().merged(&b);
        prop_assert_eq!(a.clone().merged(&joined.news_for(&a)), joined);
    }

    #[test]
    fn what_a_node_says_is_admitted(a in arb_membership(), b in arb_membership()) {
        prop_assert_eq!(a.admit(&b, PARTITIONS, &Limits::default()), Ok(()));
    }
}

/// Nodes that hear of a retirement in any order, each having applied another part, and tell each other: all of them
/// take for valid exactly what one of them had applied.
#[test]
fn the_final_frontier_is_the_maximum_that_somebody_had_applied() {
    let mut nodes: Vec<Members> = (1..=3).map(|n| Members::new(node(n))).collect();
    let applied = [3, 8, 5];
    let mut retired = Membership::default();
    retired.meet(node(9), Some(replica(9)));
    retired.retire(node(9));
    for (members, sequence) in nodes.iter_mut().zip(applied) {
        members.learn(&retired, |_| vec![(0, position(sequence, 0))]);
        assert!(members.is_above_final(replica(9), 0, sequence + 1));
        assert!(!members.is_above_final(replica(9), 0, sequence));
        assert!(members.is_above_final(replica(9), 1, 1), "nothing was applied in the other partition");
        assert!(!members.is_above_final(replica(1), 0, u64::MAX >> 16), "of others everything is valid");
    }
    let told: Vec<Membership> = nodes.iter().map(|members| members.membership().clone()).collect();
    for (members, sequence) in nodes.iter_mut().zip(applied) {
        for told in &told {
            members.learn(told, |_| vec![(0, position(sequence, 0))]);
        }
        assert!(members.is_above_final(replica(9), 0, 9) && !members.is_above_final(replica(9), 0, 8));
    }
}

#[test]
fn an_evicted_node_states_nothing_about_itself() {
    let mut members = Members::new(node(1));
    members.write_under(replica(1), replication_log::Lsn::new(1));
    let mut retired = Membership::default();
    retired.retire(node(1));
    members.learn(&retired, |_| vec![(0, position(7, 0))]);
    assert!(members.is_evicted());
    let Some(Member::Retired { last }) = members.membership().get(node(1)) else { panic!("not retired") };
    assert_eq!(last.last(replica(1), 0), Position::default());
}

#[test]
fn too_much_and_what_cannot_be_is_refused_whole() {
    let known = three_members();
    let few = Limits { max_members: 2, ..Limits::default() };
    assert_eq!(known.admit(&known, PARTITIONS, &few), Err(MembershipError::TooManyMembers { limit: 2 }));
    let few = Limits { max_origins: 1, ..Limits::default() };
    assert_eq!(known.admit(&known, PARTITIONS, &few), Err(MembershipError::TooManyReplicas { limit: 1 }));
    for (partition, last) in [(PARTITIONS, position(1, 0)), (0, position(u64::MAX, 0)), (0, position(0, 1))] {
        let mut bad = known.clone();
        bad.retire(node(2));
        bad.extend(node(2), replica(2), partition, last);
        let refused = known.admit(&bad, PARTITIONS, &Limits::default());
        assert_eq!(refused, Err(MembershipError::BadFrontier { node: node(2) }));
    }
}

fn three_members() -> Membership {
    let mut known = Membership::default();
    for n in 1..=3 {
        known.meet(node(n), Some(replica(n)));
    }
    known
}
