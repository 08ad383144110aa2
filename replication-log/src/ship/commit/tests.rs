use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::{
    Epoch, Lsn,
    limits::{MAX_COMMIT_EVENTS, MAX_FOLLOWERS, MAX_WAITING_COMMITS},
    ship::{AckPolicy, Marks, Stage},
};

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DEGRADE: WhenShort = WhenShort::DegradeToAsync { after: at(10) };

/// A leader of epoch 1 from record 1 on, with followers that have nothing yet and get each record.
fn leader(when_short: WhenShort, policy: AckPolicy<char>, followers: &[char]) -> Commits<char> {
    let mut commits = Commits::new(CommitOptions { when_short, ..CommitOptions::new(policy) });
    for follower in followers {
        commits.add(*follower, Role::Candidate).expect("fresh");
    }
    reign(&mut commits, 1, 1, followers);
    commits
}

fn reign(commits: &mut Commits<char>, epoch: u64, first: u64, followers: &[char]) {
    commits
        .begin_reign(Epoch::new(epoch), Lsn::new(first))
        .expect("newer, and nothing committed is in its way");
    for follower in followers {
        comes(commits, *follower, 0);
    }
}

fn comes(commits: &mut Commits<char>, follower: char, has: u64) {
    commits.connected(follower, Marks::all(Lsn::new(has))).expect("known");
    commits.streaming(follower).expect("connected");
}

fn durable(commits: &mut Commits<char>, lsn: u64, now: u64) {
    commits.durable(Lsn::new(lsn), at(now));
}

fn report(commits: &mut Commits<char>, follower: char, lsn: u64) -> bool {
    commits.report(follower, &Marks::all(Lsn::new(lsn))).expect("connected")
}

fn events(commits: &mut Commits<char>) -> Vec<Event<char>> {
    core::iter::from_fn(|| commits.poll_event()).collect()
}

#[test]
fn the_policy_holds_again_although_records_keep_coming() {
    let mut commits = leader(DEGRADE, AckPolicy::semi_sync(), &['b']);
    commits.gone('b').expect("known");
    durable(&mut commits, 1, 0);
    commits.tick(at(10));
    assert_eq!(commits.mode(), Mode::Degraded { since: at(10) });
    durable(&mut commits, 5, 11);

    // It is back, and always one record behind the leader.
    comes(&mut commits, 'b', 4);
    durable(&mut commits, 6, 12);
    assert_ne!(commits.mode(), Mode::Armed, "it does not have 5, which was the last when it came");
    report(&mut commits, 'b', 5);
    assert_eq!(commits.mode(), Mode::Armed);
    let degraded = Event::Degraded { since: at(0), at: at(10) };
    assert_eq!(events(&mut commits), [degraded, Event::Rearmed { through: Lsn::new(5) }]);
    assert_eq!(commits.degraded_ranges().collect::<Vec<_>>(), [(Lsn::new(1), Lsn::new(6))]);
    durable(&mut commits, 7, 13);
    assert_eq!(commits.committed(), Lsn::new(6), "from now on records wait");
}

#[test]
fn who_goes_before_it_has_caught_up_begins_anew() {
    let mut commits = leader(DEGRADE, AckPolicy::semi_sync(), &['b']);
    commits.gone('b').expect("known");
    durable(&mut commits, 5, 0);
    commits.tick(at(10));
    comes(&mut commits, 'b', 3);
    commits.gone('b').expect("known");
    durable(&mut commits, 9, 11);
    comes(&mut commits, 'b', 5);
    assert_ne!(commits.mode(), Mode::Armed, "5 was the last when it came the time before");
    report(&mut commits, 'b', 9);
    assert_eq!(commits.mode(), Mode::Armed);
}

#[test]
fn the_policy_holds_again_by_who_is_there_also_if_somebody_else_was_first() {
    let mut commits = leader(DEGRADE, AckPolicy::semi_sync(), &['b', 'c']);
    commits.gone('b').expect("known");
    durable(&mut commits, 5, 0);
    commits.tick(at(10));
    report(&mut commits, 'c', 4);
    commits.connected('b', Marks::all(Lsn::new(5))).expect("known");
    assert_ne!(commits.mode(), Mode::Armed, "b has the record, but does not get the next yet");
    assert!(!report(&mut commits, 'c', 5), "it moves no mark");
    assert_eq!(commits.mode(), Mode::Armed);
}

