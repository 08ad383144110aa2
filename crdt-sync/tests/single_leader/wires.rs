//! Words that are lost, come late or come twice, and disks that are slow: what the simulator found.

use std::time::Duration;

use crdt_sync::single_leader::CommitReply;
use crdt_sync::wire::{self, Message, Ship};
use crdt_sync::{Action, Event, Input, Limits, Reply, Request, Write};
use replication_log::Lsn;
use replication_log::ship::commit::{Fate, WhenShort};

use crate::cluster::*;

impl Cluster {
    /// Delivers the next frame, if there is one.
    fn deliver_one(&mut self) -> bool {
        let Some((link, bytes)) = self.frames.pop_front() else { return false };
        if let Some(&(node, link, _)) = self.links.get(&link) {
            self.handle(node, Input::Frame { link, bytes });
        }
        true
    }

    /// Lets time pass while nothing arrives.
    fn pass_without_delivery(&mut self, span: Duration) {
        self.micros += u64::try_from(span.as_micros()).unwrap();
        for node in 0..self.nodes.len() {
            self.handle(node, Input::Timer);
        }
    }

    /// Asks for a write that is given up after a second, while the leader's disk makes nothing durable.
    fn give_up(&mut self, writes: Vec<Write>) -> Option<Reply> {
        let deadline = self.in_time(Duration::from_secs(1));
        let asked = self.ask(A, Request::Commit { writes, deadline });
        self.pass(Duration::from_secs(2));
        self.answer(asked)
    }
}

#[test]
fn a_first_word_that_comes_twice_begins_nothing_and_accuses_nobody() {
    let mut cluster = Cluster::new([settings("ANY 1 (*)"), settings("ANY 1 (*)")]);
    cluster.connect(A, B);
    let mut twice = Vec::new();
    while let Some((link, bytes)) = cluster.frames.front().cloned() {
        twice.push((link, bytes));
        cluster.deliver_one();
    }
    cluster.write(A, add("visits", 1));
    cluster.frames.extend(twice);
    cluster.settle();
    assert!(matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }));
    assert!(!cluster.events.iter().any(|(_, event)| matches!(event, Event::Violation { .. })));
    assert_eq!(cluster.links.len(), 2, "nobody hung up");
}

/// The follower has begun anew meanwhile, over the same connection.
#[test]
fn a_first_word_that_comes_after_the_next_one_begins_nothing_either() {
    let mut cluster = Cluster::new([settings("ANY 1 (*)"), settings("ANY 1 (*)")]);
    cluster.connect(A, B);
    let mut late = Vec::new();
    while let Some((link, bytes)) = cluster.frames.front().cloned() {
        late.push((link, bytes));
        cluster.deliver_one();
    }
    cluster.write(A, add("visits", 1));
    // What follows is lost for so long that the follower gives the conversation up.
    for _ in 0..12 {
        cluster.pass_without_delivery(Duration::from_millis(250));
        cluster.frames.clear();
    }
    cluster.settle();
    assert!(matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }));
    cluster.frames.extend(late);
    cluster.deliver();
    assert!(
        matches!(cluster.write(A, add("visits", 1)), CommitReply::Committed { .. }),
        "it is not given up"
    );
    assert!(!cluster.events.iter().any(|(_, event)| matches!(event, Event::Violation { .. })));
    assert_eq!(cluster.links.len(), 2, "nobody hung up");
}

#[test]
fn a_follower_whose_answer_was_lost_asks_again_whatever_signs_of_life_there_are() {
    let mut cluster = Cluster::new([settings("ANY 1 (*)"), settings("ANY 1 (*)")]);
    cluster.connect(A, B);
    let is_answer = |bytes: &[u8]| {
        matches!(wire::decode(bytes, &Limits::default()), Ok(Message::Ship(Ship::ToFollower(_))))
    };
    while !cluster.frames.front().is_some_and(|(_, bytes)| is_answer(bytes)) {
        assert!(cluster.deliver_one(), "it is answered");
    }
    cluster.frames.pop_front();
    cluster.settle();
    assert_eq!(cluster.leadership(B).follows, Some(id(A)));
}

#[test]
fn what_became_of_a_record_that_was_lost_is_not_told_of_the_one_in_its_place() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.nodes[A].disk_stalls = true;
    let Some(Reply::Commit(CommitReply::NotReplicated { written, epoch, durable_local: false, .. })) =
        cluster.give_up(add("visits", 1))
    else {
        panic!("its epoch is durable")
    };
    cluster.nodes[A].disk_stalls = false;
    cluster.restart(A);
    for other in [B, C] {
        cluster.connect(A, other);
    }
    cluster.settle();
    while cluster.leadership(A).committed < written.lsn {
        cluster.write(A, add("others", 1));
    }
    let asked = cluster.ask(A, Request::Fate { epoch, lsn: written.lsn });
    assert_eq!(cluster.answer(asked), Some(Reply::Fate(Fate::Unknown)));
    assert_eq!(cluster.count(A, "visits"), 0);
}

