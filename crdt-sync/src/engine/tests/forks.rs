//! Forked identities: every branch lives on, nothing is counted twice, and all nodes agree in the end.

use super::*;

/// A cluster with ways to copy a node's disk under another node's name, as somebody does who clones a machine.
pub(super) struct Forked(pub(super) Cluster);

pub(super) fn add(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Add(element.into()))]
}

pub(super) fn count(key: &str, amount: u64) -> Vec<Write> {
    alloc::vec![write(2, key, Action::Increment(amount))]
}

impl Forked {
    pub(super) fn new(nodes: u8) -> Self {
        Self(Cluster::new(nodes))
    }

    /// Node `to` starts with a copy of the log of `from`, and with it under its identity, but under its own name.
    pub(super) fn clone_node(&mut self, from: usize, to: usize) {
        let records = self.0.logs[from].clone();
        self.0.logs[to] = renamed(&records, to);
        self.0.restart(to);
        assert_eq!(self.id(from), self.id(to));
    }

    fn id(&self, node: usize) -> ReplicaId {
        self.0.engines[node].status().replica
    }

    pub(super) fn elements(&self, node: usize, key: &str) -> Vec<Bytes> {
        match self.0.peek(node, &item(1, key)) {
            Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn counted(&self, node: usize, key: &str) -> i128 {
        match self.0.peek(node, &item(2, key)) {
            Some(Cell::Counter(counter)) => counter.value(),
            _ => 0,
        }
    }

    pub(super) fn settle(&mut self) {
        for _ in 0..4 {
            self.0.settle();
        }
    }

    pub(super) fn told(&self, what: impl Fn(&Event) -> bool) -> usize {
        self.0.events.iter().filter(|(_, event)| what(event)).count()
    }

    /// All nodes hold the same under the same names, were never at fault, and have nothing more to say.
    fn assert_healed(&mut self) {
        self.0.assert_agreement();
        assert_eq!(self.told(|event| matches!(event, Event::Violation { .. })), 0);
        for node in 0..self.0.engines.len() {
            let status = self.0.engines[node].status();
            assert!(status.peers.iter().all(|peer| peer.in_sync), "node {node} waits for somebody");
        }
        // Whoever is in step says so once in a while and nothing else: a frontier each way per keep-alive at most.
        let before = self.0.sent_bytes;
        self.0.settle();
        let links = self.0.links.len();
        let quiet = self.0.sent_bytes - before;
        assert!(quiet <= links * 1_000, "{quiet} bytes over {links} ends of links");
    }

    pub(super) fn replayed_is_held(&mut self) {
        for node in 0..self.0.engines.len() {
            let before = self.0.engines[node].status().partitions;
            self.0.restart(node);
            assert_eq!(self.0.engines[node].status().partitions, before, "node {node}");
        }
    }
}

/// A log with another node's name in its founding: the id that writes stays.
fn renamed(records: &[(Lsn, Vec<u8>)], to: usize) -> Vec<(Lsn, Vec<u8>)> {
    let mut records = records.to_vec();
    let name = u128::try_from(to + 1).unwrap();
    let at = records[0].1.len();
    let founding = &mut records[0].1;
    let mut id = NodeId::from_u128(name).as_bytes().to_vec();
    assert!(at > 17);
    founding[1..17].swap_with_slice(&mut id);
    records
}

#[test]
fn two_clones_that_meet_keep_what_both_wrote() {
    let mut forked = Forked::new(2);
    forked.0.write(0, add("list", "before"));
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.0.write(0, add("list", "milk"));
    forked.0.write(0, count("visits", 3));
    forked.0.write(1, add("list", "soap"));
    forked.0.write(1, count("visits", 7));
    forked.0.connect(0, 1);
    forked.settle();
    for node in 0..2 {
        assert_eq!(forked.elements(node, "list"), ["before".into(), "milk".into(), "soap".into()]);
        assert_eq!(forked.counted(node, "visits"), 15, "5 once, 3 and 7");
    }
    assert_ne!(forked.id(0), forked.id(1));
    forked.assert_healed();
    forked.replayed_is_held();
}

#[test]
fn a_fork_is_healed_through_a_node_that_holds_neither_branch() {
    let mut forked = Forked::new(3);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.0.write(0, count("visits", 3));
    forked.0.write(1, count("visits", 7));
    forked.0.write(1, add("list", "soap"));
    forked.0.connect(0, 2);
    forked.0.settle();
    forked.0.connect(2, 1);
    forked.settle();
    for node in 0..3 {
        assert_eq!(forked.counted(node, "visits"), 15);
        assert_eq!(forked.elements(node, "list"), ["soap".into()]);
    }
    forked.assert_healed();
    forked.replayed_is_held();
}

#[test]
fn a_ring_of_four_heals_from_both_ends() {
    let mut forked = Forked::new(4);
    forked.0.write(0, add("list", "before"));
    forked.clone_node(0, 2);
    for (node, next) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        forked.0.connect(node, next);
    }
    // Nothing is delivered yet: every node writes first.
    for node in 0..4 {
        forked.0.write(node, add("list", &alloc::format!("from {node}")));
        forked.0.write(node, count("visits", 1 << node));
    }
    forked.settle();
    for node in 0..4 {
        assert_eq!(forked.elements(node, "list").len(), 5);
        assert_eq!(forked.counted(node, "visits"), 0b1111);
    }
    forked.assert_healed();
}

#[test]
fn a_branch_outlives_its_writer_in_a_relay() {
    let mut forked = Forked::new(4);
    forked.0.write(0, add("list", "before"));
    forked.clone_node(0, 1);
    forked.0.write(1, add("list", "of the lost"));
    forked.0.write(1, count("visits", 7));
    forked.0.connect(1, 2);
    forked.0.settle();
    // Node 1 is gone for good.
    forked.0.write(0, add("list", "of the living"));
    forked.0.write(0, count("visits", 3));
    forked.0.logs[1].clear();
    forked.0.restart(1);
    forked.0.connect(0, 2);
    forked.0.connect(2, 3);
    forked.0.connect(0, 1);
    forked.settle();
    for node in 0..4 {
        assert_eq!(forked.elements(node, "list").len(), 3);
        assert_eq!(forked.counted(node, "visits"), 10);
    }
    forked.assert_healed();
}

/// The third branch parts lower than the other two, or higher; whichever fork is found first, the names are the same.
#[test]
fn three_branches_get_the_same_names_in_whatever_order_they_meet() {
    let orders = [[(0, 1), (1, 2)], [(1, 2), (0, 1)], [(0, 2), (1, 2)], [(0, 2), (0, 1)]];
    let healed = orders.map(|links| {
        let mut forked = Forked::new(3);
        forked.0.write(0, count("visits", 5));
        forked.clone_node(0, 2);
        forked.0.write(2, count("visits", 100));
        forked.0.write(0, count("visits", 30));
        forked.0.write(0, add("list", "shared by two"));
        forked.clone_node(0, 1);
        forked.0.write(0, add("list", "first"));
        forked.0.write(1, add("list", "second"));
        forked.0.write(0, count("visits", 2_000));
        forked.0.write(1, count("visits", 40_000));
        for (one, other) in links {
            forked.0.connect(one, other);
            forked.settle();
        }
        for node in 0..3 {
            assert_eq!(forked.counted(node, "visits"), 42_135, "{links:?}");
            assert_eq!(forked.elements(node, "list").len(), 3, "{links:?}");
        }
        forked.assert_healed();
        forked.replayed_is_held();
        forked.0.engines[0].status().partitions[0].heads.clone()
    });
    assert!(healed.iter().all(|heads| *heads == healed[0]), "{healed:?}");
}

#[test]
fn two_halves_that_cut_one_identity_at_different_places_agree_when_they_meet() {
    let mut forked = Forked::new(4);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 3);
    forked.0.write(3, count("visits", 100));
    forked.0.write(0, count("visits", 30));
    forked.clone_node(0, 1);
    forked.clone_node(0, 2);
    for (node, amount) in [(0, 2_000), (1, 40_000), (2, 600_000)] {
        forked.0.write(node, count("visits", amount));
    }
    forked.0.connect(0, 1);
    forked.0.connect(2, 3);
    forked.settle();
    forked.0.connect(1, 2);
    forked.settle();
    forked.settle();
    for node in 0..4 {
        assert_eq!(forked.counted(node, "visits"), 642_135, "node {node}");
    }
    forked.assert_healed();
}

