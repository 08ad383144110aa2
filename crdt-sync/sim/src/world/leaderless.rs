//! What a leaderless world has besides: a ring, and phases that only a node itself knows of.

use core::time::Duration;

use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::placement::{Layout, Member, Patience, Shape};
use crdt_sync::{LinkId, NodeId};

use super::adversary::in_activity;
use super::{Setup, World};
use crate::phase::{Phase, Phases};

/// How many nodes hold a key.
pub(crate) const REPLICAS: u8 = 3;
/// How many of them a write must reach to be promised to all later quorum reads.
const WRITE_QUORUM: u8 = 2;

impl Setup {
    /// The ring with which a leaderless world begins.
    pub(crate) fn layout(&self) -> Layout {
        let name = |node: usize| NodeId::from_u128(node as u128 + 1);
        let members = (0..self.nodes).map(|node| Member::new(name(node), format!("rack {node}"))).collect();
        let shape = Shape { partitions: self.partitions, replicas: REPLICAS, write_quorum: WRITE_QUORUM };
        Layout::found(members, shape).unwrap_or_default()
    }

    /// What each of its nodes is told; all spans are short.
    pub(super) fn leaderless_config(&self) -> LeaderlessConfig {
        let millis = Duration::from_millis;
        let patience =
            Patience { expected: self.timing.heartbeat, forgive: millis(500), ..Patience::DEFAULT };
        let mut config = LeaderlessConfig::new(self.layout());
        config.patience = patience;
        config.handoff_batch = 512;
        config.handoff_patience = millis(400);
        config.repairs.repeat_after = millis(500);
        config
    }
}

impl World {
    /// A message does not say whether it repairs somebody or brings home what was missed; its sender knows.
    pub(super) fn phases_of_frame(&self, number: usize, link: LinkId, phases: Phases) -> Phases {
        let Some(engine) = self.engine(number).filter(|_| phases.contains(Phase::Acknowledging)) else {
            return phases;
        };
        let under_way = in_activity(engine.activity_on(link));
        phases
            .with(Phase::Repairing, under_way.contains(Phase::Repairing))
            .with(Phase::HandingOff, under_way.contains(Phase::HandingOff))
    }
}
