//! The operator's desk: who is to be retired, who knows of it, and whose device came back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crdt_core::{GCounter, ReplicaId};
use crdt_sync::{
    Action, Bytes, Cell, Engine, ItemKey, Kind, Membership, NodeId, Position, Reply, Request, RequestId,
    Status, Write, WriteError,
};

use super::ends::Ends;
use super::{Due, Simulation};
use crate::checks;
use crate::course::Run;
use crate::lineage::Place;
use crate::violation::Violation;

/// All retirements of a run.
#[derive(Debug, Default)]
pub(super) struct Retirements {
    /// By the place of the retired node.
    open: BTreeMap<usize, Retirement>,
    /// Everybody who was retired for certain, and the member that said so, as long as it must know. When it is none any
    /// more, or lost its disk, before it told anybody, the operator sees that the retired one is among the members
    /// again, and asks another.
    retired: BTreeMap<NodeId, Option<usize>>,
    /// What the last looks at the disks of retired nodes showed.
    looks: Vec<Look>,
    ends: Ends,
    /// Why the last command was refused that was.
    refused: Option<WriteError>,
}

#[derive(Debug)]
struct Retirement {
    name: NodeId,
    comes_back: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Some member is to be asked.
    Decided,
    /// A member was asked.
    Asked { at: usize, request: RequestId },
    /// It is retired, and may not know it.
    Retired,
    /// A new node took its place, and waits until the members are in touch.
    CameBack { old: Box<Engine> },
    /// The new node has made the writes of the old one again.
    Replayed { old: Box<Engine>, request: RequestId },
    /// Nothing is left to be done.
    Done,
}

/// What a retired node says that nobody else may have.
#[derive(Debug, Default)]
struct Look {
    entries: BTreeSet<(usize, ReplicaId, u64)>,
    forgotten: Vec<(usize, ReplicaId, RangeInclusive<u64>)>,
}

impl Look {
    fn at(old: &Engine) -> Self {
        let unacknowledged = old.unacknowledged();
        // What lies on a branch is looked for under the identity under which it was written.
        let roots: BTreeMap<ReplicaId, ReplicaId> = old.branches().into_iter().collect();
        let root_of = |origin| roots.get(&origin).copied().unwrap_or(origin);
        let entries = unacknowledged.entries.iter();
        let forgotten = unacknowledged.forgotten.into_iter();
        Self {
            entries: entries
                .map(|unseen| (unseen.partition.into(), root_of(unseen.origin), unseen.sequence))
                .collect(),
            forgotten: forgotten
                .map(|forgotten| (forgotten.partition.into(), root_of(forgotten.origin), forgotten.sequences))
                .collect(),
        }
    }

    fn has(&self, partition: usize, origin: ReplicaId, sequence: u64) -> bool {
        let is_forgotten = |(number, forgotten, sequences): &(usize, ReplicaId, RangeInclusive<u64>)| {
            (*number, *forgotten) == (partition, origin) && sequences.contains(&sequence)
        };
        self.entries.contains(&(partition, origin, sequence)) || self.forgotten.iter().any(is_forgotten)
    }
}

impl Retirements {
    /// A node lost its disk, and what it said of members with it.
    pub(super) fn lose_disk(&mut self, node: usize) {
        self.retired.values_mut().for_each(|witness| *witness = witness.filter(|at| *at != node));
        self.ends.forget(node);
    }

    /// A command was refused.
    pub(super) fn note_refusal(&mut self, error: WriteError) {
        self.refused = Some(error);
    }
}

