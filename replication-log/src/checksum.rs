//! CRC32C (Castagnoli), the one checksum of the format.

/// Continues `checksum` over `bytes`; start with 0.
pub(crate) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(checksum, bytes)
}
