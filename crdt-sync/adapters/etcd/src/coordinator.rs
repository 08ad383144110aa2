//! Granting the right to lead by transactions of etcd.
//!
//! A grant is the number that the same transaction writes to a counter which never expires, so it grows over restarts
//! of etcd and whatever becomes of leases. Who leads is a key that etcd deletes when its lease ends.
//!
//! A lease is not renewed by etcd's keep-alive, which a leader of etcd that was deposed may still answer, but replaced:
//! a majority grants a new one, and a transaction moves the key under it, if it is still there.

use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Ask, Coordinator, Grant, Leader, Tenure};
use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp};

use crate::keys::{Keys, leader_to_text, tenure_to_text};
use crate::register::{Found, Register, pause};

/// How long etcd may take for each of the two or three calls that an answer is made of.
const DEADLINE: Duration = Duration::from_secs(3);

/// A [`Coordinator`] that keeps who leads in etcd, for the node that has it.
///
/// Its leases are at least as long as asked for: etcd counts whole seconds, and has a shortest lease of its own.
#[derive(Clone)]
pub struct EtcdCoordinator {
    register: Register,
    address: String,
}

impl EtcdCoordinator {
    /// Keeps who leads under `prefix`, which must be the same on all nodes that may lead one log and another one for
    /// every other log. While this node leads, clients are told that it is at `address`.
    pub fn new(client: Client, prefix: &str, address: impl Into<String>) -> Self {
        let register = Register { client, keys: Keys::under(prefix), deadline: DEADLINE };
        Self { register, address: address.into() }
    }

