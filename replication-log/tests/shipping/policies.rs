//! Lessons on acknowledgement: who commits a record, who is told, and what happens if followers are missing.

use std::time::Duration;

use proptest::prelude::*;
use replication_log::{
    Epoch, Lsn,
    ship::{
        AckPolicy, Commits, Marks, Stage,
        commit::{
            AdmitError, CommitOptions, CommitOutcome, Event, Fate, GaveUp, Mode, Role, Visibility, WhenShort,
        },
    },
};

const EPOCH: Epoch = Epoch::new(1);
const AFTER: Duration = at(10);

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn lsn(number: u64) -> Lsn {
    Lsn::new(number)
}

/// A leader with the followers `a`, `b` and `c`, which have caught up, and a node for analytics, `x`.
fn leader(policy: &str, change: impl FnOnce(&mut CommitOptions<char>)) -> Commits<char> {
    let policy: AckPolicy<String> = policy.parse().expect("a policy");
    let policy = policy.with_names(|name| name.chars().next()).expect("names of one letter");
    let mut options = CommitOptions::new(policy);
    change(&mut options);
    let mut leader = Commits::new(options);
    for follower in ['a', 'b', 'c'] {
        leader.add(follower, Role::Candidate).expect("fresh");
    }
    leader.add('x', Role::Observer).expect("fresh");
    leader.begin_reign(EPOCH, Lsn::FIRST).expect("the first");
    for follower in ['a', 'b', 'c', 'x'] {
        comes(&mut leader, follower, 0);
    }
    leader
}

fn comes(leader: &mut Commits<char>, follower: char, has: u64) {
    leader.connected(follower, Marks::all(lsn(has))).expect("known");
    leader.streaming(follower).expect("connected");
}

fn goes(leader: &mut Commits<char>, follower: char) {
    leader.gone(follower).expect("known");
}

/// A follower has flushed everything up to `number`.
fn flushes(leader: &mut Commits<char>, follower: char, number: u64) {
    reaches(leader, follower, Stage::Flushed, number);
}

fn reaches(leader: &mut Commits<char>, follower: char, stage: Stage, number: u64) {
    let mut marks = Marks::default();
    marks.raise(stage, lsn(number));
    leader.report(follower, &marks).expect("connected");
}

/// The leader has everything up to `number` on its disk, in the first second.
fn durable(leader: &mut Commits<char>, number: u64) {
    leader.durable(lsn(number), at(0));
}

fn events(leader: &mut Commits<char>) -> Vec<Event<char>> {
    std::iter::from_fn(|| leader.poll_event()).collect()
}

#[test]
fn case_33_asynchronous_asks_nobody() {
    let mut leader = leader("", |_| ());
    flushes(&mut leader, 'a', 3);
    assert_eq!(leader.committed(), lsn(0), "the leader's own disk does not have it");
    durable(&mut leader, 2);
    assert_eq!((leader.committed(), leader.acknowledged()), (lsn(2), lsn(2)));
}

#[test]
fn case_33_synchronous_asks_all_that_count() {
    let mut leader = leader("ALL (*)", |_| ());
    durable(&mut leader, 9);
    flushes(&mut leader, 'a', 7);
    flushes(&mut leader, 'b', 8);
    assert_eq!(leader.committed(), lsn(0));
    flushes(&mut leader, 'c', 6);
    assert_eq!(leader.committed(), lsn(6), "x does not count");
    goes(&mut leader, 'c');
    flushes(&mut leader, 'a', 9);
    assert_eq!(leader.committed(), lsn(6), "who is not there is not left out");
    leader.remove('c');
    assert_eq!(leader.committed(), lsn(8), "until somebody decides so");
}

#[test]
fn case_33_any_two_are_any_two_distinct_ones_of_the_list() {
    for pair in [['a', 'b'], ['a', 'c'], ['b', 'c']] {
        let mut leader = leader("ANY 2 (a, b, c)", |_| ());
        durable(&mut leader, 5);
        flushes(&mut leader, pair[0], 5);
        flushes(&mut leader, pair[0], 5);
        assert_eq!(leader.committed(), lsn(0), "who says it twice is one");
        flushes(&mut leader, pair[1], 4);
        assert_eq!(leader.committed(), lsn(4));
    }
}

