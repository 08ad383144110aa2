//! All orders of events, for few nodes: what a write reaches depends on who acknowledges and who fails alone.

use std::vec;
use std::vec::Vec;

use quorum::Level;

use super::super::*;
use super::START;
use super::watch::Watched;

/// What a node does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Acknowledge,
    Refuse,
    Nothing,
}

/// Nodes 0 to `n` - 1 are primaries, the others fallbacks in this order.
struct World {
    n: u32,
    options: WriteOptions,
    does: Vec<Does>,
}

impl World {
    fn replicas(&self) -> Replicas<u32> {
        let all = u32::try_from(self.does.len()).unwrap();
        Replicas::new(self.n, 0..self.n).with_fallbacks(self.n..all)
    }

    fn of(&self, node: u32) -> Does {
        self.does[node as usize]
    }

    /// The rule without any machine: every failure asks the next fallback, and then heads are counted.
    fn is_reached(&self) -> bool {
        let mut asked = self.n as usize;
        let failures = |asked: usize| self.does[..asked].iter().filter(|does| **does == Does::Refuse).count();
        let is_sloppy = self.options.fallbacks == Fallbacks::Sloppy;
        while is_sloppy && asked < self.does.len() && failures(asked) > asked - self.n as usize {
            asked += 1;
        }
        let acks = |nodes: &[Does]| nodes.iter().filter(|does| **does == Does::Acknowledge).count();
        let primaries = &self.does[..self.n as usize];
        acks(&self.does[..asked]) >= self.options.level.resolve(self.n).unwrap() as usize
            && acks(primaries) >= self.options.primaries as usize
    }

    /// Lets answers arrive in every order there is, and returns how many there are.
    fn explore(&self, write: &Watched<u32>, arrived: &[u32]) -> usize {
        let open: Vec<u32> = write.asked.iter().map(|(node, _)| *node).collect();
        let open = open.into_iter().filter(|node| !arrived.contains(node) && self.of(*node) != Does::Nothing);
        let mut orders = 0;
        for node in open {
            let mut next = write.clone();
            match self.of(node) {
                Does::Acknowledge => next.acknowledged(node),
                _ => next.refused(node),
            }
            orders += self.explore(&next, &[arrived, &[node]].concat());
        }
        if orders == 0 {
            self.ends_as_it_must(write.clone());
            orders = 1;
        }
        orders
    }

    fn ends_as_it_must(&self, mut write: Watched<u32>) {
        write.tick(START + self.options.timeout);
        assert!(write.over);
        let reached = write.reply.clone().unwrap().is_ok();
        assert_eq!(reached, self.is_reached(), "{:?} {:?} {:?}", self.options, self.does, write.acknowledged);
        assert_eq!(write.hints, write.without_a_copy(&(0..self.n).collect::<Vec<_>>(), None));
    }
}

fn every(nodes: usize, choices: &[Does]) -> Vec<Vec<Does>> {
    (0..nodes).fold(vec![vec![]], |worlds, _| {
        let longer = |world: &Vec<Does>| -> Vec<Vec<Does>> {
            choices.iter().map(|choice| [&world[..], &[*choice]].concat()).collect()
        };
        worlds.iter().flat_map(longer).collect()
    })
}

fn explore_all(n: u32, fallbacks: usize, choices: &[Does]) -> usize {
    let mut orders = 0;
    for does in every(n as usize + fallbacks, choices) {
        for (w, primaries) in (1..=n).flat_map(|w| (0..=n).map(move |primaries| (w, primaries))) {
            for fallbacks in [Fallbacks::Strict, Fallbacks::Sloppy] {
                let level = Level::Count(w.try_into().unwrap());
                let retry = WriteOptions::ONE.timeout * 2; // silence is for the end
                let options = WriteOptions { level, primaries, fallbacks, retry, ..WriteOptions::ONE };
                let world = World { n, options, does: does.clone() };
                orders += world.explore(&Watched::new(world.replicas(), options), &[]);
            }
        }
    }
    orders
}

#[test]
fn in_every_order_of_answers_a_write_of_up_to_three_reaches_the_same() {
    let choices = [Does::Acknowledge, Does::Refuse, Does::Nothing];
    let orders: usize = (1..=3).map(|n| explore_all(n, 2, &choices)).sum();
    assert!(orders > 10_000, "{orders}");
}

#[test]
fn in_every_order_of_answers_a_write_of_four_reaches_the_same() {
    let orders = explore_all(4, 1, &[Does::Acknowledge, Does::Refuse]);
    assert!(orders > 10_000, "{orders}");
}
