//! Frames from bytes. Everything is a view into the frame: decoding allocates nothing.

use super::reader::Reader;
use super::{
    CHECK, DigestLevel, Digests, Envelope, FLAG_CUT, FLAG_MORE, FLAG_PARTIAL, Hello, IndexSet, Items,
    PROTOCOL_VERSION, Tag, Wants,
};
use crate::merkle::tree::is_leaf_bits;
use crate::merkle::{Limits, ProtocolError};

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
        let hello = Self {
            leaf_bits: reader.byte()?,
            key_check: reader.array()?,
            count: reader.number()?,
            digest: u128::from_le_bytes(reader.array()?),
            nonce: reader.array()?,
            max_frame: usize::try_from(reader.number()?).unwrap_or(usize::MAX),
            max_open_nodes: reader.number()?,
            max_items: reader.number()?,
        };
        reader.end()?;
        hello.validate()
    }

    fn validate(self) -> Result<Self, ProtocolError> {
        let rules = [
            ("leaf_bits", is_leaf_bits(self.leaf_bits)),
            ("digest", self.count > 0 || self.digest == 0),
            ("max_frame", self.max_frame >= Limits::MIN_FRAME),
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
        if !matches!(fanout, 4 | 8) {
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

    /// The digests one by one.
    pub(in crate::merkle) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.digests.chunks_exact(usize::from(self.width))
    }
}

impl<'a> Items<'a> {
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
        if !matches!(width, 4..=8) {
            return Err(ProtocolError::Width { width });
        }
        let lists = Lists { bytes: reader.rest(), width };
        lists.validate()?;
        Ok(Self { more, partial, cut, differing, width, lists })
    }
}

/// The item lists of one frame: the number of fingerprints, then the fingerprints, for one node
/// after another.
#[derive(Clone, Copy, Debug)]
pub(in crate::merkle) struct Lists<'a> {
    bytes: &'a [u8],
    width: u8,
}

impl<'a> Lists<'a> {
    pub(in crate::merkle) fn iter(&self) -> impl Iterator<Item = List<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        let width = self.width;
        core::iter::from_fn(
            move || {
                if reader.is_empty() { None } else { List::read(&mut reader, width).ok() }
            },
        )
    }

    fn validate(&self) -> Result<(), ProtocolError> {
        let mut reader = Reader::new(self.bytes);
        while !reader.is_empty() {
            List::read(&mut reader, self.width)?;
        }
        Ok(())
    }
}

/// The fingerprints of one node in one frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::merkle) struct List<'a> {
    bytes: &'a [u8],
    width: u8,
}

impl<'a> List<'a> {
    fn read(reader: &mut Reader<'a>, width: u8) -> Result<Self, ProtocolError> {
        let len = u64::from(reader.number()?) * u64::from(width);
        let len = usize::try_from(len).map_err(|_| ProtocolError::Truncated)?;
        Ok(Self { bytes: reader.bytes(len)?, width })
    }

    pub(in crate::merkle) fn iter(&self) -> impl Iterator<Item = u64> + use<'a> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.bytes.chunks_exact(usize::from(self.width)).map(number)
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

fn read_flags(reader: &mut Reader<'_>, known: u8) -> Result<u8, ProtocolError> {
    let flags = reader.byte()?;
    if flags & !known == 0 { Ok(flags) } else { Err(ProtocolError::UnknownFlags { flags }) }
}
