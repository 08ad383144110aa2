//! A world without the random clients: an application drives it, and strikes where it wants to know.

use core::time::Duration;

use crdt_sync::{Action, Cell, Collection, ItemKey, Reply, Request, Write};
use crdt_sync_sim::{Fault, Notice, Setup, Violation, World};

const MOMENT: Duration = Duration::from_millis(500);

fn votes() -> Collection {
    Collection::counters("votes")
}

fn item() -> ItemKey {
    ItemKey { collection: votes().id(), key: "yes".into() }
}

fn vote(world: &mut World, node: usize) -> Result<(), Violation> {
    let write = Write { collection: item().collection, key: item().key, action: Action::Increment(1) };
    world.request(node, Request::Write(vec![write])).map(drop)
}

fn count(world: &World, node: usize) -> Option<i128> {
    match world.engine(node)?.peek(&item()) {
        Some(Cell::Counter(counter)) => Some(counter.value()),
        _ => Some(0),
    }
}

fn written(world: &mut World) -> usize {
    std::iter::from_fn(|| world.poll_notice())
        .filter(|notice| matches!(notice, Notice::Replied { reply: Reply::Written(_), .. }))
        .count()
}

#[test]
fn an_acknowledged_vote_outlives_the_machine_it_was_cast_on() -> Result<(), Violation> {
    let mut world = World::new(1, Setup::peaceful(2, [votes()]));
    world.run_for(MOMENT)?;
    vote(&mut world, 0)?;
    world.run_for(MOMENT)?;
    assert_eq!(written(&mut world), 1);
    world.inflict(Fault::PowerLost, 0);
    assert!(world.engine(0).is_none());
    world.run_for(MOMENT)?;
    assert_eq!(count(&world, 0), Some(1));
    Ok(())
}

#[test]
fn a_vote_that_was_not_acknowledged_may_be_lost_but_never_on_one_node_only() -> Result<(), Violation> {
    for seed in 0..20 {
        let mut world = World::new(seed, Setup::peaceful(3, [votes()]));
        world.run_for(MOMENT)?;
        vote(&mut world, 0)?;
        world.inflict(Fault::PowerLost, 0);
        world.run_for(4 * MOMENT)?;
        let counts: Vec<_> = (0..3).map(|node| count(&world, node)).collect();
        assert!([[Some(0); 3], [Some(1); 3]].iter().any(|all| counts == all), "{counts:?}");
    }
    Ok(())
}

#[test]
fn asking_a_node_that_is_down_or_does_not_exist_is_answered_by_nobody() -> Result<(), Violation> {
    let mut world = World::new(1, Setup::peaceful(2, [votes()]));
    world.run_for(MOMENT)?;
    world.inflict(Fault::ProcessKilled, 1);
    for node in [1, 2, usize::MAX] {
        assert_eq!(world.read(node, item(), MOMENT)?, None);
        world.inflict(Fault::PowerLost, node);
    }
    Ok(())
}
