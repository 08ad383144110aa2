//! The model: everything in plain sight, each mark found by trying every record.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::super::{CommitOptions, CommitOutcome, GaveUp, Link, Role, WhenShort};
use super::LAST;
use crate::{
    Lsn,
    ship::{
        Stage,
        policy::{Among, Need},
    },
};

/// A commit that waits: when it came, its record and its deadline.
pub(super) type Waiter = (u64, u64, Option<u64>);

/// What is known, one thing beside the other.
pub(super) struct Model {
    pub(super) options: CommitOptions<char>,
    pub(super) followers: BTreeMap<char, (Role, Link, [u64; 4])>,
    pub(super) first: Option<u64>,
    pub(super) durable: u64,
    pub(super) committed: u64,
    pub(super) acknowledged: u64,
    pub(super) degraded_since: Option<u64>,
    pub(super) goal: Option<u64>,
    pub(super) waits_since: BTreeMap<u64, u64>,
    pub(super) degraded: BTreeSet<u64>,
    pub(super) waiting: Vec<Waiter>,
    pub(super) came: u64,
    pub(super) outcomes: Vec<(u64, CommitOutcome)>,
}

impl Model {
    pub(super) fn new(options: CommitOptions<char>) -> Self {
        Self {
            options,
            followers: BTreeMap::new(),
            first: None,
            durable: 0,
            committed: 0,
            acknowledged: 0,
            degraded_since: None,
            goal: None,
            waits_since: BTreeMap::new(),
            degraded: BTreeSet::new(),
            waiting: Vec::new(),
            came: 0,
            outcomes: Vec::new(),
        }
    }

    fn has(&self, name: char, stage: Stage, lsn: u64, live_only: bool) -> bool {
        self.followers.get(&name).is_some_and(|(role, link, marks)| {
            let there = !live_only || *link == Link::Streaming;
            *role == Role::Candidate && there && marks[stage as usize] >= lsn
        })
    }

    fn asked(&self) -> Vec<char> {
        match self.options.policy.of() {
            Among::Everybody => {
                let candidates = self.followers.iter().filter(|(_, (role, ..))| *role == Role::Candidate);
                candidates.map(|(name, _)| *name).collect()
            }
            Among::Listed(names) => names.clone(),
        }
    }

    fn live(&self) -> Vec<char> {
        self.asked().into_iter().filter(|name| self.has(*name, Stage::Received, 0, true)).collect()
    }

    /// The policy, word by word.
    fn is_met(&self, stage: Stage, lsn: u64, live_only: bool) -> bool {
        let having = |names: Vec<char>| {
            names.into_iter().filter(|name| self.has(*name, stage, lsn, live_only)).count()
        };
        match self.options.policy.need() {
            Need::Nobody => true,
            Need::Any(count) => having(self.asked()) >= count as usize,
            Need::All => !self.asked().is_empty() && having(self.asked()) == self.asked().len(),
            Need::First(count) => {
                let head: Vec<char> = self.live().into_iter().take(count as usize).collect();
                head.len() == count as usize && having(head) == count as usize
            }
        }
    }

    pub(super) fn is_short(&self) -> bool {
        let needed = match self.options.policy.need() {
            Need::Nobody => 0,
            Need::Any(count) | Need::First(count) => count as usize,
            Need::All => self.asked().len().max(1),
        };
        self.live().len() < needed
    }

    fn reaches(&self, stage: Stage, live_only: bool) -> u64 {
        (0..=LAST).rev().find(|lsn| self.is_met(stage, *lsn, live_only)).unwrap_or(0)
    }

    pub(super) fn conclude(&mut self) {
        let Some(first) = self.first else { return };
        if self.degraded_since.is_some() {
            if self.is_short() {
                self.goal = None;
            } else {
                let goal = *self.goal.get_or_insert(self.durable);
                if self.reaches(self.options.stage, true) >= goal {
                    (self.degraded_since, self.goal) = (None, None);
                }
            }
        }
        let degraded = self.degraded_since.is_some();
        for lsn in first..=self.durable {
            if degraded || self.is_met(self.options.stage.min(Stage::Flushed), lsn, false) {
                self.committed = self.committed.max(lsn);
            }
        }
        let before = self.acknowledged;
        for lsn in first..=self.committed {
            if degraded || self.is_met(self.options.stage, lsn, false) {
                self.acknowledged = self.acknowledged.max(lsn);
            }
        }
        if degraded {
            self.degraded.extend(before + 1..=self.acknowledged);
        }
        self.waits_since.retain(|lsn, _| *lsn > self.acknowledged);
        self.release();
        if self.options.when_short == WhenShort::FailFast && self.is_short() {
            self.give_up_after(self.acknowledged, GaveUp::FailFast);
        }
    }

    fn end(&mut self, ends: impl Fn(&Waiter) -> bool, outcome: impl Fn(&Self, u64) -> CommitOutcome) {
        let ended = self.waiting.extract_if(.., |waiter| ends(waiter)).collect::<Vec<_>>();
        for (came, lsn, _) in ended {
            let outcome = outcome(self, lsn);
            self.outcomes.push((came, outcome));
        }
    }

    pub(super) fn release(&mut self) {
        self.waiting.sort_unstable_by_key(|(came, lsn, _)| (*lsn, *came));
        let through = self.acknowledged;
        self.end(
            |waiter| waiter.1 <= through,
            |model, lsn| CommitOutcome::Committed {
                lsn: Lsn::new(lsn),
                degraded: model.degraded.contains(&lsn),
            },
        );
    }

    fn not_replicated(&mut self, ends: impl Fn(&Waiter) -> bool, reason: GaveUp) {
        self.end(ends, |model, lsn| CommitOutcome::NotReplicated {
            lsn: Lsn::new(lsn),
            durable_local: lsn <= model.durable,
            reason,
        });
    }

    pub(super) fn give_up_after(&mut self, lsn: u64, reason: GaveUp) {
        self.waiting.sort_unstable_by_key(|(came, lsn, _)| (*lsn, *came));
        self.not_replicated(|waiter| waiter.1 > lsn, reason);
    }

    pub(super) fn tick(&mut self, now: u64) {
        let mut degrades = None;
        if let WhenShort::DegradeToAsync { after } = self.options.when_short
            && self.first.is_some()
            && self.degraded_since.is_none()
            && self.options.policy.need() != Need::Nobody
        {
            degrades = self.waits_since.values().min().map(|since| since + after.as_secs());
        }
        self.waiting.sort_unstable_by_key(|(came, lsn, deadline)| (*deadline, *lsn, *came));
        let due = |before: u64| move |waiter: &Waiter| waiter.2.is_some_and(|deadline| deadline < before);
        if let Some(at) = degrades
            && at <= now
        {
            self.not_replicated(due(at), GaveUp::Deadline);
            self.degraded_since = Some(now);
            self.conclude();
            self.waiting.sort_unstable_by_key(|(came, lsn, deadline)| (*deadline, *lsn, *came));
        }
        self.not_replicated(due(now + 1), GaveUp::Deadline);
    }

    pub(super) fn follower(&mut self, name: char, change: impl FnOnce(&mut Link, &mut [u64; 4])) -> bool {
        let Some((_, link, marks)) = self.followers.get_mut(&name) else { return false };
        change(link, marks);
        self.conclude();
        true
    }
}
