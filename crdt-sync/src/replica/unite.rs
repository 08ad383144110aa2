//! What several replicas hold under one key, as one state, and what each of them lacks of it.
//!
//! Functions of what the replicas said, and of nothing else.

use alloc::vec::Vec;

use crdt_core::dotted::DotStore;
use crdt_core::{CausalContext, Crdt};
use thiserror::Error;

use super::ItemKey;
use crate::bytes::Bytes;
use crate::cell::{Answer, Cell, CellError};
use crate::collection::Kind;
use crate::wire::{KeyState, MergedState};

/// Several states as one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct United {
    /// The join of all. A document has the old versions of all of them.
    pub(crate) cell: Cell,
    /// What to tell each replica, in the order in which they were given; `None` for one that lacks nothing.
    pub(crate) lacks: Vec<Option<MergedState>>,
}

/// Why states cannot be united.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("state {index} cannot be united with the others: {cause}")]
pub(crate) struct UniteError {
    /// Which of them. Without it the others may.
    pub(crate) index: usize,
    /// What is wrong with it.
    pub(crate) cause: CellError,
}

/// A state that was read.
struct Held {
    cell: Cell,
    live: CausalContext,
    context: CausalContext,
}

/// Unites what replicas hold under a key of a partition.
///
/// After each was told what it lacks, all hold the union. Whoever holds what another has seen removed is told the exact
/// dots of it; whoever has not seen them yet is told, too, lest they come late and live again.
///
/// O(states × (states and ranges of the contexts)).
pub(crate) fn unite(
    partition: u16,
    item: &ItemKey,
    kind: Kind,
    states: &[KeyState],
    limits: &crdt_core::Limits,
) -> Result<United, UniteError> {
    let read =
        |(index, state)| Held::read(state, item, kind, limits).map_err(|cause| UniteError { index, cause });
    let held = states.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let (mut cell, mut context, mut shown) = (Cell::vacant(kind), CausalContext::new(), CausalContext::new());
    for one in &held {
        let _ = cell.join(&context, &one.cell, &one.context);
        let _ = context.merge(&one.context);
        let _ = shown.merge(&one.live);
    }
    let gone = shown.difference(&cell.dots());
    let tell = |state: Bytes, removed: &CausalContext| {
        let (collection, key) = (item.collection, item.key.clone());
        MergedState { partition, collection, key, state, removed: removed.dots().collect() }
    };
    let lacks = held.iter().map(|one| {
        let (state, removed) = one.lacks(&cell, &gone, &item.key);
        (!state.is_empty() || !removed.is_empty()).then(|| tell(state, &removed))
    });
    let lacks = lacks.collect();
    Ok(United { cell, lacks })
}

impl Held {
    fn read(
        state: &KeyState,
        item: &ItemKey,
        kind: Kind,
        limits: &crdt_core::Limits,
    ) -> Result<Self, CellError> {
        let cell = Cell::decode(kind, &item.key, &state.state, limits)?;
        let live = cell.dots();
        let mut context = state.context.clone();
        let _ = context.merge(&live);
        Ok(Self { cell, live, context })
    }

    /// The part of the union that this one does not hold, and the dots that it does not know to be gone.
    fn lacks(&self, union: &Cell, gone: &CausalContext, key: &[u8]) -> (Bytes, CausalContext) {
        if let Cell::Set(elements) = union {
            let missing = Cell::Set(elements.unseen_by(&self.context).into());
            let known = self.context.difference(&self.live);
            return (missing.encode(key), gone.difference(&known));
        }
        let state = match union.answer_to(&self.cell, key) {
            Answer::Nothing => Bytes::default(),
            Answer::Versions(versions) => versions,
            Answer::Whole => union.encode(key),
        };
        (state, CausalContext::new())
    }
}
