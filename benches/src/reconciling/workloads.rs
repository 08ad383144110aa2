//! Two data sets that went apart, and the difference as the simplest code finds it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{Entry, Key};

/// How keys differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Half of them have another version on the right, a quarter is missing on either side.
    Mixed,
    /// All of them are on the right only.
    Added,
    /// All of them have another version on the right.
    Changed,
}

/// Two data sets.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The one that opens the session.
    pub left: Vec<Entry>,
    /// The other one, in the opposite order.
    pub right: Vec<Entry>,
}

impl Mix {
    /// All of them, the usual one first.
    pub const ALL: [Self; 3] = [Self::Mixed, Self::Added, Self::Changed];

    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Added => "added",
            Self::Changed => "changed",
        }
    }

    /// Whether the `index`-th of `differing` keys is on the left and on the right.
    fn presence(self, index: usize, differing: usize) -> (bool, bool) {
        let missing = differing / 4;
        match self {
            Self::Mixed => (index >= missing, !(missing..2 * missing).contains(&index)),
            Self::Added => (false, true),
            Self::Changed => (true, true),
        }
    }
}

impl Workload {
    /// `keys` random keys in all, of which `differing` differ.
    pub fn new(keys: usize, differing: usize, mix: Mix) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(keys as u64);
        let (mut left, mut right) = (Vec::with_capacity(keys), Vec::with_capacity(keys));
        for index in 0..keys {
            let mut key = Key::default();
            random.fill_bytes(&mut key);
            let entry = Entry { key, version: random.next_u64() >> 1 };
            let differs = index < differing;
            let (here, there) = if differs { mix.presence(index, differing) } else { (true, true) };
            if here {
                left.push(entry);
            }
            if there {
                right.push(Entry { version: entry.version + u64::from(differs), ..entry });
            }
        }
        right.reverse();
        Self { left, right }
    }

    /// The keys of the items that each side has to send, ascending: those that the other side does not hold in the same
    /// version.
    pub fn differences(&self) -> [Vec<Key>; 2] {
        let [left, right] = [&self.left, &self.right].map(|side| versions(side));
        let missing = |ours: &BTreeMap<Key, u64>, theirs: &BTreeMap<Key, u64>| {
            let differing = ours.iter().filter(|(key, version)| theirs.get(*key) != Some(*version));
            differing.map(|(key, _)| *key).collect()
        };
        [missing(&left, &right), missing(&right, &left)]
    }
}

fn versions(side: &[Entry]) -> BTreeMap<Key, u64> {
    side.iter().map(|entry| (entry.key, entry.version)).collect()
}
