//! Lesson: the leader changes. A client that resolves its name goes to the old one for the length of the record's TTL,
//! and is refused there; one behind a proxy and one that watches are not. None of them ever sees two primaries.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Ask, Coordinator, Directory, Follow, Grant, Leader, Tenure};
use crdt_sync_dns::{DnsDirectory, Zone};
use crdt_sync_etcd::{EtcdCoordinator, EtcdDirectory};
use crdt_sync_http::{HttpDirectory, Standing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::process::{Child, Command};

use crate::server::{Etcd, free_port};

const LOG: &str = "/log";
const ZONE: &str = "cluster.example";
const LEASE: Duration = Duration::from_secs(600);

/// What every node knows of the others' promises. In life each has its own, durable, and a majority is asked.
type Promised = Arc<Mutex<u64>>;

struct Node {
    id: NodeId,
    data: String,
    health: String,
    grant: Arc<Mutex<Option<Grant>>>,
    promised: Promised,
    coordinator: EtcdCoordinator,
}

impl Node {
    async fn start(number: u128, etcd: &Etcd, promised: &Promised) -> Self {
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (data, health) = (bind().await, bind().await);
        let address = data.local_addr().unwrap().to_string();
        let coordinator = EtcdCoordinator::new(etcd.client().await, LOG, address.as_str());
        let node = Self {
            id: NodeId::from_u128(number),
            data: address.clone(),
            health: health.local_addr().unwrap().to_string(),
            grant: Arc::default(),
            promised: Arc::clone(promised),
            coordinator,
        };
        let grant = Arc::clone(&node.grant);
        let standing = move || match *grant.lock().unwrap() {
            Some(grant) => Standing::primary(grant, true, address.as_str()),
            None => Standing::replica(Some(0)),
        };
        tokio::spawn(crdt_sync_http::serve(health, standing, crdt_sync_http::ServerLimits::default()));
        let (grant, promised) = (Arc::clone(&node.grant), Arc::clone(promised));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = data.accept().await {
                let (leads_by, newest) = (*grant.lock().unwrap(), *promised.lock().unwrap());
                let accepted = leads_by.is_some_and(|grant| grant.number() == newest);
                let said =
                    if accepted { format!("written by {number}") } else { format!("refused: {newest}") };
                let _ = client.write_all(said.as_bytes()).await;
            }
        });
        node
    }

    async fn lead(&mut self) -> Grant {
        let ask = Ask::Acquire { candidate: self.id, lease: LEASE, above: None };
        let Answer::Granted(grant) = self.coordinator.ask(ask).await else { panic!("nobody leads") };
        *self.promised.lock().unwrap() = grant.number();
        *self.grant.lock().unwrap() = Some(grant);
        grant
    }

    async fn hand_over_to(&mut self, other: &mut Node) -> Grant {
        let Some(grant) = self.grant.lock().unwrap().take() else { panic!("it does not lead") };
        let tenure = Tenure { holder: self.id, grant };
        let released = self.coordinator.ask(Ask::Release { tenure, to: Some(other.id) }).await;
        assert_eq!(released, Answer::Released);
        other.lead().await
    }
}

async fn write(address: &str) -> String {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect(address).await {
        let _ = stream.read_to_string(&mut said).await;
    }
    said
}

/// A name server that knows what etcd does.
async fn name_server(etcd: &Etcd, ttl: Duration) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let known: Arc<Mutex<Option<Leader>>> = Arc::default();
    let shown = Arc::clone(&known);
    let mut leaders = Follow::new(EtcdDirectory::new(etcd.client().await, LOG));
    tokio::spawn(async move {
        loop {
            let leader = leaders.next().await.cloned();
            *known.lock().unwrap() = leader;
        }
    });
    let leader = move || shown.lock().unwrap().clone();
    let zone = Zone::new(ZONE, ttl).unwrap();
    tokio::spawn(crdt_sync_dns::serve(udp, tcp, zone, leader, crdt_sync_dns::ServerLimits::default()));
    address
}

/// A real proxy that asks the nodes; `None`, said aloud, where it is not installed.
fn proxy(nodes: [&Node; 2], port: u16, home: &tempfile::TempDir) -> Option<Child> {
    let servers = nodes.map(|node| {
        let health = node.health.rsplit_once(':').unwrap().1;
        format!("    server {} {} check port {health}\n", node.id, node.data)
    });
    let configuration = format!(
        "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 10s\n    timeout server 10s\n\
         listen leader\n    bind 127.0.0.1:{port}\n    option httpchk OPTIONS /primary\n\
         \x20   default-server inter 50ms rise 1 fall 1 on-marked-down shutdown-sessions\n{}",
        servers.concat()
    );
    let path = home.path().join("haproxy.cfg");
    std::fs::write(&path, configuration).unwrap();
    let started = ["haproxy", "/usr/sbin/haproxy"].iter().find_map(|binary| {
        Command::new(binary)
            .arg("-db")
            .arg("-f")
            .arg(&path)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()
    });
    if started.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: haproxy is not installed, so the lesson is told without it"
        );
    }
    started
}

