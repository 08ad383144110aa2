//! What a write costs: batches for the log, messages and bytes for the peers. No time is measured.

#![expect(clippy::print_stdout, reason = "it states its figures")]

use std::println;

use super::*;
use crate::metrics::{Counters, Flow, Lag, MessageFlows, Owed};

const WRITES: u64 = 1_000;

/// What node 0 did since it and its peers came to rest.
struct Cost {
    appends: u64,
    appended_bytes: u64,
    sends: u64,
    sent_bytes: u64,
    entries_sent: u64,
    /// What came back: acknowledgements.
    received: u64,
    received_bytes: u64,
}

fn cost(before: &Counters, after: &Counters) -> Cost {
    let total = |flows: &MessageFlows, of: fn(&Flow) -> u64| -> u64 {
        flows.by_kind().iter().map(|(_, flow)| of(flow)).sum()
    };
    let sent = |of| total(&after.sent, of) - total(&before.sent, of);
    let received = |of| total(&after.received, of) - total(&before.received, of);
    Cost {
        appends: after.appends - before.appends,
        appended_bytes: after.appended_bytes - before.appended_bytes,
        sends: sent(|flow| flow.frames),
        sent_bytes: sent(|flow| flow.bytes),
        entries_sent: after.entries_sent - before.entries_sent,
        received: received(|flow| flow.frames),
        received_bytes: received(|flow| flow.bytes),
    }
}

fn small_write(n: u64) -> Write {
    write(3, &alloc::format!("key-{n:04}"), Action::Set(Some("a small value".into())))
}

/// A star around node 0, at rest, then the writes, then at rest again.
fn writes_to_one_node(peers: u8, writes: impl FnOnce(&mut Cluster)) -> Cost {
    let mut cluster = Cluster::new(peers + 1);
    for peer in 1..=peers {
        cluster.connect(0, peer.into());
    }
    cluster.settle();
    let before = cluster.engines[0].metrics().counters;
    writes(&mut cluster);
    cluster.deliver();
    let after = cluster.engines[0].metrics().counters;
    cluster.settle();
    cluster.assert_agreement();
    cost(&before, &after)
}

/// Each write is durable and delivered before the next one comes.
fn one_by_one(cluster: &mut Cluster) {
    for n in 0..WRITES {
        cluster.write(0, alloc::vec![small_write(n)]);
        cluster.deliver();
    }
}

/// All come while the disk is busy, and share its next fsync.
fn while_the_disk_is_busy(cluster: &mut Cluster) {
    let now = cluster.now();
    let mut last = Lsn::ZERO;
    for n in 0..WRITES {
        let request = Request::Write(alloc::vec![small_write(n)]);
        cluster.engines[0].handle(now, Input::Request { id: RequestId(1_000_000 + n), request });
        while let Some(output) = cluster.engines[0].poll_output() {
            match output {
                Output::Append { first, records } => last = Lsn::new(first.get() + records.len() as u64 - 1),
                Output::Send { .. } | Output::Reply { .. } => panic!("ahead of the disk: {output:?}"),
                _ => {}
            }
        }
    }
    cluster.handle(0, Input::Durable { lsn: last });
}

/// All are one command.
fn as_one_command(cluster: &mut Cluster) {
    cluster.write(0, (0..WRITES).map(small_write).collect());
}

#[test]
fn a_small_write_costs_one_batch_and_one_message_to_each_peer() {
    for peers in [1, 2, 4_u8] {
        let each = u64::from(peers);
        let single = writes_to_one_node(peers, one_by_one);
        let grouped = writes_to_one_node(peers, while_the_disk_is_busy);
        let command = writes_to_one_node(peers, as_one_command);
        for (how, cost) in [("single", &single), ("grouped", &grouped), ("one command", &command)] {
            let Cost { appends, appended_bytes, sends, sent_bytes, received, received_bytes, .. } = cost;
            println!("{peers} peers, {how}: {appends} appends with {appended_bytes} bytes");
            println!(
                "  {sends} sends with {sent_bytes} bytes, {received} answers with {received_bytes} bytes"
            );
            assert_eq!(cost.entries_sent, WRITES * each, "every entry goes to every peer once: {how}");
        }
        // An entry has 46 bytes, as a record of its own 99, and as a message 102: both name origin, position and chain.
        assert_eq!(single.appends, WRITES);
        assert!(single.appended_bytes <= WRITES * 100);
        assert_eq!(single.sends, WRITES * each);
        assert!(single.sent_bytes <= WRITES * each * 103);
        assert_eq!(single.received, WRITES * each, "each run is acknowledged");
        // The log gets as many batches, of which one fsync makes all durable; a peer gets one run.
        assert_eq!(grouped.appends, WRITES);
        assert_eq!((grouped.sends, grouped.received), (each, each));
        assert!(grouped.sent_bytes <= WRITES * each * 46);
        assert_eq!(command.appends, 1);
        assert!(command.appended_bytes <= WRITES * 46);
        assert_eq!((command.sends, command.received), (each, each));
        assert!(command.sent_bytes <= WRITES * each * 46);
    }
}

/// Of what a peer lacks the side that has it knows the bytes and the age; of what it lacks itself, the number alone.
#[test]
fn a_node_knows_in_bytes_and_in_time_what_a_peer_has_not_acknowledged() {
    let mut cluster = Cluster::new(2);
    cluster.connect(0, 1);
    cluster.write(0, alloc::vec![small_write(0)]);
    cluster.settle();
    let lag = |cluster: &Cluster, node: usize| cluster.engines[node].metrics().peers[0].lag[0].unwrap();
    assert_eq!(lag(&cluster, 0).owed, Some(Owed::default()), "nothing is owed");
    let written = cluster.now().wall;
    for n in 1..=3 {
        cluster.write(0, alloc::vec![small_write(n)]);
        cluster.micros += 5_000_000;
    }
    let entries = cluster.engines[0].replica.partition(0).histories.get(cluster.engines[0].replica.id);
    let bytes = entries.unwrap().after(1).unwrap().map(|entry| entry.bytes.len() as u64).sum();
    let owed = Owed { bytes, oldest: Some(written) };
    let expected = Lag { missing_here: 0, missing_there: 3, owed: Some(owed) };
    assert_eq!(lag(&cluster, 0), expected);
    assert!(bytes > 3 * 13, "each holds its value");
    cluster.deliver();
    assert_eq!(lag(&cluster, 0), Lag { owed: Some(Owed::default()), ..Lag::default() });
}

#[test]
fn what_is_not_kept_as_entries_is_not_counted_in_bytes() {
    let mut cluster = Cluster::new(2);
    let mut config = config(1, 0);
    config.limits.max_retained = 0;
    cluster.logs[0].clear();
    cluster.engines[0] = Engine::open(config, Vec::<(Lsn, Vec<u8>)>::new(), cluster.now()).unwrap();
    cluster.drain(0);
    cluster.connect(0, 1);
    cluster.settle();
    for n in 0..3 {
        cluster.write(0, alloc::vec![small_write(n)]);
    }
    let lag = cluster.engines[0].metrics().peers[0].lag[0].unwrap();
    assert_eq!((lag.missing_there, lag.owed), (3, None));
}
