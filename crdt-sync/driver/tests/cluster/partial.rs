//! A phone that holds its own user's keys only, and a server that holds everybody's.

use crdt_sync::{Scope, WriteError};
use crdt_sync_driver::{Node, NodeError, NodeOptions};

use crate::support::{Homes, address_of, lists, meet, notes, options, part, until};

/// What Ann's phone holds of all that there is.
fn of_ann() -> NodeOptions {
    let scope = Scope::nothing().only(notes().id(), "ann/").only(lists().id(), "ann/");
    options().scope(scope)
}

async fn items(node: &Node, key: &str) -> Vec<String> {
    let elements = node.sets(&lists()).elements(key).await.unwrap();
    elements.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_phone_holds_what_is_its_users_and_the_server_holds_all() {
    let homes = Homes::new();
    let server = homes.open("server").await;
    server.sets(&lists()).add("ann/shopping", "milk").await.unwrap();
    server.sets(&lists()).add("bob/shopping", "beer").await.unwrap();
    let phone = homes.open_with("phone", of_ann()).await;
    phone.sets(&lists()).add("ann/shopping", "bread").await.unwrap();
    phone.documents(&notes()).put("ann/todo", "call Bob").await.unwrap();
    meet(&phone, &server).await;

    assert_eq!(items(&phone, "ann/shopping").await, ["bread", "milk"]);
    assert_eq!(items(&server, "ann/shopping").await, ["bread", "milk"]);
    assert_eq!(server.documents(&notes()).read("ann/todo").await.unwrap().value, Some("call Bob".into()));
    // The list of somebody else is not empty here: it is not here, and the phone says so.
    let elsewhere = phone.sets(&lists()).elements("bob/shopping").await;
    assert_eq!(elsewhere, Err(NodeError::OutOfScope));
    let refused = phone.sets(&lists()).add("bob/shopping", "water").await;
    assert_eq!(refused, Err(NodeError::Refused(WriteError::OutOfScope { index: 0 })));
    phone.shutdown().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_phone_that_was_off_catches_up_with_its_part_and_brings_what_it_wrote() {
    let homes = Homes::new();
    let server = homes.open("server").await;
    let phone = homes.open_with("phone", of_ann()).await;
    server.sets(&lists()).add("ann/shopping", "milk").await.unwrap();
    meet(&phone, &server).await;
    part(&phone, &server).await;
    phone.sets(&lists()).remove("ann/shopping", "milk").await.unwrap();
    phone.shutdown().await;
    for user in ["ann", "bob"] {
        server.sets(&lists()).add(format!("{user}/shopping").as_str(), "tea").await.unwrap();
    }

    let phone = homes.open_with("phone", of_ann()).await;
    assert_eq!(items(&phone, "ann/shopping").await, [""; 0], "what was removed offline stays removed");
    phone.connect(address_of(&server)).unwrap();
    for node in [&phone, &server] {
        until(|| async { items(node, "ann/shopping").await == ["tea"] }).await;
    }
    let held = phone.scan(lists().id()).await.unwrap();
    let held: Vec<_> = held.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(held, ["ann/shopping"], "nothing of Bob's came along");
    assert_eq!(items(&server, "bob/shopping").await, ["tea"]);
    phone.shutdown().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_scope_is_for_life() {
    let homes = Homes::new();
    homes.open_with("phone", of_ann()).await.shutdown().await;
    let wider = Node::open(homes.path("phone"), options()).await;
    assert!(wider.is_err(), "a directory that holds a part must not pass for the whole");
    homes.open_with("phone", of_ann()).await.shutdown().await;
}
