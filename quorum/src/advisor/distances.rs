//! How far apart regions are, in time.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::assessment::Span;
use crate::DistancesError;

/// The most regions there can be.
pub const MAX_REGIONS: usize = 64;

/// The longest time one way. Sums of a few of these are far from overflowing.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a message takes from each region to each, one way.
///
/// Both ways need not be equal. Within a region the time is that between two nodes there, 0 unless a matrix says
/// otherwise.
///
/// ```
/// use core::time::Duration;
/// use quorum::advisor::Distances;
///
/// let ms = Duration::from_millis;
/// let distances = Distances::symmetric(["new york", "london"], [("new york", "london", ms(150))])?;
/// assert_eq!(distances.one_way("london", "new york"), Some(ms(150)));
/// assert_eq!(distances.round_trip("new york", "london"), Some(ms(300)));
/// assert_eq!(distances.one_way("new york", "tokyo"), None);
/// # Ok::<(), quorum::DistancesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distances {
    /// No two are equal.
    names: Vec<String>,
    /// A square of the regions, row by row: from the region of the row to that of the column.
    one_way: Vec<Duration>,
}

impl Distances {
    /// One region, at no distance from itself.
    pub fn single(name: impl Into<String>) -> Self {
        Self { names: Vec::from([name.into()]), one_way: Vec::from([Duration::ZERO]) }
    }

    /// The one-way times of a full matrix: row by row, from the region of the row to that of the column.
    ///
    /// Fails unless the matrix is as wide and as high as there are regions and no time exceeds [`LONGEST`].
    pub fn from_matrix<S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        rows: impl IntoIterator<Item = Vec<Duration>>,
    ) -> Result<Self, DistancesError> {
        let names = distinct(names)?;
        let regions = names.len();
        let mut one_way = Vec::with_capacity(regions * regions);
        for row in rows {
            if row.len() != regions || one_way.len() == regions * regions {
                return Err(DistancesError::NotSquare { regions });
            }
            one_way.extend(row);
        }
        if one_way.len() != regions * regions {
            return Err(DistancesError::NotSquare { regions });
        }
        one_way.iter().try_for_each(|time| bounded(*time))?;
        Ok(Self { names, one_way })
    }

    /// The one-way times between each two regions, equal both ways and 0 within a region. Each pair is named once.
    pub fn symmetric<'a, S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        pairs: impl IntoIterator<Item = (&'a str, &'a str, Duration)>,
    ) -> Result<Self, DistancesError> {
        let names = distinct(names)?;
        let regions = names.len();
        let mut known: Vec<Option<Duration>> = alloc::vec![None; regions * regions];
        for (from, to, time) in pairs {
            bounded(time)?;
            let (a, b) = (place(&names, from)?, place(&names, to)?);
            let (there, back) = (a * regions + b, b * regions + a);
            if a == b || known.get(there).copied().flatten().is_some() {
                return Err(DistancesError::RepeatedPair { from: from.into(), to: to.into() });
            }
            for at in [there, back] {
                if let Some(entry) = known.get_mut(at) {
                    *entry = Some(time);
                }
            }
        }
        let mut one_way = Vec::with_capacity(known.len());
        for (at, time) in known.into_iter().enumerate() {
            let (row, column) = (at / regions, at % regions);
            match time {
                Some(time) => one_way.push(time),
                None if row == column => one_way.push(Duration::ZERO),
                None => {
                    let name = |region| names.get(region).cloned().unwrap_or_default();
                    return Err(DistancesError::MissingPair { from: name(row), to: name(column) });
                }
            }
        }
        Ok(Self { names, one_way })
    }

    /// As [`symmetric`](Self::symmetric), from round trips: half of each is taken for one way.
    pub fn of_round_trips<'a, S: Into<String>>(
        names: impl IntoIterator<Item = S>,
        pairs: impl IntoIterator<Item = (&'a str, &'a str, Duration)>,
    ) -> Result<Self, DistancesError> {
        Self::symmetric(names, pairs.into_iter().map(|(from, to, time)| (from, to, time / 2)))
    }

    /// The names of the regions, in the order given.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        self.names.iter().map(String::as_str)
    }

    /// How long a message takes from one region to another; `None` unless both are known.
    pub fn one_way(&self, from: &str, to: &str) -> Option<Duration> {
        Some(self.between(place(&self.names, from).ok()?, place(&self.names, to).ok()?))
    }

    /// How long there and back; `None` unless both are known.
    pub fn round_trip(&self, from: &str, to: &str) -> Option<Duration> {
        Some(self.one_way(from, to)?.saturating_add(self.one_way(to, from)?))
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, region: usize) -> &str {
        self.names.get(region).map_or("", String::as_str)
    }

    pub(super) fn between(&self, from: usize, to: usize) -> Duration {
        self.one_way.get(from * self.names.len() + to).copied().unwrap_or_default()
    }

    pub(super) fn there_and_back(&self, from: usize, to: usize) -> Duration {
        self.between(from, to).saturating_add(self.between(to, from))
    }
}

fn distinct<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Vec<String>, DistancesError> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        let name = name.into();
        if distinct.len() == MAX_REGIONS {
            return Err(DistancesError::TooManyRegions);
        }
        if distinct.contains(&name) {
            return Err(DistancesError::RepeatedRegion { region: name });
        }
        distinct.push(name);
    }
    if distinct.is_empty() { Err(DistancesError::NoRegions) } else { Ok(distinct) }
}

fn place(names: &[String], region: &str) -> Result<usize, DistancesError> {
    let unknown = || DistancesError::UnknownRegion { region: region.into() };
    names.iter().position(|name| name == region).ok_or_else(unknown)
}

fn bounded(time: Duration) -> Result<(), DistancesError> {
    if time > LONGEST { Err(DistancesError::TooLong { given: time }) } else { Ok(()) }
}

impl fmt::Display for Distances {
    /// A table of the one-way times, from the region of the row to that of the column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
        write!(f, "{:width$}", "from\\to")?;
        for name in &self.names {
            write!(f, "  {name:>width$}")?;
        }
        writeln!(f)?;
        for (from, name) in self.names.iter().enumerate() {
            write!(f, "{name:width$}")?;
            for to in 0..self.names.len() {
                write!(f, "  {:>width$}", Span(self.between(from, to)))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
