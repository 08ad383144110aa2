//! A run in a leaderless world: quorum writes and reads of random clients, then peace, then the reckoning.

mod checks;
mod documents;
mod model;
mod operator;
mod reckoning;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use crdt_sync::leaderless::QuorumReply;
use crdt_sync::leaderless::coordinate::{ReadOptions, Repair, Report as Reached};
use crdt_sync::{Cell, Event, ItemKey, NodeId, Reply, Request, RequestId};

use crate::course::{Course, Run};
use crate::cuts::Cuts;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::violation::Violation;
use crate::world::{Notice, REPLICAS};
use checks::{Broken, View, Wants, is_kept};
use model::{Damaged, Fate, Harm, Model, Tick};
use operator::Undertaking;
pub(crate) use workload::collections;
use workload::{Draft, Operation};

/// A request that waits for its answer.
#[derive(Clone, Debug)]
enum Due {
    Write,
    Read {
        item: ItemKey,
        options: ReadOptions,
        begun: Tick,
        damaged: Damaged,
    },
    /// The operator asked.
    Ring,
}

/// What a read showed after it had repaired a majority.
#[derive(Debug)]
struct Shown {
    at: Tick,
    cell: Cell,
}

pub(crate) struct Simulation<'p> {
    course: Course<'p>,
    model: Model,
    due: BTreeMap<(usize, RequestId), Due>,
    /// What later quorum reads must show, the oldest first.
    shown: BTreeMap<ItemKey, Vec<Shown>>,
    /// The change of the ring that is under way.
    undertaking: Option<Undertaking>,
}

impl<'p> Run<'p> for Simulation<'p> {
    fn course(&self) -> &Course<'p> {
        &self.course
    }

    fn course_mut(&mut self) -> &mut Course<'p> {
        &mut self.course
    }

    fn begin(&mut self, number: u32, dice: &mut Dice) -> Result<(), Violation> {
        let changes = self.course.plan.ring_changes;
        if changes > 0 && dice.chance(changes) && self.begin_ring_change(dice) {
            return Ok(());
        }
        let node = dice.index(self.course.world.nodes());
        let (keys, model) = (self.course.plan.keys, &self.model);
        let operation = Draft { dice, number, keys, model }.operation();
        self.ask(node, operation)
    }

    /// Answers, restarts and what else happened since the last time.
    fn notice(&mut self) -> Result<(), Violation> {
        self.look_for_stamps();
        while let Some(notice) = self.course.world.poll_notice() {
            match notice {
                Notice::Replied { node, id, reply } => self.replied(node, id, reply)?,
                Notice::Said { node, event } => match event {
                    Event::PartitionFilled { covered: true, .. } => self.course.report.filled += 1,
                    Event::PartitionFilled { covered: false, .. } => {
                        self.model.filled_in_part(node);
                        self.shown.clear();
                    }
                    Event::SessionFinished { .. } => self.course.report.sessions += 1,
                    Event::SessionAborted { .. } => self.course.report.aborted_sessions += 1,
                    Event::HintsDelivered { hints, .. } => self.course.report.hints_delivered += hints as u64,
                    _ => {}
                },
                Notice::Down { node } => self.give_up_on(node),
                Notice::Up { .. } => {}
                Notice::Rotted { node, .. } => self.model.damage(node, Harm::Lost),
                Notice::Restored { node, .. } => {
                    self.model.damage(node, Harm::Unnoticed);
                    self.shown.clear();
                }
                Notice::Mended { node } => self.model.mend(node),
            }
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), Violation> {
        self.tend_ring()
    }

    fn disagreement(&self) -> Option<String> {
        self.find_disagreement()
    }

    fn rest(&mut self) -> Result<(), Violation> {
        self.be_regular()
    }

    fn unanswered(&self) -> Option<(usize, RequestId)> {
        self.due.keys().next().copied()
    }

    fn reckon(&mut self) -> Result<(), Violation> {
        self.check_all()
    }

    fn conclude(self) -> Course<'p> {
        self.course
    }
}

