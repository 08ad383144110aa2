//! Frames from bytes. Everything is a view into the frame: decoding allocates nothing.

use super::lists::MIN_PARAMETER;
use super::reader::Reader;
use super::{
    AGAIN_REPLY, Again, CHECK, Cells, DigestLevel, Digests, Envelope, FLAG_CUT, FLAG_MORE, FLAG_PARTIAL,
    FOUND_MORE, Found, FoundEnd, HELLO_FLAGS, HELLO_HORIZON, HELLO_LIMIT, Hello, ID_BITS, IndexSet, Items,
    Lists, MAX_FANOUT, NodeBytes, PROTOCOL_VERSION, RootAtHorizon, SKETCH_KEPT, Tag, WIDTHS, Wants,
};
use crate::merkle::tree::is_leaf_bits;
use crate::merkle::{Limits, ProtocolError};
use crate::sketch::CellRun;

/// Takes a frame apart into its envelope.
pub(in crate::merkle) fn open(frame: &[u8]) -> Result<Envelope<'_>, ProtocolError> {
    let (checked, _) = check_of(frame)?;
    let mut reader = Reader::new(checked);
    let tag = reader.byte()?;
    let tag = Tag::from_byte(tag).ok_or(ProtocolError::UnknownTag { tag })?;
    let sequence = reader.number()?;
    Ok(Envelope { tag, sequence, body: reader.rest() })
}

/// Parts the check from what it covers.
pub(in crate::merkle) fn check_of(frame: &[u8]) -> Result<(&[u8], [u8; CHECK]), ProtocolError> {
    frame.split_last_chunk().map(|(checked, check)| (checked, *check)).ok_or(ProtocolError::Truncated)
}

impl Hello {
    pub(in crate::merkle) fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let theirs = reader.byte()?;
        if theirs != PROTOCOL_VERSION {
            return Err(ProtocolError::Version { ours: PROTOCOL_VERSION, theirs });
        }
        let leaf_bits = reader.byte()?;
        let flags = read_flags(&mut reader, HELLO_FLAGS)?;
        let key_check = reader.array()?;
        let count = reader.number()?;
        let digest = u128::from_le_bytes(reader.array()?);
        let nonce = reader.array()?;
        let horizon = if flags & HELLO_HORIZON != 0 { u64::from_le_bytes(reader.array()?) } else { 0 };
        let mut limits = Limits::default().announced();
        for (at, limit) in limits.iter_mut().enumerate() {
            if flags & HELLO_LIMIT << at != 0 {
                *limit = reader.number()?;
            }
        }
        reader.end()?;
        let [max_frame, max_open_nodes, max_items, max_sketch_cells] = limits;
        let hello = Self {
            leaf_bits,
            key_check,
            count,
            digest,
            nonce,
            horizon,
            max_frame,
            max_open_nodes,
            max_items,
            max_sketch_cells,
        };
        hello.validate(flags)
    }

    fn validate(self, flags: u8) -> Result<Self, ProtocolError> {
        let rules = [
            ("leaf_bits", is_leaf_bits(self.leaf_bits)),
            ("digest", self.count > 0 || self.digest == 0),
            ("flags", flags == self.flags()),
            ("max_frame", self.max_frame as usize >= Limits::MIN_FRAME),
            ("max_open_nodes", self.max_open_nodes > 0),
            ("max_items", self.max_items > 0),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(ProtocolError::Hello { field }),
            None => Ok(self),
        }
    }
}

impl<'a> Digests<'a> {
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let flags = read_flags(&mut reader, FLAG_PARTIAL)?;
        let differing = IndexSet::read(&mut reader)?;
        let level =
            if differing.len() == 0 { None } else { Some(DigestLevel::read(&mut reader, differing.len())?) };
        reader.end()?;
        Ok(Self { partial: flags & FLAG_PARTIAL != 0, differing, level })
    }
}

impl<'a> DigestLevel<'a> {
    fn read(reader: &mut Reader<'a>, nodes: u32) -> Result<Self, ProtocolError> {
        let fanout = reader.byte()?;
        if !(1..=MAX_FANOUT).contains(&fanout) {
            return Err(ProtocolError::Fanout { fanout });
        }
        let width = reader.byte()?;
        if !matches!(width, 3 | 4) {
            return Err(ProtocolError::Width { width });
        }
        let len = (u64::from(nodes) << fanout) * u64::from(width);
        let len = usize::try_from(len).map_err(|_| ProtocolError::Truncated)?;
        Ok(Self { fanout, width, digests: reader.bytes(len)? })
    }