#[test]
fn case_33_any_counts_what_is_on_a_disk_also_of_who_is_gone() {
    let mut leader = leader("ANY 2 (a, b, c)", |_| ());
    durable(&mut leader, 5);
    flushes(&mut leader, 'a', 5);
    goes(&mut leader, 'a');
    flushes(&mut leader, 'b', 5);
    assert_eq!(leader.committed(), lsn(5), "three disks have it, the leader's and two");
}

#[test]
fn case_33_the_first_two_are_those_of_highest_priority_that_are_there() {
    let mut leader = leader("FIRST 2 (a, b, c)", |_| ());
    durable(&mut leader, 9);
    flushes(&mut leader, 'a', 3);
    flushes(&mut leader, 'c', 9);
    assert_eq!(leader.committed(), lsn(0), "while a and b are there, c proves nothing");
    flushes(&mut leader, 'b', 2);
    assert_eq!(leader.committed(), lsn(2));

    goes(&mut leader, 'b');
    assert_eq!(leader.committed(), lsn(3), "c takes over at once, with what it has already");
    flushes(&mut leader, 'a', 5);
    assert_eq!(leader.committed(), lsn(5));

    leader.connected('b', Marks::all(lsn(2))).expect("known");
    flushes(&mut leader, 'a', 6);
    assert_eq!(leader.committed(), lsn(6), "b is there, but still gets what it missed: c decides");
    flushes(&mut leader, 'b', 5);
    leader.streaming('b').expect("connected");
    flushes(&mut leader, 'a', 9);
    assert_eq!(leader.committed(), lsn(6), "b has its place again, and nothing goes back");
    flushes(&mut leader, 'b', 8);
    assert_eq!(leader.committed(), lsn(8));

    goes(&mut leader, 'a');
    goes(&mut leader, 'c');
    flushes(&mut leader, 'b', 9);
    assert_eq!(leader.committed(), lsn(8), "one is not two");
}

#[test]
fn case_33_who_is_not_listed_or_may_not_count_never_counts() {
    let mut leader = leader("ANY 1 (a, x)", |_| ());
    durable(&mut leader, 5);
    flushes(&mut leader, 'b', 5);
    flushes(&mut leader, 'c', 5);
    flushes(&mut leader, 'x', 5);
    assert_eq!(leader.committed(), lsn(0), "b and c are not listed, and x is for analytics, listed or not");
    flushes(&mut leader, 'a', 1);
    assert_eq!(leader.committed(), lsn(1));
}

#[test]
fn case_34_each_stage_is_a_promise_of_its_own() {
    for waited_for in Stage::ALL {
        let mut leader = leader("ANY 1 (a)", |options| options.stage = waited_for);
        durable(&mut leader, 1);
        for reached in Stage::ALL {
            reaches(&mut leader, 'a', reached, 1);
            let told = leader.acknowledged() == lsn(1);
            assert_eq!(told, reached >= waited_for, "{reached}, where {waited_for} is waited for");
            let committed = leader.committed() == lsn(1);
            assert_eq!(committed, reached >= waited_for.min(Stage::Flushed), "{reached}, {waited_for}");
        }
    }
}

#[test]
fn case_34_flushed_survives_the_follower_and_received_does_not() {
    for (stage, survives) in [(Stage::Received, false), (Stage::Written, false), (Stage::Flushed, true)] {
        let mut leader = leader("ANY 2 (a, b)", |options| options.stage = stage);
        durable(&mut leader, 1);
        reaches(&mut leader, 'a', stage, 1);
        goes(&mut leader, 'a');
        flushes(&mut leader, 'b', 1);
        assert_eq!(leader.committed() == lsn(1), survives, "a lost power after {stage}");
    }
}

#[test]
fn case_34_a_follower_shows_what_is_committed_before_the_writer_hears_of_it() {
    let mut leader = leader("ANY 1 (a)", |options| options.stage = Stage::Applied);
    durable(&mut leader, 1);
    let ticket = leader.wait(lsn(1), None).expect("room");
    flushes(&mut leader, 'a', 1);
    assert_eq!((leader.committed(), leader.acknowledged()), (lsn(1), lsn(0)), "now a may apply it");
    assert_eq!(leader.fate(EPOCH, lsn(1)), Fate::Committed);
    assert_eq!(leader.visible(), lsn(1), "who reads at a and then here does not go back in time");
    assert_eq!(leader.poll(), None);
    reaches(&mut leader, 'a', Stage::Applied, 1);
    let committed = CommitOutcome::Committed { lsn: lsn(1), degraded: false };
    assert_eq!(leader.poll(), Some((ticket, committed)), "whoever is told can read it at a");
}

