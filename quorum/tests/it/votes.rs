//! Votes against trying every way in which those who are silent could still vote.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::prelude::*;
use quorum::{JointVoteTally, Vote, VoteError, VoteOutcome, VoteTally};

/// A vote told by its definition: remember who said what, then try every future.
#[derive(Debug, Clone)]
struct Naive {
    required: u32,
    votes: BTreeMap<u8, Option<Vote>>,
}

impl Naive {
    fn new(required: u32, voters: &[u8]) -> Self {
        Self { required, votes: voters.iter().map(|voter| (*voter, None)).collect() }
    }

    /// More than half of the distinct voters.
    fn majority(voters: &[u8]) -> Self {
        let mut naive = Self::new(1, voters);
        while 2 * naive.required as usize <= naive.votes.len() {
            naive.required += 1;
        }
        naive
    }

    /// Counts a first vote.
    fn cast(&mut self, node: u8, vote: Vote) {
        if let Some(said) = self.votes.get_mut(&node) {
            said.get_or_insert(vote);
        }
    }

    fn first(&self, node: u8) -> Option<Vote> {
        self.votes.get(&node).copied().flatten()
    }

    fn granted_if(&self, granting: &[u8]) -> bool {
        let granted = |(node, said): (&u8, &Option<Vote>)| {
            *said == Some(Vote::Granted) || said.is_none() && granting.contains(node)
        };
        self.votes.iter().filter(|(node, said)| granted((node, said))).count() >= self.required as usize
    }
}

/// All of these votes must be won.
fn outcome(votes: &[&Naive]) -> VoteOutcome {
    let mut silent: Vec<u8> = votes
        .iter()
        .flat_map(|naive| naive.votes.iter().filter(|(_, said)| said.is_none()).map(|(node, _)| *node))
        .collect();
    silent.sort_unstable();
    silent.dedup();
    let mut met = (0..1_u32 << silent.len()).map(|future| {
        let chosen = silent.iter().enumerate().filter(|(at, _)| future & (1 << at) != 0);
        let granting: Vec<u8> = chosen.map(|(_, node)| *node).collect();
        votes.iter().all(|naive| naive.granted_if(&granting))
    });
    match (met.next(), met.any(|met| met)) {
        (Some(true), _) => VoteOutcome::Won,
        (_, true) => VoteOutcome::Pending,
        (_, false) => VoteOutcome::Lost,
    }
}

/// What a tally must answer to a vote, given what was known before it.
fn expected(votes: &mut [Naive], node: u8, vote: Vote) -> Result<VoteOutcome, VoteError<u8>> {
    if !votes.iter().any(|naive| naive.votes.contains_key(&node)) {
        return Err(VoteError::NoVoter { node });
    }
    if let Some(first) = votes.iter().find_map(|naive| naive.first(node)).filter(|first| *first != vote) {
        return Err(VoteError::Changed { node, first });
    }
    for naive in votes.iter_mut() {
        naive.cast(node, vote);
    }
    // A membership of nobody asks for nothing, unless there is no other.
    let asked: Vec<&Naive> = votes.iter().filter(|naive| !naive.votes.is_empty()).collect();
    Ok(outcome(&asked))
}

fn ballots() -> impl Strategy<Value = Vec<(u8, Vote)>> {
    let vote = prop_oneof![Just(Vote::Granted), Just(Vote::Rejected)];
    proptest::collection::vec((0..9_u8, vote), 0..16)
}

fn voters() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0..8_u8, 0..7)
}

