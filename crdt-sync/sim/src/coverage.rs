//! Which fault met which phase of the protocol, and how often.

use core::fmt;
use core::ops::AddAssign;

use crate::faults::Fault;
use crate::phase::{Phase, Phases};
use crate::topology::Topology;

/// How often each kind of fault struck in each phase.
///
/// A strike counts in every phase that held when it fell: a node that ships to one peer while it waits for its disk
/// is struck in both.
///
/// ```
/// use crdt_sync_sim::{Coverage, Fault, Phase, Topology};
///
/// let mut coverage = Coverage::default();
/// coverage.add(Fault::PowerLost, Phase::Comparing);
/// assert_eq!(coverage.of(Fault::PowerLost, Phase::Comparing), 1);
/// assert!(coverage.missing(Topology::MultiLeader).any(|pair| pair == (Fault::PowerLost, Phase::Shipping)));
/// assert!(coverage.missing(Topology::MultiLeader).all(|pair| pair != (Fault::PowerLost, Phase::Comparing)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage([[u64; Phase::ALL.len()]; Fault::ALL.len()]);

impl Coverage {
    /// Counts one.
    pub fn add(&mut self, fault: Fault, phase: Phase) {
        self.0[fault as usize][phase as usize] += 1;
    }

    /// Counts one in each of the phases.
    pub(crate) fn add_all(&mut self, fault: Fault, phases: Phases) {
        phases.iter().for_each(|phase| self.add(fault, phase));
    }

    /// How often this kind struck in this phase.
    pub fn of(&self, fault: Fault, phase: Phase) -> u64 {
        self.0[fault as usize][phase as usize]
    }

    /// The pairs that never met and can: a test that wants to say something about them has not. Leaves out the faults
    /// that are off by default ([`Fault::FORKS`]), those of other topologies, and the pairs that cannot meet
    /// ([`Phase::excludes`]).
    pub fn missing(&self, topology: Topology) -> impl Iterator<Item = (Fault, Phase)> {
        let tried = Fault::ALL.into_iter().filter(move |fault| topology.excludes(*fault).is_none());
        let pairs = tried.flat_map(move |fault| topology.phases().iter().map(move |phase| (fault, *phase)));
        pairs.filter(|&(fault, phase)| {
            self.of(fault, phase) == 0 && !Fault::FORKS.contains(&fault) && phase.excludes(fault).is_none()
        })
    }
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        for (ours, theirs) in self.0.iter_mut().flatten().zip(other.0.into_iter().flatten()) {
            *ours += theirs;
        }
    }
}

/// A table: a line for each fault, a column for each phase; `-` where the two cannot meet.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}", "")?;
        Phase::ALL.iter().try_for_each(|phase| write!(f, " {phase:>13}"))?;
        for fault in Fault::ALL {
            write!(f, "\n{fault:<26}")?;
            for phase in Phase::ALL {
                match self.of(fault, phase) {
                    0 if phase.excludes(fault).is_some() => write!(f, " {:>13}", "-")?,
                    count => write!(f, " {count:>13}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_summed_pair_by_pair() {
        let (mut sum, mut run) = (Coverage::default(), Coverage::default());
        for fault in Fault::ALL {
            for phase in Phase::ALL {
                run.add(fault, phase);
            }
        }
        sum += run;
        sum += run;
        assert_eq!(sum.of(Fault::BitRot, Phase::Comparing), 2);
        assert_eq!(sum.missing(Topology::Leaderless).count(), 0);
    }

    #[test]
    fn the_table_has_a_line_for_each_fault() {
        let table = Coverage::default().to_string();
        assert_eq!(table.lines().count(), 1 + Fault::ALL.len());
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{widths:?}");
    }
}
