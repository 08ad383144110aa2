//! Scenario 58: who is taken for dead, by the two rules.

use crdt_sync::failover::{Accrual, Detection, Detector};
use crdt_sync::placement::{self, Patience};
use crdt_sync::time::Instant;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::world::{A, id, secs};

/// The rule of routing, where a wrong guess costs a detour: `placement::Detector`.
#[test]
fn scenario_58_silence_of_eight_means_marks_dead_in_linear_mode() {
    let patience = Patience { expected: secs(5), ..Patience::DEFAULT };
    let mut linear = placement::Detector::new(patience);
    let last = Instant::from_micros(0) + secs(500);
    (0..=100).for_each(|beat| linear.heard(id(A), Instant::from_micros(0) + secs(5) * beat));
    assert!(linear.is_live(id(A), last + secs(39)));
    assert!(!linear.is_live(id(A), last + secs(40)));
}

/// Without the pause that is borne on top, which would hide it.
#[test]
fn scenario_58_jitter_within_three_sigma_never_flaps_in_accrual_mode() {
    for seed in 0..40 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let settings = Accrual { pause: secs(0), longest: secs(20), ..Accrual::every(secs(5)) };
        let mut now = Instant::from_micros(0);
        let mut accrual = Detector::new(Detection::Accrual(settings), now);
        accrual.heard(id(A), now);
        let sigma = 200_000 + random.next_u64() % 1_000_000;
        for beat in 0..5_000 {
            now = now + secs(5);
            let early = now.as_micros() - 3 * sigma;
            let at = Instant::from_micros(early + normal(&mut random, sigma));
            let interval = at.since(accrual.last_heard(id(A)).unwrap());
            assert!(!accrual.suspects(id(A), at), "seed {seed}, beat {beat}: {interval:?}, sigma {sigma} us");
            accrual.heard(id(A), at);
            now = at;
        }
        assert!(accrual.suspects(id(A), now + secs(30)));
    }
}

/// Normally distributed around `3 * sigma`, and never further from it than that: a sum of twelve, less what is beyond.
fn normal(random: &mut ChaCha8Rng, sigma: u64) -> u64 {
    loop {
        let sum: u64 = (0..12).map(|_| random.next_u64() % sigma).sum();
        if let Some(drawn) = sum.checked_sub(3 * sigma).filter(|drawn| *drawn <= 6 * sigma) {
            return drawn;
        }
    }
}
