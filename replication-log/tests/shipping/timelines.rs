//! Lessons on what happens in which order between a client's write and its answer, and what each step costs.
//!
//! The whole of a leader is put together here: its log, what its policy commits, and a sender for each follower.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use replication_log::{
    Batch, Epoch, Log, Lsn, RecordKind,
    ship::{
        AckPolicy, Commits, Receiver, ReceiverOptions, Sender, SenderEvent, SenderOptions, Stage, Step, Want,
        commit::{CommitOptions, CommitOutcome, Role},
        wire::ToLeader,
    },
    storage::FaultStorage,
};

use crate::common::{self, watched::Watched};

const EPOCH: Epoch = Epoch::new(1);
const NOW: Duration = Duration::ZERO;

/// Who did what, in the order in which it happened.
type Diary = Vec<String>;

/// Fsyncs, and frames to it and from it.
type FollowerCosts = (usize, (usize, usize));

struct Cluster {
    log: Log<Watched>,
    commits: Commits<char>,
    senders: BTreeMap<char, Sender>,
    followers: BTreeMap<char, Follower>,
    syncs: Arc<AtomicUsize>,
    diary: Diary,
}

struct Follower {
    log: Log<Watched>,
    receiver: Receiver,
    syncs: Arc<AtomicUsize>,
    /// Frames to it and from it.
    frames: (usize, usize),
}

fn counted_log() -> (Log<Watched>, Arc<AtomicUsize>) {
    let syncs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&syncs);
    let disk = Watched::syncs(FaultStorage::new(), move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let log = Log::open(disk, common::options()).expect("new").0;
    (log, syncs)
}

impl Cluster {
    /// A leader and its followers, connected, under a policy and a stage.
    fn new(policy: &str, stage: Stage, names: &[char]) -> Self {
        let policy: AckPolicy<String> = policy.parse().expect("a policy");
        let policy = policy.with_names(|name| name.chars().next()).expect("names of one letter");
        let mut options = CommitOptions::new(policy);
        options.stage = stage;
        let mut commits = Commits::new(options);
        for name in names {
            commits.add(*name, Role::Candidate).expect("fresh");
        }
        commits.begin_reign(EPOCH, Lsn::FIRST).expect("the first");
        let (log, syncs) = counted_log();
        let (senders, followers, diary) = Default::default();
        let mut cluster = Self { log, commits, senders, followers, syncs, diary };
        for name in names {
            cluster.connect(*name);
        }
        cluster.settle();
        cluster.diary.clear();
        for follower in cluster.followers.values_mut() {
            follower.frames = (0, 0);
            follower.syncs.store(0, Ordering::Relaxed);
        }
        cluster.syncs.store(0, Ordering::Relaxed);
        cluster
    }

    fn connect(&mut self, name: char) {
        let (log, syncs) = counted_log();
        let mut receiver = Receiver::new(ReceiverOptions::new(name), log.epoch(), log.last_position());
        let hello = receiver.hello(1, log.epoch_ends(8).expect("readable"));
        let Ok(ToLeader::Hello(hello)) = ToLeader::decode(&hello) else { panic!("a first word") };
        let sender = Sender::answer(SenderOptions::new("leader", EPOCH), NOW, &hello, &self.log, None);
        self.senders.insert(name, sender.expect("followed"));
        self.followers.insert(name, Follower { log, receiver, syncs, frames: (0, 0) });
    }

    fn says(&mut self, what: impl Into<String>) {
        self.diary.push(what.into());
    }

    /// A client writes, and waits for the answer that the policy allows.
    fn write(&mut self, text: &str) {
        self.says("the client asks");
        let batch = Batch::of(EPOCH, RecordKind(1), text.as_bytes()).expect("small");
        let lsn = *self.log.append(&batch).expect("fits").end();
        self.commits.wait(lsn, None).expect("room");
        let durable = self.log.sync().expect("healthy");
        self.says("the leader's disk has it");
        self.commits.durable(durable, NOW);
        self.answers();
    }

