//! What a node tells of itself: its numbers, its peers, and what it says to `tracing`.

use std::fmt;
use std::sync::{Arc, Mutex};

use crdt_sync_driver::{Node, NodeError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Homes, address_of, meet, name_of, part, until};

/// What the application's own server answers to `GET /metrics`.
async fn metrics(node: &Node) -> Result<(&'static str, String), NodeError> {
    let text = node.metrics().await?.exposition(&[("site", "Berlin")]).to_string();
    Ok(("text/plain; version=0.0.4", text))
}

#[tokio::test]
async fn the_numbers_of_a_node_are_a_text_that_any_server_can_answer_with() {
    let homes = Homes::new();
    let (office, shop) = (homes.open("office").await, homes.open("shop").await);
    meet(&shop, &office).await;
    shop.in_sync_with(1).await.unwrap();
    let (_, text) = metrics(&shop).await.unwrap();
    let (node, peer) = (name_of(&shop).await, name_of(&office).await);
    let line = format!("crdt_sync_peer_in_sync{{node=\"{node}\",peer=\"{peer}\",site=\"Berlin\"}} 1");
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[tokio::test]
async fn a_node_says_where_its_peers_are_and_who_dialed() {
    let homes = Homes::new();
    let (office, shop) = (homes.open("office").await, homes.open("shop").await);
    meet(&shop, &office).await;
    let [peer] = &shop.peers().await.unwrap()[..] else { panic!("one") };
    assert_eq!(peer.node, name_of(&office).await);
    let [connection] = &peer.connections[..] else { panic!("one: {peer:?}") };
    assert_eq!(
        (connection.address, connection.dialed, connection.certified),
        (address_of(&office), true, false)
    );
    let [peer] = &office.peers().await.unwrap()[..] else { panic!("one") };
    assert!(!peer.connections[0].dialed);
    part(&shop, &office).await;
    until(|| async { shop.peers().await.unwrap().is_empty() }).await;
}

/// Notes what is told, as `level: message`.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Recorder {
    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|said| said == line)
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("crdt_sync")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        let said = format!("{}: {}", event.metadata().level(), message.0);
        self.0.lock().unwrap().push(said);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The engine has a thread of its own, so whoever listens must listen to the whole process.
#[tokio::test]
async fn what_happens_is_told_to_tracing() {
    let recorder = Recorder::default();
    tracing::subscriber::set_global_default(recorder.clone()).unwrap();
    let homes = Homes::new();
    let (office, shop) = (homes.open("office").await, homes.open("shop").await);
    meet(&shop, &office).await;
    let refused = shop.counters(&crate::support::lists()).increment("milk", 1).await;
    assert!(matches!(refused, Err(NodeError::Refused(_))));
    part(&shop, &office).await;
    shop.shutdown().await;
    for line in [
        "INFO: log opened",
        "INFO: a peer is connected",
        "DEBUG: in sync",
        "DEBUG: writes are refused",
        "INFO: a peer is gone",
    ] {
        until(|| async { recorder.has(line) }).await;
    }
    assert!(!recorder.has("INFO: a day is over"));
}
