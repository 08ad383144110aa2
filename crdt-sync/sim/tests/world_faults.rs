//! Each fault of the world does what it says, shown on one small election.

use core::time::Duration;

use crdt_sync::{Action, Cell, Collection, Event, ItemKey, Reply, Request, Write};
use crdt_sync_sim::{Fault, Hostility, Notice, Phase, Setup, Shape, Violation, World};

const MOMENT: Duration = Duration::from_millis(500);
/// Longer than any misfortune lasts, and long enough to agree afterwards.
const LONG: Duration = Duration::from_secs(8);

fn votes() -> Collection {
    Collection::counters("votes")
}

fn item() -> ItemKey {
    ItemKey { collection: votes().id(), key: "yes".into() }
}

/// A peaceful world whose nodes are up and know each other.
fn world(nodes: usize) -> Result<World, Violation> {
    let mut world = World::new(1, Setup::peaceful(nodes, [votes()]));
    world.run_for(MOMENT)?;
    Ok(world)
}

/// Whether the node could be asked.
fn vote(world: &mut World, node: usize) -> Result<bool, Violation> {
    let write = Write { collection: item().collection, key: item().key, action: Action::Increment(1) };
    Ok(world.request(node, Request::Write(vec![write]))?.is_some())
}

fn count(world: &World, node: usize) -> Option<i128> {
    match world.engine(node)?.peek(&item()) {
        Some(Cell::Counter(counter)) => Some(counter.value()),
        _ => Some(0),
    }
}

fn counts(world: &World) -> Vec<Option<i128>> {
    (0..world.nodes()).map(|node| count(world, node)).collect()
}

fn notices(world: &mut World) -> Vec<Notice> {
    std::iter::from_fn(|| world.poll_notice()).collect()
}

fn acknowledged(notices: &[Notice]) -> usize {
    let written = |notice: &&Notice| matches!(notice, Notice::Replied { reply: Reply::Written(_), .. });
    notices.iter().filter(written).count()
}

fn renewals(notices: &[Notice]) -> usize {
    let renewed =
        |notice: &&Notice| matches!(notice, Notice::Said { event: Event::IdentityRenewed { .. }, .. });
    notices.iter().filter(renewed).count()
}

#[test]
fn in_a_star_everything_goes_through_the_centre_and_in_a_ring_from_hand_to_hand() -> Result<(), Violation> {
    for (shape, ways) in [(Shape::Star, 8), (Shape::Ring, 10), (Shape::AllToAll, 20)] {
        let setup = Setup { shape, ..Setup::peaceful(5, [votes()]) };
        let mut world = World::new(1, setup);
        world.run_for(MOMENT)?;
        vote(&mut world, 3)?;
        world.run_for(LONG)?;
        assert_eq!(counts(&world), [Some(1); 5], "{shape:?}");
        assert_eq!(world.frames().len(), ways, "{shape:?}");
    }
    Ok(())
}

#[test]
fn a_vote_reaches_its_own_site_before_the_other() -> Result<(), Violation> {
    let distance = Duration::from_secs(1)..=Duration::from_secs(1);
    let mut world = World::new(1, Setup { distance, ..Setup::peaceful(4, [votes()]) });
    world.run_for(LONG)?;
    vote(&mut world, 0)?;
    world.run_for(MOMENT)?;
    assert_eq!(counts(&world), [Some(1), Some(1), Some(0), Some(0)]);
    world.run_for(LONG)?;
    assert_eq!(counts(&world), [Some(1); 4]);
    Ok(())
}

#[test]
fn frames_queue_up_before_a_way_that_carries_next_to_nothing_and_none_is_lost() -> Result<(), Violation> {
    let mut world = world(2)?;
    world.inflict(Fault::BandwidthCollapsed, 0);
    assert_eq!(world.faults().of(Fault::BandwidthCollapsed), 1);
    for node in [0, 1] {
        vote(&mut world, node)?;
    }
    world.run_for(LONG)?;
    assert_eq!(counts(&world), [Some(2); 2]);
    Ok(())
}

