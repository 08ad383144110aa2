//! Lists of item fingerprints: this side's, with what the peer wants of them.

use alloc::vec::Vec;
use core::ops::Range;

use super::view::View;
use crate::merkle::frame::Wants;
use crate::merkle::prefix::Prefix;
use crate::merkle::prf::SessionPrf;
use crate::merkle::{ItemSource, ProtocolError};

/// A fingerprint and the handle of the item it stands for.
pub(super) type Listed = (u64, u64);

/// About how many items are sorted at once: a megabyte of them.
const PIECE: u32 = 1 << 16;
/// Of how many listed items the handles are kept at most: two megabytes of them.
const KEPT: u64 = 1 << 18;
/// Up to so many entries, each is compared with each other.
const FEW: usize = 32;

/// A piece of a list: the fingerprints whose top `bits` bits are `number`.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    bits: u8,
    number: u32,
}

/// The pieces, in order, of a list of about `items` items. Fingerprints are spread evenly, so one piece is
/// about as long as another.
pub(super) fn pieces(items: u32) -> impl ExactSizeIterator<Item = Piece> {
    let pieces = items.div_ceil(PIECE).max(1).next_power_of_two();
    let bits = u8::try_from(pieces.ilog2()).unwrap_or(0);
    (0..pieces).map(move |number| Piece { bits, number })
}

/// A piece of the list of a part of the tree, sorted by fingerprint. Two items may share a fingerprint, by
/// chance or because one item is held twice; lists are multisets, so each keeps its place.
pub(super) fn list(own: &OwnItems<'_>, part: Prefix, width: u8, piece: Piece, listed: &mut Vec<Listed>) {
    listed.clear();
    let below = u32::from(width - piece.bits);
    own.view.for_each_in(part, own.items, |item| {
        let fingerprint = own.prf.fingerprint(item.key_hash, item.version, width);
        if fingerprint.checked_shr(below).unwrap_or(0) == u64::from(piece.number) {
            listed.push((fingerprint, item.handle));
        }
    });
    sort(listed);
}

/// Sorts by fingerprint, and by handle where two are the same.
fn sort(listed: &mut [Listed]) {
    if listed.len() > FEW || !rank(listed) {
        listed.sort_unstable();
    }
}

/// Sorts a few entries by counting, for each, how many are below it: no branch depends on the fingerprints,
/// which are as good as random, so none is mispredicted. Does nothing and says so if two are the same, or too
/// large for their differences to have a sign.
fn rank(listed: &mut [Listed]) -> bool {
    let len = listed.len().min(FEW);
    let mut fingerprints = [0; FEW];
    let mut all = 0;
    for (place, (fingerprint, _)) in fingerprints.iter_mut().zip(&*listed) {
        *place = *fingerprint;
        all |= fingerprint;
    }
    let mut sorted = [(0, 0); FEW];
    let mut pairs = 0;
    for entry in &*listed {
        let below: u64 = fingerprints[..len].iter().map(|other| other.wrapping_sub(entry.0) >> 63).sum();
        let below = usize::try_from(below).unwrap_or(0);
        sorted[below % FEW] = *entry;
        pairs += below;
    }
    let is_sorted = all >> 63 == 0 && 2 * pairs == len * len.saturating_sub(1);
    if is_sorted {
        listed.copy_from_slice(&sorted[..len]);
    }
    is_sorted
}

/// This side's items and how they are fingerprinted.
pub(super) struct OwnItems<'a> {
    pub(super) view: &'a View,
    pub(super) items: &'a dyn ItemSource,
    pub(super) prf: &'a SessionPrf,
}

/// This side's lists, sent and waiting to hear what is wanted of them.
///
/// Of a long list only its pieces are kept. Those of which something is wanted are listed once more.
pub(super) struct Listing {
    listed: u32,
    answered: u32,
    kept: Kept,
    /// The handles that the peer wants.
    pub(super) send: Vec<u64>,
    /// How many items the peer will send.
    pub(super) receive: u64,
    /// Whether the source no longer had what it had when it was listed.
    pub(super) has_changed: bool,
}

enum Kept {
    /// The listed items, in the order of the lists.
    Handles(Vec<u64>),
    Pieces {
        width: u8,
        pieces: Vec<ListedPiece>,
        again: Again,
    },
}

/// A piece as it was listed.
struct ListedPiece {
    part: Prefix,
    piece: Piece,
    /// The position behind its last entry.
    end: u32,
    /// The sum of its fingerprints.
    sum: u64,
}

impl Listing {
    /// For fingerprints of `width` bits of at most `most` of about `items` items.
    pub(super) fn new(width: u8, items: u64, most: u32) -> Self {
        let most = u64::from(most).min(items);
        let kept = if most <= KEPT {
            Kept::Handles(Vec::with_capacity(usize::try_from(most).unwrap_or(0)))
        } else {
            Kept::Pieces { width, pieces: Vec::new(), again: Again::default() }
        };
        Self { listed: 0, answered: 0, kept, send: Vec::new(), receive: 0, has_changed: false }
    }

