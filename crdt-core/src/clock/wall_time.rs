//! The time people see, as an input.

use core::fmt;
use core::time::Duration;

/// Milliseconds since the Unix epoch, as some machine's wall clock showed them.
///
/// This crate never reads a clock; the caller passes in what its clock shows. Two machines differ,
/// and one machine may go back, so a wall time alone orders nothing: see [`Hlc`](super::Hlc).
///
/// ```
/// use core::time::Duration;
/// use crdt_core::WallTime;
///
/// let noon = WallTime::from_millis(1_700_000_000_000);
/// assert_eq!(noon.saturating_add(Duration::from_secs(1)).as_millis(), 1_700_000_001_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct WallTime(u64);

impl WallTime {
    /// The time this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time plus `span` in whole milliseconds, or the last time there is.
    pub fn saturating_add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