/// Writes through the proxy until it is accepted by this node.
async fn written_by(address: &str, expected: &str) {
    for _ in 0..1_000 {
        if write(address).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {expected}");
}

#[tokio::test]
async fn a_name_leads_to_the_old_leader_for_its_ttl_where_a_proxy_and_a_watch_do_not() {
    let Some(etcd) = Etcd::start().await else { return };
    let promised = Promised::default();
    let mut a = Node::start(1, &etcd, &promised).await;
    let mut b = Node::start(2, &etcd, &promised).await;
    a.lead().await;
    let server = name_server(&etcd, Duration::from_secs(3_600)).await;
    let mut resolving = Follow::new(DnsDirectory::new(server, ZONE).unwrap());
    let mut watching = Follow::new(EtcdDirectory::new(etcd.client().await, LOG));
    let proxied = format!("127.0.0.1:{}", free_port().await);
    let home = tempfile::tempdir().unwrap();
    let proxy = proxy([&a, &b], proxied.rsplit_once(':').unwrap().1.parse().unwrap(), &home);

    // All of them write to a.
    let found = watching.next().await.unwrap().clone();
    assert_eq!(write(&found.address).await, "written by 1");
    // The name server watches, too, and may hear of it a moment later.
    while resolving.look().await.unwrap().is_none() {
        resolving = Follow::new(DnsDirectory::new(server, ZONE).unwrap());
    }
    assert_eq!(resolving.leader(), Some(&found));
    if proxy.is_some() {
        written_by(&proxied, "written by 1").await;
    }

    let second = a.hand_over_to(&mut b).await;
    while watching.next().await.is_none() {}
    assert_eq!(write(&watching.leader().unwrap().address).await, "written by 2");
    if proxy.is_some() {
        written_by(&proxied, "written by 2").await;
    }
    // For the next hour:
    let stale = resolving.look().await.unwrap().unwrap().address.clone();
    assert_eq!((&stale, write(&stale).await.as_str()), (&a.data, "refused: 2"));
    // So it knows at least that it is out of date, and whoever can watch asks there.
    resolving.heard(second);
    assert_eq!(resolving.look().await.unwrap(), None);
}

/// Follows a directory, and notes whom it found.
fn follow(
    directory: impl Directory + 'static,
    notes: &Arc<Mutex<Vec<Leader>>>,
) -> tokio::task::JoinHandle<()> {
    let (mut client, notes) = (Follow::new(directory), Arc::clone(notes));
    tokio::spawn(async move {
        loop {
            let found = client.next().await.cloned();
            notes.lock().unwrap().extend(found);
        }
    })
}

#[tokio::test]
async fn whichever_directory_clients_follow_they_see_one_leader_for_each_grant_and_never_an_earlier_one() {
    let Some(etcd) = Etcd::start().await else { return };
    let promised = Promised::default();
    let mut a = Node::start(1, &etcd, &promised).await;
    let mut b = Node::start(2, &etcd, &promised).await;
    let server = name_server(&etcd, Duration::from_secs(0)).await;
    let notes: [Arc<Mutex<Vec<Leader>>>; 3] = Default::default();
    let asking = HttpDirectory::new([a.health.clone(), b.health.clone()]).every(Duration::from_millis(5));
    let clients = [
        follow(asking, &notes[0]),
        follow(DnsDirectory::new(server, ZONE).unwrap(), &notes[1]),
        follow(EtcdDirectory::new(etcd.client().await, LOG), &notes[2]),
    ];
    let mut last = a.lead().await;
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        last = if round % 2 == 0 { a.hand_over_to(&mut b).await } else { b.hand_over_to(&mut a).await };
    }
    let arrived = || notes.iter().all(|notes| notes.lock().unwrap().last().is_some_and(|l| l.grant == last));
    while !arrived() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);

    let mut leaders = BTreeMap::new();
    for notes in &notes {
        let notes = notes.lock().unwrap();
        assert!(notes.is_sorted_by_key(|leader| leader.grant), "{notes:?}");
        for leader in notes.iter() {
            assert_eq!(
                leaders.entry(leader.grant).or_insert_with(|| leader.address.clone()),
                &leader.address
            );
        }
    }
}
