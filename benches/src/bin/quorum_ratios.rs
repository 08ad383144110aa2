//! Every question about quorums for the family and its peers by turns, as a table of medians and ratios.
//!
//! `cargo run --release -p crdt-benches --bin quorum_ratios -- [part of a name] [--rounds n] [--ours]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command line program")]

use std::hint::black_box;

use crdt_benches::paired::{Measure, measure, take_turns};
use crdt_benches::peers::{quoracle, quorum_set};
use crdt_benches::planning::{Layout, Metric, Planning, availability_by_looking};
use crdt_benches::quorums::{ByPlace, Decision, Majority, Pace, Positions, Quorums, Shape};
use quorum::{CommitTally, Probability, QuorumSystem};

const OURS: &str = "quorum";
const PEERS: [&str; 2] = ["quorum-set", "quoracle"];
/// So many that no processor learns the answers by heart.
const QUESTIONS: usize = 512;
const STEPS: usize = 5_000;

struct Table {
    filter: String,
    rounds: usize,
    /// Leave the peers out: for a profiler.
    ours: bool,
}

fn main() {
    let mut table = Table { filter: String::new(), rounds: 51, ours: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--ours" => table.ours = true,
            "--rounds" => table.rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(table.rounds),
            _ => table.filter = arg,
        }
    }
    println!("| what | candidate | each | ratio |\n|---|---|---:|---:|");
    for (shape, name) in Shape::ALL {
        table.row(
            &format!("{name}, is it a quorum"),
            vec![
                (OURS, asked::<QuorumSystem<u64>>(shape)),
                ("quorum-set", asked::<quorum_set::Rule>(shape)),
                ("quoracle", asked::<quoracle::System>(shape)),
            ],
        );
        table.row(
            &format!("{name}, from a list of nodes"),
            vec![
                (OURS, named::<QuorumSystem<u64>>(shape)),
                ("quorum-set", named_to_quorum_set(shape)),
                ("quoracle", named::<quoracle::System>(shape)),
            ],
        );
        let mut candidates = vec![
            (OURS, decided(QuorumSystem::build(shape), shape)),
            ("quorum-set", decided(quorum_set::Rule::build(shape), shape)),
            ("quoracle", decided(quoracle::System::build(shape), shape)),
        ];
        if let Shape::Majority(nodes) = shape
            && let Ok(nodes) = u32::try_from(nodes)
        {
            candidates.insert(1, ("quorum, AckTally", decided(Majority(nodes), shape)));
        }
        if !matches!(shape, Shape::Joint(_)) {
            candidates.insert(1, ("quorum, by place", decided(ByPlace(QuorumSystem::build(shape)), shape)));
        }
        table.row(&format!("{name}, an answer until decided"), candidates);
    }
    for (pace, name) in Pace::ALL {
        for members in [3, 5, 9, 33, 64] {
            table.row(
                &format!("commit index of {members}, {name}"),
                vec![
                    (OURS, advanced::<CommitTally<u64>>(pace, members)),
                    ("quorum-set", advanced::<quorum_set::Progress>(pace, members)),
                ],
            );
        }
    }
    for (shape, name) in Shape::ALL {
        // Two of the peers try every set of nodes.
        if shape.nodes().len() <= 14 {
            table.row(
                &format!("{name}, do all quorums meet"),
                vec![
                    (OURS, met::<QuorumSystem<u64>>(shape)),
                    ("quorum-set", met::<quorum_set::Rule>(shape)),
                    ("quoracle", met::<quoracle::System>(shape)),
                ],
            );
        }
    }
    table.plans();
}

impl Table {
    fn plans(&self) {
        for (layout, name) in Layout::LISTED {
            for (metric, least) in [(Metric::Load, "least load"), (Metric::Latency, "least latency")] {
                self.row(
                    &format!("{name}, {least}"),
                    vec![
                        (OURS, planned::<QuorumSystem<u64>>(layout, metric)),
                        ("quoracle", planned::<quoracle::System>(layout, metric)),
                    ],
                );
            }
            self.row(
                &format!("{name}, all minimal read quorums"),
                vec![
                    (OURS, of::<QuorumSystem<u64>>(layout, Planning::listed)),
                    ("quoracle", of::<quoracle::System>(layout, Planning::listed)),
                ],
            );
            self.row(
                &format!("{name}, failures survived"),
                vec![
                    (OURS, of::<QuorumSystem<u64>>(layout, Planning::survived)),
                    ("quoracle", of::<quoracle::System>(layout, Planning::survived)),
                ],
            );
        }
        for (layout, name, nodes) in [
            (Layout::Majority(9), "majority of 9", 9),
            (Layout::Majority(13), "majority of 13", 13),
            (Layout::Grid(3), "grid of 3 x 3", 9),
            (Layout::Grid(4), "grid of 4 x 4", 16),
        ] {
            self.row(
                &format!("{name}, availability of reads and writes"),
                vec![(OURS, available(layout)), ("every set of nodes", available_by_looking(layout, nodes))],
            );
        }
        for (layout, name) in Layout::LARGE {
            self.row(&format!("{name}, availability of reads and writes"), vec![(OURS, available(layout))]);
            let ours = planned::<QuorumSystem<u64>>(layout, Metric::Load);
            self.row(&format!("{name}, least load"), vec![(OURS, ours)]);
        }
    }

