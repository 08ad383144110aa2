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

fn compare_pieces(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (pieces(a), pieces(b));
    loop {
        let (one, other) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => (one.unwrap_or_default(), other.unwrap_or_default()),
        };
        let order =
            compare_text(one.text, other.text).then_with(|| compare_numbers(one.number, other.number));
        if order.is_ne() {
            return order;
        }
    }
}

/// A run of non-digits and the run of digits that follows; either may be empty.
#[derive(Default)]
struct Piece<'v> {
    text: &'v str,
    number: &'v str,
}

fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (text, from_number) = split_where(rest, |c| c.is_ascii_digit());
        let (number, next) = split_where(from_number, |c| !c.is_ascii_digit());
        rest = next;
        Some(Piece { text, number })
    })
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
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
