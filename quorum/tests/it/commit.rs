//! Commit indexes against sorting, and weighted ones against trying every position.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use quorum::{CommitError, CommitTally, JointCommitTally, Progress, VotesError};

/// Positions and votes of the members.
type Members = BTreeMap<u8, (u64, u64)>;

/// The highest position at or beyond which the members have the votes needed.
fn index(need: u64, members: &Members) -> u64 {
    let enough = |at: u64| {
        let votes = members.values().filter(|(position, _)| *position >= at).map(|(_, votes)| votes);
        votes.sum::<u64>() >= need
    };
    members.values().map(|(position, _)| *position).filter(|at| enough(*at)).max().unwrap_or(0)
}

/// With one vote each: what stands at the right place when the positions are sorted.
fn kth_largest(k: usize, members: &Members) -> u64 {
    let mut positions: Vec<u64> = members.values().map(|(position, _)| *position).collect();
    positions.sort_unstable();
    positions.len().checked_sub(k).map_or(0, |place| positions[place])
}

fn with_one_vote(nodes: &[u8]) -> Members {
    nodes.iter().map(|node| (*node, (0, 1))).collect()
}

/// What a tally must answer, given what was known before; `index` computes the index from the members.
fn expected(
    members: &mut [Members],
    index: impl Fn(&[Members]) -> u64,
    (node, position): (u8, u64),
) -> Result<Progress, CommitError<u8>> {
    let before = index(members);
    let mut known: Vec<&mut u64> = members
        .iter_mut()
        .filter_map(|members| members.get_mut(&node))
        .map(|(position, _)| position)
        .collect();
    match known.first() {
        None => return Err(CommitError::NoMember { node }),
        Some(known) if **known > position => return Ok(Progress::Outdated { known: **known }),
        Some(_) => known.iter_mut().for_each(|known| **known = position),
    }
    let to = index(members);
    Ok(if to > before { Progress::Advanced { to } } else { Progress::Unchanged })
}

/// Close positions meet often; far ones must not matter.
fn acknowledgements(nodes: u8) -> impl Strategy<Value = Vec<(u8, u64)>> {
    let position = prop_oneof![8 => 0..12_u64, 1 => any::<u64>()];
    proptest::collection::vec((0..nodes, position), 0..60)
}

fn nodes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..24_u8, 0..24)
}

proptest! {
    #[test]
    fn any_k_is_the_kth_largest_position(
        k in 1..20_u32,
        nodes in nodes(),
        acknowledgements in acknowledgements(25),
    ) {
        let mut tally = CommitTally::new(nonzero(k), nodes.iter().copied());
        let mut members = [with_one_vote(&nodes)];
        for (node, position) in acknowledgements {
            let kth = |members: &[Members]| kth_largest(k as usize, &members[0]);
            prop_assert_eq!(tally.acknowledge(node, position), expected(&mut members, kth, (node, position)));
            prop_assert_eq!(tally.index(), kth(&members));
            prop_assert_eq!(tally.position(node), members[0].get(&node).map(|(position, _)| *position));
        }
    }

    #[test]
    fn votes_are_summed_at_every_position(
        votes in proptest::collection::vec(1..6_u64, 1..20),
        share in 0.0..1.0_f64,
        acknowledgements in acknowledgements(21),
    ) {
        let total: u64 = votes.iter().sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a share of a small number")]
        let need = 1 + (share * total as f64) as u64;
        let mut tally = CommitTally::weighted(need, votes.iter().copied().zip(0..)).expect("sound votes");
        let mut members: [Members; 1] = [(0..).zip(votes.iter().map(|votes| (0, *votes))).collect()];
        for (node, position) in acknowledgements {
            let summed = |members: &[Members]| index(need, &members[0]);
            prop_assert_eq!(tally.acknowledge(node, position), expected(&mut members, summed, (node, position)));
            prop_assert_eq!(tally.index(), summed(&members));
        }
        let listed: Members = tally.members().map(|(node, position, votes)| (node, (position, votes))).collect();
        prop_assert_eq!(&listed, &members[0]);
    }

    #[test]
    fn two_memberships_have_what_both_have(
        old in nodes(),
        new in nodes(),
        acknowledgements in acknowledgements(25),
    ) {
        let majority = |nodes: &[u8]| CommitTally::majority(nodes.iter().copied());
        let mut tally = JointCommitTally::new(majority(&old), majority(&new));
        let mut members = [with_one_vote(&old), with_one_vote(&new)];
        for (node, position) in acknowledgements {
            let both = |members: &[Members]| {
                let halves = members.iter().filter(|members| !members.is_empty());
                halves.map(|members| kth_largest(members.len() / 2 + 1, members)).min().unwrap_or(0)
            };
            prop_assert_eq!(tally.acknowledge(node, position), expected(&mut members, both, (node, position)));
            prop_assert_eq!(tally.index(), both(&members));
        }
    }

    #[test]
    fn a_new_membership_is_as_if_it_had_been_there_all_along(
        old in nodes(),
        new in nodes(),
        before in acknowledgements(24),
        after in acknowledgements(24),
    ) {
        let mut changed = CommitTally::majority(old.iter().copied());
        let mut throughout = CommitTally::majority(new.iter().copied());
        for (node, position) in before {
            let _ = changed.acknowledge(node, position);
            if old.contains(&node) {
                let _ = throughout.acknowledge(node, position);
            }
        }
        prop_assert_eq!(changed.reconfigure(CommitTally::majority(new)), throughout.index());
        for (node, position) in after {
            prop_assert_eq!(changed.acknowledge(node, position), throughout.acknowledge(node, position));
        }
        prop_assert_eq!(changed, throughout);
    }

    #[test]
    fn the_order_of_acknowledgements_does_not_matter(acknowledgements in acknowledgements(9)) {
        let tally = |acknowledgements: &[(u8, u64)]| {
            let mut tally = CommitTally::majority(0..9);
            for (node, position) in acknowledgements {
                let _ = tally.acknowledge(*node, *position);
            }
            tally
        };
        let mut sorted = acknowledgements.clone();
        sorted.sort_unstable_by_key(|(node, position)| (*position, *node));
        let backwards: Vec<_> = sorted.iter().rev().copied().collect();
        prop_assert_eq!(tally(&acknowledgements), tally(&sorted));
        prop_assert_eq!(tally(&sorted), tally(&backwards));
    }
}

