//! The bytes of a segment: a header, then batches without gaps, then zeros. `docs/formats.md` draws
//! them.

mod batch_header;
mod header;
mod record;
mod walk;

pub(crate) use batch_header::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, COPIED_EPOCH_BYTES};
pub(crate) use header::{FORMAT_VERSION, HEADER_BYTES, HeaderError, SegmentHeader, identity_of};
pub(crate) use record::{FramedRecords, frame_record, framed_bytes, holds_records};
pub(crate) use walk::{Behind, Place, Step, Walk, find_headers};

use alloc::{format, string::String};

use crate::SegmentId;

/// The name of a segment's file.
pub(crate) fn file_name(segment: SegmentId) -> String {
    format!("{segment}")
}

/// The name a segment has until its header is durable.
pub(crate) fn unborn_file_name(segment: SegmentId) -> String {
    format!("{:016x}.new", segment.get())
}

/// The name under which the file of a dropped segment waits to become another one.
pub(crate) fn spare_file_name(segment: SegmentId) -> String {
    format!("{:016x}.spare", segment.get())
}

/// The segment whose file has this name, if it is one.
pub(crate) fn parse_file_name(name: &str) -> Option<SegmentId> {
    let number = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
    let segment = SegmentId::new(number);
    // Only the one canonical spelling, so that no two names stand for the same segment.
    (number > 0 && file_name(segment) == name).then_some(segment)
}

/// Whether this is a segment whose creation never finished, or one that was dropped: no part of the
/// log, and free to be removed.
pub(crate) fn is_left_over_file_name(name: &str) -> bool {
    let stem = name.strip_suffix(".new").or_else(|| name.strip_suffix(".spare"));
    stem.is_some_and(|stem| stem.len() == 16 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Reads a little-endian number out of a fixed-size header.
macro_rules! read_le {
    ($type:ty, $bytes:expr, $offset:expr) => {{
        const WIDTH: usize = size_of::<$type>();
        let mut raw = [0; WIDTH];
        raw.copy_from_slice(&$bytes[$offset..$offset + WIDTH]);
        <$type>::from_le_bytes(raw)
    }};
}
pub(crate) use read_le;
