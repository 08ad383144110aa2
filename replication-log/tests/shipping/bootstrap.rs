//! Followers that begin with a snapshot, because what they lack is no longer in the log.

use replication_log::{
    Lsn,
    ship::{ReceiverOptions, SenderEvent, wire::Refusal},
    snapshot::Snapshots,
    storage::FaultStorage,
};

use crate::nodes::{Follower, Leader, connect, follow, settle, texts};

/// The state a follower would have that has applied everything: here, the texts themselves.
fn photograph(leader: &Leader, lsn: u64) -> String {
    let state = texts(&leader.log)[..usize::try_from(lsn).expect("small")].join("\n");
    let snapshots = Snapshots::open(leader.disk.clone()).expect("healthy");
    let mut writer = snapshots.begin(&leader.log, Lsn::new(lsn)).expect("a boundary");
    writer.write(state.as_bytes()).expect("healthy");
    writer.finish().expect("healthy");
    state
}

/// A leader whose log begins behind record 30, and the state as of there.
fn truncated() -> (Leader, String) {
    let mut leader = Leader::new("a", 1);
    for number in 1..=40 {
        leader.write(&format!("{number}: {}", "x".repeat(100)));
    }
    let state = photograph(&leader, 30);
    leader.log.truncate_before(Lsn::new(31)).expect("healthy");
    assert!(leader.log.oldest() > Lsn::new(1));
    (leader, state)
}

/// Case 49: a snapshot and what follows it make the same follower as everything from the beginning.
#[test]
fn a_new_follower_begins_with_a_snapshot_and_ends_with_the_same_log() {
    let (leader, state) = truncated();
    let mut follower = Follower::new("b");
    let mut sender = connect(&leader, &mut follower).expect("followed");
    let events = settle(&leader, &mut sender, &mut follower);
    assert!(events.iter().any(|event| matches!(event, SenderEvent::Installed(_))));
    assert_eq!(follower.state, state.as_bytes());
    assert_eq!(follower.texts(), texts(&leader.log)[texts(&leader.log).len() - 10..]);
    assert_eq!(follower.log.last_position(), leader.log.last_position());
}

#[test]
fn one_that_is_only_a_little_behind_does_not_need_it() {
    let mut leader = Leader::new("a", 1);
    let mut follower = Follower::new("b");
    for number in 1..=40 {
        leader.write(&format!("{number}: {}", "x".repeat(100)));
        if number == 38 {
            let _ = follow(&leader, &mut follower);
        }
    }
    photograph(&leader, 30);
    leader.log.truncate_before(Lsn::new(31)).expect("healthy");
    let _ = follow(&leader, &mut follower);
    assert!(follower.state.is_empty() && follower.texts().len() == 40);
}

#[test]
fn without_a_snapshot_the_leader_says_what_it_has() {
    let (leader, _) = truncated();
    let snapshots = Snapshots::open(leader.disk.clone()).expect("healthy");
    snapshots.remove_before(Lsn::new(99)).expect("healthy");
    let oldest = leader.log.oldest();
    let mut follower = Follower::new("b");
    assert_eq!(connect(&leader, &mut follower).expect_err("nothing"), Refusal::NothingToBeginWith { oldest });
}

/// The leader says how far it is committed while a snapshot is under way: that is not said of the log that is there
/// still, which may be another one.
#[test]
fn what_is_committed_is_not_said_of_a_log_that_a_snapshot_is_about_to_replace() {
    let mut former = Leader::new("z", 1);
    for number in 1..=5 {
        former.write(&format!("{number}: seen by nobody"));
    }
    let mut follower = Follower::new("b");
    let _ = follow(&former, &mut follower);
    let (mut leader, _) = truncated();
    leader.promote(2);
    leader.commit = leader.log.durable();
    let mut sender = connect(&leader, &mut follower).expect("with a snapshot");
    let now = core::time::Duration::ZERO;
    let welcome = leader.feed(&mut sender, now).swap_remove(0);
    follower.take(&welcome);
    let later = core::time::Duration::from_secs(60);
    let alive = core::iter::from_fn(|| sender.poll(later)).last().expect("a sign of life");
    follower.take(&alive);
    assert_eq!(follower.receiver.committed(), Lsn::ZERO);
}

/// A connection that breaks while a snapshot is under way costs what was sent; the next one begins it anew.
#[test]
fn a_snapshot_that_was_interrupted_is_sent_again() {
    let (leader, state) = truncated();
    let mut follower = Follower::new("b");
    let mut sender = connect(&leader, &mut follower).expect("followed");
    let now = core::time::Duration::ZERO;
    // The answer, and the parts that may be under way at a time, of which two arrive.
    let welcome = leader.feed(&mut sender, now).swap_remove(0);
    for report in follower.take(&welcome) {
        sender.handle(now, &report).expect("sound");
    }
    for part in &leader.feed(&mut sender, now)[..2] {
        follower.take(part);
    }
    assert_eq!(follower.state.len(), 200);
    follower.receiver.apart();
    follower.state.clear();
    let mut sender = connect(&leader, &mut follower).expect("followed");
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(
        (follower.state.as_slice(), follower.log.checksum()),
        (state.as_bytes(), leader.log.checksum())
    );
}

/// However large it is: no more of a snapshot is under way than the follower takes, and one part.
#[test]
fn no_more_of_a_snapshot_is_under_way_than_the_follower_takes() {
    let (leader, state) = truncated();
    let options = ReceiverOptions::new("b").window(1000);
    let mut follower = Follower::of(options, FaultStorage::new());
    let mut sender = connect(&leader, &mut follower).expect("followed");
    let now = core::time::Duration::ZERO;
    let mut frames = leader.feed(&mut sender, now);
    let mut most = 0;
    while let Some(frame) = (!frames.is_empty()).then(|| frames.remove(0)) {
        for answer in follower.take(&frame) {
            sender.handle(now, &answer).expect("sound");
        }
        frames.extend(leader.feed(&mut sender, now));
        most = most.max(frames.len());
    }
    assert_eq!(follower.state, state.as_bytes());
    assert!(state.len() > 3000 && most <= 11, "{most} parts of 100 bytes were under way");
}

/// A snapshot of no bytes has arrived when it is offered.
#[test]
fn a_snapshot_may_be_empty() {
    let mut leader = Leader::new("a", 1);
    for _ in 0..20 {
        leader.write(&"x".repeat(300));
    }
    let snapshots = Snapshots::open(leader.disk.clone()).expect("healthy");
    snapshots.begin(&leader.log, Lsn::new(20)).expect("a boundary").finish().expect("healthy");
    leader.log.truncate_before(Lsn::new(20)).expect("healthy");
    let offer = leader.offer().expect("one");
    assert_eq!(offer.bytes, 0);
    let mut follower = Follower::new("b");
    let mut sender = connect(&leader, &mut follower).expect("followed");
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(follower.log.last_position(), leader.log.last_position());
}
