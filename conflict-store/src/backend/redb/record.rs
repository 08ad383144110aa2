//! The bytes of a row: what the feed needs in front, the state behind. `docs/formats.md` has them.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crdt_core::Limits;

use super::super::{KeyVersion, StoredState};
use super::error::RedbError;

/// Sequence and digest.
const HEADER_LEN: usize = 8 + 16;

/// The record of `state`, which last changed as `version` says.
pub(super) fn encode<S: StoredState>(key: &[u8], version: KeyVersion, state: &S) -> Vec<u8> {
    let state = state.encode_state(key);
    let mut record = Vec::with_capacity(HEADER_LEN + state.len());
    record.extend_from_slice(&version.sequence.to_le_bytes());
    record.extend_from_slice(&version.digest.to_le_bytes());
    record.extend_from_slice(&state);
    record
}

/// How many bytes of a record are the state's.
pub(super) fn state_len(record: &[u8]) -> usize {
    record.len().saturating_sub(HEADER_LEN)
}

/// What a record says in front, and the bytes of the state.
pub(super) fn split<'a>(key: &[u8], record: &'a [u8]) -> Result<(KeyVersion, &'a [u8]), RedbError> {
    let parts = record.split_first_chunk().and_then(|(sequence, rest)| {
        let (digest, state) = rest.split_first_chunk()?;
        let version =
            KeyVersion { sequence: u64::from_le_bytes(*sequence), digest: u128::from_le_bytes(*digest) };
        Some((version, state))
    });
    parts.ok_or_else(|| damaged(key, "its record ends in its header"))
}

/// The state in a record, if it has the digest the record says it has.
pub(super) fn decode_state<S: StoredState>(
    key: &[u8],
    record: &[u8],
    limits: &Limits,
) -> Result<S, RedbError> {
    let (version, bytes) = split(key, record)?;
    let state = S::decode_state(key, bytes, limits).map_err(|error| damaged(key, &error.to_string()))?;
    if state.version_digest() != version.digest {
        return Err(damaged(key, "it does not have the digest it was stored with"));
    }
    Ok(state)
}

/// A row of the feed.
pub(super) fn change(digest: u128, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + key.len());
    row.extend_from_slice(&digest.to_le_bytes());
    row.extend_from_slice(key);
    row
}

/// Digest and key of a row of the feed.
pub(super) fn split_change(row: &[u8]) -> Result<(u128, &[u8]), RedbError> {
    let (digest, key) = row.split_first_chunk().ok_or_else(|| RedbError::DamagedFile {
        reason: format!("a row of the feed is {} bytes long", row.len()),
    })?;
    Ok((u128::from_le_bytes(*digest), key))
}

pub(super) fn damaged(key: &[u8], reason: &str) -> RedbError {
    RedbError::Damaged { key: key.to_vec(), reason: reason.into() }
}
