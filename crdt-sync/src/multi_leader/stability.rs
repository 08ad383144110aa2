//! How far members are, passed on; and deletions that all of them know, forgotten.
//!
//! Rows are told slowly, at most as often as a [keep-alive](crate::Timing::keep_alive) per peer and partition, and not
//! at all while both sides know the same: nothing waits for them but the forgetting.

use alloc::vec::Vec;

use crdt_core::ReplicaId;

use super::MultiLeader;
use super::lane::RowsTold;
#[cfg(feature = "_planted_bugs")]
use crate::engine::Topology as _;
use crate::engine::{Context, Event, PeerError};
use crate::entry::Position;
use crate::node::NodeId;
use crate::replica::check_position;
use crate::wire::{Message, Rows};

impl MultiLeader {
    /// A peer said how far members are that it heard of.
    pub(super) fn on_rows(
        &mut self,
        peer: NodeId,
        rows: Rows,
        context: &mut Context<'_>,
    ) -> Result<(), PeerError> {
        let Rows { partition, ask, rows } = rows;
        super::check_partition(partition, context)?;
        check_rows(&rows, context)?;
        let (now, limit) = (context.now.instant, context.replica.config.limits.max_origins);
        for (node, row) in &rows {
            // Of whom this node has not heard as a member, it hears later; of itself it knows best.
            let is_known = context.replica.members.membership().get(*node).is_some();
            if is_known && *node != context.replica.config.node {
                self.stability.hear((partition, *node), row.iter().copied(), limit, now);
            }
        }
        // Of each other the two sides hear in frontiers; and one that was founded anew under its old name has less than
        // the others remember of it.
        let (me, ours) = (context.replica.config.node, self.stability.rows(partition, context.replica));
        let is_another = |row: &&(NodeId, Vec<(ReplicaId, u64)>)| row.0 != me && row.0 != peer;
        let agreed = rows.iter().filter(is_another).eq(ours.iter().filter(is_another));
        self.lane(peer, partition, |lane| lane.agreed_rows = agreed);
        if ask {
            self.tell_rows(peer, partition, false, context);
        }
        Ok(())
    }

    /// Tells what is known of how far members are to the peers that may not know, and forgets what all have deleted.
    pub(super) fn tend_stability(&mut self, context: &mut Context<'_>) {
        let (now, keep_alive) = (context.now.instant, context.replica.config.timing.keep_alive);
        self.stability.look(context.replica, now);
        let nodes: Vec<NodeId> = self.peers.keys().copied().collect();
        for number in 0..context.replica.config.partitions {
            let (version, heads) = (self.stability.version(), context.replica.partition(number).heads());
            for &node in &nodes {
                let due = self.lane(node, number, |lane| {
                    let due = lane.rows_told.as_ref().is_none_or(|told| {
                        let is_news = told.version != version || told.heads != heads;
                        (is_news || !lane.agreed_rows) && now.since(told.at) >= keep_alive
                    });
                    if due {
                        lane.rows_told = Some(RowsTold { version, heads: heads.clone(), at: now });
                    }
                    due
                });
                if due == Some(true) {
                    self.tell_rows(node, number, true, context);
                }
            }
            self.forget_deletions(number, context);
        }
    }

    fn forget_deletions(&mut self, number: u16, context: &mut Context<'_>) {
        let is_free = context.replica.config.collects_deletions && !self.sessions.contains_key(&number);
        if !is_free || !context.replica.partition(number).cells.has_deleted() {
            return;
        }
        let step = self.stability.step(number, context.replica);
        #[cfg(feature = "_planted_bugs")]
        let step = if self.has_bug(crate::PlantedBug::CollectedAboveTheCut) {
            Some(context.replica.journal.last())
        } else {
            step
        };
        if let Some(lsn) = step {
            let documents = context.replica.collect(number, lsn);
            if documents > 0 {
                context.outbox.event(Event::DeletionsCollected { partition: number, documents });
            }
        }
    }

    fn tell_rows(&self, peer: NodeId, partition: u16, ask: bool, context: &mut Context<'_>) {
        let rows = self.stability.rows(partition, context.replica);
        // A member more than fits into a frame is a member too many to be waited for: stability stands still.
        let size: usize = rows.iter().map(|(_, row)| 32 + 26 * row.len()).sum();
        if let Some(known) = self.peers.get(&peer).filter(|_| size < context.replica.config.limits.max_frame)
        {
            let after = context.replica.journal.last();
            context.outbox.send(known.link, &Message::Rows(Rows { partition, ask, rows }), after);
        }
    }
}

fn check_rows(rows: &[(NodeId, Vec<(ReplicaId, u64)>)], context: &Context<'_>) -> Result<(), PeerError> {
    let limits = &context.replica.config.limits;
    let possible = |sequence: u64| check_position(Position { sequence, ..Default::default() }).is_ok();
    let sound = |row: &[(ReplicaId, u64)]| {
        row.len() <= limits.max_origins
            && row.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && row.iter().all(|(_, sequence)| possible(*sequence))
    };
    let ascending = rows.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if ascending && rows.len() <= limits.max_members && rows.iter().all(|(_, row)| sound(row)) {
        Ok(())
    } else {
        Err(PeerError::Disorder { what: "the list of how far members are" })
    }
}
