//! The way by sketch: one side sends cells, the other reads the differences from them and says what
//! it wants.

use alloc::vec::Vec;

use super::{Phase, Session, differs};
use crate::merkle::cells::Cell as Node;
use crate::merkle::frame::{
    self, Cells, FOUND_HEAD, FOUND_MORE, Found, FoundEnd, ID_BITS, SKETCH_HEAD, SKETCH_KEPT, Tag,
};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf::Symbols;
use crate::merkle::trace::{Side, Step};
use crate::merkle::{Item, ItemSource, ProtocolError};
use crate::sketch::{Cell, CellRun, Decoder, Progress, Sketch, Symbol, SymbolId};

/// The field of a sketch has five elements fewer than there are ids of 32 bits.
const ORDER: u32 = u32::MAX - 4;

/// A side with more items than this does not make a sketch for one session.
const MAX_UNKEPT: u32 = 1 << 14;

/// This side's sketch is out.
pub(super) struct Sketched {
    kept: bool,
    cells: u32,
    /// Whether further cells were asked for.
    more: bool,
    /// The latest id that the peer named.
    latest: Option<u64>,
    found: Exchange,
}

/// The peer's sketch is coming in.
pub(super) struct Sketching {
    kept: bool,
    theirs: Vec<Cell>,
    total: u32,
    /// Whether further cells were asked for.
    more: bool,
}

/// What this side sends, and what that takes out of its root.
#[derive(Default)]
struct Exchange {
    send: Vec<u64>,
    weight: Node,
}

impl Exchange {
    fn add(&mut self, item: &Item, weight: Node) {
        self.send.push(item.handle);
        self.weight = self.weight.plus(weight);
    }
}

impl Sketching {
    pub(super) fn new() -> Self {
        Self { kept: false, theirs: Vec::new(), total: 0, more: false }
    }
}

impl Session {
    /// Whether this side has a sketch of so many cells at hand, or can make one without much ado.
    pub(super) fn can_sketch(&self, cells: u32, items: &dyn ItemSource) -> bool {
        let is_small = self.view.root().count <= MAX_UNKEPT;
        cells <= self.agreed.max_sketch_cells && (is_small || has_kept(cells, items))
    }

    /// Sends the first cells of a sketch.
    pub(super) fn begin_sketch(&mut self, cells: u32, items: &dyn ItemSource) -> Phase {
        self.send_sketch(has_kept(cells, items), 0, cells, items)
    }

    /// Sends the cells from `from` on, `total` in all.
    fn send_sketch(&mut self, kept: bool, from: u32, total: u32, items: &dyn ItemSource) -> Phase {
        let cells = self.own_cells(kept, total, items);
        let per_frame = ((self.agreed.max_frame - SKETCH_HEAD) / Cell::LEN).max(1);
        let new = cells.get(from as usize..).unwrap_or_default();
        for (at, chunk) in (0..).zip(new.chunks(per_frame)) {
            let first = from + u32::try_from(at * per_frame).unwrap_or(u32::MAX);
            let run = CellRun { from: first, cells: chunk.to_vec() };
            let mut frame = self.link.frame(Tag::Sketch);
            frame.byte(if kept { SKETCH_KEPT } else { 0 });
            frame.number(total);
            frame.bytes(&run.to_bytes());
            self.link.send(frame);
        }
        self.link.end_round(Side::Local, Step::Sketch { cells: total });
        let found = Exchange::default();
        Phase::Sketched(Sketched { kept, cells: total, more: from > 0, latest: None, found })
    }

    pub(super) fn on_sketch(
        &mut self,
        mut sketching: Sketching,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let Cells { kept, total, run } = Cells::decode(body)?;
        let expected = u32::try_from(sketching.theirs.len()).unwrap_or(u32::MAX);
        let end = run.from.saturating_add(u32::try_from(run.cells.len()).unwrap_or(u32::MAX));
        if total > self.agreed.max_sketch_cells {
            return Err(ProtocolError::TooManyCells { cells: total, max: self.agreed.max_sketch_cells });
        }
        let shape = (sketching.kept, sketching.total);
        if sketching.total != 0 && shape != (kept, total) {
            return Err(ProtocolError::MixedTurn);
        }
        if run.from != expected || run.cells.is_empty() || end > total {
            return Err(ProtocolError::CellOrder { expected, from: run.from });
        }
        (sketching.kept, sketching.total) = (kept, total);
        sketching.theirs.extend(run.cells);
        if end < total {
            return Ok(Phase::Sketching(sketching));
        }
        self.link.end_round(Side::Remote, Step::Sketch { cells: total });
        Ok(self.read_sketch(sketching, items))
    }

