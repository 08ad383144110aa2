//! A retired device founds anew, and what it wrote while it was away is not lost.

use super::forks::{Forked, count};
use super::members::{add, elements, id, put};
use super::*;
use crate::entry::Position;
use crate::wire::{Cut, KnownForks};

/// The way back: a new node catches up and replays what the evicted one wrote while it was away.
#[test]
fn an_evicted_device_founds_anew_and_every_write_is_there_exactly_once() {
    let mut cluster = Cluster::new(4);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        cluster.connect(a, b);
    }
    cluster.write(0, put("mine", "one"));
    cluster.write(0, put("theirs", "one"));
    cluster.write(0, put("gone", "one"));
    cluster.write(0, add("list", "bread"));
    cluster.write(0, add("list", "soap"));
    cluster.write(2, alloc::vec![write(2, "hits", Action::Increment(5))]);
    cluster.settle();
    cluster.part(2);
    // What the device writes while it is away.
    cluster.write(2, put("mine", "two"));
    cluster.write(2, put("mine", "three"));
    cluster.write(2, put("theirs", "from the device"));
    cluster.write(2, alloc::vec![write(0, "gone", Action::Delete)]);
    cluster.write(2, put("new", "note"));
    cluster.write(2, add("list", "milk"));
    cluster.write(2, add("list", "eggs"));
    cluster.write(2, alloc::vec![write(1, "list", Action::Remove("eggs".into()))]);
    cluster.write(2, alloc::vec![write(1, "list", Action::Remove("bread".into()))]);
    cluster.write(2, alloc::vec![write(1, "list", Action::Remove("soap".into()))]);
    cluster.write(2, alloc::vec![write(2, "hits", Action::Increment(2))]);
    cluster.write(2, alloc::vec![write(2, "hits", Action::Decrement(4))]);
    cluster.write(2, alloc::vec![write(3, "early", Action::Set(Some("from the device".into())))]);
    // What the others write meanwhile, later.
    cluster.micros += 1_000_000;
    cluster.write(0, put("theirs", "from home"));
    cluster.write(1, add("list", "soap"));
    cluster.write(1, alloc::vec![write(2, "hits", Action::Increment(100))]);
    cluster.write(2, alloc::vec![write(3, "title", Action::Set(Some("from the device".into())))]);
    cluster.write(0, alloc::vec![write(3, "early", Action::Set(Some("from home".into())))]);
    cluster.retire(0, id(2));
    cluster.settle();
    cluster.connect(2, 0);
    cluster.settle();
    assert_eq!(cluster.engines[2].unacknowledged().entries.len(), 14);
    assert_eq!(cluster.engines[2].unacknowledged().forgotten, []);

    cluster.connect(3, 1);
    cluster.settle();
    let rejoin = cluster.engines[3].rejoin(&cluster.engines[2]).unwrap();
    assert_eq!(rejoin.reported, []);
    let reply = cluster.write(3, rejoin.writes);
    assert!(matches!(reply, Reply::Written(_)), "{reply:?}");
    cluster.settle();

    cluster.assert_same(&[0, 1, 3]);
    let document = |key: &str| match cluster.peek(0, &item(0, key)) {
        Some(Cell::Document(document)) => {
            document.live_leaves().map(|leaf| leaf.body().unwrap().to_string()).collect()
        }
        _ => Vec::new(),
    };
    assert_eq!(document("mine"), ["three"]);
    assert_eq!(document("new"), ["note"]);
    assert_eq!(document("gone"), [""; 0]);
    let mut both = document("theirs");
    both.sort();
    assert_eq!(both, ["from home", "from the device"], "a conflict, as it would have been");
    assert_eq!(elements(&cluster, 0, "list"), ["milk".into(), "soap".into()], "an unseen add wins");
    let Some(Cell::Counter(hits)) = cluster.peek(0, &item(2, "hits")) else { panic!("missing") };
    assert_eq!(hits.value(), 5 + 2 - 4 + 100);
    let register = |key: &str| match cluster.peek(0, &item(3, key)) {
        Some(Cell::Register(register)) => register.get().map(ToString::to_string),
        _ => None,
    };
    assert_eq!(register("title").as_deref(), Some("from the device"));
    assert_eq!(register("early").as_deref(), Some("from home"), "the later writer wins");
}

