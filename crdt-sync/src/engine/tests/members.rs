//! Members come, stay away and are retired: who may merge, what of it is valid, and how nothing is lost.

use super::*;
use crate::membership::{Member, MembershipError, RejoinError, RetireError};
use crate::wire::{self, Members, Message};

pub(super) fn id(node: usize) -> NodeId {
    NodeId::from_u128(node as u128 + 1)
}

pub(super) fn add(key: &str, element: &str) -> Vec<Write> {
    alloc::vec![write(1, key, Action::Add(element.into()))]
}

pub(super) fn put(key: &str, body: &str) -> Vec<Write> {
    alloc::vec![write(0, key, Action::Put(body.into()))]
}

pub(super) fn elements(cluster: &Cluster, node: usize, key: &str) -> Vec<Bytes> {
    match cluster.peek(node, &item(1, key)) {
        Some(Cell::Set(elements)) => elements.to_sorted().into_iter().cloned().collect(),
        _ => Vec::new(),
    }
}

impl Cluster {
    /// All nodes up to `nodes`, each connected to each.
    fn meshed(nodes: u8) -> Self {
        let mut cluster = Self::new(nodes);
        cluster.mesh();
        cluster
    }

    /// Each node is connected to each.
    pub(super) fn mesh(&mut self) {
        let nodes = self.engines.len();
        for a in 0..nodes {
            (a + 1..nodes).for_each(|b| self.connect(a, b));
        }
        self.settle();
    }

    /// A node loses all its connections.
    pub(super) fn part(&mut self, node: usize) {
        let ends: Vec<LinkId> =
            self.links.iter().filter(|(_, end)| end.2 == node).map(|(link, _)| *link).collect();
        for link in ends {
            let Some((other, far, _)) = self.links.remove(&link) else { continue };
            self.links.remove(&far);
            self.handle(node, Input::LinkDown { link });
            self.handle(other, Input::LinkDown { link: far });
        }
    }

    pub(super) fn retire(&mut self, at: usize, node: NodeId) -> Reply {
        self.next += 1;
        let id = RequestId(self.next);
        self.handle(at, Input::Request { id, request: Request::Retire { node } });
        self.replies.remove(&id.0).expect("the disk is never slow")
    }

    pub(super) fn saw(&self, node: usize, expected: &Event) -> usize {
        self.events.iter().filter(|(at, event)| *at == node && event == expected).count()
    }

    fn refused(&self, node: usize) -> usize {
        let refused =
            |(at, event): &&(usize, Event)| *at == node && matches!(event, Event::RetiredRefused { .. });
        self.events.iter().filter(refused).count()
    }

    fn assert_nobody_accused(&self) {
        let accused = self.events.iter().find(|(_, event)| matches!(event, Event::Violation { .. }));
        assert_eq!(accused, None);
    }

    pub(super) fn assert_same(&self, nodes: &[usize]) {
        let status = |node: &usize| self.engines[*node].status();
        for pair in nodes.windows(2) {
            assert_eq!(status(&pair[0]).partitions, status(&pair[1]).partitions);
            assert_eq!(status(&pair[0]).members, status(&pair[1]).members);
        }
    }

    /// Lets some heartbeats of the first two nodes pass, in which everything arrives but what members say of members.
    fn pass_without_members(&mut self) {
        for _ in 0..4 {
            self.deliver_without_members();
            self.micros += 300_000;
            for node in 0..2 {
                self.handle(node, Input::Timer);
            }
        }
    }

    fn deliver_without_members(&mut self) {
        while let Some((link, bytes)) = self.frames.pop_front() {
            let says_members = bytes[3] == 6;
            if let Some(&(node, link, _)) = self.links.get(&link).filter(|_| !says_members) {
                self.handle(node, Input::Frame { link, bytes });
            }
        }
    }
}

#[test]
fn whoever_greets_is_a_member_and_all_hear_of_it_along_a_line() {
    let mut cluster = Cluster::new(4);
    for node in 0..3 {
        cluster.connect(node, node + 1);
    }
    cluster.settle();
    cluster.assert_same(&[0, 1, 2, 3]);
    let known = cluster.engines[0].status().members;
    assert_eq!(known.active().collect::<Vec<_>>(), [id(0), id(1), id(2), id(3)]);
    for node in 0..4 {
        let member = known.get(id(node)).unwrap();
        assert_eq!(member.replicas().collect::<Vec<_>>(), [cluster.engines[node].status().replica]);
        for other in (0..4).filter(|other| *other != node) {
            assert_eq!(cluster.saw(node, &Event::MemberJoined { node: id(other) }), 1);
        }
    }
}

