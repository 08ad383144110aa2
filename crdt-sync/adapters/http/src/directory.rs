//! Finding the leader by asking every node whether it is the one.

use std::time::Duration;

use crdt_sync::failover::{Directory, Grant, Leader, Unreachable};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const EVERY: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(2);
/// A standing takes a few hundred bytes.
const MOST_BODY: usize = 16 << 10;

/// A [`Directory`] that asks the health endpoints of all nodes, as a proxy does, and hears of a change when it asks.
#[derive(Clone, Debug)]
pub struct HttpDirectory {
    nodes: Vec<String>,
    every: Duration,
    deadline: Duration,
}

impl HttpDirectory {
    /// The nodes whose [`serve`](crate::serve) is at these addresses, as `10.0.0.7:8008`.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { nodes: nodes.into_iter().map(Into::into).collect(), every: EVERY, deadline: DEADLINE }
    }

    /// How often to ask while waiting for a change: every second unless said otherwise.
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// How long each node may take to answer: two seconds unless said otherwise.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Directory for HttpDirectory {
    /// Whoever says so by the latest grant. Nobody, if no node that answers does: one that does not answer may lead.
    async fn current(&mut self) -> Result<Option<Leader>, Unreachable> {
        let mut asked = JoinSet::new();
        for node in self.nodes.clone() {
            let deadline = self.deadline;
            asked.spawn(async move {
                let answer = tokio::time::timeout(deadline, ask(&node)).await;
                answer
                    .unwrap_or_else(|_| Err("no answer in time".into()))
                    .map_err(|why| format!("{node}: {why}"))
            });
        }
        let mut leader: Option<Leader> = None;
        let (mut answered, mut last) = (false, "there are no nodes to ask".to_owned());
        while let Some(answer) = asked.join_next().await {
            match answer.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(found) => {
                    answered = true;
                    let later =
                        |found: &Leader| leader.as_ref().is_none_or(|leader| leader.grant < found.grant);
                    leader = found.filter(later).or(leader);
                }
                Err(why) => last = why,
            }
        }
        if answered { Ok(leader) } else { Err(Unreachable { why: last }) }
    }

    async fn changed(&mut self, known: Option<&Leader>) -> Option<Leader> {
        loop {
            match self.current().await {
                Ok(leader) if leader.as_ref() != known => return leader,
                _ => tokio::time::sleep(self.every).await,
            }
        }
    }
}

/// Whether a node leads, and if so by which grant and where.
async fn ask(node: &str) -> Result<Option<Leader>, String> {
    let stream = TcpStream::connect(node).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = Request::get("/primary").header(HOST, node).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let body = Limited::new(response.into_body(), MOST_BODY).collect().await;
        leader_in(&body.map_err(|error| error.to_string())?.to_bytes()).map(Some)
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(|error| error.to_string())?;
            exchange.await
        }
    }
}

fn leader_in(body: &[u8]) -> Result<Leader, String> {
    let told: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let grant = told["grant"].as_u64().and_then(Grant::new).ok_or("it leads without a grant")?;
    let address = told["address"].as_str().ok_or("it leads without an address")?;
    Ok(Leader { grant, address: address.into() })
}
