//! Slots over a log that many threads share.

use replication_log::{
    FsyncPolicy, LogHandle, Lsn,
    handle::{SubmitError, TailError},
    ship::slot::{Slot, SlotLimits, SlotState, TruncateSlotsError},
};

use crate::{
    common,
    tools::{Leader, SEGMENT_BYTES, seconds},
};

#[test]
fn a_slot_of_a_shared_log_ends_as_lost_and_so_does_whoever_reads_for_it() {
    let mut leader = Leader::new(SlotLimits::none().bytes(3 * SEGMENT_BYTES));
    leader.create("dead", "", seconds(0));
    let Leader { log, file, mut slots, .. } = leader;
    let handle = LogHandle::start(log, FsyncPolicy::Group).expect("a thread");
    let mut tail = handle.tail(Lsn::FIRST).expect("the beginning is there");
    for label in 0..20 {
        handle.append_durable(&common::batch(0, label, &[1500])).expect("fits");
    }
    assert!(handle.assess_slots(seconds(1), &mut slots));
    assert_eq!(slots.get("dead").map(Slot::state), Some(SlotState::Unreserved));
    let report = handle.truncate_slots(seconds(1), &mut slots, &file, Lsn::new(20)).expect("healthy");
    assert_eq!((report.lost, report.oldest), (vec!["dead".to_string()], Lsn::new(19)));
    let (asked, oldest) = (Lsn::FIRST, report.oldest);
    assert_eq!(tail.try_next().map(drop), Err(TailError::Truncated { asked, oldest }), "never a jump");

    let other = handle.clone();
    handle.close().expect("healthy");
    assert!(!other.assess_slots(seconds(2), &mut slots));
    let closed: Result<_, SubmitError<TruncateSlotsError>> =
        other.truncate_slots(seconds(2), &mut slots, &file, Lsn::ZERO);
    assert_eq!(closed.map(drop), Err(SubmitError::Closed));
}
