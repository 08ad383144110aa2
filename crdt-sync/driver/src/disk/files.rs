//! Small files beside the log, which are whole or not there.

use crdt_sync::NodeId;
use replication_log::storage::{DiskFile, FileStorage, Storage, StorageError, StorageErrorKind, StorageFile};

/// The file that says whose directory this is, where the log does not: nodes share it.
const NODE: &str = "node";
const TITLE: &str = "crdt-sync node 1";
/// Longer than such a file can be.
const NODE_BYTES: usize = 128;

/// Writes a file that gets its name when all of it is durable.
pub(super) fn write_whole<E: From<StorageError>>(
    storage: &FileStorage,
    name: &str,
    write: impl FnOnce(&DiskFile) -> Result<(), E>,
) -> Result<(), E> {
    let unborn = format!("{name}.unborn");
    match storage.remove(&unborn) {
        Err(error) if error.kind != StorageErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = storage.create(&unborn)?;
    write(&file)?;
    file.sync_data()?;
    storage.rename(&unborn, name)?;
    Ok(storage.sync_directory()?)
}

/// Whose directory this is, if a file says so.
pub(super) fn read_node(storage: &FileStorage) -> Result<Option<NodeId>, StorageError> {
    let file = match storage.open(NODE) {
        Err(error) if error.kind == StorageErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = [0; NODE_BYTES];
    let length = file.read_at(0, &mut bytes)?;
    Ok(std::str::from_utf8(&bytes[..length]).ok().and_then(parse))
}

/// Says whose directory this is.
pub(super) fn write_node(storage: &FileStorage, node: NodeId) -> Result<(), StorageError> {
    write_whole(storage, NODE, |file| file.write_at(0, text_of(node).as_bytes()))
}

fn text_of(node: NodeId) -> String {
    format!("{TITLE}\nnode {node}\n")
}

fn parse(text: &str) -> Option<NodeId> {
    let digits = text.strip_prefix(TITLE)?.strip_prefix("\nnode ")?;
    let node = NodeId::from_u128(u128::from_str_radix(digits.strip_suffix('\n')?, 16).ok()?);
    (text_of(node) == text).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_it_was_written_and_anything_else_is_none() {
        let node = NodeId::from_u128(0xab << 120 | 7);
        let text = text_of(node);
        assert_eq!(text, "crdt-sync node 1\nnode ab000000000000000000000000000007\n");
        assert_eq!(parse(&text), Some(node));
        for other in
            ["", &text[1..], &text[..text.len() - 1], &text.replace("0007", "7"), &text.to_uppercase()]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
