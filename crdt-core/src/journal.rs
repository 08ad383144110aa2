//! Recent changes kept in order, so that what came after a point is found without looking at the state.

use alloc::collections::VecDeque;
use core::ops::Deref;

use crate::{Change, Crdt, DeltaCrdt, MergeError, ReplicaId, TryMerge};

/// A state that remembers its last changes as deltas.
///
/// [`delta_since`](DeltaCrdt::delta_since) compares a state with a digest, which costs a look at everything a digest
/// says. Whoever sends changes to the same peers all the time need not compare: a peer that has received all up to a
/// [`Cursor`] lacks exactly what came after it. That costs the changes since and nothing else.
///
/// The journal is bounded. A peer that stayed away too long, and one of another journal, gets a typed error instead of
/// half the truth; then a digest serves, as at first contact.
///
/// Entries know who they came from, so that a peer is not sent its own changes back.
///
/// ```
/// use crdt_core::{Journaled, OrSet, ReplicaId, Writer};
///
/// let ann = Writer::unchecked(ReplicaId::from_u128(1));
/// let mut list = Journaled::new(OrSet::default(), 1_000);
/// list.change(|set| set.add(ann, "milk"))?;
///
/// let sent = list.cursor();
/// list.change(|set| set.add(ann, "rice"))?;
/// list.change(|set| Ok::<_, crdt_core::DotsExhausted>(set.remove("milk")))?;
///
/// let news = list.since(sent, None)?;
/// assert!(news.contains("rice") && news.len() == 1, "and the removal");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// Source: the delta buffer of Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), with the origins
/// of Enes, Almeida, Baquero, Leitão, "Efficient Synchronization of State-based CRDTs" (2019).
#[derive(Clone, Debug)]
pub struct Journaled<T> {
    state: T,
    entries: VecDeque<Entry<T>>,
    /// The number of the oldest entry.
    first: u64,
    capacity: usize,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    delta: T,
    from: Option<ReplicaId>,
}

/// A place in one journal: how many changes came before it.
///
/// It lives as long as the journal does, which is in memory: after a restart begin with a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(u64);

/// The journal does not reach back to a cursor, or has not come to it: changes were dropped since, or the cursor is of
/// another journal. Bring the peer up to date by its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal has changes {oldest} to {newest} and the cursor is at {cursor}; compare by digest instead"
)]
pub struct CursorOutOfReach {
    /// The cursor.
    pub cursor: u64,
    /// The first change still held.
    pub oldest: u64,
    /// The number of the next change.
    pub newest: u64,
}

impl<T> Journaled<T> {
    /// A journal of at most `capacity` changes beside `state`, none of them yet.
    pub const fn new(state: T, capacity: usize) -> Self {
        Self { state, entries: VecDeque::new(), first: 0, capacity }
    }

    /// The state. Also by `Deref`.
    pub const fn state(&self) -> &T {
        &self.state
    }

    /// Gives up the journal and keeps the state.
    pub fn into_state(self) -> T {
        self.state
    }

    /// The place behind the last change: what to remember of a peer that now has everything.
    pub fn cursor(&self) -> Cursor {
        Cursor(self.first + self.entries.len() as u64)
    }

    /// How many changes are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no change is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn note(&mut self, delta: T, from: Option<ReplicaId>) {
        self.entries.push_back(Entry { delta, from });
        while self.entries.len() > self.capacity {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

impl<T: Crdt> Journaled<T> {
    /// Changes the state by a mutator and notes the delta it hands back, unless that is bottom or an error.
    ///
    /// The closure must hand back the delta of all it does; what it hides, no peer will be told.
    pub fn change<E>(&mut self, mutate: impl FnOnce(&mut T) -> Result<T, E>) -> Result<(), E> {
        let delta = mutate(&mut self.state)?;
        if !delta.is_bottom() {
            self.note(delta, None);
        }
        Ok(())
    }

    /// Merges a delta from a peer and notes it, if it changed anything, as that peer's. O(size of the delta).
    pub fn merge_delta(&mut self, delta: T, from: Option<ReplicaId>) -> Change {
        let change = self.state.merge(&delta);
        if change.is_changed() {
            self.note(delta, from);
        }
        change
    }

    /// Everything that came after `cursor`, as one delta, without what came from `except`. O(changes since).
    pub fn since(&self, cursor: Cursor, except: Option<ReplicaId>) -> Result<T, CursorOutOfReach> {
        let newest = self.cursor().0;
        let out_of_reach = CursorOutOfReach { cursor: cursor.0, oldest: self.first, newest };
        if !(self.first..=newest).contains(&cursor.0) {
            return Err(out_of_reach);
        }
        // Within the journal's length, which is a `usize`.
        let skipped = usize::try_from(cursor.0 - self.first).map_err(|_| out_of_reach)?;
        let news = self.entries.range(skipped..);
        let wanted = news.filter(|entry| entry.from.is_none() || entry.from != except);
        Ok(wanted.fold(T::default(), |group, entry| group.merged(&entry.delta)))
    }
}

impl<T: DeltaCrdt> Journaled<T> {
    /// Merges a whole state, or a delta that may hold much that is known, and notes only what was new.
    ///
    /// Costs a [`digest`](DeltaCrdt::digest) and a [`delta_since`](DeltaCrdt::delta_since) of `other` besides the
    /// merge.
    pub fn merge_state(&mut self, other: &T, from: Option<ReplicaId>) -> Change {
        let news = other.delta_since(&self.state.digest());
        self.merge_delta(news, from)
    }
}

impl<T: TryMerge> Journaled<T> {
    /// [`merge_delta`](Self::merge_delta) for foreign input: see [`TryMerge`].
    pub fn try_merge_delta(
        &mut self,
        delta: T,
        me: ReplicaId,
        from: Option<ReplicaId>,
    ) -> Result<Change, MergeError> {
        self.state.check_merge(&delta, me)?;
        Ok(self.merge_delta(delta, from))
    }
}

impl<T> Deref for Journaled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}
