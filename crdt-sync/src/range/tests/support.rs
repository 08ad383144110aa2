//! A data set with its tree, and a wire between two sessions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::merkle::{Difference, Outcome, TreeKey};
use crate::range::{FanOut, KeyRange, Limits, ProtocolError, RangeSession, RangeTree, RefinementPolicy};

pub(super) const KEY: TreeKey = TreeKey::new([7; 16]);

pub(super) type Row = (Vec<u8>, u128);

/// Keys and versions, and the tree over them.
pub(super) struct Replica {
    pub(super) tree: RangeTree,
    pub(super) rows: BTreeMap<Vec<u8>, u128>,
}

impl Replica {
    pub(super) fn new() -> Self {
        Self { tree: RangeTree::new(&KEY), rows: BTreeMap::new() }
    }

    pub(super) fn of<K: Into<Vec<u8>>>(rows: impl IntoIterator<Item = (K, u128)>) -> Self {
        let mut replica = Self::new();
        for (key, version) in rows {
            replica.put(&key.into(), version);
        }
        replica
    }

    pub(super) fn put(&mut self, key: &[u8], version: u128) {
        let old = self.tree.insert(key, version).unwrap();
        assert_eq!(old, self.rows.insert(key.into(), version));
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        assert_eq!(self.tree.remove(key), self.rows.remove(key));
    }

    pub(super) fn rows_in(&self, range: &KeyRange) -> BTreeSet<Row> {
        let rows = self.rows.iter().filter(|(key, _)| range.contains(key));
        rows.map(|(key, version)| (key.clone(), *version)).collect()
    }

    /// What a session over a range must find, by comparing the sets themselves.
    pub(super) fn missing_at(&self, other: &Self, range: &KeyRange) -> Vec<Row> {
        self.rows_in(range).difference(&other.rows_in(range)).cloned().collect()
    }

    /// Takes over what a peer sends. Higher versions win.
    pub(super) fn repair(&mut self, rows: Vec<Row>) {
        for (key, version) in rows {
            if self.rows.get(&key).is_none_or(|own| *own < version) {
                self.put(&key, version);
            }
        }
    }
}

/// Two sessions and every frame that passed between them.
pub(super) struct Run<P = FanOut> {
    pub(super) initiator: RangeSession<P>,
    pub(super) acceptor: RangeSession<P>,
    pub(super) frames: Vec<(bool, Vec<u8>)>,
}

impl Run {
    /// `number` makes the nonces: sessions with different numbers are salted differently.
    pub(super) fn start(
        (a, b): (&Replica, &Replica),
        (asked, shared): (&KeyRange, &KeyRange),
        limits: (Limits, Limits),
        number: u128,
    ) -> Self {
        let [for_a, for_b] = [2 * number, 2 * number + 1].map(u128::to_le_bytes);
        Self {
            initiator: RangeSession::initiate(a.tree.snapshot(), asked.clone(), for_a, limits.0),
            acceptor: RangeSession::accept(b.tree.snapshot(), shared.clone(), for_b, limits.1),
            frames: Vec::new(),
        }
    }

    pub(super) fn with_policies<P: RefinementPolicy>(self, [a, b]: [P; 2]) -> Run<P> {
        let Self { initiator, acceptor, frames } = self;
        Run { initiator: initiator.with_policy(a), acceptor: acceptor.with_policy(b), frames }
    }
}

impl<P: RefinementPolicy> Run<P> {
    /// Carries frames until both sides are silent.
    pub(super) fn finish(mut self) -> Result<Self, ProtocolError> {
        while self.step()? {}
        Ok(self)
    }

    /// Carries one frame.
    pub(super) fn step(&mut self) -> Result<bool, ProtocolError> {
        let Some((from_initiator, frame)) = self.poll() else {
            return Ok(false);
        };
        self.frames.push((from_initiator, frame.clone()));
        self.deliver(from_initiator, &frame)?;
        Ok(true)
    }

    /// The next frame, and whether it is the initiator's.
    pub(super) fn poll(&mut self) -> Option<(bool, Vec<u8>)> {
        let from_initiator = self.initiator.poll_frame().map(|frame| (true, frame));
        from_initiator.or_else(|| self.acceptor.poll_frame().map(|frame| (false, frame)))
    }

    pub(super) fn deliver(&mut self, from_initiator: bool, frame: &[u8]) -> Result<(), ProtocolError> {
        if from_initiator { self.acceptor.handle(frame) } else { self.initiator.handle(frame) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(|(_, frame)| frame.len()).sum()
    }

    /// Runs of frames in one direction: what a round trip is made of.
    pub(super) fn messages(&self) -> usize {
        self.frames.chunk_by(|a, b| a.0 == b.0).count()
    }

    pub(super) fn has_converged(&self) -> bool {
        [&self.initiator, &self.acceptor].iter().all(|side| side.outcome() == Some(&Outcome::Converged))
    }

    pub(super) fn differences(&self) -> (Difference, Difference) {
        (difference(&self.initiator), difference(&self.acceptor))
    }
}

pub(super) fn difference<P>(session: &RangeSession<P>) -> Difference {
    match session.outcome() {
        Some(Outcome::Differs(difference)) => difference.clone(),
        Some(Outcome::Converged) => Difference::default(),
        Some(Outcome::SendAll) => panic!("sessions over ranges name what is to be sent"),
        None => panic!("no outcome"),
    }
}

pub(super) fn to_send<P>(session: &RangeSession<P>) -> Vec<Row> {
    session.items_to_send().map(|(key, version)| (key.into(), version)).collect()
}

/// A session over everything with default limits, carried to its end.
pub(super) fn run(a: &Replica, b: &Replica) -> Run {
    run_over(a, b, &KeyRange::all(), &KeyRange::all())
}

pub(super) fn run_over(a: &Replica, b: &Replica, asked: &KeyRange, shared: &KeyRange) -> Run {
    Run::start((a, b), (asked, shared), Default::default(), 0).finish().unwrap()
}

/// Short keys of few different bytes, so that they meet, share prefixes and are prefixes of others.
pub(super) fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(u8::MAX), b'a'..=b'd'];
    proptest::collection::vec(byte, 0..6)
}

pub(super) fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((key(), 0_u128..3), 0..most)
}

pub(super) fn key_range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        Just(KeyRange::all()),
        key().prop_map(|prefix| KeyRange::prefix(&prefix).unwrap()),
        (key(), key()).prop_map(|(a, b)| { KeyRange::new((&a).min(&b), Some((&a).max(&b))).unwrap() }),
        key().prop_map(|start| KeyRange::new(&start, None).unwrap()),
    ]
}