#[test]
fn what_was_removed_on_one_branch_stays_on_the_other() {
    let mut forked = Forked::new(3);
    forked.0.write(0, add("list", "before"));
    forked.clone_node(0, 1);
    // The same dot for two elements of one key; a third node has seen one of them and removes it.
    forked.0.write(0, add("list", "milk"));
    forked.0.write(1, add("list", "soap"));
    forked.0.connect(0, 2);
    forked.0.settle();
    forked.0.write(2, alloc::vec![write(1, "list", Action::Remove("milk".into()))]);
    forked.0.settle();
    forked.0.connect(1, 2);
    forked.settle();
    for node in 0..3 {
        assert_eq!(forked.elements(node, "list"), ["before".into(), "soap".into()], "node {node}");
    }
    forked.assert_healed();
}

#[test]
fn a_fork_in_the_middle_of_a_restart_is_healed_all_the_same() {
    for cut in 1..40 {
        let mut forked = Forked::new(2);
        forked.0.write(0, count("visits", 5));
        forked.clone_node(0, 1);
        forked.0.write(0, count("visits", 3));
        forked.0.write(1, count("visits", 7));
        forked.0.connect(0, 1);
        for _ in 0..cut {
            let Some((link, bytes)) = forked.0.frames.pop_front() else { break };
            if let Some(&(node, link, _)) = forked.0.links.get(&link) {
                forked.0.handle(node, Input::Frame { link, bytes });
            }
        }
        forked.0.restart(cut % 2);
        forked.0.frames.clear();
        forked.0.connect(0, 1);
        forked.settle();
        assert_eq!(
            (forked.counted(0, "visits"), forked.counted(1, "visits")),
            (15, 15),
            "after {cut} frames"
        );
        forked.0.assert_agreement();
    }
}

