//! A real etcd of one member, on this machine, which can be killed.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crdt_sync_etcd::etcd_client::{Client, ConnectOptions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

pub(crate) struct Etcd {
    home: TempDir,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl Etcd {
    /// Starts one; `None`, said aloud, where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let mut etcd = Self { home, client: free_port().await, peer: free_port().await, process: None };
        if !etcd.run() {
            // Not through `eprintln`, which is not shown for a test that passes.
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: etcd is not installed, so nothing is tested with it");
            return None;
        }
        etcd.ready().await;
        Some(etcd)
    }

    pub(crate) async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        assert!(self.run());
        self.ready().await;
    }

    /// Stops it without ending it, or lets it go on: nobody answers, and no connection is closed.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    pub(crate) async fn client(&self) -> Client {
        client_of(&self.address()).await
    }

    fn run(&mut self) -> bool {
        let (client, peer) =
            (format!("http://{}", self.address()), format!("http://127.0.0.1:{}", self.peer));
        let member = format!("one={peer}");
        let binaries = ["etcd", "/usr/bin/etcd"];
        self.process = binaries.iter().find_map(|binary| {
            Command::new(binary)
                .args(["--name", "one", "--data-dir"])
                .arg(self.home.path().join("data"))
                .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &member, "--log-level", "error"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .ok()
        });
        self.process.is_some()
    }

    async fn ready(&mut self) {
        for _ in 0..600 {
            let mut client = self.client().await;
            let asked = tokio::time::timeout(Duration::from_secs(1), client.get("ready?", None)).await;
            if matches!(asked, Ok(Ok(_))) {
                return;
            }
            let ended = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert_eq!(ended, None, "etcd ended by itself");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("etcd does not become ready");
    }
}

pub(crate) async fn client_of(address: &str) -> Client {
    let options = ConnectOptions::new().with_connect_timeout(Duration::from_secs(1));
    Client::connect([address], Some(options)).await.unwrap()
}

pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