#[test]
fn a_full_disk_ends_the_engine_which_comes_back_when_there_is_room() -> Result<(), Violation> {
    let mut world = world(3)?;
    world.inflict(Fault::DiskFull, 1);
    vote(&mut world, 1)?;
    assert_eq!(count(&world, 1), None);
    world.run_for(LONG)?;
    let notices = notices(&mut world);
    assert_eq!(acknowledged(&notices), 0);
    assert!(
        notices.iter().any(|notice| matches!(notice, Notice::Replied { reply: Reply::Unknown { .. }, .. }))
    );
    assert_eq!(counts(&world), [Some(0); 3]);
    assert!(world.coverage().of(Fault::DiskFull, Phase::AwaitingSync) > 0);
    Ok(())
}

#[test]
fn a_slow_disk_acknowledges_late() -> Result<(), Violation> {
    let mut world = world(3)?;
    world.inflict(Fault::DiskSlow, 1);
    vote(&mut world, 1)?;
    world.run_for(MOMENT)?;
    assert_eq!(
        (acknowledged(&notices(&mut world)), count(&world, 1), count(&world, 2)),
        (0, Some(1), Some(0))
    );
    world.run_for(LONG)?;
    assert_eq!((acknowledged(&notices(&mut world)), count(&world, 2)), (1, Some(1)));
    Ok(())
}

#[test]
fn a_process_that_is_paused_answers_nobody_and_hears_everything_afterwards() -> Result<(), Violation> {
    let mut world = world(2)?;
    world.inflict(Fault::Paused, 0);
    assert!(!vote(&mut world, 0)?, "nobody answers");
    assert!(vote(&mut world, 1)?);
    world.run_for(Duration::from_millis(40))?;
    assert_eq!(counts(&world), [Some(0), Some(1)]);
    world.run_for(LONG)?;
    assert_eq!(counts(&world), [Some(1); 2]);
    let downs = notices(&mut world).iter().filter(|notice| matches!(notice, Notice::Down { .. })).count();
    assert_eq!(downs, 0, "it was the same process all along");
    Ok(())
}

#[test]
fn a_driver_that_stalls_acknowledges_when_it_goes_on() -> Result<(), Violation> {
    let mut world = world(2)?;
    world.inflict(Fault::DriverStalled, 0);
    assert!(vote(&mut world, 0)?);
    assert!(!vote(&mut world, 0)?, "it stands still");
    world.run_for(LONG)?;
    assert_eq!(acknowledged(&notices(&mut world)), 1);
    assert_eq!(counts(&world), [Some(1); 2]);
    Ok(())
}

#[test]
fn what_a_driver_polled_and_did_not_do_before_it_died_never_happened() -> Result<(), Violation> {
    let mut world = world(2)?;
    world.inflict(Fault::DriverDied, 0);
    vote(&mut world, 0)?;
    assert_eq!(count(&world, 0), None);
    world.run_for(LONG)?;
    assert_eq!(acknowledged(&notices(&mut world)), 0);
    assert_eq!(counts(&world), [Some(0); 2]);
    Ok(())
}

#[test]
fn a_node_whose_disk_rots_is_founded_anew_and_gets_back_what_others_have() -> Result<(), Violation> {
    let mut rotted = 0;
    for seed in 0..12 {
        let mut world = World::new(seed, Setup::peaceful(3, [votes()]));
        world.run_for(MOMENT)?;
        vote(&mut world, 0)?;
        world.run_for(LONG)?;
        world.inflict(Fault::BitRot, 0);
        world.inflict(Fault::BitRot, 1);
        assert_eq!(world.faults().of(Fault::BitRot), 1, "of three nodes one is a minority");
        world.run_for(LONG)?;
        assert_eq!(counts(&world), [Some(1); 3]);
        for notice in notices(&mut world) {
            if let Notice::Rotted { node, lost } = notice {
                assert_eq!((node, lost), (0, Vec::new()), "the others had it");
                rotted += 1;
            }
        }
    }
    assert!(rotted > 6, "most bits matter: {rotted}");
    Ok(())
}

