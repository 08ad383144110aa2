//! Power cuts at every step of a table's life, on a disk that tears pages.

use replication_log::{
    Log, Lsn,
    page::PageTable,
    storage::{FaultStorage, Keep, Storage, StorageErrorKind, Survivors},
};

use crate::tools::{Model, batch, key, log_options, recovered, rows, table_options, torn_pages, value};

/// What a table must hold after each batch.
#[derive(Clone, Default)]
struct History {
    states: Vec<(Lsn, Model)>,
    durable: Lsn,
}

impl History {
    fn at(&self, lsn: Lsn) -> Model {
        self.states.iter().rfind(|(at, _)| *at <= lsn).map(|(_, state)| state.clone()).unwrap_or_default()
    }
}

struct Machine {
    log: Log<FaultStorage>,
    table: PageTable<FaultStorage>,
    state: Model,
}

impl Machine {
    /// Changes some rows: adds two, changes two, removes one.
    fn write(&mut self, history: &mut History, round: u32) -> Option<()> {
        let mut mini = self.table.begin().ok()?;
        for number in [2 * round, 2 * round + 1, round, round / 2] {
            let size = [30, 200, 700, 5000][(round as usize + number as usize) % 4];
            let (key, value) = (key(number), value(number + round, size));
            mini.upsert(&key, &value).ok()?;
            self.state.insert(key, value);
        }
        mini.delete(&key(round / 3)).ok()?;
        self.state.remove(&key(round / 3));
        let change = mini.finish().ok()?;
        let batch = batch(&change);
        let before = history.states.last().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        let last = before.advance(batch.len() as u64).expect("few");
        history.states.push((last, self.state.clone()));
        let lsns = self.log.append(&batch).ok()?;
        assert_eq!(*lsns.end(), last);
        change.install(last).ok()
    }

    fn checkpoint(&mut self, history: &mut History) -> Option<()> {
        history.durable = self.log.sync().ok()?;
        let report = self.table.checkpoint(history.durable).ok()?;
        assert_eq!(report.held_back, 0, "a leader has logged every page it changed");
        Some(())
    }
}

fn workload(disk: &FaultStorage, history: &mut History) -> Option<()> {
    let (log, _) = Log::open(disk.clone(), log_options()).ok()?;
    let table = PageTable::create(disk, &table_options(2048)).ok()?;
    let mut machine = Machine { log, table, state: Model::new() };
    for round in 0..9 {
        machine.write(history, round)?;
        if round % 3 == 1 {
            machine.checkpoint(history)?;
        }
    }
    history.durable = machine.log.sync().ok()?;
    machine.checkpoint(history)
}

fn run_until(operations: u64) -> (FaultStorage, History, bool) {
    let (disk, mut history) = (FaultStorage::new(), History::default());
    disk.stop_after(operations);
    let finished = workload(&disk, &mut history).is_some();
    (disk, history, finished)
}

fn survivors(disk: &FaultStorage) -> Vec<Survivors> {
    let mut choices = vec![Survivors::NOTHING, Survivors::EVERYTHING];
    for sector in (0..disk.unsynced_sectors()).step_by(3) {
        choices.push(Survivors { sectors: Keep::Only(sector), entries: Keep::All });
        choices.push(Survivors { sectors: Keep::AllBut(sector), entries: Keep::All });
    }
    let random = |seed| Survivors { sectors: Keep::Random(seed), entries: Keep::Random(seed) };
    choices.extend((0..3).map(random));
    choices
}

/// Opens what a crash left and compares it with the history; returns the log and the table.
fn recover(disk: &FaultStorage, history: &History, context: &str) -> Option<Machine> {
    let (log, report) = Log::open(disk.clone(), log_options()).expect("a crash is no corruption");
    assert!(report.last >= history.durable, "{context}: the log lost durable records");
    let recovery = match PageTable::open(disk, &table_options(2048)) {
        Ok(recovery) => recovery,
        Err(error) => {
            let gone = matches!(&error, replication_log::page::OpenTableError::Storage(storage)
                if storage.kind == StorageErrorKind::NotFound);
            assert!(gone && report.last == Lsn::ZERO, "{context}: {error}");
            return None;
        }
    };
    let mut table = recovered(recovery, &log).unwrap_or_else(|error| panic!("{context}: {error}"));
    let state = history.at(report.last);
    assert!(rows(&mut table) == state, "{context}: other rows than at record {}", report.last);
    Some(Machine { log, table, state })
}

