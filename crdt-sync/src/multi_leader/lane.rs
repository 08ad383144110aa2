//! A lane: what this node knows of one peer in one partition.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use core::time::Duration;

use crdt_core::{CausalContext, Dot, ReplicaId};
use replication_log::Lsn;

use crate::entry::Position;
use crate::history::{Histories, History};
use crate::limits::Timing;
use crate::merkle::Root;
use crate::replica::Partition;
use crate::time::Instant;
use crate::wire::{Frontier, OriginStatus};

/// How far a peer is, how far it was sent, and what it must still be told.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Lane {
    /// Which of the two sides hold all of the data.
    pub(super) meeting: Meeting,
    /// What the peer said last; nothing is sent before it spoke.
    theirs: Option<BTreeMap<ReplicaId, OriginStatus>>,
    /// Per origin the last sequence sent, ahead of what is acknowledged.
    sent: BTreeMap<ReplicaId, u64>,
    /// When something was sent or acknowledged last.
    pub(super) progressed: Instant,
    /// The peer sent entries that were not taken, and must be told.
    pub(super) must_rewind: bool,
    /// The last record of this node's log when the peer was asked to send again: once is enough for one state.
    pub(super) rewind_asked: Option<Lsn>,
    /// Identities whose next entry came from the peer before what it rests on.
    pub(super) early: BTreeMap<ReplicaId, Early>,
    /// Entries arrived from the peer, and it is told when they are durable.
    pub(super) owes_acknowledgement: bool,
    /// Identities of which the two sides hold different histories.
    pub(super) forked: BTreeSet<ReplicaId>,
    /// Identities of which this node takes no more from the peer, which is not allowed to pass their entries on.
    pub(super) refused: BTreeSet<ReplicaId>,
    /// Identities of which the peer said that it takes no more from this node.
    pub(super) unwanted: BTreeSet<ReplicaId>,
    /// Forked identities that cannot be healed with the peer.
    pub(super) hopeless: BTreeSet<ReplicaId>,
    /// The two sides know different forks, or one of them could not carry out what it knows.
    pub(super) at_odds: bool,
    /// It was told that forks keep a partial replica from the other side.
    pub(super) fenced: bool,
    /// Branches of which the peer holds less, and this node cannot tell whether it is the beginning of the same.
    pub(super) unproven: BTreeSet<ReplicaId>,
    /// Since when there have been some.
    pub(super) unproven_since: Option<Instant>,
    /// Identities of which the peer sent entries from above their end.
    pub(super) burnt: BTreeSet<ReplicaId>,
    /// When the peer was told of forks last.
    pub(super) forks_told: Option<Instant>,
    /// The root both sides had when they compared theirs last and found them equal.
    pub(super) agreed: Option<Root>,
    /// The last record of this node's log when both sides were last reported to be level.
    pub(super) reported_level: Option<Lsn>,
    /// No session is opened with the peer before this time: the last ones did not bring the two sides together.
    pub(super) not_before: Instant,
    /// How many sessions in a row did not.
    failures: u32,
    /// The number of the session the peer opened last.
    pub(super) last_session: u64,
    /// When the peer was told anything of this partition last.
    pub(super) told: Instant,
    /// The heads the peer was told last.
    pub(super) advertised: Option<Vec<(ReplicaId, Position)>>,
    /// As of what, and when, the peer was told last how far members are.
    pub(super) rows_told: Option<RowsTold>,
    /// Both sides were found to know the same of that.
    pub(super) agreed_rows: bool,
    /// A planted mistake: what lies below a floor does not count as missing.
    #[cfg(feature = "_planted_bugs")]
    pub(super) ignores_floors: bool,
}

/// Which of two sides hold all of the data: at least one of them does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    /// The peer does.
    pub(super) whole: bool,
    /// This node does.
    pub(super) with_whole: bool,
}

impl Meeting {
    /// Whether one of the two is a partial replica.
    pub(super) const fn is_partial(self) -> bool {
        !self.whole || !self.with_whole
    }
}

/// An entry that came too early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    /// A dot that it names and that is not known here.
    missing: Dot,
    since: Instant,
    /// It has been waited for long enough: a session shows what it rests on.
    in_vain: bool,
}

/// What a peer was told last of how far members are.
#[derive(Debug)]
pub(super) struct RowsTold {
    /// The version of the rows.
    pub(super) version: u64,
    /// This node's own heads.
    pub(super) heads: Vec<(ReplicaId, Position)>,
    /// When.
    pub(super) at: Instant,
}