#[test]
fn what_is_known_of_members_is_not_said_again_in_silence() {
    let mut cluster = Cluster::meshed(3);
    cluster.settle();
    let said = |cluster: &Cluster| cluster.frames.iter().filter(|(_, bytes)| bytes[3] == 6).count();
    for _ in 0..20 {
        cluster.micros += 300_000;
        for node in 0..3 {
            cluster.handle(node, Input::Timer);
        }
        assert_eq!(said(&cluster), 0);
        cluster.deliver();
    }
}

#[test]
fn a_device_that_was_offline_for_a_week_comes_back_with_its_writes() {
    let mut cluster = Cluster::meshed(3);
    cluster.part(2);
    cluster.write(2, add("list", "from afar"));
    cluster.write(0, add("list", "from home"));
    cluster.micros += 7 * 24 * 3_600 * 1_000_000;
    cluster.settle();
    cluster.connect(2, 0);
    cluster.settle();
    cluster.assert_same(&[0, 1, 2]);
    assert_eq!(elements(&cluster, 1, "list").len(), 2);
}

#[test]
fn a_device_that_was_retired_meanwhile_is_told_and_nothing_of_it_merges() {
    let mut cluster = Cluster::meshed(3);
    cluster.write(2, add("list", "in time"));
    cluster.settle();
    cluster.part(2);
    cluster.write(2, add("list", "too late"));
    assert_eq!(cluster.retire(0, id(2)), Reply::MemberRetired);
    cluster.settle();
    assert_eq!(cluster.saw(1, &Event::MemberRetired { node: id(2) }), 1);
    cluster.connect(2, 1);
    cluster.settle();
    assert_eq!(elements(&cluster, 1, "list"), ["in time".into()]);
    assert_eq!(cluster.saw(2, &Event::Evicted), 1);
    let refused = |(at, event): &(usize, Event)| {
        *at == 1 && matches!(event, Event::LinkRefused { reason: Farewell::Retired, .. })
    };
    assert!(cluster.events.iter().any(refused));
    cluster.assert_nobody_accused();
    cluster.assert_same(&[0, 1]);
}

#[test]
fn an_evicted_device_serves_reads_takes_no_writes_and_syncs_with_nobody() {
    let mut cluster = Cluster::meshed(2);
    cluster.write(1, add("list", "milk"));
    cluster.settle();
    cluster.retire(0, id(1));
    cluster.settle();
    assert!(cluster.engines[1].status().evicted);
    assert!(cluster.engines[1].status().peers.is_empty());
    assert!(cluster.engines[0].status().peers.is_empty());
    assert_eq!(elements(&cluster, 1, "list"), ["milk".into()]);
    assert_eq!(cluster.write(1, add("list", "bread")), Reply::Refused(crate::WriteError::Evicted));
    assert_eq!(cluster.engines[1].unacknowledged().entries, [], "all of it is known");
    cluster.restart(1);
    assert!(cluster.engines[1].status().evicted, "also after a restart");
    assert_eq!(cluster.write(1, add("list", "bread")), Reply::Refused(crate::WriteError::Evicted));
    cluster.connect(1, 0);
    cluster.settle();
    assert!(cluster.links.is_empty());
}

#[test]
fn a_node_that_restarts_remembers_who_is_retired() {
    let mut cluster = Cluster::meshed(3);
    cluster.write(2, add("list", "in time"));
    cluster.settle();
    cluster.part(2);
    cluster.write(2, add("list", "too late"));
    cluster.retire(0, id(2));
    cluster.settle();
    let before = cluster.engines[1].status().members;
    cluster.restart(1);
    assert_eq!(cluster.engines[1].status().members, before);
    cluster.connect(1, 2);
    cluster.settle();
    assert_eq!(elements(&cluster, 1, "list"), ["in time".into()]);
}

/// A relay had taken entries before it heard of the retirement. They are valid, and nobody is to blame; but as long as
/// only the relay knows that, they are not taken from it.
#[test]
fn what_a_relay_brings_that_has_not_heard_is_refused_until_it_has() {
    let mut cluster = Cluster::meshed(3);
    cluster.write(2, add("list", "in time"));
    cluster.settle();
    cluster.part(0);
    cluster.write(2, add("list", "known to the relay"));
    cluster.settle();
    cluster.part(2);
    cluster.write(2, add("list", "too late"));
    cluster.retire(0, id(2));
    cluster.connect(0, 1);
    cluster.pass_without_members();
    assert_eq!(elements(&cluster, 0, "list"), ["in time".into()]);
    assert_eq!(cluster.refused(0), 1);
    cluster.settle();
    assert_eq!(elements(&cluster, 0, "list"), ["in time".into(), "known to the relay".into()]);
    cluster.connect(2, 1);
    cluster.settle();
    cluster.assert_nobody_accused();
    cluster.assert_same(&[0, 1]);
    assert_eq!(elements(&cluster, 1, "list").len(), 2);
}

