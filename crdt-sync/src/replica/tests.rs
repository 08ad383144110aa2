//! One replica's data, whatever order things reach it in: what the journal says is what memory holds.

use alloc::vec;
use alloc::vec::Vec;

use crdt_core::{CausalContext, Dot, codec};
use proptest::prelude::*;
use replication_log::Lsn;

use super::*;
use crate::bytes::Bytes;
use crate::collection::Strategy as Rule;
use crate::entry::{Chain, Delta, Entry};
use crate::merkle::ItemSource;
use crate::time::WallTime;
use crate::wire::{ItemState, Run, StatesPart};

pub(super) const WALL: WallTime = WallTime::from_millis(1_700_000_000_000);

pub(super) fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Rule::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

/// A replica with the log it would write.
pub(super) struct Logged {
    pub(super) config: Config,
    pub(super) replica: Replica,
    pub(super) log: Vec<(Lsn, Vec<u8>)>,
}

impl Logged {
    pub(super) fn new(number: u8) -> Self {
        let cluster = ClusterKey::from_bytes([9; 16]);
        let mut config = Config::new(NodeId::from_u128(number.into()), cluster, [number; 32])
            .with_collections(collections());
        config.leaf_bits = 4;
        let replica = Replica::recover(config.clone(), Vec::<(Lsn, Vec<u8>)>::new(), WALL).unwrap();
        let mut logged = Self { config, replica, log: Vec::new() };
        logged.write_log();
        logged
    }

    pub(super) fn write_log(&mut self) {
        while let Some(Staged { first, records, .. }) = self.replica.journal.take() {
            self.log.extend((first.get()..).map(Lsn::new).zip(records));
        }
    }

    pub(super) fn act(&mut self, write: &Write) {
        // A register may refuse a stamp, a document an empty deletion; then nothing was written.
        let _ = self.replica.write(core::slice::from_ref(write), WALL);
        self.write_log();
    }

    /// Takes the entries that the other has and this one lacks.
    pub(super) fn catch_up_with(&mut self, other: &Self) {
        for (origin, _) in other.replica.partition(0).histories.iter() {
            self.catch_up_with_one(other, origin);
        }
    }

    /// Takes the entries of one origin.
    pub(super) fn catch_up_with_one(&mut self, other: &Self, origin: ReplicaId) {
        let history = other.replica.partition(0).histories.get(origin).unwrap();
        let after = self.replica.partition(0).histories.head(origin);
        let entries: Vec<Bytes> = history
            .after(after.sequence)
            .into_iter()
            .flatten()
            .map(|retained| retained.bytes.clone())
            .collect();
        if !entries.is_empty() {
            let run = Run { partition: 0, origin, after, entries, chain: history.head().chain };
            self.replica.apply_run(&run, WALL).unwrap();
        }
        self.write_log();
    }

    /// Joins the other's states: all of them, after which its frontier is taken over, or only every second one, as
    /// when a session is given up half way.
    pub(super) fn merge_states_of(&mut self, other: &Self, all: bool) {
        let partition = other.replica.partition(0);
        let standing = partition.standing();
        let mut here_and_there: Vec<ItemKey> = partition.cells.iter().map(|(key, _)| key.clone()).collect();
        here_and_there.extend(self.replica.partition(0).cells.iter().map(|(key, _)| key.clone()));
        here_and_there.sort_unstable();
        here_and_there.dedup();
        for (index, item) in (0..).zip(here_and_there) {
            if all || index % 2 == 0 {
                let held = partition.cells.get(&item);
                let state = held.map(|held| held.cell.encode(&item.key)).unwrap_or_default();
                let items = vec![ItemState { key: item.key, state, more: false, old: false }];
                let part = StatesPart { index, collection: item.collection, items, ahead: Vec::new() };
                self.replica.apply_part(0, &part, &standing, Coverage::default(), WALL).unwrap();
            }
        }
        if all {
            self.replica.raise_frontier(0, standing);
        }
        self.write_log();
    }

