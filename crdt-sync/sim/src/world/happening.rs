//! What happens in a world, and to whom.

use crdt_sync::failover::Ask;
use crdt_sync::failover::supervisor::AskId;
use crdt_sync::{FailoverNews, LinkId, LogNews, LogTask};

use super::World;

/// What the queue holds.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Arrival {
        link: LinkId,
        bytes: Vec<u8>,
    },
    LinkDown {
        link: LinkId,
    },
    LinkUp {
        link: LinkId,
    },
    Dial {
        from: usize,
        to: usize,
    },
    Timer {
        node: usize,
        ticket: u64,
    },
    Synced {
        node: usize,
        boot: u64,
    },
    Start {
        node: usize,
    },
    /// A log that nodes share is read.
    Look {
        node: usize,
        boot: u64,
        task: LogTask,
    },
    /// An engine hears of its log.
    Told {
        node: usize,
        boot: u64,
        news: LogNews,
    },
    Checkpoint {
        node: usize,
        boot: u64,
    },
    Opened {
        node: usize,
        boot: u64,
    },
    Reboot {
        node: usize,
        boot: u64,
    },
    Resume {
        node: usize,
        boot: u64,
    },
    Room {
        node: usize,
    },
    Withdraw {
        node: usize,
    },
    Strike,
    /// A question of a process comes to the coordinator.
    Ask {
        node: usize,
        boot: u64,
        id: AskId,
        ask: Ask,
    },
    /// A process hears from the coordinator, or that another one was stopped.
    Outside {
        node: usize,
        boot: u64,
        news: FailoverNews,
    },
    /// The coordinator has a store again.
    StoreBack {
        is_whole: bool,
    },
    CoordinatorReached,
    Reopen {
        ways: Vec<(usize, usize)>,
    },
}

impl Happening {
    /// The node it names.
    pub(super) fn of_node(&self) -> Option<usize> {
        match self {
            Self::Dial { from, to } => Some(*from.max(to)),
            Self::Timer { node, .. }
            | Self::Synced { node, .. }
            | Self::Start { node }
            | Self::Look { node, .. }
            | Self::Told { node, .. }
            | Self::Opened { node, .. }
            | Self::Reboot { node, .. }
            | Self::Resume { node, .. }
            | Self::Room { node }
            | Self::Checkpoint { node, .. }
            | Self::Ask { node, .. }
            | Self::Outside { node, .. }
            | Self::Withdraw { node } => Some(*node),
            Self::Arrival { .. }
            | Self::LinkDown { .. }
            | Self::LinkUp { .. }
            | Self::Strike
            | Self::StoreBack { .. }
            | Self::CoordinatorReached
            | Self::Reopen { .. } => None,
        }
    }
}

impl World {
    /// The process that takes part in what happens, if one does.
    pub(super) fn at_whom(&self, happening: &Happening) -> Option<usize> {
        match happening {
            Happening::Arrival { link, .. } | Happening::LinkDown { link } | Happening::LinkUp { link } => {
                self.network.end(*link).map(|end| end.node)
            }
            Happening::Dial { from: node, .. }
            | Happening::Timer { node, .. }
            | Happening::Look { node, .. }
            | Happening::Told { node, .. }
            | Happening::Synced { node, .. }
            | Happening::Checkpoint { node, .. }
            | Happening::Outside { node, .. }
            | Happening::Opened { node, .. } => Some(*node),
            Happening::Start { .. }
            | Happening::Reboot { .. }
            | Happening::Resume { .. }
            | Happening::Room { .. }
            | Happening::Withdraw { .. }
            | Happening::Strike
            | Happening::Ask { .. }
            | Happening::StoreBack { .. }
            | Happening::CoordinatorReached
            | Happening::Reopen { .. } => None,
        }
    }
}
