//! The commits of a leader against a model that keeps every fact as it is and finds everything anew after each.

mod model;

use alloc::{vec, vec::Vec};
use core::time::Duration;

use proptest::prelude::*;

use self::model::Model;
use super::*;
use crate::{
    Epoch, Lsn,
    ship::{AckPolicy, Marks, Stage, policy::Among},
};

/// No record of these worlds has a higher number.
const LAST: u64 = 12;

#[derive(Clone, Debug)]
enum Step {
    Add(char, Role),
    Remove(char),
    Connected(char, Marks),
    Streaming(char),
    Gone(char),
    Report(char, Marks),
    Durable(u64),
    SetPolicy(AckPolicy<char>),
    Wait(u64, Option<u64>),
    Cancel(usize),
    Tick(u64),
    Reign(u64),
    EndReign,
    Cut(u64),
}

fn numbers(marks: &Marks) -> [u64; 4] {
    Stage::ALL.map(|stage| marks.at(stage).get())
}

/// Both worlds, and what connects them.
struct Both {
    commits: Commits<char>,
    model: Model,
    now: u64,
    epoch: u64,
    tickets: Vec<Ticket>,
}

impl Both {
    fn new(options: CommitOptions<char>) -> Self {
        let model = Model::new(options.clone());
        Self { commits: Commits::new(options), model, now: 0, epoch: 0, tickets: Vec::new() }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let (commits, model) = (&mut self.commits, &mut self.model);
        match step {
            Step::Add(name, role) => {
                let fresh = !model.followers.contains_key(&name);
                prop_assert_eq!(commits.add(name, role).is_ok(), fresh);
                if fresh {
                    model.followers.insert(name, (role, Link::Gone, [0; 4]));
                }
                model.conclude();
            }
            Step::Remove(name) => {
                let known = model.followers.remove(&name).is_some();
                prop_assert_eq!(commits.remove(name).is_some(), known);
                model.conclude();
            }
            Step::Connected(name, marks) => {
                let known = model.follower(name, |link, has| {
                    (*link, *has) = (Link::CatchingUp, numbers(&marks));
                });
                prop_assert_eq!(commits.connected(name, marks).is_ok(), known);
            }
            Step::Streaming(name) => {
                let connected = model.followers.get(&name).is_some_and(|(_, link, _)| *link != Link::Gone);
                prop_assert_eq!(commits.streaming(name).is_ok(), connected);
                if connected {
                    model.follower(name, |link, _| *link = Link::Streaming);
                }
            }
            Step::Gone(name) => {
                let known = model.follower(name, |link, [received, written, flushed, _]| {
                    *link = Link::Gone;
                    (*received, *written) = (*flushed, *flushed);
                });
                prop_assert_eq!(commits.gone(name).is_ok(), known);
            }
            Step::Report(name, marks) => {
                let connected = model.followers.get(&name).is_some_and(|(_, link, _)| *link != Link::Gone);
                let before = (model.committed, model.acknowledged);
                if connected {
                    let new = numbers(&marks);
                    model.follower(name, |_, has| {
                        for (has, new) in has.iter_mut().zip(new) {
                            *has = new.max(*has);
                        }
                    });
                }
                let expected = connected.then_some(before != (model.committed, model.acknowledged));
                prop_assert_eq!(commits.report(name, &marks).ok(), expected);
            }
            step => self.leads(step)?,
        }
        self.compare()
    }

