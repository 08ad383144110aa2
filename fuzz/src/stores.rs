//! Three stores of one document, and a model that knows who has which versions.

use std::collections::{BTreeMap, BTreeSet};

use conflict_store::{Document, Store, Strategy, VersionId};

const KEY: &[u8] = b"title";
const STORES: usize = 3;

/// However versions are written, deleted, resolved, sent, repeated, lost and reordered, each store has the leaves, the
/// winner and the conflicts that follow from the versions it was told of; told of all, they are equal byte for byte.
pub fn stores_say_what_follows_from_the_versions_they_know(bytes: &[u8]) {
    let mut world = World::default();
    for step in bytes.chunks_exact(3).take(200) {
        let &[what, who, which] = step else { return };
        world.step(what, usize::from(who), usize::from(which));
        world.check();
    }
    for from in 0..STORES {
        for to in 0..STORES {
            let document = world.document(from);
            world.tell(to, document);
        }
    }
    for from in (0..STORES).rev() {
        let document = world.document(from);
        world.tell(0, document);
    }
    let all = world.document(0);
    for to in 0..STORES {
        world.tell(to, all.clone());
        assert_eq!(
            world.document(to).encode_for_key(KEY),
            all.encode_for_key(KEY),
            "told the same, they are the same"
        );
    }
    world.check();
}

struct World {
    stores: [Store<Vec<u8>>; STORES],
    known: [BTreeSet<VersionId>; STORES],
    /// Every version ever written: what it superseded, and whether it deletes.
    written: BTreeMap<VersionId, (Vec<VersionId>, bool)>,
    deltas: Vec<Document<Vec<u8>>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            stores: core::array::from_fn(|_| Store::in_memory(Strategy::KeepAll)),
            known: Default::default(),
            written: BTreeMap::new(),
            deltas: Vec::new(),
        }
    }
}

impl World {
    fn step(&mut self, what: u8, who: usize, which: usize) {
        let at = who % STORES;
        let body = vec![b'a' + (which % 7) as u8];
        let store = &mut self.stores[at];
        let reading = store.get(KEY).expect("memory does not fail");
        let written = match what % 6 {
            0 => store.put(KEY, reading.version.as_ref(), body, None),
            1 => match reading.version {
                Some(version) => store.delete(KEY, &version, None),
                None => return,
            },
            2 => store.resolve(KEY, &reading.seen, Some(body), None),
            3 => {
                let document = self.document(which % STORES);
                return self.tell(at, document);
            }
            _ => {
                if let Some(delta) = self.deltas.get(which % self.deltas.len().max(1)).cloned() {
                    self.tell(at, delta);
                }
                return;
            }
        };
        // Refused is what was not seen; then nothing was written.
        if let Ok((id, delta)) = written {
            for version in delta.versions() {
                self.written.insert(*version.id(), (version.parents().to_vec(), version.is_deleted()));
            }
            assert!(self.written.contains_key(&id), "a version is new, or was written before");
            self.known[at].insert(id);
            self.deltas.push(delta);
        }
    }

    fn tell(&mut self, to: usize, document: Document<Vec<u8>>) {
        self.known[to].extend(document.versions().map(|version| *version.id()));
        let _ = self.stores[to].merge(KEY, document).expect("what a store wrote is sound");
    }

    fn document(&self, at: usize) -> Document<Vec<u8>> {
        let document = self.stores[at].document(KEY).expect("memory does not fail");
        document.map(|document| document.into_owned()).unwrap_or_default()
    }

    fn check(&self) {
        for (at, known) in self.known.iter().enumerate() {
            let superseded: BTreeSet<&VersionId> = known.iter().flat_map(|id| &self.written[id].0).collect();
            let leaves: Vec<VersionId> =
                known.iter().filter(|id| !superseded.contains(id)).copied().collect();
            let document = self.document(at);
            let found: Vec<VersionId> = document.leaves().iter().map(|leaf| *leaf.id()).collect();
            assert_eq!(found, leaves, "what nobody has written on");
            let is_live = |id: &VersionId| !self.written[id].1;
            let winner = leaves.iter().max_by_key(|id| (is_live(id), **id));
            assert_eq!(document.winner().map(|version| version.id()), winner);
            let conflicts: Vec<VersionId> =
                leaves.iter().filter(|id| is_live(id) && Some(*id) != winner).copied().collect();
            let found: Vec<VersionId> = document.conflicts().map(|version| *version.id()).collect();
            assert_eq!(found, conflicts);
        }
    }
}
