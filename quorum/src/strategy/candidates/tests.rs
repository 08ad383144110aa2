use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;

fn all(counts: &[usize], height: usize) -> Vec<Candidate> {
    let mut seen = Vec::new();
    let _ = each_of_height(counts, height, &mut |candidate| {
        seen.push(candidate.clone());
        ControlFlow::Continue(())
    });
    seen
}

/// The kinds of its nodes, in the order in which they stand.
fn kinds(candidate: &Candidate) -> Vec<usize> {
    match candidate {
        Candidate::Node(kind) => std::vec![*kind],
        Candidate::Choose(_, parts) => parts.iter().flat_map(kinds).collect(),
    }
}

#[test]
fn alike_nodes_are_counted_once() {
    assert_eq!(all(&[3], 1).len(), 3, "one, two or all of three");
    assert_eq!(all(&[1, 1, 1], 1).len(), 3);
    // A node beside a pair: one of (both, node), or all of (either, node).
    assert_eq!(all(&[3], 2).len(), 2);
    assert_eq!(all(&[1, 1, 1], 2).len(), 6);
}

#[test]
fn each_candidate_comes_once_and_has_all_nodes() {
    for counts in [&[5][..], &[2, 3], &[1, 1, 1, 1], &[2, 1, 2]] {
        for height in 1..4 {
            let candidates = all(counts, height);
            let different: BTreeSet<&Candidate> = candidates.iter().collect();
            assert_eq!(different.len(), candidates.len());
            for candidate in &candidates {
                let kinds = kinds(candidate);
                let counted: Vec<usize> = (0..counts.len())
                    .map(|kind| kinds.iter().filter(|other| **other == kind).count())
                    .collect();
                assert_eq!(counted, counts);
            }
        }
    }
}

#[test]
fn no_candidate_could_be_flatter() {
    for candidate in all(&[4], 2) {
        let Candidate::Choose(need, parts) = &candidate else { panic!("a choice") };
        assert!(!parts.iter().any(|part| part.is_like(*need, parts.len() as u64)), "{candidate:?}");
    }
}

/// Dealing out 1, 2, 3, ... different things: Bell's numbers; and as many equal ones: the partitions of a number.
#[test]
fn partitions_are_as_many_as_they_should_be() {
    let count = |counts: &[usize]| {
        let mut seen = 0;
        let _ = partitions(counts, None, &mut Vec::new(), &mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        });
        seen
    };
    assert_eq!((1..=6).map(|len| count(&std::vec![1; len])).collect::<Vec<_>>(), [1, 2, 5, 15, 52, 203]);
    assert_eq!((1..=7).map(|len| count(&[len])).collect::<Vec<_>>(), [1, 2, 3, 5, 7, 11, 15]);
    assert_eq!(count(&[2, 1]), 4, "aab: aab, aa b, ab a, a a b");
}
