//! `merkle-search-tree` 0.8. It has no protocol: each side sends the ranges and digests of all its pages, the other one
//! fetches what lies in the ranges that `diff` answers. That may have to be repeated until the roots agree.

use merkle_search_tree::MerkleSearchTree;
use merkle_search_tree::diff::{PageRange, diff};
use merkle_search_tree::digest::PageDigest;

use super::cpu::Stopwatch;
use super::listing::{Listing, read, read_entry, read_positions, write_entry, write_positions};
use super::{Candidate, Entry, Found, Key, Updating};

/// A tree, and the items.
#[derive(Clone)]
pub struct SearchTree {
    tree: MerkleSearchTree<Key, u64>,
    items: Listing,
}

const ROOT: usize = 16;

impl Candidate for SearchTree {
    const NAME: &'static str = "merkle-search-tree";
    type Summary = MerkleSearchTree<Key, u64>;

    fn summary(entries: &[Entry]) -> MerkleSearchTree<Key, u64> {
        let mut tree = MerkleSearchTree::default();
        for entry in entries {
            tree.upsert(entry.key, &entry.version);
        }
        tree.root_hash();
        tree
    }

    fn load(entries: &[Entry]) -> Self {
        Self { tree: Self::summary(entries), items: Listing::new(entries) }
    }

    fn reconcile(left: &mut Self, right: &mut Self, watch: &mut Stopwatch) -> Found {
        let mut found = Found::default();
        if let Some([to_left, to_right]) = exchange(left, right, &mut found) {
            // What one exchange leaves over, the next one finds between trees that took over what the first one found.
            let mut sides = watch.paused(|| [left.with(&to_left), right.with(&to_right)]);
            let [left, right] = &mut sides;
            while let Some([to_left, to_right]) = exchange(left, right, &mut found) {
                watch.paused(|| (left.take_over(&to_left), right.take_over(&to_right)));
            }
            watch.paused(|| drop(sides));
        }
        for keys in &mut found.sends {
            keys.sort_unstable();
            keys.dedup();
        }
        found
    }
}

/// Lets either side fetch what it lacks, as far as one comparison of pages tells. Returns the items that each of them
/// got, or `None` if the roots agree.
fn exchange(left: &SearchTree, right: &SearchTree, found: &mut Found) -> Option<[Vec<Entry>; 2]> {
    found.turn(ROOT);
    if left.tree.root_hash_cached() == right.tree.root_hash_cached() {
        found.turn(ROOT);
        return None;
    }
    let right_pages = right.pages();
    found.turn(right_pages.len());
    let (left_asks, left_pages) = (left.ask(&right_pages), left.pages());
    found.turn(left_asks.len() + left_pages.len());
    let (right_list, right_asks) = (right.list(&left_asks), right.ask(&left_pages));
    found.turn(right_list.len() + right_asks.len());
    let (left_list, left_wants) = (left.list(&right_asks), left.compare(&right_list));
    found.turn(left_list.len() + left_wants.positions.len());
    let right_wants = right.compare(&left_list);
    found.turn(right_wants.positions.len());

    found.sends[0].extend(named(&left_list, &right_wants.positions));
    found.sends[0].extend(left_wants.differs);
    found.sends[1].extend(named(&right_list, &left_wants.positions));
    found.sends[1].extend(right_wants.differs);
    Some([left_wants.items, right_wants.items])
}

/// What one side makes of a list of the other's items.
struct Wants {
    /// Where in the list the items are that it wants, as a frame.
    positions: Vec<u8>,
    items: Vec<Entry>,
    /// The keys among them that it holds itself, in another version.
    differs: Vec<Key>,
}

impl SearchTree {
    fn pages(&self) -> Vec<u8> {
        let pages = self.tree.serialise_page_ranges().expect("the root was asked for after the last write");
        pages
            .iter()
            .flat_map(|page| [page.start(), page.end(), page.hash().as_bytes()])
            .flatten()
            .copied()
            .collect()
    }

    /// The ranges that `diff` wants fetched, given the pages of the other side.
    fn ask(&self, mut pages: &[u8]) -> Vec<u8> {
        let mut theirs: Vec<[[u8; 16]; 3]> = Vec::new();
        while !pages.is_empty() {
            theirs.push([read(&mut pages), read(&mut pages), read(&mut pages)]);
        }
        let theirs =
            theirs.iter().map(|[start, end, hash]| PageRange::new(start, end, PageDigest::new(*hash)));
        let ours = self.tree.serialise_page_ranges().expect("the root was asked for after the last write");
        diff(ours, theirs).iter().flat_map(|range| [range.start(), range.end()]).flatten().copied().collect()
    }

    /// This side's items in the ranges.
    fn list(&self, mut ranges: &[u8]) -> Vec<u8> {
        let mut list = Vec::new();
        while !ranges.is_empty() {
            let range = read(&mut ranges)..=read(&mut ranges);
            self.items.list(range).for_each(|item| write_entry(&mut list, item));
        }
        list
    }

    fn compare(&self, mut list: &[u8]) -> Wants {
        let mut positions = Vec::new();
        let (mut items, mut differs) = (Vec::new(), Vec::new());
        for position in 0.. {
            if list.is_empty() {
                break;
            }
            let their = read_entry(&mut list);
            let our = self.items.get(&their.key);
            if our == Some(&their.version) {
                continue;
            }
            positions.push(position);
            items.push(their);
            differs.extend(our.map(|_| their.key));
        }
        Wants { positions: write_positions(&positions), items, differs }
    }

    fn with(&self, news: &[Entry]) -> Self {
        let mut side = self.clone();
        side.take_over(news);
        side
    }

    /// Keeps the higher version of each.
    fn take_over(&mut self, news: &[Entry]) {
        for item in news {
            let version = self.items.entry(item.key).or_default();
            *version = item.version.max(*version);
            self.tree.upsert(item.key, version);
        }
        self.tree.root_hash();
    }
}

/// The keys at some positions of a list.
fn named(mut list: &[u8], positions: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while !list.is_empty() {
        keys.push(read_entry(&mut list).key);
    }
    read_positions(positions).iter().map(|position| keys[*position as usize]).collect()
}

impl Updating for SearchTree {
    fn upsert(&mut self, to: Entry, _: u64) {
        self.tree.upsert(to.key, &to.version);
    }

    fn prepare(&mut self) {
        self.tree.root_hash();
    }
}
