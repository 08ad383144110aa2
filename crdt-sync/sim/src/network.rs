//! Connections between nodes, and which ways are blocked.

use std::collections::{BTreeMap, BTreeSet};

use crdt_sync::LinkId;

/// One end of a connection, as its node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) far: LinkId,
    pub(crate) far_node: usize,
}

/// All ends that their nodes believe to be up. The two ends of a connection go down one after the other, so an
/// end may be left without its counterpart for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    ends: BTreeMap<LinkId, End>,
    /// Ends that are up as far as their nodes know, and over which nothing gets any more.
    broken: BTreeSet<LinkId>,
    blocked: BTreeSet<(usize, usize)>,
    next: u64,
}

impl Network {
    /// A new connection; returns the end of each side.
    pub(crate) fn connect(&mut self, from: usize, to: usize) -> (LinkId, LinkId) {
        let (near, far) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        let end = |node, far, far_node| End { node, far, far_node };
        self.ends.insert(near, end(from, far, to));
        self.ends.insert(far, end(to, near, from));
        (near, far)
    }

    pub(crate) fn end(&self, link: LinkId) -> Option<End> {
        self.ends.get(&link).copied()
    }

    /// Takes one end down.
    pub(crate) fn remove(&mut self, link: LinkId) -> Option<End> {
        self.broken.remove(&link);
        self.ends.remove(&link)
    }

    /// From now on nothing gets over this connection, and neither side knows.
    pub(crate) fn sever(&mut self, link: LinkId) {
        let far = self.end(link).map(|end| end.far);
        self.broken.extend(far.into_iter().chain([link]));
    }

    /// The ends at a node, in the order in which they came up.
    pub(crate) fn ends_of(&self, node: usize) -> Vec<LinkId> {
        self.ends.iter().filter(|(_, end)| end.node == node).map(|(link, _)| *link).collect()
    }

    /// The connections over which frames get; one end of each.
    pub(crate) fn whole_links(&self) -> Vec<LinkId> {
        self.ends
            .iter()
            .filter(|(link, end)| **link < end.far && self.carries(**link))
            .map(|(link, _)| *link)
            .collect()
    }

    /// Whether two nodes have a connection over which frames get.
    pub(crate) fn are_linked(&self, a: usize, b: usize) -> bool {
        let links = self.ends.iter().filter(|(_, end)| (end.node, end.far_node) == (a, b));
        links.into_iter().any(|(link, _)| self.carries(*link))
    }

    /// Whether frames get over this end: it is up, so is its counterpart, and nothing is broken in between.
    pub(crate) fn carries(&self, link: LinkId) -> bool {
        let end = self.end(link).filter(|_| !self.broken.contains(&link));
        end.is_some_and(|end| self.ends.contains_key(&end.far))
    }

    /// From now on nothing gets from one node to the other; the other way is not touched.
    pub(crate) fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn unblock(&mut self, from: usize, to: usize) {
        self.blocked.remove(&(from, to));
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_whole_until_one_end_is_gone() {
        let mut network = Network::default();
        let (near, far) = network.connect(0, 1);
        assert!(network.are_linked(0, 1) && network.are_linked(1, 0));
        assert_eq!(network.whole_links(), [near]);
        network.remove(near);
        assert!(!network.are_linked(0, 1));
        assert_eq!(network.ends_of(1), [far]);
    }

    #[test]
    fn a_broken_connection_looks_up_from_both_sides_and_carries_nothing() {
        let mut network = Network::default();
        let (near, far) = network.connect(0, 1);
        network.sever(far);
        assert!(network.end(near).is_some() && network.end(far).is_some());
        assert!(!network.carries(near) && !network.carries(far) && !network.are_linked(0, 1));
    }

    #[test]
    fn blocking_is_one_way() {
        let mut network = Network::default();
        network.block(0, 1);
        assert!(network.is_blocked(0, 1) && !network.is_blocked(1, 0));
        network.unblock(0, 1);
        assert!(!network.is_blocked(0, 1));
    }
}
