//! The text, to the letter: names and labels are what dashboards rest on.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use replication_log::Lsn;

use super::*;

fn sample() -> Metrics {
    let flow = |n: u64| Flow { frames: n, bytes: n * 10 };
    let mut counters = Counters {
        entries_sent: 1,
        entries_applied: 2,
        appends: 3,
        appended_records: 4,
        appended_bytes: 5,
        syncs: 18,
        write_requests: 6,
        read_requests: 7,
        session_requests: 8,
        merkle_sessions_started: 9,
        merkle_sessions_finished: 10,
        merkle_sessions_complete: 11,
        merkle_sessions_aborted: 12,
        merkle_tree_bytes: 13,
        merkle_states_sent: 14,
        merkle_states_received: 15,
        read_repairs: 18,
        hints_lost: 19,
        forks: 16,
        identities_renewed: 17,
        refusals: BTreeMap::from([("peer_wire", 2), ("request_behind", 1)]),
        ..Counters::default()
    };
    counters.sent.run = flow(3);
    counters.received.frontier = flow(2);
    let owed = Owed { bytes: 90, oldest: Some(WallTime::from_millis(1_700_000_000_000)) };
    let unknown = Lag { missing_here: 0, missing_there: 7, owed: None };
    let lag = vec![Some(Lag { missing_here: 5, missing_there: 2, owed: Some(owed) }), None, Some(unknown)];
    let heard = Some(Instant::from_micros(1_000));
    Metrics {
        node: NodeId::from_u128(1),
        durable: Lsn::new(8),
        appended: Lsn::new(9),
        peers: vec![PeerMetrics { node: NodeId::from_u128(2), heard, in_sync: false, lag }],
        partitions: vec![PartitionMetrics { keys: 3, origins: 2, retained_bytes: 100 }; 3],
        open_merkle_sessions: 1,
        requests_waiting_for_disk: 2,
        requests_waiting_for_entries: 3,
        gated_outputs: 4,
        counters,
    }
}

#[test]
fn the_text_is_golden() {
    let text = sample().exposition(&[("shop", "Berlin")]).to_string();
    assert_eq!(text, include_str!("golden.txt"), "{text}");
}

#[test]
fn labels_of_the_caller_cannot_break_the_text() {
    let metrics = sample();
    let labels = [("1 st", "a \"b\"\\\nc"), ("", "ä")];
    let text = metrics.exposition(&labels).to_string();
    let line = text.lines().find(|line| line.starts_with("crdt_sync_gated_outputs{")).unwrap();
    let node = "00000000000000000000000000000001";
    assert_eq!(
        line,
        alloc::format!("crdt_sync_gated_outputs{{node=\"{node}\",__st=\"a \\\"b\\\"\\\\\\nc\",_=\"ä\"}} 4")
    );
}

#[test]
fn every_sample_follows_the_help_and_the_type_of_its_family_once() {
    let text = sample().exposition(&[]).to_string();
    let mut families = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert!(!families.contains(&name), "{name} comes twice");
            families.push(name);
        } else if !line.starts_with('#') {
            assert_eq!(line.split('{').next(), families.last().copied());
        }
    }
}
