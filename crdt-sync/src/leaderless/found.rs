//! What a read compares and unites.

use alloc::vec::Vec;

use super::coordinate::{Answer, Digest};
use crate::bytes::Bytes;
use crate::cell::{Cell, CellError};
use crate::collection::Kind;
use crate::replica::{ItemKey, unite};
use crate::wire::{Died, KeyState, MergedState};

/// The state of a key at some replica, or what a replica lacks of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyAnswer {
    place: Place,
    cell: Cell,
    state: KeyState,
}

/// Which key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) partition: u16,
    pub(super) item: ItemKey,
    pub(super) kind: Kind,
    pub(super) limits: crdt_core::Limits,
}

impl Place {
    /// To be told nothing of it.
    pub(super) fn nothing(&self) -> MergedState {
        let ItemKey { collection, key } = self.item.clone();
        MergedState {
            partition: self.partition,
            collection,
            key,
            state: Bytes::default(),
            removed: Vec::new(),
        }
    }
}

impl KeyAnswer {
    /// Reads a state that came from somewhere.
    pub(super) fn read(place: &Place, state: KeyState) -> Result<Self, CellError> {
        let cell = Cell::decode(place.kind, &place.item.key, &state.state, &place.limits)?;
        Ok(Self { place: place.clone(), cell, state })
    }

    /// Which key it is of.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The state; `None` when nothing is there.
    pub(super) fn cell(&self) -> Option<Cell> {
        (!self.cell.is_vacant()).then(|| self.cell.clone())
    }

    /// The same as something to be told: what it carries, and what it knows to be gone. Only for what a replica
    /// [lacks](Answer::lacking): a whole state knows of all that is gone from its partition.
    pub(super) fn told(&self) -> MergedState {
        let gone = self.state.context.difference(&self.cell.dots());
        MergedState {
            partition: self.place.partition,
            collection: self.place.item.collection,
            key: self.place.item.key.clone(),
            state: self.state.state.clone(),
            removed: gone.dots().collect(),
        }
    }

    /// What was said to have died of it.
    pub(super) fn died(&self) -> Died {
        self.state.died.clone().unwrap_or_default()
    }

    fn united_with(&self, other: &Self) -> Option<(Cell, [Option<MergedState>; 2])> {
        let Place { partition, item, kind, limits } = &self.place;
        let states = [self.state.clone(), other.state.clone()];
        // Both were read, so that neither can be refused.
        let united = unite(*partition, item, *kind, &states, limits).ok()?;
        let lacks: [Option<MergedState>; 2] = united.lacks.try_into().ok()?;
        Some((united.cell, lacks))
    }
}

impl Answer for KeyAnswer {
    fn digest(&self) -> Digest {
        if self.cell.is_vacant() { Digest::NotFound } else { Digest::Of(self.cell.digest()) }
    }

    fn unite(&mut self, other: &Self) {
        if let Some((cell, _)) = self.united_with(other) {
            self.state.state = cell.encode(&self.place.item.key);
            let _ = crdt_core::Crdt::merge(&mut self.state.context, &other.state.context);
            if let Some(more) = &other.state.died {
                let died = self.state.died.get_or_insert_default();
                died.lately.extend(&more.lately);
                let _ = crdt_core::Crdt::merge(&mut died.before, &more.before);
            }
            self.cell = cell;
        }
    }

    fn lacking(&self, theirs: &Self) -> Option<Self> {
        let (_, [_, lacks]) = self.united_with(theirs)?;
        let lacks = lacks?;
        let cell = Cell::decode(self.place.kind, &lacks.key, &lacks.state, &self.place.limits).ok()?;
        let mut context = cell.dots();
        let _ = crdt_core::Crdt::merge(&mut context, &lacks.removed.into_iter().collect());
        Some(Self {
            place: self.place.clone(),
            cell,
            state: KeyState { state: lacks.state, context, died: None },
        })
    }
}
