//! Random clients of a world with one leader: writes, mostly where they are taken, and reads everywhere.

use core::time::Duration;

use crdt_sync::{Action, Bytes, ItemKey, Kind, Write};

use super::model::Value;
use crate::dice::Dice;
use crate::leaderless::collections;

/// Clients that go from node to node.
pub(super) const WANDERERS: usize = 3;
/// Of 1000 operations, how many write, ask what became of a write, and belong to clients that wander.
const WRITES: u32 = 600;
const FATES: u32 = 30;
const IN_SESSIONS: u32 = 250;
/// Of 1000 writes, how many are meant for the leader, and how many say how long they wait.
const AT_LEADER: u32 = 850;
const WITH_DEADLINE: u32 = 700;

/// What a client asks.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write { node: usize, writes: Vec<Write>, patience: Option<Duration>, client: Option<usize> },
    Read { node: usize, item: ItemKey, client: Option<usize>, patience: Duration },
    Fate { which: usize },
}

pub(super) struct Draft<'d> {
    pub(super) dice: &'d mut Dice,
    pub(super) number: u32,
    pub(super) keys: usize,
    pub(super) nodes: usize,
    /// The nodes that take themselves for the leader, or who led last.
    pub(super) leaders: &'d [usize],
    /// What sets hold at the first of them.
    pub(super) head: &'d dyn Fn(&ItemKey) -> Value,
}

impl Draft<'_> {
    pub(super) fn operation(&mut self) -> Operation {
        if self.dice.chance(FATES) {
            return Operation::Fate { which: self.dice.index(1 << 16) };
        }
        let client = self.dice.chance(IN_SESSIONS).then(|| self.dice.index(WANDERERS));
        let node = self.dice.index(self.nodes);
        let patience = Duration::from_millis(10 + self.dice.below(600));
        // Who goes from node to node mostly looks.
        if self.dice.chance(if client.is_some() { WRITES / 2 } else { WRITES }) {
            let node = if self.dice.chance(AT_LEADER) { self.leader() } else { node };
            let writes = (0..=self.dice.below(3)).map(|_| self.write()).collect();
            let patience = self.dice.chance(WITH_DEADLINE).then_some(patience);
            return Operation::Write { node, writes, patience, client };
        }
        Operation::Read { node, item: self.item().1, client, patience }
    }

    fn write(&mut self) -> Write {
        let (kind, item) = self.item();
        let fresh = Bytes::from(format!("value {} {}", self.number, self.dice.below(100)).as_str());
        let action = match kind {
            Kind::Set if self.dice.chance(500) => Action::Remove(self.element(&item)),
            Kind::Set if self.dice.chance(300) => Action::Add(self.element(&item)),
            Kind::Set => Action::Add(fresh),
            Kind::Counter if self.dice.chance(300) => Action::Decrement(1 + self.dice.below(9)),
            Kind::Counter => Action::Increment(1 + self.dice.below(9)),
            Kind::Document if self.dice.chance(200) => Action::Delete,
            Kind::Document => Action::Put(fresh),
            _ => Action::Set((!self.dice.chance(150)).then_some(fresh)),
        };
        Write { collection: item.collection, key: item.key, action }
    }

    /// Where two take themselves for the leader, clients do not know better.
    fn leader(&mut self) -> usize {
        match self.leaders {
            [only] => *only,
            several => self.dice.pick(several).copied().unwrap_or_default(),
        }
    }

    /// One that is there, if any is.
    fn element(&mut self, item: &ItemKey) -> Bytes {
        let there: Vec<Bytes> = match (self.head)(item) {
            Value::Set(elements) => elements.into_iter().collect(),
            _ => Vec::new(),
        };
        self.dice.pick(&there).cloned().unwrap_or_else(|| "milk".into())
    }

    fn item(&mut self) -> (Kind, ItemKey) {
        let collections = collections();
        let collection = &collections[self.dice.index(collections.len())];
        let key = Bytes::from(format!("key {}", self.dice.index(self.keys)).as_str());
        (collection.kind, ItemKey { collection: collection.id(), key })
    }
}
