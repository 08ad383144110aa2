//! What one commit costs in each mode: syncs, round trips, messages.

use crdt_sync::{Input, Request};
use replication_log::ship::Stage;

use crate::cluster::*;

/// What happened until the client was answered.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    syncs_here: u64,
    syncs_at_followers: u64,
    frames_out: u64,
    frames_back: u64,
}

/// A cluster in which everybody has everything and nobody has anything to say, and what one more commit costs.
fn of_one_commit(policy: &str, stage: Stage) -> Cost {
    let mut config = settings(policy);
    config.commits.stage = stage;
    let mut cluster = Cluster::of_three(&config);
    cluster.write(A, add("visits", 1));
    cluster.settle();
    let syncs = |cluster: &Cluster| -> Vec<u64> {
        cluster.nodes.iter().map(|node| node.engine.metrics().counters.syncs).collect()
    };
    let before = syncs(&cluster);
    let asked = cluster.ask(A, Request::Write(add("visits", 1)));
    let (mut out, mut back) = (0, 0);
    while !cluster.replies.contains_key(&asked) {
        let (link, bytes) = cluster.frames.pop_front().expect("somebody goes on");
        let (node, link, from) = cluster.links[&link];
        if from == A {
            out += 1;
        } else {
            back += 1;
        }
        cluster.handle(node, Input::Frame { link, bytes });
    }
    let after = syncs(&cluster);
    Cost {
        syncs_here: after[A] - before[A],
        syncs_at_followers: after[B] + after[C] - before[B] - before[C],
        frames_out: out,
        frames_back: back,
    }
}

#[test]
fn each_mode_costs_what_the_page_on_it_says() {
    let cost = |syncs_here, syncs_at_followers, frames_out, frames_back| Cost {
        syncs_here,
        syncs_at_followers,
        frames_out,
        frames_back,
    };
    assert_eq!(of_one_commit("", Stage::Flushed), cost(1, 0, 0, 0));
    // One sync here, one there, one round trip. The other follower was sent it at the same time.
    assert_eq!(of_one_commit("ANY 1 (*)", Stage::Flushed), cost(1, 2, 2, 1));
    assert_eq!(of_one_commit("ALL (*)", Stage::Flushed), cost(1, 2, 2, 2));
    assert_eq!(of_one_commit("FIRST 1 (b, c)", Stage::Flushed), cost(1, 2, 2, 1));
}
