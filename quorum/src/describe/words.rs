//! Configurations in plain words.

use core::fmt;

use crate::{Classification, QuorumConfig};

impl QuorumConfig {
    /// The configuration in plain words: what it promises, what it survives, and what it does not promise.
    ///
    /// ```
    /// let config = quorum::QuorumConfig::new(3, 2, 2)?;
    /// let text = config.describe().to_string();
    /// assert!(text.starts_with("N=3 R=2 W=2: strict\n"));
    /// assert!(text.contains("not linearizability"));
    /// # Ok::<(), quorum::ConfigError>(())
    /// ```
    pub const fn describe(&self) -> Description {
        Description { config: *self }
    }
}

/// The words of [`QuorumConfig::describe`], ready to be displayed.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    config: QuorumConfig,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        writeln!(f, "{config}: {}", config.classification())?;
        match config.read_write_overlap() {
            0 => writeln!(f, "  a read may miss a write that has completed")?,
            shared => writeln!(f, "  a read meets every completed write in at least {}", Replicas(shared))?,
        }
        match config.write_write_overlap() {
            0 => writeln!(f, "  two writes may both complete without meeting in any replica")?,
            shared => writeln!(f, "  two writes meet in at least {}", Replicas(shared))?,
        }
        writeln!(
            f,
            "  reads survive the failure of {}, writes of {}",
            Replicas(config.tolerated_read_failures()),
            Replicas(config.tolerated_write_failures()),
        )?;
        writeln!(f, "  {}", not_promised(config.classification()))
    }
}

fn not_promised(classification: Classification) -> &'static str {
    match classification {
        Classification::Strict => {
            "not linearizability: a write that stopped short of W may be seen by one read and missed by the next"
        }
        Classification::SplitWrites => {
            "not linearizability, and no order of writes: concurrent versions must be kept and merged"
        }
        Classification::StaleReads => {
            "not linearizability, and no reading of one's own writes: a read may return an older value"
        }
        Classification::Eventual => {
            "not linearizability, no order of writes, no reading of one's own writes: only repair makes replicas agree"
        }
    }
}

/// A number of replicas in words that agree with it.
pub(crate) struct Replicas(pub(crate) u32);

impl fmt::Display for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no replica"),
            1 => f.write_str("1 replica"),
            many => write!(f, "{many} replicas"),
        }
    }
}