/// How the two sides of a lane compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Entries the peer has and this node lacks.
    pub(super) missing_here: u64,
    /// Entries this node has and the peer lacks.
    pub(super) missing_there: u64,
    /// Some of them lie below the floor of the side that has them.
    pub(super) unservable: bool,
    /// Some origin is known to both sides: they have met before, directly or through others.
    pub(super) met: bool,
}

impl Lane {
    pub(super) fn new(now: Instant, meeting: Meeting) -> Self {
        Self {
            meeting,
            theirs: None,
            sent: BTreeMap::new(),
            progressed: now,
            must_rewind: false,
            told: now,
            rewind_asked: None,
            early: BTreeMap::new(),
            owes_acknowledgement: false,
            forked: BTreeSet::new(),
            refused: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            hopeless: BTreeSet::new(),
            at_odds: false,
            fenced: false,
            unproven: BTreeSet::new(),
            unproven_since: None,
            burnt: BTreeSet::new(),
            forks_told: None,
            agreed: None,
            reported_level: None,
            not_before: now,
            failures: 0,
            last_session: 0,
            advertised: None,
            rows_told: None,
            agreed_rows: false,
            #[cfg(feature = "_planted_bugs")]
            ignores_floors: false,
        }
    }

    /// The peer said how far it is.
    pub(super) fn learn(&mut self, frontier: &Frontier, now: Instant) {
        let theirs: BTreeMap<_, _> = frontier.origins.iter().map(|status| (status.origin, *status)).collect();
        if frontier.rewind {
            self.sent.clear();
        }
        self.refused.remove(&frontier.writer);
        self.unwanted = frontier.refused.iter().copied().collect();
        let unwanted = &self.unwanted;
        self.sent.retain(|origin, _| !unwanted.contains(origin));
        if self.theirs.as_ref() != Some(&theirs) {
            self.progressed = now;
        }
        self.theirs = Some(theirs);
    }

    /// A session brought the peer at least this far; its next word says so itself, or corrects it.
    pub(super) fn assume(&mut self, heads: &[(ReplicaId, Position)]) {
        let whole = self.meeting.whole;
        let theirs = self.theirs.get_or_insert_default();
        for &(origin, head) in heads {
            let status =
                theirs.entry(origin).or_insert(OriginStatus { origin, floor: head.sequence, head, whole });
            if status.head.sequence < head.sequence {
                status.head = head;
            }
        }
    }

    /// A session ended. After one that was not complete the next waits, longer each time, up to a hundred heartbeats;
    /// meanwhile entries flow as far as they are held.
    pub(super) fn take_turns(&mut self, complete: bool, now: Instant, heartbeat: Duration) {
        self.failures = if complete { 0 } else { self.failures.saturating_add(1) };
        self.not_before = match self.failures {
            0 => now,
            failures => now + heartbeat * (1 << failures.min(7)) * 3 / 4,
        };
    }

    /// Whether sessions with the peer have failed lately, so that entries must do.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// The next entry of an origin names a dot that is not known here. More than `limit` of them are not remembered;
    /// they are tried again when they are sent again.
    pub(super) fn await_dot(&mut self, origin: ReplicaId, missing: Dot, now: Instant, limit: usize) {
        let known = self.early.get(&origin).is_some_and(|early| early.missing == missing);
        if !known && self.early.len() < limit {
            self.early.insert(origin, Early { missing, since: now, in_vain: false });
        }
    }

    /// Forgets the entries that no longer come too early; returns whether there were any.
    pub(super) fn wake_early(&mut self, seen: &CausalContext) -> bool {
        let before = self.early.len();
        self.early.retain(|_, early| !seen.contains(early.missing));
        self.early.len() < before
    }

    /// What came too early, and has waited for this long, needs a session.
    pub(super) fn tire(&mut self, now: Instant, patience: Duration) {
        for early in self.early.values_mut() {
            early.in_vain |= now.since(early.since) >= patience;
        }
    }

    /// Nothing was acknowledged for too long: what was sent counts as lost.
    pub(super) fn rewind(&mut self, now: Instant) {
        self.sent.clear();
        self.progressed = now;
    }

    /// What was sent of these origins is not waited for any more.
    pub(super) fn forget_sent(&mut self, gone: impl Fn(ReplicaId) -> bool) {
        self.sent.retain(|origin, _| !gone(*origin));
    }

    /// Whether both sides have the same entries, and compared what they hold since it last changed here.
    pub(super) fn is_level(&self, partition: &Partition) -> bool {
        self.is_sound()
            && (self.meeting.is_partial() || self.agreed == Some(partition.cells.root()))
            && self.gap(&partition.histories).is_some_and(Gap::is_closed)
    }

    /// Whether the peer says that it has all entries of an origin up to its head.
    pub(super) fn holds_whole(&self, origin: ReplicaId) -> bool {
        self.meeting.whole || self.status(origin).is_some_and(|status| status.whole)
    }

