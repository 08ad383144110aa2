//! An engine with a friend and with a stranger that says anything.

use crdt_sync::{Action, NodeId, Reply, Write};

use crate::cluster::{Cluster, write};
use crate::tamper::Tampering;

const VICTIM: usize = 0;
const STRANGER: usize = 1;
const FRIEND: usize = 2;

/// In heartbeats: enough to agree, and longer than an engine waits for a session that is silent.
const SOON: u32 = 4;
const LATER: u32 = 26;

/// Whatever one peer says, the engine goes on: it answers its clients, the other peer stays connected and gets what is
/// written here, and a restart finds in the log what was in memory.
pub fn what_one_peer_says_does_not_cut_off_the_other(edits: &[u8]) {
    let mut cluster = Cluster::new(3, Tampering::new(edits));
    cluster.write(VICTIM, some_of_each("victim"));
    cluster.write(STRANGER, some_of_each("stranger"));
    let friends = cluster.connect(VICTIM, FRIEND, None);
    cluster.settle(SOON);
    let strangers = cluster.connect(STRANGER, VICTIM, Some(STRANGER));
    cluster.settle(SOON);
    cluster.write(STRANGER, vec![write(1, "shared", Action::Add("pear".into()))]);
    cluster.settle(SOON);
    cluster.disconnect(strangers);

    let reply = cluster.write(VICTIM, vec![write(2, "afterwards", Action::Increment(1))]);
    assert!(matches!(reply, Some(Reply::Written(_))), "{reply:?}");
    cluster.settle(LATER);
    assert!(cluster.faults.iter().all(|link| !friends.contains(link)));
    let friend = NodeId::from_u128(FRIEND as u128 + 1);
    assert!(cluster.engine(VICTIM).status().peers.iter().any(|peer| peer.node == friend));
    assert!(cluster.holds(FRIEND, 2, "afterwards"));

    let restarted = cluster.restarted(VICTIM).status();
    assert_eq!(restarted.partitions, cluster.engine(VICTIM).status().partitions);
}

/// Enough of every kind that both sides would rather compare trees, some under keys that the other side holds too.
fn some_of_each(name: &str) -> Vec<Write> {
    let mut writes: Vec<Write> =
        (0..10).map(|number| write(0, &format!("{name} {number}"), Action::Insert("body".into()))).collect();
    writes.push(write(0, "shared", Action::Insert(name.into())));
    writes.push(write(1, "shared", Action::Add(name.into())));
    writes.push(write(1, "shared", Action::Add("apple".into())));
    writes.push(write(2, "shared", Action::Increment(3)));
    writes.push(write(3, "shared", Action::Set(Some(name.into()))));
    writes
}
