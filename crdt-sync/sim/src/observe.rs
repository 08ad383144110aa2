//! From what a node showed before and after a command to what the command did.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::VersionId;
use crdt_core::Dot;
use crdt_sync::{Action, Bytes, Cell, Collection, ItemKey, Kind, Write};

use crate::lineage::Lineage;
use crate::model::Fact;

/// What a command did to one key, or how what it did is not what its writes say. Its entries in the partition of the
/// key have these dots.
pub(crate) fn fact(
    writes: &[&Write],
    before: Option<&Cell>,
    after: Option<&Cell>,
    minted: &BTreeSet<Dot>,
    lineage: &Lineage,
) -> Result<Option<Fact>, String> {
    match writes.first().map(|write| &write.action) {
        Some(Action::Add(_) | Action::Remove(_)) => elements(writes, before, after, minted, lineage),
        Some(Action::Increment(_) | Action::Decrement(_)) => amounts(writes, before, after),
        Some(Action::Set(_)) => register(writes, after),
        _ => versions(before, after),
    }
}

/// The writes of a command, key by key, each in their order.
pub(crate) fn by_item(writes: &[Write]) -> BTreeMap<ItemKey, Vec<&Write>> {
    let mut items: BTreeMap<ItemKey, Vec<&Write>> = BTreeMap::new();
    for write in writes {
        items.entry(item_of(write)).or_default().push(write);
    }
    items
}

/// The documents a command writes to, once for each write.
pub(crate) fn documents(writes: &[Write], collections: &[Collection]) -> Vec<ItemKey> {
    let is_document = |write: &&Write| {
        let declared = collections.iter().find(|collection| collection.id() == write.collection);
        declared.is_some_and(|collection| collection.kind == Kind::Document)
    };
    writes.iter().filter(is_document).map(item_of).collect()
}

fn element_of(write: &Write) -> Option<&Bytes> {
    match &write.action {
        Action::Add(element) | Action::Remove(element) => Some(element),
        _ => None,
    }
}

fn item_of(write: &Write) -> ItemKey {
    ItemKey { collection: write.collection, key: write.key.clone() }
}

