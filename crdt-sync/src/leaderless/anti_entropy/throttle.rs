//! The throttle: how many bytes of states may leave per second.

use crate::reconcile::Allowance;
use crate::time::Instant;

/// A token bucket. It fills up to a second's worth; a part may leave as long as there is anything in it, and may leave
/// it in debt. So in any span at most the rate times the span, a second's worth and one part leave.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: u64,
    /// Millionths of a byte, so that nothing is lost by rounding.
    saved: i128,
    filled: Instant,
}

const MICRO: i128 = 1_000_000;

impl Throttle {
    /// A full one.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = u64::from(per_second.max(1));
        Self { per_second, saved: i128::from(per_second) * MICRO, filled: now }
    }

    /// Time passed.
    pub(super) fn fill(&mut self, now: Instant) {
        let micros = now.since(self.filled).as_micros();
        let rate = i128::from(self.per_second);
        // A time beyond all bounds fills it like any other that is long enough.
        let gained = i128::try_from(micros).unwrap_or(i128::MAX).saturating_mul(rate);
        self.saved = self.saved.saturating_add(gained).min(rate * MICRO);
        self.filled = self.filled.max(now);
    }
}

impl Allowance for Throttle {
    fn is_open(&self) -> bool {
        self.saved > 0
    }

    fn spend(&mut self, bytes: usize) {
        self.saved =
            self.saved.saturating_sub(i128::try_from(bytes).unwrap_or(i128::MAX).saturating_mul(MICRO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_saved_up_and_a_debt_is_paid_off_first() {
        let mut throttle = Throttle::new(100, Instant::from_micros(0));
        throttle.fill(Instant::from_micros(60_000_000));
        throttle.spend(99);
        assert!(throttle.is_open(), "one byte is left, however long nothing was sent");
        throttle.spend(51);
        assert!(!throttle.is_open());
        throttle.fill(Instant::from_micros(60_500_000));
        assert!(!throttle.is_open(), "half a second pays for fifty bytes, and no more");
        throttle.fill(Instant::from_micros(60_510_000));
        assert!(throttle.is_open());
    }

    #[test]
    fn time_that_does_not_move_fills_nothing() {
        let mut throttle = Throttle::new(1, Instant::from_micros(5));
        throttle.spend(2);
        throttle.fill(Instant::from_micros(4));
        throttle.fill(Instant::from_micros(5));
        assert!(!throttle.is_open());
    }
}
