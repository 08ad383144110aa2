//! A node whose disk was restored from a backup is told by its peers.

use super::world::*;
use crate::engine::Event;
use crate::replica::Action;

#[test]
fn a_node_whose_later_writes_a_peer_has_seen_takes_a_fresh_identity() {
    let mut world = World::new(2, 1, |_| {});
    world.write(1, SETS, "list", Action::Add("milk".into()));
    let backup = world.nodes[1].log.len();
    world.write(1, SETS, "list", Action::Add("bread".into()));
    world.write(1, SETS, "list", Action::Remove("bread".into()));
    world.settle();
    let before = world.nodes[1].replica.id;

    world.restart_from(1, backup);
    world.settle();
    let after = world.nodes[1].replica.id;
    assert_ne!(before, after, "the dots of the old one are in use elsewhere");
    assert!(world.nodes[1].events.contains(&Event::IdentityRenewed { old: before, new: after }));

    world.write(1, SETS, "list", Action::Add("soap".into()));
    world.settle();
    for node in 0..2 {
        assert_eq!(world.elements(node, "list"), ["milk", "soap"].map(Into::into).into());
    }
    world.assert_logs_tell_the_truth();
}
