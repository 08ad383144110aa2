//! One of every word of a leaderless cluster.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use conflict_store::VersionId;
use crdt_core::{CausalContext, Dot, ReplicaId};

use super::*;
use crate::collection::Collection;
use crate::leaderless::coordinate::{Refusal, Wanted};
use crate::node::NodeId;
use crate::placement::{Layout, Member, Shape};
use crate::replica::{Action, ItemKey, Write, WriteError};

fn told(origin: ReplicaId) -> MergedState {
    MergedState {
        partition: 3,
        collection: Collection::sets("lists").id(),
        key: "groceries".into(),
        state: "s".into(),
        removed: vec![Dot::new(origin, 1).unwrap()],
    }
}

fn layout() -> Box<Layout> {
    let shape = Shape { partitions: 16, replicas: 2, write_quorum: 2 };
    let member = |n: u8| Member::new(NodeId::from_u128(n.into()), "rack");
    Box::new(Layout::found(vec![member(1), member(2)], shape).unwrap())
}

pub(super) fn quorum_samples(origin: ReplicaId) -> Vec<Message> {
    let node = NodeId::from_u128(9);
    let item = ItemKey { collection: Collection::sets("lists").id(), key: "groceries".into() };
    let write =
        Write { collection: item.collection, key: item.key.clone(), action: Action::Add("milk".into()) };
    let version: VersionId = "1-d6ef6bdc0efd49be4e76dc5b61056ab7".parse().unwrap();
    let mut context = CausalContext::new();
    context.insert_range(origin, 1..=3);
    let mint = Mint {
        request: 7,
        ring: 2,
        in_place_of: Some(node),
        seen: Some(told(origin)),
        before: context.clone(),
        write,
    };
    let minted = |outcome| Quorum::Minted(Minted { request: 7, outcome });
    let fetched = |found| Quorum::Fetched { request: 7, found };
    let died = Some(Died { lately: told(origin).removed, before: context.clone() });
    let removal = Some(Removal { element: "milk".into(), before: context.clone() });
    let fetch = |wanted, died| Quorum::Fetch(Fetch { request: 7, ring: 2, item: item.clone(), wanted, died });
    let tombstones = |forget| {
        let documents = vec![(item.clone(), 1 << 64)];
        Quorum::Tombstones(Tombstones { request: 7, ring: 2, partition: 3, forget, documents })
    };
    let words = [
        Quorum::Mint(mint),
        minted(Ok(CarriedOut { versions: vec![version], told: told(origin), removal: None })),
        minted(Ok(CarriedOut { versions: vec![], told: told(origin), removal: removal.clone() })),
        minted(Err(Unminted::Refused(Refusal::Overloaded))),
        minted(Err(Unminted::Refused(Refusal::Behind))),
        minted(Err(Unminted::Impossible(WriteError::OneAtATime))),
        minted(Err(Unminted::NotKept)),
        Quorum::Mutate(Mutate { request: 7, ring: 2, in_place_of: None, told: told(origin), removal: None }),
        Quorum::Mutate(Mutate { request: 7, ring: 2, in_place_of: None, told: told(origin), removal }),
        Quorum::Mutated { request: 7, refused: None },
        Quorum::Mutated { request: 7, refused: Some(Refusal::TooLarge) },
        fetch(Wanted::Digest, None),
        fetch(Wanted::Whole, Some("milk".into())),
        fetched(Found::Digest(None)),
        fetched(Found::Digest(Some(5))),
        fetched(Found::Whole(KeyState { state: "s".into(), context: context.clone(), died: None })),
        fetched(Found::Whole(KeyState { state: "s".into(), context, died })),
        fetched(Found::Refused(Refusal::OtherRing)),
        Quorum::Layout(layout()),
        tombstones(false),
        tombstones(true),
        Quorum::TombstonesHeld { request: 7, objections: None },
        Quorum::TombstonesHeld { request: 7, objections: Some(vec![0, 300]) },
        Quorum::Filling(Filling { asks: false, founded: 1, unfilled: vec![] }),
        Quorum::Filling(Filling { asks: true, founded: 0, unfilled: vec![(0, 2), (4, 300)] }),
        fetched(Found::Refused(Refusal::Filling)),
    ];
    words.map(Message::Quorum).into()
}
