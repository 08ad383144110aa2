//! Who is followed: the leader of the latest epoch, and nobody of an older one ever again.

use replication_log::{
    Epoch, Lsn,
    ship::{ReceiveError, ReceiverOptions, SenderEvent, Stage, wire::Refusal},
};

use crate::nodes::{Follower, Leader, connect, follow, settle};

#[test]
fn a_follower_has_what_its_leader_has_and_says_so_stage_by_stage() {
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    let mut follower = Follower::new("b");
    let mut sender = connect(&leader, &mut follower).expect("followed");
    let events = settle(&leader, &mut sender, &mut follower);
    assert!(matches!(events[0], SenderEvent::Ready(marks) if marks.at(Stage::Received) == Lsn::ZERO));
    let marks = sender.marks();
    let at = |stage| marks.at(stage).get();
    assert_eq!((at(Stage::Received), at(Stage::Flushed), at(Stage::Applied)), (1, 1, 0), "not committed yet");

    leader.commit = Lsn::new(1);
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(sender.marks().at(Stage::Applied), Lsn::new(1));
    leader.write("bread");
    leader.commit = leader.write("wine");
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(sender.marks().at(Stage::Applied), Lsn::new(3));
    assert_eq!(follower.texts(), ["milk", "bread", "wine"]);
    assert_eq!(follower.log.checksum(), leader.log.checksum());
}

/// What is not durable at the leader is not shipped: else a follower would outlive its leader's own state.
#[test]
fn nothing_is_shipped_ahead_of_the_leaders_disk() {
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    leader.write_unsynced("only in memory");
    let mut follower = Follower::new("b");
    let mut sender = connect(&leader, &mut follower).expect("followed");
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(follower.texts(), ["milk"]);
    leader.log.sync().expect("healthy");
    settle(&leader, &mut sender, &mut follower);
    assert_eq!(follower.texts(), ["milk", "only in memory"]);
}

/// Case 27: an old leader ships entries after a newer epoch was seen. The follower's bytes are unchanged, also after
/// it restarted.
#[test]
fn an_old_leader_is_fenced_also_after_the_follower_restarted() {
    let mut old = Leader::new("a", 1);
    old.write("milk");
    let mut follower = Follower::new("c");
    let mut stale = follow(&old, &mut follower);

    let mut new = Leader::new("b", 1);
    new.write("milk");
    new.promote(2);
    new.write("bread");
    let _ = follow(&new, &mut follower);
    let before = crate::common::image(&follower.disk);

    // On the connection that it still has, which the follower has left.
    old.write("too late");
    for frame in old.feed(&mut stale, core::time::Duration::ZERO) {
        assert!(follower.take(&frame).is_empty());
    }
    // On a new one.
    let hello = follower.hello();
    let have = Epoch::new(2);
    assert_eq!(old.answer(&hello).expect_err("fenced"), Refusal::Fenced { have, got: Epoch::new(1) });
    assert_eq!(crate::common::image(&follower.disk), before);

    drop(follower.log);
    let mut follower = Follower::of(ReceiverOptions::new("c"), follower.disk);
    let hello = follower.hello();
    assert_eq!(old.answer(&hello).expect_err("fenced"), Refusal::Fenced { have, got: Epoch::new(1) });
    assert_eq!(follower.texts(), ["milk", "bread"]);
}

/// The follower does not rely on the leader noticing.
#[test]
fn a_leader_that_does_not_mind_its_epoch_is_refused_by_the_follower() {
    let mut old = Leader::new("a", 1);
    old.write("milk");
    let mut follower = Follower::new("c");
    follower.log.promise_epoch(Epoch::new(2)).expect("granted");
    let mut follower = Follower::of(ReceiverOptions::new("c"), follower.disk);
    // It answers a first word in which its own epoch stood.
    let mut ignorant = Follower::new("c");
    let hello = ignorant.hello();
    let mut sender = old.answer(&hello).expect("it does not know better");
    follower.hello();
    let welcome = sender.poll(core::time::Duration::ZERO).expect("an answer");
    let fenced = Refusal::Fenced { have: Epoch::new(2), got: Epoch::new(1) };
    assert_eq!(follower.receiver.handle(&welcome), Err(ReceiveError::Refused(fenced.clone())));
    let refusal = follower.receiver.poll().expect("the leader is told");
    let event = sender.handle(core::time::Duration::ZERO, &refusal);
    assert_eq!(event, Ok(SenderEvent::Refused(fenced)));
    assert!(sender.is_over());
}

/// A follower that has promised a later epoch to somebody, for an election, takes nothing more of the leader it has,
/// whose frames still arrive.
#[test]
fn a_promise_ends_the_conversation_with_the_leader_of_before() {
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    let mut follower = Follower::new("b");
    let mut sender = follow(&leader, &mut follower);
    leader.write("too late");
    let frame = leader.feed(&mut sender, core::time::Duration::ZERO).swap_remove(0);
    follower.log.promise_epoch(Epoch::new(2)).expect("later");
    follower.receiver.promised(Epoch::new(2));
    let fenced = Refusal::Fenced { have: Epoch::new(2), got: Epoch::new(1) };
    assert_eq!(follower.receiver.handle(&frame), Err(ReceiveError::Refused(fenced.clone())));
    let refusal = follower.receiver.poll().expect("the leader is told");
    let event = sender.handle(core::time::Duration::ZERO, &refusal);
    assert_eq!(event, Ok(SenderEvent::Refused(fenced)));
    assert_eq!(follower.texts(), ["milk"]);
    assert_eq!(follower.receiver.handle(&frame), Ok(replication_log::ship::Step::Stray), "it is over");
}

/// Case 28: two nodes lead under one epoch, by mistake. The follower stays with the first.
#[test]
fn two_leaders_of_one_epoch_are_told_apart() {
    let (mut one, mut other) = (Leader::new("a", 1), Leader::new("b", 1));
    one.write("milk");
    other.write("milk");
    let mut follower = Follower::new("c");
    let _ = follow(&one, &mut follower);
    let mut sender = connect(&other, &mut follower).expect("the other does not know");
    let welcome = sender.poll(core::time::Duration::ZERO).expect("an answer");
    let rival = Refusal::RivalLeader { epoch: Epoch::new(1), leader: "a".into() };
    assert_eq!(follower.receiver.handle(&welcome), Err(ReceiveError::Refused(rival)));
}

/// A follower sends on what it has, in the name of the leader whose log it is.
#[test]
fn followers_can_be_chained() {
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    leader.commit = Lsn::new(1);
    let mut middle = Follower::new("b");
    let mut to_middle = follow(&leader, &mut middle);
    let mut last = Follower::new("c");
    let mut relay = Leader {
        name: "a",
        epoch: leader.epoch,
        disk: middle.disk.clone(),
        log: middle.log,
        commit: Lsn::ZERO,
    };
    let mut to_last = follow(&relay, &mut last);

    leader.write("bread");
    leader.commit = Lsn::new(2);
    middle.log = relay.log;
    settle(&leader, &mut to_middle, &mut middle);
    (relay.log, relay.commit) = (middle.log, middle.receiver.committed());
    settle(&relay, &mut to_last, &mut last);
    assert_eq!(last.texts(), ["milk", "bread"]);
    assert_eq!(last.receiver.leader(), Some(("a", Epoch::new(1))));
    assert_eq!((last.receiver.committed(), last.log.checksum()), (Lsn::new(2), leader.log.checksum()));
}