    fn row(&self, name: &str, candidates: Vec<(&'static str, Measure)>) {
        if !name.contains(&self.filter) {
            return;
        }
        let candidates = candidates.into_iter().filter(|(name, _)| !self.ours || !PEERS.contains(name));
        let (names, mut measures): (Vec<_>, Vec<_>) = candidates.unzip();
        let outcome = take_turns(self.rounds, &mut measures);
        for ((candidate, time), ratio) in names.iter().zip(outcome.medians).zip(outcome.ratios) {
            let ratio = if *candidate == OURS { String::new() } else { format!("{ratio:.1}") };
            println!("| {name} | {candidate} | {time:.1} ns | {ratio} |");
        }
    }
}

/// Per question, of sets that are there already.
fn asked<Q: Quorums>(shape: Shape) -> Measure {
    let rule = Q::build(shape);
    let sets: Vec<Q::Set> = shape.questions(QUESTIONS).iter().map(|nodes| rule.set(nodes)).collect();
    let ask = move |()| black_box(&sets).iter().filter(|set| rule.is_quorum(set)).count();
    per(QUESTIONS, measure(50, || (), ask))
}

/// Per question, of nodes that have to be made a set first.
fn named<Q: Quorums>(shape: Shape) -> Measure {
    let rule = Q::build(shape);
    let questions = shape.questions(QUESTIONS);
    let ask = move |()| black_box(&questions).iter().filter(|nodes| rule.is_quorum(&rule.set(nodes))).count();
    per(QUESTIONS, measure(50, || (), ask))
}

/// It takes a list as it is.
fn named_to_quorum_set(shape: Shape) -> Measure {
    asked::<quorum_set::Rule>(shape)
}

/// Per answer, from the first to the one that decides.
fn decided(rule: impl Decision + 'static, shape: Shape) -> Measure {
    let orders = shape.orders(QUESTIONS);
    let answers = orders.iter().filter_map(|order| rule.decided_after(order)).map(|before| before + 1).sum();
    let decide =
        move |()| black_box(&orders).iter().filter_map(|order| rule.decided_after(order)).sum::<usize>();
    per(answers, measure(50, || (), decide))
}

/// Per acknowledgement.
fn advanced<P: Positions>(pace: Pace, members: u64) -> Measure {
    let steps = pace.acknowledgements(members, STEPS);
    let advance = move |mut log: P| {
        let last = black_box(&steps).iter().map(|(node, position)| log.acknowledge(*node, *position));
        (last.fold(0, u64::wrapping_add), log)
    };
    per(STEPS, measure(50, move || P::build(members), advance))
}

fn met<Q: Quorums>(shape: Shape) -> Measure {
    let rule = Q::build(shape);
    measure(50, || (), move |()| black_box(&rule).meets_itself())
}

/// Per strategy.
fn planned<P: Planning>(layout: Layout, metric: Metric) -> Measure {
    let system = P::lay_out(layout);
    measure(50, || (), move |()| system.least(metric, 0.7))
}

fn available(layout: Layout) -> Measure {
    let system = QuorumSystem::lay_out(layout);
    let failure = Probability::new(0.1).expect("a probability");
    measure(50, || (), move |()| black_box(&system).availability(failure))
}

fn available_by_looking(layout: Layout, nodes: u32) -> Measure {
    let system = QuorumSystem::lay_out(layout);
    let both = move |set| system.is_read_quorum(set) && system.is_write_quorum(set);
    measure(50, || (), move |()| availability_by_looking(nodes, &both))
}

fn of<P: Planning>(layout: Layout, question: fn(&P) -> usize) -> Measure {
    let system = P::lay_out(layout);
    measure(50, || (), move |()| question(black_box(&system)))
}

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn per(steps: usize, mut measure: Measure) -> Measure {
    Box::new(move || measure() / steps as f64)
}
