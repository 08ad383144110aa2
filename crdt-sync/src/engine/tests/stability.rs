//! What all members have, what they wait for, and when a deletion may be forgotten.

use proptest::prelude::{Just, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use proptest::test_runner::TestCaseError;

use super::members::{id, put};
use super::*;

fn delete(key: &str) -> Vec<Write> {
    alloc::vec![write(0, key, Action::Delete)]
}

/// Engines that forget deletions.
fn collecting(nodes: u8, links: &[(usize, usize)]) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    for node in 0..nodes.into() {
        cluster.found(node);
    }
    for (a, b) in links {
        cluster.connect(*a, *b);
    }
    cluster.settle();
    cluster
}

const TRIANGLE: [(usize, usize); 3] = [(0, 1), (1, 2), (0, 2)];

impl Cluster {
    fn found(&mut self, node: usize) {
        self.logs[node].clear();
        self.reopen(node);
    }

    fn reopen(&mut self, node: usize) {
        let mut config = config(u8::try_from(node + 1).unwrap(), u8::try_from(self.next % 250).unwrap());
        config.collects_deletions = true;
        self.next += 2;
        self.engines[node] = Engine::open(config, self.logs[node].clone(), self.now()).unwrap();
        self.drain(node);
    }

    /// Delivers frames until a node holds a document.
    fn deliver_until_held(&mut self, node: usize, key: &str) {
        while self.peek(node, &item(0, key)).is_none() {
            let (link, bytes) = self.frames.pop_front().expect("it was sent");
            if let Some(&(node, link, _)) = self.links.get(&link) {
                self.handle(node, Input::Frame { link, bytes });
            }
        }
    }

    /// Lets a minute pass.
    fn wait(&mut self) {
        for _ in 0..20 {
            self.settle();
        }
    }

    fn keys(&self, node: usize) -> usize {
        self.engines[node].status().partitions[0].keys
    }

    fn stable(&self, node: usize, of: usize) -> u64 {
        let origin = self.engines[of].status().replica;
        let stable = &self.engines[node].status().stable[0];
        stable.iter().find(|(id, _)| *id == origin).map_or(0, |(_, sequence)| *sequence)
    }

    fn held_back_by(&self, node: usize) -> Vec<NodeId> {
        self.engines[node].status().held_back_by.iter().map(|member| member.node).collect()
    }

    /// Writes over the live version with the least body. Which of two versions a plain put replaces their ids decide,
    /// and a document that is written anew after it was forgotten has other ids than one whose deletion is remembered.
    fn put_over_least(&mut self, node: usize, key: &str, body: &str) {
        let least = match self.peek(node, &item(0, key)) {
            Some(Cell::Document(document)) => {
                document.live_leaves().min_by_key(|leaf| leaf.body()).map(|leaf| *leaf.id())
            }
            _ => None,
        };
        let update = |parent| alloc::vec![write(0, key, Action::Update { parent, body: Some(body.into()) })];
        self.write(node, least.map_or_else(|| put(key, body), update));
    }

    fn is_live(&self, node: usize, key: &str) -> bool {
        matches!(self.peek(node, &item(0, key)), Some(Cell::Document(document)) if !document.is_deleted())
    }
}

#[test]
fn stability_advances_with_the_slowest_member_and_jumps_when_it_is_retired() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.wait();
    assert_eq!(cluster.stable(0, 0), 1);
    assert_eq!(cluster.held_back_by(0), []);
    cluster.part(2);
    for n in 0..5 {
        drop(cluster.write(0, put("note", &n.to_string())));
    }
    cluster.wait();
    assert_eq!(cluster.stable(0, 0), 1);
    assert_eq!(cluster.held_back_by(0), [id(2)]);
    cluster.retire(1, id(2));
    cluster.wait();
    assert_eq!(cluster.stable(0, 0), 6);
    assert_eq!(cluster.held_back_by(0), []);
}

