#![expect(clippy::float_cmp, reason = "certainty and the same number are compared exactly")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "digits are cut where they are carried, and the rest is small or not negative"
)]

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::Probability;

/// A binomial whose chance is `numerator / 2^bits`, which is a number without rounding.
#[derive(Debug, Clone, Copy)]
struct Dyadic {
    n: u32,
    numerator: u32,
    bits: u32,
}

impl Dyadic {
    fn binomial(self) -> Binomial {
        let p = f64::from(self.numerator) / f64::from(1_u32 << self.bits);
        Binomial::new(self.n, Chance::of(Probability::clamped(p)))
    }

    /// `P(X = x)` for all x, each times `2^(bits n)`: integers, computed without rounding.
    fn exact(self) -> Vec<Natural> {
        let opposite = (1 << self.bits) - self.numerator;
        let mut first = Natural(vec![1]);
        (0..self.n).for_each(|_| first.multiply(opposite));
        let mut all = vec![first.clone()];
        let mut term = first;
        for x in 0..self.n {
            term.multiply(self.n - x);
            term.multiply(self.numerator);
            term.divide(x + 1);
            term.divide(opposite);
            all.push(term.clone());
        }
        all
    }
}

/// A natural number of any size: its digits to the base 2^32, the lowest first.
#[derive(Clone)]
struct Natural(Vec<u32>);