proptest! {
    #[test]
    fn any_number_needed_agrees_with_trying_every_future(
        required in 1..6_u32,
        voters in voters(),
        ballots in ballots(),
    ) {
        let mut tally = VoteTally::new(nonzero(required), voters.iter().copied());
        let mut naive = [Naive::new(required, &voters)];
        prop_assert_eq!(tally.outcome(), outcome(&[&naive[0]]));
        for (node, vote) in ballots {
            let before = tally.clone();
            let counted = tally.cast(node, vote);
            prop_assert_eq!(counted, expected(&mut naive, node, vote));
            prop_assert!(counted.is_ok() || tally == before);
            prop_assert_eq!(tally.voters().collect::<BTreeMap<_, _>>(), naive[0].votes.clone());
            prop_assert_eq!(tally.silent(), naive[0].votes.values().filter(|vote| vote.is_none()).count());
        }
    }

    #[test]
    fn two_memberships_agree_with_trying_every_future(old in voters(), new in voters(), ballots in ballots()) {
        let mut tally = JointVoteTally::majority(old.iter().copied(), new.iter().copied());
        let mut naive = [Naive::majority(&old), Naive::majority(&new)];
        for (node, vote) in ballots {
            let before = tally.clone();
            let counted = tally.cast(node, vote);
            prop_assert_eq!(counted, expected(&mut naive, node, vote));
            prop_assert!(counted.is_ok() || tally == before);
        }
    }

    #[test]
    fn a_membership_of_nobody_beside_another_changes_nothing(voters in voters(), ballots in ballots()) {
        let mut alone = VoteTally::majority(voters.iter().copied());
        let mut before = JointVoteTally::majority(voters.iter().copied(), []);
        let mut after = JointVoteTally::majority([], voters);
        for (node, vote) in ballots {
            let counted = alone.cast(node, vote);
            prop_assert_eq!(before.cast(node, vote), counted);
            prop_assert_eq!(after.cast(node, vote), counted);
        }
        prop_assert_eq!((before.outcome(), after.outcome()), (alone.outcome(), alone.outcome()));
    }

    #[test]
    fn a_decided_vote_stays_decided(voters in voters(), ballots in ballots()) {
        let mut tally = VoteTally::majority(voters);
        for (node, vote) in ballots {
            let before = tally.outcome();
            let _ = tally.cast(node, vote);
            prop_assert!(before == VoteOutcome::Pending || tally.outcome() == before);
        }
    }
}

#[test]
fn with_one_to_three_voters_every_case_is_as_known() {
    use VoteOutcome::{Lost, Pending, Won};
    let cases = [
        ("", Lost),
        ("_", Pending),
        ("y", Won),
        ("n", Lost),
        ("__", Pending),
        ("y_", Pending),
        ("n_", Lost),
        ("yy", Won),
        ("yn", Lost),
        ("___", Pending),
        ("y__", Pending),
        ("n__", Pending),
        ("yn_", Pending),
        ("yy_", Won),
        ("nn_", Lost),
        ("yyn", Won),
        ("ynn", Lost),
    ];
    for (votes, outcome) in cases {
        let mut tally = VoteTally::majority(0..votes.len());
        for (node, vote) in votes.chars().enumerate() {
            let _ = match vote {
                'y' => tally.grant(node),
                'n' => tally.reject(node),
                _ => Ok(tally.outcome()),
            };
        }
        assert_eq!(tally.outcome(), outcome, "{votes:?}");
    }
}

#[test]
fn neither_membership_decides_a_change_alone() {
    for majority in [[1, 2], [1, 3], [4, 5]] {
        let mut tally = JointVoteTally::majority([1, 2, 3], [3, 4, 5]);
        for node in majority {
            assert_eq!(tally.grant(node), Ok(VoteOutcome::Pending));
        }
    }
    let mut tally = JointVoteTally::majority([1, 2, 3], [3, 4, 5]);
    assert_eq!(tally.reject(4), Ok(VoteOutcome::Pending));
    assert_eq!(tally.reject(5), Ok(VoteOutcome::Lost));
}

#[test]
fn votes_made_one_count_in_both_and_must_not_contradict() {
    let mut old = VoteTally::majority([1, 2, 3]);
    assert_eq!(old.grant(2), Ok(VoteOutcome::Pending));
    let mut new = VoteTally::majority([2, 3, 4]);
    assert_eq!(new.grant(3), Ok(VoteOutcome::Pending));
    let joint = JointVoteTally::new(old.clone(), new.clone()).expect("they say the same");
    assert_eq!(joint.outcome(), VoteOutcome::Won);
    assert_eq!((joint.old_half().granted(), joint.new_half().granted()), (2, 2));

    assert_eq!(new.reject(2), Ok(VoteOutcome::Pending));
    let contradiction = VoteError::Changed { node: 2, first: Vote::Rejected };
    assert_eq!(JointVoteTally::new(old, new), Err(contradiction));
}

#[test]
fn more_than_there_are_cannot_be_had() {
    let tally = VoteTally::new(NonZeroU32::MAX, [1, 2, 3]);
    assert_eq!(tally.outcome(), VoteOutcome::Lost);
    assert_eq!(tally.describe().to_string(), "[..._ x 4294967292|] lost\nvoters 1. 2. 3.\n");
}

#[test]
fn many_voters_are_found_as_few_are() {
    let mut tally = VoteTally::majority((0..101_u64).map(|node| node * 3));
    for node in (0..50).map(|node| node * 3) {
        assert_eq!(tally.grant(node), Ok(VoteOutcome::Pending));
    }
    assert_eq!(tally.grant(4), Err(VoteError::NoVoter { node: 4 }));
    assert_eq!(tally.grant(300), Ok(VoteOutcome::Won));
}

fn nonzero(required: u32) -> NonZeroU32 {
    NonZeroU32::new(required).expect("tests require at least one")
}
