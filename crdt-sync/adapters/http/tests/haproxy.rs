//! Lesson: behind a proxy that checks `/primary`, clients go where the leader is without knowing that it changes.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it starts a real proxy")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crdt_sync::failover::Grant;
use crdt_sync_http::{ServerLimits, Standing, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

struct Node {
    name: &'static str,
    data: String,
    health: u16,
    standing: Arc<Mutex<Standing>>,
}

impl Node {
    /// A node whose clients are told its name.
    async fn start(name: &'static str) -> Self {
        let (data, health) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
        let (data, health) = (data.unwrap(), health.unwrap());
        let standing = Arc::new(Mutex::new(Standing::replica(Some(0))));
        let node = Self {
            name,
            data: data.local_addr().unwrap().to_string(),
            health: health.local_addr().unwrap().port(),
            standing: Arc::clone(&standing),
        };
        tokio::spawn(serve(health, move || standing.lock().unwrap().clone(), ServerLimits::default()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = data.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        node
    }

    fn stand(&self, standing: Standing) {
        *self.standing.lock().unwrap() = standing;
    }

    fn lead(&self, grant: u64) {
        self.stand(Standing::primary(Grant::new(grant).unwrap(), true, self.data.as_str()));
    }
}

/// HAProxy in front of the nodes; `None`, said aloud, where it is not installed.
fn proxy(nodes: &[&Node], port: u16, home: &tempfile::TempDir) -> Option<Child> {
    let servers: Vec<String> = nodes
        .iter()
        .map(|node| format!("    server {} {} check port {}\n", node.name, node.data, node.health))
        .collect();
    let configuration = format!(
        "defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 10s\n    timeout server 10s\n\
         frontend writes\n    bind 127.0.0.1:{port}\n    default_backend leader\n\
         backend leader\n    option httpchk OPTIONS /primary\n    http-check expect status 200\n\
         \x20   default-server inter 50ms rise 1 fall 1 on-marked-down shutdown-sessions\n{}",
        servers.concat()
    );
    let path = home.path().join("haproxy.cfg");
    std::fs::write(&path, configuration).unwrap();
    let binary = ["haproxy", "/usr/sbin/haproxy"];
    let started = binary.iter().find_map(|binary| {
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
        // Not through `eprintln`, which is not shown for a test that passes.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: haproxy is not installed, so nothing is tested with it");
    }
    started
}

/// What a client is told that connects through the proxy; nothing if nobody leads.
async fn told(port: u16) -> String {
    let mut name = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
        let _ = stream.read_to_string(&mut name).await;
    }
    name
}

/// Asks until it is told `expected`, and returns what else it was told first.
async fn until(port: u16, expected: &str) -> Vec<String> {
    let mut before = Vec::new();
    for _ in 0..1_000 {
        let name = told(port).await;
        if name == expected {
            return before;
        }
        before.push(name);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never told {expected}: {before:?}");
}

/// How many of twenty clients are told something else, once one was told `expected`.
async fn until_always(port: u16, expected: &str) -> usize {
    until(port, expected).await;
    let mut others = 0;
    for _ in 0..20 {
        others += usize::from(told(port).await != expected);
    }
    others
}

#[tokio::test]
async fn traffic_goes_to_the_one_primary_and_moves_with_it() {
    let (a, b) = (Node::start("a").await, Node::start("b").await);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    a.lead(1);
    let Some(_proxy) = proxy(&[&a, &b], port, &home) else { return };
    // Until its first check HAProxy takes every server for a good one;
    // the logs of the others refuse what it sends them.
    while until_always(port, "a").await > 0 {}

    // Its lease ends and nobody leads for a while: then nobody is gone to.
    a.stand(Standing::primary(Grant::FIRST, false, "a"));
    let before = until(port, "").await;
    assert!(before.iter().all(|name| name == "a"), "{before:?}");

    b.lead(2);
    let before = until(port, "b").await;
    assert!(before.iter().all(String::is_empty), "{before:?}");
    assert_eq!(until_always(port, "b").await, 0);
}
