//! What partial replicas must have in common with whole nodes, and what nobody may hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::{Version, VersionId};
use crdt_sync::{Bytes, Cell, Collection, Engine, ItemKey, Kind};

use super::states;
use crate::model::{Model, ancestry};

/// Those of some versions that none of the others was written on top of.
fn latest(
    versions: BTreeSet<VersionId>,
    parents: &BTreeMap<VersionId, &[VersionId]>,
) -> impl Iterator<Item = VersionId> {
    let below = |id: &VersionId| parents.get(id).map_or(Vec::new(), |parents| parents.to_vec());
    let passed = ancestry(versions.iter().flat_map(below).collect(), parents);
    versions.into_iter().filter(move |id| !passed.contains(id))
}

/// How a partial replica differs from a whole node, if it does: within its scope it holds the same, outside it nothing,
/// and it has heard of everything. What it wrote the whole node has; of others it may have heard of what was lost with
/// a disk, and show that.
pub(crate) fn differs_in_part(
    model: &Model,
    whole: &Engine,
    part: &Engine,
    collections: &[Collection],
) -> Option<String> {
    let (all, own) = (whole.status(), part.status());
    for (number, (theirs, ours)) in (0..).zip(all.partitions.iter().zip(&own.partitions)) {
        let head_in = |status: &crdt_sync::PartitionStatus, origin| {
            let head = status.heads.iter().find(|(known, _)| *known == origin);
            head.map_or(0, |(_, head)| head.sequence)
        };
        for (origin, head) in &theirs.heads {
            if head_in(ours, *origin) < head.sequence {
                return Some(format!(
                    "{:?} has not heard of all of {origin} in partition {number}",
                    own.node
                ));
            }
        }
        // Of what it wrote on a disk that was lost it has heard like anybody else.
        let mut heads = ours.heads.iter().filter(|(origin, _)| part.holds_whole(number, *origin));
        if let Some((origin, head)) = heads.find(|(origin, head)| head_in(theirs, *origin) != head.sequence) {
            return Some(format!(
                "{:?} wrote {} as {origin} in partition {number}, and of that others have {}",
                own.node,
                head.sequence,
                head_in(theirs, *origin)
            ));
        }
    }
    for collection in collections {
        let within = states(whole, collection);
        let item = |key| ItemKey { collection: collection.id(), key };
        let is_sure = |key: &Bytes| !model.is_lost_at(&item(key.clone()));
        let within = within.into_iter().filter(|(key, _)| part.scope().contains(collection.id(), key));
        // Each forgets deletions in its own time, and only whole nodes compare what is left of them, and heal a history
        // that came in pieces.
        let shown = |engine: &Engine, key: &Bytes, state: Vec<u8>| {
            let item = item(key.clone());
            let Some(Cell::Document(document)) = engine.peek(&item) else { return Some(state) };
            let is_kept = |leaf: &&Version<Bytes>| !model.forgets() || !leaf.is_deleted();
            let leaves = document.leaves().iter().filter(is_kept).map(|leaf| *leaf.id());
            let latest: Vec<_> =
                latest(leaves.collect(), &model.parents(&item)).map(|id| id.to_string()).collect();
            (!latest.is_empty()).then(|| latest.concat().into_bytes())
        };
        let within = within.filter(|(key, _)| is_sure(key));
        let within = within.filter_map(|(key, state)| shown(whole, &key, state).map(|state| (key, state)));
        let within: Vec<_> = within.collect();
        let held = states(part, collection).into_iter().filter(|(key, _)| is_sure(key));
        let held = held.filter_map(|(key, state)| shown(part, &key, state).map(|state| (key, state)));
        let held: Vec<_> = held.collect();
        if within != held {
            let other =
                within.iter().chain(&held).find(|each| !within.contains(each) || !held.contains(each));
            let item = other.map(|(key, _)| item(key.clone()))?;
            let (theirs, ours) = (whole.peek(&item), part.peek(&item));
            return Some(format!(
                "a whole node and {:?} differ at {item:?}: {theirs:?} and {ours:?}",
                own.node
            ));
        }
    }
    None
}

/// A document whose deletion a node has not forgotten.
pub(crate) fn remembers_deletion(engine: &Engine, collections: &[Collection]) -> Option<ItemKey> {
    let documents = collections.iter().filter(|collection| collection.kind == Kind::Document);
    documents.into_iter().find_map(|collection| {
        let mut held = engine.scan(collection.id(), Bytes::default());
        let deleted =
            held.find(|(_, cell)| matches!(cell, Cell::Document(document) if document.is_deleted()));
        deleted.map(|(key, _)| ItemKey { collection: collection.id(), key: key.clone() })
    })
}