impl Simulation<'_> {
    /// A node is to be retired, if it can be.
    pub(super) fn begin_retirement(&mut self, node: usize, comes_back: bool) {
        let begun = self.retirements.open.len();
        if begun < self.course.plan.most_retired
            && !self.retirements.open.contains_key(&node)
            && self.are_others_over()
            && self.course.world.may_retire(node)
            && self.is_held_elsewhere(node)
        {
            self.course.world.condemn(node);
            let name = self.course.world.name_of(node);
            self.retirements.open.insert(node, Retirement { name, comes_back, stage: Stage::Decided });
        }
    }

    /// Whether everybody who was to be retired knows it, so that nothing more of them spreads.
    fn are_others_over(&self) -> bool {
        let mut open = self.retirements.open.values();
        open.all(|each| !matches!(each.stage, Stage::Decided | Stage::Asked { .. } | Stage::Retired))
    }

    /// Whether of all that nobody has at hand who wrote it, because its node was retired or lost its disk, nothing is
    /// with this node alone. Whoever retires the only one who still has such writes loses them.
    fn is_held_elsewhere(&self, node: usize) -> bool {
        let lineage = self.course.world.lineage();
        let (held, _) = self.course.world.held_by(node);
        let held = lineage.known(&held);
        // A partial replica passes on nothing of others but states.
        let is_other = |member: &usize| *member != node && !self.course.world.is_partial(*member);
        let others: Vec<_> = self.course.world.members().filter(is_other).collect();
        let others: Vec<_> =
            others.into_iter().map(|member| lineage.known(self.course.world.held_by(member).1)).collect();
        self.model.orphans().all(|place| !held.holds(place) || others.iter().any(|other| other.holds(place)))
    }

    /// Moves every retirement on by what can be done just now.
    pub(super) fn tend_retirements(&mut self) -> Result<(), Violation> {
        if self.retirements.open.is_empty() {
            return Ok(());
        }
        self.watch_ends()?;
        self.ask_again()?;
        let nodes: Vec<usize> = self.retirements.open.keys().copied().collect();
        nodes.into_iter().try_for_each(|node| self.tend_retirement(node))
    }

    /// A member answered whether a node is retired.
    pub(super) fn retirement_answered(
        &mut self,
        of: NodeId,
        at: usize,
        request: RequestId,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let is_retired = match reply {
            Reply::MemberRetired => true,
            // It may not have heard of the member yet, or it fails just now: another one is asked.
            Reply::NotRetired(_) | Reply::Overloaded | Reply::Unknown { .. } => false,
            _ => return Err(Violation::AnswerNotDue { node: at, request }),
        };
        let Retirements { open, retired, .. } = &mut self.retirements;
        if is_retired {
            self.course.report.retired += u64::from(retired.insert(of, Some(at)).is_none());
        }
        for retirement in open.values_mut().filter(|retirement| retirement.name == of) {
            if matches!(retirement.stage, Stage::Asked { .. } | Stage::Decided) {
                retirement.stage = if is_retired { Stage::Retired } else { Stage::Decided };
            }
        }
        Ok(())
    }

    /// What a retirement still waits for, if there is one.
    pub(super) fn unfinished_retirement(&self) -> Option<String> {
        let asked_again = self.due.values().any(|due| matches!(due, Due::Retirement { .. }));
        if asked_again || self.forgotten().is_some() {
            return Some("some member is asked again to retire a node".into());
        }
        let open = self.retirements.open.iter();
        let mut open = open.filter(|(_, retirement)| !matches!(retirement.stage, Stage::Done));
        open.next().map(|(node, retirement)| {
            let stage = match retirement.stage {
                Stage::Decided | Stage::Asked { .. } => "nobody has retired it",
                Stage::Retired => "it has not heard of it",
                _ => "its device has not come back",
            };
            format!("node {node} is to be retired, and {stage}")
        })
    }

    /// The members agree: all know who is retired, and nothing that a retired node acknowledged is lost in silence.
    pub(super) fn end_retirements(&mut self) -> Result<(), Violation> {
        if self.retirements.open.is_empty() {
            return Ok(());
        }
        self.watch_ends()?;
        let lineage = self.course.world.lineage();
        let mut engines =
            self.course.world.members().filter_map(|node| Some((node, self.course.world.engine(node)?)));
        let Some((first, engine)) = engines.next() else { return Ok(()) };
        let status = engine.status();
        let mut retired = self.retirements.retired.keys();
        let is_back =
            |name: &&NodeId| status.members.get(**name).is_some() && !status.members.is_retired(**name);
        if let Some(name) = retired.find(is_back) {
            let detail = format!("{name:?} was retired, and the members count it as one of them");
            return Err(Violation::MergedBack { node: first, detail });
        }
        let looks = &self.retirements.looks;
        let is_reported = |look: usize, place: Place| {
            let (partition, origin) = (lineage.partition_of(place), lineage.origin_of(place));
            looks[look].has(partition, origin, place.sequence)
        };
        let ended = self.model.end_retired(&lineage.known(&status.partitions), is_reported);
        ended.map_err(|(node, request)| Violation::NotReported { node, request })
    }

    fn tend_retirement(&mut self, node: usize) -> Result<(), Violation> {
        let Some(mut retirement) = self.retirements.open.remove(&node) else { return Ok(()) };
        let is_another =
            self.course.world.name_of(node) != retirement.name && !self.course.world.is_condemned(node);
        let stage = std::mem::replace(&mut retirement.stage, Stage::Done);
        let comes_back = retirement.comes_back;
        let name = retirement.name;
        self.retirements.open.insert(node, retirement);
        let next = match stage {
            // Its disk rotted, and whoever is there in its place was never retired.
            Stage::Decided | Stage::Asked { .. } | Stage::Retired if is_another => Stage::Done,
            Stage::Decided => self.ask_to_retire(name)?,
            Stage::Asked { at, request } if self.due.contains_key(&(at, request)) => {
                Stage::Asked { at, request }
            }
            Stage::Asked { .. } => Stage::Decided,
            Stage::Retired => self.shut_down(node, comes_back)?,
            Stage::CameBack { old } => self.replay(node, old)?,
            Stage::Replayed { old, request } => self.conclude_replay(node, old, request),
            Stage::Done => Stage::Done,
        };
        if let Some(retirement) = self.retirements.open.get_mut(&node) {
            retirement.stage = next;
        }
        Ok(())
    }

    /// A node of which nobody need know any more that it was retired, and that the members have for one of them.
    fn forgotten(&self) -> Option<NodeId> {
        let lost = self.retirements.retired.iter().filter(|(_, witness)| witness.is_none());
        let is_back = |name: &NodeId| {
            let mut engines = self.course.world.members().filter_map(|node| self.course.world.engine(node));
            engines.any(|engine| {
                let members = engine.status().members;
                members.get(*name).is_some() && !members.is_retired(*name)
            })
        };
        lost.map(|(name, _)| *name).find(is_back)
    }

    /// Has nodes retired again whose retirement may have been lost with the disk of the only one that knew, or with its
    /// own retirement.
    fn ask_again(&mut self) -> Result<(), Violation> {
        let world = &self.course.world;
        for witness in self.retirements.retired.values_mut() {
            *witness = witness.filter(|at| world.is_member(*at));
        }
        let is_asked = self.due.values().any(|due| matches!(due, Due::Retirement { .. }));
        if let Some(name) = self.forgotten().filter(|_| !is_asked) {
            self.ask_to_retire(name)?;
        }
        Ok(())
    }

    fn ask_to_retire(&mut self, name: NodeId) -> Result<Stage, Violation> {
        let members: Vec<usize> =
            self.course.world.members().filter(|member| !self.course.world.is_rejoining(*member)).collect();
        for at in members {
            if let Some(request) = self.course.world.request(at, Request::Retire { node: name })? {
                self.due.insert((at, request), Due::Retirement { of: name });
                return Ok(Stage::Asked { at, request });
            }
        }
        Ok(Stage::Decided)
    }

    fn shut_down(&mut self, node: usize, comes_back: bool) -> Result<Stage, Violation> {
        let Some(old) = self.course.world.shut_down(node)? else { return Ok(Stage::Retired) };
        self.notice()?;
        checks::recovered(&mut self.model, node, &old.status().partitions, self.course.world.lineage())?;
        checks::shows_all(&self.model, node, &old, self.course.world.lineage())?;
        let (status, look) = (old.status(), self.retirements.looks.len());
        let identities = replicas_of(&status.members, &[status.node]).collect();
        let held = self.course.world.lineage().known(&status.partitions);
        self.model.look_last((node, look), comes_back, &identities, &held);
        self.retirements.looks.push(Look::at(&old));
        self.clients.forget(node);
        self.registers.lose_disk(node)?;
        if !comes_back {
            return Ok(Stage::Done);
        }
        self.course.world.found_in_place(node);
        self.retirements.ends.forget(node);
        Ok(Stage::CameBack { old: Box::new(old) })
    }

    /// Makes the writes of a retired node again on the one in its place, once the members are in touch: what one of
    /// them still had to pass on would count twice.
    fn replay(&mut self, node: usize, old: Box<Engine>) -> Result<Stage, Violation> {
        if !self.are_in_touch(node, &old) {
            return Ok(Stage::CameBack { old });
        }
        let Some(fresh) = self.course.world.engine(node) else { return Ok(Stage::CameBack { old }) };
        let failed = |detail: String| Violation::NotExactlyOnce { node, detail };
        let plan = fresh.rejoin(&old).map_err(|error| failed(error.to_string()))?;
        let made_again = plan.writes.len() as u64;
        let mut writes = plan.writes;
        writes.extend(self.note_of(&old));
        self.retirements.refused = None;
        let Some(request) = self.write(node, &writes, None)? else {
            if let Some(error) = self.retirements.refused.take() {
                self.mind_clock(node, &writes, &error);
            }
            return Ok(Stage::CameBack { old });
        };
        self.model.is_made_again_by(request);
        if let Some(fresh) = self.course.world.engine(node) {
            let reported: BTreeSet<ItemKey> = plan.reported.into_iter().map(|(item, _)| item).collect();
            self.model.cannot_be_exact(&reported);
            self.model.cannot_be_exact(&self.ahead_in_part(fresh));
            let (collections, lineage) = (&self.course.plan.setup.collections, self.course.world.lineage());
            checks::taken_over(&old, fresh, &reported, collections, lineage).map_err(failed)?;
        }
        self.course.report.replayed += made_again;
        Ok(Stage::Replayed { old, request })
    }

    fn conclude_replay(&mut self, node: usize, old: Box<Engine>, request: RequestId) -> Stage {
        let Some(fresh) = self.course.world.engine(node) else { return Stage::Replayed { old, request } };
        let notes = self.note_of(&old);
        let is_noted = notes.iter().all(|written| {
            let item = ItemKey { collection: written.collection, key: written.key.clone() };
            fresh.peek(&item).is_some()
        });
        // It went down before the command was durable: neither the writes nor the note are there.
        if !is_noted {
            return Stage::CameBack { old };
        }
        let lineage = self.course.world.lineage();
        let Some(command) = self.model.command(request) else { return Stage::CameBack { old } };
        let has_it = |member: usize| {
            self.course.world.engine(member).is_some_and(|engine| {
                let status = engine.status();
                status.durable == status.appended && command.is_whole(&lineage.known(&status.partitions))
            })
        };
        if !self.course.world.members().all(has_it) {
            return Stage::Replayed { old, request };
        }
        self.course.world.settle_in(node);
        self.course.report.rejoined += 1;
        Stage::Done
    }

    /// That the writes of a retired node were made again, in the same command as the writes.
    fn note_of(&self, old: &Engine) -> Option<Write> {
        let registers = self.course.plan.setup.collections.iter().find(|each| each.kind == Kind::Register)?;
        let key = format!("rejoined/{:?}", old.status().node);
        let action = Action::Set(Some("done".into()));
        Some(Write { collection: registers.id(), key: key.as_str().into(), action })
    }

    /// Whether all members are up, know the same of members, and have the same of the old node; and the new one is in
    /// sync with one of them.
    fn are_in_touch(&self, node: usize, old: &Engine) -> bool {
        let Some(fresh) = self.course.world.engine(node) else { return false };
        let fresh = fresh.status();
        let Status { node: name, members: known_then, .. } = old.status();
        let as_known = [&fresh.members, &known_then].map(|members| members.get(name));
        let origins: BTreeSet<ReplicaId> =
            as_known.into_iter().flatten().flat_map(crdt_sync::Member::replicas).collect();
        // Of its branches, too, where its identity was forked.
        let lineage = self.course.world.lineage();
        let is_old = |origin: ReplicaId| origins.contains(&lineage.root_of(origin));
        let heads = |status: &crdt_sync::Status| -> Vec<Vec<(ReplicaId, Position)>> {
            let of_old = |(origin, _): &&(ReplicaId, Position)| is_old(*origin);
            let partitions = status.partitions.iter();
            partitions.map(|partition| partition.heads.iter().filter(of_old).copied().collect()).collect()
        };
        let ours = heads(&fresh);
        let agrees = |member: usize| {
            let status = self.course.world.engine(member).map(Engine::status);
            status.is_some_and(|status| status.members == fresh.members && heads(&status) == ours)
        };
        // States may have got further than entries, in sessions that were given up.
        let counted = |engine: &Engine| {
            let counters =
                self.course.plan.setup.collections.iter().filter(|each| each.kind == Kind::Counter);
            let keys = counters.flat_map(|each| {
                let keys = old.scan(each.id(), Bytes::default()).map(|(key, _)| key.clone());
                keys.map(|key| ItemKey { collection: each.id(), key })
            });
            let of_old = |item: ItemKey| {
                let Some(Cell::Counter(counter)) = engine.peek(&item) else { return (0, 0) };
                let sum = |side: &GCounter| -> u64 {
                    side.entries().filter(|(id, _)| is_old(*id)).map(|(_, total)| total).sum()
                };
                (sum(counter.increments()), sum(counter.decrements()))
            };
            keys.map(of_old).collect::<Vec<(u64, u64)>>()
        };
        let ours_counted = self.course.world.engine(node).map(counted);
        let agrees =
            |member: usize| agrees(member) && self.course.world.engine(member).map(counted) == ours_counted;
        // A partial replica need only know that it is retired: what it has of it beyond that it cannot pass on.
        let agrees = |member: usize| {
            let status = self.course.world.engine(member).map(Engine::status);
            let is_partial = self.course.world.is_partial(member);
            if is_partial { status.is_some_and(|s| s.members == fresh.members) } else { agrees(member) }
        };
        // Whoever retired it may have been retired before anybody else had heard of the node at all.
        let is_gone = fresh.members.is_retired(name) || fresh.members.get(name).is_none();
        is_gone && fresh.peers.iter().any(|peer| peer.in_sync) && self.course.world.members().all(agrees)
    }

    /// Counters of which a partial replica has other counts: it may have heard more of a retired node than all members
    /// have, and passes on nothing of it but states, whenever it is compared with somebody.
    fn ahead_in_part(&self, fresh: &Engine) -> BTreeSet<ItemKey> {
        let world = &self.course.world;
        let partial = world.members().filter(|member| world.is_partial(*member));
        let counters = self.course.plan.setup.collections.iter().filter(|each| each.kind == Kind::Counter);
        let counters: Vec<_> = counters.map(crdt_sync::Collection::id).collect();
        let held = |engine: &Engine| -> Vec<ItemKey> {
            let of = |id| engine.scan(id, Bytes::default()).map(move |(key, _)| (id, key.clone()));
            let keys = counters.iter().flat_map(|id| of(*id));
            keys.map(|(collection, key)| ItemKey { collection, key }).collect()
        };
        let differs = |engine: &Engine, item: &ItemKey| engine.peek(item) != fresh.peek(item);
        let engines = partial.filter_map(|member| world.engine(member));
        engines
            .flat_map(|engine| held(engine).into_iter().filter(move |item| differs(engine, item)))
            .collect()
    }

    /// Nobody merges more of a retired node than somebody had applied who had not heard of its retirement.
    fn watch_ends(&mut self) -> Result<(), Violation> {
        for (name, witness) in &self.retirements.retired {
            let Some((at, engine)) = witness.and_then(|at| Some((at, self.course.world.engine(at)?))) else {
                continue;
            };
            if !engine.status().members.is_retired(*name) {
                let detail = format!("it answered that {name:?} is retired, and has it for a member");
                return Err(Violation::MergedBack { node: at, detail });
            }
        }
        // First what everybody may hold, and then whether anybody holds more.
        (0..self.course.world.nodes()).for_each(|node| self.heard(node));
        for node in 0..self.course.world.nodes() {
            let Some((status, known)) = self.knowledge_of(node) else { continue };
            if let Some(detail) = self.retirements.ends.overrun(&status.partitions, &known) {
                return Err(Violation::MergedBack { node, detail });
            }
        }
        Ok(())
    }

    /// A node came up, or heard of a retirement, or may have: what it has just now it had before it heard. Between two
    /// operations many things may happen, and what it tells others may have spread when they are over.
    pub(super) fn heard(&mut self, node: usize) {
        if let Some((status, known)) = self.knowledge_of(node) {
            self.retirements.ends.note(node, &status.partitions, &known);
        }
    }

    /// What a member is, and which identities it knows to be those of nodes that were to be retired.
    fn knowledge_of(&self, node: usize) -> Option<(Status, BTreeSet<ReplicaId>)> {
        let open = self.retirements.open.values();
        let names: Vec<NodeId> = open.map(|retirement| retirement.name).collect();
        let status = self.course.world.engine(node).map(Engine::status)?;
        if names.is_empty() || names.contains(&status.node) || status.evicted {
            return None;
        }
        let known = replicas_of(&status.members, &names)
            .filter(|origin| is_retired(&status.members, &names, *origin))
            .collect();
        Some((status, known))
    }
}

fn replicas_of<'m>(members: &'m Membership, names: &'m [NodeId]) -> impl Iterator<Item = ReplicaId> + 'm {
    names.iter().filter_map(|name| members.get(*name)).flat_map(crdt_sync::Member::replicas)
}

fn is_retired(members: &Membership, names: &[NodeId], origin: ReplicaId) -> bool {
    let retired = names.iter().filter(|name| members.is_retired(**name));
    retired.filter_map(|name| members.get(*name)).any(|member| member.replicas().any(|each| each == origin))
}
