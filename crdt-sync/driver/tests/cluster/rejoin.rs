//! The way back of a retired node, with real directories, also when it is interrupted.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crdt_sync::{Collection, Event, Limits, RejoinError};
use crdt_sync_driver::{Node, NodeOptions, NotRejoined, OpenError};

use crate::support::{
    Homes, address_of, agree, lists, meet, name_of, notes, options, part, titles, told, until, visits,
};

const OLD: &str = "CRDT_SYNC_TEST_OLD";
const NEW: &str = "CRDT_SYNC_TEST_NEW";
const MEMBER: &str = "CRDT_SYNC_TEST_MEMBER";
/// Keys that the retired node wrote to while it was away.
const KEYS: u64 = 300;

/// Retires a node that is away, lets it hear of it, and shuts it down.
async fn evict(phone: Node, office: &Node) {
    office.retire(name_of(&phone).await).await.unwrap();
    let mut events = phone.events();
    phone.connect(address_of(office)).unwrap();
    told(&mut events, |event| *event == Event::Evicted).await;
    phone.shutdown().await;
}

/// A directory named `phone` of a node that counted while it was away, and was retired then.
async fn evicted_phone(homes: &Homes, office: &Node) {
    let phone = homes.open("phone").await;
    meet(&phone, office).await;
    phone.counters(&visits()).increment("known", 1).await.unwrap();
    agree(&[&phone, office]).await;
    part(&phone, office).await;
    let mut batch = phone.batch();
    for n in 0..KEYS {
        batch = batch.increment(&visits(), key(n).as_str(), n + 1);
    }
    batch.commit().await.unwrap();
    evict(phone, office).await;
}

fn key(n: u64) -> String {
    format!("counted-{n:04}")
}

/// Few writes fit into a command, so that it takes many.
fn small_steps() -> NodeOptions {
    options().limits(Limits { max_writes: 4, ..Limits::default() })
}

/// One set with more elements than a command holds.
#[tokio::test]
async fn a_set_that_takes_many_commands_is_made_again_once() {
    let homes = Homes::new();
    let (office, phone) = (homes.open("office").await, homes.open("phone").await);
    meet(&phone, &office).await;
    agree(&[&phone, &office]).await;
    part(&phone, &office).await;
    let elements: Vec<String> = (0..10).map(|n| format!("item {n}")).collect();
    for element in &elements {
        phone.sets(&lists()).add("groceries", element.as_str()).await.unwrap();
    }
    evict(phone, &office).await;
    let again = homes.open_with("again", small_steps()).await;
    again.connect(address_of(&office)).unwrap();
    let first = again.rejoin_from(homes.path("phone"), &titles()).await.unwrap();
    let second = again.rejoin_from(homes.path("phone"), &titles()).await.unwrap();
    assert_eq!((first.writes, second.writes), (elements.len(), 0));
    agree(&[&again, &office]).await;
    let held = office.sets(&lists()).elements("groceries").await.unwrap();
    assert_eq!(held.iter().map(ToString::to_string).collect::<Vec<_>>(), elements);
}

#[tokio::test]
async fn everything_a_retired_node_wrote_is_there_once_whatever_kind_it_is_of() {
    let homes = Homes::new();
    let (office, phone) = (homes.open("office").await, homes.open("phone").await);
    meet(&phone, &office).await;
    office.sets(&lists()).add("groceries", "soap").await.unwrap();
    office.documents(&notes()).put("edited", "one").await.unwrap();
    agree(&[&phone, &office]).await;
    part(&phone, &office).await;
    phone.sets(&lists()).add("groceries", "milk").await.unwrap();
    phone.sets(&lists()).remove("groceries", "soap").await.unwrap();
    phone.counters(&visits()).increment("/", 5).await.unwrap();
    phone.counters(&visits()).decrement("/", 2).await.unwrap();
    phone.registers(&titles()).set("profile", "Hello").await.unwrap();
    phone.documents(&notes()).put("new", "from the phone").await.unwrap();
    phone.documents(&notes()).delete("edited").await.unwrap();
    office.documents(&notes()).put("edited", "two").await.unwrap();
    office.counters(&visits()).increment("/", 10).await.unwrap();
    evict(phone, &office).await;

    for kept_in in [lists(), titles(), notes()] {
        let name = format!("again, noted in {}", kept_in.name);
        let again = homes.open_with(&name, small_steps()).await;
        again.connect(address_of(&office)).unwrap();
        let first = again.rejoin_from(homes.path("phone"), &kept_in).await.unwrap();
        let reported: Vec<_> = first.reported.iter().map(|(item, _)| item.key.to_string()).collect();
        assert_eq!(reported, ["edited"], "a deletion of what was edited meanwhile");
        let second = again.rejoin_from(homes.path("phone"), &kept_in).await.unwrap();
        assert_eq!((second.writes, second.reported), (0, first.reported));
        agree(&[&again, &office]).await;
        assert_eq!(office.sets(&lists()).elements("groceries").await.unwrap(), ["milk".into()]);
        assert_eq!(office.registers(&titles()).get("profile").await.unwrap(), Some("Hello".into()));
        let shown = office.documents(&notes()).read("new").await.unwrap();
        assert_eq!((shown.value, shown.conflicts.len()), (Some("from the phone".into()), 0));
        assert_eq!(office.counters(&visits()).value("/").await.unwrap(), 13);
        // Undone, for the next one to find it as it was.
        again.counters(&visits()).decrement("/", 3).await.unwrap();
        agree(&[&again, &office]).await;
        again.shutdown().await;
    }
}

