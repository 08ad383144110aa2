//! What must hold, as functions from what the nodes show and the model knows to the first thing that does not.

use std::collections::BTreeMap;

use crdt_core::codec;
use crdt_sync::{Bytes, Cell, Collection, Engine, ItemKey, Status};

use crate::model::{Command, Fact, Fate, Model, Outcome, Survival};
use crate::observe::{known_versions, live_elements};
use crate::violation::Violation;

/// A node came up: everything it had acknowledged is there, and commands are there whole or not at all.
pub(crate) fn recovered(model: &mut Model, node: usize, engine: &Engine) -> Result<(), Violation> {
    let status = engine.status();
    for command in model.of_node_mut(node) {
        let request = command.request;
        match (command.survival(&status), command.fate) {
            (Survival::Whole, _) | (Survival::Nothing, Fate::Gone) => {}
            (Survival::Nothing, Fate::Open) => command.fate = Fate::Gone,
            (Survival::Nothing, Fate::Acknowledged) => {
                let detail = format!("the node came up without its {} entries", command.entry_count());
                return Err(Violation::LostWrite { node, request, detail });
            }
            (Survival::Torn, _) => return Err(Violation::TornCommand { node, request }),
        }
    }
    nothing_lost(model, engine, |command| command.node == node)
}

/// A node shows what these acknowledged commands did.
pub(crate) fn nothing_lost(
    model: &Model,
    engine: &Engine,
    select: impl Fn(&Command) -> bool,
) -> Result<(), Violation> {
    let acknowledged = |command: &&Command| command.fate == Fate::Acknowledged && select(command);
    for command in model.lasting().filter(acknowledged) {
        for (item, fact) in &command.facts {
            if let Err(detail) = shows(model, command, item, fact, engine.peek(item)) {
                let (node, request) = (command.node, command.request);
                return Err(Violation::LostWrite { node, request, detail });
            }
        }
    }
    Ok(())
}

/// Whether a state of a key shows what a command did to it: the effect itself, or what took its place.
pub(crate) fn shows(
    model: &Model,
    command: &Command,
    item: &ItemKey,
    fact: &Fact,
    cell: Option<&Cell>,
) -> Result<(), String> {
    let missing = |what: String| Err(format!("{what} at {:?} {:?}", item.collection, item.key));
    match fact {
        Fact::Elements { added, removed } => {
            let dots: Vec<_> = live_elements(cell).into_values().flatten().collect();
            let gone = model.removed(item);
            if let Some((element, dot)) = added.iter().find(|(_, dot)| !dots.contains(dot) && !gone.contains(dot)) {
                return missing(format!("{element:?}, added as {dot:?}, is missing and nobody removed it"));
            }
            match removed.iter().find(|dot| dots.contains(dot)) {
                Some(dot) => missing(format!("{dot:?} was removed and is back")),
                None => Ok(()),
            }
        }
        Fact::Amounts { .. } => {
            let (up, down) = model.totals(item, command);
            let counted = match cell {
                Some(Cell::Counter(counter)) => (
                    counter.increments().entry(command.origin),
                    counter.decrements().entry(command.origin),
                ),
                _ => (0, 0),
            };
            if counted.0 >= up && counted.1 >= down {
                Ok(())
            } else {
                missing(format!("of +{up} -{down} only {counted:?} are counted"))
            }
        }
        Fact::Register { stamp, .. } => match cell {
            Some(Cell::Register(register)) if register.stamp() >= Some(*stamp) => Ok(()),
            _ => missing(format!("the write of {stamp:?} was undone")),
        },
        Fact::Versions(versions) => {
            let known = known_versions(cell);
            match versions.iter().find(|(id, _)| !known.contains_key(id)) {
                Some((id, _)) => missing(format!("version {id} is missing")),
                None => Ok(()),
            }
        }
    }
}

/// How two nodes differ, if they do.
pub(crate) fn difference(a: &Engine, b: &Engine, collections: &[Collection]) -> Option<String> {
    let (first, second) = (a.status(), b.status());
    if first.partitions != second.partitions {
        return disagreement(&first, &second);
    }
    for collection in collections {
        let (ours, theirs) = (states(a, collection), states(b, collection));
        if ours != theirs {
            return Some(format!("equal roots, different bytes in \"{}\"", collection.name));
        }
    }
    None
}

