//! Lists of item fingerprints: this side's, with what the peer wants of them, and the peer's
//! against this side's items.

use alloc::vec::Vec;

use crate::merkle::frame::{Items, List, Wants};
use crate::merkle::prefix::Prefix;
use crate::merkle::prf::SessionPrf;
use crate::merkle::{ItemSource, Limits, ProtocolError};

/// A fingerprint and the handle of the item it stands for.
pub(super) type Listed = (u64, u64);

/// The items of one part of the tree, sorted by fingerprint. Two items may share a fingerprint, by
/// chance or because one item is held twice; lists are multisets, so each keeps its place.
pub(super) fn list(items: &dyn ItemSource, part: Prefix, prf: &SessionPrf, width: u8) -> Vec<Listed> {
    let mut listed = Vec::new();
    items.for_each_in(part, &mut |item| {
        if part.contains(item.key_hash) {
            listed.push((prf.fingerprint(item.key_hash, item.version, width), item.handle));
        }
    });
    listed.sort_unstable();
    listed
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
        Self {
            handles,
            answered: 0,
            send: Vec::new(),
            receive: 0,
        }
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
        self.send
            .extend(wants.wanted.iter().map(|position| lists[position as usize]));
        self.receive += u64::from(wants.sending);
        self.answered += answered;
        Ok(())
    }
}

/// The peer's lists against this side's items, frame by frame.
pub(super) struct Matching {
    /// The width of the fingerprints, the same in every frame of the turn.
    width: Option<u8>,
    pub(super) parts: u32,
    pub(super) listed: u32,
    /// The positions, among all listed, of the items that this side lacks.
    pub(super) wanted: Vec<u32>,
    /// The handles of this side's items that the lists lack.
    pub(super) send: Vec<u64>,
    /// The part whose list goes on in the next frame.
    current: Option<Part>,
}

impl Matching {
    pub(super) fn new() -> Self {
        Self {
            width: None,
            parts: 0,
            listed: 0,
            wanted: Vec::new(),
            send: Vec::new(),
            current: None,
        }
    }

    /// Whether a list goes on in the next frame.
    pub(super) fn is_within_list(&self) -> bool {
        self.current.is_some()
    }

    /// Matches one frame's lists: the rest of an unfinished one, then one for each of `parts`.
    pub(super) fn add(
        &mut self,
        parts: &[Prefix],
        frame: &Items<'_>,
        (items, prf): (&dyn ItemSource, &SessionPrf),
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        if *self.width.get_or_insert(frame.width) != frame.width {
            return Err(ProtocolError::MixedTurn);
        }
        let expected = parts.len() + usize::from(self.is_within_list());
        let found = frame.lists.iter().count();
        if found != expected {
            let [expected, found] = [expected, found].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            return Err(ProtocolError::ListCount { expected, found });
        }
        if found == 0 {
            return Err(ProtocolError::Idle);
        }
        let mut parts = parts.iter();
        for (at, list) in frame.lists.iter().enumerate() {
            let unfinished = self.current.take().or_else(|| {
                self.parts += 1;
                Some(Part::new(self::list(items, *parts.next()?, prf, frame.width)))
            });
            let Some(mut part) = unfinished else { break };
            self.follow(&mut part, list, limits)?;
            let is_last = at + 1 == found;
            if is_last && frame.more {
                self.current = Some(part);
            } else {
                part.finish(is_last && frame.cut, &mut self.send);
            }
        }
        Ok(())
    }

    fn follow(&mut self, part: &mut Part, list: List<'_>, limits: &Limits) -> Result<(), ProtocolError> {
        for fingerprint in list.iter() {
            if self.listed >= limits.max_items {
                return Err(ProtocolError::TooManyItems {
                    max: limits.max_items,
                });
            }
            if !part.meets(fingerprint, &mut self.send)? {
                self.wanted.push(self.listed);
            }
            self.listed += 1;
        }
        Ok(())
    }
}

/// This side's items of one part, walked in step with the peer's list.
struct Part {
    own: Vec<Listed>,
    next: usize,
    /// The latest fingerprint of the peer's list.
    latest: Option<u64>,
}

impl Part {
    fn new(own: Vec<Listed>) -> Self {
        Self {
            own,
            next: 0,
            latest: None,
        }
    }

    /// Takes the next fingerprint of the peer's list and says whether this side has it. Own items
    /// passed on the way are missing there.
    fn meets(&mut self, fingerprint: u64, send: &mut Vec<u64>) -> Result<bool, ProtocolError> {
        if self.latest.is_some_and(|latest| latest > fingerprint) {
            return Err(ProtocolError::Unsorted);
        }
        self.latest = Some(fingerprint);
        self.pass(send, |own| own < fingerprint);
        let met = self
            .own
            .get(self.next)
            .is_some_and(|(own, _)| *own == fingerprint);
        self.next += usize::from(met);
        Ok(met)
    }

    /// The list has ended. A list that was cut says nothing about what follows its last fingerprint.
    fn finish(mut self, cut: bool, send: &mut Vec<u64>) {
        let latest = self.latest;
        self.pass(send, |own| !cut || latest.is_some_and(|latest| own <= latest));
    }

    fn pass(&mut self, send: &mut Vec<u64>, belongs: impl Fn(u64) -> bool) {
        while let Some((fingerprint, handle)) = self.own.get(self.next)
            && belongs(*fingerprint)
        {
            send.push(*handle);
            self.next += 1;
        }
    }
}
