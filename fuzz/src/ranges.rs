//! A comparison of key ranges with a member of the cluster that does not keep to the protocol.

use std::sync::LazyLock;

use crdt_sync::merkle::{Outcome, TreeKey};
use crdt_sync::range::{FanOut, KeyRange, Limits, RangeSession, RangeSnapshot, RangeTree};
use siphasher::sip128::SipHasher24;

use crate::tamper::Tampering;

const CLUSTER_KEY: [u8; 16] = [7; 16];
const CHECK: usize = 4;

/// Whatever a peer says, also under valid checks because it holds the cluster key, a session ends; it names only items
/// of the agreed range, each once, and sends no more than a multiple of what it got. With a peer that changes nothing
/// it finds the difference: so the checks made here are genuine ones.
pub fn a_range_session_ends_whatever_the_peer_says(bytes: &[u8]) {
    let Some((how, edits)) = bytes.split_first() else {
        return;
    };
    let (hostile, knows_the_key) = (usize::from(how & 1), how & 2 == 0);
    let tampering = Tampering::new(edits);
    let mut sides = sides(how & 4 == 0);
    let mut number = 0;
    while let Some((from, mut frame)) = poll(&mut sides) {
        if is_hello(&frame) {
            sides[from].hellos[from].clone_from(&frame);
        }
        if from == hostile {
            tampering.apply(number, &mut frame);
            number += 1;
        }
        let receiver = &mut sides[1 - from];
        if knows_the_key {
            receiver.seal(from, &mut frame);
        }
        if is_hello(&frame) {
            receiver.hellos[from].clone_from(&frame);
        }
        // Refusing is as good as taking.
        let _ = receiver.session.handle(&frame);
    }
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        side.assert_is_sound();
        if tampering.is_none() {
            let range = side.session.range();
            let found: Vec<_> = side.session.items_to_send().collect();
            let mut missing: Vec<_> = side.tree.range(range).collect();
            missing.retain(|(key, version)| other.tree.get(key) != Some(*version));
            assert_eq!(found, missing);
        }
    }
}

/// Two trees whose comparison has every kind of frame and answer, and lists that go on from frame to frame.
static TREES: LazyLock<[RangeSnapshot; 2]> = LazyLock::new(|| {
    let tree = |keys: &mut dyn Iterator<Item = (u32, u128)>| {
        let mut tree = RangeTree::new(&TreeKey::new(CLUSTER_KEY));
        for (key, version) in keys {
            tree.insert(&key.to_be_bytes(), version).expect("the key is short and the tree not full");
        }
        tree.snapshot()
    };
    [
        tree(&mut (0..1_400).map(|key| (key, 1))),
        tree(
            &mut (300..1_500)
                .filter(|key| !(700..1_100).contains(key))
                .map(|key| (key, u128::from(key % 7 == 0))),
        ),
    ]
});

struct Side {
    tree: &'static RangeSnapshot,
    session: RangeSession,
    /// The initiator's and the acceptor's, as this side knows them.
    hellos: [Vec<u8>; 2],
}

/// An initiator and an acceptor, which shares what is asked for or less.
fn sides(is_narrowed: bool) -> [Side; 2] {
    let range = |start: u32, end: u32| {
        KeyRange::new(&start.to_be_bytes(), Some(&end.to_be_bytes())).expect("the bounds are in order")
    };
    let limits = Limits { max_frame: Limits::MIN_FRAME, max_session_bytes: 1 << 16, ..Limits::default() };
    let policy = FanOut { parts: 4, list_up_to: 320 };
    let [here, there] = &*TREES;
    let shared = if is_narrowed { range(200, 2_000) } else { KeyRange::all() };
    [
        (here, RangeSession::initiate(here.clone(), range(0, 1_450), [1; 16], limits)),
        (there, RangeSession::accept(there.clone(), shared, [2; 16], limits)),
    ]
    .map(|(tree, session)| Side {
        tree,
        session: session.with_policy(policy),
        hellos: Default::default(),
    })
}

impl Side {
    /// Gives a frame the check that this side expects, and a hello its proof, as `docs/formats.md` has them.
    fn seal(&self, from: usize, frame: &mut Vec<u8>) {
        frame.truncate(frame.len().saturating_sub(CHECK));
        let check = if is_hello(frame) {
            self.prove(frame);
            hash(b"crdt-sync ranges", frame)
        } else {
            let salt = hash(&hash(&CLUSTER_KEY, b"session"), &self.hellos.concat());
            let by: [&[u8]; 2] = [b"initiator frame", b"acceptor frame"];
            hash(&hash(&salt, by[from]), frame)
        };
        frame.extend_from_slice(&check[..CHECK]);
    }

    fn prove(&self, hello: &mut Vec<u8>) {
        hello.truncate(hello.len().saturating_sub(8));
        let is_welcome = hello.first() == Some(&0x12);
        let answers = if is_welcome { &self.hellos[0][..] } else { &[] };
        let proof = hash(&hash(&CLUSTER_KEY, b"key check"), &[answers, hello].concat());
        hello.extend_from_slice(&proof[..8]);
    }

    fn assert_is_sound(&self) {
        let stats = self.session.stats();
        assert!(stats.bytes_sent <= 64 * stats.bytes_received + Limits::FREE_BYTES);
        let range = self.session.range();
        let found: Vec<_> = self.session.items_to_send().collect();
        assert!(
            found.iter().all(|(key, version)| self.tree.get(key) == Some(*version) && range.contains(key))
        );
        assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        if let Some(Outcome::Differs(difference)) = self.session.outcome() {
            assert_eq!(difference.send.len(), found.len());
        }
    }
}

/// The next frame of either side, and whose it is.
fn poll(sides: &mut [Side; 2]) -> Option<(usize, Vec<u8>)> {
    (0..2).find_map(|from| Some((from, sides[from].session.poll_frame()?)))
}

fn is_hello(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(0x11 | 0x12))
}

fn hash(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(key).hash(message).as_bytes()
}
