//! What becomes of a log on the disk, and what nodes may say of it then.

use std::collections::VecDeque;

use crdt_sync::single_leader::host::carry_out;
use crdt_sync::{
    ClusterKey, Config, Engine, Input, LogNews, LogTask, Output, RecoverError, Replication, Request,
    RequestId,
};
use replication_log::ship::Stage;
use replication_log::storage::MemoryStorage;
use replication_log::{Log, LogOptions, Lsn};

use crate::cluster::*;

impl Cluster {
    /// The disk of a node is put back to an earlier state: its log ends with this record, and it is told so.
    pub(crate) fn put_back(&mut self, at: usize, last: Lsn) {
        let storage = MemoryStorage::new();
        let (mut earlier, _) = Log::open(storage.clone(), LogOptions::new(0x0b5e)).unwrap();
        let log = self.nodes[at].log.take().unwrap();
        earlier.promise_epoch(log.epoch()).unwrap();
        let mut batches = log.read_batches_from(Lsn::FIRST).unwrap();
        while let Some(batch) = batches.next_batch().unwrap().filter(|batch| batch.last() <= last) {
            earlier.append_copy(earlier.epoch(), &batch).unwrap();
        }
        earlier.sync().unwrap();
        drop((earlier, batches));
        self.nodes[at].storage = storage.clone();
        let settings = self.nodes[at].config.clone();
        let snapshots = self.nodes[at].snapshots.clone();
        let (mut engine, log) = self.open(at, &settings, &storage, (&snapshots, None));
        engine.distrust_past(self.now());
        (self.nodes[at].engine, self.nodes[at].log) = (engine, Some(log));
        self.handle(at, Input::Timer);
    }

    fn last(&self, at: usize) -> Lsn {
        self.nodes[at].log.as_ref().unwrap().last()
    }
}

#[test]
fn a_follower_whose_log_was_cut_does_not_say_that_it_has_what_its_disk_does_not() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (c)"));
    cluster.write(A, add("visits", 1));
    cluster.settle();
    let kept = cluster.last(A);
    cluster.disconnect(A, C);
    for _ in 0..3 {
        cluster.ask(A, Request::Write(add("visits", 10)));
    }
    cluster.settle();
    assert!(cluster.last(B).get() > kept.get() + 2, "it follows, and does not count");

    cluster.disconnect(A, B);
    cluster.put_back(A, kept);
    assert!(cluster.leadership(A).epoch > epoch_of(1), "it does not contradict what it wrote before");
    cluster.connect(A, B);
    cluster.settle();
    assert!(!cluster.nodes[B].cut_off.is_empty());
    assert_eq!(cluster.last(B), cluster.last(A));

    cluster.nodes[B].disk_stalls = true;
    for _ in 0..2 {
        cluster.ask(A, Request::Write(add("visits", 100)));
        cluster.settle();
        let durable = cluster.nodes[B].log.as_ref().unwrap().durable();
        let (_, status) =
            cluster.leadership(A).followers.into_iter().find(|(node, _)| *node == id(B)).unwrap();
        assert!(cluster.last(B) > durable);
        assert_eq!(status.follower.marks.at(Stage::Flushed), durable);
    }
}

#[test]
fn a_leader_that_cannot_read_its_log_does_not_ask_for_ever_and_followers_begin_anew() {
    for answer in [|task| LogNews::Failed { task }, |task| LogNews::Read { task, batches: Vec::new() }] {
        let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
        let now = cluster.now();
        let leader = &mut cluster.nodes[A];
        let log = leader.log.as_mut().unwrap();
        leader
            .engine
            .handle(now, Input::Request { id: RequestId(1), request: Request::Write(add("visits", 1)) });
        let mut asked = 0;
        let mut inputs = VecDeque::new();
        loop {
            while let Some(output) = leader.engine.poll_output() {
                match output {
                    Output::Log(LogTask::Read { task, .. }) => {
                        inputs.push_back(Input::Log(answer(task)));
                        asked += 1;
                    }
                    Output::Log(task) => {
                        let _ = carry_out(log, task).unwrap();
                        inputs.push_back(Input::Durable { lsn: log.sync().unwrap() });
                    }
                    _ => {}
                }
            }
            let Some(input) = inputs.pop_front() else { break };
            leader.engine.handle(now, input);
            assert!(asked <= 2, "once for each follower");
        }
        assert_eq!(asked, 2);
        cluster.settle();
        assert_eq!((cluster.count(A, "visits"), cluster.count(B, "visits")), (1, 1));
        assert!(cluster.logs_are_equal());
    }
}

#[test]
fn a_log_of_another_topology_or_cluster_is_refused_when_it_is_opened_whatever_of_it_is_committed() {
    let mut cluster = Cluster::of_three(&settings("ANY 1 (*)"));
    cluster.write(A, add("visits", 1));
    let now = cluster.now();
    let config = |key, replication| {
        let mut config =
            Config::new(id(A), ClusterKey::from_bytes([key; 16]), [1; 32]).with_collections(collections());
        config.replication = replication;
        config
    };
    let shared = Replication::SingleLeader(settings("").into());
    let mut alone =
        Engine::open(config(9, Replication::MultiLeader), Vec::<(Lsn, Vec<u8>)>::new(), now).unwrap();
    let Some(Output::Append { first, records }) = alone.poll_output() else { panic!("it is founded") };
    let own: Vec<_> = (first.get()..).map(Lsn::new).zip(records).collect();
    let records = cluster.nodes[A].log.as_ref().unwrap().read_from(Lsn::FIRST).unwrap().into_iter();
    let common: Vec<_> = records.map(Result::unwrap).map(|record| (record.lsn, record.payload)).collect();

    let refused = |config, records: &Vec<(Lsn, Vec<u8>)>| Engine::open(config, records.clone(), now).err();
    assert_eq!(refused(config(9, shared.clone()), &own), Some(RecoverError::OtherReplication));
    assert_eq!(refused(config(9, Replication::MultiLeader), &common), Some(RecoverError::OtherReplication));
    assert_eq!(refused(config(8, shared.clone()), &common), Some(RecoverError::OtherCluster));
    assert_eq!(refused(config(9, shared), &common), None);
}
