//! Differences from cells.

use alloc::vec::Vec;
use core::mem;

use super::cell::Cell;
use super::error::DecodeError;
use super::field::{Fp, invert_all};
use super::limits::MAX_CELLS;
use super::salt::{Place, Salt};
use super::symbol::{Symbol, SymbolId};

/// Reads the differences out of the cells of a difference, and goes on when further cells arrive.
///
/// A cell with a single symbol gives that symbol away; taken out of its other cells, it leaves some of these with
/// a single symbol, and so on (peeling). `d` differences take about `1.36 d` cells, more when there are few: see
/// [`cells_for`](super::cells_for).
///
/// Cells from a hostile peer cost no more than honest ones. Each cell gives away at most one symbol, as it does
/// when all goes well; so `m` cells are at most `m` symbols and O(m log m) steps, at 64 bytes per cell, whatever
/// they hold. A symbol is believed only if its check fits, if the cell is one of its own, and if it is found once.
///
/// ```
/// use crdt_sync::sketch::{Decoder, Encoder, Progress, Salt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let salt = Salt::new([7; 16]);
/// let item = |key: u32| salt.symbol(&key.to_le_bytes(), 1);
/// let mut ours = Encoder::new(&salt, (0..100).map(item));
/// let mut theirs = Encoder::new(&salt, (0..90).map(item));
///
/// let mut decoder = Decoder::new(&salt, 50);
/// loop {
///     let cells = ours.produce(10)?.into_iter().zip(theirs.produce(10)?);
///     let progress = decoder.push(cells.map(|(ours, theirs)| ours.minus(theirs)))?;
///     if progress == Progress::Decoded {
///         break;
///     }
/// }
/// assert_eq!(decoder.finish()?.len(), 10);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    salt: Salt,
    limit: usize,
    /// What is left of the cells without the symbols found.
    cells: Vec<Cell>,
    marks: Vec<Mark>,
    found: Vec<Found>,
    /// The cells to look at in the next round.
    queue: Vec<u32>,
    failure: Option<Failure>,
}

/// What a decoder can tell so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All differences were found.
    Decoded,
    /// Further cells are needed.
    NeedsMore,
}

#[derive(Clone, Copy, Default, Debug)]
struct Mark {
    queued: bool,
    /// It gave a symbol away, and holds nothing more.
    spent: bool,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    symbol: Symbol,
    /// Its mapping stands behind the last cell there is.
    place: Place,
}

/// A failure that further cells do not mend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failure {
    TooManySymbols,
    Contradiction,
}

/// A cell as it was at the start of a round.
struct Candidate {
    index: u32,
    cell: Cell,
}

impl Decoder {
    /// A decoder without cells that will find at most `limit` symbols.
    pub fn new(salt: &Salt, limit: usize) -> Self {
        Self {
            salt: salt.clone(),
            limit,
            cells: Vec::new(),
            marks: Vec::new(),
            found: Vec::new(),
            queue: Vec::new(),
            failure: None,
        }
    }

    /// How many cells were taken: the index of the next one.
    pub fn taken(&self) -> usize {
        self.cells.len()
    }

    /// How many symbols were found so far.
    pub fn found(&self) -> usize {
        self.found.len()
    }

