//! Every shape for the family and its peers by turns, as a table of medians and ratios.
//!
//! `cargo run --release -p crdt-benches --bin ratios -- [part of a name] [--rounds n] [--million] [--ours]`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a command line program"
)]

use crdt_benches::maps::{CounterMap, count, diverged};
use crdt_benches::paired::{Measure, measure, take_turns};
use crdt_benches::peers::{crdt_kit, crdts, dson};
use crdt_benches::workloads::{
    Acquaintance, DeltaSet, Deltas, Divergence, Merging, MergingCounter, MergingSet, RemovingSet,
    diverged_counters, diverged_sets, forked_sets, grown_sets, shuffled_sets,
};
use crdt_core::{Crdt, DeltaCrdt, GCounter, GSet, Journaled, OrSet, PnCounter, ReplicaId, Writer};

const OURS: &str = "crdt-core";

struct Table {
    filter: String,
    rounds: usize,
    million: bool,
    /// Leave the peers out: for a profiler.
    ours: bool,
}

/// What to call a candidate, and how to set it up; not done before the row is wanted.
type Candidate = (&'static str, Box<dyn FnOnce() -> Measure>);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut table = Table { filter: String::new(), rounds: 7, million: false, ours: false };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--ours" => table.ours = true,
            "--million" => table.million = true,
            "--rounds" => table.rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(table.rounds),
            _ => table.filter = arg,
        }
    }
    println!("| what | candidate | time | ratio |\n|---|---|---:|---:|");
    counters(&table);
    grow_only_sets(&table);
    or_sets(&table);
    or_set_changes(&table);
    or_set_steps(&table);
    maps_of_counters(&table);
}

impl Table {
    fn row(&self, name: &str, candidates: Vec<Candidate>) {
        if !name.contains(&self.filter) {
            return;
        }
        let candidates = candidates.into_iter().filter(|(name, _)| !self.ours || *name == OURS);
        let (names, set_up): (Vec<_>, Vec<_>) = candidates.unzip();
        let mut measures: Vec<Measure> = set_up.into_iter().map(|set_up| set_up()).collect();
        let outcome = take_turns(self.rounds, &mut measures);
        for ((candidate, time), ratio) in names.iter().zip(outcome.medians).zip(outcome.ratios) {
            let ratio = if *candidate == OURS { String::new() } else { format!("{ratio:.1}") };
            println!("| {name} | {candidate} | {} | {ratio} |", readable(time));
        }
    }

    fn lengths(&self) -> &'static [usize] {
        if self.million { &[1_000, 100_000, 1_000_000] } else { &[1_000, 100_000] }
    }
}

