//! A naive model of a log: which command ended with which record, and what every key was behind each of them.

use std::collections::{BTreeMap, BTreeSet};

use crdt_sync::{Action, Bytes, Cell, Collection, CollectionId, ItemKey, Kind, RequestId, Write};
use replication_log::Lsn;

/// What a key holds, as somebody would say who knows that one node writes, one command after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Set(BTreeSet<Bytes>),
    Counter(i128),
    Register(Option<Bytes>),
    Document(Option<Bytes>),
}

/// What the client knows of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Unknown,
    Committed,
    /// The leader gave up waiting; whether it has it on its disk.
    NotReplicated {
        durable: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) request: RequestId,
    /// The first record of its batch; the last is its name.
    pub(super) first: Lsn,
    pub(super) fate: Fate,
}

#[derive(Debug)]
pub(super) struct Model {
    kinds: BTreeMap<CollectionId, Kind>,
    commands: BTreeMap<Lsn, Command>,
    /// What a key is from a record on.
    values: BTreeMap<ItemKey, BTreeMap<Lsn, Value>>,
}

impl Value {
    fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Set => Self::Set(BTreeSet::new()),
            Kind::Counter => Self::Counter(0),
            Kind::Document => Self::Document(None),
            _ => Self::Register(None),
        }
    }

    /// Whether the action could be done.
    fn apply(&mut self, action: &Action) -> bool {
        match (self, action) {
            (Self::Set(elements), Action::Add(element)) => drop(elements.insert(element.clone())),
            (Self::Set(elements), Action::Remove(element)) => drop(elements.remove(element)),
            (Self::Counter(count), Action::Increment(amount)) => *count += i128::from(*amount),
            (Self::Counter(count), Action::Decrement(amount)) => *count -= i128::from(*amount),
            (Self::Register(value), Action::Set(new)) => value.clone_from(new),
            (Self::Document(body), Action::Put(new)) => *body = Some(new.clone()),
            (Self::Document(body), Action::Delete) => return body.take().is_some(),
            _ => return false,
        }
        true
    }

    /// How a cell differs from this; `None` when it does not.
    pub(super) fn differs_from(&self, cell: Option<&Cell>) -> Option<String> {
        let is_same = match (self, cell) {
            (Self::Set(elements), Some(Cell::Set(shown))) => {
                shown.iter().collect::<BTreeSet<_>>().into_iter().eq(elements)
            }
            (Self::Set(elements), None) => elements.is_empty(),
            (Self::Counter(count), Some(Cell::Counter(shown))) => shown.value() == *count,
            (Self::Counter(count), None) => *count == 0,
            (Self::Register(value), Some(Cell::Register(shown))) => shown.get() == value.as_ref(),
            (Self::Document(body), Some(Cell::Document(shown))) => {
                shown.live_leaves().map(|leaf| leaf.body()).eq(body.iter().map(Some))
            }
            (Self::Register(value) | Self::Document(value), None) => value.is_none(),
            _ => false,
        };
        (!is_same).then(|| format!("{cell:?}, and the log makes it {self:?}"))
    }
}

impl Model {
    pub(super) fn new(collections: &[Collection]) -> Self {
        let kinds = collections.iter().map(|collection| (collection.id(), collection.kind)).collect();
        Self { kinds, commands: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// All keys that were written to.
    pub(super) fn items(&self) -> impl Iterator<Item = &ItemKey> {
        self.values.keys()
    }

    pub(super) fn has_item(&self, item: &ItemKey) -> bool {
        self.values.contains_key(item)
    }

    /// What a key is to whoever has applied the log up to a record.
    pub(super) fn at(&self, item: &ItemKey, lsn: Lsn) -> Value {
        let known = self.values.get(item).and_then(|values| values.range(..=lsn).next_back());
        known.map_or_else(|| self.empty(item), |(_, value)| value.clone())
    }

    /// What a key is when everything in the log is applied.
    pub(super) fn head(&self, item: &ItemKey) -> Value {
        self.at(item, Lsn::new(u64::MAX))
    }

    /// What the keys of a command will be; `None` if it must be refused.
    pub(super) fn outcome(&self, writes: &[Write]) -> Option<BTreeMap<ItemKey, Value>> {
        let mut values = BTreeMap::new();
        for write in writes {
            let item = ItemKey { collection: write.collection, key: write.key.clone() };
            let value = values.entry(item.clone()).or_insert_with(|| self.head(&item));
            if !value.apply(&write.action) {
                return None;
            }
        }
        Some(values)
    }

    /// Whether a command changes anything.
    pub(super) fn changes(&self, values: &BTreeMap<ItemKey, Value>) -> bool {
        values.iter().any(|(item, value)| self.head(item) != *value)
    }

    /// A command became these records.
    pub(super) fn add(
        &mut self,
        request: RequestId,
        (first, last): (Lsn, Lsn),
        values: BTreeMap<ItemKey, Value>,
    ) {
        self.commands.insert(last, Command { request, first, fate: Fate::Unknown });
        for (item, value) in values {
            self.values.entry(item).or_default().insert(last, value);
        }
    }

    /// The command that ends with a record.
    pub(super) fn command_mut(&mut self, last: Lsn) -> Option<&mut Command> {
        self.commands.get_mut(&last)
    }

    /// Whether a request is in the log, and its last record is this.
    pub(super) fn holds(&self, request: RequestId, last: Lsn) -> bool {
        self.commands.get(&last).is_some_and(|command| command.request == request)
    }

    /// The log ends with this record; returns the commands that are gone.
    pub(super) fn cut(&mut self, last: Lsn) -> BTreeMap<Lsn, Command> {
        let Some(behind) = last.next() else { return BTreeMap::new() };
        for values in self.values.values_mut() {
            values.split_off(&behind);
        }
        self.commands.split_off(&behind)
    }

    fn empty(&self, item: &ItemKey) -> Value {
        Value::empty(self.kinds.get(&item.collection).copied().unwrap_or(Kind::Register))
    }
}