impl<'p> Simulation<'p> {
    pub(crate) fn new(seed: u64, plan: &'p Plan, cuts: &'p Cuts) -> Self {
        let course = Course::new(seed, plan, cuts);
        let (model, due, shown) = (Model::default(), BTreeMap::new(), BTreeMap::new());
        Self { course, model, due, shown, undertaking: None }
    }

    fn ask(&mut self, node: usize, operation: Operation) -> Result<(), Violation> {
        let begun = self.model.tick();
        match operation {
            Operation::Read { item, options } => {
                let request = Request::QuorumRead { item: item.clone(), options };
                let damaged = self.model.damaged().clone();
                if let Some(id) = self.course.world.request(node, request)? {
                    self.due.insert((node, id), Due::Read { item, options, begun, damaged });
                }
            }
            Operation::Write { write, options, read_first } => {
                let item = ItemKey { collection: write.collection, key: write.key.clone() };
                let action = write.action.clone();
                let request = Request::QuorumWrite { write, options, read_first };
                if let Some(id) = self.course.world.request(node, request)? {
                    self.model.begin(id, node, (item, action), read_first.is_some(), begun);
                    self.due.insert((node, id), Due::Write);
                }
            }
        }
        self.notice()
    }

    /// Nobody will answer what a node was asked that went down.
    fn give_up_on(&mut self, node: usize) {
        let gone = self.due.keys().filter(|(asked, _)| *asked == node).copied().collect::<Vec<_>>();
        for key in gone {
            match self.due.remove(&key) {
                Some(Due::Write) => self.end_write(key.1, Fate::Unknown),
                Some(Due::Ring) => self.answered_operator(key.0, key.1),
                _ => {}
            }
        }
    }

    fn end_write(&mut self, request: RequestId, fate: Fate) {
        let at = self.model.tick();
        match fate {
            Fate::Nowhere => self.course.report.refused += 1,
            _ => self.course.report.unknown += 1,
        }
        if let Some(known) = self.model.write_mut(request) {
            known.ended = (fate == Fate::Nowhere).then_some(at);
            known.fate = fate;
        }
    }

    fn replied(&mut self, node: usize, request: RequestId, reply: Reply) -> Result<(), Violation> {
        match (self.due.remove(&(node, request)), reply) {
            (Some(Due::Write), Reply::Quorum(QuorumReply::Written { written, report })) => {
                self.course.report.acknowledged += 1;
                let fallbacks = report.fallbacks().iter();
                let fallbacks =
                    fallbacks.filter_map(|(node, owner)| number_of(*node).zip(number_of(*owner))).collect();
                let (primaries, needed) = (primaries_of(&report), report.needed_to_meet());
                self.model.acknowledge(request, primaries, needed, fallbacks, written.versions);
                self.check_report(request)
            }
            (Some(Due::Ring), _) => {
                self.answered_operator(node, request);
                Ok(())
            }
            (Some(Due::Write), reply) => {
                self.end_write(request, fate_of(&reply));
                Ok(())
            }
            (
                Some(Due::Read { item, options, begun, damaged }),
                Reply::Quorum(QuorumReply::Read { cell, report }),
            ) => {
                self.course.report.reads += 1;
                let asked = primaries_of(&report).len();
                self.check_read((node, request), &item, (begun, &damaged), asked, cell.as_ref())?;
                if options.repair == Repair::Before && *self.model.damaged() == damaged {
                    let at = self.model.tick();
                    self.shown.entry(item).or_default().extend(cell.map(|cell| Shown { at, cell }));
                }
                Ok(())
            }
            (Some(Due::Read { .. }), _) => Ok(()),
            (None, _) => Err(Violation::AnswerNotDue { node, request }),
        }
    }