#[test]
fn members_that_never_meet_hear_of_each_other_along_a_line() {
    let mut cluster = collecting(4, &[(0, 1), (1, 2), (2, 3)]);
    cluster.write(3, put("note", "one"));
    cluster.wait();
    for node in 0..4 {
        assert_eq!(cluster.stable(node, 3), 1);
    }
}

#[test]
fn a_member_not_heard_of_since_the_start_holds_everything_back() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.wait();
    cluster.part(2);
    cluster.part(0);
    cluster.reopen(0);
    cluster.wait();
    assert_eq!(cluster.stable(0, 0), 0);
    assert_eq!(cluster.held_back_by(0), [id(1), id(2)]);
    cluster.connect(0, 1);
    cluster.wait();
    assert_eq!(cluster.stable(0, 0), 1, "the other one remembers");
}

#[test]
fn how_far_members_are_is_not_said_again_in_silence() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.wait();
    for _ in 0..40 {
        cluster.micros += 300_000;
        for node in 0..3 {
            cluster.handle(node, Input::Timer);
        }
        assert!(cluster.frames.iter().all(|(_, bytes)| bytes[3] != 7));
        cluster.deliver();
    }
}

#[test]
fn a_deletion_that_all_members_know_leaves_nothing_behind() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.write(1, put("kept", "one"));
    cluster.settle();
    cluster.write(1, delete("note"));
    cluster.wait();
    for node in 0..3 {
        assert_eq!(cluster.keys(node), 1, "the other document");
    }
    cluster.assert_agreement();
    let sessions = cluster.finished_sessions();
    cluster.wait();
    assert_eq!(cluster.finished_sessions(), sessions, "nothing goes back and forth");
}

#[test]
fn a_member_that_is_away_keeps_deletions_from_being_forgotten_until_it_is_retired() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.settle();
    cluster.part(2);
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(0), 1);
    cluster.retire(0, id(2));
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
    // The evicted device still holds the document, and nobody takes it.
    assert!(cluster.is_live(2, "note"));
    cluster.connect(2, 0);
    cluster.connect(2, 1);
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
}

#[test]
fn what_only_a_member_had_that_is_retired_is_not_waited_for() {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.settle();
    cluster.write(0, delete("note"));
    cluster.deliver();
    cluster.write(2, put("own", "one"));
    // The others hear that it has written something, and do not get it.
    for _ in 0..3 {
        while let Some((link, bytes)) = cluster.frames.pop_front() {
            if let Some(&(node, link, _)) = cluster.links.get(&link).filter(|_| bytes[3] != 3) {
                cluster.handle(node, Input::Frame { link, bytes });
            }
        }
        cluster.micros += 300_000;
        (0..3).for_each(|node| cluster.handle(node, Input::Timer));
    }
    cluster.frames.clear();
    cluster.part(2);
    cluster.retire(0, id(2));
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
}

#[test]
fn what_was_forgotten_stays_so_after_a_restart_and_a_new_document_is_another() {
    let mut cluster = collecting(2, &[(0, 1)]);
    cluster.write(0, put("note", "the same"));
    cluster.settle();
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(0), 0);
    cluster.write(0, put("note", "the same"));
    cluster.part(0);
    cluster.reopen(0);
    assert!(cluster.is_live(0, "note"));
    cluster.connect(0, 1);
    cluster.wait();
    assert!(cluster.is_live(0, "note") && cluster.is_live(1, "note"));
    cluster.assert_agreement();
}

#[test]
fn a_resolution_of_a_document_that_was_forgotten_is_another_than_the_one_before() {
    let resolve = || alloc::vec![write(0, "note", Action::Resolve("the same".into()))];
    let mut cluster = collecting(2, &[(0, 1)]);
    let first = version_of(&cluster.write(0, resolve()));
    cluster.settle();
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(0), 0);
    assert_ne!(version_of(&cluster.write(0, resolve())), first);
}