#[test]
fn positions_of_one_to_five_members_are_as_known() {
    let cases: [(&[u64], u64); 9] = [
        (&[], 0),
        (&[12], 12),
        (&[12, 0], 0),
        (&[12, 5], 5),
        (&[12, 5, 0], 5),
        (&[12, 5, 6], 6),
        (&[101, 101, 103, 104], 101),
        (&[101, 102, 103, 103], 102),
        (&[100, 101, 101, 103, 104], 101),
    ];
    for (positions, index) in cases {
        let mut tally = CommitTally::majority(0..positions.len());
        for (node, position) in positions.iter().enumerate() {
            let _ = tally.acknowledge(node, *position);
        }
        assert_eq!(tally.index(), index, "{positions:?}");
    }
}

#[test]
fn a_stranger_commits_nothing() {
    let mut tally = CommitTally::majority([1, 2]);
    let before = tally.clone();
    assert_eq!(tally.acknowledge(3, 9), Err(CommitError::NoMember { node: 3 }));
    assert_eq!(tally.position(3), None);
    assert_eq!(tally, before);

    let mut joint = JointCommitTally::new(tally, CommitTally::majority([4]));
    assert_eq!(joint.acknowledge(3, 9), Err(CommitError::NoMember { node: 3 }));
    assert_eq!(joint.acknowledge(4, 9), Ok(Progress::Unchanged));
}

#[test]
fn a_member_with_all_votes_commits_alone_and_past_all_others() {
    let mut tally = CommitTally::weighted(2, [(2, 'a'), (1, 'b'), (1, 'c')]).expect("sound votes");
    assert_eq!(tally.acknowledge('b', 3), Ok(Progress::Unchanged));
    assert_eq!(tally.acknowledge('c', 5), Ok(Progress::Advanced { to: 3 }));
    assert_eq!(tally.acknowledge('a', 9), Ok(Progress::Advanced { to: 9 }));
    assert_eq!(tally.acknowledge('a', u64::MAX), Ok(Progress::Advanced { to: u64::MAX }));
}

#[test]
fn votes_that_make_no_sense_are_refused_by_name() {
    let weighted = |need, votes: &[(u64, u8)]| CommitTally::weighted(need, votes.iter().copied()).map(|_| ());
    assert_eq!(weighted(1, &[(1, 4), (2, 7), (1, 4)]), Err(VotesError::NamedTwice { node: 4 }));
    assert_eq!(weighted(1, &[(1, 4), (0, 7)]), Err(VotesError::NoVotes { node: 7 }));
    assert_eq!(weighted(1, &[(u64::MAX, 4), (1, 7)]), Err(VotesError::TooManyVotes));
    assert_eq!(weighted(0, &[(1, 4)]), Err(VotesError::NeedsNothing));
    assert_eq!(weighted(4, &[(1, 4), (2, 7)]), Err(VotesError::NeedsTooMuch { need: 4, total: 3 }));
    assert_eq!(weighted(1, &[]), Err(VotesError::NeedsTooMuch { need: 1, total: 0 }));
    assert_eq!(weighted(u64::MAX, &[(u64::MAX, 4)]), Ok(()));
}

#[test]
fn more_than_there_are_is_never_reached() {
    let mut tally = CommitTally::new(NonZeroU32::MAX, [1, 2]);
    assert_eq!(tally.acknowledge(1, 9), Ok(Progress::Unchanged));
    assert_eq!(tally.acknowledge(2, 9), Ok(Progress::Unchanged));
    assert_eq!(tally.describe().to_string(), "[9 9 _ x 4294967293|] index 0\nmembers 1@9 2@9\n");
}

#[test]
fn a_new_membership_may_bring_positions_of_its_own() {
    let mut next = CommitTally::majority([2, 3, 4]);
    assert_eq!(next.acknowledge(4, 7), Ok(Progress::Unchanged));
    let mut tally = CommitTally::majority([1, 2, 3]);
    assert_eq!(tally.acknowledge(2, 5), Ok(Progress::Unchanged));
    assert_eq!(tally.reconfigure(next), 5);
}

fn nonzero(required: u32) -> NonZeroU32 {
    NonZeroU32::new(required).expect("tests require at least one")
}
