//! What must hold, as functions from what the nodes show and the model knows to the first thing that does not.

mod partial;
mod retired;

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::{Version, VersionId};
use crdt_core::{Dot, codec};
use crdt_sync::{Bytes, Cell, Collection, Engine, ItemKey, Limits, PartitionStatus, Status};

use crate::lineage::{Known, Lineage};
use crate::model::{Command, Fate, Model, Survival};
use crate::observe::known_versions;
use crate::shown::{Shown, live_dots};
use crate::violation::Violation;
pub(crate) use partial::{differs_in_part, remembers_deletion};
pub(crate) use retired::{exactly_once, taken_over};

/// More messages than this behind one disk mean that nobody holds back while it is slow.
const MAX_GATED: usize = 10_000;

/// A node came up with this: everything it had acknowledged or shown is there, and commands are there whole or not at
/// all.
pub(crate) fn recovered(
    model: &mut Model,
    node: usize,
    held: &[PartitionStatus],
    lineage: &Lineage,
) -> Result<(), Violation> {
    let known = lineage.known(held);
    // What is gone stays gone: its place among the entries may have been taken since.
    for command in model.of_node_mut(node).filter(|command| command.fate != Fate::Gone) {
        let request = command.request;
        match command.survival(&known) {
            Survival::Whole => {}
            Survival::Nothing if command.is_promised() => {
                let detail = format!("the node came up without its {} entries", command.entry_count());
                return Err(Violation::LostWrite { node, request, detail });
            }
            Survival::Nothing => command.fate = Fate::Gone,
            Survival::Torn => return Err(Violation::TornCommand { node, request }),
        }
    }
    Ok(())
}

/// A node that came up shows what it had acknowledged or shown, and every command whose entries it has.
pub(crate) fn shows_all(
    model: &Model,
    node: usize,
    engine: &Engine,
    lineage: &Lineage,
) -> Result<(), Violation> {
    nothing_lost(model, engine, lineage, |command| command.is_at(node))?;
    everywhere_honest(model, node, engine, lineage)
}

/// A node shows what every command did whose entries it says it has, at every key.
pub(crate) fn everywhere_honest(
    model: &Model,
    node: usize,
    engine: &Engine,
    lineage: &Lineage,
) -> Result<(), Violation> {
    let status = engine.status();
    let known = lineage.known(&status.partitions);
    model.items().try_for_each(|item| honest_at(model, node, engine, lineage, &known, item))
}

/// A node shows what every command did to some keys whose entries it says it has, whoever wrote them.
pub(crate) fn honest<'i>(
    model: &Model,
    node: usize,
    engine: &Engine,
    lineage: &Lineage,
    items: impl IntoIterator<Item = &'i ItemKey>,
) -> Result<(), Violation> {
    let status = engine.status();
    let known = lineage.known(&status.partitions);
    items.into_iter().try_for_each(|item| honest_at(model, node, engine, lineage, &known, item))
}

fn honest_at(
    model: &Model,
    node: usize,
    engine: &Engine,
    lineage: &Lineage,
    known: &Known<'_>,
    item: &ItemKey,
) -> Result<(), Violation> {
    // What was skipped counts as known, and says nothing of keys outside.
    if !engine.scope().contains(item.collection, &item.key) {
        return Ok(());
    }
    let shown = Shown::of(model, item, engine.peek(item), lineage);
    let is_known = |command: &Command| command.survival(known) == Survival::Whole;
    shown.check(is_known).map_err(|(command, detail)| Violation::NotShown {
        node,
        request: command.request,
        detail,
    })
}

