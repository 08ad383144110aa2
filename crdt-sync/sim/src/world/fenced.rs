//! Nodes that stay apart over a fork that cannot be healed: the operator empties those on one side.

use core::time::Duration;

use crdt_core::ReplicaId;

use super::{Happening, World};
use crate::lineage::Place;

impl World {
    /// Empties the nodes on the smallest side of a fork, so that they catch up with the others. False if all members
    /// hold one history of the identity, or somebody is down, or on each side is a node that makes writes again.
    pub(crate) fn empty_one_side(&mut self, partition: usize, segment: ReplicaId) -> bool {
        let Some(sides) = self.sides_of(partition, segment).filter(|sides| sides.len() > 1) else {
            return false;
        };
        let may_go = |side: &&Vec<usize>| side.iter().all(|number| !self.is_rejoining(*number));
        let Some(side) = sides.iter().filter(may_go).min_by_key(|side| side.len()) else { return false };
        self.note(format_args!("{segment} has two pasts in {partition}, and those of {side:?} are given up"));
        for &number in side {
            self.empty_and_start(number);
        }
        true
    }

    /// Empties the nodes that hold more of a branch than others and do not know what stands where those end, or those
    /// others, whoever are fewer. False if there are none.
    pub(crate) fn empty_unproven(&mut self, partition: usize, segment: ReplicaId) -> bool {
        let held = |number: usize| {
            let status = self.engine(number)?.status();
            let heads = &status.partitions[partition].heads;
            heads.iter().find(|(origin, _)| *origin == segment).map(|(_, head)| (number, head.sequence))
        };
        let held: Vec<(usize, u64)> = self.members().filter_map(held).collect();
        let index = u16::try_from(partition).unwrap_or(u16::MAX);
        let is_below = |(_, lower): (usize, u64), (number, more): (usize, u64)| {
            let engine = self.engine(number);
            lower < more && engine.is_some_and(|engine| !engine.knows_chain_at(index, segment, lower))
        };
        let above: Vec<usize> = held
            .iter()
            .filter(|each| held.iter().any(|other| is_below(*other, **each)))
            .map(|(number, _)| *number)
            .collect();
        let below: Vec<usize> = held
            .iter()
            .filter(|each| held.iter().any(|other| is_below(**each, *other)))
            .map(|(number, _)| *number)
            .collect();
        let may_go = |side: &Vec<usize>| !side.iter().any(|number| self.is_rejoining(*number));
        let sides = [above, below].into_iter().filter(|side| !side.is_empty() && may_go(side));
        let Some(side) = sides.min_by_key(Vec::len) else { return false };
        self.note(format_args!("nobody can compare all of {segment} in {partition}: {side:?} begin anew"));
        for number in side {
            self.empty_and_start(number);
        }
        true
    }

    fn empty_and_start(&mut self, number: usize) {
        self.kill(number);
        self.empty(number);
        self.put(Duration::ZERO, Happening::Start { node: number });
    }

    /// The members that hold something of an identity, those together of which one has all that the other has.
    fn sides_of(&self, partition: usize, segment: ReplicaId) -> Option<Vec<Vec<usize>>> {
        let mut sides: Vec<(Place, Vec<usize>)> = Vec::new();
        for number in self.members() {
            let status = self.engine(number)?.status();
            let heads = &status.partitions[partition].heads;
            let head = heads.iter().find(|(origin, _)| *origin == segment);
            let Some(place) = head.and_then(|(_, head)| self.lineage.find(partition, segment, *head)) else {
                continue;
            };
            let is_same = |(other, _): &&mut (Place, Vec<usize>)| {
                self.lineage.leads_to(place, *other) || self.lineage.leads_to(*other, place)
            };
            match sides.iter_mut().find(is_same) {
                Some((furthest, side)) => {
                    *furthest = if place.sequence > furthest.sequence { place } else { *furthest };
                    side.push(number);
                }
                None => sides.push((place, vec![number])),
            }
        }
        Some(sides.into_iter().map(|(_, side)| side).collect())
    }
}
