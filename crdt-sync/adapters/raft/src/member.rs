//! One member of the Raft: it keeps the journal, talks to the others, and leads them when they elect it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::{BasicNode, Config, SnapshotPolicy};
use uuid::Uuid;

use crate::coordinator::RaftCoordinator;
use crate::register::{Clock, Decision, Question, Stamped};
use crate::store::{Anywhere, Store};
use crate::transport::{Asked, Request, Transport, Ways};
use crate::types::Raft;

/// Snapshots follow each other after so many entries, and
const SNAPSHOT_AFTER: u64 = 500;
/// so many entries before one are kept for members that are a little behind.
const KEPT_ENTRIES: u64 = 100;

/// How fast the members find out that the one which leads them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often it tells them that it is there.
    pub heartbeat: Duration,
    /// After how long a silence another one wants to lead: a random time between this and twice as much.
    pub election: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: Duration::from_millis(500), election: Duration::from_millis(1_500) }
    }
}

/// A member cannot be opened, or the members cannot be named.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the member of the Raft cannot start: {0}")]
pub struct StartError(String);

impl StartError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// One of the members that decide together who leads. Each needs a directory of its own, and a number for life.
#[derive(Clone)]
pub struct Member<T> {
    id: u64,
    raft: Raft,
    transport: T,
    started: Instant,
    start: u64,
}

impl<T: Transport> Member<T> {
    /// Opens the member of this number, with what it kept in `storage`. It takes part as soon as the others can call
    /// it.
    ///
    /// A member that has lost its storage must not come back under the same number: it has forgotten whom it voted for.
    pub async fn open<S: Anywhere>(
        id: u64,
        storage: S,
        transport: T,
        timing: Timing,
    ) -> Result<Self, StartError> {
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 4);
        let config = Config {
            cluster_name: "who leads".to_owned(),
            heartbeat_interval: milliseconds(timing.heartbeat),
            election_timeout_min: milliseconds(timing.election),
            election_timeout_max: milliseconds(timing.election) * 2,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_AFTER),
            max_in_snapshot_log_to_keep: KEPT_ENTRIES,
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(StartError::of)?);
        let store = Store::open(storage).map_err(StartError::of)?;
        let machine = store.machine().map_err(StartError::of)?;
        let raft =
            Raft::new(id, config, Ways(transport.clone()), store, machine).await.map_err(StartError::of)?;
        let start = Uuid::new_v4().as_u64_pair().0;
        Ok(Self { id, raft, transport, started: Instant::now(), start })
    }

    /// Names all members, once, when the cluster is made: to one member, or the same to several. If they are named
    /// already, nothing happens.
    pub async fn found(&self, members: impl IntoIterator<Item = u64>) -> Result<(), StartError> {
        let members: BTreeMap<u64, BasicNode> =
            members.into_iter().map(|id| (id, BasicNode::default())).collect();
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(StartError::of(error)),
        }
    }

    /// Answers what another member sent by its [`Transport`]. What it does not understand it answers with nothing.
    pub async fn answer(&self, request: &[u8]) -> Vec<u8> {
        let answer = match serde_json::from_slice(request) {
            Ok(Request::Append(request)) => serde_json::to_vec(&self.raft.append_entries(request).await),
            Ok(Request::Vote(request)) => serde_json::to_vec(&self.raft.vote(request).await),
            Ok(Request::Snapshot(request)) => serde_json::to_vec(&self.raft.install_snapshot(request).await),
            Ok(Request::Ask(question)) => serde_json::to_vec(&self.decide(question).await),
            Err(error) => Err(error),
        };
        answer.unwrap_or_default()
    }

    /// Asks the members, wherever their leader is.
    pub fn coordinator(&self) -> RaftCoordinator<T> {
        RaftCoordinator::new(self.clone())
    }

    /// Ends this member; it may be opened again.
    pub async fn shut_down(&self) {
        // It ends also if its task has ended by itself.
        let _ = self.raft.shutdown().await;
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn transport(&self) -> &T {
        &self.transport
    }

    /// Has a question decided, if this member leads the others.
    pub(crate) async fn decide(&self, question: Question) -> Asked {
        // The time is read after the term: whoever leads in a term reads times of that term only.
        let (leader, vote) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            (metrics.current_leader, metrics.vote)
        };
        if leader != Some(self.id) {
            return Asked::NotHere(leader);
        }
        let clock = Clock { term: vote.leader_id().term, member: self.id, start: self.start };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match self.raft.client_write(Stamped { clock, now, question }).await {
            Ok(written) if written.data == Decision::Late => Asked::NotHere(None),
            Ok(written) => Asked::Decided(written.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Asked::NotHere(forward.leader_id)
            }
            Err(error) => Asked::Failed(error.to_string()),
        }
    }
}
