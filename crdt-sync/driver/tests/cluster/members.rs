//! Members come, are retired, and are told.

use crdt_sync::{Event, Member, NodeId, RetireError, WriteError};
use crdt_sync_driver::NodeError;

use crate::support::{Homes, address_of, agree, lists, meet, name_of, part, told, until};

#[tokio::test]
async fn whoever_is_met_is_a_member_and_whoever_is_retired_is_known_to_be_everywhere() {
    let homes = Homes::new();
    let (office, shop, phone) =
        (homes.open("office").await, homes.open("shop").await, homes.open("phone").await);
    meet(&shop, &office).await;
    meet(&phone, &office).await;
    let name = name_of(&phone).await;
    until(|| async { shop.members().await.unwrap().active().count() == 3 }).await;
    part(&phone, &office).await;
    let mut events = shop.events();
    office.retire(name).await.unwrap();
    told(&mut events, |event| *event == Event::MemberRetired { node: name }).await;
    assert!(matches!(shop.members().await.unwrap().get(name), Some(Member::Retired { .. })));
    assert!(!phone.is_evicted().await.unwrap(), "nobody told it yet");
}

#[tokio::test]
async fn an_evicted_node_is_told_and_takes_no_writes_and_can_still_be_read() {
    let homes = Homes::new();
    let (office, phone) = (homes.open("office").await, homes.open("phone").await);
    meet(&phone, &office).await;
    phone.sets(&lists()).add("groceries", "milk").await.unwrap();
    agree(&[&phone, &office]).await;
    part(&phone, &office).await;
    office.retire(name_of(&phone).await).await.unwrap();
    phone.sets(&lists()).add("groceries", "bread").await.unwrap();
    let mut events = phone.events();
    phone.connect(address_of(&office)).unwrap();
    told(&mut events, |event| *event == Event::Evicted).await;
    assert!(phone.is_evicted().await.unwrap());
    let refused = phone.sets(&lists()).add("groceries", "soap").await;
    assert_eq!(refused, Err(NodeError::Refused(WriteError::Evicted)));
    let (here, there) = (phone.sets(&lists()), office.sets(&lists()));
    assert_eq!(here.elements("groceries").await.unwrap(), ["bread".into(), "milk".into()]);
    assert_eq!(
        there.elements("groceries").await.unwrap(),
        ["milk".into()],
        "what came too late is not merged"
    );
    until(|| async { phone.status().await.unwrap().peers.is_empty() }).await;
    phone.shutdown().await;
    assert!(homes.open("phone").await.is_evicted().await.unwrap(), "it knows after a restart");
}

#[tokio::test]
async fn who_cannot_be_retired_is_not_and_the_reason_is_told() {
    let homes = Homes::new();
    let office = homes.open("office").await;
    let (myself, stranger) = (name_of(&office).await, NodeId::from_u128(7));
    assert_eq!(office.retire(myself).await, Err(NodeError::NotRetired(RetireError::Myself)));
    let unknown = RetireError::Unknown { node: stranger };
    assert_eq!(office.retire(stranger).await, Err(NodeError::NotRetired(unknown)));
    assert_eq!(office.members().await.unwrap().active().collect::<Vec<_>>(), [myself]);
}
