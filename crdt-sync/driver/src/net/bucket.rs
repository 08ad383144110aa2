//! A token bucket.

use std::time::{Duration, Instant};

use crate::limits::Rate;

/// Tells how long to wait so that a rate is kept. It may go into debt: what arrived has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Tokens left, in millionths so that slow rates are exact; negative in debt.
    tokens: i128,
    filled: Instant,
}

const WHOLE: i128 = 1_000_000;

impl Bucket {
    pub(super) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: i128::from(rate.burst) * WHOLE, filled: now }
    }

    /// Takes tokens, whether or not there are enough; the span after which there are no debts any more.
    pub(super) fn take(&mut self, amount: u64, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= i128::from(amount) * WHOLE;
        let debt = u64::try_from(-self.tokens).unwrap_or(0);
        let micros = debt / self.rate.per_second.max(1);
        Duration::from_micros(micros)
    }

    /// Takes one token if there is one.
    pub(super) fn try_take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let takes = self.tokens >= WHOLE;
        if takes {
            self.tokens -= WHOLE;
        }
        takes
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_micros();
        let elapsed = i128::try_from(elapsed).unwrap_or(i128::MAX >> 64);
        let brimful = i128::from(self.rate.burst) * WHOLE;
        self.tokens = (self.tokens + elapsed * i128::from(self.rate.per_second)).min(brimful);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Rate = Rate { per_second: 10, burst: 20 };

    #[test]
    fn a_burst_costs_nothing_and_what_follows_is_paced() {
        let start = Instant::now();
        let mut bucket = Bucket::full(TEN, start);
        assert_eq!(bucket.take(20, start), Duration::ZERO);
        assert_eq!(bucket.take(5, start), Duration::from_millis(500));
        assert_eq!(bucket.take(0, start + Duration::from_millis(500)), Duration::ZERO);
    }

    #[test]
    fn a_long_pause_fills_the_bucket_to_the_brim_and_no_further() {
        let start = Instant::now();
        let mut bucket = Bucket::full(TEN, start);
        let later = start + Duration::from_secs(3_600);
        assert!((0..20).all(|_| bucket.try_take(later)));
        assert!(!bucket.try_take(later));
    }
}
