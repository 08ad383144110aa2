//! Chance, all of it from one seed.

use core::ops::RangeInclusive;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A stream of random choices. Two dice of one seed fall alike, on every platform and in every release.
///
/// ```
/// use crdt_sync_sim::Dice;
///
/// let (mut mine, mut yours) = (Dice::new(7), Dice::new(7));
/// assert_eq!(mine.number(), yours.number());
/// assert!(mine.below(6) < 6);
/// ```
#[derive(Clone, Debug)]
pub struct Dice {
    rng: ChaCha8Rng,
}

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Dice of their own for another purpose, so that what one part of a world draws does not shift what the
    /// others draw.
    pub fn fork(&mut self) -> Self {
        Self::new(self.number())
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A number below `bound`; zero when the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let scaled = u128::from(self.number()) * u128::from(bound);
        (scaled >> 64) as u64
    }

    /// An index into something of this length; zero when it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// Whether something happens that happens in `per_mille` of 1000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// One of the choices; `None` when there are none.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> Option<&'c T> {
        let index = self.index(choices.len());
        choices.get(index)
    }

    /// A span within the range, to the microsecond.
    pub fn span(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let width = range.end().saturating_sub(*range.start());
        let micros = u64::try_from(width.as_micros()).unwrap_or(u64::MAX);
        *range.start() + Duration::from_micros(self.below(micros.saturating_add(1)))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut dice = Dice::new(1);
        let rolls: Vec<u64> = (0..200).map(|_| dice.below(6)).collect();
        assert_eq!(rolls.iter().max(), Some(&5));
        assert_eq!(rolls.iter().min(), Some(&0));
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_span_lies_in_its_range() {
        let mut dice = Dice::new(2);
        let range = Duration::from_micros(5)..=Duration::from_micros(7);
        for _ in 0..50 {
            assert!(range.contains(&dice.span(&range)));
        }
    }

    #[test]
    fn certain_and_impossible_are_just_that() {
        let mut dice = Dice::new(3);
        assert!((0..100).all(|_| dice.chance(1000)));
        assert!((0..100).all(|_| !dice.chance(0)));
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let mut dice = Dice::new(4);
        let mut fork = dice.fork();
        assert_ne!(fork.number(), dice.number());
    }
}
