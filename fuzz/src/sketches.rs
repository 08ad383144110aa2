//! Cells of a sketch, from a peer that knows the salt and does not keep to the format.

use crdt_sync::sketch::{Cell, CellRun, DecodeError, Decoder, Encoder, Progress, Salt, Symbol};

/// Whatever cells a peer sends, a run decodes only from its one encoding, and a decoder finds at most one
/// symbol per cell, each once; when it says that these are all, then their cells are the cells that it was
/// given.
///
/// Of the bytes the first says how many genuine symbols there are, the second how many of their cells are
/// genuine; the rest is added to these cells, so that what decodes is near at hand.
pub fn cells_give_away_no_more_than_they_are(bytes: &[u8]) {
    if let Ok((run, rest)) = CellRun::decode_first(bytes) {
        assert_eq!(run.to_bytes(), bytes[..bytes.len() - rest.len()]);
    }
    let [symbols, genuine, foreign @ ..] = bytes else { return };
    let salt = Salt::new([7; 16]);
    let symbols = (0..u32::from(*symbols)).map(|key| salt.symbol(&key.to_le_bytes(), 1));
    let mut encoder = Encoder::new(&salt, symbols);
    let mut cells = encoder.produce(usize::from(*genuine)).expect("a sketch has more than 255 cells");
    for (at, cell) in foreign.chunks(1 + Cell::LEN).enumerate() {
        let at = cell.first().map_or(at, |at| usize::from(*at));
        if let (Some(place), Some(added)) = (cells.get_mut(at), foreign_cell(&cell[1..])) {
            *place = place.plus(added);
        }
    }
    let (first, second) = cells.split_at(cells.len() / 2);
    let mut decoder = Decoder::new(&salt, usize::MAX);
    let results = [first, second].map(|cells| decoder.push(cells.iter().copied()));
    assert!(decoder.found() <= cells.len());
    match decoder.finish() {
        Ok(found) => assert_explains(&salt, &found, &cells),
        Err(DecodeError::NotDecoded { found }) => {
            assert!(found.is_sorted_by(|a, b| a.id < b.id));
            assert!(results[1] != Ok(Progress::Decoded));
        }
        Err(error) => assert!(matches!(error, DecodeError::Contradiction)),
    }
}

fn foreign_cell(bytes: &[u8]) -> Option<Cell> {
    let mut run = vec![0, 1];
    run.extend_from_slice(bytes);
    run.resize(2 + Cell::LEN, 0);
    CellRun::decode(&run).ok()?.cells.first().copied()
}

fn assert_explains(salt: &Salt, found: &[Symbol], cells: &[Cell]) {
    assert!(found.is_sorted_by(|a, b| a.id < b.id));
    let mut encoder = Encoder::new(salt, found.iter().copied());
    assert_eq!(encoder.produce(cells.len()).as_deref(), Ok(cells));
}
