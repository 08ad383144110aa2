//! Lists of item fingerprints: this side's, with what the peer wants of them, and the peer's
//! against this side's items.

use alloc::vec::Vec;

use super::view::View;
use crate::merkle::frame::{Items, ListReader, Wants};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf::SessionPrf;
use crate::merkle::{ItemSource, Limits, ProtocolError};

/// A fingerprint and the handle of the item it stands for.
pub(super) type Listed = (u64, u64);

/// About how many items are sorted at once: a megabyte of them.
const PIECE: u32 = 1 << 16;

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
    own.view.for_each_in(part, own.items, &mut |item| {
        let fingerprint = own.prf.fingerprint(item.key_hash, item.version, width);
        if fingerprint.checked_shr(below).unwrap_or(0) == u64::from(piece.number) {
            listed.push((fingerprint, item.handle));
        }
    });
    listed.sort_unstable();
}

/// This side's items and how they are fingerprinted.
pub(super) struct OwnItems<'a> {
    pub(super) view: &'a View,
    pub(super) items: &'a dyn ItemSource,
    pub(super) prf: &'a SessionPrf,
}

/// This side's lists, sent and waiting to hear what is wanted of them.
pub(super) struct Listing {
    /// The listed items, in the order of the lists.
    pub(super) handles: Vec<u64>,
    answered: u32,
    /// The handles that the peer wants.
    pub(super) send: Vec<u64>,
    /// How many items the peer will send.
    pub(super) receive: u64,
}

impl Listing {
    pub(super) fn new(handles: Vec<u64>) -> Self {
        Self { handles, answered: 0, send: Vec::new(), receive: 0 }
    }

    pub(super) fn open(&self) -> u32 {
        u32::try_from(self.handles.len()).unwrap_or(u32::MAX) - self.answered
    }

    pub(super) fn answer(&mut self, wants: &Wants<'_>) -> Result<(), ProtocolError> {
        let open = self.open();
        let answered = wants.wanted.universe();
        if answered > open {
            return Err(ProtocolError::NeverAsked { answered, open });
        }
        if answered == 0 && open > 0 {
            return Err(ProtocolError::Idle);
        }
        let lists = &self.handles[self.answered as usize..];
        self.send.extend(wants.wanted.iter().map(|position| lists[position as usize]));
        self.receive += u64::from(wants.sending);
        self.answered += answered;
        Ok(())
    }
}

/// The peer's lists against this side's items, frame by frame.
///
/// A part is matched when its list is complete, so what is held is the peer's list, which the
/// limits bound, and never this side's items.
pub(super) struct Matching {
    /// The width of the fingerprints in bits, the same in every frame of the turn.
    width: Option<u8>,
    pub(super) parts: u32,
    pub(super) listed: u32,
    /// The positions, among all listed, of the items that this side lacks.
    pub(super) wanted: Vec<u32>,
    /// The handles of this side's items that the lists lack.
    pub(super) send: Vec<u64>,
    /// The part whose list goes on in the next frame.
    unfinished: Option<Prefix>,
    /// The latest list as far as it came.
    list: Vec<u64>,
    /// Which of its entries this side has: working memory.
    met: Vec<bool>,
}

impl Matching {
    pub(super) fn new() -> Self {
        Self {
            width: None,
            parts: 0,
            listed: 0,
            wanted: Vec::new(),
            send: Vec::new(),
            unfinished: None,
            list: Vec::new(),
            met: Vec::new(),
        }
    }

    /// Whether a list goes on in the next frame.
    pub(super) fn is_within_list(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Takes one frame's lists: the rest of an unfinished one, then one for each of `parts`.
    pub(super) fn add(
        &mut self,
        parts: &[Prefix],
        frame: &Items<'_>,
        own: &OwnItems<'_>,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        if *self.width.get_or_insert(frame.width) != frame.width {
            return Err(ProtocolError::MixedTurn);
        }
        let parts: Vec<Prefix> = self.unfinished.take().into_iter().chain(parts.iter().copied()).collect();
        let found = frame.lists.count();
        if found != parts.len() {
            let [expected, found] =
                [parts.len(), found].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            return Err(ProtocolError::ListCount { expected, found });
        }
        let before = (self.parts, self.listed);
        let mut lists = frame.lists.reader();
        for (at, part) in parts.iter().enumerate() {
            self.extend(&mut lists, frame.width, limits)?;
            let is_last = at + 1 == found;
            if is_last && frame.more {
                self.unfinished = Some(*part);
            } else {
                self.finish(*part, is_last && frame.cut, own, frame.width);
            }
        }
        if (self.parts, self.listed) == before { Err(ProtocolError::Idle) } else { Ok(()) }
    }

    fn extend(
        &mut self,
        lists: &mut ListReader<'_>,
        width: u8,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        let largest = u64::MAX >> (64 - u32::from(width));
        let mut latest = self.list.last().copied().unwrap_or(0);
        lists.next_list(|gap| {
            if self.listed >= limits.max_items {
                return Err(ProtocolError::TooManyItems { max: limits.max_items });
            }
            let fingerprint = latest.checked_add(gap).filter(|fingerprint| *fingerprint <= largest);
            latest = fingerprint.ok_or(ProtocolError::FingerprintOutOfRange { width })?;
            self.list.push(latest);
            self.listed += 1;
            Ok(())
        })
    }

    /// The list of a part is complete: matches it with the items of this side. A list that was cut
    /// says nothing about what is above its last fingerprint.
    fn finish(&mut self, part: Prefix, cut: bool, own: &OwnItems<'_>, width: u8) {
        let Self { list, send, met, .. } = self;
        met.clear();
        met.resize(list.len(), false);
        own.view.for_each_in(part, own.items, &mut |item| {
            let fingerprint = own.prf.fingerprint(item.key_hash, item.version, width);
            let mut at = list.partition_point(|listed| *listed < fingerprint);
            while list.get(at) == Some(&fingerprint) && met[at] {
                at += 1;
            }
            if list.get(at) == Some(&fingerprint) {
                met[at] = true;
            } else if !cut || list.last().is_some_and(|last| fingerprint <= *last) {
                send.push(item.handle);
            }
        });
        let positions = self.listed - u32::try_from(list.len()).unwrap_or(u32::MAX)..self.listed;
        self.wanted.extend(positions.zip(&*met).filter_map(|(position, met)| (!met).then_some(position)));
        self.list.clear();
        self.parts += 1;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{OwnItems, PIECE, View, list, pieces};
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
}