/// A node that caught up by a session holds a branch without its entries, and asks for them.
#[test]
fn a_branch_that_came_by_a_session_is_divided_with_entries_of_others() {
    let mut forked = Forked::new(3);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.0.write(0, count("visits", 3));
    forked.0.write(0, insert_many(0, 5_000, "x"));
    forked.0.write(1, count("visits", 7));
    forked.0.write(1, insert_many(0, 5_000, "y"));
    forked.0.connect(0, 2);
    forked.0.settle();
    assert!(forked.0.finished_sessions() > 0);
    forked.0.connect(1, 2);
    forked.settle();
    for node in 0..3 {
        assert_eq!(forked.counted(node, "visits"), 15, "node {node}");
    }
    forked.assert_healed();
    forked.replayed_is_held();
}

#[test]
fn a_fork_found_during_a_session_waits_for_its_end() {
    let mut forked = Forked::new(3);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.0.write(0, insert_many(0, 6_000, "x"));
    forked.0.write(0, count("visits", 3));
    forked.0.write(1, insert_many(0, 6_000, "y"));
    forked.0.write(1, count("visits", 7));
    forked.0.connect(0, 2);
    while forked.0.engines[2].status().sessions == 0 {
        let (link, bytes) = forked.0.frames.pop_front().unwrap();
        let &(node, link, _) = forked.0.links.get(&link).unwrap();
        forked.0.handle(node, Input::Frame { link, bytes });
    }
    forked.0.connect(1, 2);
    forked.0.connect(0, 1);
    forked.settle();
    for node in 0..3 {
        assert_eq!(forked.counted(node, "visits"), 15, "node {node}");
    }
    forked.assert_healed();
}

/// A fork below what one of the two still knows, or both.
fn forked_below_what_is_known(retained: [usize; 2], writes: u64) -> Forked {
    let mut forked = Forked::new(2);
    let start = |forked: &mut Forked, node: usize, records: Vec<(Lsn, Vec<u8>)>| {
        let mut config = config(u8::try_from(node + 1).unwrap(), 7);
        config.limits.max_retained = retained[node];
        forked.0.engines[node] = Engine::open(config, records, forked.0.now()).unwrap();
        forked.0.drain(node);
    };
    forked.0.logs[0].clear();
    start(&mut forked, 0, Vec::new());
    forked.0.write(0, count("visits", 5));
    let records = renamed(&forked.0.logs[0], 1);
    forked.0.logs[1].clone_from(&records);
    start(&mut forked, 1, records);
    for (node, amount) in [(0, 3), (1, 7)] {
        for _ in 0..writes {
            forked.0.write(node, count("visits", amount));
        }
    }
    forked.0.connect(0, 1);
    forked.settle();
    forked
}

#[test]
fn a_fork_below_what_is_still_known_stays_fenced_and_is_told() {
    let all = 1 << 20;
    for (retained, writes) in [([0, 0], 2), ([all, 0], 2), ([0, all], 300), ([all, 0], 300)] {
        let forked = forked_below_what_is_known(retained, writes);
        let counted = [0, 1].map(|node| forked.counted(node, "visits"));
        let each = i128::from(writes);
        assert_eq!(counted, [5 + 3 * each, 5 + 7 * each], "each keeps its own");
        for side in 0..2 {
            let told = |(node, event): &&(usize, Event)| {
                *node == side && matches!(event, Event::ForkNotHealed { .. })
            };
            assert_eq!(forked.0.events.iter().filter(told).count(), 1, "{side} of {retained:?}, {writes}");
        }
        assert_eq!(forked.told(|event| matches!(event, Event::InSync { .. })), 0);
    }
}