#[test]
fn nobody_is_told_of_an_epoch_that_may_begin_again() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.nodes[A].disk_stalls = true;
    cluster.restart(A);
    assert_eq!(cluster.give_up(add("visits", 1)), None, "what is known of it may be lost with its epoch");
    cluster.restart(A);
    cluster.nodes[A].disk_stalls = false;
    assert_eq!(cluster.leadership(A).leader, Some(id(A)), "it leads again");
}

#[test]
fn a_leader_that_lost_the_record_of_its_epoch_leads_under_another() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.settle();
    let epoch = cluster.leadership(A).epoch;
    let next = replication_log::Epoch::new(epoch.get() + 1);
    // What is left of the batch that the power cut in two.
    cluster.nodes[A].log.as_mut().unwrap().promise_epoch(next).unwrap();
    cluster.restart(A);
    assert!(cluster.leadership(A).epoch > next);
    assert_eq!(cluster.leadership(A).leader, Some(id(A)));
}

#[test]
fn what_is_committed_by_whoever_caught_up_is_shown_when_it_is_told() {
    let mut cluster = Cluster::of_three(&settings("FIRST 1 (b)"));
    cluster.write(A, add("visits", 1));
    cluster.disconnect(A, B);
    let asked = cluster.ask(A, Request::Write(add("visits", 10)));
    cluster.settle();
    cluster.connect(A, B);
    for _ in 0..100 {
        while cluster.deliver_one() {
            if let Some(Reply::Commit(reply)) = cluster.answer(asked) {
                assert!(matches!(reply, CommitReply::Committed { .. }), "{reply:?}");
                assert_eq!(cluster.count(A, "visits"), 11, "as soon as it is told");
                return;
            }
        }
        cluster.handle(A, Input::Timer);
        cluster.handle(B, Input::Timer);
        cluster.micros += 100_000;
    }
    panic!("b is back");
}

#[test]
fn writes_on_top_of_what_waits_are_later_whatever_the_clock_shows() {
    let set = |name: &str| {
        let action = Action::Set(Some(name.into()));
        vec![Write { collection: names().id(), key: "cat".into(), action }]
    };
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.pass(Duration::from_secs(30));
    for other in [B, C] {
        cluster.disconnect(A, other);
    }
    cluster.ask(A, Request::Write(set("Ann")));
    // The leader starts again, with a clock that goes after.
    cluster.micros -= 20_000_000;
    cluster.restart(A);
    let asked = cluster.ask(A, Request::Write(set("Bea")));
    assert_eq!(cluster.answer(asked), None, "it waits for followers");
}

#[test]
fn a_leader_whose_epoch_is_not_durable_does_not_give_up_on_followers_that_are_there() {
    let mut config = settings("ANY 1 (*)");
    config.commits.when_short = WhenShort::DegradeToAsync { after: Duration::from_secs(1) };
    let mut cluster = Cluster::of_three(&config);
    cluster.write(A, add("visits", 1));
    cluster.nodes[A].disk_stalls = true;
    cluster.restart(A);
    for other in [B, C] {
        cluster.connect(A, other);
    }
    cluster.pass(Duration::from_secs(3));
    let degraded = cluster.events.iter().filter(|(_, event)| matches!(event, Event::Commit(_))).count();
    assert_eq!(degraded, 0, "{:?}", cluster.events);
}

#[test]
fn who_is_ahead_of_whom_it_follows_waits_and_is_not_cut() {
    let config = settings("");
    let chained = config.clone().with_upstream(id(B));
    let mut cluster = Cluster::new([config.clone(), config, chained]);
    cluster.connect(A, B);
    cluster.connect(B, C);
    cluster.write(A, add("visits", 5));
    cluster.settle();
    assert_eq!(cluster.count(C, "visits"), 5);
    cluster.disconnect(A, B);
    cluster.disconnect(B, C);
    cluster.put_back(B, Lsn::new(2));
    cluster.connect(B, C);
    cluster.connect(A, C);
    cluster.settle();
    assert_eq!((cluster.count(C, "visits"), cluster.nodes[C].cut_off.len()), (5, 0));
    cluster.connect(A, B);
    cluster.settle();
    cluster.write(A, add("visits", 1));
    cluster.settle();
    assert_eq!((cluster.count(C, "visits"), cluster.nodes[C].cut_off.len()), (6, 0));
    assert!(cluster.logs_are_equal());
}
