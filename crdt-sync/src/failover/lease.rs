//! How long the right to lead lasts, by clocks that run apart.
//!
//! Nobody compares clocks. The holder counts from when it *sent* what was granted, which is before anybody else began
//! to count, and stops early by the drift; whoever granted counts from when it *received* it, and stops late by the
//! drift. With clocks that run wrong by at most the drift, what the holder takes for its lease is over, in true time,
//! after at most the span, and what the others wait is not over before it. (Gray and Cheriton, "Leases", 1989.)
//!
//! A clock that stands still while the machine sleeps is one that runs wrong by more than any drift: hosts need one
//! that goes on, `CLOCK_BOOTTIME` where there is a choice.

use core::time::Duration;

use super::detector::part;
use crate::time::Instant;

const MILLION: u128 = 1_000_000;

/// How long a lease lasts, and how wrong clocks may run. The same at all nodes.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::failover::LeaseTerms;
/// use crdt_sync::time::Instant;
///
/// let terms = LeaseTerms::of(Duration::from_secs(30));
/// let sent = Instant::from_micros(0);
/// assert_eq!(terms.held_until(sent), sent + Duration::from_millis(29_700));
/// assert_eq!(terms.kept_until(sent), sent + Duration::from_millis(30_300));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How long a lease lasts.
    pub span: Duration,
    /// By how many millionths of true time a clock may run wrong; a million and more leave nothing of a lease.
    pub drift_ppm: u32,
    /// How long before its lease ends a leader steps down: what it needs to stop.
    pub margin: Duration,
}

impl LeaseTerms {
    /// 30 seconds, clocks that run wrong by a hundredth, a second to stop.
    pub const DEFAULT: Self = Self::of(Duration::from_secs(30));

    /// Leases of that length, with clocks that run wrong by a hundredth and a thirtieth of it to stop.
    pub const fn of(span: Duration) -> Self {
        Self { span, drift_ppm: 10_000, margin: part(span, 30) }
    }

    /// How long the holder may take itself for the holder, from when it sent what was granted.
    pub fn held(&self) -> Duration {
        scaled(self.span, MILLION.saturating_sub(u128::from(self.drift_ppm)), 0)
    }

    /// How long whoever granted it has to wait, by its own clock.
    pub fn kept(&self) -> Duration {
        self.kept_of(self.span)
    }

    /// The same for a lease of another length.
    pub(crate) fn kept_of(&self, span: Duration) -> Duration {
        scaled(span, MILLION + u128::from(self.drift_ppm), MILLION - 1)
    }

    /// Until when the holder may take itself for the holder.
    pub fn held_until(&self, sent: Instant) -> Instant {
        sent + self.held()
    }

    /// Until when nobody else is granted it.
    pub fn kept_until(&self, received: Instant) -> Instant {
        received + self.kept()
    }

    /// How often a lease is renewed: three times in its span.
    pub fn renewed_every(&self) -> Duration {
        self.span / 3
    }
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// So many millionths of it, in microseconds, after `round` millionths of one were added.
fn scaled(span: Duration, millionths: u128, round: u128) -> Duration {
    let micros = span.as_micros().saturating_mul(millionths).saturating_add(round) / MILLION;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// So long before; the origin where there is no such moment.
pub(crate) fn before(at: Instant, span: Duration) -> Instant {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Instant::from_micros(at.as_micros().saturating_sub(micros))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A clock that started at some time and runs wrong by so many millionths, read at a true time of so many
    /// nanoseconds.
    fn read(origin: u64, ppm: i64, true_nanos: u64) -> Instant {
        let rate = u128::try_from(1_000_000 + ppm).unwrap();
        let micros = u128::from(true_nanos) * rate / 1_000_000_000;
        Instant::from_micros(origin + u64::try_from(micros).unwrap())
    }

    proptest! {
        /// At no true time does the holder take itself for the holder while the next one can be granted it.
        #[test]
        fn the_lease_of_the_holder_is_over_before_the_next_one_can_begin(
            span_ms in 1_u64..100_000,
            drift in 0_u32..100_000,
            (holder, voter) in (-1_000_i64..=1_000, -1_000_i64..=1_000),
            (origin_a, origin_b) in (0_u64..1 << 40, 0_u64..1 << 40),
            sent in 0_u64..1 << 50,
            way in 0_u64..1 << 40,
            later in 0_u64..1 << 50,
        ) {
            let terms = LeaseTerms { drift_ppm: drift, ..LeaseTerms::of(Duration::from_millis(span_ms)) };
            let off = |thousandths: i64| thousandths * i64::from(drift) / 1_000;
            let held = terms.held_until(read(origin_a, off(holder), sent));
            let kept = terms.kept_until(read(origin_b, off(voter), sent + way));
            let now = sent + way + later;
            // A reading is cut to whole microseconds, so the holder may see one less than it is.
            let takes_itself = read(origin_a, off(holder), now) + Duration::from_micros(1) < held;
            prop_assert!(!takes_itself || read(origin_b, off(voter), now) < kept);
        }
    }

    #[test]
    fn no_length_and_no_drift_overflows() {
        let terms = LeaseTerms { span: Duration::MAX, drift_ppm: u32::MAX, margin: Duration::ZERO };
        assert_eq!(terms.held(), Duration::ZERO);
        assert_eq!(terms.kept_until(Instant::from_micros(1)), Instant::from_micros(u64::MAX));
        assert_eq!(before(Instant::from_micros(1), Duration::MAX), Instant::from_micros(0));
    }
}
