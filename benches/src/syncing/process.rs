//! What the kernel says of this process, where it does.

#![allow(clippy::disallowed_methods, reason = "a stopwatch")]

use std::time::Duration;

/// The most memory this process ever had, in MiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) / 1_024
}

/// CPU time of all threads of this process.
#[cfg(unix)]
pub fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// CPU time of all threads of this process: unknown here.
#[cfg(not(unix))]
pub fn cpu() -> Duration {
    Duration::ZERO
}

/// A stopwatch for time and CPU time at once.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    start: std::time::Instant,
    cpu: Duration,
}

impl Watch {
    /// Starts it.
    pub fn start() -> Self {
        Self { cpu: cpu(), start: std::time::Instant::now() }
    }

    /// Time and CPU time since.
    pub fn read(self) -> Spent {
        Spent { time: self.start.elapsed(), cpu: cpu().saturating_sub(self.cpu) }
    }
}

/// Time and CPU time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// On the clock.
    pub time: Duration,
    /// Of all threads of the process.
    pub cpu: Duration,
}

impl std::ops::Add for Spent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { time: self.time + other.time, cpu: self.cpu + other.cpu }
    }
}
