//! What the engine does about conflicts: it says that they are there, and lets rules end them where that is wanted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::{Context, Event};
use crate::replica::{ItemKey, Replica};
use crate::time::Instant;

/// Documents whose rules are going to end their conflicts.
///
/// Whoever sees a conflict first writes what the rule makes of it. Nodes that do so at the same time and see the same
/// write one version. Nodes that see different parts of it write different versions, which are in conflict again, and
/// if frames took as long as the rules they could go on like this for ever. So the more often in a row rules have
/// written what is in conflict now, the longer the next one waits, twice as long each time: as soon as that is longer
/// than frames take, all see the same.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    due: BTreeSet<(Instant, ItemKey)>,
    by_item: BTreeMap<ItemKey, Instant>,
}

impl Settling {
    /// What was in conflict when the node stopped is due soon. Not at once: a node whose past is doubtful is told so
    /// right after it was opened, and must not have written under its old identity by then.
    pub(crate) fn resume(now: Instant, replica: &Replica) -> Self {
        let mut settling = Self::default();
        let soon = now + replica.config.timing.heartbeat;
        for item in replica.contested(&replica.config.settled) {
            settling.schedule(item, soon);
        }
        settling
    }

    /// After every input: tells of what changed, and ends what is due.
    pub(crate) fn look(&mut self, context: &mut Context<'_>) {
        self.tell(context);
        if !context.replica.is_drafting() {
            // Whoever leads settles.
            self.due.clear();
            self.by_item.clear();
        }
        let due = self.take_due(context.now.instant);
        if due.is_empty() {
            return;
        }
        let settled = context.replica.settle(due, context.now.wall);
        for (item, error) in settled.failed {
            context.outbox.event(Event::RuleFailed { item, error });
        }
        for item in settled.left {
            self.schedule(item, context.now.instant + context.replica.config.timing.heartbeat);
        }
        self.tell(context);
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        for lost in context.replica.take_lost_writes() {
            let (item, kept, lsn) = (lost.item, lost.kept, lost.lsn);
            context.outbox.event_after(Event::ConcurrentWrite { item, lost: lost.lost, kept }, lsn);
        }
        for turn in context.replica.take_turns() {
            let (item, versions) = (turn.item, turn.now);
            if versions > 1 && context.replica.config.settled.contains(&item.collection) {
                let at = context.now.instant + delay(&item, context);
                self.schedule(item.clone(), at);
            }
            if versions > 1 && versions > turn.before {
                context.outbox.event_after(Event::Conflict { item, versions }, turn.lsn);
            } else if versions == 1 && turn.before > 1 {
                context.outbox.event_after(Event::ConflictResolved { item }, turn.lsn);
            }
        }
    }

    fn schedule(&mut self, item: ItemKey, at: Instant) {
        if let Some(before) = self.by_item.insert(item.clone(), at) {
            self.due.remove(&(before, item.clone()));
        }
        self.due.insert((at, item));
    }

    fn take_due(&mut self, now: Instant) -> Vec<ItemKey> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            if let Some((_, item)) = self.due.pop_first() {
                self.by_item.remove(&item);
                due.push(item);
            }
        }
        due
    }
}

/// How long a rule waits before it answers what rules wrote.
fn delay(item: &ItemKey, context: &Context<'_>) -> Duration {
    match context.replica.rounds_of_rules(item) {
        0 => Duration::ZERO,
        rounds => context.replica.config.timing.heartbeat * (1 << (rounds - 1)),
    }
}
