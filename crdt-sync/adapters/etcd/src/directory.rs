//! Where the leader is, followed by watching its key.

use std::time::Duration;

use crdt_sync::failover::{Directory, Leader, Unreachable};
use etcd_client::Client;

use crate::keys::{Keys, leader_of};
use crate::register::{Register, pause};

const DEADLINE: Duration = Duration::from_secs(3);

/// A [`Directory`] in etcd: a change is heard of as soon as etcd makes it.
#[derive(Clone)]
pub struct EtcdDirectory {
    register: Register,
}

impl EtcdDirectory {
    /// Follows whoever leads by an [`EtcdCoordinator`](crate::EtcdCoordinator) of the same prefix.
    pub fn new(client: Client, prefix: &str) -> Self {
        Self { register: Register { client, keys: Keys::under(prefix), deadline: DEADLINE } }
    }

    /// How long etcd may take to answer, three seconds unless said otherwise.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.register.deadline = deadline;
        self
    }

    async fn read(&mut self) -> Result<(Option<Leader>, i64), Unreachable> {
        let key = self.register.keys.address.clone();
        let (value, revision) = self.register.value(&key).await.map_err(|why| Unreachable { why })?;
        let Some(value) = value else { return Ok((None, revision)) };
        let why = || Unreachable { why: format!("the key {key} holds something foreign") };
        Ok((Some(leader_of(value.value()).ok_or_else(why)?), revision))
    }
}

impl Directory for EtcdDirectory {
    async fn current(&mut self) -> Result<Option<Leader>, Unreachable> {
        self.read().await.map(|(leader, _)| leader)
    }

    async fn changed(&mut self, known: Option<&Leader>) -> Option<Leader> {
        let key = self.register.keys.address.clone();
        loop {
            match self.read().await {
                Ok((leader, _)) if leader.as_ref() != known => return leader,
                Ok((_, revision)) => self.register.wait(&key, revision).await,
                Err(_) => pause().await,
            }
        }
    }
}
