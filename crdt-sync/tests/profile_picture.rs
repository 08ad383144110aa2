//! A lesson: a user uploads a new profile picture, reloads the page 100 ms later, and sees the old one.
//!
//! Writes go to the leader, reads to followers, which lag behind it: `slow` by 300 ms, `quick` by 20 ms. Nothing is
//! wrong in this cluster, everybody agrees in the end; only that this user has seen time go back.
//!
//! | read at 100 ms | asked | answered at | the user sees |
//! |---|---|---|---|
//! | plain | `slow` | 100 ms | the old picture |
//! | 1. the leader after an own write | the leader | 100 ms | the new one |
//! | 2. monotonic: always the same follower | `slow`, which waits | 300 ms | the new one |
//! | 3. versioned: any follower, with a token | `slow`, which waits | 300 ms | the new one |
//!
//! Read the tests from top to bottom; every number of the table is computed by them.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use core::time::Duration;

use crdt_sync::NodeId;
use crdt_sync::routing::{
    Answer, Audience, Fleet, Loss, NoRoute, ReadPattern, Reason, Regions, Router, Seen, Session, Tags,
    Version,
};
use crdt_sync::time::Instant;
use replication_log::{Epoch, Lsn};

const LEADER: NodeId = NodeId::from_u128(1);
const SLOW: NodeId = NodeId::from_u128(2);
const QUICK: NodeId = NodeId::from_u128(3);

const PLAIN: ReadPattern = ReadPattern::Any { at_most: None };
const VERSIONED: ReadPattern = ReadPattern::Versioned { waits: true };
const LEADER_FOR_A_SECOND: ReadPattern = ReadPattern::LeaderAfterOwnWrite { window: Duration::from_secs(1) };

// ---- The problem ----

#[test]
fn with_plain_reads_a_user_who_uploaded_a_picture_sees_the_old_one() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    let page = site.load(&mut user, PLAIN, 100);
    assert_eq!((page.node, page.at, page.picture), (SLOW, 100, "old.png"));
    // In the end everybody agrees.
    assert_eq!(site.load(&mut user, PLAIN, 301).picture, "new.png");
}

// ---- First pattern: from the leader after own writes ----

#[test]
fn asking_the_leader_after_an_own_write_shows_the_new_picture_at_once() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    let page = site.load(&mut user, LEADER_FOR_A_SECOND, 100);
    assert_eq!((page.node, page.at, page.picture), (LEADER, 100, "new.png"));

    // Others, who wrote nothing, go on reading from followers: the leader has no more to do than it must.
    let mut friend = Session::new(2);
    assert_eq!(site.load(&mut friend, LEADER_FOR_A_SECOND, 100).node, SLOW);
}

#[test]
fn a_follower_that_is_known_to_have_the_picture_relieves_the_leader_before_the_window_ends() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    site.report(SLOW, 310);
    let page = site.load(&mut user, LEADER_FOR_A_SECOND, 320);
    assert_eq!((page.node, page.picture, page.why), (SLOW, "new.png", Reason::HasIt));
}

#[test]
fn a_window_shorter_than_the_lag_is_a_promise_that_is_not_kept() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    let too_short = ReadPattern::LeaderAfterOwnWrite { window: Duration::from_millis(50) };
    assert_eq!(site.load(&mut user, too_short, 100).picture, "old.png");
    // Without any window the leader is asked until a follower is known to have it: nothing is assumed.
    let known = ReadPattern::LeaderAfterOwnWrite { window: Duration::MAX };
    assert_eq!(site.load(&mut user, known, 100).picture, "new.png");
}

// ---- Second pattern: monotonic reads ----

#[test]
fn without_it_a_friend_sees_the_new_picture_come_and_go() {
    let mut site = Site::new();
    let (mut user, mut friend) = (Session::new(1), Session::new(2));
    site.upload(&mut user, "new.png", 0);
    site.reach(SLOW, false);
    assert_eq!(site.load(&mut friend, PLAIN, 50).picture, "new.png");
    site.reach(SLOW, true);
    assert_eq!(site.load(&mut friend, PLAIN, 60).picture, "old.png");
}