/// The nodes agree: what they agree on is what the writes come to, and the entries are those that were written.
pub(crate) fn outcome(model: &Model, engine: &Engine, collections: &[Collection]) -> Result<(), Violation> {
    let status = engine.status();
    for (number, partition) in status.partitions.iter().enumerate() {
        let written = model.heads(number);
        let heads = partition.heads.iter().map(|(origin, head)| (*origin, head.sequence));
        let known: BTreeMap<_, _> = heads.filter(|(_, sequence)| *sequence > 0).collect();
        if written != known {
            let detail = format!("in partition {number} {known:?} are known, {written:?} were written");
            return Err(Violation::WrongEntries { detail });
        }
    }
    for item in model.items() {
        compare(&item, &model.outcome(&item), engine.peek(&item))?;
    }
    let held = collections.iter().flat_map(|collection| {
        let keys = engine.scan(collection.id(), Bytes::default()).map(|(key, _)| key.clone());
        let collection = collection.id();
        keys.map(move |key| ItemKey { collection, key })
    });
    let items = model.items();
    match held.into_iter().find(|item| !items.contains(item)) {
        Some(item) => Err(wrong(&item, "held", "nothing: nobody wrote to it")),
        None => Ok(()),
    }
}

fn compare(item: &ItemKey, outcome: &Outcome, cell: Option<&Cell>) -> Result<(), Violation> {
    let elements = live_elements(cell);
    if elements != outcome.elements {
        return Err(wrong(item, &format!("{elements:?}"), &format!("{:?}", outcome.elements)));
    }
    let sum = match cell {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    };
    if sum != outcome.sum {
        return Err(wrong(item, &sum.to_string(), &outcome.sum.to_string()));
    }
    let register = match cell {
        Some(Cell::Register(register)) => register.stamp().map(|stamp| (stamp, register.get().cloned())),
        _ => None,
    };
    if register != outcome.register {
        return Err(wrong(item, &format!("{register:?}"), &format!("{:?}", outcome.register)));
    }
    let versions: Vec<_> = known_versions(cell).into_keys().collect();
    let leaves: Vec<_> = match cell {
        Some(Cell::Document(document)) => document.leaves().iter().map(|version| *version.id()).collect(),
        _ => Vec::new(),
    };
    if !versions.iter().eq(&outcome.versions) || !leaves.iter().eq(&outcome.leaves) {
        let found = format!("{versions:?} with leaves {leaves:?}");
        let expected = format!("{:?} with leaves {:?}", outcome.versions, outcome.leaves);
        return Err(wrong(item, &found, &expected));
    }
    Ok(())
}

fn wrong(item: &ItemKey, found: &str, expected: &str) -> Violation {
    Violation::WrongOutcome {
        item: item.clone(),
        found: found.into(),
        expected: expected.into(),
    }
}

/// All states of a collection as bytes.
fn states(engine: &Engine, collection: &Collection) -> Vec<(Bytes, Vec<u8>)> {
    engine
        .scan(collection.id(), Bytes::default())
        .map(|(key, cell)| (key.clone(), encoded(key, cell)))
        .collect()
}

fn encoded(key: &[u8], cell: &Cell) -> Vec<u8> {
    match cell {
        Cell::Document(document) => document.encode_for_key(key),
        Cell::Set(elements) => codec::encode_payload(elements),
        Cell::Counter(counter) => codec::encode_payload(counter),
        Cell::Register(register) => codec::encode_payload(register),
        _ => Vec::new(),
    }
}

/// How two nodes differ in what they applied and in the digests of what they hold.
pub(crate) fn disagreement(a: &Status, b: &Status) -> Option<String> {
    let mut pairs = a.partitions.iter().zip(&b.partitions).enumerate();
    let (number, (ours, theirs)) = pairs.find(|(_, (ours, theirs))| ours != theirs)?;
    let what = if ours.heads == theirs.heads { "the same entries, other states" } else { "other entries" };
    let (first, second) = (a.node, b.node);
    Some(format!(
        "{first:?} and {second:?} have {what} in partition {number}: {ours:?} and {theirs:?}"
    ))
}
