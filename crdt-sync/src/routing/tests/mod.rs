mod lineage;
mod model;
mod never_back;
mod patterns;
mod placement;

use core::time::Duration;

use replication_log::{Epoch, Lsn};

use super::*;
use crate::node::NodeId;
use crate::time::Instant;

fn node(number: usize) -> NodeId {
    NodeId::from_u128(number as u128)
}

fn version(epoch: u64, lsn: u64) -> Version {
    Version::new(Epoch::new(epoch), Lsn::new(lsn))
}

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

/// Node 0 leads in epoch 1; the others follow. All are in one region.
fn router_of(nodes: usize) -> Router {
    let mut fleet = Fleet::default();
    (0..nodes).for_each(|number| fleet.add(node(number), Tags::default()));
    assert!(fleet.leads(node(0), Epoch::new(1), Some(version(0, 0))));
    Router::new(fleet, Regions::default())
}
