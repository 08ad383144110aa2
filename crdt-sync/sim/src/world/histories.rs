//! All logs that leaders of a world ever wrote, as one tree: which reign goes on where, and what was committed.
//!
//! A record is named by its epoch and its number. An epoch has one leader, and what that wrote is one sequence, so a
//! history is told by its last record: before the first record of its reign come those of the log that the leader had
//! when it began.

use std::collections::BTreeMap;

use replication_log::{Epoch, Lsn, Position};

/// A record by its name, and with that everything before it in the log that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPlace {
    pub(crate) epoch: Epoch,
    pub(crate) lsn: Lsn,
}

impl LogPlace {
    /// Before the first record.
    pub(crate) const ORIGIN: Self = Self { epoch: Epoch::ZERO, lsn: Lsn::ZERO };

    pub(crate) fn of(position: Position) -> Self {
        Self { epoch: position.epoch, lsn: position.lsn }
    }
}

/// The furthest records of each epoch, and everything before them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(BTreeMap<Epoch, Lsn>);

impl Marks {
    pub(crate) fn add(&mut self, place: LogPlace) {
        let mark = self.0.entry(place.epoch).or_default();
        *mark = place.lsn.max(*mark);
    }

    /// The last record that is marked of an epoch.
    pub(super) fn of(&self, epoch: Epoch) -> Option<Lsn> {
        self.0.get(&epoch).copied()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = LogPlace> + '_ {
        self.0.iter().map(|(epoch, lsn)| LogPlace { epoch: *epoch, lsn: *lsn })
    }

    /// Whether a record is among what is marked.
    pub(crate) fn have(&self, place: LogPlace, histories: &Histories) -> bool {
        place.lsn == Lsn::ZERO || self.iter().rev().any(|mark| histories.leads_to(place, mark))
    }
}

/// One node, and the last record of its log when it began to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reign {
    node: usize,
    base: LogPlace,
}

/// All that was ever written, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    reigns: BTreeMap<Epoch, Reign>,
    /// Behind each batch.
    ends: BTreeMap<LogPlace, Position>,
    pub(super) committed: Marks,
}

impl Histories {
    /// A process leads under an epoch, behind what is in its log. Returns whether the epoch was not known: where it was
    /// begun before, everything of it was lost before anybody could hear of it. Fails where it is somebody else's.
    pub(super) fn begin(&mut self, epoch: Epoch, node: usize, base: LogPlace) -> Result<bool, String> {
        match self.reigns.insert(epoch, Reign { node, base }) {
            None => return Ok(true),
            Some(reign) if reign.node == node => {}
            Some(reign) => return Err(format!("epoch {epoch} is that of {}", reign.node)),
        }
        self.ends.retain(|place, _| place.epoch != epoch);
        Ok(false)
    }

    /// Who leads under an epoch.
    pub(crate) fn leader_under(&self, epoch: Epoch) -> Option<usize> {
        self.reigns.get(&epoch).map(|reign| reign.node)
    }

    /// The newest epoch, and who leads under it.
    pub(crate) fn newest(&self) -> Option<(Epoch, usize)> {
        self.reigns.last_key_value().map(|(epoch, reign)| (*epoch, reign.node))
    }

    /// Whether a node ever led.
    pub(super) fn has_led(&self, node: usize) -> bool {
        self.reigns.values().any(|reign| reign.node == node)
    }

    /// Behind which record a reign began.
    pub(crate) fn base_of(&self, epoch: Epoch) -> LogPlace {
        self.reigns.get(&epoch).map(|reign| reign.base).unwrap_or_default()
    }

    /// The record of this number in the log that ends with another one, or that one if it has no such number.
    pub(crate) fn at(&self, end: LogPlace, lsn: Lsn) -> LogPlace {
        let mut place = end;
        while place.lsn > lsn {
            let base = self.base_of(place.epoch);
            if base.lsn < lsn {
                return LogPlace { epoch: place.epoch, lsn };
            }
            place = base;
        }
        place
    }

    /// Whether the log that ends with a record has another one.
    pub(crate) fn leads_to(&self, place: LogPlace, end: LogPlace) -> bool {
        place.lsn == Lsn::ZERO || place.lsn <= end.lsn && self.at(end, place.lsn) == place
    }

    /// Whether a record was ever committed.
    pub(crate) fn is_committed(&self, place: LogPlace) -> bool {
        self.committed.have(place, self)
    }

    /// The first record that was committed and is not in the log that ends with another one.
    pub(crate) fn committed_beside(&self, end: LogPlace) -> Option<LogPlace> {
        self.committed.iter().find(|mark| !self.leads_to(*mark, end))
    }

    /// Where a batch that ends with a record ends.
    pub(super) fn position_of(&self, place: LogPlace) -> Option<Position> {
        self.ends.get(&place).copied()
    }

    /// Whether a batch ends with a record.
    pub(super) fn is_end(&self, place: LogPlace) -> bool {
        self.ends.contains_key(&place)
    }

    /// The batches of a log behind one record and up to another one, by their ends.
    pub(super) fn ends_between(&self, from: LogPlace, end: LogPlace) -> Vec<LogPlace> {
        let (mut ends, mut last) = (Vec::new(), end);
        while last.lsn > from.lsn {
            let first = self.base_of(last.epoch).lsn.max(from.lsn);
            let behind = LogPlace { epoch: last.epoch, lsn: Lsn::new(first.get() + 1) };
            ends.extend(self.ends.range(behind..=last).map(|(place, _)| *place));
            last = self.base_of(last.epoch);
        }
        ends
    }

    /// A leader has a batch in its log that ends here.
    pub(super) fn write(&mut self, end: Position) -> Result<(), String> {
        let known = *self.ends.entry(LogPlace::of(end)).or_insert(end);
        if known == end { Ok(()) } else { Err(format!("{end:?} was written as {known:?} before")) }
    }

    /// A log ends here, which has to be where some leader's did.
    pub(super) fn compare(&self, end: Position) -> Result<(), String> {
        let known = self.ends.get(&LogPlace::of(end));
        if end.lsn == Lsn::ZERO || known == Some(&end) {
            return Ok(());
        }
        Err(format!("it ends with {end:?}, where the leader's has {known:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(epoch: u64, lsn: u64) -> LogPlace {
        LogPlace { epoch: Epoch::new(epoch), lsn: Lsn::new(lsn) }
    }

    #[test]
    fn a_history_is_told_by_its_last_record() {
        let mut histories = Histories::default();
        for (epoch, base) in [(1, LogPlace::ORIGIN), (2, place(1, 5)), (3, place(1, 3))] {
            assert_eq!(histories.begin(Epoch::new(epoch), 0, base), Ok(true));
        }
        assert_eq!(histories.at(place(2, 9), Lsn::new(5)), place(1, 5));
        assert!(histories.leads_to(place(2, 6), place(2, 9)) && histories.leads_to(place(1, 3), place(3, 4)));
        assert!(
            !histories.leads_to(place(1, 4), place(3, 4)) && !histories.leads_to(place(2, 6), place(3, 9))
        );
        histories.committed.add(place(2, 7));
        assert!(histories.is_committed(place(1, 5)) && !histories.is_committed(place(1, 6)));
        assert_eq!(histories.committed_beside(place(3, 9)), Some(place(2, 7)));
        assert!(histories.begin(Epoch::new(3), 1, place(1, 3)).is_err(), "an epoch has one leader");
    }
}
