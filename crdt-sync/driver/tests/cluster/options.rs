//! What options say is done by the node.

use conflict_store::{Conflict, Custom, Resolution};
use crdt_sync::{
    Authorize, Bytes, ClusterKey, Collection, CollectionId, Event, NodeId, Op, PeerError, Strategy,
    WriteError,
};
use crdt_sync_driver::{NodeError, NodeOptions};

use crate::support::{Homes, address_of, agree, meet, notes, options, titles, told, until};

/// Prices are written by the office, and by nobody else.
struct OfficeOnly {
    office: NodeId,
    prices: CollectionId,
}

impl Authorize for OfficeOnly {
    fn authorize(&self, peer: NodeId, collection: CollectionId, op: Op<'_>) -> bool {
        peer == self.office || collection != self.prices || !matches!(op, Op::Write { .. })
    }
}

#[tokio::test]
async fn who_may_not_write_is_refused_at_home_and_by_others() {
    let homes = Homes::new();
    let office = NodeId::from_u128(1);
    let guarded = || options().authorize(OfficeOnly { office, prices: titles().id() });
    let (office, shop) =
        (homes.open_with("office", guarded().node(office)).await, homes.open_with("shop", guarded()).await);
    meet(&shop, &office).await;
    office.registers(&titles()).set("milk", "1.20").await.unwrap();
    agree(&[&shop, &office]).await;
    let refused = shop.registers(&titles()).set("milk", "0.10").await;
    let error = WriteError::Unauthorized { index: 0, collection: titles().id() };
    assert_eq!(refused, Err(NodeError::Refused(error)));

    // One that asks nobody before it writes is refused by the others.
    let rogue = homes.open("rogue").await;
    rogue.registers(&titles()).set("milk", "0.10").await.unwrap();
    let mut events = office.events();
    rogue.connect(address_of(&office)).unwrap();
    let violation = |event: &Event| {
        matches!(event, Event::Violation { error: PeerError::Unauthorized { .. }, .. })
            || matches!(event, Event::Unauthorized { .. })
    };
    told(&mut events, violation).await;
    assert_eq!(office.registers(&titles()).get("milk").await.unwrap(), Some("1.20".into()));
}

#[tokio::test]
async fn a_collection_that_is_settled_comes_to_one_version_by_itself() {
    let both = || {
        Custom::new("both", |conflict: &Conflict<'_, Bytes>| {
            let mut texts: Vec<_> = conflict.bodies().map(Bytes::to_string).collect();
            texts.sort();
            Resolution::Merge(texts.join(" / ").as_str().into())
        })
    };
    let headings = Collection::documents("headings", Strategy::Custom("both".into()));
    let plain =
        || NodeOptions::new(ClusterKey::from_bytes([7; 16])).collection(headings.clone()).rule(both());
    let homes = Homes::new();
    let settles = homes.open_with("settles", plain().settle(&headings)).await;
    let shows = homes.open_with("shows", plain()).await;
    settles.documents(&headings).put("title", "Hello").await.unwrap();
    shows.documents(&headings).put("title", "Bonjour").await.unwrap();
    shows.connect(address_of(&settles)).unwrap();
    until(|| async {
        let document = shows.documents(&headings).document("title").await.unwrap().unwrap();
        let bodies: Vec<_> = document.live_leaves().filter_map(|leaf| leaf.body()).cloned().collect();
        bodies == [Bytes::from("Bonjour / Hello")]
    })
    .await;
}

#[tokio::test]
async fn deletions_that_all_members_know_are_forgotten_where_that_was_asked_for() {
    let homes = Homes::new();
    let forgets = homes.open_with("forgets", options().collect_deletions()).await;
    let other = homes.open_with("other", options().collect_deletions()).await;
    meet(&other, &forgets).await;
    forgets.documents(&notes()).put("title", "Hello").await.unwrap();
    agree(&[&other, &forgets]).await;
    let mut events = forgets.events();
    forgets.documents(&notes()).delete("title").await.unwrap();
    told(&mut events, |event| matches!(event, Event::DeletionsCollected { documents: 1, .. })).await;
    assert_eq!(forgets.documents(&notes()).document("title").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_lost_is_told_of_where_that_was_asked_for() {
    let homes = Homes::new();
    let (quiet, tells) =
        (homes.open("quiet").await, homes.open_with("tells", options().tell_lost_writes()).await);
    quiet.registers(&titles()).set("profile", "Hello").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    tells.registers(&titles()).set("profile", "Bonjour").await.unwrap();
    let mut events = tells.events();
    quiet.connect(address_of(&tells)).unwrap();
    let lost = told(&mut events, |event| matches!(event, Event::ConcurrentWrite { .. })).await;
    let Event::ConcurrentWrite { lost, kept, .. } = lost else { panic!("{lost:?}") };
    assert!(lost < kept);
}
