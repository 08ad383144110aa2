//! What a session did: totals, and one record per turn that prints as the path of the drill-down.

use alloc::vec::Vec;
use core::fmt;

use smallvec::SmallVec;

use super::prefix::Prefix;

/// The cost of a session so far, as this side saw it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Frames, sent and received.
    pub frames: u32,
    /// Bytes of the frames that were made for the peer, each time they were repeated included.
    pub bytes_sent: u64,
    /// Bytes of the frames that came, duplicates included.
    pub bytes_received: u64,
    /// Frames of this side that were sent once more.
    pub repeated: u32,
    /// Turns, both sides together.
    pub rounds: u16,
    /// Parts of the tree whose items were listed, by either side.
    pub leaves_listed: u32,
    /// Items listed, by either side.
    pub items_listed: u32,
}

/// Who took a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The side that keeps the trace.
    Local,
    /// Its peer.
    Remote,
}

/// One turn of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// Whose turn it was.
    pub by: Side,
    /// What the turn was about.
    pub step: Step,
    /// How many frames it took.
    pub frames: u32,
    /// How many bytes they had.
    pub bytes: u64,
}

/// What a turn was about.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Step {
    /// The two sides met.
    Hello {
        /// The items of the side that spoke.
        items: u64,
    },
    /// A root at a later horizon was said.
    Root {
        /// The items at or above the horizon.
        items: u64,
    },
    /// Digests of nodes were sent, for the other side to compare.
    Digests {
        /// The depth of the nodes.
        bits: u8,
        /// How many there were.
        compared: u32,
        /// How many of them the other side found different.
        differing: u32,
        /// The first few that differ.
        examples: SmallVec<[Prefix; Trace::EXAMPLES]>,
    },
    /// Items were listed.
    Items {
        /// In how many parts of the tree.
        parts: u32,
        /// How many items.
        listed: u32,
    },
    /// The other side said what it wants of the lists.
    Wants {
        /// How many of the listed items.
        wanted: u32,
    },
}

impl Step {
    /// Digests that nobody has compared yet.
    pub(super) fn digests(bits: u8, compared: u32) -> Self {
        Self::Digests { bits, compared, differing: 0, examples: SmallVec::new() }
    }
}

/// The turns of a session in order. A few dozen bytes per turn are kept; text is made only when it
/// is displayed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trace {
    rounds: Vec<Round>,
    /// Frames and bytes since the last turn ended.
    frames: u32,
    bytes: u64,
}

impl Trace {
    /// How many differing nodes a record names.
    pub const EXAMPLES: usize = 4;

    /// The turns so far.
    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    pub(super) fn frame(&mut self, len: usize) {
        self.frames += 1;
        self.bytes += len as u64;
    }

    pub(super) fn end_round(&mut self, by: Side, step: Step) {
        let (frames, bytes) = (core::mem::take(&mut self.frames), core::mem::take(&mut self.bytes));
        self.rounds.push(Round { by, step, frames, bytes });
    }

    /// Adds to the latest digests what their comparison found.
    pub(super) fn found(&mut self, bits: u8, nodes: impl ExactSizeIterator<Item = u32>) {
        let latest = self.rounds.iter_mut().rev().find_map(|round| match &mut round.step {
            Step::Digests { differing, examples, .. } => Some((differing, examples)),
            _ => None,
        });
        if let Some((differing, examples)) = latest {
            *differing += u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            let room = Self::EXAMPLES - examples.len();
            examples.extend(nodes.take(room).map(|node| Prefix::new(bits, node)));
        }
    }
}

/// One line per turn, indented by depth. `->` was sent by this side, `<-` by its peer.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut depth = 0;
        for Round { by, step, frames, bytes } in &self.rounds {
            let arrow = if *by == Side::Local { "->" } else { "<-" };
            write!(f, "{:depth$}{arrow} {step}", "")?;
            writeln!(f, "  [{bytes} B, {frames} frame{}]", if *frames == 1 { "" } else { "s" })?;
            if !matches!(step, Step::Hello { .. }) {
                depth += 2;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { items } => write!(f, "hello, {items} items"),
            Self::Root { items } => write!(f, "{items} items at the later horizon"),
            Self::Digests { bits, compared, differing, examples } => {
                write!(f, "{bits} bits: {compared} compared, {differing} differ")?;
                for (at, node) in examples.iter().enumerate() {
                    write!(f, "{}{node}", if at == 0 { ": " } else { " " })?;
                }
                f.write_str(if *differing as usize > examples.len() { " .." } else { "" })
            }
            Self::Items { parts, listed } => write!(f, "{listed} items listed in {parts} parts"),
            Self::Wants { wanted } => write!(f, "{wanted} wanted"),
        }
    }
}
