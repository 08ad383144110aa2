//! What must hold, as functions from what the nodes show and the model knows to the first thing that does not.

use std::collections::BTreeMap;

use conflict_store::{Version, VersionId};
use crdt_core::codec;
use crdt_sync::{Bytes, Cell, Collection, Engine, ItemKey, Status};

use crate::model::{Command, Fact, Fate, Model, Outcome, Survival};
use crate::observe::{known_versions, live_elements};
use crate::violation::Violation;

/// A node came up: everything it had acknowledged or shown is there, and commands are there whole or not at all.
pub(crate) fn recovered(model: &mut Model, node: usize, engine: &Engine) -> Result<(), Violation> {
    let status = engine.status();
    // What is gone stays gone: its place among the entries may have been taken since.
    for command in model.of_node_mut(node).filter(|command| command.fate != Fate::Gone) {
        let request = command.request;
        match command.survival(&status) {
            Survival::Whole => {}
            Survival::Nothing if command.is_promised() => {
                let detail = format!("the node came up without its {} entries", command.entry_count());
                return Err(Violation::LostWrite { node, request, detail });
            }
            Survival::Nothing => command.fate = Fate::Gone,
            Survival::Torn => return Err(Violation::TornCommand { node, request }),
        }
    }
    nothing_lost(model, engine, |command| command.is_at(node))?;
    model.items().iter().try_for_each(|item| honest(model, node, engine, item))
}

/// A node shows what every command did to a key whose entries it says it has, whoever wrote them.
pub(crate) fn honest(model: &Model, node: usize, engine: &Engine, item: &ItemKey) -> Result<(), Violation> {
    let status = engine.status();
    let known = |command: &Command| command.survival(&status) == Survival::Whole;
    for (command, fact) in model.facts_of(item).filter(|(command, _)| known(command)) {
        shows(model, command, item, fact, engine.peek(item)).map_err(|detail| {
            let request = command.request;
            Violation::NotShown { node, request, detail }
        })?;
    }
    Ok(())
}

/// A node shows what these promised commands did.
pub(crate) fn nothing_lost(
    model: &Model,
    engine: &Engine,
    select: impl Fn(&Command) -> bool,
) -> Result<(), Violation> {
    for command in model.lasting().filter(|command| command.is_promised() && select(command)) {
        let lost = |detail| Violation::LostWrite { node: command.node, request: command.request, detail };
        for (item, fact) in &command.facts {
            shows(model, command, item, fact, engine.peek(item)).map_err(lost)?;
        }
        for (item, version) in &command.named {
            shows_version(model, item, *version, engine.peek(item)).map_err(lost)?;
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
            if let Some((element, dot)) =
                added.iter().find(|(_, dot)| !dots.contains(dot) && !gone.contains(dot))
            {
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
                Some(Cell::Counter(counter)) => {
                    (counter.increments().entry(command.origin), counter.decrements().entry(command.origin))
                }
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
            versions.iter().try_for_each(|(id, _)| shows_version(model, item, *id, cell))
        }
    }
}

/// Whether a document has a version, or one that was written on top of it.
fn shows_version(model: &Model, item: &ItemKey, id: VersionId, cell: Option<&Cell>) -> Result<(), String> {
    let known = known_versions(cell);
    let covered = || model.descendants(item, id).iter().any(|id| known.contains_key(id));
    if known.contains_key(&id) || covered() {
        return Ok(());
    }
    Err(format!("version {id} and all its descendants are missing at {item:?}"))
}

/// How two nodes differ, if they do.
pub(crate) fn difference(a: &Engine, b: &Engine, collections: &[Collection]) -> Option<String> {
    let (first, second) = (a.status(), b.status());
    if first.partitions != second.partitions {
        return disagreement(&first, &second);
    }
    for collection in collections {
        let (ours, theirs) = (states(a, collection), states(b, collection));
        if let Some(((key, _), _)) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
            let item = ItemKey { collection: collection.id(), key: key.clone() };
            let (ours, theirs) = (a.peek(&item), b.peek(&item));
            return Some(format!("equal roots, other bytes at {item:?}: {ours:?} and {theirs:?}"));
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
    for item in model.items().difference(&model.smudged) {
        compare(item, &model.outcome(item), engine.peek(item))?;
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
    let leaves: Vec<_> = match cell {
        Some(Cell::Document(document)) => document.leaves().iter().map(|version| *version.id()).collect(),
        _ => Vec::new(),
    };
    if !leaves.iter().eq(&outcome.leaves) {
        return Err(wrong(item, &format!("{leaves:?}"), &format!("{:?}", outcome.leaves)));
    }
    match known_versions(cell).into_keys().find(|id| !outcome.versions.contains(id)) {
        Some(id) => Err(wrong(item, &format!("a document with {id}"), "one without it: nobody wrote it")),
        None => Ok(()),
    }
}

fn wrong(item: &ItemKey, found: &str, expected: &str) -> Violation {
    Violation::WrongOutcome { item: item.clone(), found: found.into(), expected: expected.into() }
}

/// All states of a collection as bytes.
fn states(engine: &Engine, collection: &Collection) -> Vec<(Bytes, Vec<u8>)> {
    engine.scan(collection.id(), Bytes::default()).map(|(key, cell)| (key.clone(), encoded(cell))).collect()
}

/// Of a document only the leaves count: how much history a node keeps below them is its own affair.
fn encoded(cell: &Cell) -> Vec<u8> {
    match cell {
        Cell::Document(document) => document.leaves().iter().flat_map(leaf_bytes).collect(),
        Cell::Set(elements) => codec::encode_payload(elements),
        Cell::Counter(counter) => codec::encode_payload(counter),
        Cell::Register(register) => codec::encode_payload(register),
        _ => Vec::new(),
    }
}

fn leaf_bytes(leaf: &Version<Bytes>) -> Vec<u8> {
    let parents = leaf.parents().iter().map(VersionId::to_string);
    let body = leaf.body().map(|body| body.to_vec());
    format!("{} {parents:?} {body:?} {:?}", leaf.id(), leaf.stamp()).into_bytes()
}

/// How two nodes differ in what they applied and in the digests of what they hold.
pub(crate) fn disagreement(a: &Status, b: &Status) -> Option<String> {
    let mut pairs = a.partitions.iter().zip(&b.partitions).enumerate();
    let (number, (ours, theirs)) = pairs.find(|(_, (ours, theirs))| ours != theirs)?;
    let what = if ours.heads == theirs.heads { "the same entries, other states" } else { "other entries" };
    let (first, second) = (a.node, b.node);
    Some(format!("{first:?} and {second:?} have {what} in partition {number}: {ours:?} and {theirs:?}"))
}
