//! Whatever is lost on the way, an answer is true: nobody is told that it was granted what it was not, nor that it was
//! not what it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::failover::{Answer, Ask, Coordinator, Tenure};
use crdt_sync_etcd::EtcdCoordinator;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Etcd, client_of};

const LEASE: Duration = Duration::from_secs(600);

/// A way to etcd that ends once it has carried so many bytes back; the next one is sound.
struct Way {
    address: String,
    left: Arc<AtomicUsize>,
}

impl Way {
    async fn to(etcd: &Etcd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, left) =
            (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(usize::MAX)));
        let (server, shared) = (etcd.address(), Arc::clone(&left));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&server).await.unwrap();
                let left = Arc::clone(&shared);
                tokio::spawn(async move {
                    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                    let there = carry(from_near, to_far, Arc::new(AtomicUsize::new(usize::MAX)));
                    tokio::select! {
                        () = there => {}
                        () = carry(from_far, to_near, left) => {}
                    }
                });
            }
        });
        Self { address, left }
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, left: Arc<AtomicUsize>) {
    let mut piece = [0; 256];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let before = left.load(Ordering::SeqCst);
        if before < length {
            left.store(usize::MAX, Ordering::SeqCst);
            return;
        }
        left.store(before.saturating_sub(length), Ordering::SeqCst);
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn whatever_is_lost_on_the_way_back_the_answer_is_true() {
    let Some(etcd) = Etcd::start().await else { return };
    let holder = NodeId::from_u128(1);
    let (mut granted, mut lost) = (0, 0);
    for (round, bytes) in (0..900).step_by(15).enumerate() {
        let log = format!("/log/{round}");
        let mut sound = EtcdCoordinator::new(etcd.client().await, &log, "a:1");
        let way = Way::to(&etcd).await;
        let mut torn = EtcdCoordinator::new(client_of(&way.address).await, &log, "a:1");
        // Connected, and greeted.
        assert_eq!(torn.ask(Ask::Look).await, Answer::Held(None));
        way.left.store(bytes, Ordering::SeqCst);
        let told = torn.ask(Ask::Acquire { candidate: holder, lease: LEASE, above: None }).await;
        let held = sound.ask(Ask::Look).await;
        match told {
            Answer::Granted(grant) => {
                granted += 1;
                assert_eq!(held, Answer::Held(Some(Tenure { holder, grant })), "after {bytes} bytes");
            }
            Answer::Held(_) => assert_eq!(held, Answer::Held(None), "after {bytes} bytes"),
            Answer::Unavailable { .. } => lost += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(granted > 0 && lost > 0, "{granted} granted, {lost} unknown: the ways end in the midst of it");
}
