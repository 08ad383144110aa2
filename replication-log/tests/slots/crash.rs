//! Power cuts at every step of everything slots do: the file has the slots of before or those of after, and
//! no slot comes back that needs records that are gone.

use core::time::Duration;
use std::collections::BTreeMap;

use replication_log::{
    Log, Lsn,
    ship::slot::{Extent, Slot, SlotFile, SlotLimits, SlotState, Slots},
    storage::{FaultStorage, Survivors},
};

use crate::{
    common::{Model, append, choices, open, sync},
    tools::FILE,
};

const NOW: Duration = Duration::ZERO;

fn limits() -> SlotLimits {
    SlotLimits::none().bytes(6 * 2048)
}

/// What a run was told, as far as the machine let it.
#[derive(Default)]
struct Witness {
    /// Every content the file had after a step that returned.
    contents: Vec<Option<Vec<u8>>>,
    /// The most each slot ever confirmed.
    confirmed: BTreeMap<&'static str, Lsn>,
}

struct Run<'a> {
    disk: &'a FaultStorage,
    witness: &'a mut Witness,
    log: Log<FaultStorage>,
    file: SlotFile<FaultStorage>,
    slots: Slots,
    model: Model,
}

impl<'a> Run<'a> {
    fn begin(disk: &'a FaultStorage, witness: &'a mut Witness) -> Option<Self> {
        let (log, _) = open(disk).ok()?;
        let file = SlotFile::open(disk.clone()).ok()?;
        let slots = file.load(&log, limits(), NOW).ok()?;
        let mut run = Self { disk, witness, log, file, slots, model: Model::default() };
        run.look();
        Some(run)
    }

    fn look(&mut self) {
        let content = self.disk.bytes(FILE);
        if self.witness.contents.last() != Some(&content) {
            self.witness.contents.push(content);
        }
    }

    fn write(&mut self, batches: usize) -> Option<()> {
        for _ in 0..batches {
            append(&mut self.log, &mut self.model, 0, &[700])?;
            sync(&mut self.log, &mut self.model)?;
        }
        Some(())
    }

    fn create(&mut self, name: &'static str) -> Option<()> {
        let extent = Extent::of(&self.log);
        self.slots.create(name, "", extent.durable, extent, NOW).expect("room");
        self.witness.confirmed.insert(name, extent.durable);
        self.save()
    }

    fn confirm(&mut self, name: &'static str, lsn: Lsn) {
        self.slots.confirm(name, lsn, self.log.durable()).expect("kept");
        self.witness.confirmed.insert(name, lsn);
    }

    fn save(&mut self) -> Option<()> {
        self.file.save(&mut self.slots).ok()?;
        self.look();
        Some(())
    }

    fn truncate(&mut self) -> Option<()> {
        let durable = self.log.durable();
        self.slots.truncate(NOW, &mut self.log, &self.file, durable).ok()?;
        self.look();
        Some(())
    }
}

/// A slot that keeps up, one that dies and is lost and comes back by a snapshot, one that is dropped.
fn workload(disk: &FaultStorage, witness: &mut Witness) -> Option<()> {
    let mut run = Run::begin(disk, witness)?;
    run.create("live")?;
    run.create("dead")?;
    run.write(3)?;
    run.create("gone")?;
    for _ in 0..10 {
        run.write(2)?;
        run.confirm("live", run.log.durable().previous().expect("not the first"));
        run.truncate()?;
    }
    assert_eq!(run.slots.get("dead").map(Slot::state), Some(SlotState::Lost));
    run.slots.drop_slot("gone").expect("nobody is there");
    run.truncate()?;
    let durable = run.log.durable();
    run.slots.reset("dead", durable, Extent::of(&run.log), NOW).expect("the end is there");
    run.witness.confirmed.insert("dead", durable);
    run.save()?;
    run.write(3)?;
    run.confirm("live", run.log.durable());
    run.confirm("dead", durable.next().expect("small"));
    run.truncate()
}

/// Runs the workload on a fresh disk that stops after `operations`.
fn run_until(operations: u64) -> (FaultStorage, Witness, bool) {
    let (disk, mut witness) = (FaultStorage::new(), Witness::default());
    disk.stop_after(operations);
    let finished = workload(&disk, &mut witness).is_some();
    (disk, witness, finished)
}

fn operations() -> u64 {
    (0..10_000).find(|&operations| run_until(operations).2).expect("the workload ends")
}

