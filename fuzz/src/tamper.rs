//! A peer that changes what it says.

/// How many frames of a conversation can be changed: no conversation here is longer.
const FRAMES: usize = 32;

/// Edits to frames, drawn from the fuzzer's bytes, five each: which frame, what, where (two), and with which byte.
///
/// They start from what an honest peer would have said, because a fuzzer does not come upon a whole conversation by
/// itself.
pub(crate) struct Tampering<'a> {
    edits: &'a [u8],
}

impl<'a> Tampering<'a> {
    pub(crate) fn new(edits: &'a [u8]) -> Self {
        Self { edits }
    }

    /// Whether no frame is changed.
    pub(crate) fn is_none(&self) -> bool {
        self.edits.len() < 5
    }

    /// What is said in place of the frame with this number.
    pub(crate) fn apply(&self, number: usize, frame: &mut Vec<u8>) {
        for (index, edit) in self.edits.chunks_exact(5).enumerate() {
            if usize::from(edit[0]) % FRAMES != number {
                continue;
            }
            let at = usize::from(u16::from_le_bytes([edit[2], edit[3]])) % (frame.len() + 1);
            match edit[1] % 5 {
                0 => frame[at..].iter_mut().take(1).for_each(|byte| *byte = edit[4]),
                1 => frame.insert(at, edit[4]),
                2 => drop(frame.drain(at..(at + usize::from(edit[4])).min(frame.len()))),
                3 => frame.extend_from_within(at..(at + usize::from(edit[4])).min(frame.len())),
                _ => {
                    // The rest of the input is the rest of the frame.
                    frame.truncate(at);
                    frame.extend_from_slice(&self.edits[5 * (index + 1)..]);
                    return;
                }
            }
        }
    }
}

/// CRC32C bit by bit, from its definition.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
