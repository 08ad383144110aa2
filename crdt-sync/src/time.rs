//! The two notions of now.
//!
//! [`Instant`] is monotonic and local: timers and deadlines are made of it, and it never goes on the wire.
//! [`WallTime`] is what a clock on the wall shows: it may jump, it stamps writes through the hybrid logical
//! clock, and nothing waits on it. Both are handed in by the caller together as [`Now`]; no code of this
//! crate asks an operating system what time it is.

use core::time::Duration;

pub use crdt_core::WallTime;

/// A point on a monotonic clock that only this process knows, counted from an origin the caller chose.
///
/// ```
/// use core::time::Duration;
/// use crdt_sync::time::Instant;
///
/// let start = Instant::from_micros(1_000);
/// assert_eq!(start + Duration::from_micros(5), Instant::from_micros(1_005));
/// assert_eq!(Instant::from_micros(7).since(start), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `micros` microseconds after the caller's origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the caller's origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`; zero when `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time, 584,000 years after the origin.
    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// Both clocks, read by the caller at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub instant: Instant,
    /// The wall clock.
    pub wall: WallTime,
}
