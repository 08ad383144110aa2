//! A phone takes away what a whole node has not heard of yet: what comes later must stay away.

use alloc::string::String;

use super::scopes::{
    add, disconnect, is_in_sync, keys, no_entries_kept, project, remove, settle_watching, with_scopes,
};
use super::*;
use crate::checkpoint::CheckpointPiece;

const PHONE: usize = 2;
/// What was written at node 1 before the phone changed it.
const ROCKET: &str = "rocket";

/// The elements of a list, each as often as it has dots.
fn shown(cluster: &Cluster, node: usize, key: &str) -> Vec<String> {
    let Some(Cell::Set(elements)) = cluster.peek(node, &item(1, key)) else { return Vec::new() };
    let mut shown: Vec<_> = elements.iter_dots().map(|(_, e)| String::from_utf8_lossy(e).into()).collect();
    shown.sort_unstable();
    shown
}

/// Two nodes meet, for long enough that what waits in vain is seen to do so.
fn meet(cluster: &mut Cluster, one: usize, other: usize) {
    cluster.connect(one, other);
    for _ in 0..12 {
        cluster.settle();
    }
    assert!(is_in_sync(cluster, one) && is_in_sync(cluster, other), "{one} and {other}");
    disconnect(cluster, one, other);
}

/// Whole nodes and, number 2, a phone. It knows of node 1's rocket what node 0 does not, and took it away: removed it,
/// or put its own in its place.
fn with_a_removal(nodes: u8, phones: &[(u8, Scope)], change: &Write, adjust: fn(&mut Config)) -> Cluster {
    let mut cluster = with_scopes(nodes, phones, adjust);
    cluster.write(1, add("apollo/todo", ROCKET));
    cluster.write(1, add("gemini/classified", "warhead"));
    meet(&mut cluster, 1, PHONE);
    cluster.write(PHONE, alloc::vec![change.clone()]);
    cluster.write(PHONE, add("apollo/todo", "capsule"));
    cluster
}

fn changes() -> [Write; 2] {
    [remove("apollo/todo", ROCKET), add("apollo/todo", ROCKET)].map(|mut writes| writes.remove(0))
}

fn assert_changed(cluster: &Cluster, node: usize, change: &Write) {
    let kept: &[&str] = if change.action.removes().is_some() { &["capsule"] } else { &["capsule", ROCKET] };
    assert_eq!(shown(cluster, node, "apollo/todo"), kept, "at {node}");
}

#[test]
fn what_a_phone_took_away_stays_away_where_it_is_heard_of_later() {
    for adjust in [|_: &mut Config| (), no_entries_kept] {
        for change in changes() {
            let mut cluster = with_a_removal(3, &[(2, project("apollo/"))], &change, adjust);
            meet(&mut cluster, 0, PHONE);
            meet(&mut cluster, 0, 1);
            meet(&mut cluster, 0, PHONE);
            for node in 0..3 {
                assert_changed(&cluster, node, &change);
            }
            assert_eq!(cluster.engines[0].status().partitions, cluster.engines[1].status().partitions);
            assert_eq!(shown(&cluster, 0, "gemini/classified"), ["warhead"], "what the phone skipped");
        }
    }
}

#[test]
fn whoever_takes_over_what_a_phone_wrote_takes_over_what_it_took_away() {
    let phones = [(2, project("apollo/")), (4, project(""))];
    // Of the removal the others hear from node 0, and of the rocket from node 1, after it or before it.
    for (other, nodes) in [(3, [0, 1]), (3, [1, 0]), (4, [0, 1]), (4, [1, 0])] {
        for adjust in [|_: &mut Config| (), no_entries_kept] {
            for change in changes() {
                let mut cluster = with_a_removal(5, &phones, &change, adjust);
                meet(&mut cluster, 0, PHONE);
                for node in nodes {
                    meet(&mut cluster, node, other);
                }
                assert_changed(&cluster, other, &change);
                assert_eq!(shown(&cluster, other, "gemini/classified"), ["warhead"]);
                assert_changed(&cluster, 0, &change);
            }
        }
    }
}

