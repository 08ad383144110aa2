//! Commits that ask to be let in, wait, and are told how they ended.

use core::time::Duration;

use super::{AdmitError, CommitOutcome, Commits, Event, GaveUp, Mode, Ticket, WaitError, WhenShort};
use crate::{Lsn, limits::MAX_WAITING_COMMITS};

impl<N: Ord + Copy> Commits<N> {
    /// Whether a commit may be appended: asked before anything is. O(1).
    pub fn admit(&self) -> Result<(), AdmitError> {
        if self.reigns.current().is_none() {
            return Err(AdmitError::NoReign);
        }
        if self.waiting.is_full() {
            return Err(AdmitError::TooManyWaiting { limit: MAX_WAITING_COMMITS });
        }
        match self.shortage() {
            Some((needed, live)) if self.options.when_short == WhenShort::FailFast => {
                Err(AdmitError::NotEnoughFollowers { needed, live })
            }
            _ => Ok(()),
        }
    }

    /// Waits for `lsn` to be acknowledged, until `deadline` or without end. The outcome is [polled](Self::poll),
    /// maybe at once.
    pub fn wait(&mut self, lsn: Lsn, deadline: Option<Duration>) -> Result<Ticket, WaitError> {
        if self.reigns.current().is_none() {
            return Err(WaitError::NoReign);
        }
        if self.waiting.is_full() {
            return Err(WaitError::TooManyWaiting { limit: MAX_WAITING_COMMITS });
        }
        let ticket = self.waiting.add(lsn, deadline);
        if lsn <= self.acknowledged {
            self.waiting.release(lsn, &self.degraded);
        }
        self.fail_if_short();
        Ok(ticket)
    }

    /// Nobody waits any longer: no outcome will be told. The record stays where it is, and its
    /// [`fate`](Self::fate) can be asked for. Returns whether it was still waiting.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        self.waiting.remove(ticket)
    }

    /// How many commits wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next commit that has ended, and how. What one call ended comes in the order of the records, and
    /// deadlines in their own order.
    pub fn poll(&mut self) -> Option<(Ticket, CommitOutcome)> {
        self.waiting.poll()
    }

    /// When [`tick`](Self::tick) has to be called next.
    pub fn next_deadline(&self) -> Option<Duration> {
        let degrades = self.degrades().map(|(_, at)| at);
        self.waiting.next_deadline().into_iter().chain(degrades).min()
    }

    /// So late it is. What is due comes about in the order in which it was due, however late the call is.
    pub fn tick(&mut self, now: Duration) {
        if let Some((since, at)) = self.degrades()
            && at <= now
        {
            self.waiting.expire(|deadline| deadline < at, self.durable);
            self.mode = Mode::Degraded { since: now };
            self.events.push(Event::Degraded { since, at: now });
            self.settle();
        }
        self.waiting.expire(|deadline| deadline <= now, self.durable);
    }

    /// Since when the oldest record waits, and when that is too long.
    fn degrades(&self) -> Option<(Duration, Duration)> {
        let WhenShort::DegradeToAsync { after } = self.options.when_short else {
            return None;
        };
        let is_asked = self.mode == Mode::Armed && self.count.is_some() && self.reigns.current().is_some();
        let since = self.backlog.oldest().filter(|_| is_asked)?;
        Some((since, since.saturating_add(after)))
    }

    /// How many are needed and how many are there, if that is too few.
    fn shortage(&self) -> Option<(u32, u32)> {
        self.count.as_ref().and_then(super::count::Count::shortage)
    }

    /// Where commits are to fail rather than wait, ends the waits that are in vain.
    pub(super) fn fail_if_short(&mut self) {
        if self.options.when_short == WhenShort::FailFast && self.shortage().is_some() {
            self.waiting.give_up_after(self.acknowledged, self.durable, GaveUp::FailFast);
        }
    }
}
