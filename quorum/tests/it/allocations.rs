//! Up to 16 nodes nothing is allocated, from opening a tally to its last answer.
//!
//! Own file, own process: every allocation of the program goes through the counter.

use std::num::NonZeroU32;

use quorum::{
    AckTally, CommitTally, Expr, JointCommitTally, JointVoteTally, QuorumSystem, SystemTally, VoteTally,
};

fn allocations(step: impl FnOnce()) -> u64 {
    allocation_counter::measure(step).count_total
}

#[test]
fn acknowledgements_of_sixteen_nodes() {
    let required = NonZeroU32::new(9).expect("not zero");
    let count = |primaries: u64, fallbacks: u64| {
        allocations(|| {
            let mut tally = AckTally::new(required, 0..primaries);
            for node in 0..fallbacks {
                let _ = tally.ask_fallback(primaries + node);
            }
            for node in 0..primaries + fallbacks {
                let _ = if node % 3 == 0 { tally.fail(node) } else { tally.ack(node) };
            }
        })
    };
    assert_eq!(count(12, 4), 0);
    assert!(count(12, 5) > 0, "the counter counts");
}

#[test]
fn votes_of_sixteen_nodes() {
    let count = |voters: u64| {
        allocations(|| {
            let mut tally = VoteTally::majority(0..voters);
            let mut joint = JointVoteTally::majority(0..voters, 4..voters + 4);
            for node in 0..voters {
                let _ = (tally.grant(node), joint.reject(node), joint.grant(node));
            }
        })
    };
    assert_eq!(count(16), 0);
    assert!(count(17) > 0, "the counter counts");
}

#[test]
fn positions_of_sixteen_members() {
    let count = |members: u64| {
        allocations(|| {
            let mut one = CommitTally::majority(0..members);
            let weighted = CommitTally::weighted(9, (0..members).map(|node| (node + 1, node)));
            let mut weighted = weighted.expect("sound votes");
            for step in 0..100 {
                let _ =
                    (one.acknowledge(step * 7 % members, step), weighted.acknowledge(step % members, step));
            }
            one.reconfigure(CommitTally::majority(3..members + 3));
            let mut joint = JointCommitTally::new(one, weighted);
            for step in 0..200 {
                let _ = joint.acknowledge(step * 5 % members, step);
            }
        })
    };
    assert_eq!(count(16), 0);
    assert!(count(17) > 0, "the counter counts");
}

#[test]
fn answers_of_any_system() {
    let row = |row: u32| Expr::all((0..8).map(|column| row * 8 + column)).expect("eight nodes");
    let grid = QuorumSystem::from_reads(Expr::any((0..8).map(row)).expect("eight rows")).expect("64 nodes");
    let counted = allocations(|| {
        let (mut read, mut write) = (SystemTally::read(&grid), SystemTally::write(&grid));
        for node in 0..64 {
            let _ = (read.ack(&node), if node % 8 == 3 { write.fail(&node) } else { write.ack(&node) });
        }
    });
    assert_eq!(counted, 0);
}
