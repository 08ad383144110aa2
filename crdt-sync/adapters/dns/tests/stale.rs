//! Lesson: for the length of its TTL a client that follows DNS still goes to the old leader, and is refused there.
//! One that is told of changes is not.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it asks with a real client")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use crdt_sync::failover::{Directory, Follow, Grant, Leader, Unreachable};
use crdt_sync_dns::{DnsDirectory, Hook, Publish, PublishError, ServerLimits, Zone, keep_published, serve};
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{advance, pause, resume};

const TTL: Duration = Duration::from_secs(60);

fn leader(grant: u64) -> Option<Leader> {
    Grant::new(grant).map(|grant| Leader { grant, address: format!("10.0.0.{}:7400", grant.number()) })
}

/// A cluster as far as a client sees it: who leads, and who answers for the zone.
async fn cluster() -> (watch::Sender<Option<Leader>>, SocketAddr) {
    let (leads, seen) = watch::channel(leader(42));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(server).await.unwrap();
    let zone = Zone::new("cluster.example", TTL).unwrap();
    tokio::spawn(serve(udp, tcp, zone, move || seen.borrow().clone(), ServerLimits::default()));
    (leads, server)
}

/// A node at the address of the leader by this grant, and what it says to whoever wants to write there: the grant
/// after which it refuses everything, if it was asked to promise one.
fn write(to: &Leader, newest: Grant) -> Result<(), Grant> {
    if to.grant < newest { Err(newest) } else { Ok(()) }
}

/// Tells of changes as they happen.
struct Watching(watch::Receiver<Option<Leader>>);

impl Directory for Watching {
    async fn current(&mut self) -> Result<Option<Leader>, Unreachable> {
        Ok(self.0.borrow().clone())
    }

    async fn changed(&mut self, known: Option<&Leader>) -> Option<Leader> {
        self.0.wait_for(|leader| leader.as_ref() != known).await.unwrap().clone()
    }
}

#[tokio::test]
async fn a_client_that_resolves_names_is_refused_by_the_old_leader_until_the_record_ends() {
    let (leads, server) = cluster().await;
    let mut resolving = Follow::new(DnsDirectory::new(server, "cluster.example").unwrap());
    let mut watching = Follow::new(Watching(leads.subscribe()));
    for found in [resolving.look().await.unwrap(), watching.next().await] {
        assert_eq!(write(found.unwrap(), Grant::new(42).unwrap()), Ok(()));
    }

    leads.send_replace(leader(43));
    let newest = Grant::new(43).unwrap();
    assert_eq!(write(watching.next().await.unwrap(), newest), Ok(()), "told at once");
    let stale = resolving.look().await.unwrap().unwrap().clone();
    assert_eq!((stale.grant.number(), write(&stale, newest)), (42, Err(newest)));

    // What the node said is heard: the client does not go there again. But it does not know where to go instead.
    resolving.heard(newest);
    for _ in 0..3 {
        assert_eq!(resolving.look().await.unwrap(), None);
    }
    pause();
    advance(TTL).await;
    resume();
    let found = resolving.look().await.unwrap().unwrap();
    assert_eq!((found.grant, write(found, newest)), (newest, Ok(())));
}

#[tokio::test]
async fn a_name_server_that_cannot_be_asked_is_said_to_be_unreachable() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mute = socket.local_addr().unwrap();
    let mut directory =
        DnsDirectory::new(mute, "cluster.example").unwrap().deadline(Duration::from_millis(20));
    assert!(directory.current().await.is_err());
}

#[tokio::test]
async fn dig_is_answered_by_udp_and_tcp() {
    let (_leads, server) = cluster().await;
    for transport in ["+notcp", "+tcp"] {
        let port = server.port().to_string();
        let arguments =
            ["@127.0.0.1", "-p", &port, transport, "+short", "+tries=3", "leader.cluster.example", "SRV"];
        let Ok(answer) = Command::new("dig").args(arguments).output().await else {
            // Not through `eprintln`, which is not shown for a test that passes.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: dig is not installed, so nothing is tested with it");
            return;
        };
        let said = String::from_utf8(answer.stdout).unwrap();
        assert_eq!(said, "0 0 7400 g42.leader.cluster.example.\n", "{transport}");
    }
}

#[tokio::test]
async fn a_command_is_told_who_leads_and_told_again_if_it_failed() {
    let home = std::env::temp_dir().join(format!("crdt-sync-dns-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let told = home.join("told");
    // It succeeds only the second time.
    let script =
        "test -e \"$0\" || { touch \"$0\"; exit 3; }; echo \"$LEADER_GRANT $LEADER_ADDRESS\" >> \"$0\"";
    let hook = Hook::new("sh", ["-c", script, told.to_str().unwrap()]);
    let (leads, seen) = watch::channel(leader(42));
    let (failures, mut failed) = tokio::sync::mpsc::unbounded_channel();
    let report = move |error| failures.send(error).unwrap();
    let pause = Duration::from_millis(10);
    let publishing = tokio::spawn(keep_published(Follow::new(Watching(seen)), hook, pause, report));
    assert!(matches!(failed.recv().await, Some(PublishError::Failed(_))));

    let says = async |expected: &str| {
        while std::fs::read_to_string(&told).unwrap_or_default() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    says("42 10.0.0.42:7400\n").await;
    leads.send_replace(None);
    says("42 10.0.0.42:7400\n \n").await;
    leads.send_replace(leader(43));
    says("42 10.0.0.42:7400\n \n43 10.0.0.43:7400\n").await;
    publishing.abort();
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_command_that_hangs_is_killed() {
    let mut hook = Hook::new("sleep", ["600"]).deadline(Duration::from_millis(20));
    assert!(matches!(hook.publish(None).await, Err(PublishError::TooLate(_))));
    assert!(matches!(Hook::new("/does/not/exist", [""]).publish(None).await, Err(PublishError::NotRun(_))));
}