#[test]
fn a_policy_that_asks_nobody_does_not_degrade() {
    let mut commits = leader(DEGRADE, AckPolicy::asynchronous(), &[]);
    commits.begin_reign(Epoch::new(2), Lsn::new(3)).expect("newer");
    durable(&mut commits, 2, 0);
    assert_eq!(commits.next_deadline(), None, "2 waits for the leader's own first record");
    commits.tick(at(99));
    assert_eq!(commits.mode(), Mode::Armed);
}

#[test]
fn a_policy_that_asks_nobody_ends_a_degraded_time() {
    let mut commits = leader(DEGRADE, AckPolicy::semi_sync(), &[]);
    durable(&mut commits, 1, 0);
    assert_eq!(commits.next_deadline(), Some(at(10)));
    commits.tick(at(9));
    assert_eq!(commits.mode(), Mode::Armed);
    commits.tick(at(10));
    commits.set_policy(AckPolicy::asynchronous());
    assert_eq!((commits.mode(), commits.next_deadline()), (Mode::Armed, None));
    durable(&mut commits, 2, 11);
    let (one, two) = (commits.fate(Epoch::new(1), Lsn::new(1)), commits.fate(Epoch::new(1), Lsn::new(2)));
    assert_eq!(one, Fate::Acknowledged { degraded: true });
    assert_eq!(two, Fate::Acknowledged { degraded: false }, "it has what was asked for: nothing");
}

#[test]
fn another_policy_judges_who_waits_already_and_takes_nothing_back() {
    let mut commits = leader(WhenShort::Block, AckPolicy::sync(), &['b', 'c']);
    durable(&mut commits, 4, 0);
    report(&mut commits, 'b', 4);
    report(&mut commits, 'c', 1);
    let ticket = commits.wait(Lsn::new(3), None).expect("room");
    assert_eq!((commits.committed(), commits.poll()), (Lsn::new(1), None));

    commits.set_policy(AckPolicy::any(1, ['b', 'c']).expect("legal"));
    let committed = CommitOutcome::Committed { lsn: Lsn::new(3), degraded: false };
    assert_eq!((commits.committed(), commits.poll()), (Lsn::new(4), Some((ticket, committed))));

    commits.set_policy(AckPolicy::sync());
    durable(&mut commits, 5, 1);
    assert_eq!(commits.committed(), Lsn::new(4), "c has only 1, and what is committed stays so");
    report(&mut commits, 'b', 5);
    report(&mut commits, 'c', 4);
    assert_eq!(commits.committed(), Lsn::new(4));
}

#[test]
fn a_record_of_an_earlier_epoch_is_committed_only_along_with_one_of_the_current() {
    // Raft, figure 8: record 2 of epoch 2 is on a majority, and yet a leader of epoch 3, which does not have
    // it, could overwrite it. Only when a record of epoch 4 is with a majority can it no longer be elected.
    let mut commits = leader(WhenShort::Block, AckPolicy::semi_sync(), &['b', 'c']);
    durable(&mut commits, 1, 0);
    report(&mut commits, 'b', 1);
    commits.end_reign();
    durable(&mut commits, 2, 1);

    reign(&mut commits, 4, 3, &['b', 'c']);
    assert!(!report(&mut commits, 'b', 2));
    assert_eq!(commits.committed(), Lsn::new(1), "on two of three disks");
    durable(&mut commits, 3, 2);
    assert!(report(&mut commits, 'b', 3));
    assert_eq!(commits.committed(), Lsn::new(3), "and 2 along with it");
}

#[test]
fn what_was_acknowledged_to_an_earlier_reign_does_not_count() {
    let mut commits = leader(WhenShort::Block, AckPolicy::semi_sync(), &['b']);
    report(&mut commits, 'b', 9);
    commits.begin_reign(Epoch::new(2), Lsn::new(5)).expect("newer");
    durable(&mut commits, 5, 0);
    assert_eq!(commits.committed(), Lsn::ZERO, "its record 5 may be another");
    assert_eq!(commits.report('b', &Marks::all(Lsn::new(9))), Err(FollowerError::NotConnected));
    comes(&mut commits, 'b', 5);
    assert_eq!(commits.committed(), Lsn::new(5));

    let older = commits.begin_reign(Epoch::new(2), Lsn::new(9));
    assert_eq!(older, Err(ReignError::NotNewer { have: Epoch::new(2), got: Epoch::new(2) }));
    let below = commits.begin_reign(Epoch::new(3), Lsn::new(5));
    assert_eq!(below, Err(ReignError::BelowCommitted { first: Lsn::new(5), committed: Lsn::new(5) }));
}