    /// The last sequence of an origin that the peer has, as it says.
    pub(super) fn acknowledged(&self, origin: ReplicaId) -> u64 {
        self.status(origin).map_or(0, |status| status.head.sequence)
    }

    /// The last sequence of an origin that the peer has or was sent.
    pub(super) fn cursor(&self, origin: ReplicaId) -> u64 {
        self.acknowledged(origin).max(self.sent.get(&origin).copied().unwrap_or(0))
    }

    pub(super) fn sent_up_to(&mut self, origin: ReplicaId, sequence: u64, now: Instant) {
        self.sent.insert(origin, sequence);
        self.progressed = now;
    }

    /// Whether something was sent that is not acknowledged.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.sent.iter().any(|(origin, sent)| *sent > self.acknowledged(*origin))
    }

    /// Bytes sent and not acknowledged.
    pub(super) fn in_flight(&self, histories: &Histories) -> usize {
        let bytes_of = |(&origin, &sent): (&ReplicaId, &u64)| {
            let from = self.acknowledged(origin);
            let entries = histories.get(origin).and_then(|history| history.after(from))?;
            let count = usize::try_from(sent.saturating_sub(from)).unwrap_or(usize::MAX);
            Some(entries.take(count).map(|entry| entry.bytes.len()).sum::<usize>())
        };
        self.sent.iter().filter_map(bytes_of).sum()
    }

    /// How the two sides compare; `None` before the peer spoke. O(origins): one walk over both sides, because it is
    /// asked for each lane whenever the log became durable.
    pub(super) fn gap(&self, histories: &Histories) -> Option<Gap> {
        let mut theirs = self.theirs.as_ref()?.values().peekable();
        let mut gap = Gap::default();
        for (origin, history) in histories.iter() {
            while let Some(status) = theirs.next_if(|status| status.origin < origin) {
                self.add_missing_here(status, 0, &mut gap);
            }
            let status = theirs.next_if(|status| status.origin == origin);
            let (here, there) = (history.head().sequence, status.map_or(0, |status| status.head.sequence));
            if let Some(status) = status {
                self.add_missing_here(status, here, &mut gap);
            }
            if self.is_counted(origin, histories) {
                let missing = here.saturating_sub(there);
                gap.missing_there = gap.missing_there.saturating_add(missing);
                gap.unservable |= missing > 0 && there < history.served_from().sequence;
            }
        }
        theirs.for_each(|status| self.add_missing_here(status, 0, &mut gap));
        #[cfg(feature = "_planted_bugs")]
        if self.ignores_floors {
            gap.unservable = false;
        }
        Some(gap)
    }

    /// What the peer has of an origin beyond what is held here.
    fn add_missing_here(&self, status: &OriginStatus, here: u64, gap: &mut Gap) {
        if self.forked.contains(&status.origin) {
            return;
        }
        // What the peer holds of others within its scope is no use for counting.
        let missing = if status.whole { status.head.sequence.saturating_sub(here) } else { 0 };
        gap.missing_here = gap.missing_here.saturating_add(missing);
        gap.unservable |= missing > 0
            && (here < status.floor || self.early.get(&status.origin).is_some_and(|early| early.in_vain));
        gap.met |= here > 0 && status.head.sequence > 0;
    }

    /// The histories by which it is counted what the peer lacks.
    pub(super) fn counted<'h>(
        &'h self,
        histories: &'h Histories,
    ) -> impl Iterator<Item = (ReplicaId, &'h History)> {
        histories.iter().filter(|(origin, _)| self.is_counted(*origin, histories))
    }

    fn is_counted(&self, origin: ReplicaId, histories: &Histories) -> bool {
        !self.forked.contains(&origin) && histories.is_whole(origin)
    }

    /// Whether comparing trees is the only way to close the gap, or the cheaper one, and can be done.
    ///
    /// Two sides that never met may hold much the same, so a session is tried for less.
    pub(super) fn calls_for_session(&self, gap: Gap, timing: &Timing) -> bool {
        let longest = gap.missing_here.max(gap.missing_there);
        let shortest = gap.missing_here.min(gap.missing_there);
        let first_contact = !gap.met && shortest > timing.first_contact_entries;
        self.is_sound() && (gap.unservable || first_contact || longest > timing.catch_up_entries)
    }

    fn status(&self, origin: ReplicaId) -> Option<&OriginStatus> {
        self.theirs.as_ref()?.get(&origin)
    }
}

impl Gap {
    /// Whether both sides have the same entries.
    pub(super) fn is_closed(self) -> bool {
        self.missing_here == 0 && self.missing_there == 0
    }
}
