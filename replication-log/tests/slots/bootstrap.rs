//! The way back of a follower whose slot is lost.

use replication_log::{
    Log, LogOptions, Lsn,
    ship::slot::{AttachError, Extent, OutsideLog, ResetError, Slot, SlotFile, SlotLimits, SlotState},
    snapshot::Snapshots,
    storage::{FileStorage, MemoryStorage},
};

use crate::{
    common,
    tools::{Leader, SEGMENT_BYTES, seconds},
};

#[test]
fn a_lost_follower_begins_anew_from_a_snapshot_and_goes_on_from_there() {
    let mut leader = Leader::new(SlotLimits::none().bytes(3 * SEGMENT_BYTES));
    leader.create("lost", "", seconds(0));
    for _ in 0..20 {
        leader.write(1500);
        leader.truncate(seconds(1)).expect("healthy");
    }
    assert_eq!(leader.slots.attach("lost", seconds(2)), Err(AttachError::Lost));
    let refused = leader.slots.reset("lost", Lsn::ZERO, Extent::of(&leader.log), seconds(2));
    let (needed, oldest) = (Lsn::FIRST, leader.log.oldest());
    assert_eq!(refused, Err(ResetError::Outside(OutsideLog::Gone { needed, oldest })));

    // The slot holds what is behind the snapshot before the snapshot is on its way.
    let snapshots = Snapshots::open(leader.disk.clone()).expect("healthy");
    let taken = leader.log.durable();
    let writer = snapshots.begin(&leader.log, taken).expect("durable");
    let identity = writer.identity();
    writer.finish().expect("healthy");
    leader.slots.reset("lost", taken, Extent::of(&leader.log), seconds(3)).expect("all of it is there");
    leader.file.save(&mut leader.slots).expect("healthy");
    assert_eq!(leader.state("lost"), SlotState::Reserved);
    for _ in 0..4 {
        leader.write(1500);
        leader.truncate(seconds(4)).expect("healthy");
    }

    let options = LogOptions::new(0xcafe).starts_after(identity.position);
    let (mut copy, _) = Log::open(MemoryStorage::new(), options).expect("new");
    let behind = leader.slots.attach("lost", seconds(5)).expect("it is none of the lost any more");
    assert_eq!(behind, copy.last());
    for record in leader.log.read_from(behind.next().expect("small")).expect("kept") {
        let record = record.expect("intact");
        copy.append_record(leader.log.epoch(), record.kind, &record.payload).expect("fits");
    }
    copy.sync().expect("healthy");
    assert_eq!((copy.last(), copy.checksum()), (leader.log.last(), leader.log.checksum()));
    assert_eq!(common::records(&copy).len(), 4);
}

#[test]
fn a_slot_that_was_lost_is_lost_after_a_restart_too() {
    let limits = SlotLimits::none().bytes(3 * SEGMENT_BYTES);
    let mut leader = Leader::new(limits);
    leader.create("lost", "", seconds(0));
    while leader.state("lost") != SlotState::Lost {
        leader.write(1500);
        leader.truncate(seconds(1)).expect("healthy");
    }
    let disk = leader.disk.clone();
    drop(leader);
    let leader = Leader::on(&disk, SlotLimits::none(), seconds(0));
    assert_eq!((leader.state("lost"), leader.slots.retain_from()), (SlotState::Lost, None));
}

#[test]
fn ages_and_idle_times_count_from_a_restart() {
    let limits = SlotLimits::none().age(seconds(60)).idle(seconds(60));
    let mut leader = Leader::new(limits);
    leader.create("slow", "", seconds(0));
    leader.write(1500);
    leader.slots.assess(seconds(50), &leader.log);
    let disk = leader.disk.clone();
    drop(leader);

    // The next process counts its time from somewhere else.
    let mut leader = Leader::on(&disk, limits, seconds(7));
    leader.slots.assess(seconds(67), &leader.log);
    assert_eq!(leader.slots.get("slow").map(Slot::age), Some(seconds(60)));
    assert_eq!(leader.state("slow"), SlotState::Reserved);
    leader.slots.assess(seconds(68), &leader.log);
    assert_eq!(leader.state("slow"), SlotState::Unreserved);
}

#[test]
fn slots_live_beside_their_log_in_a_real_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || {
        let storage = FileStorage::open(directory.path()).expect("nobody else has it");
        let options = LogOptions::new(0x5eed).segment_bytes(SEGMENT_BYTES).preallocate_bytes(SEGMENT_BYTES);
        let (log, _) = Log::open(storage.clone(), options).expect("intact");
        let file = SlotFile::open(storage).expect("healthy");
        let slots = file.load(&log, SlotLimits::none(), seconds(0)).expect("intact");
        (log, file, slots)
    };
    let (mut log, file, mut slots) = open();
    slots.create("b", "", Lsn::ZERO, Extent::of(&log), seconds(0)).expect("room");
    for label in 0..10 {
        log.append(&common::batch(0, label, &[1500])).expect("fits");
    }
    let durable = log.sync().expect("healthy");
    slots.confirm("b", Lsn::new(6), durable).expect("durable");
    let report = slots.truncate(seconds(0), &mut log, &file, durable).expect("healthy");
    assert_eq!((report.saved, report.oldest), (true, Lsn::new(7)));
    drop((log, file, slots));

    let (log, _, slots) = open();
    assert_eq!((log.oldest(), slots.get("b").map(Slot::confirmed)), (Lsn::new(7), Some(Lsn::new(6))));
}
