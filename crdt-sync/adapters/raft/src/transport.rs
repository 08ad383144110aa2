//! What members say to each other, over whatever carries bytes between them.

use std::time::Duration;

use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::register::{Decision, Question};
use crate::types::Types;

/// Carries a request to a member and brings its answer back: [`Member::answer`](crate::Member::answer) there.
///
/// Whoever can call a member can make it do anything, so the way must prove who is at its ends. A call that takes
/// longer than the Raft waits is dropped. Calls are some kilobytes long.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Calls this member; an error if nobody knows whether the request arrived.
    fn call(&self, to: u64, request: Vec<u8>) -> impl Future<Output = Result<Vec<u8>, CallFailed>> + Send;
}

/// A member could not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the member cannot be called: {why}")]
pub struct CallFailed {
    /// What the way says.
    pub why: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<Types>),
    Snapshot(InstallSnapshotRequest<Types>),
    Vote(VoteRequest<u64>),
    Ask(Question),
}

/// What a member that was asked a question says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    Decided(Decision),
    /// Another one leads the Raft, perhaps this one. The question may have been decided all the same.
    NotHere(Option<u64>),
    Failed(String),
}

/// Sends a request and reads the answer, for at most so long.
pub(crate) async fn exchange<A: DeserializeOwned>(
    transport: &impl Transport,
    to: u64,
    request: &Request,
    within: Duration,
) -> Result<A, CallFailed> {
    let failed = |why: String| CallFailed { why };
    let request = serde_json::to_vec(request).map_err(|error| failed(error.to_string()))?;
    let answer = tokio::time::timeout(within, transport.call(to, request)).await;
    let answer = answer.map_err(|_| failed(format!("no answer within {within:?}")))??;
    serde_json::from_slice(&answer).map_err(|error| failed(error.to_string()))
}

/// The ways from one member to all others.
pub(crate) struct Ways<T>(pub(crate) T);

impl<T: Transport> RaftNetworkFactory<Types> for Ways<T> {
    type Network = Way<T>;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Self::Network {
        Way { transport: self.0.clone(), to: target }
    }
}

/// The way to one member.
pub(crate) struct Way<T> {
    transport: T,
    to: u64,
}

type Failed<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

impl<T: Transport> Way<T> {
    async fn call<A, E>(&self, request: &Request, option: RPCOption) -> Result<A, Failed<E>>
    where
        A: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let answer: Result<Result<A, RaftError<u64, E>>, CallFailed> =
            exchange(&self.transport, self.to, request, option.hard_ttl()).await;
        match answer {
            Ok(answer) => answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.to, error))),
            Err(failed) => Err(RPCError::Unreachable(Unreachable::from(AnyError::new(&failed)))),
        }
    }
}

impl<T: Transport> RaftNetwork<Types> for Way<T> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        self.call(&Request::Append(rpc), option).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        self.call(&Request::Snapshot(rpc), option).await
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, Failed> {
        self.call(&Request::Vote(rpc), option).await
    }
}
