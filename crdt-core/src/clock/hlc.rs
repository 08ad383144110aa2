//! Hybrid logical clocks: stamps that follow causality and stay close to the wall clock.

use core::fmt;
use core::time::Duration;

use super::WallTime;
use crate::{ClockError, ReplicaId};

/// A stamp of a hybrid logical clock: a wall time in milliseconds and a counter within it.
///
/// Stamps are totally ordered, milliseconds first. Two replicas can mint the same stamp;
/// [`Stamp`] adds the replica and is unique.
///
/// Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks and Consistent
/// Snapshots in Globally Distributed Databases" (2014).
///
/// ```
/// use crdt_core::Hlc;
///
/// assert!(Hlc::new(5, 9) < Hlc::new(6, 0));
/// assert!(Hlc::ZERO < Hlc::new(0, 1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Hlc {
    millis: u64,
    counter: u32,
}

impl Hlc {
    /// The stamp before all others. No clock ever mints it.
    pub const ZERO: Self = Self::new(0, 0);

    /// The last stamp there is.
    pub const MAX: Self = Self::new(u64::MAX, u32::MAX);

    /// The stamp with these parts; every pair is a stamp.
    pub const fn new(millis: u64, counter: u32) -> Self {
        Self { millis, counter }
    }

    /// Milliseconds since the Unix epoch: a wall clock's reading, or a little ahead of it.
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// Position among the stamps of one millisecond.
    pub const fn counter(self) -> u32 {
        self.counter
    }

    /// The next stamp in order; a full counter carries into the milliseconds.
    const fn successor(self) -> Option<Self> {
        if let Some(counter) = self.counter.checked_add(1) {
            return Some(Self::new(self.millis, counter));
        }
        match self.millis.checked_add(1) {
            Some(millis) => Some(Self::new(millis, 0)),
            None => None,
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis, self.counter)
    }
}

/// A stamp together with who minted it: unique, and totally ordered by time, then replica.
///
/// ```
/// use crdt_core::{Hlc, ReplicaId, Stamp};
///
/// let time = Hlc::new(5, 0);
/// let [a, b] = [1, 2].map(|byte| Stamp { time, replica: ReplicaId::from_bytes([byte; 16]) });
/// assert!(a < b, "the same everywhere, whoever compares");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Stamp {
    /// When.
    pub time: Hlc,
    /// Who, which breaks ties.
    pub replica: ReplicaId,
}

/// What [`HlcClock::observe`] made of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The stamp was ahead of the clock; the next local stamp will be greater than it.
    Advanced,
    /// The clock was already at or past the stamp and did not move.
    Behind,
    /// The stamp is further ahead of the wall clock than the allowed drift. The clock did not
    /// move, so later local stamps may be smaller than this one.
    TooFarAhead,
}

/// A source of strictly growing [`Hlc`] stamps.
///
/// It follows the wall clock while that runs ahead, and counts on from the greatest stamp it
/// minted or observed while the wall clock lags, stands still or goes back. It never repeats a
/// stamp, never goes back and never wraps.
///
/// How far it may run ahead of the wall clock is bounded by `max_drift`. Minting beyond it is an
/// error rather than a stamp nobody could overwrite for years, and a foreign stamp beyond it does
/// not drag this clock along.
///
/// ```
/// use core::time::Duration;
/// use crdt_core::{Hlc, HlcClock, Observed, WallTime};
///
/// let mut clock = HlcClock::new(Duration::from_secs(60));
/// let wall = WallTime::from_millis(1_000);
/// assert_eq!(clock.now(wall)?, Hlc::new(1_000, 0));
/// assert_eq!(clock.now(wall)?, Hlc::new(1_000, 1));
///
/// // A message from a peer whose clock is a second ahead: the reply is stamped after it.
/// assert_eq!(clock.observe(Hlc::new(2_000, 7), wall), Observed::Advanced);
/// assert_eq!(clock.now(wall)?, Hlc::new(2_000, 8));
/// # Ok::<(), crdt_core::ClockError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HlcClock {
    last: Hlc,
    max_drift: Duration,
}

impl HlcClock {
    /// A clock that has minted nothing yet and may run `max_drift` ahead of the wall clock.
    pub const fn new(max_drift: Duration) -> Self {
        Self::resume(Hlc::ZERO, max_drift)
    }

    /// A clock that goes on after `last`, the greatest stamp it is known to have minted before a
    /// restart. Unlike [`observe`](Self::observe) this trusts `last` whatever the wall clock shows.
    pub const fn resume(last: Hlc, max_drift: Duration) -> Self {
        Self { last, max_drift }
    }

    /// Mints the next stamp: greater than every stamp minted or observed before.
    ///
    /// Fails with [`ClockError::ClockAhead`] when that stamp would be further ahead of `wall` than
    /// the allowed drift (the wall clock was set back, or an observed origin ran ahead), and with
    /// [`ClockError::Exhausted`] after [`Hlc::MAX`]. On failure the clock is unchanged.
    pub fn now(&mut self, wall: WallTime) -> Result<Hlc, ClockError> {
        let next = if wall.as_millis() > self.last.millis {
            Hlc::new(wall.as_millis(), 0)
        } else {
            self.last.successor().ok_or(ClockError::Exhausted)?
        };
        self.check_origin(next, wall)?;
        self.last = next;
        Ok(next)
    }

    /// Takes note of a stamp met in a message or a stored value, so that later local stamps are
    /// greater. Never fails: a stamp beyond the allowed drift is data like any other, it merely
    /// does not move the clock.
    pub fn observe(&mut self, stamp: Hlc, wall: WallTime) -> Observed {
        if stamp <= self.last {
            Observed::Behind
        } else if self.is_too_far_ahead(stamp, wall) {
            Observed::TooFarAhead
        } else {
            self.last = stamp;
            Observed::Advanced
        }
    }

    /// Checks a stamp at ingress from the replica that minted it: an origin whose clock runs
    /// further ahead than the allowed drift should be told so before its write spreads.
    ///
    /// Not for relayed stamps, which have spread already and merge like any other.
    pub fn check_origin(&self, stamp: Hlc, wall: WallTime) -> Result<(), ClockError> {
        if self.is_too_far_ahead(stamp, wall) {
            return Err(ClockError::ClockAhead { stamp, wall });
        }
        Ok(())
    }

    /// The greatest stamp minted or taken over so far, [`Hlc::ZERO`] if none: what to keep across
    /// a restart for [`resume`](Self::resume).
    pub const fn last(&self) -> Hlc {
        self.last
    }

    fn is_too_far_ahead(&self, stamp: Hlc, wall: WallTime) -> bool {
        stamp.millis > wall.saturating_add(self.max_drift).as_millis()
    }
}

#[cfg(test)]
mod tests;
