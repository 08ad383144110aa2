//! The operator of a world with one leader: has another node lead, as a careful human would, or not.
//!
//! Where commits wait for others, care means: the old leader is cut off from everybody first; the new one is the node
//! that has most, among so many that whatever was committed is with one of them; and the old one comes back when so
//! many have promised the new epoch that it can commit nothing any more. Where commits wait for nobody, or may be lost
//! by the cluster's own choice, half of the changes are made without: any node leads that is up, be it behind, while
//! the old leader goes on.

use core::time::Duration;
use std::collections::BTreeSet;

use crdt_sync::single_leader::Grant;
use crdt_sync::time::Instant;
use crdt_sync::{Request, RequestId};
use replication_log::ship::policy::{Among, Need};
use replication_log::{Epoch, Lsn};

use super::histories::LogPlace;
use super::ring::name_of;
use super::single_leader::FOUNDER;
use super::{Happening, World};
use crate::dice::Dice;
use crate::faults::Fault;
use crate::violation::Violation;

/// Of 1000 changes of leaders where commits may be lost, how many are made with care.
const CAREFUL: u32 = 500;
/// How long the operator waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the operator knows.
#[derive(Debug, Default)]
pub(super) struct Succession {
    /// The last grant that was given out, beside the first.
    granted: u64,
    change: Option<Change>,
    /// Somebody has to lead in place of a node whose disk was lost, or put back.
    is_vacant: bool,
    /// Nodes that do not start before another one leads.
    held: BTreeSet<usize>,
    pub(super) changes: u64,
    pub(super) cuts: u64,
    pub(super) losses: u64,
    pub(super) installed: u64,
}

/// A change of leaders that is under way.
#[derive(Clone, Debug)]
struct Change {
    old: usize,
    is_careful: bool,
    chosen: Option<usize>,
    /// The first epoch that it was given.
    epoch: Epoch,
    asked: Option<(RequestId, u64, Instant)>,
}

impl World {
    /// How often another node came to lead, logs were cut, what was shown was cut off, and snapshots were installed.
    pub(crate) fn succession_counts(&self) -> [u64; 4] {
        let Succession { changes, cuts, losses, installed, .. } = self.shared.succession;
        [changes, cuts, losses, installed]
    }

    pub(super) fn count_installed(&mut self) {
        self.shared.succession.installed += 1;
    }

    /// Whether the operator has something to bring to an end.
    pub(crate) fn awaits_new_leader(&self) -> bool {
        self.shared.succession.change.is_some() || self.shared.succession.is_vacant
    }

    /// Whether a node is one of those between whom the right to lead changes.
    pub(super) fn is_changing(&self, number: usize) -> bool {
        let change = self.shared.succession.change.as_ref();
        change.is_some_and(|change| change.old == number || change.chosen == Some(number))
    }

    /// Who leads under the newest epoch, or did.
    pub(super) fn newest_leader(&self) -> usize {
        self.shared.histories.newest().map_or(FOUNDER, |(_, node)| node)
    }

    /// Whether a node must not start yet.
    pub(super) fn is_held(&self, number: usize) -> bool {
        self.shared.succession.held.contains(&number)
    }

    /// The operator begins to change leaders, if that is possible. The old leader is what the dice say: alone, paused,
    /// dead for a moment, or nothing happens to it.
    pub(crate) fn begin_succession(&mut self, dice: &mut Dice) -> bool {
        if !self.setup.new_leaders || self.shared.succession.change.is_some() {
            return false;
        }
        // Where nobody has led yet the founder may begin to at any time.
        let old = self.shared.histories.newest().map_or(FOUNDER, |(_, node)| node);
        let lacking = (0..self.setup.nodes).filter(|node| self.lacks(*node));
        if !self.can_succeed(&lacking.chain([old]).collect()) {
            return false;
        }
        let is_careful = !self.may_lose_commits() || dice.chance(CAREFUL);
        let fate = dice.below(4);
        self.note(format_args!("{old} is to lead no longer, care is taken: {is_careful}"));
        if is_careful || fate > 1 {
            self.network.cordon(old);
        }
        match fate {
            2 if self.setup.hostility.is_some() => self.inflict(Fault::Paused, old),
            3 if self.setup.hostility.is_some() => self.inflict(Fault::ProcessKilled, old),
            _ => {}
        }
        let change = Change { old, is_careful, chosen: None, epoch: Epoch::ZERO, asked: None };
        self.shared.succession.change = Some(change);
        true
    }

