//! What a run may exercise besides writes, reads and faults, and which runs do.

use std::collections::BTreeSet;

use core::fmt;
use core::str::FromStr;

use crate::dice::Dice;
use crate::phase::UnknownName;

/// Of 1000 seeds, how many draw each extra.
const SHARE: u32 = 500;

/// A thing the engine can do that not every cluster asks of it.
///
/// ```
/// use crdt_sync_sim::Extra;
///
/// assert_eq!("retirement".parse(), Ok(Extra::Retirement));
/// assert_eq!(Extra::Retirement.to_string(), "retirement");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Extra {
    /// An operator retires members, and now and then the device of one comes back as a new node.
    Retirement,
    /// Clients go from node to node and carry a token of their session along.
    Sessions,
    /// An operator changes the ring: nodes join, leave, die and are replaced or removed.
    RingChanges,
    /// Nodes forget deletions that all members have.
    Forgetting,
    /// Two more nodes hold a part of the keys each.
    Partial,
    /// An operator has other nodes lead, and disks of leaders are lost.
    NewLeaders,
    /// Nodes let go of the log behind their checkpoints, and whoever lacks it begins with a snapshot.
    Snapshots,
    /// Nodes take over by themselves when the leader fails, and nobody else grants anybody the lead.
    Failover,
}

/// Which extras a run has.
///
/// ```
/// use crdt_sync_sim::Extras;
///
/// let drawn: Extras = "drawn".parse()?;
/// assert_eq!(drawn.of(7), drawn.of(7));
/// assert_eq!("none".parse(), Ok(Extras::none()));
/// # Ok::<(), crdt_sync_sim::UnknownName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extras {
    /// Each seed draws its own.
    Drawn,
    /// These, at every seed.
    Just(BTreeSet<Extra>),
}

impl Extra {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Retirement,
        Self::Sessions,
        Self::RingChanges,
        Self::Forgetting,
        Self::Partial,
        Self::NewLeaders,
        Self::Snapshots,
        Self::Failover,
    ];

    /// Its name on command lines and in files; it stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retirement => "retirement",
            Self::Sessions => "sessions",
            Self::RingChanges => "ring-changes",
            Self::Forgetting => "forgetting",
            Self::Partial => "partial",
            Self::NewLeaders => "new-leaders",
            Self::Snapshots => "snapshots",
            Self::Failover => "failover",
        }
    }
}

impl Extras {
    /// No extras.
    pub const fn none() -> Self {
        Self::Just(BTreeSet::new())
    }

    /// Those that a run with this seed has. Each is drawn by itself, in its place, so that a new one changes none of
    /// the others.
    pub fn of(&self, seed: u64) -> BTreeSet<Extra> {
        match self {
            Self::Just(extras) => extras.clone(),
            Self::Drawn => {
                let drawn =
                    |extra: &Extra| Dice::new(seed.rotate_left(16).wrapping_add(*extra as u64)).chance(SHARE);
                Extra::ALL.into_iter().filter(drawn).collect()
            }
        }
    }
}

impl From<Extra> for Extras {
    fn from(extra: Extra) -> Self {
        Self::Just([extra].into())
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Extra {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|extra| extra.name() == name);
        found.ok_or_else(|| UnknownName { kind: "extra", name: name.into() })
    }
}

/// `drawn`, `all`, `none`, or names with commas between them.
impl fmt::Display for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn => f.write_str("drawn"),
            Self::Just(extras) if extras.is_empty() => f.write_str("none"),
            Self::Just(extras) if extras.len() == Extra::ALL.len() => f.write_str("all"),
            Self::Just(extras) => {
                let names: Vec<_> = extras.iter().map(|extra| extra.name()).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl FromStr for Extras {
    type Err = UnknownName;

    fn from_str(names: &str) -> Result<Self, UnknownName> {
        match names {
            "drawn" => Ok(Self::Drawn),
            "all" => Ok(Self::Just(Extra::ALL.into())),
            "none" => Ok(Self::none()),
            names => {
                names.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>().map(Self::Just)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_are_read_back_as_they_were_written() {
        let each = Extra::ALL.map(Extras::from);
        for extras in each.into_iter().chain([Extras::Drawn, Extras::none(), Extras::Just(Extra::ALL.into())])
        {
            assert_eq!(extras.to_string().parse(), Ok(extras));
        }
        assert_eq!("fire".parse::<Extras>().unwrap_err().to_string(), "there is no extra called fire");
    }

    #[test]
    fn each_extra_is_drawn_by_some_seeds_and_not_by_others() {
        for extra in Extra::ALL {
            let with = (0..100).filter(|seed| Extras::Drawn.of(*seed).contains(&extra)).count();
            assert!((30..70).contains(&with), "{extra}: {with}");
        }
    }
}
