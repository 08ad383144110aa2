//! The family's own candidates. They merge by reference, so what was merged in is left whole.

use crdt_core::{Crdt, GCounter, GSet, OrSet, PnCounter, ReplicaId, Writer};
use quorum::{
    AckTally, CommitTally, Expr, NodeProfile, NodeSet, Outcome, Plan, Probability, QuorumSystem,
    ReadFraction, SystemTally, majority,
};

use crate::planning::{Layout, Metric, Planning, capacity, latency};
use crate::quorums::{ByPlace, Decision, Majority, Positions, Quorums, Shape};
use crate::workloads::{DeltaSet, Merging, MergingCounter, MergingSet, RemovingSet};

macro_rules! merging {
    ($($candidate:ty),*) => {$(
        impl Merging for $candidate {
            type Rest = Self;

            fn merge_with(&mut self, other: Self) -> Self {
                let _ = self.merge(&other);
                other
            }
        }
    )*};
}

merging!(GCounter, PnCounter, GSet<u64>, OrSet<u64>);

fn writer(replica: u128) -> Writer<'static> {
    Writer::unchecked(ReplicaId::from_u128(replica))
}

impl MergingCounter for GCounter {
    fn count(&mut self, replica: u128, amount: u64) {
        self.increment(writer(replica), amount).expect("no workload counts that far");
    }

    fn total(&self) -> u128 {
        self.value()
    }
}

/// Counts both ways, so that both are merged.
impl MergingCounter for PnCounter {
    fn count(&mut self, replica: u128, amount: u64) {
        self.increment(writer(replica), amount).expect("no workload counts that far");
        self.decrement(writer(replica), amount / 2).expect("no workload counts that far");
    }

    fn total(&self) -> u128 {
        self.value().try_into().expect("more was counted up than down")
    }
}

impl MergingSet for GSet<u64> {
    fn add(&mut self, _: u128, element: u64) {
        self.insert(element);
    }

    fn has(&self, element: u64) -> bool {
        self.contains(&element)
    }

    fn elements(&self) -> Vec<u64> {
        self.to_sorted().into_iter().copied().collect()
    }
}

impl MergingSet for OrSet<u64> {
    fn add(&mut self, replica: u128, element: u64) {
        Self::add(self, writer(replica), element).expect("no workload uses up the counters");
    }

    fn has(&self, element: u64) -> bool {
        self.contains(&element)
    }

    fn elements(&self) -> Vec<u64> {
        let mut elements: Vec<u64> = self.iter().copied().collect();
        elements.sort_unstable();
        elements
    }
}

impl RemovingSet for OrSet<u64> {
    fn remove(&mut self, element: u64) {
        Self::remove(self, &element);
    }
}

impl DeltaSet for OrSet<u64> {
    type Delta = Self;

    fn adding(&mut self, replica: u128, elements: &[u64]) -> Self {
        let added = self.add_all(writer(replica), elements.iter().copied());
        added.expect("no workload uses up the counters")
    }

    fn removing(&mut self, elements: &[u64]) -> Self {
        let mut group = Self::default();
        for element in elements {
            let _ = group.merge(&Self::remove(self, element));
        }
        group
    }

    fn take_in(&mut self, delta: Self) {
        let _ = self.merge(&delta);
    }
}

impl Quorums for QuorumSystem<u64> {
    type Set = NodeSet;

    fn build(shape: Shape) -> Self {
        let majority = |nodes: Vec<u64>| Expr::majority(nodes).expect("no shape is empty");
        let expr = match shape {
            Shape::Majority(nodes) => Expr::majority(0..nodes),
            Shape::Grid => Expr::any(shape.groups().into_iter().map(|row| Expr::all(row).expect("a row"))),
            Shape::Hierarchy => Expr::majority(shape.groups().into_iter().map(majority)),
            Shape::Joint(_) => Expr::all(shape.groups().into_iter().map(majority)),
        };
        Self::from_reads(expr.expect("no shape is empty")).expect("no shape has more than 128 nodes")
    }

    fn set(&self, nodes: &[u64]) -> NodeSet {
        Self::set(self, nodes)
    }

    fn is_quorum(&self, set: &NodeSet) -> bool {
        self.is_read_quorum(*set)
    }

    fn meets_itself(&self) -> bool {
        Self::new(self.reads().clone(), self.reads().clone()).is_ok()
    }
}

impl Decision for QuorumSystem<u64> {
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        let mut tally = SystemTally::read(self);
        answers.iter().position(|node| tally.ack(node) == Ok(Outcome::Reached))
    }
}

/// For shapes whose nodes are numbered without a gap: each is its own place.
impl Decision for ByPlace<QuorumSystem<u64>> {
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        let mut tally = SystemTally::read(&self.0);
        answers.iter().position(|place| {
            usize::try_from(*place).is_ok_and(|place| tally.ack_at(place) == Ok(Outcome::Reached))
        })
    }
}

impl Decision for Majority {
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        let need = majority(self.0).try_into().expect("a majority is not zero");
        let mut tally = AckTally::new(need, 0..u64::from(self.0));
        answers.iter().position(|node| tally.ack(*node) == Ok(Outcome::Reached))
    }
}

impl Positions for CommitTally<u64> {
    fn build(members: u64) -> Self {
        Self::majority(0..members)
    }

    fn acknowledge(&mut self, node: u64, position: u64) -> u64 {
        let _ = Self::acknowledge(self, node, position);
        self.index()
    }
}

impl Planning for QuorumSystem<u64> {
    fn lay_out(layout: Layout) -> Self {
        let reads = match layout {
            Layout::Majority(nodes) => Expr::majority(0..nodes),
            Layout::Grid(_) => Expr::any(layout.rows().into_iter().map(|row| Expr::all(row).expect("a row"))),
        };
        Self::from_reads(reads.expect("no layout is empty")).expect("no layout has more than 128 nodes")
    }

    fn least(&self, metric: Metric, reads: f64) -> f64 {
        let profile = |node: &u64| {
            let capacity = f64::from(capacity(*node));
            NodeProfile::new(capacity, capacity, f64::from(latency(*node))).expect("a sound node")
        };
        let reads = ReadFraction::always(Probability::new(reads).expect("a share"));
        let plan = Plan::new(self).profiles(profile).read_fraction(reads.clone());
        let strategy = plan.minimise(metric).expect("there is one");
        match metric {
            Metric::Load => strategy.load(&reads),
            Metric::Network => strategy.network_load(&reads),
            Metric::Latency => strategy.latency(&reads),
        }
    }

    fn survived(&self) -> usize {
        self.resilience().expect("nodes stand once")
    }

    fn listed(&self) -> usize {
        self.minimal_read_quorums(100_000).expect("not so many").len()
    }
}
