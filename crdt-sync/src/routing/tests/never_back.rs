//! No session goes back without being told, whatever happens in whatever order.
//!
//! Nodes lag, leave, come back with less, lead without knowing that they no longer do; leaders begin with less than was
//! acknowledged and say so or not; what the router hears is late; acknowledgements and answers overtake each other;
//! some nodes compare versions with their logs and some do not.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::model::{Checked, Cluster, NODES};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write { late: bool },
    Read { pattern: ReadPattern, late: bool },
    Arrives(Index),
    Follow { node: usize, records: usize },
    Restart { node: usize, records: usize },
    Reach { node: usize, reachable: bool },
    Observe { node: usize },
    Report(Index),
    Elect { node: usize, told: Told },
    Announce(Index),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Nothing,
    WhoLeads,
    WithWhatItBegan,
}

const PROMISING: [ReadPattern; 4] = [
    ReadPattern::LeaderAfterOwnWrite { window: Duration::MAX },
    ReadPattern::Monotonic,
    ReadPattern::Versioned { waits: true },
    ReadPattern::Versioned { waits: false },
];

fn step() -> impl Strategy<Value = Step> {
    let late = || prop::bool::weighted(0.2);
    let pattern = prop_oneof![
        1 => Just(ReadPattern::Any { at_most: None }),
        6 => prop::sample::select(PROMISING.to_vec()),
    ];
    let told = prop::sample::select([Told::Nothing, Told::WhoLeads, Told::WithWhatItBegan].to_vec());
    prop_oneof![
        6 => late().prop_map(|late| Step::Write { late }),
        8 => (pattern, late()).prop_map(|(pattern, late)| Step::Read { pattern, late }),
        2 => any::<Index>().prop_map(Step::Arrives),
        6 => (0..NODES, 0..4_usize).prop_map(|(node, records)| Step::Follow { node, records }),
        1 => (0..NODES, 1..4_usize).prop_map(|(node, records)| Step::Restart { node, records }),
        2 => (0..NODES, any::<bool>()).prop_map(|(node, reachable)| Step::Reach { node, reachable }),
        3 => (0..NODES).prop_map(|node| Step::Observe { node }),
        3 => any::<Index>().prop_map(Step::Report),
        2 => (0..NODES, told).prop_map(|(node, told)| Step::Elect { node, told }),
        1 => any::<Index>().prop_map(Step::Announce),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_session_goes_back_without_being_told(
        steps in prop::collection::vec(step(), 1..120),
        checks in prop::array::uniform4(any::<bool>()),
    ) {
        let mut run = Run::new(checks);
        for step in &steps {
            run.take(step);
        }
    }
}

struct Run {
    cluster: Cluster,
    router: Router,
    session: Session,
    /// Which nodes look in their logs for what they are asked to have.
    checks: [bool; NODES],
    /// The session's writes of which it was not told that they are lost or in doubt.
    own: BTreeSet<u64>,
    under_way: Vec<UnderWay>,
    reports: Vec<(usize, Version)>,
    announcements: Vec<(usize, Epoch, Version)>,
    /// Whether the router heard with what each leader began.
    knows_lineage: bool,
    clock: u64,
}

#[derive(Clone, Copy)]
enum UnderWay {
    Ack { by: usize, record: u64, answer: Answer },
    Answer { route: Route, answer: Answer },
}

impl Run {
    fn new(checks: [bool; NODES]) -> Self {
        Self {
            cluster: Cluster::new(),
            router: router_of(NODES),
            session: Session::new(7),
            checks,
            own: BTreeSet::new(),
            under_way: Vec::new(),
            reports: Vec::new(),
            announcements: Vec::new(),
            knows_lineage: true,
            clock: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        self.clock += 1;
        match *step {
            Step::Write { late } => self.write(late),
            Step::Read { pattern, late } => self.read(pattern, late),
            Step::Arrives(index) => {
                if !self.under_way.is_empty() {
                    let one = self.under_way.swap_remove(index.index(self.under_way.len()));
                    self.arrives(one);
                }
            }
            Step::Follow { node, records } => self.cluster.follow(node, records),
            Step::Restart { node, records } => self.cluster.restart(node, records),
            Step::Reach { node: number, reachable } => {
                self.router.fleet_mut().set_reachable(node(number), reachable);
            }
            Step::Observe { node } => self.reports.push((node, self.cluster.version(node))),
            Step::Report(index) => {
                if !self.reports.is_empty() {
                    let (by, version) = self.reports.swap_remove(index.index(self.reports.len()));
                    self.router.fleet_mut().heard(node(by), version, at(self.clock));
                }
            }
            Step::Elect { node: number, told } => {
                let (epoch, began) = self.cluster.elect(number);
                if told != Told::Nothing {
                    let began = (told == Told::WithWhatItBegan).then_some(began);
                    self.router.fleet_mut().leads(node(number), epoch, began);
                }
                self.knows_lineage &= told == Told::WithWhatItBegan;
                self.announcements.push((number, epoch, began));
            }
            Step::Announce(index) => {
                if !self.announcements.is_empty() {
                    let (number, epoch, began) = self.announcements[index.index(self.announcements.len())];
                    self.router.fleet_mut().leads(node(number), epoch, Some(began));
                }
            }
        }
    }

    fn write(&mut self, late: bool) {
        let Ok(route) = self.router.route_write(&self.session) else { return };
        let by = number_of(route.node);
        let Some(record) = self.cluster.write(by, route.epoch) else {
            let (leader, epoch) = (self.cluster.led_by(by), self.cluster.version(by).epoch);
            self.router.fleet_mut().redirected(route.node, leader.map(node), epoch);
            return;
        };
        let has = |need: &Version| self.checks[by] && matches!(self.cluster.check(by, *need), Checked::Has);
        let answer = Answer::of(self.cluster.version(by)).vouching(route.at_least.filter(has));
        self.send(UnderWay::Ack { by, record, answer }, late);
    }

    fn read(&mut self, pattern: ReadPattern, late: bool) {
        let route = match self.router.route(&mut self.session, pattern, Audience::Default, at(self.clock)) {
            Ok(route) => route,
            Err(NoRoute::Lost(loss)) => return self.told_of(loss),
            Err(_) => return,
        };
        if matches!(pattern, ReadPattern::LeaderAfterOwnWrite { .. }) {
            let asked: &[u64] = route.at_least.map_or(&[], |need| self.cluster.records(need));
            assert!(self.own.iter().all(|record| asked.contains(record)), "{route:?} forgets an own write");
        }
        let by = number_of(route.node);
        let mut answer = Answer::of(self.cluster.version(by));
        if let Some(need) = route.at_least.filter(|_| self.checks[by]) {
            match self.cluster.check(by, need) {
                Checked::Has => answer = answer.vouching(Some(need)),
                Checked::NotYet => return self.session.unpin(),
                Checked::Lost(loss) => return self.told_of(loss),
            }
        }
        self.send(UnderWay::Answer { route, answer }, late);
    }

    fn send(&mut self, one: UnderWay, late: bool) {
        if late {
            self.under_way.push(one);
        } else {
            self.arrives(one);
        }
    }

    fn arrives(&mut self, one: UnderWay) {
        match one {
            UnderWay::Ack { by, record, answer } => self.acknowledged(by, record, answer),
            UnderWay::Answer { route, answer } => self.answered(&route, answer),
        }
    }

    fn acknowledged(&mut self, by: usize, record: u64, answer: Answer) {
        let before = self.session.version();
        let seen = self.router.acknowledged(&mut self.session, node(by), answer, at(self.clock));
        let rests_on = self.cluster.records(self.session.version().unwrap()).to_vec();
        match seen {
            Seen::Kept => {
                assert!(rests_on.contains(&record));
                self.goes_on_from(before);
                self.own.insert(record);
            }
            Seen::Behind { .. } => panic!("a write is never behind"),
            Seen::Lost(loss) => {
                self.cluster.assert_true(loss);
                self.own.insert(record);
                self.own.retain(|own| rests_on.contains(own));
            }
            Seen::Unsure { needed } => {
                assert!(!self.knows_lineage);
                if needed != answer.version {
                    self.own.insert(record);
                    self.own.retain(|own| rests_on.contains(own));
                }
            }
        }
    }

    fn answered(&mut self, route: &Route, answer: Answer) {
        let before = self.session.version();
        let seen = self.router.answered(&mut self.session, route, answer, at(self.clock));
        match seen {
            Seen::Kept => {
                let promised = match route.pattern {
                    ReadPattern::Any { .. } => None,
                    ReadPattern::LeaderAfterOwnWrite { .. } => route.at_least,
                    ReadPattern::Monotonic | ReadPattern::Versioned { .. } => before,
                };
                assert!(
                    promised.is_none_or(|needed| self.cluster.has(answer.version, needed)),
                    "back in time"
                );
                self.goes_on_from(before);
            }
            Seen::Behind { needed } => {
                assert!(!self.cluster.has(answer.version, needed), "it had all that was needed");
                self.session.unpin();
            }
            Seen::Lost(loss) => self.told_of(loss),
            Seen::Unsure { .. } => assert!(!self.knows_lineage),
        }
    }

    /// What the session rests on now contains what it rested on before.
    fn goes_on_from(&self, before: Option<Version>) {
        let now = self.session.version();
        assert!(before.is_none_or(|before| self.cluster.has(now.unwrap(), before)), "{before:?} -> {now:?}");
    }

    fn told_of(&mut self, loss: Loss) {
        self.cluster.assert_true(loss);
        self.session.accept(loss);
        let left = self.cluster.records(loss.kept);
        self.own.retain(|own| left.contains(own));
    }
}

fn number_of(id: NodeId) -> usize {
    (0..NODES).find(|&number| node(number) == id).unwrap()
}
