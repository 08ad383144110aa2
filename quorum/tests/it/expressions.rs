//! Expressions as text: what is read, and what is refused.

use quorum::{Expr, ExprError, ParseExprError, QuorumSystem};

fn read(text: &str) -> Result<Expr<String>, ParseExprError> {
    text.parse()
}

fn written(text: &str) -> String {
    read(text).expect("an expression").to_string()
}

#[test]
fn and_binds_more_closely_than_or() {
    assert_eq!(written("a*b+c*d"), "a * b + c * d");
    assert_eq!(written("a*(b+c)*d"), "a * (b + c) * d");
    assert_eq!(written(" ( ( a ) ) "), "a");
    assert_eq!(written("a + (b + c)"), "a + b + c");
}

#[test]
fn functions_are_known_by_their_names() {
    assert_eq!(written("choose(2, a, b, c)"), "choose(2, a, b, c)");
    assert_eq!(written("majority(a, b*c, d + e)"), "choose(2, a, b * c, d + e)");
    assert_eq!(written("any(a, b) * all(c, d)"), "(a + b) * c * d");
    assert_eq!(written("weighted(3, 2: a, b, 1: c)"), "weighted(3, 2: a, 1: b, 1: c)");
    assert_eq!(written("weighted(2, a, b, c)"), "choose(2, a, b, c)");
    assert_eq!(written("majority(a)"), "a");
}

#[test]
fn a_name_may_look_like_a_number_or_a_function() {
    assert_eq!(written("1 * 2"), "1 * 2");
    assert_eq!(written("weighted(2, 1, 2: 1/eu, 3)"), "weighted(2, 1: 1, 2: 1/eu, 1: 3)");
    assert_eq!(written("choose + any * 10.0.0.1"), "choose + any * 10.0.0.1");
    assert_eq!(written("größe@köln_2"), "größe@köln_2");
}

#[test]
fn what_is_written_means_what_the_operators_mean() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| Expr::node(name.to_owned()));
    assert_eq!(read("a*b + c*d"), Ok(a * b + c * d));
    let grid = QuorumSystem::from_reads(read("a*b + c*d").expect("a grid")).expect("four nodes");
    assert!(grid.is_write_quorum(grid.set(["a".to_owned(), "d".to_owned()])));
}

#[test]
fn what_stands_in_the_wrong_place_is_named_with_its_place() {
    let unexpected = |at, found, expected| Err(ParseExprError::Unexpected { at, found, expected });
    let part = "a node, a function or a bracket";
    assert_eq!(read("a b"), unexpected(2, 'b', "`+`, `*` or the end"));
    assert_eq!(read("a + + b"), unexpected(4, '+', part));
    assert_eq!(read("majority()"), unexpected(9, ')', part));
    assert_eq!(read("choose(2, a, b"), Err(ParseExprError::End { expected: "`)`, `,` or an operator" }));
    assert_eq!(read("choose(a, b)"), unexpected(7, 'a', "a number"));
    assert_eq!(read("choose(2 a)"), unexpected(9, 'a', "`,`"));
    assert_eq!(read("(a, b)"), unexpected(2, ',', "`)`, `,` or an operator"));
    assert_eq!(read("é ? b"), unexpected(3, '?', "`+`, `*` or the end"));
    assert_eq!(read(""), Err(ParseExprError::End { expected: part }));
    assert_eq!(read("a * "), Err(ParseExprError::End { expected: part }));
    assert_eq!(read("a + most(b)"), Err(ParseExprError::UnknownFunction { at: 4 }));
}

#[test]
fn numbers_and_parts_must_make_sense() {
    let at = 4;
    assert_eq!(read("a + choose(0, b, c)"), Err(ParseExprError::Expr { at, error: ExprError::NeedsNothing }));
    assert_eq!(
        read("a + weighted(9, 3: b, 5: c)"),
        Err(ParseExprError::Expr { at, error: ExprError::NeedsTooMuch { need: 9, total: 8 } })
    );
    assert_eq!(read("a + weighted(1, 0: b)"), Err(ParseExprError::Expr { at, error: ExprError::NoVotes }));
    assert_eq!(
        read("a + weighted(1, 18446744073709551615: b, c)"),
        Err(ParseExprError::Expr { at, error: ExprError::TooManyVotes })
    );
    assert_eq!(read("choose(18446744073709551616, a)"), Err(ParseExprError::NumberTooLarge { at: 7 }));
}

#[test]
fn brackets_are_nested_only_so_deep() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(written(&nested(64)), "a");
    assert_eq!(read(&nested(65)), Err(ParseExprError::TooDeep { at: 64, limit: 64 }));
    assert_eq!(read(&nested(1 << 20)), Err(ParseExprError::TooDeep { at: 64, limit: 64 }));
    assert_eq!(read(&"(".repeat(1 << 20)), Err(ParseExprError::TooDeep { at: 64, limit: 64 }));
    // What is long need not be deep.
    let long = vec!["a"; 100_000].join(" + ");
    assert_eq!(read(&long).map(|expr| expr.nodes().count()), Ok(100_000));
}
