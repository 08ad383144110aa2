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
