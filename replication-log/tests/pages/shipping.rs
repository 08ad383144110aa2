//! A follower that applies every entry has the same file, to the last bit.

use proptest::prelude::*;
use replication_log::{
    Lsn,
    entry::physical::{Applied, PhysicalApplier},
    page::PageTable,
    storage::{FileStorage, MemoryStorage, Storage, StorageFile},
};

use crate::tools::{Leader, Model, NAME, key, rows, table_options, value};

/// One mini-transaction, as a function of its number.
fn change(leader: &mut Leader<impl Storage>, round: u32) {
    leader.write(|mini| {
        for number in [round, round * 3 % 40, round / 2] {
            let size = [12, 60, 150, 1300][(round as usize * 7 + number as usize) % 4];
            mini.upsert(&key(number), &value(round, size)).expect("sound");
        }
        if round % 3 == 2 {
            mini.delete(&key(round / 2)).expect("sound");
            mini.delete(&key(round / 3)).expect("sound");
        }
    });
}

fn file(storage: &impl Storage) -> Vec<u8> {
    let file = storage.open(NAME).expect("there");
    let length = usize::try_from(file.len().expect("healthy")).expect("small");
    let mut bytes = vec![0; length];
    assert_eq!(file.read_at(0, &mut bytes).expect("healthy"), length);
    bytes
}

/// Leader and follower run `rounds`, take checkpoints at the same records, and have the same file.
fn ship(from: &impl Storage, to: &impl Storage, rounds: u32) {
    let mut leader = Leader::create(from, 512);
    let mut follower = PageTable::create(to, &table_options(512)).expect("new");
    let (mut applier, mut shipped) = (PhysicalApplier::new(), 0);
    for round in 0..rounds {
        change(&mut leader, round);
        for (lsn, payload) in &leader.log[shipped..] {
            let outcome = applier.apply(&mut follower, *lsn, payload).expect("in order");
            assert_ne!(outcome, Applied::Skipped);
        }
        shipped = leader.log.len();
        assert_eq!((applier.remaining(), follower.applied()), (0, leader.table.applied()));
        if round % 5 == 4 || round + 1 == rounds {
            leader.checkpoint();
            let report = follower.checkpoint(follower.applied()).expect("healthy");
            assert_eq!(report.held_back, 0);
        }
    }
    assert!(file(from) == file(to), "the files differ after {rounds} rounds");
    assert!(rows(&mut follower) == rows(&mut leader.table));
}

#[test]
fn leader_and_follower_have_the_same_file_after_every_prefix() {
    for rounds in 1..40 {
        ship(&MemoryStorage::new(), &MemoryStorage::new(), rounds);
    }
}

#[test]
fn leader_and_follower_have_the_same_file_whatever_disk_they_are_on() {
    for rounds in [1, 7, 30] {
        let directories = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        let open = |at: usize| FileStorage::open(directories[at].path()).expect("free");
        let (one, other, memory) = (open(0), open(1), MemoryStorage::new());
        ship(&one, &other, rounds);
        ship(&memory, &MemoryStorage::new(), rounds);
        assert!(file(&one) == file(&memory), "a disk and memory differ after {rounds} rounds");
    }
}

/// Page 0 says up to where the own file needs no log, which is nobody else's business.
fn pages_of(storage: &MemoryStorage, page_bytes: usize) -> Vec<u8> {
    storage.bytes(NAME).expect("there")[page_bytes..].to_vec()
}

proptest! {
    /// Restarts and checkpoints of the follower at any time, entries handed over again from anywhere:
    /// in the end the pages are those of the leader.
    #[test]
    fn a_follower_that_stumbles_along_ends_with_the_leaders_pages(
        events in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 1..60),
    ) {
        let (from, mut leader) = Leader::in_memory(512);
        let to = MemoryStorage::new();
        let options = table_options(512);
        let mut follower = PageTable::create(&to, &options).expect("new");
        let mut applier = PhysicalApplier::new();
        let mut round = 0;
        let ship = |leader: &Leader<_>, follower: &mut PageTable<_>, applier: &mut PhysicalApplier, from: usize| {
            for (lsn, payload) in &leader.log[from..] {
                applier.apply(follower, *lsn, payload).expect("in order");
            }
        };
        for (event, index) in events {
            match event {
                0 | 1 => {
                    change(&mut leader, round);
                    round += 1;
                }
                2 => leader.checkpoint(),
                3 => {
                    let seen = usize::try_from(follower.applied().get()).expect("small");
                    ship(&leader, &mut follower, &mut applier, index.index(seen + 1));
                }
                4 => {
                    let report = follower.checkpoint(follower.applied()).expect("healthy");
                    prop_assert!(report.lsn <= follower.applied());
                }
                _ => {
                    let recovery = PageTable::open(&to, &options).expect("intact");
                    let records = leader.log.iter().filter(|(lsn, _)| *lsn <= follower.applied()).cloned();
                    follower = recovery.replay_all(records).expect("complete");
                    applier = PhysicalApplier::new();
                }
            }
        }
        // A checkpoint of the leader, and a change of every page: then nothing is held back.
        leader.checkpoint();
        leader.write(|mini| {
            for number in 0..60 {
                mini.delete(&key(number)).expect("sound");
                mini.upsert(&key(number), &value(number, 80)).expect("sound");
            }
        });
        ship(&leader, &mut follower, &mut applier, 0);
        leader.checkpoint();
        prop_assert!(rows(&mut follower) == rows(&mut leader.table));
        let report = follower.checkpoint(follower.applied()).expect("healthy");
        if report.held_back == 0 {
            prop_assert_eq!(report.lsn, follower.applied());
            prop_assert!(pages_of(&from, 512) == pages_of(&to, 512));
        }
    }
}

#[test]
fn the_same_operations_give_the_same_entries() {
    let run = || {
        let (_, mut leader) = Leader::in_memory(1024);
        for round in 0..50 {
            change(&mut leader, round);
            if round % 9 == 0 {
                leader.checkpoint();
            }
        }
        leader.log
    };
    assert!(run() == run());
}

#[test]
fn a_follower_applies_a_mini_transaction_whole_or_not_at_all() {
    let (_, mut leader) = Leader::in_memory(512);
    for round in 0..20 {
        change(&mut leader, round);
    }
    let mut follower = PageTable::create(&MemoryStorage::new(), &table_options(512)).expect("new");
    let (mut applier, mut state) = (PhysicalApplier::new(), Model::new());
    for (lsn, payload) in &leader.log {
        match applier.apply(&mut follower, *lsn, payload).expect("in order") {
            Applied::Kept => {
                assert!(applier.remaining() > 0 && follower.applied() < *lsn);
                assert!(rows(&mut follower) == state, "half a mini-transaction is visible");
            }
            Applied::Installed { skipped, .. } => {
                assert_eq!((skipped, follower.applied()), (0, *lsn));
                state = rows(&mut follower);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(follower.applied(), Lsn::new(leader.log.len() as u64));
}