    pub(super) fn assert_log_tells_the_truth(&mut self) {
        let mut replayed = Replica::recover(self.config.clone(), self.log.clone(), WALL).unwrap();
        assert_eq!(photographed_sketch(&mut replayed), photographed_sketch(&mut self.replica));
        let (now, then) = (self.replica.partition(0), replayed.partition(0));
        assert_eq!(then.cells.root(), now.cells.root());
        assert_eq!(then.context, now.context);
        assert_eq!(then.heads(), now.heads());
        assert_eq!(replayed.id, self.replica.id);
        assert_eq!(now.cells.conflicts.counts(), now.count_conflicts());
        assert_eq!(then.cells.conflicts.counts(), now.count_conflicts());
        for (key, held) in now.cells.iter() {
            assert_eq!(then.cells.get(key).map(|held| &held.cell), Some(&held.cell));
        }
    }
}

/// However it came to hold its items, a replica's sketch is the one of these items.
fn photographed_sketch(replica: &mut Replica) -> Vec<crate::sketch::Cell> {
    let cells = &mut replica.partition_mut(0).cells;
    cells.photograph(&Scope::everything());
    cells.develop();
    let sketch = cells.sketch().unwrap().to_vec();
    cells.forget_photograph();
    sketch
}

#[derive(Clone, Debug)]
enum Step {
    Act { at: usize, write: Write },
    CatchUp { at: usize },
    MergeStates { at: usize, all: bool },
}

impl Step {
    fn at(&self) -> usize {
        match self {
            Self::Act { at, .. } | Self::CatchUp { at } | Self::MergeStates { at, .. } => *at,
        }
    }
}

fn arb_write() -> impl Strategy<Value = Write> {
    let action = prop_oneof![
        (0u8..4).prop_map(|n| (0, Action::Put(vec![n].into()))),
        Just((0, Action::Delete)),
        (0u8..4).prop_map(|n| (1, Action::Add(vec![n].into()))),
        (0u8..4).prop_map(|n| (1, Action::Remove(vec![n].into()))),
        (1u64..5).prop_map(|n| (2, Action::Increment(n))),
        (1u64..5).prop_map(|n| (2, Action::Decrement(n))),
        (0u8..4).prop_map(|n| (3, Action::Set(Some(vec![n].into())))),
    ];
    (action, 0u8..3).prop_map(|((collection, action), key)| Write {
        collection: collections()[collection].id(),
        key: vec![key].into(),
        action,
    })
}

fn arb_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2usize, arb_write()).prop_map(|(at, write)| Step::Act { at, write }),
        1 => (0..2usize).prop_map(|at| Step::CatchUp { at }),
        1 => (0..2usize, any::<bool>()).prop_map(|(at, all)| Step::MergeStates { at, all }),
    ]
}

proptest! {
    #[test]
    fn a_replica_is_what_its_log_says_and_two_that_met_are_one(steps in prop::collection::vec(arb_step(), 1..40)) {
        let mut replicas = [Logged::new(1), Logged::new(2)];
        for step in steps {
            let [one, other] = &mut replicas;
            let (here, there) = if step.at() == 0 { (one, other) } else { (other, one) };
            match &step {
                Step::Act { write, .. } => here.act(write),
                Step::CatchUp { .. } => here.catch_up_with(there),
                Step::MergeStates { all, .. } => here.merge_states_of(there, *all),
            }
            here.assert_log_tells_the_truth();
        }
        let [one, other] = &mut replicas;
        one.merge_states_of(other, true);
        other.merge_states_of(one, true);
        let (one, other) = (one.replica.partition(0), other.replica.partition(0));
        prop_assert_eq!(one.cells.root(), other.cells.root());
        prop_assert_eq!(&one.context, &other.context);
        prop_assert_eq!(one.heads(), other.heads());
    }
}

