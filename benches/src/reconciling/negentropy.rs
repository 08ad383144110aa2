//! `negentropy` 0.5, over the sorted vector that comes with it.
//!
//! Ids have 32 bytes there: key, version and zeros. Timestamps, which it sorts by first, are all 0. Only the initiator
//! learns the difference; it tells the ids that it needs in one more frame.

use negentropy::{Id, Negentropy, NegentropyStorageBase, NegentropyStorageVector};

use super::cpu::Stopwatch;
use super::{Candidate, Entry, Found, Key, Updating};

/// The sorted ids.
pub struct RangeBased(NegentropyStorageVector);

const NO_FRAME_LIMIT: u64 = 0;

impl Candidate for RangeBased {
    const NAME: &'static str = "negentropy";
    type Summary = NegentropyStorageVector;

    fn summary(entries: &[Entry]) -> NegentropyStorageVector {
        let mut ids = NegentropyStorageVector::with_capacity(entries.len());
        for entry in entries {
            ids.insert(0, id_of(*entry)).expect("not sealed yet");
        }
        ids.seal().expect("not sealed yet");
        ids
    }

    fn load(entries: &[Entry]) -> Self {
        Self(Self::summary(entries))
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut found = Found::default();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let mut here = Negentropy::borrowed(&left.0, NO_FRAME_LIMIT).expect("a limit");
        let mut there = Negentropy::borrowed(&right.0, NO_FRAME_LIMIT).expect("a limit");
        let mut question = Some(here.initiate().expect("a first frame"));
        while let Some(frame) = question {
            found.turn(frame.len());
            let answer = there.reconcile(&frame).expect("readable");
            found.turn(answer.len());
            question = here.reconcile_with_ids(&answer, &mut have, &mut need).expect("readable");
        }
        if !need.is_empty() {
            found.turn(need.len() * size_of::<Id>());
        }
        found.sends = [have, need].map(|ids| ids.iter().map(key_of).collect());
        found
    }
}

impl Updating for RangeBased {
    /// It cannot take an id away, so this is the price of the new one alone.
    fn upsert(&mut self, to: Entry, _: u64) {
        self.0.unseal().expect("nothing forbids it");
        self.0.insert(0, id_of(to)).expect("not sealed");
    }

    fn prepare(&mut self) {
        if self.0.size().is_err() {
            self.0.seal().expect("not sealed");
        }
    }
}

fn id_of(entry: Entry) -> Id {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&entry.key);
    bytes[16..24].copy_from_slice(&entry.version.to_le_bytes());
    Id::from_byte_array(bytes)
}

fn key_of(id: &Id) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&id.as_bytes()[..16]);
    key
}