/// One node forgets, the other never does of its own: a session ends the difference, in favour of forgetting.
#[test]
fn a_session_never_brings_back_what_one_side_has_forgotten() {
    let mut cluster = Cluster::new(2);
    cluster.found(0);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(1, put("note", "one"));
    cluster.settle();
    cluster.write(1, delete("note"));
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
    let sessions = cluster.finished_sessions();
    cluster.wait();
    assert_eq!(cluster.finished_sessions(), sessions);
    cluster.restart(1);
    assert_eq!(cluster.keys(1), 0, "its log says so");
}

#[test]
fn a_disk_of_the_past_does_not_bring_a_document_back() {
    let mut cluster = collecting(2, &[(0, 1)]);
    cluster.write(0, put("note", "one"));
    cluster.settle();
    let backup = cluster.logs[1].clone();
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(1), 0);
    cluster.part(1);
    cluster.logs[1] = backup;
    cluster.reopen(1);
    assert!(cluster.is_live(1, "note"));
    cluster.connect(0, 1);
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
}

/// A disk of the past that is ahead of one member in what the other wrote, so that neither frontier covers the other.
/// The document on it is forgotten elsewhere, or another one is in its place.
fn told_news(anew: bool) -> Cluster {
    let mut cluster = collecting(3, &TRIANGLE);
    cluster.write(0, put("note", "one"));
    cluster.settle();
    let backup = cluster.logs[2].clone();
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!((cluster.keys(0), cluster.keys(1)), (0, 0));
    for node in 0..3 {
        cluster.part(node);
    }
    cluster.logs[2] = backup;
    cluster.reopen(2);
    assert!(cluster.is_live(2, "note"));
    // Of node 1 it gets what node 0 lacks, and of neither the deletion: that takes a session.
    cluster.write(1, put("news", "one"));
    cluster.connect(1, 2);
    cluster.deliver_until_held(2, "news");
    cluster.part(2);
    if anew {
        cluster.write(0, put("note", "another"));
    }
    cluster.write(0, put("others", "one"));
    cluster.connect(0, 2);
    cluster.wait();
    for (a, b) in TRIANGLE {
        cluster.connect(a, b);
    }
    cluster.wait();
    cluster.assert_agreement();
    cluster
}

#[test]
fn a_disk_of_the_past_that_was_told_news_does_not_bring_a_document_back() {
    let cluster = told_news(false);
    assert!((0..3).all(|node| !cluster.is_live(node, "note")));
}

#[test]
fn a_disk_of_the_past_does_not_put_what_was_forgotten_beside_what_was_written_anew() {
    let cluster = told_news(true);
    for node in 0..3 {
        let Some(Cell::Document(document)) = cluster.peek(node, &item(0, "note")) else { panic!("not held") };
        let live: Vec<_> = document.live_leaves().filter_map(|leaf| leaf.body().cloned()).collect();
        assert_eq!(live, [Bytes::from("another")]);
    }
}

#[test]
fn a_new_member_takes_over_what_is_left() {
    let mut cluster = collecting(3, &[(0, 1)]);
    cluster.write(0, put("note", "one"));
    cluster.write(0, put("kept", "one"));
    cluster.settle();
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(0), 1);
    cluster.connect(2, 1);
    cluster.wait();
    cluster.assert_agreement();
    assert_eq!(cluster.keys(2), 1);
}

/// A member that is not known yet, and has written something itself, so that nobody's frontier covers its own.
#[test]
fn a_node_that_comes_later_is_not_sent_the_entries_of_a_document_that_was_forgotten() {
    let mut cluster = collecting(2, &[]);
    cluster.write(0, put("note", "one"));
    cluster.write(0, put("kept", "one"));
    cluster.write(0, delete("note"));
    cluster.wait();
    assert_eq!(cluster.keys(0), 1, "it knows of nobody else");
    cluster.write(1, put("own", "one"));
    cluster.engines[1].track_changes(true);
    cluster.connect(0, 1);
    cluster.wait();
    cluster.assert_agreement();
    let changed = cluster.engines[1].take_changes();
    assert!(changed.contains(&item(0, "kept")) && !changed.contains(&item(0, "note")), "{changed:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8),
    Delete(usize, u8),
    Cut(usize),
    Connect(usize, usize),
    Restart(usize),
    Wait,
}

fn arb_step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 0u8..4).prop_map(|(node, key)| Step::Put(node, key)),
        4 => (0..3usize, 0u8..4).prop_map(|(node, key)| Step::Delete(node, key)),
        1 => (0..3usize).prop_map(Step::Cut),
        2 => (0..3usize, 1..3usize).prop_map(|(node, by)| Step::Connect(node, (node + by) % 3)),
        1 => (0..3usize).prop_map(Step::Restart),
        3 => Just(Step::Wait),
    ]
}

