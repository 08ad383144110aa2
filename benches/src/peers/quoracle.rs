//! `quoracle` 2.1. Its sets are hash sets.

use std::time::Duration;

use quoracle::hashbrown::HashSet;
use quoracle::{And, Distribution, Expr, Node, Objective, Or, QuorumSystem, StrategyLimits, majority};

use crate::planning::{Layout, Metric, Planning, capacity, latency};
use crate::quorums::{Decision, Quorums, Shape};

/// Reads as the shape says, writes that meet them.
pub struct System(QuorumSystem<u64>);

impl Quorums for System {
    type Set = HashSet<u64>;

    fn build(shape: Shape) -> Self {
        let nodes = |nodes: Vec<u64>| -> Vec<_> {
            nodes.into_iter().map(|node| Expr::Node(Node::new(node))).collect()
        };
        let most = |parts| majority(parts).expect("no shape is empty");
        let all = |parts| Expr::And(And::new(parts).expect("no shape is empty"));
        let groups = shape.groups().into_iter().map(nodes);
        let reads = match shape {
            Shape::Majority(count) => most(nodes((0..count).collect())),
            Shape::Grid => Expr::Or(Or::new(groups.map(all).collect()).expect("no shape is empty")),
            Shape::Hierarchy => most(groups.map(most).collect()),
            Shape::Joint(_) => all(groups.map(most).collect()),
        };
        Self(QuorumSystem::from_reads(reads))
    }

    fn set(&self, nodes: &[u64]) -> HashSet<u64> {
        nodes.iter().copied().collect()
    }

    fn is_quorum(&self, set: &HashSet<u64>) -> bool {
        self.0.is_read_quorum(set)
    }

    fn meets_itself(&self) -> bool {
        QuorumSystem::new(self.0.reads().clone(), self.0.reads().clone()).is_ok()
    }
}

impl Decision for System {
    fn decided_after(&self, answers: &[u64]) -> Option<usize> {
        let mut acknowledged = HashSet::with_capacity(answers.len());
        answers.iter().position(|node| {
            acknowledged.insert(*node);
            self.0.is_read_quorum(&acknowledged)
        })
    }
}

impl Planning for System {
    fn lay_out(layout: Layout) -> Self {
        let node = |node: u64| {
            let able = Node::new(node).with_capacity(f64::from(capacity(node))).expect("a sound node");
            Expr::Node(able.with_latency(Duration::from_secs(u64::from(latency(node)))))
        };
        let mut rows = layout.rows().into_iter().map(|row| row.into_iter().map(node).collect::<Vec<_>>());
        let reads = match layout {
            Layout::Majority(_) => majority(rows.next().unwrap_or_default()).expect("no layout is empty"),
            Layout::Grid(_) => {
                let rows = rows.map(|row| Expr::And(And::new(row).expect("a row")));
                Expr::Or(Or::new(rows.collect()).expect("no layout is empty"))
            }
        };
        Self(QuorumSystem::from_reads(reads))
    }

    fn least(&self, metric: Metric, reads: f64) -> f64 {
        let objective = match metric {
            Metric::Load => Objective::Load,
            Metric::Network => Objective::Network,
            Metric::Latency => Objective::Latency,
        };
        let reads = Distribution::fixed(reads).expect("a share");
        let (reads, limits) = (Some(&reads), StrategyLimits::default());
        let strategy = self.0.strategy(objective, reads, None, &limits, 0).expect("there is one");
        match metric {
            Metric::Load => strategy.load(reads, None),
            Metric::Network => strategy.network_load(reads, None),
            Metric::Latency => strategy.latency(reads, None).map(|time| time.as_secs_f64()),
        }
        .expect("a value")
    }

    fn survived(&self) -> usize {
        self.0.resilience()
    }

    fn listed(&self) -> usize {
        self.0.read_quorums().count()
    }
}
