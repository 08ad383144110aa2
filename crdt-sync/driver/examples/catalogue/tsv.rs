//! Reading a catalogue: a package, a tab and a version on each line.
//!
//! A file is taken whole or not at all. Besides lines that are not of this form, a package that is listed twice is
//! refused: a catalogue says *one* thing about each package, and two would look like a conflict between replicas.

use std::collections::BTreeMap;

use crdt_sync::{Bytes, Limits};
use thiserror::Error;

/// A package and its version.
pub(crate) type Entry = (Bytes, Bytes);

/// A line that is no entry of a catalogue. Nothing of its file was loaded.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{file}, line {line}: {fault}; nothing was loaded")]
pub(crate) struct TsvError {
    pub(crate) file: String,
    /// The first line is line 1.
    pub(crate) line: usize,
    pub(crate) fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("there is no tab between package and version")]
    NoTab,
    #[error("there is more than one tab")]
    ManyTabs,
    #[error("the package has no name")]
    NoKey,
    #[error("the package has no version")]
    NoVersion,
    #[error("the text is not UTF-8")]
    NotUtf8,
    #[error("there is a control character")]
    ControlCharacter,
    #[error("the name has {length} bytes, {limit} are allowed")]
    LongKey { length: usize, limit: usize },
    #[error("the version has {length} bytes, {limit} are allowed")]
    LongVersion { length: usize, limit: usize },
    #[error("the package is listed before, in line {first}")]
    Repeated { first: usize },
}

/// The entries of a catalogue in the order of its lines; `file` names it in errors.
pub(crate) fn parse(file: &str, text: &[u8]) -> Result<Vec<Entry>, TsvError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut entries = Vec::new();
    let mut seen = BTreeMap::new();
    if text.is_empty() {
        return Ok(entries);
    }
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let refused = |fault| TsvError { file: file.into(), line, fault };
        let (key, version) = parse_line(bytes).map_err(refused)?;
        if let Some(first) = seen.insert(key, line) {
            return Err(refused(Fault::Repeated { first }));
        }
        entries.push((key.into(), version.into()));
    }
    Ok(entries)
}

fn parse_line(line: &[u8]) -> Result<(&str, &str), Fault> {
    let line = str::from_utf8(line).map_err(|_| Fault::NotUtf8)?;
    let (key, version) = line.split_once('\t').ok_or(Fault::NoTab)?;
    let Limits { max_key, max_value, .. } = Limits::default();
    match (key, version) {
        ("", _) => Err(Fault::NoKey),
        (_, "") => Err(Fault::NoVersion),
        _ if version.contains('\t') => Err(Fault::ManyTabs),
        _ if line.chars().any(|c| c != '\t' && c.is_control()) => Err(Fault::ControlCharacter),
        _ if key.len() > max_key => Err(Fault::LongKey { length: key.len(), limit: max_key }),
        _ if version.len() > max_value => Err(Fault::LongVersion { length: version.len(), limit: max_value }),
        _ => Ok((key, version)),
    }
}
