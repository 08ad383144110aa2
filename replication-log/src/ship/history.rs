//! Where two logs part.

use alloc::vec::Vec;

use crate::{Log, Lsn, Position, PositionError, ReadError, limits::MAX_EPOCH_ENDS, storage::Storage};

/// What has to be known of a log to find out what somebody else's lacks, and where the two part.
pub trait History {
    /// Where its durable records of each epoch end, newest first; see
    /// [`Log::epoch_ends`](crate::Log::epoch_ends).
    fn epoch_ends(&self) -> Result<Vec<Position>, ReadError>;

    /// The position behind a durable record.
    fn position(&self, lsn: Lsn) -> Result<Position, PositionError>;

    /// The oldest record it holds.
    fn oldest(&self) -> Lsn;

    /// The last record that is durable.
    fn durable(&self) -> Lsn;
}

impl<S: Storage> History for Log<S> {
    fn epoch_ends(&self) -> Result<Vec<Position>, ReadError> {
        // More than anybody tells, so that whatever epoch the other end names is found if it is recent.
        Self::epoch_ends(self, 16 * MAX_EPOCH_ENDS)
    }

    fn position(&self, lsn: Lsn) -> Result<Position, PositionError> {
        Self::position(self, lsn)
    }

    fn oldest(&self) -> Lsn {
        Self::oldest(self)
    }

    fn durable(&self) -> Lsn {
        Self::durable(self)
    }
}

/// What a log said of itself to answer one follower, for a [`Sender`](super::Sender) that is made where the log is not
/// at hand: its ends of epochs, and the place where the two part.
///
/// ```
/// use replication_log::{
///     Epoch, Log, LogOptions, RecordKind, storage::MemoryStorage,
///     ship::{Receiver, ReceiverOptions, Sender, SenderOptions, HistoryView, wire::{Stream, ToLeader}},
/// };
///
/// let (mut log, _) = Log::open(MemoryStorage::new(), LogOptions::new(0x5eed))?;
/// log.append_record(Epoch::new(1), RecordKind(1), b"milk")?;
/// log.sync()?;
/// let (copy, _) = Log::open(MemoryStorage::new(), LogOptions::new(0xcafe))?;
/// let mut receiver = Receiver::new(ReceiverOptions::new("b"), copy.epoch(), copy.last_position());
/// let ToLeader::Hello(hello) = ToLeader::decode(&receiver.hello(1, copy.epoch_ends(8)?))? else { panic!() };
///
/// let Stream::Copy { ends, .. } = &hello.wants else { panic!("a copy is wanted") };
/// let view = HistoryView::read(&log, ends)?;
/// let options = SenderOptions::new("a", Epoch::new(1));
/// assert!(Sender::answer(options, core::time::Duration::ZERO, &hello, &view, None).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryView {
    ends: Vec<Position>,
    oldest: Lsn,
    durable: Lsn,
    /// Where the two part, as this log has it, unless it has no such place.
    common: Option<Position>,
}

impl HistoryView {
    /// Reads what has to be known to answer a follower whose epochs end at `theirs`; nothing for one that wants a
    /// logical stream. O(epochs of the log) and one look into it.
    pub fn read(log: &(impl History + ?Sized), theirs: &[Position]) -> Result<Self, ReadError> {
        let (ends, oldest, durable) = (log.epoch_ends()?, log.oldest(), log.durable());
        let common = common_position(&ends, theirs);
        let common = common.map(|common| place_at(log, common.lsn)).transpose()?.flatten();
        Ok(Self { ends, oldest, durable, common })
    }
}

impl History for HistoryView {
    fn epoch_ends(&self) -> Result<Vec<Position>, ReadError> {
        Ok(self.ends.clone())
    }

    /// Of the place where the two logs part; others are not known, like those that are not durable.
    fn position(&self, lsn: Lsn) -> Result<Position, PositionError> {
        let unknown = PositionError::NotDurable { asked: lsn, durable: self.durable };
        self.common.filter(|common| common.lsn == lsn).ok_or(unknown)
    }

    fn oldest(&self) -> Lsn {
        self.oldest
    }

    fn durable(&self) -> Lsn {
        self.durable
    }
}

