//! Questions about quorums and commit indexes, beside `quorum-set` and `quoracle`.

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};

use crdt_benches::peers::{quoracle, quorum_set};
use crdt_benches::quorums::{Decision, Majority, Pace, Positions, Quorums, Shape};
use quorum::{CommitTally, QuorumSystem};

/// So many that no processor learns the answers by heart.
const QUESTIONS: usize = 512;
const STEPS: usize = 5_000;

fn questions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("is it a quorum");
    group.throughput(Throughput::Elements(QUESTIONS as u64));
    for (shape, name) in Shape::ALL {
        let ours = ask::<QuorumSystem<u64>>(&mut group, "quorum", shape, name);
        assert_eq!(ours, ask::<quorum_set::Rule>(&mut group, "quorum-set", shape, name));
        assert_eq!(ours, ask::<quoracle::System>(&mut group, "quoracle", shape, name));
    }
}

fn ask<Q: Quorums>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    shape: Shape,
    name: &str,
) -> Vec<bool> {
    let rule = Q::build(shape);
    let sets: Vec<Q::Set> = shape.questions(QUESTIONS).iter().map(|nodes| rule.set(nodes)).collect();
    let answers = sets.iter().map(|set| rule.is_quorum(set)).collect();
    group.bench_function(BenchmarkId::new(candidate, name), |bencher| {
        bencher.iter(|| sets.iter().filter(|set| rule.is_quorum(set)).count());
    });
    answers
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("answers until decided");
    for (shape, name) in Shape::ALL {
        let ours = decide(&mut group, "quorum", &QuorumSystem::build(shape), shape, name);
        assert_eq!(ours, decide(&mut group, "quorum-set", &quorum_set::Rule::build(shape), shape, name));
        assert_eq!(ours, decide(&mut group, "quoracle", &quoracle::System::build(shape), shape, name));
        if let Shape::Majority(nodes) = shape {
            let rule = Majority(u32::try_from(nodes).expect("few nodes"));
            assert_eq!(ours, decide(&mut group, "quorum, AckTally", &rule, shape, name));
        }
    }
}

fn decide(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    rule: &impl Decision,
    shape: Shape,
    name: &str,
) -> Vec<Option<usize>> {
    let orders = shape.orders(QUESTIONS);
    let decided: Vec<_> = orders.iter().map(|order| rule.decided_after(order)).collect();
    let answers: usize = decided.iter().flatten().map(|before| before + 1).sum();
    group.throughput(Throughput::Elements(answers as u64));
    group.bench_function(BenchmarkId::new(candidate, name), |bencher| {
        bencher.iter(|| orders.iter().filter_map(|order| rule.decided_after(order)).sum::<usize>());
    });
    decided
}

fn indexes(criterion: &mut Criterion) {
    for (pace, name) in Pace::ALL {
        let mut group = criterion.benchmark_group(format!("commit index, {name}"));
        group.throughput(Throughput::Elements(STEPS as u64));
        for members in [3, 5, 9, 33, 64] {
            let ours = advance::<CommitTally<u64>>(&mut group, "quorum", members, pace);
            let theirs = advance::<quorum_set::Progress>(&mut group, "quorum-set", members, pace);
            assert_eq!(ours, theirs, "{members} members");
        }
    }
}

fn advance<P: Positions>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    candidate: &str,
    members: u64,
    pace: Pace,
) -> Vec<u64> {
    let steps = pace.acknowledgements(members, STEPS);
    let fresh = P::build(members);
    let mut log = fresh.clone();
    let indexes = steps.iter().map(|(node, position)| log.acknowledge(*node, *position)).collect();
    group.bench_function(BenchmarkId::new(candidate, members), |bencher| {
        let advance = |mut log: P| {
            let indexes = steps.iter().map(|(node, position)| log.acknowledge(*node, *position));
            (indexes.fold(0, u64::wrapping_add), log)
        };
        bencher.iter_batched(|| fresh.clone(), advance, BatchSize::SmallInput);
    });
    indexes
}

criterion_group!(benches, questions, decisions, indexes);
criterion_main!(benches);