/// The same by way of a session: what the relay stands on is not valid yet, so no session can rest on it.
#[test]
fn no_session_rests_on_what_is_not_valid() {
    let mut cluster = Cluster::meshed(3);
    cluster.part(0);
    for part in 0..3 {
        cluster.write(2, insert_many(part * 2_000, (part + 1) * 2_000, "body"));
    }
    cluster.settle();
    cluster.part(2);
    cluster.retire(0, id(2));
    cluster.connect(0, 1);
    cluster.pass_without_members();
    assert_eq!(cluster.engines[0].status().partitions[0].keys, 0);
    assert_eq!(cluster.refused(0), 1);
    for _ in 0..5 {
        cluster.settle();
    }
    cluster.assert_nobody_accused();
    cluster.assert_same(&[0, 1]);
    assert_eq!(cluster.engines[0].status().partitions[0].keys, 6_000);
}

#[test]
fn two_nodes_that_retire_one_device_with_different_knowledge_agree_on_the_greater() {
    let mut cluster = Cluster::meshed(4);
    cluster.write(3, add("list", "known to all"));
    cluster.settle();
    cluster.part(0);
    cluster.write(3, add("list", "known to two"));
    cluster.settle();
    cluster.part(3);
    cluster.part(1);
    cluster.write(3, add("list", "known to none"));
    cluster.retire(0, id(3));
    cluster.retire(1, id(3));
    for (a, b) in [(0, 2), (1, 2), (2, 3)] {
        cluster.connect(a, b);
    }
    cluster.settle();
    cluster.assert_nobody_accused();
    cluster.assert_same(&[0, 1, 2]);
    assert_eq!(elements(&cluster, 0, "list"), ["known to all".into(), "known to two".into()]);
    let known = cluster.engines[2].status().members;
    let Some(Member::Retired { last }) = known.get(id(3)) else { panic!("not retired") };
    assert_eq!(last.last(cluster.engines[3].status().replica, 0).sequence, 2);
}

#[test]
fn a_retirement_blocks_nothing_for_the_others() {
    let mut cluster = Cluster::meshed(3);
    cluster.part(2);
    cluster.retire(0, id(2));
    cluster.write(0, add("list", "here"));
    cluster.write(1, add("list", "there"));
    cluster.settle();
    cluster.assert_same(&[0, 1]);
    assert_eq!(elements(&cluster, 1, "list").len(), 2);
    let in_sync = cluster.engines[0].status().peers;
    assert_eq!(in_sync, [PeerStatus { node: id(1), in_sync: true }]);
}

