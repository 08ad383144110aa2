#![expect(clippy::excessive_precision, reason = "the digits are those that were computed")]

use super::*;

/// Computed with 40 decimal digits.
#[test]
fn quantiles_are_precise_to_nearly_full_precision() {
    for (level, expected) in [
        (0.1, 0.125_661_346_855_074_042_06),
        (0.5, 0.674_489_750_196_081_743_2),
        (0.9, 1.644_853_626_951_472_822_5),
        (0.95, 1.959_963_984_540_053_855_6),
        (0.99, 2.575_829_303_548_900_453_9),
        (0.999, 3.290_526_731_491_894_543_3),
        (0.999_999, 4.891_638_475_692_931_771_8),
        (0.999_999_999_999, 7.130_509_892_879_272_447_3),
    ] {
        let found = Probability::new(level).map(|level| Confidence::new(level).map(|c| c.quantile()));
        assert!(
            matches!(found, Ok(Ok(z)) if (z / expected - 1.0).abs() < 4e-15),
            "{level}: {found:?} is not {expected}"
        );
    }
}

#[test]
fn the_named_level_is_what_it_says() {
    let computed = Confidence::new(Confidence::P95.level()).expect("a level between 0 and 1");
    assert!((computed.quantile() - Confidence::P95.quantile()).abs() < 1e-15);
}

#[test]
fn the_ends_of_what_is_accepted_give_numbers() {
    for level in [f64::MIN_POSITIVE, 1e-17, 1.0 - f64::EPSILON / 2.0] {
        let confidence = Confidence::new(Probability::clamped(level)).expect("a level between 0 and 1");
        assert!((0.0..9.0).contains(&confidence.quantile()), "{level}: {confidence:?}");
    }
}
