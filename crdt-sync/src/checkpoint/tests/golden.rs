//! The bytes of one checkpoint. `docs/formats.md` says the same in words.

use alloc::format;
use alloc::string::String;

use super::support::*;
use crate::replica::{Action, Write};

const GOLDEN: &str = include_str!("golden.txt");

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
