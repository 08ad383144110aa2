//! How many bytes a log keeps from one record on, compared with what the disk says.

use replication_log::{
    FsyncPolicy, Log, LogHandle, LogOptions, Lsn, ReadOnlyLog, ship::slot::Extent, storage::FaultStorage,
};

use crate::common::{append, options, sync};

/// What the files of the segments from the one on that holds `lsn` add up to.
fn on_disk(disk: &FaultStorage, lsn: Lsn) -> u64 {
    let log = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("healthy");
    let segments: Vec<_> = log.segments().collect();
    let holder = segments.iter().rposition(|segment| segment.first <= lsn).unwrap_or(0);
    let files = segments[holder..].iter().map(|segment| disk.bytes(&segment.segment.to_string()));
    files.map(|bytes| bytes.expect("listed").len() as u64).sum()
}

fn check(log: &Log<FaultStorage>, disk: &FaultStorage, context: &str) {
    for lsn in (0..=log.last().get() + 2).map(Lsn::new) {
        assert_eq!(log.bytes_from(lsn), on_disk(disk, lsn), "{context}: from {lsn} on");
    }
}

/// Segments made when they are due, prepared, used again, and filled with zeros to different ends.
fn variants() -> [LogOptions; 5] {
    [
        options().preallocate_bytes(0).prepare_bytes(0),
        options().prepare_bytes(0),
        options().preallocate_bytes(2048).prepare_bytes(0),
        options().prepare_bytes(1500),
        options().recycle(2),
    ]
}

#[test]
fn it_is_what_the_files_add_up_to_whatever_happened_to_the_log() {
    for options in variants() {
        let (disk, mut model) = (FaultStorage::new(), crate::common::Model::default());
        let open = || Log::open(disk.clone(), options.clone()).expect("intact").0;
        let write = |log: &mut Log<_>, model: &mut _, batches: usize| {
            for batch in 0..batches {
                append(log, model, 0, &[[300, 10], [900, 200], [40, 1000]][batch % 3]).expect("healthy");
            }
            sync(log, model).expect("healthy");
        };
        let mut log = open();
        check(&log, &disk, "empty");
        write(&mut log, &mut model, 13);
        check(&log, &disk, "written");
        drop(log);
        let mut log = open();
        check(&log, &disk, "opened again");
        write(&mut log, &mut model, 5);
        log.truncate_before(Lsn::new(11)).expect("healthy");
        check(&log, &disk, "its beginning dropped");
        write(&mut log, &mut model, 9);
        check(&log, &disk, "written further");
        log.truncate_after(Lsn::new(34), Lsn::ZERO).expect("a boundary");
        check(&log, &disk, "its end cut");
        model.cut_after(Lsn::new(34));
        write(&mut log, &mut model, 7);
        check(&log, &disk, "written anew");
        log.close().expect("healthy");
        let log = open();
        check(&log, &disk, "closed");
        assert!(log.bytes_from(Lsn::ZERO) > 6 * 1024, "several segments");
    }
}

#[test]
fn a_handle_knows_it_until_the_log_is_closed() {
    let disk = FaultStorage::new();
    let handle =
        LogHandle::start(Log::open(disk, options()).expect("new").0, FsyncPolicy::Group).expect("a thread");
    let other = handle.clone();
    assert_eq!(handle.bytes_from(Lsn::FIRST), Some(1024));
    assert_eq!(handle.extent(), Some(Extent { oldest: Lsn::FIRST, durable: Lsn::ZERO }));
    handle.close().expect("healthy");
    assert_eq!((other.bytes_from(Lsn::FIRST), other.extent()), (None, None));
}
