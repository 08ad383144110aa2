//! Forks that stay open because entries are gone with their writer.

use super::forks::{Forked, count};
use super::*;

/// Node 0 holds a branch as states, and node 3 its beginning: only the entries between could tell that it is that.
#[test]
fn a_branch_whose_writer_is_gone_stays_fenced_and_is_told_until_the_writer_is_back() {
    let mut forked = Forked::new(4);
    forked.0.write(1, count("visits", 5));
    forked.clone_node(1, 0);
    forked.0.write(1, count("visits", 30));
    forked.0.connect(1, 3);
    forked.settle();
    forked.0.restart(3);
    forked.0.write(1, count("visits", 200));
    forked.0.write(0, count("visits", 1_000));
    forked.0.connect(0, 1);
    // As soon as node 0 has the states, and before it has asked for the entries, node 1 is gone.
    let has_states = |forked: &Forked| {
        let heads = &forked.0.engines[0].status().partitions[0].heads;
        heads.iter().any(|(_, head)| head.sequence == 3)
    };
    while !has_states(&forked) {
        let Some((link, bytes)) = forked.0.frames.pop_front() else {
            forked.0.micros += 300_000;
            for node in [0, 1] {
                forked.0.handle(node, Input::Timer);
            }
            continue;
        };
        let &(node, link, _) = forked.0.links.get(&link).unwrap();
        forked.0.handle(node, Input::Frame { link, bytes });
    }
    forked.0.restart(1);
    forked.0.connect(0, 3);
    let not_healed = |event: &Event| matches!(event, Event::ForkNotHealed { .. });
    forked.0.settle();
    assert_eq!(forked.told(not_healed), 0, "the writer may come back");
    for _ in 0..10 {
        forked.settle();
    }
    assert_eq!(forked.told(not_healed), 1, "once, by the node that holds more");
    assert_eq!((forked.counted(0, "visits"), forked.counted(3, "visits")), (1_235, 35));
    forked.0.connect(1, 3);
    forked.0.connect(0, 1);
    forked.settle();
    assert_eq!([0, 1, 3].map(|node| forked.counted(node, "visits")), [1_235; 3]);
}
