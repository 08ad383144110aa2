//! What key-ordered partial replication is good for, one lesson each.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::buckets;
use super::support::{Replica, Run, run_over, to_send};
use crate::range::{KeyRange, Limits, ProtocolError};

/// Three months of orders, and what else a shop keeps.
fn shop() -> Replica {
    let months = ["2026-10", "2026-11", "2026-12"];
    let orders = months.iter().flat_map(|month| (0..2_000).map(move |at| format!("orders/{month}/{at:05}")));
    let people = (0..500).map(|at| format!("people/{at:05}"));
    Replica::of(orders.chain(people).map(|key| (key, 1)))
}

fn november() -> KeyRange {
    KeyRange::prefix(b"orders/2026-11/").unwrap()
}

#[test]
fn only_november_is_synced() {
    let (mut a, mut b) = (shop(), shop());
    a.put(b"orders/2026-11/00007", 2);
    b.put(b"orders/2026-11/99999", 1);
    b.put(b"orders/2026-12/00007", 2);
    b.put(b"salaries/ada", 9);
    let run = run_over(&a, &b, &november(), &KeyRange::all());
    assert_eq!(to_send(&run.initiator), [(b"orders/2026-11/00007".to_vec(), 2)]);
    let from_b: Vec<_> = to_send(&run.acceptor).into_iter().map(|(key, _)| key).collect();
    assert_eq!(from_b, [&b"orders/2026-11/00007"[..], b"orders/2026-11/99999"]);
}

/// Whatever lies outside the range, not a byte on the wire depends on it.
#[test]
fn nothing_outside_the_range_is_spoken_of() {
    let outside = |replica: &mut Replica| {
        for at in 0..300 {
            replica.put(format!("orders/2026-11/{at:05}").as_bytes(), 5);
        }
        for key in ["orders/2026-10/00001", "orders/2026-11", "orders/2026-110", "people/zoe", ""] {
            replica.put(key.as_bytes(), 7);
        }
    };
    let (a, mut b) = (shop(), shop());
    outside(&mut b);
    let mut bare = Replica::new();
    b.rows_in(&november()).into_iter().for_each(|(key, version)| bare.put(&key, version));

    // Also where the acceptor narrows to it what is asked for.
    let run = run_over(&a, &b, &november(), &november());
    assert_eq!(run.frames, run_over(&a, &bare, &november(), &november()).frames);
    let run = run_over(&a, &b, &KeyRange::prefix(b"orders/").unwrap(), &november());
    let over_bare = run_over(&a, &bare, &KeyRange::prefix(b"orders/").unwrap(), &november());
    assert_eq!(run.frames, over_bare.frames);
    assert!(run.frames.len() > 3, "there was something to speak of");
}

#[test]
fn who_may_see_november_learns_nothing_of_salaries() {
    let mut office = shop();
    office.put(b"salaries/ada", 90_000);
    let warehouse = Replica::new();
    let run = run_over(&warehouse, &office, &KeyRange::all(), &november());
    assert_eq!(to_send(&run.acceptor).len(), 2_000);
    assert_eq!(run.initiator.range(), &november(), "the warehouse knows what it got");

    let salaries = KeyRange::prefix(b"salaries/").unwrap();
    let mut refused = Run::start((&warehouse, &office), (&salaries, &november()), Default::default(), 0);
    let (_, hello) = refused.poll().unwrap();
    assert_eq!(refused.acceptor.handle(&hello), Err(ProtocolError::NotAuthorized));
    let (_, welcome) = refused.poll().unwrap();
    assert_eq!(refused.initiator.handle(&welcome), Err(ProtocolError::NotAuthorized));
}

/// A month that one side missed lies together. In a bucket tree it touches nearly every leaf.
#[test]
fn an_outage_costs_one_path() {
    let (a, mut b) = (shop(), shop());
    for (key, _) in a.rows_in(&KeyRange::prefix(b"orders/2026-12/").unwrap()) {
        b.remove(&key);
    }
    let all = KeyRange::all();
    let run = run_over(&a, &b, &all, &all);
    assert_eq!(to_send(&run.initiator).len(), 2_000);
    let (by_ranges, by_buckets) = (run.bytes() as u64, buckets::bytes(&a, &b));
    assert!(by_ranges < 1_500 && by_ranges * 8 < by_buckets, "{by_ranges} bytes, by buckets {by_buckets}");
}

