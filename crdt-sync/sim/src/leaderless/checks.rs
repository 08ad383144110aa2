//! What a read must show, and what must be there in the end.

use std::collections::BTreeSet;

use crdt_core::Crdt;
use crdt_sync::{Bytes, Cell, ItemKey, RequestId};

use super::documents::is_document_kept;
use super::model::{Damaged, Fate, Known, Model, Tick};

/// What was broken.
#[derive(Debug)]
pub(super) enum Broken {
    /// This write is not shown.
    Missing(Box<Known>, String),
    /// It shows what nobody can have written, or counts something twice.
    Impossible(String),
    /// It shows what was removed.
    Resurrected(String),
}

/// From when a view is, and what it must show.
pub(super) struct View<'m> {
    pub(super) model: &'m Model,
    pub(super) item: &'m ItemKey,
    /// What was acknowledged later need not be shown.
    pub(super) from: Tick,
    pub(super) wants: Wants<'m>,
}

pub(super) enum Wants<'m> {
    /// What so many primaries show, while these nodes were damaged.
    Primaries { asked: usize, damaged: [&'m Damaged; 2] },
    /// Everything that may not be lost.
    Everything,
    /// What one write did.
    Only(RequestId),
}

impl View<'_> {
    /// Whether the view must show what a write did.
    pub(super) fn must_show(&self, known: &Known) -> bool {
        let is_before =
            known.fate == Fate::Acknowledged && known.ended.is_some_and(|ended| ended < self.from);
        is_before
            && match &self.wants {
                Wants::Primaries { asked, damaged } => self.model.is_met(known, *asked, &damaged[..]),
                Wants::Everything => !self.model.is_forgiven(known),
                Wants::Only(request) => known.request == *request,
            }
    }

    /// How many writes the view must show.
    pub(super) fn owed(&self) -> usize {
        self.writes().filter(|known| self.must_show(known)).count()
    }

    pub(super) fn check(&self, cell: Option<&Cell>) -> Result<(), Broken> {
        match cell {
            Some(Cell::Register(_)) => self.check_register(cell),
            Some(Cell::Counter(_)) => self.check_counter(cell),
            Some(Cell::Set(_)) => self.check_set(cell),
            Some(Cell::Document(_)) => self.check_document(cell),
            _ => {
                self.check_register(None)?;
                self.check_counter(None)?;
                self.check_set(None)?;
                self.check_document(None)
            }
        }
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = &Known> {
        self.model.writes_to(self.item)
    }

    fn check_register(&self, cell: Option<&Cell>) -> Result<(), Broken> {
        let (value, stamp) = match cell {
            Some(Cell::Register(register)) => (register.get(), register.stamp()),
            _ => (None, None),
        };
        if value.is_some() && !self.writes().any(|known| known.may_be() && known.sets() == value) {
            return Err(Broken::Impossible(format!("nobody wrote {value:?}")));
        }
        let owed = self.writes().filter(|known| known.sets().is_some() && self.must_show(known));
        for known in owed {
            let is_shown = match known.stamp {
                Some(written) => stamp >= Some(written),
                None => stamp.is_some(),
            };
            if !is_shown {
                return Err(missing(
                    known,
                    format!("shown is {value:?} of {stamp:?}, not later than {:?}", known.stamp),
                ));
            }
        }
        Ok(())
    }

    fn check_counter(&self, cell: Option<&Cell>) -> Result<(), Broken> {
        let value = match cell {
            Some(Cell::Counter(counter)) => counter.value(),
            _ => 0,
        };
        let (mut least, mut most, mut latest) = (0, 0, None);
        for known in self.writes().filter(|known| known.may_be() && known.amount() != 0) {
            let (amount, owed) = (known.amount(), self.must_show(known));
            if owed {
                latest = Some(known);
            }
            least += if amount < 0 || owed { amount } else { 0 };
            most += if amount > 0 || owed { amount } else { 0 };
        }
        if value > most {
            return Err(Broken::Impossible(format!("it counts {value}, and all that was begun is {most}")));
        }
        match latest {
            Some(known) if value < least => {
                Err(missing(known, format!("it counts {value}, and what was acknowledged makes it {least}")))
            }
            _ if value < least => Err(Broken::Impossible(format!("it counts {value}, less than {least}"))),
            _ => Ok(()),
        }
    }

    fn check_set(&self, cell: Option<&Cell>) -> Result<(), Broken> {
        let shown: BTreeSet<&Bytes> = match cell {
            Some(Cell::Set(elements)) => elements.iter().collect(),
            _ => BTreeSet::new(),
        };
        for element in &shown {
            if !self.adds_of(element).any(Known::may_be) {
                return Err(Broken::Impossible(format!("nobody added {element:?}")));
            }
            if let Some(removal) = self.removals_of(element).find(|removal| self.ends(removal, element)) {
                let request = removal.request.0;
                let detail = format!("{element:?}, which request {request} removed after all additions");
                return Err(Broken::Resurrected(detail));
            }
        }
        for known in self.writes().filter(|known| self.must_show(known)) {
            let Some(element) = known.adds().filter(|element| !shown.contains(element)) else { continue };
            // A removal that was over before the addition began cannot have seen it.
            let may_remove =
                |removal: &Known| removal.may_be() && removal.ended.is_none_or(|at| at >= known.begun);
            if !self.removals_of(element).any(may_remove) {
                return Err(missing(known, format!("{element:?} is not there, and nobody removed it")));
            }
        }
        Ok(())
    }

    /// Whether a removal must have ended an element.
    fn ends(&self, removal: &Known, element: &Bytes) -> bool {
        self.ends_all(removal, self.adds_of(element))
    }

    /// Whether a removal must have ended what these writes made: it saw every one of them, and must be seen itself.
    pub(super) fn ends_all<'k>(&self, removal: &Known, made: impl Iterator<Item = &'k Known>) -> bool {
        let is_seen = |addition: &Known| {
            addition.fate == Fate::Acknowledged
                && addition.ended.is_some_and(|ended| ended < removal.begun)
                && addition.is_promised()
                && !self.model.was_struck_during(addition)
                && !self.model.was_damaged_between(addition.begun, removal.ended)
        };
        removal.has_seen
            && removal.is_promised()
            && !self.model.was_struck_during(removal)
            && self.must_show(removal)
            && made.filter(|addition| addition.may_be()).all(is_seen)
    }

    fn adds_of<'v>(&'v self, element: &'v Bytes) -> impl Iterator<Item = &'v Known> {
        self.writes().filter(move |known| known.adds() == Some(element))
    }

    fn removals_of<'v>(&'v self, element: &'v Bytes) -> impl Iterator<Item = &'v Known> {
        self.writes().filter(move |known| known.removes() == Some(element))
    }
}

