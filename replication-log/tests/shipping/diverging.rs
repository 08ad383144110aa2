//! Logs that have parted: where, and what becomes of the part that is nobody else's.

use core::time::Duration;

use replication_log::{
    Epoch, Lsn, ReadError,
    ship::{
        AnswerError, HistoryView, ReceiveError, Sender,
        wire::{Refusal, Stream, ToLeader},
    },
};

use crate::nodes::{Follower, Leader, connect, follow, settle};

/// A leader that was cut off with a write that nobody else has comes back as a follower. Its write is cut, kept aside,
/// and it goes on behind what both have.
#[test]
fn a_returned_leader_gives_up_what_is_only_its_own() {
    let mut old = Leader::new("a", 1);
    old.write("milk");
    let mut follower = Follower::new("b");
    let _ = follow(&old, &mut follower);
    old.write("written and never shipped");

    let mut new =
        Leader { name: "b", epoch: Epoch::new(1), disk: follower.disk, log: follower.log, commit: Lsn::ZERO };
    new.promote(2);
    new.write("bread");
    drop(old.log);
    let mut returned = Follower::of(replication_log::ship::ReceiverOptions::new("a"), old.disk);
    let _ = follow(&new, &mut returned);
    assert_eq!(returned.texts(), ["milk", "bread"]);
    assert_eq!(returned.kept_aside, [b"written and never shipped".to_vec()]);
    assert_eq!(returned.log.checksum(), new.log.checksum());
}

/// KIP-101: cutting to the high watermark loses what is committed. A follower that restarts before it has heard that
/// its last record is committed keeps it, for its leader has it.
#[test]
fn a_follower_that_does_not_know_its_last_record_to_be_committed_keeps_it() {
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    let mut follower = Follower::new("b");
    let _ = follow(&leader, &mut follower);
    assert_eq!(follower.receiver.committed(), Lsn::ZERO);
    leader.commit = Lsn::new(1);
    drop(follower.log);
    let mut restarted = Follower::of(replication_log::ship::ReceiverOptions::new("b"), follower.disk);
    let mut sender = connect(&leader, &mut restarted).expect("followed");
    settle(&leader, &mut sender, &mut restarted);
    assert_eq!((restarted.texts(), restarted.kept_aside.len()), (vec!["milk".into()], 0));
}

/// KIP-279: after two failovers the follower's newest epoch is one that the leader has never seen. The largest epoch
/// that both know of decides, not the end of the leader's last one.
#[test]
fn two_failovers_in_a_row_are_no_different() {
    let mut first = Leader::new("a", 1);
    first.write("one");
    let (mut b, mut c) = (Follower::new("b"), Follower::new("c"));
    let _ = follow(&first, &mut b);
    let _ = follow(&first, &mut c);
    first.write("two, of epoch 1, seen by b only");
    let _ = follow(&first, &mut b);

    // c leads under epoch 2, reaches nobody, and b leads under epoch 3.
    let mut c = Leader { name: "c", epoch: Epoch::new(1), disk: c.disk, log: c.log, commit: Lsn::ZERO };
    c.promote(2);
    c.write("two, of epoch 2");
    c.write("three, of epoch 2");
    let mut b = Leader { name: "b", epoch: Epoch::new(1), disk: b.disk, log: b.log, commit: Lsn::ZERO };
    b.promote(3);
    b.write("three, of epoch 3");

    drop(c.log);
    let mut c = Follower::of(replication_log::ship::ReceiverOptions::new("c"), c.disk);
    let _ = follow(&b, &mut c);
    assert_eq!(c.texts(), ["one", "two, of epoch 1, seen by b only", "three, of epoch 3"]);
    assert_eq!(c.kept_aside, [b"two, of epoch 2".to_vec(), b"three, of epoch 2".to_vec()]);
}

/// Case 31: what is committed is never cut. The follower says why it does not go on, and nothing is changed.
#[test]
fn a_follower_refuses_to_cut_what_it_has_applied() {
    let mut old = Leader::new("a", 1);
    old.write("milk");
    old.commit = old.write("applied at the follower");
    let mut follower = Follower::new("b");
    let _ = follow(&old, &mut follower);
    let before = crate::common::image(&follower.disk);

    // An operator made somebody the leader who lacks the second record.
    let mut wrong = Leader::new("c", 1);
    wrong.write("milk");
    wrong.promote(2);
    wrong.write("bread");
    let mut sender = connect(&wrong, &mut follower).expect("it does not know");
    let welcome = sender.poll(Duration::ZERO).expect("an answer");
    let diverged = Refusal::Diverged { common: Lsn::new(1), floor: Lsn::new(2) };
    assert_eq!(follower.receiver.handle(&welcome), Err(ReceiveError::Refused(diverged)));
    assert_eq!(crate::common::image(&follower.disk), before);
}

/// Two histories under one epoch and the same numbers: epochs say nothing, the checksums do.
#[test]
fn another_history_under_the_same_epoch_is_noticed() {
    let (mut one, mut other) = (Leader::new("a", 1), Leader::new("a", 1));
    one.write("milk");
    other.write("wine");
    other.write("bread");
    let mut follower = Follower::new("b");
    let _ = follow(&one, &mut follower);
    // One record here, two there: the follower's end lies within the leader's log, with another checksum.
    let oldest = Lsn::new(1);
    assert_eq!(
        connect(&other, &mut follower).expect_err("no snapshot"),
        Refusal::NothingToBeginWith { oldest }
    );
    assert_eq!(follower.texts(), ["milk"]);
}

/// That the place where two logs part cannot be read is not that there is none: whoever hears that nothing is left to
/// go on with may give up a log that is whole, and the damaged one may be all that stays.
#[test]
fn a_leader_that_cannot_read_where_the_logs_part_does_not_say_that_there_is_no_such_place() {
    let mut leader = Leader::new("a", 1);
    let mut follower = Follower::new("b");
    leader.write("bread");
    leader.write("milk");
    let _ = follow(&leader, &mut follower);
    (0..200).for_each(|_| _ = leader.write_unsynced("written meanwhile"));
    leader.log.sync().expect("healthy");

    let rots = |(name, bytes): (String, Vec<u8>)| {
        let milk = bytes.windows(4).position(|text| text == b"milk")?;
        leader.disk.flip_bit(&name, 8 * milk);
        Some(name)
    };
    crate::common::image(&leader.disk).into_iter().find_map(rots).expect("it is written");

    let ToLeader::Hello(hello) = ToLeader::decode(&follower.hello()).expect("whole") else {
        panic!("it greets")
    };
    let Stream::Copy { ends, .. } = &hello.wants else { panic!("it copies") };
    let answer = Sender::answer(leader.options(), Duration::ZERO, &hello, &leader.log, None);
    assert!(matches!(answer, Err(AnswerError::Log(ReadError::Corrupt(_)))), "{answer:?}");
    let view = HistoryView::read(&leader.log, ends);
    assert!(matches!(view, Err(ReadError::Corrupt(_))), "{view:?}");
}
