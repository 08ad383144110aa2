//! A slot that fills the disk is the best known way to lose a leader (case 45).

use replication_log::{
    Lsn,
    ship::slot::{SlotLimits, SlotRules, SlotState, Why},
};

use crate::{
    common,
    tools::{Leader, SEGMENT_BYTES, seconds},
};

const LIMIT: u64 = 10 * SEGMENT_BYTES;

#[test]
fn a_dead_follower_costs_its_limit_and_one_segment_and_nobody_else_anything() {
    let mut leader = Leader::new(SlotLimits::none().soft_bytes(LIMIT / 2).bytes(LIMIT));
    leader.create("dead", "", seconds(0));
    leader.create("live", "", seconds(0));
    leader.slots.attach("live", seconds(0)).expect("created");

    let (mut written, mut received, mut most) = (0, Vec::new(), 0);
    let mut states = vec![SlotState::Reserved];
    while written < 10 * LIMIT {
        // Two of these leave a quarter of each segment empty, which the disk has to hold all the same.
        written += 1500;
        let last = leader.write(1500);
        most = most.max(leader.used_bytes());

        // The live one is a few records behind, as followers are.
        let confirmed = leader.slots.get("live").expect("created").confirmed();
        let next = confirmed.next().expect("small");
        if last.get() - confirmed.get() > 5 {
            let reader = leader.log.read_from(next).expect("it needs this record");
            received.extend(reader.into_iter().take(3).map(|record| record.expect("intact").lsn));
            leader.confirm("live", *received.last().expect("three more"));
        }
        leader.truncate(seconds(0)).expect("healthy");
        states.push(leader.state("dead"));
        most = most.max(leader.used_bytes());
    }

    assert!(most <= LIMIT + SEGMENT_BYTES, "{most} bytes of disk for a limit of {LIMIT}");
    assert!(most > LIMIT, "the dead follower was given up after {most} bytes of {LIMIT}");
    states.dedup();
    assert_eq!(states, [SlotState::Reserved, SlotState::Extended, SlotState::Lost]);
    let (reserved, extended) = (SlotState::Reserved, SlotState::Extended);
    let expected =
        [(reserved, extended), (extended, SlotState::Unreserved), (SlotState::Unreserved, SlotState::Lost)];
    let changes = leader.changes().into_iter().map(|(slot, from, to)| {
        assert_eq!(slot, "dead", "the live one never changes");
        (from, to)
    });
    assert!(changes.eq(expected), "every change of state is an event");

    assert!(received.iter().copied().eq((1..=received.len() as u64).map(Lsn::new)), "all of it, in order");
    assert!(received.len() as u64 > leader.log.last().get() - 10);
    assert_eq!(leader.state("live"), SlotState::Reserved);
}

#[test]
fn without_a_limit_a_dead_follower_keeps_everything() {
    let mut leader = Leader::new(SlotLimits::none());
    leader.create("dead", "", seconds(0));
    for second in 0..100 {
        leader.write(1500);
        leader.truncate(seconds(1000 * second)).expect("healthy");
    }
    assert_eq!((leader.log.oldest(), leader.state("dead")), (Lsn::FIRST, SlotState::Reserved));
    assert_eq!(leader.used_bytes(), 50 * SEGMENT_BYTES);
}

#[test]
fn a_follower_that_catches_up_before_the_truncation_is_kept_for_again() {
    let mut leader = Leader::new(SlotLimits::none().bytes(LIMIT));
    leader.create("slow", "", seconds(0));
    for _ in 0..30 {
        leader.write(1500);
    }
    leader.slots.assess(seconds(1), &leader.log);
    assert_eq!(leader.state("slow"), SlotState::Unreserved);
    let kept = leader.slots.get("slow").expect("created").kept_bytes();
    assert_eq!(leader.slots.get("slow").expect("created").why(), Why::Bytes { kept, limit: LIMIT });

    leader.confirm("slow", Lsn::new(28));
    assert_eq!(leader.truncate(seconds(2)).expect("healthy").lost, Vec::<String>::new());
    assert_eq!((leader.state("slow"), leader.log.oldest()), (SlotState::Reserved, Lsn::new(29)));
    let (reserved, unreserved) = (SlotState::Reserved, SlotState::Unreserved);
    let there_and_back =
        [("slow".to_string(), reserved, unreserved), ("slow".to_string(), unreserved, reserved)];
    assert_eq!(leader.changes(), there_and_back);
}