/// The last position that two logs have in common, by where the epochs of each end, newest first; `None` when they
/// do not say. O(ends).
///
/// An epoch has one leader, and what it wrote is one sequence of batches. So where both have records of one epoch,
/// the log with fewer of them has a beginning of what the other one has; and what comes before that epoch its leader
/// had, and whoever took something of it. The newest epoch that both know of therefore decides, and neither a
/// watermark nor a number of records does: that lost data in Kafka (KIP-101), and taking the end of one's own last
/// epoch instead of the common one diverged (KIP-279).
///
/// Where two leaders shared an epoch after all, their checksums differ where they end at one record, and the epoch
/// decides nothing. Otherwise the first batch that is sent tells: it does not [follow](crate::LoggedBatch::follows).
///
/// ```
/// use replication_log::{Epoch, Lsn, Position, ship::common_position};
///
/// let end = |epoch, lsn, checksum| Position { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn), checksum };
/// // Both have epoch 1. One was elected again in epoch 2 and wrote up to record 7, unseen by the other.
/// let leader = [end(3, 9, 0xc), end(1, 5, 0xa)];
/// let returned = [end(2, 7, 0xb), end(1, 5, 0xa)];
/// assert_eq!(common_position(&leader, &returned), Some(end(1, 5, 0xa)));
/// ```
pub fn common_position(ours: &[Position], theirs: &[Position]) -> Option<Position> {
    theirs.iter().find_map(|their_end| {
        let our_end = ours.iter().find(|end| end.epoch == their_end.epoch)?;
        let contradict = our_end.lsn == their_end.lsn && our_end.checksum != their_end.checksum;
        let shorter = if our_end.lsn <= their_end.lsn { our_end } else { their_end };
        (!contradict).then_some(*shorter)
    })
}

/// Where a log is at a record, if it has such a place. That it cannot be read does not mean that it has none: whoever
/// is told that there is nothing to go on with may give up a log that is fine.
pub(super) fn place_at(log: &(impl History + ?Sized), lsn: Lsn) -> Result<Option<Position>, ReadError> {
    use PositionError as Not;
    match log.position(lsn) {
        Ok(position) => Ok(Some(position)),
        Err(Not::NotDurable { .. } | Not::Truncated { .. } | Not::InsideBatch { .. }) => Ok(None),
        Err(Not::Corrupt(corruption)) => Err(corruption.into()),
        Err(Not::Storage(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;
    use proptest::prelude::*;

    /// Logs as lists of the epochs of their records, which is all that a checksum says here.
    fn ends_of(log: &[u64]) -> Vec<Position> {
        let mut ends: Vec<Position> = Vec::new();
        let mut checksum = 0;
        for (index, &epoch) in log.iter().enumerate() {
            checksum = crate::checksum::extend(checksum, &epoch.to_le_bytes());
            let end = Position { lsn: Lsn::new(index as u64 + 1), epoch: Epoch::new(epoch), checksum };
            match ends.first_mut().filter(|newest| newest.epoch == end.epoch) {
                Some(newest) => *newest = end,
                None => ends.insert(0, end),
            }
        }
        ends.push(Position::ORIGIN);
        ends
    }

    /// Who leads, how much it writes, and whom it reaches with how much of what it has.
    fn reign() -> impl Strategy<Value = (usize, u64, Vec<(usize, usize)>)> {
        (0..4_usize, 0..4_u64, prop::collection::vec((0..4_usize, 0..9_usize), 0..4))
    }

    fn common_of(one: &[u64], other: &[u64]) -> usize {
        one.iter().zip(other).take_while(|(one, other)| one == other).count()
    }

    proptest! {
        /// Leaders come and go; each begins with the log of some node, writes, and reaches some nodes with a beginning
        /// of what it has. Then any two logs part where the first record is that differs.
        #[test]
        fn the_common_position_is_where_the_first_difference_is(reigns in prop::collection::vec(reign(), 0..12)) {
            let mut logs: [Vec<u64>; 4] = Default::default();
            for (epoch, (leader, writes, reached)) in (1..).zip(reigns) {
                logs[leader].extend((0..writes).map(|_| epoch));
                for (follower, upto) in reached {
                    let common = common_of(&logs[leader], &logs[follower]);
                    // Whoever is sent something cuts what the leader does not have, and is sent what follows.
                    if upto > common {
                        let sent = logs[leader].iter().take(upto).copied().collect();
                        logs[follower] = sent;
                    }
                }
            }
            for one in &logs {
                for other in &logs {
                    let common = common_of(one, other);
                    let found = common_position(&ends_of(one), &ends_of(other)).expect("both begin at the origin");
                    prop_assert_eq!(found.lsn, Lsn::new(common as u64), "{:?} and {:?}", one, other);
                }
            }
        }
    }

    #[test]
    fn an_epoch_that_two_nodes_led_under_decides_nothing() {
        let end = |epoch, lsn, checksum| Position { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn), checksum };
        let one = [end(2, 7, 1), end(1, 5, 9)];
        let other = [end(2, 7, 2), end(1, 5, 9)];
        assert_eq!(common_position(&one, &other), Some(end(1, 5, 9)));
        assert_eq!(common_position(&one[..1], &other[..1]), None);
    }
}
