//! Logs are compared only where they give back what was written. Every turn reads back and compares by itself, so that
//! taking one is the test.

use std::sync::Arc;
use std::time::Duration;

use crdt_benches::logs::{
    Appending, Committing, Sharing, Tailing,
    ours::{Growing, Ours},
    records::Records,
    workloads::{append, commit, follow, replay, share, tail},
};
#[cfg(feature = "log-peers")]
use crdt_benches::logs::{
    commitlog::Commitlog, fjall::Fjall, okaywal::OkayWal, open_wal::OpenWal, raft_engine::RaftEngine,
    wal_db::WalDb,
};

const TIME: Duration = Duration::from_millis(20);

#[test]
fn what_was_appended_is_read_back_in_order() {
    appended::<Ours>();
    appended::<Growing>();
    #[cfg(feature = "log-peers")]
    {
        appended::<RaftEngine>();
        appended::<OkayWal>();
        appended::<OpenWal>();
        appended::<WalDb>();
        appended::<Fjall>();
        appended::<Commitlog>();
    }
}

#[test]
fn what_was_committed_is_read_back_in_order() {
    committed::<Ours>();
    committed::<Growing>();
    #[cfg(feature = "log-peers")]
    {
        committed::<RaftEngine>();
        committed::<OkayWal>();
        committed::<OpenWal>();
        committed::<WalDb>();
        committed::<Fjall>();
    }
}

#[test]
fn what_threads_committed_is_read_back_in_any_order() {
    shared::<Ours>();
    #[cfg(feature = "log-peers")]
    {
        shared::<RaftEngine>();
        shared::<OkayWal>();
        shared::<OpenWal>();
        shared::<WalDb>();
        shared::<Fjall>();
    }
}

#[test]
fn readers_find_the_middle_and_the_end() {
    tailed::<Ours>();
    #[cfg(feature = "log-peers")]
    {
        tailed::<RaftEngine>();
        tailed::<OpenWal>();
        tailed::<WalDb>();
        tailed::<Fjall>();
        tailed::<Commitlog>();
    }
}

fn appended<C: Appending>() {
    let records = Arc::new(Records::new(100, 2_000));
    let root = std::env::temp_dir();
    append::<C>(&root, &records)();
    let mut replayed = replay::<C>(&root, &records);
    assert!(replayed().rate > 0.0);
    assert!(replayed().rate > 0.0, "opening a log twice");
}

fn committed<C: Committing>() {
    commit::<C>(&std::env::temp_dir(), &Arc::new(Records::new(100, 0)), TIME)();
}

fn shared<C: Sharing>() {
    share::<C>(&std::env::temp_dir(), &Arc::new(Records::new(100, 0)), 3, TIME)();
}

fn tailed<C: Tailing>() {
    let records = Arc::new(Records::new(100, 2_000));
    tail::<C>(&std::env::temp_dir(), &records, 100)();
    follow::<C>(&std::env::temp_dir(), &records, 100)();
}
