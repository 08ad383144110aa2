//! Hints against a list of all that was kept, through restarts from the log and from checkpoints.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::CheckpointPiece;
use crate::bytes::Bytes;
use crate::checkpoint::Writer;
use crate::replica::told_tests::{Logged, WALL, collections, config, item, write};
use crate::replica::{Action, Write};

const OWNERS: [NodeId; 2] = [NodeId::from_u128(8), NodeId::from_u128(9)];
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn at(minutes: u32) -> WallTime {
    WALL.saturating_add(MINUTE * minutes)
}

/// Keeps a write for an owner.
fn miss(node: &mut Logged, owner: NodeId, write: &Write, now: WallTime) -> Result<Lsn, HintError> {
    let told = node.tell(write).expect("the write succeeds");
    let kept = node.replica.keep_hint(owner, &told, now);
    node.write_log();
    kept
}

fn add(key: &str, element: &str) -> Write {
    write(1, key, Action::Add(element.into()))
}

fn due(node: &mut Logged, owner: NodeId) -> Vec<(ItemKey, Lsn)> {
    let due = node.replica.hints_for(owner, usize::MAX).into_iter();
    due.map(|hint| (ItemKey { collection: hint.delta.collection, key: hint.delta.key }, hint.up_to)).collect()
}

/// The bytes of a checkpoint of now.
fn checkpoint(node: &mut Logged) -> Vec<u8> {
    let mut writer = Writer::begin(&mut node.replica);
    let (last, mut bytes) = (node.replica.journal.last(), Vec::new());
    while let CheckpointPiece::Bytes(piece) = writer.next_piece(&mut node.replica, last, 64 << 10).unwrap() {
        bytes.extend(piece);
    }
    bytes
}

fn restart_from_checkpoint(node: &mut Logged) {
    let bytes = checkpoint(node);
    node.replica = Replica::recover_from(node.config.clone(), [bytes], node.log.clone(), WALL).unwrap();
}

#[test]
fn a_hot_key_is_one_hint_and_the_owner_ends_up_with_all_of_it() {
    let (mut node, mut owner) = (Logged::new(1), Logged::new(8));
    for n in 0..300u32 {
        miss(&mut node, OWNERS[0], &write(3, "hot", Action::Set(Some(vec![7; 100].into()))), at(n)).unwrap();
        miss(&mut node, OWNERS[0], &write(2, "hot", Action::Increment(1)), at(n)).unwrap();
    }
    let pending = node.replica.pending_hints(OWNERS[0]).unwrap();
    assert_eq!((pending.count, pending.oldest), (2, at(0)));
    assert!(pending.bytes < 15_000, "what was overwritten takes no room: {pending:?}");
    for hint in node.replica.hints_for(OWNERS[0], usize::MAX) {
        owner.hear(&hint.delta).unwrap();
        assert_eq!(owner.hear(&hint.delta), Ok(0), "delivered twice is delivered once");
    }
    for collection in [2, 3] {
        assert_eq!(owner.cell(&item(collection, "hot")), node.cell(&item(collection, "hot")));
    }
}

#[test]
fn a_hint_that_grew_while_it_was_delivered_stays() {
    let mut node = Logged::new(1);
    miss(&mut node, OWNERS[0], &add("k", "milk"), WALL).unwrap();
    let sent = due(&mut node, OWNERS[0]);
    miss(&mut node, OWNERS[0], &add("k", "soap"), WALL).unwrap();
    assert_eq!(node.replica.hints_delivered(OWNERS[0], &sent), 0);
    assert_eq!(node.replica.hints_delivered(OWNERS[0], &sent), 0, "told twice");
    let sent = due(&mut node, OWNERS[0]);
    assert_eq!(node.replica.hints_delivered(OWNERS[0], &sent), 1);
    assert_eq!(node.write_log(), 2, "one record for each that said something");
    assert_eq!(node.replica.pending_hints(OWNERS[0]), None);
    node.assert_log_tells_the_truth();
}

#[test]
fn what_is_kept_already_rests_on_its_record() {
    let mut node = Logged::new(1);
    let told = node.tell(&add("k", "milk")).unwrap();
    let first = node.replica.keep_hint(OWNERS[0], &told, at(0)).unwrap();
    assert_eq!(node.write_log(), 1);
    assert_eq!(node.replica.keep_hint(OWNERS[0], &told, at(5)), Ok(first));
    assert_eq!(node.write_log(), 0);
    assert_eq!(node.replica.keep_hint(node.config.node, &told, WALL), Err(HintError::Myself));
    let bad = MergedState { partition: 7, ..told };
    let refused = HintError::Refused(RunError::UnknownPartition { partition: 7 });
    assert_eq!(node.replica.keep_hint(OWNERS[0], &bad, WALL), Err(refused));
}

