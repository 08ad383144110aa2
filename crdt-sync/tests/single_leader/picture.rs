//! A user uploads a new picture and reloads the page, with real nodes: what each of the three patterns does about it.
//!
//! `tests/profile_picture.rs` tells the story at length, with numbers and without engines.

use std::time::Duration;

use crdt_sync::routing::{Answer, Audience, ReadPattern, Regions, Router, Seen, Session, Tags, Version};
use crdt_sync::{Bytes, Cell, Reply, Request, SessionToken};
use replication_log::{Epoch, Lsn};

use crate::cluster::*;

/// The second follower is slow, and near to the user.
const SLOW: usize = C;

/// A site whose user has uploaded a second picture, which the slow follower has not heard of.
struct Site {
    cluster: Cluster,
    router: Router,
    user: Session,
    /// What the client carries from answer to answer.
    token: Bytes,
}

fn version_of(token: &[u8]) -> Version {
    let cluster = crdt_sync::ClusterKey::from_bytes([9; 16]);
    match SessionToken::decode(token, &cluster, &crdt_sync::Limits::default()).unwrap() {
        SessionToken::SingleLeader { epoch, lsn } => Version::new(Epoch::new(epoch), Lsn::new(lsn)),
        other => panic!("{other:?}"),
    }
}

impl Site {
    /// The user has loaded the page before, in the same way.
    fn after(pattern: ReadPattern) -> Self {
        let settings = [(A, "us"), (B, "us"), (SLOW, "eu")]
            .into_iter()
            .fold(settings(""), |settings, (node, region)| {
                settings.with_tags(id(node), Tags::in_region(region))
            });
        let cluster = Cluster::of_three(&settings);
        let mut fleet = settings.fleet();
        fleet.leads(id(A), epoch_of(1), None);
        let router = Router::new(fleet, Regions::nearest_first(["eu", "us"]));
        let mut site = Self { cluster, router, user: Session::new(1), token: Bytes::default() };
        site.upload();
        site.cluster.settle();
        site.hear();
        assert_eq!(site.load(pattern, false).2, 1);
        site.upload();
        site.cluster.deliver_to_all_but(SLOW);
        site
    }

    /// The router is told how far the followers are, as the leader heard it.
    fn hear(&mut self) {
        let (leadership, now) = (self.cluster.leadership(A), self.cluster.now().instant);
        for (node, lsn) in leadership.readers_at {
            self.router.fleet_mut().heard(node, Version::new(leadership.epoch, lsn), now);
        }
    }

    /// A picture more.
    fn upload(&mut self) {
        let leader = self.router.route_write(&self.user).unwrap().node;
        assert_eq!(leader, id(A));
        let request = Request::Write(add("pictures", 1)).into();
        let asked = self.cluster.ask(A, Request::InSession { token: self.token.clone(), request });
        let Some(Reply::InSession { token, .. }) = self.cluster.answer(asked) else { panic!("not written") };
        let now = self.cluster.now().instant;
        let answer = Answer::of(version_of(&token));
        assert_eq!(self.router.acknowledged(&mut self.user, leader, answer, now), Seen::Kept);
        self.token = token;
    }

    /// Loads the page: who was asked, whether it waited, and how many pictures there are.
    fn load(&mut self, pattern: ReadPattern, carries_token: bool) -> (usize, bool, i128) {
        let now = self.cluster.now().instant;
        let route = self.router.route(&mut self.user, pattern, Audience::Default, now).unwrap();
        let node = [A, B, C].into_iter().find(|node| id(*node) == route.node).unwrap();
        let deadline = self.cluster.in_time(Duration::from_secs(5));
        let read = Request::Read { item: item("pictures"), deadline };
        let token = if carries_token { self.token.clone() } else { Bytes::default() };
        let asked = self.cluster.ask(node, Request::InSession { token, request: read.into() });
        let waited = !self.cluster.replies.contains_key(&asked);
        self.cluster.deliver();
        let Some(Reply::InSession { reply, .. }) = self.cluster.answer(asked) else { panic!("no answer") };
        let Reply::Value(Some(Cell::Counter(pictures))) = *reply else { panic!("{reply:?}") };
        (node, waited, pictures.value())
    }
}

#[test]
fn with_plain_reads_the_user_sees_the_old_picture() {
    let plain = ReadPattern::Any { at_most: None };
    assert_eq!(Site::after(plain).load(plain, false), (SLOW, false, 1));
}

#[test]
fn first_pattern_the_leader_is_asked_after_an_own_write() {
    let leader_after = ReadPattern::LeaderAfterOwnWrite { window: Duration::from_secs(1) };
    assert_eq!(Site::after(leader_after).load(leader_after, false), (A, false, 2));
}

#[test]
fn second_pattern_the_follower_of_the_session_waits_for_what_it_has_seen() {
    let monotonic = ReadPattern::Monotonic;
    assert_eq!(Site::after(monotonic).load(monotonic, true), (SLOW, true, 2));
}

#[test]
fn third_pattern_any_follower_waits_for_the_version_in_the_token() {
    let versioned = ReadPattern::Versioned { waits: true };
    assert_eq!(Site::after(versioned).load(versioned, true), (SLOW, true, 2));
}