    /// Tells clients what may be told now.
    fn answers(&mut self) {
        while let Some((_, outcome)) = self.commits.poll() {
            assert!(matches!(outcome, CommitOutcome::Committed { degraded: false, .. }), "{outcome:?}");
            self.says("the client is answered");
        }
    }

    /// Carries frames until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            let names: Vec<char> = self.senders.keys().copied().collect();
            let moved: Vec<bool> = names.into_iter().map(|name| self.serve(name)).collect();
            if !moved.contains(&true) {
                return;
            }
        }
    }

    /// Sends what there is for one follower, and hears what it says to it.
    fn serve(&mut self, name: char) -> bool {
        let sender = self.senders.get_mut(&name).expect("connected");
        sender.progress(self.log.durable(), self.commits.committed());
        if let Want::Batches { after } = sender.wants() {
            let mut batches = self.log.read_batches_from(after.next().expect("a number")).expect("kept");
            while let Want::Batches { .. } = sender.wants() {
                let Some(batch) = batches.next_batch().expect("readable") else { break };
                sender.push(NOW, &batch).expect("next");
            }
        }
        let frames: Vec<_> = core::iter::from_fn(|| sender.poll(NOW)).collect();
        for frame in &frames {
            let answers = self.followers.get_mut(&name).expect("there").take(name, frame, &mut self.diary);
            for answer in answers {
                self.hear(name, &answer);
            }
        }
        !frames.is_empty()
    }

    fn hear(&mut self, name: char, answer: &[u8]) {
        let event = self.senders.get_mut(&name).expect("connected").handle(NOW, answer).expect("sound");
        match event {
            SenderEvent::Ready(marks) => {
                self.commits.connected(name, marks).expect("known");
                self.commits.streaming(name).expect("connected");
            }
            SenderEvent::Advanced(marks) => {
                self.commits.report(name, &marks).expect("connected");
            }
            _ => {}
        }
        self.answers();
    }

    /// Fsyncs of the leader and of each follower, and frames to and from each.
    fn costs(&self) -> (usize, Vec<FollowerCosts>) {
        let count = |syncs: &AtomicUsize| syncs.load(Ordering::Relaxed);
        let followers = self.followers.values().map(|follower| (count(&follower.syncs), follower.frames));
        (count(&self.syncs), followers.collect())
    }
}

impl Follower {
    fn take(&mut self, name: char, frame: &[u8], diary: &mut Diary) -> Vec<Vec<u8>> {
        self.frames.0 += 1;
        match self.receiver.handle(frame).expect("sound") {
            Step::Begin(begin) => {
                self.log.promise_epoch(begin.promise).expect("later");
                self.receiver.begun();
            }
            Step::Append { reign, batches } => {
                for batch in &batches {
                    self.log.append_copy(reign, batch).expect("checked");
                }
                let durable = self.log.sync().expect("healthy");
                diary.push(format!("the disk of {name} has it"));
                self.receiver.mark(Stage::Flushed, durable);
            }
            _ => {}
        }
        let committed = self.receiver.committed().min(self.log.durable());
        if committed > self.receiver.marks().at(Stage::Applied) {
            self.receiver.mark(Stage::Applied, committed);
            diary.push(format!("readers at {name} see it"));
        }
        let answers: Vec<_> = core::iter::from_fn(|| self.receiver.poll()).collect();
        self.frames.1 += answers.len();
        answers
    }
}

/// The theory's asynchronous timeline, in five steps: the client asks, the leader writes it to its log, the client is
/// answered, the followers get it, readers there see it. What comes after the answer is lost if the leader is lost
/// before.
#[test]
fn asynchronous_in_five_steps() {
    let mut cluster = Cluster::new("", Stage::Flushed, &['b']);
    cluster.write("a picture");
    assert_eq!(
        cluster.diary,
        ["the client asks", "the leader's disk has it", "the client is answered"],
        "nobody else has heard of it"
    );
    cluster.settle();
    assert_eq!(cluster.diary[3..], ["the disk of b has it", "readers at b see it"]);
}

