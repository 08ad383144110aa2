//! A naive model of logs: which command ended with which record, and what every key was behind each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crdt_sync::{Action, Bytes, Cell, Collection, CollectionId, ItemKey, Kind, RequestId, Write};
use replication_log::{Epoch, Lsn};

use crate::world::{Histories, LogPlace};

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
    Committed {
        degraded: bool,
    },
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
    /// What every key is behind it.
    state: State,
}

type State = BTreeMap<ItemKey, Rc<Value>>;

#[derive(Debug)]
pub(super) struct Model {
    kinds: BTreeMap<CollectionId, Kind>,
    commands: BTreeMap<LogPlace, Command>,
    items: BTreeSet<ItemKey>,
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
        Self { kinds, commands: BTreeMap::new(), items: BTreeSet::new() }
    }

    /// All keys that were written to.
    pub(super) fn items(&self) -> impl Iterator<Item = &ItemKey> {
        self.items.iter()
    }

    pub(super) fn has_item(&self, item: &ItemKey) -> bool {
        self.items.contains(item)
    }

    /// What a key is to whoever has applied a log up to a record.
    pub(super) fn at(&self, item: &ItemKey, place: LogPlace, histories: &Histories) -> Value {
        let known = self.state_at(place, histories).and_then(|state| state.get(item));
        known.map_or_else(|| self.empty(item), |value| (**value).clone())
    }

    /// What the keys of a command will be behind a record; `None` if it must be refused.
    pub(super) fn outcome(
        &self,
        writes: &[Write],
        place: LogPlace,
        histories: &Histories,
    ) -> Option<BTreeMap<ItemKey, Value>> {
        let mut values = BTreeMap::new();
        for write in writes {
            let item = ItemKey { collection: write.collection, key: write.key.clone() };
            let value = values.entry(item.clone()).or_insert_with(|| self.at(&item, place, histories));
            if !value.apply(&write.action) {
                return None;
            }
        }
        Some(values)
    }

    /// A command became these records, behind a record of the same reign.
    pub(super) fn add(
        &mut self,
        request: RequestId,
        before: LogPlace,
        (first, last): (Lsn, Lsn),
        values: BTreeMap<ItemKey, Value>,
        histories: &Histories,
    ) {
        let mut state = self.state_at(before, histories).cloned().unwrap_or_default();
        self.items.extend(values.keys().cloned());
        state.extend(values.into_iter().map(|(item, value)| (item, Rc::new(value))));
        let command = Command { request, first, fate: Fate::Unknown, state };
        self.commands.insert(LogPlace { epoch: before.epoch, lsn: last }, command);
    }

    /// The command that ends with a record.
    pub(super) fn command_mut(&mut self, last: LogPlace) -> Option<&mut Command> {
        self.commands.get_mut(&last)
    }

    /// The command of which a log that ends with a record has only a part.
    pub(super) fn torn_at(&self, end: LogPlace) -> Option<RequestId> {
        let behind = LogPlace { lsn: end.lsn.next()?, ..end };
        let (last, command) = self.commands.range(behind..).next()?;
        (last.epoch == end.epoch && command.first <= end.lsn).then_some(command.request)
    }

    /// The commands of which clients were told that they are committed, and whether only by the leader's disk.
    pub(super) fn committed(&self) -> impl Iterator<Item = (LogPlace, RequestId, bool)> + '_ {
        self.commands.iter().filter_map(|(place, command)| match command.fate {
            Fate::Committed { degraded } => Some((*place, command.request, degraded)),
            _ => None,
        })
    }

    /// An epoch was begun once more, as nothing of it was left.
    pub(super) fn forget(&mut self, epoch: Epoch) {
        self.commands.retain(|place, _| place.epoch != epoch);
    }

    fn state_at(&self, mut place: LogPlace, histories: &Histories) -> Option<&State> {
        while place.lsn > Lsn::ZERO {
            let first = LogPlace { lsn: Lsn::ZERO, ..place };
            if let Some((_, command)) = self.commands.range(first..=place).next_back() {
                return Some(&command.state);
            }
            place = histories.base_of(place.epoch);
        }
        None
    }

    fn empty(&self, item: &ItemKey) -> Value {
        Value::empty(self.kinds.get(&item.collection).copied().unwrap_or(Kind::Register))
    }
}
