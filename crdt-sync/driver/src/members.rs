//! Members of the cluster: who belongs to it, who no longer does, and the way back.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crdt_sync::leaderless::RingReply;
use crdt_sync::{Cell, Collection, Engine, ItemKey, Kind, Membership, NodeId, RejoinError, Reply, Request};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::disk;
use crate::error::{NodeError, OpenError, refusal};
use crate::node::Node;
use crate::options::NodeOptions;
use crate::replay::{Replay, Step};

/// What [`Node::rejoin_from`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rejoined {
    /// How many writes of the retired node were made again by this call.
    pub writes: usize,
    /// States of the retired node that no write stands for, for somebody to decide about: a deletion of what was edited
    /// elsewhere in the meantime, a body that was deleted elsewhere, and where the old node had let go of its entries,
    /// every key that differs.
    pub reported: Vec<(ItemKey, Cell)>,
}

/// Why a node did not take over what a retired one wrote. What it took over before that stays, and is not taken over
/// again by the next call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NotRejoined {
    /// The old directory cannot be opened.
    #[error("the old directory: {0}")]
    Old(#[from] OpenError),
    /// There is no node in the old directory.
    #[error("there is no node in the old directory")]
    NoNode,
    /// The two nodes do not fit together, or the old one does not know that it was retired.
    #[error(transparent)]
    Plan(#[from] RejoinError),
    /// Counters cannot hold a note of what was done.
    #[error("a collection of kind {kind:?} cannot hold a note; nothing was written")]
    Notes {
        /// The kind.
        kind: Kind,
    },
    /// Another node took over what the old one wrote, or began to. To go on here in its place, remove its note; what
    /// both write counts twice in counters.
    #[error("{by} took over what the old node wrote, or began to; nothing was written")]
    ByAnother {
        /// Which.
        by: NodeId,
    },
    /// This node refused a write, or ended.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Node {
    /// Retires a member that will not come back, or that holds the others back, and returns when that is durable here.
    ///
    /// Nothing more of it is merged from now on, by anybody, except what members had applied before they heard. There
    /// is no way back for it; what it wrote while nobody heard of it, a new node in its place
    /// [takes over](Self::rejoin_from). A node cannot retire itself.
    ///
    /// In a leaderless cluster it is the same as [removing](crate::Ring::remove) it from the ring.
    pub async fn retire(&self, member: NodeId) -> Result<(), NodeError> {
        match self.ask(Request::Retire { node: member }).await? {
            Reply::MemberRetired | Reply::Ring(RingReply::Begun { .. }) => Ok(()),
            other => Err(refusal(other)),
        }
    }

    /// What this node knows of the members of its cluster. Who is waited for, and since when, is in
    /// [`status`](Self::status).
    pub async fn members(&self) -> Result<Membership, NodeError> {
        Ok(self.status().await?.members)
    }

    /// Whether this node was [retired](crdt_sync::Event::Evicted): it takes no writes and syncs with nobody, and reads
    /// go on.
    pub async fn is_evicted(&self) -> Result<bool, NodeError> {
        Ok(self.status().await?.evicted)
    }

    /// The way back for a retired node, to be called on a new one that takes its place: makes the writes again that
    /// nobody but the retired node has. Whatever it wrote is there exactly once in the end.
    ///
    /// `old` is the retired node's directory; the node must be shut down, and must have been told that it is retired.
    /// The directory is read, and may be removed when this returned and what is [reported](Rejoined::reported) has been
    /// looked at. `notes` is a collection of sets, registers or documents, whichever the cluster has: under the key
    /// `rejoined/` and the old node's name it gets a note, in the same command as the writes. So this can be
    /// called again when it was interrupted, also by a crash, and goes on where it was.
    ///
    /// Waits until this node is in sync with a member: [connect](Self::connect) it before, and let it write nothing of
    /// its own to the same keys until then. Replay when the members are in touch, because what one of them has of the
    /// old node and did not pass on yet counts twice in counters.
    ///
    /// Fails with the [`WriteError`](crdt_sync::WriteError) of the first write that is refused. With `StampBehind` or
    /// `Clock` this node's clock is wrong, or that of whoever wrote what it holds was: set it right, and call again.
    ///
    /// In a leaderless cluster, and where one node leads, there is nothing to make again, and it fails with
    /// [`NodeError::OtherTopology`].
    ///
    /// ```
    /// # use crdt_sync::{ClusterKey, Collection, Event};
    /// # use crdt_sync_driver::{Node, NodeOptions};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = tempfile::tempdir()?;
    /// # let path = |name: &str| home.path().join(name);
    /// # let visits = Collection::counters("visits");
    /// # let notes = Collection::sets("notes");
    /// # let cluster = ClusterKey::from_bytes([7; 16]);
    /// # let options = NodeOptions::new(cluster).collection(visits.clone()).collection(notes.clone());
    /// # let office = Node::open(path("office"), options.clone().listen(([127, 0, 0, 1], 0))).await?;
    /// # let address = office.local_addr().ok_or("it listens")?;
    /// # let phone = Node::open(path("phone"), options.clone()).await?;
    /// # phone.connect(address)?;
    /// # phone.in_sync_with(1).await?;
    /// # phone.disconnect().await;
    /// # while !office.peers().await?.is_empty() { tokio::task::yield_now().await; }
    /// # let mut events = phone.events();
    /// phone.counters(&visits).increment("shop", 3).await?; // It is away, and is given up meanwhile.
    /// office.retire(phone.status().await?.node).await?;
    /// phone.connect(address)?;
    /// while events.recv().await? != Event::Evicted {}
    /// phone.shutdown().await;
    ///
    /// let again = Node::open(path("phone again"), options).await?;
    /// again.connect(address)?;
    /// let rejoined = again.rejoin_from(path("phone"), &notes).await?;
    /// assert_eq!((rejoined.writes, rejoined.reported.len()), (1, 0));
    /// again.in_sync_with(1).await?;
    /// assert_eq!(office.counters(&visits).value("shop").await?, 3);
    /// # again.shutdown().await;
    /// # office.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rejoin_from(
        &self,
        old: impl AsRef<Path>,
        notes: &Collection,
    ) -> Result<Rejoined, NotRejoined> {
        if self.inner.options.is_leaderless() || self.inner.options.is_single_leader() {
            return Err(NodeError::OtherTopology.into());
        }
        if notes.kind == Kind::Counter {
            return Err(NotRejoined::Notes { kind: notes.kind });
        }
        let (directory, options, clock) =
            (old.as_ref().to_path_buf(), self.inner.options.clone(), self.clock());
        let opening = tokio::task::spawn_blocking(move || open_retired(&directory, options, clock));
        let old = opening.await.map_err(|panic| OpenError::Thread(io::Error::other(panic)))??;
        let replay = Arc::new(Replay::new(old, notes.clone(), &self.inner.options.limits));
        self.in_sync_with(1).await?;
        let mut rejoined = Rejoined::default();
        let mut is_first = true;
        loop {
            let step = self.take_step(&replay).await?;
            if is_first {
                rejoined.reported = step.reported;
                is_first = false;
            }
            rejoined.writes += step.writes;
            if step.is_last {
                return Ok(rejoined);
            }
        }
    }

    /// What is to be written is found out and written without anything happening in between.
    async fn take_step(&self, replay: &Arc<Replay>) -> Result<Step, NotRejoined> {
        let (found, planned) = oneshot::channel();
        let replay = Arc::clone(replay);
        let plan = move |fresh: &Engine| match replay.plan(fresh) {
            Ok((step, writes)) => {
                let _ = found.send(Ok(step));
                (!writes.is_empty()).then_some(Request::Write(writes))
            }
            Err(error) => {
                let _ = found.send(Err(error));
                None
            }
        };
        match self.ask_after(plan).await? {
            Some(Reply::Written(_)) | None => planned.await.map_err(|_| NodeError::Ended)?,
            Some(other) => Err(refusal(other).into()),
        }
    }
}

/// The engine of a directory that nobody runs any more, to be looked at. What it would append or send is let go.
fn open_retired(directory: &Path, options: NodeOptions, clock: Clock) -> Result<Engine, NotRejoined> {
    // Opening a log would make one.
    if !directory.is_dir() {
        return Err(NotRejoined::NoNode);
    }
    let mut past = disk::open(directory, &options)?;
    let node = past.node()?.ok_or(NotRejoined::NoNode)?;
    Ok(past.open_engine(&options.into_config(node), clock.now())?)
}