impl Natural {
    fn multiply(&mut self, by: u32) {
        let mut carry = 0;
        for digit in &mut self.0 {
            let wide = u64::from(*digit) * u64::from(by) + carry;
            *digit = wide as u32;
            carry = wide >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn divide(&mut self, by: u32) {
        let mut rest = 0;
        for digit in self.0.iter_mut().rev() {
            let wide = rest << 32 | u64::from(*digit);
            *digit = (wide / u64::from(by)) as u32;
            rest = wide % u64::from(by);
        }
        assert_eq!(rest, 0, "an integer");
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()) + 1, 0);
        let mut carry = 0;
        for (place, digit) in self.0.iter_mut().enumerate() {
            let wide = u64::from(*digit) + u64::from(other.0.get(place).copied().unwrap_or(0)) + carry;
            *digit = wide as u32;
            carry = wide >> 32;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// Divided by `2^bits`, and rounded.
    fn over_power_of_two(&self, bits: u32) -> f64 {
        let kept = self.0.len().saturating_sub(4);
        let top =
            self.0[kept..].iter().rev().fold(0.0, |sum, digit| sum * 4_294_967_296.0 + f64::from(*digit));
        libm::scalbn(top, 32 * kept as i32 - bits as i32)
    }
}

/// The largest relative error of the probabilities and of both tails, of those that are numbers of full precision.
fn worst_error(of: Dyadic) -> f64 {
    let (binomial, exact) = (of.binomial(), of.exact());
    let mut worst = 0.0_f64;
    let mut compare = |computed: f64, exact: &Natural| {
        let exact = exact.over_power_of_two(of.bits * of.n);
        if exact > 1e-300 {
            worst = worst.max(fabs(computed / exact - 1.0));
        } else {
            assert!(computed < 2e-300);
        }
    };
    let (mut at_most, mut at_least) = (Natural(vec![]), Natural(vec![]));
    for (x, probability) in (0..).zip(&exact) {
        at_most.add(probability);
        compare(binomial.pmf(x), probability);
        compare(binomial.at_most(x), &at_most);
    }
    for (x, probability) in (0..=of.n).rev().zip(exact.iter().rev()) {
        at_least.add(probability);
        compare(binomial.at_least(x), &at_least);
    }
    worst
}

#[test]
fn up_to_a_thousand_the_error_is_below_one_in_a_million_million() {
    for n in [1, 2, 3, 10, 15, 16, 17, 100, 257, 999, 1000] {
        for (numerator, bits) in
            [(1, 1), (1, 20), (3, 2), (1, 4), ((1 << 20) - 1, 20), (179, 8), (65_000, 16)]
        {
            let of = Dyadic { n, numerator, bits };
            let error = worst_error(of);
            assert!(error < 1e-12, "{of:?}: {error:e}");
        }
    }
}

proptest! {
    #[test]
    fn any_chance_is_as_precise(n in 1..200_u32, numerator in 1..1_u32 << 16) {
        let error = worst_error(Dyadic { n, numerator, bits: 16 });
        prop_assert!(error < 1e-12, "{error:e}");
    }

    #[test]
    fn all_probabilities_add_up_to_one_for_any_n(n: u32, p in 0.0..1.0) {
        let binomial = Binomial::new(n, Chance::of(Probability::clamped(p)));
        let mean = (f64::from(n) * p) as u32;
        let up: f64 = binomial.at_least(mean) + binomial.at_most(mean) - binomial.pmf(mean);
        prop_assert!((up - 1.0).abs() < 1e-12);
    }

    #[test]
    fn tails_complete_each_other(n in 1_u32.., p in 0.0..1.0, deviations in -9.0..9.0) {
        let binomial = Binomial::new(n, Chance::of(Probability::clamped(p)));
        let mean = f64::from(n) * p;
        let k = f64::clamp(mean + deviations * sqrt(mean * (1.0 - p)), 1.0, f64::from(n)) as u32;
        prop_assert!((binomial.at_least(k) + binomial.at_most(k - 1) - 1.0).abs() < 1e-12);
        let opposite = Binomial::new(n, Chance::of(Probability::clamped(p)).opposite());
        let (ours, theirs) = (binomial.pmf(k), opposite.pmf(n - k));
        prop_assert!(fabs(ours - theirs) <= 1e-9 * ours, "{} and {}", ours, theirs);
    }
}

#[test]
fn half_of_all_majorities_are_heads_for_any_odd_number_of_coins() {
    for n in [1, 3, 101, 65_537, 1_000_001, u32::MAX] {
        let coins = Binomial::new(n, Chance { yes: 0.5, no: 0.5 });
        assert!((coins.at_least(n / 2 + 1) - 0.5).abs() < 1e-12, "n = {n}");
        assert!((coins.at_most(n / 2) - 0.5).abs() < 1e-12, "n = {n}");
    }
}

/// Against arithmetic with 60 digits.
#[test]
fn large_numbers_are_precise_too() {
    let close = |computed: f64, exact: f64| {
        assert!(fabs(computed / exact - 1.0) < 1e-11, "{computed:e} instead of {exact:e}");
    };
    let of = |n, p| Binomial::new(n, Chance::of(Probability::clamped(p)));
    close(of(u32::MAX, 0.5).pmf(2_147_483_647), 1.217_475_220_880_771_4e-05);
    close(of(u32::MAX, 0.5).pmf(2_147_783_647), 7.663_890_052_292_665e-24);
    close(of(u32::MAX, 1e-09).pmf(3), 0.180_072_642_176_359_27);
    close(of(u32::MAX, 0.3).pmf(1_289_490_188), 2.535_849_719_909_916e-246);
    close(of(100_000, 0.001).pmf(100), 0.039_880_942_234_625_6);
    close(of(1_000_000, 0.999).pmf(998_700), 1.536_791_056_158_328_6e-20);
    close(of(u32::MAX, 0.5).at_least(2_147_583_647), 0.001_137_643_552_020_289);
    close(of(u32::MAX, 1e-09).at_least(20), 3.205_689_719_942_15e-08);
    close(of(u32::MAX, 0.3).at_least(1_288_690_188), 1.375_187_516_103_762_1e-11);
    close(of(10_000_000, 0.2).at_least(2_000_100), 0.468_619_625_556_476_8);
    close(of(1_000_000, 0.001).at_least(1_400), 4.708_197_761_193_425_6e-33);
}

#[test]
fn what_is_certain_is_exactly_so() {
    for n in [0, 1, 7, u32::MAX] {
        for (p, always) in [(Probability::ZERO, 0), (Probability::ONE, n)] {
            let binomial = Binomial::new(n, Chance::of(p));
            assert_eq!(
                (binomial.pmf(always), binomial.at_least(always), binomial.at_most(always)),
                (1.0, 1.0, 1.0)
            );
            if n > 0 {
                let other = n - always;
                assert_eq!(binomial.pmf(other), 0.0);
                assert_eq!(binomial.at_least(n), f64::from(u8::from(always == n)));
                assert_eq!(binomial.at_most(0), f64::from(u8::from(always == 0)));
            }
        }
    }
    let binomial = Binomial::new(5, Chance { yes: 0.3, no: 0.7 });
    assert_eq!((binomial.pmf(6), binomial.at_least(6), binomial.at_least(0)), (0.0, 0.0, 1.0));
    assert_eq!((binomial.at_most(5), binomial.at_most(9)), (1.0, 1.0));
}

#[test]
fn what_is_next_to_nothing_keeps_its_digits() {
    // Of three disks that fail once in 1e12 each, the chance that all fail, and that two or more do.
    let failures = Binomial::new(3, Chance { yes: 1e-12, no: 1.0 - 1e-12 });
    assert!(fabs(failures.at_least(3) / 1e-36 - 1.0) < 1e-12);
    assert!(fabs(failures.at_least(2) / (3e-24 - 2e-36) - 1.0) < 1e-12);
    let successes = Binomial::new(3, Chance { yes: 1.0 - 1e-12, no: 1e-12 });
    assert_eq!(successes.at_most(1), failures.at_least(2));
    let never = Binomial::new(3, Chance { yes: 1e-310, no: 1.0 });
    assert!(fabs(never.at_least(1) / 3e-310 - 1.0) < 1e-12);
}

#[test]
fn the_series_continues_the_table() {
    // ln(n + 1)! - ln n! = ln(n + 1), whichever of the two gives the rest.
    for n in 1..64_u32 {
        let stirling = |n: u32| {
            let m = f64::from(n);
            0.5 * log(TAU * m) + m * (log(m) - 1.0) + stirling_error(n)
        };
        assert!(fabs(stirling(n + 1) - stirling(n) - log(f64::from(n + 1))) < 1e-13, "n = {n}");
    }
    assert!(fabs(stirling_series(15.0) - stirling_error(15)) < 1e-15);
}