#[test]
fn entries_above_the_end_of_a_burnt_identity_are_refused_also_after_a_restart() {
    let mut forked = Forked::new(3);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    forked.clone_node(0, 2);
    for (node, amount) in [(0, 3), (1, 7), (2, 1_000)] {
        forked.0.write(node, count("visits", amount));
    }
    let burnt = forked.id(2);
    forked.0.connect(0, 1);
    forked.settle();
    forked.0.restart(0);
    let head = |forked: &Forked| {
        let heads = forked.0.engines[0].status().partitions[0].heads.clone();
        heads.iter().find(|(origin, _)| *origin == burnt).map(|(_, head)| head.sequence)
    };
    assert_eq!(head(&forked), Some(1));
    forked.0.connect(2, 0);
    forked.0.connect(0, 1);
    forked.settle();
    assert_eq!(head(&forked), Some(1), "it has ended");
    for node in 0..3 {
        assert_eq!(forked.counted(node, "visits"), 1_015);
    }
    forked.assert_healed();
}

/// Node 0 runs twice: under one name, with one disk that was copied.
#[test]
fn a_node_that_runs_twice_is_told_of_and_does_not_replace_itself_in_turn() {
    let mut forked = Forked::new(2);
    let mut twin = Cluster::new(1);
    twin.engines[0] = Engine::open(config(1, 9), forked.0.logs[0].clone(), twin.now()).unwrap();
    forked.0.connect(0, 1);
    forked.0.deliver();
    // The twin connects, and is taken for a restart; then the first process comes back.
    forked.0.engines.push(twin.engines.remove(0));
    forked.0.logs.push(forked.0.logs[0].clone());
    forked.0.connect(2, 1);
    forked.0.deliver();
    for _ in 0..5 {
        forked.0.connect(0, 1);
        forked.0.deliver();
    }
    let twice = |(node, event): &(usize, Event)| *node == 1 && matches!(event, Event::DuplicateNode { .. });
    assert_eq!(forked.0.events.iter().filter(|event| twice(event)).count(), 1, "once");
    let ups = |(node, event): &(usize, Event)| *node == 1 && matches!(event, Event::PeerUp { .. });
    assert_eq!(forked.0.events.iter().filter(|event| ups(event)).count(), 2, "one for each process");
    // Directly, too, they see what they are.
    forked.0.connect(0, 2);
    forked.0.deliver();
    assert!(forked.told(|event| matches!(event, Event::DuplicateNode { .. })) >= 2);
}

/// A relay that got a branch as states must not take another history of the same branch for its beginning.
#[test]
fn a_relay_asks_for_a_branch_before_it_compares_it_with_less() {
    let mut forked = Forked::new(3);
    forked.clone_node(1, 2);
    forked.0.write(1, count("visits", 1));
    forked.clone_node(1, 0);
    forked.0.write(0, add("list", "milk"));
    forked.0.write(0, count("visits", 10));
    forked.0.write(1, count("visits", 100));
    forked.0.write(2, count("visits", 1_000));
    forked.0.connect(2, 0);
    forked.settle();
    forked.0.connect(1, 2);
    forked.settle();
    for node in 0..3 {
        assert_eq!(forked.counted(node, "visits"), 1_111, "node {node}");
    }
    forked.assert_healed();
}

/// A restored backup that wrote nothing yet, told by a trace of its own identity.
#[test]
fn whoever_is_told_more_of_its_own_writes_than_it_knows_writes_under_a_new_name() {
    let mut forked = Forked::new(2);
    forked.0.connect(0, 1);
    forked.0.settle();
    let old = forked.id(0);
    let link = *forked.0.links.iter().find(|(_, end)| end.2 == 0).unwrap().0;
    let far = crate::entry::Position { sequence: 9, chain: crate::entry::Chain::START.then(old, 0, b"x") };
    let word = crate::wire::ForkWord::Trace { origin: old, samples: Vec::from([far]) };
    let message = crate::wire::Message::Fork(crate::wire::Fork { partition: 0, word });
    forked.0.handle(0, Input::Frame { link, bytes: crate::wire::encode(&message) });
    assert_ne!(forked.id(0), old);
}
