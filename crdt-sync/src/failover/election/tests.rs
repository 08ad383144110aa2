use proptest::prelude::*;
use replication_log::{Epoch, Lsn};

use super::*;

fn node(number: impl TryInto<u128>) -> NodeId {
    NodeId::from_u128(number.try_into().unwrap_or_default())
}

fn end(epoch: u64, lsn: u64) -> Position {
    Position { lsn: Lsn::new(lsn), epoch: Epoch::new(epoch), checksum: 0 }
}

fn candidate(number: u8, lsn: u64) -> Candidate {
    Candidate { node: node(number), end: end(1, lsn), promotable: true, priority: 0 }
}

#[test]
fn a_later_epoch_is_ahead_of_a_longer_log() {
    assert!(is_ahead(end(2, 10), end(1, 1_000)));
    assert_eq!(lacks(end(1, 1_000), end(2, 10)), 1);
    assert_eq!(lacks(end(2, 10), end(1, 1_000)), 0);
    assert_eq!(lacks(end(1, 10), end(1, 1_000)), 990);
}

#[test]
fn patronis_votes_are_those_that_can_be_reached_and_are_not_ahead() {
    let rule = QuorumRule::new((1..=4).map(node), 2);
    let here = end(1, 10);
    let reached = |others: &[(u8, u64)]| -> Vec<(NodeId, Position)> {
        others.iter().map(|(number, lsn)| (node(*number), end(1, *lsn))).collect()
    };
    assert_eq!(rule.check(node(1), here, reached(&[(2, 10), (3, 9)])), Ok(()));
    assert_eq!(
        rule.check(node(1), here, reached(&[(2, 10)])),
        Err(NotElectable::TooFewVotes { votes: 1, needed: 2 })
    );
    assert_eq!(
        rule.check(node(1), here, reached(&[(2, 10), (3, 11), (4, 1)])),
        Err(NotElectable::Behind { node: node(3) })
    );
    // Who is no voter has to find one more, and gets no vote from others that are none.
    let stranger = rule.check(node(9), here, reached(&[(2, 10), (3, 9), (8, 1)]));
    assert_eq!(stranger, Err(NotElectable::TooFewVotes { votes: 1, needed: 2 }));
    assert_eq!(rule.check(node(9), here, reached(&[(2, 10), (3, 9), (4, 1)])), Ok(()));
}

proptest! {
    /// Whatever somebody acknowledged by the rule's commits, whoever the rule lets through has it.
    #[test]
    fn whoever_is_let_through_has_what_was_acknowledged(
        ends in prop::collection::vec(0_u64..20, 2..7),
        acks in 1_usize..4,
        reachable in any::<u8>(),
        me in 0_usize..6,
    ) {
        prop_assume!(acks < ends.len() && me < ends.len());
        let rule = QuorumRule::new((0..ends.len()).map(node), acks);
        let others = (0..ends.len())
            .filter(|voter| *voter != me && reachable & 1 << voter != 0)
            .map(|voter| (node(voter), end(1, ends[voter])));
        // Acknowledged is what the `acks` furthest of them have.
        let mut furthest = ends.clone();
        furthest.sort_unstable_by_key(|lsn| Reverse(*lsn));
        let acknowledged = furthest[acks - 1];
        if rule.check(node(me), end(1, ends[me]), others).is_ok() {
            prop_assert!(ends[me] >= acknowledged, "{} of {ends:?}", ends[me]);
        }
    }

    /// All nodes that see the same agree who comes first, whoever lists them, and nobody comes who may not.
    #[test]
    fn the_order_does_not_depend_on_who_lists_them(
        candidates in prop::collection::btree_map(1_u8..9, (0_u64..50, any::<bool>(), 0_u32..3), 1..8)
            .prop_map(|nodes| nodes.into_iter().map(|(number, (lsn, promotable, priority))| {
                Candidate { promotable, priority, ..candidate(number, lsn) }
            }).collect::<Vec<_>>()),
        most in 0_u64..60,
        list in prop::collection::vec(1_u8..9, 0..4),
        turned in 0_usize..8,
    ) {
        let list = Policy::Priority(list.into_iter().map(node).collect());
        for policy in [Policy::MostUpToDate, list, Policy::Consensus] {
            let known_end = candidates.iter().map(|candidate| candidate.end).max_by_key(|end| end.lsn).unwrap();
            let mut others = candidates.clone();
            others.rotate_left(turned % candidates.len());
            let election =
                |candidates| Election { policy: &policy, most_lag: Some(most), known_end, candidates };
            let order = election(&others).order();
            let election = election(&candidates);
            prop_assert_eq!(&election.order(), &order);
            for candidate in &candidates {
                let may = candidate.promotable && lacks(candidate.end, known_end) <= most;
                prop_assert_eq!(election.turn(candidate.node).is_ok(), may);
                prop_assert_eq!(order.contains(&candidate.node), may);
            }
        }
    }
}