    /// The peer cannot read the differences from so few cells.
    pub(super) fn on_more(
        &mut self,
        sketched: &Sketched,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let total = frame::decode_more(body)?;
        if sketched.more || sketched.latest.is_some() {
            return Err(ProtocolError::Unexpected { tag: Tag::More.byte() });
        }
        if total <= sketched.cells {
            return Err(ProtocolError::Idle);
        }
        if total > self.agreed.max_sketch_cells {
            return Err(ProtocolError::TooManyCells { cells: total, max: self.agreed.max_sketch_cells });
        }
        self.link.end_round(Side::Remote, Step::More { cells: total });
        Ok(self.send_sketch(sketched.kept, sketched.cells, total, items))
    }

    /// What the peer read from this side's sketch.
    pub(super) fn on_found(
        &mut self,
        mut sketched: Sketched,
        body: &[u8],
        items: &dyn ItemSource,
    ) -> Result<Phase, ProtocolError> {
        let Found { wanted, end } = Found::decode(body)?;
        if end.is_none() && wanted.len() == 0 {
            return Err(ProtocolError::Idle);
        }
        for gap in wanted.gaps() {
            let is_repeated = gap == 0 && sketched.latest.is_some();
            let id = sketched.latest.unwrap_or(0).checked_add(gap);
            let id = id.and_then(|id| u32::try_from(id).ok()).filter(|_| !is_repeated);
            let id = id.and_then(SymbolId::new).ok_or(ProtocolError::PositionOutOfRange)?;
            sketched.latest = Some(u64::from(id.get()));
            self.for_each_of(id, items, &mut |item, weight| sketched.found.add(item, weight));
        }
        let Some(FoundEnd { sending, rest }) = end else {
            return Ok(Phase::Sketched(sketched));
        };
        let wanted = u32::try_from(sketched.found.send.len()).unwrap_or(u32::MAX);
        self.link.end_round(Side::Remote, Step::Found { wanted, sending });
        let own_rest = self.link.prf().rest(self.view.root().minus(sketched.found.weight));
        self.partial |= own_rest != rest;
        Ok(Phase::Over(differs(sketched.found.send, u64::from(sending), self.partial)))
    }

    fn read_sketch(&mut self, sketching: Sketching, items: &dyn ItemSource) -> Phase {
        let own = self.own_cells(sketching.kept, sketching.total, items);
        let difference = own.iter().zip(&sketching.theirs).map(|(ours, theirs)| ours.minus(*theirs));
        let mut decoder = Decoder::new(self.symbols(sketching.kept).salt(), sketching.theirs.len());
        match decoder.push(difference) {
            Ok(Progress::Decoded) => match decoder.finish() {
                // The roots differ, so chance hides something: only the tree will show it.
                Ok(symbols) if symbols.is_empty() => self.answer(&self.root_differs(), items),
                Ok(symbols) => self.say_found(sketching.kept, &symbols, items),
                Err(_) => self.answer(&self.root_differs(), items),
            },
            Ok(Progress::NeedsMore) if !sketching.more => self.ask_more(sketching, items),
            // Cells that make no sense, or too few once more: the tree needs no luck.
            _ => self.answer(&self.root_differs(), items),
        }
    }

    fn ask_more(&mut self, sketching: Sketching, items: &dyn ItemSource) -> Phase {
        let total = sketching.total.saturating_add(sketching.total / 2).saturating_add(8);
        if total > self.agreed.max_sketch_cells {
            return self.answer(&self.root_differs(), items);
        }
        let mut frame = self.link.frame(Tag::More);
        frame.number(total);
        self.link.send(frame);
        self.link.end_round(Side::Local, Step::More { cells: total });
        Phase::Sketching(Sketching { total, more: true, ..sketching })
    }

