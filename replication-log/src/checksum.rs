//! CRC32C (Castagnoli), the one checksum of the format.
//!
//! With the standard library at hand `crc32c` asks the processor for its CRC instructions; it
//! cannot be built without it. `crc` can, and computes the same from tables.

/// Continues `checksum` over `bytes`; start with 0.
#[cfg(feature = "std")]
pub(crate) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(checksum, bytes)
}

/// Continues `checksum` over `bytes`; start with 0.
#[cfg(not(feature = "std"))]
pub(crate) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
    extend_by_tables(checksum, bytes)
}

#[cfg(any(test, not(feature = "std")))]
fn extend_by_tables(checksum: u32, bytes: &[u8]) -> u32 {
    use crc::{CRC_32_ISCSI, Crc, Table};

    static CASTAGNOLI: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
    // The crate takes the register as the catalogue writes it: neither inverted nor reflected.
    let mut digest = CASTAGNOLI.digest_with_initial((!checksum).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn both_ways_of_computing_it_agree_with_the_catalogue_and_with_each_other() {
        let bytes: Vec<u8> = (0..4099_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        for extend in [extend, extend_by_tables] {
            assert_eq!(extend(0, b"123456789"), 0xe306_9283);
            assert_eq!(extend(extend(0, b"1234"), b"56789"), 0xe306_9283, "a checksum can be continued");
        }
        for length in (0..80).chain([511, 512, 513, 4099]) {
            assert_eq!(extend(7, &bytes[..length]), extend_by_tables(7, &bytes[..length]), "{length} bytes");
        }
    }
}
