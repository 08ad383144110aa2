//! Looks at a log in a directory, and repairs it when asked.
//!
//! `cargo run -p replication-log --example wal -- verify DIR`

#![allow(clippy::disallowed_methods, reason = "a command reads its arguments")]
#![allow(clippy::print_stderr, reason = "a command talks to its user")]

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Write},
    process::ExitCode,
};

use replication_log::{Lsn, ReadOnlyLog, repair, storage::FileStorage};

pub(crate) const USAGE: &str = "\
usage: wal list DIR              the segments, and where the log ends
       wal verify DIR            reads everything and says what opening the log would do
       wal dump DIR [FROM [N]]   N records from number FROM on: number, kind, length, first bytes
       wal repair DIR            gives up what is damaged, and keeps a copy of it

Only repair changes anything, and only a log that nobody has open and that is corrupt.

Ends with code 0 if the log is intact, 1 if it ends in a tail or in a cut that opening it would finish (nothing
durable is lost), 2 if it is corrupt, 3 if it could not be read or the question makes no sense.";

pub(crate) const INTACT: u8 = 0;
pub(crate) const UNFINISHED: u8 = 1;
pub(crate) const CORRUPT: u8 = 2;
pub(crate) const FAILED: u8 = 3;

/// How many bytes of a payload are shown.
const SHOWN_BYTES: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let code = run(&arguments, &mut io::stdout().lock()).unwrap_or_else(|complaint| {
        eprintln!("{complaint}");
        FAILED
    });
    ExitCode::from(code)
}

/// Answers on `out` and returns the code to end with.
pub(crate) fn run(arguments: &[String], out: &mut impl Write) -> Result<u8, Box<dyn Error>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list", directory] => list(&look_at(directory)?, out),
        ["verify", directory] => verify(&look_at(directory)?, out),
        ["dump", directory] => dump(&look_at(directory)?, Lsn::ZERO, usize::MAX, out),
        ["dump", directory, from] => dump(&look_at(directory)?, number(from)?, usize::MAX, out),
        ["dump", directory, from, count] => dump(&look_at(directory)?, number(from)?, count.parse()?, out),
        ["repair", directory] => mend(directory, out),
        _ => Err(USAGE.into()),
    }
}

fn number(text: &str) -> Result<Lsn, Box<dyn Error>> {
    Ok(Lsn::new(text.parse()?))
}

fn look_at(directory: &str) -> Result<ReadOnlyLog<FileStorage>, Box<dyn Error>> {
    Ok(ReadOnlyLog::open(FileStorage::open_read_only(directory)?, Lsn::ZERO)?)
}

fn list(log: &ReadOnlyLog<FileStorage>, out: &mut impl Write) -> Result<u8, Box<dyn Error>> {
    for segment in log.segments() {
        let (first, last, epoch) = (segment.first, segment.last, segment.epoch);
        writeln!(
            out,
            "{}  {:>10} bytes  records {first} to {last}  epoch {epoch}",
            segment.segment, segment.used_bytes
        )?;
    }
    verify(log, out)
}

fn verify(log: &ReadOnlyLog<FileStorage>, out: &mut impl Write) -> Result<u8, Box<dyn Error>> {
    let report = log.report();
    let closed = if report.closed_cleanly { ", closed" } else { "" };
    writeln!(out, "records {} to {}, epoch {}{closed}", report.oldest, report.last, report.epoch)?;
    if let Some(corruption) = log.corruption() {
        writeln!(out, "{corruption}")?;
        return Ok(CORRUPT);
    }
    if let Some(truncation) = &report.truncated {
        writeln!(out, "a cut after record {} is not finished; opening finishes it", truncation.last)?;
    }
    if let Some(cut) = &report.cut {
        let (bytes, segment, offset) = (cut.bytes, cut.segment, cut.offset);
        writeln!(out, "opening cuts an unsynced tail of {bytes} bytes at offset {offset} of {segment}")?;
        writeln!(out, "it holds {} batch headers, up to record {}", cut.batches, cut.last_seen)?;
    }
    Ok(if report.cut.is_none() && report.truncated.is_none() { INTACT } else { UNFINISHED })
}

fn dump(
    log: &ReadOnlyLog<FileStorage>,
    from: Lsn,
    count: usize,
    out: &mut impl Write,
) -> Result<u8, Box<dyn Error>> {
    let from = if from == Lsn::ZERO { log.report().oldest } else { from };
    let mut reader = log.read_from(from)?;
    for _ in 0..count {
        let Some(record) = reader.next_record()? else { break };
        let mut shown = String::new();
        for byte in record.payload.iter().take(SHOWN_BYTES) {
            write!(shown, "{byte:02x}")?;
        }
        let more = if record.payload.len() > SHOWN_BYTES { ".." } else { "" };
        writeln!(out, "{} kind {} {} bytes {shown}{more}", record.lsn, record.kind.0, record.payload.len())?;
    }
    verify(log, out)
}

fn mend(directory: &str, out: &mut impl Write) -> Result<u8, Box<dyn Error>> {
    // A directory that is not there must not be created.
    look_at(directory)?;
    let report = repair(&FileStorage::open(directory)?)?;
    match &report.corruption {
        None => writeln!(out, "not corrupt; nothing was done")?,
        Some(corruption) => writeln!(out, "was: {corruption}")?,
    }
    for copy in &report.copies {
        writeln!(out, "kept {copy}")?;
    }
    writeln!(out, "the last record is {}", report.last)?;
    Ok(INTACT)
}
