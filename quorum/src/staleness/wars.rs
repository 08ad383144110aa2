//! When a write becomes visible, by simulation of the messages of a write and of a read after it.

use alloc::vec::Vec;
use core::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::Simulation;
use crate::{Delays, QuorumConfig, SimulationError, WarsError};

/// The WARS model: a coordinator writes to all N replicas and is done after W acknowledgements; some time later another
/// reads from all N and takes the first R responses. Did one of them know of the write?
///
/// Bailis et al., *Probabilistically bounded staleness for practical partial quorums* (VLDB 2012). For each replica
/// `i` a trial draws how long the write takes to get there (`W_i`), its acknowledgement back (`A_i`), the read to get
/// there (`R_i`) and its response back (`S_i`). The write commits at the W-th smallest `W_i + A_i`. A read that starts
/// the time `t` later takes the R replicas with the smallest `R_i + S_i`, and is fresh if the write had arrived in one
/// of them when the read looked: `commit + t + R_i >= W_i`. Equal times count in the order of the replicas.
///
/// The model has one write and one read, independent delays, no failures and no repair, so a real system with read
/// repair or hinted handoff is fresher. If `R + W > N`, every trial is fresh from `t = 0` on.
///
/// ```
/// use quorum::{Delays, Probability, QuorumConfig, Wars};
///
/// let wars = Wars::new(QuorumConfig::new(3, 1, 1)?, Delays::linkedin_ssd()?)?;
/// let simulation = wars.run(1, 20_000)?;
/// assert!(simulation.visibility(0.0).contains(Probability::new(0.9735)?));
/// assert!(simulation.time_to(Probability::new(0.999)?).is_some_and(|ms| (1.4..2.4).contains(&ms)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Wars {
    config: QuorumConfig,
    delays: Delays,
}

impl Wars {
    /// The largest N that is simulated. Copies of one key are rarely more than ten; the bound keeps a run finite.
    pub const MAX_REPLICAS: u32 = 128;

    /// The largest number of trials of one run: the result then takes 240 megabytes, and no interval of 95 % is wider
    /// than 0.0007.
    pub const MAX_TRIALS: u32 = 10_000_000;

    /// The model of `config` with these `delays`.
    pub fn new(config: QuorumConfig, delays: Delays) -> Result<Self, WarsError> {
        let n = config.n();
        if n > Self::MAX_REPLICAS {
            return Err(WarsError::TooManyReplicas { n });
        }
        match delays.described() {
            Some(given) if u32::try_from(given) != Ok(n) => Err(WarsError::WrongNumberOfDelays { given, n }),
            _ => Ok(Self { config, delays }),
        }
    }

    /// Runs so many `trials`. O(trials × (N + log trials)), 24 bytes per trial.
    ///
    /// The same `seed` gives the same result, everywhere and always. It also draws the same delays for every R and W
    /// of the same N, so that what differs between two configurations is not left to chance.
    pub fn run(&self, seed: u64, trials: u32) -> Result<Simulation, SimulationError> {
        if trials == 0 {
            return Err(SimulationError::NoTrials);
        }
        if trials > Self::MAX_TRIALS {
            return Err(SimulationError::TooManyTrials { given: trials });
        }
        let mut chance = Chance(ChaCha8Rng::seed_from_u64(seed));
        let mut messages = Messages::default();
        let outcomes = (0..trials).map(|_| {
            messages.draw(self, &mut chance);
            messages.outcome(&self.config)
        });
        Ok(Simulation::of(trials, outcomes))
    }
}

/// What one trial showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// The shortest time between commit and read with which the read is fresh; negative if it might have started
    /// before the commit.
    pub(super) fresh_from: f64,
    pub(super) read_latency: f64,
    pub(super) write_latency: f64,
}

/// The messages of one trial. Kept from trial to trial, so that none allocates.
#[derive(Debug, Default)]
struct Messages {
    acknowledged: Vec<f64>,
    responses: Vec<Response>,
}

#[derive(Debug, Clone, Copy)]
struct Response {
    arrived: f64,
    replica: usize,
    /// When the write reached the replica, counted from its start.
    written: f64,
    /// When the read reached the replica, counted from its start.
    looked: f64,
}

impl Messages {
    fn draw(&mut self, wars: &Wars, chance: &mut Chance) {
        self.acknowledged.clear();
        self.responses.clear();
        for (delays, replica) in wars.delays.each().zip(0..wars.config.n() as usize) {
            let written = delays.write.sample(chance.next());
            self.acknowledged.push(written + delays.ack.sample(chance.next()));
            let looked = delays.read.sample(chance.next());
            let arrived = looked + delays.response.sample(chance.next());
            self.responses.push(Response { arrived, replica, written, looked });
        }
    }

    /// A configuration has at least one replica, and quorums of 1 to N of them.
    fn outcome(&mut self, config: &QuorumConfig) -> Outcome {
        let (r, w) = (config.r() as usize, config.w() as usize);
        let (_, commit, _) = self.acknowledged.select_nth_unstable_by(w - 1, f64::total_cmp);
        let commit = *commit;
        let (earlier, last, _) = self.responses.select_nth_unstable_by(r - 1, Response::order);
        let fresh_from = earlier
            .iter()
            .map(|response| response.fresh_from(commit))
            .fold(last.fresh_from(commit), f64::min);
        Outcome { fresh_from, read_latency: last.arrived, write_latency: commit }
    }
}

impl Response {
    fn order(&self, other: &Self) -> Ordering {
        self.arrived.total_cmp(&other.arrived).then(self.replica.cmp(&other.replica))
    }

    fn fresh_from(&self, commit: f64) -> f64 {
        let lead = self.written - (commit + self.looked);
        // Heavy tails may leave the range of numbers. What never commits or never looks is never too early.
        if lead.is_nan() { f64::NEG_INFINITY } else { lead }
    }
}

/// Numbers distributed evenly from 0 (included) to 1 (not included), of 53 bits each.
#[derive(Debug)]
struct Chance(ChaCha8Rng);

impl Chance {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn next(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
