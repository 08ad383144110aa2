//! Joining two sets: what changes is found page by page, then done element by element.

use alloc::vec::Vec;
use core::hash::Hash;

use smallvec::SmallVec;

use super::ElementStore;
use super::pages::{Beside, LiveDots, Masks, narrow};
use super::rows::Row;
use crate::hashing::hash_one;
use crate::{CausalContext, Change, Dot, ReplicaId};

/// A dot that is alive, and the slot of its element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    /// The number of its replica in the store it is alive in.
    row: u32,
    counter: u64,
    slot: u32,
}

/// Few changes, as a delta brings, need no allocation.
type Changes = SmallVec<[Live; 2]>;

/// What a join changes.
#[derive(Default)]
pub(super) struct Plan {
    /// Alive here, removed there.
    losses: Changes,
    /// Alive there, never seen here.
    gains: Changes,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.gains.is_empty()
    }
}

/// From this many gains on, elements are appended first and indexed together.
const BULK: usize = 256;

/// Rows and pages for fewer gains are made as they are met.
const FEW: usize = 16;

impl<T> ElementStore<T> {
    /// What joining `other` would change here.
    ///
    /// Looks at the replicas `other_context` names, or at those with live dots on either side, whichever are fewer; of
    /// each at the pages its ranges meet. With `skip_equal`, a replica of which both sides have seen the same and whose
    /// fingerprints agree is left out.
    pub(super) fn plan(
        &self,
        context: &CausalContext,
        other: &Self,
        other_context: &CausalContext,
        skip_equal: bool,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut look_at = |id: ReplicaId, ours: Option<(u32, &Row)>, theirs: Option<(u32, &Row)>| {
            let (known, claimed) = (context.ranges_of(id), other_context.ranges_of(id));
            let live =
                |row: Option<(u32, &Row)>| row.map_or((0, 0), |(_, row)| (row.pages.len(), row.fingerprint));
            if skip_equal && live(ours) == live(theirs) && known == claimed {
                return;
            }
            let none = LiveDots::default();
            let number = |row: Option<(u32, &Row)>| row.map_or(0, |(number, _)| number);
            let (our_number, their_number) = (number(ours), number(theirs));
            let mut seen = Masks::new(known);
            let our_pages = ours.map_or(&none, |(_, row)| &row.pages);
            let their_pages = theirs.map_or(&none, |(_, row)| &row.pages);
            our_pages.beside(their_pages, claimed, |page: Beside<'_>| {
                let (ours, theirs) = (page.ours(), page.theirs());
                let lost = ours & !theirs;
                if lost != 0 {
                    let slots = page.our_slots(lost);
                    plan.losses.extend(slots.map(|(counter, slot)| Live { row: our_number, counter, slot }));
                }
                let mut gained = theirs & !ours;
                if gained != 0 {
                    gained &= !seen.of(page.key);
                    let slots = page.their_slots(gained);
                    plan.gains.extend(slots.map(|(counter, slot)| Live { row: their_number, counter, slot }));
                }
            });
        };
        if other_context.replica_count() <= self.rows.count() + other.rows.count() {
            for (id, _) in other_context.by_replica() {
                look_at(id, self.rows.numbered_at(id), other.rows.numbered_at(id));
            }
        } else {
            for (number, row) in self.rows.numbered() {
                look_at(row.id, Some((number, row)), other.rows.numbered_at(row.id));
            }
            for (number, row) in other.rows.numbered() {
                if self.rows.numbered_at(row.id).is_none() {
                    look_at(row.id, None, Some((number, row)));
                }
            }
        }
        plan
    }

    /// The live dots that `context` has not seen.
    pub(super) fn unseen(&self, context: &CausalContext) -> Vec<Live> {
        let mut unseen = Vec::new();
        let none = LiveDots::default();
        for (number, row) in self.rows.numbered() {
            for gap in gaps(context.ranges_of(row.id)) {
                row.pages.beside(&none, &[gap], |page| {
                    let slots = page.our_slots(page.ours());
                    unseen.extend(slots.map(|(counter, slot)| Live { row: number, counter, slot }));
                });
            }
        }
        unseen
    }
}

impl<T: PartialEq> ElementStore<T> {
    /// A dot that is alive on both sides with different elements, if there is one.
    pub(super) fn disagreement(&self, other: &Self) -> Option<Dot> {
        let forked = self.forked(other, 1);
        forked.first().and_then(|live| Dot::new(self.rows.get(live.row).id, live.counter))
    }

    /// The dots that are alive on both sides with different elements, up to a limit.
    fn forked(&self, other: &Self, limit: usize) -> Changes {
        let everything = [crate::clock::Range { start: 1, end: u64::MAX }];
        let mut forked = Changes::new();
        for row in other.rows.iter() {
            let Some((number, ours)) = self.rows.numbered_at(row.id) else { continue };
            // A small side against a large one: only the pages of the small one.
            let ranges = row.pages.ranges();
            let ranges = if row.pages.len() < ours.pages.len() { &ranges[..] } else { &everything };
            ours.pages.beside(&row.pages, ranges, |page| {
                if forked.len() < limit {
                    let both = page.ours() & page.theirs();
                    let pairs = page.our_slots(both).zip(page.their_slots(both));
                    let differ =
                        pairs.filter(|&((_, ours), (_, theirs))| !self.same_element(ours, other, theirs));
                    forked.extend(differ.map(|((counter, slot), _)| Live { row: number, counter, slot }));
                }
            });
        }
        forked
    }
}

