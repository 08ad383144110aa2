//! Local writes: drafted beside the state, then made all at once or not at all.
//!
//! A command may hold many writes, to many keys, some depending on others. They are carried out on copies;
//! only when every one of them succeeded do the copies take the place of the cells, and one record per
//! partition enters the journal.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use conflict_store::{Document, PutError, VersionId};
use crdt_core::dotted::{DotSet, DotStore};
use crdt_core::{ClockError, Dot, Hlc, HlcClock, Stamp, Writer, codec};
use replication_log::Lsn;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ItemKey, JournalRecord, Replica};
use crate::authorize::{Author, Op};
use crate::bytes::Bytes;
use crate::cell::Cell;
use crate::collection::{Collection, CollectionId, Kind, Strategy};
use crate::entry::{Delta, Entry};
use crate::limits::Limits;
use crate::time::WallTime;
use crate::wire::Run;

/// One write of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Where the key lives.
    pub collection: CollectionId,
    /// What is written to.
    pub key: Bytes,
    /// What is done.
    pub action: Action,
}

/// What can be done to a key; each kind has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Action {
    /// Document: a first version, with no parent. Importing the same body twice, or on two nodes, makes one
    /// version, and importing it again after it was overwritten changes nothing. Where it is there already no entry
    /// is written: it is as durable, and spread as far, as the entry that wrote it.
    Insert(Bytes),
    /// Document: a version on top of the winner, or a first one.
    Put(Bytes),
    /// Document: a version on top of `parent`, which must be a current leaf; `None` deletes.
    Update {
        /// The version the writer saw.
        parent: VersionId,
        /// The new body.
        body: Option<Bytes>,
    },
    /// Document: one version that supersedes every live one.
    Resolve(Bytes),
    /// Document: deletes every live version.
    Delete,
    /// Set: adds an element.
    Add(Bytes),
    /// Set: removes an element as far as it is seen here.
    Remove(Bytes),
    /// Counter: adds.
    Increment(u64),
    /// Counter: subtracts.
    Decrement(u64),
    /// Register: sets the value, or clears it.
    Set(Option<Bytes>),
}

impl Action {
    /// The element that it removes from a set.
    pub(crate) fn removes(&self) -> Option<&Bytes> {
        match self {
            Self::Remove(element) => Some(element),
            _ => None,
        }
    }

    /// Whether what becomes of it depends on what is held: it would be refused, or come to nothing, for the lack of it.
    pub(crate) fn is_judged_by_what_is_there(&self) -> bool {
        match self {
            Self::Update { .. } | Self::Resolve(_) | Self::Delete | Self::Remove(_) => true,
            // A first version is the same wherever it is written.
            Self::Insert(_)
            | Self::Put(_)
            | Self::Add(_)
            | Self::Increment(_)
            | Self::Decrement(_)
            | Self::Set(_) => false,
        }
    }
}

/// What a command's writes became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The record that makes the writes durable, or the one that made them unnecessary.
    pub lsn: Lsn,
    /// The document versions written, deletions included, or found where there was nothing to write, in the order of
    /// the writes; other kinds write none.
    pub versions: Vec<VersionId>,
}