#[test]
fn no_hint_holds_up_the_others() {
    let mut node = Logged::new(1);
    for key in ["a", "b", "c"] {
        miss(&mut node, OWNERS[0], &add(key, "milk"), WALL).unwrap();
    }
    let mut next = || {
        let due = node.replica.hints_for(OWNERS[0], 1);
        assert_eq!(due.len(), 1, "one at least, however large");
        due[0].delta.key.to_string()
    };
    assert_eq!([next(), next(), next(), next()], ["a", "b", "c", "a"]);
    assert!(node.replica.hints_for(OWNERS[1], 1).is_empty());
}

#[test]
fn a_hint_that_finds_no_room_is_counted_and_its_partition_marked_once() {
    type Change = fn(&mut crate::Limits);
    let mut node = Logged::new(1);
    let small = |node: &mut Logged, change: Change| {
        node.replica.config.limits = crate::Limits::default();
        change(&mut node.replica.config.limits);
    };
    miss(&mut node, OWNERS[0], &add("a", "milk"), WALL).unwrap();
    miss(&mut node, OWNERS[1], &add("a", "milk"), WALL).unwrap();
    let cases: [(HintLimit, Change); 4] = [
        (HintLimit::Count, |limits| limits.max_hints = 2),
        (HintLimit::Bytes, |limits| limits.max_hint_bytes = 400),
        (HintLimit::BytesOfOwner, |limits| limits.max_hint_bytes_per_owner = 300),
        (HintLimit::State, |limits| limits.max_state = 100),
    ];
    for (limit, change) in cases {
        small(&mut node, change);
        let refused = miss(&mut node, OWNERS[0], &add("b", "milk"), WALL);
        assert_eq!(refused, Err(HintError::Full { owner: OWNERS[0], limit }));
    }
    small(&mut node, |limits| limits.max_hints = 2);
    assert!(miss(&mut node, OWNERS[0], &add("a", "soap"), WALL).is_ok(), "the key has a hint already");
    assert_eq!(node.replica.hints_size().0, 2);
    let partition = node.replica.partition_of(collections()[1].id(), b"b");
    assert_eq!(node.replica.missed_hints().collect::<Vec<_>>(), [(OWNERS[0], partition)]);
    restart_from_checkpoint(&mut node);
    assert_eq!(node.replica.missed_hints().count(), 1);
    assert!(node.replica.hints_made_good(OWNERS[0], partition).is_changed());
    assert!(!node.replica.hints_made_good(OWNERS[0], partition).is_changed());
    node.write_log();
    node.assert_log_tells_the_truth();
}

#[test]
fn what_got_too_old_is_dropped_and_its_partition_marked() {
    let mut node = Logged::new(1);
    miss(&mut node, OWNERS[0], &add("a", "milk"), at(0)).unwrap();
    miss(&mut node, OWNERS[1], &add("a", "milk"), at(0)).unwrap();
    miss(&mut node, OWNERS[1], &add("b", "milk"), at(30)).unwrap();
    assert_eq!(node.replica.expire_hints(at(59), HOUR, |_, _| true), []);
    assert_eq!(node.replica.expire_hints(WallTime::from_millis(5), HOUR, |_, _| true), []);
    let gone: Vec<_> = node
        .replica
        .expire_hints(at(60), HOUR, |_, _| true)
        .into_iter()
        .map(|hint| (hint.owner, hint.item))
        .collect();
    assert_eq!(gone, [(OWNERS[0], item(1, "a")), (OWNERS[1], item(1, "a"))]);
    assert_eq!(node.replica.missed_hints().map(|(owner, _)| owner).collect::<Vec<_>>(), OWNERS);
    assert_eq!(node.replica.hint_owners().collect::<Vec<_>>(), [OWNERS[1]]);
    node.write_log();
    node.assert_log_tells_the_truth();
}

#[test]
fn a_node_that_is_gone_for_good_takes_its_hints_and_marks_along() {
    let mut node = Logged::new(1);
    miss(&mut node, OWNERS[0], &add("a", "milk"), at(0)).unwrap();
    miss(&mut node, OWNERS[0], &add("b", "milk"), at(90)).unwrap();
    node.replica.expire_hints(at(60), HOUR, |_, _| true);
    let point = node.replica.hint_sync_point();
    assert!(!node.replica.is_past(&point));
    assert_eq!(node.replica.discard_hints(OWNERS[0]).map(|pending| pending.count), Some(1));
    assert_eq!(node.replica.discard_hints(OWNERS[0]), None);
    assert!(node.replica.is_past(&point));
    assert_eq!((node.replica.missed_hints().count(), node.replica.hints_size()), (0, (0, 0)));
    node.write_log();
    node.assert_log_tells_the_truth();
}

