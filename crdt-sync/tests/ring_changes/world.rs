//! The nodes, what is under way between them, and what must hold.

use std::collections::BTreeMap;

use crdt_sync::NodeId;
use crdt_sync::placement::{Change, Layout, Member, Phase, Shape};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::node::{Data, Message, Node, Operation, Quorums};

pub(crate) const PARTITIONS: u16 = 2;
const NODES: usize = 8;

/// What a node does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    ReadsNewEarly,
    ForgesAcknowledgements,
    DropsEarly,
    CopiesTooLittle,
    WritesOneSet,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
    pub(crate) finished: u64,
    pub(crate) given_up: u64,
    pub(crate) lost: u64,
    pub(crate) zombies: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.reads += other.reads;
        self.refused += other.refused;
        self.dropped += other.dropped;
        self.finished += other.finished;
        self.given_up += other.given_up;
        self.lost += other.lost;
        self.zombies += other.zombies;
    }
}

/// A message between two nodes. One in eight is slow: others overtake it.
#[derive(Clone)]
struct UnderWay {
    from: NodeId,
    to: NodeId,
    message: Message,
    slow: bool,
}

/// A read that missed acknowledged writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    partition: u16,
    writes: Data,
    step: usize,
}

pub(crate) struct World {
    rng: ChaCha8Rng,
    nodes: Vec<Node>,
    /// Who is dead for good: it was declared so, and does not run.
    gone: Vec<bool>,
    under_way: Vec<UnderWay>,
    /// How many messages arrive between two steps, at most: each history has its own pace.
    pace: usize,
    acknowledged: BTreeMap<u16, Data>,
    operations: u64,
    step: usize,
    pub(crate) counts: Counts,
}

fn name(n: usize) -> NodeId {
    NodeId::from_u128(n as u128)
}

fn number(node: NodeId) -> usize {
    usize::from(node.as_bytes()[15])
}

fn member(n: usize) -> Member {
    Member::new(name(n), ["a", "b", "c", "d"][n % 4])
}

impl World {
    /// Some nodes found the cluster, others may join it.
    pub(crate) fn new(seed: u64, mistake: Mistake) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let write = [2, 2, 2, 1, 3][usize::try_from(rng.next_u64() % 5).unwrap()];
        let quorums = Quorums { write, read: 4 - write };
        let pace = 10 + usize::try_from(rng.next_u64() % 30).unwrap();
        let founders = 2 + usize::try_from(rng.next_u64() % 3).unwrap();
        let shape = Shape { partitions: PARTITIONS, replicas: 3, write_quorum: u8::try_from(write).unwrap() };
        let layout = Layout::found((0..founders).map(member).collect(), shape).unwrap();
        let nodes = (0..NODES).map(|n| {
            let knows = if n < founders { layout.clone() } else { Layout::default() };
            Node::new(name(n), knows, quorums, mistake)
        });
        Self {
            rng,
            nodes: nodes.collect(),
            gone: vec![false; NODES],
            under_way: Vec::new(),
            pace,
            acknowledged: BTreeMap::new(),
            operations: 0,
            step: 0,
            counts: Counts::default(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % bound.max(1) as u64).unwrap()
    }

    pub(crate) fn run(&mut self, steps: usize) -> Result<(), Missed> {
        for _ in 0..steps {
            self.step += 1;
            let at = self.below(NODES);
            match self.below(100) {
                0..=44 => {
                    for _ in 0..self.below(self.pace) {
                        self.deliver()?;
                    }
                }
                45..=46 => self.lose_or_repeat(),
                47..=58 => self.tell(at),
                59..=66 => self.begin(at),
                67..=73 => self.give_up(at),
                74..=83 if self.nodes[at].up => self.nodes[at].acknowledge(),
                84..=88 => self.copy(at),
                89..=93 => self.advance(at),
                94..=95 => self.propose(at),
                96 if self.below(2) == 0 => self.declare_dead(at),
                97 => self.crash_or_restart(at),
                98..=99 if self.nodes[at].up => self.counts.dropped += self.nodes[at].drop_data(),
                _ => {}
            }
        }
        Ok(())
    }

