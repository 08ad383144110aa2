//! Elements that are removed from a set: an acknowledged removal is seen by every quorum that is read.

use std::time::Duration;

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, WriteOptions};
use crdt_sync::wire::Message;
use crdt_sync::{Action, Cell, Config, ItemKey};

use crate::cluster::{Cluster, lists};

/// Neither hints nor comparisons bring what a message did not.
fn left_to_themselves(config: &mut Config) {
    config.limits.max_hints = 0;
    config.timing.compare_every = Duration::from_secs(24 * 60 * 60);
}

fn add() -> Action {
    Action::Add("milk".into())
}

fn remove() -> Action {
    Action::Remove("milk".into())
}

fn holds_milk(cell: Option<&Cell>) -> bool {
    matches!(cell, Some(Cell::Set(list)) if list.contains("milk".as_bytes()))
}

fn is_held(cluster: &Cluster, node: usize, list: &ItemKey) -> bool {
    holds_milk(cluster.engine(node).peek(list))
}

/// Carried out by A, and told to none of the others before it is out of sight.
fn write_at_a_alone(cluster: &mut Cluster, list: &ItemKey, [a, b, c]: [usize; 3], action: Action) {
    cluster.cut(&[a], &[b, c]);
    let reply = cluster.write(a, list, action, WriteOptions::ONE);
    assert!(matches!(reply, QuorumReply::Written { .. }), "{reply:?}");
}

/// What B and C show together, while A cannot say what it knows.
fn b_and_c_show_milk(cluster: &mut Cluster, list: &ItemKey, [a, b, c]: [usize; 3]) -> bool {
    cluster.cut(&[a], &[b, c]);
    holds_milk(cluster.cell(b, list, ReadOptions::QUORUM).as_ref())
}

fn is_acknowledged(reply: &QuorumReply) -> bool {
    matches!(reply, QuorumReply::Written { .. })
}

/// A took the milk off the list and told nobody. When the client asks a second time, A finds no milk; but what it
/// promises then is that there is none, and B and C still hold it.
#[test]
fn a_removal_that_finds_nothing_takes_away_what_an_earlier_one_left_with_others() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (list, all): (_, [usize; 3]) = cluster.cast(&lists());
    let [a, b, c] = all;
    cluster.write(a, &list, add(), WriteOptions::ALL);
    write_at_a_alone(&mut cluster, &list, all, remove());
    assert!(!is_held(&cluster, a, &list) && is_held(&cluster, b, &list) && is_held(&cluster, c, &list));
    cluster.heal();
    let asked = cluster.ask_to_write(a, &list, remove(), WriteOptions::QUORUM);
    assert!(is_acknowledged(&cluster.early_reply_to(asked)));
    assert!(!b_and_c_show_milk(&mut cluster, &list, all));
}

/// The milk that A removes at last is another one: the first was taken off and put on again without B and C.
#[test]
fn a_removal_takes_away_also_what_was_replaced_before() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (list, all): (_, [usize; 3]) = cluster.cast(&lists());
    let [a, _, _] = all;
    cluster.write(a, &list, add(), WriteOptions::ALL);
    write_at_a_alone(&mut cluster, &list, all, add());
    cluster.heal();
    let asked = cluster.ask_to_write(a, &list, remove(), WriteOptions::QUORUM);
    assert!(is_acknowledged(&cluster.early_reply_to(asked)));
    assert!(!b_and_c_show_milk(&mut cluster, &list, all));
}

/// The same after A was started anew and knows only that something died, and not what. C was not there when the milk
/// came: before it has been compared with A, its word is worth nothing, as B still holds the milk.
#[test]
fn a_replica_that_has_not_seen_what_was_removed_does_not_vouch_for_it() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (list, all): (_, [usize; 3]) = cluster.cast(&lists());
    let [a, b, c] = all;
    cluster.cut(&[c], &[a, b]);
    cluster.write(a, &list, add(), WriteOptions::QUORUM);
    write_at_a_alone(&mut cluster, &list, all, remove());
    cluster.crash(a);
    cluster.start(a);
    cluster.heal();
    cluster.cut(&[b], &[a, c]);
    assert!(!is_held(&cluster, a, &list) && is_held(&cluster, b, &list) && !is_held(&cluster, c, &list));
    let asked = cluster.ask_to_write(a, &list, remove(), WriteOptions::QUORUM);
    assert!(is_acknowledged(&cluster.reply_to(asked)), "C is compared with A, and asked again");
    cluster.heal();
    assert!(!b_and_c_show_milk(&mut cluster, &list, all));
}

/// The client asks D, which holds no replica. C says that it has not seen enough, compares itself with A, and is asked
/// again, by D.
#[test]
fn a_replica_that_is_behind_catches_up_whoever_asks_it() {
    let mut cluster = Cluster::with(4, left_to_themselves);
    let (list, [a, b, c, d]) = cluster.cast(&lists());
    cluster.cut(&[c], &[a, b, d]);
    assert!(is_acknowledged(&cluster.write(a, &list, add(), WriteOptions::QUORUM)));
    cluster.cut(&[a], &[b, c, d]);
    cluster.write(a, &list, remove(), WriteOptions::ONE);
    cluster.crash(a);
    cluster.start(a);
    cluster.heal();
    cluster.cut(&[b], &[a, c, d]);
    assert!(!is_held(&cluster, a, &list) && is_held(&cluster, b, &list) && !is_held(&cluster, c, &list));
    assert!(is_acknowledged(&cluster.write(d, &list, remove(), WriteOptions::QUORUM)));
    cluster.heal();
    assert!(!b_and_c_show_milk(&mut cluster, &list, [a, b, c]));
}