/// The elements of a set with the dots under which they live.
pub(crate) fn live_elements(cell: Option<&Cell>) -> BTreeMap<Bytes, BTreeSet<Dot>> {
    match cell {
        Some(Cell::Set(elements)) => {
            elements.iter().map(|each| (each.clone(), elements.dots_of(each).iter().collect())).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// The versions of a document, with their parents.
pub(crate) fn known_versions(cell: Option<&Cell>) -> BTreeMap<VersionId, Vec<VersionId>> {
    match cell {
        Some(Cell::Document(document)) => {
            document.versions().map(|version| (*version.id(), version.parents().to_vec())).collect()
        }
        _ => BTreeMap::new(),
    }
}

fn elements(
    writes: &[&Write],
    before: Option<&Cell>,
    after: Option<&Cell>,
    minted: &BTreeSet<Dot>,
    lineage: &Lineage,
) -> Result<Option<Fact>, String> {
    let (before, after) = (live_elements(before), live_elements(after));
    let old: BTreeSet<Dot> = before.values().flatten().copied().collect();
    let new: BTreeSet<Dot> = after.values().flatten().copied().collect();
    let mut last = BTreeMap::new();
    for write in writes {
        match &write.action {
            Action::Add(element) => last.insert(element, true),
            Action::Remove(element) => last.insert(element, false),
            _ => None,
        };
    }
    for (element, added) in &last {
        let fresh = after.get(*element).is_some_and(|dots| dots.iter().all(|dot| !old.contains(dot)));
        if *added && !fresh {
            return Err(format!("{element:?} was added and has no dot of its own"));
        }
        if !*added && after.contains_key(*element) {
            return Err(format!("{element:?} was removed and is still there"));
        }
    }
    if let Some(other) = before
        .keys()
        .chain(after.keys())
        .find(|element| !last.contains_key(*element) && before.get(*element) != after.get(*element))
    {
        return Err(format!("{other:?} was not written and changed"));
    }
    let only = |these: BTreeMap<Bytes, BTreeSet<Dot>>, not: &BTreeSet<Dot>| -> Vec<(Bytes, Dot)> {
        let dots = these.into_iter();
        let dots = dots.flat_map(|(element, dots)| dots.into_iter().map(move |dot| (element.clone(), dot)));
        let left = dots.filter(|(_, dot)| !not.contains(dot));
        left.map(|(element, dot)| (element, lineage.written_as(dot))).collect()
    };
    let (added, mut removed) = (only(after, &old), only(before, &new));
    // What the command added and took back itself shows where only its beginning has arrived: under which of its own
    // dots nobody was shown, so under any of those that do not live.
    let dead = || minted.difference(&new).copied();
    let taken_back = |(at, write): (usize, &&Write)| match &write.action {
        Action::Add(element) if writes[at + 1..].iter().any(|later| element_of(later) == Some(element)) => {
            Some(element.clone())
        }
        _ => None,
    };
    let taken_back: BTreeSet<Bytes> = writes.iter().enumerate().filter_map(taken_back).collect();
    removed.extend(taken_back.iter().flat_map(|element| dead().map(|dot| (element.clone(), dot))));
    let nothing = added.is_empty() && removed.is_empty();
    Ok((!nothing).then_some(Fact::Elements { added, removed }))
}

fn amounts(writes: &[&Write], before: Option<&Cell>, after: Option<&Cell>) -> Result<Option<Fact>, String> {
    let value = |cell: Option<&Cell>| match cell {
        Some(Cell::Counter(counter)) => counter.value(),
        _ => 0,
    };
    let (mut up, mut down) = (0, 0);
    for write in writes {
        match write.action {
            Action::Increment(amount) => up += amount,
            Action::Decrement(amount) => down += amount,
            _ => {}
        }
    }
    let (expected, found) = (value(before) + i128::from(up) - i128::from(down), value(after));
    if expected == found {
        Ok(Some(Fact::Amounts { up, down }))
    } else {
        Err(format!("the counter shows {found}, not {expected}"))
    }
}

fn register(writes: &[&Write], after: Option<&Cell>) -> Result<Option<Fact>, String> {
    let Some(Action::Set(written)) = writes.last().map(|write| &write.action) else {
        return Ok(None);
    };
    let Some(Cell::Register(register)) = after else {
        return Err("the register was never written".into());
    };
    if register.get() != written.as_ref() {
        return Err(format!("the register holds {:?}, not {written:?}", register.get()));
    }
    let Some(stamp) = register.stamp() else {
        return Err("the register has no stamp".into());
    };
    let value = written.clone();
    Ok(Some(Fact::Register { stamp, value }))
}

fn versions(before: Option<&Cell>, after: Option<&Cell>) -> Result<Option<Fact>, String> {
    let (before, after) = (known_versions(before), known_versions(after));
    if let Some(lost) = before.keys().find(|id| !after.contains_key(id)) {
        return Err(format!("version {lost} is gone"));
    }
    let new: Vec<_> = after.into_iter().filter(|(id, _)| !before.contains_key(id)).collect();
    Ok((!new.is_empty()).then_some(Fact::Versions(new)))
}

#[cfg(test)]
mod tests {
    use crdt_core::ReplicaId;

    use super::*;

    #[test]
    fn what_a_command_takes_back_itself_counts_as_removed_under_its_own_dots() {
        let collection = Collection::sets("lists").id();
        let write = |action| Write { collection, key: "key".into(), action };
        let writes = [write(Action::Add("milk".into())), write(Action::Remove("milk".into()))];
        let dot = |counter| Dot::new(ReplicaId::from_u128(1), counter).expect("not zero");
        let minted = BTreeSet::from([dot(7), dot(8)]);
        let both: Vec<_> = writes.iter().collect();
        let removed = vec![("milk".into(), dot(7)), ("milk".into(), dot(8))];
        let taken_back = Fact::Elements { added: Vec::new(), removed };
        assert_eq!(fact(&both, None, None, &minted, &Lineage::default()), Ok(Some(taken_back)));
        assert_eq!(
            fact(&both[1..], None, None, &minted, &Lineage::default()),
            Ok(None),
            "it was never there"
        );
    }
}