impl<T: Eq + Hash + Clone> ElementStore<T> {
    /// Drops the dots that have one element here and another in `other`, and says whether there were any.
    ///
    /// No honest replica uses a dot twice, and a join does not look for such: it keeps what each side has, so that they
    /// never agree. Where a state may be forged, call this before joining it: both sides then drop the dot, and agree.
    /// Costs a comparison for each dot that is alive on both sides.
    pub fn drop_forks(&mut self, other: &Self) -> Change {
        let forked = self.forked(other, usize::MAX);
        if forked.is_empty() {
            return Change::Unchanged;
        }
        self.apply(&Plan { losses: forked, gains: Changes::new() }, other);
        Change::Changed
    }

    /// Does what [`plan`](Self::plan) found.
    pub(super) fn apply(&mut self, plan: &Plan, other: &Self) {
        let orphans = self.lose(&plan.losses);
        self.make_room(&plan.gains, other);
        if plan.gains.len() < BULK {
            self.gain_each(&plan.gains, other);
        } else {
            self.gain_all(&plan.gains, other);
        }
        for (hash, slot) in orphans {
            // One that gained a dot again is an element like any other.
            if self.arena.is_orphan(slot) {
                self.arena.release(hash, slot);
            }
        }
        self.pack_if_sparse();
    }

    /// A store of the given dots of this one.
    pub(super) fn part(&self, live: &[Live]) -> Self {
        let mut part = Self::new();
        part.apply(&Plan { losses: Changes::new(), gains: SmallVec::from_slice(live) }, self);
        part
    }

    /// Takes dots out; elements without any are left as orphans, for a gain may follow.
    fn lose(&mut self, losses: &[Live]) -> SmallVec<[(u64, u32); 2]> {
        // All hashes first: the processor fetches many elements at a time when nothing depends on them yet.
        let hashes: SmallVec<[u64; 2]> =
            losses.iter().map(|loss| hash_one(self.arena.element(loss.slot))).collect();
        let mut orphans = SmallVec::new();
        for (loss, hash) in losses.iter().zip(hashes) {
            let dot = (loss.row, loss.counter);
            self.unlink(hash, loss.slot, dot);
            self.arena.remove_dot(loss.slot, dot);
            if self.arena.is_orphan(loss.slot) {
                orphans.push((hash, loss.slot));
            }
        }
        orphans
    }

    /// Rows and pages for what is about to come, which is sorted by replica and counter.
    fn make_room(&mut self, gains: &[Live], other: &Self) {
        if gains.len() < FEW {
            return;
        }
        let runs = || gains.chunk_by(|a, b| a.row == b.row);
        self.rows.number_all(runs().map(|run| other.rows.get(run[0].row).id));
        for run in runs() {
            let number = self.rows.number_of(other.rows.get(run[0].row).id);
            self.rows.get_mut(number).pages.make_room(run.iter().map(|gain| gain.counter));
        }
    }

    fn gain_each(&mut self, gains: &[Live], other: &Self) {
        let hashes: SmallVec<[u64; 2]> =
            gains.iter().map(|gain| hash_one(other.arena.element(gain.slot))).collect();
        for (gain, hash) in gains.iter().zip(hashes) {
            let element = other.arena.element(gain.slot);
            let dot = (self.rows.number_of(other.rows.get(gain.row).id), gain.counter);
            let slot = match self.arena.find(hash, element) {
                Some(slot) => {
                    self.arena.add_dot(slot, dot);
                    slot
                }
                None => self.arena.insert(hash, element.clone(), dot),
            };
            self.link(hash, slot, dot);
        }
    }

    /// The same for many: appended in the order of their dots, then indexed in batches.
    fn gain_all(&mut self, gains: &[Live], other: &Self) {
        let from = self.arena.end();
        self.arena.reserve(gains.len());
        let mut hashes = Vec::with_capacity(gains.len());
        let mut row = (u32::MAX, 0);
        for gain in gains {
            if row.0 != gain.row {
                row = (gain.row, self.rows.number_of(other.rows.get(gain.row).id));
            }
            let element = other.arena.element(gain.slot);
            hashes.push(hash_one(element));
            self.arena.push(element.clone(), (row.1, gain.counter));
        }
        self.link_appended(from, &hashes);
    }
}

impl<T: Eq + Hash> ElementStore<T> {
    /// Indexes and links the elements that were appended to the arena from slot `from` on, in the order of their dots.
    pub(super) fn link_appended(&mut self, from: usize, hashes: &[u64]) {
        let mut doubles = self.arena.index_from(from, hashes).into_iter().peekable();
        for (slot, hash) in (from..).map(narrow).zip(hashes) {
            let (slot, dot) = match doubles.next_if(|double| double.slot == slot) {
                Some(double) => (double.first, double.dot),
                None => (slot, self.arena.first_dot(slot)),
            };
            self.link(*hash, slot, dot);
        }
    }
}

/// The counters that are in none of the ranges.
fn gaps(ranges: &[crate::clock::Range]) -> impl Iterator<Item = crate::clock::Range> {
    let starts = core::iter::once(Some(1)).chain(ranges.iter().map(|range| range.end.checked_add(1)));
    let ends = ranges.iter().map(|range| range.start - 1).chain(core::iter::once(u64::MAX));
    starts.zip(ends).filter_map(|(start, end)| {
        let start = start?;
        (start <= end).then_some(crate::clock::Range { start, end })
    })
}