#[test]
fn an_old_copy_on_an_evicted_device_brings_nothing_back() {
    let mut cluster = Cluster::meshed(3);
    cluster.write(0, put("note", "to be deleted"));
    cluster.settle();
    cluster.part(2);
    cluster.write(0, alloc::vec![write(0, "note", Action::Delete)]);
    cluster.retire(0, id(2));
    cluster.settle();
    cluster.connect(2, 1);
    cluster.connect(2, 0);
    cluster.settle();
    for node in 0..2 {
        let deleted = match cluster.peek(node, &item(0, "note")) {
            Some(Cell::Document(document)) => document.is_deleted(),
            _ => true,
        };
        assert!(deleted);
    }
    let rejoin = {
        cluster
            .engines
            .push(Engine::open(config(9, 0), Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap());
        cluster.logs.push(Vec::new());
        cluster.drain(3);
        cluster.connect(3, 0);
        cluster.settle();
        cluster.engines[3].rejoin(&cluster.engines[2]).unwrap()
    };
    assert_eq!(rejoin.writes, [], "it wrote nothing that nobody has");
    assert_eq!(rejoin.reported, []);
}

#[test]
fn each_reason_not_to_retire_and_not_to_rejoin_has_its_error() {
    let mut cluster = Cluster::meshed(3);
    assert_eq!(cluster.retire(0, id(0)), Reply::NotRetired(RetireError::Myself));
    assert_eq!(cluster.retire(0, id(8)), Reply::NotRetired(RetireError::Unknown { node: id(8) }));
    cluster.retire(0, id(1));
    assert_eq!(cluster.retire(0, id(1)), Reply::MemberRetired, "twice is once");
    cluster.settle();
    assert_eq!(cluster.retire(1, id(2)), Reply::NotRetired(RetireError::Evicted));
    let rejoin = |fresh: usize, old: usize| cluster.engines[fresh].rejoin(&cluster.engines[old]).unwrap_err();
    assert_eq!(rejoin(2, 0), RejoinError::NotRetired);
    assert_eq!(rejoin(1, 1), RejoinError::Retired);
    let mut other = config(9, 0);
    other.cluster = ClusterKey::from_bytes([1; 16]);
    let other = Engine::open(other, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    assert_eq!(other.rejoin(&cluster.engines[1]), Err(RejoinError::OtherCluster));
}

#[test]
fn an_impossible_membership_ends_the_link_and_changes_nothing() {
    let mut cluster = Cluster::meshed(2);
    let before = cluster.engines[0].status();
    let link = *cluster.links.iter().find(|(_, end)| end.2 == 0).unwrap().0;
    let mut known = before.members.clone();
    for node in 10..2_000 {
        known.meet(id(node), None);
    }
    let message = Message::Members(Members { ask: true, known });
    cluster.handle(0, Input::Frame { link, bytes: wire::encode(&message) });
    let error = PeerError::Members(MembershipError::TooManyMembers { limit: 1 << 10 });
    assert_eq!(cluster.saw(0, &Event::Violation { link, error }), 1);
    assert_eq!(cluster.engines[0].status().members, before.members);
}

/// What the parting member knows may be lost on the way; the farewell says enough. But only of one that has greeted.
#[test]
fn a_farewell_of_a_member_is_enough_to_be_evicted() {
    for greeted in [false, true] {
        let mut cluster = Cluster::new(2);
        cluster.connect(0, 1);
        if greeted {
            cluster.deliver();
        }
        let link = *cluster.links.iter().find(|(_, end)| end.2 == 0).unwrap().0;
        let bytes = wire::encode(&Message::Farewell(Farewell::Retired));
        cluster.handle(0, Input::Frame { link, bytes });
        assert_eq!(cluster.saw(0, &Event::PeerLeaves { link, reason: Farewell::Retired }), 1);
        assert_eq!(cluster.saw(0, &Event::Evicted), usize::from(greeted));
        cluster.deliver();
        assert_eq!(cluster.saw(1, &Event::Evicted), 0, "nobody else is");
    }
}

#[test]
fn a_node_with_as_many_members_as_it_may_have_takes_no_further_one() {
    let mut cluster = Cluster::new(3);
    let mut small = config(1, 7);
    small.limits.max_members = 2;
    cluster.logs[0].clear();
    cluster.engines[0] = Engine::open(small, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(0);
    cluster.connect(0, 1);
    cluster.connect(0, 2);
    cluster.settle();
    assert_eq!(cluster.engines[0].status().members.iter().count(), 2);
    assert_eq!(cluster.engines[0].status().peers.len(), 1);
}

/// What a retired node is told must be true after a crash, too.
#[test]
fn a_retirement_is_told_to_nobody_before_it_is_durable() {
    let mut cluster = Cluster::meshed(2);
    let (now, request) = (cluster.now(), Request::Retire { node: id(1) });
    let engine = &mut cluster.engines[0];
    engine.handle(now, Input::Request { id: RequestId(7_777), request });
    let outputs: Vec<Output> = core::iter::from_fn(|| engine.poll_output()).collect();
    let tells =
        |output: &Output| matches!(output, Output::Send { .. } | Output::Reply { .. } | Output::Close { .. });
    assert!(!outputs.iter().any(tells), "{outputs:?}");
    engine.handle(now, Input::Durable { lsn: Lsn::new(99) });
    let outputs: Vec<Output> = core::iter::from_fn(|| engine.poll_output()).collect();
    assert!(outputs.iter().any(|output| matches!(output, Output::Reply { reply: Reply::MemberRetired, .. })));
    assert!(outputs.iter().any(|output| matches!(output, Output::Close { reason: Farewell::Retired, .. })));
}

/// The mistake that a simulator must be able to catch.
#[cfg(feature = "_planted_bugs")]
#[test]
fn with_the_planted_mistake_an_evicted_device_merges_back() {
    let mut cluster = Cluster::meshed(2);
    for engine in &mut cluster.engines {
        engine.plant(crate::PlantedBug::EvictedMergedBack);
    }
    cluster.part(1);
    cluster.write(1, add("list", "too late"));
    cluster.retire(0, id(1));
    cluster.connect(0, 1);
    cluster.settle();
    assert_eq!(elements(&cluster, 0, "list"), ["too late".into()]);
}
