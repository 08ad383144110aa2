//! What a piece of work takes of the processor.
//!
//! On a machine that others use, too, the time on a clock says more about them than about the work.

#![allow(clippy::disallowed_methods, reason = "a stopwatch")]

use std::time::Duration;

/// Counts the processor time of its thread, or the time on a clock where the system does not tell.
#[derive(Debug)]
pub struct Stopwatch {
    total: Duration,
    since: Moment,
}

impl Stopwatch {
    /// A stopwatch that runs.
    pub fn start() -> Self {
        Self { total: Duration::ZERO, since: Moment::now() }
    }

    /// Lets the watch stand still for what is no part of the work.
    pub fn paused<T>(&mut self, other: impl FnOnce() -> T) -> T {
        self.total += self.since.elapsed();
        let result = other();
        self.since = Moment::now();
        result
    }

    /// Nanoseconds so far, without those of the pauses.
    pub fn nanoseconds(&self) -> f64 {
        (self.total + self.since.elapsed()).as_secs_f64() * 1e9
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Moment(Duration);

#[cfg(unix)]
impl Moment {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::try_from(time).unwrap_or_default())
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Moment(std::time::Instant);

#[cfg(not(unix))]
impl Moment {
    fn now() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
