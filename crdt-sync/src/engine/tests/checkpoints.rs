//! Checkpoints of whole engines: what leaves when, and what a node opened from one is to its peers.

use super::*;
use crate::checkpoint::{CheckpointError, CheckpointPiece};

fn records() -> Vec<(Lsn, Vec<u8>)> {
    Vec::new()
}

/// The bytes of a checkpoint, taken in pieces of this size.
fn checkpoint(engine: &mut Engine, budget: usize) -> (Lsn, Vec<Vec<u8>>) {
    let begun = engine.begin_checkpoint();
    let mut pieces = Vec::new();
    loop {
        match engine.next_piece(budget).unwrap() {
            CheckpointPiece::Bytes(piece) => pieces.push(piece),
            CheckpointPiece::Complete { lsn, .. } => {
                assert_eq!(lsn, begun);
                return (lsn, pieces);
            }
            other => panic!("not durable: {other:?}"),
        }
    }
}

impl Cluster {
    /// Opens a node from a checkpoint of itself, after everything before was cut off its log.
    fn restart_from_checkpoint(&mut self, node: usize) {
        let (lsn, pieces) = checkpoint(&mut self.engines[node], 1_000);
        self.logs[node].retain(|(at, _)| *at > lsn);
        let (now, log) = (self.now(), self.logs[node].clone());
        self.restart_with(node, |config| Engine::open_from(config, &pieces, log, now).unwrap());
    }

    fn restart_with(&mut self, node: usize, open: impl FnOnce(Config) -> Engine) {
        let number = u8::try_from(node + 1).unwrap();
        let mut config = self.engines[node].replica.config.clone();
        config.seed = [number + 100; 32];
        self.engines[node] = open(config);
        self.drain(node);
    }
}

#[test]
fn the_end_of_a_checkpoint_waits_for_the_disk() {
    let mut cluster = Cluster::new(1);
    let engine = &mut cluster.engines[0];
    let now = Now { instant: Instant::from_micros(0), wall: WallTime::from_millis(1_700_000_000_000) };
    let request = Request::Write(vec_of_one(write(2, "visits", Action::Increment(1))));
    engine.handle(now, Input::Request { id: RequestId(1), request });
    let lsn = engine.begin_checkpoint();
    let mut pieces = Vec::new();
    while let CheckpointPiece::Bytes(piece) = engine.next_piece(1_000).unwrap() {
        pieces.push(piece);
    }
    assert_eq!(engine.next_piece(1_000), Ok(CheckpointPiece::Waiting { lsn }));
    assert!(engine.status().durable < lsn);
    let unfinished = Engine::open_from(config(1, 1), &pieces, records(), now);
    assert!(matches!(unfinished, Err(RecoverError::Checkpoint(crate::RestoreError::Unfinished))));

    engine.handle(now, Input::Durable { lsn });
    let Ok(CheckpointPiece::Bytes(end)) = engine.next_piece(1_000) else { panic!("the end may leave") };
    pieces.push(end);
    let cut_below = Lsn::new(lsn.get() + 1);
    assert_eq!(engine.next_piece(1_000), Ok(CheckpointPiece::Complete { lsn, cut_below }));
    assert_eq!(engine.next_piece(1_000), Err(CheckpointError::NotUnderWay));
    let opened = Engine::open_from(config(1, 1), &pieces, records(), now).unwrap();
    assert_eq!(opened.status().partitions, engine.status().partitions);
}

fn vec_of_one(write: Write) -> Vec<Write> {
    Vec::from([write])
}

#[test]
fn a_log_that_fails_takes_its_checkpoint_with_it() {
    let mut cluster = Cluster::new(1);
    let now = cluster.now();
    cluster.engines[0].begin_checkpoint();
    cluster.engines[0].handle(now, Input::LogFailed);
    assert_eq!(cluster.engines[0].next_piece(1_000), Err(CheckpointError::NotUnderWay));
}

#[test]
fn a_node_opened_from_a_checkpoint_serves_the_entries_of_before() {
    let mut cluster = Cluster::new(2);
    cluster.write(0, insert_many(0, 20, "before"));
    cluster.restart_from_checkpoint(0);
    cluster.write(0, insert_many(20, 30, "after"));
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert_eq!(cluster.finished_sessions(), 0, "a short gap needs no session");
}

#[test]
fn below_the_floor_of_a_node_opened_from_a_checkpoint_a_session_serves() {
    let mut cluster = Cluster::new(2);
    cluster.engines[0].replica.config.limits.max_retained = 0;
    cluster.write(0, insert_many(0, 20, "before"));
    cluster.restart_from_checkpoint(0);
    cluster.connect(0, 1);
    cluster.settle();
    cluster.assert_agreement();
    assert!(cluster.finished_sessions() > 0);
}

#[test]
fn a_node_goes_on_writing_under_its_identity_after_a_checkpoint() {
    let mut cluster = Cluster::new(1);
    cluster.write(0, insert_many(0, 20, "before"));
    let before = cluster.engines[0].status();
    cluster.restart_from_checkpoint(0);
    let after = cluster.engines[0].status();
    assert_eq!((after.replica, after.durable), (before.replica, before.durable));
    cluster.write(0, insert_many(20, 21, "after"));
    let head = cluster.engines[0].status().partitions[0].heads[0].1;
    assert_eq!(head.sequence, before.partitions[0].heads[0].1.sequence + 1);
}

/// A session is under way on both sides while checkpoints are made of one: wherever it stands when one begins, and
/// whatever it changes while the pieces are given out.
#[test]
fn checkpoints_made_during_a_session_are_those_of_their_record() {
    for side in 0..2 {
        let mut cluster = Cluster::new(2);
        for node in 0..2 {
            cluster.write(node, insert_many(0, 300, if node == 0 { "one" } else { "other" }));
            let start = if node == 0 { 300 } else { 500 };
            cluster.write(node, insert_many(start, start + 100, "alone"));
        }
        cluster.connect(0, 1);
        let (mut begun, mut pieces, mut made) = (None, Vec::new(), 0);
        let mut handled = 0;
        while let Some((link, bytes)) = cluster.frames.pop_front() {
            let Some(&(node, link, _)) = cluster.links.get(&link) else { continue };
            cluster.handle(node, Input::Frame { link, bytes });
            handled += 1;
            let engine = &mut cluster.engines[side];
            let lsn = *begun.get_or_insert_with(|| engine.begin_checkpoint());
            match engine.next_piece(12 << 10).unwrap() {
                CheckpointPiece::Bytes(piece) => pieces.push(piece),
                CheckpointPiece::Complete { .. } => {
                    assert_same_restart(&cluster, side, lsn, &pieces);
                    (begun, made) = (None, made + 1);
                    pieces.clear();
                }
                other => panic!("not durable: {other:?}"),
            }
        }
        cluster.settle();
        cluster.assert_agreement();
        assert!(cluster.finished_sessions() > 0 && made > 2, "{made} checkpoints over {handled} frames");
    }
}

fn assert_same_restart(cluster: &Cluster, node: usize, lsn: Lsn, pieces: &[Vec<u8>]) {
    let number = u8::try_from(node + 1).unwrap();
    let (log, now) = (&cluster.logs[node], cluster.now());
    let rest = log.iter().filter(|(at, _)| *at > lsn).cloned();
    let from_checkpoint = Engine::open_from(config(number, 1), pieces, rest, now).unwrap();
    let from_log = Engine::open(config(number, 1), log.iter().cloned(), now).unwrap();
    assert_eq!(from_checkpoint.status(), from_log.status());
}
