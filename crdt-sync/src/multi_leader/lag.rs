//! How far peers are behind, as numbers.

use alloc::vec::Vec;

use crdt_core::codec;

use super::lane::Lane;
use super::{MultiLeader, Peer};
use crate::entry::Entry;
use crate::history::Histories;
use crate::metrics::{Lag, Owed};
use crate::node::NodeId;
use crate::replica::{Partition, Replica, STORED};
use crate::time::WallTime;

impl MultiLeader {
    /// How this node and each connected peer compare, per partition: O(peers x (partitions x origins + entries owed)).
    pub(super) fn all_lags(&self, replica: &Replica) -> impl Iterator<Item = (NodeId, Vec<Option<Lag>>)> {
        let lag = |(lane, partition): (&Lane, &Partition)| lag(lane, &partition.histories);
        let lags = move |peer: &Peer| peer.lanes.iter().zip(&replica.partitions).map(lag).collect();
        self.peers.iter().map(move |(node, peer)| (*node, lags(peer)))
    }
}

fn lag(lane: &Lane, histories: &Histories) -> Option<Lag> {
    let gap = lane.gap(histories)?;
    // A partial replica is sent less than what it lacks, and nobody knows how much before it is sent.
    let owed = if lane.meeting.whole { owed(lane, histories) } else { None };
    Some(Lag { missing_here: gap.missing_here, missing_there: gap.missing_there, owed })
}

/// What the entries come to that the peer lacks; `None` where some of them are not held as entries any more.
fn owed(lane: &Lane, histories: &Histories) -> Option<Owed> {
    let mut owed = Owed::default();
    for (origin, history) in lane.counted(histories) {
        let there = lane.acknowledged(origin);
        if history.head().sequence <= there {
            continue;
        }
        if there < history.served_from().sequence {
            return None;
        }
        let mut entries = history.after(there)?.peekable();
        let first =
            entries.peek().and_then(|first| codec::decode_payload::<Entry>(&first.bytes, &STORED).ok());
        let written = first.map(|entry| WallTime::from_millis(entry.stamp.millis()));
        owed.oldest = owed.oldest.into_iter().chain(written).min();
        owed.bytes += entries.map(|entry| entry.bytes.len() as u64).sum::<u64>();
    }
    Some(owed)
}
