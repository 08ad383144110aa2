use proptest::prelude::*;

use super::*;

/// The smallest first, so that little is lost.
fn by_adding(m: u32, n: u32) -> f64 {
    (m + 1..=n).rev().map(|i| 1.0 / f64::from(i)).sum()
}

proptest! {
    #[test]
    fn it_is_the_sum_it_says(m in 0..300_u32, more in 0..20_000_u32) {
        let (computed, exact) = (harmonic_between(m, m + more), by_adding(m, m + more));
        prop_assert!((computed - exact).abs() <= 1e-14 * exact, "{computed} instead of {exact}");
    }

    #[test]
    fn few_terms_of_many_are_as_precise(m in 0..u32::MAX - 100, more in 0..100_u32) {
        let (computed, exact) = (harmonic_between(m, m + more), by_adding(m, m + more));
        prop_assert!((computed - exact).abs() <= 1e-14 * exact, "{computed} instead of {exact}");
    }
}

#[test]
fn the_sum_of_all_reciprocals_of_32_bits() {
    // From arithmetic with 40 digits.
    assert!((harmonic_between(0, u32::MAX) - 22.757_925_442_703_367).abs() < 1e-14);
}