#[test]
fn a_power_cut_at_any_step_leaves_the_table_of_the_logs_last_batch() {
    let (mut torn, mut operations) = (0, 0);
    loop {
        let (disk, _, finished) = run_until(operations);
        for survivors in survivors(&disk) {
            let (disk, history, _) = run_until(operations);
            disk.crash(survivors);
            torn += usize::from(torn_pages(&disk, 2048) > 0);
            let context = format!("stopped after {operations} with {survivors:?}");
            let Some(mut machine) = recover(&disk, &history, &context) else {
                continue;
            };
            // After a checkpoint the file alone is the table.
            machine.table.checkpoint(machine.log.durable()).expect("healthy");
            drop(machine.table);
            let recovery = PageTable::open(&disk, &table_options(2048)).expect("intact");
            let mut alone = recovery.finish().unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(rows(&mut alone) == machine.state, "{context}: the checkpoint lost something");
        }
        if finished {
            break;
        }
        operations += 1;
    }
    assert!(operations > 50, "the workload has shrunk to {operations} operations");
    assert!(torn > 100, "only {torn} crashes tore a page: the disk is too kind");
}

#[test]
fn a_power_cut_during_the_checkpoint_after_a_recovery_changes_nothing() {
    let mut torn = 0;
    for operations in (20..).step_by(7) {
        let (disk, _, finished) = run_until(operations);
        drop(disk);
        for seed in 0..2 {
            let random = |seed| Survivors { sectors: Keep::Random(seed), entries: Keep::All };
            let crashed = || {
                let (disk, history, _) = run_until(operations);
                disk.crash(random(seed));
                (disk, history)
            };
            for step in 0.. {
                let context = format!("stopped after {operations}, seed {seed}, and again after {step}");
                let (disk, mut history) = crashed();
                let Some(mut machine) = recover(&disk, &history, &context) else {
                    break;
                };
                history.durable = machine.log.durable();
                disk.stop_after(step);
                let done = machine.table.checkpoint(history.durable).is_ok();
                disk.crash(random(step ^ seed));
                torn += usize::from(torn_pages(&disk, 2048) > 0);
                recover(&disk, &history, &context);
                if done {
                    break;
                }
            }
        }
        if finished {
            break;
        }
    }
    assert!(torn > 20, "only {torn} crashes tore a page: the disk is too kind");
}

/// A failed sync drops pages from the disk that the cache still shows. Reopened, the table must not
/// take the cache's word for them.
#[test]
fn what_a_failed_sync_lost_is_written_again_after_reopening() {
    let (disk, mut history) = (FaultStorage::new(), History::default());
    let (log, _) = Log::open(disk.clone(), log_options()).expect("new");
    let table = PageTable::create(&disk, &table_options(2048)).expect("new");
    let mut machine = Machine { log, table, state: Model::new() };
    for round in 0..4 {
        machine.write(&mut history, round).expect("healthy");
    }
    history.durable = machine.log.sync().expect("healthy");
    disk.fail_syncs(1);
    assert!(machine.table.checkpoint(history.durable).is_err());
    drop(machine);

    let mut machine = recover(&disk, &history, "reopened").expect("there");
    let report = machine.table.checkpoint(history.durable).expect("healthy");
    assert_eq!(report.lsn, history.durable);
    disk.crash(Survivors::NOTHING);
    let recovery = PageTable::open(&disk, &table_options(2048)).expect("intact");
    assert!(rows(&mut recovery.finish().expect("nothing to replay")) == machine.state);
}

/// A process dies, the machine goes on, and a new process opens the file: what it is told, and may
/// truncate the log by, must be true after a power cut too.
#[test]
fn what_was_found_when_a_table_was_opened_is_found_again_after_a_power_cut() {
    let mut checkpoints = std::collections::BTreeSet::new();
    for operations in 0.. {
        let (disk, history, finished) = run_until(operations);
        disk.resume();
        let open = || PageTable::open(&disk, &table_options(2048));
        if let Ok(recovery) = open() {
            let checkpoint = recovery.checkpoint();
            drop(recovery);
            disk.crash(Survivors::NOTHING);
            let again = open().map(|recovery| recovery.checkpoint());
            assert_eq!(again, Ok(checkpoint), "stopped after {operations}");
            checkpoints.insert(checkpoint);
            recover(&disk, &history, "a process died, and then the machine");
        }
        if finished {
            break;
        }
    }
    assert!(checkpoints.len() > 3, "{checkpoints:?}");
}

#[test]
fn a_table_on_a_stopped_machine_cannot_be_opened() {
    let (disk, _, _) = run_until(60);
    assert!(disk.list().is_err());
    assert!(PageTable::open(&disk, &table_options(2048)).is_err());
}
