//! What peers say of forks is checked before any of it is taken in.
//!
//! A branch changes under which name a history is hashed. So a false one, once it is journaled, would make entries that
//! were right when they were taken wrong when they are read again. Nodes write under random identities, and a branch is
//! named by a hash that everybody can follow, so that nobody can pass another's identity off as a branch; and an
//! identity that was chosen to be one has to come first. Whoever names a branch names the cut where it begins with it.

use alloc::collections::{BTreeMap, BTreeSet};

use crdt_core::ReplicaId;

use super::fork::{Forks, branch_id};
use super::{ItemKey, Replica, RunError, check_position};
use crate::bytes::Bytes;
use crate::entry::Position;
use crate::limits::{Limits, MAX_CHECKPOINT_FRAME};
use crate::wire::{Branch, Cut, KnownForks, Run};

/// Bytes of all ceilings of a partition: with them a checkpoint still holds them in one frame.
const MAX_CEILING_BYTES: usize = MAX_CHECKPOINT_FRAME / 2;

/// How much is known of forks.
pub(super) struct Size {
    cuts: usize,
    /// Over all cuts.
    names: usize,
    branches: usize,
    /// Pairs of a key and an identity.
    ceilings: usize,
    ceiling_bytes: usize,
}

/// What is known together with what is said of it.
struct Joined<'a> {
    known: &'a Forks,
    branches: BTreeMap<ReplicaId, Branch>,
    /// Root and sequence of each cut.
    cuts: BTreeSet<(ReplicaId, u64)>,
}

impl Replica {
    /// Whether honest nodes can have come to know this of the forks of a partition.
    pub(super) fn check_claims(&self, number: u16, claims: &KnownForks) -> Result<(), RunError> {
        claims.cuts.iter().try_for_each(|(cut, _)| check_position(cut.after))?;
        let joined = Joined::of(&self.partition(number).forks, claims)?;
        for (id, branch) in &claims.branches {
            check_position(Position { sequence: branch.start, chain: branch.chain })?;
            if *id != branch_id(branch.root, number, branch.first()) {
                return Err(impossible("a branch under a name that does not follow from its first entry"));
            }
            joined.check_branch(*id, branch)?;
            if joined.known.start_of(*id).is_none() {
                self.check_is_nobody(number, *id)?;
            }
        }
        claims.cuts.iter().try_for_each(|(cut, within)| joined.check_cut(cut, within))
    }

    /// A branch that is new here is nobody's identity, and nothing came under its name before.
    fn check_is_nobody(&self, number: u16, branch: ReplicaId) -> Result<(), RunError> {
        let mut members = self.members.membership().iter();
        if branch == self.id || members.any(|(_, member)| member.replicas().any(|id| id == branch)) {
            return Err(impossible("a branch under the identity of a member"));
        }
        match self.partition(number).histories.get(branch) {
            Some(_) => Err(impossible("a branch under a name that has a history of its own")),
            None => Ok(()),
        }
    }
}

impl<'a> Joined<'a> {
    fn of(known: &'a Forks, claims: &KnownForks) -> Result<Self, RunError> {
        let mut branches = BTreeMap::new();
        for (id, branch) in &claims.branches {
            let known = known.branches.get(id).copied().or(branches.insert(*id, *branch));
            if known.is_some_and(|known| known != *branch) {
                return Err(impossible("two branches under one name"));
            }
        }
        let cuts = known.cuts.keys().chain(claims.cuts.iter().map(|(cut, _)| cut));
        let cuts = cuts.map(|cut| (cut.root, cut.after.sequence)).collect();
        Ok(Self { known, branches, cuts })
    }

    fn branch(&self, id: ReplicaId) -> Option<&Branch> {
        self.branches.get(&id).or_else(|| self.known.branches.get(&id))
    }

