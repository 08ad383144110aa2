//! A command: what it did, what became of it, and which entries it is.

use conflict_store::VersionId;
use crdt_core::{Dot, ReplicaId, Stamp};
use crdt_sync::{Bytes, ItemKey, RequestId};

use crate::lineage::{Known, Lineage, Place};

/// What one command changed at one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Elements came under new dots; dots that were there are gone. All dots are those under which they were written.
    Elements { added: Vec<(Bytes, Dot)>, removed: Vec<(Bytes, Dot)> },
    /// The origin counted.
    Amounts { up: u64, down: u64 },
    /// The register was written.
    Register { stamp: Stamp, value: Option<Bytes> },
    /// The document has these versions, each with its parents.
    Versions(Vec<(VersionId, Vec<VersionId>)>),
}

/// What is known of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was made in memory; whether it lasts is open.
    Open,
    /// The client was told that it is durable.
    Acknowledged,
    /// The node went down and came up without it.
    Gone,
}

/// One command, from the moment it was made in memory.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about what became of it")]
pub(crate) struct Command {
    pub(crate) node: usize,
    pub(crate) request: RequestId,
    pub(crate) fate: Fate,
    /// Somebody read what it did, so it must last as if it had been acknowledged.
    pub(crate) shown: bool,
    /// Its node lost its disk since, so that what the node comes up with says nothing of it.
    pub(crate) orphaned: bool,
    /// Some of its entries were nowhere else when that happened.
    pub(crate) at_risk: bool,
    /// Some of its entries are gone, so that nobody can say what must be left of it.
    pub(super) smudged: bool,
    /// Its node was retired and shut down, which looked last at the disk of this number. What is not spread ends there.
    pub(super) last_look: Option<usize>,
    /// It lies beyond the end of its retired identity; nobody merges it. Its states may be here and there, from
    /// sessions that were given up.
    pub(crate) beyond: bool,
    /// It was to be made again by the node in the place of the retired one.
    pub(super) made_again: bool,
    /// It makes again what a retired node wrote.
    pub(super) is_replay: bool,
    /// The command whose entries these are, too, to the byte: a clone wrote the same at the same place.
    pub(super) twin_of: Option<usize>,
    pub(crate) facts: Vec<(ItemKey, Fact)>,
    /// Under which identity it was written.
    pub(crate) origin: ReplicaId,
    pub(super) entries: Vec<Place>,
}

/// How much of a command a node came up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survival {
    Whole,
    Torn,
    Nothing,
}

impl Command {
    /// The command of an identity that became these entries.
    pub(crate) fn new(node: usize, request: RequestId, origin: ReplicaId, entries: Vec<Place>) -> Self {
        Self {
            node,
            request,
            fate: Fate::Open,
            shown: false,
            orphaned: false,
            at_risk: false,
            smudged: false,
            last_look: None,
            beyond: false,
            made_again: false,
            is_replay: false,
            twin_of: None,
            facts: Vec::new(),
            origin,
            entries,
        }
    }

    /// The places of its entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Place> {
        self.entries.iter().copied()
    }

    /// How many entries it became.
    pub(crate) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Whether its node promised somebody that it lasts.
    pub(crate) fn is_promised(&self) -> bool {
        (self.fate == Fate::Acknowledged || self.shown) && !self.at_risk
    }

    /// Whether it was made at this node, on the disk that the node has now.
    pub(crate) fn is_at(&self, node: usize) -> bool {
        self.node == node && !self.orphaned
    }

    /// Whether it has entries among those on the way to a place, above a number.
    pub(super) fn is_among(&self, lost_above: u64, head: Place, lineage: &Lineage) -> bool {
        let is_lost = |entry: &Place| entry.sequence > lost_above && lineage.leads_to(*entry, head);
        self.entries.iter().any(is_lost)
    }

    /// The earliest stamp it gave out.
    pub(crate) fn first_stamp(&self) -> Option<Stamp> {
        self.stamps().min()
    }

    pub(super) fn stamps(&self) -> impl Iterator<Item = Stamp> {
        self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Register { stamp, .. } => Some(*stamp),
            _ => None,
        })
    }

    /// Whether a node knows all of it.
    pub(crate) fn is_whole(&self, known: &Known<'_>) -> bool {
        self.survival(known) == Survival::Whole
    }

    /// How much of it a node knows. A command without entries changed nothing and is whole.
    pub(crate) fn survival(&self, known: &Known<'_>) -> Survival {
        if self.entries.iter().all(|entry| known.holds(*entry)) {
            Survival::Whole
        } else if !self.entries.iter().any(|entry| known.holds(*entry)) {
            Survival::Nothing
        } else {
            Survival::Torn
        }
    }
}