/// What a read that repaired before its answer showed, all later quorum reads must show.
pub(super) fn is_kept(
    shown: &Cell,
    later: Option<&Cell>,
    model: &Model,
    item: &ItemKey,
) -> Result<(), String> {
    match (shown, later) {
        (Cell::Register(shown), Some(Cell::Register(later))) if later.stamp() >= shown.stamp() => Ok(()),
        (Cell::Counter(shown), Some(Cell::Counter(later))) => {
            let mut both = later.clone();
            let _ = both.merge(shown);
            if both == *later { Ok(()) } else { Err(format!("{later:?} lacks a part of {shown:?}")) }
        }
        (Cell::Set(shown), later) => {
            let is_there = |element: &Bytes| match later {
                Some(Cell::Set(later)) => later.contains(element),
                _ => false,
            };
            let may_be_gone = |element: &Bytes| {
                model.writes_to(item).any(|known| known.may_be() && known.removes() == Some(element))
            };
            match shown.iter().find(|element| !is_there(element) && !may_be_gone(element)) {
                Some(element) => Err(format!("{element:?} was shown and is gone")),
                None => Ok(()),
            }
        }
        (Cell::Document(shown), later) => is_document_kept(shown, later, model, item),
        (shown, later) => Err(format!("shown was {shown:?}, and now {later:?}")),
    }
}

pub(super) fn missing(known: &Known, detail: String) -> Broken {
    Broken::Missing(Box::new(known.clone()), detail)
}
