use super::*;

#[test]
fn both_rules_are_exact_for_polynomials() {
    for power in 0..=22 {
        let (kronrod, gauss) = gauss_kronrod(|t| libm::pow(t, f64::from(power)), 1.0, 3.0);
        let exact = (libm::pow(3.0, f64::from(power + 1)) - 1.0) / f64::from(power + 1);
        assert!(fabs(kronrod / exact - 1.0) < 1e-14, "power {power}");
        assert!(power > 13 || fabs(gauss / exact - 1.0) < 1e-14, "power {power}");
    }
}

fn mean(beyond: impl Fn(f64) -> f64, tail_index: f64, breaks: &[f64]) -> f64 {
    Survival { beyond, tail_index }.mean(breaks)
}

fn assert_close(computed: f64, exact: f64) {
    assert!(fabs(computed / exact - 1.0) < 1e-9, "{computed} instead of {exact}");
}

#[test]
fn what_is_short_beside_what_is_long_is_seen() {
    // Half of it falls a million million times as fast as the other half, from anywhere.
    for from in [0.0, 5.0] {
        let beyond = |t: f64| 0.5 * libm::exp(from - t) + 0.5 * libm::exp((from - t) * 1e-12);
        let mixed = mean(|t| beyond(t).min(1.0), f64::INFINITY, &[from, 1e13]);
        assert_close(mixed, from + 0.5 + 0.5e12);
    }
    // A fall that is steep and not marked, before a break that is far away; also just after where a panel would begin.
    for at in [1.0, 64.0 * 1.000_1, 0.125 * 1.000_1] {
        let steep = |t: f64| if t < at { 1.0 } else { libm::exp((at - t) * 1e9) };
        assert_close(mean(steep, f64::INFINITY, &[0.0, libm::pow(RATIO, 14.0)]), at + 1e-9);
    }
}

#[test]
fn steps_are_exact() {
    let stairs = |t: f64| match t {
        t if t < 1.0 => 1.0,
        t if t < 2.0 => 0.5,
        t if t < 8.0 => 0.25,
        _ => 0.0,
    };
    assert!(fabs(mean(stairs, f64::INFINITY, &[1.0, 2.0, 8.0]) - 3.0) < 1e-15);
    assert!(fabs(mean(|t| f64::from(u8::from(t < 4.0)), f64::INFINITY, &[4.0]) - 4.0) < 1e-15);
    assert!(fabs(mean(|_| 0.0, f64::INFINITY, &[0.0])) < 1e-300);
}

#[test]
fn tails_that_are_powers_are_followed_to_the_end_of_numbers_and_beyond() {
    for index in [0.5, 1.0] {
        assert!(mean(|t| libm::pow(t, -index), index, &[1.0]).is_infinite());
    }
    for index in [1.001, 1.05, 1.5, 2.0, 5.0] {
        let beyond = |t: f64| if t > 1.0 { libm::pow(t, -index) } else { 1.0 };
        assert_close(mean(beyond, index, &[1.0]), index / (index - 1.0));
    }
}

#[test]
fn what_rarely_takes_long_is_not_overlooked() {
    let beyond = |t: f64| 1e-12 * libm::exp(-t / 1e6);
    assert_close(mean(beyond, f64::INFINITY, &[0.0]), 1e-6);
    // Next to nothing is left for a long time, and then it is what counts.
    let rarely = |t: f64| libm::exp(-t) + 1e-15 * libm::exp(-t * 1e-20);
    assert_close(mean(|t| rarely(t).min(1.0), f64::INFINITY, &[0.0]), 1e5 + 1.0);
}
