//! What a peer says of forks: what cannot be ends its connection, and nobody is told what is of no use to it.

use super::forks::{Forked, count};
use super::*;
use crate::entry::Position;
use crate::replica::RunError;
use crate::wire::{Branch, Cut, Fork, ForkWord, KnownForks, Message, decode, encode};

#[test]
fn whoever_calls_a_member_a_branch_is_cut_off_and_the_member_is_heard_as_before() {
    let mut cluster = Cluster::new(3);
    cluster.mesh();
    let victim = cluster.engines[1].status().replica;
    let root = ReplicaId::from_u128(0xa);
    let link = *cluster.links.iter().find(|(_, end)| end.2 == 0 && end.0 == 2).unwrap().0;
    for partition in 0..cluster.engines[0].replica.config.partitions {
        let known = KnownForks {
            cuts: alloc::vec![(Cut { after: Position::default(), root }, alloc::vec![root])],
            branches: alloc::vec![(victim, Branch { root, start: 0, chain: crate::entry::Chain::START })],
            ..KnownForks::default()
        };
        let word = ForkWord::Known(known);
        let bytes = encode(&Message::Fork(Fork { partition, word }));
        cluster.handle(0, Input::Frame { link, bytes });
    }
    let cut_off = |(node, event): &&(usize, Event)| {
        let error = PeerError::Data(RunError::ImpossibleFork {
            what: "a branch under a name that does not follow from its first entry",
        });
        *node == 0 && matches!(event, Event::Violation { error: found, .. } if *found == error)
    };
    assert_eq!(cluster.events.iter().filter(cut_off).count(), 1);
    assert!(!cluster.links.contains_key(&link));
    for amount in [5, 3] {
        cluster.write(1, count("visits", amount));
        cluster.settle();
    }
    cluster.restart(0);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
}

/// The other end of a fork that cannot be divided asks for entries below its floor, which nobody keeps.
#[test]
fn entries_that_a_node_holds_itself_are_not_sent_to_it_again_and_again() {
    let mut forked = Forked::new(3);
    forked.0.write(0, count("visits", 5));
    forked.clone_node(0, 1);
    for (node, amount) in [(0, 3), (1, 7)] {
        forked.0.engines[node].replica.config.limits.max_retained = 0;
        for _ in 0..100 {
            forked.0.write(node, count("visits", amount));
        }
    }
    forked.0.connect(0, 2);
    forked.settle();
    forked.0.engines[0].replica.config.limits.max_retained = 1 << 20;
    for _ in 0..10 {
        forked.0.write(0, count("visits", 3));
    }
    forked.settle();
    forked.0.connect(1, 2);
    forked.settle();
    assert!(forked.told(|event| matches!(event, Event::ForkNotHealed { .. })) > 0);
    let (asked, taught) = words_in_silence(&mut forked.0);
    assert!(asked > 0, "somebody may come who has them");
    assert_eq!(taught, 0);
}

/// How many questions and lessons about forks are sent while nobody writes.
fn words_in_silence(cluster: &mut Cluster) -> (usize, usize) {
    let (mut asked, mut taught) = (0, 0);
    for _ in 0..10 {
        cluster.micros += 300_000;
        for node in 0..cluster.engines.len() {
            cluster.handle(node, Input::Timer);
        }
        while let Some((link, bytes)) = cluster.frames.pop_front() {
            match decode(&bytes, &crate::limits::Limits::default()) {
                Ok(Message::Fork(Fork { word: ForkWord::Ask { .. }, .. })) => asked += 1,
                Ok(Message::Fork(Fork { word: ForkWord::Lesson { .. }, .. })) => taught += 1,
                _ => {}
            }
            if let Some(&(node, link, _)) = cluster.links.get(&link) {
                cluster.handle(node, Input::Frame { link, bytes });
            }
        }
    }
    (asked, taught)
}
