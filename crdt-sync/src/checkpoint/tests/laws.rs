//! A restart from a checkpoint and the rest of the log is a restart from the whole log, whatever happens between the
//! pieces of the checkpoint and after them.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::support::*;
use crate::replica::{Action, Partition, Write};

#[derive(Clone, Debug)]
enum Step {
    Act { at: usize, write: Write },
    CatchUp { at: usize },
    MergeStates { at: usize, all: bool },
    Begin { at: usize },
    Piece { at: usize, budget: usize },
    ForgetEntries { at: usize, keep: usize },
    Miss { at: usize, owner: u8, write: Write },
    Deliver { at: usize, owner: u8 },
    Drop { at: usize, partition: u16 },
    ForgetDeleted { at: usize },
    Restart { at: usize },
}

fn arb_write() -> impl Strategy<Value = Write> {
    let action = prop_oneof![
        4 => (0u8..8).prop_map(|n| (0, Action::Put(vec![n].into()))),
        1 => (0u8..4).prop_map(|n| (0, Action::Insert(vec![n].into()))),
        1 => Just((0, Action::Delete)),
        2 => (0u8..4).prop_map(|n| (1, Action::Add(vec![n].into()))),
        2 => (0u8..4).prop_map(|n| (1, Action::Remove(vec![n].into()))),
        1 => (1u64..5).prop_map(|n| (2, Action::Increment(n))),
        1 => (1u64..5).prop_map(|n| (2, Action::Decrement(n))),
        1 => (0u8..4).prop_map(|n| (3, Action::Set(Some(vec![n].into())))),
    ];
    (action, 0u8..4).prop_map(|((collection, action), key)| Write {
        collection: collections()[collection].id(),
        key: vec![key].into(),
        action,
    })
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..2usize;
    prop_oneof![
        8 => (at(), arb_write()).prop_map(|(at, write)| Step::Act { at, write }),
        1 => at().prop_map(|at| Step::CatchUp { at }),
        1 => (at(), any::<bool>()).prop_map(|(at, all)| Step::MergeStates { at, all }),
        1 => at().prop_map(|at| Step::Begin { at }),
        // A frame at a time, or two keys, or all that is left.
        6 => (at(), prop_oneof![Just(1), Just(200), Just(1 << 20)]).prop_map(|(at, budget)| Step::Piece { at, budget }),
        1 => (at(), 0..200usize).prop_map(|(at, keep)| Step::ForgetEntries { at, keep }),
        4 => (at(), 0..2u8, arb_write()).prop_map(|(at, owner, write)| Step::Miss { at, owner, write }),
        1 => (at(), 0..2u8).prop_map(|(at, owner)| Step::Deliver { at, owner }),
        1 => (at(), 0..2u16).prop_map(|(at, partition)| Step::Drop { at, partition }),
        1 => at().prop_map(|at| Step::ForgetDeleted { at }),
        1 => at().prop_map(|at| Step::Restart { at }),
    ]
}

impl Step {
    fn at(&self) -> usize {
        match self {
            Self::Act { at, .. }
            | Self::CatchUp { at }
            | Self::MergeStates { at, .. }
            | Self::Begin { at }
            | Self::Piece { at, .. }
            | Self::ForgetEntries { at, .. }
            | Self::Miss { at, .. }
            | Self::Deliver { at, .. }
            | Self::Drop { at, .. }
            | Self::ForgetDeleted { at }
            | Self::Restart { at } => *at,
        }
    }
}

