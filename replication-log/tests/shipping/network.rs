//! A way that loses, doubles, delays, reorders and damages frames, connections that break, followers that lose power,
//! and leaders that change: in the end every log is that of the last leader.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use replication_log::{
    Epoch, Log, Lsn, OwnedRecord,
    ship::{
        AckPolicy, Commits, Receiver, ReceiverOptions, Sender, SenderEvent, Stage, Step,
        commit::{CommitOptions, Role},
        wire::ToLeader,
    },
    storage::{FaultStorage, Keep, Survivors},
};

use crate::{common, nodes::Leader};

/// What one step does. Nodes are named by their number, frames by their place on the way.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// The leader writes a batch of so many records.
    Write {
        records: usize,
    },
    /// What waits longest on the way arrives, or another frame, or one arrives and stays on its way.
    Deliver {
        skip: usize,
        keep: bool,
    },
    Lose {
        at: usize,
    },
    Damage {
        at: usize,
        bit: usize,
    },
    /// A node asks the leader to be followed, and gives up the connection it had.
    Connect {
        node: usize,
    },
    /// A node makes durable what it appended.
    Sync {
        node: usize,
    },
    PowerLost {
        node: usize,
        survivors: u64,
    },
    /// A node leads from now on: the one that has the most, if it is not dead.
    Elect,
    Wait {
        milliseconds: u64,
    },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let node = || 0..NODES;
    let one = prop_oneof![
        6 => (1..4_usize).prop_map(|records| Move::Write { records }),
        30 => (prop_oneof![8 => Just(0_usize), 1 => 1..5_usize], prop::bool::weighted(0.05))
            .prop_map(|(skip, keep)| Move::Deliver { skip, keep }),
        2 => (0..8_usize).prop_map(|at| Move::Lose { at }),
        2 => (0..8_usize, 0..4096_usize).prop_map(|(at, bit)| Move::Damage { at, bit }),
        3 => node().prop_map(|node| Move::Connect { node }),
        6 => node().prop_map(|node| Move::Sync { node }),
        1 => (node(), any::<u64>()).prop_map(|(node, survivors)| Move::PowerLost { node, survivors }),
        1 => Just(Move::Elect),
        3 => (0..4000_u64).prop_map(|milliseconds| Move::Wait { milliseconds }),
    ];
    prop::collection::vec(one, 1..150)
}

const NODES: usize = 3;
const NAMES: [&str; NODES] = ["a", "b", "c"];

struct World {
    now: Duration,
    epoch: u64,
    leader: usize,
    nodes: [Node; NODES],
    /// What is on its way: to whom, from whom.
    way: Vec<(usize, usize, Vec<u8>)>,
    senders: BTreeMap<usize, Sender>,
    streams: u64,
    labels: u64,
    /// What the leader's followers have acknowledged: one of the two others is asked for.
    commits: Commits<usize>,
    /// The beginning of the log that clients were promised.
    promised: Vec<OwnedRecord>,
}

struct Node {
    disk: FaultStorage,
    log: Log<FaultStorage>,
    receiver: Receiver,
}

impl Node {
    fn open(number: usize, disk: FaultStorage) -> Self {
        let log = common::open(&disk).expect("a tear is no damage").0;
        let receiver = Receiver::new(ReceiverOptions::new(NAMES[number]), log.epoch(), log.last_position());
        Self { disk, log, receiver }
    }
}

impl World {
    fn new() -> Self {
        let nodes = core::array::from_fn(|number| Node::open(number, FaultStorage::new()));
        let (way, senders, promised) = Default::default();
        let commits = Commits::new(CommitOptions::new(AckPolicy::semi_sync()));
        let mut world = Self {
            now: Duration::ZERO,
            epoch: 0,
            leader: 0,
            nodes,
            way,
            senders,
            streams: 0,
            labels: 0,
            commits,
            promised,
        };
        world.elect();
        world
    }