/// Runs the same steps with and without forgetting.
fn run(steps: &[Step], retires: bool, collects: bool) -> Cluster {
    let mut cluster = if collects { collecting(3, &TRIANGLE) } else { Cluster::new(3) };
    if !collects {
        for (a, b) in TRIANGLE {
            cluster.connect(a, b);
        }
        cluster.settle();
    }
    for (n, step) in steps.iter().enumerate() {
        let key = |key: u8| alloc::format!("key {key}");
        match *step {
            Step::Put(node, k) => cluster.put_over_least(node, &key(k), &n.to_string()),
            Step::Delete(node, k) => drop(cluster.write(node, delete(&key(k)))),
            Step::Cut(node) => cluster.part(node),
            Step::Connect(a, b) => cluster.connect(a, b),
            Step::Restart(node) => {
                cluster.part(node);
                if collects {
                    cluster.reopen(node);
                } else {
                    cluster.restart(node);
                }
            }
            Step::Wait => (0..4).for_each(|_| cluster.settle()),
        }
        cluster.deliver();
    }
    if retires {
        cluster.part(2);
        cluster.retire(0, id(2));
    }
    for (a, b) in TRIANGLE {
        cluster.connect(a, b);
    }
    cluster.wait();
    cluster
}

fn live_bodies(cluster: &Cluster, node: usize, key: u8) -> Vec<Bytes> {
    let Some(Cell::Document(document)) = cluster.peek(node, &item(0, &alloc::format!("key {key}"))) else {
        return Vec::new();
    };
    let mut bodies: Vec<Bytes> = document.live_leaves().filter_map(|leaf| leaf.body().cloned()).collect();
    bodies.sort();
    bodies
}

/// What is read is the same whether deletions are forgotten or not, nothing deleted is left, and all agree.
fn check_forgetting(steps: &[Step], retires: bool) -> Result<(), TestCaseError> {
    let (forgets, keeps) = (run(steps, retires, true), run(steps, retires, false));
    let nodes = if retires { 0..2 } else { 0..3usize };
    for node in nodes {
        for key in 0..4 {
            prop_assert_eq!(live_bodies(&forgets, node, key), live_bodies(&keeps, 0, key), "node {}", node);
        }
        let status = forgets.engines[node].status();
        prop_assert_eq!(&status.partitions, &forgets.engines[0].status().partitions);
        let live = (0..4).filter(|key| !live_bodies(&forgets, node, *key).is_empty()).count();
        prop_assert_eq!(status.partitions[0].keys, live, "no tombstone is left");
    }
    Ok(())
}

/// A plain put would replace the one of two versions here, and the other in the cluster that forgets nothing.
#[test]
fn a_conflict_of_documents_written_anew_after_something_was_forgotten_keeps_both() {
    use Step::{Connect, Delete, Put, Restart, Wait};
    let steps = [
        Restart(2),
        Put(0, 0),
        Delete(0, 0),
        Connect(2, 0),
        Put(0, 2),
        Put(0, 2),
        Wait,
        Put(1, 1),
        Put(2, 1),
        Wait,
        Put(0, 1),
    ];
    check_forgetting(&steps, false).unwrap();
}

proptest! {
    /// The oracle is the same cluster that forgets nothing: late copies, restarts, relays and an evicted device make no
    /// difference to what is read.
    #[test]
    fn forgetting_changes_nothing_that_can_be_read(
        steps in prop::collection::vec(arb_step(), 1..24),
        retires: bool,
    ) {
        check_forgetting(&steps, retires)?;
    }
}
