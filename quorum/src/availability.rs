//! How likely enough nodes are up.

use crate::probability::{Binomial, Chance, PoissonBinomial};
use crate::{AvailabilityError, Probability, QuorumConfig};

impl QuorumConfig {
    /// How likely a read finds R replicas, if each is down with the probability `failure`, independently of the others.
    ///
    /// `A_k(N) = sum over i from k to N of C(N, i) (1 - p)^i p^(N - i)` with `k = R`, for any N at most O(sqrt(N)).
    /// Failures that come together (one rack, one release, one region) make the true number smaller.
    ///
    /// ```
    /// use quorum::{Probability, QuorumConfig};
    ///
    /// let config = QuorumConfig::new(3, 2, 2)?;
    /// let one_in_ten = Probability::new(0.1)?;
    /// assert_eq!(config.read_availability(one_in_ten).get(), 0.972);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_availability(&self, failure: Probability) -> Probability {
        at_least(self.n(), self.r(), failure)
    }

    /// How likely a write finds W replicas; see [`read_availability`](Self::read_availability).
    pub fn write_availability(&self, failure: Probability) -> Probability {
        at_least(self.n(), self.w(), failure)
    }

    /// How likely both reads and writes find enough replicas: `max(R, W)` of them.
    pub fn availability(&self, failure: Probability) -> Probability {
        at_least(self.n(), self.needed(), failure)
    }

    /// How likely a read finds R replicas, if each is down with a probability of its own. O(N^2).
    ///
    /// ```
    /// use quorum::{Probability, QuorumConfig};
    ///
    /// let config = QuorumConfig::new(2, 1, 2)?;
    /// let failures = [Probability::new(0.5)?, Probability::new(0.25)?];
    /// assert_eq!(config.read_availability_of(&failures)?.get(), 0.875);
    /// assert_eq!(config.write_availability_of(&failures)?.get(), 0.375);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_availability_of(&self, failures: &[Probability]) -> Result<Probability, AvailabilityError> {
        self.at_least_of(self.r(), failures)
    }

    /// How likely a write finds W replicas, if each is down with a probability of its own. O(N^2).
    pub fn write_availability_of(&self, failures: &[Probability]) -> Result<Probability, AvailabilityError> {
        self.at_least_of(self.w(), failures)
    }

    /// How likely both find enough replicas, if each is down with a probability of its own. O(N^2).
    pub fn availability_of(&self, failures: &[Probability]) -> Result<Probability, AvailabilityError> {
        self.at_least_of(self.needed(), failures)
    }

    /// Who has the larger quorum has the smaller one too.
    fn needed(&self) -> u32 {
        self.r().max(self.w())
    }

    fn at_least_of(&self, k: u32, failures: &[Probability]) -> Result<Probability, AvailabilityError> {
        match (u32::try_from(failures.len()), usize::try_from(k)) {
            (Ok(given), Ok(k)) if given == self.n() => {
                let up = failures.iter().map(|failure| Chance::of(*failure).opposite());
                Ok(Probability::clamped(PoissonBinomial::new(up).at_least(k)))
            }
            _ => Err(AvailabilityError::WrongNumber { given: failures.len(), n: self.n() }),
        }
    }
}

fn at_least(n: u32, k: u32, failure: Probability) -> Probability {
    let up = Chance::of(failure).opposite();
    Probability::clamped(Binomial::new(n, up).at_least(k))
}

/// How many seconds of a year of 365.25 days something is down that is available with this probability.
///
/// What availabilities are bought in: "three nines" sounds like more than nearly nine hours a year.
///
/// ```
/// use quorum::{Probability, downtime_per_year};
///
/// let three_nines = downtime_per_year(Probability::new(0.999)?);
/// assert_eq!((three_nines / 3600.0).round(), 9.0);
/// # Ok::<(), quorum::ProbabilityError>(())
/// ```
pub fn downtime_per_year(availability: Probability) -> f64 {
    availability.complement().get() * SECONDS_PER_YEAR
}

const SECONDS_PER_YEAR: f64 = 31_557_600.0;