    /// Resolves what was decoded: what the peer lacks is sent, what this side lacks is wanted, and a
    /// changed item is both. Where several of this side's items share an id and none explains the
    /// difference alone, all of them count as changed.
    fn say_found(&mut self, kept: bool, symbols: &[Symbol], items: &dyn ItemSource) -> Phase {
        let hashes = self.symbols(kept);
        let mut exchange = Exchange::default();
        let mut wanted: Vec<u64> = Vec::new();
        for symbol in symbols {
            let mut own: Vec<(Item, Node)> = Vec::new();
            self.for_each_of(symbol.id, items, &mut |item, weight| own.push((*item, weight)));
            let explains = |(item, _): &&(Item, Node)| {
                let held = hashes.symbol(item.key_hash, item.version).weight;
                symbol.weight.other_side(Some(held)).is_none()
            };
            if let Some((item, weight)) = own.iter().find(explains) {
                exchange.add(item, *weight);
            } else {
                wanted.push(u64::from(symbol.id.get()));
                for (item, weight) in &own {
                    exchange.add(item, *weight);
                }
            }
        }
        let rest = self.link.prf().rest(self.view.root().minus(exchange.weight));
        self.send_found(&wanted, FoundEnd { sending: count(&exchange.send), rest });
        let wanted = wanted.len() as u64;
        Phase::Over(differs(exchange.send, wanted, self.partial))
    }

    fn send_found(&mut self, wanted: &[u64], end: FoundEnd) {
        let most = 1_u64 << (4 * self.budget().max(1)).ilog2();
        let parameter = frame::list_parameter(ID_BITS, (wanted.len() as u64).min(most));
        let (mut rest, mut from) = (wanted, 0);
        loop {
            let fitting = self.fitting(rest, from, parameter);
            let (now, later) = rest.split_at(fitting);
            let mut list = Vec::new();
            frame::write_list(&mut list, parameter, from, now.iter().copied());
            let mut frame = self.link.frame(Tag::Found);
            if later.is_empty() {
                frame.byte(0);
                frame.number(end.sending);
                frame.bytes(&end.rest);
            } else {
                frame.byte(FOUND_MORE);
            }
            frame.byte(parameter);
            frame.bytes(&list);
            self.link.send(frame);
            if later.is_empty() {
                break;
            }
            from = now.last().copied().unwrap_or(from);
            rest = later;
        }
        let wanted = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        self.link.end_round(Side::Local, Step::Found { wanted, sending: end.sending });
    }

    fn fitting(&self, ids: &[u64], from: u64, parameter: u8) -> usize {
        let mut room = 8 * (self.agreed.max_frame - FOUND_HEAD) as u64;
        let mut latest = from;
        let fits = |id: &&u64| {
            let gap = **id - core::mem::replace(&mut latest, **id);
            let left = room.checked_sub(frame::gap_len(gap, parameter));
            room = left.unwrap_or(room);
            left.is_some()
        };
        ids.iter().take_while(fits).count()
    }

    /// This side's cells: those that are kept up, or made now.
    fn own_cells(&self, kept: bool, cells: u32, items: &dyn ItemSource) -> Vec<Cell> {
        let symbols = self.symbols(kept);
        let at_hand = items.sketch().and_then(|sketch| sketch.get(..cells as usize)).filter(|_| kept);
        let sketch = match at_hand {
            Some(at_hand) => Sketch::from_cells(symbols.salt(), at_hand.to_vec()),
            None => Sketch::new(symbols.salt(), cells as usize),
        };
        // The limits keep the number of cells below that of the largest sketch.
        let Ok(mut sketch) = sketch else {
            return Vec::new();
        };
        if at_hand.is_some() {
            self.view.for_each_excluded(&mut |key_hash, version| {
                sketch.remove(symbols.symbol(key_hash, version));
            });
        } else {
            self.view.for_each_in(Prefix::ALL, items, |item| {
                sketch.add(symbols.symbol(item.key_hash, item.version));
            });
        }
        sketch.cells().to_vec()
    }

    fn symbols(&self, kept: bool) -> Symbols {
        if kept { self.view.snapshot().prf().symbols().clone() } else { self.link.prf().symbols() }
    }

    /// This side's items with an id. The five largest numbers of 32 bits are no ids of their own.
    fn for_each_of(&self, id: SymbolId, items: &dyn ItemSource, f: &mut dyn FnMut(&Item, Node)) {
        let again = id.get().checked_add(ORDER);
        for place in core::iter::once(id.get()).chain(again) {
            self.view.for_each_in(Prefix::new(ID_BITS, place), items, |item| {
                let lanes = self.view.snapshot().prf().item(item.key_hash, item.version);
                f(&item, Node { lanes, count: 1 });
            });
        }
    }
}

/// Whether a sketch of so many cells is kept up.
pub(super) fn has_kept(cells: u32, items: &dyn ItemSource) -> bool {
    items.sketch().is_some_and(|sketch| sketch.len() >= cells as usize)
}

fn count(handles: &[u64]) -> u32 {
    u32::try_from(handles.len()).unwrap_or(u32::MAX)
}