proptest! {
    /// The log is replayed from its first record as the oracle; everything else goes on from checkpoints.
    #[test]
    fn a_restart_from_a_checkpoint_is_a_restart_from_the_whole_log(
        steps in prop::collection::vec(arb_step(), 1..80),
    ) {
        let mut replicas = [Logged::new(1), Logged::new(2)];
        let mut forgot = [false; 2];
        for step in steps {
            let index = step.at();
            let [one, other] = &mut replicas;
            let (here, there) = if index == 0 { (one, other) } else { (other, one) };
            match step {
                Step::Act { write, .. } => here.act(&write),
                Step::CatchUp { .. } => here.catch_up_with(there),
                Step::MergeStates { all, .. } => {
                    // What is raised over loses what was retained.
                    forgot[index] = true;
                    here.merge_states_of(there, all);
                }
                Step::Begin { .. } => {
                    forgot[index] = false;
                    here.begin();
                }
                Step::Piece { budget, .. } => {
                    let at_once = here.making.as_ref().map(|(_, _, at_once)| at_once.clone());
                    if here.piece(budget) {
                        let (_, bytes) = here.made.as_ref().unwrap();
                        prop_assert!(forgot[index] || Some(bytes) == at_once.as_ref(), "the same in one go");
                    }
                }
                Step::ForgetEntries { keep, .. } => {
                    forgot[index] = true;
                    here.forget_entries(keep);
                }
                Step::Miss { owner, write, .. } => here.miss(owner, &write),
                Step::Deliver { owner, .. } => here.deliver(owner, there),
                Step::Drop { partition, .. } => {
                    forgot[index] = true;
                    here.drop_partition(partition);
                }
                Step::ForgetDeleted { .. } => {
                    // What wrote to a forgotten document is no longer handed on.
                    forgot[index] = true;
                    here.forget_deleted();
                }
                Step::Restart { .. } => {
                    // Two runs of a node never draw the same identities.
                    here.config.seed[0] = here.config.seed[0].wrapping_add(2);
                    if let Some(reopened) = here.reopened() {
                        // The checkpoint that was being made is lost with the process.
                        here.making = None;
                        here.replica = reopened.unwrap();
                    }
                }
            }
            if let Some(reopened) = here.reopened() {
                let mut reopened = reopened.unwrap();
                let mut replayed = here.replayed();
                prop_assert_eq!(Whole::of(&mut reopened), Whole::of(&mut replayed));
                // A write that changed nothing moves the record of its key, and nothing shows that in a replay.
                let later = |(one, other): (replication_log::Lsn, replication_log::Lsn)| one >= other;
                prop_assert!(lsns(&reopened).zip(lsns(&replayed)).all(later));
                prop_assert!(lsns(&reopened).all(|lsn| lsn <= reopened.journal.last()));
                let (issued, noted) = reopened.stamps();
                let (replayed_issued, replayed_noted) = replayed.stamps();
                prop_assert!(issued >= replayed_issued && noted >= replayed_noted);
            }
        }
        // Two that went through all this still come to one.
        let [one, other] = &mut replicas;
        // Twice, where a version came back that had been dropped.
        for _ in 0..2 {
            one.merge_states_of(other, true);
            other.merge_states_of(one, true);
        }
        let roots = |logged: &Logged| logged.replica.partitions.iter().map(Partition::standing).collect::<Vec<_>>();
        prop_assert_eq!(roots(one), roots(other));
    }

    #[test]
    fn entries_for_peers_are_retained_through_a_restart(
        writes in prop::collection::vec(arb_write(), 1..40),
        after in prop::collection::vec(arb_write(), 0..10),
    ) {
        let mut logged = Logged::new(1);
        for write in &writes {
            logged.act(write);
        }
        logged.begin();
        for write in &after {
            logged.act(write);
        }
        while !logged.piece(1) {}
        let reopened = logged.reopened().unwrap().unwrap();
        prop_assert_eq!(retained(&reopened), retained(&logged.replica));
    }
}

fn put(key: &str, body: &str) -> Write {
    Write { collection: collections()[0].id(), key: key.into(), action: Action::Put(body.into()) }
}

#[test]
fn a_checkpoint_shows_the_moment_it_began() {
    let mut logged = Logged::new(1);
    (0..50).for_each(|n| logged.act(&put(&alloc::format!("key-{n}"), "before")));
    let mut then = logged.replayed();
    logged.begin();
    let begun_at = logged.replica.journal.last();
    for n in 0..50 {
        logged.act(&put(&alloc::format!("key-{n}"), "after"));
        logged.act(&put(&alloc::format!("new-{n}"), "after"));
        logged.piece(1);
    }
    while !logged.piece(1) {}
    let (lsn, bytes) = logged.made.clone().unwrap();
    assert_eq!(lsn, begun_at);
    let mut loaded = crate::checkpoint::load(logged.config.clone(), [bytes], WALL).unwrap().0;
    loaded.journal = crate::replica::Journal::after(lsn);
    assert_eq!(Whole::of(&mut loaded), Whole::of(&mut then));
}

#[test]
fn an_old_entry_does_not_bring_back_a_version_that_was_stemmed() {
    let mut logged = Logged::new(1);
    logged.act(&put("note", "0"));
    logged.begin();
    // Many versions on top of each other, so that the early ones are forgotten before the key is given out.
    (1..30).for_each(|n| logged.act(&put("note", &alloc::format!("{n}"))));
    while !logged.piece(1) {}
    let mut reopened = logged.reopened().unwrap().unwrap();
    assert_eq!(Whole::of(&mut reopened), Whole::of(&mut logged.replayed()));
}

#[test]
fn what_is_kept_for_a_checkpoint_is_let_go_when_it_is_given_out() {
    let mut logged = Logged::new(1);
    (0..200).for_each(|n| logged.act(&put(&alloc::format!("key-{n}"), "before")));
    logged.begin();
    (0..200).for_each(|n| logged.act(&put(&alloc::format!("key-{n}"), "after")));
    assert_eq!(kept(&logged), 200);
    let mut left = 200;
    while !logged.piece(1_000) {
        assert!(kept(&logged) <= left);
        left = kept(&logged);
    }
    assert_eq!(kept(&logged), 0);
    logged.act(&put("key-0", "later"));
    assert_eq!(kept(&logged), 0, "without a checkpoint nothing is kept");
}

fn kept(logged: &Logged) -> usize {
    logged.replica.partitions.iter().map(|partition| partition.cells.images()).sum()
}