/// A node shows what these promised commands did.
pub(crate) fn nothing_lost(
    model: &Model,
    engine: &Engine,
    lineage: &Lineage,
    select: impl Fn(&Command) -> bool,
) -> Result<(), Violation> {
    let chosen = |command: &Command| command.is_promised() && select(command);
    let lost = |(command, detail): (&Command, String)| Violation::LostWrite {
        node: command.node,
        request: command.request,
        detail,
    };
    for item in model.items() {
        let shown = Shown::of(model, item, engine.peek(item), lineage);
        shown.check(chosen).map_err(lost)?;
        for (command, version) in model.named_at(item).filter(|(command, _)| chosen(command)) {
            shown.has_version(version).map_err(|detail| lost((command, detail)))?;
        }
    }
    Ok(())
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
pub(crate) fn outcome(
    model: &Model,
    engine: &Engine,
    lineage: &Lineage,
    collections: &[Collection],
) -> Result<(), Violation> {
    let status = engine.status();
    let known = lineage.known(&status.partitions);
    if let Some((partition, origin, head)) = known.unwritten() {
        let detail = format!("nobody wrote {head:?} of {origin} in partition {partition}");
        return Err(Violation::WrongEntries { detail });
    }
    if let Some(command) = model.misplaced(&known) {
        let (survival, fate) = (command.survival(&known), command.fate);
        let (request, origin) = (command.request.0, command.origin);
        let detail =
            format!("{survival:?} is known of request {request} of {origin}, whose fate is {fate:?}");
        return Err(Violation::WrongEntries { detail });
    }
    for item in model.items().filter(|item| !model.smudged.contains(item)) {
        let cell = engine.peek(item);
        let compared = compare(item, model, cell, lineage);
        // Of a retired node's last writes states may have come in sessions that were given up.
        if compared.is_err() && !model.has_leaked(item, cell, lineage) {
            return compared;
        }
    }
    match held(engine, collections).find(|item| !model.has_item(item)) {
        Some(item) => Err(wrong(&item, "held", "nothing: nobody wrote to it")),
        None => Ok(()),
    }
}

/// All keys that a node holds.
pub(crate) fn held<'e>(
    engine: &'e Engine,
    collections: &'e [Collection],
) -> impl Iterator<Item = ItemKey> + 'e {
    collections.iter().flat_map(|collection| {
        let keys = engine.scan(collection.id(), Bytes::default()).map(|(key, _)| key.clone());
        let collection = collection.id();
        keys.map(move |key| ItemKey { collection, key })
    })
}

