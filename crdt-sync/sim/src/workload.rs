//! Random clients: a few keys, so that their writes meet.

use crdt_sync::{Action, Bytes, Cell, Collection, ItemKey, Kind, Scope, Strategy, Write};

use crate::dice::Dice;
use crate::plan::Plan;
use crate::simulation::WANDERERS;
use crate::world::World;

/// Elements and bodies that are written again and again, on all nodes.
const COMMON: [&str; 3] = ["milk", "bread", "salt"];
/// Of 1000 client operations, how many read.
const READS: u32 = 250;
/// Of 1000 that a client makes who goes from node to node.
const READS_IN_SESSIONS: u32 = 600;
/// Of 1000 retired nodes, the devices of how many come back.
const COMES_BACK: u32 = 700;
/// Of 1000 commands, how many hold more than one write.
const LONG_COMMANDS: u32 = 150;
/// Of 1000 writes to documents where deletions are forgotten, how many delete besides.
const DELETIONS: u32 = 250;
/// Of 1000 operations at a partial replica, how many are made wherever they may lie.
const ANYWHERE: u32 = 60;

/// The collections that random clients use: one of each kind, and documents under both strategies.
pub fn collections() -> Vec<Collection> {
    vec![
        Collection::documents("notes", Strategy::Keep),
        Collection::documents("pages", Strategy::LastWriterWins),
        Collection::sets("lists"),
        Collection::counters("counts"),
        Collection::registers("titles"),
    ]
}

/// What a client does next.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Read {
        node: usize,
        item: ItemKey,
    },
    Write {
        node: usize,
        writes: Vec<Write>,
    },
    /// A client that goes from node to node does something at this one.
    Wander {
        client: usize,
        node: usize,
        errand: Errand,
    },
    /// A node is to be retired, if it can be; its device comes back as a new one, or stays away.
    Retire {
        node: usize,
        comes_back: bool,
    },
}

/// What a client does that goes from node to node.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Read(ItemKey),
    Write(Vec<Write>),
}

/// Clients that do as the dice say. Each operation has dice of its own, so that one that is left out changes nothing of
/// what the others draw; what they do may still depend on what they would see.
#[derive(Debug)]
pub(crate) struct Workload {
    collections: Vec<Collection>,
    keys: usize,
    retirements: u32,
    in_sessions: u32,
    forgets: bool,
}

/// One operation while it is made up.
struct Draft<'w> {
    workload: &'w Workload,
    world: &'w World,
    dice: &'w mut Dice,
    node: usize,
    /// Keys outside are left to others.
    scope: Scope,
    /// Documents can be deleted, and forgotten.
    may_delete: bool,
    operation: u32,
    /// Numbers the values of the operation, so that no two of a run are the same.
    values: u32,
}

impl Workload {
    pub(crate) fn new(plan: &Plan) -> Self {
        let collections = plan.setup.collections.clone();
        let (retirements, forgets) = (plan.retirements, plan.setup.forgets_deletions);
        Self { collections, keys: plan.keys, retirements, in_sessions: plan.in_sessions, forgets }
    }

    /// The operation of a number, at some node.
    pub(crate) fn operation(&self, operation: u32, dice: &mut Dice, world: &World) -> Operation {
        let node = dice.index(world.nodes());
        if self.retirements > 0 && dice.chance(self.retirements) {
            return Operation::Retire { node, comes_back: dice.chance(COMES_BACK) };
        }
        let client = (self.in_sessions > 0 && dice.chance(self.in_sessions)).then(|| dice.index(WANDERERS));
        let reads = if client.is_some() { READS_IN_SESSIONS } else { READS };
        let scope = world.scope_of(node);
        let scope = if scope.is_everything() || dice.chance(ANYWHERE) { Scope::everything() } else { scope };
        let may_delete = !self.forgets || world.is_acquainted();
        let mut draft = Draft { workload: self, world, dice, node, scope, may_delete, operation, values: 0 };
        if draft.dice.chance(reads) {
            let (_, item) = draft.item();
            return match client {
                Some(client) => Operation::Wander { client, node, errand: Errand::Read(item) },
                None => Operation::Read { node, item },
            };
        }
        let count = if draft.dice.chance(LONG_COMMANDS) { 2 + draft.dice.index(3) } else { 1 };
        let writes = (0..count).map(|_| draft.write()).collect();
        match client {
            Some(client) => Operation::Wander { client, node, errand: Errand::Write(writes) },
            None => Operation::Write { node, writes },
        }
    }
}

impl Draft<'_> {
    fn write(&mut self) -> Write {
        let (kind, item) = self.item();
        let cell = self.world.engine(self.node).and_then(|engine| engine.peek(&item));
        let action = match kind {
            Kind::Document => self.document_action(cell),
            Kind::Set => self.set_action(cell),
            Kind::Counter if self.dice.chance(300) => Action::Decrement(1 + self.dice.below(9)),
            Kind::Counter => Action::Increment(1 + self.dice.below(9)),
            _ if self.dice.chance(150) => Action::Set(None),
            _ => Action::Set(Some(self.fresh())),
        };
        Write { collection: item.collection, key: item.key, action }
    }

    fn document_action(&mut self, cell: Option<&Cell>) -> Action {
        let versions: Vec<_> = match cell {
            Some(Cell::Document(document)) => document.versions().map(|version| *version.id()).collect(),
            _ => Vec::new(),
        };
        if self.workload.forgets && self.dice.chance(DELETIONS) {
            return Action::Delete;
        }
        match self.dice.below(10) {
            // What was imported once and is forgotten would be new again, to the byte.
            0 | 1 if self.workload.forgets => Action::Insert(self.fresh()),
            0 | 1 => Action::Insert(self.common()),
            2 | 3 => match self.dice.pick(&versions) {
                // Often no longer a leaf, and then it must be refused.
                Some(&parent) => Action::Update {
                    parent,
                    body: self.dice.chance(800).then(|| format!("update {parent}").as_str().into()),
                },
                None => Action::Put(self.fresh()),
            },
            4 => Action::Resolve(self.fresh()),
            5 => Action::Delete,
            _ => Action::Put(self.fresh()),
        }
    }

    fn set_action(&mut self, cell: Option<&Cell>) -> Action {
        let present: Vec<Bytes> = match cell {
            Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
            _ => Vec::new(),
        };
        match self.dice.below(10) {
            0..=3 => Action::Add(self.fresh()),
            4..=6 => Action::Add(self.common()),
            _ => Action::Remove(self.dice.pick(&present).cloned().unwrap_or_else(|| self.common())),
        }
    }

    fn item(&mut self) -> (Kind, ItemKey) {
        loop {
            let (kind, item) = self.any_item();
            let may_write = kind != Kind::Document || self.may_delete;
            if may_write && self.scope.contains(item.collection, &item.key) {
                return (kind, item);
            }
        }
    }

    fn any_item(&mut self) -> (Kind, ItemKey) {
        let collections = &self.workload.collections;
        let collection = &collections[self.dice.index(collections.len())];
        let (kind, collection) = (collection.kind, collection.id());
        let key = Bytes::from(format!("key {}", self.dice.index(self.workload.keys)).as_str());
        (kind, ItemKey { collection, key })
    }

    fn fresh(&mut self) -> Bytes {
        self.values += 1;
        format!("value {}.{}", self.operation, self.values).as_str().into()
    }

    fn common(&mut self) -> Bytes {
        COMMON[self.dice.index(COMMON.len())].into()
    }
}
