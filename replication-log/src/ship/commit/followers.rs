//! Who follows, and what is known of each.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    vec::Vec,
};

use super::{AddError, FollowerError};
use crate::{
    Lsn,
    limits::MAX_FOLLOWERS,
    ship::{Marks, Stage},
};

/// Whether a follower counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It may count, and may be elected.
    Candidate,
    /// It never counts, whatever the policy lists: a node for analytics, a backup, a far region.
    Observer,
}

/// How a follower is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is not.
    Gone,
    /// It is, and still gets what it missed.
    CatchingUp,
    /// It is, and gets each record as it is written.
    Streaming,
}

/// What is known of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Whether it counts.
    pub role: Role,
    /// How it is connected.
    pub link: Link,
    /// What it has acknowledged in this reign.
    pub marks: Marks,
}

impl Follower {
    fn is_live(self) -> bool {
        self.link == Link::Streaming
    }
}

#[derive(Clone, Debug)]
pub(super) struct Followers<N> {
    known: BTreeMap<N, Follower>,
}

impl<N: Ord + Copy> Followers<N> {
    pub(super) const fn new() -> Self {
        Self { known: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, name: N, role: Role) -> Result<(), AddError> {
        let full = self.known.len() >= MAX_FOLLOWERS;
        match self.known.entry(name) {
            Entry::Occupied(_) => Err(AddError::Known),
            Entry::Vacant(_) if full => Err(AddError::TooMany { limit: MAX_FOLLOWERS }),
            Entry::Vacant(place) => {
                place.insert(Follower { role, link: Link::Gone, marks: Marks::default() });
                Ok(())
            }
        }
    }

    pub(super) fn remove(&mut self, name: N) -> Option<Follower> {
        self.known.remove(&name)
    }

    pub(super) fn get(&self, name: N) -> Option<Follower> {
        self.known.get(&name).copied()
    }

    pub(super) fn find(&mut self, name: N) -> Result<&mut Follower, FollowerError> {
        self.known.get_mut(&name).ok_or(FollowerError::Unknown)
    }

    pub(super) fn find_connected(&mut self, name: N) -> Result<&mut Follower, FollowerError> {
        match self.find(name)? {
            Follower { link: Link::Gone, .. } => Err(FollowerError::NotConnected),
            follower => Ok(follower),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (N, Follower)> + '_ {
        self.known.iter().map(|(name, follower)| (*name, *follower))
    }

    /// Those who may count, in order of their names, each with whether it is there and has caught up.
    pub(super) fn candidates(&self) -> Vec<(N, bool)> {
        let candidates = self.iter().filter(|(_, follower)| follower.role == Role::Candidate);
        candidates.map(|(name, follower)| (name, follower.is_live())).collect()
    }

    pub(super) fn is_live(&self, name: N) -> bool {
        self.get(name).is_some_and(Follower::is_live)
    }

    pub(super) fn at(&self, name: N, stage: Stage) -> u64 {
        self.get(name).map_or(0, |follower| follower.marks.at(stage).get())
    }

    pub(super) fn forget_marks(&mut self) {
        for follower in self.known.values_mut() {
            (follower.link, follower.marks) = (Link::Gone, Marks::default());
        }
    }

    pub(super) fn cut(&mut self, to: Lsn) {
        for follower in self.known.values_mut() {
            follower.marks.cut(to);
        }
    }
}

/// What is certain of a follower that is gone: what it held in memory may be lost, what is on its disk is a fact.
pub(super) fn left_behind(marks: &Marks) -> Marks {
    let flushed = marks.at(Stage::Flushed);
    let mut left = Marks::default();
    left.raise(Stage::Flushed, flushed);
    left.raise(Stage::Applied, marks.at(Stage::Applied));
    left
}
