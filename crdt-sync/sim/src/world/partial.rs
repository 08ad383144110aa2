//! Partial replicas: what they hold, whom they meet, and who has what when a disk is lost.

use crdt_core::ReplicaId;
use crdt_sync::{Bytes, Scope};

use super::node::Node;
use super::{Setup, Shape, World};

impl Setup {
    /// How many nodes hold everything: the first ones.
    pub(crate) fn whole(&self) -> usize {
        self.nodes.saturating_sub(self.partial)
    }

    /// Whether a node holds a part of the keys only.
    pub(crate) fn is_partial(&self, node: usize) -> bool {
        (self.whole()..self.nodes).contains(&node)
    }

    /// What a node holds. Of each collection a partial replica holds every other key, another half than the next one;
    /// and of one collection everything.
    pub(crate) fn scope_of(&self, node: usize) -> Scope {
        if !self.is_partial(node) {
            return Scope::everything();
        }
        let mut scope = Scope::nothing();
        for (place, collection) in self.collections.iter().enumerate() {
            if (place + node).is_multiple_of(self.collections.len()) {
                scope = scope.only(collection.id(), Bytes::default());
                continue;
            }
            for key in (0..10).filter(|key| (key + place + node).is_multiple_of(2)) {
                scope = scope.only(collection.id(), format!("key {key}").as_str());
            }
        }
        scope
    }

    /// Whether two nodes connect to each other: the whole ones as the shape says. A partial replica meets whole nodes
    /// only: all of them, the middle of a star, or two neighbours of a ring.
    pub(crate) fn links(&self, a: usize, b: usize) -> bool {
        let whole = self.whole();
        let (low, high) = (a.min(b), a.max(b));
        match (self.is_partial(low), self.is_partial(high)) {
            (false, false) => self.shape.links(a, b, whole),
            (true, _) => false,
            (false, true) => match self.shape {
                Shape::AllToAll => true,
                Shape::Star => low == 0,
                Shape::Ring => [high % whole, (high + 1) % whole].contains(&low),
            },
        }
    }

    /// Whether nobody gives an identity two pasts: partial replicas cannot heal forks, and who forgets deletions counts
    /// on each identity having one past.
    pub(crate) fn spares_identities(&self) -> bool {
        self.partial > 0 || self.forgets_deletions
    }
}

impl World {
    /// Whether a node holds a part of the keys only.
    pub(crate) fn is_partial(&self, number: usize) -> bool {
        self.setup.is_partial(number)
    }

    /// What a node holds.
    pub(crate) fn scope_of(&self, number: usize) -> Scope {
        self.nodes.get(number).map_or_else(Scope::everything, |node| self.setup.scope_of(node.place))
    }

    /// Whether what is deleted now is forgotten when all have it, partial replicas among them. Who is not known yet is
    /// not waited for, and a partial replica could not tell that what it was sent by another is forgotten.
    pub(crate) fn is_acquainted(&self) -> bool {
        let is_known = |name| {
            self.members()
                .filter_map(|member| self.engine(member))
                .all(|engine| engine.status().members.get(name).is_some())
        };
        self.setup.partial == 0 || self.members().all(|member| is_known(self.nodes[member].name))
    }

    /// Whether what a node says of an identity means that it holds all of it, and passes it on: of others a partial
    /// replica keeps no entries.
    pub(super) fn holds_whole(&self, number: usize, node: &Node, origin: ReplicaId) -> bool {
        !self.is_partial(number) || node.wrote.contains(&origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::collections;

    #[test]
    fn a_partial_replica_meets_whole_nodes_only_and_at_least_one() {
        for shape in [Shape::AllToAll, Shape::Star, Shape::Ring] {
            let setup = Setup { shape, partial: 2, ..Setup::peaceful(5, collections()) };
            assert!(!setup.links(3, 4) && !setup.links(4, 3));
            for partial in [3, 4] {
                let met: Vec<_> = (0..5).filter(|other| setup.links(partial, *other)).collect();
                assert!(!met.is_empty() && met.iter().all(|node| *node < 3), "{shape:?}: {met:?}");
                assert!(met.iter().all(|node| setup.links(*node, partial)));
            }
        }
    }

    #[test]
    fn two_partial_replicas_hold_different_parts_of_every_collection() {
        let setup = Setup { partial: 2, ..Setup::peaceful(5, collections()) };
        let [one, other] = [3, 4].map(|node| setup.scope_of(node));
        for collection in collections() {
            let holds = |scope: &Scope, key: &str| scope.contains(collection.id(), key.as_bytes());
            let keys: Vec<String> = (0..3).map(|key| format!("key {key}")).collect();
            assert!(keys.iter().any(|key| holds(&one, key) != holds(&other, key)));
            assert!(keys.iter().all(|key| holds(&one, key) || holds(&other, key)));
        }
        assert!(setup.scope_of(0).is_everything());
    }
}
