//! What two versions were both written on.

use alloc::collections::BTreeMap;

use smallvec::SmallVec;

use crate::revision::{RevisionTree, Version, VersionId};

/// The newest versions that two versions were both written on.
///
/// One as a rule. None where both are first versions; several where earlier conflicts were resolved
/// in more than one way, and both stand on several of the versions resolved.
pub(super) struct Bases<'a, V> {
    pub(super) versions: SmallVec<[&'a Version<V>; 1]>,
    /// Whether all versions above the bases are known, and the bases themselves.
    pub(super) is_history_complete: bool,
}

/// The bases of `left` and `right`. Visits the versions above the bases, and between them, once.
///
/// The walk is the one of `git merge-base --all`: from the highest id down, each version with what
/// reaches it, until nothing is ahead but what lies below a base.
pub(super) fn bases<'a, V>(tree: &'a RevisionTree<V>, left: &VersionId, right: &VersionId) -> Bases<'a, V> {
    let mut ahead = Ahead::default();
    ahead.reach(*left, LEFT);
    ahead.reach(*right, RIGHT);
    let mut bases = Bases { versions: SmallVec::new(), is_history_complete: true };
    while let Some((id, reached)) = ahead.next() {
        let is_base = reached == LEFT | RIGHT;
        match tree.get(&id) {
            Some(version) => {
                if is_base {
                    bases.versions.push(version);
                }
                let reached = if is_base { LEFT | RIGHT | BELOW } else { reached };
                // A parent above its child exists only under a hostile version of the very last
                // generation. Followed, it could lead on for ever.
                for parent in version.parents().iter().filter(|parent| **parent < id) {
                    ahead.reach(*parent, reached);
                }
            }
            None if reached & BELOW == 0 => bases.is_history_complete = false,
            None => {}
        }
    }
    bases
}

const LEFT: u8 = 1 << 0;
const RIGHT: u8 = 1 << 1;
/// Below a base: common to both, and nothing new.
const BELOW: u8 = 1 << 2;

/// The versions to visit, and what reaches them.
#[derive(Default)]
struct Ahead {
    versions: BTreeMap<VersionId, u8>,
    /// How many of them are not below a base.
    open: usize,
}

impl Ahead {
    fn reach(&mut self, id: VersionId, by: u8) {
        let known = self.versions.get(&id).copied();
        let reached = known.unwrap_or(0) | by;
        self.versions.insert(id, reached);
        self.open += usize::from(reached & BELOW == 0);
        self.open -= usize::from(known.is_some_and(|known| known & BELOW == 0));
    }

    fn next(&mut self) -> Option<(VersionId, u8)> {
        if self.open == 0 {
            return None;
        }
        let (id, reached) = self.versions.pop_last()?;
        self.open -= usize::from(reached & BELOW == 0);
        Some((id, reached))
    }
}
