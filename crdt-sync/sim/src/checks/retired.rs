//! What must hold of the writes of retired nodes.

use std::collections::BTreeSet;

use crdt_core::{Dot, LwwRegister, ReplicaId};
use crdt_sync::{Bytes, Cell, Collection, Engine, ItemKey};

use crate::lineage::Lineage;
use crate::model::Model;
use crate::violation::Violation;

/// What a retired node held is there on the node that made its writes again, or reported: counts are no less, elements
/// and bodies that only it had are there, a register that was written last there is as it was.
pub(crate) fn taken_over(
    old: &Engine,
    fresh: &Engine,
    reported: &BTreeSet<ItemKey>,
    collections: &[Collection],
    lineage: &Lineage,
) -> Result<(), String> {
    let (own, of_fresh) = (identities_of(old), identities_of(fresh));
    let (held_then, held) = (old.status().partitions, fresh.status().partitions);
    let known = lineage.known(&held);
    // Where the identity was forked the new node may know the same entry by another name.
    let is_applied = |number: usize, dot: Dot| {
        let heads = held_then.get(number).into_iter().flat_map(|held| &held.heads);
        let mut heads = heads.filter(|(origin, _)| *origin == dot.replica);
        let place = heads.find_map(|(origin, head)| lineage.find(number, *origin, *head));
        place.and_then(|head| lineage.on_the_way(head, dot.counter())).is_some_and(|place| known.holds(place))
    };
    for collection in collections {
        for (key, cell) in old.scan(collection.id(), Bytes::default()) {
            let item = ItemKey { collection: collection.id(), key: key.clone() };
            if reported.contains(&item) {
                continue;
            }
            let here = fresh.peek(&item);
            let number = usize::from(old.partition_of(&item));
            let lost = |what: String| Err(format!("{what} at {item:?} is not there, and not reported"));
            match (cell, here) {
                (Cell::Set(theirs), _) => {
                    for element in theirs.iter() {
                        let dots = theirs.dots_of(element);
                        let mut unseen =
                            dots.iter().filter(|dot| own.contains(&dot.replica) && !is_applied(number, *dot));
                        let is_there =
                            matches!(here, Some(Cell::Set(ours)) if ours.iter().any(|each| each == element));
                        if unseen.next().is_some() && !is_there {
                            return lost(format!("{element:?}"));
                        }
                    }
                }
                (Cell::Register(theirs), _) => {
                    let ours = match here {
                        Some(Cell::Register(ours)) => Some(ours),
                        _ => None,
                    };
                    let its_own = theirs.stamp().filter(|stamp| own.contains(&stamp.replica));
                    // What is made again has a stamp of now, and the old node's clock may have been ahead.
                    let is_made_again = ours.is_some_and(|ours| {
                        let by_fresh = ours.stamp().is_some_and(|stamp| of_fresh.contains(&stamp.replica));
                        by_fresh && ours.get() == theirs.get()
                    });
                    if its_own > ours.and_then(LwwRegister::stamp) && !is_made_again {
                        return lost(format!("what was written at {its_own:?}"));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Under which identities a node wrote.
fn identities_of(engine: &Engine) -> BTreeSet<ReplicaId> {
    let status = engine.status();
    status.members.get(status.node).into_iter().flat_map(crdt_sync::Member::replicas).collect()
}

/// Every write of a retired node whose device came back counts once.
pub(crate) fn exactly_once(model: &Model, engine: &Engine) -> Result<(), Violation> {
    for item in model.items() {
        let Some(expected) = model.exact_sum(item) else { continue };
        let found = match engine.peek(item) {
            Some(Cell::Counter(counter)) => counter.value(),
            _ => 0,
        };
        if found != expected {
            let (found, expected) = (found.to_string(), format!("{expected}, each write counted once"));
            return Err(Violation::WrongOutcome { item: item.clone(), found, expected });
        }
    }
    Ok(())
}