/// Why a command was refused. None of its writes took effect.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WriteError {
    /// The collection is not declared on this node.
    #[error("{collection:?} is not declared; nothing was written")]
    UnknownCollection {
        /// The id in the write.
        collection: CollectionId,
    },
    /// The action is not one of the collection's kind.
    #[error("write {index} does not fit a collection of kind {kind:?}; nothing was written")]
    WrongKind {
        /// Which write.
        index: usize,
        /// The collection's kind.
        kind: Kind,
    },
    /// The key is too long.
    #[error("the key of write {index} has {length} bytes, {limit} are allowed; nothing was written")]
    KeyTooLong {
        /// Which write.
        index: usize,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The body or element is too long.
    #[error("the value of write {index} has {length} bytes, {limit} are allowed; nothing was written")]
    ValueTooLong {
        /// Which write.
        index: usize,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The command holds more writes, or more bytes, than one atomic batch may.
    #[error(
        "the command holds {writes} writes with {bytes} bytes, more than one batch may; nothing was written"
    )]
    TooLarge {
        /// How many writes.
        writes: usize,
        /// Their size.
        bytes: usize,
    },
    /// This node may not write this. Others would not take it, and nothing it writes later either.
    #[error("this node may not do write {index} to {collection:?}; nothing was written")]
    Unauthorized {
        /// Which write.
        index: usize,
        /// The collection.
        collection: CollectionId,
    },
    /// The key lies outside this node's scope, whatever the collection.
    #[error("the key of write {index} lies outside the scope of this partial replica; nothing was written")]
    OutOfScope {
        /// Which write.
        index: usize,
    },
    /// The document changed since the writer saw it.
    #[error("write {index}: {cause}; nothing was written")]
    Document {
        /// Which write.
        index: usize,
        /// What the document says.
        cause: PutError,
    },
    /// The clock of this node is further ahead or behind than can be right.
    #[error("{0}; nothing was written")]
    Clock(#[from] ClockError),
    /// The register, or a document of which the latest version is shown, holds a later stamp than this node may give
    /// out: one further ahead of its clock than [`Timing::max_drift`](crate::Timing::max_drift). The write would not be
    /// seen. One of the two clocks is wrong; when it is this node's, the write can be made as soon as that is set
    /// right.
    #[error(
        "write {index}: the key was written by a clock that is ahead of this node's; nothing was written"
    )]
    StampBehind {
        /// Which write.
        index: usize,
    },
    /// The counter would run over.
    #[error("write {index}: the counter's own total would run over; nothing was written")]
    CounterOverflow {
        /// Which write.
        index: usize,
    },
    /// This identity has used up its sequences.
    #[error("this replica has used up its sequence numbers; nothing was written")]
    SequenceExhausted,
    /// A leaderless cluster takes the writes of different keys one by one: they do not take effect together.
    #[error("a leaderless cluster takes one write at a time; nothing was written")]
    OneAtATime,
    /// This node was retired: nobody would ever merge the write.
    #[error("this node was retired from its cluster; nothing was written")]
    Evicted,
}

/// The writes of one command, carried out on copies.
struct Draft<'r> {
    replica: &'r Replica,
    clock: HlcClock,
    wall: WallTime,
    cells: BTreeMap<(u16, ItemKey), Cell>,
    runs: BTreeMap<u16, Vec<Bytes>>,
    entries: usize,
    bytes: usize,
    versions: Vec<VersionId>,
}

impl Replica {
    /// Carries out all writes of a command, or none.
    pub(crate) fn write(&mut self, writes: &[Write], wall: WallTime) -> Result<Written, WriteError> {
        if self.members.is_evicted() {
            return Err(WriteError::Evicted);
        }
        let limits = &self.config.limits;
        if writes.len() > limits.max_writes {
            return Err(WriteError::TooLarge { writes: writes.len(), bytes: 0 });
        }
        let mut draft = Draft {
            replica: self,
            clock: self.clock.clone(),
            wall,
            cells: BTreeMap::new(),
            runs: BTreeMap::new(),
            entries: 0,
            bytes: 0,
            versions: Vec::new(),
        };
        for (index, write) in writes.iter().enumerate() {
            draft.carry_out(index, write)?;
        }
        let Draft { cells, runs, versions, clock, .. } = draft;
        self.issued = clock.last();
        self.clock = clock;
        Ok(if self.shares_log() {
            self.draft(cells, runs, versions)
        } else {
            self.commit(cells, runs, versions)
        })
    }

    /// What others would refuse is not written: nothing after it would be taken either.
    fn check_right(&self, index: usize, write: &Write) -> Result<(), WriteError> {
        let (collection, config) = (write.collection, &self.config);
        let op = Op::Write { key: &write.key, author: Author::Sender };
        if config.authorization.allows(config.node, collection, op) {
            Ok(())
        } else {
            Err(WriteError::Unauthorized { index, collection })
        }
    }

    pub(super) fn commit(
        &mut self,
        cells: BTreeMap<(u16, ItemKey), Cell>,
        runs: BTreeMap<u16, Vec<Bytes>>,
        versions: Vec<VersionId>,
    ) -> Written {
        let mut lsns = BTreeMap::new();
        for (number, entries) in runs {
            lsns.insert(number, self.commit_run(number, entries));
        }
        for ((number, key), cell) in cells {
            if let Some(&lsn) = lsns.get(&number) {
                self.partition_mut(number).cells.put(&key, cell, lsn);
            }
        }
        Written { lsn: lsns.into_values().max().unwrap_or_default(), versions }
    }

