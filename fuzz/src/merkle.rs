//! A tree comparison with a member of the cluster that does not keep to the protocol.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crdt_sync::merkle::{
    BucketTree, Difference, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, Session, TreeKey,
    TreeSnapshot,
};
use siphasher::sip128::SipHasher24;

use crate::tamper::Tampering;

const CLUSTER_KEY: [u8; 16] = [7; 16];
const CHECK: usize = 4;

/// Whatever a peer says, also under valid checks because it holds the cluster key, a session ends; it names only items
/// that there are, each once. With a peer that changes nothing it finds the difference: so the checks made here are
/// genuine ones.
pub fn a_session_ends_whatever_the_peer_says(bytes: &[u8]) {
    let Some((how, edits)) = bytes.split_first() else {
        return;
    };
    let (hostile, knows_the_key) = (usize::from(how & 1), how & 2 == 0);
    let (by_sketch, mut asks_again) = (how & 4 != 0, how & 8 != 0);
    let tampering = Tampering::new(edits);
    let [here, there] = if by_sketch { &*SKETCHED } else { &*REPLICAS };
    let limits = Limits { max_sketch_cells: if by_sketch { 300 } else { 0 }, ..small() };
    let mut sides = [
        Side::new(here, Session::initiate(here.tree.clone(), [1; 16], limits)),
        Side::new(there, Session::accept(there.tree.clone(), [2; 16], limits)),
    ];
    let mut number = 0;
    loop {
        let Some((from, mut frame)) = poll(&mut sides) else {
            // A timer rings once on both sides.
            if core::mem::take(&mut asks_again) {
                sides.iter_mut().for_each(|side| side.session.resend());
                continue;
            }
            break;
        };
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
        let _ = receiver.session.handle(&frame, receiver.replica);
    }
    for (side, other) in [(&sides[0], there), (&sides[1], here)] {
        match side.session.outcome() {
            Some(Outcome::Differs(difference)) => side.assert_names_own_items(difference),
            Some(Outcome::Converged | Outcome::SendAll) => {}
            None => assert!(side.session.error().is_some() || !tampering.is_none()),
        }
        if tampering.is_none() {
            let expected = side.replica.missing_at(other);
            let found = side.session.outcome();
            assert!(matches!(found, Some(Outcome::Differs(found)) if found.send == expected));
        }
    }
}

/// The tree of a data set and the data, by key hash; the handle of an item is its key.
struct Replica {
    tree: TreeSnapshot,
    rows: BTreeMap<KeyHash, Item>,
}

/// Two data sets whose comparison has every kind of frame, and lists that go on from frame to frame.
static REPLICAS: LazyLock<[Replica; 2]> = LazyLock::new(|| {
    [Replica::of(0..150), Replica::of((0..150).map(|key| if key < 20 { key + 1_000 } else { key }))]
});

/// Two data sets of which few enough items differ for a sketch.
static SKETCHED: LazyLock<[Replica; 2]> = LazyLock::new(|| [Replica::of(0..600), Replica::of(6..606)]);

/// Such that a turn takes several frames.
fn small() -> Limits {
    Limits { max_frame: Limits::MIN_FRAME, max_session_bytes: 1 << 16, ..Limits::default() }
}

impl Replica {
    fn of(keys: impl Iterator<Item = u64>) -> Self {
        let mut tree = BucketTree::new(&TreeKey::new(CLUSTER_KEY), 8).expect("eight leaf bits are allowed");
        let mut rows = BTreeMap::new();
        for handle in keys {
            let key_hash = tree.key_hash(&handle.to_le_bytes());
            tree.insert(key_hash, 1).expect("the tree is not full");
            rows.insert(key_hash, Item { handle, key_hash, version: 1 });
        }
        Self { tree: tree.snapshot(), rows }
    }

    fn missing_at(&self, other: &Self) -> Vec<u64> {
        let missing = self.rows.iter().filter(|(hash, _)| !other.rows.contains_key(hash));
        let mut handles: Vec<u64> = missing.map(|(_, item)| item.handle).collect();
        handles.sort_unstable();
        handles
    }
}

impl ItemSource for Replica {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.rows.range(part.start()..=part.end()).for_each(|(_, item)| f(*item));
    }
}

struct Side<'a> {
    replica: &'a Replica,
    session: Session,
    /// The initiator's and the acceptor's, as this side knows them.
    hellos: [Vec<u8>; 2],
}

impl<'a> Side<'a> {
    fn new(replica: &'a Replica, session: Session) -> Self {
        let hellos = [Vec::new(), Vec::new()];
        Self { replica, session, hellos }
    }

    /// Gives a frame the check that this side expects, as `docs/formats.md` has it.
    fn seal(&self, from: usize, frame: &mut Vec<u8>) {
        frame.truncate(frame.len().saturating_sub(CHECK));
        let check = if is_hello(frame) {
            hash(b"crdt-sync merkle", frame)
        } else {
            let salt = hash(&hash(&CLUSTER_KEY, b"session"), &self.hellos.concat());
            let by: [&[u8]; 2] = [b"initiator frame", b"acceptor frame"];
            hash(&hash(&salt, by[from]), frame)
        };
        frame.extend_from_slice(&check[..CHECK]);
    }

    fn assert_names_own_items(&self, difference: &Difference) {
        let exists = |handle| self.replica.rows.values().any(|item| item.handle == handle);
        assert!(difference.send.iter().copied().all(exists));
        assert!(difference.send.is_sorted_by(|a, b| a < b));
    }
}

/// The next frame of either side, and whose it is.
fn poll(sides: &mut [Side<'_>; 2]) -> Option<(usize, Vec<u8>)> {
    (0..2).find_map(|from| Some((from, sides[from].session.poll_frame()?)))
}

fn is_hello(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(1 | 2))
}

fn hash(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(key).hash(message).as_bytes()
}
