//! The peer's lists of fingerprints against this side's items.

use alloc::vec::Vec;

use super::lists::OwnItems;
use crate::merkle::frame::{Items, ListReader};
use crate::merkle::prefix::Prefix;
use crate::merkle::{Limits, ProtocolError};

/// The most entries of a list that is searched from end to end.
const SHORT: usize = 64;
/// How many of them are compared at once.
const BLOCK: usize = 16;

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
        let before = (self.parts, self.listed);
        let expected = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut lists = frame.lists.reader();
        for (found, part) in (0..).zip(&parts) {
            if lists.is_empty() {
                return Err(ProtocolError::ListCount { expected, found });
            }
            self.extend(&mut lists, frame.width, limits)?;
            let is_last = found + 1 == expected;
            if is_last && frame.more {
                self.unfinished = Some(*part);
            } else {
                self.finish(*part, is_last && frame.cut, own, frame.width);
            }
        }
        let found = expected + lists.count_rest()?;
        if found != expected {
            return Err(ProtocolError::ListCount { expected, found });
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
        let highest = if cut { self.list.last().copied() } else { Some(u64::MAX) };
        if self.list.len() <= SHORT {
            self.match_short(part, highest, own, width);
        } else {
            self.match_long(part, highest, own, width);
        }
        self.list.clear();
        self.parts += 1;
    }

    /// Most lists have a leaf's sixteen items or so. Going through all of it takes fewer steps than a
    /// search by halves, and none that waits for another. With lists read once, sorted by [`super::lists`]
    /// without branches, and counts kept with the nodes that differ, this took a session over 10,000 of a
    /// million keys from 21 ms to 15. A quarter of what is left is the source going through its items, which
    /// are not in the cache: nothing here can hasten that.
    fn match_short(&mut self, part: Prefix, highest: Option<u64>, own: &OwnItems<'_>, width: u8) {
        let Self { list, send, .. } = self;
        let mut blocks = [[0; BLOCK]; SHORT / BLOCK];
        let places = blocks.as_flattened_mut();
        places.iter_mut().zip(&*list).for_each(|(place, fingerprint)| *place = low_word(*fingerprint));
        let blocks = &blocks[..list.len().div_ceil(BLOCK)];
        let all =
            u64::MAX.checked_shl(u32::try_from(list.len()).unwrap_or(64)).map_or(u64::MAX, |rest| !rest);
        let mut unmet = all;
        own.view.for_each_in(part, own.items, |item| {
            let fingerprint = own.prf.fingerprint(item.key_hash, item.version, width);
            let mut alike = positions_of(low_word(fingerprint), blocks) & unmet;
            while alike != 0 {
                let at = alike.trailing_zeros();
                if list.get(at as usize) == Some(&fingerprint) {
                    unmet &= !(1 << at);
                    return;
                }
                alike &= alike - 1;
            }
            if highest.is_some_and(|highest| fingerprint <= highest) {
                send.push(item.handle);
            }
        });
        let first = self.listed - u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        while unmet != 0 {
            self.wanted.push(first + unmet.trailing_zeros());
            unmet &= unmet - 1;
        }
    }

    fn match_long(&mut self, part: Prefix, highest: Option<u64>, own: &OwnItems<'_>, width: u8) {
        let Self { list, send, met, .. } = self;
        met.clear();
        met.resize(list.len(), false);
        own.view.for_each_in(part, own.items, |item| {
            let fingerprint = own.prf.fingerprint(item.key_hash, item.version, width);
            let mut at = list.partition_point(|listed| *listed < fingerprint);
            while list.get(at) == Some(&fingerprint) && met[at] {
                at += 1;
            }
            if list.get(at) == Some(&fingerprint) {
                met[at] = true;
            } else if highest.is_some_and(|highest| fingerprint <= highest) {
                send.push(item.handle);
            }
        });
        let positions = self.listed - u32::try_from(list.len()).unwrap_or(u32::MAX)..self.listed;
        self.wanted.extend(positions.zip(&*met).filter_map(|(position, met)| (!met).then_some(position)));
    }
}

/// Where, in blocks of words, a word stands: a bit for each place.
fn positions_of(word: u32, blocks: &[[u32; BLOCK]]) -> u64 {
    const PLACES: [u32; BLOCK] = {
        let mut places = [0; BLOCK];
        let mut at = 0;
        while at < BLOCK {
            places[at] = 1 << at;
            at += 1;
        }
        places
    };
    let within = |block: &[u32; BLOCK]| {
        let found = block.iter().zip(PLACES).map(|(other, place)| if *other == word { place } else { 0 });
        u64::from(found.fold(0, |found, place| found | place))
    };
    blocks.iter().rev().fold(0, |found, block| found << BLOCK | within(block))
}

fn low_word(fingerprint: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
    let low = fingerprint as u32;
    low
}