    fn commit_run(&mut self, number: u16, entries: Vec<Bytes>) -> Lsn {
        let origin = self.id;
        let after = self.partition(number).histories.head(origin);
        let lsn = self.journal.upcoming();
        let partition = self.partition_mut(number);
        let mut chain = after.chain;
        for entry in &entries {
            chain = partition.remember(origin, entry.clone(), lsn);
        }
        let last = after.sequence + entries.len() as u64;
        partition.context.insert_range(origin, after.sequence + 1..=last);
        self.journal.append(&JournalRecord::Entries(Run { partition: number, origin, after, entries, chain }))
    }
}

impl Draft<'_> {
    fn carry_out(&mut self, index: usize, write: &Write) -> Result<(), WriteError> {
        let collection = write.collection;
        let declared =
            self.replica.registry.get(collection).ok_or(WriteError::UnknownCollection { collection })?;
        check_lengths(index, write, &self.replica.config.limits)?;
        if !self.replica.config.scope.contains(collection, &write.key) {
            return Err(WriteError::OutOfScope { index });
        }
        self.replica.check_right(index, write)?;
        let number = self.replica.partition_of(collection, &write.key);
        let slot = (number, ItemKey { collection, key: write.key.clone() });
        let dot = self.next_dot(number)?;
        // Changed in their place; on an error nobody looks at the draft any more.
        let mut cells = mem::take(&mut self.cells);
        let cell = cells
            .entry(slot)
            .or_insert_with_key(|(_, key)| self.replica.cell_to_change(number, key, declared.kind));
        // What was too far ahead when it arrived need not be any more: the wall clock went on, or was set right.
        if let Some(stamp) = cell.latest_stamp() {
            self.clock.observe(stamp, self.wall);
        }
        let time = self.clock.now(self.wall)?;
        let delta = self.change(index, declared, cell, write, Stamp { time, replica: dot.replica }, dot)?;
        // As a replay of the entry would.
        cell.stem(self.replica.config.limits.max_revisions);
        self.cells = cells;
        match delta {
            Some(delta) => self.enter(number, write, time, delta),
            None => Ok(()),
        }
    }

    /// Makes the change to the copy and says what to tell others; `None` when there is nothing to tell.
    fn change(
        &mut self,
        index: usize,
        declared: &Collection,
        cell: &mut Cell,
        write: &Write,
        stamp: Stamp,
        dot: Dot,
    ) -> Result<Option<Delta>, WriteError> {
        match (cell, &write.action) {
            (Cell::Document(document), action) => {
                // A first version may be the same as one that was deleted and forgotten, and then count as deleted
                // where that is remembered; or the same as one that was written over, which a store that is not filled
                // does not know of, and then come to nothing. Its stamp makes it another.
                let is_first = matches!(action, Action::Put(_) | Action::Resolve(_)) && document.is_empty();
                let number = self.replica.partition_of(write.collection, &write.key);
                let forgot = self.replica.partition(number).has_forgotten || !self.replica.is_filled(number);
                let anew = is_first && forgot;
                let by_time = declared.strategy == Strategy::LastWriterWins;
                let stamped = (anew || by_time).then_some(stamp);
                let delta = self.change_document(index, document, &write.key, action, stamped)?;
                if by_time && delta.is_some() && hides(document, stamp) {
                    return Err(WriteError::StampBehind { index });
                }
                Ok(delta)
            }
            (Cell::Set(elements), Action::Add(element)) => {
                let superseded = dots_of(&elements.add(dot, element.clone()));
                Ok(Some(Delta::SetAdd { element: element.clone(), superseded }))
            }
            (Cell::Set(elements), Action::Remove(element)) => {
                let dots = dots_of(&elements.take(element));
                Ok((!dots.is_empty()).then(|| Delta::SetRemove { element: element.clone(), dots }))
            }
            (Cell::Counter(counter), &Action::Increment(amount)) => {
                counter
                    .increment(Writer::unchecked(dot.replica), amount)
                    .map_err(|_| WriteError::CounterOverflow { index })?;
                Ok((amount > 0).then(|| own_totals(counter, dot, amount, 0)))
            }
            (Cell::Counter(counter), &Action::Decrement(amount)) => {
                counter
                    .decrement(Writer::unchecked(dot.replica), amount)
                    .map_err(|_| WriteError::CounterOverflow { index })?;
                Ok((amount > 0).then(|| own_totals(counter, dot, 0, amount)))
            }
            (Cell::Register(register), Action::Set(value)) => {
                match value {
                    Some(value) => register.set(stamp, value.clone()),
                    None => register.clear(stamp),
                }
                .map_err(|_| WriteError::StampBehind { index })?;
                Ok(Some(Delta::Register(value.clone())))
            }
            _ => Err(WriteError::WrongKind { index, kind: declared.kind }),
        }
    }

    fn change_document(
        &mut self,
        index: usize,
        document: &mut Document<Bytes>,
        key: &[u8],
        action: &Action,
        stamp: Option<Stamp>,
    ) -> Result<Option<Delta>, WriteError> {
        let winner = document.winner().filter(|version| !version.is_deleted()).map(|version| *version.id());
        let (id, delta) = match action {
            Action::Insert(body) => Ok(document.put_branch(key, None, Some(body.clone()), stamp)),
            Action::Put(body) => document.put(key, winner.as_ref(), Some(body.clone()), stamp),
            Action::Update { parent, body } => document.put(key, Some(parent), body.clone(), stamp),
            Action::Resolve(body) => document.supersede(key, &live(document), Some(body.clone()), stamp),
            Action::Delete => document.supersede(key, &live(document), None, stamp),
            _ => {
                return Err(WriteError::WrongKind { index, kind: Kind::Document });
            }
        }
        .map_err(|cause| WriteError::Document { index, cause })?;
        self.versions.push(id);
        // A version that was there already is nothing to tell.
        Ok((!delta.is_empty()).then(|| Delta::Document(delta.encode_for_key(key).into())))
    }

    fn enter(&mut self, number: u16, write: &Write, stamp: Hlc, delta: Delta) -> Result<(), WriteError> {
        let entry = Entry { stamp, collection: write.collection, key: write.key.clone(), delta };
        let encoded = Bytes::from(codec::encode_payload(&entry));
        self.bytes += encoded.len();
        self.entries += 1;
        self.runs.entry(number).or_default().push(encoded);
        if self.bytes > self.replica.config.limits.max_batch {
            return Err(WriteError::TooLarge { writes: self.entries, bytes: self.bytes });
        }
        Ok(())
    }

    /// The dot of the next entry in a partition.
    fn next_dot(&self, number: u16) -> Result<Dot, WriteError> {
        let drafted = self.runs.get(&number).map_or(0, Vec::len) as u64;
        let head = self.replica.head_to_follow(number).sequence;
        let next = head.checked_add(drafted).and_then(|last| last.checked_add(1));
        next.and_then(|next| Dot::new(self.replica.id, next)).ok_or(WriteError::SequenceExhausted)
    }
}

