//! `crdt-sync`, through its public interface. The only file that has to change with it.

use std::marker::PhantomData;

use crdt_sync::merkle::{
    BucketTree, Item, ItemSketch, ItemSource, KeyHash, Limits, Outcome, Prefix, ProtocolError, Session,
    TreeKey,
};
use crdt_sync::sketch::Cell;

use super::cpu::Stopwatch;
use super::{Candidate, Entry, Found, Key, Updating};

/// Sessions of replicas that keep nothing but a tree.
pub type ByTree = CrdtSync<Tree>;

/// Sessions of replicas that keep a sketch as well.
pub type BySketch = CrdtSync<KeptSketch>;

/// What a session finds differences by.
pub trait Way: 'static {
    /// As tables call it.
    const NAME: &'static str;
    /// The cells of the sketch that is kept up.
    const CELLS: Option<usize>;
}

/// The tree; while there are few items, a sketch that is made on the spot or a list, where that takes fewer bytes.
#[derive(Clone, Copy, Debug)]
pub enum Tree {}

impl Way for Tree {
    const NAME: &'static str = "crdt-sync, by tree";
    const CELLS: Option<usize> = None;
}

/// A sketch for about 12,000 differences, or what takes fewer bytes.
#[derive(Clone, Copy, Debug)]
pub enum KeptSketch {}

impl Way for KeptSketch {
    const NAME: &'static str = "crdt-sync, kept sketch";
    const CELLS: Option<usize> = Some(1 << 14);
}

/// Items in the order of their key hashes, as `negentropy` has them in that of their ids.
struct Rows {
    sorted: Vec<Row>,
    /// The depth of the parts whose first rows are known, of which there are about eight in each.
    bits: u8,
    firsts: Vec<u32>,
}

struct Row {
    key_hash: KeyHash,
    version: u64,
    handle: u32,
}

impl Rows {
    fn new(items: Vec<(KeyHash, u64)>) -> Self {
        let rows = (0..).zip(items).map(|(handle, (key_hash, version))| Row { key_hash, version, handle });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_unstable_by_key(|row| row.key_hash);
        let bits = u8::try_from((rows.len() / 8).max(1).ilog2()).expect("fewer than 2^64 rows");
        let mut firsts = vec![0; (1 << bits) + 1];
        for row in &rows {
            firsts[Prefix::of(row.key_hash, bits).value() as usize + 1] += 1;
        }
        for at in 1..firsts.len() {
            firsts[at] += firsts[at - 1];
        }
        Self { sorted: rows, bits, firsts }
    }

    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        let place = |hash| Prefix::of(hash, self.bits).value() as usize;
        let (first, end) = (self.firsts[place(part.start())], self.firsts[place(part.end()) + 1]);
        let is_exact = part.bits() <= self.bits;
        for row in &self.sorted[first as usize..end as usize] {
            if is_exact || part.contains(row.key_hash) {
                f(Item { handle: row.handle.into(), key_hash: row.key_hash, version: row.version.into() });
            }
        }
    }
}

/// A tree, and its items by key hash.
pub struct CrdtSync<W> {
    tree: BucketTree,
    sketch: Option<ItemSketch>,
    /// The cells of the sketch as they were when it was made ready last.
    cells: Option<Vec<Cell>>,
    rows: Rows,
    keys: Vec<Key>,
    way: PhantomData<W>,
}

impl<W: Way> Candidate for CrdtSync<W> {
    const NAME: &'static str = W::NAME;
    const IS_EXACT: bool = W::CELLS.is_none();
    type Summary = (BucketTree, Option<ItemSketch>);

    fn summary(entries: &[Entry]) -> Self::Summary {
        let mut sketch =
            W::CELLS.map(|cells| ItemSketch::new(&TreeKey::new([7; 16]), cells).expect("few enough"));
        let leaf_bits = BucketTree::leaf_bits_for(entries.len() as u64);
        let mut tree = BucketTree::new(&TreeKey::new([7; 16]), leaf_bits).expect("a size it proposed");
        for entry in entries {
            let key_hash = tree.key_hash(&entry.key);
            tree.insert(key_hash, entry.version.into()).expect("room for an item");
            if let Some(sketch) = &mut sketch {
                sketch.note(key_hash, None, Some(entry.version.into()));
            }
        }
        (tree, sketch)
    }

    fn load(entries: &[Entry]) -> Self {
        let (tree, sketch) = Self::summary(entries);
        let rows = entries.iter().map(|entry| (tree.key_hash(&entry.key), entry.version)).collect();
        let keys = entries.iter().map(|entry| entry.key).collect();
        let mut side = Self { tree, sketch, cells: None, rows: Rows::new(rows), keys, way: PhantomData };
        side.photograph();
        side
    }

    fn reconcile(left: &mut Self, right: &mut Self, _: &mut Stopwatch) -> Found {
        let mut here = Session::initiate(left.tree.snapshot(), [1; 16], Limits::default());
        let mut there = Session::accept(right.tree.snapshot(), [2; 16], Limits::default());
        talk((&mut here, left), (&mut there, right)).expect("both sides keep to the protocol");
        let stats = here.stats();
        Found {
            sends: [left.to_send(&here), right.to_send(&there)],
            bytes: stats.bytes_sent + stats.bytes_received,
            turns: stats.rounds.into(),
        }
    }
}

/// Carries frames until nobody has any.
fn talk(
    (here, ours): (&mut Session, &impl ItemSource),
    (there, theirs): (&mut Session, &impl ItemSource),
) -> Result<(), ProtocolError> {
    loop {
        if let Some(frame) = here.poll_frame() {
            there.handle(&frame, theirs)?;
        } else if let Some(frame) = there.poll_frame() {
            here.handle(&frame, ours)?;
        } else {
            return Ok(());
        }
    }
}

impl<W> CrdtSync<W> {
    /// Keeps the cells as they are now for the sessions to come.
    fn photograph(&mut self) {
        self.cells = self.sketch.as_mut().map(|sketch| sketch.cells().to_vec());
    }

    fn to_send(&self, session: &Session) -> Vec<Key> {
        match session.outcome() {
            Some(Outcome::Differs(difference)) => {
                let handles = difference.send.iter().filter_map(|handle| usize::try_from(*handle).ok());
                handles.map(|handle| self.keys[handle]).collect()
            }
            Some(Outcome::SendAll) => self.keys.clone(),
            Some(Outcome::Converged) | None => Vec::new(),
        }
    }
}

impl<W> ItemSource for CrdtSync<W> {
    fn for_each_in(&self, part: Prefix, f: &mut dyn FnMut(Item)) {
        self.rows.for_each_in(part, f);
    }

    fn sketch(&self) -> Option<&[Cell]> {
        self.cells.as_deref()
    }
}

impl<W: Way> Updating for CrdtSync<W> {
    fn upsert(&mut self, to: Entry, from: u64) {
        let key_hash = self.tree.key_hash(&to.key);
        self.tree.replace(key_hash, from.into(), to.version.into()).expect("the item is there");
        if let Some(sketch) = &mut self.sketch {
            sketch.note(key_hash, Some(from.into()), Some(to.version.into()));
        }
    }

    fn prepare(&mut self) {
        std::hint::black_box(self.tree.snapshot().root());
        self.photograph();
    }
}
