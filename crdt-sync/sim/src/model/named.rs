//! Which versions must be there because answers to commands named them.

use conflict_store::VersionId;
use crdt_sync::ItemKey;

use super::{Command, Fact, Fate, Model};

impl Model {
    /// The versions of a document that must be there because answers to commands named them.
    pub(crate) fn named_at<'m>(
        &'m self,
        item: &'m ItemKey,
    ) -> impl Iterator<Item = (&'m Command, VersionId)> {
        let named = self.named.get(item).into_iter().flatten();
        let named = named.map(|&(command, version)| (&self.commands[command], version));
        named.filter(|(command, version)| {
            command.fate != Fate::Gone && !command.smudged && self.is_owed(command, item, *version)
        })
    }

    /// Whether a version that the answer to a command named must be there for its sake.
    ///
    /// What the command made lasts as the command does. What it found there another one had made, and entries of its
    /// own in other partitions say nothing of that: it is the node's to keep as long as it has the disk of then.
    /// When that is lost, or the node was retired, it is promised as far as what a maker of it did is. A maker that
    /// is gone was reported by a last look, or lost with a disk, and then nobody is left to be asked. A partial replica
    /// keeps it, too, but has no entries of others to pass on, so others have it of its makers only.
    fn is_owed(&self, command: &Command, item: &ItemKey, version: VersionId) -> bool {
        let has_it = |fact: &Fact| match fact {
            Fact::Versions(versions) => versions.iter().any(|(id, _)| *id == version),
            _ => false,
        };
        let is_kept = !command.orphaned && !self.partial.contains(&command.node);
        if is_kept || command.facts.iter().any(|(at, fact)| at == item && has_it(fact)) {
            return true;
        }
        let mut makers = self.all_facts_of(item).filter(|(_, fact)| has_it(fact)).peekable();
        makers.peek().is_none() || makers.any(|(maker, _)| maker.fate != Fate::Gone && !maker.smudged)
    }
}

#[cfg(test)]
mod tests {
    use conflict_store::Document;
    use crdt_core::ReplicaId;
    use crdt_sync::merkle::Root;
    use crdt_sync::{Bytes, Chain, Collection, PartitionStatus, Position, RequestId, Strategy};

    use super::*;
    use crate::lineage::Lineage;
    use crate::world::Loss;

    const FIRST: Position = Position { sequence: 1, chain: Chain::START };
    const MAKER: RequestId = RequestId(0);
    const OTHER: RequestId = RequestId(1);

    /// The identity under which a command was written: each has its own.
    fn origin_of(request: RequestId) -> ReplicaId {
        ReplicaId::from_u128(request.0.into())
    }

    fn document() -> ItemKey {
        ItemKey { collection: Collection::documents("titles", Strategy::Keep).id(), key: "key".into() }
    }

    fn version() -> VersionId {
        Document::<Bytes>::default().put(b"key", None, Some("1".into()), None).unwrap().0
    }

    /// Two commands whose answers name one version of a document in partition 0.
    #[derive(Default)]
    struct Two {
        model: Model,
        lineage: Lineage,
    }

    impl Two {
        /// The first one, of node 0, made the version; the other one has an entry in each of these partitions.
        fn with_other(node: usize, partitions: &[usize], makes_it: bool) -> Self {
            let mut two = Self::default();
            two.make(MAKER, 0, &[0], true);
            two.make(OTHER, node, partitions, makes_it);
            two
        }

        fn make(&mut self, request: RequestId, node: usize, partitions: &[usize], makes_it: bool) {
            let (origin, nothing) = (origin_of(request), Position::default());
            let grow = |partition: &usize| self.lineage.grow(*partition, origin, nothing, [FIRST]);
            let places = partitions.iter().flat_map(grow).collect();
            let mut command = Command::new(node, request, origin, places);
            if makes_it {
                command.facts.push((document(), Fact::Versions(vec![(version(), Vec::new())])));
            }
            self.model.add(command, &self.lineage);
            assert!(self.model.acknowledge(request, [(document(), version())]));
        }

        /// The disk of node 0 is lost, which alone had the maker's entry: for whose sake the version must be there.
        fn named_after_loss(mut self) -> Vec<RequestId> {
            let loss = Loss { partition: 0, origin: origin_of(MAKER), head: FIRST, lost_above: 0 };
            self.model.lose_disk(0, &[loss], &self.lineage);
            self.named_among(&[OTHER])
        }

        /// For whose sake the version must be there when all nodes have the entries of these commands.
        fn named_among(mut self, known: &[RequestId]) -> Vec<RequestId> {
            let heads: Vec<_> = known.iter().map(|request| (origin_of(*request), FIRST)).collect();
            let status = PartitionStatus { root: Root::default(), keys: 0, heads, conflicts: Vec::new() };
            assert_eq!(self.model.settle(&self.lineage.known(&[status.clone(), status])), Ok(()));
            self.model.named_at(&document()).map(|(command, _)| command.request).collect()
        }
    }

    #[test]
    fn a_version_that_was_found_is_lost_with_the_disk_that_alone_had_it() {
        assert_eq!(Two::with_other(0, &[], false).named_after_loss(), [], "it changed nothing");
        assert_eq!(Two::with_other(0, &[1], false).named_after_loss(), [], "what else it wrote was spread");
    }

    #[test]
    fn a_version_that_was_found_is_asked_for_while_its_maker_counts() {
        for partitions in [&[][..], &[1]] {
            let mut two = Two::with_other(0, partitions, false);
            two.model.lose_disk(0, &[], &two.lineage);
            assert_eq!(two.named_among(&[MAKER, OTHER]), [MAKER, OTHER]);
        }
    }

    #[test]
    fn a_version_that_was_found_stays_where_the_disk_does() {
        assert_eq!(Two::with_other(1, &[1], false).named_after_loss(), [OTHER]);
    }

    #[test]
    fn a_version_that_two_made_is_not_lost_with_one_of_them() {
        assert_eq!(Two::with_other(0, &[0], true).named_after_loss(), [OTHER]);
    }
}
