//! The one place that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crdt_sync::time::{Instant, Now, WallTime};

/// Both clocks of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Ticks,
}

/// A clock that goes on while the machine sleeps: a lease that ended meanwhile is over when it wakes.
#[cfg(any(target_os = "linux", target_os = "android"))]
type Ticks = Duration;
/// There are other systems on which this one stands still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
type Ticks = std::time::Instant;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn ticks() -> Ticks {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn since(origin: Ticks) -> Duration {
    ticks().saturating_sub(origin)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ticks() -> Ticks {
    std::time::Instant::now()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since(origin: Ticks) -> Duration {
    origin.elapsed()
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: ticks() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: self.instant(), wall: wall() }
    }

    /// How long it is until `at`.
    pub(crate) fn until(&self, at: Instant) -> Duration {
        at.since(self.instant())
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::from_micros(u64::try_from(since(self.origin).as_micros()).unwrap_or(u64::MAX))
    }
}

/// A clock before 1970 counts as 1970.
fn wall() -> WallTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
