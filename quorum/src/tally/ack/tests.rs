use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{QuorumConfig, TallyError};

/// The tally told by its definition: remember who was asked and who said what, then try every future.
#[derive(Debug, Default)]
struct Naive {
    required: u32,
    required_primaries: u32,
    nodes: BTreeMap<u8, (Role, Answer)>,
}

impl Naive {
    fn ask(&mut self, node: u8, role: Role) {
        self.nodes.entry(node).or_insert((role, Answer::Waiting));
    }

    fn answer(&mut self, node: u8, answer: Answer) -> bool {
        let Some((_, known)) = self.nodes.get_mut(&node) else {
            return false;
        };
        if *known != Answer::Acknowledged {
            *known = answer;
        }
        true
    }

    fn outcome(&self) -> Outcome {
        let waiting: Vec<u8> = self.nodes_that(Answer::Waiting).collect();
        let futures = 0..1_u32 << waiting.len();
        let mut met = futures.map(|future| {
            let chosen = waiting.iter().enumerate().filter(|(at, _)| future & (1 << at) != 0);
            let mut acknowledged: Vec<u8> = self.nodes_that(Answer::Acknowledged).collect();
            acknowledged.extend(chosen.map(|(_, node)| *node));
            let primaries = acknowledged.iter().filter(|node| self.nodes[*node].0 == Role::Primary);
            acknowledged.len() >= self.required as usize
                && primaries.count() >= self.required_primaries as usize
        });
        match (met.next(), met.any(|met| met)) {
            (Some(true), _) => Outcome::Reached,
            (_, true) => Outcome::Pending,
            (_, false) => Outcome::Impossible,
        }
    }

    fn nodes_that(&self, said: Answer) -> impl Iterator<Item = u8> + '_ {
        self.nodes.iter().filter(move |(_, (_, answer))| *answer == said).map(|(node, _)| *node)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    AskFallback(u8),
    Ack(u8),
    Fail(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..10_u8;
    prop_oneof![
        1 => node.clone().prop_map(Step::AskFallback),
        4 => node.clone().prop_map(Step::Ack),
        2 => node.prop_map(Step::Fail),
    ]
}

proptest! {
    #[test]
    fn agrees_with_trying_every_future(
        required in 1..6_u32,
        required_primaries in 0..4_u32,
        primaries in proptest::collection::vec(0..6_u8, 0..6),
        steps in proptest::collection::vec(step(), 0..16),
    ) {
        let mut tally = AckTally::new(nonzero(required), primaries.iter().copied())
            .requiring_primaries(required_primaries);
        let mut naive = Naive { required, required_primaries, ..Naive::default() };
        for node in primaries {
            naive.ask(node, Role::Primary);
        }
        for step in steps {
            let accepted = match step {
                Step::AskFallback(node) => {
                    naive.ask(node, Role::Fallback);
                    prop_assert_eq!(tally.ask_fallback(node), naive.outcome());
                    continue;
                }
                Step::Ack(node) => (naive.answer(node, Answer::Acknowledged), tally.ack(node), node),
                Step::Fail(node) => (naive.answer(node, Answer::Failed), tally.fail(node), node),
            };
            let (known, answered, node) = accepted;
            let expected = if known { Ok(naive.outcome()) } else { Err(AckError::NeverAsked { node }) };
            prop_assert_eq!(answered, expected);
            let nodes: Vec<_> = tally.nodes().collect();
            let remembered: Vec<_> = naive.nodes.iter().map(|(n, (role, answer))| (*n, *role, *answer)).collect();
            prop_assert_eq!(nodes, remembered);
            prop_assert_eq!(tally.acks(), naive.nodes_that(Answer::Acknowledged).count());
        }
    }

    #[test]
    fn the_order_of_answers_does_not_matter(
        answers in proptest::collection::vec((0..8_u8, any::<bool>()), 0..16),
        shuffled in any::<u64>(),
    ) {
        let tally = |answers: &[(u8, bool)]| {
            let mut tally = AckTally::new(nonzero(4), 0..8);
            for (node, acknowledged) in answers {
                let outcome = if *acknowledged { tally.ack(*node) } else { tally.fail(*node) };
                assert!(outcome.is_ok(), "every node was asked");
            }
            tally
        };
        let mut reordered = answers.clone();
        reordered.sort_by_key(|(node, acknowledged)| {
            shuffled.rotate_left(u32::from(*node) * 7 + u32::from(*acknowledged)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        prop_assert_eq!(tally(&answers), tally(&reordered));
    }
}

#[test]
fn an_answer_from_a_node_never_asked_is_refused_and_changes_nothing() {
    let mut tally = AckTally::new(nonzero(1), [1, 2]);
    let before = tally.clone();
    assert_eq!(tally.ack(3), Err(AckError::NeverAsked { node: 3 }));
    assert_eq!(tally.fail(3), Err(AckError::NeverAsked { node: 3 }));
    assert_eq!(tally, before);
}

#[test]
fn a_primary_named_twice_is_one_node() {
    let mut tally = AckTally::new(nonzero(2), [1, 1, 2]);
    assert_eq!(tally.asked(), 2);
    assert_eq!(tally.ack(1), Ok(Outcome::Pending));
    assert_eq!(tally.ack(1), Ok(Outcome::Pending));
    assert_eq!((tally.acks(), tally.primary_acks(), tally.fallback_acks()), (1, 1, 0));
}

#[test]
fn a_primary_does_not_become_a_fallback_by_being_asked_again() {
    let mut tally = AckTally::new(nonzero(2), [1, 2]);
    let _ = tally.ask_fallback(1);
    assert_eq!(tally.nodes().next(), Some((1, Role::Primary, Answer::Waiting)));
    assert_eq!(tally.asked(), 2);
}

#[test]
fn more_primaries_than_replicas_would_void_the_overlap() {
    let config = QuorumConfig::balanced(3).expect("three replicas");
    assert_eq!(config.write_tally([1, 2, 3, 4]), Err(TallyError::TooManyPrimaries { given: 4, n: 3 }));
    assert_eq!(config.write_tally([1, 2, 3, 3]).map(|tally| tally.required()), Ok(2));
    assert_eq!(config.read_tally([1, 2]).map(|tally| tally.outcome()), Ok(Outcome::Pending));
}

#[test]
fn reached_is_final() {
    let mut tally = AckTally::new(nonzero(2), [1, 2, 3]);
    assert_eq!(tally.ack(1), Ok(Outcome::Pending));
    assert_eq!(tally.ack(2), Ok(Outcome::Reached));
    for node in [1, 2, 3] {
        assert_eq!(tally.fail(node), Ok(Outcome::Reached));
    }
    assert_eq!(tally.ask_fallback(9), Outcome::Reached);
}

#[test]
fn sixteen_nodes_fit_without_an_allocation() {
    let mut tally = AckTally::new(nonzero(9), 0..16);
    assert!(!tally.nodes.spilled());
    let _ = tally.ask_fallback(16);
    assert!(tally.nodes.spilled());
}

#[test]
fn a_requirement_beyond_any_membership_is_impossible_and_does_not_overflow() {
    let tally = AckTally::new(NonZeroU32::MAX, [1, 2, 3]).requiring_primaries(u32::MAX);
    assert_eq!(tally.outcome(), Outcome::Impossible);
}

fn nonzero(required: u32) -> NonZeroU32 {
    NonZeroU32::new(required).expect("tests require at least one")
}