#[test]
fn case_35_block_waits_and_a_deadline_says_what_is_known() {
    let mut leader = leader("ANY 1 (a)", |options| options.when_short = WhenShort::Block);
    goes(&mut leader, 'a');
    assert_eq!(leader.admit(), Ok(()));
    durable(&mut leader, 1);
    let ticket = leader.wait(lsn(1), Some(at(5))).expect("room");
    assert_eq!(leader.next_deadline(), Some(at(5)));
    leader.tick(at(4));
    assert_eq!(leader.poll(), None);
    leader.tick(at(5));
    let outcome = CommitOutcome::NotReplicated { lsn: lsn(1), durable_local: true, reason: GaveUp::Deadline };
    assert_eq!(leader.poll(), Some((ticket, outcome)));
    assert_eq!(leader.fate(EPOCH, lsn(1)), Fate::Pending, "it is in the log, and nobody took it back");
    comes(&mut leader, 'a', 1);
    assert_eq!(leader.fate(EPOCH, lsn(1)), Fate::Acknowledged { degraded: false }, "as it turned out");
    assert_eq!((leader.mode(), events(&mut leader)), (Mode::Armed, vec![]));
}

#[test]
fn case_35_fail_fast_refuses_before_anything_is_written() {
    let mut leader = leader("ANY 1 (a)", |options| options.when_short = WhenShort::FailFast);
    assert_eq!(leader.admit(), Ok(()));
    durable(&mut leader, 1);
    let ticket = leader.wait(lsn(1), Some(at(5))).expect("room");
    goes(&mut leader, 'a');
    let outcome = CommitOutcome::NotReplicated { lsn: lsn(1), durable_local: true, reason: GaveUp::FailFast };
    assert_eq!(leader.poll(), Some((ticket, outcome)), "what was on its way is told at once");
    let refused = leader.admit().expect_err("nobody is there");
    assert_eq!(refused, AdmitError::NotEnoughFollowers { needed: 1, live: 0 });
    assert_eq!(
        refused.to_string(),
        "1 followers have to acknowledge, 0 are connected and have caught up; nothing was appended"
    );
    comes(&mut leader, 'a', 1);
    assert_eq!(leader.admit(), Ok(()));
}

#[test]
fn case_35_degrading_is_never_silent() {
    let mut leader =
        leader("ANY 1 (a)", |options| options.when_short = WhenShort::DegradeToAsync { after: AFTER });
    goes(&mut leader, 'a');
    durable(&mut leader, 1);
    let first = leader.wait(lsn(1), None).expect("room");
    leader.tick(at(9));
    assert_eq!((leader.poll(), leader.mode()), (None, Mode::Armed));

    // An event, a state that can be looked at, and a stamp on each commit.
    leader.tick(at(10));
    assert_eq!(events(&mut leader), [Event::Degraded { since: at(0), at: at(10) }]);
    assert_eq!(leader.mode(), Mode::Degraded { since: at(10) });
    let degraded = |number| CommitOutcome::Committed { lsn: lsn(number), degraded: true };
    assert_eq!(leader.poll(), Some((first, degraded(1))));
    let second = leader.wait(lsn(2), None).expect("room");
    leader.durable(lsn(2), at(11));
    assert_eq!(leader.poll(), Some((second, degraded(2))), "the leader's disk is enough");

    // That it is back is not enough. That it has caught up is.
    comes(&mut leader, 'a', 1);
    assert_ne!(leader.mode(), Mode::Armed);
    flushes(&mut leader, 'a', 2);
    assert_eq!((leader.mode(), events(&mut leader)), (Mode::Armed, vec![Event::Rearmed { through: lsn(2) }]));
    leader.durable(lsn(3), at(12));
    assert_eq!(leader.committed(), lsn(2), "the policy holds again");
    flushes(&mut leader, 'a', 3);
    assert_eq!(leader.fate(EPOCH, lsn(2)), Fate::Acknowledged { degraded: true }, "it is remembered");
    assert_eq!(leader.fate(EPOCH, lsn(3)), Fate::Acknowledged { degraded: false });
}