    /// How long etcd may take for each call, three seconds unless said otherwise. An answer takes three calls, and
    /// three more where the outcome of one was lost.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.register.deadline = deadline;
        self
    }

    async fn acquire(
        &mut self,
        node: NodeId,
        length: Duration,
        above: Option<Grant>,
    ) -> Result<Answer, String> {
        let found = self.register.read().await?;
        if found.tenure.is_some() || found.reserved.is_some_and(|successor| successor != node) {
            return Ok(found.answer());
        }
        let next = found.newest.max(above).map_or(Some(Grant::FIRST), Grant::next);
        let wanted = Tenure { holder: node, grant: next.ok_or("every grant was given already")? };
        let lease = self.register.new_lease(length).await?;
        match self.register.txn(self.taking(wanted, lease, &found)).await {
            Ok(response) if response.succeeded() => Ok(Answer::Granted(wanted.grant)),
            Ok(_) => {
                // If it cannot be ended, it ends by itself.
                let _ = self.register.end_lease(lease).await;
                Ok(self.register.read().await?.answer())
            }
            Err(_) => self.granted_after_all(wanted, lease).await,
        }
    }

    /// Whether a transaction was carried out whose outcome was lost. If not, it never will be: its lease is ended.
    async fn granted_after_all(&mut self, wanted: Tenure, lease: i64) -> Result<Answer, String> {
        let found = self.register.read().await?;
        if found.tenure == Some(wanted) && found.lease == lease {
            return Ok(Answer::Granted(wanted.grant));
        }
        self.register.end_lease(lease).await?;
        Ok(self.register.read().await?.answer())
    }

    async fn renew(&mut self, tenure: Tenure, length: Duration) -> Result<Answer, String> {
        let lease = self.register.new_lease(length).await?;
        let renewed = match self.register.txn(self.moving(tenure, lease)).await {
            Ok(response) => response.succeeded(),
            Err(why) => {
                let found = self.register.read().await?;
                // It may still be carried out, and then the right only lasts longer than the holder thinks.
                if found.tenure == Some(tenure) && found.lease != lease {
                    return Err(format!("{why}; the lease before goes on"));
                }
                found.tenure == Some(tenure)
            }
        };
        if renewed {
            return Ok(Answer::Renewed(tenure.grant));
        }
        let _ = self.register.end_lease(lease).await;
        Ok(self.register.read().await?.answer())
    }

    async fn release(&mut self, tenure: Tenure, to: Option<NodeId>) -> Result<Answer, String> {
        let found = self.register.read().await?;
        if found.tenure != Some(tenure) {
            return Ok(Answer::Released);
        }
        let reserve = match (to, self.register.length(found.lease).await?) {
            (Some(successor), Some(length)) => Some((successor, self.register.new_lease(length).await?)),
            _ => None,
        };
        let Err(why) = self.register.txn(self.leaving(tenure, reserve)).await else {
            return Ok(Answer::Released);
        };
        let gone = self.register.read().await?.tenure != Some(tenure);
        if gone { Ok(Answer::Released) } else { Err(why) }
    }

    /// Takes the right if all is as it was found.
    fn taking(&self, wanted: Tenure, lease: i64, found: &Found) -> Txn {
        let keys = &self.register.keys;
        let counter = found
            .newest
            .map_or_else(|| absent(&keys.grant), |newest| holds(&keys.grant, newest.number().to_string()));
        let reserved = match found.reserved {
            Some(successor) => holds(&keys.reserved, successor.to_string()),
            None => absent(&keys.reserved),
        };
        let mut changes = self.entries(wanted, lease).to_vec();
        changes.push(TxnOp::put(keys.grant.as_str(), wanted.grant.number().to_string(), None));
        changes.push(TxnOp::delete(keys.reserved.as_str(), None));
        Txn::new().when([absent(&keys.leader), counter, reserved]).and_then(changes)
    }

    /// Moves the right under a new lease if it is still held.
    fn moving(&self, tenure: Tenure, lease: i64) -> Txn {
        Txn::new().when([self.held(tenure)]).and_then(self.entries(tenure, lease))
    }

    /// Gives the right back if it is still held, and reserves it for somebody.
    fn leaving(&self, tenure: Tenure, reserve: Option<(NodeId, i64)>) -> Txn {
        let keys = &self.register.keys;
        let reserved = match reserve {
            Some((node, lease)) => put(&keys.reserved, node.to_string(), lease),
            None => TxnOp::delete(keys.reserved.as_str(), None),
        };
        let gone = [&keys.leader, &keys.address].map(|key| TxnOp::delete(key.as_str(), None));
        Txn::new().when([self.held(tenure)]).and_then(gone.into_iter().chain([reserved]).collect::<Vec<_>>())
    }

    fn entries(&self, tenure: Tenure, lease: i64) -> [TxnOp; 2] {
        let keys = &self.register.keys;
        let leader = Leader { grant: tenure.grant, address: self.address.clone() };
        [put(&keys.leader, tenure_to_text(tenure), lease), put(&keys.address, leader_to_text(&leader), lease)]
    }

    fn held(&self, tenure: Tenure) -> Compare {
        holds(&self.register.keys.leader, tenure_to_text(tenure))
    }
}

impl Coordinator for EtcdCoordinator {
    async fn ask(&mut self, ask: Ask) -> Answer {
        let answer = match ask {
            Ask::Acquire { candidate, lease, above } => self.acquire(candidate, lease, above).await,
            Ask::Renew { tenure, lease } => self.renew(tenure, lease).await,
            Ask::Release { tenure, to } => self.release(tenure, to).await,
            Ask::Look => self.register.read().await.map(|found| found.answer()),
            _ => Err("this coordinator is older than the question".into()),
        };
        answer.unwrap_or_else(|why| Answer::Unavailable { why })
    }

    async fn changed(&mut self, known: Option<Tenure>) -> Option<Tenure> {
        let key = self.register.keys.leader.clone();
        loop {
            match self.register.read().await {
                Ok(found) if found.tenure != known => return found.tenure,
                Ok(found) => self.register.wait(&key, found.revision).await,
                Err(_) => pause().await,
            }
        }
    }
}

fn put(key: &str, value: String, lease: i64) -> TxnOp {
    TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease)))
}

fn absent(key: &str) -> Compare {
    Compare::version(key, CompareOp::Equal, 0)
}

fn holds(key: &str, value: String) -> Compare {
    Compare::value(key, CompareOp::Equal, value)
}