    /// Notes what was listed of a piece, which is not empty.
    pub(super) fn add(&mut self, part: Prefix, piece: Piece, list: &[Listed]) {
        self.listed += u32::try_from(list.len()).unwrap_or(u32::MAX);
        match &mut self.kept {
            Kept::Handles(handles) => handles.extend(list.iter().map(|(_, handle)| *handle)),
            Kept::Pieces { pieces, .. } => {
                pieces.push(ListedPiece { part, piece, end: self.listed, sum: sum(list) });
            }
        }
    }

    pub(super) fn listed(&self) -> u32 {
        self.listed
    }

    pub(super) fn open(&self) -> u32 {
        self.listed - self.answered
    }

    pub(super) fn answer(&mut self, wants: &Wants<'_>, own: &OwnItems<'_>) -> Result<(), ProtocolError> {
        let open = self.open();
        let answered = wants.wanted.universe();
        if answered > open {
            return Err(ProtocolError::NeverAsked { answered, open });
        }
        if answered == 0 && open > 0 {
            return Err(ProtocolError::Idle);
        }
        let first = self.answered;
        let wanted = wants.wanted.iter().map(|position| first + position);
        match &mut self.kept {
            Kept::Handles(handles) => self.send.extend(wanted.map(|position| handles[position as usize])),
            Kept::Pieces { width, pieces, again } => {
                self.has_changed |= !again.add_handles(wanted, (own, *width, pieces), &mut self.send);
            }
        }
        self.receive += u64::from(wants.sending);
        self.answered += answered;
        Ok(())
    }
}

/// The piece that was listed once more last. Positions ascend from frame to frame, so each piece is at most once.
#[derive(Default)]
struct Again {
    /// The positions of its entries.
    here: Range<u32>,
    /// Its entries; none if they are no longer what they were.
    list: Vec<Listed>,
}

impl Again {
    /// Adds the handles at these ascending positions. Of a piece that is no longer what it was it adds all: what
    /// changed is among them, and what did not does no harm. Returns whether there were no such pieces.
    fn add_handles(
        &mut self,
        wanted: impl Iterator<Item = u32>,
        (own, width, pieces): (&OwnItems<'_>, u8, &[ListedPiece]),
        handles: &mut Vec<u64>,
    ) -> bool {
        let mut all = true;
        for position in wanted {
            if position >= self.here.end {
                let at = pieces.partition_point(|piece| piece.end <= position);
                let Some(listed) = pieces.get(at) else { return false };
                let start = at.checked_sub(1).map_or(0, |before| pieces[before].end);
                self.here = start..listed.end;
                list(own, listed.part, width, listed.piece, &mut self.list);
                // Parts of a list that was cut off by the limits end before their pieces do.
                let cut = self.list.get(..self.here.len()).unwrap_or(&self.list);
                if cut.len() == self.here.len() && sum(cut) == listed.sum {
                    self.list.truncate(self.here.len());
                } else {
                    handles.extend(self.list.drain(..).map(|(_, handle)| handle));
                    all = false;
                }
            }
            handles.extend(self.list.get((position - self.here.start) as usize).map(|(_, handle)| *handle));
        }
        all
    }
}

fn sum(list: &[Listed]) -> u64 {
    list.iter().fold(0, |sum, (fingerprint, _)| sum.wrapping_add(*fingerprint))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::{FEW, OwnItems, PIECE, View, list, pieces, sort};
    use crate::merkle::Prefix;
    use crate::merkle::tests::support::Replica;

    /// What is held at once does not grow with the set, and the pieces make up the whole list.
    #[test]
    fn a_long_list_is_held_piece_by_piece() {
        let items = 5 * PIECE / 2;
        let mut replica = Replica::of(12, (0..u64::from(items)).map(|key| (key, 1)));
        let view = View::new(replica.tree.snapshot());
        let prf = view.snapshot().prf().session(&[1], &[2]);
        let own = OwnItems { view: &view, items: &replica, prf: &prf };
        let (mut held, mut whole, mut most) = (Vec::new(), Vec::new(), 0);
        for piece in pieces(items) {
            list(&own, Prefix::ALL, 40, piece, &mut held);
            most = most.max(held.len());
            whole.append(&mut held);
        }
        assert_eq!(whole.len(), items as usize);
        assert!(whole.is_sorted());
        assert!(most < PIECE as usize, "{most} items at once");
    }

    #[test]
    fn a_short_list_is_one_piece() {
        assert_eq!([0, 1, PIECE, PIECE + 1].map(|items| pieces(items).len()), [1, 1, 1, 2]);
        assert_eq!(pieces(u32::MAX).len(), 1 << 16);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn few_entries_are_sorted_like_many(
            mut entries in proptest::collection::vec((prop_oneof![0..40_u64, any::<u64>()], 0..4_u64), 0..2 * FEW),
        ) {
            let mut expected = entries.clone();
            expected.sort_unstable();
            sort(&mut entries);
            prop_assert_eq!(entries, expected);
        }
    }
}