fn readable(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.1} ns"),
        ..1e6 => format!("{:.2} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

/// How many inputs of a size may be in memory at a time.
fn copies(len: usize) -> usize {
    (200_000 / len).clamp(1, 4_000)
}

fn merging<M: Merging>(len: usize, sides: impl FnOnce() -> [M; 2] + 'static) -> Box<dyn FnOnce() -> Measure> {
    Box::new(move || {
        let [left, right] = sides();
        measure(
            copies(len),
            move || (left.clone(), right.clone()),
            |(mut left, right)| {
                let rest = left.merge_with(right);
                (left, rest)
            },
        )
    })
}

fn counters(table: &Table) {
    fn candidate<C: MergingCounter>(len: usize, with: Acquaintance) -> Box<dyn FnOnce() -> Measure> {
        merging(len, move || diverged_counters::<C>(len, with))
    }
    for len in [16, 1_000, 10_000] {
        for (with, name) in Acquaintance::ALL {
            table.row(
                &format!("G-counter of {len}, {name}"),
                vec![
                    (OURS, candidate::<GCounter>(len, with)),
                    ("crdts", candidate::<::crdts::GCounter<u128>>(len, with)),
                    ("crdt-kit", candidate::<crdt_kit::GCounter>(len, with)),
                ],
            );
            table.row(
                &format!("PN-counter of {len}, {name}"),
                vec![
                    (OURS, candidate::<PnCounter>(len, with)),
                    ("crdts", candidate::<::crdts::PNCounter<u128>>(len, with)),
                ],
            );
        }
    }
}

fn maps_of_counters(table: &Table) {
    for len in [1_000_u64, 100_000] {
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        let name = format!("map of {len} counters, 1 % counted on either side");
        table.row(&name, vec![(OURS, merging(size, move || diverged(len)))]);
        let name = format!("map of {len} counters, one key counted elsewhere");
        let one_key: Box<dyn FnOnce() -> Measure> = Box::new(move || {
            let [mut map, mut other] = diverged(len);
            // The first delta makes a large map prepare for those that follow.
            let _ = map.merge(&count(&mut other, 2, 8));
            let delta = count(&mut other, 2, 7);
            let merge = move |mut map: CounterMap| {
                let _ = map.merge(&delta);
                map
            };
            measure(copies(size), move || map.clone(), merge)
        });
        table.row(&name, vec![(OURS, one_key)]);
    }
}

fn grow_only_sets(table: &Table) {
    fn candidate<S: MergingSet>(
        len: usize,
        divergence: Divergence,
        sides: fn(usize, Divergence) -> [S; 2],
    ) -> Box<dyn FnOnce() -> Measure> {
        merging(len, move || sides(len, divergence))
    }
    for &len in table.lengths() {
        for (divergence, name) in Divergence::ALL {
            table.row(
                &format!("G-set of {len}, {name}"),
                vec![
                    (OURS, candidate::<GSet<u64>>(len, divergence, grown_sets)),
                    ("crdts", candidate::<::crdts::GSet<u64>>(len, divergence, grown_sets)),
                    ("crdt-kit", candidate::<crdt_kit::GSet>(len, divergence, grown_sets)),
                ],
            );
        }
        for (divergence, name) in Divergence::ALL {
            table.row(
                &format!("G-set of {len}, shuffled, {name}"),
                vec![
                    (OURS, candidate::<GSet<u64>>(len, divergence, shuffled_sets)),
                    ("crdts", candidate::<::crdts::GSet<u64>>(len, divergence, shuffled_sets)),
                ],
            );
        }
        let divergence = Divergence::Slight;
        table.row(
            &format!("G-set of {len}, 1 % changed, in one order before"),
            vec![
                (OURS, candidate::<GSet<u64>>(len, divergence, forked_sets)),
                ("crdts", candidate::<::crdts::GSet<u64>>(len, divergence, forked_sets)),
            ],
        );
        steps::<GSet<u64>, ::crdts::GSet<u64>>(table, "G-set", len);
    }
}

/// One element at a time: into an empty set, and a look at half that are there and half that are not.
fn steps<S: MergingSet, P: MergingSet>(table: &Table, set: &str, len: usize) {
    fn fill<S: MergingSet>(len: usize) -> Box<dyn FnOnce() -> Measure> {
        Box::new(move || {
            let elements = grown_sets::<GSet<u64>>(len, Divergence::None)[0].elements();
            per_element(
                len,
                measure(copies(len), S::default, move |mut set: S| {
                    for element in &elements {
                        set.add(1, *element);
                    }
                    set
                }),
            )
        })
    }
    fn look<S: MergingSet>(len: usize) -> Box<dyn FnOnce() -> Measure> {
        Box::new(move || {
            let [set, _] = grown_sets::<S>(len, Divergence::None);
            // Not in the order in which they lie in memory.
            let mut asked = set.elements();
            asked.sort_by_key(|element| element.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            asked.truncate(1_000);
            let absent: Vec<u64> = asked.iter().map(|element| element ^ 1 << 63).collect();
            per_element(
                asked.len() * 2,
                measure(
                    1_000,
                    || (),
                    move |()| {
                        asked
                            .iter()
                            .zip(&absent)
                            .filter(|(there, absent)| set.has(**there) && !set.has(**absent))
                            .count()
                    },
                ),
            )
        })
    }
    table.row(&format!("{set} of {len}, add each"), vec![(OURS, fill::<S>(len)), ("crdts", fill::<P>(len))]);
    table.row(&format!("{set} of {len}, contains"), vec![(OURS, look::<S>(len)), ("crdts", look::<P>(len))]);
}

fn per_element(elements: usize, mut measure: Measure) -> Measure {
    Box::new(move || measure() / elements as f64)
}

fn or_sets(table: &Table) {
    fn candidate<S: RemovingSet>(len: usize, divergence: Divergence) -> Box<dyn FnOnce() -> Measure> {
        merging(len, move || diverged_sets::<S>(len, divergence))
    }
    for &len in table.lengths() {
        for (divergence, name) in Divergence::ALL {
            let mut candidates = vec![
                (OURS, candidate::<OrSet<u64>>(len, divergence)),
                ("crdts", candidate::<crdts::OrSet>(len, divergence)),
            ];
            if len <= 1_000 {
                candidates.push(("crdt-kit", candidate::<crdt_kit::OrSet>(len, divergence)));
                candidates.push(("dson", candidate::<dson::OrSet>(len, divergence)));
            }
            table.row(&format!("OR-set of {len}, {name}"), candidates);
        }
    }
}

fn or_set_changes(table: &Table) {
    #[derive(Clone, Copy)]
    enum Kind {
        Adds,
        Removals,
    }
    /// All changes one after another, on a fresh copy.
    fn candidate<S: DeltaSet>(len: usize, kind: Kind) -> Box<dyn FnOnce() -> Measure> {
        const CHANGES: usize = 20;
        Box::new(move || {
            let Deltas { set, adds, removals } = Deltas::<S>::new(len, CHANGES);
            let deltas = match kind {
                Kind::Adds => adds,
                Kind::Removals => removals,
            };
            per_element(
                CHANGES,
                measure(
                    copies(len),
                    move || (set.clone(), deltas.clone()),
                    |(mut set, deltas)| {
                        for delta in deltas {
                            set.take_in(delta);
                        }
                        set
                    },
                ),
            )
        })
    }
    for &len in table.lengths() {
        for (kind, name) in [(Kind::Adds, "10 added by delta"), (Kind::Removals, "10 removed by delta")] {
            let mut candidates = vec![
                (OURS, candidate::<OrSet<u64>>(len, kind)),
                ("crdts", candidate::<crdts::OrSet>(len, kind)),
            ];
            if len <= 1_000 {
                candidates.push(("crdt-kit", candidate::<crdt_kit::OrSet>(len, kind)));
                candidates.push(("dson", candidate::<dson::OrSet>(len, kind)));
            }
            table.row(&format!("OR-set of {len}, {name}"), candidates);
        }
    }
}

/// What peers have no counterpart of, and single steps.
fn or_set_steps(table: &Table) {
    for &len in table.lengths() {
        let behind_and_ahead = move || {
            let Deltas { set, adds, .. } = Deltas::<OrSet<u64>>::new(len, 1);
            let mut ahead = set.clone();
            for delta in adds {
                ahead.take_in(delta);
            }
            (set, ahead)
        };
        table.row(
            &format!("OR-set of {len}, digest"),
            vec![(
                OURS,
                Box::new(move || {
                    let (set, _) = behind_and_ahead();
                    measure(1_000, || (), move |()| set.digest())
                }),
            )],
        );
        table.row(
            &format!("OR-set of {len}, delta since 10 adds ago"),
            vec![(
                OURS,
                Box::new(move || {
                    let (behind, ahead) = behind_and_ahead();
                    let digest = behind.digest();
                    measure(1_000, || (), move |()| ahead.delta_since(&digest))
                }),
            )],
        );
        table.row(
            &format!("OR-set of {len}, journal since 10 adds ago"),
            vec![(
                OURS,
                Box::new(move || {
                    let (behind, _) = behind_and_ahead();
                    let mut journal = Journaled::new(behind, 100);
                    let cursor = journal.cursor();
                    let me = Writer::unchecked(ReplicaId::from_u128(1));
                    for element in 0..10 {
                        journal.change(|set| set.add(me, element)).expect("dots are left");
                    }
                    measure(1_000, || (), move |()| journal.since(cursor, None))
                }),
            )],
        );
        table.row(
            &format!("OR-set of {len}, 10 late adds by delta"),
            vec![(OURS, Box::new(move || late(len)))],
        );
        steps::<OrSet<u64>, crdts::OrSet>(table, "OR-set", len);
        table.row(
            &format!("OR-set of {len}, remove"),
            vec![(OURS, removing::<OrSet<u64>>(len)), ("crdts", removing::<crdts::OrSet>(len))],
        );
    }
}

/// Changes from the middle of a history that was otherwise received.
fn late(len: usize) -> Measure {
    const CHANGES: usize = 20;
    let width = Deltas::<OrSet<u64>>::WIDTH;
    let elements = grown_sets::<GSet<u64>>(len, Divergence::None)[0].elements();
    let (mut source, mut target, mut held_back) = (OrSet::default(), OrSet::default(), Vec::new());
    let chunks = len / width;
    for (index, chunk) in elements.chunks(width).enumerate() {
        let delta = source.adding(1, chunk);
        if index % (chunks / CHANGES).max(1) == 0 && held_back.len() < CHANGES {
            held_back.push(delta);
        } else {
            target.take_in(delta);
        }
    }
    let changes = held_back.len();
    per_element(
        changes,
        measure(
            copies(len),
            move || (target.clone(), held_back.clone()),
            |(mut set, deltas)| {
                for delta in deltas {
                    set.take_in(delta);
                }
                set
            },
        ),
    )
}

/// A hundred elements, one after another.
fn removing<S: RemovingSet>(len: usize) -> Box<dyn FnOnce() -> Measure> {
    Box::new(move || {
        let [set, _] = diverged_sets::<S>(len, Divergence::None);
        let elements: Vec<u64> = set.elements().into_iter().step_by(len / 100).take(100).collect();
        let count = elements.len();
        per_element(
            count,
            measure(
                copies(len),
                move || set.clone(),
                move |mut set| {
                    for element in &elements {
                        set.remove(*element);
                    }
                    set
                },
            ),
        )
    })
}