#[test]
fn a_number_that_is_given_twice_names_two_records() {
    let mut commits = leader(WhenShort::Block, AckPolicy::semi_sync(), &['b']);
    durable(&mut commits, 3, 0);
    report(&mut commits, 'b', 2);
    let ticket = commits.wait(Lsn::new(3), None).expect("room");
    commits.cut(Lsn::new(2));
    let cut = CommitOutcome::NotReplicated { lsn: Lsn::new(3), durable_local: false, reason: GaveUp::Cut };
    assert_eq!(commits.poll(), Some((ticket, cut)));
    assert_eq!(commits.admit(), Err(AdmitError::NoReign));
    assert_eq!(commits.wait(Lsn::new(3), None), Err(WaitError::NoReign));

    reign(&mut commits, 2, 3, &['b']);
    durable(&mut commits, 3, 1);
    report(&mut commits, 'b', 3);
    assert_eq!(commits.fate(Epoch::new(1), Lsn::new(3)), Fate::Cut);
    assert_eq!(commits.fate(Epoch::new(2), Lsn::new(3)), Fate::Acknowledged { degraded: false });
    assert_eq!(commits.fate(Epoch::new(1), Lsn::new(2)), Fate::Acknowledged { degraded: false });
}

#[test]
fn a_deposed_leader_tells_who_waits_and_learns_the_rest_from_the_next() {
    let mut commits = leader(WhenShort::Block, AckPolicy::semi_sync(), &['b']);
    durable(&mut commits, 2, 0);
    let tickets = [2, 1, 3].map(|lsn| commits.wait(Lsn::new(lsn), None).expect("room"));
    commits.end_reign();
    let told: Vec<_> = core::iter::from_fn(|| commits.poll()).collect();
    let outcome = |lsn, durable_local| CommitOutcome::NotReplicated {
        lsn: Lsn::new(lsn),
        durable_local,
        reason: GaveUp::ReignEnded,
    };
    let expected =
        [(tickets[1], outcome(1, true)), (tickets[0], outcome(2, true)), (tickets[2], outcome(3, false))];
    assert_eq!(told, expected);
    assert!(!report(&mut commits, 'b', 2), "nobody counts any longer");
    assert_eq!(commits.fate(Epoch::new(1), Lsn::new(1)), Fate::Pending);
    commits.learn_committed(Lsn::new(1));
    assert_eq!(commits.fate(Epoch::new(1), Lsn::new(1)), Fate::Committed);
}

#[test]
fn that_committed_records_are_cut_is_said_aloud() {
    let mut commits = leader(WhenShort::Block, AckPolicy::asynchronous(), &[]);
    durable(&mut commits, 7, 0);
    commits.cut(Lsn::new(4));
    assert_eq!(events(&mut commits), [Event::CommittedCut { first: Lsn::new(5), last: Lsn::new(7) }]);
    assert_eq!((commits.committed(), commits.acknowledged()), (Lsn::new(4), Lsn::new(4)));
}

#[test]
fn a_follower_that_was_restored_has_what_it_says_it_has() {
    let mut commits = leader(WhenShort::Block, AckPolicy::any(2, ['b', 'c']).expect("legal"), &['b', 'c']);
    durable(&mut commits, 5, 0);
    report(&mut commits, 'b', 5);
    commits.gone('b').expect("known");
    comes(&mut commits, 'b', 2);
    assert_eq!(events(&mut commits), [Event::WentBack { follower: 'b', had: Lsn::new(5), has: Lsn::new(2) }]);
    report(&mut commits, 'c', 5);
    assert_eq!(commits.committed(), Lsn::new(2));
}

#[test]
fn what_a_follower_held_in_memory_is_gone_with_it() {
    let policy = AckPolicy::any(2, ['b', 'c']).expect("legal");
    let mut commits = leader(WhenShort::Block, policy.clone(), &['b', 'c']);
    commits = Commits {
        options: CommitOptions { stage: Stage::Received, ..CommitOptions::new(policy) },
        ..commits
    };
    commits.recount();
    durable(&mut commits, 5, 0);
    let [zero, two, five] = [0, 2, 5].map(Lsn::new);
    commits.report('b', &Marks::new(five, five, two, zero).expect("descending")).expect("connected");
    commits.gone('b').expect("known");
    report(&mut commits, 'c', 5);
    assert_eq!(commits.committed(), two);
}