    /// The operator goes on. Returns what was asked of whom, if something was.
    pub(crate) fn tend_succession(&mut self) -> Result<Option<(usize, RequestId)>, Violation> {
        // Where a node leads that was far behind, others may have let go of all that they have in common.
        let is_stranded = |number: &usize| self.nodes[*number].reach.is_stranded && self.may_lose_commits();
        let stranded: Vec<usize> = (0..self.setup.nodes).filter(is_stranded).collect();
        for number in stranded {
            self.give_up_log(number, None)?;
        }
        if self.shared.succession.is_vacant && self.shared.succession.change.is_none() {
            let mut dice = Dice::new(self.time.as_micros());
            self.begin_succession(&mut dice);
        }
        let Some(mut change) = self.shared.succession.change.clone() else { return Ok(None) };
        if change.chosen.is_none() {
            change.chosen = self.choose(&change);
            self.shared.succession.change = Some(change.clone());
        }
        let Some(chosen) = change.chosen else { return Ok(None) };
        if self.leads(chosen)
            && self.nodes[chosen].reach.leads >= Some(change.epoch)
            && change.epoch > Epoch::ZERO
        {
            self.conclude(&change);
            return Ok(None);
        }
        let boot = self.nodes[chosen].boot();
        let is_over =
            |(_, asked, since): (_, u64, Instant)| asked != boot || self.time.since(since) > PATIENCE;
        if !change.asked.is_none_or(is_over) {
            return Ok(None);
        }
        self.ask_to_lead(chosen)
    }

    /// The operator has an answer, and asks again if it is not the one that was wanted.
    pub(crate) fn told_of_succession(&mut self, request: RequestId) {
        if let Some(change) = &mut self.shared.succession.change
            && change.asked.is_some_and(|(asked, ..)| asked == request)
        {
            change.asked = None;
        }
    }

    fn ask_to_lead(&mut self, chosen: usize) -> Result<Option<(usize, RequestId)>, Violation> {
        let granted = self.shared.succession.granted.max(Grant::FIRST.number()) + 1;
        let Some(grant) = Grant::new(granted) else { return Ok(None) };
        let (time, boot) = (self.time, self.nodes[chosen].boot());
        let Some(id) = self.request(chosen, Request::Lead { grant, until: None })? else { return Ok(None) };
        // Nobody else is ever given it, whatever comes of this.
        self.shared.succession.granted = granted;
        if let Some(change) = &mut self.shared.succession.change {
            change.asked = Some((id, boot, time));
            if change.epoch == Epoch::ZERO {
                change.epoch = grant.epoch();
            }
        }
        Ok(Some((chosen, id)))
    }

    /// Whom the operator has lead, once enough can be seen.
    fn choose(&mut self, change: &Change) -> Option<usize> {
        let may_lead = |number: &usize| {
            let node = &self.nodes[*number];
            let is_up = node.engine.is_some() && node.standstill.is_none() && !self.is_held(*number);
            is_up && *number != change.old && self.is_eligible(*number)
        };
        let mut seen: Vec<usize> = (0..self.setup.nodes).filter(may_lead).collect();
        // Not even without care does anybody choose a node that has nothing.
        if !change.is_careful && seen.iter().any(|number| self.nodes[*number].reach.end.lsn > Lsn::ZERO) {
            seen.retain(|number| self.nodes[*number].reach.end.lsn > Lsn::ZERO);
        }
        if !change.is_careful {
            return self.dice.shared.pick(&seen).copied();
        }
        if !self.may_lose_commits() || seen.iter().any(|number| !self.lacks(*number)) {
            seen.retain(|number| !self.lacks(*number));
        }
        let unseen: BTreeSet<usize> = self.counting().filter(|number| !seen.contains(number)).collect();
        if !self.may_lose_commits() && self.may_commit_alone(&unseen) {
            return None;
        }
        let end = |number: &usize| (self.nodes[*number].reach.end, usize::MAX - number);
        seen.into_iter().max_by_key(end)
    }

    /// The chosen one leads: the old one may come back when it can commit nothing any more.
    fn conclude(&mut self, change: &Change) {
        // Before that is durable it may have to be asked again.
        let is_durable = |number: &usize| self.nodes[*number].reach.end.epoch >= change.epoch;
        let Some(chosen) = change.chosen.filter(is_durable) else { return };
        let has_promised = |number: &usize| self.nodes[*number].reach.promised >= change.epoch;
        let unsealed: BTreeSet<usize> = self.counting().filter(|number| !has_promised(number)).collect();
        let is_sealed = self.may_lose_commits() || !self.may_commit_alone(&unsealed);
        let lingers = change.is_careful && self.may_lose_commits() && !self.dice.shared.chance(100);
        if !is_sealed || lingers && self.setup.hostility.is_some() {
            return;
        }
        self.note(format_args!("{chosen} leads, and everybody may know it"));
        self.shared.succession.change = None;
        self.shared.succession.is_vacant = false;
        self.shared.succession.changes += 1;
        self.network.lift_cordons();
        for node in core::mem::take(&mut self.shared.succession.held) {
            self.put(Duration::ZERO, Happening::Start { node });
        }
    }

