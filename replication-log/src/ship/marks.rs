//! How far a follower is, and in what sense.

use core::fmt;

use crate::Lsn;

/// What a follower has done with a record. Each stage promises more than the one before.
///
/// They are those of `PostgreSQL`'s `synchronous_commit`: `remote_write`, `on` and `remote_apply` wait
/// for the last three.
///
/// ```
/// use replication_log::ship::Stage;
///
/// assert!(Stage::Received < Stage::Flushed);
/// assert_eq!(Stage::ALL.last(), Some(&Stage::Applied));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It is in the follower's memory: it survives nothing there, but the leader's loss.
    Received,
    /// The follower's operating system has it: it survives the follower's process.
    Written,
    /// It is on the follower's disk: it survives the follower's machine losing power.
    Flushed,
    /// It is durable there, and a read at the follower sees it.
    Applied,
}

impl Stage {
    /// All stages, from the one that promises least.
    pub const ALL: [Self; 4] = [Self::Received, Self::Written, Self::Flushed, Self::Applied];
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Received => "received",
            Self::Written => "written",
            Self::Flushed => "flushed",
            Self::Applied => "applied",
        })
    }
}

/// The last record of each [`Stage`] at one follower: `applied <= flushed <= written <= received`.
///
/// ```
/// use replication_log::{Lsn, ship::{Marks, Stage}};
///
/// let mut marks = Marks::default();
/// marks.raise(Stage::Flushed, Lsn::new(7));
/// assert_eq!(marks.at(Stage::Received), Lsn::new(7), "what is flushed was received");
/// assert_eq!(marks.at(Stage::Applied), Lsn::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Ascending by what the stage promises, so descending in numbers.
    last: [Lsn; 4],
}

impl Marks {
    /// The marks of somebody for whom the four are these, from received to applied; `None` when a later
    /// stage is ahead of an earlier one, which nobody's can be.
    pub fn new(received: Lsn, written: Lsn, flushed: Lsn, applied: Lsn) -> Option<Self> {
        let last = [received, written, flushed, applied];
        last.is_sorted_by(|earlier, later| earlier >= later).then_some(Self { last })
    }

    /// Somebody for whom everything up to `lsn` has come to every stage: a leader, or a follower that has just
    /// been restored.
    pub const fn all(lsn: Lsn) -> Self {
        Self { last: [lsn; 4] }
    }

    /// The last record that has come to `stage`.
    pub const fn at(&self, stage: Stage) -> Lsn {
        self.last[stage as usize]
    }

    /// Notes that everything up to `lsn` has come to `stage`, and with that to all before it. Never goes back.
    /// Returns whether that was new.
    pub fn raise(&mut self, stage: Stage, lsn: Lsn) -> bool {
        let before = *self;
        for last in &mut self.last[..=stage as usize] {
            *last = (*last).max(lsn);
        }
        *self != before
    }

    /// Notes what is known from two reports, in whatever order they came. Returns whether anything was new.
    pub fn join(&mut self, other: &Self) -> bool {
        let before = *self;
        for (last, other) in self.last.iter_mut().zip(other.last) {
            *last = (*last).max(other);
        }
        *self != before
    }

    /// Takes back everything above `lsn`: the log was cut there.
    pub fn cut(&mut self, lsn: Lsn) {
        for last in &mut self.last {
            *last = (*last).min(lsn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marks() -> impl Strategy<Value = Marks> {
        prop::array::uniform4(0_u64..20).prop_map(|mut numbers| {
            numbers.sort_unstable_by(|one, other| other.cmp(one));
            let [received, written, flushed, applied] = numbers.map(Lsn::new);
            Marks::new(received, written, flushed, applied).expect("descending")
        })
    }

    proptest! {
        #[test]
        fn a_later_stage_is_never_ahead(mut marks in marks(), other in marks(), to in 0_u64..20, stage in 0..4_usize) {
            let ordered = |marks: &Marks| marks.last.is_sorted_by(|earlier, later| earlier >= later);
            marks.join(&other);
            prop_assert!(ordered(&marks));
            marks.raise(Stage::ALL[stage], Lsn::new(to));
            prop_assert!(ordered(&marks) && marks.at(Stage::ALL[stage]) >= Lsn::new(to));
            marks.cut(Lsn::new(to));
            prop_assert!(ordered(&marks) && marks.at(Stage::Received) <= Lsn::new(to));
        }

        #[test]
        fn reports_may_come_in_any_order_and_twice(one in marks(), other in marks()) {
            let (mut there, mut back) = (one, other);
            there.join(&other);
            back.join(&one);
            prop_assert_eq!(there, back);
            prop_assert!(!there.join(&one));
        }
    }

    #[test]
    fn a_stage_ahead_of_an_earlier_one_is_refused() {
        let (one, two) = (Lsn::new(1), Lsn::new(2));
        assert_eq!(Marks::new(one, two, one, one), None);
        assert_eq!(Marks::new(two, two, one, two), None);
        assert_eq!(Marks::new(two, two, two, two), Some(Marks::all(two)));
    }
}
