#![expect(
    clippy::excessive_precision,
    clippy::float_cmp,
    reason = "digits as they were computed, zero as it is"
)]

use super::*;
use proptest::prelude::*;

fn relative(found: f64, expected: f64) -> f64 {
    (found / expected - 1.0).abs()
}

/// Computed with 40 decimal digits.
#[test]
fn large_configurations_are_precise_to_twelve_digits() {
    let all = u32::MAX;
    for (n, few, many, expected) in [
        (all, 1, 1, 0.999_999_999_767_169_356_29),
        (all, 2048, 1_000_000_000, 1.808_047_157_791_786_820_2e-236),
        (all, 2049, 1_000_000_000, 1.387_078_173_454_906_848_2e-236),
        (all, 65_536, 65_536, 0.367_873_827_676_718_540_94),
        (all, 1_000_000, 1_000_000, 7.234_136_235_139_927_946_7e-102),
        (10_000, 2049, 2500, 5.019_627_425_187_775_032_9e-293),
        (100_000, 5000, 9999, 9.677_499_435_774_866_848_3e-236),
        (1_000_000, 2500, 200_000, 2.427_579_668_696_190_040_9e-243),
        (1000, 300, 300, 2.276_691_925_914_651_714_2e-58),
    ] {
        let found = disjoint(n, few, many);
        assert!(relative(found, expected) < 1e-12, "n={n} {few} {many}: {found:e} is not {expected:e}");
    }
}

#[test]
fn what_is_too_small_for_a_number_is_zero() {
    assert_eq!(disjoint(u32::MAX, 1 << 31, (1 << 31) - 1), 0.0);
    assert_eq!(disjoint(u32::MAX, 1 << 30, 1 << 30), 0.0);
    assert_eq!(disjoint(u32::MAX, 2048, u32::MAX - 2048), 0.0);
    assert_eq!(disjoint(4098, 2049, 2049), 0.0);
}

proptest! {
    /// Factor by factor, as long as rounding lets one, against Stirling's series.
    #[test]
    fn the_product_and_the_series_agree(few in FACTORS + 1..8 * FACTORS, times in 4..4000_u32, n_times in 4..400_u32) {
        let many = few.saturating_add(times);
        let n = many.saturating_mul(n_times);
        let product: f64 = (0..few).map(|i| f64::from(n - many - i) / f64::from(n - i)).product();
        prop_assume!(product > 1e-300);
        prop_assert!(relative(disjoint(n, few, many), product) < 5e-12);
    }

    #[test]
    fn one_member_more_costs_one_factor(n in 1_000_000..=u32::MAX, few in 2500..60_000_u32, share in 1..1000_u32) {
        let many = (few + n / (few * share / 100)).min(n / 4);
        let (with, without) = (disjoint(n, few, many + 1), disjoint(n, few, many));
        prop_assume!(with > 1e-300 && few <= many);
        let factor = f64::from(n - many - few) / f64::from(n - many);
        prop_assert!(relative(with / without, factor) < 2e-12);
    }
}
