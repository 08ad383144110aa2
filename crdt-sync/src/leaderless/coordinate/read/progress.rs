//! What follows from what was heard: whom else to ask, when to reply, whom to repair.

use quorum::{Answer as Counted, Outcome};

use super::super::panel::{Need, Seat};
use super::super::write::Phase;
use super::super::{Answer, Cause, Failure, Fallbacks, Repair, Unmet};
use super::heard::Heard;
use super::{Read, ReadAction, ReadOp, Wanted};

impl<N: Ord + Copy, T: Answer> ReadOp<N, T> {
    /// After every input: all that is to be done now.
    pub(super) fn advance(&mut self) {
        if self.phase == Phase::Deciding {
            self.ask_as_many_as_needed(false);
        }
        if self.phase == Phase::Deciding || self.options.repair != Repair::Never {
            self.ask_for_wholes();
        }
        if self.phase == Phase::Deciding {
            self.decide();
        }
        if self.phase == Phase::Listening {
            self.repair_those_behind();
            if !self.panel.seats.iter().any(Seat::is_awaited) {
                self.end();
            }
        }
    }

    /// Time passed without an outcome: one more is asked, for the state itself if none has come.
    pub(super) fn speculate(&mut self) {
        if self.phase != Phase::Deciding {
            return;
        }
        let knows_where = self.panel.seats.iter().position(Seat::is_askable_for_whole);
        if let Some(place) = knows_where.filter(|_| self.union.is_none()) {
            return self.ask(place, Wanted::Whole);
        }
        let asked = self.actions.len();
        self.extra += 1;
        self.ask_as_many_as_needed(true);
        if self.actions.len() == asked {
            self.extra -= 1;
        }
    }

    pub(super) fn run_out_of_time(&mut self) {
        for seat in self.panel.seats.iter_mut().filter(|seat| seat.is_awaited()) {
            seat.failed = Some(Failure::Silent);
            seat.state.give_up();
        }
        if self.phase == Phase::Deciding {
            self.fail(Cause::Timeout);
        }
        self.repair_those_behind();
        self.end();
    }

    /// The seat of `node`, if it was asked and the operation still listens.
    pub(super) fn heard_from(&mut self, node: N) -> Option<&mut Seat<N, Heard<T>>> {
        let listens = self.phase != Phase::Over;
        self.panel.seat(node).filter(|seat| listens && seat.state.was_asked)
    }

    pub(super) fn lost(&mut self, node: N, failure: Failure) {
        let listens = self.phase != Phase::Over;
        let Some(seat) = self.panel.seat(node).filter(|_| listens) else { return };
        let need_not_be_asked = !seat.state.was_asked && failure == Failure::Unreachable;
        if seat.is_awaited() || need_not_be_asked {
            seat.failed = Some(failure);
            seat.state.give_up();
            self.advance();
        }
    }

    /// What `seat` counts for towards the level.
    pub(super) fn counted(&self, seat: &Seat<N, Heard<T>>) -> Counted {
        if self.is_covered(seat) {
            Counted::Acknowledged
        } else if seat.failed.is_some() {
            Counted::Failed
        } else {
            Counted::Waiting
        }
    }

    /// Whether the union has all that the node had when it answered.
    fn is_covered(&self, seat: &Seat<N, Heard<T>>) -> bool {
        let Some((_, digest)) = &self.union else { return false };
        seat.state.is_whole() || seat.state.digest() == Some(*digest)
    }

    /// Whether the node has all that the union has.
    fn is_level(&self, seat: &Seat<N, Heard<T>>) -> bool {
        self.union.as_ref().is_some_and(|(union, digest)| seat.state.holds(union, *digest))
    }

    fn ask_as_many_as_needed(&mut self, instead_of_silent: bool) {
        for need in 0..self.panel.needs().len() {
            while self.lacks_nodes(&self.panel.needs()[need])
                && (self.ask_a_primary(need) || self.ask_a_fallback(need, instead_of_silent))
            {}
            while self.lacks_primaries(&self.panel.needs()[need]) && self.ask_a_primary(need) {}
        }
    }

    /// Whether fewer nodes have answered, or may, than are to be asked.
    fn lacks_nodes(&self, need: &Need<N>) -> bool {
        let wanted = if self.asks_all_at_once() { need.config.n() } else { need.required.get() };
        let hopeful = self.panel.seats.iter().filter(|seat| {
            need.concerns(seat) && (self.is_covered(seat) || (seat.state.was_asked && seat.failed.is_none()))
        });
        hopeful.count() < to_usize(wanted).saturating_add(self.extra)
    }

    /// Whether too few primaries have answered, or may, for those that are demanded, or for those to be repaired before
    /// the reply.
    fn lacks_primaries(&self, need: &Need<N>) -> bool {
        let of_set = || self.panel.seats.iter().filter(|seat| seat.is_primary() && need.concerns(seat));
        let may = |seat: &&Seat<N, Heard<T>>| seat.state.was_asked && seat.failed.is_none();
        let answering = of_set().filter(|seat| may(seat) || self.is_covered(seat)).count();
        let holding = of_set().filter(|seat| may(seat) || self.is_level(seat)).count();
        let must_hold = if self.options.repair == Repair::Before { need.majority.get() } else { 0 };
        answering < to_usize(need.required_primaries) || holding < to_usize(must_hold)
    }