/// The synchronous one, in six: the answer comes after every follower has it on disk, so that any one disk that is left
/// has what was answered. Readers there see it once they hear that it is committed.
#[test]
fn synchronous_in_six_steps() {
    let mut cluster = Cluster::new("ALL (*)", Stage::Flushed, &['b', 'c']);
    cluster.write("a picture");
    assert_eq!(cluster.diary, ["the client asks", "the leader's disk has it"], "the client waits");
    cluster.settle();
    assert_eq!(
        cluster.diary[2..],
        [
            "the disk of b has it",
            "the disk of c has it",
            "the client is answered",
            "readers at b see it",
            "readers at c see it"
        ]
    );
}

/// Semi-synchronous: the fastest of the followers is waited for, and no other.
#[test]
fn semi_synchronous_waits_for_the_first() {
    let mut cluster = Cluster::new("ANY 1 (*)", Stage::Flushed, &['b', 'c']);
    cluster.write("a picture");
    cluster.serve('c');
    assert_eq!(cluster.diary[2..], ["the disk of c has it", "the client is answered"]);
}

/// With `applied` the answer says that whoever reads at the followers sees it. That takes a second way there and back,
/// because they show only what they know to be committed.
#[test]
fn applied_waits_until_readers_see_it() {
    let mut cluster = Cluster::new("ALL (*)", Stage::Applied, &['b']);
    cluster.write("a picture");
    cluster.settle();
    assert_eq!(cluster.diary[2..], ["the disk of b has it", "readers at b see it", "the client is answered"]);
}

/// What a commit costs in each mode, beside the bytes: syncs at the leader, syncs at a follower, and frames there and
/// back until the client is answered.
#[test]
fn what_a_commit_costs() {
    let until_answered = |policy: &str, stage| {
        let mut cluster = Cluster::new(policy, stage, &['b']);
        cluster.write("a picture");
        let mut rounds = 0;
        while !cluster.diary.contains(&"the client is answered".into()) {
            cluster.serve('b');
            rounds += 1;
        }
        let (leader, followers) = cluster.costs();
        (leader, followers[0], rounds)
    };
    // Asynchronous: one sync here, nothing else.
    assert_eq!(until_answered("", Stage::Flushed), (1, (0, (0, 0)), 0));
    // Semi-synchronous: one sync here, one there, one round trip. Synchronous: the same with each follower.
    assert_eq!(until_answered("ANY 1 (*)", Stage::Flushed), (1, (1, (1, 1)), 1));
    assert_eq!(until_answered("ALL (*)", Stage::Flushed), (1, (1, (1, 1)), 1));
    // And until readers there see it: a second round trip, no more syncs.
    assert_eq!(until_answered("ALL (*)", Stage::Applied), (1, (1, (2, 2)), 2));
}

/// Writes that come together share everything: a hundred of them are one sync here, one there, and one frame each way.
#[test]
fn a_hundred_commits_cost_what_one_does() {
    let mut cluster = Cluster::new("ANY 1 (*)", Stage::Flushed, &['b']);
    for number in 0..100 {
        let batch = Batch::of(EPOCH, RecordKind(1), format!("{number}").as_bytes()).expect("small");
        let lsn = *cluster.log.append(&batch).expect("fits").end();
        cluster.commits.wait(lsn, None).expect("room");
    }
    let durable = cluster.log.sync().expect("healthy");
    cluster.commits.durable(durable, NOW);
    cluster.serve('b');
    let answered = cluster.diary.iter().filter(|what| *what == "the client is answered").count();
    // A segment of 2 KiB holds fewer than a hundred, so that the logs rotate; each rotation is three syncs.
    let (leader, followers) = cluster.costs();
    assert_eq!((answered, followers[0].1), (100, (1, 1)));
    assert!(leader <= 1 + 3 * 3 && followers[0].0 <= 1 + 3 * 3, "{leader} and {} syncs", followers[0].0);
}
