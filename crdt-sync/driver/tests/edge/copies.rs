//! Directories that are copied, restored and moved.

use std::path::Path;
use std::process::Command;

use crdt_sync::Event;
use crdt_sync_driver::{Doubt, Node};

use crate::support::{Home, lists, options};

/// Opens the node of a directory, and says why it doubted its past, if it did, and under which identity it writes.
async fn open(directory: &Path) -> (Option<Doubt>, String) {
    let node = Node::open(directory, options()).await.unwrap();
    let opened = (node.doubt(), node.status().await.unwrap().replica.to_string());
    node.shutdown().await;
    opened
}

fn run(program: &str, arguments: &[&Path]) {
    let arguments = arguments.iter().map(|argument| argument.as_os_str());
    assert!(Command::new("sh").args(["-c", program, "sh"]).args(arguments).status().unwrap().success());
}

#[tokio::test]
async fn a_restart_and_a_move_change_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (here, there) = (home.path().join("here"), home.path().join("there"));
    let first = open(&here).await;
    assert_eq!(first.0, None);
    assert_eq!(open(&here).await, first);
    run("mv \"$1\" \"$2\"", &[&here, &there]);
    assert_eq!(open(&there).await, first);
    assert_eq!(open(&there).await, first);
}

#[tokio::test]
async fn a_copy_and_a_restored_archive_write_under_identities_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let original = open(&path("node")).await;
    run("cp -a \"$1\" \"$2\"", &[&path("node"), &path("copy")]);
    run(
        "tar cf \"$3\" -C \"$1\" . && mkdir \"$2\" && tar xpf \"$3\" -C \"$2\"",
        &[&path("node"), &path("restored"), &path("archive.tar")],
    );
    let (copy, restored) = (open(&path("copy")).await, open(&path("restored")).await);
    assert_eq!((copy.0, restored.0), (Some(Doubt::Copied), Some(Doubt::Copied)));
    assert!(copy.1 != original.1 && restored.1 != original.1 && copy.1 != restored.1);
    assert_eq!(open(&path("copy")).await, (None, copy.1), "from then on it is a directory like any other");
    assert_eq!(open(&path("node")).await, original, "the original notices nothing");
}

#[tokio::test]
async fn a_backup_that_is_written_over_the_directory_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let (node, backup) = (home.path().join("node"), home.path().join("backup"));
    let original = open(&node).await;
    run("cp -a \"$1\" \"$2\"", &[&node, &backup]);
    assert_eq!(open(&node).await, original);
    run("cp -a \"$2\"/. \"$1\"", &[&node, &backup]);
    assert_eq!(open(&node).await.0, Some(Doubt::Copied));
}

#[tokio::test]
async fn a_backup_of_the_log_alone_is_noticed_by_its_length() {
    let home = tempfile::tempdir().unwrap();
    let (node, backup) = (home.path().join("node"), home.path().join("backup"));
    open(&node).await;
    run("cp -a \"$1\" \"$2\"; rm \"$2\"/marker", &[&node, &backup]);
    let again = Node::open(&node, options()).await.unwrap();
    again.sets(&lists()).add("groceries", "milk").await.unwrap();
    again.shutdown().await;
    run("cp -a \"$2\"/. \"$1\"", &[&node, &backup]);
    assert!(matches!(open(&node).await.0, Some(Doubt::Shortened { .. })));
}

#[tokio::test]
async fn a_marker_that_is_gone_or_cannot_be_read_is_cause_for_doubt() {
    let home = tempfile::tempdir().unwrap();
    open(home.path()).await;
    run("rm \"$1\"/marker", &[home.path()]);
    assert_eq!(open(home.path()).await.0, Some(Doubt::NoMarker));
    run("echo nonsense > \"$1\"/marker", &[home.path()]);
    assert_eq!(open(home.path()).await.0, Some(Doubt::Unreadable));
    assert_eq!(open(home.path()).await.0, None);
}

/// The two would otherwise give different writes the same numbers.
#[tokio::test]
async fn a_copy_that_nobody_spoke_of_runs_beside_its_original_and_nothing_is_lost() {
    let copied = tempfile::tempdir().unwrap();
    let original = Home::open(options()).await;
    original.add("before").await;
    run("cp -a \"$1\"/. \"$2\"", &[original.path(), copied.path()]);
    let copy = Node::open(copied.path(), options()).await.unwrap();
    assert_eq!(copy.doubt(), Some(Doubt::Copied));
    original.add("original").await;
    copy.sets(&lists()).add("groceries", "copy").await.unwrap();
    let third = Home::open(options()).await;
    let mut events = third.node.events();
    third.node.connect(original.node.local_addr().unwrap()).unwrap();
    third.has("original").await;
    third.node.disconnect().await;
    third.node.connect(copy.local_addr().unwrap()).unwrap();
    third.has("copy").await;
    assert_eq!(third.elements().await, ["before", "copy", "original"]);
    let forked = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(event, Event::ForkedReplica { .. }));
    assert!(!forked);
}