    /// The digests one by one, as the upper bytes of words.
    pub(in crate::merkle) fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.digests.chunks_exact(usize::from(self.width)).map(|digest| match *digest {
            [a, b, c] => u32::from_be_bytes([a, b, c, 0]),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        })
    }

    /// The bits of such a word that a digest has.
    pub(in crate::merkle) fn mask(&self) -> u32 {
        u32::MAX << (32 - 8 * u32::from(self.width.clamp(1, 4)))
    }
}

impl<'a> Items<'a> {
    /// The lists are checked as they are read.
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let flags = read_flags(&mut reader, FLAG_MORE | FLAG_PARTIAL | FLAG_CUT)?;
        let [more, partial, cut] = [FLAG_MORE, FLAG_PARTIAL, FLAG_CUT].map(|flag| flags & flag != 0);
        // A list either goes on or was cut, and a cut list leaves something for later.
        if cut && (more || !partial) {
            return Err(ProtocolError::UnknownFlags { flags });
        }
        let differing = IndexSet::read(&mut reader)?;
        let width = reader.byte()?;
        if !WIDTHS.contains(&width) {
            return Err(ProtocolError::Width { width });
        }
        let parameter = reader.byte()?;
        if !(MIN_PARAMETER..width).contains(&parameter) {
            return Err(ProtocolError::Parameter { parameter, width });
        }
        Ok(Self { more, partial, cut, differing, width, lists: Lists::new(reader.rest(), parameter) })
    }
}

impl<'a> Wants<'a> {
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let wants = Self { wanted: IndexSet::read(&mut reader)?, sending: reader.number()? };
        reader.end()?;
        Ok(wants)
    }
}

impl<'a> Again<'a> {
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let flags = read_flags(&mut reader, AGAIN_REPLY)?;
        let again = Self { reply: flags & AGAIN_REPLY != 0, held: IndexSet::read(&mut reader)? };
        reader.end()?;
        Ok(again)
    }
}

impl RootAtHorizon {
    pub(in crate::merkle) fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let is_known = read_flags(&mut reader, 1)? == 1;
        let root = if is_known {
            Self::Known { count: reader.number()?, digest: u128::from_le_bytes(reader.array()?) }
        } else {
            Self::Unknown
        };
        reader.end()?;
        match root {
            Self::Known { count: 0, digest: 1.. } => Err(ProtocolError::Hello { field: "digest" }),
            root => Ok(root),
        }
    }
}

impl<'a> NodeBytes<'a> {
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let bits = reader.byte()?;
        if bits > MAX_FANOUT {
            return Err(ProtocolError::Fanout { fanout: bits });
        }
        let digests = reader.bytes(if bits == 0 { 0 } else { 1 << bits })?;
        reader.end()?;
        Ok(Self { bits, digests })
    }
}

impl Cells {
    /// Allocates no more than the frame takes.
    pub(in crate::merkle) fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let kept = read_flags(&mut reader, SKETCH_KEPT)? == SKETCH_KEPT;
        let total = reader.number()?;
        Ok(Self { kept, total, run: CellRun::decode(reader.rest())? })
    }
}

/// The body of `More`: how many cells in all.
pub(in crate::merkle) fn decode_more(body: &[u8]) -> Result<u32, ProtocolError> {
    let mut reader = Reader::new(body);
    let total = reader.number()?;
    reader.end()?;
    Ok(total)
}

impl<'a> Found<'a> {
    pub(in crate::merkle) fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(body);
        let end = if read_flags(&mut reader, FOUND_MORE)? == FOUND_MORE {
            None
        } else {
            Some(FoundEnd { sending: reader.number()?, rest: reader.array()? })
        };
        let parameter = reader.byte()?;
        if !(MIN_PARAMETER..ID_BITS).contains(&parameter) {
            return Err(ProtocolError::Parameter { parameter, width: ID_BITS });
        }
        let wanted = Lists::new(reader.rest(), parameter).only()?;
        Ok(Self { wanted, end })
    }
}

fn read_flags(reader: &mut Reader<'_>, known: u8) -> Result<u8, ProtocolError> {
    let flags = reader.byte()?;
    if flags & !known == 0 { Ok(flags) } else { Err(ProtocolError::UnknownFlags { flags }) }
}
