//! A disk that reports errors: what it costs, and what the log does and refuses afterwards.

mod common;

use common::{Model, batch, image, open, options, records};
use replication_log::{
    AppendError, Epoch, Log, Lsn, PoisonedBy, PromiseError, SyncError,
    storage::{FaultStorage, Keep, StorageErrorKind, Survivors},
};

#[test]
fn a_failed_sync_poisons_the_log_for_good() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[100])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(0, 2, &[100])).expect("fits");

    disk.fail_syncs(1);
    let Err(SyncError::Poisoned(poison)) = log.sync() else { panic!("the error got lost") };
    assert_eq!(poison.by, PoisonedBy::Sync);

    // The disk is healthy again, and would report success for bytes it has dropped.
    assert_eq!(log.sync(), Err(SyncError::Poisoned(poison.clone())));
    assert_eq!(log.append(&batch(0, 3, &[1])), Err(AppendError::Poisoned(poison.clone())));
    assert_eq!(log.promise_epoch(Epoch::new(5)), Err(PromiseError::Poisoned(poison)));
    assert_eq!(log.durable(), Lsn::new(1));
    assert!(log.close().is_err());
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_when_the_log_is_opened() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[100])).expect("fits");
    log.sync().expect("healthy");
    log.append(&batch(0, 2, &[700])).expect("fits");
    disk.fail_syncs(1);
    log.sync().expect_err("ordered");
    drop(log);

    // The process starts again on the running machine, which still shows the bytes it will never write.
    let (mut log, report) = open(&disk).expect("the bytes are in the cache");
    assert_eq!((report.last, report.cut), (Lsn::new(2), None));
    log.append(&batch(0, 3, &[100])).expect("fits");
    log.sync().expect("healthy");
    let all = records(&log);
    drop(log);

    disk.crash(Survivors::NOTHING);
    let (log, _) = open(&disk).expect("all of it was reported durable");
    assert_eq!(records(&log), all);
}

#[test]
fn a_promise_whose_sync_failed_is_made_durable_or_forgotten_but_never_in_between() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    disk.fail_syncs(1);
    log.promise_epoch(Epoch::new(4)).expect_err("ordered");
    drop(log);
    let (log, _) = open(&disk).expect("running");
    let shown = log.epoch();
    drop(log);
    disk.crash(Survivors::NOTHING);
    assert_eq!(open(&disk).expect("healthy").0.epoch(), shown);
}

#[test]
fn a_full_disk_refuses_a_batch_and_leaves_the_log_usable() {
    for free in 0..2600 {
        let disk = FaultStorage::new();
        let mut model = Model::default();
        let (mut log, _) = open(&disk).expect("new");
        disk.limit_space(Some(free));
        let refused = (0..).find_map(|label| {
            let batch = batch(0, label, &[100, 150]);
            match log.append(&batch) {
                Ok(_) => {
                    let records = (0..2)
                        .map(|at| (replication_log::RecordKind(at), payload_of(label, at)))
                        .collect::<Vec<_>>();
                    model.append(&batch, &records);
                    None
                }
                Err(error) => Some((batch, error)),
            }
        });
        let (batch, error) = refused.expect("the disk is finite");
        assert!(
            matches!(&error, AppendError::NoRoom(e) if e.kind == StorageErrorKind::NoSpace),
            "{free}: {error}"
        );
        model.durable = log.sync().expect("what was accepted can be made durable");
        assert_eq!(model.durable.get(), model.appended.len() as u64);

        disk.limit_space(None);
        let lsns = log.append(&batch).expect("there is room again");
        assert_eq!(lsns.start().get(), model.appended.len() as u64 + 1);
        drop(log);
        disk.crash(Survivors { sectors: Keep::None, entries: Keep::All });
        model.check(&open(&disk).expect("a full disk is no corruption").0, "full disk");
    }
}

fn payload_of(label: u64, at: u8) -> Vec<u8> {
    common::payload(label, usize::from(at), if at == 0 { 100 } else { 150 })
}

#[test]
fn without_zeros_written_ahead_a_full_disk_tears_the_batch_and_poisons_the_log() {
    for free in 0..92 {
        let disk = FaultStorage::new();
        let options = options().preallocate_bytes(0);
        let (mut log, _) = Log::open(disk.clone(), options.clone()).expect("new");
        log.append(&batch(0, 1, &[50])).expect("fits");
        log.sync().expect("healthy");
        disk.limit_space(Some(free));
        let Err(AppendError::Poisoned(poison)) = log.append(&batch(0, 2, &[50])) else {
            panic!("{free} was enough")
        };
        assert_eq!((poison.by, poison.error.kind), (PoisonedBy::Write, StorageErrorKind::NoSpace));
        drop(log);
        disk.limit_space(None);
        let (log, report) = Log::open(disk, options).expect("a torn batch is no corruption");
        assert_eq!((log.durable(), report.cut.is_some()), (Lsn::new(1), free > 0));
    }
}

#[test]
fn a_refused_batch_leaves_no_trace() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(5, 1, &[100])).expect("fits");
    let before = (image(&disk), log.written(), log.epoch(), log.checksum());

    let fenced = log.append(&batch(4, 2, &[1]));
    assert_eq!(fenced, Err(AppendError::Fenced { have: Epoch::new(5), got: Epoch::new(4) }));
    // A copy of it may need eight bytes more, for the epoch it was written under.
    let (bytes, limit) = (40 + 3 + 2000, 2048 - 80 - 8);
    assert_eq!(log.append(&batch(9, 3, &[2000])), Err(AppendError::TooLarge { bytes, limit }));
    assert_eq!(log.append(&batch(9, 4, &[])), Err(AppendError::Empty));
    let fenced = PromiseError::Fenced { have: Epoch::new(5), got: Epoch::new(3) };
    assert_eq!(log.promise_epoch(Epoch::new(3)), Err(fenced));

    assert_eq!((image(&disk), log.written(), log.epoch(), log.checksum()), before);
}

#[test]
fn a_promise_fences_older_epochs_also_after_a_restart() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(1, 1, &[10])).expect("fits");
    assert_eq!(
        log.promise_epoch(Epoch::new(6)),
        Ok(Lsn::new(1)),
        "the end of the log, staged records included"
    );
    assert_eq!(log.promise_epoch(Epoch::new(6)), Ok(Lsn::new(1)), "again is fine");
    drop(log);
    disk.crash(Survivors::NOTHING);

    let (mut log, report) = open(&disk).expect("healthy");
    assert_eq!(report.epoch, Epoch::new(6));
    let fenced = Err(AppendError::Fenced { have: Epoch::new(6), got: Epoch::new(5) });
    assert_eq!(log.append(&batch(5, 2, &[10])), fenced);
    log.append(&batch(6, 3, &[10])).expect("not older");
}

#[test]
fn a_sync_under_way_holds_back_what_cannot_overlap_it() {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk).expect("new");
    log.append(&batch(0, 1, &[900])).expect("fits");
    let pending = log.begin_sync().expect("healthy");
    assert_eq!(log.begin_sync().map(drop), Err(SyncError::UnderWay));

    log.append(&batch(0, 2, &[100])).expect("the same segment");
    assert_eq!(log.append(&batch(0, 3, &[1500])), Err(AppendError::SyncUnderWay));
    assert_eq!(log.promise_epoch(Epoch::new(1)), Err(PromiseError::SyncUnderWay));

    let outcome = pending.run();
    assert_eq!(log.finish_sync(pending, outcome), Ok(Lsn::new(1)), "only what was there when it began");
    log.append(&batch(0, 3, &[1500])).expect("nothing in the way");
}
