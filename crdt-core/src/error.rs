//! What can go wrong, one error per operation. Every error leaves the state as it was.

use thiserror::Error;

use crate::clock::{Hlc, WallTime};
use crate::{Dot, ReplicaId};

/// Why a hybrid logical clock refused to mint or to accept a stamp.
///
/// The clock is unchanged in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ClockError {
    /// The stamp lies further ahead of the wall clock than the allowed drift.
    ///
    /// When minting, the local wall clock stepped back, or an earlier one ran ahead; time heals it.
    /// From an origin, that origin's wall clock is wrong.
    #[error(
        "stamp {stamp} is further ahead of wall time {wall} than the allowed drift; the clock is unchanged"
    )]
    ClockAhead {
        /// The stamp that was refused.
        stamp: Hlc,
        /// The wall time it was measured against.
        wall: WallTime,
    },
    /// The clock stands at the last stamp there is. Only a bound on the drift that allows it can lead here.
    #[error("the clock stands at the last stamp that exists and cannot go on; it is unchanged")]
    Exhausted,
}

/// A replica has used its last counter, or someone claimed so in its name.
///
/// Nothing was minted and nothing changed. The way on is a fresh [`ReplicaId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("replica {replica} has no counters left; nothing was minted, go on under a fresh replica id")]
pub struct DotsExhausted {
    /// The replica whose counters are used up.
    pub replica: ReplicaId,
}

/// Why a store and a context do not make a causal value. Nothing was built or merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidCausal {
    /// Something is filed under a dot that the context has not seen.
    #[error("dot {dot} is in the store and not in its context; the value was not built")]
    DotOutsideContext {
        /// The dot in question.
        dot: Dot,
    },
    /// One dot is filed under two keys: its replica used a counter twice, or the input is forged.
    #[error("dot {dot} is in the store twice; the value was not built")]
    DotInTwoPlaces {
        /// The dot in question.
        dot: Dot,
    },
}