    /// What happens at the leader.
    fn leads(&mut self, step: Step) -> Result<(), TestCaseError> {
        let (commits, model) = (&mut self.commits, &mut self.model);
        match step {
            Step::Durable(lsn) => {
                commits.durable(Lsn::new(lsn), Duration::from_secs(self.now));
                if model.first.is_some_and(|first| lsn >= first) {
                    model.waits_since.extend((model.durable + 1..=lsn).map(|lsn| (lsn, self.now)));
                }
                model.durable = model.durable.max(lsn);
                model.conclude();
            }
            Step::SetPolicy(policy) => {
                commits.set_policy(policy.clone());
                model.options.policy = policy;
                model.conclude();
            }
            Step::Wait(lsn, deadline) => {
                let deadline = deadline.map(|after| self.now + after);
                let ticket = commits.wait(Lsn::new(lsn), deadline.map(Duration::from_secs));
                prop_assert_eq!(ticket.is_ok(), model.first.is_some());
                if let Ok(ticket) = ticket {
                    self.tickets.push(ticket);
                    model.waiting.push((model.came, lsn, deadline));
                    model.came += 1;
                    model.release();
                    model.conclude();
                }
            }
            Step::Cancel(place) => {
                if let Some(ticket) = self.tickets.get(place).copied() {
                    let waits = model.waiting.iter().position(|(came, ..)| *came == place as u64);
                    prop_assert_eq!(commits.cancel(ticket), waits.is_some());
                    waits.map(|place| model.waiting.remove(place));
                }
            }
            Step::Tick(passed) => {
                self.now += passed;
                commits.tick(Duration::from_secs(self.now));
                model.tick(self.now);
            }
            Step::Reign(first) => {
                let begun = commits.begin_reign(Epoch::new(self.epoch + 1), Lsn::new(first));
                prop_assert_eq!(begun.is_ok(), first > model.committed);
                if begun.is_ok() {
                    self.epoch += 1;
                    self.begin(first);
                }
            }
            Step::EndReign => {
                commits.end_reign();
                model.first = None;
                model.give_up_after(0, GaveUp::ReignEnded);
            }
            Step::Cut(lsn) => {
                commits.cut(Lsn::new(lsn));
                model.durable = model.durable.min(lsn);
                model.give_up_after(lsn, GaveUp::Cut);
                model.first = None;
                model.give_up_after(0, GaveUp::ReignEnded);
                (model.committed, model.acknowledged) =
                    (model.committed.min(lsn), model.acknowledged.min(lsn));
                model.degraded.retain(|known| *known <= lsn);
                for (_, _, marks) in model.followers.values_mut() {
                    *marks = marks.map(|mark| mark.min(lsn));
                }
            }
            step => unreachable!("{step:?} happens at a follower"),
        }
        Ok(())
    }

    fn begin(&mut self, first: u64) {
        let model = &mut self.model;
        model.durable = model.durable.min(first - 1);
        model.give_up_after(first - 1, GaveUp::Cut);
        for (_, link, marks) in model.followers.values_mut() {
            (*link, *marks) = (Link::Gone, [0; 4]);
        }
        model.waits_since.clear();
        model.acknowledged = model.committed;
        model.release();
        (model.first, model.degraded_since, model.goal) = (Some(first), None, None);
        model.conclude();
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let (commits, model) = (&mut self.commits, &mut self.model);
        prop_assert_eq!(commits.committed().get(), model.committed);
        prop_assert_eq!(commits.acknowledged().get(), model.acknowledged);
        prop_assert!(commits.acknowledged() <= commits.committed());
        prop_assert!(commits.committed() <= commits.local_durable());
        let mode = model
            .degraded_since
            .map_or(Mode::Armed, |since| Mode::Degraded { since: Duration::from_secs(since) });
        prop_assert_eq!(commits.mode(), mode);
        prop_assert_eq!(commits.waiting(), model.waiting.len());
        let ranges = commits.degraded_ranges().flat_map(|(first, last)| first.get()..=last.get());
        prop_assert_eq!(ranges.collect::<Vec<_>>(), model.degraded.iter().copied().collect::<Vec<_>>());
        for (came, outcome) in model.outcomes.drain(..) {
            let came = usize::try_from(came).expect("few");
            prop_assert_eq!(commits.poll(), Some((self.tickets[came], outcome)));
        }
        prop_assert_eq!(commits.poll(), None);
        let refuses = model.options.when_short == WhenShort::FailFast && model.is_short();
        prop_assert_eq!(commits.admit().is_ok(), model.first.is_some() && !refuses);
        if let Some(first) = model.first {
            for lsn in first..=LAST {
                let expected = if lsn <= model.acknowledged {
                    Fate::Acknowledged { degraded: model.degraded.contains(&lsn) }
                } else if lsn <= model.committed {
                    Fate::Committed
                } else {
                    Fate::Pending
                };
                prop_assert_eq!(commits.fate(Epoch::new(self.epoch), Lsn::new(lsn)), expected);
            }
        }
        Ok(())
    }
}

