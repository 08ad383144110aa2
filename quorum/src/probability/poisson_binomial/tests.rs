use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::Probability;
use crate::probability::Binomial;

fn chances(probabilities: &[f64]) -> Vec<Chance> {
    probabilities.iter().map(|p| Chance::of(Probability::clamped(*p))).collect()
}

/// Over all subsets of those that succeed.
fn by_enumeration(tries: &[Chance], k: usize) -> f64 {
    let probability = |set: u32| -> f64 {
        (0..)
            .zip(tries)
            .map(|(place, chance)| if set >> place & 1 == 1 { chance.yes } else { chance.no })
            .product()
    };
    (0..1_u32 << tries.len()).filter(|set| set.count_ones() as usize >= k).map(probability).sum()
}

proptest! {
    #[test]
    fn tails_equal_the_sum_over_all_subsets(
        probabilities in prop::collection::vec(0.0..=1.0, 0..10),
        k in 0..12_usize,
    ) {
        let tries = chances(&probabilities);
        let successes = PoissonBinomial::new(tries.iter().copied());
        let exact = by_enumeration(&tries, k);
        prop_assert!((successes.at_least(k) - exact).abs() < 1e-14);
        prop_assert!((successes.fewer_than(k) - (1.0 - exact)).abs() < 1e-14);
    }

    #[test]
    fn tries_that_are_alike_are_binomial(n in 1..300_u32, p in 0.0..1.0, k in 0..301_u32) {
        let chance = Chance::of(Probability::clamped(p));
        let successes = PoissonBinomial::new((0..n).map(|_| chance));
        let alike = Binomial::new(n, chance);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-11 * a.max(1e-280);
        prop_assert!(close(successes.at_least(k as usize), alike.at_least(k)));
        let fewer = if k == 0 { 0.0 } else { alike.at_most(k - 1) };
        prop_assert!(close(successes.fewer_than(k as usize), fewer));
    }
}

#[test]
fn what_is_next_to_nothing_keeps_its_digits() {
    let tries = [1e-9, 2e-9, 3e-9].map(|no| Chance { yes: 1.0 - no, no });
    let successes = PoissonBinomial::new(tries);
    assert!((successes.fewer_than(1) / 6e-27 - 1.0).abs() < 1e-12);
    assert!((successes.fewer_than(2) / 1.1e-17 - 1.0).abs() < 1e-8);
}
