//! A disk that reports errors while slots are written.

use replication_log::{
    Lsn,
    ship::slot::{Extent, Slot, SlotLimits, SlotState, TruncateSlotsError},
    storage::{FaultStorage, StorageErrorKind, Survivors},
};

use crate::tools::{FILE, Leader, SEGMENT_BYTES, seconds};

/// A leader of twenty records and a slot that has confirmed all of them in memory and none in its file.
fn leader() -> Leader {
    let mut leader = Leader::new(SlotLimits::none());
    leader.create("live", "", seconds(0));
    for _ in 0..20 {
        leader.write(1500);
    }
    leader.confirm("live", Lsn::new(20));
    leader
}

#[test]
fn nothing_is_dropped_on_the_strength_of_slots_that_could_not_be_written() {
    let mut leader = leader();
    leader.disk.fail_syncs(1);
    let Err(TruncateSlotsError::Save(_)) = leader.truncate(seconds(0)) else { panic!("the error got lost") };
    assert_eq!((leader.log.oldest(), leader.slots.retain_from()), (Lsn::FIRST, Some(Lsn::FIRST)));
    let report = leader.truncate(seconds(0)).expect("the disk is healthy again");
    assert_eq!((report.saved, report.oldest), (true, Lsn::new(19)));

    let disk = leader.disk.clone();
    drop(leader);
    disk.crash(Survivors::NOTHING);
    let leader = Leader::on(&disk, SlotLimits::none(), seconds(0));
    assert_eq!(leader.slots.get("live").map(Slot::confirmed), Some(Lsn::new(20)));
    assert_eq!(leader.state("live"), SlotState::Reserved);
}

#[test]
fn a_slot_that_would_have_been_lost_is_not_when_that_could_not_be_written() {
    let mut leader = Leader::new(SlotLimits::none().bytes(3 * SEGMENT_BYTES));
    leader.create("slow", "", seconds(0));
    for _ in 0..20 {
        leader.write(1500);
    }
    leader.disk.limit_space(Some(0));
    let Err(TruncateSlotsError::Save(error)) = leader.truncate(seconds(0)) else { panic!("no error") };
    assert_eq!((error.kind, leader.state("slow")), (StorageErrorKind::NoSpace, SlotState::Unreserved));
    assert_eq!(leader.disk.bytes("replication.slots.new"), None, "nothing is left behind");
    leader.confirm("slow", Lsn::new(18));
    leader.disk.limit_space(None);
    assert_eq!(leader.truncate(seconds(0)).expect("room again").lost, Vec::<String>::new());
    assert_eq!(leader.state("slow"), SlotState::Reserved);
}

#[test]
fn after_an_error_both_versions_of_the_slots_count_until_one_is_certain() {
    // A disk that stops before each operation of writing the slots, and comes back without a crash.
    for operations in 0..5 {
        let mut leader = leader();
        leader.disk.stop_after(operations);
        leader.file.save(&mut leader.slots).expect_err("the disk stopped");
        leader.disk.resume();
        assert_eq!(leader.slots.retain_from(), Some(Lsn::FIRST), "after {operations}: it may be the old one");
        let disk: FaultStorage = leader.disk.clone();
        assert_eq!(leader.file.save(&mut leader.slots), Ok(true), "after {operations}");
        assert_eq!(leader.slots.retain_from(), Some(Lsn::new(21)));
        assert_eq!(disk.bytes(FILE), Some(leader.slots.encode()));
    }
}

#[test]
fn a_version_of_the_slots_that_may_have_been_written_counts_too() {
    let mut leader = leader();
    leader.file.save(&mut leader.slots).expect("healthy");
    // Back to record 3, by slots of which nobody knows whether their name is durable, and forth again.
    leader.slots.reset("live", Lsn::new(3), Extent::of(&leader.log), seconds(0)).expect("it is there");
    leader.disk.stop_after(4);
    leader.file.save(&mut leader.slots).expect_err("the directory was not synced");
    leader.disk.resume();
    leader.confirm("live", Lsn::new(20));
    assert_eq!(leader.slots.retain_from(), Some(Lsn::new(4)), "which a crash may bring back");
    leader.disk.crash(Survivors::EVERYTHING);
    let leader = Leader::on(&leader.disk, SlotLimits::none(), seconds(0));
    assert_eq!(leader.slots.get("live").map(Slot::confirmed), Some(Lsn::new(3)));
}

#[test]
fn a_poisoned_log_loses_no_slot() {
    let mut leader = Leader::new(SlotLimits::none().bytes(3 * SEGMENT_BYTES));
    leader.create("slow", "", seconds(0));
    for _ in 0..19 {
        leader.write(1500);
    }
    leader.log.append(&crate::common::batch(0, 99, &[10])).expect("fits");
    leader.disk.fail_syncs(1);
    leader.log.sync().expect_err("ordered");
    let before = leader.disk.bytes(FILE);
    assert!(matches!(leader.truncate(seconds(0)), Err(TruncateSlotsError::Log(_))));
    assert_eq!((leader.state("slow"), leader.disk.bytes(FILE)), (SlotState::Unreserved, before));
}