    fn check_branch(&self, id: ReplicaId, branch: &Branch) -> Result<(), RunError> {
        if id == branch.root || self.branch(branch.root).is_some() {
            Err(impossible("a branch of a branch"))
        } else if self.has_cuts(id) {
            Err(impossible("a branch under the name of a root"))
        } else if !self.cuts.contains(&(branch.root, branch.start)) {
            Err(impossible("a branch without the cut where it begins"))
        } else {
            Ok(())
        }
    }

    /// Cuts are named by roots, and pass through histories of their own root.
    fn check_cut(&self, cut: &Cut, within: &[ReplicaId]) -> Result<(), RunError> {
        let root_of = |name: ReplicaId| self.branch(name).map_or(name, |branch| branch.root);
        if within.iter().chain([&cut.root]).all(|name| root_of(*name) == cut.root) {
            Ok(())
        } else {
            Err(impossible("a cut through the history of another root"))
        }
    }

    fn has_cuts(&self, root: ReplicaId) -> bool {
        self.cuts.range((root, 0)..).next().is_some_and(|(first, _)| *first == root)
    }
}

impl Size {
    /// Whoever knows more could not tell it to others: they bound what they hear alike.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), RunError> {
        let is_within = self.cuts <= limits.max_forks
            && self.names.max(self.branches) <= limits.max_origins
            && self.ceilings <= limits.max_context_ranges
            && self.ceiling_bytes <= MAX_CEILING_BYTES;
        if is_within { Ok(()) } else { Err(RunError::TooManyForks { limit: limits.max_forks }) }
    }
}

impl Forks {
    fn size(&self) -> Size {
        let ceilings = self.ceilings.iter();
        let bytes = ceilings.map(|(item, ceilings)| ceilings.len() * ceiling_bytes(&item.key));
        Size {
            cuts: self.cuts.len(),
            names: self.cuts.values().map(BTreeSet::len).sum(),
            branches: self.branches.len(),
            ceilings: self.ceilings.values().map(BTreeMap::len).sum(),
            ceiling_bytes: bytes.sum(),
        }
    }

    /// How much will be known once this is taken in.
    pub(super) fn size_with(&self, claims: &KnownForks) -> Size {
        let mut size = self.size();
        let (mut cuts, mut names) = (BTreeSet::<&Cut>::new(), BTreeSet::new());
        for (cut, within) in &claims.cuts {
            let known = self.cuts.get(cut);
            if known.is_none() {
                cuts.insert(cut);
            }
            let is_new = |name: &&ReplicaId| known.is_none_or(|known| !known.contains(*name));
            names.extend(within.iter().filter(is_new).map(|name| (cut, name)));
        }
        let branches = claims.branches.iter().map(|(id, _)| id).filter(|id| !self.branches.contains_key(*id));
        size.cuts += cuts.len();
        size.names += names.len();
        size.branches += branches.collect::<BTreeSet<_>>().len();
        let mut ceilings = BTreeSet::new();
        for ceiling in &claims.ceilings {
            let item = ItemKey { collection: ceiling.collection, key: ceiling.key.clone() };
            let is_known = self.ceilings.get(&item).is_some_and(|known| known.contains_key(&ceiling.segment));
            if !is_known && ceilings.insert((item, ceiling.segment)) {
                size.ceilings += 1;
                size.ceiling_bytes += ceiling_bytes(&ceiling.key);
            }
        }
        size
    }

    /// The most that will be known once a history is divided with these entries.
    pub(super) fn size_when_divided(&self, run: &Run) -> Size {
        let mut size = self.size();
        size.branches += 1;
        // The branch may go on through cuts higher up, and each entry may count under another key.
        size.names += self.cuts_above(run.origin, run.after.sequence).count();
        size.ceilings += run.entries.len();
        size.ceiling_bytes += run.entries.iter().map(ceiling_bytes).sum::<usize>();
        size
    }
}

/// What a ceiling takes with a key, or with the key of an entry, at most.
fn ceiling_bytes(key: &Bytes) -> usize {
    key.len() + 64
}

fn impossible(what: &'static str) -> RunError {
    RunError::ImpossibleFork { what }
}