    fn play(&mut self, one: Move) {
        match one {
            Move::Write { records } => self.write(records),
            Move::Deliver { skip, keep } => self.deliver(skip, keep),
            Move::Lose { at } => {
                if at < self.way.len() {
                    self.way.remove(at);
                }
            }
            Move::Damage { at, bit } => {
                if let Some((_, _, frame)) = self.way.get_mut(at) {
                    let bit = bit % (frame.len() * 8);
                    frame[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Move::Connect { node } => self.connect(node),
            Move::Sync { node } => self.sync(node),
            Move::PowerLost { node, survivors } => self.power_lost(node, survivors),
            Move::Elect => self.elect(),
            Move::Wait { milliseconds } => self.now += Duration::from_millis(milliseconds),
        }
        self.feed();
    }

    fn write(&mut self, records: usize) {
        self.labels += 1;
        let sizes: Vec<usize> =
            (0..records).map(|index| 1 + (self.labels as usize * 37 + index) % 90).collect();
        let log = &mut self.nodes[self.leader].log;
        log.append(&common::batch(self.epoch, self.labels, &sizes)).expect("fits");
    }

    /// What was damaged so that it is refused is as good as lost; the ways mend that.
    fn deliver(&mut self, skip: usize, keep: bool) {
        if self.way.is_empty() {
            return;
        }
        let at = skip.min(self.way.len() - 1);
        let (to, from, frame) = if keep { self.way[at].clone() } else { self.way.remove(at) };
        if to == self.leader {
            self.at_leader(from, &frame);
        } else if from == self.leader {
            self.at_follower(to, &frame);
        }
    }

    fn at_leader(&mut self, from: usize, frame: &[u8]) {
        if let Ok(ToLeader::Hello(hello)) = ToLeader::decode(frame) {
            let node = &self.nodes[self.leader];
            let options =
                replication_log::ship::SenderOptions::new(NAMES[self.leader], Epoch::new(self.epoch));
            let answer = Sender::answer(options.frame_bytes(200), self.now, &hello, &node.log, None);
            if let Ok(sender) = answer
                && self.senders.insert(from, sender).is_some()
            {
                self.commits.gone(from).expect("known");
            }
            return;
        }
        let Some(sender) = self.senders.get_mut(&from) else { return };
        match sender.handle(self.now, frame) {
            Ok(SenderEvent::Ready(marks)) => {
                self.commits.connected(from, marks).expect("known");
                self.commits.streaming(from).expect("connected");
            }
            Ok(SenderEvent::Advanced(marks)) => {
                self.commits.report(from, &marks).expect("connected");
            }
            _ => {}
        }
        self.promise();
    }

    /// What is acknowledged a client may rely on from now on.
    fn promise(&mut self) {
        let acknowledged = self.commits.acknowledged();
        if acknowledged.get() > self.promised.len() as u64 {
            let records = common::records(&self.nodes[self.leader].log).into_iter();
            self.promised = records.take_while(|record| record.lsn <= acknowledged).collect();
        }
    }

    fn at_follower(&mut self, number: usize, frame: &[u8]) {
        let node = &mut self.nodes[number];
        match node.receiver.handle(frame) {
            Ok(Step::Begin(begin)) => {
                if node.log.epoch() < begin.promise {
                    node.log.promise_epoch(begin.promise).expect("later than all before");
                }
                if let Some(common) = begin.cut {
                    node.log.truncate_after(common.lsn, Lsn::ZERO).expect("a boundary of both");
                    assert_eq!(node.log.last_position(), common);
                }
                node.receiver.begun();
            }
            Ok(Step::Append { reign, batches }) => {
                for batch in batches {
                    node.log.append_copy(reign, &batch).expect("the receiver has checked it");
                    assert_eq!(node.log.last_position(), batch.end());
                }
            }
            _ => {}
        }
        self.report(number);
    }

    fn report(&mut self, number: usize) {
        while let Some(frame) = self.nodes[number].receiver.poll() {
            self.way.push((self.leader, number, frame));
        }
    }

    fn connect(&mut self, number: usize) {
        if number == self.leader {
            return;
        }
        self.sync(number);
        self.streams += 1;
        let node = &mut self.nodes[number];
        let hello = node.receiver.hello(self.streams, node.log.epoch_ends(64).expect("readable"));
        self.way.push((self.leader, number, hello));
    }

    fn sync(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let durable = node.log.sync().expect("healthy");
        node.receiver.mark(Stage::Flushed, durable);
        if number == self.leader {
            self.commits.durable(durable, self.now);
            self.promise();
        } else {
            self.report(number);
        }
    }

    fn power_lost(&mut self, number: usize, survivors: u64) {
        let disk = self.nodes[number].disk.clone();
        disk.crash(Survivors { sectors: Keep::Random(survivors), entries: Keep::Random(!survivors) });
        self.nodes[number] = Node::open(number, disk);
        if self.senders.remove(&number).is_some() {
            self.commits.gone(number).expect("known");
        }
        if number == self.leader {
            self.elect();
        }
    }

    /// Whoever has the latest end of two nodes leads, under a new epoch that both have promised. Nothing that is on
    /// its way reaches whom it was meant for.
    fn elect(&mut self) {
        self.epoch += 1;
        let voters = [self.epoch as usize % NODES, (self.epoch as usize + 1) % NODES];
        for voter in voters {
            self.nodes[voter].log.promise_epoch(Epoch::new(self.epoch)).expect("later");
        }
        let end = |number: &usize| {
            let position = self.nodes[*number].log.last_position();
            (position.epoch, position.lsn)
        };
        self.leader = voters.into_iter().max_by_key(end).expect("two");
        // Who led follows from now on, and everybody learns of the epoch by following.
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let (epoch, position) = (node.log.epoch(), node.log.last_position());
            node.receiver = Receiver::new(ReceiverOptions::new(NAMES[number]), epoch, position);
        }
        self.senders.clear();
        self.way.clear();
        self.commits = Commits::new(CommitOptions::new(AckPolicy::semi_sync()));
        for follower in (0..NODES).filter(|number| *number != self.leader) {
            self.commits.add(follower, Role::Candidate).expect("fresh");
        }
        let first = self.nodes[self.leader].log.last().next().expect("a number");
        self.commits.begin_reign(Epoch::new(self.epoch), first).expect("the first");
        // A record of its own reign, so that what came before it is committed with it.
        self.write(1);
        self.sync(self.leader);
    }

    fn feed(&mut self) {
        let node = &self.nodes[self.leader];
        for (&number, sender) in &mut self.senders {
            sender.progress(node.log.durable(), Lsn::ZERO);
            for frame in feed(&node.log, sender, self.now) {
                self.way.push((number, self.leader, frame));
            }
        }
    }

    /// The way is sound from now on, and everybody connects.
    fn quiet(&mut self) {
        self.way.clear();
        self.sync(self.leader);
        for number in 0..NODES {
            self.connect(number);
        }
        for _ in 0..2000 {
            self.feed();
            if self.way.is_empty() {
                (0..NODES).for_each(|number| self.sync(number));
                if self.way.is_empty() {
                    return;
                }
            }
            self.deliver(0, false);
        }
        panic!("the nodes do not come to rest");
    }
}

fn feed(log: &Log<FaultStorage>, sender: &mut Sender, now: Duration) -> Vec<Vec<u8>> {
    use replication_log::ship::Want;
    let mut frames = Vec::new();
    loop {
        if let Want::Batches { after } = sender.wants() {
            let mut batches = log.read_batches_from(after.next().expect("a number")).expect("kept");
            while let Want::Batches { .. } = sender.wants() {
                let Some(batch) = batches.next_batch().expect("readable") else { break };
                sender.push(now, &batch).expect("next");
            }
        }
        let before = frames.len();
        frames.extend(core::iter::from_fn(|| sender.poll(now)));
        if frames.len() == before {
            return frames;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Case 32 and what comes with it. Whatever happened: in the end all logs are equal, and what was acknowledged as
    /// durable on two of three nodes is in them.
    #[test]
    fn all_logs_end_equal_and_hold_what_was_acknowledged(moves in moves()) {
        let mut world = World::new();
        for one in moves {
            world.play(one);
        }
        world.quiet();
        let last = world.nodes[world.leader].log.last_position();
        for node in &world.nodes {
            prop_assert_eq!(node.log.last_position(), last);
            let records = common::records(&node.log);
            prop_assert_eq!(&records[..world.promised.len()], &world.promised[..]);
        }
        prop_assert!(!world.promised.is_empty());
    }
}

/// However fast the leader and however slow the follower: no more is under way than the follower takes, and one frame.
#[test]
fn no_more_is_under_way_than_the_follower_takes() {
    let mut leader = Leader::new("a", 1);
    for _ in 0..50 {
        leader.write(&"x".repeat(900));
    }
    let mut follower =
        crate::nodes::Follower::of(ReceiverOptions::new("b").window(4000), FaultStorage::new());
    let hello = follower.hello();
    let mut sender = leader.answer_with(leader.options().frame_bytes(1000), &hello).expect("followed");
    let welcome = sender.poll(Duration::ZERO).expect("an answer");
    for report in follower.take(&welcome) {
        sender.handle(Duration::ZERO, &report).expect("sound");
    }
    let frames = leader.feed(&mut sender, Duration::ZERO);
    let sent: usize = frames.iter().map(Vec::len).sum();
    assert!((4000..4000 + 2 * 1100).contains(&sent), "{sent} bytes");

    // It takes them without writing them, and says so: nothing more comes.
    for frame in &frames {
        let Ok(Step::Append { .. }) = follower.receiver.handle(frame) else { panic!("batches") };
    }
    let report = follower.receiver.poll().expect("received");
    sender.handle(Duration::ZERO, &report).expect("sound");
    assert_eq!(
        leader.feed(&mut sender, Duration::ZERO).len(),
        1,
        "one at a time, so that it never stands still"
    );
    follower.receiver.mark(Stage::Written, Lsn::new(4));
    let report = follower.receiver.poll().expect("written");
    sender.handle(Duration::ZERO, &report).expect("sound");
    assert!(!leader.feed(&mut sender, Duration::ZERO).is_empty());
}

/// Without a word from the follower what was sent is sent again; and with nothing to send the leader says that it is
/// there.
#[test]
fn silence_is_broken_in_time() {
    let mut leader = Leader::new("a", 1);
    let mut follower = crate::nodes::Follower::new("b");
    let mut sender = crate::nodes::follow(&leader, &mut follower);
    leader.write("milk");
    let lost = leader.feed(&mut sender, Duration::ZERO);
    assert_eq!(lost.len(), 1);
    assert_eq!(sender.next_deadline(), Some(Duration::from_secs(1)), "the next sign of life");
    let alive = leader.feed(&mut sender, Duration::from_secs(1));
    assert_eq!(alive.len(), 1);
    assert_eq!(leader.feed(&mut sender, Duration::from_secs(4)).len(), 1, "another sign of life");
    let again = leader.feed(&mut sender, Duration::from_secs(5));
    assert!(again.contains(&lost[0]));
    for frame in alive.iter().chain(&again) {
        follower.take(frame);
    }
    assert_eq!(follower.texts(), ["milk"]);
}

/// A frame is lost and the next one arrives: the follower asks for what is missing, once, and has it without waiting
/// for the end of anybody's patience.
#[test]
fn a_gap_is_filled_at_once() {
    let mut leader = Leader::new("a", 1);
    let mut follower = crate::nodes::Follower::new("b");
    let mut sender = crate::nodes::follow(&leader, &mut follower);
    leader.write("lost");
    assert_eq!(leader.feed(&mut sender, Duration::ZERO).len(), 1);
    let later: Vec<_> = ["behind a gap", "behind it as well"]
        .into_iter()
        .flat_map(|text| {
            leader.write(text);
            leader.feed(&mut sender, Duration::ZERO)
        })
        .collect();
    let reports: Vec<_> = later.iter().flat_map(|frame| follower.take(frame)).collect();
    assert_eq!((follower.texts().len(), reports.len()), (0, 1), "it asks once");
    assert_eq!(sender.handle(Duration::ZERO, &reports[0]), Ok(SenderEvent::Nothing));
    for frame in leader.feed(&mut sender, Duration::ZERO) {
        follower.take(&frame);
    }
    assert_eq!(follower.texts(), ["lost", "behind a gap", "behind it as well"]);
}

/// Nobody has what was never sent: such a report is of another conversation, or a lie, and commits nothing.
#[test]
fn a_report_beyond_what_was_sent_is_refused() {
    use replication_log::ship::{Marks, SendError, wire::Report};
    let mut leader = Leader::new("a", 1);
    leader.write("milk");
    let mut follower = crate::nodes::Follower::new("b");
    let mut sender = crate::nodes::follow(&leader, &mut follower);
    let before = sender.marks();
    let marks = Marks::all(Lsn::new(2));
    let report = Report { stream: 1, marks, again: false, window: 1 << 20 }.encode();
    let ahead = SendError::Ahead { got: Lsn::new(2), sent: Lsn::new(1) };
    assert_eq!(sender.handle(Duration::ZERO, &report), Err(ahead));
    assert_eq!(sender.marks(), before);
}

/// What is sent again may have arrived after all: whoever says so late tells the truth, and is sent what comes then.
#[test]
fn a_late_report_of_what_is_about_to_be_sent_again_is_no_lie() {
    let mut leader = Leader::new("a", 1);
    let mut follower = crate::nodes::Follower::new("b");
    let mut sender = crate::nodes::follow(&leader, &mut follower);
    leader.write("milk");
    let frames = leader.feed(&mut sender, Duration::ZERO);
    let late: Vec<_> = frames.iter().flat_map(|frame| follower.take(frame)).collect();
    while sender.poll(Duration::from_secs(9)).is_some() {}
    let advanced = sender.handle(Duration::from_secs(9), &late[0]);
    assert!(matches!(advanced, Ok(SenderEvent::Advanced(_))), "{advanced:?}");
    leader.write("bread");
    for frame in leader.feed(&mut sender, Duration::from_secs(9)) {
        follower.take(&frame);
    }
    assert_eq!(follower.texts(), ["milk", "bread"]);
}
