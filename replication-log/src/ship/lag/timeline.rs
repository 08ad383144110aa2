//! When which records became durable at the leader, in bounded memory.

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{
    Lsn,
    limits::{MAX_LAG_NOTES, MIN_LAG_NOTES},
};

/// The accuracy a timeline has as long as there is room.
const FINEST_SHARE: u32 = 64;

/// Which records became durable when, and how many bytes the log had by then.
///
/// Each note covers the records since the note before it. When as many notes are held as there may be,
/// neighbours are merged into one that remembers where both begin and end: none is lost, neither the oldest
/// nor the newest, and what is merged is short compared with how long ago it was. Everything said about
/// a record is therefore never less than the truth, and
///
/// * at the last record of a note that was not merged it is exact;
/// * inside such a note the time is exact, and the bytes are more by at most those of the note;
/// * after merging, times and bytes are more by at most one part in [`share`](Timeline::share): 1/64, and
///   less fine only if the notes do not fit even so. 4096 notes hold a record every millisecond for eleven
///   days at 1/64.
///
/// What is said of a record that stays where it is never becomes less. Merging is a function of the notes
/// alone. The idea of a bounded ring of samples is that of `PostgreSQL`'s `LagTracker`, which overwrites its
/// newest sample when it is full.
///
/// ```
/// use core::time::Duration;
/// use replication_log::{Lsn, ship::lag::Timeline};
///
/// let mut timeline = Timeline::new(Timeline::DEFAULT_NOTES, Lsn::ZERO, Duration::ZERO);
/// timeline.note(Lsn::new(3), 300, Duration::from_secs(1));
/// timeline.note(Lsn::new(5), 500, Duration::from_secs(2));
/// assert_eq!(timeline.waiting_since(Lsn::new(3)), Some(Duration::from_secs(2)));
/// assert_eq!(timeline.bytes_behind(Lsn::new(3)), 200);
/// assert_eq!(timeline.waiting_since(Lsn::new(5)), None);
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    runs: VecDeque<Run>,
    /// What is at or below this is not told apart any more.
    before: Point,
    most: usize,
    share: u32,
}

/// The end of the log at one time.
#[derive(Clone, Copy, Debug)]
struct Point {
    lsn: Lsn,
    bytes: u64,
    time: Duration,
}

/// The records from one point on to the next.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// When the first of them became durable.
    since: Duration,
    /// The bytes of the log before the first of them.
    bytes_before: u64,
    end: Point,
}

impl Run {
    /// Whether both together are short, in time and in bytes, compared with how far their end is from the newest.
    fn may_absorb(&self, later: &Self, newest: Point, share: u32) -> bool {
        let share = u128::from(share);
        let time = later.end.time.saturating_sub(self.since).as_nanos();
        let age = newest.time.saturating_sub(later.end.time).as_nanos();
        let bytes = u128::from(later.end.bytes - self.bytes_before);
        let behind = u128::from(newest.bytes - later.end.bytes);
        time.saturating_mul(share) <= age && bytes * share <= behind
    }
}

impl Timeline {
    /// How many notes to hold when nothing speaks for another number; a quarter of a megabyte.
    pub const DEFAULT_NOTES: usize = 4096;

    /// The timeline of a log whose records up to `start` are durable at `now`, no bytes counted yet.
    ///
    /// It holds `notes` of them, at least [`MIN_LAG_NOTES`] and at most [`MAX_LAG_NOTES`]. Of the records up
    /// to `start` it says what would be true if they had become durable just now: at least that long ago.
    pub fn new(notes: usize, start: Lsn, now: Duration) -> Self {
        Self {
            runs: VecDeque::new(),
            before: Point { lsn: start, bytes: 0, time: now },
            most: notes.clamp(MIN_LAG_NOTES, MAX_LAG_NOTES),
            share: FINEST_SHARE,
        }
    }

    /// Notes that everything up to `lsn` is durable at `now`, and that the log has come to so many `bytes`,
    /// counted from anywhere as long as it is always from the same place. Ignored when `lsn` was noted before:
    /// it is not durable anew. O(1), and O(notes) once for a quarter of the notes there may be.
    ///
    /// A time or a number of bytes below the one before is taken for the one before.
    pub fn note(&mut self, lsn: Lsn, bytes: u64, now: Duration) {
        let newest = self.end();
        if lsn <= newest.lsn {
            return;
        }
        if self.runs.len() >= self.most {
            self.thin();
        }
        let end = Point { lsn, bytes: bytes.max(newest.bytes), time: now.max(newest.time) };
        self.runs.push_back(Run { since: end.time, bytes_before: newest.bytes, end });
    }

