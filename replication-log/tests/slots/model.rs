//! Any timeline of a leader, its followers and its disk, compared with a model that a newcomer can check.
//!
//! The model knows what each slot confirmed and what of that was saved. It asks the disk itself how much is kept
//! for a slot.

use std::collections::BTreeMap;

use proptest::prelude::*;
use replication_log::{
    Lsn, ReadOnlyLog,
    ship::slot::{Extent, SlotLimits, SlotState},
    storage::{FaultStorage, Survivors},
};

use crate::tools::{Leader, SEGMENT_BYTES, seconds};

const LIMIT: u64 = 4 * SEGMENT_BYTES;
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    /// So many records, each alone in half a segment.
    Write(u64),
    /// A follower confirms this share of what it does not have, in quarters.
    Confirm(usize, u64),
    Create(usize),
    Drop(usize),
    /// A lost follower gets a snapshot of the end.
    Bootstrap(usize),
    Save,
    Truncate,
    /// The power goes, and comes back.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..NAMES.len();
    prop_oneof![
        6 => (1..6_u64).prop_map(Step::Write),
        6 => (slot.clone(), 1..=4_u64).prop_map(|(slot, quarters)| Step::Confirm(slot, quarters)),
        3 => slot.clone().prop_map(Step::Create),
        1 => slot.clone().prop_map(Step::Drop),
        2 => slot.prop_map(Step::Bootstrap),
        1 => Just(Step::Save),
        5 => Just(Step::Truncate),
        1 => Just(Step::Crash),
    ]
}

/// What is said of one slot: the last record it confirmed; `None` when it is lost.
type Claims = BTreeMap<&'static str, Option<Lsn>>;

#[derive(Default)]
struct Model {
    memory: Claims,
    file: Claims,
}

impl Model {
    /// Which slots lose records in a truncation: those for which the disk keeps more than the limit, unless it
    /// is kept for another slot or for nobody because it is the active segment.
    fn truncate(&mut self, disk: &FaultStorage, durable: Lsn) -> Vec<String> {
        let over = |lsn: Lsn| lsn < durable && kept(disk, lsn) > LIMIT;
        let within = self.memory.values().flatten().filter(|&&lsn| !over(lsn));
        let floor = within.map(|lsn| needed(*lsn)).chain([durable]).min().expect("not empty");
        let oldest = oldest_that_would_stay(disk, floor);
        if oldest == oldest_that_would_stay(disk, Lsn::ZERO) {
            return Vec::new();
        }
        let mut losing = Vec::new();
        for (name, claim) in &mut self.memory {
            if claim.is_some_and(|lsn| over(lsn) && needed(lsn) < oldest) {
                *claim = None;
                losing.push((*name).to_string());
            }
        }
        self.file = self.memory.clone();
        losing
    }
}

fn needed(lsn: Lsn) -> Lsn {
    lsn.next().expect("small")
}

/// The bytes of all segments that hold records behind `lsn`.
fn kept(disk: &FaultStorage, lsn: Lsn) -> u64 {
    let log = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("healthy");
    let holding = log.segments().filter(|segment| segment.last > lsn);
    holding.map(|segment| disk.bytes(&segment.segment.to_string()).expect("listed").len() as u64).sum()
}

/// The first record of the newest segment that does not begin behind `lsn`, or of the oldest there is.
fn oldest_that_would_stay(disk: &FaultStorage, lsn: Lsn) -> Lsn {
    let log = ReadOnlyLog::open(disk.clone(), Lsn::ZERO).expect("healthy");
    let firsts: Vec<Lsn> = log.segments().map(|segment| segment.first).collect();
    *firsts.iter().rev().find(|&&first| first <= lsn).unwrap_or(&firsts[0])
}

fn play(leader: &mut Leader, model: &mut Model, step: &Step) {
    let durable = leader.log.durable();
    let extent = Extent::of(&leader.log);
    match *step {
        Step::Write(records) => {
            for _ in 0..records {
                leader.write(1500);
            }
        }
        Step::Confirm(slot, quarters) => {
            let name = NAMES[slot];
            let Some(Some(claim)) = model.memory.get_mut(name) else { return };
            *claim = Lsn::new(claim.get() + (durable.get() - claim.get()) * quarters / 4);
            leader.confirm(name, *claim);
        }
        Step::Create(slot) => {
            let created = leader.slots.create(NAMES[slot], "", durable, extent, seconds(0)).is_ok();
            assert_eq!(created, !model.memory.contains_key(NAMES[slot]));
            if created {
                model.memory.insert(NAMES[slot], Some(durable));
            }
        }
        Step::Drop(slot) => {
            let dropped = leader.slots.drop_slot(NAMES[slot]).is_ok();
            assert_eq!(dropped, model.memory.remove(NAMES[slot]).is_some());
        }
        Step::Bootstrap(slot) => {
            let Some(claim @ None) = model.memory.get_mut(NAMES[slot]) else { return };
            *claim = Some(durable);
            leader.slots.reset(NAMES[slot], durable, extent, seconds(0)).expect("the end is there");
        }
        Step::Save => {
            leader.file.save(&mut leader.slots).expect("healthy");
            model.file = model.memory.clone();
        }
        Step::Truncate => {
            let lost = model.truncate(&leader.disk, durable);
            assert_eq!(leader.truncate(seconds(0)).expect("healthy").lost, lost);
            let most = LIMIT.max(SEGMENT_BYTES);
            assert!(leader.used_bytes() <= most, "{} bytes are kept", leader.used_bytes());
        }
        Step::Crash => {
            let disk = leader.disk.clone();
            disk.crash(Survivors::NOTHING);
            *leader = Leader::on(&disk, SlotLimits::none().bytes(LIMIT), seconds(0));
            model.memory = model.file.clone();
        }
    }
}

fn check(leader: &Leader, model: &Model) {
    let found = leader.slots.iter().map(|(name, slot)| {
        let lost = slot.state() == SlotState::Lost;
        (name, Some(slot.confirmed()).filter(|_| !lost))
    });
    assert!(found.eq(model.memory.iter().map(|(name, claim)| (*name, *claim))), "{:?}", leader.slots);
    for claim in model.memory.values().flatten() {
        leader.log.read_from(needed(*claim)).expect("what a slot that is not lost needs is there");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_slot_is_lost_by_its_limit_and_by_nothing_else(steps in prop::collection::vec(step(), 0..60)) {
        let mut leader = Leader::new(SlotLimits::none().bytes(LIMIT));
        let mut model = Model::default();
        for step in &steps {
            play(&mut leader, &mut model, step);
            check(&leader, &model);
        }
    }
}
