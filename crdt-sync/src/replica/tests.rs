//! One replica's data, whatever order things reach it in: what the journal says is what memory holds.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use replication_log::Lsn;

use super::*;
use crate::bytes::Bytes;
use crate::collection::Strategy as Rule;
use crate::merkle::ItemSource;
use crate::time::WallTime;
use crate::wire::{ItemState, Run, StatesPart};

const WALL: WallTime = WallTime::from_millis(1_700_000_000_000);

fn collections() -> [Collection; 4] {
    [
        Collection::documents("notes", Rule::Keep),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

/// A replica with the log it would write.
struct Logged {
    config: Config,
    replica: Replica,
    log: Vec<(Lsn, Vec<u8>)>,
}

impl Logged {
    fn new(number: u8) -> Self {
        let cluster = ClusterKey::from_bytes([9; 16]);
        let mut config = Config::new(NodeId::from_u128(number.into()), cluster, [number; 32])
            .with_collections(collections());
        config.leaf_bits = 4;
        let replica = Replica::recover(config.clone(), Vec::<(Lsn, Vec<u8>)>::new(), WALL).unwrap();
        let mut logged = Self { config, replica, log: Vec::new() };
        logged.write_log();
        logged
    }

    fn write_log(&mut self) {
        if let Some((first, records)) = self.replica.journal.take() {
            self.log.extend((first.get()..).map(Lsn::new).zip(records));
        }
    }

    fn act(&mut self, write: &Write) {
        // A register may refuse a stamp, a document an empty deletion; then nothing was written.
        let _ = self.replica.write(core::slice::from_ref(write), WALL);
        self.write_log();
    }

    /// Takes the entries that the other has and this one lacks.
    fn catch_up_with(&mut self, other: &Self) {
        let histories = &other.replica.partition(0).histories;
        for (origin, history) in histories.iter() {
            let after = self.replica.partition(0).histories.head(origin);
            let Some(entries) = history.after(after.sequence) else { continue };
            let entries: Vec<Bytes> = entries.map(|retained| retained.bytes.clone()).collect();
            if !entries.is_empty() {
                let run = Run { partition: 0, origin, after, entries, chain: history.head().chain };
                self.replica.apply_run(&run, WALL).unwrap();
            }
        }
        self.write_log();
    }

    /// Joins the other's states: all of them, after which its frontier is taken over, or only every second one, as
    /// when a session is given up half way.
    fn merge_states_of(&mut self, other: &Self, all: bool) {
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
                let items = vec![ItemState { key: item.key, state, more: false }];
                let part = StatesPart { index, collection: item.collection, items, ahead: Vec::new() };
                self.replica.apply_part(0, &part, &standing, Coverage::default(), WALL).unwrap();
            }
        }
        if all {
            self.replica.raise_frontier(0, standing);
        }
        self.write_log();
    }

    fn assert_log_tells_the_truth(&mut self) {
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
    cells.photograph();
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