#[test]
fn removing_the_last_element_of_a_set_leaves_nothing_behind() {
    let mut logged = Logged::new(1);
    let write = |action| Write { collection: collections()[1].id(), key: "list".into(), action };
    let empty = logged.replica.partition(0).cells.root();
    logged.act(&write(Action::Add("milk".into())));
    logged.act(&write(Action::Remove("milk".into())));
    assert_eq!(logged.replica.partition(0).cells.root(), empty);
    assert_eq!(logged.replica.partition(0).cells.len(), 0);
    assert_eq!(
        logged.replica.partition(0).context.range_count(),
        1,
        "two dots in one range, and no tombstone"
    );
}

/// A run of everything that one replica holds of an origin.
fn run_of(holder: &Logged, origin: ReplicaId) -> Run {
    let history = holder.replica.partition(0).histories.get(origin).unwrap();
    let entries = history.after(0).unwrap().map(|retained| retained.bytes.clone()).collect();
    Run { partition: 0, origin, after: Position::default(), entries, chain: history.head().chain }
}

fn list(action: Action) -> Write {
    Write { collection: collections()[1].id(), key: "list".into(), action }
}

#[test]
fn a_removal_that_overtakes_the_addition_waits_for_it() {
    let [mut adds, mut removes, mut late, mut early] = [1, 2, 3, 4].map(Logged::new);
    adds.act(&list(Action::Add("milk".into())));
    removes.catch_up_with(&adds);
    removes.act(&list(Action::Remove("milk".into())));
    let (addition, removal) = (run_of(&removes, adds.replica.id), run_of(&removes, removes.replica.id));
    let missing = Dot::new(adds.replica.id, 1).unwrap();
    assert_eq!(late.replica.apply_run(&removal, WALL), Ok(RunOutcome::Early { applied: 0, missing }));
    assert_eq!(
        late.replica.partition(0).context,
        CausalContext::new(),
        "nothing counts as seen that was not"
    );
    for run in [&addition, &removal] {
        assert_eq!(late.replica.apply_run(run, WALL), Ok(RunOutcome::Applied(1)));
        assert_eq!(early.replica.apply_run(run, WALL), Ok(RunOutcome::Applied(1)));
    }
    let (late, early) = (late.replica.partition(0), early.replica.partition(0));
    assert_eq!((late.cells.len(), late.cells.root()), (0, early.cells.root()));
    assert_eq!(late.context, early.context);
}

#[test]
fn entries_before_one_that_waits_are_taken_and_the_log_tells_the_truth() {
    let [mut adds, mut removes, mut reader] = [1, 2, 3].map(Logged::new);
    adds.act(&list(Action::Add("milk".into())));
    removes.act(&list(Action::Add("soap".into())));
    removes.catch_up_with(&adds);
    removes.act(&list(Action::Remove("milk".into())));
    removes.act(&list(Action::Add("tea".into())));
    let missing = Dot::new(adds.replica.id, 1).unwrap();
    let run = run_of(&removes, removes.replica.id);
    assert_eq!(reader.replica.apply_run(&run, WALL), Ok(RunOutcome::Early { applied: 1, missing }));
    reader.write_log();
    reader.assert_log_tells_the_truth();
    reader.replica.apply_run(&run_of(&adds, adds.replica.id), WALL).unwrap();
    assert_eq!(reader.replica.apply_run(&run, WALL), Ok(RunOutcome::Applied(2)));
    reader.write_log();
    reader.assert_log_tells_the_truth();
    assert_eq!(reader.replica.partition(0).cells.root(), removes.replica.partition(0).cells.root());
}

/// Forges the first entry of an origin that nobody knows.
fn forged(element: &str, dots: Vec<Dot>) -> Run {
    let origin = ReplicaId::from_u128(666);
    let entry = Entry {
        stamp: Hlc::ZERO,
        collection: collections()[1].id(),
        key: "elsewhere".into(),
        delta: Delta::SetRemove { element: element.into(), dots },
    };
    let entry = Bytes::from(codec::encode_payload(&entry));
    let chain = Chain::START.then(origin, 0, &entry);
    Run { partition: 0, origin, after: Position::default(), entries: vec![entry], chain }
}

