//! Rounds of renewals, and until when they hold.

use alloc::collections::VecDeque;
use core::num::NonZeroU32;
use core::time::Duration;

use quorum::{CommitTally, Progress};

use super::act::Round;
use crate::node::NodeId;
use crate::time::Instant;

/// Answers to rounds older than that come too late to matter.
const REMEMBERED: usize = 8;

/// Whose renewals of which rounds count: a lease holds from the newest moment before which enough members were asked
/// and agreed. That is a commit index over the times at which rounds were sent.
#[derive(Debug)]
pub(super) struct Renewal {
    tally: CommitTally<NodeId>,
    rounds: VecDeque<(Round, Instant)>,
    /// So many began since the lease was last extended by one.
    unanswered: u32,
}

impl Renewal {
    /// `needed` of the members have to agree.
    pub(super) fn new(needed: usize, members: &[NodeId]) -> Self {
        let needed = u32::try_from(needed).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        Self {
            tally: CommitTally::new(needed, members.iter().copied()),
            rounds: VecDeque::new(),
            unanswered: 0,
        }
    }

    /// Whether a round that has extended nothing yet is still in its time: another one would push it out of memory.
    pub(super) fn is_open(&self, now: Instant, time: Duration) -> bool {
        self.unanswered > 0 && self.rounds.back().is_some_and(|(_, sent)| now < *sent + time)
    }

    /// A round begins. Returns whether the one before has had its time, and extended nothing.
    pub(super) fn begin(&mut self, round: Round, now: Instant) -> bool {
        if self.rounds.len() == REMEMBERED {
            self.rounds.pop_front();
        }
        self.rounds.push_back((round, now));
        self.unanswered = self.unanswered.saturating_add(1);
        self.unanswered > 1
    }

    /// A member agreed to a round. When the round was sent that enough have agreed to now, or one after it.
    pub(super) fn agree(&mut self, round: Round, by: NodeId) -> Option<Instant> {
        let (_, sent) = self.rounds.iter().find(|(known, _)| *known == round)?;
        match self.tally.acknowledge(by, sent.as_micros()) {
            Ok(Progress::Advanced { to }) => {
                self.unanswered = 0;
                Some(Instant::from_micros(to))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_lease_holds_from_the_last_round_that_enough_agreed_to() {
        let [a, b, c] = [1, 2, 3].map(NodeId::from_u128);
        let at = Instant::from_micros;
        let mut renewal = Renewal::new(2, &[a, b, c]);
        let late: Vec<bool> = (1..=3).map(|round| renewal.begin(Round(round), at(round * 10))).collect();
        assert_eq!(late, [false, true, true]);
        assert_eq!(renewal.agree(Round(3), a), None);
        assert_eq!(renewal.agree(Round(1), b), Some(at(10)));
        assert_eq!(renewal.agree(Round(1), c), None, "that is no more than what is known");
        assert_eq!(renewal.agree(Round(2), c), Some(at(20)));
        assert_eq!(renewal.agree(Round(9), c), None, "that never began");
        assert_eq!(renewal.agree(Round(3), NodeId::from_u128(4)), None, "that is no member");
    }
}