#[test]
fn commits_that_fail_fast_are_told_when_the_followers_go() {
    let mut commits =
        leader(WhenShort::FailFast, AckPolicy::first(1, ['b', 'c']).expect("legal"), &['b', 'c']);
    durable(&mut commits, 1, 0);
    let ticket = commits.wait(Lsn::new(1), Some(at(99))).expect("room");
    commits.gone('b').expect("known");
    assert_eq!((commits.admit(), commits.poll()), (Ok(()), None), "c takes over");
    commits.gone('c').expect("known");
    let outcome =
        CommitOutcome::NotReplicated { lsn: Lsn::new(1), durable_local: true, reason: GaveUp::FailFast };
    assert_eq!(commits.poll(), Some((ticket, outcome)));
    assert_eq!(commits.admit(), Err(AdmitError::NotEnoughFollowers { needed: 1, live: 0 }));
    commits.connected('c', Marks::default()).expect("known");
    assert!(commits.admit().is_err(), "it still gets what it missed");
    commits.streaming('c').expect("connected");
    assert_eq!(commits.admit(), Ok(()));
}

#[test]
fn what_is_due_comes_about_in_its_order_however_late_the_call_is() {
    let mut commits = leader(DEGRADE, AckPolicy::semi_sync(), &[]);
    let early = commits.wait(Lsn::new(1), Some(at(9))).expect("room");
    let late = commits.wait(Lsn::new(1), Some(at(11))).expect("room");
    durable(&mut commits, 1, 0);
    assert_eq!(commits.next_deadline(), Some(at(9)));
    commits.tick(at(1000));
    let gave_up =
        CommitOutcome::NotReplicated { lsn: Lsn::new(1), durable_local: true, reason: GaveUp::Deadline };
    assert_eq!(commits.poll(), Some((early, gave_up)));
    assert_eq!(commits.poll(), Some((late, CommitOutcome::Committed { lsn: Lsn::new(1), degraded: true })));
}

#[test]
fn everything_that_others_can_grow_has_a_bound() {
    let mut commits = leader(WhenShort::Block, AckPolicy::semi_sync(), &[]);
    let mut tickets = (0..MAX_WAITING_COMMITS).map(|_| commits.wait(Lsn::new(1), None).expect("room"));
    let first = tickets.next();
    tickets.for_each(drop);
    let limit = MAX_WAITING_COMMITS;
    assert_eq!(commits.admit(), Err(AdmitError::TooManyWaiting { limit }));
    assert_eq!(commits.wait(Lsn::new(1), None), Err(WaitError::TooManyWaiting { limit }));
    commits.set_policy(AckPolicy::asynchronous());
    durable(&mut commits, 1, 0);
    assert!(commits.admit().is_err(), "outcomes that nobody asked for take room, too");
    assert_eq!(commits.poll().map(|(ticket, _)| ticket), first);
    assert_eq!(commits.admit(), Ok(()));

    let mut commits = Commits::new(CommitOptions::new(AckPolicy::semi_sync()));
    for name in 0..MAX_FOLLOWERS {
        commits.add(name, Role::Observer).expect("room");
    }
    assert_eq!(commits.add(MAX_FOLLOWERS, Role::Observer), Err(AddError::TooMany { limit: MAX_FOLLOWERS }));
    assert_eq!(commits.add(0, Role::Observer), Err(AddError::Known));
    for _ in 0..MAX_COMMIT_EVENTS + 3 {
        commits.connected(0, Marks::all(Lsn::new(1))).expect("known");
        commits.connected(0, Marks::default()).expect("known");
    }
    let told = core::iter::from_fn(|| commits.poll_event()).count();
    assert_eq!((told, commits.missed_events()), (MAX_COMMIT_EVENTS, 3));
}

#[test]
fn a_reign_whose_first_record_is_not_durable_waits_for_nobody() {
    let mut commits = Commits::new(CommitOptions {
        when_short: DEGRADE,
        ..CommitOptions::new(AckPolicy::<char>::semi_sync())
    });
    commits.add('b', Role::Candidate).expect("fresh");
    reign(&mut commits, 2, 6, &['b']);
    durable(&mut commits, 5, 0);
    comes(&mut commits, 'b', 5);
    commits.tick(at(20));
    assert_eq!(
        (commits.mode(), commits.next_deadline()),
        (Mode::Armed, None),
        "there is nothing it could end"
    );
    durable(&mut commits, 6, 21);
    assert_eq!(commits.next_deadline(), Some(at(31)));
}