fn policies() -> impl Strategy<Value = AckPolicy<char>> {
    let lists = prop::sample::subsequence(vec!['a', 'b', 'c', 'd'], 1..=4).prop_shuffle();
    let of = prop_oneof![2 => lists.prop_map(Among::Listed), 1 => Just(Among::Everybody)];
    (of, 0..10_u8, 1..4_u32).prop_map(|(of, kind, count)| {
        let listed = if let Among::Listed(names) = &of { names.len() } else { 4 };
        let count = count.min(u32::try_from(listed).expect("few"));
        match kind {
            0 => Ok(AckPolicy::asynchronous()),
            1..4 => AckPolicy::first(count, of),
            4..7 => AckPolicy::any(count, of),
            _ => AckPolicy::all(of),
        }
        .expect("legal")
    })
}

fn options() -> impl Strategy<Value = CommitOptions<char>> {
    let shortages = [
        WhenShort::Block,
        WhenShort::FailFast,
        WhenShort::DegradeToAsync { after: Duration::from_secs(3) },
        WhenShort::DegradeToAsync { after: Duration::from_secs(3) },
    ];
    (policies(), prop::sample::select(&Stage::ALL[..]), prop::sample::select(shortages.to_vec())).prop_map(
        |(policy, stage, when_short)| CommitOptions { stage, when_short, ..CommitOptions::new(policy) },
    )
}

fn marks() -> impl Strategy<Value = Marks> {
    prop::array::uniform4(0..=LAST).prop_map(|mut numbers| {
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        let [received, written, flushed, applied] = numbers.map(Lsn::new);
        Marks::new(received, written, flushed, applied).expect("descending")
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!['a', 'b', 'c', 'd']);
    let role = prop_oneof![4 => Just(Role::Candidate), 1 => Just(Role::Observer)];
    prop_oneof![
        1 => (name(), role).prop_map(|(name, role)| Step::Add(name, role)),
        1 => name().prop_map(Step::Remove),
        4 => (name(), marks()).prop_map(|(name, marks)| Step::Connected(name, marks)),
        5 => name().prop_map(Step::Streaming),
        2 => name().prop_map(Step::Gone),
        12 => (name(), marks()).prop_map(|(name, marks)| Step::Report(name, marks)),
        6 => (0..=LAST).prop_map(Step::Durable),
        1 => policies().prop_map(Step::SetPolicy),
        5 => (0..=LAST, prop::option::of(0..6_u64)).prop_map(|(lsn, after)| Step::Wait(lsn, after)),
        1 => (0..20_usize).prop_map(Step::Cancel),
        5 => (0..5_u64).prop_map(Step::Tick),
        1 => (0..=LAST).prop_map(Step::Reign),
    ]
}

fn ends() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::EndReign), (0..=LAST).prop_map(Step::Cut)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_marks_are_what_every_fact_says_anew(
        options in options(),
        observer in prop::option::of(prop::sample::select(vec!['a', 'b', 'c', 'd'])),
        steps in prop::collection::vec(prop_oneof![30 => steps(), 1 => ends()], 0..60),
    ) {
        let mut both = Both::new(options);
        for name in ['a', 'b', 'c', 'd'] {
            let role = if observer == Some(name) { Role::Observer } else { Role::Candidate };
            both.step(Step::Add(name, role))?;
        }
        both.step(Step::Reign(1))?;
        for name in ['a', 'b', 'c'] {
            both.step(Step::Connected(name, Marks::default()))?;
            both.step(Step::Streaming(name))?;
        }
        for step in steps {
            both.step(step)?;
        }
    }
}
