//! The one place that reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crdt_sync::time::{Instant, Now, WallTime};

/// Both clocks of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { instant: self.instant(), wall: wall() }
    }

    /// How long it is until `at`.
    pub(crate) fn until(&self, at: Instant) -> Duration {
        at.since(self.instant())
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

/// A clock before 1970 counts as 1970.
fn wall() -> WallTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