    fn asks_all_at_once(&self) -> bool {
        self.options.speculate.is_none_or(|wait| wait.is_zero())
    }

    fn ask_a_primary(&mut self, need: usize) -> bool {
        let need = &self.panel.needs()[need];
        let is_next = |seat: &Seat<N, Heard<T>>| {
            need.concerns(seat) && seat.is_primary() && !seat.state.was_asked && seat.failed.is_none()
        };
        let Some(place) = self.panel.seats.iter().position(is_next) else { return false };
        self.ask(place, self.wanted());
        true
    }

    fn ask_a_fallback(&mut self, need: usize, instead_of_silent: bool) -> bool {
        if self.options.fallbacks == Fallbacks::Strict {
            return false;
        }
        for place in 0..self.panel.seats.len() {
            let seat = &self.panel.seats[place];
            let is_missing = seat.failed.is_some() || (instead_of_silent && seat.is_awaited());
            let counts_here = self.panel.needs()[need].concerns(seat);
            if counts_here
                && is_missing
                && !self.is_covered(seat)
                && self.panel.recruit(place, Heard::default()).is_some()
            {
                self.ask(self.panel.seats.len() - 1, self.wanted());
                return true;
            }
        }
        false
    }

    /// One is asked for its state, the others for digests. If that one is silent, whoever is asked next is the one.
    fn wanted(&self) -> Wanted {
        let awaits_a_whole = self.panel.seats.iter().any(|seat| seat.state.asked == Some(Wanted::Whole));
        let is_enough = self.union.is_some() || (awaits_a_whole && self.extra == 0);
        if self.options.digests && is_enough { Wanted::Digest } else { Wanted::Whole }
    }

    /// Whoever differs is asked for its state; where no state has come yet and none is on the way, one is.
    fn ask_for_wholes(&mut self) {
        for place in 0..self.panel.seats.len() {
            let seat = &self.panel.seats[place];
            let is_of_use = match &self.union {
                Some((_, digest)) => seat.state.only_digest().is_some_and(|theirs| theirs != *digest),
                None => !self.panel.seats.iter().any(|seat| seat.state.asked == Some(Wanted::Whole)),
            };
            if is_of_use && seat.is_askable_for_whole() {
                self.ask(place, Wanted::Whole);
            }
        }
    }

    fn ask(&mut self, place: usize, wanted: Wanted) {
        let seat = &mut self.panel.seats[place];
        seat.state.was_asked = true;
        seat.state.asked = Some(wanted);
        let (node, in_place_of) = (seat.node, seat.stands_for);
        self.actions.push_back(ReadAction::Ask { node, wanted, in_place_of });
    }

    fn decide(&mut self) {
        match self.panel.outcome(|seat| self.counted(seat)) {
            Outcome::Pending => {}
            Outcome::Impossible => self.fail(Cause::Impossible),
            Outcome::Reached if self.options.repair == Repair::Before => match self.repaired_outcome() {
                Outcome::Reached => self.succeed(),
                Outcome::Pending => self.repair_those_behind(),
                Outcome::Impossible => self.fail(Cause::NotRepaired),
            },
            Outcome::Reached => self.succeed(),
        }
    }

    /// Whether a majority of the primaries has the union, can have it, or cannot.
    fn repaired_outcome(&self) -> Outcome {
        self.panel.majority_outcome(|seat| {
            if self.is_level(seat) {
                Counted::Acknowledged
            } else if seat.failed.is_some() {
                Counted::Failed
            } else {
                Counted::Waiting
            }
        })
    }

    fn succeed(&mut self) {
        if let Some((union, _)) = &self.union {
            let reply = Read { data: union.clone(), report: self.report() };
            self.phase = Phase::Listening;
            self.actions.push_back(ReadAction::Reply(Ok(reply)));
        }
    }

    fn fail(&mut self, cause: Cause) {
        self.phase = Phase::Listening;
        self.actions.push_back(ReadAction::Reply(Err(Unmet::new(cause, self.report()))));
    }

    /// Sends all primaries that are known to be behind what they lack. Before the reply their acknowledgement is
    /// awaited; after it nobody waits for it.
    fn repair_those_behind(&mut self) {
        let Some((union, digest)) = self.union.clone().filter(|_| self.options.repair != Repair::Never)
        else {
            return;
        };
        let awaited = self.phase == Phase::Deciding;
        for seat in &mut self.panel.seats {
            if !seat.is_primary() || seat.failed.is_some() || seat.state.repairing.is_some() {
                continue;
            }
            let Some(delta) = seat.state.lacks(&union, digest) else { continue };
            if awaited {
                seat.state.repairing = Some(delta.clone());
            } else {
                seat.state.takes_in(&delta);
            }
            self.actions.push_back(ReadAction::Repair { node: seat.node, delta });
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Over;
        self.actions.push_back(ReadAction::Over);
    }
}

/// A number that is too large to count to is larger than any count.
fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
