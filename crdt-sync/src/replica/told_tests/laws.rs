//! Mutations in any order, twice or never, and repairs of any subset of replicas in between.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use conflict_store::VersionId;
use proptest::prelude::*;

use super::model::{Known, Model};
use super::*;
use crate::replica::unite::{United, unite};
use crate::wire::Removal;
use crdt_core::{Dot, Limits};

const NODES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Write { at: usize, collection: usize, key: u8, action: Action },
    Hear { at: usize, which: prop::sample::Index, twice: bool },
    Repair { among: u8, told: u8, collection: usize, key: u8 },
    Restart { at: usize },
}

fn arb_write() -> impl Strategy<Value = (usize, Action)> {
    prop_oneof![
        2 => (0u8..8).prop_map(|n| (0, Action::Put(vec![n].into()))),
        1 => (0u8..3).prop_map(|n| (0, Action::Insert(vec![n].into()))),
        1 => Just((0, Action::Delete)),
        1 => (0u8..3).prop_map(|n| (0, Action::Resolve(vec![n].into()))),
        3 => (0u8..3).prop_map(|n| (1, Action::Add(vec![n].into()))),
        3 => (0u8..3).prop_map(|n| (1, Action::Remove(vec![n].into()))),
        1 => (1u64..5).prop_map(|n| (2, Action::Increment(n))),
        1 => (1u64..5).prop_map(|n| (2, Action::Decrement(n))),
        1 => (0u8..4).prop_map(|n| (3, Action::Set(Some(vec![n].into())))),
        1 => Just((3, Action::Set(None))),
    ]
}

fn arb_step() -> impl Strategy<Value = Step> {
    let at = || 0..NODES;
    let write = (at(), arb_write(), 0u8..2);
    let write = write.prop_map(|(at, (collection, action), key)| Step::Write { at, collection, key, action });
    let hear = (at(), any::<prop::sample::Index>(), any::<bool>());
    let hear = hear.prop_map(|(at, which, twice)| Step::Hear { at, which, twice });
    let repair = (0u8..8, 0u8..8, 0..4usize, 0u8..2);
    let repair =
        repair.prop_map(|(among, told, collection, key)| Step::Repair { among, told, collection, key });
    prop_oneof![6 => write, 8 => hear, 2 => repair, 1 => at().prop_map(|at| Step::Restart { at })]
}

/// What was told of a write, and the dots of the element that were dead to whoever removed it.
struct Told {
    state: MergedState,
    removal: Option<Removal>,
    dead: BTreeSet<Dot>,
}

/// Replicas, what they should hold, and all that was ever told with what it should teach.
struct World {
    nodes: Vec<(Logged, Model)>,
    told: Vec<(Told, Known)>,
    /// Old versions are kept, so that the model knows what documents show.
    remembers: bool,
}

impl World {
    fn new(max_revisions: usize) -> Self {
        let node = |number| {
            let mut config = config(number);
            config.limits.max_revisions = max_revisions;
            (Logged::of(config), Model::new())
        };
        Self { nodes: (1..=3).map(node).collect(), told: Vec::new(), remembers: max_revisions > 100 }
    }

    fn write(&mut self, at: usize, write: &Write) {
        let (node, model) = &mut self.nodes[at];
        let item = ItemKey { collection: write.collection, key: write.key.clone() };
        let number = node.replica.partition_of(item.collection, &item.key);
        let before = versions(node.cell(&item));
        let known = model.entry(item.clone()).or_default();
        let head = |node: &Logged| node.replica.partition(number).histories.head(node.replica.id).sequence;
        let written = head(node);
        let Some((told, removal)) = node.tell_all(write) else { return };
        let sequence = head(node);
        let mut news = Known::default();
        let (id, issued) = (node.replica.id, node.replica.stamps().0);
        let own = Dot::new(id, sequence);
        match &write.action {
            Action::Add(element) => {
                news.covered.extend(known.dots_of(element));
                news.added.insert(own.unwrap(), element.clone());
            }
            Action::Remove(element) => {
                news.covered.extend(known.dots_of(element));
                let named = told.removed.iter().copied();
                news.covered.extend(named.filter(|dot| known.covered.contains(dot)));
                let of_another = |dot: &Dot| known.added.get(dot).is_some_and(|other| other != element);
                assert!(!told.removed.iter().any(of_another), "what took that away is not told");
            }
            Action::Increment(n) => {
                let (up, down) = known.totals.get(&id).copied().unwrap_or_default();
                news.totals.insert(id, (up + n, down));
            }
            Action::Decrement(n) => {
                let (up, down) = known.totals.get(&id).copied().unwrap_or_default();
                news.totals.insert(id, (up, down + n));
            }
            Action::Set(value) => {
                news.values.insert((issued, id), value.clone());
            }
            _ => {
                let after = versions(node.cell(&item));
                if after.iter().any(|version| !before.contains(version)) {
                    // With the places of those they were written on.
                    let told = Cell::decode(Kind::Document, &item.key, &told.state, &Limits::DEFAULT);
                    news.versions = versions(told.ok()).into_iter().collect();
                }
            }
        }
        known.learn(&news);
        let names_itself = told.removed.iter().any(|dot| Some(*dot) == own);
        if !(names_itself && sequence > written) && news.added.is_empty() {
            // Nothing was removed, perhaps because an earlier removal has done it; what is told is what is held.
            news = Known { added: known.live(), covered: news.covered, ..known.clone() };
        }
        let is_of_it = |dot: &&Dot| {
            removal.as_ref().is_some_and(|removal| known.added.get(*dot) == Some(&removal.element))
        };
        let dead = known.covered.iter().filter(is_of_it).copied().collect();
        self.told.push((Told { state: told, removal, dead }, news));
    }

