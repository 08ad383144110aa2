//! What a peer may not do has no effect, and nobody else pays for it.

use super::*;
use crate::authorize::{Author, Authorization, Authorize, Op};
use crate::membership::{Membership, MembershipError};
use crate::replica::WriteError;
use crate::wire::{self, Members, Message};

/// A rule made of a function.
struct Rule<F>(F);

impl<F: Fn(NodeId, CollectionId, Op<'_>) -> bool + Send + Sync> Authorize for Rule<F> {
    fn authorize(&self, peer: NodeId, collection: CollectionId, op: Op<'_>) -> bool {
        (self.0)(peer, collection, op)
    }
}

/// A cluster whose node 0 asks this rule; the others allow everything.
fn guarded(
    nodes: u8,
    rule: impl Fn(NodeId, CollectionId, Op<'_>) -> bool + Send + Sync + 'static,
) -> Cluster {
    guarded_by(nodes, Authorization::by(Rule(rule)))
}

fn guarded_by(nodes: u8, authorization: Authorization) -> Cluster {
    let mut cluster = Cluster::new(nodes);
    let mut config = config(1, 7);
    config.authorization = authorization;
    cluster.logs[0].clear();
    cluster.engines[0] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(0);
    cluster
}

fn node(number: u8) -> NodeId {
    NodeId::from_u128(number.into())
}

fn notes() -> CollectionId {
    collections()[0].id()
}

fn count(key: &str) -> Write {
    write(2, key, Action::Increment(1))
}

fn note(key: &str) -> Write {
    write(0, key, Action::Put("text".into()))
}

fn told(cluster: &Cluster, at: usize, what: impl Fn(&Event) -> bool) -> usize {
    cluster.events.iter().filter(|(node, event)| *node == at && what(event)).count()
}

#[test]
fn what_a_peer_may_not_write_ends_its_link_and_nothing_of_the_batch_is_merged() {
    let mut cluster = guarded(2, |peer, collection, op| {
        let writes_notes = collection == notes() && matches!(op, Op::Write { .. });
        !(peer == node(2) && writes_notes)
    });
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(1, alloc::vec![count("visits")]);
    cluster.settle();
    cluster.write(1, alloc::vec![count("hits"), note("forbidden")]);
    cluster.settle();
    assert!(cluster.peek(0, &item(2, "visits")).is_some(), "what it may write arrived");
    assert_eq!(cluster.peek(0, &item(0, "forbidden")), None);
    assert_eq!(cluster.peek(0, &item(2, "hits")), None, "a batch is taken whole or not at all");
    let origin = cluster.engines[1].status().replica;
    let error = PeerError::Unauthorized { origin, collection: notes() };
    assert_eq!(told(&cluster, 0, |e| matches!(e, Event::Violation { error: e, .. } if *e == error)), 1);
    assert_eq!(cluster.closed, [Farewell::Unauthorized], "and is told why");
    assert!(cluster.engines[0].status().peers.is_empty());
}

#[test]
fn a_relay_is_not_accused_of_what_it_passes_on_and_is_not_asked_for_it_again() {
    let mut cluster = guarded(3, |_, collection, op| {
        collection != notes() || !matches!(op, Op::Write { author: Author::Relayed(_), .. })
    });
    cluster.connect(0, 1);
    cluster.connect(1, 2);
    cluster.settle();
    let author = cluster.engines[2].status().replica;
    cluster.write(2, alloc::vec![count("hits"), note("forbidden")]);
    cluster.settle();
    assert!(cluster.peek(1, &item(0, "forbidden")).is_some(), "the relay takes it");
    assert_eq!(cluster.peek(0, &item(0, "forbidden")), None);
    assert_eq!(cluster.peek(0, &item(2, "hits")), None);
    let refused = Event::Unauthorized {
        peer: node(2),
        partition: 0,
        collection: notes(),
        author: Author::Relayed(author),
    };
    assert_eq!(told(&cluster, 0, |event| *event == refused), 1);
    cluster.write(1, alloc::vec![note("by the relay itself")]);
    cluster.settle();
    assert!(cluster.peek(0, &item(0, "by the relay itself")).is_some());
    assert_eq!(told(&cluster, 0, |event| matches!(event, Event::Violation { .. })), 0);
    // Nothing of that origin comes any more, however much time passes.
    let runs = |cluster: &mut Cluster| {
        let mut runs = 0;
        for _ in 0..20 {
            cluster.micros += 300_000;
            for node in 0..3 {
                cluster.handle(node, Input::Timer);
            }
            runs += cluster.frames.iter().filter(|(_, bytes)| bytes[3] == 3).count();
            cluster.deliver();
        }
        runs
    };
    assert_eq!(runs(&mut cluster), 0);
    let in_sync = cluster.engines[0].status().peers.iter().any(|peer| peer.in_sync);
    assert!(!in_sync, "the two do not hold the same, and do not say so");
}

#[test]
fn the_states_of_a_peer_that_may_not_write_them_change_nothing() {
    let mut cluster = guarded(2, |peer, collection, op| {
        let writes_notes = collection == notes() && matches!(op, Op::Write { .. });
        !(peer == node(2) && writes_notes)
    });
    cluster.write(0, insert_many(0, 6_000, "from here"));
    cluster.write(1, alloc::vec![note("forbidden"), count("hits")]);
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(cluster.peek(0, &item(0, "forbidden")), None);
    assert!(cluster.peek(0, &item(2, "hits")).is_some(), "other collections are merged");
    assert!(cluster.peek(1, &item(0, "key-05999")).is_some(), "the peer gets what there is");
    let other = cluster.engines[1].status().replica;
    let heads = &cluster.engines[0].status().partitions[0].heads;
    assert!(!heads.iter().any(|(origin, _)| *origin == other), "its frontier is not taken over");
    let refused = |event: &Event| matches!(event, Event::Unauthorized { author: Author::Unknown, .. });
    assert!(told(&cluster, 0, refused) >= 1);
}

#[test]
fn a_peer_that_may_write_but_not_vouch_cannot_remove_by_claiming_to_have_seen() {
    let mut cluster = guarded(2, |peer, _, op| !(peer == node(2) && op == Op::Vouch));
    cluster.write(1, insert_many(0, 6_000, "from there"));
    cluster.write(0, alloc::vec![write(1, "list", Action::Add("milk".into()))]);
    cluster.connect(0, 1);
    cluster.settle();
    let other = cluster.engines[1].status().replica;
    assert!(cluster.peek(0, &item(0, "key-05999")).is_some(), "what it holds is merged");
    let sequence = |cluster: &Cluster| {
        let heads = cluster.engines[0].status().partitions[0].heads.clone();
        heads.iter().find(|(origin, _)| *origin == other).map_or(0, |(_, head)| head.sequence)
    };
    // Not by its word, but entry by entry it is followed all the same.
    let complete = |event: &Event| matches!(event, Event::SessionFinished { report, .. } if report.complete);
    assert_eq!(told(&cluster, 0, complete), 0);
    for _ in 0..10 {
        cluster.settle();
    }
    assert_eq!(sequence(&cluster), 6_000);
    assert!(cluster.peek(0, &item(1, "list")).is_some());
}

#[test]
fn who_may_not_read_a_collection_is_not_greeted() {
    let mut cluster = guarded(2, |peer, collection, op| {
        peer != node(2) || collection != collections()[3].id() || op != Op::Read
    });
    cluster.write(0, alloc::vec![note("secret")]);
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(cluster.peek(1, &item(0, "secret")), None);
    let refused = |event: &Event| matches!(event, Event::LinkRefused { reason: Farewell::Unauthorized, .. });
    assert_eq!(told(&cluster, 0, refused), 1);
    assert!(cluster.engines[0].status().peers.is_empty());
}

#[test]
fn a_node_does_not_write_what_it_may_not() {
    let mut cluster = guarded(1, |_, collection, _| collection != notes());
    let before = cluster.engines[0].status();
    let reply = cluster.write(0, alloc::vec![count("hits"), note("forbidden")]);
    let error = WriteError::Unauthorized { index: 1, collection: notes() };
    assert_eq!(reply, Reply::Refused(error));
    assert_eq!(cluster.engines[0].status(), before);
}

#[test]
fn a_node_that_renewed_its_identity_says_so_before_it_sends_what_it_wrote_since() {
    let mut cluster = guarded(2, |_, _, op| !matches!(op, Op::Write { author: Author::Relayed(_), .. }));
    cluster.connect(0, 1);
    cluster.settle();
    let now = cluster.now();
    cluster.engines[1].distrust_past(now);
    cluster.drain(1);
    cluster.write(1, alloc::vec![note("under the new name")]);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(told(&cluster, 0, |event| matches!(event, Event::Unauthorized { .. })), 0);
}

/// Believes this node alone that somebody is retired.
struct Believes(NodeId);

impl Authorize for Believes {
    fn authorize(&self, _: NodeId, _: CollectionId, _: Op<'_>) -> bool {
        true
    }

    fn believes_retired(&self, peer: NodeId, _: NodeId) -> bool {
        peer == self.0
    }
}

/// Node 0 believes node 1 alone that somebody is retired.
fn wary(nodes: u8) -> Cluster {
    guarded_by(nodes, Authorization::by(Believes(node(2))))
}

#[test]
fn nobody_is_retired_on_the_word_of_a_peer_that_is_not_believed() {
    let mut cluster = wary(3);
    cluster.connect(0, 1);
    cluster.connect(0, 2);
    cluster.settle();
    assert_eq!(cluster.retire(2, node(2)), Reply::MemberRetired);
    cluster.settle();
    let refused = Event::RetirementRefused { peer: node(3), node: node(2) };
    assert_eq!(cluster.saw(0, &refused), 1, "said once, though the peer goes on saying so");
    assert_eq!(cluster.engines[0].metrics().counters.refusals["retirement"], 1);
    assert_eq!(cluster.saw(0, &Event::MemberRetired { node: node(2) }), 0);
    cluster.write(1, alloc::vec![count("visits")]);
    cluster.settle();
    assert!(cluster.peek(0, &item(2, "visits")).is_some(), "it is a member here as before");
    assert_eq!(cluster.peek(2, &item(2, "visits")), None, "and at the peer it is not");

    // The same from one that is believed.
    assert_eq!(cluster.retire(1, node(3)), Reply::MemberRetired);
    cluster.settle();
    assert_eq!(cluster.saw(0, &Event::MemberRetired { node: node(3) }), 1);
}

#[test]
fn a_node_is_not_evicted_by_a_peer_that_it_does_not_believe() {
    let mut cluster = wary(3);
    cluster.connect(0, 2);
    cluster.settle();
    assert_eq!(cluster.retire(2, node(1)), Reply::MemberRetired);
    cluster.settle();
    assert!(cluster.closed.contains(&Farewell::Retired), "the peer parts");
    assert_eq!(cluster.saw(0, &Event::Evicted), 0);
    assert_eq!(cluster.saw(0, &Event::RetirementRefused { peer: node(3), node: node(1) }), 1);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.write(0, alloc::vec![count("visits")]);
    cluster.settle();
    assert!(cluster.peek(1, &item(2, "visits")).is_some());
}

#[test]
fn how_much_of_a_retired_member_is_valid_anybody_may_say() {
    let mut cluster = wary(4);
    cluster.mesh();
    cluster.part(0);
    cluster.part(1);
    cluster.write(3, alloc::vec![count("visits")]);
    cluster.settle();
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(cluster.retire(1, node(4)), Reply::MemberRetired);
    cluster.settle();
    assert_eq!(cluster.saw(0, &Event::MemberRetired { node: node(4) }), 1);
    cluster.connect(0, 2);
    cluster.settle();
    assert!(cluster.peek(0, &item(2, "visits")).is_some(), "a peer had applied it when it heard");
}

impl Cluster {
    /// Node 0 hears from another one what it says of members.
    fn says(&mut self, from: usize, known: Membership) -> LinkId {
        let &(_, link, _) = self.links.values().find(|(to, _, by)| (*to, *by) == (0, from)).unwrap();
        let message = Message::Members(Members { ask: false, known });
        self.handle(0, Input::Frame { link, bytes: wire::encode(&message) });
        link
    }
}

#[test]
fn nobody_is_retired_under_the_name_of_another_by_a_peer_that_is_not_believed() {
    for is_retired_already in [false, true] {
        let mut cluster = wary(4);
        for other in 1..4 {
            cluster.connect(0, other);
        }
        cluster.settle();
        let theirs = cluster.engines[1].status().replica;
        if is_retired_already {
            assert_eq!(cluster.retire(1, node(4)), Reply::MemberRetired);
            cluster.settle();
        }
        // An identity of node 2, given to node 4.
        let mut forged = Membership::default();
        forged.meet(node(4), Some(theirs));
        if is_retired_already {
            forged.retire(node(4));
        }
        cluster.says(2, forged);
        if !is_retired_already {
            assert_eq!(cluster.retire(1, node(4)), Reply::MemberRetired);
        }
        cluster.settle();
        let members = cluster.engines[0].status().members;
        assert!(members.is_retired(node(4)));
        assert!(members.retired_replicas().all(|(replica, _)| replica != theirs));
        cluster.write(1, alloc::vec![count("visits")]);
        cluster.settle();
        assert!(cluster.peek(0, &item(2, "visits")).is_some());
    }
}

#[test]
fn a_peer_that_is_not_believed_cannot_name_more_nodes_than_are_taken_on() {
    let mut cluster = wary(3);
    cluster.connect(0, 2);
    cluster.settle();
    let mut known = Membership::default();
    for number in 0..2_000 {
        known.meet(NodeId::from_u128(1_000 + number), None);
        known.retire(NodeId::from_u128(1_000 + number));
    }
    let link = cluster.says(2, known);
    let error = PeerError::Members(MembershipError::TooManyMembers { limit: 1 << 10 });
    assert_eq!(cluster.saw(0, &Event::Violation { link, error }), 1);
    assert_eq!(told(&cluster, 0, |event| matches!(event, Event::RetirementRefused { .. })), 0);
}
