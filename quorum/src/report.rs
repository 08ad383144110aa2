//! Everything that is known of a configuration, on one page.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{LatencyDistribution, Probability, QuorumConfig};

impl QuorumConfig {
    /// The configuration on one page: in words, as a picture of the worst case, and in numbers, with the availability
    /// for nodes that are down with each of these probabilities.
    ///
    /// ```
    /// use quorum::{Probability, QuorumConfig};
    ///
    /// let config = QuorumConfig::new(5, 2, 3)?;
    /// let report = config.report([Probability::new(0.1)?]).to_string();
    /// assert!(report.contains("write ###..\n"));
    /// assert!(report.contains("a read that misses the last write: 0.1\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report(&self, failures: impl IntoIterator<Item = Probability>) -> Report {
        Report { config: *self, failures: failures.into_iter().collect() }
    }
}

/// The page of [`QuorumConfig::report`], ready to be displayed.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    config: QuorumConfig,
    failures: Vec<Probability>,
}

/// More replicas than this do not fit beside each other.
const DRAWN: u32 = 64;

/// So many versions back are told.
const VERSIONS: u32 = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.config.describe())?;
        self.picture(f)?;
        self.counts(f)?;
        self.availability(f)?;
        self.staleness(f)?;
        self.latency(f)
    }
}

impl Report {
    /// The write that took the first W replicas and the read that asks the last R share as little as any two.
    fn picture(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, r, w) = (self.config.n(), self.config.r(), self.config.w());
        if n > DRAWN {
            return Ok(());
        }
        let mut row = |title: &str, marked: &dyn Fn(u32) -> bool| {
            let marks = (0..n).map(|replica| if marked(replica) { '#' } else { '.' });
            writeln!(f, "  {title} {}", marks.collect::<String>())
        };
        let (written, read) = (|replica| replica < w, |replica| replica >= n - r);
        row("write", &written)?;
        row("read ", &read)?;
        row("both ", &|replica| written(replica) && read(replica))
    }

    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        writeln!(f, "shared at least")?;
        writeln!(f, "  by a read and a write: {}", config.read_write_overlap())?;
        writeln!(f, "  by two writes: {}", config.write_write_overlap())?;
        writeln!(f, "  by two reads: {}", config.read_read_overlap())?;
        writeln!(f, "failures survived")?;
        writeln!(f, "  by reads: {}", config.tolerated_read_failures())?;
        writeln!(f, "  by writes: {}", config.tolerated_write_failures())?;
        writeln!(f, "  by both: {}", config.tolerated_failures())
    }

    fn availability(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failures.is_empty() {
            return Ok(());
        }
        writeln!(f, "available, if each node is down with some probability")?;
        writeln!(f, "  {:8} {:12} {:12} both", "down", "reads", "writes")?;
        for failure in &self.failures {
            let config = &self.config;
            let likely = [
                config.read_availability(*failure),
                config.write_availability(*failure),
                config.availability(*failure),
            ];
            write!(f, "  {:8}", format!("{failure}"))?;
            likely.iter().try_for_each(|likely| write!(f, " {:.10}", likely.get()))?;
            writeln!(f)?;
        }
        Ok(())
    }

    fn staleness(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stale, if quorums are chosen evenly and nothing is repaired")?;
        let misses = self.config.miss_probability().get();
        writeln!(f, "  a read that misses the last write: {}", Rounded(misses))?;
        for versions in 1..=VERSIONS {
            let likely = self.config.k_staleness(versions).get();
            let of = if versions == 1 { "the last version" } else { "one of the last" };
            let number = if versions == 1 { String::new() } else { format!(" {versions}") };
            writeln!(f, "  a read that returns {of}{number}: {}", Rounded(likely))?;
        }
        Ok(())
    }

    fn latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Ok(answer), Ok(most)) = (LatencyDistribution::exponential(1.0), Probability::new(0.99)) else {
            return Ok(());
        };
        writeln!(f, "waiting, if one answer takes 1 in the mean, exponentially distributed")?;
        let waits =
            [("reads", self.config.read_latency(&answer)), ("writes", self.config.write_latency(&answer))];
        for (who, wait) in waits {
            let (mean, quantile) = (Rounded(wait.mean()), Rounded(wait.quantile(most)));
            writeln!(f, "  {who}: {mean} in the mean, {quantile} for 99 of 100")?;
        }
        Ok(())
    }
}

/// To six digits behind the point at most: what is below that differs by rounding only.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:.6}", self.0);
        let shortest = digits.trim_end_matches('0').trim_end_matches('.');
        f.write_str(shortest)
    }
}
