//! Without faults nothing is refused for no reason, nothing is left open, and nothing is lost.

use crdt_sync_sim::{Fault, Plan, simulate};

#[test]
fn in_a_peaceful_world_every_command_is_answered() {
    for seed in 0..50 {
        let report = simulate(seed, &Plan::peaceful()).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(report.unknown, 0);
        assert!(Fault::ALL.into_iter().all(|fault| report.faults.of(fault) == 0));
    }
}

#[test]
fn a_pair_and_a_crowd_keep_the_same_promises() {
    for nodes in [2, 5, 7] {
        for seed in 0..6 {
            let plan = Plan::hostile().with_nodes(nodes).with_operations(80);
            simulate(seed, &plan).unwrap_or_else(|failure| panic!("{nodes} nodes: {failure}"));
        }
    }
}
