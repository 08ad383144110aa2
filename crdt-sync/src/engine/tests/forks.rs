//! Forked identities: every branch lives on, nothing is counted twice, and all nodes agree in the end.

use super::*;

/// A cluster with ways to copy a node's disk under another node's name, as somebody does who clones a machine.
struct Forked(Cluster);

fn add(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Add(element.into()))]
}

fn count(key: &str, amount: u64) -> Vec<Write> {
    alloc::vec![write(2, key, Action::Increment(amount))]
}

impl Forked {
    fn new(nodes: u8) -> Self {
        Self(Cluster::new(nodes))
    }

    /// Node `to` starts with a copy of the log of `from`, and with it under its identity, but under its own name.
    fn clone_node(&mut self, from: usize, to: usize) {
        let records = self.0.logs[from].clone();
        self.0.logs[to] = renamed(&records, to);
        self.0.restart(to);
        assert_eq!(self.id(from), self.id(to));
    }

    fn id(&self, node: usize) -> ReplicaId {
        self.0.engines[node].status().replica
    }

    fn elements(&self, node: usize, key: &str) -> Vec<Bytes> {
        match self.0.peek(node, &item(1, key)) {
            Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn counted(&self, node: usize, key: &str) -> i128 {
        match self.0.peek(node, &item(2, key)) {
            Some(Cell::Counter(counter)) => counter.value(),
            _ => 0,
        }
    }

    fn settle(&mut self) {
        for _ in 0..4 {
            self.0.settle();
        }
    }

    fn told(&self, what: impl Fn(&Event) -> bool) -> usize {
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

    fn replayed_is_held(&mut self) {
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