#[test]
fn a_session_that_moves_to_a_slower_follower_waits_there_instead_of_going_back() {
    let mut site = Site::new();
    let (mut user, mut friend) = (Session::new(1), Session::new(2));
    site.upload(&mut user, "new.png", 0);
    site.reach(SLOW, false);
    let page = site.load(&mut friend, ReadPattern::Monotonic, 50);
    assert_eq!((page.node, page.picture, page.why), (QUICK, "new.png", Reason::NewlyPinned));
    // The slow one comes back and is nearer. The session stays where it is.
    site.reach(SLOW, true);
    assert_eq!(site.load(&mut friend, ReadPattern::Monotonic, 60).node, QUICK);

    // Its node leaves. Of the slow one nothing is known, so the leader is asked for now.
    site.reach(QUICK, false);
    let page = site.load(&mut friend, ReadPattern::Monotonic, 70);
    assert_eq!((page.node, page.picture, page.why), (LEADER, "new.png", Reason::Leader));
    // The leader is gone as well. Who is left must wait for what the session has seen.
    site.reach(LEADER, false);
    let page = site.load(&mut friend, ReadPattern::Monotonic, 80);
    assert_eq!((page.node, page.at, page.picture), (SLOW, 300, "new.png"));
}

#[test]
fn a_session_has_seen_what_it_wrote_and_its_follower_waits_for_it() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    assert_eq!(site.load(&mut user, ReadPattern::Monotonic, 0).node, SLOW);
    site.upload(&mut user, "new.png", 0);
    let page = site.load(&mut user, ReadPattern::Monotonic, 100);
    assert_eq!((page.node, page.at, page.picture), (SLOW, 300, "new.png"));
}

// ---- Third pattern: versioned reads ----

#[test]
fn a_token_makes_any_follower_wait_for_the_new_picture() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    let page = site.load(&mut user, VERSIONED, 100);
    assert_eq!((page.node, page.at, page.picture), (SLOW, 300, "new.png"));

    // The token is the whole session: sent to the user's phone, it promises the same there.
    let mut phone = Session::resume(77, user.version().unwrap());
    let page = site.load(&mut phone, VERSIONED, 110);
    assert_eq!((page.at, page.picture), (300, "new.png"));
}

#[test]
fn a_follower_that_would_take_too_long_refuses_and_another_one_is_asked() {
    let mut site = Site::new();
    site.patience = 50;
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    assert_eq!(site.try_load(&mut user, VERSIONED, 100), Err(Refused::TooLate));
    let in_a_hurry = ReadPattern::Versioned { waits: false };
    assert_eq!(site.load(&mut user, in_a_hurry, 150).node, LEADER);
    site.report(QUICK, 151);
    let page = site.load(&mut user, in_a_hurry, 152);
    assert_eq!((page.node, page.at, page.picture), (QUICK, 152, "new.png"));
}

// ---- And when the leader is lost ----

#[test]
fn a_token_says_that_its_picture_was_lost_with_the_leader_instead_of_showing_the_old_one() {
    let mut site = Site::new();
    let mut user = Session::new(1);
    site.upload(&mut user, "new.png", 0);
    // Ten milliseconds later the leader burns down. No follower has the picture yet; one of them leads now, and says
    // with how much of the log it began.
    let began = site.version_of(QUICK, 10);
    assert_eq!(began, Version::new(Epoch::new(1), Lsn::new(1)));
    site.router.fleet_mut().leads(QUICK, Epoch::new(2), Some(began));
    site.reach(LEADER, false);

    let lost = Version::new(Epoch::new(1), Lsn::new(2));
    let kept = Version::new(Epoch::new(2), Lsn::new(1));
    let told = NoRoute::Lost(Loss { lost, kept });
    for pattern in [LEADER_FOR_A_SECOND, ReadPattern::Monotonic, VERSIONED] {
        assert_eq!(site.try_load(&mut user, pattern, 100), Err(Refused::Nobody(told)));
    }
    assert_eq!(told.to_string(), "record 2 of epoch 1 was lost: epoch 2 goes on from record 1");
    // Whoever reads plainly sees the old picture, and nobody says a word.
    assert!(site.router.route(&mut user, PLAIN, Audience::Default, at(100)).is_ok());
}