    /// Whoever is said to have a write has it.
    fn check_report(&mut self, request: RequestId) -> Result<(), Violation> {
        let from = self.model.tick();
        let Some(known) = self.model.write(request) else { return Ok(()) };
        let view = View { model: &self.model, item: &known.item, from, wants: Wants::Only(request) };
        for node in known.unharmed() {
            let Some(engine) = self.course.world.engine(node) else { continue };
            // Who gave a partition up meanwhile drops it.
            let owners = engine.preference_list(&known.item).into_iter().take(REPLICAS.into());
            if self.model.was_moved_since(known.begun) && !owners.filter_map(number_of).any(|it| it == node) {
                continue;
            }
            view.check(engine.peek(&known.item)).map_err(|broken| match broken {
                Broken::Missing(_, detail) => Violation::FalseReport { node, request, detail },
                other => of_item(&known.item, other),
            })?;
        }
        Ok(())
    }

    fn check_read(
        &mut self,
        (node, request): (usize, RequestId),
        item: &ItemKey,
        (begun, damaged): (Tick, &Damaged),
        asked: usize,
        cell: Option<&Cell>,
    ) -> Result<(), Violation> {
        let damaged = [damaged, self.model.damaged()];
        let view = View { model: &self.model, item, from: begun, wants: Wants::Primaries { asked, damaged } };
        self.course.report.promised_reads += u64::from(view.owed() > 0);
        view.check(cell).map_err(|broken| match broken {
            Broken::Missing(known, detail) => {
                let detail = format!("request {} of node {}: {detail}", known.request.0, known.node);
                Violation::StaleRead { node, request, detail }
            }
            other => of_item(item, other),
        })?;
        if asked < 2 {
            return Ok(());
        }
        let earlier = self.shown.get(item).into_iter().flatten().filter(|shown| shown.at < begun);
        for shown in earlier {
            is_kept(&shown.cell, cell, &self.model, item).map_err(|detail| Violation::ForgottenSight {
                node,
                request,
                detail,
            })?;
        }
        Ok(())
    }

    /// Whoever carries out a write to a register gives it a stamp, which shows at once.
    fn look_for_stamps(&mut self) {
        let engines: Vec<_> =
            (0..self.course.world.nodes()).filter_map(|node| self.course.world.engine(node)).collect();
        for known in self.model.unstamped() {
            let stamp = engines.iter().find_map(|engine| match engine.peek(&known.item) {
                Some(Cell::Register(register)) if register.get() == known.sets() => register.stamp(),
                _ => None,
            });
            known.stamp = stamp;
        }
    }
}

/// What is known of a write that did not reach its level.
fn fate_of(reply: &Reply) -> Fate {
    match reply {
        Reply::Overloaded
        | Reply::Refused(_)
        | Reply::Quorum(
            QuorumReply::NotBegun(_)
            | QuorumReply::NobodyLive
            | QuorumReply::Options(_)
            | QuorumReply::Refused { .. }
            | QuorumReply::NoRing
            | QuorumReply::NotOnRing { .. },
        ) => Fate::Nowhere,
        _ => Fate::Unknown,
    }
}

fn of_item(item: &ItemKey, broken: Broken) -> Violation {
    let item = item.clone();
    match broken {
        Broken::Resurrected(detail) => Violation::Resurrected { item, detail },
        Broken::Impossible(found) => {
            Violation::WrongOutcome { item, found, expected: "what was written at most".into() }
        }
        Broken::Missing(known, found) => {
            Violation::WrongOutcome { item, found, expected: format!("{:?}", known.action) }
        }
    }
}

fn primaries_of(report: &Reached<NodeId>) -> BTreeSet<usize> {
    report.primaries().iter().filter_map(|node| number_of(*node)).collect()
}

/// The number of a node in the world.
fn number_of(node: NodeId) -> Option<usize> {
    usize::try_from(u128::from_be_bytes(*node.as_bytes())).ok()?.checked_sub(1)
}