#[test]
fn a_restored_node_gets_back_what_reached_another_and_what_did_not_is_named() -> Result<(), Violation> {
    let mut world = world(3)?;
    world.copy_disk(0);
    vote(&mut world, 0)?;
    world.run_for(LONG)?;
    // The second vote is durable on node 0 and on its way.
    let already = acknowledged(&notices(&mut world));
    vote(&mut world, 0)?;
    while !world.notices().any(|notice| matches!(notice, Notice::Replied { .. })) {
        world.step()?;
    }
    let origin = world.engine(0).expect("up").status().replica;
    world.inflict(Fault::RestoredTold, 0);
    let lost = notices(&mut world).into_iter().find_map(|notice| match notice {
        Notice::Restored { lost, .. } => Some(lost),
        _ => None,
    });
    let lost = lost.expect("a notice of it");
    assert_eq!((already, lost.len()), (1, 1));
    assert_eq!((lost[0].origin, lost[0].lost_above), (origin, 1));
    world.run_for(LONG)?;
    assert_eq!(renewals(&notices(&mut world)), 1);
    assert!(count(&world, 0) >= Some(1), "the first vote had reached the others");
    assert!(counts(&world).windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}

#[test]
fn a_node_that_is_not_told_of_its_restore_takes_no_votes_before_it_has_found_out() -> Result<(), Violation> {
    let mut world = world(3)?;
    world.copy_disk(0);
    world.inflict(Fault::RestoredUntold, 0);
    assert_eq!(world.faults().of(Fault::RestoredUntold), 0, "nobody could tell it");
    vote(&mut world, 0)?;
    world.run_for(LONG)?;
    world.inflict(Fault::RestoredUntold, 0);
    while world.engine(0).is_none() {
        world.step()?;
    }
    assert!(!vote(&mut world, 0)?);
    world.run_for(LONG)?;
    assert_eq!(renewals(&notices(&mut world)), 1);
    assert!(vote(&mut world, 0)?);
    world.run_for(LONG)?;
    assert_eq!(counts(&world), [Some(2); 3]);
    Ok(())
}

#[test]
fn a_copy_of_a_disk_does_not_start_under_another_name() -> Result<(), Violation> {
    let mut world = world(2)?;
    world.inflict(Fault::ClonedUnderOtherName, 0);
    assert_eq!(world.faults().of(Fault::ClonedUnderOtherName), 1);
    world.run_for(LONG)
}

#[test]
fn a_clone_under_the_same_name_writes_for_a_while_and_is_taken_away() -> Result<(), Violation> {
    let mut world = world(3)?;
    vote(&mut world, 0)?;
    world.run_for(LONG)?;
    world.inflict(Fault::Cloned, 0);
    assert_eq!(world.nodes(), 4);
    while world.engine(3).is_none() {
        world.step()?;
    }
    assert_eq!(count(&world, 3), Some(1), "it holds what the node held");
    assert!(vote(&mut world, 3)?);
    world.run_for(LONG)?;
    assert_eq!((world.nodes(), vote(&mut world, 3)?), (3, false));
    Ok(())
}

#[test]
fn a_world_with_one_fault_has_no_other_and_it_strikes_in_many_phases() -> Result<(), Violation> {
    let between_strikes = Duration::from_millis(10)..=Duration::from_millis(200);
    let hostility = Hostility { between_strikes, ..Hostility::only(&[Fault::ProcessKilled]) };
    let mut world = World::new(1, Setup { hostility: Some(hostility), ..Setup::hostile(4, [votes()]) });
    for _ in 0..600 {
        world.run_for(Duration::from_millis(50))?;
        (0..4).try_for_each(|node| vote(&mut world, node).map(drop))?;
    }
    let struck = Fault::ALL.into_iter().filter(|fault| world.faults().of(*fault) > 0);
    assert!(struck.eq([Fault::ProcessKilled]));
    let met = Phase::ALL.into_iter().filter(|phase| world.coverage().of(Fault::ProcessKilled, *phase) > 0);
    assert!(met.count() >= 6, "{}", world.coverage());
    Ok(())
}
