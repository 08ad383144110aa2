//! The order of Debian versions, after the Debian Policy Manual, section 5.6.12.
//!
//! A version is `[epoch:]upstream[-revision]`. The epoch is a number; the other parts are compared piece by piece, a
//! run of non-digits and a run of digits in turn. A tilde sorts before everything, even before the end.

use std::cmp::Ordering;

/// Which of two versions is the higher. Texts that mean the same version are ordered by their bytes, so that the order
/// is total.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let ((a_epoch, a_upstream, a_revision), (b_epoch, b_upstream, b_revision)) = (parts(a), parts(b));
    compare_numbers(a_epoch, b_epoch)
        .then_with(|| compare_pieces(a_upstream, b_upstream))
        .then_with(|| compare_pieces(a_revision, b_revision))
        .then_with(|| a.cmp(b))
}

fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

fn compare_pieces(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let ((a_text, a_rest), (b_text, b_rest)) = (split_text(a), split_text(b));
        let ((a_number, a_next), (b_number, b_next)) = (split_number(a_rest), split_number(b_rest));
        let order = compare_text(a_text, b_text).then_with(|| compare_numbers(a_number, b_number));
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_next, b_next);
    }
    Ordering::Equal
}

fn split_text(piece: &str) -> (&str, &str) {
    piece.split_at(piece.find(|c: char| c.is_ascii_digit()).unwrap_or(piece.len()))
}

fn split_number(piece: &str) -> (&str, &str) {
    piece.split_at(piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len()))
}

/// Tilde before the end, the end before letters, letters before everything else.
fn compare_text(a: &str, b: &str) -> Ordering {
    let rank = |c: char| match c {
        '~' => (0, c),
        _ if c.is_ascii_alphabetic() => (2, c),
        _ => (3, c),
    };
    let end = std::iter::once((1, ' '));
    a.chars().map(rank).chain(end.clone()).cmp(b.chars().map(rank).chain(end))
}

/// Numbers of any length: without leading zeros the longer one is the greater.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
