//! What every ring obeys.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::{MAX_MEMBERS, MAX_RACK, Member, Ring, RingError, Shape};
use super::support::{SHAPE, member, members, node};
use crate::node::NodeId;

/// Members in few racks, of several weights.
fn arb_members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_map(any::<u128>(), (0u8..5, 1u16..4), 1..12).prop_map(|members| {
        members
            .into_iter()
            .map(|(n, (rack, weight))| Member::new(NodeId::from_u128(n), format!("{rack}")).weighing(weight))
            .collect()
    })
}

fn shape(replicas: u8) -> Shape {
    Shape { replicas, write_quorum: 1, ..SHAPE }
}

/// Of a partition: how many primaries each rack has.
fn spread(ring: &Ring, members: &[Member], partition: u16) -> BTreeMap<alloc::string::String, usize> {
    let mut racks = BTreeMap::new();
    for primary in ring.primaries(partition) {
        let at = members.iter().find(|member| member.node == primary).unwrap();
        *racks.entry(at.rack.clone()).or_default() += 1;
    }
    racks
}

proptest! {
    #[test]
    fn a_preference_list_is_a_permutation_with_the_primaries_first(members in arb_members(), n in 1u8..6) {
        let ring = Ring::new(&members, shape(n)).unwrap();
        let all: BTreeSet<NodeId> = members.iter().map(|member| member.node).collect();
        for partition in 0..ring.partitions() {
            let list: Vec<NodeId> = ring.preference_list(partition).collect();
            prop_assert_eq!(list.len(), all.len());
            prop_assert_eq!(&list.iter().copied().collect::<BTreeSet<_>>(), &all);
            let primaries: Vec<NodeId> = ring.primaries(partition).collect();
            prop_assert_eq!(primaries.len(), usize::from(n).min(all.len()));
            prop_assert_eq!(&list[..primaries.len()], &primaries[..]);
            let fallbacks: Vec<NodeId> = ring.fallbacks(partition).collect();
            prop_assert_eq!(&list[primaries.len()..], &fallbacks[..]);
            for node in &all {
                prop_assert_eq!(ring.is_primary(*node, partition), primaries.contains(node));
                let held = ring.partitions_of(*node).any(|held| held == partition);
                prop_assert_eq!(held, primaries.contains(node));
            }
        }
        prop_assert_eq!(ring.preference_list(ring.partitions()).len(), 0);
    }

    #[test]
    fn racks_are_as_distinct_as_can_be(members in arb_members(), n in 1u8..6) {
        let ring = Ring::new(&members, shape(n)).unwrap();
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in &members {
            *sizes.entry(&member.rack).or_default() += 1;
        }
        for partition in 0..ring.partitions() {
            let racks = spread(&ring, &members, partition);
            let most = racks.values().copied().max().unwrap();
            // No rack has two more than another that has a node left.
            for (rack, size) in &sizes {
                let held = racks.get(*rack).copied().unwrap_or(0);
                prop_assert!(held == *size || held + 1 >= most, "{racks:?} of {sizes:?}");
            }
        }
    }

    #[test]
    fn the_order_in_which_members_are_named_does_not_matter(members in arb_members(), by in any::<usize>()) {
        let mut turned = members.clone();
        turned.rotate_left(by % members.len());
        prop_assert_eq!(Ring::new(&turned, SHAPE), Ring::new(&members, SHAPE));
    }

    #[test]
    fn fallbacks_keep_their_order_when_others_join_or_leave(members in arb_members(), joins in any::<u128>()) {
        let joins = NodeId::from_u128(joins);
        prop_assume!(members.iter().all(|member| member.node != joins));
        let more = [members.clone(), [Member::new(joins, "new")].into()].concat();
        // Of one primary, so that nearly all nodes are fallbacks.
        let (before, after) = (Ring::new(&members, shape(1)).unwrap(), Ring::new(&more, shape(1)).unwrap());
        for partition in 0..before.partitions() {
            let primaries = before.primaries(partition).chain(after.primaries(partition));
            let moved: Vec<NodeId> = [joins].into_iter().chain(primaries).collect();
            let order = |ring: &Ring| -> Vec<NodeId> {
                ring.fallbacks(partition).filter(|node| !moved.contains(node)).collect()
            };
            prop_assert_eq!(order(&before), order(&after));
        }
    }
}

#[test]
fn a_ring_that_cannot_be_is_refused() {
    let refused = |members: &[Member], shape: Shape| Ring::new(members, shape).unwrap_err();
    assert_eq!(refused(&[], SHAPE), RingError::Empty);
    assert_eq!(refused(&[member(1, 1), member(1, 2)], SHAPE), RingError::Twice { node: node(1) });
    assert_eq!(refused(&members(0..257, 9), SHAPE), RingError::TooManyMembers { found: MAX_MEMBERS + 1 });
    let named = |rack: usize| [Member::new(node(1), "r".repeat(rack))];
    assert!(Ring::new(&named(MAX_RACK), SHAPE).is_ok());
    assert_eq!(refused(&named(MAX_RACK + 1), SHAPE), RingError::RackTooLong { node: node(1), found: 65 });
    for weight in [0, 17] {
        let heavy = [member(1, 1).weighing(weight)];
        assert_eq!(refused(&heavy, SHAPE), RingError::Weight { node: node(1), found: weight });
    }
    for shape in [
        Shape { partitions: 0, ..SHAPE },
        Shape { replicas: 0, write_quorum: 0, ..SHAPE },
        Shape { replicas: 17, ..SHAPE },
        Shape { write_quorum: 0, ..SHAPE },
        Shape { write_quorum: 4, ..SHAPE },
    ] {
        assert_eq!(refused(&members(0..4, 4), shape), RingError::Shape { shape });
    }
}

#[test]
fn the_largest_ring_is_built() {
    let shape = Shape { partitions: 2_048, replicas: 16, write_quorum: 8 };
    let ring = Ring::new(&members(0..MAX_MEMBERS, 7), shape).unwrap();
    assert_eq!(ring.preference_list(2_047).len(), MAX_MEMBERS);
}
