//! What a side of a session receives.

use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::engine::PeerError;
use crate::merkle::Root;
use crate::wire::{ItemState, StatesPart};

/// What the peer sends.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Parts that arrived, all of them from zero on.
    pub(crate) parts: u32,
    /// How many parts the peer sent on its own account, and what their keys add to the root of its tree.
    pub(crate) sent: Option<(u32, Root)>,
    /// A state that arrived in part.
    started: Option<(Bytes, Vec<u8>)>,
    /// How many parts the peer sent in all, and whether it left states out.
    pub(crate) end: Option<(u32, bool)>,
    /// Whether everything arrived and was dealt with.
    pub(crate) complete: bool,
    /// Whether the peer said that everything arrived there, and made the session complete.
    pub(crate) done: Option<bool>,
}

impl Incoming {
    /// Whether this is the part that comes next.
    pub(crate) fn expects(&self, index: u32) -> bool {
        index == self.parts
    }

    /// The next part arrived: the states that are complete with it.
    pub(crate) fn take(&mut self, part: StatesPart, max_state: usize) -> Result<StatesPart, PeerError> {
        check_items(&part.items)?;
        let mut whole = StatesPart { items: Vec::with_capacity(part.items.len()), ..part };
        for item in part.items {
            match self.started.take() {
                None if !item.more => whole.items.push(item),
                None => self.started = Some((item.key, item.state.to_vec())),
                Some((key, mut state)) if key == item.key && state.len() + item.state.len() <= max_state => {
                    state.extend_from_slice(&item.state);
                    if item.more {
                        self.started = Some((key, state));
                    } else {
                        whole.items.push(ItemState { state: state.into(), ..item });
                    }
                }
                Some(_) => return Err(PeerError::Disorder { what: "the pieces of a large state" }),
            }
        }
        self.parts += 1;
        Ok(whole)
    }

    /// The peer says how many parts it sends on its own account. It says so once, or the same again.
    pub(crate) fn hear_sent(&mut self, parts: u32, weight: Root) -> Result<(), PeerError> {
        match self.sent {
            Some(known) if known != (parts, weight) => {
                Err(PeerError::Disorder { what: "the counts of parts" })
            }
            _ => {
                self.sent = Some((parts, weight));
                Ok(())
            }
        }
    }

    /// The peer says how many parts it sent in all, after it said how many on its own account.
    pub(crate) fn hear_end(&mut self, parts: u32, left_out: bool) -> Result<(), PeerError> {
        let early = self.sent.is_some_and(|(sent, _)| parts < sent);
        if early || self.end.is_some_and(|known| known != (parts, left_out)) {
            return Err(PeerError::Disorder { what: "the counts of parts" });
        }
        self.end = Some((parts, left_out));
        Ok(())
    }

    /// The bytes of the state that arrived in part.
    pub(crate) fn partial(&self) -> usize {
        self.started.as_ref().map_or(0, |(_, state)| state.len())
    }

    /// Whether all states the peer sent on its own account arrived.
    pub(crate) fn has_all_sent(&self) -> bool {
        self.sent.is_some_and(|(sent, _)| self.parts >= sent)
    }

    /// Whether all states the peer sent arrived.
    pub(crate) fn has_all(&self) -> bool {
        self.started.is_none() && self.end.is_some_and(|(end, _)| self.parts >= end)
    }
}

/// A part brings something, of each key once. Keys ascend, but for the first: it was begun before the last part ended,
/// and answers that were made since may be of keys before it.
fn check_items(items: &[ItemState]) -> Result<(), PeerError> {
    let Some((first, others)) = items.split_first() else {
        return Err(PeerError::Disorder { what: "a part without states" });
    };
    let ascending = others.windows(2).all(|pair| pair[0].key < pair[1].key);
    let is_repeated = || others.binary_search_by(|item| item.key.cmp(&first.key)).is_ok();
    // Nor is a piece sent that brings nothing.
    if !ascending || is_repeated() || items.iter().any(|item| item.more && item.state.is_empty()) {
        return Err(PeerError::Disorder { what: "the states of a part" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::collection::Collection;

    fn item(key: &str, state: &str, more: bool) -> ItemState {
        ItemState { key: key.into(), state: state.into(), more, old: false }
    }

    fn part(index: u32, items: Vec<ItemState>) -> StatesPart {
        StatesPart { index, collection: Collection::sets("lists").id(), items, ahead: Vec::new() }
    }

    fn whole(keys: &[&str]) -> Vec<ItemState> {
        keys.iter().map(|key| item(key, "state", false)).collect()
    }

    #[test]
    fn a_part_names_each_key_once_and_all_but_the_first_in_order() {
        let taken = |items| Incoming::default().take(part(0, items), 100);
        for keys in [&["a"][..], &["a", "b", "c"], &["c", "a", "b"], &["b", "a", "c"]] {
            assert!(taken(whole(keys)).is_ok(), "{keys:?}");
        }
        for keys in [&["a", "a"][..], &["a", "c", "b"], &["b", "a", "b"], &["a", "b", "b"]] {
            let refused = Err(PeerError::Disorder { what: "the states of a part" });
            assert_eq!(taken(whole(keys)), refused, "{keys:?}");
        }
    }

    #[test]
    fn a_part_that_brings_nothing_is_refused() {
        let mut incoming = Incoming::default();
        let nothing = PeerError::Disorder { what: "a part without states" };
        assert_eq!(incoming.take(part(0, Vec::new()), 100), Err(nothing));
        assert!(incoming.take(part(0, vec![item("a", "half", true)]), 100).is_ok());
        let no_piece = PeerError::Disorder { what: "the states of a part" };
        assert_eq!(incoming.take(part(1, vec![item("a", "", true)]), 100), Err(no_piece));
        // That nothing is held is something, and a large state may be followed by any key.
        let items = vec![item("a", "whole", false), item("0", "", false)];
        assert_eq!(incoming.take(part(1, items), 100).map(|whole| whole.items.len()), Ok(2));
    }
}