#[test]
fn a_limit_smaller_than_a_segment_drops_no_record_that_could_not_be_dropped_anyway() {
    let mut leader = Leader::new(SlotLimits::none().bytes(1));
    leader.create("slow", "", seconds(0));
    leader.write(1500);
    leader.truncate(seconds(1)).expect("healthy");
    assert_eq!(leader.state("slow"), SlotState::Unreserved, "it is over, but the active segment stays");
    leader.write(1500);
    leader.write(1500);
    assert_eq!(leader.truncate(seconds(2)).expect("healthy").lost, ["slow"]);
}

#[test]
fn a_record_is_kept_for_its_age_at_most() {
    let mut leader = Leader::new(SlotLimits::none().age(seconds(60)));
    leader.create("slow", "", seconds(0));
    for second in 1..=100 {
        leader.write(1500);
        // It confirms each record fifty seconds after it was written, and stops at record 40.
        leader.confirm("slow", Lsn::new(u64::saturating_sub(second, 50).min(40)));
        leader.truncate(seconds(second)).expect("healthy");
        assert_eq!(leader.state("slow"), SlotState::Reserved, "second {second}");
    }
    assert_eq!(leader.slots.get("slow").expect("created").age(), seconds(100 - 41));
    leader.truncate(seconds(101)).expect("healthy");
    assert_eq!(leader.state("slow"), SlotState::Reserved, "sixty seconds exactly");
    assert_eq!(leader.truncate(seconds(102)).expect("healthy").lost, ["slow"]);
}

#[test]
fn nothing_is_kept_for_long_while_nobody_is_there() {
    let mut leader = Leader::new(SlotLimits::none().idle(seconds(60)));
    leader.create("away", "", seconds(0));
    leader.create("there", "", seconds(0));
    leader.slots.attach("there", seconds(0)).expect("created");
    leader.slots.attach("away", seconds(0)).expect("created");
    leader.slots.detach("away", seconds(10));
    for second in 1..=70 {
        leader.write(1500);
        leader.truncate(seconds(second)).expect("healthy");
        assert_eq!(leader.state("away"), SlotState::Reserved, "second {second}");
    }
    leader.slots.assess(seconds(71), &leader.log);
    assert_eq!(leader.state("away"), SlotState::Unreserved);
    leader.slots.attach("away", seconds(72)).expect("its records are still there");
    leader.slots.assess(seconds(72), &leader.log);
    assert_eq!(leader.state("away"), SlotState::Reserved, "it came back in time");

    leader.slots.detach("away", seconds(80));
    leader.confirm("there", leader.log.durable());
    assert_eq!(leader.truncate(seconds(141)).expect("healthy").lost, ["away"]);
    assert_eq!(leader.state("there"), SlotState::Reserved, "silent for just as long, but there");
}

#[test]
fn an_idle_follower_that_needs_nothing_loses_nothing_on_an_idle_leader() {
    let mut leader = Leader::new(SlotLimits::none().idle(seconds(60)).age(seconds(60)));
    leader.write(1500);
    leader.create("away", "", seconds(0));
    for day in 1..=30 {
        leader.truncate(seconds(86_400 * day)).expect("healthy");
    }
    let slot = leader.slots.get("away").expect("created");
    assert_eq!((slot.state(), slot.age(), slot.kept_bytes()), (SlotState::Unreserved, seconds(0), 0));
    leader.slots.attach("away", seconds(86_400 * 31)).expect("nothing it needs is gone");
}

#[test]
fn a_slot_beyond_its_limits_is_not_lost_by_a_truncation_of_what_it_has() {
    let mut leader = Leader::new(SlotLimits::none().idle(seconds(60)));
    for _ in 0..10 {
        leader.write(1500);
    }
    leader.create("away", "", seconds(0));
    leader.write(1500);
    let report =
        leader.slots.truncate(seconds(61), &mut leader.log, &leader.file, Lsn::new(8)).expect("healthy");
    assert_eq!((report.oldest, report.lost), (Lsn::new(7), Vec::<String>::new()));
    assert_eq!(leader.state("away"), SlotState::Unreserved);
}

#[test]
fn a_class_has_limits_of_its_own() {
    let rules = SlotRules::new(SlotLimits::none().bytes(LIMIT))
        .class("analytics", SlotLimits::none().bytes(2 * SEGMENT_BYTES));
    let mut leader = Leader::new(rules);
    leader.create("reports", "analytics", seconds(0));
    leader.create("standby", "", seconds(0));
    for _ in 0..8 {
        leader.write(1500);
    }
    leader.truncate(seconds(0)).expect("healthy");
    let states = [leader.state("reports"), leader.state("standby")];
    assert_eq!(states, [SlotState::Unreserved, SlotState::Reserved], "kept for the other one anyway");
    leader.confirm("standby", Lsn::new(8));
    assert_eq!(leader.truncate(seconds(0)).expect("healthy").lost, ["reports"]);
    assert_eq!(common::records(&leader.log).len(), 2);
}