/// The session compares the moment it was opened at; what is written meanwhile is for the next one.
#[test]
fn writes_go_on_during_a_session() {
    let (mut a, mut b) = (shop(), shop());
    a.put(b"orders/2026-11/00001", 2);
    let mut run = Run::start((&a, &b), (&november(), &november()), Default::default(), 0);
    let mut written = 0_u32;
    while run.step().unwrap() {
        a.put(format!("orders/2026-11/late {written}").as_bytes(), 1);
        b.remove(format!("orders/2026-11/{written:05}").as_bytes());
        written += 1;
    }
    assert_eq!(to_send(&run.initiator), [(b"orders/2026-11/00001".to_vec(), 2)]);
    assert_eq!(to_send(&run.acceptor), [(b"orders/2026-11/00001".to_vec(), 1)]);
    assert!(written > 2);
}

/// A removed key is a key that the other side still has, and would come back. A removal that is to
/// be replicated is a version of its own.
#[test]
fn a_removal_is_replicated_as_a_version() {
    let (mut a, b) = (shop(), shop());
    let milk = b"orders/2026-11/00001";
    a.remove(milk);
    let run = run_over(&a, &b, &november(), &november());
    assert_eq!(to_send(&run.acceptor), [(milk.to_vec(), 1)], "it would come back");
    let tombstone = 2;
    a.put(milk, tombstone);
    let run = run_over(&a, &b, &november(), &november());
    assert_eq!(to_send(&run.initiator), [(milk.to_vec(), tombstone)]);
}

#[test]
fn three_replicas_of_different_ranges_agree_where_they_overlap() {
    let mut replicas = [shop(), shop(), shop()];
    for (at, replica) in replicas.iter_mut().enumerate() {
        let version = at as u128 + 2;
        replica.put(b"orders/2026-11/00001", version);
        replica.put(format!("orders/2026-12/1000{at}").as_bytes(), version);
    }
    let winter = KeyRange::new(b"orders/2026-11/", Some(b"orders/2027")).unwrap();
    let ranges = [KeyRange::all(), winter.clone(), november()];
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
        let run = run_over(&replicas[from], &replicas[to], &ranges[from], &ranges[to]);
        let (for_to, for_from) = (to_send(&run.initiator), to_send(&run.acceptor));
        replicas[to].repair(for_to);
        replicas[from].repair(for_from);
    }
    let [whole, of_winter, of_november] = &replicas;
    assert_eq!(whole.tree.aggregate(&winter), of_winter.tree.aggregate(&winter));
    assert_eq!(whole.tree.aggregate(&november()), of_november.tree.aggregate(&november()));
    assert_eq!(of_november.tree.get(b"orders/2026-12/10000"), None, "nobody asked for December");
}

/// What was left out because of the limits is found once the rest is repaired.
#[test]
fn a_tight_link_takes_several_sessions() {
    let (a, mut b) = (shop(), shop());
    for at in (0..2_000).step_by(50) {
        b.put(format!("orders/2026-11/{at:05}").as_bytes(), 2);
    }
    let limits = Limits { max_open_ranges: 8, ..Limits::default() };
    let mut replica = Replica::of(a.rows.clone());
    let mut found: Vec<usize> = Vec::new();
    for number in 0..40 {
        let sides = (&replica, &b);
        let run = Run::start(sides, (&november(), &november()), (limits, limits), number);
        let run = run.finish().unwrap();
        if run.has_converged() {
            break;
        }
        let rows = to_send(&run.acceptor);
        found.push(rows.len());
        replica.repair(rows);
    }
    assert_eq!(found.iter().sum::<usize>(), 40, "{found:?}");
    assert!(found.len() > 2 && found.iter().all(|found| (1..=8).contains(found)), "{found:?}");
}

#[test]
fn ranges_print_as_they_are_spoken_of() {
    let range = String::from("orders/2026-11/ .. orders/2026-110");
    assert_eq!(format!("{}", november()), range);
    assert_eq!(format!("{}", KeyRange::new(b"\xff", None).unwrap()), "\\xff ..");
}