fn compare(item: &ItemKey, model: &Model, cell: Option<&Cell>, lineage: &Lineage) -> Result<(), Violation> {
    let outcome = model.outcome(item);
    let mut elements: BTreeMap<Bytes, BTreeSet<Dot>> = BTreeMap::new();
    for (element, dot) in live_dots(cell, lineage) {
        elements.entry(element).or_default().insert(dot);
    }
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
    // A deletion may be forgotten, and what it deleted come back where nobody could know.
    let lasting = |leaf: &&VersionId| {
        let is_wanted = outcome.leaves.contains(*leaf) || !model.may_be_back(item, **leaf, cell);
        is_wanted && !model.is_forgettable(**leaf)
    };
    if !leaves.iter().filter(lasting).eq(outcome.leaves.iter().filter(lasting)) {
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

/// A node holds no more than its limits say.
pub(crate) fn bounded(node: usize, engine: &Engine, limits: &Limits) -> Result<(), Violation> {
    let held = engine.memory();
    let bounds = [
        ("bytes of durable entries to be handed on", held.retained, limits.max_retained),
        ("requests that wait for the disk", held.waiting, limits.max_waiting),
        ("messages and answers that wait for the disk", held.gated, MAX_GATED + limits.max_waiting),
        ("bytes of states that arrived in part", held.partial, limits.max_state),
    ];
    let over = bounds.into_iter().find(|(_, held, limit)| held > limit);
    over.map_or(Ok(()), |(what, held, limit)| Err(Violation::Unbounded { node, what, held, limit }))
}

#[cfg(test)]
mod tests {
    use crdt_core::ReplicaId;
    use crdt_sync::merkle::Root;
    use crdt_sync::time::{Instant, Now, WallTime};
    use crdt_sync::{Action, ClusterKey, Config, Input, NodeId, Position, Request, RequestId, Write};

    use super::*;
    use crate::model::Fact;

    #[test]
    fn a_node_that_lets_more_requests_wait_than_it_may_is_noticed() {
        let counts = Collection::counters("counts");
        let config = Config::new(NodeId::from_u128(1), ClusterKey::from_bytes([7; 16]), [7; 32]);
        let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
        let config = config.with_collections([counts.clone()]);
        let mut engine = Engine::open(config, Vec::<(_, Vec<u8>)>::new(), now).unwrap();
        let write = Write { collection: counts.id(), key: "key".into(), action: Action::Increment(1) };
        engine.handle(now, Input::Request { id: RequestId(1), request: Request::Write(vec![write]) });
        assert_eq!(bounded(0, &engine, &Limits::default()), Ok(()));
        let narrow = Limits { max_waiting: 0, ..Limits::default() };
        assert!(matches!(bounded(0, &engine, &narrow), Err(Violation::Unbounded { held: 1, limit: 0, .. })));
    }

    fn position(sequence: u64) -> Position {
        Position { sequence, ..Position::default() }
    }

    /// A node that holds so many entries of identity 1.
    fn holding(sequence: u64) -> Vec<PartitionStatus> {
        let heads = vec![(ReplicaId::from_u128(1), position(sequence))];
        vec![PartitionStatus { root: Root::default(), keys: 0, heads, conflicts: Vec::new() }]
    }

    /// Node 0 makes a command of these entries.
    fn make(model: &mut Model, lineage: &mut Lineage, request: u64, entries: core::ops::RangeInclusive<u64>) {
        let origin = ReplicaId::from_u128(1);
        let before = position(entries.start() - 1);
        let places = lineage.grow(0, origin, before, entries.map(position));
        let mut command = Command::new(0, RequestId(request), origin, places);
        let item = ItemKey { collection: Collection::counters("counts").id(), key: "key".into() };
        command.facts.push((item, Fact::Amounts { up: 1, down: 0 }));
        model.add(command, lineage);
    }

    #[test]
    fn what_a_node_came_up_without_is_not_asked_for_when_its_disk_is_lost_thereafter() {
        let (mut model, mut lineage) = (Model::default(), Lineage::default());
        make(&mut model, &mut lineage, 0, 1..=1);
        make(&mut model, &mut lineage, 1, 2..=2);
        let mut unnoticed = model.clone();
        assert_eq!(recovered(&mut model, 0, &holding(1), &lineage), Ok(()));
        model.lose_disk(0, &[], &lineage);
        assert_eq!(model.settle(&lineage.known(&holding(1))), Ok(()));
        unnoticed.lose_disk(0, &[], &lineage);
        assert_eq!(unnoticed.settle(&lineage.known(&holding(1))), Err((0, RequestId(1))));
    }

    #[test]
    fn what_a_node_promised_it_comes_up_with() {
        let (mut model, mut lineage) = (Model::default(), Lineage::default());
        make(&mut model, &mut lineage, 0, 1..=1);
        assert!(model.acknowledge(RequestId(0), []));
        let lost = recovered(&mut model, 0, &holding(0), &lineage);
        assert!(matches!(lost, Err(Violation::LostWrite { request: RequestId(0), .. })));
    }

    #[test]
    fn an_entry_that_was_lost_is_known_again_only_if_it_was_written_again() {
        let (mut model, mut lineage) = (Model::default(), Lineage::default());
        make(&mut model, &mut lineage, 0, 1..=2);
        assert_eq!(recovered(&mut model, 0, &holding(0), &lineage), Ok(()));
        make(&mut model, &mut lineage, 1, 1..=1);
        let misplaced = |sequence: u64| Some(model.misplaced(&lineage.known(&holding(sequence)))?.request);
        assert_eq!(misplaced(1), None, "it is the later command's");
        assert_eq!(misplaced(2), Some(RequestId(0)), "nobody wrote the second one again");
        assert_eq!(misplaced(0), Some(RequestId(1)));
        assert!(model.smudged.is_empty(), "the two do not share it");
    }
}