#[test]
fn a_hostile_entry_that_names_dots_of_other_keys_costs_them_nothing() {
    let [mut honest, mut reader] = [1, 2].map(Logged::new);
    honest.act(&list(Action::Add("milk".into())));
    honest.act(&list(Action::Add("soap".into())));
    let dots = [1, 2].map(|sequence| Dot::new(honest.replica.id, sequence).unwrap()).to_vec();
    let hostile = forged("milk", dots);
    assert!(matches!(reader.replica.apply_run(&hostile, WALL), Ok(RunOutcome::Early { applied: 0, .. })));
    reader.catch_up_with(&honest);
    assert_eq!(reader.replica.partition(0).cells.root(), honest.replica.partition(0).cells.root());
    // Now that they are known the entry is taken. It is about another key, under which they never lived.
    assert_eq!(reader.replica.apply_run(&hostile, WALL), Ok(RunOutcome::Applied(1)));
    assert_eq!(reader.replica.partition(0).cells.root(), honest.replica.partition(0).cells.root());
}

#[test]
fn an_entry_that_names_a_later_dot_of_its_own_origin_is_refused() {
    let mut reader = Logged::new(1);
    for counter in [1, 2] {
        let hostile = forged("milk", vec![Dot::new(ReplicaId::from_u128(666), counter).unwrap()]);
        let error = RunError::ImpossibleDot { origin: hostile.origin, sequence: 1 };
        assert_eq!(reader.replica.apply_run(&hostile, WALL), Err(error));
    }
    assert!(reader.replica.partition(0).heads().is_empty());
}

fn arb_set_step() -> impl Strategy<Value = (usize, Option<usize>, Write)> {
    let action = prop_oneof![
        (0u8..3).prop_map(|n| Action::Add(vec![n].into())),
        (0u8..3).prop_map(|n| Action::Remove(vec![n].into())),
    ];
    let write = (0u8..2, action).prop_map(|(key, action)| Write { key: vec![key].into(), ..list(action) });
    (0..3usize, proptest::option::of(0..3usize), write)
}

proptest! {
    /// Runs are cut and delivered as they may be on any wire: what a reader holds in the end is the same.
    #[test]
    fn what_is_held_does_not_depend_on_the_order_in_which_entries_arrive(
        steps in prop::collection::vec(arb_set_step(), 1..30),
        deliveries in prop::collection::vec((0..3usize, 1..5usize), 0..40),
    ) {
        let mut writers = [1, 2, 3].map(Logged::new);
        for (at, met, write) in steps {
            if let Some(met) = met.filter(|met| *met != at) {
                let [here, there] = writers.get_disjoint_mut([at, met]).unwrap();
                here.catch_up_with(there);
            }
            writers[at].act(&write);
        }
        let runs = writers.each_ref().map(|writer| {
            let id = writer.replica.id;
            writer.replica.partition(0).histories.get(id).map(|_| run_of(writer, id))
        });
        let mut readers = [4, 5].map(Logged::new);
        for (origin, entries) in deliveries {
            let Some(run) = &runs[origin] else { continue };
            let entries: Vec<_> = run.entries[..entries.min(run.entries.len())].to_vec();
            let chain = entries.iter().fold(Chain::START, |chain, entry| chain.then(run.origin, 0, entry));
            readers[0].replica.apply_run(&Run { entries, chain, ..run.clone() }, WALL).unwrap();
        }
        for reader in &mut readers {
            // What waits has its turn when the others have had theirs, as often as there are entries.
            for _ in 0..30 {
                for run in runs.iter().flatten() {
                    reader.replica.apply_run(run, WALL).unwrap();
                }
            }
            reader.write_log();
            reader.assert_log_tells_the_truth();
        }
        let [one, other] = readers.each_ref().map(|reader| reader.replica.partition(0));
        prop_assert_eq!(one.heads(), other.heads());
        prop_assert_eq!(one.heads().len(), runs.iter().flatten().count());
        for run in runs.iter().flatten() {
            prop_assert_eq!(one.histories.head(run.origin).sequence, run.entries.len() as u64);
        }
        prop_assert_eq!(&one.context, &other.context);
        prop_assert_eq!(one.cells.root(), other.cells.root());
    }
}
