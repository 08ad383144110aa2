//! Connecting replicas, and knowing when they agree.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crdt_sync::Status;
use crdt_sync_driver::{NodeError, Traffic};

use crate::cli::Edit;
use crate::error::Failure;
use crate::replica::Replica;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// With nothing said for so long, several heartbeats have found nothing to repeat.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// Lets every replica accept connections at a port of its own, and connects each with each.
pub(crate) async fn connect_all(replicas: &[Replica]) -> Result<(), Failure> {
    for (index, replica) in replicas.iter().enumerate() {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = replica.node.listen(any_port).await.map_err(Failure::Listen)?;
        for later in &replicas[index + 1..] {
            later.node.connect(address)?;
        }
    }
    Ok(())
}

/// Waits until all replicas hold the same, durably; false when `deadline` passes before.
pub(crate) async fn agree(replicas: &[Replica], deadline: Instant) -> Result<bool, NodeError> {
    while !do_agree(replicas).await? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(true)
}

async fn do_agree(replicas: &[Replica]) -> Result<bool, NodeError> {
    let mut first = None;
    for replica in replicas {
        let status = replica.node.status().await?;
        let is_settled = is_settled(&status, replicas.len() - 1);
        let first = first.get_or_insert_with(|| status.partitions.clone());
        if !is_settled || *first != status.partitions {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a replica knows all its peers, is in no session, and has on disk what it has in memory.
fn is_settled(status: &Status, peers: usize) -> bool {
    status.peers.len() == peers && status.sessions == 0 && status.durable == status.appended
}

/// Writes the edits, each on the replica it names by its index. An edit resolves whatever conflict its replica shows.
pub(crate) async fn edit(replicas: &[Replica], edits: &[(usize, Edit)]) -> Result<(), NodeError> {
    for (index, Edit { key, version, .. }) in edits {
        replicas[*index].packages.resolve(key.as_str(), version.as_str()).await?;
    }
    Ok(())
}

/// Waits until nobody has said anything for a while, and returns what was said until then.
pub(crate) async fn quiet(replicas: &[Replica]) -> Traffic {
    let mut traffic = traffic(replicas);
    let mut since = Instant::now();
    while since.elapsed() < QUIET {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = self::traffic(replicas);
        if now != traffic {
            (traffic, since) = (now, Instant::now());
        }
    }
    traffic
}

/// What all replicas together have sent and received.
pub(crate) fn traffic(replicas: &[Replica]) -> Traffic {
    replicas.iter().map(|replica| replica.node.traffic()).fold(Traffic::default(), |sum, one| Traffic {
        bytes_sent: sum.bytes_sent + one.bytes_sent,
        frames_sent: sum.frames_sent + one.frames_sent,
        bytes_received: sum.bytes_received + one.bytes_received,
        frames_received: sum.frames_received + one.frames_received,
    })
}
