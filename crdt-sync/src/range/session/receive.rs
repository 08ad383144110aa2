//! The peer's frames after the greeting.

use super::asked::Asked;
use super::turn::{Own, Turn};
use super::{Phase, RangeSession};
use crate::merkle::frame::index_set::IndexSet;
use crate::merkle::frame::reader::Reader;
use crate::range::ProtocolError;
use crate::range::frame::{FLAG_MORE, FLAG_PARTIAL, FLAG_WANTS, KIND_ALL, KIND_LIST, Tag};
use crate::range::policy::RefinementPolicy;

impl<P: RefinementPolicy> RangeSession<P> {
    pub(super) fn on_answers(
        &mut self,
        mut asked: Asked,
        mut turn: Turn,
        body: &[u8],
    ) -> Result<Phase, ProtocolError> {
        let mut reader = Reader::new(body);
        let flags = reader.byte()?;
        if flags & !(FLAG_MORE | FLAG_PARTIAL | FLAG_WANTS) != 0 {
            return Err(ProtocolError::Flags { flags });
        }
        self.partial |= flags & FLAG_PARTIAL != 0;
        if flags & FLAG_WANTS != 0 {
            let wanted = IndexSet::read(&mut reader)?;
            self.send.extend(asked.wants(&wanted)?);
            self.receive += u64::from(reader.number()?);
        }
        let answered = self.read_answers(&mut reader, &mut asked, &mut turn, flags)?;
        reader.end()?;
        if answered == 0 && flags & FLAG_WANTS == 0 {
            return Err(ProtocolError::Idle);
        }
        if turn.is_within_list() || !asked.is_settled() {
            return Ok(Phase::Asked(asked, turn));
        }
        self.link.end_round();
        self.note_lists(turn.lists, turn.listed);
        self.partial |= turn.overflow;
        Ok(if turn.is_silent() { self.conclude() } else { self.take_turn(turn) })
    }

    /// Reads what a frame says about the open questions, and how much that is.
    fn read_answers(
        &mut self,
        reader: &mut Reader<'_>,
        asked: &mut Asked,
        turn: &mut Turn,
        flags: u8,
    ) -> Result<u32, ProtocolError> {
        let prf = self.link.prf().ok_or(ProtocolError::Unexpected { tag: Tag::Answers.byte() })?;
        let own = Own { snapshot: &self.snapshot, prf, limits: &self.agreed };
        let set = IndexSet::read(reader)?;
        let width = reader.byte()?;
        if !matches!(width, 4..=8) {
            return Err(ProtocolError::Width { width });
        }
        if *turn.width.get_or_insert(width) != width {
            return Err(ProtocolError::MixedTurn);
        }
        let mut moved = set.universe();
        if turn.is_within_list() {
            let before = turn.listed;
            turn.continue_list(reader, width, own.limits)?;
            moved += turn.listed - before;
        }
        for question in asked.answer(&set, own.limits.max_open_ranges)? {
            turn.end_list(width, own);
            match reader.number()? {
                KIND_LIST => turn.list(reader, width, question.range, own.limits)?,
                KIND_ALL if question.ours > 0 => return Err(ProtocolError::NotEmpty { held: question.ours }),
                KIND_ALL => self.receive += u64::from(reader.number()?),
                parts => turn.split(reader, parts, &question, own)?,
            }
        }
        if flags & FLAG_MORE == 0 {
            turn.end_list(width, own);
        } else if !turn.is_within_list() {
            return Err(ProtocolError::Flags { flags });
        }
        Ok(moved)
    }

    pub(super) fn note_lists(&mut self, lists: u32, items: u32) {
        self.link.stats.leaves_listed += lists;
        self.link.stats.items_listed += items;
    }
}
