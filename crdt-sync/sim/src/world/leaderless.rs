//! What a leaderless world has besides: a ring, and phases that only a node itself knows of.

use core::time::Duration;

use crdt_sync::leaderless::LeaderlessConfig;
use crdt_sync::placement::{Layout, Patience};
use crdt_sync::{LinkId, NodeId};

use super::adversary::in_activity;
use super::ring::layout_of;
use super::{Setup, World};
use crate::phase::{Phase, Phases};

/// How many nodes hold a key.
pub(crate) const REPLICAS: u8 = 3;
/// How many of them a write must reach to be promised to all later quorum reads.
pub(super) const WRITE_QUORUM: u8 = 2;

impl Setup {
    /// The ring with which a leaderless world begins.
    fn layout(&self) -> Layout {
        layout_of(0..self.founders(), self.partitions)
    }

    /// What a node is told; all spans are short. Who does not found the ring has to learn of it.
    pub(super) fn leaderless_config(&self, node: NodeId) -> LeaderlessConfig {
        let millis = Duration::from_millis;
        let patience =
            Patience { expected: self.timing.heartbeat, forgive: millis(500), ..Patience::DEFAULT };
        let layout = self.layout();
        let is_founder = layout.members().any(|member| member.node == node);
        let mut config = LeaderlessConfig::new(if is_founder { layout } else { Layout::default() });
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
