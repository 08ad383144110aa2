//! What a session holds while it sends a set does not grow with the set.

use std::cell::Cell;

use allocation_counter::{AllocationInfo, measure};
use crdt_sync::merkle::{
    BucketTree, Item, ItemSource, KeyHash, Limits, Outcome, Prefix, Session, TreeKey, TreeSnapshot,
};

const LEAF_BITS: u8 = 12;
const KIB: i64 = 1 << 10;

/// A set that takes no memory, because its items follow from their numbers, up to `items` of `spread` evenly spread
/// ones.
struct Numbered {
    items: u64,
    spread: u64,
    version: fn(u64) -> u128,
    /// How many of them were read.
    read: Cell<u64>,
}

impl Numbered {
    fn new(items: u64, spread: u64, version: fn(u64) -> u128) -> Self {
        Self { items, spread, version, read: Cell::new(0) }
    }

    fn tree(&self) -> TreeSnapshot {
        let mut tree = empty_tree();
        self.for_each_in(Prefix::ALL, &mut |item| {
            tree.insert(item.key_hash, item.version).expect("few enough items");
        });
        tree.snapshot()
    }
}

impl ItemSource for Numbered {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        let step = u128::MAX / u128::from(self.spread);
        let first = part.start().as_u128().div_ceil(step);
        for handle in u64::try_from(first).unwrap_or(u64::MAX)..self.items {
            let key_hash = KeyHash::from_u128(u128::from(handle) * step);
            if key_hash > part.end() {
                break;
            }
            self.read.set(self.read.get() + 1);
            f(Item { handle, key_hash, version: (self.version)(handle) });
        }
    }
}

fn empty_tree() -> BucketTree {
    BucketTree::new(&TreeKey::new([7; 16]), LEAF_BITS).expect("an allowed size")
}

fn initiate(set: &Numbered) -> Session {
    Session::initiate(set.tree(), [1; 16], Limits::default())
}

fn accept(set: &Numbered) -> Session {
    Session::accept(set.tree(), [2; 16], Limits::default())
}

/// What a side has for its peer now.
fn frames(side: &mut Session) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| side.poll_frame()).collect()
}

fn hear(side: &mut Session, frames: &[Vec<u8>], items: &Numbered) {
    for frame in frames {
        side.handle(frame, items).expect("both sides keep to the protocol");
    }
}

/// A hundred times the items take the same memory, but for a longer number in the hello, and each is read once.
#[test]
fn a_set_goes_to_an_empty_peer_bucket_by_bucket() {
    let peaks = [10_000, 100_000, 1_000_000].map(|items| {
        let (all, nothing) = (Numbered::new(items, items, |_| 1), Numbered::new(0, 1, |_| 1));
        let (mut there, mut here) = (initiate(&nothing), accept(&all));
        let hello = frames(&mut there);
        all.read.set(0);

        let mut sent = 0;
        let memory = measure(|| {
            hear(&mut here, &hello, &all);
            assert_eq!(here.outcome(), Some(&Outcome::SendAll));
            for bucket in Prefix::all_at(LEAF_BITS) {
                here.for_each_in(bucket, &all, &mut |_| sent += 1);
            }
        });
        assert_eq!((sent, all.read.get()), (items, items));
        hear(&mut there, &frames(&mut here), &nothing);
        assert!(matches!(there.outcome(), Some(Outcome::Differs(found)) if found.receive == items));
        memory.bytes_max
    });
    assert!(peaks[1] <= peaks[0] + 1 && peaks[2] <= peaks[0] + 1, "{peaks:?}");
    assert!(peaks[0] < 1_024, "{peaks:?}");
}

/// A set that the side which has less lists as a whole: of its items, the peer has every other one in the same version.
struct ListedWhole {
    few: Numbered,
    many: Numbered,
    here: Session,
    there: Session,
    list: Vec<Vec<u8>>,
    /// What the turn took that made the list.
    memory: AllocationInfo,
}

impl ListedWhole {
    fn new(items: u64) -> Self {
        let few = Numbered::new(items, 3 * items, |_| 1);
        let many = Numbered::new(3 * items, 3 * items, |handle| u128::from(1 + handle % 2));
        let (mut here, mut there) = (initiate(&few), accept(&many));
        loop {
            hear(&mut there, &frames(&mut here), &many);
            let turn = frames(&mut there);
            assert!(!turn.is_empty(), "{}", here.trace());
            let memory = measure(|| hear(&mut here, &turn, &few));
            if here.stats().items_listed > 0 {
                assert_eq!(u64::from(here.stats().items_listed), items, "as a whole: {}", here.trace());
                let list = frames(&mut here);
                return Self { few, many, here, there, list, memory };
            }
        }
    }
}

/// Beside the frames, which are kept until they are answered, the side that lists holds a piece of 65,536 items while
/// it sorts that, and next to nothing afterwards, however many items there are.
#[test]
fn a_list_of_everything_is_made_and_answered_piece_by_piece() {
    for items in [300_000, 600_000] {
        let ListedWhole { few, many, mut here, mut there, list, memory } = ListedWhole::new(items);
        let framed: usize = list.iter().map(Vec::len).sum();
        let framed = i64::try_from(framed).expect("a few megabytes");
        let overhead = 64 * i64::try_from(list.len()).expect("fewer frames");
        let kept = memory.bytes_current - framed;
        assert!(kept < 4 * KIB + overhead, "{kept} bytes kept of {items} items");
        let peak = i64::try_from(memory.bytes_max).expect("a few megabytes") - framed;
        assert!(peak < 2_048 * KIB, "{peak} bytes to list {items} items");

        hear(&mut there, &list, &many);
        let wants = frames(&mut there);
        let memory = measure(|| hear(&mut here, &wants, &few));
        let Some(Outcome::Differs(found)) = here.outcome() else { panic!("{:?}", here.error()) };
        assert!(found.send == (1..items).step_by(2).collect::<Vec<_>>(), "{} to send", found.send.len());
        assert!(!found.partial);
        // The handles to send, while the vector of them grows.
        let result = 8 * 3 * i64::try_from(found.send.len()).expect("a few");
        let peak = i64::try_from(memory.bytes_max).expect("a few megabytes") - result;
        assert!(peak < 2_048 * KIB, "{peak} bytes to answer for {items} items");
    }
}

/// What is listed once more has to be what was listed: else positions would name other items. Of a piece that is not,
/// everything is sent, so that what changed gets there, too.
#[test]
fn a_source_that_changed_after_it_was_listed_is_noticed() {
    let ListedWhole { few, many, mut here, mut there, list, .. } = ListedWhole::new(300_000);
    hear(&mut there, &list, &many);
    let changed = Numbered { version: |handle| if handle == 5 { 9 } else { 1 }, ..few };
    hear(&mut here, &frames(&mut there), &changed);

    let Some(Outcome::Differs(found)) = here.outcome() else { panic!("{:?}", here.error()) };
    assert!(found.partial, "something changed meanwhile");
    let sent = |handle: u64| found.send.binary_search(&handle).is_ok();
    assert!((1..300_000).step_by(2).all(sent), "what was wanted");
    assert!(found.send.is_sorted_by(|one, next| one < next));
    let more = found.send.len() - 150_000;
    assert!((10_000..60_000).contains(&more), "{more} from one piece");
}
