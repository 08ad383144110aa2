//! Cells: the state under one key, whatever its kind.
//!
//! Sets are held as bare dot stores: their causal context is the partition's one context, so a key whose last
//! element is removed leaves nothing behind, and nothing late can bring it back.

use alloc::boxed::Box;

use conflict_store::Document;
use crdt_core::codec::{self, DecodeError};
use crdt_core::dotted::{DotStore, ElementStore};
use crdt_core::{
    CausalContext, Change, Crdt, DeltaCrdt, Dot, GCounter, Hlc, LwwRegister, PnCounter, ReplicaId, Stamp,
    VersionDigest,
};
use thiserror::Error;

use crate::bytes::Bytes;
use crate::collection::Kind;
use crate::entry::{Delta, Entry};

/// The state of one key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// A tree of versions.
    Document(Document<Bytes>),
    /// Elements and the dots under which they live. In a box: the other kinds are small, and many.
    Set(Box<ElementStore<Bytes>>),
    /// Increments and decrements per replica.
    Counter(PnCounter),
    /// The last value written.
    Register(LwwRegister<Bytes>),
}

/// What a peer's state lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing.
    Nothing,
    /// These versions of a document.
    Versions(Bytes),
    /// Something, and the whole state says what.
    Whole,
}

/// Why the bytes of a state or a delta were refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CellError {
    /// The bytes are not the encoding of a cell.
    #[error("malformed state: {0}")]
    Malformed(#[from] DecodeError),
    /// The bytes are not the encoding of a document, or a version's id does not fit its content.
    #[error("malformed document: {0}")]
    Document(#[from] conflict_store::DecodeTreeError),
    /// A write to a counter says it added more than the total after it.
    #[error("a write added more to a counter than its total after the write")]
    ImpossibleAmount,
    /// A delta of one kind was written to a key of another kind.
    #[error("a write of another kind reached a key of kind {expected:?}")]
    OtherKind {
        /// What the collection holds.
        expected: Kind,
    },
}

impl Cell {
    /// The cell of a key nobody wrote to.
    pub(crate) fn vacant(kind: Kind) -> Self {
        match kind {
            Kind::Document => Self::Document(Document::default()),
            Kind::Set => Self::Set(tracked(ElementStore::new())),
            Kind::Counter => Self::Counter(PnCounter::default()),
            Kind::Register => Self::Register(LwwRegister::default()),
        }
    }

    /// Whether the cell is as if nobody ever wrote to it, so that nothing need be kept.
    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Self::Document(document) => document.is_bottom(),
            Self::Set(elements) => elements.is_empty(),
            Self::Counter(counter) => counter.is_bottom(),
            Self::Register(register) => register.is_bottom(),
        }
    }

    /// Whether the cell is a document of which nothing but deletions is left.
    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self, Self::Document(document) if !document.is_empty() && document.is_deleted())
    }

    /// Joins the state or delta of another replica into this one. Both contexts are the callers' to merge
    /// afterwards.
    ///
    /// Cells of one key have one kind, because the collection is part of the key and the kind part of the
    /// collection; a cell of another kind is left out.
    pub(crate) fn join(
        &mut self,
        context: &CausalContext,
        other: &Self,
        other_context: &CausalContext,
    ) -> Change {
        match (self, other) {
            (Self::Document(ours), Self::Document(theirs)) => ours.merge(theirs),
            (Self::Set(ours), Self::Set(theirs)) => {
                // A peer may claim a dot for another element. Neither side keeps such, or they would compare for ever.
                ours.drop_forks(theirs) | ours.join(context, theirs, other_context)
            }
            (Self::Counter(ours), Self::Counter(theirs)) => ours.merge(theirs),
            (Self::Register(ours), Self::Register(theirs)) => ours.merge(theirs),
            _ => Change::Unchanged,
        }
    }

    /// The live dots.
    pub(crate) fn dots(&self) -> CausalContext {
        match self {
            Self::Set(elements) => elements.dots(),
            _ => CausalContext::new(),
        }
    }

    /// The latest timestamp in the cell: the clock must not fall behind what it shows.
    pub(crate) fn latest_stamp(&self) -> Option<Hlc> {
        match self {
            Self::Document(document) => document.leaves().iter().filter_map(|v| Some(v.stamp()?.time)).max(),
            Self::Register(register) => register.stamp().map(|stamp| stamp.time),
            Self::Set(_) | Self::Counter(_) => None,
        }
    }

    /// Drops what is kept of the past beyond the limit: old versions of documents.
    pub(crate) fn stem(&mut self, revisions: usize) {
        if let Self::Document(document) = self
            && document.len() > revisions.saturating_mul(2)
        {
            document.stem(revisions);
        }
    }

    /// A digest that two replicas share when, and only when, their cells are equal.
    pub(crate) fn digest(&self) -> u128 {
        match self {
            Self::Document(document) => document.version_digest(),
            Self::Set(elements) => elements.version_digest(),
            Self::Counter(counter) => counter.version_digest(),
            Self::Register(register) => register.version_digest(),
        }
    }

    /// The state as bytes, given the key it lives under. A vacant cell is no bytes at all.
    pub(crate) fn encode(&self, key: &[u8]) -> Bytes {
        if self.is_vacant() {
            return Bytes::default();
        }
        match self {
            Self::Document(document) => document.encode_for_key(key).into(),
            Self::Set(elements) => codec::encode_payload(&**elements).into(),
            Self::Counter(counter) => codec::encode_payload(counter).into(),
            Self::Register(register) => codec::encode_payload(register).into(),
        }
    }

    /// What to send a peer that holds `theirs`: of a document the versions it does not have, of other kinds the whole.
    pub(crate) fn answer_to(&self, theirs: &Self, key: &[u8]) -> Answer {
        match (self, theirs) {
            // Small cells are compared sooner than digested.
            (Self::Register(ours), Self::Register(theirs)) if ours == theirs => Answer::Nothing,
            (Self::Counter(ours), Self::Counter(theirs)) if ours == theirs => Answer::Nothing,
            (Self::Register(_), Self::Register(_)) | (Self::Counter(_), Self::Counter(_)) => Answer::Whole,
            _ if self.digest() == theirs.digest() => Answer::Nothing,
            // No bytes at all say that nothing is held here.
            (Self::Document(ours), Self::Document(theirs)) => {
                let versions = Self::Document(ours.delta_since(&theirs.digest())).encode(key);
                if versions.is_empty() && !ours.is_empty() {
                    Answer::Nothing
                } else {
                    Answer::Versions(versions)
                }
            }
            _ => Answer::Whole,
        }
    }

    /// The cell in bytes that came from a peer or a log.
    pub(crate) fn decode(
        kind: Kind,
        key: &[u8],
        bytes: &[u8],
        limits: &crdt_core::Limits,
    ) -> Result<Self, CellError> {
        if bytes.is_empty() {
            return Ok(Self::vacant(kind));
        }
        Ok(match kind {
            Kind::Document => Self::Document(Document::decode_for_key(key, bytes, limits)?),
            Kind::Set => Self::Set(tracked(codec::decode_payload(bytes, limits)?)),
            Kind::Counter => Self::Counter(codec::decode_payload(bytes, limits)?),
            Kind::Register => Self::Register(codec::decode_payload(bytes, limits)?),
        })
    }
}

