//! Levels where replicas are spread over regions.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

use crate::{Level, LevelError, PlacementError};

/// How many replicas of a key each region (data centre, zone) has.
///
/// ```
/// use quorum::{Level, Placement, RegionalLevel};
///
/// let placement = Placement::new([("frankfurt", 3), ("virginia", 3)])?;
/// let local = placement.resolve(&RegionalLevel::Local("frankfurt", Level::Quorum))?;
/// let abroad = placement.resolve(&RegionalLevel::Local("virginia", Level::Quorum))?;
/// let each = placement.resolve(&RegionalLevel::Each(Level::Quorum))?;
///
/// assert_eq!(placement.overlap(&local, &local), 1);  // two quorums of one region meet there
/// assert_eq!(placement.overlap(&local, &abroad), 0); // quorums of different regions need not
/// assert_eq!(placement.overlap(&local, &each), 1);   // written in each, read anywhere locally
/// # Ok::<(), quorum::PlacementError<&str>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement<K> {
    /// No region is empty, and all of them together fit in 32 bits.
    regions: BTreeMap<K, u32>,
    replicas: u32,
}

/// Where a request waits for how many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionalLevel<K> {
    /// The level counts all replicas, wherever they are.
    Anywhere(Level),
    /// The level counts the replicas of one region; those of others are not waited for. With `Level::Quorum`,
    /// Cassandra's `LOCAL_QUORUM`.
    Local(K, Level),
    /// The level must be met in every region by itself. With `Level::Quorum`, Cassandra's `EACH_QUORUM`.
    Each(Level),
}

/// What a [`RegionalLevel`] comes to in one [`Placement`]: so many replicas of some regions, and so many in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionalQuorum<K> {
    /// Only what the level demands: a region without an entry owes nothing.
    regions: BTreeMap<K, u32>,
    /// At least the sum of the above.
    total: u32,
}

impl<K: Ord + Clone> Placement<K> {
    /// So many replicas in each region.
    pub fn new(regions: impl IntoIterator<Item = (K, u32)>) -> Result<Self, PlacementError<K>> {
        let mut placement = Self { regions: BTreeMap::new(), replicas: 0 };
        for (region, replicas) in regions {
            placement.add(region, replicas)?;
        }
        if placement.regions.is_empty() { Err(PlacementError::NoRegions) } else { Ok(placement) }
    }

    fn add(&mut self, region: K, replicas: u32) -> Result<(), PlacementError<K>> {
        if replicas == 0 {
            return Err(PlacementError::EmptyRegion { region });
        }
        let together = self.replicas.checked_add(replicas).ok_or(PlacementError::TooManyReplicas)?;
        match self.regions.entry(region) {
            Entry::Occupied(known) => Err(PlacementError::RepeatedRegion { region: known.key().clone() }),
            Entry::Vacant(place) => {
                place.insert(replicas);
                self.replicas = together;
                Ok(())
            }
        }
    }

    /// The number of replicas in all regions: N.
    pub const fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Each region with its number of replicas, in order.
    pub fn regions(&self) -> impl Iterator<Item = (&K, u32)> + '_ {
        self.regions.iter().map(|(region, replicas)| (region, *replicas))
    }

    /// How many replicas `level` waits for here, region by region. O(regions).
    pub fn resolve(&self, level: &RegionalLevel<K>) -> Result<RegionalQuorum<K>, PlacementError<K>> {
        match level {
            RegionalLevel::Anywhere(level) => {
                Ok(RegionalQuorum { regions: BTreeMap::new(), total: level.resolve(self.replicas)? })
            }
            RegionalLevel::Local(region, level) => {
                let unknown = || PlacementError::UnknownRegion { region: region.clone() };
                let total = level.resolve(*self.regions.get(region).ok_or_else(unknown)?)?;
                Ok(RegionalQuorum { regions: BTreeMap::from([(region.clone(), total)]), total })
            }
            RegionalLevel::Each(level) => {
                let demands = self.regions().map(|(region, n)| Ok((region.clone(), level.resolve(n)?)));
                let regions = demands.collect::<Result<BTreeMap<K, u32>, LevelError>>()?;
                Ok(RegionalQuorum { total: regions.values().sum(), regions })
            }
        }
    }

    /// The fewest replicas that any two sets meeting these demands have in common. O(regions).
    ///
    /// Where a region owes `a` to the one and `b` to the other of its `n` replicas, `max(0, a + b - n)` are shared.
    /// What the totals demand beyond the regions' parts fills the places that are still free, and is shared after that.
    pub fn overlap(&self, one: &RegionalQuorum<K>, other: &RegionalQuorum<K>) -> u32 {
        let (mut shared, mut free) = (0, 0);
        for (region, n) in self.regions() {
            let owed = u64::from(one.of(region)) + u64::from(other.of(region));
            shared += owed.saturating_sub(u64::from(n));
            free += u64::from(n).saturating_sub(owed);
        }
        let beyond = u64::from(one.beyond_regions()) + u64::from(other.beyond_regions());
        u32::try_from(shared + beyond.saturating_sub(free)).unwrap_or(u32::MAX)
    }
}

impl<K: Ord> RegionalQuorum<K> {
    /// How many replicas of `region` it waits for at least.
    pub fn of(&self, region: &K) -> u32 {
        self.regions.get(region).copied().unwrap_or(0)
    }

    /// How many replicas it waits for in all.
    pub const fn total(&self) -> u32 {
        self.total
    }

    fn beyond_regions(&self) -> u32 {
        self.total.saturating_sub(self.regions.values().sum())
    }
}