#[test]
fn hints_for_a_node_that_leaves_go_to_those_that_own_its_partitions_now() {
    let (mut node, mut heir) = (Logged::new(1), Logged::new(9));
    let mut keys = Vec::new();
    for n in 0..10 {
        let key = alloc::format!("key-{n}");
        miss(&mut node, OWNERS[0], &add(&key, "milk"), at(n)).unwrap();
        keys.push(key);
    }
    let point = node.replica.hint_sync_point();
    // One partition goes to another node, the other one to this node itself.
    let primaries =
        |partition| if partition == 0 { vec![OWNERS[1]] } else { vec![NodeId::from_u128(1), OWNERS[0]] };
    let mut rounds = 0;
    while !node.replica.reassign_hints(OWNERS[0], 2, |_| false, primaries, WALL).complete {
        rounds += 1;
    }
    assert!(rounds > 1, "a part at a time");
    assert!(node.replica.is_past(&point));
    node.write_log();
    node.assert_log_tells_the_truth();
    let oldest = node.replica.pending_hints(OWNERS[1]).unwrap().oldest;
    assert!(oldest < at(10), "they are as old as they were");
    for hint in node.replica.hints_for(OWNERS[1], usize::MAX) {
        heir.hear(&hint.delta).unwrap();
    }
    for key in keys {
        let here = node.replica.partition_of(collections()[1].id(), key.as_bytes()) == 0;
        assert_eq!(heir.elements(&key), if here { vec![Bytes::from("milk")] } else { Vec::new() });
    }
}

#[test]
fn a_crash_between_delivery_and_its_record_repeats_the_delivery() {
    let (mut node, mut owner) = (Logged::new(1), Logged::new(8));
    miss(&mut node, OWNERS[0], &add("k", "milk"), WALL).unwrap();
    let hint = node.replica.hints_for(OWNERS[0], 1).remove(0);
    owner.hear(&hint.delta).unwrap();
    node.replica.hints_delivered(OWNERS[0], &due(&mut Logged::new(1), OWNERS[0]));
    node.restart();
    let again = node.replica.hints_for(OWNERS[0], 1).remove(0);
    assert_eq!(again, hint);
    assert_eq!(owner.hear(&again.delta), Ok(0));
}

#[test]
fn a_partition_may_be_dropped_while_its_hints_wait() {
    let (mut node, mut owner) = (Logged::new(1), Logged::new(8));
    miss(&mut node, OWNERS[0], &add("k", "milk"), WALL).unwrap();
    for number in [0, 1] {
        node.replica.drop_partition(number).unwrap();
    }
    node.write_log();
    node.assert_log_tells_the_truth();
    let hint = node.replica.hints_for(OWNERS[0], 1).remove(0);
    owner.hear(&hint.delta).unwrap();
    assert_eq!(owner.elements("k"), [Bytes::from("milk")]);
}

#[derive(Clone, Debug)]
enum Step {
    Miss { owner: usize, write: Write },
    Send { owner: usize, bytes: usize },
    Confirm,
    Expire,
    Restart { checkpoint: bool },
}

fn arb_step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        2 => (0u8..6).prop_map(|n| (0, Action::Put(vec![n].into()))),
        1 => Just((0, Action::Delete)),
        3 => (0u8..3).prop_map(|n| (1, Action::Add(vec![n].into()))),
        2 => (0u8..3).prop_map(|n| (1, Action::Remove(vec![n].into()))),
        2 => (1u64..5).prop_map(|n| (2, Action::Increment(n))),
        2 => (0u8..4).prop_map(|n| (3, Action::Set(Some(vec![n].into())))),
    ];
    let write = (action, 0u8..3).prop_map(|((collection, action), key)| Write {
        collection: collections()[collection].id(),
        key: vec![key].into(),
        action,
    });
    prop_oneof![
        8 => (0..2usize, write).prop_map(|(owner, write)| Step::Miss { owner, write }),
        3 => (0..2usize, 1..2_000usize).prop_map(|(owner, bytes)| Step::Send { owner, bytes }),
        3 => Just(Step::Confirm),
        1 => Just(Step::Expire),
        1 => any::<bool>().prop_map(|checkpoint| Step::Restart { checkpoint }),
    ]
}