    /// From now on nothing is lost and everybody runs who is not declared dead: the change in progress ends, and every
    /// acknowledged write is read, by everybody.
    pub(crate) fn settle(&mut self) -> Result<(), Missed> {
        self.heal();
        for _ in 0..60 {
            for at in 0..NODES {
                if self.nodes[at].up {
                    self.nodes[at].operations.clear();
                    self.nodes[at].acknowledge();
                    self.copy(at);
                    self.advance(at);
                }
                (0..NODES).for_each(|to| self.send_layout(at, to));
                self.deliver_all()?;
            }
            self.remove_the_dead();
        }
        // Whoever left, or was declared dead, may never hear how it ended.
        let newest = self.living().max_by_key(|node| node.view.version()).unwrap().view.clone();
        let layout = newest.layout();
        assert_eq!(newest.phase(), Phase::Stable, "the change hangs: {:?}", newest.progress());
        for member in layout.members().filter(|member| !layout.is_fenced(member.node)) {
            assert_eq!(self.nodes[number(member.node)].view.version(), newest.version());
        }
        self.read_all()
    }

    /// All partitions are read by all members.
    pub(crate) fn read_all(&mut self) -> Result<(), Missed> {
        self.heal();
        for at in 0..NODES {
            for partition in 0..PARTITIONS {
                self.operate(at, partition, false);
                self.deliver_all()?;
            }
        }
        Ok(())
    }

