//! The arithmetic of N, R and W against enumeration of every quorum there is.

use proptest::prelude::*;
use quorum::{Classification, ConfigError, QuorumConfig, majority, overlap};

/// Every set of `size` out of `n` nodes, as a bit mask.
fn sets(n: u32, size: u32) -> impl Iterator<Item = u32> + Clone {
    (0..1_u32 << n).filter(move |set| set.count_ones() == size)
}

/// The smallest intersection over all pairs: what `overlap` computes in closed form.
fn fewest_in_common(n: u32, a: u32, b: u32) -> u32 {
    let pairs = sets(n, a).flat_map(|left| sets(n, b).map(move |right| left & right));
    pairs.map(u32::count_ones).min().expect("both sizes are at most n")
}

fn config(n: u32, r: u32, w: u32) -> QuorumConfig {
    QuorumConfig::new(n, r, w).expect("a sound configuration")
}

#[test]
fn overlaps_equal_the_worst_case_over_all_quorums() {
    for n in 1..=6 {
        for r in 1..=n {
            for w in 1..=n {
                let config = config(n, r, w);
                assert_eq!(config.read_write_overlap(), fewest_in_common(n, r, w), "{config}");
                assert_eq!(config.write_write_overlap(), fewest_in_common(n, w, w), "{config}");
                assert_eq!(config.read_read_overlap(), fewest_in_common(n, r, r), "{config}");
                assert_eq!(config.is_strict(), fewest_in_common(n, r, w) >= 1, "{config}");
            }
        }
    }
}

#[test]
fn tolerated_failures_equal_the_worst_case_over_all_failures() {
    let survives =
        |n: u32, quorum: u32, failed: u32| sets(n, failed).all(|down| n - down.count_ones() >= quorum);
    for n in 1..=6 {
        for r in 1..=n {
            for w in 1..=n {
                let most = |quorum| (0..=n).filter(|failed| survives(n, quorum, *failed)).max();
                let config = config(n, r, w);
                assert_eq!(Some(config.tolerated_read_failures()), most(r), "{config}");
                assert_eq!(Some(config.tolerated_write_failures()), most(w), "{config}");
                assert_eq!(Some(config.tolerated_failures()), most(r).min(most(w)), "{config}");
            }
        }
    }
}

#[test]
fn a_majority_is_the_smallest_size_that_always_meets_itself() {
    for n in 1..=8 {
        let smallest = (1..=n).find(|size| fewest_in_common(n, *size, *size) >= 1);
        assert_eq!(Some(majority(n)), smallest, "n={n}");
    }
    assert_eq!(majority(u32::MAX), 1 << 31);
}

#[test]
fn lesson_1_two_of_three_is_the_classic_strict_quorum() {
    let config = config(3, 2, 2);
    assert_eq!(config.read_write_overlap(), 1);
    assert_eq!(config.write_write_overlap(), 1);
    assert_eq!((config.tolerated_read_failures(), config.tolerated_write_failures()), (1, 1));
    assert_eq!(config.classification(), Classification::Strict);
    assert_eq!(QuorumConfig::balanced(3), Ok(config));
}

#[test]
fn lesson_2_sums_up_to_n_let_one_read_in_ten_miss_the_write() {
    let config = config(5, 2, 3);
    assert_eq!(config.read_write_overlap(), 0);
    assert!(!config.is_strict());
    assert_eq!(config.classification(), Classification::StaleReads);

    let written = sets(5, 3).next().expect("a write set");
    let missed = sets(5, 2).filter(|read| read & written == 0).count();
    assert_eq!((missed, sets(5, 2).count()), (1, 10));
}

#[test]
fn lesson_3_the_larger_half_decides_whether_writes_meet() {
    let write_majority = config(4, 2, 3);
    assert_eq!(write_majority.read_write_overlap(), 1);
    assert_eq!(write_majority.write_write_overlap(), 2);
    assert_eq!(write_majority.classification(), Classification::Strict);

    let read_majority = config(4, 3, 2);
    assert_eq!(read_majority.read_write_overlap(), 1);
    assert_eq!(read_majority.write_write_overlap(), 0);
    assert_eq!(read_majority.classification(), Classification::SplitWrites);
}

