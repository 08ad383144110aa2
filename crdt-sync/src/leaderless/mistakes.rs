//! The mistakes that this topology can be told to make. Each is one line where it is made; what they do is here.

use alloc::vec::Vec;

use replication_log::Lsn;

use super::coordinate::{ReadOp, WriteOp};
use super::found::{KeyAnswer, Place};
use crate::cell::Cell;
use crate::engine::Context;
use crate::node::NodeId;
use crate::placement::{Move, Placement};
use crate::planted::PlantedBug;
use crate::replica::{Action, ItemKey, Replica, Write};
use crate::time::Instant;
use crate::wire::{MergedState, Mutate};

/// A node acknowledges a write: whose acknowledgements that is taken for.
pub(super) fn count_wrongly(op: &mut WriteOp<NodeId>, peer: NodeId, now: Instant, context: &Context<'_>) {
    let mut after = op.clone();
    after.acknowledged(peer, now);
    if context.replica.has_bug(PlantedBug::FallbackCountedAsPrimary) {
        let stood_for =
            after.report().fallbacks().iter().find(|(node, _)| *node == peer).map(|(_, owner)| *owner);
        if let Some(owner) = stood_for {
            op.acknowledged(owner, now);
        }
    }
    let is_again = op.report().primaries().contains(&peer);
    if is_again && context.replica.has_bug(PlantedBug::DuplicateAcknowledgementCounted) {
        let waiting = op.report().waiting().first().copied();
        if let Some(other) = waiting {
            op.acknowledged(other, now);
        }
    }
}

/// Hints were sent, and are deleted.
pub(super) fn delete_too_early<'b>(
    owner: NodeId,
    sent: impl Iterator<Item = &'b (ItemKey, Lsn)>,
    context: &mut Context<'_>,
) {
    if context.replica.has_bug(PlantedBug::HintDeletedBeforeTransfer) {
        let sent: Vec<_> = sent.cloned().collect();
        let _ = context.replica.hints_delivered(owner, &sent);
    }
}

/// A repair: what this node holds itself, and all that it lacks passes for removed.
pub(super) fn stale(told: MergedState, place: &Place, context: &Context<'_>) -> MergedState {
    let here = context.replica.whole_state(&place.item).ok();
    match here.and_then(|state| Some((KeyAnswer::read(place, state.clone()).ok()?, state))) {
        Some((here, state)) if context.replica.has_bug(PlantedBug::StaleReadRepair) => {
            let kept = here.cell().map(|cell| cell.dots()).unwrap_or_default();
            let carried = Cell::decode(place.kind, &told.key, &told.state, &place.limits);
            let newer = carried.map(|cell| cell.dots()).unwrap_or_default();
            let mut removed: Vec<_> = newer.difference(&kept).dots().collect();
            removed.extend(told.removed.iter().filter(|dot| !kept.contains(**dot)));
            removed.sort_unstable();
            removed.dedup();
            MergedState { state: state.state, removed, ..told }
        }
        _ => told,
    }
}

/// Something late is brought home: what it carries and was removed meanwhile is added anew.
pub(super) fn resurrect(mutate: &Mutate, context: &mut Context<'_>) {
    if !context.replica.has_bug(PlantedBug::LateHintResurrects) {
        return;
    }
    let told = &mutate.told;
    let item = ItemKey { collection: told.collection, key: told.key.clone() };
    let Some(place) = super::reads::place_of(&item, context) else { return };
    let Ok(Cell::Set(carried)) = Cell::decode(place.kind, &told.key, &told.state, &place.limits) else {
        return;
    };
    let held = context.replica.read_state(&item).ok().and_then(|reading| reading.cell.cloned());
    let is_held = |element: &&crate::bytes::Bytes| match &held {
        Some(Cell::Set(held)) => held.contains(*element),
        _ => false,
    };
    let gone: Vec<_> = carried.iter().filter(|element| !is_held(element)).cloned().collect();
    for element in gone {
        let write =
            Write { collection: item.collection, key: item.key.clone(), action: Action::Add(element) };
        let _ = context.replica.write_mutation(&write, context.now.wall);
    }
}

/// A partition that this node is to give up is dropped, although others copy it still.
pub(super) fn drops_early(placement: &Placement, partition: u16, replica: &Replica) -> bool {
    let gives_up = |it: Move| it.partition == partition && it.loses.contains(&placement.me());
    replica.has_bug(PlantedBug::DroppedBeforeCopied) && placement.moves().any(gives_up)
}

/// A digest that differs passes for that of what is to be returned.
pub(super) fn trust(
    op: &ReadOp<NodeId, KeyAnswer>,
    digest: Option<u128>,
    context: &Context<'_>,
) -> Option<u128> {
    use super::coordinate::Digest;
    match op.digest_of_union() {
        Some(of_union) if context.replica.has_bug(PlantedBug::DigestTrusted) => match of_union {
            Digest::Of(of_union) => Some(of_union),
            Digest::NotFound => None,
        },
        _ => digest,
    }
}
