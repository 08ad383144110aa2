//! Who was asked in one operation, for whom they stand, and what they count for.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use quorum::{AckTally, Answer as Counted, Level, LevelError, Outcome, QuorumConfig, majority};

use super::replicas::Replicas;
use super::{Failure, OptionsError};

/// All primaries, and the fallbacks that were asked so far, each with what the operation knows of it.
#[derive(Debug, Clone)]
pub(super) struct Panel<N, S> {
    replicas: Replicas<N>,
    needs: Vec<Need<N>>,
    pub(super) seats: Vec<Seat<N, S>>,
    /// Fallbacks that were not asked yet.
    fallbacks: VecDeque<N>,
}

/// What is needed of one set of primaries.
#[derive(Debug, Clone)]
pub(super) struct Need<N> {
    pub(super) config: QuorumConfig,
    pub(super) required: NonZeroU32,
    pub(super) required_primaries: u32,
    /// So many primaries must hold what a read returned, for every later majority to meet one of them.
    pub(super) majority: NonZeroU32,
    primaries: Vec<N>,
}

/// One node of the panel.
#[derive(Debug, Clone)]
pub(super) struct Seat<N, S> {
    pub(super) node: N,
    /// The primary in whose place it was asked; `None` for a primary.
    pub(super) stands_for: Option<N>,
    /// Why it is not waited for.
    pub(super) failed: Option<Failure>,
    /// Whether another node was asked in its place.
    replaced: bool,
    pub(super) state: S,
}

impl<N: Ord + Copy, S> Seat<N, S> {
    /// The primary whose copy it is.
    pub(super) fn owner(&self) -> N {
        self.stands_for.unwrap_or(self.node)
    }

    pub(super) fn is_primary(&self) -> bool {
        self.stands_for.is_none()
    }
}

impl<N: Ord + Copy> Need<N> {
    fn new(n: u32, level: Level, required_primaries: u32, primaries: &[N]) -> Result<Self, OptionsError> {
        let required = NonZeroU32::new(level.resolve(n)?).ok_or(LevelError::Zero)?;
        let majority = NonZeroU32::new(majority(n)).ok_or(LevelError::Zero)?;
        let config = QuorumConfig::at_levels(n, level, level).map_err(|_| LevelError::NoReplicas)?;
        config.sloppy(required_primaries, required_primaries)?;
        config.write_tally(primaries.iter().copied())?;
        Ok(Self { config, required, required_primaries, majority, primaries: primaries.into() })
    }

    /// Whether what `seat` holds counts here.
    pub(super) fn concerns<S>(&self, seat: &Seat<N, S>) -> bool {
        self.primaries.contains(&seat.owner())
    }
}

impl<N: Ord + Copy, S> Panel<N, S> {
    /// All primaries take their seats. Those believed down have failed already.
    pub(super) fn new(
        replicas: Replicas<N>,
        level: Level,
        required_primaries: u32,
        state: impl Fn() -> S,
    ) -> Result<Self, OptionsError> {
        let needs: Result<Vec<_>, _> = replicas
            .sets
            .iter()
            .map(|set| Need::new(set.n, level, required_primaries, &set.primaries))
            .collect();
        let take_seat = |node| Seat {
            node,
            stands_for: None,
            failed: replicas.is_down(node).then_some(Failure::BelievedDown),
            replaced: false,
            state: state(),
        };
        let seats = replicas.primaries().into_iter().map(take_seat).collect();
        let fallbacks = replicas.fallbacks().into();
        Ok(Self { needs: needs?, seats, fallbacks, replicas })
    }

    pub(super) fn needs(&self) -> &[Need<N>] {
        &self.needs
    }

    pub(super) fn is_coordinator(&self, node: N) -> bool {
        self.replicas.coordinator == Some(node)
    }

    /// The seat of `node`; `None` if it was never asked.
    pub(super) fn seat(&mut self, node: N) -> Option<&mut Seat<N, S>> {
        self.seats.iter_mut().find(|seat| seat.node == node)
    }

    pub(super) fn place(&self, node: N) -> Option<usize> {
        self.seats.iter().position(|seat| seat.node == node)
    }

    /// Takes note that `node` cannot be reached. As long as it has no seat, it will get none.
    pub(super) fn lose(&mut self, node: N) {
        self.replicas.lose(node);
    }

    /// Seats the next fallback that is believed live, in place of whoever sits at `place`. Each is replaced once; if
    /// the replacement fails, that is replaced in turn.
    pub(super) fn recruit(&mut self, place: usize, state: S) -> Option<&Seat<N, S>> {
        let owner = self.seats.get(place).filter(|seat| !seat.replaced)?.owner();
        let node = loop {
            let next = self.fallbacks.pop_front()?;
            if !self.replicas.is_down(next) {
                break next;
            }
        };
        self.seats[place].replaced = true;
        self.seats.push(Seat { node, stands_for: Some(owner), failed: None, replaced: false, state });
        self.seats.last()
    }

    /// The tally of one set, by what each seat counts for.
    pub(super) fn tally(&self, need: &Need<N>, counted: impl Fn(&Seat<N, S>) -> Counted) -> AckTally<N> {
        let tally = AckTally::new(need.required, need.primaries.iter().copied());
        let mut tally = tally.requiring_primaries(need.required_primaries);
        for seat in self.seats.iter().filter(|seat| need.concerns(seat)) {
            if !seat.is_primary() {
                let _ = tally.ask_fallback(seat.node);
            }
            count(&mut tally, seat.node, counted(seat));
        }
        tally
    }

    /// Whether the level is met in every set, can be, or cannot.
    pub(super) fn outcome(&self, counted: impl Fn(&Seat<N, S>) -> Counted) -> Outcome {
        together(self.needs.iter().map(|need| self.tally(need, &counted).outcome()))
    }

    /// Whether a majority of the primaries of every set counts, can, or cannot. Fallbacks do not.
    pub(super) fn majority_outcome(&self, counted: impl Fn(&Seat<N, S>) -> Counted) -> Outcome {
        let of_set = |need: &Need<N>| {
            let mut tally = AckTally::new(need.majority, need.primaries.iter().copied());
            for seat in self.seats.iter().filter(|seat| seat.is_primary()) {
                count(&mut tally, seat.node, counted(seat));
            }
            tally.outcome()
        };
        together(self.needs.iter().map(of_set))
    }
}

/// A node that has no part in this tally is refused by it, and changes nothing.
fn count<N: Ord + Copy>(tally: &mut AckTally<N>, node: N, counted: Counted) {
    let _ = match counted {
        Counted::Waiting => return,
        Counted::Acknowledged => tally.ack(node),
        Counted::Failed => tally.fail(node),
    };
}

/// All must be reached; one that is impossible makes the whole impossible.
fn together(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes.fold(Outcome::Reached, |so_far, next| match (so_far, next) {
        (Outcome::Impossible, _) | (_, Outcome::Impossible) => Outcome::Impossible,
        (Outcome::Reached, Outcome::Reached) => Outcome::Reached,
        _ => Outcome::Pending,
    })
}
