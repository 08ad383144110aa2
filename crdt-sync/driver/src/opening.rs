//! From a directory to an engine: whose it is, and whether it may go on under its identity.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use crdt_sync::{Engine, NodeId};
use replication_log::Lsn;
use tracing::warn;
use uuid::Uuid;

use crate::clock::Clock;
use crate::disk::{self, Past};
use crate::engine_thread::Command;
use crate::error::OpenError;
use crate::failover;
use crate::marker::{Doubt, Marker};
use crate::node::{Inner, Node};
use crate::options::NodeOptions;

/// How often it is looked whether a node of a doubtful past has found its place.
const GLANCE: Duration = Duration::from_millis(50);

pub(crate) fn open_engine(
    directory: &Path,
    options: NodeOptions,
    clock: Clock,
) -> Result<(Engine, Past, Option<Doubt>), OpenError> {
    failover::check(&options)?;
    let mut past = disk::open(directory, &options)?;
    let known = past.node()?;
    // A log that is founded now has no past.
    let has_past = known.is_some() && past.last() > Lsn::ZERO;
    let noticed = if has_past { Marker::of(directory).doubt(past.last()) } else { None };
    let doubt = if options.is_restored { Some(Doubt::Told) } else { noticed };
    let certified = options.protection.own_node();
    if let (Some(named), Some(certified)) = (options.node, certified)
        && named != certified
    {
        return Err(OpenError::OtherNode { named, certified });
    }
    let named = options.node.or(certified).or(known);
    let node = if options.is_single_leader() {
        let node = named.ok_or(OpenError::Unnamed)?;
        past.name(node)?;
        node
    } else {
        named.unwrap_or_else(|| NodeId::from_bytes(*Uuid::new_v4().as_bytes()))
    };
    let mut engine = past.open_engine(&options.into_config(node), clock.now())?;
    if let Some(doubt) = doubt {
        warn!(%doubt, "the node does not trust its past");
        engine.distrust_past(clock.now());
    }
    Ok((engine, past, doubt))
}

impl Node {
    /// Marks the directory once nothing about its past is doubtful: after a fresh identity is durable.
    pub(crate) async fn mark(&self, marker: Marker) {
        if self.doubt().is_some() && self.inner.options.is_single_leader() {
            let node = std::sync::Arc::downgrade(&self.inner);
            tokio::spawn(mark_when_certain(node, marker));
            return;
        }
        while let Ok(status) = self.status().await {
            if status.durable == status.appended {
                let _ = self.inner.commands.send(Command::Mark(marker)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Where nodes share a log, what may be missing of it is nobody's before this node leads under a later epoch, durably,
/// or has found whom it follows. That may take as long as it takes until it is connected.
async fn mark_when_certain(node: Weak<Inner>, marker: Marker) {
    while let Some(inner) = node.upgrade() {
        let node = Node { inner };
        let Ok(status) = node.status().await else { return };
        let has_place = |leadership: crdt_sync::single_leader::Leadership| {
            leadership.mode.is_some() || leadership.follows.is_some()
        };
        if status.durable == status.appended && status.leadership.is_some_and(has_place) {
            let _ = node.inner.commands.send(Command::Mark(marker)).await;
            return;
        }
        drop(node);
        tokio::time::sleep(GLANCE).await;
    }
}