// ---- The site: a leader, two followers, and a router in front of them ----

struct Site {
    router: Router,
    /// When each record was written, and the picture in it. A follower shows what is older than its lag.
    log: Vec<(u64, &'static str)>,
    /// How many milliseconds a follower waits for what it is asked to have.
    patience: u64,
}

/// What the user gets to see.
#[derive(Debug, PartialEq)]
struct Page {
    picture: &'static str,
    node: NodeId,
    why: Reason,
    /// When it was answered.
    at: u64,
}

#[derive(Debug, PartialEq)]
enum Refused {
    Nobody(NoRoute),
    TooLate,
}

impl Site {
    fn new() -> Self {
        let mut fleet = Fleet::default();
        fleet.add(LEADER, Tags::in_region("far"));
        fleet.add(SLOW, Tags::in_region("here"));
        fleet.add(QUICK, Tags::in_region("near"));
        fleet.leads(LEADER, Epoch::new(1), None);
        let router = Router::new(fleet, Regions::nearest_first(["here", "near", "far"]));
        Self { router, log: vec![(0, "old.png")], patience: 1_000 }
    }

    /// Time zero is one second after the old picture was uploaded.
    fn shows(&self, node: NodeId, now: u64) -> usize {
        let lag = if node == SLOW { 300 } else { 20 };
        let arrived = |&&(written, _): &&(u64, _)| node == LEADER || written + lag <= now + 1_000;
        self.log.iter().take_while(arrived).count()
    }

    fn version_of(&self, node: NodeId, now: u64) -> Version {
        Version::new(Epoch::new(1), Lsn::new(self.shows(node, now) as u64))
    }

    fn upload(&mut self, user: &mut Session, picture: &'static str, now: u64) {
        let leader = self.router.route_write(user).unwrap().node;
        self.log.push((now + 1_000, picture));
        let answer = Answer::of(self.version_of(leader, now));
        assert_eq!(self.router.acknowledged(user, leader, answer, at(now)), Seen::Kept);
    }

    fn load(&mut self, user: &mut Session, pattern: ReadPattern, now: u64) -> Page {
        self.try_load(user, pattern, now).unwrap()
    }

    fn try_load(&mut self, user: &mut Session, pattern: ReadPattern, now: u64) -> Result<Page, Refused> {
        let route = self.router.route(user, pattern, Audience::Default, at(now)).map_err(Refused::Nobody)?;
        // The node waits until it has what it is asked to have.
        let has_it =
            |when: &u64| route.at_least.is_none_or(|need| self.version_of(route.node, *when).lsn >= need.lsn);
        let when = (now..=now + self.patience).find(has_it).ok_or(Refused::TooLate)?;
        let answer = Answer::of(self.version_of(route.node, when));
        assert_eq!(self.router.answered(user, &route, answer, at(when)), Seen::Kept);
        let (_, picture) = self.log[self.shows(route.node, when) - 1];
        Ok(Page { picture, node: route.node, why: route.why, at: when })
    }

    /// A node tells the router how far it is.
    fn report(&mut self, node: NodeId, now: u64) {
        let version = self.version_of(node, now);
        self.router.fleet_mut().heard(node, version, at(now));
    }

    fn reach(&mut self, node: NodeId, reachable: bool) {
        self.router.fleet_mut().set_reachable(node, reachable);
    }
}

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}
