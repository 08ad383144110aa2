//! The bytes of one checkpoint. `docs/formats.md` says the same in words.

use alloc::format;
use alloc::string::String;

use super::support::*;
use crate::replica::{Action, Write};

const GOLDEN: &str = include_str!("golden.txt");
const GOLDEN_HINTS: &str = include_str!("golden_hints.txt");

#[test]
fn the_bytes_are_those_of_before() {
    let mut logged = Logged::new(1);
    let actions = [
        (0, Action::Put("body".into())),
        (1, Action::Add("milk".into())),
        (2, Action::Increment(3)),
        (3, Action::Set(Some("title".into()))),
    ];
    for (collection, action) in actions {
        logged.act(&Write { collection: collections()[collection].id(), key: "key".into(), action });
    }
    let bytes = checkpoint_of(&mut logged.replica);
    let lines: alloc::vec::Vec<String> = bytes.chunks(32).map(hex).collect();
    assert_eq!(lines.join("\n"), GOLDEN.trim_end(), "\n{}", lines.join("\n"));
}

#[test]
fn the_bytes_of_one_with_hints_and_notes_are_those_of_before() {
    let mut logged = Logged::new(1);
    let actions =
        [(1, Action::Add("milk".into())), (1, Action::Remove("milk".into())), (2, Action::Increment(3))];
    for (collection, action) in actions {
        logged.miss(7, &Write { collection: collections()[collection].id(), key: "key".into(), action });
    }
    logged.act(&Write {
        collection: collections()[0].id(),
        key: "key".into(),
        action: Action::Put("body".into()),
    });
    logged.act(&Write { collection: collections()[0].id(), key: "key".into(), action: Action::Delete });
    logged.replica.note_time(WALL);
    logged.replica.config.limits.max_hints = 0;
    let late = Write { collection: collections()[3].id(), key: "key".into(), action: Action::Set(None) };
    logged.miss(8, &late);
    logged.drop_partition(1);
    let bytes = checkpoint_of(&mut logged.replica);
    let lines: alloc::vec::Vec<String> = bytes.chunks(32).map(hex).collect();
    assert_eq!(lines.join("\n"), GOLDEN_HINTS.trim_end(), "\n{}", lines.join("\n"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
