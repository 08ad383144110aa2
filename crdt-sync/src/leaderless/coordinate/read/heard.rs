//! What a read knows of one node.

use alloc::sync::Arc;

use super::{Answer, Digest, Wanted};
use crate::leaderless::coordinate::panel::Seat;

/// What is between the coordinator and one node.
#[derive(Debug, Clone)]
pub(super) struct Heard<T> {
    pub(super) was_asked: bool,
    /// What it owes an answer for.
    pub(super) asked: Option<Wanted>,
    pub(super) known: Option<Known<T>>,
    /// A repair that the reply waits for.
    pub(super) repairing: Option<T>,
}

/// What is known of the state of a node.
#[derive(Debug, Clone)]
pub(super) enum Known<T> {
    Digest(Digest),
    /// The state, which has been united with the others, and its digest.
    Whole(Arc<T>, Digest),
}

impl<T> Default for Heard<T> {
    fn default() -> Self {
        Self { was_asked: false, asked: None, known: None, repairing: None }
    }
}

impl<T: Answer> Heard<T> {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.known, Some(Known::Whole(..)))
    }

    /// The digest of what it holds, as far as is known.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.known {
            Some(Known::Digest(digest) | Known::Whole(_, digest)) => Some(*digest),
            None => None,
        }
    }

    /// Its digest, if that is all that is known.
    pub(super) fn only_digest(&self) -> Option<Digest> {
        self.digest().filter(|_| !self.is_whole())
    }

    /// What it lacks of `union`, if its whole state is known.
    pub(super) fn lacks(&self, union: &T, digest: Digest) -> Option<T> {
        match &self.known {
            Some(Known::Whole(state, theirs)) if *theirs != digest => union.lacking(state),
            _ => None,
        }
    }

    /// Whether it is known to have all of `union`.
    pub(super) fn holds(&self, union: &T, digest: Digest) -> bool {
        self.digest() == Some(digest) || (self.is_whole() && self.lacks(union, digest).is_none())
    }

    /// It has taken in `delta`, or will.
    pub(super) fn takes_in(&mut self, delta: &T) {
        if let Some(Known::Whole(state, digest)) = &mut self.known {
            let state = Arc::make_mut(state);
            state.unite(delta);
            *digest = state.digest();
        }
    }

    /// Nothing is waited for any longer.
    pub(super) fn give_up(&mut self) {
        self.asked = None;
        self.repairing = None;
    }
}

impl<N, T> Seat<N, Heard<T>> {
    /// Whether it owes an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.failed.is_none() && (self.state.asked.is_some() || self.state.repairing.is_some())
    }

    /// Whether it answered with a digest, and may be asked for more.
    pub(super) fn is_askable_for_whole(&self) -> bool {
        self.failed.is_none()
            && self.state.asked.is_none()
            && matches!(self.state.known, Some(Known::Digest(_)))
    }
}
