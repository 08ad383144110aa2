//! A data set with its tree, and a wire between two sessions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::merkle::{
    BucketTree, Difference, Item, ItemSketch, ItemSource, KeyHash, Limits, Outcome, Prefix, ProtocolError,
    Session, TreeKey, TreeSnapshot,
};
use crate::sketch::Cell;

pub(crate) const KEY: TreeKey = TreeKey::new([7; 16]);

/// Keys and versions, ordered by key hash, and the tree over them. The handle of an item is its key.
pub(crate) struct Replica {
    pub(crate) tree: BucketTree,
    pub(crate) rows: BTreeMap<KeyHash, (u64, u128)>,
    /// The cells of a sketch that is kept up, if one is.
    pub(crate) kept: Option<Vec<Cell>>,
}

impl Replica {
    /// With a kept sketch of the rows as they are now.
    pub(crate) fn with_sketch(mut self, cells: usize) -> Self {
        let mut sketch = ItemSketch::new(&KEY, cells).unwrap();
        self.rows.iter().for_each(|(key_hash, (_, version))| sketch.note(*key_hash, None, Some(*version)));
        self.kept = Some(sketch.cells().to_vec());
        self
    }

    pub(crate) fn new(leaf_bits: u8) -> Self {
        Self { tree: BucketTree::new(&KEY, leaf_bits).unwrap(), rows: BTreeMap::new(), kept: None }
    }

    pub(crate) fn of(leaf_bits: u8, rows: impl IntoIterator<Item = (u64, u128)>) -> Self {
        let mut replica = Self::new(leaf_bits);
        for (key, version) in rows {
            replica.put(key, version);
        }
        replica
    }

    pub(crate) fn put(&mut self, key: u64, version: u128) {
        let hash = self.hash(key);
        match self.rows.insert(hash, (key, version)) {
            Some((_, old)) => self.tree.replace(hash, old, version).unwrap(),
            None => self.tree.insert(hash, version).unwrap(),
        }
    }

    pub(crate) fn remove(&mut self, key: u64) {
        let hash = self.hash(key);
        if let Some((_, version)) = self.rows.remove(&hash) {
            self.tree.remove(hash, version).unwrap();
        }
    }

    /// All arrays of the tree.
    pub(crate) fn levels(&mut self) -> TreeSnapshot {
        self.tree.snapshot()
    }

    pub(crate) fn hash(&self, key: u64) -> KeyHash {
        self.tree.key_hash(&key.to_le_bytes())
    }

    pub(crate) fn items(&self) -> BTreeSet<(u64, u128)> {
        self.rows.values().copied().collect()
    }

    /// What a session must find, by comparing the sets themselves.
    pub(crate) fn missing_at(&self, other: &Self) -> Vec<u64> {
        self.items().difference(&other.items()).map(|(key, _)| *key).collect()
    }

    /// Does what a session asks for: takes over what the peer sends. Higher versions win.
    pub(crate) fn repair_from(&mut self, other: &Self, keys: &[u64]) {
        for key in keys {
            let (_, version) = other.rows[&other.hash(*key)];
            let newer = self.rows.get(&self.hash(*key)).is_none_or(|(_, own)| *own < version);
            if newer {
                self.put(*key, version);
            }
        }
    }
}

impl ItemSource for Replica {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        for (&key_hash, &(handle, version)) in self.rows.range(part.start()..=part.end()) {
            f(Item { handle, key_hash, version });
        }
    }

    fn sketch(&self) -> Option<&[Cell]> {
        self.kept.as_deref()
    }
}

/// Two sessions and every frame that passed between them.
pub(crate) struct Run {
    pub(crate) initiator: Session,
    pub(crate) acceptor: Session,
    pub(crate) frames: Vec<(bool, Vec<u8>)>,
    /// The items of both sides, for one whose peer holds nothing.
    pub(crate) all: [Vec<u64>; 2],
}

impl Run {
    pub(crate) fn start(a: &mut Replica, b: &mut Replica, limits: (Limits, Limits)) -> Self {
        Self::start_with(a, b, limits, 0)
    }

    /// `number` makes the nonces: sessions with different numbers are salted differently.
    pub(crate) fn start_with(
        a: &mut Replica,
        b: &mut Replica,
        limits: (Limits, Limits),
        number: u128,
    ) -> Self {
        let [for_a, for_b] = [2 * number, 2 * number + 1].map(u128::to_le_bytes);
        Self {
            initiator: Session::initiate(a.tree.snapshot(), for_a, limits.0),
            acceptor: Session::accept(b.tree.snapshot(), for_b, limits.1),
            frames: Vec::new(),
            all: Default::default(),
        }
    }

    /// Carries frames until both sides are silent.
    pub(crate) fn finish(mut self, a: &Replica, b: &Replica) -> Result<Self, ProtocolError> {
        while self.step(a, b)? {}
        Ok(self)
    }

    /// Carries one frame.
    pub(crate) fn step(&mut self, a: &Replica, b: &Replica) -> Result<bool, ProtocolError> {
        if let Some(frame) = self.initiator.poll_frame() {
            self.frames.push((true, frame.clone()));
            self.acceptor.handle(&frame, b)?;
        } else if let Some(frame) = self.acceptor.poll_frame() {
            self.frames.push((false, frame.clone()));
            self.initiator.handle(&frame, a)?;
        } else {
            for (all, (session, items)) in
                self.all.iter_mut().zip([(&self.initiator, a), (&self.acceptor, b)])
            {
                if session.outcome() == Some(&Outcome::SendAll) {
                    all.clear();
                    session.for_each_in(Prefix::ALL, items, &mut |item| all.push(item.handle));
                    all.sort_unstable();
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.frames.iter().map(|(_, frame)| frame.len()).sum()
    }

    /// Runs of frames in one direction: what a round trip is made of.
    pub(crate) fn messages(&self) -> usize {
        self.frames.chunk_by(|a, b| a.0 == b.0).count()
    }

    pub(crate) fn differences(&self) -> (Difference, Difference) {
        let [of_initiator, of_acceptor] = &self.all;
        (difference(&self.initiator, of_initiator), difference(&self.acceptor, of_acceptor))
    }
}

fn difference(session: &Session, all: &[u64]) -> Difference {
    match session.outcome() {
        Some(Outcome::SendAll) => Difference { send: all.to_vec(), ..Difference::default() },
        Some(Outcome::Differs(difference)) => difference.clone(),
        Some(Outcome::Converged) => Difference::default(),
        None => panic!("no outcome"),
    }
}

/// A session with default limits, carried to its end.
pub(crate) fn run(a: &mut Replica, b: &mut Replica) -> Run {
    run_with(a, b, (Limits::default(), Limits::default()))
}

pub(crate) fn run_with(a: &mut Replica, b: &mut Replica, limits: (Limits, Limits)) -> Run {
    Run::start(a, b, limits).finish(a, b).unwrap()
}
