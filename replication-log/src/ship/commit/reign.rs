//! Whose records these are: reigns, cuts, and the fate of a record.

use super::{Commits, Event, Fate, GaveUp, ReignError};
use crate::{Epoch, Lsn};

impl<N: Ord + Copy> Commits<N> {
    /// This node leads from now on, and `first` will be its first record, the one after the end of its log.
    /// Called before that record is appended.
    ///
    /// What followers said before they said to another leader, or about another tail of this log, so all of
    /// them are taken for gone and for having nothing until they [connect](Self::connected). Commits that wait
    /// for `first` or later are told that it was cut.
    pub fn begin_reign(&mut self, epoch: Epoch, first: Lsn) -> Result<(), ReignError> {
        if first <= self.committed {
            return Err(ReignError::BelowCommitted { first, committed: self.committed });
        }
        self.reigns.begin(epoch, first)?;
        let last = first.previous().unwrap_or(Lsn::ZERO);
        self.durable = self.durable.min(last);
        self.waiting.give_up_after(last, self.durable, GaveUp::Cut);
        self.followers.forget_marks();
        self.backlog.clear();
        // What is committed nobody has to wait for any longer, whatever this reign's stage is.
        self.acknowledged = self.committed;
        self.waiting.release(self.acknowledged, &self.degraded);
        self.arm(self.committed);
        self.recount();
        Ok(())
    }

    /// This node leads no longer: acknowledgements that still arrive move nothing, and whoever waits is told.
    pub fn end_reign(&mut self) {
        self.reigns.end();
        self.waiting.give_up_after(Lsn::ZERO, self.durable, GaveUp::ReignEnded);
    }

    /// What the node that leads says is committed, for one that does not lead, and only as far as the two logs
    /// are known to be the same.
    pub fn learn_committed(&mut self, lsn: Lsn) {
        self.committed = self.committed.max(lsn);
    }

    /// The log was cut after `lsn`, to follow another leader. Ends the reign; that committed records were
    /// among those that were cut is an [`Event`].
    pub fn cut(&mut self, lsn: Lsn) {
        self.durable = self.durable.min(lsn);
        self.waiting.give_up_after(lsn, self.durable, GaveUp::Cut);
        self.end_reign();
        if let Some(first) = lsn.next()
            && first <= self.committed
        {
            self.events.push(Event::CommittedCut { first, last: self.committed });
        }
        self.committed = self.committed.min(lsn);
        self.acknowledged = self.acknowledged.min(lsn);
        self.reigns.cut(lsn);
        self.degraded.cut(lsn);
        self.followers.cut(lsn);
        self.recount();
    }

    /// What became of the record that was written as `lsn` in this node's reign of `epoch`: for whoever was
    /// told [`NotReplicated`](super::CommitOutcome::NotReplicated), or cancelled. O(log n).
    ///
    /// The epoch belongs to the question, for after a cut another record may have the number.
    ///
    /// ```
    /// use replication_log::{Epoch, Lsn};
    /// use replication_log::ship::{AckPolicy, Commits, commit::{CommitOptions, Fate}};
    ///
    /// let mut commits = Commits::<u64>::new(CommitOptions::new(AckPolicy::semi_sync()));
    /// commits.begin_reign(Epoch::new(3), Lsn::new(10))?;
    /// commits.durable(Lsn::new(12), core::time::Duration::ZERO);
    /// assert_eq!(commits.fate(Epoch::new(3), Lsn::new(12)), Fate::Pending);
    /// commits.cut(Lsn::new(11));
    /// assert_eq!(commits.fate(Epoch::new(3), Lsn::new(12)), Fate::Cut);
    /// assert_eq!(commits.fate(Epoch::new(2), Lsn::new(9)), Fate::Unknown, "another node's reign");
    /// # Ok::<(), replication_log::ship::commit::ReignError>(())
    /// ```
    pub fn fate(&self, epoch: Epoch, lsn: Lsn) -> Fate {
        match self.reigns.keeps(epoch, lsn) {
            None => Fate::Unknown,
            Some(false) => Fate::Cut,
            Some(true) if lsn <= self.acknowledged => {
                Fate::Acknowledged { degraded: self.degraded.contains(lsn) }
            }
            Some(true) if lsn <= self.committed => Fate::Committed,
            Some(true) => Fate::Pending,
        }
    }
}