/// Whether readers who are shown the latest version see another one than that of this stamp, or the body of one that a
/// deletion of this stamp did not find.
fn hides(document: &Document<Bytes>, written: Stamp) -> bool {
    let is_live = document.leaves().iter().any(|leaf| leaf.stamp() == Some(written) && !leaf.is_deleted());
    let mut later = document.leaves().iter().filter(|leaf| leaf.stamp() > Some(written));
    later.any(|leaf| is_live || !leaf.is_deleted())
}

fn live(document: &Document<Bytes>) -> Vec<VersionId> {
    document.live_leaves().map(|version| *version.id()).collect()
}

fn dots_of(dots: &DotSet) -> Vec<Dot> {
    let mut all = Vec::new();
    dots.for_each_dot(&mut |dot| all.push(dot));
    all
}

fn own_totals(counter: &crdt_core::PnCounter, dot: Dot, raised: u64, lowered: u64) -> Delta {
    Delta::Counter {
        incremented: counter.increments().entry(dot.replica),
        decremented: counter.decrements().entry(dot.replica),
        raised,
        lowered,
    }
}

fn check_lengths(index: usize, write: &Write, limits: &Limits) -> Result<(), WriteError> {
    let (length, limit) = (write.key.len(), limits.max_key);
    if length > limit {
        return Err(WriteError::KeyTooLong { index, length, limit });
    }
    let (length, limit) = (write.action.value_len(), limits.max_value);
    if length > limit {
        return Err(WriteError::ValueTooLong { index, length, limit });
    }
    Ok(())
}

impl Action {
    fn value_len(&self) -> usize {
        match self {
            Self::Insert(value)
            | Self::Put(value)
            | Self::Resolve(value)
            | Self::Add(value)
            | Self::Remove(value) => value.len(),
            Self::Update { body, .. } | Self::Set(body) => body.as_ref().map_or(0, |body| body.len()),
            Self::Delete | Self::Increment(_) | Self::Decrement(_) => 0,
        }
    }
}