/// Checks what a start after a power cut finds, against what was there before it and what was being written.
fn check(disk: &FaultStorage, witness: &Witness, whole: &Witness, context: &str) {
    let (log, _) = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let file = SlotFile::open(disk.clone()).expect("healthy");
    let slots = file.load(&log, limits(), NOW).unwrap_or_else(|error| panic!("{context}: {error}"));

    let found = disk.bytes(FILE);
    let before = witness.contents.last().unwrap_or(&None);
    let being_written = whole.contents.get(witness.contents.len());
    assert!(found == *before || Some(&found) == being_written, "{context}: neither before nor after");
    let Some(found) = found else { return };
    let read = Slots::decode(&found, log.id(), limits(), NOW).expect("loaded already");
    for (name, slot) in slots.iter() {
        let as_read = read.get(name).expect("the same slots");
        assert!(slot.confirmed() <= witness.confirmed[name], "{context}: {name} is ahead of itself");
        assert_eq!(slot.confirmed(), as_read.confirmed(), "{context}: {name} was ahead of the log");
        let lost_since = slot.state() == SlotState::Lost && as_read.state() != SlotState::Lost;
        assert!(!lost_since, "{context}: {name} is back without its records");
    }
}

#[test]
fn a_power_cut_after_every_operation_leaves_the_slots_of_before_or_after() {
    let (_, whole, _) = run_until(u64::MAX / 2);
    assert!(whole.contents.len() > 8, "only {} contents", whole.contents.len());
    let mut in_between = 0;
    for stop in 0..=operations() {
        let (disk, ..) = run_until(stop);
        in_between += u32::from(disk.bytes("replication.slots.new").is_some());
        for survivors in choices(&disk) {
            let (disk, witness, _) = run_until(stop);
            disk.crash(survivors);
            check(&disk, &witness, &whole, &format!("stopped after {stop} with {survivors:?}"));
        }
    }
    assert!(in_between > 20, "only {in_between} writes of slots were interrupted");
}

#[test]
fn a_process_that_dies_and_a_start_that_is_interrupted_leave_them_too() {
    let (_, whole, _) = run_until(u64::MAX / 2);
    for stop in (0..=operations()).step_by(3) {
        for again in 0..6 {
            let (disk, witness, _) = run_until(stop);
            disk.resume();
            disk.stop_after(again);
            if let Ok((log, _)) = open(&disk)
                && let Ok(file) = SlotFile::open(disk.clone())
            {
                file.load(&log, limits(), NOW).ok();
            }
            disk.crash(Survivors::NOTHING);
            check(&disk, &witness, &whole, &format!("stopped after {stop}, then after {again}"));
        }
    }
}

#[test]
fn dropping_by_what_is_only_in_memory_would_lose_a_slot_in_a_crash() {
    let (disk, mut witness) = (FaultStorage::new(), Witness::default());
    let mut run = Run::begin(&disk, &mut witness).expect("healthy");
    run.create("live").expect("healthy");
    run.write(9).expect("healthy");
    run.confirm("live", Lsn::new(9));
    assert_eq!(run.slots.retain_from(), Some(Lsn::FIRST), "which is what the file says");
    run.log.truncate_before(Lsn::new(10)).expect("healthy");
    disk.crash(Survivors::NOTHING);

    let (log, _) = open(&disk).expect("intact");
    let file = SlotFile::open(disk).expect("healthy");
    let slots = file.load(&log, limits(), NOW).expect("intact");
    assert_eq!(slots.get("live").map(Slot::state), Some(SlotState::Lost), "though it had everything");
}

#[test]
fn a_log_that_lost_its_end_takes_what_was_confirmed_there_back() {
    let (disk, mut witness) = (FaultStorage::new(), Witness::default());
    let mut run = Run::begin(&disk, &mut witness).expect("healthy");
    run.write(5).expect("healthy");
    run.create("live").expect("healthy");
    run.log.truncate_after(Lsn::new(3), Lsn::ZERO).expect("a boundary");
    drop(run);
    let (log, _) = open(&disk).expect("intact");
    let file = SlotFile::open(disk).expect("healthy");
    let mut slots = file.load(&log, limits(), NOW).expect("intact");
    assert_eq!(slots.get("live").map(Slot::confirmed), Some(Lsn::new(3)));
    assert!(slots.poll_event().is_some(), "and that is no secret");
}