    fn hear(&mut self, at: usize, which: usize, twice: bool) {
        let ((node, model), (Told { state: told, removal, dead }, news)) =
            (&mut self.nodes[at], &self.told[which]);
        let whole = removal.as_ref().map(|removal| node.hear_removal(told, removal));
        let told = whole.as_ref().unwrap_or(told);
        node.hear(told).unwrap();
        let item = ItemKey { collection: told.collection, key: told.key.clone() };
        let known = model.entry(item).or_default();
        if let Some(removal) = removal {
            let found = told.removed.iter().copied().filter(|dot| removal.before.contains(*dot));
            known.covered.extend(found);
            if node.replica.has_seen_all(told.partition, &removal.before) {
                let context = &node.replica.partition(told.partition).context;
                assert!(dead.iter().all(|dot| context.contains(*dot)), "it vouches for what it has not seen");
            }
        }
        known.learn(news);
        if twice && (self.remembers || told.collection != collections()[0].id()) {
            assert_eq!(node.hear(told), Ok(0), "what is known leaves no record");
        }
    }

    /// Unites what some replicas hold, and tells some of them what they lack.
    fn repair(&mut self, among: u8, told: u8, collection: usize, key: u8) -> United {
        let item = ItemKey { collection: collections()[collection].id(), key: vec![key].into() };
        let among: Vec<_> = (0..NODES).filter(|at| among & 1 << at != 0).collect();
        let states: Vec<_> =
            among.iter().map(|at| self.nodes[*at].0.replica.whole_state(&item).unwrap()).collect();
        let number = self.nodes[0].0.replica.partition_of(item.collection, &item.key);
        let united = unite(number, &item, kind(collection), &states, &crdt_core::Limits::DEFAULT).unwrap();
        let models = among.iter().map(|at| self.nodes[*at].1.get(&item).cloned().unwrap_or_default());
        let learned = Known::united(&models.collect::<Vec<_>>());
        if self.remembers || collection != 0 {
            let cell = Some(&united.cell).filter(|cell| !cell.is_vacant());
            assert!(learned.is_shown_by(cell), "{learned:?}\n{cell:?}");
        }
        for (at, lack) in among.iter().zip(&united.lacks) {
            let (node, model) = &mut self.nodes[*at];
            if told & 1 << at != 0 {
                if let Some(lack) = lack {
                    assert!(node.hear(lack).unwrap() > 0, "whoever lacks something learns something");
                }
                model.entry(item.clone()).or_default().learn(&learned);
            }
        }
        united
    }

    fn check(&self) {
        for (node, model) in &self.nodes {
            for (item, known) in model {
                if self.remembers || item.collection != collections()[0].id() {
                    let cell = node.cell(item);
                    assert!(known.is_shown_by(cell.as_ref()), "{item:?}\n{known:?}\n{cell:?}");
                }
            }
        }
    }

    /// Repairs everything; afterwards all hold the same, and nobody lacks anything.
    fn converge(&mut self) {
        for (collection, key) in (0..4).flat_map(|collection| [(collection, 0), (collection, 1)]) {
            self.repair(7, 7, collection, key);
            let again = self.repair(7, 7, collection, key);
            assert_eq!(again.lacks, vec![None; NODES]);
            let item = ItemKey { collection: collections()[collection].id(), key: vec![key].into() };
            let digests = self.nodes.iter().map(|(node, _)| node.replica.read_state(&item).unwrap().digest);
            assert_eq!(digests.collect::<BTreeSet<_>>().len(), 1);
        }
    }
}

fn versions(cell: Option<Cell>) -> Vec<(VersionId, Vec<VersionId>)> {
    let Some(Cell::Document(document)) = cell else { return Vec::new() };
    document.versions().map(|version| (*version.id(), version.parents().to_vec())).collect()
}

proptest! {
    #[test]
    fn replicas_hold_what_they_were_told_in_any_order_and_agree_when_repaired(
        steps in prop::collection::vec(arb_step(), 1..60),
        max_revisions in prop_oneof![Just(2usize), Just(1_000)],
    ) {
        let mut world = World::new(max_revisions);
        for step in steps {
            match step {
                Step::Write { at, collection, key, action } => {
                    let collection = collections()[collection].id();
                    world.write(at, &Write { collection, key: vec![key].into(), action });
                }
                Step::Hear { at, which, twice } if !world.told.is_empty() => {
                    world.hear(at, which.index(world.told.len()), twice);
                }
                Step::Hear { .. } => {}
                Step::Repair { among, told, collection, key } => {
                    world.repair(among, told, collection, key);
                }
                Step::Restart { at } => world.nodes[at].0.restart(),
            }
            world.check();
        }
        for (node, _) in &world.nodes {
            node.assert_log_tells_the_truth();
        }
        world.converge();
        world.check();
        // Everything comes once more, late and backwards: what was removed stays so, and all hold the same again.
        for at in 0..NODES {
            for which in (0..world.told.len()).rev() {
                world.hear(at, which, false);
            }
        }
        world.check();
        world.converge();
    }
}