/// No disk has anything to report of a removal that changes nothing.
#[test]
fn a_removal_that_changes_nothing_anywhere_is_acknowledged_at_once() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (list, [a, ..]): (_, [usize; 3]) = cluster.cast(&lists());
    cluster.write(a, &list, add(), WriteOptions::ALL);
    cluster.write(a, &list, remove(), WriteOptions::ALL);
    cluster.deliver();
    let began = cluster.after(Duration::ZERO);
    let asked = cluster.ask_to_write(a, &list, remove(), WriteOptions::ALL);
    cluster.deliver();
    assert!(is_acknowledged(&cluster.reply_to(asked)));
    assert_eq!(cluster.after(Duration::ZERO), began);
}

/// B knows that the milk is gone, A has never heard of it, and C holds it. A client reads A and B, which both show
/// none, and removes it to be sure. What A promises then must be good for A and C, too.
#[test]
fn a_removal_on_top_of_a_read_takes_away_what_the_read_knew_to_be_gone() {
    let mut cluster = Cluster::with(3, left_to_themselves);
    let (list, [a, b, c]) = cluster.cast(&lists());
    cluster.cut(&[a], &[b, c]);
    assert!(is_acknowledged(&cluster.write(b, &list, add(), WriteOptions::QUORUM)));
    write_at_a_alone(&mut cluster, &list, [b, a, c], remove());
    cluster.heal();
    cluster.cut(&[c], &[a, b]);
    assert!(!is_held(&cluster, a, &list) && !is_held(&cluster, b, &list) && is_held(&cluster, c, &list));
    let asked = cluster.ask_to_write_on_top(a, &list, remove());
    assert!(is_acknowledged(&cluster.reply_to(asked)));
    cluster.heal();
    assert!(!b_and_c_show_milk(&mut cluster, &list, [b, a, c]));
}

fn is_of_a_comparison(_: usize, _: usize, message: &Message) -> bool {
    matches!(message, Message::Session(_))
}

/// A has been compared with C, which had removed the milk and told nobody, and now A is asked to remove it; what A
/// promises is good for B, too, which still holds it. C cannot be asked any more.
fn a_promises_what_it_knows_from_c(mut cluster: Cluster, list: &ItemKey, [a, b, c]: [usize; 3]) {
    cluster.lose_nothing();
    cluster.cut(&[b], &[a, c]);
    cluster.pass(Duration::from_secs(20));
    cluster.lose(is_of_a_comparison);
    cluster.crash(c);
    cluster.heal();
    assert!(!is_held(&cluster, a, list) && is_held(&cluster, b, list));
    let asked = cluster.ask_to_write(a, list, remove(), WriteOptions::QUORUM);
    // B may have to be compared with A before it can vouch for the removal.
    cluster.lose_nothing();
    assert!(is_acknowledged(&cluster.early_reply_to(asked)));
    assert!(!is_held(&cluster, b, list));
}

fn compared_often(config: &mut Config) {
    config.limits.max_hints = 0;
    config.timing.compare_every = Duration::from_secs(5);
}

/// A never heard of the milk: it knows from the comparison that C has seen something, and not what became of it.
#[test]
fn a_removal_takes_away_what_a_comparison_showed_to_have_been_somewhere() {
    let mut cluster = Cluster::with(3, compared_often);
    let (list, [a, b, c]) = cluster.cast(&lists());
    cluster.lose(is_of_a_comparison);
    cluster.cut(&[a], &[b, c]);
    assert!(is_acknowledged(&cluster.write(b, &list, add(), WriteOptions::QUORUM)));
    write_at_a_alone(&mut cluster, &list, [c, a, b], remove());
    cluster.heal();
    a_promises_what_it_knows_from_c(cluster, &list, [a, b, c]);
}

/// A held the milk until it was compared with C. There it was taken off the list once, or so often that C itself does
/// not remember under which dots.
#[test]
fn a_removal_takes_away_what_a_comparison_took_away() {
    for removals in [1, 40] {
        let mut cluster = Cluster::with(3, compared_often);
        let (list, [a, b, c]) = cluster.cast(&lists());
        cluster.lose(is_of_a_comparison);
        assert!(is_acknowledged(&cluster.write(a, &list, add(), WriteOptions::ALL)));
        for n in 0..removals {
            if n > 0 {
                write_at_a_alone(&mut cluster, &list, [c, a, b], add());
            }
            write_at_a_alone(&mut cluster, &list, [c, a, b], remove());
        }
        cluster.heal();
        a_promises_what_it_knows_from_c(cluster, &list, [a, b, c]);
    }
}
