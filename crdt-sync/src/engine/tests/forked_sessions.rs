//! Sessions of clients and forked identities: what a fork takes from them, and what it leaves.

use super::forks::Forked;
use super::sessions::{Client, cut, read, replica_of, shown, title};
use super::*;
use crate::session::Missing;

/// A token names how many entries of an identity it rests on, and not which of two histories they are in.
#[test]
fn a_session_from_before_a_fork_was_known_finds_the_other_history_and_then_ends() {
    let mut forked = Forked::new(2);
    forked.0.write(0, alloc::vec![title("before")]);
    forked.clone_node(0, 1);
    let origin = replica_of(&forked.0, 0);
    let mut client = Client::default();
    client.write(&mut forked.0, 0, title("here"));
    forked.0.write(1, alloc::vec![title("there")]);
    let request = read(&forked.0, item(3, "profile"));
    assert_eq!(shown(client.clone().now(&mut forked.0, 1, request)), Some("there".into()));
    // Once they know of the fork, the identity ends at its first entry, and no node has a second one of it.
    forked.0.connect(0, 1);
    forked.settle();
    let request = read(&forked.0, item(3, "profile"));
    let waiting = client.ask(&mut forked.0, 0, request);
    forked.0.settle();
    let missing = alloc::vec![Missing { partition: 0, origin, entries: 1 }];
    assert_eq!(client.answer(&mut forked.0, waiting), Some(Reply::Behind { missing }));
}

/// The stamp of a register keeps the name under which it was written, and that identity has ended.
#[test]
fn a_session_that_was_shown_what_a_branch_wrote_waits_for_the_branch() {
    let mut forked = Forked::new(3);
    forked.0.write(0, alloc::vec![title("before")]);
    forked.clone_node(0, 1);
    forked.0.connect(0, 2);
    forked.settle();
    cut(&mut forked.0);
    forked.0.write(0, alloc::vec![title("here")]);
    forked.0.write(1, alloc::vec![title("there")]);
    forked.0.connect(0, 1);
    forked.settle();
    let mut client = Client::default();
    let request = read(&forked.0, item(3, "profile"));
    let last = shown(client.now(&mut forked.0, 0, request.clone()));
    assert_eq!(shown(client.now(&mut forked.0, 1, request)), last);
    // Node 2 knows neither of the fork nor of its branches.
    let deadline = forked.0.now().instant + Duration::from_secs(60);
    let request = Request::Read { item: item(3, "profile"), deadline };
    let waiting = client.ask(&mut forked.0, 2, request);
    assert_eq!(client.answer(&mut forked.0, waiting), None);
    forked.0.connect(1, 2);
    forked.settle();
    assert_eq!(shown(client.answer(&mut forked.0, waiting)), last);
}

/// The state that a branch wrote is as it was when the history was divided, and its entries got another name.
#[test]
fn a_session_that_saw_a_branch_where_it_was_written_depends_on_all_that_wrote_what_it_saw() {
    let note = || write(0, "note", Action::Put("here".into()));
    let removal = || write(1, "list", Action::Remove("milk".into()));
    let cases =
        [(title("here"), item(3, "profile")), (note(), item(0, "note")), (removal(), item(1, "list"))];
    for (here, read_back) in cases {
        let mut forked = Forked::new(2);
        forked.0.write(0, super::forks::add("list", "milk"));
        forked.0.write(0, super::forks::add("list", "salt"));
        forked.clone_node(0, 1);
        for before in ["one", "two"] {
            forked.0.write(0, super::forks::add("another list", before));
        }
        forked.0.write(0, alloc::vec![here]);
        forked.0.write(1, super::forks::count("visits", 1));
        forked.0.connect(0, 1);
        forked.settle();
        let mut client = Client::default();
        let request = read(&forked.0, read_back.clone());
        let shown = client.now(&mut forked.0, 0, request);
        assert!(matches!(shown, Some(Reply::Value(Some(_)))), "{shown:?}");
        let named: Vec<u64> = client.named().into_iter().map(|(_, _, sequence)| sequence).collect();
        assert!(named.contains(&5), "{read_back:?} was written by the fifth entry: {named:?}");
    }
}
