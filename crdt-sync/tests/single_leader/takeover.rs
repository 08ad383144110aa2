//! A node is granted the lead, and has the others promise that nobody else leads any more: it takes over with
//! everything that was acknowledged, or does not take over.

use std::time::Duration;

use crdt_sync::Request;
use crdt_sync::single_leader::{CommitReply, Grant, LeadReply, SingleLeaderConfig, Takeover};
use crdt_sync::wire::LogEnd;

use crate::cluster::*;

const WITHIN: Duration = Duration::from_secs(3);

fn careful(policy: &str) -> SingleLeaderConfig {
    settings(policy).with_takeover(Takeover::Promised { within: WITHIN })
}

fn is_committed(reply: &CommitReply) -> bool {
    matches!(reply, CommitReply::Committed { .. })
}

#[test]
fn nobody_commits_any_more_once_the_others_have_promised_an_epoch() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    assert!(is_committed(&cluster.write(A, add("visits", 1))));
    cluster.settle();
    // A does not hear of it: to B it has no way, and C's words to it take their time.
    cluster.disconnect(A, B);
    let asked = cluster.ask(B, Request::Lead { grant: Grant::new(2).unwrap(), until: None });
    cluster.deliver_to_all_but(A);
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
    let late = cluster.ask(A, Request::Write(add("visits", 100)));
    cluster.deliver_to_all_but(A);
    assert!(is_committed(&cluster.write(B, add("visits", 10))));
    cluster.settle();
    let late = cluster.answer(late);
    assert!(
        matches!(&late, Some(crdt_sync::Reply::Commit(CommitReply::NotReplicated { .. }))),
        "C takes nothing of the old epoch: {late:?}"
    );
    cluster.connect(A, B);
    cluster.settle();
    for node in [A, B, C] {
        assert_eq!(cluster.count(node, "visits"), 11, "at {node}");
    }
    assert!(cluster.logs_are_equal());
}

/// One follower has what was acknowledged; the other is asked to lead, and does not.
#[test]
fn whoever_lacks_what_was_acknowledged_does_not_lead() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    let before = cluster.leadership(C).end;
    cluster.isolate(C);
    assert!(is_committed(&cluster.write(A, add("visits", 10))), "B has it");
    let has = cluster.leadership(B).end;
    assert!(before < has);
    cluster.isolate(A);
    cluster.connect(B, C);
    assert_eq!(cluster.lead(C, 2), LeadReply::Lacks { node: id(B), end: has });
    // B has promised that epoch, and leads by a later one.
    assert_eq!(cluster.lead(B, 2), LeadReply::Fenced { newest: epoch_of(2) });
    assert!(matches!(cluster.lead(B, 3), LeadReply::Leads { .. }));
    cluster.settle();
    for node in [B, C] {
        assert_eq!(cluster.count(node, "visits"), 11, "at {node}");
    }
}

#[test]
fn alone_nobody_leads() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(C);
    let asked = cluster.ask(C, Request::Lead { grant: Grant::new(2).unwrap(), until: None });
    cluster.pass(WITHIN / 2);
    assert_eq!(cluster.lead_reply(asked), None, "somebody may come yet");
    cluster.pass(WITHIN);
    assert_eq!(cluster.lead_reply(asked), Some(LeadReply::TooFewPromised { promised: 1, of: 3 }));
    // It has promised nothing itself, and follows as before.
    cluster.connect(A, C);
    cluster.settle();
    assert!(is_committed(&cluster.write(A, add("visits", 10))));
    cluster.settle();
    assert_eq!((cluster.count(C, "visits"), cluster.leadership(C).follows), (11, Some(id(A))));
}

#[test]
fn somebody_who_comes_in_time_is_asked_too() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    cluster.isolate(C);
    let asked = cluster.ask(C, Request::Lead { grant: Grant::new(2).unwrap(), until: None });
    cluster.pass(WITHIN / 2);
    cluster.connect(B, C);
    cluster.deliver();
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::Leads { .. })));
}

/// What was promised is in the log, and a node that was opened again keeps it.
#[test]
fn a_promise_outlives_a_loss_of_power() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    // B promised C, and C does not hear of it.
    let asked = cluster.ask(C, Request::Lead { grant: Grant::new(3).unwrap(), until: None });
    cluster.deliver_to_all_but(C);
    cluster.restart(B);
    assert_eq!(cluster.leadership(B).promised, epoch_of(3));
    cluster.connect(A, B);
    cluster.settle();
    let late =
        cluster.ask(A, Request::Commit { writes: add("visits", 10), deadline: cluster.in_time(WITHIN) });
    cluster.settle();
    assert!(
        matches!(cluster.answer(late), Some(crdt_sync::Reply::Commit(CommitReply::NotReplicated { .. }))),
        "B takes nothing of A any more"
    );
    assert!(matches!(cluster.lead_reply(asked), Some(LeadReply::TooFewPromised { .. })));
    assert_eq!(cluster.lead(A, 2), LeadReply::Fenced { newest: epoch_of(3) });
    assert!(matches!(cluster.lead(A, 4), LeadReply::Leads { .. }));
    cluster.settle();
    assert_eq!(cluster.count(B, "visits"), 11);
}

#[test]
fn of_two_who_are_to_lead_the_later_granted_one_does() {
    let mut cluster = Cluster::of_three(&careful("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    let earlier = cluster.ask(B, Request::Lead { grant: Grant::new(2).unwrap(), until: None });
    let later = cluster.ask(C, Request::Lead { grant: Grant::new(3).unwrap(), until: None });
    cluster.settle();
    assert_eq!(cluster.lead_reply(earlier), Some(LeadReply::Fenced { newest: epoch_of(3) }));
    assert!(matches!(cluster.lead_reply(later), Some(LeadReply::Leads { .. })));
    assert_eq!(cluster.leadership(B).leader, Some(id(C)));
}

/// With commits that wait for nobody, what only the old leader has is lost, and kept aside when it comes back.
#[test]
fn what_nobody_waited_for_may_be_lost_and_is_kept_aside() {
    let mut cluster = Cluster::of_three(&careful(""));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    cluster.isolate(A);
    assert!(is_committed(&cluster.write(A, add("visits", 10))));
    assert!(matches!(cluster.lead(B, 2), LeadReply::Leads { .. }));
    cluster.settle();
    let end = |cluster: &Cluster, node| -> LogEnd { cluster.leadership(node).end };
    assert!(end(&cluster, B) > end(&cluster, A), "a later epoch is ahead of more records");
    cluster.connect(A, B);
    cluster.settle();
    assert_eq!(cluster.count(A, "visits"), 1);
    assert_eq!(cluster.nodes[A].cut_off.len(), 1);
}

/// A right to lead may end while the log is still about to promise the epoch. Then nothing is shown or written by it.
#[test]
fn a_right_that_has_ended_before_the_log_has_promised_is_not_used() {
    let mut cluster = Cluster::of_three(&settings(""));
    let (end, until) = (cluster.leadership(B).end, Some(cluster.now().instant));
    let asked = cluster.ask(B, Request::Lead { grant: Grant::new(2).unwrap(), until });
    cluster.deliver();
    assert_eq!(cluster.lead_reply(asked), Some(LeadReply::Fenced { newest: epoch_of(2) }));
    let leadership = cluster.leadership(B);
    assert_eq!((leadership.mode, leadership.end, leadership.promised), (None, end, epoch_of(2)));
}