#[test]
fn lesson_4_read_one_write_all_trades_writes_for_reads() {
    let config = config(3, 1, 3);
    assert_eq!((config.tolerated_read_failures(), config.tolerated_write_failures()), (2, 0));
    assert_eq!(config.tolerated_failures(), 0);
    assert_eq!(QuorumConfig::read_heavy(3), Ok(config));
}

#[test]
fn lesson_5_nonsense_is_refused_by_name_and_large_numbers_do_not_overflow() {
    assert_eq!(QuorumConfig::new(0, 0, 0), Err(ConfigError::NoReplicas));
    assert_eq!(QuorumConfig::new(3, 0, 2), Err(ConfigError::EmptyReadQuorum));
    assert_eq!(QuorumConfig::new(3, 2, 0), Err(ConfigError::EmptyWriteQuorum));
    assert_eq!(QuorumConfig::new(3, 4, 2), Err(ConfigError::ReadQuorumTooLarge { r: 4, n: 3 }));
    assert_eq!(QuorumConfig::new(3, 2, 4), Err(ConfigError::WriteQuorumTooLarge { w: 4, n: 3 }));

    let all = config(u32::MAX, u32::MAX, u32::MAX);
    assert_eq!(all.read_write_overlap(), u32::MAX);
    assert_eq!(all.tolerated_failures(), 0);
    let most = QuorumConfig::balanced(u32::MAX).expect("a majority of any number");
    assert_eq!(most.read_write_overlap(), 1);
}

#[test]
fn the_named_tunings_are_what_their_names_say() {
    for n in 1..=9 {
        let tuned = |tuning: fn(u32) -> Result<QuorumConfig, ConfigError>| tuning(n).expect("n is not zero");
        assert_eq!(tuned(QuorumConfig::read_heavy), config(n, 1, n));
        assert_eq!(tuned(QuorumConfig::write_heavy), config(n, n, 1));
        assert_eq!(tuned(QuorumConfig::balanced), config(n, majority(n), majority(n)));
        assert_eq!(tuned(QuorumConfig::best_effort), config(n, 1, 1));
    }
    assert_eq!(QuorumConfig::write_heavy(3).map(|c| c.classification()), Ok(Classification::SplitWrites));
    assert_eq!(QuorumConfig::best_effort(3).map(|c| c.classification()), Ok(Classification::Eventual));
    for tuning in [
        QuorumConfig::read_heavy,
        QuorumConfig::write_heavy,
        QuorumConfig::balanced,
        QuorumConfig::best_effort,
    ] {
        assert_eq!(tuning(0), Err(ConfigError::NoReplicas));
    }
}

#[test]
fn the_balanced_tuning_tolerates_as_much_as_any_strict_one() {
    for n in 1..=9 {
        let balanced = QuorumConfig::balanced(n).expect("n is not zero");
        let strict = (1..=n)
            .flat_map(|r| (1..=n).map(move |w| config(n, r, w)))
            .filter(|config| config.classification() == Classification::Strict);
        assert_eq!(Some(balanced.tolerated_failures()), strict.map(|c| c.tolerated_failures()).max());
    }
}

proptest! {
    #[test]
    fn wide_arithmetic_agrees_for_any_numbers(n: u32, a: u32, b: u32) {
        let (wide_n, wide_a, wide_b) = (i64::from(n), i64::from(a.min(n)), i64::from(b.min(n)));
        prop_assert_eq!(i64::from(overlap(n, a, b)), (wide_a + wide_b - wide_n).max(0));
        prop_assert_eq!(overlap(n, a, b), overlap(n, b, a));
    }

    #[test]
    fn a_configuration_is_accepted_exactly_when_it_makes_sense(n in 0..9_u32, r in 0..9_u32, w in 0..9_u32) {
        let sound = n > 0 && (1..=n).contains(&r) && (1..=n).contains(&w);
        prop_assert_eq!(QuorumConfig::new(n, r, w).is_ok(), sound);
    }
}
