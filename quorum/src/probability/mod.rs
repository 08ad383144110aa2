//! Numbers between zero and one.

mod binomial;
mod poisson_binomial;

use core::fmt;

pub(crate) use binomial::Binomial;
pub(crate) use poisson_binomial::PoissonBinomial;

use crate::ProbabilityError;

/// A probability: a number from 0 to 1, both included, and never NaN.
///
/// Parsed once, so that no formula has to ask again.
///
/// ```
/// use quorum::{Probability, ProbabilityError};
///
/// let failure = Probability::new(0.1)?;
/// assert_eq!(failure.complement().get(), 0.9);
/// assert!(matches!(Probability::new(1.5), Err(ProbabilityError::OutOfRange { .. })));
/// # Ok::<(), ProbabilityError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// What never happens.
    pub const ZERO: Self = Self(0.0);
    /// What always happens.
    pub const ONE: Self = Self(1.0);

    /// The probability `p`, unless it is below 0, above 1 or NaN.
    pub const fn new(p: f64) -> Result<Self, ProbabilityError> {
        if p >= 0.0 && p <= 1.0 { Ok(Self(p)) } else { Err(ProbabilityError::OutOfRange { given: p }) }
    }

    /// What a formula gave, which rounding may have carried past either end.
    pub(crate) const fn clamped(p: f64) -> Self {
        Self(p.clamp(0.0, 1.0))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The probability of the opposite.
    pub const fn complement(self) -> Self {
        Self(1.0 - self.0)
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<f64> for Probability {
    type Error = ProbabilityError;

    fn try_from(p: f64) -> Result<Self, ProbabilityError> {
        Self::new(p)
    }
}

/// How likely something is and how likely its opposite, each as precise as can be.
///
/// One number is not enough: that of what is nearly certain has no digits left for what it leaves out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chance {
    pub(crate) yes: f64,
    pub(crate) no: f64,
}

impl Chance {
    pub(crate) const fn of(p: Probability) -> Self {
        Self { yes: p.get(), no: p.complement().get() }
    }

    pub(crate) const fn opposite(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }
}

/// A number of things as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "what fits into memory is counted exactly up to 2^53")]
pub(crate) const fn count(things: usize) -> f64 {
    things as f64
}
