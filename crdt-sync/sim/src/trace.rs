//! What happened, as lines to read and as one number to compare.

use core::fmt::{self, Write as _};

use crdt_core::digest_of;
use crdt_sync::time::Instant;

/// The record of a run. Its digest covers every event with every byte of every frame: two runs whose digests
/// agree were the same run.
///
/// ```
/// use crdt_sync::time::Instant;
/// use crdt_sync_sim::Trace;
///
/// let mut trace = Trace::recording();
/// trace.note(Instant::from_micros(1_500), format_args!("the lights went out"), b"");
/// assert_eq!(trace.lines(), ["    0.001500 the lights went out"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trace {
    digest: u128,
    events: u64,
    lines: Option<Vec<String>>,
    scratch: Vec<u8>,
}

impl Trace {
    /// A trace that keeps its digest only.
    pub fn new() -> Self {
        Self::default()
    }

    /// A trace that keeps its lines, too.
    pub fn recording() -> Self {
        Self { lines: Some(Vec::new()), ..Self::default() }
    }

    /// Notes that something happened; `bytes` are what a reader does not want to see but the digest covers.
    pub fn note(&mut self, at: Instant, what: fmt::Arguments<'_>, bytes: &[u8]) {
        self.events += 1;
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.digest.to_le_bytes());
        self.scratch.extend_from_slice(&at.as_micros().to_le_bytes());
        // Writing to memory does not fail.
        let _ = Appender(&mut self.scratch).write_fmt(what);
        self.scratch.extend_from_slice(bytes);
        self.digest = digest_of(&self.scratch);
        if let Some(lines) = &mut self.lines {
            let (seconds, micros) = (at.as_micros() / 1_000_000, at.as_micros() % 1_000_000);
            lines.push(format!("{seconds:5}.{micros:06} {what}"));
        }
    }

    /// The digest of everything noted so far.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// How many things were noted.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The lines, if they are kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// Text as bytes at the end of a buffer.
struct Appender<'b>(&'b mut Vec<u8>);

impl fmt::Write for Appender<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(what: &str, micros: u64, bytes: &[u8]) -> u128 {
        let mut trace = Trace::new();
        trace.note(Instant::from_micros(micros), format_args!("{what}"), bytes);
        trace.digest()
    }

    #[test]
    fn the_digest_covers_time_words_and_bytes() {
        let base = digest("send", 1, b"x");
        assert_eq!(base, digest("send", 1, b"x"));
        assert_ne!(base, digest("lose", 1, b"x"));
        assert_ne!(base, digest("send", 2, b"x"));
        assert_ne!(base, digest("send", 1, b"y"));
    }

    #[test]
    fn keeping_lines_does_not_change_the_digest() {
        let (mut quiet, mut verbose) = (Trace::new(), Trace::recording());
        for trace in [&mut quiet, &mut verbose] {
            trace.note(Instant::from_micros(1), format_args!("a"), b"");
            trace.note(Instant::from_micros(2), format_args!("b"), b"");
        }
        assert_eq!(quiet.digest(), verbose.digest());
        assert_eq!((quiet.lines().len(), verbose.lines().len()), (0, 2));
    }
}