/// What an entry changes, as a cell to join and the dots it speaks of.
pub(crate) fn effect_of(
    entry: &Entry,
    kind: Kind,
    dot: Dot,
    limits: &crdt_core::Limits,
) -> Result<(Cell, CausalContext), CellError> {
    let mut context = CausalContext::new();
    context.insert(dot);
    let cell = match (&entry.delta, kind) {
        (Delta::Document(versions), Kind::Document) => Cell::decode(kind, &entry.key, versions, limits)?,
        (Delta::SetAdd { element, superseded }, Kind::Set) => {
            let mut elements = ElementStore::new();
            elements.add(dot, element.clone());
            cover(&mut context, superseded);
            Cell::Set(Box::new(elements))
        }
        (Delta::SetRemove { dots, .. }, Kind::Set) => {
            cover(&mut context, dots);
            Cell::vacant(kind)
        }
        (Delta::Counter { incremented, decremented, raised, lowered }, Kind::Counter) => {
            if raised > incremented || lowered > decremented {
                return Err(CellError::ImpossibleAmount);
            }
            Cell::Counter(totals(dot.replica, *incremented, *decremented))
        }
        (Delta::Register(value), Kind::Register) => {
            Cell::Register(written(Stamp { time: entry.stamp, replica: dot.replica }, value.clone()))
        }
        _ => return Err(CellError::OtherKind { expected: kind }),
    };
    Ok((cell, context))
}

/// A set that lives on keeps its digest current, so that a write to a large one costs what it changes.
fn tracked(mut elements: ElementStore<Bytes>) -> Box<ElementStore<Bytes>> {
    elements.track_digest();
    Box::new(elements)
}

fn cover(context: &mut CausalContext, dots: &[Dot]) {
    let _ = context.merge(&dots.iter().copied().collect());
}

fn totals(origin: ReplicaId, incremented: u64, decremented: u64) -> PnCounter {
    let counted = |amount| GCounter::from_entries([(origin, amount)]);
    PnCounter::from_parts(counted(incremented), counted(decremented))
}

/// A register that was written once.
fn written(stamp: Stamp, value: Option<Bytes>) -> LwwRegister<Bytes> {
    let mut register = LwwRegister::default();
    // An empty register has no stamp that a write could fall behind.
    let _ = match value {
        Some(value) => register.set(stamp, value),
        None => register.clear(stamp),
    };
    register
}