proptest! {
    #[test]
    fn hints_hold_what_was_kept_and_not_delivered_and_owners_miss_nothing_that_did_not_expire(
        steps in prop::collection::vec(arb_step(), 1..80),
    ) {
        let mut node = Logged::of(config(1));
        let mut owners = [Logged::new(8), Logged::new(9)];
        // Everything that was kept and is neither delivered nor dropped, with its record and time.
        let mut kept: Vec<(usize, ItemKey, Lsn, WallTime)> = Vec::new();
        let mut points: Vec<(SyncPoint, Lsn)> = Vec::new();
        let mut sent: Vec<(usize, ItemKey, Lsn)> = Vec::new();
        let mut has_expired = [false; 2];
        for (minute, step) in (0u32..).zip(steps) {
            let now = at(minute);
            match step {
                Step::Miss { owner, write } => {
                    let Some(told) = node.tell(&write) else { continue };
                    let item = ItemKey { collection: write.collection, key: write.key.clone() };
                    let lsn = node.replica.keep_hint(OWNERS[owner], &told, now).unwrap();
                    // What goes to one owner only, the other one never hears of: it has a world of its own.
                    if node.write_log() > 0 {
                        kept.push((owner, item, lsn, now));
                    }
                    let other = 1 - owner;
                    owners[other].hear(&told).unwrap();
                }
                Step::Send { owner, bytes } => {
                    for hint in node.replica.hints_for(OWNERS[owner], bytes) {
                        prop_assert!(hint.up_to <= node.replica.journal.last());
                        owners[owner].hear(&hint.delta).unwrap();
                        let item = ItemKey { collection: hint.delta.collection, key: hint.delta.key.clone() };
                        sent.push((owner, item, hint.up_to));
                    }
                }
                Step::Confirm => {
                    for (owner, item, up_to) in sent.drain(..) {
                        node.replica.hints_delivered(OWNERS[owner], &[(item.clone(), up_to)]);
                        kept.retain(|(other, of, lsn, _)| (*other, of) != (owner, &item) || *lsn > up_to);
                    }
                    node.write_log();
                }
                Step::Expire => {
                    let gone = node.replica.expire_hints(now, MINUTE * 30, |_, _| true);
                    node.write_log();
                    for (index, owner) in OWNERS.iter().enumerate() {
                        let gone: Vec<_> = gone.iter().filter(|hint| hint.owner == *owner).collect();
                        has_expired[index] |= !gone.is_empty();
                        kept.retain(|(other, of, ..)| *other != index || gone.iter().all(|hint| hint.item != *of));
                    }
                    let limit = now.as_millis().saturating_sub(30 * 60 * 1_000);
                    prop_assert!(kept.iter().all(|(.., time)| time.as_millis() > limit));
                }
                Step::Restart { checkpoint: false } => node.restart(),
                Step::Restart { checkpoint: true } => restart_from_checkpoint(&mut node),
            }
            let mut model: BTreeMap<NodeId, Vec<&ItemKey>> = BTreeMap::new();
            for (owner, item, ..) in &kept {
                model.entry(OWNERS[*owner]).or_default().push(item);
            }
            for items in model.values_mut() {
                items.sort();
                items.dedup();
            }
            let counts = model.iter().map(|(owner, items)| (*owner, items.len()));
            let held: Vec<_> = node.replica.hint_owners().map(|owner| {
                let pending = node.replica.pending_hints(owner).unwrap();
                (owner, pending.count)
            }).collect();
            prop_assert_eq!(counts.collect::<Vec<_>>(), held);
            points.push((node.replica.hint_sync_point(), node.replica.journal.last()));
            for (point, lsn) in &points {
                // Of a hint that grew while it was sent it is not known where the rest of it began.
                let is_past = kept.iter().all(|(_, _, of, _)| of > lsn);
                prop_assert!(is_past || !node.replica.is_past(point), "{:?} {:?}", point, kept);
            }
            node.assert_log_tells_the_truth();
        }
        for (index, owner) in owners.iter_mut().enumerate() {
            for hint in node.replica.hints_for(OWNERS[index], usize::MAX) {
                owner.hear(&hint.delta).unwrap();
            }
            let due = due(&mut node, OWNERS[index]);
            node.replica.hints_delivered(OWNERS[index], &due);
            if !has_expired[index] {
                let roots = |node: &Logged| [0, 1].map(|number| node.replica.partition(number).cells.root());
                prop_assert_eq!(roots(owner), roots(&node));
            }
        }
        prop_assert!(points.iter().all(|(point, _)| node.replica.is_past(point)));
    }
}
