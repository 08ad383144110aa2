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
    /// The turn was given to the other side.
    Pass,
    /// Bytes of all nodes at a depth were sent, for the other side to estimate the difference.
    Estimate {
        /// The depth of the nodes.
        bits: u8,
        /// How many of them differ; 0 on the side that sent them.
        differing: u32,
        /// How many keys that makes; 0 on the side that sent them.
        estimate: u64,
    },
    /// Cells of a sketch were sent.
    Sketch {
        /// How many there are now.
        cells: u32,
    },
    /// Cells were too few to be read.
    More {
        /// How many the side needs.
        cells: u32,
    },
    /// What a sketch told was said.
    Found {
        /// Items (on the side that sends them; else, their ids) that are wanted.
        wanted: u32,
        /// Items that are sent in turn.
        sending: u32,
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

/// How differences are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Way {
    /// By digests of nodes, level by level.
    Tree,
    /// By a sketch of all items.
    Sketch,
    /// By a list of all items of one side.
    Stream,
}

/// Which way a side chose, and why: how many bytes it thought each would take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The way.
    pub way: Way,
    /// How many keys were thought to differ: by an estimate, or at least, by the counts of items.
    pub estimate: u64,
    /// The bytes of a sketch; `None` if none is at hand, or it would be too large.
    pub sketch: Option<u64>,
    /// The bytes of a drill-down; `None` if that was not asked, as nothing was estimated.
    pub tree: Option<u64>,
    /// The bytes of a list; `None` if it would be too long.
    pub stream: Option<u64>,
}

/// The turns of a session in order. A few dozen bytes per turn are kept; text is made only when it
/// is displayed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trace {
    rounds: Vec<Round>,
    /// After how many turns a way was chosen, and which.
    choice: Option<(usize, Choice)>,
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

    /// What this side chose; `None` if the peer did.
    pub fn choice(&self) -> Option<Choice> {
        self.choice.map(|(_, choice)| choice)
    }

    /// The way that was gone last: a sketch that could not be read is followed by the tree.
    pub fn way(&self) -> Option<Way> {
        self.rounds.iter().enumerate().rev().find_map(|(at, round)| match &round.step {
            Step::Digests { .. } => Some(Way::Tree),
            Step::Sketch { .. } => Some(Way::Sketch),
            Step::Items { .. } => {
                let by_tree =
                    self.rounds[..at].iter().any(|round| matches!(round.step, Step::Digests { .. }));
                Some(if by_tree { Way::Tree } else { Way::Stream })
            }
            _ => None,
        })
    }

    pub(super) fn choose(&mut self, choice: Choice) {
        self.choice = Some((self.rounds.len(), choice));
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
        for (at, Round { by, step, frames, bytes }) in self.rounds.iter().enumerate() {
            if let Some((_, choice)) = self.choice.filter(|(after, _)| *after == at) {
                writeln!(f, "{:depth$}   {choice}", "")?;
            }
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

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, estimate, sketch, tree, stream } = self;
        write!(f, "by {way}: about {estimate} keys differ")?;
        for (what, bytes) in [("a sketch", sketch), ("the tree", tree), ("a list", stream)] {
            if let Some(bytes) = bytes {
                write!(f, ", {what} takes {bytes} B")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tree => "tree",
            Self::Sketch => "sketch",
            Self::Stream => "stream",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { items } => write!(f, "hello, {items} items"),
            Self::Pass => f.write_str("your turn"),
            Self::Estimate { bits, differing: 0, .. } => write!(f, "{bits} bits: a byte of each node"),
            Self::Estimate { bits, differing, estimate } => {
                write!(f, "{bits} bits: {differing} of {} differ, about {estimate} keys", 1_u32 << bits)
            }
            Self::Sketch { cells } => write!(f, "sketch of {cells} cells"),
            Self::More { cells } => write!(f, "{cells} cells needed"),
            Self::Found { wanted, sending } => write!(f, "{wanted} wanted, {sending} sent in turn"),
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
