//! A replica: a node in a directory of its own, and the catalogue it holds.

use std::path::{Path, PathBuf};

use crdt_sync::merkle::Root;
use crdt_sync::{ClusterKey, Status};
use crdt_sync_driver::{Documents, Node, NodeError, NodeOptions, Traffic};
use tempfile::TempDir;

use crate::error::Failure;
use crate::rules::{Resolve, highest_version};

/// Every process of the demonstration is in one cluster. A cluster of your own draws sixteen random bytes, and keeps
/// them to itself.
const CLUSTER: ClusterKey = ClusterKey::from_bytes(*b"catalogue demo 1");

/// Where the replicas of a run have their directories.
pub(crate) enum Home {
    /// Where the user said; it stays.
    Kept(PathBuf),
    /// Gone when the run is over.
    Temporary(TempDir),
}

impl Home {
    pub(crate) fn new(data_dir: Option<&Path>) -> Result<Self, Failure> {
        let temporary = || {
            let path = std::env::temp_dir();
            TempDir::with_prefix("catalogue-").map_err(|cause| Failure::Write { path, cause })
        };
        data_dir.map_or_else(|| temporary().map(Self::Temporary), |path| Ok(Self::Kept(path.into())))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

/// A replica of the catalogue.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) packages: Documents,
}

impl Replica {
    /// Opens the replica of this name, with what its log holds. It knows nobody yet and listens to nobody.
    pub(crate) async fn open(name: &str, home: &Home, resolve: Resolve) -> Result<Self, Failure> {
        let directory = home.path().join(name);
        let options = NodeOptions::new(CLUSTER).collection(resolve.collection()).rule(highest_version());
        let node = Node::open(&directory, options).await.map_err(|cause| Failure::open(directory, cause))?;
        Ok(Self { name: name.to_owned(), packages: resolve.packages(&node), node })
    }

    /// The digest of everything it holds.
    pub(crate) async fn root(&self) -> Result<Root, NodeError> {
        self.node.status().await.map(|status| root_of(&status))
    }

    /// Makes everything durable, closes the log, and returns what went over the sockets in all.
    pub(crate) async fn close(self) -> Traffic {
        self.node.clone().shutdown().await;
        self.node.traffic()
    }
}

/// The digest of everything a node holds, the same on nodes that hold the same.
pub(crate) fn root_of(status: &Status) -> Root {
    status.partitions.iter().fold(Root::default(), |sum, partition| sum.with(partition.root))
}

/// How many keys a node holds.
pub(crate) fn keys_of(status: &Status) -> usize {
    status.partitions.iter().map(|partition| partition.keys).sum()
}