    fn heal(&mut self) {
        for at in 0..NODES {
            if !self.nodes[at].up && !self.gone[at] {
                self.nodes[at].restart();
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.serves())
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        let slow = self.below(8) == 0;
        self.under_way.push(UnderWay { from, to, message, slow });
    }

    fn deliver_all(&mut self) -> Result<(), Missed> {
        while !self.under_way.is_empty() {
            self.deliver()?;
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), Missed> {
        if self.under_way.is_empty() {
            return Ok(());
        }
        let at = self.below(self.under_way.len());
        if self.under_way[at].slow && self.below(6) > 0 {
            return Ok(());
        }
        let UnderWay { from, to, message, .. } = self.under_way.swap_remove(at);
        let node = &mut self.nodes[number(to)];
        if !node.up {
            return Ok(());
        }
        let Ok((answer, done)) = node.take(from, message) else {
            self.counts.refused += 1;
            return Ok(());
        };
        if let Some(answer) = answer {
            self.send(to, from, answer);
        }
        done.map_or(Ok(()), |(operation, done)| self.done(operation, &done))
    }

    fn done(&mut self, operation: u64, done: &Operation) -> Result<(), Missed> {
        let partition = done.partition;
        if done.is_write {
            self.counts.writes += 1;
            self.acknowledged.entry(partition).or_default().insert(operation);
            return Ok(());
        }
        self.counts.reads += 1;
        let writes: Data = done.must_find.difference(&done.found).copied().collect();
        if writes.is_empty() { Ok(()) } else { Err(Missed { partition, writes, step: self.step }) }
    }

    fn lose_or_repeat(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let at = self.below(self.under_way.len());
        if self.below(2) == 0 {
            self.under_way.swap_remove(at);
        } else {
            self.under_way.push(self.under_way[at].clone());
        }
    }

    fn tell(&mut self, at: usize) {
        for to in 0..NODES {
            if self.below(2) == 0 {
                self.send_layout(at, to);
            }
        }
    }

    fn send_layout(&mut self, at: usize, to: usize) {
        if self.nodes[at].up && at != to && self.nodes[at].view.version() > 0 {
            let layout = self.nodes[at].view.layout().clone();
            self.send(name(at), name(to), Message::Layout(layout));
        }
    }

    fn begin(&mut self, at: usize) {
        let partition = u16::try_from(self.below(usize::from(PARTITIONS))).unwrap();
        let is_write = self.below(2) == 0;
        self.operate(at, partition, is_write);
    }

    fn operate(&mut self, at: usize, partition: u16, is_write: bool) {
        if !self.nodes[at].serves() {
            return;
        }
        self.operations += 1;
        let operation = self.operations;
        let must_find = self.acknowledged.get(&partition).cloned().unwrap_or_default();
        let version = self.nodes[at].view.version();
        for to in self.nodes[at].begin(operation, partition, is_write, must_find) {
            let message = if is_write {
                Message::Write { operation, version, partition }
            } else {
                Message::Read { operation, version, partition }
            };
            self.send(name(at), to, message);
        }
    }

    fn give_up(&mut self, at: usize) {
        self.nodes[at].operations.pop_first();
    }

    fn copy(&mut self, at: usize) {
        if self.nodes[at].up {
            let asked = self.nodes[at].copy();
            for (to, message) in asked {
                self.send(name(at), to, message);
            }
            self.nodes[at].report();
        }
    }

    fn advance(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let before = node.view.layout().members().len();
        let was = node.view.phase();
        if node.up && node.advance() && node.view.phase() == Phase::Stable {
            let given_up = was == Phase::Writing;
            self.counts.given_up += u64::from(given_up);
            self.counts.finished += u64::from(!given_up);
            assert!(!given_up || node.view.layout().members().len() == before);
        }
    }

    fn propose(&mut self, at: usize) {
        let (one, other) = (self.below(NODES), self.below(NODES));
        let members = self.nodes[at].view.layout().members().len();
        let dead: Vec<NodeId> = {
            let layout = self.nodes[at].view.layout();
            layout.members().map(|member| member.node).filter(|node| layout.is_fenced(*node)).collect()
        };
        let change = match (dead.first(), self.below(4)) {
            (Some(dead), 0 | 1) => Change::Replace { dead: *dead, by: member(one) },
            (Some(_), _) => Change::Remove { dead },
            (None, 0) if members > 1 => Change::Leave([name(one)].into()),
            (None, 1) => {
                Change::Reshape([member(one).weighing(1 + u16::try_from(other % 3).unwrap())].into())
            }
            (None, _) => Change::Join([member(one)].into()),
        };
        if self.nodes[at].up && !self.gone[one] && self.nodes[at].view.propose(&change).is_ok() {
            // A proposal at the same time, somewhere else.
            let rival = Change::Join([member(other)].into());
            let by = self.below(NODES);
            let serves =
                self.nodes[by].serves() && self.nodes[by].view.version() + 1 == self.nodes[at].view.version();
            if serves && self.below(2) == 0 && self.nodes[by].view.propose(&rival).is_ok() {
                self.counts.lost += 1;
            }
        }
    }

    /// At most one dead node is on any ring at a time, since a write quorum of two bears no more. Half of those that
    /// are declared dead are not: they go on, and what they do must do no harm. But what reads or writes by itself
    /// alone cannot be stopped by others.
    fn declare_dead(&mut self, at: usize) {
        let quorums = self.nodes[at].quorums;
        let mut rings = self.nodes.iter().filter(|node| node.serves());
        let all: Vec<NodeId> = self.nodes.iter().flat_map(|node| node.view.layout().fenced()).collect();
        let on_ring = rings.any(|node| {
            let layout = node.view.layout();
            let next = layout.next_members().into_iter().flatten();
            layout.members().chain(next).any(|member| all.contains(&member.node))
        });
        let dead = self.below(NODES);
        if on_ring || quorums.write < 2 || !self.nodes[at].serves() || self.gone[at] {
            return;
        }
        if self.nodes[at].view.declare_dead(&[name(dead)]).is_ok() {
            if quorums.read < 2 || self.below(2) == 0 {
                self.nodes[dead].up = false;
                self.gone[dead] = true;
            } else {
                self.counts.zombies += 1;
            }
        }
    }

    /// In the end an operator takes the dead out.
    fn remove_the_dead(&mut self) {
        for node in &mut self.nodes {
            let layout = node.view.layout();
            let dead: Vec<NodeId> =
                layout.members().map(|member| member.node).filter(|node| layout.is_fenced(*node)).collect();
            if !dead.is_empty() && node.serves() && node.view.propose(&Change::Remove { dead }).is_ok() {
                return;
            }
        }
    }

    /// One that is down comes back before the next goes down.
    fn crash_or_restart(&mut self, at: usize) {
        let down = (0..NODES).find(|node| !self.nodes[*node].up && !self.gone[*node]);
        match down {
            Some(down) => self.nodes[down].restart(),
            None if self.below(3) == 0 => self.nodes[at].up = false,
            None => {}
        }
    }
}