    /// Who is counted when one of the others leads, or leads.
    pub(super) fn counting(&self) -> impl Iterator<Item = usize> + use<> {
        core::iter::once(FOUNDER).chain(self.setup.candidates())
    }

    /// Whether a node can lead: it is one of those that count, and enough of the others do when it leads.
    fn is_eligible(&self, number: usize) -> bool {
        if !self.counting().any(|node| node == number) || self.left_out_nodes.contains(&number) {
            return false;
        }
        let policy = &self.setup.commits.policy;
        let (listed, needed) = self.setup.counted_by(number);
        let is_named = match policy.of() {
            Among::Everybody => false,
            Among::Listed(names) => names.contains(&name_of(number)),
        };
        policy.need() == Need::Nobody || listed.len() >= needed && !(is_named && policy.need() == Need::All)
    }

    /// Whether these nodes together could commit something of which nobody else knows.
    pub(super) fn may_commit_alone(&self, nodes: &BTreeSet<usize>) -> bool {
        nodes.iter().filter(|node| self.is_eligible(**node)).any(|leader| {
            let (listed, needed) = self.setup.counted_by(*leader);
            listed.iter().filter(|node| nodes.contains(node)).count() >= needed
        })
    }

    /// Whether a node has not got back what it lost.
    fn lacks(&self, number: usize) -> bool {
        let node = &self.nodes[number];
        node.is_rotten || node.reach.lacks.is_some()
    }

    /// Whether the disk of a node may be lost, or a part of it. Where nobody else ever leads the leader's may not. Half
    /// of the nodes have what they had, and so have so many of those that count that nothing is lost which was
    /// committed. And nobody may still lead whose place was taken: a node that forgets what it promised would help it.
    pub(super) fn may_lose(&self, number: usize) -> bool {
        let already: BTreeSet<usize> =
            (0..self.nodes.len()).filter(|other| *other == number || self.lacks(*other)).collect();
        if 2 * already.len() >= self.nodes.len() {
            return false;
        }
        if self.setup.failover.is_some() {
            return self.may_put_out(number);
        }
        if !self.setup.new_leaders {
            return number != FOUNDER;
        }
        let Some((_, newest)) = self.shared.histories.newest() else { return false };
        let claims = |other: &super::node::Node| other.reach.claims;
        let is_old = self.nodes.iter().enumerate().any(|(other, node)| other != newest && claims(node));
        let is_founded = self.nodes[newest].reach.end.lsn > Lsn::ZERO;
        if self.awaits_new_leader() || is_old || !is_founded {
            return false;
        }
        self.can_succeed(&already)
    }

    /// Whether somebody else can lead without these nodes, and with all that is committed.
    fn can_succeed(&self, without: &BTreeSet<usize>) -> bool {
        let may_lead = |node: &usize| self.is_eligible(*node) && !without.contains(node);
        let others: BTreeSet<usize> = self.counting().filter(|node| !may_lead(node)).collect();
        self.counting().any(|node| may_lead(&node))
            && (self.may_lose_commits() || !self.may_commit_alone(&others))
    }

    /// The disk of a node is lost, or replaced by an older one with this end and promise.
    pub(super) fn begin_to_lack(&mut self, number: usize, left: Option<(LogPlace, Epoch)>) {
        let newest = self.shared.histories.newest();
        let led = newest.is_some_and(|(_, leader)| leader == number);
        self.put_out(number);
        let reach = &mut self.nodes[number].reach;
        if reach.end.lsn > Lsn::ZERO && reach.lacks.is_none() {
            reach.lacks = Some(reach.end);
        }
        (reach.end, reach.promised) = left.unwrap_or_default();
        reach.was_damaged = true;
        reach.is_emptied |= left.is_none();
        // Until it is opened nobody knows.
        reach.claims =
            left.is_some_and(|(end, _)| end.lsn > Lsn::ZERO && self.shared.histories.has_led(number));
        if !led || !self.setup.new_leaders {
            return;
        }
        // Where it may lose what was committed it comes back as the leader, now and then, with what is left, if that
        // says that it is.
        let newest = newest.map(|(epoch, _)| Grant::of(epoch));
        let is_of_grant = |epoch: Epoch| Some(Grant::of(epoch)) == newest;
        let leads_on = left.is_some_and(|(end, promised)| is_of_grant(end.epoch) && is_of_grant(promised));
        let waits = !leads_on || !self.may_lose_commits() || self.dice.shared.chance(500);
        self.shared.succession.is_vacant |= waits;
        if waits && left.is_some() {
            self.shared.succession.held.insert(number);
        }
    }

    /// Whether a copy of this node's disk may be put back without it being told: not one under which it would lead.
    pub(super) fn may_be_restored(&self, number: usize, fault: Fault) -> bool {
        fault == Fault::RestoredTold || !self.shared.histories.has_led(number)
    }
}