#[test]
fn what_no_write_stands_for_is_reported() {
    let mut cluster = Cluster::new(3);
    cluster.connect(0, 1);
    cluster.write(0, put("edited", "one"));
    cluster.settle();
    cluster.part(1);
    cluster.write(1, alloc::vec![write(0, "edited", Action::Delete)]);
    cluster.write(0, put("edited", "two"));
    cluster.retire(0, id(1));
    cluster.connect(1, 0);
    cluster.connect(2, 0);
    cluster.settle();
    let rejoin = cluster.engines[2].rejoin(&cluster.engines[1]).unwrap();
    assert_eq!(rejoin.writes, []);
    let reported: Vec<ItemKey> = rejoin.reported.into_iter().map(|(item, _)| item).collect();
    assert_eq!(reported, [item(0, "edited")], "a deletion of what was edited meanwhile");
}

#[test]
fn where_entries_are_forgotten_the_states_that_differ_are_reported() {
    let mut cluster = Cluster::new(3);
    let mut small = config(2, 7);
    small.limits.max_retained = 0;
    cluster.logs[1].clear();
    cluster.engines[1] = Engine::open(small, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(1);
    cluster.connect(0, 1);
    cluster.write(1, add("known", "to all"));
    cluster.settle();
    cluster.part(1);
    cluster.write(1, add("list", "milk"));
    cluster.settle();
    cluster.retire(0, id(1));
    cluster.connect(1, 0);
    cluster.connect(2, 0);
    cluster.settle();
    assert_eq!(cluster.engines[1].unacknowledged().forgotten.len(), 1);
    let rejoin = cluster.engines[2].rejoin(&cluster.engines[1]).unwrap();
    let reported: Vec<ItemKey> = rejoin.reported.into_iter().map(|(item, _)| item).collect();
    assert_eq!((rejoin.writes, reported), (Vec::new(), alloc::vec![item(1, "list")]));
}

/// Some entries of a key are left to be made again, and an earlier one is not: what it added is in no write.
#[test]
fn a_key_of_which_only_some_entries_are_forgotten_is_made_again_and_reported() {
    let mut cluster = Cluster::new(3);
    let mut small = config(2, 7);
    small.limits.max_retained = 300;
    cluster.logs[1].clear();
    cluster.engines[1] = Engine::open(small, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(1);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.part(1);
    cluster.write(1, add("list", "forgotten"));
    for round in 0..20 {
        cluster.write(1, add("list", &alloc::format!("{round}")));
    }
    cluster.settle();
    cluster.retire(0, id(1));
    cluster.connect(1, 0);
    cluster.connect(2, 0);
    cluster.settle();
    let unacknowledged = cluster.engines[1].unacknowledged();
    assert!(!unacknowledged.forgotten.is_empty() && !unacknowledged.entries.is_empty());
    let rejoin = cluster.engines[2].rejoin(&cluster.engines[1]).unwrap();
    assert_eq!(rejoin.writes.len(), unacknowledged.entries.len());
    let reported: Vec<ItemKey> = rejoin.reported.into_iter().map(|(item, _)| item).collect();
    assert_eq!(reported, [item(1, "list")], "the first element is in no write");
}

/// A device was started twice from one disk, and is retired when it knows that and nobody else does. What it wrote
/// since then it holds under another name, and all of it is made again.
#[test]
fn what_a_device_wrote_on_its_branch_of_a_forked_identity_is_not_lost() {
    let mut forked = Forked::new(4);
    forked.0.write(0, add("list", "before"));
    forked.0.write(0, count("visits", 5));
    forked.0.connect(0, 2);
    forked.0.settle();
    forked.0.part(0);
    forked.clone_node(0, 1);
    let before = forked.0.engines[0].status();
    let root = before.replica;
    let head =
        |partition: &PartitionStatus| partition.heads.iter().find(|(origin, _)| *origin == root).copied();
    let cuts: Vec<Position> =
        before.partitions.iter().map(|each| head(each).unwrap_or((root, Position::default())).1).collect();
    let set = |value: &str| alloc::vec![write(3, "title", Action::Set(Some(value.into())))];
    forked.0.write(1, count("visits", 7));
    forked.0.write(1, add("list", "soap"));
    forked.0.micros += 1_000_000;
    forked.0.write(0, add("list", "milk"));
    forked.0.write(0, add("list", "eggs"));
    forked.0.write(0, alloc::vec![write(1, "list", Action::Remove("eggs".into()))]);
    forked.0.write(0, count("visits", 3));
    forked.0.write(0, set("from the device"));
    for (number, after) in (0..).zip(cuts) {
        let known = KnownForks {
            cuts: alloc::vec![(Cut { after, root }, alloc::vec![root])],
            ..KnownForks::default()
        };
        forked.0.engines[0].replica.learn_forks(number, &known).unwrap();
    }
    forked.0.connect(1, 2);
    forked.0.settle();
    forked.0.retire(2, id(0));
    forked.0.settle();
    forked.0.connect(0, 2);
    forked.0.settle();
    assert_eq!(forked.0.engines[0].unacknowledged().entries.len(), 5);

    forked.0.connect(3, 2);
    forked.0.settle();
    let rejoin = forked.0.engines[3].rejoin(&forked.0.engines[0]).unwrap();
    assert_eq!(rejoin.reported, []);
    forked.0.write(3, rejoin.writes);
    forked.0.settle();
    for node in [1, 2, 3] {
        let elements = forked.elements(node, "list");
        assert_eq!(elements, ["before".into(), "milk".into(), "soap".into()], "what was taken back stays so");
        assert_eq!(forked.counted(node, "visits"), 15, "each once");
        let title = forked.0.peek(node, &item(3, "title"));
        assert!(
            matches!(title, Some(Cell::Register(title)) if title.get() == Some(&"from the device".into()))
        );
    }
}

/// The same, but it is the members that know of the fork: the clone met one who had some of the device's branch. The
/// device goes on under the old name and is retired before it hears of it. Entries it shares with the members count
/// once though each side has its own name for them, and it removes what it knows as the old name's.
#[test]
fn a_fork_that_only_the_members_know_of_counts_nothing_twice() {
    let mut forked = Forked::new(4);
    forked.0.write(0, add("list", "before"));
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.0.write(0, add("list", "milk"));
    forked.0.write(0, add("list", "eggs"));
    forked.0.write(0, count("visits", 3));
    forked.0.connect(0, 2);
    forked.0.settle();
    forked.0.part(0);
    forked.0.write(1, count("visits", 7));
    for element in ["soap", "salt", "tea", "rice"] {
        forked.0.write(1, add("list", element));
    }
    forked.0.connect(1, 2);
    forked.0.settle();
    assert_eq!(forked.counted(2, "visits"), 15, "healed");
    forked.0.write(0, alloc::vec![write(1, "list", Action::Remove("milk".into()))]);
    forked.0.write(0, count("visits", 11));
    forked.0.write(0, add("list", "bread"));
    rejoins_with(&mut forked, &["before", "bread", "eggs", "rice", "salt", "soap", "tea"], 26);
}

/// Nobody knows: the members heard of the clone alone, whose history passes for the device's. Whichever is longer,
/// what the device wrote is told from what the clone wrote by the chain values.
#[test]
fn a_fork_of_which_nobody_knows_hides_nothing() {
    for written_by_the_clone in [1, 9] {
        let mut forked = Forked::new(4);
        forked.0.write(0, add("list", "before"));
        forked.0.write(0, count("visits", 5));
        forked.0.connect(0, 2);
        forked.0.settle();
        forked.0.part(0);
        forked.clone_node(0, 1);
        for _ in 0..written_by_the_clone {
            forked.0.write(1, add("list", "soap"));
            forked.0.write(1, count("visits", 100));
        }
        forked.0.connect(1, 2);
        forked.0.settle();
        forked.0.write(0, add("list", "milk"));
        forked.0.write(0, count("visits", 3));
        forked.0.write(0, alloc::vec![write(1, "list", Action::Remove("before".into()))]);
        forked.0.write(0, count("visits", 4));
        rejoins_with(&mut forked, &["milk", "soap"], 12 + 100 * i128::from(written_by_the_clone));
    }
}

/// Node 0 is retired by node 2 and comes back as node 3, after which nodes 2 and 3 hold this.
fn rejoins_with(forked: &mut Forked, list: &[&str], visits: i128) {
    forked.0.retire(2, id(0));
    forked.0.settle();
    forked.0.connect(0, 2);
    forked.0.settle();
    assert_ne!(forked.0.engines[0].unacknowledged().entries, []);
    forked.0.connect(3, 2);
    forked.0.settle();
    let rejoin = forked.0.engines[3].rejoin(&forked.0.engines[0]).unwrap();
    assert_eq!(rejoin.reported, []);
    forked.0.write(3, rejoin.writes);
    forked.0.settle();
    for node in [2, 3] {
        assert_eq!(
            forked.elements(node, "list"),
            list.iter().map(|&each| each.into()).collect::<Vec<Bytes>>()
        );
        assert_eq!(forked.counted(node, "visits"), visits, "each once");
    }
    let again = forked.0.engines[3].rejoin(&forked.0.engines[0]).unwrap();
    assert!(again.reported.is_empty(), "{again:?}");
}
