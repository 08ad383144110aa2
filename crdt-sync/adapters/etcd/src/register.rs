//! What etcd holds about one log, and the few calls with which it is read and changed.

use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Grant, Tenure};
use etcd_client::{Client, Error, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse, WatchOptions};

use crate::keys::{Keys, grant_of, node_of, tenure_of};

/// How long a watch is believed before the key is read again: it may hang on a connection that is dead.
const WATCH_FOR: Duration = Duration::from_secs(30);
/// How long to wait before etcd is asked again that did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// The way to the register: a client, and how long it may take to answer.
#[derive(Clone)]
pub(crate) struct Register {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    pub(crate) deadline: Duration,
}

/// The register as it was at one moment.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) newest: Option<Grant>,
    pub(crate) tenure: Option<Tenure>,
    /// The lease of etcd that the tenure lasts with.
    pub(crate) lease: i64,
    pub(crate) reserved: Option<NodeId>,
    pub(crate) revision: i64,
}

impl Found {
    pub(crate) fn answer(&self) -> Answer {
        Answer::Held(self.tenure)
    }
}

impl Register {
    /// Reads all of it at one moment, as a majority of etcd has it.
    pub(crate) async fn read(&mut self) -> Result<Found, String> {
        let get = |key: &String| TxnOp::get(key.as_str(), None);
        let keys = [&self.keys.grant, &self.keys.leader, &self.keys.reserved];
        let response = self.txn(Txn::new().and_then(keys.map(get))).await?;
        let values: Vec<Option<KeyValue>> = response.op_responses().into_iter().map(first_value).collect();
        let [grant, leader, reserved] = values.as_slice() else {
            return Err("etcd answers another question".into());
        };
        Ok(Found {
            newest: parsed(grant.as_ref(), grant_of)?,
            tenure: parsed(leader.as_ref(), tenure_of)?,
            lease: leader.as_ref().map_or(0, KeyValue::lease),
            reserved: parsed(reserved.as_ref(), node_of)?,
            revision: response.header().map_or(0, etcd_client::ResponseHeader::revision),
        })
    }

    /// One transaction. After an error nobody knows whether it was carried out, or still will be.
    pub(crate) async fn txn(&mut self, txn: Txn) -> Result<TxnResponse, String> {
        within(self.deadline, self.client.txn(txn)).await
    }

    /// The value of one key and the revision at which it was read.
    pub(crate) async fn value(&mut self, key: &str) -> Result<(Option<KeyValue>, i64), String> {
        let mut response = within(self.deadline, self.client.get(key, None)).await?;
        let revision = response.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok((response.take_kvs().into_iter().next(), revision))
    }

    /// A new lease of at least this length, counted by etcd from after this was called.
    pub(crate) async fn new_lease(&mut self, length: Duration) -> Result<i64, String> {
        let seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
        let granted = within(self.deadline, self.client.lease_grant(seconds, None)).await?;
        if granted.ttl() < seconds {
            return Err(format!("etcd grants a lease of {} s instead of {seconds} s", granted.ttl()));
        }
        Ok(granted.id())
    }

    /// How long a lease was when it was granted; `None` if it has ended.
    pub(crate) async fn length(&mut self, lease: i64) -> Result<Option<Duration>, String> {
        let told = within(self.deadline, self.client.lease_time_to_live(lease, None)).await?;
        let alive = told.ttl() > 0;
        Ok(u64::try_from(told.granted_ttl()).ok().filter(|_| alive).map(Duration::from_secs))
    }

    /// Ends a lease, and with it every key under it. Afterwards no transaction can use it any more.
    pub(crate) async fn end_lease(&mut self, lease: i64) -> Result<(), String> {
        const NOT_FOUND: i32 = 5;
        let revoked = async {
            match self.client.lease_revoke(lease).await {
                Err(Error::GRpcStatus(status)) if status.code() as i32 == NOT_FOUND => Ok(()),
                other => other.map(drop),
            }
        };
        within(self.deadline, revoked).await
    }

    /// Returns when a key may have changed after `revision`: it is to be read again.
    pub(crate) async fn wait(&mut self, key: &str, revision: i64) {
        let options = WatchOptions::new().with_start_revision(revision + 1);
        let deadline = self.deadline;
        let news = async {
            let mut watch = within(deadline, self.client.watch(key, Some(options))).await?;
            loop {
                match watch.message().await {
                    Ok(Some(message)) if message.canceled() || !message.events().is_empty() => return Ok(()),
                    Ok(Some(_)) => {}
                    Ok(None) => return Err("the watch ended".to_owned()),
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        if let Ok(Err(_)) = tokio::time::timeout(WATCH_FOR, news).await {
            pause().await;
        }
    }
}

/// Before etcd is asked again that did not answer.
pub(crate) async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

async fn within<T>(deadline: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer.map_err(|error| format!("etcd: {error}")),
        Err(_) => Err(format!("etcd did not answer within {deadline:?}")),
    }
}

fn first_value(response: TxnOpResponse) -> Option<KeyValue> {
    match response {
        TxnOpResponse::Get(mut found) => found.take_kvs().into_iter().next(),
        _ => None,
    }
}

fn parsed<T>(value: Option<&KeyValue>, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, String> {
    let Some(value) = value else { return Ok(None) };
    let foreign = || format!("the key {} holds something foreign", String::from_utf8_lossy(value.key()));
    parse(value.value()).map(Some).ok_or_else(foreign)
}
