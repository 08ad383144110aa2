//! Connections between nodes, and which ways are blocked.

use std::collections::{BTreeMap, BTreeSet};

use crdt_sync::LinkId;
use crdt_sync::time::Instant;

/// One end of a connection, as its node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) far: LinkId,
    pub(crate) far_node: usize,
}

/// A way that carries next to nothing for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Narrow {
    pub(crate) until: Instant,
    pub(crate) bytes_per_second: u64,
    /// When everything that queues up has passed.
    pub(crate) free_at: Instant,
}

impl Narrow {
    /// When a frame of this length has passed, which is handed in now. What is left in the queue when the way is wide
    /// again passes at once.
    fn pass(&mut self, now: Instant, bytes: usize) -> Instant {
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second.max(1);
        let free_at = self.free_at.max(now) + core::time::Duration::from_micros(micros);
        self.free_at = free_at.min(self.until);
        self.free_at
    }
}

/// All ends that their nodes believe to be up. The two ends of a connection go down one after the other, so an
/// end may be left without its counterpart for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    ends: BTreeMap<LinkId, End>,
    /// Ends that are up as far as their nodes know, and over which nothing gets any more.
    broken: BTreeSet<LinkId>,
    blocked: BTreeSet<(usize, usize)>,
    /// Nodes that the operator cut off from all others.
    cordoned: BTreeSet<usize>,
    narrow: BTreeMap<(usize, usize), Narrow>,
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
        self.ends_between(a, b).any(|link| self.carries(link))
    }

    /// Whether frames get over this end: it is up, so is its counterpart, and nothing is broken in between.
    pub(crate) fn carries(&self, link: LinkId) -> bool {
        let end = self.end(link).filter(|_| !self.broken.contains(&link));
        end.is_some_and(|end| self.ends.contains_key(&end.far))
    }

    /// The ends at one node whose other end is at the other.
    pub(crate) fn ends_between(&self, a: usize, b: usize) -> impl Iterator<Item = LinkId> {
        let ends = self.ends.iter().filter(move |(_, end)| (end.node, end.far_node) == (a, b));
        ends.map(|(link, _)| *link)
    }

    /// From now on the way from one node to the other is narrow.
    pub(crate) fn narrow(&mut self, from: usize, to: usize, narrow: Narrow) {
        self.narrow.insert((from, to), narrow);
    }

    /// All ways are wide again; what queues up passes when it would have.
    pub(crate) fn widen(&mut self) {
        self.narrow.clear();
    }

    /// When a frame has passed a way that is narrow; `None` for one that is not.
    pub(crate) fn pass(&mut self, from: usize, to: usize, now: Instant, bytes: usize) -> Option<Instant> {
        let narrow = self.narrow.get_mut(&(from, to)).filter(|narrow| now < narrow.until)?;
        Some(narrow.pass(now, bytes))
    }

    /// From now on nothing gets from one node to the other; the other way is not touched.
    pub(crate) fn block(&mut self, from: usize, to: usize) {
        self.blocked.insert((from, to));
    }

    pub(crate) fn unblock(&mut self, from: usize, to: usize) {
        self.blocked.remove(&(from, to));
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to)) || self.is_cordoned(from, to)
    }

    /// Cuts a node off from all others until all cordons are lifted, also when there is peace.
    pub(crate) fn cordon(&mut self, node: usize) {
        self.cordoned.insert(node);
    }

    pub(crate) fn lift_cordons(&mut self) {
        self.cordoned.clear();
    }

    /// Whether one of the two is cut off by the operator.
    pub(crate) fn is_cordoned(&self, from: usize, to: usize) -> bool {
        self.cordoned.contains(&from) || self.cordoned.contains(&to)
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
    fn frames_queue_up_before_a_narrow_way_and_pass_when_it_is_wide_again() {
        let mut network = Network::default();
        let (at, until) = (Instant::from_micros, Instant::from_micros(3_500));
        network.narrow(0, 1, Narrow { until, bytes_per_second: 1_000, free_at: at(0) });
        let mut pass = |now| network.pass(0, 1, at(now), 1);
        assert_eq!([pass(0), pass(0), pass(2_500)], [Some(at(1_000)), Some(at(2_000)), Some(until)]);
        assert_eq!(pass(3_500), None);
        assert_eq!(network.pass(1, 0, at(0), 1), None, "the other way is not narrow");
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
