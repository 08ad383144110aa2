//! How far a follower is behind, in bytes, records and time, at each [`Stage`](super::Stage).
//!
//! The leader notes which records became durable, and when ([`Timeline`]); followers report how far they
//! are ([`LagTracker`]); whoever has to know is told once when a follower falls too far behind and once
//! when it has caught up ([`LagAlarms`]).
//!
//! The time a follower is behind is the age of the oldest record it does not have yet. It grows while a
//! follower is silent, and it is nothing once the follower has everything, however long ago the leader
//! wrote last. How long the last confirmation took, which is what `PostgreSQL` shows as its lag, is
//! [`LagTracker::delay`].
//!
//! ```
//! use core::time::Duration;
//! use replication_log::{Lsn, ship::{Marks, Stage, lag::LagTracker}};
//!
//! let at = Duration::from_secs;
//! let mut tracker = LagTracker::new(Lsn::ZERO, at(0));
//! tracker.add("b", Marks::default())?;
//! tracker.note(Lsn::new(10), 1000, at(1)); // ten records, 1000 bytes, durable one second in
//! tracker.note(Lsn::new(20), 2000, at(2));
//! tracker.report(&"b", &Marks::all(Lsn::new(10)), at(4))?;
//!
//! let lag = tracker.lag(&"b", Stage::Flushed, at(7)).expect("added");
//! assert_eq!((lag.bytes, lag.entries, lag.time), (1000, 10, at(5)));
//! assert_eq!(tracker.delay(&"b", Stage::Flushed), Some(at(3)), "record 10 took from 1 s to 4 s");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alarm;
#[cfg(test)]
mod oracle;
mod timeline;
mod tracker;

pub use alarm::{AlarmChange, LagAlarm, LagAlarms, LagRule, RulesError, Threshold};
pub use timeline::Timeline;
pub use tracker::{AddFollowerError, Lag, LagTracker, UnknownFollower};