/// Opens a node again, from its log or from a checkpoint: it is the same.
fn reopen(cluster: &mut Cluster, node: usize, from_checkpoint: bool) {
    cluster.next += 1;
    let mut config = config(u8::try_from(node + 1).unwrap(), 100 + cluster.next.to_le_bytes()[0]);
    no_entries_kept(&mut config);
    let (now, engine) = (cluster.now(), &mut cluster.engines[node]);
    let mut checkpoint = Vec::new();
    engine.begin_checkpoint();
    while let CheckpointPiece::Bytes(piece) = engine.next_piece(64).unwrap() {
        checkpoint.push(piece);
    }
    let standing = engine.replica.partition(0).standing();
    *engine = if from_checkpoint {
        Engine::open_from(config, &checkpoint, Vec::<(Lsn, Vec<u8>)>::new(), now).unwrap()
    } else {
        Engine::open(config, cluster.logs[node].clone(), now).unwrap()
    };
    assert_eq!(engine.replica.partition(0).standing(), standing);
    cluster.drain(node);
}

#[test]
fn what_a_phone_took_away_stays_away_over_a_restart() {
    for from_checkpoint in [false, true] {
        for change in changes() {
            let mut cluster = with_a_removal(4, &[(2, project("apollo/"))], &change, no_entries_kept);
            meet(&mut cluster, 3, PHONE);
            reopen(&mut cluster, 3, from_checkpoint);
            // The rocket comes in one state with something new, because node 1 is the one that opens the session.
            cluster.write(1, add("apollo/todo", "pad"));
            meet(&mut cluster, 1, 3);
            reopen(&mut cluster, 3, from_checkpoint);
            let kept = if change.action.removes().is_some() { None } else { Some(ROCKET) };
            let kept: Vec<_> = ["capsule", "pad"].into_iter().chain(kept).collect();
            assert_eq!(shown(&cluster, 3, "apollo/todo"), kept);
            // It is known of all keys by now.
            assert_eq!(cluster.engines[3].replica.partition(0).standing().scoped.size(), 0);
        }
    }
}

#[test]
fn a_phone_is_not_told_what_others_hold_by_what_they_took_away() {
    let phones = [(2, project("apollo/")), (3, project("gemini/"))];
    let mut cluster = with_a_removal(4, &phones, &changes()[0], no_entries_kept);
    meet(&mut cluster, 0, PHONE);
    cluster.write(0, add("gemini/todo", "pad"));
    cluster.connect(0, 3);
    settle_watching(&mut cluster, 3, &["apollo", ROCKET]);
    assert_eq!(keys(&cluster, 3), [Bytes::from("gemini/todo")]);
    assert!(is_in_sync(&cluster, 3));
}

#[test]
fn a_node_without_room_for_what_a_phone_took_away_does_not_say_that_it_knows_what_the_phone_wrote() {
    let change = &changes()[0];
    let mut cluster = with_a_removal(3, &[(2, project("apollo/"))], change, no_entries_kept);
    cluster.engines[0].replica.config.limits.max_context_ranges = 3;
    cluster.connect(0, PHONE);
    cluster.settle();
    assert!(cluster.finished_sessions() > 0);
    assert!(!is_in_sync(&cluster, 0) && !is_in_sync(&cluster, PHONE));
    assert_eq!(shown(&cluster, 0, "apollo/todo"), ["capsule"], "states are merged all the same");
    disconnect(&mut cluster, 0, PHONE);
    // Once it has seen what was taken away it needs no room.
    meet(&mut cluster, 0, 1);
    meet(&mut cluster, 0, PHONE);
    meet(&mut cluster, 0, 1);
    for node in 0..3 {
        assert_changed(&cluster, node, change);
    }
}

/// Its next entries would have the dots of those that the phone took away, and be taken for them.
#[test]
fn a_node_restored_from_a_backup_hears_by_way_of_others_what_a_phone_has_seen_of_it() {
    let mut cluster = with_a_removal(3, &[(2, project("apollo/"))], &changes()[0], no_entries_kept);
    // No state is left that could tell.
    cluster.write(PHONE, remove("apollo/todo", "capsule"));
    meet(&mut cluster, 0, PHONE);
    let lost = cluster.engines[1].replica.id;
    // Nothing but its founding and its identity is left.
    cluster.logs[1].truncate(2);
    cluster.restart(1);
    assert_eq!(cluster.engines[1].replica.id, lost);
    meet(&mut cluster, 0, 1);
    assert_ne!(cluster.engines[1].replica.id, lost);
    cluster.write(1, add("apollo/todo", "pad"));
    meet(&mut cluster, 0, 1);
    for node in 0..2 {
        assert_eq!(shown(&cluster, node, "apollo/todo"), ["pad"], "at {node}");
    }
}
