//! Quorum systems from text.

use quorum::{Expr, NodeSet, QuorumSystem};

/// Text is refused or read; what was read is written as what reads the same, and its best writes meet all of its reads.
pub fn a_text_is_a_quorum_system_or_is_refused(text: &str) {
    let Ok(expr) = text.parse::<Expr<String>>() else {
        return;
    };
    assert_eq!(expr.to_string().parse().as_ref(), Ok(&expr), "it reads as it was written");
    let Ok(system) = QuorumSystem::from_reads(expr) else {
        return;
    };
    let all = NodeSet::first(system.nodes().len());
    assert!(system.is_read_quorum(all) && system.is_write_quorum(all), "all of them are always a quorum");
    assert!(!system.is_read_quorum(NodeSet::EMPTY) && !system.is_write_quorum(NodeSet::EMPTY));
    for place in 0..system.nodes().len().min(16) {
        let half = all.iter().filter(|other| other % (place + 2) < 1 + place / 2).collect();
        let [is_read, meets_all_reads] =
            [system.is_read_quorum(half), !system.is_read_quorum(all.difference(half))];
        assert_eq!(system.is_write_quorum(half), meets_all_reads, "a write is whatever meets every read");
        assert!(!is_read || system.is_read_quorum(half.with(place)), "more nodes are no less");
    }
    if system.nodes().len() <= 8 {
        let _ = system.describe().to_string();
    }
}