#[tokio::test]
async fn who_has_no_right_to_take_over_is_told_why_and_nothing_is_written() {
    let homes = Homes::new();
    let office = homes.open("office").await;
    evicted_phone(&homes, &office).await;
    let again = homes.open_with("again", small_steps()).await;
    again.connect(address_of(&office)).unwrap();
    let none = again.rejoin_from(homes.path("nowhere"), &lists()).await;
    assert!(matches!(none, Err(NotRejoined::NoNode)));
    assert!(!homes.path("nowhere").exists(), "a directory is not made by looking for one");
    let counters = again.rejoin_from(homes.path("phone"), &visits()).await;
    assert!(matches!(counters, Err(NotRejoined::Notes { .. })));
    let undeclared = again.rejoin_from(homes.path("phone"), &Collection::sets("nobody's")).await;
    assert!(matches!(undeclared, Err(NotRejoined::Node(_))), "{undeclared:?}");
    let in_use = again.rejoin_from(homes.path("office"), &lists()).await;
    assert!(matches!(in_use, Err(NotRejoined::Old(OpenError::Storage(_)))), "{in_use:?}");
    let shop = homes.open("shop").await;
    shop.shutdown().await;
    let active = again.rejoin_from(homes.path("shop"), &lists()).await;
    assert!(matches!(active, Err(NotRejoined::Plan(RejoinError::NotRetired))), "{active:?}");
    assert_eq!(office.counters(&visits()).value(key(0).as_str()).await.unwrap(), 0);

    again.rejoin_from(homes.path("phone"), &lists()).await.unwrap();
    let name = name_of(&again).await;
    let late = homes.open("late").await;
    late.connect(address_of(&again)).unwrap();
    match late.rejoin_from(homes.path("phone"), &lists()).await {
        Err(NotRejoined::ByAnother { by }) => assert_eq!(by, name),
        other => panic!("{other:?}"),
    }
}

/// Not a test of its own: the process that the next one starts and kills.
#[tokio::test]
#[ignore = "run by the test below, which kills it"]
async fn the_victim() {
    let (Some(old), Some(new)) = (std::env::var_os(OLD), std::env::var_os(NEW)) else { return };
    let member: SocketAddr = std::env::var(MEMBER).unwrap().parse().unwrap();
    let node = Node::open(Path::new(&new), small_steps()).await.unwrap();
    node.connect(member).unwrap();
    node.rejoin_from(Path::new(&old), &lists()).await.unwrap();
    node.in_sync_with(1).await.unwrap();
    println!("finished");
    node.shutdown().await;
}

/// On several threads, because the last victim is waited for while it talks to the office.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_is_killed_again_and_again_counts_everything_once() {
    let homes = Homes::new();
    let office = homes.open("office").await;
    evicted_phone(&homes, &office).await;
    let counted = || async {
        let counters = office.counters(&visits());
        let mut found = 0;
        for n in 0..KEYS {
            found += u64::from(counters.value(key(n).as_str()).await.unwrap() > 0);
        }
        found
    };
    let victim = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rejoin::the_victim", "--ignored", "--nocapture"])
            .env(OLD, homes.path("phone"))
            .env(NEW, homes.path("again"))
            .env(MEMBER, address_of(&office).to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut before = 0;
    for _ in 0..4 {
        let mut victim = victim();
        // Keys are taken over in ascending order.
        let next = key(before);
        until(|| async { office.counters(&visits()).value(&*next).await.unwrap() > 0 }).await;
        victim.kill().unwrap();
        victim.wait().unwrap();
        before = counted().await;
        assert!(before < KEYS, "it was not killed in the middle");
    }
    assert!(victim().wait().unwrap().success());
    for n in 0..KEYS {
        assert_eq!(office.counters(&visits()).value(key(n).as_str()).await.unwrap(), i128::from(n + 1));
    }
}