    /// Takes the next cells of the difference, this side's less the other's, and finds what they tell.
    ///
    /// Fails with [`DecodeError::TooManyCells`] having taken none; any other failure is final. Each cell and each
    /// symbol is worked on once over all calls, but for one look at every cell per call.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) -> Result<Progress, DecodeError> {
        self.check()?;
        let old = self.cells.len();
        self.cells.extend(cells.into_iter().take(MAX_CELLS + 1 - old));
        let all = self.cells.len();
        if all > MAX_CELLS {
            self.cells.truncate(old);
            return Err(DecodeError::TooManyCells { cells: all });
        }
        self.marks.resize(all, Mark::default());
        for at in 0..self.found.len() {
            self.take_out(at);
        }
        for index in old..all {
            self.look_at(index);
        }
        self.peel();
        self.check()?;
        Ok(self.progress())
    }

    /// Whether all differences are known, now.
    pub fn progress(&self) -> Progress {
        let decoded =
            self.failure.is_none() && !self.cells.is_empty() && self.cells.iter().all(|cell| cell.is_zero());
        if decoded { Progress::Decoded } else { Progress::NeedsMore }
    }

    /// The differences, by id, or why they are not known.
    pub fn finish(self) -> Result<Vec<Symbol>, DecodeError> {
        self.check()?;
        let progress = self.progress();
        let mut found: Vec<Symbol> = self.found.into_iter().map(|found| found.symbol).collect();
        found.sort_unstable();
        if found.windows(2).any(|two| two[0].id == two[1].id) {
            return Err(DecodeError::Contradiction);
        }
        match progress {
            Progress::Decoded => Ok(found),
            Progress::NeedsMore => Err(DecodeError::NotDecoded { found }),
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        match self.failure {
            None => Ok(()),
            Some(Failure::TooManySymbols) => Err(DecodeError::TooManySymbols { limit: self.limit }),
            Some(Failure::Contradiction) => Err(DecodeError::Contradiction),
        }
    }

    /// Peels round by round: one inversion serves all cells of a round.
    fn peel(&mut self) {
        let (mut round, mut inverses, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
        while self.failure.is_none() && self.next_round(&mut round) {
            inverses.clear();
            inverses.extend(round.iter().map(|candidate: &Candidate| candidate.cell.weights));
            invert_all(&mut inverses, &mut scratch);
            for (candidate, inverse) in round.iter().zip(&inverses) {
                if let Err(failure) = self.try_peel(candidate, *inverse) {
                    self.failure = Some(failure);
                    return;
                }
            }
        }
    }

    /// Moves the queued cells that hold something into `round`; false if there are none.
    fn next_round(&mut self, round: &mut Vec<Candidate>) -> bool {
        round.clear();
        for index in self.queue.drain(..) {
            self.marks[index as usize].queued = false;
            let cell = self.cells[index as usize];
            if !cell.weights.is_zero() {
                round.push(Candidate { index, cell });
            }
        }
        !round.is_empty()
    }

    fn try_peel(&mut self, candidate: &Candidate, inverse: Fp) -> Result<(), Failure> {
        let index = candidate.index as usize;
        if self.cells[index] != candidate.cell {
            return Ok(()); // A symbol of this round was in it: it is queued again.
        }
        let id = SymbolId::from_element(candidate.cell.ids.times(inverse));
        let place = self.salt.place(id);
        let Some(weight) = candidate.cell.only(&place).filter(|_| goes_to(&place, candidate.index)) else {
            return Ok(());
        };
        if mem::replace(&mut self.marks[index].spent, true) {
            return Err(Failure::Contradiction);
        }
        if self.found.len() >= self.limit {
            return Err(Failure::TooManySymbols);
        }
        self.found.push(Found { symbol: Symbol { id, weight }, place });
        self.take_out(self.found.len() - 1);
        Ok(())
    }

    /// Takes a found symbol out of the cells from where its mapping stands, to the last.
    fn take_out(&mut self, at: usize) {
        let Found { symbol, mut place } = self.found[at];
        let part = Cell::of(symbol.id, symbol.weight.element(), &place);
        while let Some(cell) = self.cells.get_mut(place.mapping.index() as usize) {
            *cell = cell.minus(part);
            self.look_at(place.mapping.index() as usize);
            place.mapping.advance();
        }
        self.found[at].place = place;
    }

    fn look_at(&mut self, index: usize) {
        if !mem::replace(&mut self.marks[index].queued, true) {
            self.queue.push(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
}

fn goes_to(place: &Place, index: u32) -> bool {
    let mut mapping = place.mapping;
    while mapping.index() < index {
        mapping.advance();
    }
    mapping.index() == index
}