/// What somebody read at the leader, and what the cluster has after the leader is lost and `a`, who has the
/// most of those who follow, leads.
fn read_and_lose_the_leader(visibility: Visibility) -> (Vec<&'static str>, Vec<&'static str>) {
    let log = ["one", "two"];
    let mut leader = leader("ANY 1 (*)", |options| options.visibility = visibility);
    durable(&mut leader, 1);
    flushes(&mut leader, 'a', 1);
    durable(&mut leader, 2);
    let up_to = |mark: Lsn| log[..usize::try_from(mark.get()).expect("two")].to_vec();
    let read = up_to(leader.visible());
    let (_, a) = leader.followers().next().expect("a");
    (read, up_to(a.marks.at(Stage::Flushed)))
}

#[test]
fn case_36_what_is_visible_after_the_acknowledgement_is_never_taken_back() {
    let (read, left) = read_and_lose_the_leader(Visibility::AfterAck);
    assert_eq!((read, left), (vec!["one"], vec!["one"]));
}

#[test]
fn case_36_what_is_visible_before_the_acknowledgement_may_be_a_phantom() {
    let (read, left) = read_and_lose_the_leader(Visibility::BeforeAck);
    assert_eq!((read, left), (vec!["one", "two"], vec!["one"]), "somebody saw two, and it never was");
}

proptest! {
    /// Whatever followers have when the leader is lost: what anybody read is on as many disks as the policy
    /// asks for.
    #[test]
    fn case_36_no_failover_takes_back_what_somebody_read(
        (policy, asked) in prop::sample::select(&[
            ("ANY 1 (*)", 1), ("ANY 2 (*)", 2), ("ALL (*)", 3), ("FIRST 1 (a, b)", 1), ("FIRST 2 (c, a, b)", 2),
        ][..]),
        local in 0..9_u64,
        reports in prop::collection::vec((prop::sample::select(&['a', 'b', 'c'][..]), 0..9_u64, any::<bool>()), 0..20),
    ) {
        let mut leader = leader(policy, |_| ());
        durable(&mut leader, local);
        for (follower, number, goes_away) in reports {
            flushes(&mut leader, follower, number);
            if goes_away {
                goes(&mut leader, follower);
                let left = leader.follower(follower).expect("known").marks.at(Stage::Flushed);
                comes(&mut leader, follower, left.get());
            }
        }
        let visible = leader.visible();
        let has_it = |marks: &Marks| marks.at(Stage::Flushed) >= visible;
        let copies = leader.followers().filter(|(_, follower)| has_it(&follower.marks)).count();
        prop_assert!(copies >= asked);
        prop_assert!(leader.visible() <= leader.local_durable());
    }
}

#[test]
fn the_policy_is_changed_while_commits_wait() {
    let mut leader = leader("FIRST 2 (a, b)", |_| ());
    durable(&mut leader, 1);
    let ticket = leader.wait(lsn(1), None).expect("room");
    goes(&mut leader, 'b');
    flushes(&mut leader, 'c', 1);
    flushes(&mut leader, 'a', 1);
    assert_eq!((leader.poll(), leader.needed_and_live()), (None, (2, 1)));

    let text: AckPolicy<String> = "ANY 2 (a, b, c)".parse().expect("a policy");
    leader.set_policy(text.with_names(|name| name.chars().next()).expect("letters"));
    assert_eq!(leader.poll(), Some((ticket, CommitOutcome::Committed { lsn: lsn(1), degraded: false })));
    assert_eq!(leader.options().policy.to_string(), "ANY 2 (a, b, c)");
}

#[test]
fn an_acknowledgement_that_moves_nothing_costs_nothing() {
    let mut leader = leader("ANY 2 (a, b, c)", |options| options.stage = Stage::Applied);
    durable(&mut leader, 1000);
    flushes(&mut leader, 'a', 1);
    let cost = allocation_counter::measure(|| (2..1000).for_each(|number| flushes(&mut leader, 'a', number)));
    assert_eq!((cost.count_total, leader.committed()), (0, lsn(0)));
    let cost = allocation_counter::measure(|| (2..1000).for_each(|number| flushes(&mut leader, 'b', number)));
    assert_eq!((cost.count_total, leader.committed()), (0, lsn(999)), "nor does one that moves the mark");
}
