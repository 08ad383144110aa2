//! A file that records are copied into, and nothing else: no checksum, no number, nothing to recover by. No log hands
//! bytes over to the system for less, so it says how much of a log's time is the log's own.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a disk is what is measured")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::records::{Digest, Records};
use super::{Appending, Candidate};

/// As much as a log of ours stages before it hands it over.
const BUFFER_BYTES: usize = 64 << 10;
const NAME: &str = "records";

/// The file, behind a buffer.
pub struct BareFile(BufWriter<File>);

impl Candidate for BareFile {
    const NAME: &'static str = "a bare file";

    fn create(folder: &Path) -> Self {
        let file = File::create_new(folder.join(NAME)).expect("a file");
        Self(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    fn replay(folder: &Path, digest: &mut Digest) -> Self {
        let mut reader = BufReader::new(File::open(folder.join(NAME)).expect("a file"));
        let mut length = [0; 4];
        let mut payload = Vec::new();
        while reader.read_exact(&mut length).is_ok() {
            payload.resize(u32::from_le_bytes(length) as usize, 0);
            reader.read_exact(&mut payload).expect("a whole record");
            digest.add(&payload);
        }
        Self(BufWriter::new(File::options().append(true).open(folder.join(NAME)).expect("a file")))
    }
}

impl Appending for BareFile {
    fn append_all(&mut self, records: &Records, appended: impl FnOnce()) {
        for payload in records.iter() {
            let length = u32::try_from(payload.len()).expect("a short record");
            self.0.write_all(&length.to_le_bytes()).expect("written");
            self.0.write_all(payload).expect("written");
        }
        appended();
        self.0.flush().expect("written");
        self.0.get_ref().sync_data().expect("synced");
    }
}