    /// The last record noted.
    pub fn newest(&self) -> Lsn {
        self.end().lsn
    }

    /// When the oldest record behind `lsn` became durable: how long whoever has everything up to `lsn` has
    /// been waiting, or owes. `None` when nothing is behind it. O(log notes).
    pub fn waiting_since(&self, lsn: Lsn) -> Option<Duration> {
        if lsn < self.before.lsn {
            return Some(self.before.time);
        }
        self.runs.get(self.run_behind(lsn)).map(|run| run.since)
    }

    /// When `lsn` itself became durable; of what has not, the time of the last that has. O(log notes).
    pub fn durable_since(&self, lsn: Lsn) -> Duration {
        let before = lsn.previous().unwrap_or(Lsn::ZERO);
        self.waiting_since(before).unwrap_or(self.end().time)
    }

    /// How many bytes of the log lie behind `lsn`. O(log notes).
    pub fn bytes_behind(&self, lsn: Lsn) -> u64 {
        let run = self.runs.get(self.run_behind(lsn));
        run.map_or(0, |run| self.end().bytes - run.bytes_before)
    }

    /// How many records lie behind `lsn`; exact.
    pub fn entries_behind(&self, lsn: Lsn) -> u64 {
        self.newest().get().saturating_sub(lsn.get())
    }

    /// What is said of merged notes is too much by at most one part in so many.
    pub fn share(&self) -> u32 {
        self.share
    }

    /// Gives up telling the records up to `lsn` apart: nobody will ask about them. What is held for nobody
    /// costs everybody accuracy. Amortised O(1).
    pub fn forget(&mut self, lsn: Lsn) {
        while let Some(run) = self.runs.front().filter(|run| run.end.lsn <= lsn) {
            self.before = run.end;
            self.runs.pop_front();
        }
        if self.runs.is_empty() {
            self.share = FINEST_SHARE;
        }
    }

    /// Takes back everything above `lsn`: the end of the log was cut there. The bytes counted so far stay
    /// counted, less those of the notes that are gone.
    pub fn cut(&mut self, lsn: Lsn) {
        while !self.runs.is_empty() && self.before_last().lsn >= lsn {
            self.runs.pop_back();
        }
        if let Some(run) = self.runs.back_mut() {
            run.end.lsn = run.end.lsn.min(lsn);
        }
        self.before.lsn = self.before.lsn.min(lsn);
    }

    #[cfg(test)]
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    fn end(&self) -> Point {
        self.runs.back().map_or(self.before, |run| run.end)
    }

    /// The end of the last run but one.
    fn before_last(&self) -> Point {
        let before_last = self.runs.len().checked_sub(2).and_then(|index| self.runs.get(index));
        before_last.map_or(self.before, |run| run.end)
    }

    /// The index of the run that holds the record behind `lsn`.
    fn run_behind(&self, lsn: Lsn) -> usize {
        self.runs.partition_point(|run| run.end.lsn <= lsn)
    }

    /// Merges neighbours until a quarter of the room is free.
    ///
    /// It ends: with a share of 1, two runs that cannot be merged halve the age or the bytes that are left, so
    /// there are at most 2 * 95 for the nanoseconds there can be and 2 * 65 for the bytes.
    fn thin(&mut self) {
        let mut share = FINEST_SHARE;
        loop {
            self.merge(share);
            self.share = self.share.min(share);
            if share == 1 || self.runs.len() <= self.most - self.most / 4 {
                return;
            }
            share /= 2;
        }
    }

    fn merge(&mut self, share: u32) {
        let newest = self.end();
        let mut merged = VecDeque::with_capacity(self.runs.len());
        let mut runs = self.runs.drain(..);
        let Some(mut run) = runs.next() else { return };
        for later in runs {
            if run.may_absorb(&later, newest, share) {
                run.end = later.end;
            } else {
                merged.push_back(core::mem::replace(&mut run, later));
            }
        }
        merged.push_back(run);
        self.runs = merged;
    }
}
